r"""A prior of the bottleneck: a small diffusion model of z, from which new objects are drawn (Preechakul et al. 2022).

.. math:: \mathcal{L} = \mathbb{E}_{t, \epsilon}\, \lVert f(z_t, t) - v \rVert^2, \qquad
    z_t = \alpha_t \bar z + \sigma_t \epsilon, \quad v = \alpha_t \epsilon - \sigma_t \bar z

where :math:`\bar z` is the standardised bottleneck and f a residual network of feed-forward blocks.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..diffusion.process import PREDICTIONS, add_noise
from ..diffusion.samplers import SAMPLERS, sample
from ..diffusion.schedules import SCHEDULES
from ..nn.blocks import ForwardBlock
from ..nn.positions import NumberEmbedding

N_SAMPLING_STEPS = 50


class Prior(nn.Module):
    """A diffusion model of vectors z (B, D).

    Parameters
    ----------
    mean, scale : Tensor
        Mean and scale of the training objects' z (D,). They are part of the state.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: Tensor, scale: Tensor, width: int = 128, n_layers: int = 3):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.schedule = SCHEDULES["cosine"]()
        self.read = nn.Linear(len(mean), width)
        self.time = NumberEmbedding(width, 0.25, 8.0, 16)
        self.blocks = nn.Sequential(*(ForwardBlock(width) for _ in range(n_layers)))
        self.out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, len(mean)))

    def loss(self, z: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the squared error of the predicted v per object (B,)."""
        x0 = (z - self.mean) / self.scale
        t = torch.rand(len(z), generator=generator, device=generator.device)
        alpha, sigma = (level[:, None] for level in self.schedule(t))  # (B, 1)
        noise = torch.randn(x0.shape, generator=generator, device=generator.device)
        target = PREDICTIONS["v"].target
        error = self.network(add_noise(x0, noise, alpha, sigma), t) - target(x0, noise, alpha, sigma)
        return {"loss": (error**2).mean(1)}

    def network(self, z_t: Tensor, t: Tensor) -> Tensor:
        """Return the predicted v (B, D) at times t (B,)."""
        return self.out(self.blocks(self.read(z_t) + self.time(t)))

    def draw(self, noise: Callable[[], Tensor]) -> Tensor:
        """Return new z (B, D) from noise of that shape."""
        to_x0 = PREDICTIONS["v"].to_x0

        def denoise(z_t: Tensor, t: Tensor) -> Tensor:
            alpha, sigma = self.schedule(t)
            return to_x0(z_t, self.network(z_t, t.expand(len(z_t))), alpha, sigma)

        return self.mean + self.scale * sample(denoise, self.schedule, noise, N_SAMPLING_STEPS, SAMPLERS["dpm++"])
