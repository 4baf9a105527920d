r"""Ways to hide parts of an object from the encoder in training.

With locations u, scaled to 0 to 1 over the points that an object shows, the encoder keeps

.. math:: \text{points: a random 25 to 100\,\%;} \qquad
    \text{spans: all but } \lVert u - c \rVert_\infty < w; \qquad
    \text{future: } u_1 \le e; \qquad
    \text{ends: } b \le u \le b + s

with c uniform over the range, w from 0 to 3/8, and the end e from 0 to 5/4, so that one time in five the encoder sees
the whole object. The length s of a crop is 1/4 to 1, and its start b is 0 to 1 - s along each axis. Every object and
each of its modalities has its own c, w, e, b and s. At least one point is kept. Points of the whole object are decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ..nn.batch import Batch

#: largest half-width of a hidden window, latest end of the visible part, smallest visible share; the range is 0 to 1
WIDEST, LATEST, LEAST_SHARE = 0.375, 1.25, 0.25

Uniform = Callable[..., Tensor]  # returns uniform random numbers of a given shape


def points(batch: Batch, uniform: Uniform) -> Tensor:
    """Return a random share of the points (B, L): the first ones, because points are in random order."""
    share = 1 - (1 - LEAST_SHARE) * uniform(len(batch), 1)
    return torch.arange(batch.observed.shape[1], device=share.device) < share * batch.lengths[:, None]


def spans(batch: Batch, uniform: Uniform) -> Tensor:
    """Return the points (B, L) outside a random window: a stretch of a line, a box in a plane."""
    u = places(batch)  # (B, L, A)
    centre, half_width = uniform(len(u), 1, u.shape[2]), WIDEST * uniform(len(u), 1, 1)
    return ((u - centre).abs() >= half_width).any(2)


def future(batch: Batch, uniform: Uniform) -> Tensor:
    """Return the points (B, L) up to a random end, along the first axis."""
    return places(batch)[..., 0] <= LATEST * uniform(len(batch), 1)


def ends(batch: Batch, uniform: Uniform) -> Tensor:
    """Return the points (B, L) inside a random window, a crop: a stretch of a line, a box in a plane."""
    u = places(batch)  # (B, L, A)
    size = 1 - (1 - LEAST_SHARE) * uniform(len(u), 1, 1)
    begin = (1 - size) * uniform(len(u), 1, u.shape[2])
    return ((u >= begin) & (u <= begin + size)).all(2)


#: value of the parameter `hide` -> function that returns the visible points
HIDING: dict[str, Callable[[Batch, Uniform], Tensor]] = {
    "points": points,
    "spans": spans,
    "future": future,
    "ends": ends,
}


def places(batch: Batch) -> Tensor:
    """Return locations (B, L, A), scaled to 0 and 1 over the observed points of each object."""
    at = batch.location if batch.location.ndim > 2 else batch.location[..., None]
    padding = ~batch.observed[..., None]
    low = at.masked_fill(padding, torch.inf).amin(1, keepdim=True)
    high = at.masked_fill(padding, -torch.inf).amax(1, keepdim=True)
    return (at - low) / (high - low).clamp(min=torch.finfo(at.dtype).tiny)


def in_part(batch: Batch, ways: tuple[str, ...], generator: torch.Generator) -> Tensor:
    """Return which points (B, L) the encoder sees, at least one; each object uses one of the ways at random."""

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, device=generator.device)

    way = (len(ways) * uniform(len(batch), 1)).long().clamp(max=len(ways) - 1)
    visible = torch.zeros_like(batch.observed)
    for i, name in enumerate(ways):
        visible |= HIDING[name](batch, uniform) & (way == i)
    visible &= batch.observed
    first = torch.arange(visible.shape[1], device=visible.device) == 0
    return visible | (first & ~visible.any(1, keepdim=True) & batch.observed)


def shown_in_part(batch: Batch, ways: tuple[str, ...], generator: torch.Generator) -> Batch:
    """Return the points that the encoder sees, see `in_part`."""
    seen = in_part(batch, ways, generator)
    return batch.foremost(seen).first(seen.sum(1))


def by_modality(hide: Any, modalities: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the ways of hiding of modalities that hide more than random points.

    Raises
    ------
    ValueError
        If a way or a modality is unknown, or a grid has no future.
    """
    given = hide if isinstance(hide, Mapping) else dict.fromkeys(modalities, hide)
    if unknown := given.keys() - modalities.keys():
        raise ValueError(f"hide names {', '.join(map(repr, unknown))}; the modalities are {', '.join(modalities)}.")
    ways = {name: (way,) if isinstance(way, str) else tuple(way) for name, way in given.items()}
    for name, chosen in ways.items():
        if not chosen or set(chosen) - HIDING.keys():
            raise ValueError(f"hide={given[name]!r}: choose one or more of {', '.join(map(repr, HIDING))}.")
        if "future" in chosen and not modalities[name].geometry.separations:
            raise ValueError(f'hide="future" needs points on a line; {name!r} is a {modalities[name].geometry.name}.')
    return {name: chosen for name, chosen in ways.items() if chosen != ("points",)}
