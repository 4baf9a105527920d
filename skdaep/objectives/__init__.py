"""Objectives: what networks are trained to do. OPEN: one file per member, each an `Objective`."""

from .alignments import ALIGNMENTS, Alignment
from .base import OBJECTIVES, Bottleneck, Experts, Objective
from .contrastive import Contrastive
from .denoising import Denoising
from .dualformer import DualFormer
from .functional_pca import FunctionalPCA
from .hiding import HIDING, by_modality, shown_in_part
from .masking import Masking
from .mixture import MixtureOfExperts
from .plan import Plan, TrainingSet
from .supervised import HEADS, QUANTILES, Labelled, Supervised
from .variational import Variational

__all__ = [
    "ALIGNMENTS",
    "HEADS",
    "HIDING",
    "OBJECTIVES",
    "QUANTILES",
    "Alignment",
    "Bottleneck",
    "Contrastive",
    "Denoising",
    "DualFormer",
    "Experts",
    "FunctionalPCA",
    "Labelled",
    "Masking",
    "MixtureOfExperts",
    "Objective",
    "Plan",
    "Supervised",
    "TrainingSet",
    "Variational",
    "by_modality",
    "shown_in_part",
]
