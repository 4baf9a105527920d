"""Check whether draws have the right width: coverage and width of central intervals, ranks among the draws."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sklearn.utils import check_random_state

from .. import tables
from .reading import Cells, check_level, group_index, objects_of, pairs, seen_of, value_unit, values_by, weights


class CoverageResult(NamedTuple):
    """Coverage and interval width of each object, as returned by `coverage`.

    Parameters
    ----------
    coverage : ndarray of shape (n_objects,)
        Share of the points inside the interval; NaN for an object without points.
    width : ndarray of shape (n_objects,)
        Mean width of the interval.

    Examples
    --------
    >>> import numpy as np
    >>> from skdaep.metrics import coverage
    >>> result = coverage(np.array([[0.0, 9.0]]), np.linspace([[-1, -1]], [[1, 1]], 101, axis=-1))
    >>> result.coverage, result.width.round(1)
    (array([0.5]), array([1.8]))
    """

    coverage: np.ndarray
    width: np.ndarray


def coverage(X, draws, *, level=0.9, value=None):
    """Return the share of points inside the central interval of the draws, and its width, for each object.

    Parameters
    ----------
    X : list of Table, or array of shape (n_objects, n_points, ...)
        The measurements; NaN and masked points do not count.
    draws : list of Table, list of ndarray, or array
        The output of `reconstruct` or `inverse_transform` for X with ``n_draws=``; draws on the last axis.
    level : float, default=0.9
        Share of the draws inside the interval. The interval of n perfect draws contains about
        ``level * (n - 1) / (n + 1)`` of the points: for a level of 0.9, normal draws give 0.87 with 50 draws, 0.82 with
        20 and 0.76 with 10.
    value : str, default=None
        Column of the value. None finds it by its usual names.

    Returns
    -------
    result : CoverageResult
        Arrays ``coverage`` and ``width``, of shape (n_objects,); the width in units of the value. NaN for an object
        without an observed point.

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
    check_level(level)
    result = np.full((2, len(X)), np.nan)
    for i, (x, d) in enumerate(pairs(X, draws, value, with_draws=True)):
        seen = seen_of(x, d)
        if seen.any():
            result[:, i] = np.mean(_inside_and_width(x[seen], d[seen], level), axis=1)
    return CoverageResult(*result)


def coverage_by(
    X,
    draws,
    *,
    by="location",
    bins=10,
    level=0.9,
    groups=None,
    n_resamples=1000,
    random_state=0,
    value=None,
    location=None,
    band=None,
):
    """Return coverage and width of the central interval in bins of location, band, metadata or any other number.

    Points of one object are correlated, so each object counts once: each bin averages over the objects with points
    there, and the uncertainty of that average comes from resampling whole objects (bootstrap).

    Parameters
    ----------
    X : list of Table, or array of shape (n_objects, n_points, ...)
        The measurements; NaN and masked points do not count.
    draws : list of Table, list of ndarray, or array
        The output of `reconstruct` or `inverse_transform` for X with ``n_draws=``; draws on the last axis.
    by : str, tuple of str, or array-like of shape (n_objects,), default="location"
        "location" (in arrays, the column), "band", a key of the metadata in any case, such as "phase", or a number or
        label for each object. Points without it are left out. For a tuple of names, every combination of their bins
        is a bin.
    bins : int, array-like or dict, default=10
        Number of bins with equally many points (or objects, for one number per object), or edges; points outside the
        edges are left out. A dict gives them for each name in `by`. Every label is a bin.
    level : float, default=0.9
        Share of the draws inside the interval. The interval of n perfect draws contains about
        ``level * (n - 1) / (n + 1)`` of the points: for a level of 0.9, normal draws give 0.87 with 50 draws, 0.82 with
        20 and 0.76 with 10.
    groups : array-like of shape (n_objects,), default=None
        Which objects belong together, such as the spectra of one supernova. A group then counts once: its objects are
        averaged first, and it is resampled as a whole.
    n_resamples : int, default=1000
        Number of bootstrap resamples.
    random_state : int, RandomState or None, default=0
        Seed of the resampling.
    value, location, band : str, default=None
        Columns. None finds them by their usual names.

    Returns
    -------
    result : QTable
        One row per bin: its middle or label, in columns named as in `by` ("by" if that is an array); ``coverage``;
        ``coverage_low`` and ``coverage_high``, the central 95 % of the resampled coverages (NaN with fewer than two
        objects or groups); ``width`` in the unit of the first object; ``n_points``; ``n_objects``.

    Raises
    ------
    ValueError
        If `level` or `bins` are invalid, or the length of `groups` or `by` is not that of X.
    TableError
        If no observed point has the quantities in `by`.

    Examples
    --------
    >>> import numpy as np
    >>> from skdaep.metrics import coverage_by
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(50, 20)) * np.repeat([1, 2], 10)
    >>> draws = rng.normal(size=(50, 20, 200))
    >>> coverage_by(X, draws, bins=[0, 9.5, 19])["coverage"].round(1).tolist()
    [0.9, 0.6]
    """
    check_level(level)
    objects, group = objects_of(X), group_index(groups, len(X))
    several = isinstance(by, tuple) and all(isinstance(key, str) for key in by)
    keys = {key if isinstance(key, str) else "by": key for key in (by if several else (by,))}
    read = {name: values_by(objects, key, location=location, band=band) for name, key in keys.items()}
    own = value_unit(objects, value)
    counted, seen = [], []
    for x, d in pairs(objects, draws, value, with_draws=True, unit=own):
        here = seen_of(x, d)
        counted.append(_inside_and_width(x[here], d[here], level))
        seen.append(here)
    cells, owner = Cells.learn(read, seen, bins), np.repeat(np.arange(len(objects)), [s.sum() for s in seen])
    places = zip(cells.places(read, len(objects)), seen, strict=True)
    place = np.concatenate([np.broadcast_to(of, s.shape)[s] for of, s in places])  # (n_points,)
    counted = np.concatenate(counted, axis=1)  # (2, n_points)

    n_groups = group.max() + 1
    sums = np.zeros((3, n_groups, len(cells)))  # per group: mean share, mean width, and whether it has points
    for k in range(len(cells)):
        here = place == k
        weight, of = weights(owner[here], group), group[owner[here]]
        for total, what in zip(sums, (*counted[:, here], 1), strict=True):
            total[:, k] = np.bincount(of, weight * what, minlength=n_groups)
    share, width, there = sums
    low, high = _resampled(share, there, n_resamples, check_random_state(random_state))
    with np.errstate(invalid="ignore"):
        n = there.sum(axis=0)
        share, width = share.sum(axis=0) / n, width.sum(axis=0) / n
    out = cells.middles()
    out["coverage"], out["coverage_low"], out["coverage_high"], out["width"] = share, low, high, width
    out["n_points"] = [np.sum(place == k) for k in range(len(cells))]
    out["n_objects"] = [len(np.unique(owner[place == k])) for k in range(len(cells))]
    if own is not None:
        out["width"].unit = tables.unit_of_error(own)
    return out


