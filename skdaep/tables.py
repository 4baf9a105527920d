"""astropy at the border: what is accepted as a list of objects, and columns as plain float64 arrays.

Units, masks, byte order, bytes and odd containers end here. Everything further in sees contiguous native
arrays in which NaN, and nothing else, means "not observed".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from numbers import Number

import numpy as np
from astropy import units as u
from astropy.table import Column, QTable, Table
from astropy.time import Time

from .exceptions import TableError

#: role -> customary column names, lower case
ALIASES = {
    "value": ("value", "flux", "mag", "magnitude", "f_lambda", "flam", "fluxcal"),
    "location": ("location", "time", "mjd", "jd", "date", "wavelength", "wave", "lambda", "phase"),
    "band": ("band", "filter", "passband", "bandpass", "flt"),
    "error": (
        *("value_err", "flux_err", "fluxerr", "flux_error", "mag_err", "magerr", "magnitude_err"),
        *("error", "uncertainty", "fluxcalerr", "value_error"),
    ),
}


# --- lists of objects -------------------------------------------------------------------------------


def is_numeric(X) -> bool:
    """Return whether X is meant as a 2-D array of numbers rather than as a list of Tables."""
    if _is_tabular(X) or (isinstance(X, dict) and not hasattr(X, "shape")):  # scipy has sparse arrays that are dicts
        return False
    if isinstance(X, Sequence) and not isinstance(X, str):  # a list, a tuple, or one that makes objects on demand
        return len(X) > 0 and not any(_is_tabular(x) for x in X) and not _looks_like_objects(X)
    if getattr(getattr(X, "dtype", None), "names", None):
        return False
    values = X.to_numpy() if hasattr(X, "to_numpy") else X
    if getattr(values, "dtype", None) != np.dtype(object):
        return True
    cells = values.ravel()
    if len(cells) == len(values):  # one cell per object: numbers, or Tables, or something to be refused by index
        return all(isinstance(x, Number) for x in cells)
    return not any(_is_tabular(x) for x in cells)


def as_objects(X, name: str = "X") -> list:
    """Return X as a list of Tables, see `each_object`."""
    return list(each_object(X, name))


def each_object(X, name: str = "X") -> Iterator[Table]:
    """Yield the Tables of X.

    Accepts a list, tuple, Series or other sequence of Tables, an ``(n, 1)`` object array or one-column DataFrame of
    them (which meta-estimators make), and a structured array (which `numpy.asarray` makes of Tables of equal length).

    Raises
    ------
    TableError
        If X is anything else, naming the first object that is not a Table.
    """
    if isinstance(X, Table) or _is_spectrum(X):
        raise TableError(f"{name} is a single {type(X).__name__}; pass a list of them, [{name}], one per object.")
    if isinstance(X, dict):
        raise TableError(f"{name} is a dict; pass a list of Tables, one per object.")
    if getattr(getattr(X, "dtype", None), "names", None):
        if X.ndim != 2:  # numpy.asarray of one Table; of a list of them it has two dimensions
            raise TableError(f"{name} is a single structured array; pass a list of Tables, one per object.")
        X = (Table(row) for row in X)
    for i, x in enumerate(_cells(X) if hasattr(X, "shape") else X):
        yield as_table(x, f"{name}[{i}]")


def _cells(X):
    """Iterate over an object array, DataFrame or Series with one object per row."""
    values = X.to_numpy() if hasattr(X, "to_numpy") else X
    return values.ravel() if values.ndim == 2 and values.shape[1] == 1 else values


def _is_spectrum(x) -> bool:
    """Recognise `specutils.Spectrum` without importing its package."""
    return hasattr(x, "spectral_axis") and hasattr(x, "flux")


def _is_tabular(x) -> bool:
    return isinstance(x, Table) or _is_spectrum(x)


def _looks_like_objects(X) -> bool:
    """A list of things that are neither numbers nor rows of numbers: to be refused as objects, by index."""
    return len(X) > 0 and all(isinstance(x, (dict, str, bytes, type(None))) or hasattr(x, "columns") for x in X)


def as_table(x, where: str) -> Table:
    """Return one object as a Table; TableError if it cannot be one."""
    if isinstance(x, Table):
        return x
    if _is_spectrum(x):
        return _table_of_spectrum(x)
    hint = " All objects must be Tables, or all rows of one 2-D array." if isinstance(x, (np.ndarray, list)) else ""
    raise TableError(f"{where} is not a Table but {_describe(x)}.{hint}")


def _describe(x) -> str:
    return "None" if x is None else f"a {type(x).__name__}"


def _table_of_spectrum(spectrum) -> Table:
    """Make a Table of a specutils.Spectrum; its mask is True, or a flag other than 0, where a pixel is bad."""
    columns = {"wavelength": spectrum.spectral_axis.to(u.AA, u.spectral()), "flux": spectrum.flux}
    table = Table(columns, meta=dict(spectrum.meta))
    if spectrum.mask is not None:
        table = Table(table, masked=True)
        table["flux"].mask = np.asarray(spectrum.mask) != 0
    if spectrum.uncertainty is not None:
        error = spectrum.uncertainty.array
        power = {"std": 1.0, "var": 0.5, "ivar": -0.5}[spectrum.uncertainty.uncertainty_type]
        with np.errstate(divide="ignore"):
            table["flux_err"] = np.asarray(error, float) ** power * spectrum.flux.unit
        table["flux_err"][~np.isfinite(table["flux_err"])] = np.nan
    return table


# --- columns ----------------------------------------------------------------------------------------


def find_column(table: Table, role: str, name: str | None, where: str, required: bool = True) -> str | None:
    """Return the name of the column that plays a role: `name` if given, else the only alias present.

    Raises
    ------
    TableError
        If the column named is not there, or none or several columns have a customary name.
    """
    has = ", ".join(table.colnames) or "no columns"
    if name is not None:
        if name not in table.colnames:
            raise TableError(
                f"{where} has no column '{name}' (it has: {has}). "
                f"Rename it or declare it with modality=Sequence({role}=...)."
            )
        return name
    found = [c for c in table.colnames if c.lower() in ALIASES[role]]
    if len(found) == 1:
        return found[0]
    if found:
        raise TableError(
            f"{where} has several candidates for the {role}: {', '.join(found)}. "
            f"Choose with modality=Sequence({role}={found[0]!r}, ...)."
        )
    if required:
        raise TableError(
            f"{where} has no column for the {role} (it has: {has}; known names: {', '.join(ALIASES[role])}). "
            f"Declare it with modality=Sequence({role}=...)."
        )
    return None


def numbers(table: Table, name: str, where: str, unit: str | None = None) -> np.ndarray:
    """Return a column as a new float64 array in `unit`, NaN where it is masked.

    Raises
    ------
    TableError
        If the column is not one real number per row, holds an infinite value, or has an inconvertible unit.
    """
    return numbers_of([table], name, [where], unit)


def numbers_of(objects: list[Table], name: str, where: list[str], unit: str | None = None) -> np.ndarray:
    """Return a column of many Tables end to end, as `numbers` does that of one."""
    columns = [table.columns[name] for table in objects]
    cells = [_real(column, name, place) for column, place in zip(columns, where, strict=True)]
    lengths = [len(c) for c in cells]
    values = np.concatenate(cells, dtype=np.float64, casting="unsafe")
    if np.isinf(values).any():
        owner, row = (x[np.isinf(values)][0] for x in owner_and_row(lengths))
        raise TableError(f"{where[owner]} column '{name}' is infinite at row {row}; mask it or set it to NaN.")
    units = [_unit_name(column) for column in columns]
    for given in dict.fromkeys(units):
        rows = np.repeat([one == given for one in units], lengths)
        values[rows] = _convert(values[rows], given, unit, f"{where[units.index(given)]} column '{name}'")
    return values


def owner_and_row(lengths) -> tuple[np.ndarray, np.ndarray]:
    """Return for points of objects end to end the index of the object and the row in it."""
    owner = np.repeat(np.arange(len(lengths)), lengths)
    return owner, np.arange(len(owner)) - (np.cumsum(lengths) - lengths)[owner]


def _real(column, name: str, where: str) -> np.ndarray:
    """Return the cells of a column, NaN where it is masked; TableError if they are not one real number per row."""
    bare, mask = _bare(column)
    if bare.ndim != 1 or bare.dtype.kind not in "iufb":
        kind = {"c": "complex numbers", "U": "text", "S": "text", "O": "Python objects"}.get(bare.dtype.kind)
        kind = kind or f"{bare.dtype} of {bare.ndim - 1} further dimensions"
        raise TableError(f"{where} column '{name}' holds {kind}; one real number per row is needed.")
    if mask is None:
        return bare
    values = np.array(bare, np.float64)
    values[mask] = np.nan
    return values


def _bare(column) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the cells of a column as a plain array, and which are masked, None where none can be."""
    # The two commonest kinds stand first, since each of a million objects has some: a Quantity looks for an attribute
    # that it lacks among all units, and numpy.ma.getdata makes a new Column of a Column.
    if type(column) is u.Quantity:
        return np.asarray(column), None
    if not isinstance(column, Column):
        column = column.mjd if isinstance(column, Time) else column  # Time: the axis of a TimeSeries
        bare = np.ma.getdata(getattr(column, "unmasked", column))
    else:
        bare = column
    mask = getattr(column, "mask", None)
    return np.asarray(bare), None if mask is None else np.asarray(mask)


