"""What a file may hold: numbers, text, containers, arrays and the dataclasses that modalities are made of, as JSON."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import numpy as np

from ..diffusion.noise import Correlation
from ..modalities import STORABLE, storable

storable(Correlation)


def to_json(x: Any) -> Any:
    """Return what `from_json` turns into x again.

    Raises
    ------
    TypeError
        If x holds anything that a file may not.
    """
    if x is None or isinstance(x, (bool, int, float, str)):
        return x
    if isinstance(x, np.generic):
        return x.item()
    if isinstance(x, np.ndarray):
        return {"array": x.tolist(), "dtype": "object" if x.dtype == object else x.dtype.str}
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
    """Return what is wrong with the name of a class that is not in a registry."""
    known = registry.get(cls.__name__)
    return "" if known is None else f", whose name belongs to {known.__module__}.{known.__qualname__}: rename it"


def from_json(x: Any) -> Any:
    """Return what `to_json` was given; the classes are those known by their names, and nothing is executed."""
    if isinstance(x, list):
        return [from_json(v) for v in x]
    if not isinstance(x, dict):
        return x
    if "array" in x:
        return np.array(x["array"], dtype=x["dtype"])
    ((kind, content),) = x.items()
    if kind == "tuple":
        return tuple(from_json(content))
    fields = {k: from_json(v) for k, v in content.items()}
    return fields if kind == "dict" else STORABLE[kind](**fields)
