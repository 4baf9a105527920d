"""Convert fluxes to magnitudes, and magnitudes to fluxes."""

from __future__ import annotations

from dataclasses import replace
from numbers import Real

import numpy as np
from astropy import units as u

from .. import tables
from ..exceptions import TableError
from ._base import Points, TableTransformer

POGSON = 2.5 / np.log(10)


class FluxToMagnitude(TableTransformer):
    r"""Turn fluxes into magnitudes.

    :math:`m = m_0 - 2.5 \log_{10} f` and, to first order, :math:`\sigma_m = 2.5\, \sigma_f / (f \ln 10)`, with
    :math:`m_0` the zero point. A flux of zero or less has no magnitude. It becomes NaN (masked in a masked column),
    which means not observed, and the inverse does not restore it.

    Parameters
    ----------
    zero_point : float or "AB", default="AB"
        Magnitude of flux 1 in the unit of fit. "AB" derives it from that unit, which must be a flux density per
        frequency, such as uJy.
    value, error : str or None, default=None
        Columns, which keep their names. None finds them by their usual names.

    Attributes
    ----------
    columns_, units_ : dict
        Columns, and their units in fit, by role.

    See Also
    --------
    MagnitudeToFlux : The inverse.

    References
    ----------
    Oke, J. B. & Gunn, J. E. 1983, ApJ 266, 713 (AB magnitudes).

    Examples
    --------
    >>> from astropy.table import Table
    >>> from skdaep.preprocessing import FluxToMagnitude
    >>> X = [Table({"time": [1.0, 2.0, 3.0], "flux": [1.0, 100.0, -1.0]})]
    >>> FluxToMagnitude(zero_point=25.0).fit_transform(X)[0]["flux"].tolist()
    [25.0, 20.0, nan]
    """

    remedy = "it has no positive flux: "
    pointwise = True

    def __init__(self, zero_point="AB", *, value=None, error=None):
        self.zero_point = zero_point
        self.value = value
        self.error = error

    def check_parameters(self):
        _check_zero_point(self)

    def units_after(self):
        if self.is_magnitude_ or self._dex is not None:
            unit = f" with unit '{self.units_['value']}'" if self.units_["value"] else ""
            raise TableError(f"X[0] column '{self.columns_['value']}'{unit} is in magnitudes already, not a flux.")
        self._zero_point()  # raises an error if the unit has no zero point
        return self.units_ | {"value": "mag(AB)" if self.zero_point == "AB" else "mag", "error": "mag"}

    def is_magnitude_after(self):
        return True

    def _zero_point(self) -> float:
        return _zero_point(self.zero_point, self.units_["value"], f"X[0] column '{self.columns_['value']}'")

    def forward(self, points):
        return _to_magnitude(points, self._zero_point())

    def backward(self, points):
        return _to_flux(points, self._zero_point())


class MagnitudeToFlux(TableTransformer):
    r"""Turn magnitudes into fluxes, which are additive and have symmetric errors.

    :math:`f = 10^{0.4 (m_0 - m)}` and, to first order, :math:`\sigma_f = 0.4 \ln 10\, f \sigma_m`, with :math:`m_0` the
    zero point. In the inverse, a flux of zero or less, which an encoder may decode, has no magnitude and becomes NaN.

    Parameters
    ----------
    zero_point : float or "AB", default="AB"
        Magnitude of flux 1 in `unit`; "AB" derives it from `unit`.
    unit : str or None, default="uJy"
        Unit of the fluxes; "AB" needs a flux density per frequency. None means no unit.
    value, error : str or None, default=None
        Columns, which keep their names. None finds them by their usual names.

    Attributes
    ----------
    columns_, units_ : dict
        Columns, and their units in fit, by role.

    See Also
    --------
    FluxToMagnitude : The inverse.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from skdaep.preprocessing import MagnitudeToFlux
    >>> X = [Table({"time": [1.0, 2.0], "mag": [25.0, 20.0]})]
    >>> MagnitudeToFlux(zero_point=25.0, unit=None).fit_transform(X)[0]["mag"].tolist()
    [1.0, 100.0]
    """

    pointwise = True

    def __init__(self, zero_point="AB", *, unit="uJy", value=None, error=None):
        self.zero_point = zero_point
        self.unit = unit
        self.value = value
        self.error = error

    def check_parameters(self):
        _check_zero_point(self)

    def units_after(self):
        name, unit = self.columns_["value"], self.units_["value"]
        given = None if unit is None else tables.unit_named(unit)
        inside = getattr(given, "physical_unit", None)
        other = self.zero_point == "AB" and inside is not None and inside != u.ABmag.physical_unit
        step = getattr(given, "function_unit", given)
        of_mag = given is None or unit == "" or step.is_equivalent(u.mag)  # surface brightness is not
        if other or not of_mag or self.is_magnitude_ is False:
            kind = "AB magnitudes" if other else "magnitudes"
            has = f"has unit '{unit}'" if unit else "is a flux by its name"
            raise TableError(f"X[0] column '{name}' {has}, but {type(self).__name__} needs {kind}.")
        self._zero_point()
        flux = None if self.unit is None else u.Unit(self.unit).to_string()
        return self.units_ | {"value": flux, "error": flux}

    def is_magnitude_after(self):
        return False

    def _zero_point(self) -> float:
        return _zero_point(self.zero_point, self.unit, "The flux")

    def forward(self, points):
        return _to_flux(self._times(points, self._magnitudes()), self._zero_point())

    def backward(self, points):
        return self._times(_to_magnitude(points, self._zero_point()), 1 / self._magnitudes())

    def _magnitudes(self) -> float:
        """Return the unit of fit in magnitudes: 0.001 for mmag."""
        return 1.0 if self._dex is None else self._dex / -0.4

    @staticmethod
    def _times(points: Points, factor: float) -> Points:
        return points if factor == 1 else replace(points, value=factor * points.value, error=factor * points.error)


def _to_magnitude(points: Points, zero_point: float) -> Points:
    flux = np.where(points.value > 0, points.value, np.nan)
    return replace(points, value=zero_point - 2.5 * np.log10(flux), error=POGSON * points.error / flux)


def _to_flux(points: Points, zero_point: float) -> Points:
    flux = 10 ** (0.4 * (zero_point - points.value))
    return replace(points, value=flux, error=flux * points.error / POGSON)


def _check_zero_point(step) -> None:
    zero_point = step.zero_point
    if zero_point != "AB" and not (isinstance(zero_point, Real) and np.isfinite(zero_point)):
        raise ValueError(f"{type(step).__name__}(zero_point={zero_point!r}): a number or 'AB' is needed.")


def _zero_point(zero_point: float | str, unit: str | None, object_name: str) -> float:
    """Return the magnitude of flux 1 in a unit."""
    if zero_point != "AB":
        return float(zero_point)
    try:
        return float((1 * tables.unit_named(unit or "")).to_value(u.ABmag))
    except (u.UnitsError, TypeError, ValueError):  # ValueError for units that astropy does not know
        has = "no unit" if unit is None else f"unit '{unit}'"
        raise TableError(
            f"{object_name} has {has}, which does not define an AB magnitude; use a flux per frequency (uJy) or a "
            "number as zero_point."
        ) from None
