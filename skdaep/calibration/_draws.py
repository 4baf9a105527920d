"""Calibrate draws by split conformal prediction: stretch or shrink them until their interval has the right coverage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from astropy.table import QTable, Table
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from .. import tables
from ..exceptions import TableError
from ..metrics.reading import (
    Cells,
    check_level,
    decoded_values,
    group_index,
    objects_of,
    pairs,
    seen_of,
    values_by,
    weights,
)

ROUNDING = 1e-9  # tolerance of sums of weights: nine tenths must reach a level of 0.9


class CentralInterval(NamedTuple):
    """Ends of the interval of every point, one array per object."""

    low: list[np.ndarray]
    high: list[np.ndarray]


class ConformalDraws(BaseEstimator):
    r"""Stretch or shrink draws about their median so that their central interval covers new measurements as stated.

    For a point with measurement :math:`y` and draws with median :math:`m` and central interval :math:`(l, h)`, the
    score is the distance from the median in half-widths of that side,

    .. math:: s = (y - m) / (h - m) \text{ if } y \ge m, \text{ else } (m - y) / (m - l),

    and the deviations :math:`d - m` of all draws are multiplied by a factor :math:`c`, the `level`-quantile of the
    scores of validation objects. Each of the :math:`n` objects has the weight :math:`1 / (n + 1)`, shared equally
    by its points. The last :math:`1 / (n + 1)` is put at infinity, for the new object. So a level of 0.9 needs at
    least nine objects.

    **What is guaranteed.** If a new object is exchangeable with the validation objects, the share of its points
    inside the interval is at least `level` on average over new objects and validation sets. Nothing is assumed
    about the encoder, the noise, or the correlation of points within an object. If no two scores are equal, the
    average is below :math:`\text{level} + 2 / (n + 1)`. With `by`, this holds in each bin of at least `min_objects`
    objects, for the points in that bin, if the edges were fixed beforehand. Edges found from the validation objects
    make it approximate.

    **What is not guaranteed.** The rate for one given object, whose whole spectrum may lie outside; that all points of
    an object lie inside; other levels; bins of quantities that are not in `by`; objects that differ from the validation
    objects, such as fainter ones or those of another survey. If the encoder was fitted to the validation objects, the
    factor is too small. Objects that were held out by `fit` for early stopping are not quite new either.

    **Noise is included.** The interval is for measurements, like the draws. It is wider than an interval for the
    noise-free object.

    Parameters
    ----------
    level : float, default=0.9
        Share of the draws inside the interval, and the share of measurements that should be.
    by : str or tuple of str, default=None
        What the factor depends on: "location" (in arrays, the column), "band", or keys of the metadata such as "phase".
        With several, every combination of bins has its own factor. None means one factor. By location, draws have a
        step at the edges of bins.
    bins : int, array-like or dict, default=5
        Number of bins with equally many points (for metadata: objects), or edges; the first and the last bin are open.
        A dict gives them for each name in `by`. Every label is a bin.
    min_objects : int, default=30
        Bins with fewer objects or groups than this, or than the level needs, use the overall factor. So do points
        without `by`, or with a label that fit did not see.
    value, location, band : str, default=None
        Columns. None finds them by their usual names.

    Attributes
    ----------
    factor_ : float
        The overall factor, above 1 if the draws are too narrow.
    factors_ : QTable
        For each bin its middle or label in columns named as in `by`, the ``factor``, and the number ``n_objects`` of
        objects or groups.
    n_objects_ : int
        Number of validation objects or groups.
    n_draws_ : int
        Number of draws in fit. `transform` needs the same number, because the interval of few draws is narrower.

    References
    ----------
    Lee, Y., Barber, R. F. & Willett, R. 2023, arXiv 2306.06342 (hierarchical conformal prediction: the weights).

    Dunn, R., Wasserman, L. & Ramdas, A. 2023, JASA 118, 2491 (points in objects; arXiv 1809.07441).

    Romano, Y., Patterson, E. & Candes, E. 2019, NeurIPS 32 (quantiles made conformal, there by a shift).

    Examples
    --------
    >>> import numpy as np
    >>> from skdaep import ConformalDraws
    >>> from skdaep.metrics import coverage
    >>> rng = np.random.default_rng(0)
    >>> X, draws = rng.normal(size=(400, 30)), 0.5 * rng.normal(size=(400, 30, 100))
    >>> print(f"{coverage(X[200:], draws[200:]).coverage.mean():.2f}")
    0.57
    >>> calibrated = ConformalDraws(level=0.9).fit(X[:200], draws[:200]).transform(draws[200:])
    >>> print(f"{coverage(X[200:], calibrated).coverage.mean():.2f}")
    0.90
    """

    def __init__(self, level=0.9, *, by=None, bins=5, min_objects=30, value=None, location=None, band=None):
        self.level = level
        self.by = by
        self.bins = bins
        self.min_objects = min_objects
        self.value = value
        self.location = location
        self.band = band

    def fit(self, X, draws, groups=None):
        """Find the factor, or the factor of each bin.

        Parameters
        ----------
        X : list of Table, or array of shape (n_objects, n_points, ...)
            Validation objects that the encoder has not seen in fit. NaN and masked points do not count. With several
            modalities pass one, ``[x["spectrum"] for x in X]``, and its draws.
        draws : list of Table, list of ndarray, or array
            The output of `reconstruct` or `inverse_transform` for X with ``n_draws=``: draws along the last axis.
        groups : array-like of shape (n_objects,), default=None
            Which objects belong together, such as the spectra of one supernova. A group then has the weight of an
            object, and the guarantee is for an object of a new group.

        Returns
        -------
        self : object
            The fitted calibration.

        Raises
        ------
        ValueError
            If a parameter is invalid, if there are too few objects for the level, or if too many measurements lie
            outside draws of zero width.
        TableError
            If an object has no observed point, or another number of draws than the first.
        """
        keys = self._check()
        objects, group = objects_of(X), group_index(groups, len(X))
        self.n_objects_ = len(np.unique(group))
        if self.n_objects_ < self._needed():
            raise ValueError(
                f"X holds {self.n_objects_} {'objects' if groups is None else 'groups'}, but level={self.level!r} "
                f"needs at least {self._needed()}. Use more, or a lower level."
            )
        scores, seen = self._score(objects, draws)
        score, owner = np.concatenate(scores), np.repeat(np.arange(len(objects)), [len(s) for s in scores])
        self.factor_ = self._factor(score, owner, group, "the validation objects")

        self._of_tables = isinstance(objects[0], Table)
        read = {key: values_by(objects, key, location=self.location, band=self.band) for key in keys}
        self._cells = Cells.learn(read, seen, self.bins)
        places = zip(self._cells.places(read, len(objects), open_ends=True), seen, strict=True)
        cell = np.concatenate([np.broadcast_to(of, s.shape)[s] for of, s in places])
        self.factors_ = self._factor_by_bin(score, cell, owner, group)
        return self

    def transform(self, draws, at=None):
        """Return draws whose deviations from their median are multiplied by the factor.

        Parameters
        ----------
        draws : list of Table, list of ndarray, or array
            The output of `reconstruct` or `inverse_transform` with ``n_draws=``, as many as in fit.
        at : list of Table, default=None
            Locations, bands and metadata, needed if the draws of Tables came as arrays.

        Returns
        -------
        draws : list of Table, list of ndarray, or array
            New draws of the same type; the input is not changed.

        Raises
        ------
        TableError
            If the number of draws differs from that in fit, or the quantity in `by` is missing.
        """
        changed = []
        for y, d, factor in self._with_factors(draws, at):
            median = np.quantile(d, 0.5, axis=-1, keepdims=True)
            new = median + factor[..., None] * (d - median)  # (n_points, n_draws)
            changed.append(self._write(y, new) if isinstance(y, Table) else new)
        return np.stack(changed) if isinstance(draws, np.ndarray) and draws.dtype != object else changed

    def interval(self, draws, at=None):
        """Return the central interval of the draws that `transform` returns.

        Parameters
        ----------
        draws : list of Table, list of ndarray, or array
            As in `transform`.
        at : list of Table, default=None
            As in `transform`.

        Returns
        -------
        interval : CentralInterval
            Lists ``low`` and ``high`` of one array per object, of the shape of its values and in their unit.
        """
        low, high = [], []
        for _, d, factor in self._with_factors(draws, at):
            bottom, median, top = _ends(d, self.level)
            low.append(median - factor * (median - bottom))
            high.append(median + factor * (top - median))
        return CentralInterval(low, high)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "factors_")

    # --- scores and factors -------------------------------------------------------------------------

    def _check(self) -> tuple[str, ...]:
        """Return the names in `by`; raise an error if a parameter is invalid."""
        check_level(self.level)
        keys = () if self.by is None else tuple(np.atleast_1d(self.by).tolist())
        if not all(isinstance(key, str) for key in keys) or len(set(keys)) < len(keys):
            raise ValueError(
                f"by={self.by!r}: 'location', 'band', a key of the metadata, or several of them, are needed."
            )
        if not self.min_objects > 0:
            raise ValueError(f"min_objects={self.min_objects!r}: a positive number is needed.")
        return keys

    def _needed(self) -> int:
        """Return the smallest number n of objects for which the finite weights, n / (n + 1), reach the level."""
        return int(np.ceil(self.level / (1 - self.level) - ROUNDING))

    def _score(self, objects: list, draws) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return the scores of observed points, and which points of each object these are."""
        scores, seen = [], []
        for i, (x, d) in enumerate(pairs(objects, draws, self.value, with_draws=True)):
            self.n_draws_ = d.shape[-1] if i == 0 else self.n_draws_
            self._check_draws(d, i)
            seen.append(seen_of(x, d))
            if not seen[i].any():
                raise TableError(f"X[{i}] has no observed point; remove the object.")
            low, median, high = _ends(d[seen[i]], self.level)
            off = x[seen[i]] - median
            half = np.where(off < 0, median - low, high - median)
            score = np.full(len(off), np.inf)  # remains infinite if draws have no width, which no factor can widen
            np.divide(np.abs(off), half, out=score, where=half > 0)
            scores.append(np.where(off == 0, 0.0, score))
        return scores, seen

    def _factor(self, score: np.ndarray, owner: np.ndarray, group: np.ndarray, object_name: str) -> float:
        """Return the smallest score at which the cumulative weight reaches the level."""
        n = len(np.unique(group[owner]))
        order = np.argsort(score)
        share = np.cumsum(weights(owner, group)[order]) / (n + 1)
        factor = score[order][np.searchsorted(share, self.level - ROUNDING)]
        if np.isinf(factor):
            raise ValueError(
                f"For {object_name}, so many measurements lie outside draws of zero width that no factor covers "
                f"{self.level:.3g} of them. Use more draws, or remove such points."
            )
        return float(factor)

    def _factor_by_bin(self, score, cell, owner, group) -> QTable:
        """Return a table of the factor in each combination of bins."""
        out = self._cells.middles()
        n_objects = [len(np.unique(group[owner[cell == k]])) for k in range(len(self._cells))]
        factor = np.full(len(n_objects), self.factor_)
        for k in np.flatnonzero(np.array(n_objects) >= max(self.min_objects, self._needed())):
            bin_name = ", ".join(f"{key} {out[key][k]}" for key in out.colnames) or "the validation objects"
            factor[k] = self._factor(score[cell == k], owner[cell == k], group, bin_name)
        out["factor"], out["n_objects"] = factor, n_objects
        return out

    # --- draws --------------------------------------------------------------------------------------

    def _check_draws(self, draws: np.ndarray, i: int) -> None:
        if draws.shape[-1] != self.n_draws_:
            raise TableError(
                f"draws[{i}] has {draws.shape[-1]} draws, but {self.n_draws_} are needed, as in draws[0] of fit."
            )

    def _with_factors(self, draws, at) -> Iterator[tuple[Table | np.ndarray, np.ndarray, np.ndarray]]:
        """Yield each object as given, its draws (n_points, n_draws) and the factors of its points."""
        check_is_fitted(self)
        given = objects_of(draws, "draws")
        references, name = (given, "draws") if at is None else (objects_of(at, "at"), "at")
        check_consistent_length(given, references)
        if self._cells.bins and any(isinstance(x, Table) != self._of_tables for x in references):
            kind = "Tables" if self._of_tables else "arrays"
            raise TableError(f"Some {name} are not {kind}, as all were in fit; pass at=X to state where the draws are.")
        if at is None:
            references = [x if isinstance(x, Table) else np.ma.getdata(x)[..., 0] for x in references]
        read = {
            key: values_by(references, key, location=self.location, band=self.band, unit=unit, name=name)
            for key, unit in self._cells.units.items()
        }
        factors = np.append(self.factors_["factor"], self.factor_)  # the last one is for points outside all bins
        places = self._cells.places(read, len(given), open_ends=True)
        for i, (y, cell) in enumerate(zip(given, places, strict=True)):
            d = decoded_values(y, self.value, f"draws[{i}]")
            self._check_draws(d, i)
            if cell.ndim and cell.shape != d.shape[:-1]:
                raise TableError(f"at[{i}] has {len(cell)} points, but draws[{i}] has shape {d.shape}.")
            yield y, d, np.broadcast_to(factors[cell], d.shape[:-1])

    def _write(self, template: Table, draws: np.ndarray) -> Table:
        name = tables.find_column(template, "value", self.value, "draws", ask="ConformalDraws({})")
        return tables.write(
            template, {c: template[c] for c in template.colnames} | {name: draws}, name, tables.unit_of(template, name)
        )


def _ends(draws: np.ndarray, level: float) -> np.ndarray:
    """Return the lower end of the central interval, the median and the upper end, for draws along the last axis."""
    return np.quantile(draws, [0.5 - level / 2, 0.5, 0.5 + level / 2], axis=-1)
