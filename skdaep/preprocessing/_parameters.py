"""Parameters of steps that may be Quantities."""

from __future__ import annotations

from numbers import Real

from astropy import units as u

from .. import tables
from ._base import TableTransformer


def plain_number(number):
    """Return a number without its unit."""
    return number.value if isinstance(number, u.Quantity) else number


def are_increasing(ends) -> bool:
    """Return whether they are two increasing numbers, each with or without a unit."""
    try:
        first, last = map(plain_number, ends)
        return isinstance(first, Real) and isinstance(last, Real) and first < last
    except (TypeError, ValueError):
        return False


def unit_of_locations(step: TableTransformer) -> str | None:
    """Return the unit of the locations of fit; without one, Julian dates are in days."""
    return step.units_["location"] or ("d" if "jd" in step.columns_["location"].lower() else None)


def in_unit_of_locations(step: TableTransformer, given, name: str) -> float:
    """Return a parameter as a number in the unit of the locations of fit, which is assumed if it has no unit."""
    if not isinstance(given, u.Quantity):
        return float(given)
    shown = f"{type(step).__name__}({name}=...)"
    return float(tables.convert(given.value, str(given.unit), unit_of_locations(step), shown))
