"""Remove level and scale from the measured values: those of all training objects, or of each object."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain

import numpy as np

from ..exceptions import TableError
from ._base import Points, TableTransformer
from ._values import DIMENSIONLESS


class _Levelled(TableTransformer):
    """Subtract a level and divide by a scale, for each band or all bands, for each object or all objects.

    A subclass chooses with `_by_band` and `_of_object`. `_statistic` computes level and scale, and `_stems` names the
    keys in meta that hold those of an object. Anything else that the statistic returns is only stored in meta.
    """

    @property
    def pointwise(self) -> bool:
        return not self._of_object

    def units_after(self):
        return self.units_ | DIMENSIONLESS

    def forward(self, points):
        if not self._of_object:
            statistics = self.statistics_
        else:
            statistics = self._statistics(points.value, self._group(points), self._groups(points))
            names = dict(chain(*(zip(self._names(g), pair, strict=True) for g, pair in statistics.items())))
            points = points.remember(**names)
        level, scale = self._of_points(points, statistics)
        with np.errstate(over="ignore"):  # an infinite error is allowed: the point has no weight
            return replace(points, value=(points.value - level) / scale, error=points.error / scale)

    def backward(self, points):
        if not self._of_object:
            statistics = self.statistics_
        else:
            names = {group: self._names(group) for group in self._groups(points)}
            statistics = {group: tuple(map(points.recall, own[:2])) for group, own in names.items()}
            points = points.forget(*chain(*names.values()))
        level, scale = self._of_points(points, statistics)
        # Transposed, because columns of draws have the axis of points first.
        return replace(points, value=(points.value.T * scale + level).T, error=(points.error.T * scale).T)

    def _names(self, group: str) -> tuple[str, ...]:
        """Return the keys in meta of level, scale and any further statistics."""
        return tuple(f"{stem}_{group}" if group else stem for stem in self._stems)

    def _group(self, points: Points) -> np.ndarray:
        """Return the group of each point: its band, or a single group if bands do not matter."""
        return points.band if self._by_band else np.full(len(points.band), "")

    def _groups(self, points: Points) -> set[str]:
        return set(self._group(points).tolist()) - ({""} if self._by_band else set())

    def _of_points(self, points: Points, statistics: dict) -> tuple[np.ndarray, np.ndarray]:
        """Return the level and the scale of each point's group."""
        for group in self._groups(points) - set(statistics):
            which = f" in band {group!r}" if group else ""
            whose = points.object_name if self._of_object else "Fit"
            raise TableError(f"{whose} saw no value{which}, but {points.object_name} has such points; remove them.")
        none = (np.nan, np.nan)
        return np.array([statistics.get(group, none)[:2] for group in self._group(points).tolist()]).T

    def _statistics(self, value: np.ndarray, group: np.ndarray, groups: Iterable[str]) -> dict[str, tuple[float, ...]]:
        """Return level, scale and any further statistics of each group with observed values."""
        values = {g: value[np.isfinite(value) & (group == g)] for g in sorted(groups)}
        return {g: self._statistic(v) for g, v in values.items() if len(v)}


class ZScore(_Levelled):
    r"""Subtract the mean of the values and divide by their standard deviation.

    :math:`v \to (v - \mu) / s` and :math:`\sigma \to \sigma / s`, with the mean :math:`\mu` and the standard deviation
    :math:`s` of all observed points of the training objects. The result has no unit. If values do not vary,
    :math:`s = 1`.

    Parameters
    ----------
    per_band : bool, default=False
        Whether to scale every band separately. A point without a band then becomes "not observed", and a band that was
        not seen in fit is an error.
    per_object : bool, default=False
        Whether to scale every object separately. Mean and scale go into its meta as ``zscore_mean`` and
        ``zscore_scale`` (with `per_band` followed by ``_`` and the band), for the inverse and for an encoder's
        ``metadata``.
    key : str, default="zscore"
        Prefix of those names in meta.
    value, band, error : str or None, default=None
        Columns. None finds them by their usual names.

    Attributes
    ----------
    columns_, units_ : dict
        Columns, and their units in fit, by role.
    statistics_ : dict
        Mean and standard deviation by band ("" means all bands); empty with `per_object`.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from skdaep.preprocessing import ZScore
    >>> X = [Table({"time": [1.0, 2.0], "mag": [18.0, 22.0]})]
    >>> Z = ZScore(per_object=True).fit_transform(X)
    >>> Z[0]["mag"].tolist(), Z[0].meta
    ([-1.0, 1.0], {'zscore_mean': 20.0, 'zscore_scale': 2.0})
    """

    def __init__(self, *, per_band=False, per_object=False, key="zscore", value=None, band=None, error=None):
        self.per_band = per_band
        self.per_object = per_object
        self.key = key
        self.value = value
        self.band = band
        self.error = error

    def required_roles(self):
        return ("band",) if self.per_band else ()

    @property
    def _by_band(self) -> bool:
        return self.per_band

    @property
    def _of_object(self) -> bool:
        return self.per_object

    @property
    def _stems(self) -> tuple[str, str]:
        return f"{self.key}_mean", f"{self.key}_scale"

    def learn(self, points: list[Points]):
        self.statistics_ = {}
        if not self._of_object:
            value, group = (np.concatenate(x) for x in zip(*((p.value, self._group(p)) for p in points), strict=True))
            self.statistics_ = self._statistics(value, group, set().union(*map(self._groups, points)))

    def _statistic(self, value):
        return _mean_and_spread(value)


