r"""VICReg: encodings of one object agree, and their entries neither shrink nor repeat one another (Bardes et al. 2022).

.. math:: \mathcal{L}_i = \frac{\lambda}{d} \lVert a_i - b_i \rVert^2 + \mu\,[v(a) + v(b)] + \nu\,[c(a) + c(b)]

.. math:: v(x) = \frac1d \sum_k \max\bigl(0,\, 1 - \sqrt{\mathrm{Var}(x_k) + 10^{-4}}\bigr), \qquad
    c(x) = \frac1d \sum_{k \ne l} \mathrm{Cov}(x)_{kl}^2

of the objects in a batch, with :math:`\lambda = \mu = 25` and :math:`\nu = 1` (arXiv:2105.04906, equations 1 to 6). a
and b are what one network, the expander, makes of the encodings of two modalities; v and c are of all objects of the
batch that have both, and the same for each.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from ...nn.autoencoder import Autoencoder
from .base import Alignment, Pair, covariance, normalised_layer, standard_deviation_hinge


class VICReg(Alignment):
    """Agree, and keep variance and no covariance, without negatives (Bardes et al. 2022).

    Parameters
    ----------
    autoencoder : Autoencoder
        What encodes.
    invariance_weight, variance_weight, covariance_weight : float
        Of the three terms.
    expansion : int
        Width of the expander over that of an encoding.
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
        """Return the three terms together (n,)."""
        return vicreg(self.expander(pair.a).float(), self.expander(pair.b).float(), *self.weights)


def vicreg(
    a: Tensor, b: Tensor, invariance_weight: float = 25.0, variance_weight: float = 25.0, covariance_weight: float = 1.0
) -> Tensor:
    """Return the loss (n,) of vectors a and b (n, d), the i-th of one belonging to that of the other."""
    spread = standard_deviation_hinge(a) + standard_deviation_hinge(b)
    repeated = covariance(a, a) + covariance(b, b)
    return invariance_weight * (a - b).square().mean(1) + variance_weight * spread + covariance_weight * repeated
