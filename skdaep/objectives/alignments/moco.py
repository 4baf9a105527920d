r"""MoCo: contrast with a queue of many objects, encoded by a slowly moving copy of the encoder (He et al. 2020).

.. math:: \mathcal{L}_i = -\log
    \frac{e^{q_i \cdot k_i / \tau}}{e^{q_i \cdot k_i / \tau} + \sum_j e^{q_i \cdot k_j / \tau}},
    \qquad \theta_k \leftarrow m\,\theta_k + (1 - m)\,\theta_q

(arXiv:1911.05722, equations 1 and 2). q is the encoding of one modality, and k is that of the other by the copy; both
have unit length. j runs over a queue of earlier keys of the other modality. The loss is the mean over both directions,
with :math:`m = 0.999` and :math:`\tau = 0.07`. Keys of the same object, or of its group (``fit(groups=)``), are never
negatives, because a queue longer than the training set contains them.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from ...nn.autoencoder import Autoencoder
from ...nn.batch import Batch
from ..base import encode_separately
from .base import Alignment, Encode, Pair, unit

EMPTY = -1  # group of a place in the queue that is still empty


class MoCo(Alignment):
    """Contrast with a queue of earlier objects, encoded by a slow copy of the encoder (He et al. 2020).

    Parameters
    ----------
    autoencoder : Autoencoder
        The networks, including the encoder.
    queue_size : int
        Number of keys in the queue of each modality; in the paper 65,536 for a million images.
    momentum : float
        Share of its weights that the copy retains in a step. The copy lags by about 1 / (1 - momentum) steps.
    temperature : float
        Temperature of the cosines.
    """

    name = "moco"
    spherical = True
    queue: Tensor
    groups: Tensor
    place: Tensor

    def __init__(
        self,
        autoencoder: Autoencoder,
        *,
        queue_size: int = 4096,
        momentum: float = 0.999,
        temperature: float = 0.07,
    ):
        super().__init__(autoencoder)
        self.momentum, self.temperature = momentum, temperature
        #: the encoder of queries, in a tuple so that its weights are not registered twice
        self.query_encoder = (autoencoder,)
        self.key_encoder = autoencoder.encoding_part().requires_grad_(False)
        n_modalities, size = len(autoencoder.names), math.prod(autoencoder.code_shape)
        self.register_buffer("queue", torch.zeros(n_modalities, queue_size, size))
        self.register_buffer("groups", torch.full((n_modalities, queue_size), EMPTY))
        self.register_buffer("place", torch.zeros(n_modalities, dtype=torch.long))

    def begin(self) -> None:
        """Empty the queue, because the numbers of groups differ from fit to fit."""
        self.groups.fill_(EMPTY)
        self.place.zero_()

    def forward(
        self, separate: Tensor, present: Tensor, batches: dict[str, Batch], encode: Encode = Autoencoder.encode
    ) -> Tensor:
        """Return the mean over pairs (B,). In training, update the copy before and queue its keys afterwards."""
        training = torch.is_grad_enabled()
        if training:
            self.follow()
        with torch.no_grad():
            keys = unit(encode_separately(partial(encode, self.key_encoder), batches)[0].flatten(2))  # (B, M, D)
        loss = self.mean_over_pairs(separate, present, batches, lambda pair: self.contrast(pair, keys))
        if training:
            self.enqueue(keys, present, batches)
        return loss

    @torch.no_grad()
    def follow(self) -> None:
        """Move the copy a step towards the encoder."""
        (autoencoder,) = self.query_encoder
        own = dict(autoencoder.named_parameters())
        for name, key in self.key_encoder.named_parameters():
            key.lerp_(own[name], 1 - self.momentum)

    @torch.no_grad()
    def enqueue(self, keys: Tensor, present: Tensor, batches: dict[str, Batch]) -> None:
        """Replace the oldest keys of each modality by the keys (B, M, D) of the objects that have it."""
        for m, batch in enumerate(batches.values()):
            rows = present[:, m].nonzero()[: self.queue.shape[1], 0]
            places = (self.place[m] + torch.arange(len(rows), device=rows.device)) % self.queue.shape[1]
            self.queue[m, places], self.groups[m, places] = keys[rows, m], group_of(batch)[rows]
            self.place[m] = (self.place[m] + len(rows)) % self.queue.shape[1]

    def contrast(self, pair: Pair, keys: Tensor) -> Tensor:
        """Return the mean of both directions (n,)."""
        (i, j), group = pair.places, group_of(pair.batches[0])
        to_b = self.against_queue(unit(pair.a), keys[pair.rows, j], j, group)
        to_a = self.against_queue(unit(pair.b), keys[pair.rows, i], i, group)
        return 0.5 * (to_b + to_a)

    def against_queue(self, query: Tensor, key: Tensor, modality: int, group: Tensor) -> Tensor:
        """Return the InfoNCE loss (n,) of queries and keys (n, D), with negatives from the queue of a modality."""
        known = self.groups[modality]
        negative = (known != EMPTY) & (known != group[:, None])  # (n, Q)
        with torch.autocast(query.device.type, enabled=False):
            others = query @ self.queue[modality].clone().T  # the queue changes before the backward pass
        logits = torch.cat([(query * key).sum(1, keepdim=True), others.masked_fill(~negative, -torch.inf)], 1)
        own = torch.zeros(len(query), dtype=torch.long, device=query.device)
        return F.cross_entropy(logits / self.temperature, own, reduction="none")


def group_of(batch: Batch) -> Tensor:
    """Return the group of each object of a batch (B,)."""
    if batch.group is None:
        raise ValueError("These batches do not say which objects belong together.")
    return batch.group
