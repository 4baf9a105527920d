"""Read labels of objects from arrays, Quantities, Tables or data frames, as numbers or classes."""

from __future__ import annotations

from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from astropy import units as u
from astropy.table import Column, QTable, Table

from ..exceptions import TableError
from ._arrays import bare
from ._frames import names_of
from ._metadata import ABSENT
from ._units import unit_of_column

#: whole numbers are classes, unless there are more than this many and more than a tenth of the number of objects
MOST_CLASSES = 30


class LabelColumns(NamedTuple):
    """Columns of numbers, NaN where unknown, or of classes, None where unknown."""

    columns: list[np.ndarray]  # (n,) of float64 or of objects
    form: str  # type of y, such as "array" or "table"
    names: tuple[str, ...]
    units: tuple[str | None, ...]
    flat: bool  # whether y had the shape (n,)


def read_labels(y) -> LabelColumns:
    """Return labels (n,) or (n, t) from an array, list, Quantity, Table or data frame.

    Raises
    ------
    TableError
        If they are neither numbers nor classes.
    """
    if isinstance(y, Table):
        names = tuple(y.colnames)
        columns = [_cells(y[k], f"y[{k!r}]") for k in names]
        return LabelColumns(columns, "table", names, tuple(_unit(y[k]) for k in names), False)
    if (names := names_of(y)) is not None:
        return _of_frame(y, tuple(map(str, names)))
    if hasattr(y, "to_list") and not isinstance(y, np.ndarray):  # a column of a data frame
        y = _of_series(y)
    unit = _unit(y)
    form = "array" if unit is None else "quantity"
    shape = np.shape(y if isinstance(y, np.ndarray) else np.asarray(y, dtype=object))
    if len(shape) not in (1, 2) or shape[-1] == 0:
        raise TableError(f"y has shape {shape}; (n_objects,) or (n_objects, n_targets) is needed.")
    if len(shape) == 1:
        return LabelColumns([_cells(y, "y")], form, (), (unit,), True)
    y = y if isinstance(y, np.ndarray) else np.asarray(y, dtype=object)
    return LabelColumns([_cells(y[:, j], f"y[:, {j}]") for j in range(shape[1])], form, (), (unit,) * shape[1], False)


def write_labels(values: np.ndarray, form: str, names: tuple[str, ...], units: tuple[str | None, ...], levels=()):
    """Return values (n, t), or (n, t, q) at q levels, in the form of the labels.

    A data frame gets a column ``name_level`` for each level, a Table columns of shape (n, q).
    """
    if form == "array":
        return values
    if form == "quantity":
        return values * u.Unit(units[0])
    if form == "table":
        own = zip(names, units, np.moveaxis(values, 1, 0), strict=True)
        return QTable({k: x if unit is None else x * u.Unit(unit) for k, unit, x in own})
    import narwhals as nw

    called = [f"{k}_{level:g}" for k in names for level in levels] if levels else names
    cells = values.reshape(len(values), -1)
    return nw.from_dict({k: cells[:, j] for j, k in enumerate(called)}, backend=form).to_native()


def plain_labels(values, form: str, n: int) -> np.ndarray:
    """Return the output of `write_labels` for n columns as numbers (n_objects, n, n_levels)."""
    if form == "table":
        values = np.stack([np.asarray(values[k]) for k in values.colnames], 1)
    elif form not in ("array", "quantity"):
        import narwhals as nw

        values = nw.from_native(values).to_numpy()
    return np.reshape(np.asarray(values), (len(values), n, -1))


def _unit(x) -> str | None:
    return unit_of_column(x) if isinstance(x, (u.Quantity, Column)) else None


def _of_frame(y, names: tuple[str, ...]) -> LabelColumns:
    import narwhals as nw

    frame = nw.from_native(y)
    columns = [_cells(_of_series(frame[name]), f"y[{name!r}]") for name in frame.columns]
    return LabelColumns(columns, frame.implementation.value, names, (None,) * len(names), False)


def _of_series(series) -> np.ndarray:
    """Return a column of a data frame, None or NaN where it is null."""
    import narwhals as nw

    series = nw.from_native(series, series_only=True)
    return series.to_numpy() if series.dtype.is_float() else np.array([*series.to_list(), None], object)[:-1]


def _cells(x, label_name: str) -> np.ndarray:
    """Return a column as float64 with NaN, or as objects with None, where unknown."""
    cells, mask = bare(x if isinstance(x, np.ndarray) else np.asarray(x, dtype=object))
    masked = np.zeros(len(cells), bool) if mask is None else mask
    if cells.dtype.kind == "f" or (cells.dtype.kind in "iu" and _unit(x) is not None):
        values = np.where(masked, np.nan, cells.astype(np.float64))
    else:
        values = _of_objects([_plain(c) for c in cells.tolist()], masked, label_name)
    if values.dtype != object and np.isinf(values).any():
        raise TableError(
            f"{label_name} is infinite at object {int(np.argmax(np.isinf(values)))}; set it to NaN if unknown."
        )
    return values


def _plain(cell):
    cell = cell.decode(errors="replace") if isinstance(cell, bytes) else cell
    cell = cell.strip() if isinstance(cell, str) else cell
    return cell.item() if isinstance(cell, np.generic) else cell


def _of_objects(cells: list, masked: np.ndarray, label_name: str) -> np.ndarray:
    known = [i for i, cell in enumerate(cells) if not masked[i] and str(cell) not in ABSENT]
    kinds = {_kind(cells[i], label_name, i) for i in known}
    if "number" in kinds and kinds <= {"number", "whole number"}:
        values = np.full(len(cells), np.nan)
        values[known] = [float(cells[i]) for i in known]
        return values
    if len(kinds) > 1:
        first = {kind: next(i for i in known if _kind(cells[i], label_name, i) == kind) for kind in sorted(kinds)}
        told = " and ".join(f"a {kind} at object {i} ({cells[i]!r})" for kind, i in first.items())
        raise TableError(f"{label_name} holds {told}; make all of them numbers, or all text.")
    values = np.full(len(cells), None, object)
    values[known] = [cells[i] for i in known]
    n = len({cells[i] for i in known})
    if kinds == {"whole number"} and n > max(MOST_CLASSES, len(known) / 10):
        raise TableError(
            f"{label_name} holds {n} different whole numbers for {len(known)} objects. Make them floats to predict "
            "numbers, or text if they stand for classes."
        )
    return values


def _kind(cell, label_name: str, i: int) -> str:
    for kind, cls in {"truth value": bool, "whole number": Integral, "number": Real, "text": str}.items():
        if isinstance(cell, cls):
            return kind
    raise TableError(f"{label_name} holds a {type(cell).__name__} at object {i}; numbers or classes are needed.")
