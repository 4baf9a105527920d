"""Classes of stars whose periods the package has found, no catalogue: codes, meta and features made by hand.

``python -m benchmarks.found CRTS-FOUND S82-FOUND SPCC-FOUND``, or the same names given to ``benchmarks.paper_tables``.
`FindPeriod`, `PhaseFold` and `Standardize` make shapes of light curves, `DAEPEncoder` and `FunctionalPCA` make codes
of these. The probes are those of the protocols: ten splits of the test objects, 30 % for training, once by logistic
regression, once by a forest of 300 trees. Supernovae of SPCC have no period: the encoder reads what that of ``SPCC``
does.

Features made by hand are the 20 of ``_baselines`` (CRTS; the period is that of their own periodogram) and `FEATURES` of
the package ``light-curve``, by band. The encoder learns from at most `N_OBJECTS` training objects, drawn by the seed,
since a search for the periods of all takes a quarter of an hour of one core; ``--whole`` takes all. The probes have
the whole test split, as the protocols' have: a class of thirty objects shows what a third of them teaches. Periods are
kept in the benchmarks' cache.
"""

from __future__ import annotations

import json
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from inspect import getsource

import joblib
import numpy as np
from astropy.table import Table
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer

from skdaep import DAEPEncoder, FunctionalPCA, Sequence
from skdaep.preprocessing import FindPeriod, MetaFeatures, PhaseFold, Standardize, _harmonics

from . import _baselines, _protocols, _report, _scores
from ._data import CACHE, N_JOBS, Data

N_OBJECTS = {"train": 1000, "test": None}
N_PER_FILE = 100  # objects whose periods are kept together
#: what FindPeriod leaves in meta
PERIOD = ("period", "log_period", "period_power", "period_fap")
#: what Standardize leaves there
LEVELS = ("level", "amplitude", "skewness")
#: what the numbers in meta are called once each is a few splines, and their knots
SPLINES, N_KNOTS = "splines of meta", 6
#: names in the package light-curve
FEATURES = (
    *("Amplitude", "AndersonDarlingNormal", "BeyondNStd", "Cusum", "Eta", "EtaE", "InterPercentileRange", "Kurtosis"),
    *("LinearTrend", "MaximumSlope", "Median", "MedianAbsoluteDeviation", "MedianBufferRangePercentage"),
    *("PercentAmplitude", "ReducedChi2", "Skew", "StandardDeviation", "StetsonK", "WeightedMean"),
)
READING = (
    "In these tests (``python -m benchmarks.found``) periods do not come from a catalogue: FindPeriod finds them, "
    "PhaseFold folds the light curves, and Standardize scales them. Supernovae (SPCC) are not folded. The tables show "
    "how well a logistic regression and a random forest predict classes from codes, from the metadata that these steps "
    "store, from hand-made features, and from combinations of these."
)
CLASSIFIERS = {"linear": None, "forest": RandomForestClassifier(300, random_state=0)}
#: classifier -> columns of its table
COLUMNS = {
    "logistic regression": {"numbers": "n", "accuracy": "linear_accuracy", "macro F1": "linear_f1"},
    "random forest": {"numbers": "n", "accuracy": "forest_accuracy", "macro F1": "forest_f1"},
}


@dataclass(frozen=True)
class Found:
    """Objects as they come, as the encoder reads them, how, and which keys of meta stand beside its codes."""

    raw: Data
    train: list[Table]
    test: list[Table]
    modality: Sequence
    keys: tuple[str, ...]
    settings: dict


def main(arguments=None) -> None:
    """Find, fit, probe, write."""
    parser = _report.parser(__doc__)
    parser.add_argument("protocols", nargs="*", default=list(PROTOCOLS), metavar="PROTOCOL")
    parser.add_argument("--whole", action="store_true", help="take all objects, not some drawn by the seed")
    options = parser.parse_args(arguments)
    for name in options.protocols:
        run(name, options)


