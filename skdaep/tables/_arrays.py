"""Plain arrays of whatever holds numbers: rows, columns, images; masked or not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from astropy import units as u
from astropy.table import Column
from astropy.time import Time

from ..exceptions import TableError
from ._objects import check_collection


def rows(X, name: str = "X"):
    """Return X, which is meant as a 2-D array of numbers, with NaN where it is masked.

    All else that must hold of it `sklearn.utils.validation.validate_data` says.

    Raises
    ------
    TableError
        If X is no collection, rows differ in length, or what it holds has a unit or is text.
    """
    check_collection(X, name)
    if hasattr(X, "to_numpy"):  # a DataFrame, of whose columns scikit-learn notes the names
        _numbers(X.to_numpy(), name)
        return X
    if not isinstance(X, Sequence):
        return _numbers(X, name) if isinstance(X, np.ndarray) else X
    parts = [_numbers(x if isinstance(x, np.ndarray) else np.asarray(x), f"{name}[{i}]") for i, x in enumerate(X)]
    for i, part in enumerate(parts):
        if part.shape != parts[0].shape:
            raise TableError(
                f"{name}[{i}] has shape {part.shape}, but {name}[0] has {parts[0].shape}; rows of one array are alike. "
                f"Use Tables for objects that differ in length."
            )
    return np.array(parts)


def _numbers(x: np.ndarray, where: str) -> np.ndarray:
    """Return an array with NaN where it is masked; TableError if it has a unit or holds text."""
    unit = getattr(x, "unit", None) or getattr(np.ma.getdata(x), "unit", None)
    if unit is not None and unit != u.dimensionless_unscaled:
        raise TableError(f"{where} has unit '{unit}', which an array does not keep; pass its .value, or Tables.")
    text = [True] if x.dtype.kind in "UST" else ()
    if x.dtype.kind == "O":
        text = [isinstance(cell, (str, bytes)) for cell in x.flat]
    if any(text):
        *row, column = np.unravel_index(text.index(True), x.shape) if x.ndim else [0]
        place = "".join(f"[{i}]" for i in row)
        raise TableError(f"{where}{place} holds text at column {column}: {x[(*row, column)]!r}. Numbers are needed.")
    cells, mask = bare(x)
    return cells if mask is None or not mask.any() else floats(x)


def floats(x) -> np.ndarray:
    """Return what `bare` takes as a new float64 array, NaN where it is masked; a mask of pixels is for all channels."""
    cells, mask = bare(x)
    values = np.array(cells, np.float64)
    if mask is not None:
        mask = mask.reshape(*mask.shape, *[1] * (values.ndim - mask.ndim))
        values[np.broadcast_to(mask, values.shape)] = np.nan
    return values


def bare(x) -> tuple[np.ndarray, np.ndarray | None]:
    """Return a column, array or NDData as a plain array, and which of its cells are masked, None where none can be."""
    # The two commonest kinds stand first, since each of a million objects has some: a Quantity looks for an attribute
    # that it lacks among all units, and numpy.ma.getdata makes a new Column of a Column.
    if type(x) is u.Quantity:
        return np.asarray(x), None
    cells = x
    if not isinstance(x, Column):
        x = x.mjd if isinstance(x, Time) else x  # the axis of a TimeSeries
        x = x if hasattr(x, "uncertainty") else np.asanyarray(x)
        cells = x.data if hasattr(x, "uncertainty") else x  # NDData
        cells = np.ma.getdata(getattr(cells, "unmasked", cells))
    mask = getattr(x, "mask", None)
    return np.asarray(cells), None if mask is None else np.asarray(mask, bool)
