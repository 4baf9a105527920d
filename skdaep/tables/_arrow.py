"""Read Arrow columns of lists as the flat arrays in which Arrow stores them."""

from __future__ import annotations

import numpy as np
from astropy.table.meta import get_header_from_yaml

from ..exceptions import TableError


def storage(column):
    """Return the storage of an extension type, such as those of Hugging Face's datasets for arrays."""
    return getattr(column, "storage", column)


def is_list(kind) -> bool:
    """Return whether an Arrow type is a type of lists."""
    kind = getattr(kind, "storage_type", kind)
    return str(kind).startswith(("list<", "large_list<", "fixed_size_list<"))


def is_type_of_points(kind) -> bool:
    """Return whether an Arrow type is one of lists or structs of lists, which hold the points of an object."""
    kind = getattr(kind, "storage_type", kind)
    is_struct = str(kind).startswith("struct<") and kind.num_fields > 0
    return is_list(kind) or (is_struct and all(is_list(kind.field(i).type) for i in range(kind.num_fields)))


def flattened(column, name: str) -> tuple[dict, np.ndarray]:
    """Return the points of all rows of a column, as Arrow arrays by name, and their number in each row.

    Points from a column of lists get the name of the column; those from structs get the names of the fields.

    Raises
    ------
    TableError
        If the column holds no lists, or the lists of a struct differ in length.
    """
    column = storage(column)
    if str(column.type) == "null":
        raise TableError(f"Column {name!r} is null in every row.")
    if not is_type_of_points(column.type):
        raise TableError(f"Column {name!r} holds {column.type} instead of lists: it is metadata, not points.")
    if is_list(column.type):
        values, lengths = _unlisted(column)
        if str(values.type).startswith("struct<"):  # a list of structs instead of a struct of lists
            return dict(zip(_fields(values.type, name), values.flatten(), strict=True)), lengths
        return {name: values}, lengths
    parts = {n: _unlisted(part) for n, part in zip(_fields(column.type, name), column.flatten(), strict=True)}
    lengths = {n: length for n, (_, length) in parts.items()}
    return {n: values for n, (values, _) in parts.items()}, common_lengths(lengths)


def common_lengths(lengths: dict[str, np.ndarray]) -> np.ndarray:
    """Return the number of points of each row; TableError if columns disagree."""
    (name, expected), *others = lengths.items()
    for other, found in others:
        if (found != expected).any():
            row = int(np.argmax(found != expected))
            raise TableError(
                f"Row {row} has {expected[row]} entries in {name!r}, but {found[row]} in {other!r}; the lists of an "
                f"object must be equally long. Choose those that belong together with columns=."
            )
    return expected


def units_of(schema) -> dict[str, str]:
    """Return the units that a schema of Arrow tells of columns and of fields of nested ones, by name.

    Each may bear its own, as `skdaep`, Rubin and others write it; astropy writes those of all columns in one text.
    """
    found = {}
    if (text := (schema.metadata or {}).get(b"table_meta_yaml")) is not None:
        try:
            columns = get_header_from_yaml(text.decode().split("\n"))["datatype"]
            found = {column["name"]: column["unit"] for column in columns if column.get("unit")}
        except Exception as error:  # yaml and astropy raise many kinds
            raise TableError(f"The units that astropy wrote (table_meta_yaml) cannot be read: {error}") from error
    for field in [inner for outer in schema for inner in (outer, *_within(outer.type))]:
        if unit := (field.metadata or {}).get(b"unit", b"").decode():
            found[field.name] = unit
    return found


def _within(kind) -> list:
    """Return the fields of a struct of lists, or of a list of structs."""
    kind = getattr(kind, "storage_type", kind)
    kind = getattr(kind.value_type, "storage_type", kind.value_type) if is_list(kind) else kind
    return [kind.field(i) for i in range(kind.num_fields)] if str(kind).startswith("struct<") else []


def _fields(kind, name: str) -> list[str]:
    names = [kind.field(i).name for i in range(kind.num_fields)]
    refuse_twice(names, f"Column {name!r}")
    return names


def refuse_twice(names, whose: str) -> None:
    """Raise TableError if a name occurs twice."""
    seen = set()
    for name in names:
        if name in seen:
            raise TableError(f"{whose} has several columns {name!r}; rename or remove all but one.")
        seen.add(name)


def _unlisted(column) -> tuple:
    """Return the entries of all lists, concatenated, and the length of each list. Nulls are empty lists."""
    import pyarrow.compute as pc

    column = storage(column)
    lengths = pc.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return storage(column.flatten()), lengths
