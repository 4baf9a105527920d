r"""The forward process, and the three quantities that a network may predict.

With :math:`x_t = \alpha x_0 + \sigma \epsilon` and :math:`v = \alpha\epsilon - \sigma x_0` (Salimans & Ho 2022, section
4), each of :math:`x_0`, :math:`\epsilon` and :math:`v` determines the others. All conversions are in this module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor


def add_noise(x0: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """Return x_t."""
    return alpha * x0 + sigma * noise


class Prediction(NamedTuple):
    """A quantity that a network can predict, how x_0 follows from it, and a one-line description."""

    target: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]  # of x_0, noise, alpha, sigma
    to_x0: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]  # of x_t, prediction, alpha, sigma
    summary: str


#: name -> prediction; the first is the default of the estimators
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

    For standardised data :math:`\alpha x_t` is the best linear estimate of :math:`x_0`. With this input, the network
    only gets zeros at t = 1, where x_t holds no information. So its prediction there is the conditional mean,
    independent of the noise. A network that predicts the noise needs x_t itself.
    """
    return 1.0 if prediction == "epsilon" else alpha


def posterior_mean(x_t: Tensor, mean: Tensor, spread: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    r"""Return :math:`E[x_0 \mid x_t]` if :math:`x_0 \sim \mathcal{N}(m, s^2)`, with m the `mean` and s the `spread`.

    .. math:: m + \frac{\alpha s^2}{\alpha^2 s^2 + \sigma^2}\,(x_t - \alpha m)

    A network that predicts m instead of :math:`x_0` has the same target at all times. Its errors fade with the noise,
    instead of pulling the draw in every step (the skip connection of Karras et al. 2022, section 5).
    """
    signal = alpha * spread**2
    return mean + signal / (alpha * signal + sigma**2) * (x_t - alpha * mean)
