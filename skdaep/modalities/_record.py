"""What a modality makes of an object, and where its points lie."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from numpy.typing import NDArray

from ..registry import register


@dataclass(frozen=True, eq=False, slots=True)
class Record:
    """One object in one modality as scaled arrays; n points, each at a place with A location axes.

    Points stand in an order that depends on what was measured alone, so that equal objects give equal records however
    their rows were sorted.

    Parameters
    ----------
    value : ndarray of float32, shape (n,) or (n, P)
        Scaled measurements, NaN where there is none; P numbers where a point holds several, as a patch of pixels does.
    location : ndarray of float32, shape (n,) or (n, A)
        Scaled locations.
    band : ndarray of int64, shape (n,)
        Index of each point's band among those of fit; 0 where there are no bands.
    error : ndarray of float32, shape (n,)
        One-sigma errors in the scale of the values, NaN where unknown.
    observed : ndarray of bool, shape (n,)
        True where a measurement exists.
    numbers : ndarray of float32, shape (M,)
        Scaled numerical metadata, NaN where absent.
    labels : ndarray of int64, shape (C,)
        Index of each metadata label among those of fit, -1 where absent.
    rows : ndarray of int, shape (n,), or None
        Row of the user's object that each point came from; None where no object is to be written from it.
    n_rows : int or None
        Rows of the user's object.
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
        """Return a copy with some fields exchanged."""
        return replace(self, **changes)

    @classmethod
    def cut(cls, points: dict[str, NDArray[Any]], lengths: NDArray[Any], objects: dict[str, Any]) -> list[Record]:
        """Cut arrays of the points of all objects, which have `lengths` of them, into a record for each object.

        The columns of `objects` hold an entry for each object.
        """
        ends = lengths.cumsum().tolist()
        columns, entries = list(points.items()), list(objects.items())
        return [
            cls(**{k: v[start:end] for k, v in columns}, **{k: v[i] for k, v in entries})
            for i, (start, end) in enumerate(zip([0, *ends], ends, strict=False))
        ]


@dataclass(frozen=True)
class Geometry:
    """Where the points of a modality lie; whoever treats modalities apart asks this, and nothing else.

    Parameters
    ----------
    name : str
        What it is called in errors: "line", "plane", ...
    n_axes : int
        Numbers that a location consists of.
    separations : bool
        Whether points lie at measured separations from one another, in which the noise of draws can be correlated.
        False where they stand on a fixed grid, as the patches of an image do.
    """

    name: str
    n_axes: int = 1
    separations: bool = True


class Separations(NamedTuple):
    """How far scaled locations lie apart, axis by axis, in how many bands, and after how much one axis is closed."""

    finest: tuple[float, ...]
    longest: tuple[float, ...]
    n_bands: int = 1
    cycle: float | None = None


LINE = Geometry("line")
PLANE = Geometry("plane", n_axes=2, separations=False)

#: dataclasses that a model file may hold, by name: modalities, and what they learn
STORABLE: dict[str, type] = {}


def storable(cls: type) -> type:
    """Let model files hold the instances of a dataclass; for use as a decorator on what a modality learns.

    A subclass of `Modality` needs none. A name belongs to the first class that has it, or to the same class defined
    anew, as when the cell of a notebook is run again.
    """
    return register(STORABLE, cls)
