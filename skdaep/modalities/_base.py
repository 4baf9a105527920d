"""The contract of a modality."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import torch

from ..nn.batch import OBJECTS, POINTS, Batch, Ragged


class Tokenizer(Protocol):
    """What a modality's tokenizer (an `nn.Module`) can do; W is model_dim."""

    def queries(self, batch: Batch):
        """Locations without values, (B, L, W)."""

    def add_values(self, queries, value):
        """Tokens of points (B, L, W) from their queries and values (B, L)."""

    def context(self, batch: Batch):
        """Metadata as tokens (B, M, W) and whether each is present (B, M)."""


class Modality(abc.ABC):
    """How one kind of measurement is declared, read, batched, tokenised and written back.

    A modality is a frozen dataclass: a declaration that scikit-learn can clone, compare and print. `learn` returns
    a completed copy and never changes the declaration.
    """

    #: whether rows of a 2-D array are objects too
    takes_rows = False
    #: whether decoded objects have one shape, so that many are given as one array
    stacks = False

    @abc.abstractmethod
    def objects(self, X, name: str) -> Iterator:
        """Yield the objects of what a user gave, refusing what cannot be one; `name` names it in errors."""

    @abc.abstractmethod
    def one(self, obj, where: str) -> Any:
        """Return one object as `objects` has it."""

    def is_one(self, X) -> bool:
        """Return whether X is a single object rather than a collection of them."""
        return False

    @abc.abstractmethod
    def learn(self, objects: list, where: list[str] | None = None) -> Modality:
        """Return a copy completed with what `objects` show: columns, units, bands, scaling, default grid.

        `where` names them in errors, as ``X[i]`` if it is None.
        """

    def check_errors(self, objects: list, where: list[str]) -> None:  # noqa: B027
        """Refuse an object without the measurement errors that others have, for a fit that weighs by them."""

    @abc.abstractmethod
    def n_points(self, obj) -> int:
        """Return how many points an object holds, observed or not."""

    @abc.abstractmethod
    def read(self, obj, where: str, values: bool = True) -> dict[str, Any]:
        """Return one object as a record of scaled arrays; `where` names it in errors.

        With ``values=False`` only what a decoder needs is read: locations, bands and metadata.
        """

    def read_all(self, objects: list, where: list[str], values: bool = True) -> list[dict[str, Any]]:
        """Return what `read` does of each object."""
        return [self.read(obj, place, values) for obj, place in zip(objects, where, strict=True)]

    def collate(self, records: list[dict[str, Any]], queries: bool = False) -> Ragged:
        """Join records end to end; only observed points, or with ``queries=True`` every location, measured or not."""
        points = {k: np.concatenate([r[k] for r in records]) for k in (*POINTS, "seen")}
        lengths, seen = np.array([len(r["seen"]) for r in records]), points.pop("seen")
        if queries:
            points["value"] = np.nan_to_num(points["value"])
        else:
            points = {k: v[seen] for k, v in points.items()}
            lengths = np.bincount(np.repeat(np.arange(len(records)), lengths)[seen], minlength=len(records))
        return Ragged(
            {k: torch.from_numpy(v) for k, v in points.items()},
            {k: torch.from_numpy(np.array([r[k] for r in records])) for k in OBJECTS},
            torch.from_numpy(lengths),
        )

    def absent(self) -> dict[str, Any]:
        """Return the record of an object that lacks this modality: no points, no metadata."""
        record = self.read(self.grid(), "the learned grid", values=False)
        points = {k: record[k][:0] for k in (*POINTS, "seen")}
        return points | {
            "numbers": np.full_like(record["numbers"], np.nan),
            "labels": np.full_like(record["labels"], -1),
        }

    def augment(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Return a batch of training objects changed at random in ways that leave them what they are."""
        return batch

    @abc.abstractmethod
    def unscale(self, values, record: dict[str, Any]):
        """Return decoded values in the units of fit and the order of the object's rows, NaN where none was made."""

    @abc.abstractmethod
    def write(self, values, like) -> Any:
        """Return unscaled values as an object of the kind of `like`, with its locations and metadata."""

    @abc.abstractmethod
    def values_at(self, record: dict[str, Any], target: dict[str, Any]):
        """Return a record's scaled values at the locations of another record, NaN where they cannot be had."""

    @abc.abstractmethod
    def typical_metadata(self, record: dict[str, Any]) -> dict[str, Any]:
        """Return a record whose absent metadata are replaced by the training median or commonest label."""

    @abc.abstractmethod
    def grid(self) -> Any:
        """Return the object without values on which `inverse_transform` decodes by default."""

    def typical_error(self) -> float | None:
        """Return the median measurement error in scaled values; None if there are none."""
        return None

    def separations(self) -> tuple[float, float, int] | None:
        """Return finest and longest separation of scaled locations and the number of bands; None if not on a line."""
        return None

    @abc.abstractmethod
    def tokenizer(self, model_dim: int) -> Any:
        """Return a new, randomly initialised `Tokenizer`."""

    @abc.abstractmethod
    def head(self, model_dim: int) -> Any:
        """Return a new module from output tokens (B, L, W) to values (B, L)."""
