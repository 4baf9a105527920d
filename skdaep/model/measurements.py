"""Measurements of many objects, one flat `Ragged` per modality, from which training takes its batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..modalities import Record
from ..nn.batch import Ragged

Measurements = dict[str, Ragged]


def joined(parts: Iterable[Measurements], n_points: Mapping[str, int], n_objects: int) -> Measurements:
    """Join measurements that arrive in parts; `n_points` is an upper limit to the number of points.

    Memory for all of them is allocated once, so that at most one part needs additional memory.
    """
    filled: dict[str, Filling] = {}
    for part in parts:
        for name, ragged in part.items():
            if name not in filled:
                filled[name] = Filling(ragged, n_points[name], n_objects)
            filled[name].add(ragged)
    return {name: filling.ragged() for name, filling in filled.items()}


class Filling:
    """Arrays of fixed size that are filled part by part."""

    def __init__(self, first: Ragged, n_points: int, n_objects: int):
        self.points = {k: np.empty((n_points, *v.shape[1:]), v.numpy().dtype) for k, v in first.points.items()}
        self.objects = {k: np.empty((n_objects, *v.shape[1:]), v.numpy().dtype) for k, v in first.objects.items()}
        self.lengths = np.empty(n_objects, np.int64)
        self.n_points = self.n_objects = 0

    def add(self, ragged: Ragged) -> None:
        """Add objects."""
        n_points, n_objects = int(ragged.lengths.sum()), len(ragged)
        for k, points in ragged.points.items():
            self.points[k][self.n_points : self.n_points + n_points] = points.numpy()
        for k, objects in (ragged.objects | {"lengths": ragged.lengths}).items():
            own = self.lengths if k == "lengths" else self.objects[k]
            own[self.n_objects : self.n_objects + n_objects] = objects.numpy()
        self.n_points, self.n_objects = self.n_points + n_points, self.n_objects + n_objects

    def ragged(self) -> Ragged:
        """Return the measurements that were added."""
        points = {k: torch.from_numpy(v[: self.n_points]) for k, v in self.points.items()}
        objects = {k: torch.from_numpy(v[: self.n_objects]) for k, v in self.objects.items()}
        return Ragged(points, objects, torch.from_numpy(self.lengths[: self.n_objects]))


def has(measurements: Measurements) -> dict[str, NDArray[Any]]:
    """Return, for each modality, which objects have a point in it."""
    return {name: ragged.lengths.cpu().numpy() > 0 for name, ragged in measurements.items()}


def records_of(measurements: Measurements, index: Iterable[int]) -> list[dict[str, Record]]:
    """Return the observed points of some objects as records, without the rows of the user's objects."""
    records: list[dict[str, Record]] = [{} for _ in index]
    for name, ragged in measurements.items():
        points, objects = ({k: v.numpy() for k, v in part.items()} for part in (ragged.points, ragged.objects))
        for record, i in zip(records, index, strict=True):
            start, n = int(ragged.offsets[i]), int(ragged.lengths[i])
            if not n:
                continue
            own: dict[str, Any] = {k: v[start : start + n] for k, v in points.items()}
            own["band"] = own["band"].astype(np.int64)
            whole = {k: v[i] for k, v in objects.items()}
            record[name] = Record(**own, **whole, observed=np.ones(n, bool))
    return records


def arrays_by_field(measurements: Measurements) -> dict[str, NDArray[Any]]:
    """Return all arrays, with keys ``modality/field``."""
    found: dict[str, NDArray[Any]] = {}
    for name, ragged in measurements.items():
        own = ragged.points | ragged.objects | {"lengths": ragged.lengths}
        found |= {f"{name}/{k}": v.cpu().numpy() for k, v in own.items()}
    return found


class Subset(Mapping[str, Ragged]):
    """The measurements of the objects in `index`, extracted on demand."""

    def __init__(self, measurements: Measurements, index: NDArray[Any]):
        self.measurements, self.index = measurements, index

    def __getitem__(self, name: str) -> Ragged:
        ragged = self.measurements[name]
        return ragged.select(torch.from_numpy(self.index).to(ragged.lengths.device))

    def __iter__(self) -> Iterator[str]:
        return iter(self.measurements)

    def __len__(self) -> int:
        return len(self.measurements)
