r"""The mixture-of-experts VAE: a separate posterior of z for each modality (Shi et al. 2019; Shen & Gagliano 2025).

.. math:: q(z \mid x) = \frac1M \sum_{m=1}^{M} q_m(z \mid x_m), \qquad
    \mathcal{B}_K = \frac1M \sum_{m=1}^{M} \mathbb{E}_{z_1 \dots z_K \sim q_m}
    \log \frac1K \sum_{k=1}^{K} \frac{p(x \mid z_k)\, p(z_k)}{q(z_k \mid x)} \;\le\; \log p(x)

over the M modalities of an object. x contains all of them, so every expert must also decode the others. This is the
importance-weighted bound with samples stratified by expert (Shi et al., section 3): all experts are drawn equally
often, and the logarithm is inside the mean over experts. A tighter bound has one logarithm around the mean, but then
the expert that explains most takes all the weight, and the others learn nothing. :math:`\mathcal{B}_1` is the usual
evidence bound, and :math:`\mathcal{B}_K` does not fall with K. Gradients pass through the draws.

p(z) is N(0, 1), and measurements have variance :math:`\beta` in scaled units. The loss is
:math:`-2 \beta \mathcal{B}_K / n` without constants. For M = K = 1 it is that of `Variational`, with a divergence
estimated from the draw. In :math:`\log p(x \mid z)` modalities count equally, or by their weights: it is n times the
mean over modalities of the mean over points. This is the log-likelihood if an object has equally many points in each
modality.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Normal

from ..nn.autoencoder import Autoencoder
from ..nn.batch import Batch
from .base import Bottleneck, Experts
from .variational import Variational, normal


class MixtureOfExperts(Variational):
    """Reconstruct all modalities from draws of the posterior of each modality."""

    def __init__(self, autoencoder: Autoencoder, *, beta: float, n_importance: int, **options: Any):
        super().__init__(autoencoder, beta=beta, **options)
        self.n_importance = n_importance

    def experts(self, batches: dict[str, Batch], generator: torch.Generator | None = None) -> Experts:
        """Return the posterior of each modality; with a generator, from drawn scores."""
        moments, present = self.encode_separately(batches, generator)
        return Experts(*normal(moments), present)  # (B, M, K, D) each

    def encode(self, batches: dict[str, Batch]) -> Bottleneck:
        """Return mean and standard deviation of the mixture; with one modality these are those of its expert."""
        means, scales, present, _ = self.experts(batches)
        share = (present / present.sum(1, keepdim=True))[:, :, None, None]
        mean = (share * means).sum(1)
        return Bottleneck(mean, (share * (scales**2 + (means - mean[:, None]) ** 2)).sum(1).sqrt())

    def loss(self, batches: dict[str, Batch], generator: torch.Generator) -> dict[str, Tensor]:
        """Return the bound per object and point, and its two parts, averaged over draws."""
        means, scales, present, _ = self.experts(self.shown(batches, generator), self.drawn(generator))
        owner, expert = present.nonzero(as_tuple=True)  # (P,) each, with an entry for every expert of every object
        mean, scale = (x[owner, expert][:, None] for x in (means, scales))  # (P, 1, K, D)
        shape = (len(owner), self.n_importance, *mean.shape[2:])
        z = mean + scale * torch.randn(shape, generator=generator, device=generator.device)  # (P, S, K, D)

        copies = owner.repeat_interleave(self.n_importance)
        repeated = {name: batch.rows(copies) for name, batch in batches.items()}
        error = self.mean_over_modalities(repeated, z.flatten(0, 1), self.squared_error).view(shape[:2])
        divergence = log_density(z, means[owner], scales[owner], present[owner]) - log_prior(z)

        n_points = torch.stack([batch.n_points for batch in batches.values()]).sum(0)
        per_nat = (2 * self.beta / n_points)[owner, None]
        bound = log_mean_exp(-error / per_nat - divergence)  # (P,)

        def over_experts(x: Tensor) -> Tensor:
            return x.new_zeros(len(present)).index_add(0, owner, x) / present.sum(1)

        parts = {"loss": -per_nat[:, 0] * bound, "error": error.mean(1), "divergence": divergence.mean(1)}
        return {name: over_experts(part) for name, part in parts.items()}


def log_density(z: Tensor, means: Tensor, scales: Tensor, present: Tensor) -> Tensor:
    """Return the log density (P, S) of equal mixtures of those M normal experts that are present (P, M).

    z is (P, S, K, D), the experts' means and scales are (P, M, K, D).
    """
    experts = Normal(means[:, None], scales[:, None], validate_args=False)  # (P, 1, M, K, D)
    log_density = experts.log_prob(z[:, :, None]).flatten(3).sum(3)  # (P, S, M)
    log_density = log_density.masked_fill(~present[:, None], -torch.inf)
    return log_density.logsumexp(2) - present.sum(1).log()[:, None]


def log_prior(z: Tensor) -> Tensor:
    """Return the log density (P, S) of N(0, 1) at z (P, S, K, D)."""
    return Normal(0.0, 1.0, validate_args=False).log_prob(z).flatten(2).sum(2)


def log_mean_exp(x: Tensor) -> Tensor:
    """Return the logarithm of the mean of exp(x) over the last axis."""
    return x.logsumexp(-1) - math.log(x.shape[-1])
