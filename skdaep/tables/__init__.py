"""astropy at the border: what is accepted as a list of objects, and columns as plain float64 arrays.

Units, masks, byte order, bytes and odd containers end here. Everything further in sees contiguous native
arrays in which NaN, and nothing else, means "not observed".
"""

from ._arrays import bare, floats, rows
from ._columns import (
    ALIASES,
    MAGNITUDE,
    candidates,
    convert,
    find_column,
    first_duplicate,
    is_magnitude,
    labels,
    labels_of,
    metadata,
    numbers,
    numbers_of,
    numbers_or_draws,
    owner_and_row,
    unit_named,
    unit_of,
    unit_of_error,
    unit_of_metadata,
    write,
)
from ._objects import as_objects, as_table, check_collection, each_object, is_numeric, is_tabular

__all__ = [
    "ALIASES",
    "MAGNITUDE",
    "as_objects",
    "as_table",
    "bare",
    "candidates",
    "check_collection",
    "convert",
    "each_object",
    "find_column",
    "first_duplicate",
    "floats",
    "is_magnitude",
    "is_numeric",
    "is_tabular",
    "labels",
    "labels_of",
    "metadata",
    "numbers",
    "numbers_of",
    "numbers_or_draws",
    "owner_and_row",
    "rows",
    "unit_named",
    "unit_of",
    "unit_of_error",
    "unit_of_metadata",
    "write",
]
