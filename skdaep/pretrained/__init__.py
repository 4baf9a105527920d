"""Models that are trained already: `list_models` shows them, `load_model` returns one.

OPEN: a model is two files in ``models``, the encoder as `save` writes it and a card in JSON, and both come from an
entry of ``benchmarks/pretrain.py``. Nothing else has to know it. Only models whose training data may be passed on as
weights are here, and no model that holds its training objects.
"""

from ._cards import Card, Cards, list_models
from ._load import load_model

__all__ = ["Card", "Cards", "list_models", "load_model"]
