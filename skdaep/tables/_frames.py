"""Recognise data frames of pandas, polars and pyarrow that hold points or lists rather than rows of numbers."""

from __future__ import annotations

import numpy as np

from ..exceptions import TableError
from ._roles import ALIASES, SURVEYS
from ._units import plain

#: common names of the column with the object of each row, in lower case and without "_"
IDS = ("objectid", "id", "oid", "objid", "sourceid", "diaobjectid", "snid", "objectname", "object", "name", "target")


def package_of(X) -> str:
    """Return the name of the package that the class of X comes from."""
    return type(X).__module__.partition(".")[0]


def names_of(X) -> list | None:
    """Return the names of the columns of a data frame, None if X is not a data frame."""
    if isinstance(X, np.ndarray):
        return None
    names = getattr(X, "column_names", None)  # pyarrow
    if isinstance(names, (list, tuple)):
        return list(names)
    is_frame = hasattr(X, "to_numpy") and len(getattr(X, "shape", ())) == 2 and hasattr(X, "columns")
    return list(X.columns) if is_frame else None


def holds_points(X) -> bool:
    """Return whether X is a data frame with one row per point or with lists in its cells."""
    return is_nested(X) or is_long(X)


def is_long(X) -> bool:
    """Return whether X is a data frame with one row per point, that is with columns for location and value."""
    names = {plain(str(name)) for name in names_of(X) or ()}
    return all(names & {plain(name) for name in ALIASES[role] + SURVEYS[role]} for role in ("location", "value"))


def is_nested(X) -> bool:
    """Return whether X has one row per object: a data frame with lists in its cells, or awkward records."""
    if package_of(X) == "awkward":
        return bool(getattr(X, "fields", ()))
    names = names_of(X) or ()
    return any(_holds_lists(X, i) for i in range(len(names)))


def _holds_lists(X, i: int) -> bool:
    if hasattr(X, "iloc"):  # pandas stores lists as Python objects, or in types of pyarrow and nested-pandas
        column = X.iloc[:, i]
        first = next((cell for cell in column.iloc[:8] if cell is not None), None) if column.dtype == object else None
        return isinstance(first, (list, np.ndarray)) or str(column.dtype).startswith(("list", "struct", "nested"))
    if package_of(X) == "datasets":
        schema = X.features.arrow_schema if X.features else None
        return schema is None or _is_list(schema.types[i])
    return _is_list((X.schema.types if hasattr(X.schema, "types") else list(X.schema.values()))[i])


def _is_list(kind) -> bool:
    return str(kind).lower().startswith(("list", "large_list", "fixed_size_list", "struct", "array"))


def refuse_frame(X, name: str) -> None:
    """Raise TableError, with the line of code that converts it, if X is a data frame of points or lists."""
    if "GroupBy" in type(X).__name__:
        raise TableError(
            f"{name} is a {type(X).__name__}, which yields pairs; convert the data frame itself: "
            f"objects, ids = skdaep.tables.from_long(frame, by=...)."
        )
    if is_nested(X):
        raise TableError(
            f"{name} is a {type(X).__name__} with one row per object and lists in its cells; convert it to Tables: "
            f"objects, ids = skdaep.tables.from_nested({name})."
        )
    if is_long(X):
        raise TableError(
            f"{name} is a long {type(X).__name__} with one row per point; convert it to one Table per object: "
            f"objects, ids = skdaep.tables.from_long({name}, by={_id_of(X)})."
        )


def _id_of(X) -> str:
    """Return, as code, the column or index that names the object of each row, "..." if there is none."""
    names = [*(n for n in getattr(getattr(X, "index", None), "names", ()) if n is not None), *names_of(X)]
    found = {plain(str(name)): name for name in reversed(names)}
    return next((repr(found[key]) for key in IDS if key in found), "...")
