"""Sinusoidal features of continuous numbers (locations, diffusion time, metadata)."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn


class Sinusoids(nn.Module):
    r"""Fixed sine and cosine features of a number.

    .. math:: \phi(x) = \bigl(\sin 2\pi f_k x,\ \cos 2\pi f_k x\bigr)_{k=1..n}

    with frequencies :math:`f_k` in geometric progression from `lowest` to `highest` cycles per unit of x. The lowest
    frequency should have less than one cycle over the data, and the highest should resolve the finest spacing. On a
    circle, numbers that differ by `cycle` are the same, so frequencies are rounded to different whole numbers per
    cycle.
    """

    angular: Tensor

    def __init__(self, lowest: float, highest: float, n_frequencies: int, cycle: float | None = None):
        super().__init__()
        frequencies = torch.logspace(math.log10(lowest), math.log10(highest), n_frequencies)
        if cycle is not None:  # computed with numpy, because tensors on the meta device have no values
            turns = cycle * np.geomspace(lowest, highest, n_frequencies)
            frequencies = torch.tensor(sorted({max(1, round(n)) for n in turns.tolist()})) / cycle
        self.register_buffer("angular", 2 * math.pi * frequencies)
        self.width = 2 * len(frequencies)

    def forward(self, x: Tensor) -> Tensor:
        phase = x[..., None] * self.angular  # (..., n)
        return torch.cat([phase.sin(), phase.cos()], dim=-1)  # (..., 2 n)


class NumberEmbedding(nn.Module):
    """Sinusoids and a small MLP, which turn a number (...) into a vector (..., model_dim)."""

    def __init__(self, model_dim: int, lowest: float, highest: float, n_frequencies: int, cycle: float | None = None):
        super().__init__()
        self.features = Sinusoids(lowest, highest, n_frequencies, cycle)
        first, last = nn.Linear(self.features.width, model_dim), nn.Linear(model_dim, model_dim)
        self.mlp = nn.Sequential(first, nn.GELU(), last)
        for layer in (first, last):  # location and value must have equal weight in a token from the first step
            nn.init.kaiming_normal_(layer.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp(self.features(x))


def frequency_range(extent: float, resolution: float) -> tuple[float, float, int]:
    """Return lowest, highest and number of frequencies for locations of a given range and finest spacing.

    They range from a quarter cycle over the extent to the Nyquist frequency of neighbouring points, with four per
    octave. With two per octave the network learns narrow lines more slowly.
    """
    lowest = 0.25 / extent
    highest = max(0.5 / resolution, 2 * lowest)
    return lowest, highest, 1 + math.ceil(4 * math.log2(highest / lowest))
