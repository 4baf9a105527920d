"""What is accepted as a list of objects, and as an object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from numbers import Number

import numpy as np
from astropy import units as u
from astropy.table import Table

from ..exceptions import TableError


def is_numeric(X) -> bool:
    """Return whether X is meant as a 2-D array of numbers rather than as a list of Tables."""
    if is_tabular(X) or (isinstance(X, dict) and not hasattr(X, "shape")):  # scipy has sparse arrays that are dicts
        return False
    if isinstance(X, Sequence) and not isinstance(X, str):  # a list, a tuple, or one that makes objects on demand
        return len(X) > 0 and not any(is_tabular(x) for x in X) and not _looks_like_objects(X)
    if getattr(getattr(X, "dtype", None), "names", None):
        return False
    values = X.to_numpy() if hasattr(X, "to_numpy") else X
    if getattr(values, "dtype", None) != np.dtype(object):
        return True
    cells = values.ravel()
    if len(cells) == len(values):  # one cell per object: numbers, or Tables, or something to be refused by index
        return all(isinstance(x, Number) for x in cells)
    return not any(is_tabular(x) for x in cells)


def check_collection(X, name: str = "X", wanted: str = "a list of Tables or a 2-D array") -> None:
    """Raise TableError if X is no collection but a single object, say, or one that can be gone through only once."""
    if is_tabular(X):
        raise TableError(f"{name} is a single {type(X).__name__}; pass a list of them, [{name}], one per object.")
    if isinstance(X, (str, bytes)) or not any(hasattr(X, a) for a in ("__len__", "__array__", "shape")):
        hint = f"; pass list({name})" if isinstance(X, Iterable) and not isinstance(X, (str, bytes)) else ""
        raise TableError(f"{name} must be {wanted}, not {_describe(X)}{hint}.")


def as_objects(X, name: str = "X") -> list:
    """Return X as a list of Tables, see `each_object`."""
    return list(each_object(X, name))


def each_object(X, name: str = "X") -> Iterator[Table]:
    """Yield the Tables of X.

    Accepts a list, tuple, Series or other sequence of Tables, an ``(n, 1)`` object array or one-column DataFrame of
    them (which meta-estimators that index an array need), and a structured array. `numpy.asarray` makes that of Tables
    of equal length, without their masks, units and metadata; of other Tables it makes nothing.

    Raises
    ------
    TableError
        If X is anything else, naming the first object that is not a Table.
    """
    if isinstance(X, dict):
        raise TableError(f"{name} is a dict; pass a list of Tables, one per object.")
    check_collection(X, name)
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


def is_tabular(x) -> bool:
    """Return whether x is what `as_table` takes."""
    return isinstance(x, Table) or _is_spectrum(x)


def _looks_like_objects(X) -> bool:
    """A list of things that are neither numbers nor rows of numbers: to be refused as objects, by index."""
    return len(X) > 0 and all(isinstance(x, (dict, str, bytes, type(None))) or hasattr(x, "columns") for x in X)


def as_table(x, where: str, hint: str = "All objects must be Tables, or all rows of one 2-D array.") -> Table:
    """Return one object as a Table; TableError if it cannot be one, with a hint if it is several rows or Tables."""
    if isinstance(x, Table):
        return x
    if _is_spectrum(x):
        return _table_of_spectrum(x, where)
    hint = f" {hint}" if isinstance(x, (np.ndarray, list, tuple)) else ""
    if isinstance(x, dict):
        hint = (
            " A dict of columns is made one by Table(...). Dicts of modalities are for MultimodalDAEP; else pass one "
            f"of them, [x[{next(iter(x), 'spectrum')!r}] for x in X]."
        )
    raise TableError(f"{where} is not a Table but {_describe(x)}.{hint}")


def _describe(x) -> str:
    return "None" if x is None else f"a {type(x).__name__}"


def _table_of_spectrum(spectrum, where: str) -> Table:
    """Make a Table of a specutils.Spectrum; its mask is True, or a flag other than 0, where a pixel is bad."""
    columns = {"wavelength": spectrum.spectral_axis.to(u.AA, u.spectral()), "flux": spectrum.flux}
    table = Table(columns, meta=dict(spectrum.meta))
    bad = np.zeros(len(table), bool) if spectrum.mask is None else np.asarray(spectrum.mask) != 0
    if spectrum.uncertainty is not None:
        error = _errors_of_spectrum(spectrum, where)
        bad |= np.isinf(error.value)  # nothing is known there: an inverse variance of 0
        error[~np.isfinite(error)] = np.nan
        table["flux_err"] = error
    if spectrum.mask is not None or bad.any():
        table = Table(table, masked=True)
        table["flux"].mask = bad
    return table


def _errors_of_spectrum(spectrum, where: str) -> u.Quantity:
    """Return one-sigma errors in the unit of the flux; an uncertainty without a unit is in the power of that."""
    uncertainty = spectrum.uncertainty
    power = {"std": 1, "var": 2, "ivar": -2}[uncertainty.uncertainty_type]
    unit = getattr(uncertainty, "unit", None) or spectrum.flux.unit**power
    with np.errstate(divide="ignore", invalid="ignore"):
        error = (np.asarray(uncertainty.array, float) * unit) ** (1 / power)
    try:
        return error.to(spectrum.flux.unit)
    except u.UnitConversionError:
        raise TableError(
            f"{where} has an uncertainty in '{unit}', which does not fit its flux in '{spectrum.flux.unit}'."
        ) from None
