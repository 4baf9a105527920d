"""A model that stores the training objects in flat arrays, and returns the nearest of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..modalities import Modality, Record
from ..nn.batch import OBJECTS, POINTS
from .model import Model, Records

#: fewest training objects to compare; if too few have similar metadata, the nearest ones are taken
N_CANDIDATES = 10
#: number of objects whose distances to all training objects are in memory together
N_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class NeighborModel(Model):
    """A model without a decoder, which returns the measurements of the training objects nearest to a code.

    Parameters
    ----------
    table : dict of ndarray
        The training objects, as returned by `flatten_records`.
    metadata_tolerance : float
        See `ranking`.
    """

    table: dict[str, NDArray[Any]] = field(default_factory=dict, repr=False)
    metadata_tolerance: float = 0.25

    settings = (*Model.settings, "metadata_tolerance")

    def remembering(self, records: Records) -> Self:
        """Return a model that stores these objects."""
        return replace(self, table=flatten_records(records))

    def check_own(self) -> None:
        """Raise ValueError or KeyError if the table does not hold objects of the modalities."""
        check_table(self.table, self.modalities)

    def reduced(self) -> Self:
        """Return a model with few objects: the first one of each modality, and those with extreme labels."""
        records = unflatten_records(self.table)
        own = {k.partition(".")[2]: v for k, v in self.table.items() if k.startswith("owner.")}
        extreme = [own[k][self.table[f"labels.{k}"].argmax(0)] for k in own]
        few = {*np.concatenate(extreme), *(v[0] for v in own.values())}
        return self._sharing(table=flatten_records([records[i] for i in few]))

    def _remembered(self) -> tuple[list[dict[str, Record]], NDArray[Any]]:
        """Return the training objects and their codes."""
        if "_memory" not in vars(self):
            records = unflatten_records(self.table)
            vars(self)["_memory"] = records, on_the_sphere(self.encode(records).mean)
        memory: tuple[list[dict[str, Record]], NDArray[Any]] = vars(self)["_memory"]
        return memory

    def decode(
        self,
        name: str,
        Z: NDArray[Any],
        places: Sequence[Record],
        keys: Sequence[int] | None = None,
        n_draws: int | None = None,
        context: float = 0.0,
        measured: bool = True,
        own_codes: bool = False,
    ) -> list[NDArray[Any]]:
        """Return scaled values of the training object nearest to each row of Z, or of the n_draws nearest, in order."""
        remembered, directions = self._remembered()
        having = [i for i, record in enumerate(remembered) if name in record]
        own, modality, values = [remembered[i][name] for i in having], self.modalities[name], []
        metadata = metadata_arrays(own)
        for start in range(0, len(Z), N_AT_ONCE):
            rows = slice(start, start + N_AT_ONCE)
            targets = [places[0]] * len(Z[rows]) if len(places) == 1 else places[rows]
            for distance, target in zip(distances(on_the_sphere(Z[rows]), directions[having]), targets, strict=True):
                order, n = ranking(distance, metadata, target, self.metadata_tolerance)
                if (n_draws or 1) > n:
                    raise ValueError(
                        f"n_draws={n_draws}: only {n} training objects have a {name!r} with the requested labels."
                    )
                draws = [answer(modality, own, order, first, target) for first in range(n_draws or 1)]
                values.append(np.stack(draws, -1) if n_draws else draws[0])
        return values


def on_the_sphere(Z: NDArray[Any]) -> NDArray[Any]:
    """Return codes scaled to unit length, in float64. Zeros stay zero."""
    Z = np.reshape(Z, (len(Z), -1)).astype(np.float64)
    length = np.linalg.norm(Z, axis=1, keepdims=True)
    return Z / np.where(length == 0, 1.0, length)


def distances(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Return distances (n, m) between unit vectors, which have the order of their cosines."""
    return np.sqrt((2.0 - 2.0 * (a @ b.T)).clip(min=0.0))


def flatten_records(records: Records) -> dict[str, NDArray[Any]]:
    """Return the records of objects as concatenated arrays, with keys ``field.modality``."""
    packed = {}
    for name in sorted({name for record in records for name in record}):
        owner = [i for i, record in enumerate(records) if name in record]
        own = [records[i][name] for i in owner]
        packed[f"owner.{name}"] = np.array(owner)
        packed[f"length.{name}"] = np.array([len(r) for r in own])
        packed |= {f"{k}.{name}": np.concatenate([getattr(r, k) for r in own]) for k in (*POINTS, "observed")}
        packed |= {f"{k}.{name}": np.stack([getattr(r, k) for r in own]) for k in OBJECTS}
    return packed


