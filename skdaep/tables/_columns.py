"""Columns of Tables: found by name, read in a unit, written back."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from astropy import units as u
from astropy.table import Column, QTable, Table

from ..exceptions import TableError
from ._arrays import bare, floats
from ._times import is_time

#: role -> customary column names, lower case
ALIASES = {
    "value": ("value", "flux", "mag", "magnitude", "f_lambda", "flam", "fluxcal"),
    "location": ("location", "time", "mjd", "jd", "date", "wavelength", "wave", "lambda", "phase"),
    "band": ("band", "filter", "passband", "bandpass", "flt"),
    "error": (
        *("value_err", "flux_err", "fluxerr", "flux_error", "mag_err", "magerr", "magnitude_err"),
        *("error", "uncertainty", "fluxcalerr", "value_error"),
    ),
}


def find_column(
    table: Table, role: str, name: str | None, where: str, required: bool = True, prefer: tuple[str, ...] = ()
) -> str | None:
    """Return the name of the column that plays a role: `name` if given, else the only alias present.

    Of several aliases one of `prefer` is taken.

    Raises
    ------
    TableError
        If the column named is not there, or none or several columns have a customary name.
    """
    has = ", ".join(table.colnames) or "no columns"
    if name is not None:
        if name not in table.colnames:
            raise TableError(
                f"{where} has no column '{name}' (it has: {has}). "
                f"Rename it or declare it with modality=Sequence({role}=...)."
            )
        return name
    found = candidates(table, role, prefer)
    if len(found) == 1:
        return found[0]
    if found:
        raise TableError(
            f"{where} has several candidates for the {role}: {', '.join(found)}. "
            f"Choose with modality=Sequence({role}={found[0]!r}, ...)."
        )
    if required:
        raise TableError(
            f"{where} has no column for the {role} (it has: {has}; known names: {', '.join(ALIASES[role])}). "
            f"Declare it with modality=Sequence({role}=...)."
        )
    return None


def candidates(table: Table, role: str, prefer: tuple[str, ...] = ()) -> list[str]:
    """Return the columns with a customary name for a role, only those of `prefer` if there are any."""
    found = [c for c in table.colnames if c.lower() in ALIASES[role]]
    return [c for c in found if c in prefer] or found


def numbers(table: Table, name: str, where: str, unit: str | None = None) -> np.ndarray:
    """Return a column as a new float64 array in `unit`, NaN where it is masked.

    Raises
    ------
    TableError
        If the column is not one real number per row, holds an infinite value, or has an inconvertible unit.
    """
    return numbers_of([table], name, [where], unit)


def numbers_of(
    objects: list[Table], name: str, where: list[str], unit: str | None = None, whose: str = "fit"
) -> np.ndarray:
    """Return a column of many Tables end to end, as `numbers` does that of one; `whose` says where `unit` is from."""
    columns = [table.columns[name] for table in objects]
    cells = [_real(column, name, place) for column, place in zip(columns, where, strict=True)]
    lengths = [len(c) for c in cells]
    values = np.concatenate(cells, dtype=np.float64, casting="unsafe")
    if np.isinf(values).any():
        owner, row = (x[np.isinf(values)][0] for x in owner_and_row(lengths))
        raise TableError(f"{where[owner]} column '{name}' is infinite at row {row}; mask it or set it to NaN.")
    units = [_unit_name(column) for column in columns]
    for given in dict.fromkeys(units):
        rows = np.repeat([one == given for one in units], lengths)
        values[rows] = convert(values[rows], given, unit, f"{where[units.index(given)]} column '{name}'", whose)
    return values


def owner_and_row(lengths) -> tuple[np.ndarray, np.ndarray]:
    """Return for points of objects end to end the index of the object and the row in it."""
    owner = np.repeat(np.arange(len(lengths)), lengths)
    return owner, np.arange(len(owner)) - (np.cumsum(lengths) - lengths)[owner]


def _real(column, name: str, where: str) -> np.ndarray:
    """Return the cells of a column, NaN where it is masked; TableError if they are not one real number per row."""
    cells, mask = bare(column)
    if cells.ndim != 1 or cells.dtype.kind not in "iufb":
        kind = {"c": "complex numbers", "U": "text", "S": "text", "O": "Python objects"}.get(cells.dtype.kind)
        kind = kind or f"{cells.dtype} of {cells.ndim - 1} further dimensions"
        raise TableError(f"{where} column '{name}' holds {kind}; one real number per row is needed.")
    return cells if mask is None else floats(column)


def numbers_or_draws(table: Table, name: str, where: str, unit: str | None = None) -> np.ndarray:
    """Return what `numbers` does of a column that may have a further axis for draws."""
    shape = table[name].shape
    if len(shape) == 2:
        table = Table({name: table[name].reshape(-1)})
    return numbers(table, name, where, unit).reshape(shape)


def unit_of(table: Table, name: str) -> str | None:
    """Return the unit of a column as a string, None where it has none."""
    return _unit_name(table[name])


def _unit_name(column) -> str | None:
    if is_time(column):
        return "d"
    return None if column.unit is None else _to_string(column.unit)


@lru_cache
def _to_string(unit) -> str:  # takes longer than all the rest of reading a column
    return unit.to_string()


@lru_cache
def unit_named(name: str):
    """Return the unit of a name that `unit_of` gave, also of one that astropy does not know."""
    return u.Unit(name, parse_strict="silent")


def unit_of_error(unit: str | None) -> str | None:
    """Return the unit of the errors of values in `unit`: "mag" for "mag(AB)", else the same."""
    return unit if unit is None else getattr(unit_named(unit), "function_unit", unit_named(unit)).to_string()


#: in the meta of a column whose name and unit do not say whether it is in magnitudes
MAGNITUDE = "magnitude"


def is_magnitude(name: str, unit: str | None, mark: bool | None = None) -> bool:
    """Return whether a column is in magnitudes: by the mark of a step, its unit or, without one, by its name."""
    if mark is not None:
        return mark
    if unit is None:
        return name.lower().startswith("mag")
    return getattr(unit_named(unit), "function_unit", unit_named(unit)) == u.mag


def convert(values, given: str | None, wanted: str | None, where: str, whose: str = "fit"):
    """Return numbers in another unit; those without one are in it already, which is that of fit or of an object.

    Raises
    ------
    TableError
        If that cannot be.
    """
    if given in (None, wanted) or (given == "" and wanted is None):  # "": dimensionless
        return values
    if wanted is None:
        raise TableError(f"{where} has unit '{given}', but {whose} had none. Remove it, or add it there.")
    try:
        return unit_named(given).to(unit_named(wanted), values, equivalencies=u.spectral())
    except ValueError:  # of units that astropy does not know it is no UnitConversionError
        raise TableError(f"{where} has unit '{given}', which cannot be converted to '{wanted}' of {whose}.") from None


def labels(table: Table, name: str, where: str = "The object") -> np.ndarray:
    """Return a column of labels as an array of str, "" where it is masked; TableError if it is not one per row."""
    return labels_of([table], name, [where])


def labels_of(objects: list[Table], name: str, where: list[str]) -> np.ndarray:
    """Return a column of labels of many Tables end to end, as `labels` does that of one."""
    cells, masks = zip(*(bare(table.columns[name]) for table in objects), strict=True)
    for i, cell in enumerate(cells):
        if cell.ndim != 1:
            raise TableError(
                f"{where[i]} column '{name}' has {cell.ndim - 1} further dimensions; one label per row is needed."
            )
    alike = len({c.dtype.kind if c.dtype.kind in "US" else c.dtype for c in cells}) == 1
    try:
        text = _as_text(np.concatenate(cells)) if alike else np.concatenate([_as_text(c) for c in cells])
    except UnicodeDecodeError:
        raise TableError(f"{where[0]} column '{name}' holds bytes that are not UTF-8; decode them before.") from None
    if all(mask is None for mask in masks):
        return text
    hidden = [np.zeros(len(c), bool) if mask is None else mask for c, mask in zip(cells, masks, strict=True)]
    return np.where(np.concatenate(hidden), "", text)


def _as_text(values: np.ndarray) -> np.ndarray:
    """Decode bytes, number and object labels; "g", b"g" and np.str_("g") are one label."""
    if values.dtype.kind == "S":
        values = _decoded(values)
    if values.dtype.kind == "O":
        values = [v.decode() if isinstance(v, bytes) else "" if v is None else str(v) for v in values]
    return np.char.strip(np.asarray(values).astype(str))


def _decoded(values: np.ndarray) -> np.ndarray:
    try:
        return values.astype(str)  # ASCII only, a hundred times as fast
    except UnicodeDecodeError:
        return np.char.decode(values, "utf-8")


# --- writing back -----------------------------------------------------------------------------------


def write(like: Table, columns: dict, value: str, unit: str | None) -> Table:
    """Build a Table (a QTable if `like` is one) of columns, one of which is new and gets its unit here."""
    kind = QTable if isinstance(like, QTable) else Table
    if unit is not None:
        new = columns[value]
        columns = columns | {value: new << unit_named(unit) if kind is QTable else Column(new, unit=unit)}
    return kind(columns, meta=dict(like.meta))


def first_duplicate(names: Iterable[str]) -> str | None:
    """Return the first name that occurs twice, ignoring case."""
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            return name
        seen.add(name.lower())
    return None
