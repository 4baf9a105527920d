r"""Symmetric InfoNCE: encodings of one object become similar, those of others dissimilar (Radford et al. 2021).

.. math:: \mathcal{L}_i = -\frac12 \log \frac{e^{a_i \cdot b_i / \tau}}{\sum_j e^{a_i \cdot b_j / \tau}}
    -\frac12 \log \frac{e^{a_i \cdot b_i / \tau}}{\sum_j e^{a_j \cdot b_i / \tau}}

(van den Oord et al. 2018), where a and b are the encodings of two modalities, scaled to unit length, and :math:`\tau`
is a learned temperature. The sums run over the objects of the batch that have both modalities.

Objects that share a measurement are not negatives of one another: if several epochs of a supernova have the same light
curve, none of them is a wrong match for it. Such objects are recognised by equal values. This only works for objects
with at most `max_points` points; longer ones show a different subset each time, and count as different.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...nn.autoencoder import Autoencoder
from ...nn.batch import Batch
from .base import Alignment, Pair, unit

#: initial and lowest temperature
START, LOWEST = 0.07, 0.01


class InfoNCE(Alignment):
    """Contrast with the other objects of the batch, with a learned temperature (Radford et al. 2021)."""

    name = "infonce"
    spherical = True

    def __init__(self, autoencoder: Autoencoder):
        super().__init__(autoencoder)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(START)))

    def of_pair(self, pair: Pair) -> Tensor:
        """Return the InfoNCE loss (n,)."""
        one, other = pair.batches
        temperature = self.log_temperature.exp().clamp(min=LOWEST)
        return info_nce(unit(pair.a), unit(pair.b), temperature, are_equal(one) | are_equal(other))


def info_nce(a: Tensor, b: Tensor, temperature: Tensor | float, same: Tensor | None = None) -> Tensor:
    """Return the symmetric InfoNCE loss (n,) of unit vectors a and b (n, D), where a[i] belongs to b[i].

    Objects for which `same` (n, n) is True are not negatives of one another.
    """
    logits = (a[:, None] * b).sum(2) / temperature  # (n, n); a sum, because autocast would multiply in bfloat16
    if same is not None:
        own = torch.eye(len(a), dtype=torch.bool, device=a.device)
        logits = logits.masked_fill(same & ~own, -torch.inf)
    target = torch.arange(len(a), device=a.device)
    to_b, to_a = (F.cross_entropy(x, target, reduction="none") for x in (logits, logits.T))
    return 0.5 * (to_b + to_a)


def are_equal(batch: Batch) -> Tensor:
    """Return which objects of a batch have the same values (B, B), in any order. Mirrored images count as equal."""
    value = batch.value.flatten(2) if batch.value.ndim > 2 else batch.value[..., None]
    value = value.masked_fill(~batch.observed[..., None], torch.inf).flatten(1)
    _, kind = value.sort(1).values.unique(dim=0, return_inverse=True)
    return kind[:, None] == kind
