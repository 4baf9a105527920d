"""Convert long data frames, with one row per point, to one Table per object."""

from __future__ import annotations

import numpy as np

from ..exceptions import TableError
from ._arrow import refuse_twice, units_of
from ._flat import FlatTables, Labels, masked
from ._frames import names_of, package_of
from ._series import array_of, check_named, is_known, listed_once


def from_long(frame, by="object_id", *, meta=(), units=None):
    """Make Tables, one per object, from a data frame with one row per point.

    The Tables are made on demand. Until then the columns of the frame are used directly, without a copy if their
    package allows it. If the rows of an object are not adjacent, 8 bytes per point are added.

    Parameters
    ----------
    frame : DataFrame of pandas or polars, LazyFrame, or pyarrow.Table
        One row per point. The rows of an object keep their order and need not be adjacent. A LazyFrame is collected.
    by : str, default="object_id"
        Column that names the object of each row, or the name of a pandas index.
    meta : sequence of str, default=()
        Columns with one value per object, such as a redshift or a class. They become its ``table.meta``; null means
        absent.
    units : dict, default=None
        Name of a column -> unit. Of a pyarrow.Table, columns not named here have the unit that its schema tells, if it
        does.

    Returns
    -------
    objects : FlatTables
        A list of Tables, in the order in which the objects first appear, with all other columns of the frame. Their
        ``meta`` also contains `by`.
    ids : ndarray of shape (n_objects,)
        The name of the object of each Table.

    Raises
    ------
    TableError
        If a column is missing, a row names no object, or an object has several values of one `meta`.

    See Also
    --------
    from_nested : One row per object, with lists in its cells.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdaep.tables import from_long
    >>> frame = pd.DataFrame({"object_id": [7, 7, 3], "mjd": [1.0, 2.0, 1.0], "mag": [18.1, 18.2, 20.0], "z": 0.1})
    >>> objects, ids = from_long(frame, meta=("z",), units={"mag": "mag"})
    >>> ids.tolist(), len(objects[0]), objects[0].meta
    ([7, 3], 2, {'object_id': 7, 'z': 0.1})
    """
    told = units_of(frame.schema) if package_of(frame) == "pyarrow" else {}
    frame = _opened(frame, by)
    for name, what in ((by, "by"), *((m, "meta") for m in listed_once(meta)), *((c, "units") for c in units or ())):
        check_named(name, frame.columns, what)
    ids, owner = _owners(frame[by], by)
    order = None if (np.diff(owner) >= 0).all() else np.argsort(owner, kind="stable")
    ends = np.cumsum(np.bincount(owner, minlength=len(ids)))
    rest = [name for name in frame.columns if name != by and name not in meta]
    objects = FlatTables(
        columns={name: array_of(frame[name]) for name in rest},
        starts=np.append(0, ends[:-1]),
        ends=ends,
        order=order,
        units={name: unit for name, unit in told.items() if name in rest} | dict(units or {}),
        meta={by: masked(ids)} | {name: _one_per_object(frame[name], owner, ids) for name in meta},
    )
    return objects, ids


def _opened(frame, by: str):
    """Return a data frame wrapped by narwhals."""
    import narwhals as nw

    if by in getattr(getattr(frame, "index", None), "names", ()):
        frame = frame.reset_index()
    refuse_twice(names_of(frame) or (), "The data frame")
    try:
        frame = nw.from_native(frame)
        frame = frame.collect() if isinstance(frame, nw.LazyFrame) else frame
    except (TypeError, nw.exceptions.NarwhalsError) as error:
        hint = ""
        if hasattr(frame, "group_by") and hasattr(frame, "colnames"):
            hint = f" Of an astropy Table, list(table.group_by({by!r}).groups) is one."
        raise TableError(f"A {type(frame).__name__} is not a data frame that can be read: {error}{hint}") from None
    if not len(frame):
        raise TableError("The data frame is empty: it has no row.")
    return frame


def _owners(series, by: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the names of the objects in the order of their first rows, and the object number of each row."""
    values = array_of(series)
    known = is_known(values)
    if not known.all():
        raise TableError(f"Row {int(np.argmin(known))} of the data frame has no {by!r}; remove it, or fill it in.")
    names, values = (values.names, values.codes) if isinstance(values, Labels) else (None, values)
    try:
        distinct, first, owner = np.unique(values, return_index=True, return_inverse=True)
    except TypeError:
        raise TableError(
            f"Column {by!r} mixes types that cannot be sorted; make all of them numbers or text."
        ) from None
    place = np.argsort(np.argsort(first))
    ids = distinct[np.argsort(first)]
    return (ids if names is None else names[ids]), place[owner]


def _one_per_object(series, owner: np.ndarray, ids: np.ndarray):
    """Return the single value of each object in a column, masked or "" if absent."""
    values = array_of(series)
    known = np.flatnonzero(is_known(values))
    having, first = np.unique(owner[known], return_index=True)
    row = np.zeros(len(ids), np.int64)
    row[having] = known[first]
    cells = values.codes if isinstance(values, Labels) else values
    other = known[cells[known] != cells[row[owner[known]]]]
    if len(other):
        a, b = (values[row[owner[other[0]]]], values[other[0]])
        raise TableError(
            f"Object {ids[owner[other[0]]]} has several values of {series.name!r}: {a} and {b}. A column that differs "
            f"between points cannot be metadata; leave it out of meta."
        )
    return masked(values[row], ~np.isin(np.arange(len(ids)), having))
