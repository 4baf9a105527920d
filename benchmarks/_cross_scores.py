"""Scores of decoding one modality from another by phase, and of class probes when a modality is missing.

Means and their intervals are over supernovae: the bootstrap draws whole supernovae, with all their spectra.
"""

from __future__ import annotations

import numpy as np
from astropy.table import Table
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdaep import ConformalDraws
from skdaep.metrics import coverage, coverage_by, residuals_by_location

from ._cross import PHASES, Cross, phases

N_DRAWS = 50
#: points of all objects together at which draws are made: a draw is one function, wherever it is decoded
N_SCORED = {"spectrum": 8_000, "photometry": 4_000}
MIN_SCORED, MAX_SCORED = 2, 32  # of one object
VALUES = {"spectrum": "log_flux", "photometry": "mag"}
SOURCES = {"spectrum": "photometry", "photometry": "spectrum"}
PHASE_EDGES = [-15.0, -5.0, 5.0, 15.0, 25.0, 35.0]
GOLDEN = (5**0.5 - 1) / 2
N_BINS = 16  # of the wavelength
N_NEAR = 100  # points of training light curves nearest in phase
N_FOLDS, N_REPEATS = 5, 4


# --- one modality from the other ------------------------------------------------------------------------


def cross_scores(model, data: Cross, target: str, split: str) -> dict:
    """Return scores of `target` from the other modality, by phase of the spectrum, and over all phases.

    The point estimate is scored at all points, draws at some.
    """
    X, groups = data.objects[split], data.groups[split]
    truths, thinned = [o[target] for o in X], thin(X, target)
    point = model.reconstruct(without(X, target), modality=target, at=truths, output="arrays")
    quantities = {"mse": np.array([np.mean((p - value(t)) ** 2) for p, t in zip(point, truths, strict=True)])}
    drawn = draws(model, data, target, split)
    for name, d in {"": drawn, "_corrected": corrected(model, data, target, drawn, thinned)}.items():
        result = coverage(thinned, d, value=VALUES[target])
        quantities |= {f"coverage{name}": result.coverage, f"width{name}": result.width}
    at = {str(p): i for p in PHASES if len(i := data.at_phase(X, p))}
    scores = {} if target == "photometry" else {"by_wavelength": by_wavelength(thinned, drawn, groups, at)}
    at["all"] = np.unique(np.concatenate(list(at.values())))
    for phase, i in at.items():
        scores[phase] = {"n": len(np.unique(groups[i]))}
        scores[phase] |= {name: mean_and_interval(q[i], groups[i]) for name, q in quantities.items()}
    return scores


def draws(model, data: Cross, target: str, split: str) -> list[np.ndarray]:
    """Return N_DRAWS draws (n_points, n_draws) of each object of a split at its thinned locations."""
    X = data.objects[split]
    at = thin(X, target)
    return model.reconstruct(without(X, target), modality=target, at=at, n_draws=N_DRAWS, output="arrays")


def without(X: list[dict], target: str) -> list[dict]:
    """Return objects that have only the other modality."""
    return [{SOURCES[target]: o[SOURCES[target]]} for o in X]


