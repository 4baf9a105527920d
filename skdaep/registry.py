"""Classes by name, so that a file can say which ones it needs; a file never brings code of its own."""

from __future__ import annotations


def register(registry: dict[str, type], cls: type) -> type:
    """Enter a class under its name, which belongs to the first class that has it.

    A class defined anew, as when the cell of a notebook is run again, takes the place of what it was.
    """
    known = registry.setdefault(cls.__name__, cls)
    if (known.__module__, known.__qualname__) == (cls.__module__, cls.__qualname__):
        registry[cls.__name__] = cls
    return cls
