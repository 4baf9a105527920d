r"""Samplers: one loop over a step from time t to an earlier time s.

A step sees the current :math:`x_t`, the denoiser's :math:`\hat x_0`, the noise levels at t and s, and a `Memory`
of the step before. With :math:`\hat\epsilon = (x_t - \alpha_t \hat x_0) / \sigma_t` every step moves along the
reverse process of :math:`x_t = \alpha_t x_0 + \sigma_t \epsilon`. Adding a sampler is one function and its entry
in `SAMPLERS`, which says at what times it steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Level(NamedTuple):
    """Noise level at one time, in double precision; `half_log_snr` is not defined for clean data."""

    alpha: float
    sigma: float

    @property
    def half_log_snr(self) -> float:
        """Return log(alpha / sigma)."""
        return math.log(self.alpha) - math.log(self.sigma)


class Memory(NamedTuple):
    """The step before: its estimate of x_0 and the level at which it was made."""

    x0: Tensor
    level: Level


Noise = Callable[[], Tensor]


def ddim(x_t: Tensor, x0: Tensor, here: Level, there: Level, memory: Memory | None, noise: Noise) -> Tensor:
    r"""DDIM, deterministic: :math:`x_s = \alpha_s \hat x_0 + \sigma_s \hat\epsilon` (Song et al. 2021, eq. 12)."""
    epsilon = (x_t - here.alpha * x0) / here.sigma
    return there.alpha * x0 + there.sigma * epsilon


def ddpm(x_t: Tensor, x0: Tensor, here: Level, there: Level, memory: Memory | None, noise: Noise) -> Tensor:
    r"""Ancestral sampling: draw from :math:`q(x_s \mid x_t, \hat x_0)` (Ho et al. 2020, eqs. 6-7).

    With :math:`a = \alpha_t / \alpha_s` and :math:`b^2 = \sigma_t^2 - a^2 \sigma_s^2` its mean is
    :math:`(a \sigma_s^2 x_t + \alpha_s b^2 \hat x_0) / \sigma_t^2` and its variance :math:`b^2\sigma_s^2/\sigma_t^2`.
    """
    a = here.alpha / there.alpha
    b2 = here.sigma**2 - a**2 * there.sigma**2
    mean = (a * there.sigma**2 * x_t + there.alpha * b2 * x0) / here.sigma**2
    return mean + math.sqrt(b2) * there.sigma / here.sigma * noise()


def dpmpp(x_t: Tensor, x0: Tensor, here: Level, there: Level, memory: Memory | None, noise: Noise) -> Tensor:
    r"""DPM-Solver++(2M), second order, deterministic (Lu et al. 2022, algorithm 2).

    With :math:`\lambda = \log(\alpha/\sigma)`, :math:`h = \lambda_s - \lambda_t` and r the previous h over this one,
    :math:`x_s = \frac{\sigma_s}{\sigma_t} x_t - \alpha_s (e^{-h} - 1) D`,
    :math:`D = (1 + \frac{1}{2r}) \hat x_0 - \frac{1}{2r} \hat x_0^{\mathrm{previous}}`.
    The first step and the one to clean data are of first order, :math:`D = \hat x_0`.
    """
    if there.sigma == 0:
        return there.alpha * x0
    h = there.half_log_snr - here.half_log_snr
    direction = x0
    if memory is not None:
        r = (here.half_log_snr - memory.level.half_log_snr) / h
        direction = x0 + (x0 - memory.x0) / (2 * r)
    return there.sigma / here.sigma * x_t - there.alpha * math.expm1(-h) * direction


class Sampler(NamedTuple):
    r"""A step and where it is taken: at the times :math:`(k / n)^p`.

    With p = 1, even times as in DDPM and DDIM, the last step begins where sigma is far from small, 0.08 of 20 steps of
    the cosine schedule, and values that spread less than that come out as their mean. Squares (Song et al. 2021,
    appendix D.2) put steps where little noise is left: 20 second-order steps then give normal values of a
    spread between 0.03 and 1 to about 5 %, where even ones lose two thirds of the smallest.
    """

    step: Callable[[Tensor, Tensor, Level, Level, Memory | None, Noise], Tensor]
    power: float = 1.0


SAMPLERS = {"ddim": Sampler(ddim), "ddpm": Sampler(ddpm), "dpm++": Sampler(dpmpp, 2.0)}


def sample(
    denoise: Callable[[Tensor, Tensor], Tensor],
    schedule: Callable[[Tensor], tuple[Tensor, Tensor]],
    noise: Noise,
    n_steps: int,
    sampler: Sampler,
    start: float = 1.0,
) -> Tensor:
    """Run the reverse process from pure noise to data in `n_steps` steps.

    Parameters
    ----------
    denoise : callable
        ``denoise(x_t, t)`` returns the estimate of x_0; t is a scalar tensor like x.
    schedule : callable
        ``alpha, sigma = schedule(t)``; called with t in float64 on the CPU.
    noise : callable
        ``noise()`` returns fresh standard normal noise of the shape of x; called once for x_1 and by
        stochastic steps. Randomness is the caller's.
    n_steps : int
        Number of evaluations of `denoise`.
    sampler : Sampler
        A step and its times, such as a member of `SAMPLERS`.
    start : float
        The first t.

    Returns
    -------
    x : Tensor
        A draw, of the shape of ``noise()``.
    """
    x = noise()
    times = start * torch.linspace(1, 0, n_steps + 1, dtype=torch.float64) ** sampler.power
    levels = [Level(*(level.item() for level in schedule(t))) for t in times]
    memory = None
    for t, here, there in zip(times[:-1], levels[:-1], levels[1:], strict=True):
        x0 = denoise(x, t.to(x))
        x = sampler.step(x, x0, here, there, memory, noise)
        memory = Memory(x0, here)
    return x
