"""Read columns of Tables in a given unit, and write them back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from astropy.table import Column, QTable, Table
from astropy.time import ScaleValueError, Time

from ..exceptions import TableError
from ._arrays import bare, floats
from ._flat import FlatTables, Labels
from ._units import convert, dex_of, says_log, unit_named, unit_of_column


def numbers(table: Table, name: str, object_name: str, unit: str | None = None, **options) -> np.ndarray:
    """Return a column as a new float64 array in `unit`, NaN where masked; `options` are those of `numbers_of`.

    Raises
    ------
    TableError
        If the column does not hold one real number per row, holds an infinite value, or has a unit that cannot be
        converted.
    """
    return numbers_of([table], name, [object_name], unit, **options)


def numbers_of(
    objects: Sequence[Table],
    name: str,
    object_names: list[str],
    unit: str | None = None,
    whose: str = "fit",
    *,
    scale: str | None = None,
    without: Callable[[Table], str | None] | None = None,
    finite: bool = True,
) -> np.ndarray:
    """Return a column of many Tables, concatenated, like `numbers`.

    `whose` says where `unit` comes from, `scale` is that of times, and `without` is the unit of columns without a unit.
    With ``finite=False`` infinite numbers are allowed. For `FlatTables` an error may name another object.
    """
    if isinstance(objects, FlatTables):
        objects, object_names = [objects.whole([name])], object_names[:1]
    columns = [table.columns[name] for table in objects]
    cells = [_real(column, name, place, scale) for column, place in zip(columns, object_names, strict=True)]
    lengths = [len(c) for c in cells]
    values = np.concatenate(cells, dtype=np.float64, casting="unsafe")
    if finite and np.isinf(values).any():
        owner, row = (x[np.isinf(values)][0] for x in owner_and_row(lengths))
        raise TableError(f"{object_names[owner]} column '{name}' is infinite at row {row}; mask it or set it to NaN.")
    units = [unit_of_column(column) for column in columns]
    if without is not None and None in units:
        units = [without(table) if one is None else one for one, table in zip(units, objects, strict=True)]
    if unit is not None and says_log(name) and dex_of(unit) is None:  # such as loglam, if the fit was in Angstrom
        units = ["dex(Angstrom)" if one in (None, "dex") else one for one in units]
    if len(set(units)) == 1:
        return convert(values, units[0], unit, f"{object_names[0]} column '{name}'", whose)
    for given in dict.fromkeys(units):
        rows = np.repeat([one == given for one in units], lengths)
        values[rows] = convert(values[rows], given, unit, f"{object_names[units.index(given)]} column '{name}'", whose)
    return values


def owner_and_row(lengths) -> tuple[np.ndarray, np.ndarray]:
    """Return, for concatenated points, the index of the object and the row in it."""
    owner = np.repeat(np.arange(len(lengths)), lengths)
    return owner, np.arange(len(owner)) - (np.cumsum(lengths) - lengths)[owner]


def _real(column, name: str, object_name: str, scale: str | None = None) -> np.ndarray:
    """Return the cells of a column, NaN where masked; TableError if they are not one real number per row."""
    if scale is not None and isinstance(column, Time) and column.scale != scale:
        column = _in_scale(column, scale, f"{object_name} column '{name}'")
    cells, mask = bare(column)
    if cells.ndim != 1 or cells.dtype.kind not in "iufb":
        raise TableError(f"{object_name} column '{name}' holds {_shown(cells, mask)}")
    return cells if mask is None else floats(column)


def _shown(cells: np.ndarray, mask: np.ndarray | None) -> str:
    """Describe what a column holds instead of numbers, with the first such cell, and what to do about it."""
    needed = "one real number per row is needed."
    if cells.ndim != 1:
        return f"{cells.dtype} of {cells.ndim - 1} further dimensions; {needed}"
    kind = {"c": "complex numbers", "O": "Python objects"}.get(cells.dtype.kind, "text")
    if cells.dtype.kind not in "USO":
        return f"{kind}; {needed}"
    rows = range(len(cells)) if mask is None else np.flatnonzero(~mask)
    odd = next((i for i in rows if not _is_number(cells[i])), None)
    if odd is None:
        return f"{kind}, though numbers all of it; {needed} Make it so with .astype(float)."
    cell = cells[odd].decode(errors="replace") if isinstance(cells[odd], bytes) else cells[odd]
    shown = repr(str(cell) if isinstance(cell, str) else cell)[:40]
    hints = {r"\s*[<>]": "An upper limit? Set", r"\s*\d{4}-\d\d-\d\d": "A date? Make a Time of the column; else set"}
    hint = next((hint for start, hint in hints.items() if isinstance(cell, str) and re.match(start, cell)), "Set")
    return f"{kind}, {shown} at row {odd}; {needed} {hint} it to NaN, or to a number with a flag for quality=."


def _is_number(cell) -> bool:
    try:
        float(cell)
    except (TypeError, ValueError):
        return False
    return True


def time_scale(column) -> str | None:
    """Return the time scale of a column of times, None for other columns."""
    return column.scale if isinstance(column, Time) else None


def _in_scale(column: Time, scale: str, object_name: str) -> Time:
    try:
        return getattr(column, scale)
    except (ScaleValueError, IndexError) as error:  # local times cannot be converted, and UT1 only for past dates
        raise TableError(
            f"{object_name} is in {column.scale}, which cannot be converted to {scale} of fit: {error}"
        ) from None


def numbers_or_draws(table: Table, name: str, object_name: str, unit: str | None = None, **options) -> np.ndarray:
    """Return a column like `numbers`, but allow an additional axis of draws."""
    shape = table[name].shape
    if len(shape) == 2:
        table = Table({name: table[name].reshape(-1)})
    return numbers(table, name, object_name, unit, **options).reshape(shape)


def labels(table: Table, name: str, object_name: str = "The object") -> np.ndarray:
    """Return a column of labels as an array of str, "" where masked; TableError if it is not one label per row."""
    return labels_of([table], name, [object_name])


def labels_of(objects: Sequence[Table], name: str, object_names: list[str]) -> np.ndarray | Labels:
    """Return a column of labels of many Tables, concatenated, like `labels`; for FlatTables as Labels."""
    if isinstance(objects, FlatTables):
        return _flat_labels(objects, name, object_names)
    cells, masks = zip(*(bare(table.columns[name]) for table in objects), strict=True)
    for i, cell in enumerate(cells):
        if cell.ndim != 1:
            raise TableError(
                f"{object_names[i]} column '{name}' has {cell.ndim - 1} further dimensions; "
                "one label per row is needed."
            )
    one_kind = len({c.dtype.kind if c.dtype.kind in "US" else c.dtype for c in cells}) == 1
    try:
        text = _as_text(np.concatenate(cells)) if one_kind else np.concatenate([_as_text(c) for c in cells])
    except UnicodeDecodeError:
        raise TableError(
            f"{object_names[0]} column '{name}' holds bytes that are not UTF-8; decode them before."
        ) from None
    if all(mask is None for mask in masks):
        return text
    hidden = [np.zeros(len(c), bool) if mask is None else mask for c, mask in zip(cells, masks, strict=True)]
    return np.where(np.concatenate(hidden), "", text)


def distinct_labels(objects: Sequence[Table], name: str) -> tuple[np.ndarray, int]:
    """Return the labels in a column, and the largest number of different labels in one object."""
    if not isinstance(objects, FlatTables):
        several = [np.unique(labels(t, name)) for t in objects if name in t.columns]
        return np.unique(np.concatenate(several)), max(map(len, several))
    text = labels_of(objects, name, ["The object"])
    found, codes = np.unique(text[:], return_inverse=True)
    pairs = np.unique(np.repeat(np.arange(len(objects)), objects.lengths) * len(found) + codes)
    return found, int(np.bincount(pairs // len(found)).max())


def _flat_labels(objects: FlatTables, name: str, object_names: list[str]) -> np.ndarray | Labels:
    column = objects.column(name)
    if isinstance(column, Labels):
        return Labels(column.codes, _as_text(column.names))
    whole = objects.whole([name])
    cells, mask = bare(whole.columns[name])
    if cells.ndim != 1 or cells.dtype.kind not in "iufb":
        return labels_of([whole], name, object_names[:1])
    distinct, codes = np.unique(cells, return_inverse=True)
    text = np.append(_as_text(distinct), "")
    return Labels(codes if mask is None else np.where(mask, len(text) - 1, codes), text)


def _as_text(values: np.ndarray) -> np.ndarray:
    """Turn labels of bytes, numbers or objects into text, "" where absent.

    "g", b"g" and np.str_("g") are the same label, and so are 1, 1.0 and "1".
    """
    if values.dtype.kind == "S":
        values = _decoded(values)
    if values.dtype.kind in "fO":
        values = [_label(v) for v in values.tolist()]
    text = np.char.strip(np.asarray(values).astype(str))
    if text.dtype.itemsize >= _SHORTEST_ABSENT:
        text[np.isin(text, _ABSENT)] = ""
    return text


#: what numpy and pandas write into text columns for missing values
_ABSENT = ("nan", "None", "<NA>", "NaT")
_SHORTEST_ABSENT = np.dtype("U3").itemsize


def _label(value) -> str:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return "" if value is np.ma.masked or value is None else str(value)


def _decoded(values: np.ndarray) -> np.ndarray:
    try:
        return values.astype(str)  # a hundred times faster, but only for ASCII
    except UnicodeDecodeError:
        return np.char.decode(values, "utf-8")


# --- writing back -----------------------------------------------------------------------------------


def write(template: Table, columns: dict, value: str, unit: str | None) -> Table:
    """Build a Table (a QTable if `template` is one) from columns, one of which is new and gets its unit here."""
    kind = QTable if isinstance(template, QTable) else Table
    if unit is not None:
        new = columns[value]
        columns = columns | {value: new << unit_named(unit) if kind is QTable else Column(new, unit=unit)}
    return kind(columns, meta=dict(template.meta))


def first_duplicate(names: Iterable[str]) -> str | None:
    """Return the first name that occurs twice, ignoring case."""
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            return name
        seen.add(name.lower())
    return None
