r"""Noise schedules: ``alpha, sigma = schedule(t)`` for t in [0, 1].

A noisy value is :math:`x_t = \alpha_t x_0 + \sigma_t \epsilon` with
:math:`\alpha_t^2 + \sigma_t^2 = 1`. Each schedule is the 1,000-step table of its paper, made continuous:
at :math:`t = k / 1000` it agrees with entry k of the table (k = 0 is clean data), and between entries
:math:`\log\bar\alpha` is interpolated linearly.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

N_STEPS = 1000
#: A predictor of the noise divides by alpha, so draws start where alpha is larger (DDPM's linear schedule: 0.0064).
LEAST_ALPHA = 0.006


class Schedule(nn.Module):
    """A table of betas as a function of continuous time, stored as log alpha-bar and always made on the CPU.

    It is stored twice: in float32 on the module's device (MPS has no float64), and in float64 on the CPU for samplers,
    which take differences between neighbouring levels.
    """

    log_alpha_bar: Tensor

    def __init__(self, betas: Tensor):
        super().__init__()
        log_alpha_bar = torch.cat([betas.new_zeros(1), torch.log1p(-betas).cumsum(0)])
        self.exact = log_alpha_bar  # (n + 1,), a plain attribute: stays on the CPU
        self.register_buffer("log_alpha_bar", log_alpha_bar.float(), persistent=False)

    def forward(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return alpha and sigma with the shape and dtype of t. If t is float64, it must be on the CPU."""
        table = self.exact if t.dtype == torch.float64 else self.log_alpha_bar
        n = len(table) - 1
        place = t.clamp(0, 1) * n
        # (k / n) * n differs from k by a rounding error, which the steep end of the cosine would amplify.
        place = torch.where((place - place.round()).abs() < 1e-3, place.round(), place)
        left = place.floor().clamp(max=n - 1).long()
        log_alpha_bar = torch.lerp(table[left], table[left + 1], (place - left).to(table.dtype))
        return torch.exp(0.5 * log_alpha_bar), torch.sqrt(-torch.expm1(log_alpha_bar))

    def last_time(self, least_alpha: float) -> float:
        """Return the last time of the table at which alpha is not below a limit."""
        n = len(self.exact) - 1
        return torch.nonzero(self.exact >= 2 * math.log(least_alpha)).max().item() / n


def linear(n: int = N_STEPS) -> Schedule:
    r"""Linear schedule of DDPM.

    :math:`\beta` grows linearly from 1e-4 to 0.02 (Ho et al. 2020, section 4).
    """
    return Schedule(torch.linspace(1e-4, 0.02, n, dtype=torch.float64, device="cpu"))


def cosine(n: int = N_STEPS) -> Schedule:
    r"""Cosine schedule of improved DDPM.

    With s = 0.008 and :math:`\beta \le 0.999` (Nichol & Dhariwal 2021, equation 17),

    .. math:: \bar\alpha_t \propto \cos^2\frac{\pi}{2}\frac{t + s}{1 + s}
    """
    t = torch.arange(n + 1, dtype=torch.float64, device="cpu") / n
    alpha_bar = torch.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2
    return Schedule((1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=0.999))


#: name -> schedule; the first is the default. The first line of its docstring appears in the documentation.
SCHEDULES = {"cosine": cosine, "linear": linear}
