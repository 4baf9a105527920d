r"""Samplers: one loop over steps from a time t to an earlier time s.

A step is ``step(denoise, x_t, here, there, memory, noise)`` and returns :math:`x_s`. It calls the denoiser as often as
it needs: ``denoise(x_t, here)`` is :math:`\hat x_0`. `here` and `there` are the noise levels of t and s. `memory` is a
dict, empty at first, in which steps can store values for later steps. ``noise()`` returns new standard normal noise.
With :math:`\hat\epsilon = (x_t - \alpha_t \hat x_0) / \sigma_t`, every step moves along the reverse process of
:math:`x_t = \alpha_t x_0 + \sigma_t \epsilon`.

To add a sampler, write its step and add it to `SAMPLERS`. Users see the first line of its docstring.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Level(NamedTuple):
    """A time and its noise level, in double precision; `half_log_snr` is not defined for clean data."""

    time: float
    alpha: float
    sigma: float

    @property
    def half_log_snr(self) -> float:
        """Return log(alpha / sigma)."""
        return math.log(self.alpha) - math.log(self.sigma)


Denoiser = Callable[[Tensor, Level], Tensor]
Noise = Callable[[], Tensor]
Memory = dict[str, Any]


def ddim(denoise: Denoiser, x_t: Tensor, here: Level, there: Level, memory: Memory, noise: Noise) -> Tensor:
    r"""DDIM, first order, deterministic.

    :math:`x_s = \alpha_s \hat x_0 + \sigma_s \hat\epsilon` (Song et al. 2021, eq. 12).
    """
    x0 = denoise(x_t, here)
    epsilon = (x_t - here.alpha * x0) / here.sigma
    return there.alpha * x0 + there.sigma * epsilon


def ddpm(denoise: Denoiser, x_t: Tensor, here: Level, there: Level, memory: Memory, noise: Noise) -> Tensor:
    r"""Ancestral sampling of DDPM, random in every step.

    Draw from :math:`q(x_s \mid x_t, \hat x_0)` (Ho et al. 2020, eqs. 6-7). With :math:`a = \alpha_t / \alpha_s` and
    :math:`b^2 = \sigma_t^2 - a^2 \sigma_s^2` its mean is
    :math:`(a \sigma_s^2 x_t + \alpha_s b^2 \hat x_0) / \sigma_t^2` and its variance :math:`b^2\sigma_s^2/\sigma_t^2`.
    """
    x0 = denoise(x_t, here)
    a = here.alpha / there.alpha
    b2 = here.sigma**2 - a**2 * there.sigma**2
    mean = (a * there.sigma**2 * x_t + there.alpha * b2 * x0) / here.sigma**2
    return mean + math.sqrt(b2) * there.sigma / here.sigma * noise()


def dpmpp(denoise: Denoiser, x_t: Tensor, here: Level, there: Level, memory: Memory, noise: Noise) -> Tensor:
    r"""DPM-Solver++ (2M), second order, deterministic.

    With :math:`\lambda = \log(\alpha/\sigma)`, :math:`h = \lambda_s - \lambda_t` and r the previous h over this one,
    :math:`x_s = \frac{\sigma_s}{\sigma_t} x_t - \alpha_s (e^{-h} - 1) D`,
    :math:`D = (1 + \frac{1}{2r}) \hat x_0 - \frac{1}{2r} \hat x_0^{\mathrm{previous}}` (Lu et al. 2022, algorithm 2).
    The first step and the one to clean data are of first order, :math:`D = \hat x_0`.
    """
    x0 = denoise(x_t, here)
    if there.sigma == 0:
        return there.alpha * x0
    h = there.half_log_snr - here.half_log_snr
    direction = x0
    if memory:
        r = (here.half_log_snr - memory["level"].half_log_snr) / h
        direction = x0 + (x0 - memory["x0"]) / (2 * r)
    memory.update(x0=x0, level=here)
    return there.sigma / here.sigma * x_t - there.alpha * math.expm1(-h) * direction


def heun(denoise: Denoiser, x_t: Tensor, here: Level, there: Level, memory: Memory, noise: Noise) -> Tensor:
    r"""Heun's method, second order, deterministic, two evaluations a step.

    A step of DDIM is Euler's step: a straight line if :math:`\hat x_0` does not change. Heun's method asks the denoiser
    again at its end and takes the mean of both slopes (Karras et al. 2022, algorithm 1); the step to clean data stays
    Euler's. Their slope, :math:`\hat\epsilon`, belongs to :math:`x/\alpha` as a function of :math:`\sigma/\alpha`,
    which goes to infinity where nothing is left of the data. Since :math:`\alpha^2 + \sigma^2 = 1`, the plane of the
    two can be turned until t lies at the origin:

    .. math:: x_s = \cos\delta\, x_t + \sin\delta\, \bar v, \qquad
        \hat v = \alpha_t \hat\epsilon - \sigma_t \hat x_0, \qquad
        \cos\delta = \alpha_t \alpha_s + \sigma_t \sigma_s, \quad \sin\delta = \alpha_t \sigma_s - \sigma_t \alpha_s,

    with :math:`\bar v` the mean of :math:`\hat v` by the two answers of the denoiser.
    """

    def answer(x: Tensor, level: Level) -> tuple[Tensor, Tensor]:
        x0 = denoise(x, level)
        return x0, (x - level.alpha * x0) / level.sigma

    x0, epsilon = answer(x_t, here)
    euler = there.alpha * x0 + there.sigma * epsilon
    if there.sigma == 0:
        return euler
    slopes = [here.alpha * e - here.sigma * x for x, e in ((x0, epsilon), answer(euler, there))]
    cosine = here.alpha * there.alpha + here.sigma * there.sigma
    sine = here.alpha * there.sigma - here.sigma * there.alpha
    return cosine * x_t + sine * (slopes[0] + slopes[1]) / 2


class Sampler(NamedTuple):
    r"""A step function and the times of the steps, :math:`(k / n)^p`.

    With p = 1, the even times of DDPM and DDIM, sigma is still 0.08 before the last of 20 steps of the cosine schedule,
    and values with a smaller spread come out as their mean. With p = 2 (Song et al. 2021, appendix D.2) more steps are
    taken where little noise is left. Then 20 second-order steps reproduce normal values with spreads between 0.03 and 1
    to about 5 %, whereas even steps lose two thirds of the smallest spread.

    Each step evaluates the denoiser `n_evaluations` times, except the last one, to clean data, which only does so once.
    """

    step: Callable[[Denoiser, Tensor, Level, Level, Memory, Noise], Tensor]
    power: float = 1.0
    n_evaluations: int = 1

    def n_steps(self, n_evaluations: int) -> int:
        """Return the number of steps, at least one, for a number of evaluations of the denoiser."""
        return 1 + (n_evaluations - 1) // self.n_evaluations


#: largest allowed number of evaluations of the denoiser per draw
MOST_EVALUATIONS = 10_000
#: name -> sampler; the first is the default of the estimators
SAMPLERS = {
    "dpm++": Sampler(dpmpp, power=2.0),
    "heun": Sampler(heun, power=2.5, n_evaluations=2),
    "ddim": Sampler(ddim),
    "ddpm": Sampler(ddpm),
}


def sample(
    denoise: Callable[[Tensor, Tensor], Tensor],
    schedule: Callable[[Tensor], tuple[Tensor, Tensor]],
    noise: Noise,
    n_evaluations: int,
    sampler: Sampler,
    start: float = 1.0,
) -> Tensor:
    """Run the reverse process from pure noise to data.

    Parameters
    ----------
    denoise : callable
        ``denoise(x_t, t)`` returns the estimate of x_0; t is a scalar tensor like x.
    schedule : callable
        ``alpha, sigma = schedule(t)``; called with t in float64 on the CPU.
    noise : callable
        ``noise()`` returns fresh standard normal noise of the shape of x; called once for x_1 and by
        stochastic steps. Randomness is the caller's.
    n_evaluations : int
        Largest number of evaluations of `denoise`. Samplers with one evaluation per step take as many steps.
    sampler : Sampler
        A step and its times, such as a member of `SAMPLERS`.
    start : float
        The first t.

    Returns
    -------
    x : Tensor
        A draw, of the shape of ``noise()``.
    """
    n_steps = sampler.n_steps(n_evaluations)
    times = start * torch.linspace(1, 0, n_steps + 1, dtype=torch.float64) ** sampler.power
    levels = [Level(t.item(), *(level.item() for level in schedule(t))) for t in times]
    memory: Memory = {}

    def estimate(x_t: Tensor, level: Level) -> Tensor:
        return denoise(x_t, x_t.new_tensor(level.time))

    x = noise()
    for here, there in pairwise(levels):
        if here.sigma == 0:  # with thousands of steps the last times already are those of clean data
            break
        x = sampler.step(estimate, x, here, there, memory, noise)
    return x
