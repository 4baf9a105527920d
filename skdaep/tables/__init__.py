"""astropy at the border: what is accepted as a list of objects, and columns as plain float64 arrays.

Units, masks, byte order, bytes and odd containers end here. Everything further in sees contiguous native
arrays in which NaN, and nothing else, means "not observed".
"""

from ._arrays import bare, floats
from ._arrow import flattened, is_list, storage
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
    numbers,
    numbers_of,
    numbers_or_draws,
    owner_and_row,
    unit_named,
    unit_of,
    unit_of_error,
    write,
)
from ._flat import FlatTables
from ._long import from_long
from ._metadata import has_metadata, listed, metadata, raw_metadata, unit_of_metadata
from ._nested import from_nested
from ._objects import as_objects, as_table, check_collection, each_object, is_numeric, is_tabular
from ._rows import rows

__all__ = [
    "ALIASES",
    "MAGNITUDE",
    "FlatTables",
    "as_objects",
    "as_table",
    "bare",
    "candidates",
    "check_collection",
    "convert",
    "each_object",
    "find_column",
    "first_duplicate",
    "flattened",
    "floats",
    "from_long",
    "from_nested",
    "has_metadata",
    "is_list",
    "is_magnitude",
    "is_numeric",
    "is_tabular",
    "labels",
    "labels_of",
    "listed",
    "metadata",
    "numbers",
    "numbers_of",
    "numbers_or_draws",
    "owner_and_row",
    "raw_metadata",
    "rows",
    "storage",
    "unit_named",
    "unit_of",
    "unit_of_error",
    "unit_of_metadata",
    "write",
]
