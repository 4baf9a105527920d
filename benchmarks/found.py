"""Classes of stars whose periods the package has found, no catalogue: codes, meta and features made by hand.

``python -m benchmarks.found CRTS-FOUND S82-FOUND SPCC-FOUND``, or the same names given to ``benchmarks.paper_tables``.
`FindPeriod`, `PhaseFold` and `Standardize` make shapes of light curves, `DAEPEncoder` makes codes of these. The probes
are those of the protocols: ten splits of the test objects, 30 % for training, once by logistic regression, once by a
forest of 300 trees. Supernovae of SPCC have no period: their encoder reads what that of ``SPCC`` does.

Features made by hand are the 20 of ``_baselines`` (CRTS; the period is that of their own periodogram) and `FEATURES` of
the package ``light-curve``, by band. Of CRTS `N_TRAIN` objects are drawn for training: a search for all of it would
take 40 minutes of one core. Periods found are kept in the cache of the benchmarks.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from inspect import getsource

import joblib
import numpy as np
from astropy.table import Table
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline

from skdaep import DAEPEncoder, Sequence
from skdaep.preprocessing import FindPeriod, MetaFeatures, PhaseFold, Standardize, _harmonics, _period

from . import _baselines, _protocols, _report
from ._data import CACHE, Data

FOLDER = _report.RESULTS / "paper_tables"
N_TRAIN = 2000
#: what FindPeriod leaves in meta
PERIOD = ("period", "log_period", "period_power", "period_fap")
#: names in the package light-curve
FEATURES = (
    *("Amplitude", "AndersonDarlingNormal", "BeyondNStd", "Cusum", "Eta", "EtaE", "InterPercentileRange", "Kurtosis"),
    *("LinearTrend", "MaximumSlope", "Median", "MedianAbsoluteDeviation", "MedianBufferRangePercentage"),
    *("PercentAmplitude", "ReducedChi2", "Skew", "StandardDeviation", "StetsonK", "WeightedMean"),
)
CLASSIFIERS = {"linear": None, "forest": RandomForestClassifier(300, random_state=0)}
COLUMNS = {
    "numbers": "n",
    "accuracy": "linear_accuracy",
    "macro F1": "linear_f1",
    "forest: accuracy": "forest_accuracy",
    "forest: macro F1": "forest_f1",
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


def folded(read: Callable[[], Data], levels: tuple[str, ...], epoch: str, options, **settings) -> Found:
    """Return variables folded by the period found, levels and amplitudes taken out."""
    data = read().limited(options.limit)
    chosen = np.sort(np.random.default_rng(options.seed).permutation(len(data.train))[:N_TRAIN])
    parts = [data.train[i] for i in chosen], data.test
    names = {"location": "time", "value": "mag", "error": "mag_err"}
    steps = make_pipeline(PhaseFold(epoch=epoch, **names), Standardize(value="mag", error="mag_err"))
    with_periods = [with_period(data, part, names) for part in parts]
    train, test = steps.fit_transform(with_periods[0]), steps.transform(with_periods[1])
    modality = Sequence(**names, band="band" if "band" in test[0].colnames else None)
    return Found(data, train, test, modality, ("log_period", "period_power", *levels), settings)


def supernovae(options) -> Found:
    """Return supernovae as they are, with the level and amplitude of each band in meta."""
    data = _protocols.spcc().limited(options.limit)
    names = {"value": data.value, "error": data.error, "band": "band"}
    step = Standardize(**names).fit(data.train)
    known = step.transform(data.test)
    test = [Table(t, meta=k.meta) for t, k in zip(data.test, known, strict=True)]
    keys = tuple(f"{key}_{band}" for band in "griz" for key in ("level", "amplitude"))
    return Found(data, data.train, test, Sequence(location="time", **names), keys, {})


PROTOCOLS = {
    "CRTS-FOUND": partial(folded, _protocols.crts, ("level", "amplitude"), "faintest"),
    "S82-FOUND": partial(
        folded,
        _protocols.s82,
        tuple(f"{key}_{band}" for band in "ugriz" for key in ("level", "amplitude")),
        "brightest",
        bottleneck_length=2,
        bottleneck_dim=2,
        max_iter=300,
    ),
    "SPCC-FOUND": supernovae,
}


# --- periods ---------------------------------------------------------------------------------------------


def with_period(data: Data, objects: list[Table], names: dict[str, str]) -> list[Table]:
    """Return objects at their magnitudes with the period found in meta, and nothing of the catalogue's."""
    found = periods(data, objects, names)
    return [bare(t, dict(zip(PERIOD, own, strict=True))) for t, own in zip(objects, found, strict=True)]


def bare(table: Table, meta: dict) -> Table:
    """Return a copy at its magnitudes, as the survey has it."""
    new = Table(table[[c for c in table.colnames if c != "phase"]], meta=meta)
    new["mag"] = table["mag"] + table.meta["median_mag"] * table["mag"].unit
    return new


def periods(data: Data, objects: list[Table], names: dict[str, str]) -> list[list[float]]:
    """Return what FindPeriod leaves in meta of each object, kept in the cache by objects and code."""
    identity = [data.sha256, [t.meta["object_id"] for t in objects], getsource(_harmonics), getsource(_period)]
    cache = CACHE / f"found-{data.protocol.lower()}-{joblib.hash(identity)}.json"
    if not cache.exists():
        start = time.process_time()
        Z = FindPeriod(**names).fit_transform([bare(t, {}) for t in objects])
        print(f"{len(Z)} periods found, {(time.process_time() - start) / len(Z):.3f} s of a CPU each", flush=True)
        cache.write_text(json.dumps([[t.meta[key] for key in PERIOD] for t in Z]))
    return json.loads(cache.read_text())
