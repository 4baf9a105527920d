r"""Probabilistic PCA of functions that are observed at irregular, incomplete, noisy points.

.. math:: y_{in} = \mu(x_{in}) + \sum_k z_{ik} \phi_k(x_{in}) + \epsilon_{in}, \qquad
    z_{ik} \sim \mathcal{N}(0, v_k), \quad \epsilon_{in} \sim \mathcal{N}(0, s^2 + e_{in}^2)

(Tipping & Bishop 1999; errors e as Bailey 2012.) :math:`\mu` and :math:`\phi_k` are linear between nodes. Nothing is
imputed: an object's scores z are their expectation given its points (PACE; Yao, Mueller & Wang 2005).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .nodes import Evidence, Nodes
from .points import FlatPoints

#: Weight of a point with an infinite error: next to nothing, but its logarithm exists.
LEAST_WEIGHT = 1e-30
#: Added to the diagonal of a system, in units of its rounding error; the first that makes it solvable is used.
RIDGES = (10.0, 1e3, 1e5)


class Posterior(NamedTuple):
    """The normal distribution of each object's scores, given its points."""

    mean: Tensor  # (N, K)
    covariance: Tensor  # (N, K, K)
    log_likelihood: Tensor  # (N,) of their points, in nats


class FactorAnalysis(nn.Module):
    r"""Mean and basis functions at nodes, the variances of the scores, and the noise, all of them buffers.

    The basis is orthonormal on average over the points of fit, so that :math:`|z - z'|` is the root mean square
    difference of the curves. Scores are uncorrelated and ordered by variance. The largest absolute value of a basis
    function is positive.

    Parameters
    ----------
    nodes : Nodes
        The L nodes.
    mean, basis : Tensor (L, P), (L, P, K)
        Values at the nodes.
    variance : Tensor (K,)
        Variances of the scores.
    noise : float
        The variance :math:`s^2`, in addition to the measurement errors if there is a `typical_error`.
    typical_error : float or None
        Replaces unknown errors. None means that all points have the same noise, whatever their errors.
    """

    mean: Tensor
    basis: Tensor
    variance: Tensor
    noise: Tensor
    typical_error: Tensor

    def __init__(
        self,
        nodes: Nodes,
        mean: Tensor,
        basis: Tensor,
        variance: Tensor,
        noise: float,
        typical_error: float | None = None,
    ):
        super().__init__()
        self.nodes = nodes
        self.register_buffer("mean", mean)
        self.register_buffer("basis", basis.to(mean.dtype))
        self.register_buffer("variance", variance.double())
        self.register_buffer("noise", torch.tensor(noise, dtype=torch.float64))
        error = torch.nan if typical_error is None else typical_error
        self.register_buffer("typical_error", torch.tensor(error, dtype=torch.float64))
        self.register_load_state_dict_post_hook(_check)  # type: ignore[no-untyped-call]

    @classmethod
    def canonical(
        cls,
        nodes: Nodes,
        mean: Tensor,
        loadings: Tensor,
        noise: float,
        density: Tensor,
        typical_error: float | None = None,
    ) -> FactorAnalysis:
        """Return the model with loadings (L, P, K), in any rotation, of scores with variance 1.

        `density` (L, 2) are the diagonals of the mean of h h^T over the points of fit, h interpolating between nodes.
        """
        return cls(nodes, mean, *_principal(loadings.double(), density.double()), noise, typical_error)

    @classmethod
    def of_state(cls, state: dict[str, Tensor]) -> FactorAnalysis:
        """Return the model with a given `state_dict`; ValueError if it is invalid."""
        nodes = Nodes(state["nodes.location"], state["nodes.counts"], bool(state["nodes.plane"]))
        error = float(state["typical_error"])
        mean, basis, variance = (state[k] for k in ("mean", "basis", "variance"))
        factors = cls(nodes, mean, basis, variance, float(state["noise"]), None if math.isnan(error) else error)
        _check(factors)
        return factors

    @staticmethod
    def expected_state(n_nodes: int, n_values: int, n_components: int, n_bands: int) -> dict[str, Tensor]:
        """Return tensors on the meta device, without numbers, with the shapes of a state of these sizes."""
        shapes = {
            "mean": ((n_nodes, n_values), torch.float32),
            "basis": ((n_nodes, n_values, n_components), torch.float32),
            "variance": ((n_components,), torch.float64),
            "noise": ((), torch.float64),
            "typical_error": ((), torch.float64),
            "nodes.location": ((n_nodes,), torch.float64),
            "nodes.counts": ((n_bands,), torch.int64),
            "nodes.plane": ((), torch.bool),
        }
        return {k: torch.empty(shape, dtype=dtype, device="meta") for k, (shape, dtype) in shapes.items()}

    @property
    def n_components(self) -> int:
        """Number of scores of an object."""
        return len(self.variance)

    def posterior(self, points: FlatPoints) -> Posterior:
        """Return mean and covariance of scores, given points. Without points these are those of all objects."""
        places = self.nodes.place(points.location, points.band)
        evidence = self.nodes.evidence(
            points, places, weights_of_points(points.error, float(self.noise), self._error())
        )
        root = self.variance.sqrt()
        theta = torch.cat([self.mean[..., None], self.basis * root.to(self.basis.dtype)], -1)
        posterior = expectation(theta, float(self.noise), evidence)
        covariance = posterior.covariance * root * root[:, None]
        return Posterior(posterior.mean * root, covariance, posterior.log_likelihood)

    def decode(self, z: Tensor, location: Tensor, band: Tensor) -> Tensor:
        """Return mean + basis z, (B, L, P), of scores (B, K) at locations (B, L[, 2]) in bands (B, L)."""
        return self.at(self.curves(z), location, band)

    def curves(self, z: Tensor) -> Tensor:
        """Return mean + basis z at the nodes, (B, L, P)."""
        return self.mean + self.deviations(z)

    def deviations(self, z: Tensor) -> Tensor:
        """Return basis z at the nodes, (B, L, P)."""
        return torch.einsum("bk,lpk->blp", z.to(self.basis.dtype), self.basis)

    def at(self, curves: Tensor, location: Tensor, band: Tensor) -> Tensor:
        """Interpolate a curve of each object, given at the nodes (B, L, P), to its locations and bands."""
        places = self.nodes.place(location.flatten(0, 1), band.flatten())
        owner = torch.arange(len(curves), device=curves.device).repeat_interleave(band.shape[1])
        return self.nodes.at(curves, places, owner).unflatten(0, band.shape)

    def noise_of(self, error: Tensor) -> Tensor:
        """Return the noise variance of points with errors (...)."""
        weight = weights_of_points(error, float(self.noise), self._error())
        return self.noise.expand(error.shape) if weight is None else self.noise / weight

    def _error(self) -> float | None:
        return None if self.typical_error.isnan() else float(self.typical_error)


