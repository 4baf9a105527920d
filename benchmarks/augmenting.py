"""Do generated objects help a classifier that has few labels? SN-SPEC and SPCC, ten subsets of labels of each size.

One `DAEPEncoder` per data set learns from all training objects, without a label. For each subset its prior learns from
all training objects and the labels of the subset, and `sample` draws new objects of each class, at the points of random
training objects. Another generator is a normal distribution of each class in the same bottleneck. Their rivals make as
many new objects of each class: copies of real objects, `preprocessing.augment`, and SMOTE (Chawla et al. 2002: points
between neighbours of a class) among the principal components.

The classifiers never see the encoder. They read the 32 principal components of objects interpolated to a grid. All
classifiers of a subset have the same real objects, and differ in what is added to them. Spectra are first averaged to
at most 150 points, so that drawing takes minutes. A run that was stopped goes on.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from astropy.table import Table
from sklearn.covariance import OAS
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdaep import DAEPEncoder, Sequence
from skdaep.preprocessing import augment

from . import _protocols, _report
from ._data import WINDOW, Data
from .sn_spectra import DISTORTION

SIZES = (30, 100, 300, None)  # objects with labels; None: all
N_SEEDS = 10
LEAST = 3  # objects of a class
N_NEW = 300  # of each class
N_COMPONENTS = 32
MOST_POINTS = 150  # of a spectrum
N_NEIGHBORS = 5  # among which SMOTE chooses
DAYS, ZERO = np.arange(-40.0, 101.0, 6.0), 0.0  # of SPCC; before its first point a supernova has no flux
#: how `augment` changes copies: spectra as in benchmarks.sn_spectra, light curves by noise and by lost points
DISTORTIONS: dict[str, dict] = {"SN-SPEC": DISTORTION, "SPCC": {}}
MAX_ITER = {"SN-SPEC": 400, "SPCC": 300}
PRIOR_STEPS, N_EVALUATIONS = 1000, 8  # half and two fifths of the defaults, to save time
#: what "real + generated" is compared with
RIVALS = ("real", "real + copies", "real + augment", "real + SMOTE", "real + generated, normal")

Features = np.ndarray
New = tuple[Features, np.ndarray]  # objects and their labels


@dataclass(frozen=True)
class Setting:
    """A data set, what the classifiers read of its objects, and the encoder."""

    data: Data
    features: Callable[[list[Table]], Features]
    train: Features
    test: Features
    encoder: DAEPEncoder


def main(arguments=None) -> None:
    """Run what has no result yet, and write the tables."""
    parser = _report.parser(__doc__)
    parser.add_argument("--protocols", nargs="*", default=list(MAX_ITER))
    parser.add_argument("--seeds", type=int, default=N_SEEDS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads or 1)
    for protocol in options.protocols:
        run(protocol, options)


def run(protocol: str, options) -> None:
    """Run one data set, and write its results after each subset."""
    name = options.name or f"augmenting-{protocol}"
    path = _report.RESULTS / f"{name}.json"
    runs = json.loads(path.read_text())["runs"] if path.exists() else []
    done = {(row["size"], row["seed"]) for row in runs}
    setting, about = None, {}
    for seed, size in itertools.product(range(options.seeds), SIZES):
        if (size, seed) in done:
            continue
        if setting is None:
            setting, about = prepared(protocol, options)
        start = time.process_time()
        runs.append({"size": size, "seed": seed} | one(setting, size, seed))
        runs[-1]["cpu_seconds"] = time.process_time() - start
        result = {"protocol": protocol, "n_seeds": -(-len(runs) // len(SIZES)), "runs": runs, "rows": summary(runs)}
        _report.write(name, result | about, tables(result))


def prepared(protocol: str, options) -> tuple[Setting, dict]:
    """Return the data and an encoder fitted without labels, and what is to be noted of them."""
    data = _protocols.PROTOCOLS[protocol]().limited(options.limit)
    if protocol == "SN-SPEC":
        data = replace(data, **{k: [averaged(t, data) for t in getattr(data, k)] for k in ("train", "test")})
    start = time.process_time()
    band = "band" if "band" in data.train[0].colnames else None
    modality = Sequence(value=data.value, location=data.location, error=data.error, band=band)
    steps = {"max_iter": options.max_iter or MAX_ITER[protocol], "n_sampling_steps": N_EVALUATIONS}
    encoder = DAEPEncoder(modality, **steps, random_state=options.seed)
    encoder.set_params(**_report.overrides(options.set)).fit(data.train)
    seconds = time.process_time() - start
    read = on_days if protocol == "SPCC" else on_wavelengths
    train, test = (np.array([read(t, data) for t in part]) for part in (data.train, data.test))
    pca = PCA(min(N_COMPONENTS, len(train)), random_state=0).fit(train)

    def features(objects: list[Table]) -> Features:
        return pca.transform(np.array([read(t, data) for t in objects]))

    about = {"data_sha256": data.sha256, "settings": _report.settings(encoder), "n_iter": encoder.n_iter_}
    about |= {"n_objects": [len(train), len(test)], "fit_cpu_seconds": seconds, "error": -encoder.score(data.test)}
    return Setting(data, features, pca.transform(train), pca.transform(test), encoder), about


# --- one subset of labels --------------------------------------------------------------------------------


def one(setting: Setting, size: int | None, seed: int) -> dict:
    """Return the scores of all classifiers with one subset of labels, and how near the new objects are to real ones."""
    rng = np.random.default_rng([seed, size or 0])
    labels, truth = (setting.data.labels(k).astype(str) for k in ("train", "test"))
    chosen = subset(labels, size, rng)
    classes = np.unique(labels)
    wanted = np.repeat(classes, N_NEW)
    sources = {
        "copies": copies(setting, labels, chosen, wanted, rng),
        "augment": distorted(setting, labels, chosen, wanted, seed),
        "SMOTE": between_neighbors(setting, labels, chosen, wanted, rng),
        "generated": drawn(setting, labels, chosen, wanted, rng, seed),
        "generated, normal": drawn_normal(setting, labels, chosen, wanted, rng),
    }
    real = setting.train[chosen], labels[chosen]
    trained = {"real": real}
    trained |= {
        f"real + {k}": (np.concatenate([real[0], X]), np.concatenate([real[1], wanted])) for k, X in sources.items()
    }
    trained |= {f"{k} alone": (X, wanted) for k, X in sources.items() if k.startswith("generated")}
    scores = {
        name: {k: f1(model, *own, setting.test, truth) for k, model in classifiers(seed).items()}
        for name, own in trained.items()
    }
    return {"scores": scores, "likeness": likeness(setting, labels, truth, wanted, sources, rng)}


def subset(labels: np.ndarray, size: int | None, rng: np.random.Generator) -> np.ndarray:
    """Return the indices of objects that have a label: the classes in proportion, but `LEAST` of each at least."""
    if size is None:
        return np.arange(len(labels))
    share = size / len(labels)
    own = [rng.permutation(np.flatnonzero(labels == c)) for c in np.unique(labels)]
    return np.concatenate([index[: max(LEAST, round(share * len(index)))] for index in own])


def classifiers(seed: int) -> dict:
    """Return the classifiers by name."""
    boosting = HistGradientBoostingClassifier(max_leaf_nodes=8, min_samples_leaf=5, random_state=seed)
    return {
        "boosting": boosting.set_params(early_stopping=False),
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=3000)),
    }


def f1(model, X: Features, y: np.ndarray, X_test: Features, y_test: np.ndarray) -> float:
    """Return the macro F1 of real test objects."""
    return float(f1_score(y_test, model.fit(X, y).predict(X_test), average="macro"))


# --- new objects -----------------------------------------------------------------------------------------


def copies(setting: Setting, labels, chosen, wanted, rng) -> Features:
    """Return real objects again: what a balance of the classes does without a new object."""
    return setting.train[[rng.choice(chosen[labels[chosen] == c]) for c in wanted]]


def distorted(setting: Setting, labels, chosen, wanted, seed) -> Features:
    """Return noisy, thinned or distorted copies of real objects."""
    data, made = setting.data, []
    for c in np.unique(wanted):
        own, n = chosen[labels[chosen] == c], int((wanted == c).sum())
        n_copies = 1 + -(-n // len(own))
        options = {"value": data.value, "location": data.location, "error": data.error}
        X, *_ = augment(
            [data.train[i] for i in own], n_copies=n_copies, random_state=seed, **options, **DISTORTIONS[data.protocol]
        )
        made += X[len(own) : len(own) + n]  # the first copies are the objects themselves
    return setting.features(made)


def between_neighbors(setting: Setting, labels, chosen, wanted, rng) -> Features:
    """Return points between a real object and one of its neighbours of the same class."""
    rows = []
    for c in np.unique(wanted):
        own, n = setting.train[chosen[labels[chosen] == c]], int((wanted == c).sum())
        near = NearestNeighbors(n_neighbors=min(N_NEIGHBORS + 1, len(own))).fit(own).kneighbors(own)[1][:, 1:]
        i = rng.integers(len(own), size=n)
        j = near[i, rng.integers(near.shape[1], size=n)]
        rows.append(own[i] + rng.random((n, 1)) * (own[j] - own[i]))
    return np.concatenate(rows)


def drawn(setting: Setting, labels, chosen, wanted, rng, seed) -> Features:
    """Return objects of the prior, which has learned from all objects and the labels chosen."""
    known = np.full(len(labels), None, object)
    known[chosen] = labels[chosen]
    setting.encoder.fit_prior(setting.data.train, known, max_iter=PRIOR_STEPS)
    return setting.features(
        setting.encoder.sample(len(wanted), y=wanted, at=templates(setting, wanted, rng), random_state=seed)
    )


def drawn_normal(setting: Setting, labels, chosen, wanted, rng) -> Features:
    """Return objects of a normal distribution of each class in the bottleneck, its covariance shrunk (OAS)."""
    Z, codes = setting.encoder.transform([setting.data.train[i] for i in chosen]), []
    for c in np.unique(wanted):
        own = Z[labels[chosen] == c]
        codes.append(rng.multivariate_normal(own.mean(0), OAS().fit(own).covariance_, int((wanted == c).sum())))
    Z = np.concatenate(codes).astype(np.float32)
    made = setting.encoder.inverse_transform(Z, at=templates(setting, wanted, rng), n_draws=1)
    for table in made:
        table[setting.data.value] = table[setting.data.value][:, 0]
    return setting.features(made)


def templates(setting: Setting, wanted, rng) -> list[Table]:
    """Return training objects at whose points new ones are decoded. Their labels do not matter."""
    return [setting.data.train[i] for i in rng.integers(len(setting.data.train), size=len(wanted))]


# --- likeness --------------------------------------------------------------------------------------------


def likeness(setting: Setting, labels, truth, wanted, sources: dict[str, Features], rng) -> dict[str, dict[str, float]]:
    """Return how near new objects are to training objects, and test objects for comparison.

    The classes are mixed as in the training set. Distances to neighbours are relative to those of test objects: below
    1, new objects are nearer to training objects than real ones are.
    """
    frequency = {c: (labels == c).mean() for c in np.unique(labels)}
    most = max(frequency.values())
    own = [np.flatnonzero(wanted == c)[: round(N_NEW * frequency[c] / most)] for c in frequency]
    mixed = np.concatenate(own)
    test = setting.test[rng.permutation(len(truth))[: len(mixed)]]
    neighbors = NearestNeighbors(n_neighbors=1).fit(setting.train)
    usual = np.median(neighbors.kneighbors(test)[0])
    found = {}
    for name, X in {"test objects": test, **{k: X[mixed] for k, X in sources.items() if k != "copies"}}.items():
        found[name] = {
            "distance": frechet(X, setting.train),
            "neighbors": float(np.median(neighbors.kneighbors(X)[0]) / usual),
        }
    others = setting.train[rng.permutation(len(labels))[: len(mixed)]]
    for name, X in {"training objects": others, **{k: sources[k][mixed] for k in sources if "generated" in k}}.items():
        found.setdefault(name, {})["auc"] = told_apart(X, test)
    return found


def frechet(one: Features, other: Features) -> float:
    """Return the Frechet distance between normal distributions with the moments of two populations."""
    covariances = np.cov(one.T), np.cov(other.T)
    roots = np.sqrt(np.linalg.eigvals(covariances[0] @ covariances[1]).real.clip(min=0))
    shift = ((one.mean(0) - other.mean(0)) ** 2).sum()
    return float(np.sqrt(shift + sum(np.trace(c) for c in covariances) - 2 * roots.sum()))


def told_apart(X: Features, test: Features) -> float:
    """Return the area under the ROC curve of a classifier that tells two populations apart; 0.5 is chance."""
    y = np.repeat([0, 1], [len(X), len(test)])
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    model = HistGradientBoostingClassifier(max_iter=50, max_leaf_nodes=8, random_state=0)
    return float(cross_val_score(model, np.concatenate([X, test]), y, cv=folds, scoring="roc_auc").mean())


# --- what the classifiers read ---------------------------------------------------------------------------


def averaged(table: Table, data: Data) -> Table:
    """Return a spectrum with neighbouring points averaged, at most `MOST_POINTS`."""
    pieces = np.array_split(np.arange(len(table)), min(MOST_POINTS, len(table)))
    columns = {k: np.array([np.mean(np.asarray(table[k])[i]) for i in pieces]) for k in (data.location, data.value)}
    return Table(columns, units={k: table[k].unit for k in columns}, meta=table.meta)


def on_wavelengths(table: Table, data: Data) -> np.ndarray:
    """Return a spectrum interpolated to `MOST_POINTS` wavelengths, constant beyond its ends."""
    order = np.argsort(table[data.location], kind="stable")
    wavelength, value = (np.asarray(table[k], float)[order] for k in (data.location, data.value))
    return np.interp(np.linspace(*WINDOW, MOST_POINTS), wavelength, value)


def on_days(table: Table, data: Data) -> np.ndarray:
    """Return a light curve interpolated to `DAYS` in each band: no flux before its first point or without any."""
    day, value = (np.asarray(table[k], float) for k in (data.location, data.value))
    rows = []
    for band in "griz":
        own = np.flatnonzero((table["band"] == band) & np.isfinite(value))
        own = own[np.argsort(day[own], kind="stable")]
        rows.append(np.interp(DAYS, day[own], value[own], left=ZERO) if len(own) else np.full(len(DAYS), ZERO))
    return np.concatenate(rows)


# --- results ---------------------------------------------------------------------------------------------


def summary(runs: list[dict]) -> dict[str, dict[str, dict]]:
    """Return means over seeds and their standard errors, by kind, row and size: of scores, differences and likeness."""
    rows: dict[str, dict[str, dict]] = {}
    for size in SIZES:
        own = [run for run in runs if run["size"] == size]
        if not own:
            continue
        for name in own[0]["scores"]:
            for classifier in own[0]["scores"][name]:
                values = [run["scores"][name][classifier] for run in own]
                _add(rows.setdefault(classifier, {}).setdefault(name, {}), size, values)
                if name in RIVALS:
                    ours = [run["scores"]["real + generated"][classifier] for run in own]
                    gain = np.subtract(ours, values).tolist()
                    _add(rows.setdefault(f"gain, {classifier}", {}).setdefault(f"over {name}", {}), size, gain)
        for name, measures in own[0]["likeness"].items():
            for measure in measures:
                values = [run["likeness"][name][measure] for run in own]
                _add(rows.setdefault(measure, {}).setdefault(name, {}), size, values)
    return rows


def _add(row: dict, size: int | None, values: list[float]) -> None:
    """Add mean and standard error of values to a row."""
    row[_of(size)] = float(np.mean(values))
    if len(values) > 1:
        row[f"{_of(size)}_sd"] = float(np.std(values, ddof=1) / np.sqrt(len(values)))


def _of(size: int | None) -> str:
    return "all" if size is None else str(size)


TITLES = {
    "boosting": "macro F1 of real test objects, boosting",
    "logistic regression": "macro F1 of real test objects, logistic regression",
    "gain, boosting": "gain of real + generated, boosting",
    "gain, logistic regression": "gain of real + generated, logistic regression",
    "distance": "Frechet distance from training objects in 32 principal components",
    "neighbors": "median distance to the nearest training object, relative to that of test objects",
    "auc": "area under the ROC curve: told from test objects by boosting",
}


def tables(result: dict) -> str:
    """Return the rst tables of a protocol; columns are numbers of labels."""
    columns = {f"{_of(size)} labels": _of(size) for size in SIZES}
    about = f"{result['protocol']} ({result['n_seeds']} subsets)"
    return "\n\n".join(
        _report.table(result["rows"][kind], columns, f"{about}, {title}", "objects") for kind, title in TITLES.items()
    )


if __name__ == "__main__":
    main()