def numbers_or_draws(table: Table, name: str, where: str, unit: str | None = None) -> np.ndarray:
    """Return what `numbers` does of a column that may have a further axis for draws."""
    shape = table[name].shape
    if len(shape) == 2:
        table = Table({name: table[name].reshape(-1)})
    return numbers(table, name, where, unit).reshape(shape)


def unit_of(table: Table, name: str) -> str | None:
    """Return the unit of a column as a string, None where it has none."""
    return _unit_name(table[name])


def _unit_name(column) -> str | None:
    if not isinstance(column, np.ndarray) and isinstance(column, Time):
        return "d"
    return None if column.unit is None else _to_string(column.unit)


@lru_cache
def _to_string(unit) -> str:  # takes longer than all the rest of reading a column
    return unit.to_string()


def unit_of_error(unit: str | None) -> str | None:
    """Return the unit of the errors of values in `unit`: "mag" for "mag(AB)", else the same."""
    return unit if unit is None else getattr(u.Unit(unit), "function_unit", u.Unit(unit)).to_string()


def is_magnitude(name: str, unit: str | None) -> bool:
    """Return whether a column is in magnitudes: by its unit or, without one, by its name."""
    if unit is None:
        return name.lower().startswith("mag")
    return getattr(u.Unit(unit), "function_unit", u.Unit(unit)) == u.mag


