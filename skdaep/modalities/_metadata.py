"""Metadata of objects: learn in fit which keys are numbers and which are labels, and read those of an object."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np
from astropy.table import Table

from .. import tables
from ..exceptions import TableError
from ._learned import EXTREME, Learned, Scaling, spoiler
from ._spread import check_spread


class Metadata(NamedTuple):
    """What `learn_metadata` found; the fields are those of `Learned`."""

    numbers: dict[str, Scaling]
    labels: dict[str, tuple[str, ...]]
    typical: dict[str, Any]
    number_units: dict[str, str | None]


def learn_metadata(objects: list[Table], object_names: list[str], keys: tuple[str, ...]) -> Metadata:
    """Learn a scaling or the labels seen of each key; the unit is that of the first object that has the key."""
    numbers, labels, typical, units = learned = Metadata({}, {}, {}, {})
    for key in keys:
        values = tables.values_of_metadata(objects, object_names, key)
        if all(isinstance(v, float) for v in values.values()):
            having = np.array(list(values))
            units[key] = tables.unit_of_metadata(objects[having[0]], key)
            own = tables.numbers_of_metadata(objects, object_names, key, units[key], object_names[having[0]])[having]
            check_spread(own, f"metadata {key!r}")
            if (i := spoiler(own, having)) is not None:
                raise TableError(f"{object_names[having[i]]} metadata {key!r} is {own[i]:g}, {EXTREME}.")
            tables.warn_of_sentinels(own, having, f"Metadata {key!r}", object_names)
            numbers[key], typical[key] = Scaling.of(own), float(np.median(own))
        else:
            counts = Counter(values.values())
            _check_labels(counts, key)
            labels[key] = tuple(sorted(counts, key=lambda label: (-counts[label], label)))
            typical[key] = labels[key][0]
    return learned


def _check_labels(counts: Counter, key: str) -> None:
    """Refuse labels that differ for most objects, because the decoder would learn the objects by heart."""
    alone, n = sum(count == 1 for count in counts.values()), sum(counts.values())
    if n >= 4 and alone > n / 2:
        raise TableError(
            f"metadata {key!r} has a different label for nearly every object, {len(counts)} labels for {n} objects "
            f"({tables.listed(counts)}). Such names say nothing about other objects. Remove the key from the "
            f"declaration, or use numbers, or labels that many objects share."
        )


def read_metadata(
    objects: list, object_names: list[str], learned: Learned, unknown: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return scaled numbers (n_objects, M), NaN if absent, and indices of labels (n_objects, C), -1 if absent."""
    numbers = np.full((len(objects), len(learned.numbers)), np.nan, np.float32)
    labels = np.full((len(objects), len(learned.labels)), -1, np.int64)
    for j, (key, scaling) in enumerate(learned.numbers.items()):
        values = tables.numbers_of_metadata(objects, object_names, key, learned.number_units.get(key))
        for i in np.flatnonzero(scaling.extreme(values)):
            raise TableError(f"{object_names[i]} metadata {key!r} is {values[i]:g}, {EXTREME}.")
        numbers[:, j] = scaling.forward(values)
    for j, (key, seen) in enumerate(learned.labels.items()):
        index = {None: -1} | {label: i for i, label in enumerate(seen)}
        values = tables.metadata_of(objects, object_names, key)
        for place, value in zip(object_names, values, strict=True) if unknown == "error" else ():
            if value not in index:
                raise TableError(
                    f"{place} metadata {key!r} is {value!r}, not seen in fit ({tables.listed(seen)}). "
                    f"Remove it from meta, or set Sequence(unknown='ignore')."
                )
        labels[:, j] = [index.get(value, -1) for value in values]
    return numbers, labels


def typical_meta(learned: Learned) -> dict[str, Any]:
    """Return the median or the most common label of each key, as written into a table's meta."""
    units = {key: unit for key, unit in learned.number_units.items() if unit is not None}
    return {k: v * tables.unit_named(units[k]) if k in units else v for k, v in learned.typical.items()}
