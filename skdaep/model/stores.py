"""What was read of many objects, as one flat `Ragged` for each modality: training takes its batches from these."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..modalities import Record
from ..nn.batch import Ragged

Stores = dict[str, Ragged]


def joined(parts: Iterable[Stores], n_points: Mapping[str, int], n_objects: int) -> Stores:
    """Return the stores of all objects, given those of some at a time and how many points there are at most.

    Room for all is made once, so that no more than one part is held beside it.
    """
    filled: dict[str, Filling] = {}
    for part in parts:
        for name, store in part.items():
            if name not in filled:
                filled[name] = Filling(store, n_points[name], n_objects)
            filled[name].add(store)
    return {name: filling.store() for name, filling in filled.items()}


class Filling:
    """Arrays with room for so many points and objects, like those of a store, which are filled bit by bit."""

    def __init__(self, like: Ragged, n_points: int, n_objects: int):
        self.points = {k: np.empty((n_points, *v.shape[1:]), v.numpy().dtype) for k, v in like.points.items()}
        self.objects = {k: np.empty((n_objects, *v.shape[1:]), v.numpy().dtype) for k, v in like.objects.items()}
        self.lengths = np.empty(n_objects, np.int64)
        self.n_points = self.n_objects = 0

    def add(self, store: Ragged) -> None:
        """Add the objects of a store."""
        n_points, n_objects = int(store.lengths.sum()), len(store)
        for k, points in store.points.items():
            self.points[k][self.n_points : self.n_points + n_points] = points.numpy()
        for k, objects in (store.objects | {"lengths": store.lengths}).items():
            own = self.lengths if k == "lengths" else self.objects[k]
            own[self.n_objects : self.n_objects + n_objects] = objects.numpy()
        self.n_points, self.n_objects = self.n_points + n_points, self.n_objects + n_objects

    def store(self) -> Ragged:
        """Return what was added."""
        points = {k: torch.from_numpy(v[: self.n_points]) for k, v in self.points.items()}
        objects = {k: torch.from_numpy(v[: self.n_objects]) for k, v in self.objects.items()}
        return Ragged(points, objects, torch.from_numpy(self.lengths[: self.n_objects]))


def has(stores: Stores) -> dict[str, NDArray[Any]]:
    """Return by modality which objects have it: those with a point."""
    return {name: store.lengths.cpu().numpy() > 0 for name, store in stores.items()}


def records_of(stores: Stores, index: Iterable[int]) -> list[dict[str, Record]]:
    """Return the observed points of some objects as records; the rows of the user's objects are no longer known."""
    records: list[dict[str, Record]] = [{} for _ in index]
    for name, store in stores.items():
        points, objects = ({k: v.numpy() for k, v in part.items()} for part in (store.points, store.objects))
        for record, i in zip(records, index, strict=True):
            start, n = int(store.offsets[i]), int(store.lengths[i])
            if not n:
                continue
            own: dict[str, Any] = {k: v[start : start + n] for k, v in points.items()}
            own["band"] = own["band"].astype(np.int64)
            whole = {k: v[i] for k, v in objects.items()}
            record[name] = Record(**own, **whole, observed=np.ones(n, bool))
    return records


def arrays_of(stores: Stores) -> dict[str, NDArray[Any]]:
    """Return all arrays, each under ``modality/field``."""
    found: dict[str, NDArray[Any]] = {}
    for name, store in stores.items():
        own = store.points | store.objects | {"lengths": store.lengths}
        found |= {f"{name}/{k}": v.cpu().numpy() for k, v in own.items()}
    return found


class Part(Mapping[str, Ragged]):
    """The stores of some objects, cut out when they are asked for."""

    def __init__(self, stores: Stores, index: NDArray[Any]):
        self.stores, self.index = stores, index

    def __getitem__(self, name: str) -> Ragged:
        store = self.stores[name]
        return store.some(torch.from_numpy(self.index).to(store.lengths.device))

    def __iter__(self) -> Iterator[str]:
        return iter(self.stores)

    def __len__(self) -> int:
        return len(self.stores)
