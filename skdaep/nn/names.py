"""Modules and parameters by the name of a modality."""

from __future__ import annotations

from urllib.parse import quote

from torch import nn


class _AnyName:
    """Keys may be any text: torch itself wants no dots, and none of the names of its own methods."""

    def __setitem__(self, name: str, value):
        super().__setitem__(_key(name), value)

    def __getitem__(self, name: str):
        return super().__getitem__(_key(name))

    def __contains__(self, name: str) -> bool:
        return super().__contains__(_key(name))


class ModulesByName(_AnyName, nn.ModuleDict):
    """Modules by any name."""


class ParametersByName(_AnyName, nn.ParameterDict):
    """Parameters by any name."""


def _key(name: str) -> str:
    """Return the name in brackets, which no attribute has, its dots escaped: ``heads.[gaia%2Exp].out.bias``."""
    return f"[{quote(name, safe=' ').replace('.', '%2E')}]"
