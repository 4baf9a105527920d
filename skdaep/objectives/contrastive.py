"""The contrastive objective makes the encodings of an object's modalities agree (`ALIGNMENTS`). It has no decoder."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..nn.autoencoder import Autoencoder
from ..nn.batch import Batch
from .alignments import ALIGNMENTS
from .alignments.base import unit
from .base import Bottleneck, Objective


class Contrastive(Objective):
    """Align the encodings of an object's modalities."""

    draws = "neighbors"
    has_decoder = False

    def __init__(
        self,
        autoencoder: Autoencoder,
        *,
        alignment: str = "infonce",
        alignment_options: dict[str, Any] | None = None,
        **options: Any,
    ):
        super().__init__(autoencoder, **options)
        self.alignment = ALIGNMENTS[alignment](autoencoder, **alignment_options or {})

    def begin(self) -> None:
        """Reset the alignment."""
        self.alignment.begin()

    def encode(self, batches: dict[str, Batch]) -> Bottleneck:
        """Return the mean of the encodings of an object's modalities.

        If only directions are aligned, the encodings are unit vectors, and their mean is scaled to unit length.
        """
        separate, present = self.encode_separately(batches)  # (B, M, K, D); zeros where there is none
        if not self.alignment.spherical:
            return Bottleneck(separate.sum(1) / present.sum(1)[:, None, None])
        total = unit(separate.flatten(2)).sum(1)
        return Bottleneck(unit(total).unflatten(1, separate.shape[2:]))

    def loss(self, batches: dict[str, Batch], generator: torch.Generator) -> dict[str, Tensor]:
        """Return how much the modalities of each object disagree; 0 for an object with one modality."""
        return {"loss": self.alignment(*self.encode_separately(self.shown(batches, generator)), batches)}