def run(name: str, options) -> None:
    """Write the results of one protocol."""
    found = PROTOCOLS[name](options)
    encoders = {
        "daep": DAEPEncoder(found.modality, random_state=options.seed, **found.settings),
        "functional PCA": FunctionalPCA(
            found.modality, n_components=n_numbers(found.settings), random_state=options.seed
        ),
    }
    encoders["daep"].set_params(**_report.overrides(options.set))
    if options.max_iter:
        encoders["daep"].set_params(max_iter=options.max_iter)
    seconds, sets = {}, {}
    for label, encoder in encoders.items():
        start = time.process_time()
        sets[f"codes, {label}"] = encoder.fit(found.train).transform(found.test)
        seconds[label] = time.process_time() - start
    sets |= of_meta(found) | by_hand(found)
    sets, labels = combined(sets), found.raw.labels("test")
    scores = joblib.Parallel(N_JOBS)(joblib.delayed(probed)(features, labels) for features in sets.values())
    rows = dict(zip(sets, scores, strict=True))
    result = {
        "protocol": name,
        "data_sha256": found.raw.sha256,
        "n_objects": [len(found.train), len(found.test)],
        "keys": found.keys,
        "settings": {label: _report.settings(e) for label, e in encoders.items()},
        "n_iter": encoders["daep"].n_iter_,
        "cpu_seconds": seconds,
        "history": encoders["daep"].history_,
        "rows": rows,
    }
    _report.write(f"paper_tables/{name}{options.name or ''}", result, table(result))


def table(result: dict) -> str:
    """Return the rst tables of one protocol, one per classifier."""
    title = f"{result['protocol']} ({' / '.join(map(str, result['n_objects']))} objects), test, "
    return "\n\n".join(_report.table(result["rows"], c, title + name, "features") for name, c in COLUMNS.items())


def section() -> list[str]:
    """Return the lines of the page of results, with the tables of all protocols that have results."""
    paths = [_report.RESULTS / "paper_tables" / f"{name}.json" for name in PROTOCOLS]
    tables = [line for path in paths if path.exists() for line in (table(json.loads(path.read_text())), "")]
    title = "Classes without known periods"
    return [title, "-" * len(title), "", *textwrap.wrap(READING, 110), "", *tables] if tables else []


def n_numbers(settings: dict) -> int:
    """Return how many numbers a code has."""
    return settings.get("bottleneck_length", 4) * settings.get("bottleneck_dim", 4)


# --- features --------------------------------------------------------------------------------------------


