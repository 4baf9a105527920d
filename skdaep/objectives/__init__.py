"""Objectives: what is learned. OPEN: one file per member, each an `Objective`."""

from ._base import OBJECTIVES, Bottleneck, Experts, Objective
from .contrastive import Contrastive
from .denoising import Denoising
from .functional_pca import FunctionalPCA
from .hiding import HIDING, by_modality
from .masking import Masking
from .mixture import MixtureOfExperts
from .variational import Variational

__all__ = [
    "HIDING",
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
    "by_modality",
]