def _check(factors: FactorAnalysis, _: object = None) -> None:
    """Raise ValueError if numbers from a file are not a valid model; a hook of `load_state_dict`."""
    nodes = factors.nodes
    if not all((own.diff() > 0).all() for own in nodes.location.split(nodes.counts.tolist())):
        raise ValueError("nodes are not in order")
    if not factors.noise > 0 or (factors.variance < 0).any() or factors.typical_error < 0:
        raise ValueError("variances of noise or scores are not positive")


def root_of(covariance: Tensor) -> Tensor:
    """Return R, where R R^T is the covariance (N, K, K), which may be singular."""
    values, vectors = torch.linalg.eigh(covariance)
    return vectors * values.clamp(min=0).sqrt()[:, None]


def draw(posterior: Posterior, noise: Tensor) -> Tensor:
    """Return scores (N, K) drawn from a posterior, given standard normal noise (N, K).

    Of correlations a Cholesky root, which takes a tenth of the time of eigenvalues, is safe.
    """
    scale = posterior.covariance.diagonal(dim1=1, dim2=2).sqrt()
    correlation = posterior.covariance / (scale[:, :, None] * scale[:, None]).clamp(min=torch.finfo(scale.dtype).tiny)
    correlation.diagonal(dim1=1, dim2=2).add_(1e-9)
    root, failed = torch.linalg.cholesky_ex(correlation)
    root = root.masked_fill((failed != 0)[:, None, None], torch.nan)
    return posterior.mean + scale * (root @ noise[..., None].to(root.dtype))[..., 0]


def weights_of_points(error: Tensor, noise: float, typical_error: float | None) -> Tensor | None:
    """Return s^2 / (s^2 + e^2) of points, with the typical error if unknown; None if all weights are 1."""
    if typical_error is None:
        return None
    weight = noise / (noise + error.double().nan_to_num(typical_error, posinf=torch.inf) ** 2)
    return weight.clamp(min=LEAST_WEIGHT)


