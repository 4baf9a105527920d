"""Estimators: the scikit-learn interface. OPEN: one thin class per objective, on a common base.

`UnimodalEncoder`, `MultimodalEncoder`, `multimodal` and `documented` are for those who write one.
"""

from ._base import ESTIMATORS
from ._beta_vae import BetaVAEEncoder
from ._contrastive import ContrastiveNeighbors
from ._daep import DAEPEncoder
from ._docs import documented
from ._dualformer import DualFormer
from ._files import load
from ._functional_pca import FunctionalPCA
from ._info import FileInfo, info
from ._maep import MAEPEncoder
from ._mixture import MixtureOfExpertsVAE
from ._multimodal import MultimodalEncoder, multimodal
from ._multimodal_daep import MultimodalDAEP
from ._packing import pack
from ._parameters import NOT_NEGATIVE, POSITIVE, SHARE
from ._unimodal import UnimodalEncoder

__all__ = [
    "ESTIMATORS",
    "NOT_NEGATIVE",
    "POSITIVE",
    "SHARE",
    "BetaVAEEncoder",
    "ContrastiveNeighbors",
    "DAEPEncoder",
    "DualFormer",
    "FileInfo",
    "FunctionalPCA",
    "MAEPEncoder",
    "MixtureOfExpertsVAE",
    "MultimodalDAEP",
    "MultimodalEncoder",
    "UnimodalEncoder",
    "documented",
    "info",
    "load",
    "multimodal",
    "pack",
]
