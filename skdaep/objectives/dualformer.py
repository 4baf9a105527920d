r"""The DualFormer: two views attend to each other when encoded, and are aligned without negatives (Kamai et al. 2025).

The tokens of both views, here the hidden tokens of the Perceiver encoder, pass through blocks of dual attention.
Bottleneck queries then read z1 and z2 from the tokens of each view. `alignments.Dual` is their loss. The code is

.. math:: f = V^T \tfrac12 (z_1 + z_2), \qquad \tfrac12 (A + A^T) = V \Lambda V^T,

and :math:`V^T z_i` for an object with one view. A rotation changes neither distances nor linear probes. In the paper, V
are the eigenvectors of A itself. They are complex, and their real parts are neither orthogonal nor independent.

Views that attend to each other could agree trivially, and the encoder would not be prepared for objects with one view.
So in training the views of some objects, a share of `drop_modality`, do not attend to each other.
"""

from __future__ import annotations

from typing import Any, Self, cast

import torch
from torch import Tensor, nn

from ..nn.autoencoder import Autoencoder
from ..nn.batch import Batch
from ..nn.dual import DualBlock
from .alignments.dual import Dual, directions
from .base import Bottleneck, Objective
from .contrastive import Contrastive

WEIGHTS = frozenset({"duality_weight", "covariance_weight", "variance_weight"})


class DualFormer(Contrastive):
    """Align two views that attend to each other."""

    training_options = Objective.training_options | WEIGHTS

    def __init__(
        self,
        autoencoder: Autoencoder,
        *,
        n_dual_layers: int,
        attention: str,
        projection: str,
        duality_weight: float,
        covariance_weight: float,
        variance_weight: float,
        **options: Any,
    ):
        terms = {"duality_weight": duality_weight, "covariance_weight": covariance_weight}
        terms |= {"variance_weight": variance_weight}
        super().__init__(autoencoder, alignment="dual", alignment_options=terms | {"projection": projection}, **options)
        self.turn: Tensor | None = None
        names = autoencoder.names
        self.blocks = nn.ModuleList(
            DualBlock(names, autoencoder.model_dim, autoencoder.n_heads, attention) for _ in range(n_dual_layers)
        )

    def encode_separately(self, batches: dict[str, Batch], meet: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return encodings of the views (B, 2, K, D), which attend to each other if `meet`, and which are present."""
        encoder, (tokens, observed) = self.autoencoder.encoder, self.autoencoder.tokens(batches)
        read = {name: encoder.read(name, tokens[name], observed[name])[0] for name in batches}  # (B, H, W) each
        present = torch.stack([batch.present for batch in batches.values()], 1)
        both = present.all(1) if meet is None else present.all(1) & meet
        for block in self.blocks:
            read = block(read, both)
        separate = torch.stack(
            [encoder.summary(x, x.new_ones(x.shape[:2], dtype=torch.bool)) for x in read.values()], 1
        )
        return separate.float().where(present[:, :, None, None], 0.0), present

    def features(self, batches: dict[str, Batch]) -> Tensor:
        """Return the mean encoding of an object's views (B, K D), whose axes do not rotate during training."""
        separate, present = self.encode_separately(batches)
        return separate.flatten(2).sum(1) / present.sum(1)[:, None]

    def encode(self, batches: dict[str, Batch]) -> Bottleneck:
        """Return the mean encoding along the directions of the matrix."""
        directions = self.directions() if self.turn is None else self.turn
        return Bottleneck((self.features(batches) @ directions).unflatten(1, self.autoencoder.code_shape))

    def directions(self) -> Tensor:
        """Return V (d, d)."""
        return directions(cast(Dual, self.alignment).matrices[0].detach())

    def train(self, mode: bool = True) -> Self:
        """Start or end training. After training V is computed once."""
        super().train(mode)
        self.turn = None if mode else self.directions()
        return self

    def loss(self, batches: dict[str, Batch], generator: torch.Generator) -> dict[str, Tensor]:
        """Return the dual loss per object; 0 for objects with one view."""
        n = len(next(iter(batches.values())))
        meet = torch.rand(n, generator=generator, device=generator.device) >= self.drop_modality
        return {"loss": self.alignment(*self.encode_separately(self.shown(batches, generator), meet), batches)}