def thin(X: list[dict], target: str) -> list[Table]:
    """Return few rows of each object's Table, evenly spaced, each from another start: together they are everywhere."""
    n = int(np.clip(N_SCORED[target] // len(X), MIN_SCORED, MAX_SCORED))
    out = []
    for i, table in enumerate(o[target] for o in X):
        start = (i + 1) * GOLDEN % 1
        out.append(table[np.unique(((np.arange(n) + start) / n * len(table)).astype(int))])
    return out


def value(table: Table) -> np.ndarray:
    """Return the measured values."""
    return np.asarray(table["log_flux" if "log_flux" in table.colnames else "mag"], float)


def corrected(model, data: Cross, target: str, drawn: list[np.ndarray], at: list[Table]) -> list[np.ndarray]:
    """Return draws stretched so that those of validation objects cover them, by phase of the spectrum.

    Fewer than nine supernovae say nothing of a 90 % interval: their spectra then count singly.
    """
    X, groups = data.objects["validation"], data.groups["validation"]
    by = {"by": "phase", "bins": PHASE_EDGES} if target == "spectrum" else {}
    conformal = ConformalDraws(value=VALUES[target], **by)
    enough = len(np.unique(groups)) >= 9
    conformal.fit(thin(X, target), draws(model, data, target, "validation"), groups if enough else None)
    return conformal.transform(drawn, at=at)


def mean_and_interval(values: np.ndarray, groups: np.ndarray, n_resamples: int = 2000) -> list[float]:
    """Return the mean over groups of their means, and its 95 % interval, groups drawn anew."""
    _, place = np.unique(groups, return_inverse=True)
    means = np.bincount(place, values) / np.bincount(place)
    anew = np.random.default_rng(0).integers(len(means), size=(n_resamples, len(means)))
    low, high = np.quantile(means[anew].mean(1), [0.025, 0.975])
    return [float(means.mean()), float(low), float(high)]


def by_wavelength(X: list[Table], drawn: list[np.ndarray], groups: np.ndarray, at: dict) -> dict:
    """Return by phase, in bins of the wavelength, the coverage and quantiles of truth less the mean of draws."""
    edges, out = np.quantile(np.concatenate([t["wavelength"] for t in X]), np.linspace(0, 1, N_BINS + 1)), {}
    for phase, rows in at.items():
        part, its = [X[i] for i in rows], [drawn[i] for i in rows]
        names = {"bins": edges, "value": "log_flux", "location": "wavelength"}
        share = coverage_by(part, its, groups=groups[rows], **names)
        residual = residuals_by_location(part, [d.mean(1) for d in its], **names)
        columns = {k: share[k] for k in ("coverage", "coverage_low", "coverage_high")}
        columns |= {"wavelength": residual["location"], "residual": residual["median"]}
        columns |= {f"residual_{k}": residual[k] for k in ("low", "high")}
        out[phase] = {k: np.asarray(v, float).tolist() for k, v in columns.items()}
    return out


class TrainingMean:
    """The mean of training objects: of spectra at that phase, of light curves at that epoch in that band.

    Its draws are training objects: spectra as they are, light curves as points of others.
    """

    def __init__(self, data: Cross):
        self.data, self.rng = data, np.random.default_rng(0)
        self.spectra = [o["spectrum"] for o in data.objects["train"]]
        self.when = phases(data.objects["train"])
        self.grid = np.linspace(*np.quantile([t["wavelength"][[0, -1]] for t in self.spectra], [0, 1]), 400)
        nothing = {"left": np.nan, "right": np.nan}
        self.on_grid = np.stack([np.interp(self.grid, t["wavelength"], t["log_flux"], **nothing) for t in self.spectra])
        _, first = np.unique(data.groups["train"], return_index=True)
        light_curves = [data.objects["train"][i]["photometry"] for i in first]
        band, when, mag = (np.concatenate([t[k] for t in light_curves]) for k in ("band", "phase", "mag"))
        order = np.argsort(when)
        band, when, mag = band[order], when[order], mag[order]
        self.bands = {b: (when[band == b], mag[band == b]) for b in np.unique(band)}

    def reconstruct(self, X, *, modality, at, n_draws=None, output="arrays"):
        return [getattr(self, f"_{modality}")(t, n_draws) for t in at]

    def _spectrum(self, like: Table, n_draws: int | None) -> np.ndarray:
        off = np.nan_to_num(np.abs(self.when - like.meta.get("phase", np.nan)))  # of unknown phase: all serve
        rows = self.on_grid[off <= max(self.data.half_width, np.sort(off)[:N_DRAWS][-1])]
        seen = np.isfinite(rows)
        there = seen.any(0)
        mean = np.where(seen, rows, 0).sum(0)[there] / seen.sum(0)[there]
        if n_draws is None:
            return np.interp(like["wavelength"], self.grid[there], mean)
        rows = rows[self.rng.choice(len(rows), n_draws), :][:, there]
        rows = np.where(np.isfinite(rows), rows, mean)
        return np.stack([np.interp(like["wavelength"], self.grid[there], row) for row in rows], 1)

    def _photometry(self, like: Table, n_draws: int | None) -> np.ndarray:
        out = np.empty((len(like), n_draws or 1))
        for i, (phase, band) in enumerate(zip(like["phase"], like["band"], strict=True)):
            when, mag = self.bands[str(band)]
            first = max(0, min(np.searchsorted(when, phase) - N_NEAR // 2, len(when) - N_NEAR))
            near = mag[first : first + N_NEAR]
            out[i] = near.mean() if n_draws is None else self.rng.choice(near, n_draws)
        return out[:, 0] if n_draws is None else out


# --- classes --------------------------------------------------------------------------------------------


def probes(model, data: Cross) -> dict[str, dict]:
    """Return how well classes of training and test supernovae are read from z, also where a modality is missing.

    One spectrum per supernova, that nearest to maximum; stratified folds; logistic regression on standardised z.
    """
    X, labels = one_each(data)
    Z = {
        "both": model.transform(X),
        "photometry": model.transform(without(X, "spectrum")),
        "spectrum": model.transform(without(X, "photometry")),
    }
    rows = {
        "photometry only": ("photometry", "photometry"),
        "spectrum only": ("spectrum", "spectrum"),
        "both": ("both", "both"),
        "both, spectrum missing at test": ("both", "photometry"),
        "both, photometry missing at test": ("both", "spectrum"),
    }
    majority = max(np.mean(labels == c) for c in np.unique(labels))
    scores = {name: probe(Z[fitted], Z[used], labels) for name, (fitted, used) in rows.items()}
    return scores | {"commonest class": {"accuracy": float(majority), "n": len(labels)}}


def one_each(data: Cross) -> tuple[list[dict], np.ndarray]:
    """Return one object of each supernova of train and test, and its class."""
    X = data.objects["train"] + data.objects["test"]
    groups = np.concatenate([data.groups["train"], data.groups["test"]])
    off_peak = np.nan_to_num(np.abs(phases(X)), nan=np.inf)
    order = np.lexsort((off_peak, groups))
    first = order[np.unique(groups[order], return_index=True)[1]]
    return [X[i] for i in first], np.array([X[i]["photometry"].meta["label"] for i in first])


def probe(Z_fit: np.ndarray, Z_use: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return scores of a probe fitted on some features of training objects and used on others of test objects."""
    scores = []
    for repeat in range(N_REPEATS):
        for train, test in StratifiedKFold(N_FOLDS, shuffle=True, random_state=repeat).split(Z_fit, labels):
            model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(Z_fit[train], labels[train])
            truth, found = labels[test], model.predict(Z_use[test])
            f1 = f1_score(truth, found, average="macro", zero_division=0)
            scores.append((accuracy_score(truth, found), balanced_accuracy_score(truth, found), f1))
    names = ("accuracy", "balanced", "f1")
    means, spreads = np.mean(scores, 0).tolist(), np.std(scores, 0).tolist()
    return dict(zip(names, means, strict=True)) | {f"{k}_sd": s for k, s in zip(names, spreads, strict=True)}
