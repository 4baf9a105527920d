"""Convert what a file may hold to JSON: numbers, text, containers, arrays, and the dataclasses of modalities."""

from __future__ import annotations

import dataclasses
import math
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..diffusion.noise import Correlation
from ..diffusion.scatter import Scatter
from ..modalities import STORABLE, storable
from .hints import check

storable(Correlation)
storable(Scatter)

#: limits for the description in a file: depth of nesting, bytes of an array in it, largest whole number
DEEPEST, MOST_BYTES, LARGEST = 50, 2**26, 2**64
KINDS = "biufUO"  # numpy kinds of arrays that a file may contain


def to_json(x: Any) -> Any:
    """Return x in a form that JSON can hold and `from_json` can read.

    Raises
    ------
    TypeError
        If x contains anything that a file must not.
    """
    if isinstance(x, np.generic):
        x = x.item()
    if isinstance(x, float) and not math.isfinite(x):  # JSON has neither NaN nor infinity
        return {"float": repr(float(x))}
    if x is None or isinstance(x, (bool, int, float, str)):
        return x
    if isinstance(x, np.ndarray) and x.dtype.kind in KINDS:
        cells = [to_json(v) for v in x.ravel().tolist()]
        return {"array": cells, "shape": list(x.shape), "dtype": "object" if x.dtype == object else x.dtype.str}
    if isinstance(x, tuple):
        return {"tuple": [to_json(v) for v in x]}
    if isinstance(x, list):
        return [to_json(v) for v in x]
    if isinstance(x, dict):
        return {"dict": {str(k): to_json(v) for k, v in x.items()}}
    if isinstance(x, os.PathLike):
        return os.fspath(x)
    kind = type(x)
    if STORABLE.get(kind.__name__) is kind:
        return {kind.__name__: {f.name: to_json(getattr(x, f.name)) for f in dataclasses.fields(x)}}
    if isinstance(x, np.random.RandomState):
        raise TypeError("save cannot write a RandomState; set an int random_state.")
    raise TypeError(f"save cannot write a {kind.__name__}{of_another_name(STORABLE, kind)}; use pickle.")


def of_another_name(registry: dict[str, type], cls: type) -> str:
    """Return a message about a class whose name is not in a registry."""
    known = registry.get(cls.__name__)
    return "" if known is None else f", whose name belongs to {known.__module__}.{known.__qualname__}: rename it"


def from_json(x: Any, depth: int = 0) -> Any:
    """Return the object that `to_json` converted. Classes are looked up by name, and nothing is executed.

    Raises
    ------
    TypeError, ValueError
        If `to_json` cannot have written it.
    """
    if depth > DEEPEST:
        raise ValueError(f"the description is nested more than {DEEPEST} deep")
    if isinstance(x, list):
        return [from_json(v, depth + 1) for v in x]
    if not isinstance(x, dict):
        if isinstance(x, int) and abs(x) > LARGEST:
            raise ValueError(f"a whole number beyond {LARGEST:.1e}")
        return x
    if "array" in x:
        return _array(**x)
    ((kind, content),) = x.items()
    if kind == "float":
        return float({"nan": "nan", "inf": "inf", "-inf": "-inf"}[content])
    if kind == "tuple":
        check(content, list, "a tuple")
        return tuple(from_json(content, depth + 1))
    check(content, dict, kind)
    fields = {k: from_json(v, depth + 1) for k, v in content.items()}
    return fields if kind == "dict" else _instance(kind, fields)


def _instance(kind: str, fields: dict[str, Any]) -> Any:
    if kind not in STORABLE:
        raise ValueError(f"{kind!r} is unknown; import the module that defines it")
    made = STORABLE[kind](**fields)
    check(made, STORABLE[kind], kind)
    return made


def _array(array: Any, dtype: str, shape: list[int] | None = None) -> NDArray[Any]:
    """Return an array with the given cells. The width of text follows from the cells, not from the stated type.

    Format 1 has nested lists instead of a shape.
    """
    check(dtype, str, "the type of an array")
    kind = np.dtype(dtype)
    if kind.kind not in KINDS:
        raise ValueError(f"an array of type {dtype!r}")
    cells = np.array(array if shape is None else from_json(array), dtype=object)
    if shape is not None:
        cells = cells.reshape(shape)
    widest = max((len(cell) for cell in cells.flat), default=1) if kind.kind == "U" else 0
    if cells.size * 4 * widest > MOST_BYTES:
        raise ValueError("an array of text that is too large")
    for cell in cells.flat:
        check(cell, str if kind.kind == "U" else float | str | bool | None, "a cell of an array")
    return cells.astype("U" if kind.kind == "U" else kind)
