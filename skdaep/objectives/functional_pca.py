r"""Functional PCA: a linear decoder and the exact posterior of its scores, in closed form (`skdaep.linear`).

.. math:: x = \mu + \sum_k z_k \phi_k + \epsilon, \qquad z_k \sim \mathcal{N}(0, v_k)

The basis is orthonormal in the mean over points: the distance of two codes is the root mean square distance of what
they decode to.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..linear import FactorAnalysis, Points, Posterior, draw, fit
from ..nn.batch import Batch, Ragged
from ._base import Bottleneck, Objective


class FunctionalPCA(Objective):
    """Encode one modality to the expectation of its scores; fitted at once, not trained.

    Parameters
    ----------
    name : str
        The modality.
    factors : FactorAnalysis
        Of K components.
    shape : tuple of int
        Of the bottleneck, K entries in all.
    """

    draws = "posterior"

    def __init__(self, name: str, factors: FactorAnalysis, shape: tuple[int, ...]):
        super().__init__(None)
        self.name, self.factors, self.shape = name, factors, tuple(shape)

    @classmethod
    def fit(
        cls, name: str, store: Ragged, shape: tuple[int, ...], *, validation: Ragged | None = None, **options
    ) -> tuple[FunctionalPCA, list[dict]]:
        """Return the objective of a store, and the history of its fit; `options` are those of `skdaep.linear.fit`."""
        held_out = None if validation is None else Points.of(validation)
        factors, history = fit(Points.of(store), torch.Size(shape).numel(), validation=held_out, **options)
        return cls(name, factors, shape), history

    def posterior(self, batches: dict[str, Batch]) -> Posterior:
        """Return the normal distribution of scores (B, K) given all points, with its covariance (B, K, K)."""
        return self.factors.posterior(Points.of(batches[self.name]))

    def encode(self, batches: dict[str, Batch]) -> Bottleneck:
        """Return expectation and standard deviations of scores; these are correlated, see `draw`."""
        mean, covariance, _ = self.posterior(batches)
        scale = covariance.diagonal(dim1=1, dim2=2).sqrt()
        return Bottleneck(*(x.float().unflatten(1, self.shape) for x in (mean, scale)))

    def draw(self, batches: dict[str, Batch], noise: Tensor) -> Tensor:
        """Return codes drawn from their posterior, given standard normal noise of the bottleneck's shape."""
        return draw(self.posterior(batches), noise.flatten(1)).float().unflatten(1, self.shape)

    def loss(self, batches: dict[str, Batch], generator: torch.Generator) -> dict[str, Tensor]:
        """Return minus the log-likelihood per number of each object."""
        batch = batches[self.name]
        numbers = batch.lengths * batch.value[0, 0].numel()
        return {"loss": -self.posterior(batches).log_likelihood / numbers}

    def decode(self, name, z, query, noise=None, context=None) -> Tensor:
        """Return the curve at the locations of `query`; with `noise` what a measurement of it there might be."""
        values = self.factors.decode(z.flatten(1), query.location, query.band).view(query.value.shape)
        if noise is None:
            return values
        spread = self.factors.noise_of(query.error).sqrt().to(values.dtype)
        return values + spread.view(*spread.shape, *[1] * (values.ndim - 2)) * noise()
