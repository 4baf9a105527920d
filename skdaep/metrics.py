"""How good reconstructions, draws and features are: errors, residuals by location, coverage, the linear probe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from astropy.table import QTable, Table
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_consistent_length, column_or_1d

from . import tables

__all__ = ["CoverageResult", "ProbeResult", "coverage", "linear_probe", "object_errors", "residuals_by_location"]


class CoverageResult(NamedTuple):
    """Of each object, the share of its points inside the interval, and the interval's mean width."""

    coverage: np.ndarray
    width: np.ndarray


class ProbeResult(NamedTuple):
    """Means and standard deviations over splits."""

    accuracy: float
    accuracy_sd: float
    f1: float
    f1_sd: float


def object_errors(X, reconstructed, *, scale=1.0, value=None):
    """Return the mean absolute error of each object over its observed points.

    Parameters
    ----------
    X : list of Table, or array of shape (n_objects, n_points, ...)
        What was measured; NaN and masked points do not count.
    reconstructed : list of Table, list of ndarray, or array
        What `reconstruct` or `inverse_transform` gave for X, without draws.
    scale : float, default=1.0
        Errors are given in units of it: 1 for the measurements' own units, and for scaled units the standard
        deviation of the training values, ``estimator.modalities_["sequence"].learned.value.scale``.
    value : str, default=None
        Column of the value; None finds it by its customary names.

    Returns
    -------
    errors : ndarray of shape (n_objects,)
        The errors.

    Raises
    ------
    TableError
        If an object has no such column, or another number of points than its reconstruction.

    Examples
    --------
    >>> import numpy as np
    >>> from skdaep.metrics import object_errors
    >>> object_errors(np.array([[1.0, 2.0], [3.0, np.nan]]), np.array([[1.5, 2.0], [2.0, 9.0]]))
    array([0.25, 1.  ])
    """
    return np.array([np.nanmean(np.abs(y - x)) / scale for x, y in _pairs(X, reconstructed, value)])


def residuals_by_location(X, reconstructed, *, bins=20, location=None, value=None):
    """Return quantiles of measured less reconstructed values in bins of the location, over all objects.

    Parameters
    ----------
    X : list of Table
        What was measured.
    reconstructed : list of Table or list of ndarray
        What `reconstruct` gave for X, without draws.
    bins : int or array-like, default=20
        Number of bins with equally many points, or their edges.
    location, value : str, default=None
        Columns; None finds them by their customary names.

    Returns
    -------
    residuals : QTable
        Columns ``location`` (middle of the bin), ``median``, ``low``, ``high`` (16 and 84 %) and ``n_points``.

    Examples
    --------
    >>> from skdaep.datasets import make_supernova_spectra
    >>> from skdaep.metrics import residuals_by_location
    >>> X, y = make_supernova_spectra(5, random_state=0)
    >>> residuals_by_location(X, X, bins=3)["median"].tolist()
    [0.0, 0.0, 0.0]
    """
    objects = tables.as_objects(X)
    name = tables.find_column(objects[0], "location", location, "X[0]")
    unit = tables.unit_of(objects[0], name)
    where = [tables.numbers(t, name, f"X[{i}]", unit) for i, t in enumerate(objects)]
    residual = np.concatenate([x - y for x, y in _pairs(objects, reconstructed, value)])
    where = np.concatenate(where)
    seen = np.isfinite(residual) & np.isfinite(where)
    residual, where = residual[seen], where[seen]
    edges = np.quantile(where, np.linspace(0, 1, bins + 1)) if np.ndim(bins) == 0 else np.asarray(bins, float)
    place = np.searchsorted(edges, where, side="right").clip(1, len(edges) - 1) - 1
    place[(where < edges[0]) | (where > edges[-1])] = -1
    rows = []
    for i in range(len(edges) - 1):
        r = residual[place == i]
        low, median, high = np.quantile(r, [0.16, 0.5, 0.84]) if len(r) else [np.nan] * 3
        rows.append((0.5 * (edges[i] + edges[i + 1]), median, low, high, len(r)))
    out = QTable(rows=rows, names=["location", "median", "low", "high", "n_points"])
    if unit is not None:
        out["location"].unit = unit
    return out


