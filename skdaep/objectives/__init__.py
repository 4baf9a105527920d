"""Objectives: what is learned. OPEN: one file per member, each an `Objective`."""

from ._base import OBJECTIVES, Bottleneck, Experts, Objective, random_share
from .contrastive import Contrastive
from .denoising import Denoising
from .functional_pca import FunctionalPCA
from .masking import Masking
from .mixture import MixtureOfExperts
from .variational import Variational

__all__ = [
    "OBJECTIVES",
    "Bottleneck",
    "Contrastive",
    "Denoising",
    "Experts",
    "FunctionalPCA",
    "Masking",
    "MixtureOfExperts",
    "Objective",
    "Variational",
    "random_share",
]
