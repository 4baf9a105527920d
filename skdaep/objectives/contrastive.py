r"""The contrastive objective: encodings of one object's modalities are near, those of others far (Radford et al. 2021).

.. math:: \mathcal{L}_i = -\frac12 \log \frac{e^{a_i \cdot b_i / \tau}}{\sum_j e^{a_i \cdot b_j / \tau}}
    -\frac12 \log \frac{e^{a_i \cdot b_i / \tau}}{\sum_j e^{a_j \cdot b_i / \tau}}

the symmetric InfoNCE (van den Oord et al. 2018), a and b the encodings of two modalities at unit length and
:math:`\tau` a learned temperature, averaged over all pairs of modalities that an object has. The sums run over the
objects of the batch that have both.

Objects that share a measurement are no negatives of one another: of several epochs of one supernova, each with the same
light curve, none is the wrong answer to it. They are known by equal values, which holds as long as objects have no more
than `max_points` points; longer ones show a different part of themselves each time, and count as different.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..nn.autoencoder import Autoencoder
from ..nn.batch import Batch
from ._base import Bottleneck, Objective

#: temperature to begin with, and the lowest
START, LOWEST = 0.07, 0.01


class Contrastive(Objective):
    """Align the encodings of an object's modalities; there is no decoder."""

    draws = "neighbors"
    has_decoder = False

    def __init__(self, autoencoder: Autoencoder, **options: Any):
        super().__init__(autoencoder, **options)
        self.alignment = Alignment()

    def encode(self, batches: dict[str, Batch]) -> Bottleneck:
        """Return the mean of the unit-length encodings of the modalities, brought to unit length."""
        each, _ = self.encode_each(batches)  # (B, M, K, D); zeros where there is none
        total = unit(each.flatten(2)).sum(1)
        return Bottleneck(unit(total).unflatten(1, each.shape[2:]))

    def loss(self, batches: dict[str, Batch], generator: torch.Generator) -> dict[str, Tensor]:
        """Return the InfoNCE, per object; 0 for an object of one modality."""
        return {"loss": self.alignment(*self.encode_each(self.shown(batches, generator)), batches)}


class Alignment(nn.Module):
    """The mean InfoNCE over the pairs of modalities that an object has, at a learned temperature."""

    def __init__(self) -> None:
        super().__init__()
        self.log_temperature = nn.Parameter(torch.tensor(math.log(START)))

    def forward(self, each: Tensor, present: Tensor, batches: dict[str, Batch]) -> Tensor:
        """Return it per object (B,), of encodings (B, M, K, D) of the modalities present (B, M) of the batches."""
        z, temperature = unit(each.flatten(2)), self.log_temperature.exp().clamp(min=LOWEST)
        # Where no object has a pair there is a loss too, and a gradient, of 0, which optimisers can do with.
        total, n_pairs = 0 * temperature * each.flatten(1).sum(1), torch.zeros(len(z), device=z.device)
        for (i, one), (j, other) in itertools.combinations(enumerate(batches.values()), 2):
            rows = (present[:, i] & present[:, j]).nonzero()[:, 0]
            if len(rows):
                same = alike(one.rows(rows)) | alike(other.rows(rows))
                total = total.index_add(0, rows, info_nce(z[rows, i], z[rows, j], temperature, same))
                n_pairs[rows] += 1
        return total / n_pairs.clamp(min=1)


def info_nce(a: Tensor, b: Tensor, temperature: Tensor | float, same: Tensor | None = None) -> Tensor:
    """Return the symmetric InfoNCE (n,) of unit vectors a and b (n, D), the i-th of one belonging to that of the other.

    Where `same` (n, n) is True the objects are no negatives of one another.
    """
    logits = (a[:, None] * b).sum(2) / temperature  # (n, n), in float32: no matrix product
    if same is not None:
        own = torch.eye(len(a), dtype=torch.bool, device=a.device)
        logits = logits.masked_fill(same & ~own, -torch.inf)
    target = torch.arange(len(a), device=a.device)
    to_b, to_a = (F.cross_entropy(x, target, reduction="none") for x in (logits, logits.T))
    return 0.5 * (to_b + to_a)


def alike(batch: Batch) -> Tensor:
    """Return which objects of a batch have the same values (B, B), in whatever order; mirrored images have."""
    value = batch.value.flatten(2) if batch.value.ndim > 2 else batch.value[..., None]
    value = value.masked_fill(~batch.observed[..., None], torch.inf).flatten(1)
    _, kind = value.sort(1).values.unique(dim=0, return_inverse=True)
    return kind[:, None] == kind


def unit(x: Tensor) -> Tensor:
    """Return vectors (..., D) at unit length; zeros stay."""
    return F.normalize(x, dim=-1)
