"""Estimators: the scikit-learn face. OPEN: one thin class per objective, on one base."""

from ._beta_vae import BetaVAEEncoder
from ._contrastive import ContrastiveNeighbors
from ._daep import DAEPEncoder
from ._maep import MAEPEncoder
from ._mixture import MixtureOfExpertsVAE
from ._multimodal_daep import MultimodalDAEP
from ._persistence import load

__all__ = [
    "BetaVAEEncoder",
    "ContrastiveNeighbors",
    "DAEPEncoder",
    "MAEPEncoder",
    "MixtureOfExpertsVAE",
    "MultimodalDAEP",
    "load",
]
