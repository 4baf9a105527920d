r"""A prior of the bottleneck: a small diffusion model of z, from which new objects are drawn (Preechakul et al. 2022).

.. math:: \mathcal{L} = \mathbb{E}_{t, \epsilon}\, \lVert f(z_t, t, c) - v \rVert^2, \qquad
    z_t = \alpha_t \bar z + \sigma_t \epsilon, \quad v = \alpha_t \epsilon - \sigma_t \bar z

where :math:`\bar z` is the standardised bottleneck, f a residual network of feed-forward blocks, and c what is known of
the object, such as its class or redshift. Any part of c may be unknown. During training, known parts are also hidden at
random, so that objects can be drawn without them (Ho & Salimans 2022, arXiv:2207.12598, without their guidance).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..diffusion.process import PREDICTIONS, add_noise
from ..diffusion.samplers import SAMPLERS, sample
from ..diffusion.schedules import SCHEDULES
from ..nn.blocks import ForwardBlock
from ..nn.positions import NumberEmbedding

N_SAMPLING_STEPS = 50
#: probability that training hides something known of an object
FORGOTTEN = 0.2


class Known(NamedTuple):
    """What is known of objects besides z."""

    numbers: Tensor  # (B, M) standardised, NaN where unknown
    labels: Tensor  # (B, C) indices, -1 where unknown


class Described(NamedTuple):
    """Bottlenecks (B, D) of objects, and what is known of them."""

    z: Tensor
    known: Known


class Prior(nn.Module):
    """A diffusion model of vectors z (B, D), given what is known of their objects.

    Parameters
    ----------
    mean, scale : Tensor
        Mean and scale of the training objects' z (D,). They are part of the state.
    n_numbers : int, default=0
        Number of numbers that may be known of an object.
    n_labels : tuple of int, default=()
        For each label that may be known, the number of its values.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        mean: Tensor,
        scale: Tensor,
        n_numbers: int = 0,
        n_labels: tuple[int, ...] = (),
        width: int = 128,
        n_layers: int = 3,
    ):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.schedule = SCHEDULES["cosine"]()
        self.read = nn.Linear(len(mean), width)
        self.time = NumberEmbedding(width, 0.25, 8.0, 16)
        self.blocks = nn.Sequential(*(ForwardBlock(width) for _ in range(n_layers)))
        self.out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, len(mean)))
        # Standardised numbers, in which a prior is smooth: from a quarter turn over +-4 to a turn over one.
        self.numbers = nn.ModuleList(NumberEmbedding(width, 1 / 32, 1.0, 11) for _ in range(n_numbers))
        self.labels = nn.ParameterList(nn.Parameter(torch.randn(n, width)) for n in n_labels)

    def loss(self, objects: Described, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the squared error of the predicted v per object (B,)."""
        z, known = objects
        x0 = (z - self.mean) / self.scale
        t = torch.rand(len(z), generator=generator, device=generator.device)
        alpha, sigma = (level[:, None] for level in self.schedule(t))  # (B, 1)
        noise = torch.randn(x0.shape, generator=generator, device=generator.device)
        target = PREDICTIONS["v"].target
        given = self.describe(forget(known, generator))
        error = self.network(add_noise(x0, noise, alpha, sigma), t, given) - target(x0, noise, alpha, sigma)
        return {"loss": (error**2).mean(1)}

    def network(self, z_t: Tensor, t: Tensor, given: Tensor) -> Tensor:
        """Return the predicted v (B, D) at times t (B,), given what `describe` returns."""
        return self.out(self.blocks(self.read(z_t) + self.time(t) + given))

    @torch.no_grad()
    def silence(self, known: Known) -> None:
        """Make labels that none of these objects has say nothing."""
        for vectors, column in zip(self.labels, known.labels.T, strict=True):
            vectors[torch.isin(torch.arange(len(vectors), device=column.device), column, invert=True)] = 0

    def describe(self, known: Known) -> Tensor:
        """Return what is known of objects as vectors (B, W); zeros where nothing is."""
        numbers, labels = known
        given = self.read.bias.new_zeros(len(numbers), len(self.read.bias))
        for j, embed in enumerate(self.numbers):
            there = numbers[:, j].isfinite()
            given = given + embed(numbers[:, j].nan_to_num()) * there[:, None]
        for j, vectors in enumerate(self.labels):
            there = labels[:, j] >= 0
            given = given + vectors[labels[:, j].clamp(min=0)] * there[:, None]
        return given

    def draw(self, noise: Callable[[], Tensor], known: Known) -> Tensor:
        """Return new z (B, D) from noise of that shape, given what is known of each."""
        to_x0, given = PREDICTIONS["v"].to_x0, self.describe(known)

        def denoise(z_t: Tensor, t: Tensor) -> Tensor:
            alpha, sigma = self.schedule(t)
            return to_x0(z_t, self.network(z_t, t.expand(len(z_t)), given), alpha, sigma)

        return self.mean + self.scale * sample(denoise, self.schedule, noise, N_SAMPLING_STEPS, SAMPLERS["dpm++"])


def forget(known: Known, generator: torch.Generator) -> Known:
    """Return what is known of objects with a random part of it hidden."""
    numbers, labels = (
        torch.rand(x.shape, generator=generator, device=generator.device) < FORGOTTEN if x.shape[1] else x.bool()
        for x in known
    )
    return Known(known.numbers.masked_fill(numbers, torch.nan), known.labels.masked_fill(labels, -1))
