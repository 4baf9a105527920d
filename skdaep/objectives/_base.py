"""The contract of an objective."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..nn.autoencoder import Autoencoder
from ..nn.batch import Batch


class Bottleneck(NamedTuple):
    """The code of a batch: its mean (B, K, D), and its scale where the objective has a posterior."""

    mean: Tensor
    scale: Tensor | None = None


class Objective(nn.Module):
    """An autoencoder and what it is trained for: encode, loss, decode.

    Attributes
    ----------
    n_moments : int
        Numbers the encoder must give for each entry of the bottleneck.
    draws : bool
        Whether `decode` can give draws.
    free_correlation : bool
        Whether the noise of draws may be correlated along the location, no point being denoised with regard to others.
    n_point_draws : int
        Draws whose mean is the point estimate; 0 if ``decode`` without noise gives it at once.
    """

    n_moments = 1
    draws = False
    free_correlation = False
    n_point_draws = 0

    def __init__(self, autoencoder: Autoencoder):
        super().__init__()
        self.autoencoder = autoencoder

    def encode(self, batches: dict[str, Batch]) -> Bottleneck:
        """Return the bottleneck of batches by modality, from all their points."""
        raise NotImplementedError

    def loss(self, batches: dict[str, Batch], generator: torch.Generator) -> dict[str, Tensor]:
        """Return named losses per object (B,), the one to be minimised under ``"loss"``.

        The points of the batches come in random order, so any stretch of them is a random subset.
        """
        raise NotImplementedError

    def decode(self, name: str, z: Tensor, query: Batch, noise: Callable[[], Tensor] | None = None) -> Tensor:
        """Return values (B, L) of a modality at the locations of `query`; with `noise` a draw, else a mean."""
        raise NotImplementedError


def mean_over_points(per_point: Tensor, observed: Tensor) -> Tensor:
    """Average (B, L) over the observed points of each object; padding never counts."""
    return (per_point * observed).sum(1) / observed.sum(1).clamp(min=1)
