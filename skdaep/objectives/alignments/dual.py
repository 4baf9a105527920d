r"""The dual alignment of DESA: two views projected by a matrix and its transpose (Kamai, Bronstein & Perets 2025).

.. math:: p_1 = A z_1, \quad p_2 = A^T z_2, \qquad
    \mathcal{L}_i = \frac1d \bigl(\langle z_1, p_1 \rangle - \langle z_2, p_2 \rangle\bigr)_i^2
    + c(p_1, p_1) + c(p_2, p_2) + c(p_1, p_2) + 25\,[v(p_1) + v(p_2)]

.. math:: c(x, y) = \frac1d \sum_{k \ne l} \mathrm{Cov}(x, y)_{kl}^2, \qquad
    v(x) = \frac1d \sum_k \max\bigl(0,\, 1 - \sqrt{\mathrm{Var}(x_k) + 10^{-4}}\bigr)

These are their equations 2 to 4, the first one divided by d. The paper has no v. Without it A = 0 is a global minimum,
and projections shrink. Since :math:`z^T A z = z^T S z`, where S is the symmetric part of A, the first term only depends
on S. The transpose only matters for the covariances.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ...nn.autoencoder import Autoencoder
from .base import Alignment, Pair, covariance, standard_deviation_hinge


class Dual(Alignment):
    """Project one view by a matrix and the other by its transpose, without negatives (Kamai, Bronstein & Perets 2025).

    Parameters
    ----------
    autoencoder : Autoencoder
        The networks, including the encoder.
    projection : {"transpose", "shared"}
        Whether the second view is projected by the transpose of the matrix, or by the same matrix.
    duality_weight, covariance_weight, variance_weight : float
        Weights of the terms. With a `variance_weight` of 0 the loss is that of the paper.
    """

    name = "dual"

    def __init__(
        self,
        autoencoder: Autoencoder,
        *,
        projection: str = "transpose",
        duality_weight: float = 1.0,
        covariance_weight: float = 1.0,
        variance_weight: float = 25.0,
    ):
        super().__init__(autoencoder)
        if projection not in ("transpose", "shared"):
            raise ValueError(f"projection={projection!r}: choose 'transpose' or 'shared'.")
        self.transposed, self.weights = projection == "transpose", (duality_weight, covariance_weight, variance_weight)
        n, size = len(autoencoder.names), math.prod(autoencoder.code_shape)
        # One matrix for each pair of modalities. In one tensor of three axes, they get neither weight decay nor Muon.
        self.matrices = nn.Parameter(torch.randn(n * (n - 1) // 2, size, size) / size**0.5)

    def of_pair(self, pair: Pair) -> Tensor:
        """Return the sum of all terms (n,)."""
        return dual(pair.a, pair.b, *self.projected(pair), *self.weights)

    def projected(self, pair: Pair) -> tuple[Tensor, Tensor]:
        """Return the projections (n, d) of both views."""
        matrix = self.matrices[pair.number]
        return (pair.a @ matrix.T).float(), (pair.b @ (matrix if self.transposed else matrix.T)).float()


def dual(
    z1: Tensor,
    z2: Tensor,
    p1: Tensor,
    p2: Tensor,
    duality_weight: float = 1.0,
    covariance_weight: float = 1.0,
    variance_weight: float = 25.0,
) -> Tensor:
    """Return the loss (n,) of encodings z and their projections p, all (n, d)."""
    apart = duality(z1, z2, p1, p2)
    repeated = covariance(p1, p1) + covariance(p2, p2) + covariance(p1, p2)
    spread = standard_deviation_hinge(p1) + standard_deviation_hinge(p2)
    return duality_weight * apart + covariance_weight * repeated + variance_weight * spread


def duality(z1: Tensor, z2: Tensor, p1: Tensor, p2: Tensor) -> Tensor:
    """Return the squared difference of both quadratic forms over d (n,)."""
    return ((z1 * p1).sum(1) - (z2 * p2).sum(1)).square() / z1.shape[1]


def directions(matrix: Tensor) -> Tensor:
    """Return the eigenvectors (d, d), in columns, of the symmetric part of a matrix: real and orthonormal.

    They are ordered by decreasing absolute eigenvalue. The largest entry, in absolute value, of each is positive.
    """
    values, vectors = torch.linalg.eigh((matrix + matrix.T).double() / 2)
    vectors = vectors[:, values.abs().argsort(descending=True, stable=True)]
    largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))  # (1, d)
    return (vectors * largest.sign()).to(matrix.dtype)