def probability_integral_transform(X, draws, *, value=None, random_state=0):
    """Return the share of the draws below each measurement: uniform between 0 and 1 if the draws are calibrated.

    If measurements and draws have the same distribution, every rank of a measurement among the draws is equally likely.
    The value is drawn uniformly within the measurement's rank (and the ranks of equal draws), so that the distribution
    is exactly uniform for any number of draws and for repeated measurements. The histogram is U-shaped if draws are too
    narrow, has a hump if they are too wide, and a slope if they are biased.

    Parameters
    ----------
    X : list of Table, or array of shape (n_objects, n_points, ...)
        The measurements.
    draws : list of Table, list of ndarray, or array
        The output of `reconstruct` or `inverse_transform` for X with ``n_draws=``; draws on the last axis.
    value : str, default=None
        Column of the value. None finds it by its usual names.
    random_state : int, RandomState or None, default=0
        Seed of the place within a rank.

    Returns
    -------
    transformed : list of ndarray
        One array per object, with the shape of its values; NaN where not observed.

    References
    ----------
    Czado, C., Gneiting, T. & Held, L. 2009, Biometrics 65, 1254 (section 2).

    Examples
    --------
    >>> import numpy as np
    >>> from skdaep.metrics import probability_integral_transform
    >>> draws = np.random.default_rng(0).normal(size=(1, 3, 999))
    >>> probability_integral_transform(np.array([[-9.0, 0.0, np.nan]]), draws)[0].round(1)
    array([0. , 0.5, nan])
    """
    rng = check_random_state(random_state)
    transformed = []
    for x, d in pairs(X, draws, value, with_draws=True):
        below, equal = (d < x[..., None]).sum(axis=-1), (d == x[..., None]).sum(axis=-1)
        rank = below + (equal + 1) * rng.uniform(size=x.shape)
        transformed.append(np.where(seen_of(x, d), rank / (d.shape[-1] + 1), np.nan))
    return transformed


def _inside_and_width(x: np.ndarray, draws: np.ndarray, level: float) -> np.ndarray:
    """Return whether points (n,) are inside the central interval of their draws, and its width (2, n)."""
    low, high = np.quantile(draws, [0.5 - level / 2, 0.5 + level / 2], axis=-1)
    return np.stack([(low <= x) & (x <= high), high - low])


def _resampled(share: np.ndarray, there: np.ndarray, n_resamples: int, rng) -> np.ndarray:
    """Return the central 95 % (2, n_bins) of the mean share when groups (n_groups, n_bins) are resampled."""
    means = np.full((n_resamples, share.shape[1]), np.nan)
    for mean in means:
        often = np.bincount(rng.randint(len(share), size=len(share)), minlength=len(share))
        np.divide(often @ share, often @ there, out=mean, where=often @ there > 0)
    enough = there.sum(axis=0) > 1
    interval = np.full((2, share.shape[1]), np.nan)
    interval[:, enough] = np.nanquantile(means[:, enough], [0.025, 0.975], axis=0)
    return interval
