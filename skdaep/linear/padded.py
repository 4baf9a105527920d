r"""Scores of padded batches without branches on data, for exported graphs.

With :math:`\phi` the loadings of scores of variance 1 at an object's points, w their weights and r what they differ by
from the mean, :math:`(I + \phi^T w \phi / s^2)\, z = \phi^T w\, r / s^2`: the mean of `FactorAnalysis.posterior`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..nn.batch import Batch
from .factors import LEAST_WEIGHT, FactorAnalysis
from .nodes import NodePlaces, Nodes, on_a_line


def expected_scores(factors: FactorAnalysis, batch: Batch) -> Tensor:
    """Return the expectation of scores (B, K) given the observed points, in float64."""
    places = places_of(factors.nodes, batch.location, batch.band)
    deviation = factors.variance.sqrt()
    loadings = _at(factors.basis.double() * deviation, places).flatten(1, 2)  # (B, L P, K)
    width = factors.mean.shape[1]
    residual = batch.value.view(*batch.band.shape, width).double() - _at(factors.mean.double(), places)
    weight = (_weights(factors, batch) / factors.noise)[..., None].expand(-1, -1, width)  # (B, L, P)
    pull = (loadings * weight.reshape(*loadings.shape[:2], 1)).mT  # (B, K, L P)
    precision = pull @ loadings + torch.eye(len(deviation), dtype=torch.float64)
    return solved(precision, (pull @ residual.flatten(1)[..., None])[..., 0]) * deviation


def places_of(nodes: Nodes, location: Tensor, band: Tensor) -> NodePlaces:
    """Return where points at locations (B, L[, 2]) in bands (B, L) lie, (B, L) each, as `Nodes.place` does."""
    x, last = on_a_line(location.flatten(0, 1)).view(band.shape), len(nodes) - 1
    count, start = nodes.counts[band], (nodes.counts.cumsum(0) - nodes.counts)[band]
    left = torch.where(count > 0, start, 0)  # last node of the band that is not beyond x, found by bisection
    for power in reversed(range(last.bit_length())):
        further = left + 2**power
        reached = nodes.location[further.clamp(max=last)] <= x
        left = torch.where(reached & (further < start + count), further, left)
    right = torch.where(left + 1 < start + count, left + 1, left)
    first, width = nodes.location[left], nodes.location[right] - nodes.location[left]
    share = torch.where(width > 0, (x - first) / torch.where(width > 0, width, 1.0), 0.0).clamp(0, 1)
    in_plane = location.ndim > band.ndim  # pixels of an image lie exactly on nodes
    return NodePlaces(torch.where(share > 0.5, right, left), share * 0) if in_plane else NodePlaces(left, share)


def _at(functions: Tensor, places: NodePlaces) -> Tensor:
    """Return functions (L, ...) at places, (B, L, ...)."""
    first = functions[places.node]
    after = functions[(places.node + 1).clamp(max=functions.shape[0] - 1)]
    return first + places.share.view(*places.share.shape, *[1] * (first.ndim - 2)) * (after - first)


def _weights(factors: FactorAnalysis, batch: Batch) -> Tensor:
    """Return the weight (B, L) of each point, like `weights_of_points`, and 0 for padding."""
    error = torch.where(batch.error.isnan(), factors.typical_error, batch.error.double())
    weight = (factors.noise / (factors.noise + error**2)).clamp(min=LEAST_WEIGHT)
    return torch.where(factors.typical_error.isnan(), 1.0, weight) * batch.observed


@torch.library.custom_op("skdaep::solved", mutates_args=(), schema="(Tensor matrix, Tensor right) -> Tensor")
def solved(matrix: Tensor, right: Tensor) -> Tensor:
    """Return x (B, K) of matrix x = right (B, K), the matrix (B, K, K) positive definite.

    An operation of its own: graphs have no routine of LAPACK, but get a loop in its place.
    """
    return torch.cholesky_solve(right[..., None], torch.linalg.cholesky(matrix))[..., 0]


@solved.register_fake
def _(matrix: Tensor, right: Tensor) -> Tensor:
    return torch.empty_like(right)