class Standardize(_Levelled):
    r"""Subtract the median of each object and divide by its amplitude, band by band, so that only its shape remains.

    :math:`v \to (v - m) / a` and :math:`\sigma \to \sigma / a`, where m is the median of the object's observed values
    in a band and a is half the distance between their 5th and 95th percentiles (1 if they do not vary). Both are stored
    in the meta, in the unit of fit, for the inverse, for `MetaFeatures` and for an encoder's ``metadata``. The meta
    also gets the skewness of these percentiles, :math:`(q_{95} + q_5 - 2 m) / (q_{95} - q_5)`, between -1 and 1. It is
    near 1 for magnitudes of stars with short eclipses. The result has no unit. If other points have a band, a point
    without one becomes "not observed".

    Parameters
    ----------
    per_band : bool, default=True
        Whether every band of an object has its own level and amplitude.
    level, amplitude, skewness : str, default="level", "amplitude", "skewness"
        Keys in meta, followed by ``_`` and the band if there are bands.
    value, band, error : str or None, default=None
        Columns. None finds them by their usual names; a table without bands has a single one.

    Attributes
    ----------
    columns_, units_ : dict
        Columns, and their units in fit, by role.

    See Also
    --------
    ZScore : Mean and standard deviation, of all objects or of each.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from skdaep.preprocessing import Standardize
    >>> X = [Table({"time": [1.0, 2.0, 3.0], "mag": [18.0, 20.0, 22.0]})]
    >>> Z = Standardize().fit_transform(X)
    >>> Z[0]["mag"].round(2).tolist(), {key: round(number, 2) for key, number in Z[0].meta.items()}
    ([-1.11, 0.0, 1.11], {'level': 20.0, 'amplitude': 1.8, 'skewness': 0.0})
    """

    _of_object = True

    def __init__(
        self,
        *,
        per_band=True,
        level="level",
        amplitude="amplitude",
        skewness="skewness",
        value=None,
        band=None,
        error=None,
    ):
        self.per_band = per_band
        self.level = level
        self.amplitude = amplitude
        self.skewness = skewness
        self.value = value
        self.band = band
        self.error = error

    def check_parameters(self):
        if len(set(self._stems)) < 3:
            keys = ", ".join(f"{name}={getattr(self, name)!r}" for name in ("level", "amplitude", "skewness"))
            raise ValueError(f"Standardize({keys}): three keys are needed.")

    @property
    def _by_band(self) -> bool:
        return self.per_band and "band" in self.columns_

    @property
    def _stems(self) -> tuple[str, ...]:
        return self.level, self.amplitude, self.skewness

    def _statistic(self, value):
        return _percentiles(value)


def _mean_and_spread(value: np.ndarray) -> tuple[float, float]:
    """Return mean and standard deviation, or 1 if values differ only by rounding."""
    unit = np.ldexp(1.0, int(np.frexp(np.abs(value).max())[1]) - 1)  # a power of two, so that the division is exact
    value = value / unit  # so that no square overflows or vanishes
    spread = value.std()
    scale = float(unit * spread)
    varies = spread > 1e-12 and scale > np.finfo(float).tiny
    return float(unit * value.mean()), scale if varies else 1.0


def _percentiles(value: np.ndarray) -> tuple[float, float, float]:
    """Return the median, half the range of the middle nine tenths, and its skewness; 1 and 0 if values do not vary."""
    low, level, high = np.quantile(value, [0.05, 0.5, 0.95])
    amplitude = high / 2 - low / 2
    if not amplitude > max(1e-12 * np.abs(value).max(), np.finfo(float).tiny):
        return float(level), 1.0, 0.0
    skewness = (high / 2 - level / 2) / amplitude - (level / 2 - low / 2) / amplitude
    return float(level), float(amplitude), float(np.clip(skewness, -1, 1))
