"""The contract of a core, which is none: the networks alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ...nn.autoencoder import Autoencoder
from ...nn.batch import Batch, Ragged


class NoCore(nn.Module):
    """The networks alone (the paper's)."""

    #: whether it predicts well before the first step
    solved: ClassVar[bool] = False

    def __init__(self, autoencoder: Autoencoder):
        super().__init__()

    def learn(
        self,
        modalities: dict[str, Any],
        measurements: Mapping[str, Ragged],
        held_out: Mapping[str, Ragged] | None,
        weighed: Collection[str],
        seed: int,
    ) -> dict[str, float]:
        """Learn from objects in closed form; return by modality how far values lie from what is then known.

        Points of the modalities named in `weighed` count by their errors.
        """
        return {}

    def expected(self, modalities: dict[str, Any], state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return tensors on the meta device like those that `restore` must find, beside those of a fresh core."""
        return {}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Make room for a state, which says how large it is."""

    def encode(
        self, autoencoder: Autoencoder, batches: dict[str, Batch], generator: torch.Generator | None = None
    ) -> Tensor:
        """Return the code (B, K, D); with a generator one that is drawn, given what the points leave open."""
        return autoencoder.encode(batches)

    def curve(self, autoencoder: Autoencoder, name: str, z: Tensor, query: Batch) -> Tensor | float:
        """Return the values (B, L) of a modality that networks need not give, of codes and metadata."""
        return 0.0


def number_of_entries(autoencoder: Autoencoder) -> int:
    """Return how many numbers a code has."""
    return autoencoder.place.shape[1] * autoencoder.from_bottleneck.in_features


def silence(network: nn.Module) -> None:
    """Set weight and bias of a network's last layer to zero."""
    for parameter in list(network.parameters())[-2:]:
        nn.init.zeros_(parameter)
