"""Whether draws are as wide as they should be: coverage and width of central intervals, ranks among the draws."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sklearn.utils import check_random_state

from .. import tables
from .reading import Cells, check_level, group_index, objects_of, pairs, seen_of, value_unit, values_by, weights


class CoverageResult(NamedTuple):
    """What `coverage` returns, object by object.

    Parameters
    ----------
    coverage : ndarray of shape (n_objects,)
        Share of the points inside the interval, NaN without a point.
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
    """Return how many points lie in the central interval of the draws, and how wide it is, object by object.

    Parameters
    ----------
    X : list of Table, or array of shape (n_objects, n_points, ...)
        What was measured; NaN and masked points do not count.
    draws : list of Table, list of ndarray, or array
        What `reconstruct` or `inverse_transform` gave for X with ``n_draws=``: draws along the last axis.
    level : float, default=0.9
        Share of the draws inside the interval. Of n draws that are as they should be, it holds about
        ``level * (n - 1) / (n + 1)`` of the points: of normal ones 0.87 for 50 draws, 0.82 for 20, 0.76 for 10.
    value : str, default=None
        Column of the value; None finds it by its customary names.

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
    """Return coverage and width of the central interval in bins of the location, or of what else tells points apart.

    Points of one object are alike, so objects, and not points, count: in each bin the shares of the objects with
    points there are averaged, and the interval of that mean comes from drawing whole objects anew (the bootstrap).

    Parameters
    ----------
    X : list of Table, or array of shape (n_objects, n_points, ...)
        What was measured; NaN and masked points do not count.
    draws : list of Table, list of ndarray, or array
        What `reconstruct` or `inverse_transform` gave for X with ``n_draws=``: draws along the last axis.
    by : str, tuple of str, or array-like of shape (n_objects,), default="location"
        "location" (of an array: the place in the row), "band", a key of the metadata in any case, such as "phase",
        or a number or label for each object. Points for which it is absent are left out. Of a tuple of names every
        combination of their bins is one.
    bins : int, array-like or dict, default=10
        Number of bins with equally many points (of what is one number per object, equally many objects), or their
        edges; points outside the edges are left out. A dict has them by the names of `by`. Labels have a bin each.
    level : float, default=0.9
        Share of the draws inside the interval. Of n draws that are as they should be, it holds about
        ``level * (n - 1) / (n + 1)`` of the points: of normal ones 0.87 for 50 draws, 0.82 for 20, 0.76 for 10.
    groups : array-like of shape (n_objects,), default=None
        What objects belong together, such as the spectra of one supernova. A group then counts as an object does
        without groups: its objects are averaged first, and it is drawn as a whole.
    n_resamples : int, default=1000
        How often objects are drawn anew.
    random_state : int, RandomState or None, default=0
        Of the objects drawn anew.
    value, location, band : str, default=None
        Columns; None finds them by their customary names.

    Returns
    -------
    result : QTable
        A row for each bin: its middle, or label, in columns called as the names of `by` ("by" if that is an array);
        ``coverage``; ``coverage_low`` and ``coverage_high``, the central 95 % of the resampled coverages, NaN with
        fewer than two objects or groups; ``width`` in the unit of the first object; ``n_points``; ``n_objects``.

    Raises
    ------
    ValueError
        If `level` or `bins` make no sense, or `groups` or `by` has another length than X.
    TableError
        If no observed point has what `by` names.

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
    sums = np.zeros((3, n_groups, len(cells)))  # mean share and mean width of each group, and whether it is there
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

    A measurement that might as well be a draw has any rank among the n_draws draws with equal probability. Its value
    here is drawn uniformly between the shares that belong to its rank, and to the ranks that it shares with draws
    equal to it, so that the distribution is exactly uniform for any number of draws and for measurements that
    repeat. Too narrow draws give a hollow distribution, too wide ones a hump, biased ones a slope.

    Parameters
    ----------
    X : list of Table, or array of shape (n_objects, n_points, ...)
        What was measured.
    draws : list of Table, list of ndarray, or array
        What `reconstruct` or `inverse_transform` gave for X with ``n_draws=``: draws along the last axis.
    value : str, default=None
        Column of the value; None finds it by its customary names.
    random_state : int, RandomState or None, default=0
        Of the place within a rank.

    Returns
    -------
    transformed : list of ndarray
        One array per object, of the shape of its values; NaN where not observed.

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
    """Return the central 95 % (2, n_bins) of the mean share when groups (n_groups, n_bins) are drawn anew."""
    means = np.full((n_resamples, share.shape[1]), np.nan)
    for mean in means:
        often = np.bincount(rng.randint(len(share), size=len(share)), minlength=len(share))
        np.divide(often @ share, often @ there, out=mean, where=often @ there > 0)
    enough = there.sum(axis=0) > 1
    interval = np.full((2, share.shape[1]), np.nan)
    interval[:, enough] = np.nanquantile(means[:, enough], [0.025, 0.975], axis=0)
    return interval