def unflatten_records(packed: dict[str, NDArray[Any]]) -> list[dict[str, Record]]:
    """Return the records again, without the rows of the user's tables."""
    names = [key.removeprefix("owner.") for key in packed if key.startswith("owner.")]
    records: list[dict[str, Record]] = [{} for _ in range(1 + max(int(packed[f"owner.{k}"].max()) for k in names))]
    for name in names:
        points = {k: packed[f"{k}.{name}"] for k in (*POINTS, "observed")}
        objects = {k: packed[f"{k}.{name}"] for k in OBJECTS}
        cut = Record.cut(points, packed[f"length.{name}"], objects)
        for i, record in zip(packed[f"owner.{name}"], cut, strict=True):
            records[i][name] = record
    return records


def check_table(table: dict[str, NDArray[Any]], modalities: dict[str, Modality]) -> None:
    """Raise ValueError or KeyError if a table cannot be the result of `flatten_records`."""
    fields = ("owner", "length", *POINTS, "observed", *OBJECTS)
    names = [key.removeprefix("owner.") for key in table if key.startswith("owner.")]
    if table.keys() != {f"{field}.{name}" for field in fields for name in names} or not names:
        raise ValueError("the table of objects of fit lacks columns, or has unknown ones")
    owners = [table[f"owner.{name}"] for name in names]
    if not np.array_equal(np.unique(np.concatenate(owners)), np.arange(1 + max(int(o.max()) for o in owners))):
        raise ValueError("the table of objects of fit leaves out some")
    for name in names:
        _check_columns({k: table[f"{k}.{name}"] for k in fields}, modalities[name], name)


def _check_columns(column: dict[str, NDArray[Any]], modality: Modality, name: str) -> None:
    template, lengths, owner = modality.absent(), column["length"], column["owner"]
    n_bands = modality.separations().n_bands if modality.geometry.separations else 1
    n_points = int(lengths.sum())
    own = [(k, n_points, getattr(template, k).shape[1:]) for k in (*POINTS, "observed")]
    own += [(k, len(owner), getattr(template, k).shape) for k in OBJECTS]
    right = (
        all(column[k].shape == (n, *rest) and column[k].dtype == getattr(template, k).dtype for k, n, rest in own)
        and owner.shape == lengths.shape
        and {owner.dtype.kind, lengths.dtype.kind} == {"i"}
        and (np.diff(owner) > 0).all()
        and (lengths > 0).all()
        and ((column["band"] >= 0) & (column["band"] < n_bands)).all()
        and np.isfinite(column["location"]).all()
        and np.isfinite(column["value"][column["observed"]]).all()
    )
    if not right:
        raise ValueError(f"the table of objects of fit is no table of {name!r}")


def metadata_arrays(records: Sequence[Record]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return numbers (n_records, n_numbers) and labels (n_records, n_labels)."""
    return np.stack([r.numbers for r in records]), np.stack([r.labels for r in records])


def ranking(
    distance: NDArray[Any], metadata: tuple[NDArray[Any], NDArray[Any]], target: Record, tolerance: float
) -> tuple[NDArray[Any], int]:
    """Return the order in which stored records are used for a target, and how many of them may be.

    Records with metadata close to the target's come first, by distance (n_own,), then the others by their metadata. A
    number that the target lacks does not count; one that a stored record lacks is infinitely far away. Records with
    another label come last and are not used, unless all records have another label.
    """
    numbers, labels = metadata
    other = ((labels != target.labels) & (target.labels >= 0)).any(1)
    other &= not other.all()
    apart = np.nan_to_num(np.abs(numbers - target.numbers), nan=np.inf)
    apart = np.where(np.isnan(target.numbers), 0, apart).max(1, initial=0)
    near = ~other & (apart <= max(tolerance, np.sort(apart[~other])[:N_CANDIDATES][-1]))
    # Rounded, so that equally distant objects stay in the order of fit in spite of rounding errors.
    order = np.lexsort((distance.round(6), np.where(near, 0, apart), ~near, other))
    return order, int((~other).sum())


def answer(modality: Modality, own: Sequence[Record], order: NDArray[Any], first: int, target: Record) -> NDArray[Any]:
    """Return the scaled values of the stored record with rank `first` at the target's locations.

    If it lacks a band or a patch, the next record that has it is used there.
    """
    values = modality.values_at(own[order[first]], target)
    for j in (*order[first + 1 :], *order[:first]):
        unknown = np.isnan(values)
        if not unknown.any():
            break
        values = np.where(unknown, modality.values_at(own[j], target), values)
    return values
