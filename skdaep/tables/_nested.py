"""Convert data frames with one row per object and lists in the cells to one Table per object."""

from __future__ import annotations

import sys

import numpy as np

from ..exceptions import TableError
from ._arrow import common_lengths, flattened, is_type_of_points, refuse_twice, units_of
from ._flat import FlatTables, masked
from ._frames import names_of, package_of
from ._metadata import listed
from ._series import array_of, check_named, is_known, listed_once


def from_nested(frame, columns=None, *, by=None, meta=(), units=None):
    """Make Tables from a data frame with one row per object, whose points are in lists.

    This is the layout of nested-pandas, HATS and LSDB, and of Parquet files such as those of the Multimodal Universe:
    several columns of lists (``mjd``, ``flux``, ...), or one column with all of them, as a nested column, a struct of
    lists or a list of structs. The Tables are made on demand from the Arrow arrays.

    Parameters
    ----------
    frame : DataFrame of pandas or polars, NestedFrame, pyarrow.Table, awkward.Array, or datasets.Dataset
        One row per object: of nested-pandas, of Hugging Face's datasets (one split), or an awkward array of records,
        or of lists of records.
    columns : str or sequence of str, default=None
        Columns of lists that together hold the points. None takes all columns that hold lists.
    by : str, default=None
        Column that names the objects. None uses the pandas index, or else the row number.
    meta : sequence of str, default=()
        Columns that become the ``table.meta`` of the objects; null means absent.
    units : dict, default=None
        Name of a column of the Tables -> unit. Of a pyarrow.Table, columns not named here have the unit that its schema
        tells, if it does.

    Returns
    -------
    objects : FlatTables
        A list of Tables, one for each row.
    ids : ndarray of shape (n_objects,)
        The name of the object of each Table.

    Raises
    ------
    TableError
        If a column is missing or holds no lists, or lists of one object differ in length.
    ImportError
        If pyarrow is missing: ``pip install skdaep[data]``.

    See Also
    --------
    from_long : One row per point.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdaep.tables import from_nested
    >>> frame = pd.DataFrame({"z": [0.1, 0.3], "mjd": [[1.0, 2.0], [5.0]], "mag": [[18.1, 18.2], [20.0]]})
    >>> objects, ids = from_nested(frame, meta=("z",))
    >>> objects[0].colnames, objects[1].meta, ids.tolist()
    (['mjd', 'mag'], {'z': 0.3}, [0, 1])
    """
    index = getattr(frame, "index", None)
    frame = _arrow(frame)
    if not frame.num_rows:
        raise TableError("The data frame is empty: it has no row.")
    chosen = _chosen(frame, columns)
    keys = list(dict.fromkeys([*([] if by is None else [by]), *listed_once(meta)]))
    for key in keys:
        check_named(key, frame.column_names, "by or meta")
    flat, ends = _joined(frame, chosen)
    for name in units or ():
        check_named(name, list(flat), "units")
    units = {k: v for k, v in units_of(frame.schema).items() if k in flat} | dict(units or {})
    per_object = {key: array_of(_series(frame[key], key)) for key in keys}
    ids = np.arange(frame.num_rows) if index is None else np.asarray(index)
    objects = FlatTables(
        columns={name: array_of(_series(values, name)) for name, values in flat.items()},
        starts=np.append(0, ends[:-1]),
        ends=ends,
        units=units,
        meta={key: masked(values[:], ~is_known(values)) for key, values in per_object.items()},
    )
    return objects, ids if by is None else per_object[by][:]


def _arrow(frame):
    """Return a data frame as a pyarrow.Table."""
    import narwhals as nw

    try:
        import pyarrow as pa
    except ImportError:
        raise ImportError("from_nested needs pyarrow: pip install skdaep[data]") from None
    refuse_twice(names_of(frame) or (), "The data frame")
    read = {"awkward": _of_awkward, "datasets": _of_hugging_face}.get(package_of(frame))
    try:
        return nw.from_native(frame, eager_only=True).to_arrow() if read is None else read(frame)
    except (TypeError, ValueError, nw.exceptions.NarwhalsError, pa.ArrowException) as error:
        raise TableError(f"A {type(frame).__name__} is not a data frame that can be read: {error}") from None


def _of_awkward(array):
    """Return an awkward array as a pyarrow.Table; its package is already loaded."""
    return sys.modules["awkward"].to_arrow_table(array, list_to32=False, extensionarray=False)


def _of_hugging_face(dataset):
    """Return a data set of Hugging Face as a pyarrow.Table."""
    if isinstance(dataset, dict):
        raise TableError(f"A {type(dataset).__name__} has several splits; choose one of: {listed(dataset)}.")
    if not hasattr(dataset, "num_rows"):
        raise TableError(
            f"An {type(dataset).__name__} is a stream; pass its batches one by one, each a pyarrow.Table: "
            f'dataset.with_format("arrow").iter(batch_size=1000).'
        )
    return dataset.with_format("arrow")[:]


def fields_of(frame, columns=None) -> list[str]:
    """Return the column names that Tables made from a data frame would have, even if it has no rows."""
    frame = _arrow(frame)
    return [name for column in _chosen(frame, columns) for name in flattened(_whole(frame[column]), column)[0]]


def _chosen(frame, columns) -> list[str]:
    """Return the columns that hold the points: the named ones, or else all that hold lists."""
    lists = [field.name for field in frame.schema if is_type_of_points(field.type)]
    chosen = lists if columns is None else [columns] if isinstance(columns, str) else list(columns)
    for name in chosen:
        check_named(name, frame.column_names, "columns")
    if not chosen:
        raise TableError(f"No column holds lists (it has: {listed(frame.column_names)}); see from_long.")
    return chosen


def _joined(frame, names: list[str]) -> tuple[dict, np.ndarray]:
    """Return the points of all objects by name, and the row after the last one of each object."""
    flat, lengths = {}, {}
    for name in names:
        fields, lengths[name] = flattened(_whole(frame[name]), name)
        if twice := fields.keys() & flat.keys():
            raise TableError(f"Several of the columns {listed(names)} hold {min(twice)!r}; choose one of them.")
        flat |= fields
    return flat, np.cumsum(common_lengths(lengths))


def _whole(column):
    """Return a column in one piece."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _series(values, name: str):
    import narwhals as nw
    import pyarrow as pa

    return nw.from_native(pa.table({name: values}), eager_only=True)[name]
