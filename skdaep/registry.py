"""Registries of classes by name, so that files can refer to classes but never contain code."""

from __future__ import annotations


def register(registry: dict[str, type], cls: type) -> type:
    """Register a class under its name. The first class with a name keeps it.

    A class defined anew, as when the cell of a notebook is run again, takes the place of what it was.
    """
    known = registry.setdefault(cls.__name__, cls)
    if (known.__module__, known.__qualname__) == (cls.__module__, cls.__qualname__):
        registry[cls.__name__] = cls
    return cls
