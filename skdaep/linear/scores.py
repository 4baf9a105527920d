"""What the scores of many objects add up to, some objects at a time: covariances take K^2 numbers of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from .factors import Posterior, expectation
from .nodes import Evidence

#: Largest number of entries of covariance matrices that are in memory together.
AT_ONCE = 2**19


class Sums(NamedTuple):
    """What the next theta is made of: sums over objects, by node, of products of evidence and expected scores."""

    own: Tensor  # (L, T) upper triangles, float64
    beside: Tensor | None  # (L - 1, T)
    pull: Tensor  # (L, P, 1 + K)

    @classmethod
    def of(cls, evidence: Evidence, posterior: Posterior) -> Sums:
        """Return the sums over some objects."""
        scores, second = _moments(posterior, evidence.value.dtype)
        pull = (evidence.value.flatten(1).T @ scores).double().unflatten(0, evidence.value.shape[1:])
        beside = None if evidence.next is None else (evidence.next[:, :-1].T @ second).double()
        return cls((evidence.own.T @ second).double(), beside, pull)

    def plus(self, other: Sums) -> Sums:
        """Return the sums over the objects of both."""
        beside = None if self.beside is None or other.beside is None else self.beside + other.beside
        return Sums(self.own + other.own, beside, self.pull + other.pull)


def posteriors(theta: Tensor, noise: float, evidence: Evidence) -> Iterator[tuple[Evidence, Posterior]]:
    """Yield the evidence and the posterior of some objects at a time, given theta (L, P, 1 + K) and the noise s^2."""
    for part in evidence.parts(max(1, AT_ONCE // theta.shape[2] ** 2)):
        yield part, expectation(theta, noise, part)


def triangles(posterior: Posterior, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return the expectation of [1, a] (N, 1 + K), and the covariance of a as upper triangles."""
    scores = torch.cat([torch.ones_like(posterior.mean[:, :1]), posterior.mean], 1)
    i, j = torch.triu_indices(posterior.mean.shape[1], posterior.mean.shape[1])
    return scores.to(dtype), posterior.covariance[:, i, j].to(dtype)


def _moments(posterior: Posterior, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return the expectation of [1, a] (N, 1 + K) and of its outer product, as upper triangles (N, T)."""
    scores = torch.cat([torch.ones_like(posterior.mean[:, :1]), posterior.mean], 1)
    i, j = torch.triu_indices(scores.shape[1], scores.shape[1])
    second = scores[:, i] * scores[:, j]
    second[:, i > 0] += posterior.covariance[:, i[i > 0] - 1, j[i > 0] - 1]
    return scores.to(dtype), second.to(dtype)


def twice(k: int) -> Tensor:
    """Return how often each entry of an upper triangle (T,) stands in the whole matrix."""
    i, j = torch.triu_indices(k, k)
    return torch.where(i == j, 1.0, 2.0).double()
