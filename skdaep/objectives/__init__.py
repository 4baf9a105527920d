"""Objectives: what is learned. OPEN: one file per member, each an `Objective`."""

from ._base import OBJECTIVES, Bottleneck, Experts, Objective, random_share
from .contrastive import Contrastive
from .denoising import Denoising
from .functional_pca import FunctionalPCA
from .masking import Masking
from .mixture import MixtureOfExperts
from .supervised import HEADS, QUANTILES, Labelled, Supervised
from .variational import Variational

__all__ = [
    "HEADS",
    "OBJECTIVES",
    "QUANTILES",
    "Bottleneck",
    "Contrastive",
    "Denoising",
    "Experts",
    "FunctionalPCA",
    "Labelled",
    "Masking",
    "MixtureOfExperts",
    "Objective",
    "Supervised",
    "Variational",
    "random_share",
]
