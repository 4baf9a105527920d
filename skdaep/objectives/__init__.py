"""Objectives: what is learned. OPEN: one file per member, each an `Objective`."""

from ._base import Bottleneck, Objective
from .denoising import Denoising

__all__ = ["Bottleneck", "Denoising", "Objective"]
