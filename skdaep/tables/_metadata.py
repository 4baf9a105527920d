"""Read metadata of objects: numbers and labels in ``table.meta``."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence

import numpy as np
from astropy import units as u
from astropy.table import Table

from ..exceptions import TableError
from ._flat import FlatTables, Labels
from ._times import days, is_time
from ._units import convert, unit_of_column

#: texts that mean a missing value; "Na" is not among them, because it is sodium
ABSENT = frozenset(
    ("", "-", "--", "N/A", "n/a", "NA", "<NA>", "nan", "NaN", "NAN", "NaT", "none", "None", "NONE", "null", "NULL")
)
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def metadata(table: Table, key: str, object_name: str = "The object") -> float | str | None:
    """Return ``table.meta[key]``, ignoring case (FITS makes keys upper case), or None if it is absent.

    Numbers, also those written as text, are returned as floats in their own unit, times as MJD, durations as days, and
    other text as str. NaN, masked, "", "N/A" and the like mean absent.

    Raises
    ------
    TableError
        If the entry is neither a number nor text, such as a list, or a pair of value and comment.
    """
    value = raw_metadata(table, key)
    if type(value) is float and math.isfinite(value):  # the most common case, handled quickly
        return value
    try:
        value = _plain(value)
    except OverflowError:
        raise TableError(f"{object_name} metadata {key!r} is a number too large for double precision.") from None
    except UnicodeDecodeError:
        raise TableError(
            f"{object_name} metadata {key!r} holds bytes that are not UTF-8; decode them before."
        ) from None
    except (TypeError, ValueError):
        raise TableError(
            f"{object_name} metadata {key!r} is {_kind(value)}; one number or one text is needed. "
            f"Store it under a separate key."
        ) from None
    if isinstance(value, float) and math.isinf(value):
        raise TableError(f"{object_name} metadata {key!r} is infinite; set it to NaN, or leave it out.")
    return value


def unit_of_metadata(table: Table, key: str) -> str | None:
    """Return the unit of what `metadata` returns, None if it has none."""
    value = raw_metadata(table, key)
    return unit_of_column(value) if isinstance(value, u.Quantity) or is_time(value) else None


def has_metadata(table: Table, key: str) -> bool:
    """Return whether the key exists, whatever its value."""
    return any(str(k).lower() == key.lower() for k in table.meta)


def listed(names: Collection, most: int = 8) -> str:
    """Return names for a message: the first ones and, if there are more, their number."""
    shown = ", ".join(str(name) for name, _ in zip(names, range(most), strict=False))
    return shown if len(names) <= most else f"{shown}, ... {len(names)} in all"


def raw_metadata(table: Table, key: str):
    """Return the entry of the meta for a key, ignoring case, None if absent."""
    value = table.meta.get(key)
    if value is None:
        value = next((v for k, v in table.meta.items() if str(k).lower() == key.lower()), None)
    return value


def values_of_metadata(objects: Sequence[Table], object_names: Sequence[str], key: str) -> dict[int, float | str]:
    """Return the entries for a key by object number: either all numbers, or all labels."""
    read = metadata_of(objects, object_names, key)
    values = {i: v for i, v in enumerate(read) if v is not None}
    if not values and any(has_metadata(obj, key) for obj in _bearers(objects)):
        raise TableError(f"metadata {key!r} is NaN, masked or empty in all objects; remove it from the declaration.")
    if not values:
        has = listed(objects[0].meta)
        raise TableError(f"metadata {key!r} is in no object's meta ({object_names[0]} has: {has}).")
    numbers, texts = ([i for i, v in values.items() if isinstance(v, kind)] for kind in (float, str))
    if numbers and texts:
        odd, usual = sorted((texts, numbers), key=len)
        raise TableError(
            f"{object_names[odd[0]]} metadata {key!r} is {values[odd[0]]!r}, but {object_names[usual[0]]} has "
            f"{values[usual[0]]!r}: a mixture of numbers and text. Make all of them numbers (NaN, or no key, if "
            f"unknown), or all of them text that is not a number."
        )
    return values


def metadata_of(objects: Sequence[Table], object_names: Sequence[str], key: str) -> list[float | str | None]:
    """Return `metadata` of each object."""
    column = _flat_column(objects, key)
    if isinstance(column, Labels):
        text = [_of_text(name) for name in column.names.tolist()]
        return [text[code] for code in column.codes.tolist()]
    if column is not None:
        numbers = np.ma.filled(column.astype(np.float64), np.nan)
        if not np.isinf(numbers).any():
            return [None if x != x else x for x in numbers.tolist()]
    return [metadata(obj, key, place) for obj, place in zip(_bearers(objects), object_names, strict=True)]


def numbers_of_metadata(
    objects: Sequence[Table], object_names: Sequence[str], key: str, unit: str | None, whose: str = "fit"
) -> np.ndarray:
    """Return a number of each object in a unit, NaN if absent."""
    if _flat_column(objects, key) is None:
        named = zip(_bearers(objects), object_names, strict=True)
        values = [number_of_metadata(obj, place, key, unit, whose) for obj, place in named]
    else:
        values = metadata_of(objects, object_names, key)
        for value, place in zip(values, object_names, strict=True):
            _refuse_text(value, place, key)
    return np.array(values, np.float64)


def _bearers(objects: Sequence[Table]):
    """Return objects with the meta, without their columns if that is faster."""
    return objects.bearers() if isinstance(objects, FlatTables) else objects


def _flat_column(objects: Sequence[Table], key: str) -> np.ma.MaskedArray | Labels | None:
    """Return the single column for a key in the meta of FlatTables, if it holds numbers or labels."""
    found = [k for k in objects.meta if k.lower() == key.lower()] if isinstance(objects, FlatTables) else []
    column = objects.meta[found[0]] if len(found) == 1 else None
    return column if isinstance(column, Labels) or getattr(column, "dtype", np.dtype(object)).kind in "iufb" else None


def number_of_metadata(obj: Table, place: str, key: str, unit: str | None, whose: str = "fit") -> float | None:
    """Return a number in a unit, None if absent."""
    value = metadata(obj, key, place)
    _refuse_text(value, place, key)
    given = None if value is None else unit_of_metadata(obj, key)
    return value if given is None else float(convert(value, given, unit, f"{place} metadata {key!r}", whose))


def _refuse_text(value: float | str | None, place: str, key: str) -> None:
    if isinstance(value, str):
        raise TableError(f"{place} metadata {key!r} is {value!r}; in fit it was a number.")


def _plain(value) -> float | str | None:
    """Return a scalar as float or str, None if it means absent; TypeError if it is not a scalar."""
    if getattr(value, "shape", ()) != ():
        raise TypeError
    if _is_missing(value):
        return None
    if is_time(value):
        return _finite_or_absent(float(days(value)))
    if isinstance(value, u.Quantity):
        value = value.value
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.item()
    if isinstance(value, bytes):
        value = value.decode()
    return _of_text(value) if isinstance(value, str) else _finite_or_absent(float(value))


def _is_missing(value) -> bool:
    """Return whether a scalar is None, masked, or a missing value of pandas."""
    return value is None or bool(getattr(value, "mask", False)) or type(value).__name__ in ("NAType", "NaTType")


def _finite_or_absent(number: float) -> float | None:
    return None if math.isnan(number) else number


def _of_text(text: str) -> float | str | None:
    """Return text as a number if possible, otherwise unchanged; None if it means absent."""
    text = text.strip()
    if NUMBER.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return None if text in ABSENT else str(text)


def _kind(value) -> str:
    shape = getattr(value, "shape", ())
    return f"a {type(value).__name__}" + (f" of shape {shape}" if shape else "")
