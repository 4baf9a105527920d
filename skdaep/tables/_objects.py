"""Check what is accepted as a list of objects, and as an object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from numbers import Number

import numpy as np
from astropy import units as u
from astropy.table import Table

from ..exceptions import TableError
from ._flat import FlatTables
from ._frames import holds_points, refuse_frame

#: kind of uncertainty -> its exponent as a power of the standard deviation
UNCERTAINTIES = {"std": 1, "var": 2, "ivar": -2}


def is_numeric(X) -> bool:
    """Return whether X is meant to be a 2-D array of numbers rather than a list of Tables."""
    if is_tabular(X) or (isinstance(X, dict) and not hasattr(X, "shape")):  # some sparse arrays of scipy are dicts
        return False
    if is_listing(X):
        return len(X) > 0 and not any(is_tabular(x) for x in iterate(X)) and not _looks_like_objects(X)
    if getattr(getattr(X, "dtype", None), "names", None) or holds_points(X) or not _is_collection(X):
        return False
    values = X.to_numpy() if hasattr(X, "to_numpy") else X
    if getattr(values, "dtype", None) != np.dtype(object):
        return True
    cells = values.ravel()
    if len(cells) == len(values):  # one cell per object
        return all(isinstance(x, Number) for x in cells)
    return not any(is_tabular(x) for x in cells)


def is_listing(X) -> bool:
    """Return whether X is list-like: a list, tuple, values of a dict, groups of a Table, or objects on demand."""
    if isinstance(X, (str, bytes, dict)) or any(hasattr(X, a) for a in ("shape", "dtype", "__array__", "to_numpy")):
        return False
    return hasattr(X, "__len__") and (hasattr(X, "__getitem__") or hasattr(X, "__iter__"))


def iterate(X) -> Iterator:
    """Yield the items of a listing, which may only have a length and indices."""
    return iter(X) if hasattr(X, "__iter__") else (X[i] for i in range(len(X)))


def _is_collection(X) -> bool:
    return not isinstance(X, (str, bytes)) and any(hasattr(X, a) for a in ("__len__", "__array__", "shape"))


def check_not_empty(n: int) -> None:
    """Raise ValueError if X holds no objects."""
    if n == 0:
        raise ValueError("X holds 0 objects (n_samples=0); at least one is needed.")


def check_collection(X, name: str = "X", wanted: str = "a list of Tables or a 2-D array") -> None:
    """Raise TableError if X is not a collection, such as a single object or an iterator."""
    if is_tabular(X):
        if _is_spectrum(X) and np.ndim(X.flux) > 1:
            raise TableError(f"{name} is a {type(X).__name__} of several spectra; {_how_to_split(X, name)}.")
        kind = "structured array" if _is_records(X) else type(X).__name__
        raise TableError(f"{name} is a single {kind}; pass a list of them, [{name}], one per object.")
    refuse_frame(X, name)
    if not _is_collection(X):
        hint = f"; pass list({name})" if isinstance(X, Iterable) and not isinstance(X, (str, bytes)) else ""
        hint = f"; pass {name}.collect()" if hasattr(X, "collect") else hint
        raise TableError(f"{name} must be {wanted}, not {_describe(X)}{hint}.")


def as_objects(X, name: str = "X") -> Sequence[Table]:
    """Return X as a list of Tables, see `iterate_objects`. `FlatTables` are returned unchanged."""
    return X if isinstance(X, FlatTables) else list(iterate_objects(X, name))


def iterate_objects(X, name: str = "X") -> Iterator[Table]:
    """Yield the Tables of X.

    X can be a list, tuple, Series or other sequence of Tables, an ``(n, 1)`` object array or one-column DataFrame of
    them (for meta-estimators that index arrays), or a structured array. `numpy.asarray` turns Tables of equal length
    into such an array, without masks, units and metadata; for other Tables it fails.

    Raises
    ------
    TableError
        If X is anything else, naming the first object that is not a Table.
    """
    if isinstance(X, dict):
        raise TableError(f"{name} is a dict; pass a list of Tables, one per object, such as list({name}.values()).")
    check_collection(X, name)
    if getattr(getattr(X, "dtype", None), "names", None):
        if X.ndim != 2:
            raise TableError(f"{name} is a structured array of {X.ndim} dimensions; pass a list of Tables.")
        X = (Table(row) for row in X)
    for i, x in enumerate(_cells(X) if hasattr(X, "shape") else iterate(X)):
        yield as_table(x, f"{name}[{i}]")


def _cells(X):
    """Iterate over an object array, DataFrame or Series with one object per row."""
    values = X.to_numpy() if hasattr(X, "to_numpy") else X
    return values.ravel() if values.ndim == 2 and values.shape[1] == 1 else values


def _is_spectrum(x) -> bool:
    """Return whether x is a `specutils.Spectrum`, without importing its package."""
    return hasattr(x, "spectral_axis") and hasattr(x, "flux")


def is_tabular(x) -> bool:
    """Return whether `as_table` accepts x."""
    return isinstance(x, Table) or _is_records(x) or _is_spectrum(x)


def _is_records(x) -> bool:
    """Return whether x is a record array, that is one object, as from a FITS file."""
    return isinstance(x, np.ndarray) and bool(x.dtype.names) and x.ndim == 1


def _looks_like_objects(X) -> bool:
    """Return whether x is a list of items that are neither numbers nor rows of numbers."""
    return all(
        isinstance(x, (dict, str, bytes, type(None))) or hasattr(x, "columns") or _is_pair(x) for x in iterate(X)
    )


def _is_pair(x) -> bool:
    """Return whether x is a pair of key and object, like the items of a dict or a GroupBy."""
    return isinstance(x, tuple) and len(x) == 2 and (hasattr(x[1], "columns") or is_tabular(x[1]))


def as_table(x, object_name: str, hint: str = "All objects must be Tables, or all rows of one 2-D array.") -> Table:
    """Return one object as a Table; TableError if impossible, with a hint if it holds several rows or Tables."""
    if isinstance(x, Table):
        return x
    if _is_records(x):
        return Table(x)
    if _is_spectrum(x):
        _check_spectrum(x, object_name)
        return _table_of_spectrum(x, object_name)
    raise TableError(f"{object_name} is not a Table but {_describe(x)}.{_way_to_a_table(x, hint)}")


def _way_to_a_table(x, several: str) -> str:
    """Return advice about an object that is not a Table; `several` is used if it holds several of them."""
    if isinstance(x, dict):
        return (
            " A dict of columns is made one by Table(...). Dicts of modalities are for MultimodalDAEP; else pass one "
            f"of them, [x[{next(iter(x), 'spectrum')!r}] for x in X]."
        )
    if _is_pair(x):
        return " It is a key and an object: pass the objects alone, [x for _, x in X], as Tables."
    if hasattr(x, "columns") and hasattr(x, "to_numpy"):
        return f" Table.from_pandas(x{'' if hasattr(x, 'iloc') else '.to_pandas()'}) makes it one."
    if hasattr(x, "header") and hasattr(x, "data"):
        return " Table.read(hdu) makes one of an HDU of FITS."
    return f" {several}" if isinstance(x, (np.ndarray, list, tuple)) else ""


def _describe(x) -> str:
    return "None" if x is None else f"a {type(x).__name__}"


def _how_to_split(spectra, object_name: str) -> str:
    """Return the code that turns the spectra of one object into a list."""
    return f"pass a list of them, [{object_name}[i] for i in range({len(spectra.flux)})]"


def _check_spectrum(spectrum, object_name: str) -> None:
    """Raise TableError if an object holds several spectra, or an unknown kind of uncertainty."""
    if np.ndim(spectrum.flux) > 1:
        raise TableError(
            f"{object_name} is a {type(spectrum).__name__} of several spectra; {_how_to_split(spectrum, object_name)}."
        )
    kind = getattr(spectrum.uncertainty, "uncertainty_type", None)
    if spectrum.uncertainty is not None and kind not in UNCERTAINTIES:
        raise TableError(
            f"{object_name} has a {type(spectrum.uncertainty).__name__}, whose meaning is not known; make it a "
            f"StdDevUncertainty, VarianceUncertainty or InverseVariance, or set .uncertainty = None."
        )


def _table_of_spectrum(spectrum, object_name: str) -> Table:
    """Make a Table from a specutils.Spectrum, whose mask is True, or a non-zero flag, for bad pixels."""
    columns = {"wavelength": spectrum.spectral_axis.to(u.AA, u.spectral()), "flux": spectrum.flux}
    table = Table(columns, meta=dict(spectrum.meta))
    bad = np.zeros(len(table), bool) if spectrum.mask is None else np.asarray(spectrum.mask) != 0
    if spectrum.uncertainty is not None:
        error = _errors_of_spectrum(spectrum, object_name)
        bad |= np.isinf(error.value)  # an inverse variance of 0 means that nothing was measured
        error[~np.isfinite(error)] = np.nan
        table["flux_err"] = error
    if spectrum.mask is not None or bad.any():
        table = Table(table, masked=True)
        table["flux"].mask = bad
    return table


def _errors_of_spectrum(spectrum, object_name: str) -> u.Quantity:
    """Return one-sigma errors in the unit of the flux. Uncertainties without a unit are in a power of this unit."""
    uncertainty = spectrum.uncertainty
    power = UNCERTAINTIES[uncertainty.uncertainty_type]
    unit = getattr(uncertainty, "unit", None) or spectrum.flux.unit**power
    with np.errstate(divide="ignore", invalid="ignore"):
        error = (np.asarray(uncertainty.array, float) * unit) ** (1 / power)
    try:
        return error.to(spectrum.flux.unit)
    except (u.UnitsError, ValueError):
        raise TableError(
            f"{object_name} has an uncertainty in '{unit}', which does not match its flux in '{spectrum.flux.unit}'."
        ) from None
