"""Does a population of generated spectra look like the real one? The bottleneck's prior on SN-SPEC.

A random forest is asked to tell generated objects from test objects, once by their bottlenecks and once by coarse
features of the decoded spectra; 0.5 is chance. Beside it stand training objects against test objects, which is the
best that can be reached, and objects drawn from a normal distribution of z with the training objects' mean and
covariance, which is what the diffusion prior has to beat.
"""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.stats import energy_distance
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_score

from skdaep import load

from . import _data, _report

N_BINS = 20  # of wavelength, for features of a spectrum
COLUMNS = {"z, AUC": "z", "spectra, AUC": "spectra", "energy distance": "energy"}


def main(arguments=None) -> None:
    """Fit the prior, generate as many objects as there are test objects, compare, draw."""
    parser = _report.parser(__doc__)
    parser.add_argument("--model", default=str(_data.CACHE / "sn_spectra.safetensors"), help="made by sn_spectra")
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    data = _data.sn_spectra().limited(options.limit)
    estimator = load(options.model)
    estimator.fit_prior(data.train)
    seconds = estimator.prior_history_[-1]["seconds"]
    rng = np.random.default_rng(options.seed)
    n, at = len(data.test), data.test
    Z = {k: estimator.transform(getattr(data, k)) for k in ("train", "test")}
    normal = rng.multivariate_normal(Z["train"].mean(0), np.cov(Z["train"].T), n).astype(np.float32)
    prior = estimator.sample(n, random_state=options.seed, output="bottlenecks")
    some = rng.choice(len(data.train), n, replace=len(data.train) < n)
    populations = {
        "diffusion prior": (prior, estimator.inverse_transform(prior, at=at, n_draws=1, output="arrays")),
        "normal prior": (normal, estimator.inverse_transform(normal, at=at, n_draws=1, output="arrays")),
    }
    real = (Z["test"], features(at, [data.values(t) for t in at]))
    rows = {
        name: compare((z, features(at, [v[:, 0] for v in values])), real) for name, (z, values) in populations.items()
    }
    train = [data.train[i] for i in some]
    rows["training objects"] = compare((Z["train"][some], features(train, [data.values(t) for t in train])), real)
    text = _report.table(
        rows, COLUMNS, f"SN-SPEC, {n} generated objects against {n} test objects; AUC 0.5: no difference", "objects"
    )
    content = {"rows": rows, "prior_seconds": seconds, "seed": options.seed, "model": _report.settings(estimator)}
    _report.write(options.name or "generated", content | {"data_sha256": data.sha256}, text)
    generated = [v[:, 0] for v in populations["diffusion prior"][1]]
    picture(at, [data.values(t) for t in at], generated, _report.RESULTS / "generated.png")


def features(objects: list, values: list[np.ndarray]) -> np.ndarray:
    """Return median and scatter of each object's values in bins of wavelength; NaN where it has no points."""
    edges = np.linspace(*_data.WINDOW, N_BINS + 1)
    rows = np.full((len(objects), 2 * N_BINS), np.nan)
    for row, table, value in zip(rows, objects, values, strict=True):
        place = np.searchsorted(edges, np.asarray(table["wavelength"], float), side="right") - 1
        for i in np.unique(place.clip(0, N_BINS - 1)):
            here = value[place == i]
            if len(here) > 1:
                row[2 * i : 2 * i + 2] = np.median(here), np.std(np.diff(here))
    return rows


def compare(one: tuple, other: tuple) -> dict[str, float]:
    """Return the area under the ROC of a forest that tells two populations apart, by z and by features of spectra.

    The energy distance is the mean over entries of z, each in units of its standard deviation.
    """
    scores = {}
    for name, a, b in zip(("z", "spectra"), one, other, strict=True):
        X, y = np.concatenate([a, b]), np.repeat([0, 1], [len(a), len(b)])
        forest = RandomForestClassifier(300, min_samples_leaf=3, random_state=0)
        folds = StratifiedKFold(5, shuffle=True, random_state=0)
        auc = cross_val_score(forest, X, y, cv=folds, scoring="roc_auc")
        scores |= {name: float(auc.mean()), f"{name}_sd": float(auc.std())}
    a, b = (z / other[0].std(0) for z in (one[0], other[0]))
    return scores | {"energy": float(np.mean([energy_distance(u, v) for u, v in zip(a.T, b.T, strict=True)]))}


def picture(objects: list, real: list[np.ndarray], generated: list[np.ndarray], path) -> None:
    """Draw quantiles of both populations by wavelength, and six generated spectra beside six real ones."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(15, 5), sharex=True, layout="constrained")
    edges = np.linspace(*_data.WINDOW, 61)
    centres = (edges[1:] + edges[:-1]) / 2
    wavelength = np.concatenate([np.asarray(t["wavelength"], float) for t in objects])
    place = np.searchsorted(edges, wavelength, side="right") - 1
    for values, colour, name in ((real, "0.4", "real"), (generated, "C3", "generated")):
        flat = np.concatenate(values)
        bands = np.array([np.quantile(flat[place == i], [0.025, 0.16, 0.5, 0.84, 0.975]) for i in range(60)]).T
        left.plot(centres, bands[2], color=colour, label=name)
        for low, high in ((0, 4), (1, 3)):
            left.fill_between(centres, bands[low], bands[high], color=colour, alpha=0.15, lw=0)
    left.set(title="median, 68 and 95 % of all points", ylabel="log10 flux / median")
    left.legend()
    for ax, values, title in ((middle, real, "real"), (right, generated, "generated")):
        for i in range(6):
            ax.plot(objects[i]["wavelength"], values[i] - 0.8 * i, lw=0.7)
        ax.set_title(title)
    for ax in (left, middle, right):
        ax.set_xlabel("rest wavelength (A)")
    figure.savefig(path, dpi=72)
    plt.close(figure)
    print(f"written to {path}")


if __name__ == "__main__":
    main()