def _convert(values: np.ndarray, given: str | None, wanted: str | None, where: str) -> np.ndarray:
    """Convert between units; a column without a unit is taken to be in the units of fit."""
    if given in (None, wanted) or (given == "" and wanted is None):  # "": dimensionless
        return values
    if wanted is None:
        raise TableError(f"{where} has unit '{given}', but in fit it had none. Remove the unit or add it in fit.")
    try:
        return u.Unit(given).to(u.Unit(wanted), values, equivalencies=u.spectral())
    except u.UnitConversionError:
        raise TableError(f"{where} has unit '{given}', which cannot be converted to '{wanted}' of fit.") from None


def labels(table: Table, name: str) -> np.ndarray:
    """Return a column of labels as an array of str, "" where it is masked."""
    return labels_of([table], name)


def labels_of(objects: list[Table], name: str) -> np.ndarray:
    """Return a column of labels of many Tables end to end, as `labels` does that of one."""
    cells, masks = zip(*(_bare(table.columns[name]) for table in objects), strict=True)
    alike = len({c.dtype.kind if c.dtype.kind in "US" else c.dtype for c in cells}) == 1
    text = _as_text(np.concatenate(cells)) if alike else np.concatenate([_as_text(c) for c in cells])
    if all(mask is None for mask in masks):
        return text
    hidden = [np.zeros(len(c), bool) if mask is None else mask for c, mask in zip(cells, masks, strict=True)]
    return np.where(np.concatenate(hidden), "", text)


def _as_text(values: np.ndarray) -> np.ndarray:
    """Decode bytes, number and object labels; "g", b"g" and np.str_("g") are one label."""
    if values.dtype.kind == "S":
        values = _decoded(values)
    if values.dtype.kind == "O":
        values = [v.decode() if isinstance(v, bytes) else "" if v is None else str(v) for v in values]
    return np.char.strip(np.asarray(values).astype(str))


def _decoded(values: np.ndarray) -> np.ndarray:
    try:
        return values.astype(str)  # ASCII only, a hundred times as fast
    except UnicodeDecodeError:
        return np.char.decode(values, "utf-8")


def metadata(table: Table, key: str):
    """Return ``table.meta[key]``, ignoring case (FITS makes keys upper case), or None if absent or NaN.

    A number comes back as float, anything else as str.
    """
    value = table.meta.get(key)
    if value is None:
        value = next((v for k, v in table.meta.items() if str(k).lower() == key.lower()), None)
    if value is None or np.ma.is_masked(value):
        return None
    if isinstance(value, u.Quantity):
        value = value.value
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, (int, float, np.number, np.bool_)):
        return float(value) if math.isfinite(value) else None
    return str(value)


# --- writing back -----------------------------------------------------------------------------------


def write(like: Table, columns: dict, value: str, unit: str | None) -> Table:
    """Build a Table (a QTable if `like` is one) of columns, one of which is new and gets its unit here."""
    kind = QTable if isinstance(like, QTable) else Table
    if unit is not None:
        new = columns[value]
        columns = columns | {value: new << u.Unit(unit) if kind is QTable else Column(new, unit=unit)}
    return kind(columns, meta=dict(like.meta))


def first_duplicate(names: Iterable[str]) -> str | None:
    """Return the first name that occurs twice, ignoring case."""
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            return name
        seen.add(name.lower())
    return None
