"""What a head predicts: numbers in their own scale, or classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..modalities import storable
from ..objectives import HEADS
from ..training import seeded

Head = Any  # one of HEADS


@storable
@dataclass(frozen=True)
class Targets:
    """The labels of fit, described.

    Parameters
    ----------
    kind : {"numbers", "classes"}
        What they are.
    form : {"array", "quantity", "table", "pandas", "polars", "pyarrow"}
        What they came in, and predictions go out in.
    names : tuple of str
        Of the columns; empty if they had none.
    units : tuple
        Of the columns, None where there is none; of an array all the same.
    flat : bool
        Whether they had the shape (n,).
    origin, scale : tuple of float
        Mean and standard deviation of each column of numbers.
    classes : tuple
        In order.
    """

    kind: Literal["numbers", "classes"]
    form: Literal["array", "quantity", "table", "pandas", "polars", "pyarrow"] = "array"
    names: tuple[str, ...] = ()
    units: tuple[str | None, ...] = ()
    flat: bool = True
    origin: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    classes: tuple[str | bool | int | float, ...] = ()

    @property
    def n(self) -> int:
        """Number of columns of the head's answer: targets or classes."""
        return len(self.classes) if self.kind == "classes" else len(self.origin)

    @property
    def n_columns(self) -> int:
        """Number of columns of the labels."""
        return 1 if self.kind == "classes" else len(self.origin)

    def goes_on(self, other: Targets) -> bool:
        """Return whether the head of these serves others too: the same numbers, or no class that is new."""
        same = (self.kind, self.names, self.units) == (other.kind, other.names, other.units)
        return same and len(self.origin) == len(other.origin) and set(other.classes) <= set(self.classes)

    def standardised(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Return numbers (n, t), or the places of classes (n, 1), as a head is taught them; NaN where unknown."""
        if self.kind == "numbers":
            standard: NDArray[np.float32] = ((values - self.origin) / self.scale).astype(np.float32)
            return standard
        place = {name: float(i) for i, name in enumerate(self.classes)}
        return np.array([[np.nan if x is None else place[x]] for x in values[:, 0]], np.float32)

    def unscaled(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Return standardised numbers (n, t, ...) in their own scale."""
        shape = (-1, *[1] * (values.ndim - 2))
        scaled: NDArray[np.float64] = values * np.reshape(self.scale, shape) + np.reshape(self.origin, shape)
        return scaled

    def head(self, size: int, seed: int, state: dict[str, NDArray[Any]] | None = None) -> Head:
        """Return what predicts them from so many numbers: freshly initialised, or of a state."""
        with seeded(seed):
            head = HEADS[self.kind](size, self.n)
        if state is not None:
            head.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()})
        return head

    def expected_state(self, size: int) -> dict[str, Tensor]:
        """Return tensors on the meta device like those of the state of a head."""
        with torch.device("meta"):
            return HEADS[self.kind](size, self.n).state_dict()

    def check(self) -> None:
        """Raise ValueError if this is no description of labels."""
        if self.kind == "classes":
            right = len(set(self.classes)) == len(self.classes) > 1 and not self.origin
        else:
            n = len(self.origin)
            right = n > 0 and len(self.scale) == n and min(self.scale) > 0 and not self.classes
        if not right or len(self.names) not in (0, self.n_columns) or len(self.units) not in (0, self.n_columns):
            raise ValueError(f"{self} are no targets")
