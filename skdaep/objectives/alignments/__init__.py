"""Alignments: losses that make the encodings of an object's modalities agree. OPEN: one file each."""

from .base import ALIGNMENTS, Alignment, Pair
from .dual import Dual
from .infonce import InfoNCE
from .moco import MoCo
from .simsiam import SimSiam
from .vicreg import VICReg

__all__ = ["ALIGNMENTS", "Alignment", "Dual", "InfoNCE", "MoCo", "Pair", "SimSiam", "VICReg"]
