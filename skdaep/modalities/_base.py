"""The contract of a modality."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..nn.batch import OBJECTS, POINTS, Batch, Ragged
from ..tables import Columns
from ._inlet import Inlet
from ._record import Geometry, Record, Separations, storable


class Tokenizer(Protocol):
    """The methods that a modality's tokenizer (an `nn.Module`) must have; W is model_dim."""

    def queries(self, batch: Batch) -> Tensor:
        """Return tokens (B, L, W) of locations without values."""

    def add_values(self, queries: Tensor, value: Tensor) -> Tensor:
        """Return tokens of points (B, L, W) from their queries and values (B, L)."""

    def context(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return metadata as tokens (B, M, W) and whether each is present (B, M)."""


class Modality(abc.ABC):
    """How one kind of measurement is declared, read, batched, tokenised and written back.

    A modality is a frozen dataclass: a declaration that scikit-learn can clone, compare and print. `learn` returns a
    completed copy and never changes the declaration. Model files refer to subclasses by name. If `learn` stores a
    dataclass in the copy, decorate that class with `storable`.
    """

    #: what kind of space points lie in
    geometry: ClassVar[Geometry]
    #: whether the rows of a 2-D array are accepted as objects
    takes_rows = False
    #: whether objects are Tables, which may come as `FlatTables`
    takes_tables = False
    #: whether all decoded objects have the same shape and are returned as one array
    stacks = False
    #: whether locations are times, along which a signal may repeat; False for phases
    is_over_time = False
    #: column of the second location axis, if there is one; displays draw a curve for each of its values
    second_axis: str | None = None

    @property
    def dtype(self) -> type:
        """Type of the arrays in which values are returned if X is an array."""
        return np.float32

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        storable(cls)

    @abc.abstractmethod
    def objects(self, X, name: str) -> Iterator:
        """Yield the objects of X, or raise an error if one is not an object; `name` is the name of X in errors."""

    @abc.abstractmethod
    def one(self, obj, object_name: str) -> Any:
        """Return one object in the form that `objects` yields."""

    def is_one(self, X) -> bool:
        """Return whether X is a single object rather than a collection of them."""
        return False

    @abc.abstractmethod
    def learn(self, objects: list, object_names: list[str] | None = None) -> Modality:
        """Return a copy that has learned columns, units, bands, scaling and the default grid from `objects`.

        `object_names` are their names in errors; None means ``X[i]``.
        """

    def check_errors(self, objects: list, object_names: list[str]) -> None:  # noqa: B027
        """Raise an error if only some objects have errors; called if the fit weights points by their errors."""

    @property
    def columns(self) -> Columns | None:
        """The columns of fit by role; None if objects are not Tables."""
        return None

    @abc.abstractmethod
    def n_points(self, obj) -> int:
        """Return the number of points of an object, observed or not."""

    @abc.abstractmethod
    def read(self, obj, object_name: str, values: bool = True) -> Record:
        """Return one object as a `Record`; `object_name` is its name in errors.

        ``values=False`` reads only what a decoder needs: locations, bands and metadata.
        """

    def read_all(self, objects: Sequence, object_names: Sequence[str], values: bool = True) -> list[Record]:
        """Return the record of each object, as from `read`."""
        return [self.read(obj, place, values) for obj, place in zip(objects, object_names, strict=True)]

    def collate(self, records: list[Record], queries: bool = False) -> Ragged:
        """Join records end to end: observed points only, or every location with ``queries=True``."""
        points = {k: np.concatenate([getattr(r, k) for r in records]) for k in POINTS}
        lengths = np.array([len(r) for r in records])
        if queries:
            points["value"] = np.nan_to_num(points["value"])
        else:
            observed = np.concatenate([r.observed for r in records])
            points = {k: v[observed] for k, v in points.items()}
            lengths = np.bincount(np.repeat(np.arange(len(records)), lengths)[observed], minlength=len(records))
        points["band"] = points["band"].astype(np.uint8 if self.n_bands <= 256 else np.int64)
        return Ragged(
            {k: torch.from_numpy(v) for k, v in points.items()},
            {k: torch.from_numpy(np.array([getattr(r, k) for r in records])) for k in OBJECTS},
            torch.from_numpy(lengths),
        )

    def absent(self) -> Record:
        """Return the record of an object without this modality: no points, no metadata."""
        record = self.read(self.grid(), "the learned grid", values=False)
        return Record(
            **{k: getattr(record, k)[:0] for k in (*POINTS, "observed")},
            numbers=np.full_like(record.numbers, np.nan),
            labels=np.full_like(record.labels, -1),
        )

    def augment(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Return a batch of training objects with random changes that preserve what they are, such as mirroring."""
        return batch

    @abc.abstractmethod
    def unscale(self, values: NDArray[Any], record: Record) -> NDArray[Any]:
        """Return decoded values in the units of fit, in the order of the object's rows, NaN where none was decoded."""

    @abc.abstractmethod
    def write(self, values: NDArray[Any], template: Any) -> Any:
        """Return unscaled values as an object of the type of `template`, with its locations and metadata."""

    @abc.abstractmethod
    def values_at(self, record: Record, target: Record) -> NDArray[Any]:
        """Return the scaled values of a record at the locations of another record, NaN where unknown."""

    @abc.abstractmethod
    def typical_metadata(self, record: Record) -> Record:
        """Return a record in which the training median or the most common label replaces absent metadata."""

    @abc.abstractmethod
    def grid(self) -> Any:
        """Return the object, without values, whose locations `inverse_transform` uses by default."""

    @property
    def n_bands(self) -> int:
        """Number of bands seen in fit; 1 if there are none."""
        return self.separations().n_bands if self.geometry.separations else 1

    @property
    def n_numbers(self) -> int:
        """Number of the numerical metadata."""
        return 0

    @property
    def n_labels(self) -> tuple[int, ...]:
        """For each metadata label, the number of its values seen in fit."""
        return ()

    def typical_error(self) -> float | None:
        """Return the median measurement error in scaled values; None if there are none."""
        return None

    def separations(self) -> Separations:
        """Return the separations of scaled locations; only called if the geometry has separations."""
        raise NotImplementedError(f"{type(self).__name__}: points of a {self.geometry.name} have no separations.")

    def inlet(self) -> Inlet:
        """Return a module that turns arrays of measurements into a batch, for exported encoders.

        Raises
        ------
        NotImplementedError
            If the modality has no such module.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot be exported: it has no inlet() that reads as it does.")

    @abc.abstractmethod
    def tokenizer(self, model_dim: int) -> Any:
        """Return a new, randomly initialised module with the methods of ``Tokenizer``."""

    @abc.abstractmethod
    def head(self, model_dim: int) -> Any:
        """Return a new module that turns output tokens (B, L, W) into values (B, L)."""
