"""Read the points of Tables as arrays, with NaN where nothing was observed. All rooms that read Tables use this."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from astropy.table import Table

from ..exceptions import TableError
from ._arrays import bare
from ._columns import labels_of, numbers_of, numbers_or_draws, owner_and_row
from ._flat import FlatTables
from ._roles import Columns
from ._units import unit_of, unit_of_error, unit_of_ivar


def read_points(
    objects: Sequence[Table],
    columns: Columns,
    object_names: list[str],
    units: dict[str, str | None],
    whose: str = "fit",
    *,
    scale: str | None = None,
    values: bool = True,
) -> dict[str, np.ndarray]:
    """Return value, location, band and error of all points of Tables, concatenated; roles without a column are absent.

    Numbers are in `units`, by role, and times in `scale`. `whose` says whether these are those of fit or of an object.
    Errors, also those from inverse variances, are in the unit of the values, and NaN where unknown.

    A value is NaN if it was not observed: if it is NaN or masked, if its error is infinite or its inverse variance 0,
    or if its quality flag is not 0. Without `values`, errors are also NaN where they are infinite or negative.

    For `FlatTables`, bands are `Labels`, and an error may name another object than the bad one.
    """
    if isinstance(objects, FlatTables):
        band = {} if columns.band is None else {"band": labels_of(objects, columns.band, object_names)}
        columns = columns._replace(band=None)
        roles = [name for name in columns if name in objects.columns]
        whole = [objects.whole(roles)]
        return band | read_points(whole, columns, object_names[:1], units, whose, scale=scale, values=values)
    points = {}
    if columns.location is not None:
        points["location"] = numbers_of(
            objects, columns.location, object_names, units.get("location"), whose, scale=scale
        )
    if columns.band is not None:
        points["band"] = labels_of(objects, columns.band, object_names)
    if columns.value is None:
        return points
    if not values:
        if columns.error is not None or columns.ivar is not None:
            error = read_errors(objects, columns, object_names, units.get("value"), whose)
            points["error"] = np.where(np.isfinite(error) & (error >= 0), error, np.nan)
        return points
    value = points["value"] = numbers_of(objects, columns.value, object_names, units.get("value"), whose)
    if columns.error is not None or columns.ivar is not None:
        error = points["error"] = read_errors(objects, columns, object_names, units.get("value"), whose)
        _check_errors(objects, columns, object_names, value, error)
        value[np.isinf(error)] = np.nan
    if columns.quality is not None:
        value[_where_present(_flagged, objects, columns.quality, object_names, False)] = np.nan
    return points


def read_draws(
    objects: list[Table],
    columns: Columns,
    object_names: list[str],
    units: dict[str, str | None],
    *,
    scale: str | None = None,
) -> dict[str, np.ndarray]:
    """Return the points of one object, like `read_points`, but allow decoded values with an additional axis of draws.

    No value is set to NaN, because all points were decoded.
    """
    (table,), (place,) = objects, object_names
    places = columns._replace(error=None, ivar=None)
    points = read_points(objects, places, object_names, units, scale=scale, values=False)
    unit = units.get("value")
    if columns.value is not None:
        points["value"] = numbers_or_draws(table, columns.value, place, unit)
    if columns.error is not None:
        points["error"] = numbers_or_draws(table, columns.error, place, unit_of_error(unit), finite=False)
    elif columns.ivar is not None:
        ivar = numbers_or_draws(table, columns.ivar, place, unit_of_ivar(unit), finite=False)
        points["error"] = _errors_of_ivar(ivar)
    return points


def read_errors(
    objects: list[Table], columns: Columns, object_names: list[str], unit: str | None, whose: str = "fit"
) -> np.ndarray:
    """Return the errors of values in `unit`, concatenated: NaN if unknown, infinite if the point was not observed."""
    name = columns.error or columns.ivar
    unit_of_own = unit_of_error if columns.error else unit_of_ivar

    def without(table: Table) -> str | None:  # errors without a unit have that of the values
        return unit_of_own(unit_of(table, columns.value)) if columns.value in table.columns else None

    def read(objects: list[Table], name: str, object_names: list[str]) -> np.ndarray:
        of_whom = f"'{columns.value}' of {whose}"
        return numbers_of(objects, name, object_names, unit_of_own(unit), of_whom, without=without, finite=False)

    numbers = _where_present(read, objects, name, object_names, np.nan)
    return numbers if columns.error else _errors_of_ivar(numbers)


def _errors_of_ivar(ivar: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.where(ivar < 0, ivar, np.abs(ivar) ** -0.5)  # negative ones are refused later


def _check_errors(
    objects: list[Table], columns: Columns, object_names: list[str], value: np.ndarray, error: np.ndarray
) -> None:
    """Raise an error for negative errors of observed values, such as -999."""
    bad = (error < 0) & np.isfinite(value)
    if bad.any():
        owner, row = (x[bad][0] for x in owner_and_row([len(t) for t in objects]))
        name, what = columns.error or columns.ivar, "an error" if columns.error else "an inverse variance"
        raise TableError(
            f"{object_names[owner]} column '{name}' is {error[bad][0]:g} at row {row}, but {what} is not negative. "
            f"Set it to NaN if it is unknown."
        )


def _flagged(objects: list[Table], name: str, object_names: list[str]) -> np.ndarray:
    """Return which points have a non-zero flag. A masked flag counts as 0."""
    flags = []
    for table, place in zip(objects, object_names, strict=True):
        cells, mask = bare(table.columns[name])
        if cells.ndim != 1 or cells.dtype.kind not in "iufb":
            raise TableError(
                f"{place} column '{name}' of flags holds {cells.dtype}; use numbers, with 0 for good points."
            )
        flagged = (cells != 0) & (cells == cells)
        flags.append(flagged if mask is None else flagged & ~mask)
    return np.concatenate(flags)


def _where_present(read, objects: list[Table], name: str, object_names: list[str], otherwise) -> np.ndarray:
    """Return ``read(objects, name, where)`` for objects with the column, and `otherwise` at points of others."""
    has = [name in table.columns for table in objects]
    if all(has):
        return read(objects, name, object_names)
    out = np.full(sum(map(len, objects)), otherwise)
    if any(has):
        having = [i for i, h in enumerate(has) if h]
        points = np.repeat(has, [len(table) for table in objects])
        out[points] = read([objects[i] for i in having], name, [object_names[i] for i in having])
    return out
