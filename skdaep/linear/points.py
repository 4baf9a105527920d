"""The points of many objects, concatenated, however they were stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from ..nn.batch import POINTS, Batch, Ragged


@dataclass(frozen=True)
class FlatPoints:
    """Observed points of `n_objects` objects; `owner` is the object of each point."""

    owner: Tensor  # (n,)
    value: Tensor  # (n, P), P numbers in a point
    location: Tensor  # (n,) or (n, 2)
    band: Tensor  # (n,)
    error: Tensor  # (n,) NaN where unknown
    n_objects: int

    @classmethod
    def of(cls, objects: Ragged | Batch) -> FlatPoints:
        """Return the observed points of a `Ragged` or a `Batch`."""
        if isinstance(objects, Ragged):
            owner = torch.arange(len(objects), device=objects.lengths.device).repeat_interleave(objects.lengths)
            points = dict(objects.points)
        else:
            owner, place = objects.observed.nonzero(as_tuple=True)
            points = {k: getattr(objects, k)[owner, place] for k in POINTS}
        points["band"] = points["band"].long()
        points["value"] = points["value"].flatten(1) if points["value"].ndim > 1 else points["value"][:, None]
        return cls(owner, **points, n_objects=len(objects))

    def __len__(self) -> int:
        return len(self.owner)

    def to(self, device: str | torch.device) -> FlatPoints:
        """Move every tensor to a device."""
        return self._map(lambda x: x.to(device))

    def of_points(self, chosen: Tensor) -> FlatPoints:
        """Keep some points, chosen by an array (n,). Objects may end up without points."""
        return self._map(lambda x: x[chosen])

    def of_objects(self, chosen: Tensor) -> FlatPoints:
        """Keep some objects, chosen by an array (n_objects,), and renumber them."""
        points = self.of_points(chosen[self.owner])
        return replace(points, owner=(chosen.cumsum(0) - 1)[points.owner], n_objects=int(chosen.sum()))

    def _map(self, change: Callable[[Tensor], Tensor]) -> FlatPoints:
        tensors = {f.name: change(getattr(self, f.name)) for f in fields(self) if f.name != "n_objects"}
        return FlatPoints(**tensors, n_objects=self.n_objects)
