"""Scales for the measured value: inverse hyperbolic sine, logarithm, z-score."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain

import numpy as np
from astropy import units as u

from ..exceptions import TableError
from ._base import Points, TableTransformer

DIMENSIONLESS = {"value": None, "error": None}


class Arcsinh(TableTransformer):
    r"""Take the inverse hyperbolic sine of the value: linear near zero, logarithmic far from it, for any sign.

    With scale :math:`s`, :math:`v \to \operatorname{arsinh}(v / s)` and
    :math:`\sigma \to \sigma / \sqrt{v^2 + s^2}`. The result has no unit; the unit of fit comes back on the way back.

    Parameters
    ----------
    scale : float or Quantity, default=1.0
        Where linear turns into logarithmic, in the unit of the values of fit; a few times the noise is a good choice.
    value, error : str or None, default=None
        Columns. None: found by their customary names.

    Attributes
    ----------
    columns_, units_ : dict
        Columns, and their units in fit, by role.

    References
    ----------
    Lupton, R. H., Gunn, J. E. & Szalay, A. S. 1999, AJ 118, 1406.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from skdaep.preprocessing import Arcsinh
    >>> X = [Table({"time": [1.0, 2.0, 3.0], "flux": [-3.0, 0.0, 300.0]})]
    >>> Arcsinh(scale=3.0).fit_transform(X)[0]["flux"].round(2).tolist()
    [-0.88, 0.0, 5.3]
    """

    def __init__(self, scale=1.0, *, value=None, error=None):
        self.scale = scale
        self.value = value
        self.error = error

    def check_parameters(self):
        if not np.ndim(self.scale) == 0 or not self.scale > 0 * getattr(self.scale, "unit", 1):
            raise ValueError(f"Arcsinh(scale={self.scale!r}): a positive number is needed.")

    def units_after(self):
        return self.units_ | DIMENSIONLESS

    def _softening(self) -> float:
        if not isinstance(self.scale, u.Quantity):
            return float(self.scale)
        try:
            return self.scale.to_value(self.units_["value"] or u.dimensionless_unscaled)
        except u.UnitConversionError:
            unit = self.units_["value"]
            raise TableError(f"Arcsinh(scale={self.scale}) cannot be converted to the unit of fit, {unit!r}.") from None

    def forward(self, points):
        scale = self._softening()
        return replace(
            points,
            value=np.arcsinh(points.value / scale),
            error=points.error / np.hypot(points.value, scale),
        )

    def backward(self, points):
        value = self._softening() * np.sinh(points.value)
        return replace(points, value=value, error=points.error * np.hypot(value, self._softening()))


class Log10(TableTransformer):
    r"""Take the decimal logarithm of the value.

    :math:`v \to \log_{10} v` and :math:`\sigma \to \sigma / (v \ln 10)`. A value of zero or less has no logarithm: it
    becomes NaN (masked in a masked column), which is "not observed", and stays so on the way back. The result has no
    unit: the logarithm is that of the number in the unit of fit.

    Parameters
    ----------
    value, error : str or None, default=None
        Columns. None: found by their customary names.

    Attributes
    ----------
    columns_, units_ : dict
        Columns, and their units in fit, by role.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from skdaep.preprocessing import Log10
    >>> X = [Table({"time": [1.0, 2.0, 3.0], "flux": [0.1, 100.0, -1.0]})]
    >>> Log10().fit_transform(X)[0]["flux"].tolist()
    [-1.0, 2.0, nan]
    """

    remedy = "it has no positive value: "

    def __init__(self, *, value=None, error=None):
        self.value = value
        self.error = error

    def units_after(self):
        return self.units_ | DIMENSIONLESS

    def forward(self, points):
        value = np.where(points.value > 0, points.value, np.nan)
        return replace(points, value=np.log10(value), error=points.error / (value * np.log(10)))

    def backward(self, points):
        value = 10**points.value
        return replace(points, value=value, error=points.error * value * np.log(10))


class ZScore(TableTransformer):
    r"""Subtract the mean of the values and divide by their standard deviation.

    :math:`v \to (v - \mu) / s` and :math:`\sigma \to \sigma / s`, where :math:`\mu` and :math:`s` are those of all
    observed points of the training objects. The result has no unit. Where values do not vary, :math:`s = 1`.

    Parameters
    ----------
    per_band : bool, default=False
        Whether every band has a mean and deviation of its own. A point without a band then becomes "not observed", and
        a band that was not seen in fit is an error.
    per_object : bool, default=False
        Whether every object has its own, which go into its meta as ``zscore_mean`` and ``zscore_scale`` (followed by
        ``_`` and the band with `per_band`): for the way back, and for an encoder's ``metadata``.
    key : str, default="zscore"
        What those names in meta start with.
    value, band, error : str or None, default=None
        Columns. None: found by their customary names.

    Attributes
    ----------
    columns_, units_ : dict
        Columns, and their units in fit, by role.
    statistics_ : dict
        Mean and standard deviation by band, "" being all; empty with `per_object`.

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

    def units_after(self):
        return self.units_ | DIMENSIONLESS

    def learn(self, points: list[Points]):
        self.statistics_ = {}
        if not self.per_object:
            value, group = (np.concatenate(x) for x in zip(*((p.value, self._group(p)) for p in points), strict=True))
            self.statistics_ = _statistics(value, group, set().union(*map(self._groups, points)))

    def forward(self, points):
        if not self.per_object:
            statistics = self.statistics_
        else:
            statistics = _statistics(points.value, self._group(points), self._groups(points))
            names = dict(chain(*(zip(self._names(g), pair, strict=True) for g, pair in statistics.items())))
            points = points.remember(**names)
        mean, scale = self._of_each(points, statistics)
        return replace(points, value=(points.value - mean) / scale, error=points.error / scale)

    def backward(self, points):
        if not self.per_object:
            statistics = self.statistics_
        else:
            names = {group: self._names(group) for group in self._groups(points)}
            statistics = {group: tuple(map(points.recall, pair)) for group, pair in names.items()}
            points = points.forget(*chain(*names.values()))
        mean, scale = self._of_each(points, statistics)
        # Transposed, so that a column of draws has its points last too.
        return replace(points, value=(points.value.T * scale + mean).T, error=(points.error.T * scale).T)

    def _names(self, group: str) -> tuple[str, str]:
        """Return the keys in meta of mean and scale."""
        end = f"_{group}" if group else ""
        return f"{self.key}_mean{end}", f"{self.key}_scale{end}"

    def _group(self, points: Points) -> np.ndarray:
        """Return the group of each point, with `per_band` "" where it has none."""
        return points.band if self.per_band else np.full(len(points.band), "")

    def _groups(self, points: Points) -> set[str]:
        return set(self._group(points).tolist()) - ({""} if self.per_band else set())

    def _of_each(self, points: Points, statistics: dict) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and scale of each point's group."""
        for group in self._groups(points) - set(statistics):
            which = f" in band {group!r}" if group else ""
            whose = points.where if self.per_object else "Fit"
            raise TableError(f"{whose} saw no value{which}, but {points.where} has such points; remove them.")
        none = (np.nan, np.nan)
        return np.array([statistics.get(group, none) for group in self._group(points).tolist()]).T


def _statistics(value: np.ndarray, group: np.ndarray, groups: Iterable[str]) -> dict[str, tuple[float, float]]:
    """Return mean and standard deviation of the observed values of each group that has any."""
    values = {g: value[np.isfinite(value) & (group == g)] for g in sorted(groups)}
    return {g: (float(v.mean()), _spread(v)) for g, v in values.items() if len(v)}


def _spread(value: np.ndarray) -> float:
    """Return the standard deviation, 1 where all that varies is the last bits."""
    spread = float(value.std())
    return spread if spread > 1e-12 * np.abs(value).max() else 1.0
