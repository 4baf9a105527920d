"""Parquet and HDF5 files as objects: dicts of arrays, numbers and labels."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

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
        return parquet.ParquetFile(path)
    except ValueError as error:  # pyarrow.ArrowInvalid
        raise TableError(f"{path} is not a Parquet file: {error}") from error


def _parquet_objects(path: Path, caller: str, n: int | None) -> Iterator[dict]:
    for batch in parquet_file(path, caller).iter_batches(batch_size=64):
        columns = {name: _storage(column) for name, column in zip(batch.schema.names, batch.columns, strict=True)}
        for i in range(len(batch)):
            yield {name: _value(column[i], f"{path} column '{name}'") for name, column in columns.items()}


def _storage(column):
    return getattr(column, "storage", column)  # of an extension type, as the arrays of Hugging Face's datasets have


def _value(scalar, where: str):
    """Return a dict of a group, an array of a list and a plain object of anything else."""
    if not scalar.is_valid:
        return None
    if hasattr(scalar.type, "storage_type"):
        scalar = scalar.value
    if hasattr(scalar, "keys"):  # struct
        return {name: _value(scalar[name], f"{where}.{name}") for name in scalar}
    if not hasattr(scalar, "values"):
        return scalar.as_py()
    values = scalar.values
    if hasattr(values, "field"):  # a list of structs: a table the other way round
        names = [values.type.field(i).name for i in range(values.type.num_fields)]
        return {name: _array(values.field(name), f"{where}.{name}") for name in names}
    return _array(values, where)


def _array(values, where: str) -> np.ndarray:
    """Return (nested) lists as an array; the lists of one level must be equally long."""
    values = _storage(values)
    if not hasattr(values, "value_lengths") or not len(values):
        return values.to_numpy(zero_copy_only=False)
    lengths = set(values.value_lengths().to_pylist())
    if len(lengths) > 1:
        raise TableError(f"{where} holds lists of lengths {sorted(lengths, key=str)[:5]}; they must be equally long.")
    inner = _array(values.flatten(), where)
    return inner.reshape(len(values), lengths.pop(), *inner.shape[1:])


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