def combined(sets: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the sets alone, what is to be shown side by side, and all of them."""
    codes, features = "codes, daep", [k for k in sets if "features" in k]
    joined = [(k, meta) for meta in ("meta", SPLINES) for k in sets if k.startswith("codes")]
    joined += [(codes, k) for k in features]
    joined += [("meta", *features), (codes, "meta", *features)]
    return sets | {" + ".join(names): np.hstack([sets[k] for k in names]) for names in joined}


def probed(features: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return the scores of both classifiers."""
    row: dict[str, float] = {"n": features.shape[1]}
    for name, classifier in CLASSIFIERS.items():
        row |= {f"{name}_{score}": x for score, x in _scores.probe(features, labels, classifier).items()}
    return row


def of_meta(found: Found) -> dict[str, np.ndarray]:
    """Return the numbers in meta of test objects, as they are and as splines with knots at quantiles of training ones.

    A class may have periods between those of others: no line along the period tells it from both.
    """
    numbers = MetaFeatures(found.keys, fill="median").fit(found.train)
    splines = make_pipeline(numbers, SplineTransformer(N_KNOTS, degree=2, knots="quantile")).fit(found.train)
    return {"meta": numbers.transform(found.test), SPLINES: splines.transform(found.test)}


def by_hand(found: Found) -> dict[str, np.ndarray]:
    """Return the features made by hand of test objects, by what they are called."""
    raw = found.raw
    own = {"20 features": _baselines.feature_table(raw.test)} if raw.protocol == "CRTS" else {}
    return own | {"light-curve features": light_curve_features(raw)}


def light_curve_features(data: Data) -> np.ndarray:
    """Return those of the package light-curve in each band, the median over objects where a band has too few points."""
    import light_curve

    extract = light_curve.Extractor(*(getattr(light_curve, name)() for name in FEATURES))
    bands = np.unique(np.concatenate([_baselines._band(t) for t in data.train]))
    rows = np.array([np.concatenate([features_of(data, t, b, extract) for b in bands]) for t in data.test])
    rows = np.where(np.isfinite(rows), rows, np.nan)
    return np.where(np.isnan(rows), np.nanmedian(rows, 0), rows)


def features_of(data: Data, table: Table, band: str, extract) -> np.ndarray:
    """Return the features of an object in a band."""
    columns = (np.asarray(table[k], float) for k in (data.location, data.value, data.error))
    time, value, error = (x[_baselines._band(table) == band] for x in columns)
    order = np.argsort(time, kind="stable")
    seen = order[np.isfinite(value + error)[order]]
    time = time[seen] + 1e-6 * np.arange(len(seen))  # none twice
    return extract(time, value[seen], error[seen], sorted=True, fill_value=np.nan)


# --- objects ---------------------------------------------------------------------------------------------


def folded(read: Callable[[], Data], levels: tuple[str, ...], epoch: str, options, **settings) -> Found:
    """Return variables folded by the period found, levels and amplitudes taken out."""
    data = drawn(read(), options)
    names = {"location": "time", "value": "mag", "error": "mag_err"}
    steps = make_pipeline(PhaseFold(epoch=epoch, **names), Standardize(value="mag", error="mag_err"))
    train = steps.fit_transform(with_periods(data, data.train, names))
    test = steps.transform(with_periods(data, data.test, names))
    modality = Sequence(**names, band="band" if "band" in test[0].colnames else None)
    return Found(data, train, test, modality, ("log_period", "period_power", *levels), settings)


def drawn(data: Data, options) -> Data:
    """Return a protocol with so many of its objects as are wanted."""
    if options.whole:
        return data
    parts = {}
    for split, n in N_OBJECTS.items():
        objects = getattr(data, split)
        chosen = np.sort(np.random.default_rng(options.seed).permutation(len(objects))[: options.limit or n])
        parts[split] = [objects[i] for i in chosen]
    return replace(data, **parts)


def supernovae(options) -> Found:
    """Return supernovae as they are, with the level and amplitude of each band in meta."""
    data = _protocols.spcc()
    data = data if options.limit is None else drawn(data, options)
    names = {"value": data.value, "error": data.error, "band": "band"}
    step = Standardize(**names).fit(data.train)
    train, test = (
        [Table(t, meta=known.meta) for t, known in zip(part, step.transform(part), strict=True)]
        for part in (data.train, data.test)
    )
    return Found(data, train, test, Sequence(location="time", **names), of_bands("griz"), {"max_iter": 100})


def of_bands(bands: str) -> tuple[str, ...]:
    """Return the keys of what Standardize leaves of bands."""
    return tuple(f"{key}_{band}" for band in bands for key in LEVELS)


PROTOCOLS: dict[str, Callable] = {
    "CRTS-FOUND": partial(folded, _protocols.crts, LEVELS, "faintest", bottleneck_length=2, max_iter=100),
    "S82-FOUND": partial(
        *(folded, _protocols.s82, of_bands("ugriz"), "brightest"), bottleneck_length=2, bottleneck_dim=2, max_iter=300
    ),
    "SPCC-FOUND": supernovae,
}


# --- periods ---------------------------------------------------------------------------------------------


def with_periods(data: Data, objects: list[Table], names: dict[str, str]) -> list[Table]:
    """Return objects at their magnitudes with the period found in meta, and nothing of the catalogue's."""
    files = [objects[i : i + N_PER_FILE] for i in range(0, len(objects), N_PER_FILE)]
    found = joblib.Parallel(N_JOBS)(joblib.delayed(periods)(data.sha256, own, names) for own in files)
    each = [own for file in found for own in file]
    return [as_observed(t, dict(zip(PERIOD, own, strict=True))) for t, own in zip(objects, each, strict=True)]


def as_observed(table: Table, meta: dict) -> Table:
    """Return a copy at its magnitudes, as the survey has it."""
    new = Table(table[[c for c in table.colnames if c != "phase"]], meta=meta)
    new["mag"] = table["mag"] + table.meta["median_mag"] * table["mag"].unit
    return new


def periods(sha256: str, objects: list[Table], names: dict[str, str]) -> list[list[float]]:
    """Return what FindPeriod leaves in meta of each object, kept in the cache by objects, settings and search."""
    step = FindPeriod(**names)
    identity = [sha256, [t.meta["object_id"] for t in objects], step.get_params(), getsource(_harmonics)]
    cache = CACHE / f"found-{joblib.hash(identity)}.json"
    if not cache.exists():
        Z = step.fit_transform([as_observed(t, {}) for t in objects])
        cache.write_text(json.dumps([[t.meta[key] for key in PERIOD] for t in Z]))
    return json.loads(cache.read_text())


if __name__ == "__main__":
    main()
