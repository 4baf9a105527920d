"""Check values from files against the type hints of dataclasses and functions."""

from __future__ import annotations

import dataclasses
import math
import types
from functools import cache
from numbers import Integral, Real
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np


def check(value: Any, hint: Any, path: str) -> None:
    """Raise TypeError if a value does not match a type hint. The fields of a dataclass are checked too.

    Integers count as floats and lists as tuples. Floats must be finite. Hints for functions and the like are ignored.
    """
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return check(value, parts[0], path)
    if origin in (Union, types.UnionType):
        return _check_any(value, parts, hint, path)
    if origin is Literal:
        return _demand(value in parts, value, hint, path)
    if origin in (tuple, list) or hint in (tuple, list):
        return _check_cells(value, origin, parts, hint, path)
    if origin is dict or hint is dict:
        return _check_entries(value, parts, hint, path)
    if hint is float:
        return _demand(_is_number(value), value, hint, path)
    if hint is int:
        return _demand(isinstance(value, Integral) and not isinstance(value, bool), value, hint, path)
    if hint is bool:
        return _demand(isinstance(value, (bool, np.bool_)), value, hint, path)
    if hint is None:
        return _demand(value is None, value, hint, path)
    if isinstance(hint, type) and hint is not Any:
        _demand(isinstance(value, hint), value, hint, path)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            for name, own in hints_of(type(value)).items():
                check(getattr(value, name), own, f"{path}.{name}")
    return None


@cache
def hints_of(cls: Any) -> dict[str, Any]:
    """Return the type hints of the fields of a dataclass; none if they use names that only a type checker knows."""
    try:
        hints = get_type_hints(cls)
    except NameError:
        return {}
    return {f.name: hints[f.name] for f in dataclasses.fields(cls)}


def _demand(right: bool, value: Any, hint: Any, path: str) -> None:
    if not right:
        name = hint.__name__ if isinstance(hint, type) else hint
        shown = repr(value)
        shown = shown if len(shown) < 60 else shown[:57] + "..."
        raise TypeError(f"{path} is {shown}, but must be {name}")


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    return abs(int(value)) < 10**308 if isinstance(value, Integral) else math.isfinite(value)


def _check_any(value: Any, choices: tuple[Any, ...], hint: Any, path: str) -> None:
    errors = []
    for choice in choices:
        try:
            return check(value, choice, path)
        except TypeError as error:
            errors.append(error)
    # If the value matches the outer type of one choice, the error within it is more helpful than a list of choices.
    within = [e for e in errors if not str(e).startswith(f"{path} is ")]
    if within:
        raise within[0]
    return _demand(False, value, hint, path)


def _check_cells(value: Any, origin: Any, parts: tuple[Any, ...], hint: Any, path: str) -> None:
    _demand(isinstance(value, (tuple, list)), value, hint, path)
    if origin is tuple and Ellipsis not in parts:
        _demand(len(value) == len(parts), value, hint, path)
        own = parts
    else:
        own = parts[:1] * len(value)
    for i, (cell, part) in enumerate(zip(value, own, strict=False)):
        check(cell, part, f"{path}[{i}]")


def _check_entries(value: Any, parts: tuple[Any, ...], hint: Any, path: str) -> None:
    _demand(isinstance(value, dict), value, hint, path)
    if parts:
        for key, entry in value.items():
            check(key, parts[0], f"a key of {path}")
            check(entry, parts[1], f"{path}[{key!r}]")
