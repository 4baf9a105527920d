"""Read rows of 2-D arrays and of similar containers."""

from __future__ import annotations

import sys
from numbers import Number, Rational

import numpy as np
from astropy import units as u

from ..exceptions import TableError
from ._arrays import bare, floats
from ._objects import check_collection, is_listing, iterate


def rows(X, name: str = "X"):
    """Return X, which is meant to be a 2-D array of numbers, with NaN where masked.

    `sklearn.utils.validation.validate_data` checks everything else.

    Raises
    ------
    TableError
        If X is not a collection, rows differ in length, or cells have units or are not numbers.
    """
    check_collection(X, name)
    if hasattr(X, "to_numpy"):  # a DataFrame is kept, because scikit-learn stores the names of its columns
        _numbers(X.to_numpy(), name)
        return X
    if not is_listing(X):
        return _numbers(X, name) if isinstance(X, np.ndarray) else X
    parts = [_numbers(_array(x, f"{name}[{i}]"), f"{name}[{i}]") for i, x in enumerate(iterate(X))]
    for i, part in enumerate(parts):
        if part.shape != parts[0].shape:
            raise TableError(
                f"{name}[{i}] has shape {part.shape}, but {name}[0] has {parts[0].shape}; rows must be equally long. "
                f"Use Tables for objects that differ in length."
            )
    return np.array(parts)


def _array(x, object_name: str) -> np.ndarray:
    try:
        return x if isinstance(x, np.ndarray) else np.asarray(x)
    except (TypeError, ValueError):
        raise TableError(f"{object_name}, a {type(x).__name__}, is not a row of numbers.") from None


def _numbers(x: np.ndarray, object_name: str) -> np.ndarray:
    """Return an array with NaN where masked; TableError if it has a unit or holds anything but numbers."""
    unit = getattr(x, "unit", None) or getattr(np.ma.getdata(x), "unit", None)
    if unit is not None and unit != u.dimensionless_unscaled:
        raise TableError(f"{object_name} has unit '{unit}', which arrays cannot have; pass its .value, or Tables.")
    odd = [True] if x.dtype.kind in "USTMmV" and x.size else ()
    if x.dtype.kind == "O":
        odd = [_is_odd(cell) for cell in x.flat]
    if any(odd):
        *row, column = np.unravel_index(odd.index(True), x.shape) if x.ndim else [0]
        place = "".join(f"[{i}]" for i in row)
        cell = x[(*row, column)] if x.ndim else x[()]
        held = f"text at column {column}: {cell!r}" if isinstance(cell, (str, bytes)) else _a(cell, column)
        raise TableError(f"{object_name}{place} holds {held}. Numbers are needed.")
    cells, mask = bare(x)
    return cells if mask is None or not mask.any() else floats(x)


def _is_odd(cell) -> bool:
    """Return whether a Python object in a cell is neither a number nor missing. scikit-learn itself refuses dicts."""
    known = isinstance(cell, (Number, dict)) or cell is None or type(cell).__name__ in ("NAType", "MaskedConstant")
    return not known or _overflows(cell)


def _overflows(cell) -> bool:
    """Return whether a cell is an integer or a fraction that is too large for a float."""
    return isinstance(cell, Rational) and abs(cell) > sys.float_info.max


def _a(cell, column: int) -> str:
    kind = "number too large for double precision" if isinstance(cell, Rational) else type(cell).__name__
    return f"a {kind} at column {column}"