def coverage(X, draws, *, level=0.9, value=None):
    """Return how many points lie in the central interval of the draws, and how wide it is, object by object.

    Parameters
    ----------
    X : list of Table, or array of shape (n_objects, n_points, ...)
        What was measured; NaN and masked points do not count.
    draws : list of Table, list of ndarray, or array
        What `reconstruct` or `inverse_transform` gave for X with ``n_draws=``: draws along the last axis.
    level : float, default=0.9
        Share of the draws inside the interval.
    value : str, default=None
        Column of the value; None finds it by its customary names.

    Returns
    -------
    result : CoverageResult
        Arrays ``coverage`` and ``width``, of shape (n_objects,); the width in units of the value.

    Raises
    ------
    ValueError
        If `level` is not between 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skdaep.metrics import coverage
    >>> draws = np.random.default_rng(0).normal(size=(2, 500, 1000))
    >>> X = np.random.default_rng(1).normal(size=(2, 500))
    >>> coverage(X, draws, level=0.9).coverage.round(1)
    array([0.9, 0.9])
    """
    if not 0 < level < 1:
        raise ValueError(f"level={level!r}: a share between 0 and 1 is needed.")
    inside, width = [], []
    for x, d in _pairs(X, draws, value, with_draws=True):
        low, high = np.quantile(d, [0.5 - level / 2, 0.5 + level / 2], axis=-1)
        seen = np.isfinite(x)
        inside.append(np.mean((low <= x)[seen] & (x <= high)[seen]))
        width.append(np.mean((high - low)[seen]))
    return CoverageResult(np.array(inside), np.array(width))


def linear_probe(Z, y, *, n_splits=10, train_size=0.3, random_state=0, classifier=None):
    """Return how well a linear classifier reads classes from features.

    Logistic regression on standardised features, trained on a small part of the objects of each class and scored on
    the rest, over several random splits (daep, section 4).

    Parameters
    ----------
    Z : array of shape (n_objects, n_features)
        What `transform` gave.
    y : array-like of shape (n_objects,)
        Classes; objects whose class is None or NaN are left out.
    n_splits : int, default=10
        Number of stratified splits.
    train_size : float, default=0.3
        Share of the objects that the classifier sees.
    random_state : int, RandomState or None, default=0
        Of the splits.
    classifier : estimator, default=None
        What to fit in place of logistic regression; such a probe need not be linear.

    Returns
    -------
    result : ProbeResult
        ``accuracy``, ``accuracy_sd``, ``f1`` (the mean over classes, each counting alike) and ``f1_sd``.

    Examples
    --------
    >>> import numpy as np
    >>> from skdaep.metrics import linear_probe
    >>> y = np.repeat(["Ia", "II"], 50)
    >>> Z = np.random.default_rng(0).normal(size=(100, 2)) + 9 * (y == "Ia")[:, None]
    >>> linear_probe(Z, y).accuracy
    1.0
    """
    y = column_or_1d(y, dtype=object)
    check_consistent_length(Z, y)
    known = np.array([label is not None and label == label for label in y])
    Z, y = np.asarray(Z, float)[known], y[known].astype(str)
    classifier = LogisticRegression(max_iter=2000) if classifier is None else classifier
    scores = []
    for train, test in StratifiedShuffleSplit(n_splits, train_size=train_size, random_state=random_state).split(Z, y):
        model = make_pipeline(StandardScaler(), clone(classifier)).fit(Z[train], y[train])
        predicted = model.predict(Z[test])
        scores.append(
            (accuracy_score(y[test], predicted), f1_score(y[test], predicted, average="macro", zero_division=0))
        )
    (accuracy, f1), (accuracy_sd, f1_sd) = np.mean(scores, 0).tolist(), np.std(scores, 0).tolist()
    return ProbeResult(accuracy, accuracy_sd, f1, f1_sd)


def _pairs(X, other, value: str | None, with_draws: bool = False) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield measured and reconstructed values of each object, in the units of X, as float arrays."""
    check_consistent_length(X, other)
    for i, (x, y) in enumerate(zip(X, other, strict=True)):
        name, unit = value, None
        if isinstance(x, Table):
            name = tables.find_column(x, "value", value, f"X[{i}]")
            unit = tables.unit_of(x, name)
            x = tables.numbers(x, name, f"X[{i}]", unit)
        x = np.asarray(x, float)
        if isinstance(y, Table):
            column = y[tables.find_column(y, "value", name, f"reconstructed[{i}]")]
            y = column.to_value(unit) if unit and hasattr(column, "to_value") else getattr(column, "value", column)
        y = np.ma.filled(np.ma.asarray(y).astype(float), np.nan)
        if (y.shape[:-1] if with_draws else y.shape) != x.shape:
            raise tables.TableError(
                f"reconstructed[{i}] has shape {y.shape}, but X[{i}] has {x.shape}"
                f"{'; draws are expected along a further, last axis' if with_draws else ''}."
            )
        yield x, y
