"""astropy at the border: what is accepted as a list of objects, and columns as plain float64 arrays.

Units, masks, byte order, bytes and odd containers end here. Everything further in sees contiguous native
arrays in which NaN, and nothing else, means "not observed".
"""

from ._arrays import bare, floats
from ._arrow import flattened, is_list, storage
from ._columns import (
    distinct_labels,
    first_duplicate,
    labels,
    labels_of,
    numbers,
    numbers_of,
    numbers_or_draws,
    owner_and_row,
    time_scale,
    write,
)
from ._flat import FlatTables, Labels, Objects, distinct_layouts, map_labels, n_points
from ._long import from_long
from ._metadata import (
    has_metadata,
    listed,
    metadata,
    metadata_of,
    number_of_metadata,
    numbers_of_metadata,
    raw_metadata,
    unit_of_metadata,
    values_of_metadata,
)
from ._nested import fields_of, from_nested
from ._objects import as_objects, as_table, check_collection, check_not_empty, is_numeric, is_tabular, iterate_objects
from ._points import read_draws, read_errors, read_points
from ._roles import ALIASES, ASK, ERRORS, FLAGS, INVERSE_VARIANCES, SURVEYS, Columns, candidates, find_column
from ._rows import rows
from ._targets import LabelColumns, plain_labels, read_labels, write_labels
from ._units import (
    CYCLE,
    MAGNITUDE,
    convert,
    dex_of,
    is_magnitude,
    linear_unit,
    log_unit,
    plain,
    says_time,
    unit_named,
    unit_of,
    unit_of_column,
    unit_of_error,
    unit_of_ivar,
)

__all__ = [
    "ALIASES",
    "ASK",
    "CYCLE",
    "ERRORS",
    "FLAGS",
    "INVERSE_VARIANCES",
    "MAGNITUDE",
    "SURVEYS",
    "Columns",
    "FlatTables",
    "LabelColumns",
    "Labels",
    "Objects",
    "as_objects",
    "as_table",
    "bare",
    "candidates",
    "check_collection",
    "check_not_empty",
    "convert",
    "dex_of",
    "distinct_labels",
    "distinct_layouts",
    "fields_of",
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
    "iterate_objects",
    "labels",
    "labels_of",
    "linear_unit",
    "listed",
    "log_unit",
    "map_labels",
    "metadata",
    "metadata_of",
    "n_points",
    "number_of_metadata",
    "numbers",
    "numbers_of",
    "numbers_of_metadata",
    "numbers_or_draws",
    "owner_and_row",
    "plain",
    "plain_labels",
    "raw_metadata",
    "read_draws",
    "read_errors",
    "read_labels",
    "read_points",
    "rows",
    "says_time",
    "storage",
    "time_scale",
    "unit_named",
    "unit_of",
    "unit_of_column",
    "unit_of_error",
    "unit_of_ivar",
    "unit_of_metadata",
    "values_of_metadata",
    "write",
    "write_labels",
]
