"""Nodes along the location, between which functions are linear, and the evidence of points for the values there."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .points import FlatPoints

#: Locations form a common grid if there are at most this many for each point of a typical object.
MOST_ON_GRID = 8
#: Otherwise a band has two nodes for each point of a typical object, but at least FEWEST and at most MOST. With more
#: than MANY bands the lower limit falls, because dozens of bands with a point or two each would cost too much.
FEWEST, MOST, MANY = 64, 512, 8
#: Smallest distance of two nodes, relative to the mean distance.
CLOSEST = 1e-3
#: Row and column of a pixel are joined into one number, which is different for all places of a grid.
PLANE = (1.0, math.sqrt(2.0))


class NodePlaces(NamedTuple):
    """Positions of points: the node at or before each point, and the share of the way to the next node."""

    node: Tensor  # (n,)
    share: Tensor  # (n,) of [0, 1)


class Evidence(NamedTuple):
    """Weighted sums over the points of each object, which are all that a linear model needs.

    With h(x) the linear interpolation between L nodes, an object's points make the symmetric tridiagonal matrix
    sum w h h^T, of diagonal `own` and off-diagonal `next`, and the vector `value` = sum w h y.
    """

    own: Tensor  # (N, L)
    next: Tensor | None  # (N, L), between a node and the next; None if all points lie on nodes
    value: Tensor  # (N, L, P)
    square: Tensor  # (N,) sum of w y^2, float64
    n_values: Tensor  # (N,) numbers measured, float64
    log_weight: Tensor  # (N,) sum of their log w, float64

    def parts(self, n: int) -> Iterator[Evidence]:
        """Yield the evidence of n objects at a time."""
        for start in range(0, len(self.own), n):
            yield Evidence._make(None if x is None else x[start : start + n] for x in self)


class Nodes(nn.Module):
    """Sorted locations per band: those of the common grid if there is one, otherwise quantiles of the points.

    Functions are linear between nodes and constant beyond the outermost ones. Places in a plane must lie on nodes.
    """

    location: Tensor
    counts: Tensor
    plane: Tensor

    def __init__(self, location: Tensor, counts: Tensor, plane: bool = False):
        super().__init__()
        if (counts < 0).any() or counts.sum() != len(location):
            raise ValueError(f"{len(location)} nodes, but {counts.tolist()} in the bands")
        self.register_buffer("location", location.double())
        self.register_buffer("counts", counts)  # per band
        self.register_buffer("plane", torch.tensor(plane))

    def __len__(self) -> int:
        return len(self.location)

    @classmethod
    def learn(cls, points: FlatPoints, n_bands: int) -> Nodes:
        """Return the nodes of points."""
        line, plane = on_a_line(points.location), points.location.ndim == 2
        fewest = max(FEWEST * MANY // max(n_bands, MANY), 8)
        bands = [_nodes_of(line[here], points.owner[here], plane, fewest) for here in _by_band(points.band, n_bands)]
        return cls(torch.cat(bands), torch.tensor([len(x) for x in bands]), plane)

    def starts(self) -> list[int]:
        """Return the first node of each band."""
        return (self.counts.cumsum(0) - self.counts).tolist()

    def place(self, location: Tensor, band: Tensor) -> NodePlaces:
        """Return the positions among the nodes of points at locations (n,) or (n, 2) in bands (n,)."""
        line = on_a_line(location)
        node, share = torch.zeros_like(band), torch.zeros_like(line)
        bands = _by_band(band, len(self.counts))
        for start, count, here in zip(self.starts(), self.counts.tolist(), bands, strict=True):
            own, x = self.location[start : start + count], line[here]
            if count == 0 or len(x) == 0:
                continue
            x = x.clamp(own[0], own[-1])
            left = (torch.searchsorted(own, x, right=True) - 1).clamp(max=max(count - 2, 0))
            width = own[(left + 1).clamp(max=count - 1)] - own[left]
            along = torch.where(width > 0, (x - own[left]) / width.clamp(min=torch.finfo(width.dtype).tiny), 0.0)
            node[here], share[here] = start + left + (along == 1).long(), along.masked_fill(along == 1, 0.0)
        if self.plane:
            return self._nearest(node, share)
        return NodePlaces(node, share)

    def _nearest(self, node: Tensor, share: Tensor) -> NodePlaces:
        off = torch.minimum(share, 1 - share) > 1e-3
        if off.any():
            raise ValueError(f"{int(off.sum())} patches lie between the places of fit.")
        return NodePlaces(node + (share > 0.5).long(), torch.zeros_like(share))

    def at(self, functions: Tensor, places: NodePlaces, owner: Tensor | None = None) -> Tensor:
        """Return functions (L, ...), or one for each object (N, L, ...), at places: (n, ...)."""
        after = (places.node + 1).clamp(max=len(self) - 1)

        def rows(node: Tensor) -> Tensor:
            return functions[node] if owner is None else functions[owner, node]

        first = rows(places.node)
        if not places.share.any():
            return first
        share = places.share.to(first.dtype).view(-1, *[1] * (first.ndim - 1))
        return first + share * (rows(after) - first)

    def evidence(self, points: FlatPoints, places: NodePlaces, weight: Tensor | None = None) -> Evidence:
        """Return the evidence of points at places, with weights (n,); None means that all weights are 1."""
        n_objects, n_nodes, value, width = points.n_objects, len(self), points.value, points.value.shape[1]
        share = places.share.to(value.dtype)
        weight = torch.ones_like(share) if weight is None else weight.to(value.dtype)
        cell = points.owner * n_nodes + places.node
        between = bool(share.any())

        def total(numbers: Tensor, at: Tensor) -> Tensor:
            shape = (n_objects * n_nodes, *numbers.shape[1:])
            return numbers.new_zeros(shape).index_add_(0, at, numbers).view(n_objects, n_nodes, *numbers.shape[1:])

        own, summed = total(weight * (1 - share) ** 2, cell), total((weight * (1 - share))[:, None] * value, cell)
        beside = None
        if between:
            beside = total(weight * share * (1 - share), cell)
            after = torch.where(share > 0, cell + 1, cell)
            own += total(weight * share**2, after)
            summed += total((weight * share)[:, None] * value, after)
        per_point = {
            "square": weight.double() * (value.double() ** 2).sum(1),
            "n_values": torch.full_like(weight, width, dtype=torch.float64),
            "log_weight": width * weight.double().log(),
        }
        sums = {k: x.new_zeros(n_objects).index_add_(0, points.owner, x) for k, x in per_point.items()}
        return Evidence(own, beside, summed, **sums)

    def roughness(self) -> Tensor:
        """Return the matrix R (L, 3), in lower bands, of the integral of f''(x)^2, x running from 0 to 1 in each band.

        It is f^T R f, with f the values at nodes, and does not depend on the number of nodes. In a plane it is zero.
        """
        bands = torch.zeros(len(self), 3, dtype=torch.float64)
        if self.plane:
            return bands
        for start, count in zip(self.starts(), self.counts.tolist(), strict=True):
            if count < 3:
                continue
            x = self.location[start : start + count].cpu()
            left, right = ((x[1:] - x[:-1]) / (x[-1] - x[0])).unfold(0, 2, 1).T  # widths about inner nodes
            both = (left + right) / 2
            # f'' = c0 f[j - 1] + c1 f[j] + c2 f[j + 1] on an interval of width `both`
            c = torch.stack([1 / left, -(1 / left + 1 / right), 1 / right]) / both
            for i in range(3):
                for j in range(i, 3):
                    bands[start + i : start + i + count - 2, j - i] += both * c[i] * c[j]
        return bands


def on_a_line(location: Tensor) -> Tensor:
    """Return one number for each location (n,) or (n, 2)."""
    location = location.double()
    return location if location.ndim == 1 else location @ location.new_tensor(PLANE)


def _by_band(band: Tensor, n_bands: int) -> Iterator[Tensor]:
    if n_bands == 1:
        yield torch.arange(len(band), device=band.device)
        return
    order, counts = band.argsort(stable=True), torch.bincount(band, minlength=n_bands).tolist()
    yield from order.split(counts)


def _nodes_of(location: Tensor, owner: Tensor, plane: bool, fewest: int) -> Tensor:
    """Return the nodes of one band from its points."""
    if not len(location):
        return location
    unique, points = location.unique(), torch.bincount(owner)
    typical = float(points[points > 0].double().median())
    if plane or len(unique) <= MOST_ON_GRID * typical:
        return _apart(unique)
    n = int(min(max(2 * typical, fewest), MOST))
    ranks = torch.linspace(0, len(location) - 1, n).round().long()
    return _apart(location.sort().values[ranks])


def _apart(location: Tensor) -> Tensor:
    """Leave out sorted locations that hardly differ from the previous one, because curves would be steep there."""
    least = CLOSEST * float(location[-1] - location[0]) / len(location)
    nodes = location[:1].tolist()
    for x in location[1:].tolist():
        if x - nodes[-1] > least:
            nodes.append(x)
    return location.new_tensor(nodes)
