r"""The beta-VAE: the posterior of z is pulled towards N(0, 1) (Higgins et al. 2017; daep, section 4).

.. math:: \mathcal{L} = \frac{1}{n}\Bigl[\sum_{i=1}^{n} (x_i - \hat x_i(z))^2
    + 2\,\beta\,\mathrm{KL}\bigl(q(z \mid x) \,\Vert\, \mathcal{N}(0, 1)\bigr)\Bigr], \qquad z \sim q(z \mid x)

This is the negative evidence bound, for measurements with unit variance in scaled units, divided by n / 2: more points
constrain z more. n counts all points of the object. The sum is estimated from the points decoded in a step.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..nn.autoencoder import Autoencoder
from ..nn.batch import Batch
from .base import Bottleneck, NextNoise
from .cored import Cored


class Variational(Cored):
    """Reconstruct from a draw of the posterior; the decoder only gets locations."""

    n_moments = 2
    draws = "posterior"
    has_prior = True

    def __init__(self, autoencoder: Autoencoder, *, beta: float, **options: Any):
        super().__init__(autoencoder, **options)
        self.beta = beta

    def encode(self, batches: dict[str, Batch]) -> Bottleneck:
        """Return mean and scale of the posterior."""
        return Bottleneck(*self.posterior(batches))

    def posterior(self, batches: dict[str, Batch], generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Return mean and scale of the posterior; with a generator, from drawn scores, as in training."""
        return normal(self.core.encode(self.autoencoder, batches, generator))

    def loss(self, batches: dict[str, Batch], generator: torch.Generator) -> dict[str, Tensor]:
        """Return the bound per object and point, and its two parts."""
        shown = self.shown(self.drop_modalities(batches, generator), generator)
        mean, scale = self.posterior(shown, self.drawn(generator))
        z = mean + scale * torch.randn(mean.shape, generator=generator, device=generator.device)
        error = self.mean_over_modalities(batches, z, self.squared_error)
        divergence = divergence_from_standard_normal(mean, scale)
        n_points = sum(batch.n_points for batch in batches.values())
        return {"loss": error + 2 * self.beta * divergence / n_points, "error": error, "divergence": divergence}

    def squared_error(self, name: str, z: Tensor, batch: Batch) -> Tensor:
        """Return the mean squared error of the decoded points, per object."""
        query = self.decoded_points(batch)
        return self.mean_over_points(name, (self.decode(name, z, query) - query.value) ** 2, query)

    def decode(
        self,
        name: str,
        z: Tensor,
        query: Batch,
        noise: NextNoise | None = None,
        context: Batch | None = None,
    ) -> Tensor:
        """Return the mean at the locations of `query`, given z."""
        queries = self.autoencoder.decoder_tokenizers[name].queries(query)
        values = self.autoencoder.decode(name, queries, *self.autoencoder.condition(name, z, query), query.observed)
        return values + self.core.curve(self.autoencoder, name, z, query)


def normal(moments: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and scale (..., D) from the output of the encoder (..., 2 D)."""
    mean, raw = moments.chunk(2, dim=-1)
    return mean, F.softplus(raw) + 1e-4


def divergence_from_standard_normal(mean: Tensor, scale: Tensor) -> Tensor:
    r"""Return :math:`\sum \frac12 (\mu^2 + s^2 - 1) - \log s` over the bottleneck, in nats (B,)."""
    return (0.5 * (mean**2 + scale**2 - 1) - scale.log()).flatten(1).sum(1)
