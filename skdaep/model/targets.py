"""The labels that a head predicts: numbers, or classes."""

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

Head = Any  # a member of HEADS


@storable
@dataclass(frozen=True)
class Targets:
    """Description of the labels of fit.

    Parameters
    ----------
    kind : {"numbers", "classes"}
        Kind of labels.
    form : {"array", "quantity", "table", "pandas", "polars", "pyarrow"}
        Form of the labels, and of predictions.
    names : tuple of str
        Names of the columns; empty if they had none.
    units : tuple
        Unit of each column, None if it has none.
    flat : bool
        Whether the labels had the shape (n,).
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
        """Number of columns of the predictions: targets or classes."""
        return len(self.classes) if self.kind == "classes" else len(self.origin)

    @property
    def n_columns(self) -> int:
        """Number of columns of the labels."""
        return 1 if self.kind == "classes" else len(self.origin)

    def goes_on(self, other: Targets) -> bool:
        """Return whether the head of these targets also suits others: the same numbers, or no new class."""
        same = (self.kind, self.names, self.units) == (other.kind, other.names, other.units)
        return same and len(self.origin) == len(other.origin) and set(other.classes) <= set(self.classes)

    def standardised(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Return labels for training: standardised numbers (n, t), or indices of classes (n, 1), NaN where unknown."""
        if self.kind == "numbers":
            standard: NDArray[np.float32] = ((values - self.origin) / self.scale).astype(np.float32)
            return standard
        place = {name: float(i) for i, name in enumerate(self.classes)}
        return np.array([[np.nan if x is None else place[x]] for x in values[:, 0]], np.float32)

    def unscaled(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Return standardised numbers (n, t, ...) in their original scale."""
        shape = (-1, *[1] * (values.ndim - 2))
        scaled: NDArray[np.float64] = values * np.reshape(self.scale, shape) + np.reshape(self.origin, shape)
        return scaled

    def head(self, size: int, seed: int, state: dict[str, NDArray[Any]] | None = None) -> Head:
        """Return a head with the given number of inputs: newly initialised, or with a given state."""
        with seeded(seed):
            head = HEADS[self.kind](size, self.n)
        if state is not None:
            head.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()})
        return head

    def expected_state(self, size: int) -> dict[str, Tensor]:
        """Return tensors on the meta device with the shapes of the state of a head."""
        with torch.device("meta"):
            return HEADS[self.kind](size, self.n).state_dict()

    def check(self) -> None:
        """Raise ValueError if this is not a valid description of labels."""
        if self.kind == "classes":
            right = len(set(self.classes)) == len(self.classes) > 1 and not self.origin
        else:
            n = len(self.origin)
            right = n > 0 and len(self.scale) == n and min(self.scale) > 0 and not self.classes
        if not right or len(self.names) not in (0, self.n_columns) or len(self.units) not in (0, self.n_columns):
            raise ValueError(f"{self} are no targets")
