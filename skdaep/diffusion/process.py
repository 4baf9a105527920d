r"""The forward process and the three things a network may predict.

With :math:`x_t = \alpha x_0 + \sigma \epsilon` and :math:`v = \alpha\epsilon - \sigma x_0`
(Salimans & Ho 2022, section 4) any of :math:`x_0`, :math:`\epsilon`, :math:`v` gives the others;
the conversions stand here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor


def add_noise(x0: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """Return x_t."""
    return alpha * x0 + sigma * noise


class Prediction(NamedTuple):
    """What a network is trained to predict, how x_0 follows from it, and what it is in a line."""

    target: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]  # of x_0, noise, alpha, sigma
    to_x0: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]  # of x_t, prediction, alpha, sigma
    summary: str


#: name -> prediction, the default of estimators first
PREDICTIONS = {
    "x0": Prediction(
        lambda x0, noise, alpha, sigma: x0,
        lambda x_t, out, alpha, sigma: out,
        "The mean and the spread of a Gaussian for the clean value, which is combined with the noisy value.",
    ),
    "v": Prediction(
        lambda x0, noise, alpha, sigma: alpha * noise - sigma * x0,
        lambda x_t, out, alpha, sigma: alpha * x_t - sigma * out,
        "The velocity, a mixture of noise and clean value.",
    ),
    "epsilon": Prediction(
        lambda x0, noise, alpha, sigma: noise,
        lambda x_t, out, alpha, sigma: (x_t - sigma * out) / alpha,
        "The noise, as in DDPM.",
    ),
}


def input_scale(prediction: str, alpha: Tensor) -> Tensor | float:
    r"""Return the factor on x_t before it enters the network.

    For standardised data :math:`\alpha x_t` is the best linear estimate of :math:`x_0`. Fed with it, the
    network receives nothing but zeros at t = 1, where x_t holds no information, so that its answer there
    *is* the conditional mean, the same whatever the noise. A network that predicts the noise needs x_t whole.
    """
    return 1.0 if prediction == "epsilon" else alpha


def posterior_mean(x_t: Tensor, mean: Tensor, spread: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    r"""Return :math:`E[x_0 \mid x_t]` if :math:`x_0 \sim \mathcal{N}(m, s^2)`, with m the `mean` and s the `spread`.

    .. math:: m + \frac{\alpha s^2}{\alpha^2 s^2 + \sigma^2}\,(x_t - \alpha m)

    A network that gives m in place of :math:`x_0` has the same to say at all times, and its errors fade with the noise
    instead of pulling a draw towards it again in every step (the skip connection of Karras et al. 2022, section 5).
    """
    signal = alpha * spread**2
    return mean + signal / (alpha * signal + sigma**2) * (x_t - alpha * mean)
