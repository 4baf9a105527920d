"""What a sequence learns from the training objects: scaling, grid, resolution."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from astropy.time import TIME_SCALES

from ..tables import wild
from ._record import storable

#: A number farther than this from the training mean, in standard deviations, is refused. There float32 has a step of a
#: sixteenth, so neighbouring numbers merge, and a network has learned nothing about such numbers.
LIMIT = 1e6
#: share of the spacings that may be finer than the resolution, and finest resolution relative to the mean spacing
FEW_SPACINGS, CLUSTERED = 0.1, 0.1
EXTREME = "more than a million standard deviations from the rest of fit; set it to NaN, or bring values to one scale"


@storable
@dataclass(frozen=True)
class Scaling:
    """``scaled = (x - origin) / scale``, computed in float64.

    `wild` numbers are left out, so that a few of them do not set the scale of all others. Usually there are none, and
    origin and scale are the mean and the standard deviation of all numbers.
    """

    origin: float
    scale: float

    def __post_init__(self):
        demand_positive(self, "scale")

    @classmethod
    def of(cls, x: np.ndarray, origin: float | None = None) -> Scaling:
        """Learn the mean (or take an origin) and the standard deviation; a constant gets 1, or what rounding needs."""
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

    @property
    def dtype(self) -> type:
        """Type of the arrays that `back` returns: float32 unless they would overflow, vanish or lose the spread."""
        return np.float32 if 1e-30 < self.scale < 1e30 and abs(self.origin) < 1e4 * self.scale else np.float64


@storable
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
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)  # role -> range in training, without outliers
    time_scale: str | None = None  # if the locations are a Time

    def __post_init__(self):
        demand_positive(self, "extent", "resolution", "n_points")
        if list(self.bands) != sorted(set(self.bands)):
            raise ValueError(f"bands {self.bands!r} are not sorted, each once")
        if not self.ranges.keys() <= {"value", "location"} or self.time_scale not in (None, *TIME_SCALES):
            raise ValueError(f"ranges of {', '.join(self.ranges)}, times in {self.time_scale!r}")


def demand_positive(learned, *names: str) -> None:
    """Raise ValueError if a learned field is not a positive, finite number."""
    for name in names:
        if not 0 < getattr(learned, name) < np.inf:
            raise ValueError(f"{type(learned).__name__}({name}={getattr(learned, name)!r}): must be positive")


def spoiler(x: np.ndarray, owner: np.ndarray) -> int | None:
    """Return the index of a number so large that the others have no scale; None if there is none.

    This is the number farthest out, if the standard deviation overflows, or if that number is too far out for the scale
    of all numbers that are not wild, or for that of all other objects.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        i = int(np.argmax(np.abs(x - np.median(x))))
        others = x[owner != owner[i]]
        if not np.isfinite(np.std(x)) or Scaling.of(x).extreme(x[i]):
            return i
        equal = len(others) == 0 or np.ptp(others) == 0
        return None if equal or not Scaling.of(others).extreme(x[i]) else i


def finest(location: np.ndarray, *groups: np.ndarray) -> float | None:
    """Return the finest spacing, worth resolving, of neighbouring points of the same groups; None if there is none.

    A tenth of the spacings are finer. But if points come in clusters, such as exposures of single nights over years,
    these spacings do not show how finely an object is sampled. So the result is at least a tenth of the mean spacing in
    a typical group.

    Groups are arrays over all points, such as their objects and bands: spacings between points of different bands do
    not count either. Spacings below the resolution of float32 are left out.
    """
    order = np.lexsort((location, *groups))
    equal = np.logical_and.reduce([group[order][1:] == group[order][:-1] for group in groups])
    gaps, group = np.diff(location[order]), np.cumsum(~equal)
    gaps, group = (x[equal & (gaps > 1e-7)] for x in (gaps, group))
    if not len(gaps):
        return None
    _, group = np.unique(group, return_inverse=True)
    means = np.bincount(group, gaps) / np.bincount(group)
    return float(max(np.quantile(gaps, FEW_SPACINGS), CLUSTERED * np.median(means)))


class Axis(NamedTuple):
    """Finest spacing (None if there is none) and extent of scaled locations; a grid for each band, in units of fit."""

    finest: float | None
    extent: float
    grid: tuple[tuple[str, tuple[float, ...]], ...]


def line(location: np.ndarray, band: np.ndarray, owner: np.ndarray, scaling: Scaling, n_points: float) -> Axis:
    """Return the axis of locations on a line, from all points of objects with `n_points` each.

    The grid has as many equally spaced locations as a typical object has points, over the central 98 % of the
    locations.
    """
    scaled, bands = scaling.forward(location), np.unique(band)
    n = max(2, round(n_points / len(bands)))
    ends = {b: np.quantile(location[band == b], [0.01, 0.99]) for b in bands}
    grid = tuple((str(b), tuple(np.linspace(*ends[b], n).tolist())) for b in bands)
    return Axis(finest(scaled, band, owner), float(np.ptp(scaled)) or 1.0, grid)


def circle(cycle: float, bands: tuple[str, ...], scaling: Scaling, n_points: float) -> Axis:
    """Return the axis of locations on a circle. The grid goes around it once.

    The more points there are, the closer irregular phases come to each other. So the mean spacing of an object's points
    is used as the finest spacing.
    """
    per_band = n_points / len(bands)
    n, around = max(2, round(per_band)), cycle / scaling.scale
    places = tuple((cycle * np.arange(n) / n).tolist())
    return Axis(around / per_band, around / 2, tuple((b, places) for b in bands))
