"""Errors of objects, and residuals by location."""

from __future__ import annotations

import warnings

import numpy as np
from astropy.table import QTable

from .. import tables
from .reading import Bins, objects_of, pairs, value_unit, values_by


def object_errors(X, reconstructed, *, scale=1.0, value=None):
    """Return the mean absolute error of each object over its observed points.

    Parameters
    ----------
    X : list of Table, or array of shape (n_objects, n_points, ...)
        The measurements; NaN and masked points do not count.
    reconstructed : list of Table, list of ndarray, or array
        The output of `reconstruct` or `inverse_transform` for X, without draws. Points at which it is NaN, such as
        negative fluxes in magnitudes, do not count either, with a warning.
    scale : float, default=1.0
        Errors are divided by it. 1 keeps the units of the measurements. For scaled units use the standard deviation of
        the training values, ``estimator.modalities_["sequence"].learned.value.scale``.
    value : str, default=None
        Column of the value. None finds it by its usual names.

    Returns
    -------
    errors : ndarray of shape (n_objects,)
        The errors; NaN for objects without observed points.

    Raises
    ------
    TableError
        If an object lacks the column, or its reconstruction has another number of points.

    Examples
    --------
    >>> import numpy as np
    >>> from skdaep.metrics import object_errors
    >>> object_errors(np.array([[1.0, 2.0], [3.0, np.nan]]), np.array([[1.5, 2.0], [2.0, 9.0]]))
    array([0.25, 1.  ])
    """
    errors = np.full(len(X), np.nan)
    for i, (x, y) in enumerate(pairs(X, reconstructed, value)):
        seen, decoded = np.isfinite(x), np.isfinite(y)
        if (seen & ~decoded).any():
            lost = f"{(seen & ~decoded).sum()} of {seen.sum()} observed points"
            warnings.warn(f"reconstructed[{i}] is NaN at {lost} of X[{i}]; they do not count.", stacklevel=2)
        residual = (y - x)[seen & decoded]
        if len(residual):
            errors[i] = np.abs(residual).mean() / scale
    return errors


def residuals_by_location(X, reconstructed, *, bins=20, location=None, value=None):
    """Return quantiles of the residuals, measured minus reconstructed, of all objects in bins of the location.

    Parameters
    ----------
    X : list of Table
        The measurements.
    reconstructed : list of Table or list of ndarray
        The output of `reconstruct` for X, without draws; where it is NaN a point does not count.
    bins : int or array-like, default=20
        Number of bins with equally many points, or their edges.
    location, value : str, default=None
        Columns. None finds them by their usual names.

    Returns
    -------
    residuals : QTable
        Columns ``location`` (middle of the bin), ``median``, ``low``, ``high`` (16 and 84 %) and ``n_points``, in the
        units of the first object.

    Examples
    --------
    >>> from skdaep.datasets import make_supernova_spectra
    >>> from skdaep.metrics import residuals_by_location
    >>> X, y = make_supernova_spectra(5, random_state=0)
    >>> residuals_by_location(X, X, bins=3)["median"].tolist()
    [0.0, 0.0, 0.0]
    """
    objects = objects_of(X)
    at, unit = values_by(objects, "location", location=location)
    own = value_unit(objects, value)
    residual = np.concatenate([(x - y).ravel() for x, y in pairs(objects, reconstructed, value, unit=own)])
    at = np.concatenate(at)
    seen = np.isfinite(residual)
    residual, at = residual[seen], at[seen]
    cells = Bins.learn([at], bins, "location")
    place = cells.place(at)
    rows = []
    for i in range(len(cells)):
        r = residual[place == i]
        low, median, high = np.quantile(r, [0.16, 0.5, 0.84]) if len(r) else [np.nan] * 3
        rows.append((cells.middles[i], median, low, high, len(r)))
    out = QTable(rows=rows, names=["location", "median", "low", "high", "n_points"])
    if unit is not None:
        out["location"].unit = unit
    for name in ("median", "low", "high") if own is not None else ():
        out[name].unit = tables.unit_of_error(own)
    return out
