"""Protocol STARS: simulated light curves beside real stellar spectra, and what a linear probe reads from codes.

``teff`` and ``logg`` are in both views, ``feh`` in the spectrum alone, ``age`` in the light curve alone; the rotation
period is in the light curve, and the spectrum tells it in part. Of light curves, 144 points in 89 days, encoders get
the autocorrelation, one of the paper's two inputs, and the amplitude as metadata: after 200 steps on the points
themselves DualFormer knew nothing of periods (R^2 0.01). Spectra are flux over its mean, 3540 to 7410 A.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from astropy import units
from astropy.table import Table
from scipy.optimize import linear_sum_assignment
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GroupShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdaep import ConformalRegressor, DAEPEncoder, Sequence, Spectrum
from skdaep.preprocessing import Autocorrelation, Standardize

from ._data import SPLITS, raw_file

TARGETS = ("teff", "logg", "feh", "log_period", "age")
#: which of the views an object shows
VIEWS = {"both": ("light_curve", "spectrum"), "light curve": ("light_curve",), "spectrum": ("spectrum",)}
FEW = 0.2  # of the test objects, for a probe
N_SPLITS = 10
LABELLED = 0.25


@dataclass(frozen=True)
class Stars:
    """Objects by split, their labels (n, 5), NaN where unknown, and the star that each belongs to."""

    modalities: dict  # declarations for a new model
    objects: dict[str, list[dict]]
    labels: dict[str, np.ndarray]
    stars: dict[str, np.ndarray]
    sha256: str

    def some_labels(self, share: float, seed: int) -> np.ndarray:
        """Return labels of the training objects of which only a share of the stars keep theirs."""
        stars = np.unique(self.stars["train"])
        kept = np.random.default_rng(seed).permutation(stars)[: round(share * len(stars))]
        return np.where(np.isin(self.stars["train"], kept)[:, None], self.labels["train"], np.nan)


def stars(limit: int | None = None) -> Stars:
    """Read the pairs."""
    path = raw_file("stars_simulated_pairs.parquet")
    frame = pd.read_parquet(path)
    frame["log_period"] = np.log10(frame.period)
    rows = {split: frame[frame.split == split][:limit] for split in SPLITS}
    curves = {split: [_light_curve(row) for row in own.itertuples()] for split, own in rows.items()}
    view = make_pipeline(Standardize(), Autocorrelation()).fit(curves["train"])
    objects, labels, groups = {}, {}, {}
    for split, own in rows.items():
        both = zip(view.transform(curves[split]), own.itertuples(), strict=True)
        objects[split] = [{"light_curve": curve, "spectrum": _spectrum(row)} for curve, row in both]
        labels[split] = own[list(TARGETS)].to_numpy(float)
        groups[split] = own.group.to_numpy(str)
    correlation = Sequence("autocorrelation", location="lag", metadata=("amplitude",))
    modalities = {"light_curve": correlation, "spectrum": Spectrum("flux")}
    return Stars(modalities, objects, labels, groups, hashlib.sha256(path.read_bytes()).hexdigest())


def encoded(data: Stars, **settings) -> Stars:
    """Return stars of which each view is its code, by an encoder that was trained on this view before.

    A number of the code, standardised, is a point, so that it becomes a token.
    """
    views: dict[str, dict[str, list[Table]]] = {}
    for name, modality in data.modalities.items():
        encoder = make_pipeline(DAEPEncoder(modality, **settings), StandardScaler())
        encoder.fit([x[name] for x in data.objects["train"]])
        views[name] = {k: _codes(encoder.transform([x[name] for x in X])) for k, X in data.objects.items()}
    objects = {
        k: [dict(zip(views, pair, strict=True)) for pair in zip(*(v[k] for v in views.values()), strict=True)]
        for k in data.objects
    }
    return replace(data, modalities={name: Sequence("code", location="number") for name in views}, objects=objects)


def _codes(Z: np.ndarray) -> list[Table]:
    return [Table({"number": np.arange(len(z), dtype=float), "code": z}) for z in Z]


def side_by_side(X: list[dict]) -> np.ndarray:
    """Return the codes of both views of `encoded` stars (n, numbers), 0, their mean, for views that are missing."""
    views = [[x[name]["code"] if name in x else np.zeros(0) for x in X] for name in VIEWS["both"]]
    size = max(len(z) for view in views for z in view)
    return np.hstack([[np.resize(z, size) if len(z) else np.zeros(size) for z in view] for view in views])


def _light_curve(row) -> Table:
    columns = {"time": np.asarray(row.lc_location, float), "flux": np.asarray(row.lc_value, float)}
    return Table(columns, units={"time": units.day})


def _spectrum(row) -> Table:
    columns = {"wavelength": np.asarray(row.sp_location, float), "flux": np.asarray(row.sp_value, float)}
    return Table(columns, units={"wavelength": units.AA})


def seen(X: list[dict], view: str) -> list[dict]:
    """Return objects that show one view only, or both."""
    return [{k: x[k] for k in VIEWS[view]} for x in X]


def probes(transform, data: Stars) -> dict:
    """Return R^2 of each target by view, of a linear probe trained on all training objects, and on few of the test."""
    out = {}
    for view in VIEWS:
        Z = {k: transform(seen(data.objects[k], view)) for k in ("train", "test")}
        out[view] = {"all": _on_all(Z, data), "few": _on_few(Z["test"], data)}
    out["clusters"] = cluster_accuracy(transform(data.objects["test"]), data.labels["test"][:, 0])
    return out


def _probe():
    return make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 6, 17)))


def _on_all(Z: dict, data: Stars) -> dict[str, float]:
    scores = {}
    for j, name in enumerate(TARGETS):
        known = {k: ~np.isnan(data.labels[k][:, j]) for k in Z}
        model = _probe().fit(Z["train"][known["train"]], data.labels["train"][known["train"], j])
        scores[name] = r2_score(data.labels["test"][known["test"], j], model.predict(Z["test"][known["test"]]))
    return scores


def _on_few(Z: np.ndarray, data: Stars) -> dict[str, float]:
    """Train on a fifth of the test stars, score on the rest; the median over splits.

    Where an entry of the code hardly varies among the few stars, a single split can have an R^2 of minus a thousand.
    """
    scores = {}
    for j, name in enumerate(TARGETS):
        y = data.labels["test"][:, j]
        known = np.flatnonzero(~np.isnan(y))
        splits = GroupShuffleSplit(N_SPLITS, train_size=FEW, random_state=0)
        each = [
            r2_score(y[known[test]], _probe().fit(Z[known[train]], y[known[train]]).predict(Z[known[test]]))
            for train, test in splits.split(known, groups=data.stars["test"][known])
        ]
        scores[name] = float(np.median(each))
    return scores


def coverage(encoder, data: Stars) -> dict:
    """Return which share of test labels 80 % intervals hold, as predicted and calibrated on validation stars.

    By target: of all, and of the lower, middle and upper third of the labels.
    """
    X, y = data.objects["test"], data.labels["test"]
    quantiles = encoder.predict_quantiles(X)  # (n, 5 targets, 5 levels)
    conformal = ConformalRegressor(encoder, level=0.8)
    conformal.fit(data.objects["validation"], data.labels["validation"], groups=data.stars["validation"])
    ends = {"predicted": (quantiles[..., 0], quantiles[..., -1]), "calibrated": conformal.predict_interval(X)}
    out: dict = {}
    for kind, (low, high) in ends.items():
        inside = (low <= y) & (y <= high)
        out[kind] = {}
        for j, name in enumerate(TARGETS):
            known = np.flatnonzero(~np.isnan(y[:, j]))
            thirds = np.array_split(known[y[known, j].argsort()], 3)
            out[kind][name] = [float(inside[rows, j].mean()) for rows in (known, *thirds)]
    return out


def cluster_accuracy(Z: np.ndarray, teff: np.ndarray, n: int = 4) -> float:
    """Return how well as many clusters as quarters of the temperature agree with those, each matched to one."""
    quarter = np.searchsorted(np.quantile(teff, np.linspace(0, 1, n + 1)[1:-1]), teff)
    mixture = GaussianMixture(n, n_init=3, reg_covar=1e-4, random_state=0)
    return matched_accuracy(mixture.fit_predict(StandardScaler().fit_transform(Z)), quarter)


def matched_accuracy(cluster: np.ndarray, label: np.ndarray) -> float:
    """Return the share of objects in the cluster of their label, clusters matched to labels at best (Hungarian)."""
    counts = np.zeros((cluster.max() + 1, label.max() + 1), int)
    np.add.at(counts, (cluster, label), 1)
    rows, columns = linear_sum_assignment(counts, maximize=True)
    return float(counts[rows, columns].sum() / len(label))
