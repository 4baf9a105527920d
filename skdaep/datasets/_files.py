"""Parquet and HDF5 files as objects: dicts of arrays, numbers and labels."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from .. import tables
from ..exceptions import TableError
from ._cache import require


def objects_in(path: Path, caller: str, n: int | None = None) -> Iterator[dict]:
    """Yield the first n objects of a file.

    A group of columns, such as ``spectrum`` of a Parquet file, is a dict of arrays.
    """
    readers = {".parquet": _parquet_objects, ".hdf5": _hdf5_objects, ".h5": _hdf5_objects}
    if path.suffix not in readers:
        raise TableError(f"{path} is neither a Parquet (.parquet) nor an HDF5 file (.hdf5, .h5).")
    return islice(readers[path.suffix](path, caller, n), n)


def positive(errors: np.ndarray) -> np.ndarray:
    """Return errors with NaN, that is unknown, in place of those that are no positive number."""
    return np.where((errors > 0) & np.isfinite(errors), errors, np.nan)


# --- Parquet ----------------------------------------------------------------------------------------


def parquet_file(path: Path, caller: str):
    """Return an open `pyarrow.parquet.ParquetFile`."""
    parquet = require("pyarrow.parquet", caller)
    try:
        return parquet.ParquetFile(path, pre_buffer=False)  # pyarrow's buffer holds all that was read of a file
    except ValueError as error:  # such as pyarrow.ArrowInvalid
        raise TableError(f"{path} is not a Parquet file: {error}") from error


def _parquet_objects(path: Path, caller: str, n: int | None) -> Iterator[dict]:
    for batch in parquet_file(path, caller).iter_batches(batch_size=64):
        names = batch.schema.names
        cells = (_cells(c, f"{path} column '{name}'") for name, c in zip(names, batch.columns, strict=True))
        yield from (dict(zip(names, row, strict=True)) for row in zip(*cells, strict=True))


def _cells(column, path: str) -> list:
    """Return for each object a dict of a group, an array of a list and a plain object of anything else."""
    column = tables.storage(column)
    if tables.is_list(column.type):
        cells = _listed(column, path)
    elif hasattr(column, "field"):  # struct
        names = [field.name for field in column.type]
        parts = [_cells(part, f"{path}.{name}") for name, part in zip(names, column.flatten(), strict=True)]
        cells = [dict(zip(names, row, strict=True)) for row in zip(*parts, strict=True)]
    else:
        return column.to_pylist()
    return [cell if there else None for cell, there in zip(cells, column.is_valid().to_pylist(), strict=True)]


def _listed(column, path: str) -> list:
    """Return an array for each object, or a dict of them where a list holds structs."""
    flat, lengths = tables.flattened(column, "")
    ends = np.cumsum(lengths).tolist()
    places = list(zip([0, *ends], ends, strict=False))
    if list(flat) == [""]:
        return [_array(flat[""][start:end], path) for start, end in places]
    return [{name: _array(v[start:end], f"{path}.{name}") for name, v in flat.items()} for start, end in places]


def _array(values, path: str) -> np.ndarray:
    """Return (nested) lists as an array; the lists of one level must be equally long."""
    values = tables.storage(values)
    if not tables.is_list(values.type) or not len(values):
        return values.to_numpy(zero_copy_only=False)
    flat, lengths = tables.flattened(values, path)
    if len(set(lengths)) > 1:
        found = sorted(set(lengths.tolist()))[:5]
        raise TableError(f"{path} holds lists of lengths {found}; they must be equally long.")
    if path not in flat:
        raise TableError(f"{path} holds structs within lists of lists: not a layout that this reader knows.")
    inner = _array(flat[path], path)
    return inner.reshape(len(values), int(lengths[0]), *inner.shape[1:])


# --- HDF5 -------------------------------------------------------------------------------------------


def hdf5_columns(path: Path, caller: str, names: tuple[str, ...] | None = None, rows=slice(None)) -> dict:
    """Return data sets of an HDF5 file as arrays: some rows of all, or of those named."""
    h5py = require("h5py", caller)
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise TableError(f"{path} is not an HDF5 file: {error}") from error
    with file:
        there = {name for name in file if isinstance(file[name], h5py.Dataset)}
        for name in names or ():
            if name not in there:
                raise TableError(f"{path} has no data set '{name}' (it has: {', '.join(sorted(there)) or 'none'}).")
        return {name: file[name][rows] if file[name].shape else file[name][()] for name in names or sorted(there)}


def _hdf5_objects(path: Path, caller: str, n: int | None) -> Iterator[dict]:
    """Yield the rows of a file whose data sets have one entry per object, or the one object of a file without rows."""
    alone = np.ndim(hdf5_columns(path, caller, ("object_id",))["object_id"]) == 0
    columns = hdf5_columns(path, caller, rows=slice(None if alone else n))
    if alone:
        yield {name: _plain(value) for name, value in columns.items()}
        return
    total = len(columns["object_id"])
    short = [name for name, value in columns.items() if np.shape(value)[:1] != (total,)]
    if short:
        raise TableError(f"{path} data set '{short[0]}' does not have one entry for each of the {total} objects.")
    for i in range(total):
        yield {name: _plain(value[i]) for name, value in columns.items()}


def _plain(value):
    if isinstance(value, np.generic):
        value = value.item()
    return value.decode() if isinstance(value, bytes) else value
