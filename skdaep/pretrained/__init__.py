"""Models that are trained already: `list_models` shows them, `load_model` returns one.

OPEN: a model is two files in ``models``, the encoder as `save` writes it and a card in JSON, and both come from an
entry of ``benchmarks/pretrain.py``. Nothing else has to know it. Only models whose training data may be passed on as
weights are here, and no model that holds its training objects.
"""

from importlib import import_module
from typing import Any

_HOMES = {"Card": "_cards", "Cards": "_cards", "list_models": "_cards", "load_model": "_load"}

__all__ = ["Card", "Cards", "list_models", "load_model"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:  # torch is only needed to load one
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module 'skdaep.pretrained' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
