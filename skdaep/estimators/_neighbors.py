"""The objects of fit kept to be returned: as flat arrays, and in the order in which they answer a question."""

from __future__ import annotations

import numpy as np

from ..modalities import Modality
from ..nn.batch import OBJECTS, POINTS

#: so many training objects with the nearest metadata are compared, if fewer are near
N_CANDIDATES = 10


def pack(records: list[dict]) -> dict[str, np.ndarray]:
    """Return objects' records by modality as arrays end to end, each under ``field.modality``."""
    packed = {}
    for name in sorted({name for record in records for name in record}):
        owner = [i for i, record in enumerate(records) if name in record]
        own = [records[i][name] for i in owner]
        packed[f"owner.{name}"] = np.array(owner)
        packed[f"length.{name}"] = np.array([len(r["seen"]) for r in own])
        packed |= {f"{k}.{name}": np.concatenate([r[k] for r in own]) for k in (*POINTS, "seen")}
        packed |= {f"{k}.{name}": np.stack([r[k] for r in own]) for k in OBJECTS}
    return packed


def unpack(packed: dict[str, np.ndarray]) -> list[dict]:
    """Return the records that were packed; rows of the user's table are no longer known."""
    names = [key.removeprefix("owner.") for key in packed if key.startswith("owner.")]
    records: list[dict] = [{} for _ in range(1 + max(packed[f"owner.{name}"].max() for name in names))]
    for name in names:
        ends = packed[f"length.{name}"].cumsum()[:-1]
        fields = {k: np.split(packed[f"{k}.{name}"], ends) for k in (*POINTS, "seen")}
        fields |= {k: packed[f"{k}.{name}"] for k in OBJECTS}
        for row, i in enumerate(packed[f"owner.{name}"]):
            records[i][name] = {k: v[row] for k, v in fields.items()}
    return records


def metadata_of(records: list[dict]) -> tuple[np.ndarray, ...]:
    """Return numbers (n_records, n_numbers) and labels (n_records, n_labels)."""
    return tuple(np.stack([record[k] for record in records]) for k in OBJECTS)


def ranking(
    distance: np.ndarray, metadata: tuple[np.ndarray, ...], target: dict, tolerance: float
) -> tuple[np.ndarray, int]:
    """Return the order in which stored records answer for a target, and how many of them may.

    First those whose `metadata` are near the target's, by distance (n_own,), then the others by their metadata. A
    number that the target lacks does not count; one that a stored record lacks is infinitely far. Those with another
    label come last and may not answer, unless all have.
    """
    numbers, labels = metadata
    other = ((labels != target["labels"]) & (target["labels"] >= 0)).any(1)
    other &= not other.all()
    apart = np.nan_to_num(np.abs(numbers - target["numbers"]), nan=np.inf)
    apart = np.where(np.isnan(target["numbers"]), 0, apart).max(1, initial=0)
    near = ~other & (apart <= max(tolerance, np.sort(apart[~other])[:N_CANDIDATES][-1]))
    # Rounded, so that those as near as one another stay in the order of fit, whatever the last bits say.
    order = np.lexsort((distance.round(6), np.where(near, 0, apart), ~near, other))
    return order, int((~other).sum())


def answer(modality: Modality, own: list[dict], order: np.ndarray, first: int, target: dict) -> np.ndarray:
    """Return scaled values at the target's locations of the stored record ranked `first`.

    What it cannot say, in a band that it lacks or a patch not observed, the next one that can does.
    """
    values = modality.values_at(own[order[first]], target)
    for j in (*order[first + 1 :], *order[:first]):
        unknown = np.isnan(values)
        if not unknown.any():
            break
        values = np.where(unknown, modality.values_at(own[j], target), values)
    return values
