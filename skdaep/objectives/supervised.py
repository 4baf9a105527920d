r"""Supervision: any objective, combined with a head that predicts labels from codes.

.. math:: \mathcal{L} = (1 - \lambda)\,\mathcal{L}_\text{inner} + \lambda\,\mathcal{L}_\text{head}

(Kamai, Bronstein & Perets 2025, equation 1). Numbers are predicted by quantiles with the pinball loss (Koenker &
Bassett 1978), averaged over quantiles q and over the known targets of an object,

.. math:: \rho_q(y - \hat y_q) = \max\bigl(q\,(y - \hat y_q),\; (q - 1)\,(y - \hat y_q)\bigr),

and classes with the cross entropy. :math:`\mathcal{L}_\text{head}` is the mean over the labelled objects of a batch, so
other objects do not dilute it. Both heads are linear, so a linear probe can find what they use. The head sees another
random share of an object's points than the inner objective, and modalities are dropped for it too.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..nn.batch import Batch
from .base import Objective

#: levels of the predicted quantiles, with the median in the middle
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


class Labelled(NamedTuple):
    """Batches by modality and the targets of their objects."""

    batches: dict[str, Batch]
    target: Tensor  # (B, T) standardised numbers, or (B, 1) indices of classes; NaN where unknown


class Quantiles(nn.Module):
    """Predict quantiles of `n` numbers; they never cross.

    Parameters
    ----------
    size : int
        Number of inputs.
    n : int
        Number of targets.
    """

    levels: Tensor

    def __init__(self, size: int, n: int):
        super().__init__()
        self.read = nn.Linear(size, n * len(QUANTILES))
        self.register_buffer("levels", torch.tensor(QUANTILES), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return quantiles (B, T, Q) of standardised targets: the median plus or minus positive steps."""
        raw = self.read(x).unflatten(1, (-1, len(QUANTILES)))
        middle = len(QUANTILES) // 2
        median, steps = raw[..., middle : middle + 1], F.softplus(raw)
        down = steps[..., :middle].flip(-1).cumsum(-1).flip(-1)
        return torch.cat([median - down, median, median + steps[..., middle + 1 :].cumsum(-1)], -1)

    def loss(self, x: Tensor, target: Tensor) -> Tensor:
        """Return the pinball loss (B,) of targets (B, T), averaged over quantiles and known targets."""
        known = ~target.isnan()
        above = target.nan_to_num()[..., None] - self(x).float()  # (B, T, Q)
        pinball = torch.maximum(self.levels * above, (self.levels - 1) * above).mean(-1)
        return (pinball * known).sum(1) / known.sum(1)


class Classes(nn.Module):
    """Predict the probabilities of `n` classes.

    Parameters
    ----------
    size : int
        Number of inputs.
    n : int
        Number of classes.
    """

    def __init__(self, size: int, n: int):
        super().__init__()
        self.read = nn.Linear(size, n)

    def forward(self, x: Tensor) -> Tensor:
        """Return probabilities (B, C)."""
        return self.read(x).float().softmax(1)

    def loss(self, x: Tensor, target: Tensor) -> Tensor:
        """Return the cross entropy (B,) of the indices of classes (B, 1)."""
        return F.cross_entropy(self.read(x).float(), target[:, 0].long(), reduction="none")


#: kind of target -> head that predicts it
HEADS: dict[str, type[Quantiles] | type[Classes]] = {"numbers": Quantiles, "classes": Classes}


class Supervised(nn.Module):
    """An objective and a head that are trained together. After training they are used separately.

    Parameters
    ----------
    inner : Objective
        The objective that needs no labels.
    head : Quantiles or Classes
        The head, which predicts labels from `Objective.features`.
    weight : float
        Weight of the head's loss, from 0 to 1. The inner objective gets the rest.
    """

    def __init__(self, inner: Objective, head: Quantiles | Classes, weight: float):
        super().__init__()
        self.inner, self.head, self.weight = inner, head, weight

    def loss(self, labelled: Labelled, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the loss per object (B,) and its two parts."""
        losses = self.inner.loss(labelled.batches, generator)
        supervised = self.of_labels(labelled, generator)
        total = (1 - self.weight) * losses["loss"] + self.weight * supervised
        return losses | {"loss": total, "unsupervised": losses["loss"], "supervised": supervised}

    def held_out_loss(self, labelled: Labelled, generator: torch.Generator) -> Tensor:
        """Return the weighted mean of the inner objective's held-out loss and the head's loss, per object (B,)."""
        inner = self.inner.held_out_loss(labelled.batches, generator)
        return (1 - self.weight) * inner + self.weight * self.of_labels(labelled, generator)

    def of_labels(self, labelled: Labelled, generator: torch.Generator) -> Tensor:
        """Return the head's loss per object (B,), 0 without labels, with the mean of the labelled objects."""
        batches, target = labelled
        loss = torch.zeros(len(target), device=target.device)
        known = (~target.isnan()).any(1).nonzero()[:, 0]
        if not len(known):
            return loss
        remaining = self.inner.drop_modalities({k: batch.rows(known) for k, batch in batches.items()}, generator)
        loss_of_known = self.head.loss(self.inner.features(self.inner.shown(remaining, generator)), target[known])
        return loss.index_add(0, known, loss_of_known * (len(target) / len(known)))
