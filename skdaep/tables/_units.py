"""Units, by name, of columns, errors, magnitudes and logarithmic axes, and conversion between them."""

from __future__ import annotations

import re
from functools import lru_cache

from astropy import units as u
from astropy.table import Table

from ..exceptions import TableError
from ._times import is_time

#: key in the meta of a column: whether it is in magnitudes, if name and unit do not say it
MAGNITUDE = "magnitude"
#: key in the meta of a column of locations on a circle: the circumference, in the unit of the column
CYCLE = "cycle"


@lru_cache(maxsize=4096)
def plain(name: str) -> str:
    """Return the name of a column without case, separators and a unit in brackets ("flux(mJy)")."""
    return re.sub(r"\(.*\)|\[.*\]|[\W_]", "", name.lower())


def unit_of(table: Table, name: str) -> str | None:
    """Return the unit of a column as a string, None if it has none."""
    return unit_of_column(table[name])


def unit_of_column(column) -> str | None:
    """Return the unit of a column or Quantity as a string; "d" of a Time, which is read as MJD."""
    if is_time(column):
        return "d"
    if column.unit is None:
        return None
    if isinstance(column.unit, u.UnrecognizedUnit):  # not hashable before astropy 7
        return column.unit.to_string()
    return _to_string(column.unit)


@lru_cache  # to_string takes longer than everything else in reading a column
def _to_string(unit) -> str:
    return unit.to_string()


@lru_cache
def unit_named(name: str):
    """Return the unit with a name from `unit_of`, even if astropy does not know it."""
    return u.Unit(name, parse_strict="silent")


@lru_cache
def unit_of_error(unit: str | None) -> str | None:
    """Return the unit of the errors of values in `unit`: "mag" for "mag(AB)", else the same."""
    return unit if unit is None else getattr(unit_named(unit), "function_unit", unit_named(unit)).to_string()


@lru_cache
def unit_of_ivar(unit: str | None) -> str | None:
    """Return the unit of the inverse variances of values in `unit`."""
    return unit if unit is None else (unit_named(unit_of_error(unit)) ** -2).to_string()


def convert(values, given: str | None, wanted: str | None, object_name: str, whose: str = "fit", light: bool = True):
    """Convert numbers to another unit. Numbers without a unit are assumed to have it already.

    With `light`, wavelengths can be converted to frequencies or energies. Without it, 1 / d is not a wavelength.

    Raises
    ------
    TableError
        If the units cannot be converted.
    """
    if given in (None, wanted) or (given == "" and wanted is None):  # "": dimensionless
        return values
    if wanted is None:
        raise TableError(f"{object_name} has unit '{given}', but {whose} had none. Remove it, or add it there.")
    try:
        return unit_named(given).to(unit_named(wanted), values, equivalencies=u.spectral() if light else [])
    except (ValueError, u.UnitsError):  # ValueError for units that astropy does not know
        raise TableError(
            f"{object_name} has unit '{given}', which cannot be converted to '{wanted}' of {whose}."
        ) from None


# --- magnitudes and fluxes --------------------------------------------------------------------------

_MAGNITUDES = re.compile(r"^m$|mag(?!e(?!rr)|ina|n(?!itude))")  # not in image, imaginary, magnetic, magnification
_FLUXES = re.compile(r"flux|flam|fnu|[munp]?jy$|counts?$|cts$|adu$|luminosity|intensity")


@lru_cache
def dex_of(unit: str | None) -> float | None:
    """Return how many dex a difference of 1 in a logarithmic unit is: -0.4 for magnitudes; None for a linear unit."""
    if unit is None:
        return None
    given = getattr(unit_named(unit), "function_unit", unit_named(unit))
    steps = zip(given.bases, given.powers, strict=True)
    return next((given.scale * b.to(u.dex) for b, power in steps if power == 1 and b.is_equivalent(u.dex)), None)


def is_magnitude(name: str, unit: str | None, mark: bool | None = None) -> bool | None:
    """Return whether a column holds magnitudes, None if this is unknown.

    A mark left by a step decides first, then the unit (any multiple of magnitudes, also per solid angle), then the
    name.
    """
    if mark is not None:
        return mark
    if unit:
        unknown = isinstance(unit_named(unit), u.UnrecognizedUnit)
        return "mag" in unit.lower() if unknown else (dex_of(unit) or 0) < 0
    magnitude, flux = (pattern.search(plain(name)) is not None for pattern in (_MAGNITUDES, _FLUXES))
    return None if magnitude == flux else magnitude


_TIMES = re.compile(r"time|date|jd")


@lru_cache
def says_time(name: str, unit: str | None) -> bool:
    """Return whether a column holds times, judging by its unit or else its name."""
    return unit_named(unit).is_equivalent(u.s) if unit else _TIMES.search(plain(name)) is not None


# --- logarithmic axes -------------------------------------------------------------------------------

_LOG_WAVELENGTH = re.compile(r"log(10)?(lam|lambda|wave|wavelength)")


@lru_cache
def says_log(name: str) -> bool:
    """Return whether the name of a column means the log10 of a wavelength in Angstrom, like SDSS's ``loglam``."""
    return _LOG_WAVELENGTH.fullmatch(plain(name)) is not None


def log_unit(name: str, unit: str | None) -> str | None:
    """Return the unit inside a logarithm, like Angstrom in dex(Angstrom), from unit or name; None if linear."""
    if unit in (None, "", "dex") and says_log(name):
        return "Angstrom"
    inside = getattr(unit_named(unit or ""), "physical_unit", None)
    return None if inside is None or dex_of(unit) != 1 else inside.to_string()


def linear_unit(name: str, unit: str | None) -> str | None:
    """Return the unit to which locations are converted: the one inside a logarithm, or else their own."""
    return log_unit(name, unit) or unit
