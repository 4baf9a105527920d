"""Objectives: what is learned. OPEN: one file per member, each an `Objective`."""

from ._base import Bottleneck, Objective
from .denoising import Denoising
from .masking import Masking
from .variational import Variational

__all__ = ["Bottleneck", "Denoising", "Masking", "Objective", "Variational"]
