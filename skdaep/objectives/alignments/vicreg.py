r"""VICReg: encodings of an object agree, and their entries neither shrink nor become redundant (Bardes et al. 2022).

.. math:: \mathcal{L}_i = \frac{\lambda}{d} \lVert a_i - b_i \rVert^2 + \mu\,[v(a) + v(b)] + \nu\,[c(a) + c(b)]

.. math:: v(x) = \frac1d \sum_k \max\bigl(0,\, 1 - \sqrt{\mathrm{Var}(x_k) + 10^{-4}}\bigr), \qquad
    c(x) = \frac1d \sum_{k \ne l} \mathrm{Cov}(x)_{kl}^2

for the objects of a batch, with :math:`\lambda = \mu = 25` and :math:`\nu = 1` (arXiv:2105.04906, equations 1 to 6). A
shared network, the expander, turns the encodings of two modalities into a and b. v and c are computed from all objects
of the batch that have both modalities, and are the same for each object.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from ...nn.autoencoder import Autoencoder
from .base import Alignment, Pair, covariance, normalised_layer, standard_deviation_hinge


class VICReg(Alignment):
    """Agree, keep the variance and remove covariances, without negatives (Bardes et al. 2022).

    Parameters
    ----------
    autoencoder : Autoencoder
        The networks, including the encoder.
    invariance_weight, variance_weight, covariance_weight : float
        Weights of the three terms.
    expansion : int
        Width of the expander divided by that of an encoding.
    """

    name = "vicreg"

    def __init__(
        self,
        autoencoder: Autoencoder,
        *,
        invariance_weight: float = 25.0,
        variance_weight: float = 25.0,
        covariance_weight: float = 1.0,
        expansion: int = 4,
    ):
        super().__init__(autoencoder)
        self.weights = invariance_weight, variance_weight, covariance_weight
        size = math.prod(autoencoder.code_shape)
        width = expansion * size
        self.expander = nn.Sequential(
            *normalised_layer(size, width), *normalised_layer(width, width), nn.Linear(width, width)
        )

    def of_pair(self, pair: Pair) -> Tensor:
        """Return the sum of the three terms (n,)."""
        return vicreg(self.expander(pair.a).float(), self.expander(pair.b).float(), *self.weights)


def vicreg(
    a: Tensor, b: Tensor, invariance_weight: float = 25.0, variance_weight: float = 25.0, covariance_weight: float = 1.0
) -> Tensor:
    """Return the loss (n,) of vectors a and b (n, d), where a[i] belongs to b[i]."""
    spread = standard_deviation_hinge(a) + standard_deviation_hinge(b)
    repeated = covariance(a, a) + covariance(b, b)
    return invariance_weight * (a - b).square().mean(1) + variance_weight * spread + covariance_weight * repeated
