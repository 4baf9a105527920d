"""What alignments share: pairs of the modalities of an object, and the mean over pairs."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...nn.autoencoder import Autoencoder
from ...nn.batch import Batch

#: name -> alignment; the first line of its docstring appears in the documentation
ALIGNMENTS: dict[str, type[Alignment]] = {}

#: fewest objects with both modalities of a pair; a single one has no other to be compared with
LEAST = 2


Encode = Callable[[Autoencoder, dict[str, Batch]], Tensor]  # codes of batches, by the networks of an autoencoder


class Pair(NamedTuple):
    """The objects of a batch that have both of two modalities."""

    a: Tensor  # (n, D) encodings of the first
    b: Tensor  # (n, D) encodings of the second
    places: tuple[int, int]  # indices of the modalities
    number: int  # index of the pair
    rows: Tensor  # (n,) indices of the objects in the batch
    batches: tuple[Batch, Batch]  # their points


class Alignment(nn.Module):
    """A loss on the separate encodings of modalities, averaged over the pairs of modalities of an object.

    A subclass defines `of_pair`. Its keyword arguments are the entries of `alignment_options`.

    Parameters
    ----------
    autoencoder : Autoencoder
        The networks, including the encoder.
    """

    #: name of the alignment
    name: ClassVar[str]
    #: whether only the direction of codes counts, so that they are normalised
    spherical: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        ALIGNMENTS[cls.name] = cls

    def __init__(self, autoencoder: Autoencoder):
        super().__init__()

    @classmethod
    def options(cls) -> dict[str, Any]:
        """Return the keyword arguments and their defaults."""
        parameters = inspect.signature(cls).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}

    def begin(self) -> None:
        """Reset state, other than weights, from a previous fit."""

    def forward(
        self, separate: Tensor, present: Tensor, batches: dict[str, Batch], encode: Encode = Autoencoder.encode
    ) -> Tensor:
        """Return the loss per object (B,), given encodings (B, M, K, D) and which modalities are present (B, M).

        The loss is 0 for objects with one modality, and for pairs that fewer than two objects have. `encode` made the
        encodings.
        """
        return self.mean_over_pairs(separate, present, batches, self.of_pair)

    def of_pair(self, pair: Pair) -> Tensor:
        """Return the loss (n,) of the objects that have both modalities."""
        raise NotImplementedError

    def mean_over_pairs(
        self, separate: Tensor, present: Tensor, batches: dict[str, Batch], loss: Callable[[Pair], Tensor]
    ) -> Tensor:
        """Return the mean (B,) of ``loss(pair)`` (n,) over the pairs of modalities that each object has."""
        z = separate.flatten(2).float()
        # If no object has a pair, loss and gradient must still exist, and be 0, for the optimiser.
        trained = sum(p.sum() for p in self.parameters() if p.requires_grad)
        total, n_pairs = 0 * (z.flatten(1).sum(1) + trained), torch.zeros(len(z), device=z.device)
        named = itertools.combinations(enumerate(batches.values()), 2)
        for number, ((i, one), (j, other)) in enumerate(named):
            rows = (present[:, i] & present[:, j]).nonzero()[:, 0]
            if len(rows) >= LEAST:
                parts = one.rows(rows), other.rows(rows)
                pair = Pair(z[rows, i], z[rows, j], (i, j), number, rows, parts)
                total, n_pairs = (
                    total.index_add(0, rows, loss(pair)),
                    n_pairs.index_add(0, rows, torch.ones_like(pair.a[:, 0])),
                )
        return total / n_pairs.clamp(min=1)


def unit(x: Tensor) -> Tensor:
    """Return vectors (..., D) scaled to unit length. Zeros stay zero."""
    return F.normalize(x, dim=-1)


def standard_deviation_hinge(x: Tensor) -> Tensor:
    r"""Return :math:`\frac1d \sum_k \max(0, 1 - \sqrt{\mathrm{Var}(x_k) + 10^{-4}})` of vectors (n, d)."""
    return F.relu(1 - (x.var(0) + 1e-4).sqrt()).mean()


def covariance(x: Tensor, y: Tensor) -> Tensor:
    r"""Return :math:`\frac1d \sum_{k \ne l} \mathrm{Cov}(x, y)_{kl}^2` of vectors (n, d), n at least 2."""
    centred = x - x.mean(0), y - y.mean(0)
    matrix = centred[0].T @ centred[1] / (len(x) - 1)  # (d, d)
    return (matrix - matrix.diagonal().diag()).square().sum() / x.shape[1]


def normalised_layer(n_in: int, n_out: int) -> list[nn.Module]:
    """Return a linear layer, normalised over the batch, followed by a ReLU.

    It has no running statistics, so held-out objects are treated as in training.
    """
    return [nn.Linear(n_in, n_out, bias=False), nn.BatchNorm1d(n_out, track_running_stats=False), nn.ReLU()]
