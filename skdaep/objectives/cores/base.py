"""The contract of a core. The base class has no core, only the networks."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ...nn.autoencoder import Autoencoder
from ...nn.batch import Batch
from ..plan import TrainingSet


class NoCore(nn.Module):
    """No core: only the networks, as in the paper."""

    #: whether predictions are good before the first step
    solved: ClassVar[bool] = False

    def __init__(self, autoencoder: Autoencoder):
        super().__init__()

    def learn(self, modalities: dict[str, Any], objects: TrainingSet, weighed: Collection[str]) -> dict[str, float]:
        """Learn from objects in closed form. Return, by modality, how far values lie from the curves of the core.

        In the modalities named in `weighed`, points are weighted by their errors.
        """
        return {}

    def expected(self, modalities: dict[str, Any], state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return tensors on the meta device with the shapes that `restore` needs, besides those of a new core."""
        return {}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Allocate tensors of the sizes in a state."""

    def encode(
        self, autoencoder: Autoencoder, batches: dict[str, Batch], generator: torch.Generator | None = None
    ) -> Tensor:
        """Return the code (B, K, D); with a generator, one drawn from what the points leave undetermined."""
        return autoencoder.encode(batches)

    def code_root(self, batches: dict[str, Batch]) -> Tensor | None:
        """Return the square root (B, K D, K D) of the covariance of codes given their points, or None."""
        return None

    def deviation_of_code(self, batches: dict[str, Batch], query: Batch) -> Tensor | None:
        """Return the standard deviation (B, L) of values that follows from it, if known."""
        return None

    def curve(self, autoencoder: Autoencoder, name: str, z: Tensor, query: Batch) -> Tensor | float:
        """Return the part of a modality's values (B, L) that the core predicts from codes and metadata."""
        return 0.0


def number_of_entries(autoencoder: Autoencoder) -> int:
    """Return the number of entries of a code."""
    return autoencoder.place.shape[1] * autoencoder.from_bottleneck.in_features


def silence(network: nn.Module) -> None:
    """Set the weight and the bias of a network's last layer to zero."""
    for parameter in list(network.parameters())[-2:]:
        nn.init.zeros_(parameter)