def expectation(theta: Tensor, noise: float, evidence: Evidence) -> Posterior:
    """Return the posterior of scores with variance 1, given mean and loadings theta (L, P, 1 + K) and the noise s^2.

    Long sums have the precision of the values. Systems of K equations are solved in float64.
    """
    k1 = theta.shape[2]
    own, beside = outer_products(theta, evidence.next is not None)
    gram = evidence.own @ own
    if evidence.next is not None and beside is not None:
        gram += evidence.next[:, :-1] @ beside
    gram = symmetric(gram.double() / noise, k1)  # (N, 1 + K, 1 + K)
    projected = (evidence.value.flatten(1) @ theta.flatten(0, 1)).double() / noise  # (N, 1 + K)
    precision = gram[:, 1:, 1:] + torch.eye(k1 - 1, dtype=torch.float64, device=gram.device)
    root = root_of_precision(precision, torch.finfo(theta.dtype).eps)
    covariance = torch.cholesky_inverse(root)
    pull = projected[:, 1:] - gram[:, 0, 1:]
    mean = (covariance @ pull[..., None])[..., 0]
    log_determinant = 2 * root.diagonal(dim1=1, dim2=2).log().sum(1)
    residual = evidence.square / noise - 2 * projected[:, 0] + gram[:, 0, 0] - (pull * mean).sum(1)
    constant = evidence.n_values * math.log(2 * math.pi * noise) - evidence.log_weight
    return Posterior(mean, covariance, -0.5 * (constant + residual + log_determinant))


def root_of_precision(precision: Tensor, eps: float) -> Tensor:
    """Return the Cholesky root (N, K, K); NaN of a matrix that is none.

    Where noise is small the rounding of long sums can exceed the least eigenvalue, 1: then the diagonal gets the first
    of `RIDGES` that suffices, in units of that rounding.
    """
    root, failed = torch.linalg.cholesky_ex(precision)
    rounding = (
        eps
        * precision.diagonal(dim1=1, dim2=2).mean(1)[:, None, None]
        * torch.eye(precision.shape[1], device=precision.device)
    )
    for size in RIDGES:
        bad = failed != 0
        if not bad.any():
            break
        root[bad], failed[bad] = torch.linalg.cholesky_ex(precision[bad] + size * rounding[bad])
    return root.masked_fill((failed != 0)[:, None, None], torch.nan)


def outer_products(theta: Tensor, beside: bool = True) -> tuple[Tensor, Tensor | None]:
    """Return theta theta^T at each node (L, T), and with the next node's, symmetric (L - 1, T), as upper triangles."""
    i, j = torch.triu_indices(theta.shape[2], theta.shape[2], device=theta.device)
    own = (theta.mT @ theta)[:, i, j]
    if not beside:
        return own, None
    product = theta[:-1].mT @ theta[1:]
    return own, (product + product.mT)[:, i, j]


def symmetric(triangle: Tensor, k: int) -> Tensor:
    """Return symmetric matrices (..., k, k) of upper triangles (..., T)."""
    i, j = torch.triu_indices(k, k, device=triangle.device)
    full = triangle.new_empty(*triangle.shape[:-1], k, k)
    full[..., i, j] = triangle
    full[..., j, i] = triangle
    return full


def _principal(loadings: Tensor, density: Tensor) -> tuple[Tensor, Tensor]:
    """Return the orthonormal basis and variances of scores with the same covariance as the loadings."""
    weighted = density[:, :1, None] * loadings
    weighted[:-1] += density[:-1, 1:, None] * loadings[1:]
    weighted[1:] += density[:-1, 1:, None] * loadings[:-1]
    gram = loadings.flatten(0, 1).T @ weighted.flatten(0, 1) / loadings.shape[1]
    values, vectors = torch.linalg.eigh(gram)
    variance = values.flip(0).clamp(min=0)
    spanned = variance > 1e-12 * variance[:1]
    basis = loadings @ vectors.flip(1) / torch.where(spanned, variance, torch.inf).sqrt()
    flat = basis.flatten(0, 1)
    largest = flat.gather(0, flat.abs().argmax(0, keepdim=True))
    return basis * torch.where(largest < 0, -1.0, 1.0), variance * spanned
