"""What a sequence learns from the training objects: scaling, grid, resolution."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..exceptions import OutOfRangeWarning

#: Standard deviations from the mean of fit beyond which a number is refused: the step of float32 is a sixteenth of one
#: there, so that neighbours merge, and what so large a number does in a network is no matter of what was learned.
LIMIT = 1e6
EXTREME = "more than a million standard deviations from the rest of fit; set it to NaN, or bring values to one scale"


#: A number is wild if it is so many times the distance between the quartiles beyond them, and past a gap so many times
#: the distance of the farthest number that is not; and if it is one of few, or recurs as a sentinel does. Without the
#: gap the bright end of a distribution over many decades would be wild; of 10,000 normal numbers none is.
FAR, GAP = 10.0, 5.0
FEW, FEW_THAT_RECUR = 0.01, 0.05
#: so many numbers show where the quartiles are
ENOUGH = 2**20


@dataclass(frozen=True)
class Scaling:
    """``scaled = (x - origin) / scale``, computed in float64.

    Numbers that are `wild` do not count: a few of them must not set the scale of all others. Without any, which is the
    rule, origin and scale are mean and standard deviation of all.
    """

    origin: float
    scale: float

    @classmethod
    def of(cls, x: np.ndarray, origin: float | None = None) -> Scaling:
        """Learn mean (or a given origin) and standard deviation; a constant gets scale 1, or what rounding needs."""
        if (apart := wild(x)).any():
            x = x[~apart]
        origin = float(np.mean(x)) if origin is None else float(origin)
        scale = float(np.std(x))
        rounding = 1e-12 * abs(origin)
        return cls(origin, scale if np.isfinite(scale) and scale > rounding else max(1.0, rounding))

    def forward(self, x):
        """Scale."""
        return (x - self.origin) / self.scale

    def extreme(self, x):
        """Return whether numbers lie beyond `LIMIT`; NaN does not."""
        with np.errstate(over="ignore"):
            return np.abs(self.forward(x)) > LIMIT

    def back(self, x):
        """Undo `forward`."""
        return x * self.scale + self.origin


@dataclass(frozen=True)
class Learned:
    """What `Sequence.learn` found in the training objects."""

    units: dict[str, str | None]  # column -> unit of fit
    value: Scaling
    location: Scaling
    bands: tuple[str, ...]  # ("",) without a band column
    resolution: float  # finest spacing, in scaled locations
    extent: float  # range of scaled locations
    numbers: dict[str, Scaling]  # metadata key -> scaling
    labels: dict[str, tuple[str, ...]]  # metadata key -> labels seen, commonest first
    typical: dict[str, Any]  # metadata key -> median or commonest label
    grid: tuple[tuple[str, tuple[float, ...]], ...]  # band -> locations, in the unit of fit
    error: float | None  # median measurement error, in scaled values
    n_points: float  # median number of observed points
    arrays: bool  # learned from rows of a 2-D array
    number_units: dict[str, str | None] = field(default_factory=dict)  # metadata key -> unit of fit
    ranges: dict[str, tuple[float, float]] = field(
        default_factory=dict
    )  # role -> ends of what fit saw, but for what was wild
    time_scale: str | None = None  # of a column of Time


def far(x: np.ndarray) -> np.ndarray:
    """Return which numbers are far from the quartiles and past a gap.

    The quartiles are those of the distinct numbers, so that a sentinel counts once, however often it recurs.
    """
    low, high = np.quantile(np.unique(x[:: 1 + len(x) // ENOUGH]), [0.25, 0.75])
    with np.errstate(over="ignore"):
        distance = np.maximum(low - x, x - high)
        beyond = distance > FAR * (high - low)
        if low == high or not beyond.any():
            return np.zeros(len(x), bool)
        steps = np.append(max(distance[~beyond].max(), high - low), np.unique(distance[beyond]))
        gaps = np.flatnonzero(steps[1:] > GAP * steps[:-1])
    return distance >= steps[gaps[0] + 1] if len(gaps) else np.zeros(len(x), bool)


def recurring(x: np.ndarray) -> dict[float, int]:
    """Return how often each number occurs that occurs more than once."""
    return {float(v): int(n) for v, n in zip(*np.unique(x, return_counts=True), strict=True) if n > 1}


def wild(x: np.ndarray) -> np.ndarray:
    """Return which numbers are `far` and few, or recur: not enough of them to be a part of what was measured."""
    apart = far(x)
    few = max(1, FEW * len(x))
    if apart.sum() <= few:
        return apart
    again = apart & np.isin(x, [v for v, n in recurring(x[apart]).items() if n <= FEW_THAT_RECUR * len(x)])
    return apart if (apart & ~again).sum() <= few else again


def spoiler(x: np.ndarray, owner: np.ndarray) -> int | None:
    """Return the index of a number that leaves the others no scale, None if there is none.

    It is the one farthest out, if their standard deviation overflows, or if it is too far for the scale of all that are
    not wild or of those of all other objects.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        i = int(np.argmax(np.abs(x - np.median(x))))
        others = x[owner != owner[i]]
        if not np.isfinite(np.std(x)) or Scaling.of(x).extreme(x[i]):
            return i
        alike = len(others) == 0 or np.ptp(others) == 0
        return None if alike or not Scaling.of(others).extreme(x[i]) else i


def range_of(x: np.ndarray) -> tuple[float, float]:
    """Return the ends of what numbers span, but for wild ones."""
    kept = x[~wild(x)]
    return float(kept.min()), float(kept.max())


def warn_of_sentinels(x: np.ndarray, owner: np.ndarray, what: str, where: list[str], everywhere: bool = True) -> None:
    """Warn of numbers that recur far outside all others; with ``everywhere=False`` not of those that all objects have.

    What all objects have may well be a place on a common grid.
    """
    found = recurring(x[far(x)])
    if not everywhere:
        found = {v: n for v, n in found.items() if len(np.unique(owner[x == v])) < len(np.unique(owner))}
    if found:
        rest = x[~np.isin(x, list(found))]
        first = where[owner[np.flatnonzero(x == next(iter(found)))[0]]]
        several = ", ".join(f"{v:g} ({n} times)" for v, n in list(found.items())[:8])
        warnings.warn(
            f"{what} is {several}, first in {first}; all else lies from {rest.min():g} to {rest.max():g}. "
            f"If that stands for no measurement, set it to NaN.",
            OutOfRangeWarning,
            stacklevel=2,
        )


def spacings(location: np.ndarray, band: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Return all non-zero spacings between neighbouring points of one object in one band.

    Points of two bands taken within minutes say nothing of how finely a light curve is sampled. Arguments are arrays
    over all points; `owner` is the object's index. Spacings below float32's own step are left out.
    """
    order = np.lexsort((location, band, owner))
    location, band, owner = location[order], band[order], owner[order]
    gaps = np.diff(location)[(band[1:] == band[:-1]) & (owner[1:] == owner[:-1])]
    return gaps[gaps > 1e-7]


def default_grid(location: np.ndarray, band: np.ndarray, n_points: float):
    """Per band, as many equally spaced locations as an object has points, over 98 % of those measured."""
    bands = np.unique(band)
    n = max(2, round(n_points / len(bands)))
    ends = {b: np.quantile(location[band == b], [0.01, 0.99]) for b in bands}
    return tuple((str(b), tuple(np.linspace(*ends[b], n).tolist())) for b in bands)
