"""Scales for the measured value: inverse hyperbolic sine, logarithm."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from astropy import units as u

from ..exceptions import TableError
from ._base import TableTransformer

DIMENSIONLESS = {"value": None, "error": None}


class Arcsinh(TableTransformer):
    r"""Take the inverse hyperbolic sine of the value: linear near zero, logarithmic far from it, for any sign.

    With scale :math:`s`, :math:`v \to \operatorname{arsinh}(v / s)` and
    :math:`\sigma \to \sigma / \sqrt{v^2 + s^2}`. The result has no unit; the inverse restores the unit of fit.

    Parameters
    ----------
    scale : float or Quantity, default=1.0
        Value at which linear turns into logarithmic, in the unit of fit. A few times the noise is a good choice.
    value, error : str or None, default=None
        Columns. None finds them by their usual names.

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

    pointwise = True

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
        except (u.UnitsError, ValueError):
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

    :math:`v \to \log_{10} v` and :math:`\sigma \to \sigma / (v \ln 10)`. A value of zero or less has no logarithm. It
    becomes NaN (masked in a masked column), which means not observed, and the inverse does not restore it. The result
    has no unit: it is the logarithm of the number in the unit of fit.

    Parameters
    ----------
    value, error : str or None, default=None
        Columns. None finds them by their usual names.

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
    pointwise = True

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
