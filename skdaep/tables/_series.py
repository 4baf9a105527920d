"""Read columns of data frames of any package as arrays, through narwhals, on which scikit-learn depends."""

from __future__ import annotations

import numpy as np

from ..exceptions import TableError
from ._flat import Labels


def array_of(series) -> np.ndarray | Labels:
    """Return a series of narwhals as an array, NaN or NaT where null, or as `Labels` if it holds text.

    A column of nulls alone, which is of no type, holds NaN.
    """
    import narwhals as nw

    kind = series.dtype
    if kind in (nw.String, nw.Categorical, nw.Enum):
        return _labels(series.cast(nw.String))
    if kind == nw.Unknown and series.is_null().all():
        return np.full(len(series), np.nan)
    if kind in (nw.List, nw.Array, nw.Struct):
        raise TableError(
            f"Column {series.name!r} holds lists; where a row is an object, make Tables with from_nested(frame)."
        )
    if kind == nw.Datetime and kind.time_zone is not None:
        series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    if kind == nw.Decimal or ((kind.is_integer() or kind == nw.Boolean) and series.is_null().any()):
        series = series.cast(nw.Float64)
    values = series.to_numpy()
    return values.astype("datetime64[D]") if kind == nw.Date else values


def _labels(series) -> Labels:
    import narwhals as nw

    series = series.fill_null("")
    names = [name for name in series.unique(maintain_order=True).to_list() if name] + [""]
    codes = series.replace_strict(names, list(range(len(names))), return_dtype=nw.Int32).to_numpy()
    return Labels(codes.astype(np.min_scalar_type(len(names))), np.array(names))


def is_known(values: np.ndarray | Labels) -> np.ndarray:
    """Return which entries of a column are not null."""
    if isinstance(values, Labels):
        return values.codes != len(values.names) - 1
    if values.dtype.kind == "O":
        return np.array([not (v is None or v != v) for v in values], bool)
    if values.dtype.kind in "mM":
        return ~np.isnat(values)
    return ~np.isnan(values) if values.dtype.kind == "f" else np.ones(len(values), bool)


def check_named(name, names: list, what: str) -> None:
    """Raise TableError if a data frame lacks a column."""
    if name not in names:
        raise TableError(f"The data frame has no column {name!r} for {what} (it has: {', '.join(map(str, names))}).")


def listed_once(meta) -> tuple:
    """Return names as a tuple; TableError if a single string was passed."""
    if isinstance(meta, str):
        raise TableError(f"meta={meta!r}: give a tuple, ({meta!r},).")
    return tuple(meta)
