"""Records, which modalities make from objects, and the geometry of their points."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from numpy.typing import NDArray

from ..registry import register


@dataclass(frozen=True, eq=False, slots=True)
class Record:
    """One object in one modality as scaled arrays: n points, each at a place with A location axes.

    The order of points depends on the measurements alone, so equal objects give equal records however their rows are
    sorted.

    Parameters
    ----------
    value : ndarray of float32, shape (n,) or (n, P)
        Scaled measurements, NaN if there is none. (n, P) if a point has P numbers, such as the pixels of a patch.
    location : ndarray of float32, shape (n,) or (n, A)
        Scaled locations.
    band : ndarray of int64, shape (n,)
        Index of each point's band among those of fit; 0 if there are no bands.
    error : ndarray of float32, shape (n,)
        One-sigma errors in the scale of the values, NaN where unknown.
    observed : ndarray of bool, shape (n,)
        True where a measurement exists.
    numbers : ndarray of float32, shape (M,)
        Scaled numerical metadata, NaN where absent.
    labels : ndarray of int64, shape (C,)
        Index of each metadata label among those of fit, -1 where absent.
    rows : ndarray of int, shape (n,), or None
        Row of the user's object that each point came from; None if no object will be written.
    n_rows : int or None
        Number of rows of the user's object.
    """

    value: NDArray[Any]
    location: NDArray[Any]
    band: NDArray[Any]
    error: NDArray[Any]
    observed: NDArray[Any]
    numbers: NDArray[Any]
    labels: NDArray[Any]
    rows: NDArray[Any] | None = None
    n_rows: int | None = None

    def __len__(self) -> int:
        return len(self.observed)

    def replace(self, **changes: Any) -> Record:
        """Return a copy with some fields replaced."""
        return replace(self, **changes)

    @classmethod
    def cut(cls, points: dict[str, NDArray[Any]], lengths: NDArray[Any], objects: dict[str, Any]) -> list[Record]:
        """Cut arrays with the points of all objects, of the given `lengths`, into one record per object.

        The arrays in `objects` have one entry per object.
        """
        ends = lengths.cumsum().tolist()
        columns, entries = list(points.items()), list(objects.items())
        return [
            cls(**{k: v[start:end] for k, v in columns}, **{k: v[i] for k, v in entries})
            for i, (start, end) in enumerate(zip([0, *ends], ends, strict=False))
        ]


@dataclass(frozen=True)
class Geometry:
    """Where the points of a modality lie. Code that distinguishes modalities uses this and nothing else.

    Parameters
    ----------
    name : str
        Name in errors: "line", "plane", ...
    n_axes : int
        Number of coordinates of a location.
    separations : bool
        Whether points have measured separations, over which the noise of draws can be correlated. False if they are on
        a fixed grid, like the patches of an image.
    """

    name: str
    n_axes: int = 1
    separations: bool = True


class Separations(NamedTuple):
    """Distances between scaled locations along each axis, the number of bands, and the period of a closed axis."""

    finest: tuple[float, ...]
    longest: tuple[float, ...]
    n_bands: int = 1
    cycle: float | None = None


LINE = Geometry("line")
PLANE = Geometry("plane", n_axes=2, separations=False)

#: dataclasses that a model file may contain, by name: modalities, and what they learn from data
STORABLE: dict[str, type] = {}


def storable(cls: type) -> type:
    """Allow model files to contain instances of a dataclass; use it as a decorator on what a modality learns.

    Subclasses of `Modality` do not need it. The first class with a name keeps it, unless the same class is defined
    again, as in a notebook cell that is run twice.
    """
    return register(STORABLE, cls)
