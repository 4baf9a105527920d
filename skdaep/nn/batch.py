"""The input of the networks: a padded `Batch` of objects, and the flat `Ragged` arrays from which it is cut."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Objects padded to a common length; every tensor is dimensionless.

    Padding has ``observed == False`` and holds zeros, so that it cannot affect a network. In a batch of queries
    (locations to decode) the values are zero, and `observed` marks the real locations.
    """

    value: Tensor  # (B, L) standardised measurements, or (B, L, P) where a point holds several (a patch of pixels)
    location: Tensor  # (B, L) standardised locations, or (B, L, 2) in an image
    band: Tensor  # (B, L) index of the band, 0 where there are no bands
    error: Tensor  # (B, L) one-sigma error in units of value, NaN where unknown
    observed: Tensor  # (B, L) bool, True where a measurement exists
    n_points: Tensor  # (B,) number of points of the whole object, of which these may be a part
    numbers: Tensor  # (B, M) standardised metadata, NaN where absent
    labels: Tensor  # (B, C) index of the metadata label, -1 where absent
    group: Tensor | None = None  # (B,) equal for objects that belong together, such as spectra of a star

    def __len__(self) -> int:
        return len(self.observed)

    @property
    def lengths(self) -> Tensor:
        """Number of points of each object in the batch (B,)."""
        return self.observed.sum(1)

    @property
    def present(self) -> Tensor:
        """Whether an object has an observed point (B,). With several modalities it may have none in this one."""
        return self.observed.any(1)

    def to(self, device: str | torch.device) -> Batch:
        """Move every tensor to a device."""
        return self._map(lambda x: x.to(device))

    def rows(self, index: Tensor) -> Batch:
        """Keep the objects of `index`."""
        return self._map(lambda x: x[index])

    def replace(self, **changes: Tensor) -> Batch:
        """Return a copy with some fields replaced."""
        return replace(self, **changes)

    def repeat(self, n: int) -> Batch:
        """Repeat every object n times, with the copies of an object next to each other."""
        return self._map(lambda x: x.repeat_interleave(n, 0))

    def _map(self, function: Callable[[Tensor], Tensor]) -> Batch:
        own: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: function(x) for k, x in own.items() if x is not None})

    def first(self, counts: Tensor) -> Batch:
        """Keep the first `counts` (B,) points of each object."""
        return self._points_at(self._up_to(counts).expand(len(self), -1), counts)

    def last(self, counts: Tensor) -> Batch:
        """Keep the last `counts` (B,) points of each object."""
        return self._points_at((self.lengths[:, None] - 1 - self._up_to(counts)).clamp(min=0), counts)

    def foremost(self, chosen: Tensor) -> Batch:
        """Put the points of `chosen` (B, L) before the others, each in their order."""
        rank = (~chosen).long() + 2 * (~self.observed).long()
        return self._points_at(rank.argsort(dim=1, stable=True), self.lengths)

    def _up_to(self, counts: Tensor) -> Tensor:
        longest = min(int(counts.max()), self.observed.shape[1])
        return torch.arange(longest, device=counts.device)

    def _points_at(self, within: Tensor, counts: Tensor) -> Batch:
        padding = torch.arange(within.shape[1], device=counts.device) >= counts[:, None]
        row = torch.arange(len(self), device=counts.device)[:, None]
        padding = padding | ~self.observed[row, within]
        cut = {k: blank(getattr(self, k)[row, within], padding) for k in POINTS}
        return self.replace(**cut, observed=~padding)


def blank(x: Tensor, padding: Tensor) -> Tensor:
    """Return x (B, L, ...) with zeros where `padding` (B, L) is True."""
    return x.masked_fill(padding.view(*padding.shape, *[1] * (x.ndim - 2)), 0)


POINTS = ("value", "location", "band", "error")
OBJECTS = ("numbers", "labels")


@dataclass(frozen=True)
class Ragged:
    """All points of all objects, concatenated, with offsets, so that batches are cut without a Python loop.

    Bands are stored in as few bytes as possible. In a `Batch` they are indices of type long, as torch requires.
    """

    points: dict[str, Tensor]  # (n_points, ...) each, keys POINTS
    objects: dict[str, Tensor]  # (n_objects, ...) each, keys OBJECTS
    lengths: Tensor  # (n_objects,)
    mapped: bool = False  # whether the points stay in a file, from which batches are read
    groups: Tensor | None = None  # (n_objects,) as in `Batch`; None if every object is its own group

    def __len__(self) -> int:
        return len(self.lengths)

    @cached_property
    def offsets(self) -> Tensor:
        """Index of each object's first point (n_objects,)."""
        return self.lengths.cumsum(0) - self.lengths

    def to(self, device: str | torch.device) -> Ragged:
        """Move every tensor to a device."""
        return Ragged(
            {k: v.to(device) for k, v in self.points.items()},
            {k: v.to(device) for k, v in self.objects.items()},
            self.lengths.to(device),
            groups=None if self.groups is None else self.groups.to(device),
        )

    def grouped(self, groups: Tensor) -> Ragged:
        """Return a copy with the groups (n_objects,) of its objects."""
        return replace(self, groups=groups.to(self.lengths.device))

    def select(self, index: Tensor) -> Ragged:
        """Copy the objects of `index` (B,)."""
        lengths = self.lengths[index]
        first = self.offsets[index] - (lengths.cumsum(0) - lengths)
        at = first.repeat_interleave(lengths) + torch.arange(int(lengths.sum()), device=index.device)
        points = {k: v[at] for k, v in self.points.items()}
        return Ragged(points, {k: v[index] for k, v in self.objects.items()}, lengths)

    def take(self, index: Tensor) -> Batch:
        """Pad the objects of `index` (B,) into a batch."""
        lengths = self.lengths[index]
        within = torch.arange(int(lengths.max()), device=index.device)
        return self._gather(index, within.expand(len(index), -1), lengths)

    def subset(self, index: Tensor, n_points: int | None, generator: torch.Generator) -> Batch:
        """Pad the points of the objects of `index` in random order, at most `n_points` of each.

        The order is random, so that any slice is a random subset.
        """
        lengths = self.lengths[index]
        longest = int(lengths.max())
        key = torch.rand(len(index), longest, generator=generator, device=index.device)
        past_end = torch.arange(longest, device=index.device) >= lengths[:, None]
        n_points = longest if n_points is None else min(n_points, longest)
        within = key.masked_fill_(past_end, 2.0).topk(n_points, largest=False).indices
        return self._gather(index, within, lengths.clamp(max=n_points))

    def _gather(self, index: Tensor, within: Tensor, lengths: Tensor) -> Batch:
        padding = torch.arange(within.shape[1], device=index.device) >= lengths[:, None]  # (B, L)
        at = (self.offsets[index, None] + within).masked_fill(padding, 0)
        cut = {k: blank(v[at], padding) for k, v in self.points.items()}
        cut["band"] = cut["band"].long()
        whole = {"observed": ~padding, "n_points": self.lengths[index]}
        whole["group"] = index if self.groups is None else self.groups[index]
        return Batch(**cut, **whole, **{k: v[index] for k, v in self.objects.items()})
