"""Scores in the protocols' units, the linear yardsticks, and the quality of draws."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
from sklearn.decomposition import PCA

from skdaep.metrics import linear_probe

N_COMPONENTS = (4, 8, 16, 32)
LAGS = ((10.0, 20.0), (100.0, 200.0))  # Angstrom


def object_errors(predicted: list[np.ndarray], data, objects: list) -> np.ndarray:
    """Return the mean absolute error of each object in z-scored units; predictions are in the data's unit."""
    return np.array([np.abs(p - data.values(x)).mean() / data.scale for p, x in zip(predicted, objects, strict=True)])


def summary(errors: np.ndarray) -> dict[str, float]:
    """Return mean and median over objects."""
    return {"error_mean": float(np.mean(errors)), "error_median": float(np.median(errors)), "n_objects": len(errors)}


def probe(Z: np.ndarray, labels: np.ndarray, classifier=None) -> dict[str, float]:
    """Return accuracy and macro F1 of a probe: 10 stratified splits, 30 % for training."""
    return linear_probe(Z, labels, classifier=classifier)._asdict()


def linear_yardsticks(data, split: str = "test", n_components: tuple[int, ...] = N_COMPONENTS) -> dict[str, dict]:
    """Return the scores of the mean training object and of PCA, fitted on a grid and scored on native points."""
    objects, labels = getattr(data, split), data.labels(split)
    on_grid, to_score = (_gridded(data, o) for o in (data.train, objects))
    n_components = [k for k in n_components if k <= min(on_grid.shape)]
    solver = "randomized" if data.location is None else "full"  # images have 12,288 columns
    pca = PCA(max(n_components), svd_solver=solver, random_state=0).fit(on_grid)
    Z = pca.transform(to_score)

    def errors(k):
        return object_errors(_ungridded(data, Z[:, :k] @ pca.components_[:k] + pca.mean_, objects), data, objects)

    scores = {f"PCA {k}": summary(errors(k)) | probe(Z[:, :k], labels) for k in n_components}
    return {"mean object": summary(errors(0))} | scores


def _gridded(data, objects: list) -> np.ndarray:
    """Interpolate z-scored values on the grid; the ends hold an object's first and last value. Flatten images."""
    if data.location is None:
        return np.stack([data.scaled(x).ravel() for x in objects])
    return np.stack([np.interp(data.grid, np.asarray(t[data.location], float), data.scaled(t)) for t in objects])


def _ungridded(data, rows: np.ndarray, objects: list) -> list[np.ndarray]:
    """Return z-scored values on the grid as the data's values at each object's own points."""
    rows = rows * data.scale + data.origin
    if data.location is None:
        return [row.reshape(np.shape(x)) for row, x in zip(rows, objects, strict=True)]
    return [np.interp(np.asarray(t[data.location], float), data.grid, r) for t, r in zip(objects, rows, strict=True)]


# --- draws ----------------------------------------------------------------------------------------------


def needs_draws(estimator) -> bool:
    """Whether the estimator's point estimate averages draws, which is expensive."""
    return estimator.model_.live().n_point_draws > 0


@contextmanager
def one_step(estimator):
    """Let a fitted estimator's point estimate be the denoiser's single answer at t = 1."""
    module = estimator.model_.live()  # the estimator itself offers each prediction's best estimate only
    before, module.n_point_draws = module.n_point_draws, 0
    try:
        yield
    finally:
        module.n_point_draws = before


def draw_quality(estimator, data, objects: list, n_draws: int = 8) -> dict:
    """Return errors of one draw, of the mean of draws and of the one-step estimate, and coherence of a draw."""
    draws = estimator.reconstruct(objects, n_draws=n_draws, output="arrays")
    with one_step(estimator):
        point = estimator.reconstruct(objects, output="arrays")
    estimates = {
        "one draw": [d[:, 0] for d in draws],
        f"mean of {n_draws} draws": [d.mean(1) for d in draws],
        "one step": point,
    }
    scores = {k: summary(object_errors(v, data, objects)) for k, v in estimates.items()}
    scores["spread of draws"] = float(np.mean([d.std(1).mean() for d in draws]) / data.scale)
    if "wavelength" in objects[0].colnames:
        truth = [np.asarray(t[data.value], float) for t in objects]
        centre = estimates[f"mean of {n_draws} draws"] if needs_draws(estimator) else point
        scores["coherence"] = coherence(
            [np.asarray(t["wavelength"], float) for t in objects],
            draw=[d[:, 0] - c for d, c in zip(draws, centre, strict=True)],
            data=[x - c for x, c in zip(truth, centre, strict=True)],
        )
    return scores


def coherence(location: list[np.ndarray], *, draw: list[np.ndarray], data: list[np.ndarray]) -> dict:
    """Return lag correlations of the residuals of draws and of data, and the ratio of their sizes.

    A residual is a draw, or the data, minus the estimator's point estimate. Correlations are of all pairs of points
    so far apart in one object, pooled over objects; for faithful draws they equal those of the data and the ratio is 1.
    """
    out: dict = {
        f"correlation at {low:g}-{high:g}": {
            "draw": lag_correlation(location, draw, low, high),
            "data": lag_correlation(location, data, low, high),
        }
        for low, high in LAGS
    }
    rms = [float(np.sqrt(np.mean(np.concatenate(r) ** 2))) for r in (draw, data)]
    return out | {"ratio of standard deviations": rms[0] / rms[1]}


def lag_correlation(location: list[np.ndarray], residual: list[np.ndarray], low: float, high: float) -> float:
    """Return the correlation of residuals between points of one object with separation in [low, high]."""
    sums = np.zeros(3)
    for x, r in zip(location, residual, strict=True):
        separation = x[None, :] - x[:, None]
        first, second = np.nonzero((separation >= low) & (separation <= high))
        a, b = r[first], r[second]
        sums += (a @ b, a @ a, b @ b)
    return float(sums[0] / np.sqrt(sums[1] * sums[2])) if sums[1] * sums[2] > 0 else float("nan")
