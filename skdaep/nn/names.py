"""Modules and parameters, stored by the name of a modality.

Keys may be any text, whereas torch itself allows neither dots nor the names of its own methods.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from torch import nn


class ModulesByName(nn.ModuleDict):
    """Modules by any name; what else they can do than any module, who looks one up knows."""

    def __setitem__(self, name: str, module: nn.Module) -> None:
        super().__setitem__(key_of(name), module)

    def __getitem__(self, name: str) -> Any:
        return super().__getitem__(key_of(name))

    def __contains__(self, name: str) -> bool:
        return super().__contains__(key_of(name))


class ParametersByName(nn.ParameterDict):
    """Parameters by any name."""

    def __setitem__(self, name: str, parameter: nn.Parameter) -> None:
        super().__setitem__(key_of(name), parameter)

    def __getitem__(self, name: str) -> nn.Parameter:
        return super().__getitem__(key_of(name))

    def items(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield keys and parameters. torch's own method would treat the keys as names when it prints a module."""
        return self.named_parameters(recurse=False)

    def __contains__(self, name: str) -> bool:
        return super().__contains__(key_of(name))


def key_of(name: str) -> str:
    """Return the name in brackets, which no attribute has, its dots escaped: ``heads.[gaia%2Exp].out.bias``."""
    return f"[{quote(name, safe=' ').replace('.', '%2E')}]"
