"""Random numbers of draws, which only depend on the seed, the number of the draw and the content of the object."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..diffusion.noise import apart
from ..modalities import Record

METADATA = ("numbers", "labels")
CONTENT = ("value", "location", "band", *METADATA)

#: seed and content key of an object, which determine its draws
Source = tuple[int, int]


def content_key(records: dict[str, Record], z: NDArray[Any] | None = None) -> int:
    """Return a number that identifies the content of an object, wherever it stands in X.

    `records` has its modalities by name, with points in canonical order. If `z` is given, the object is a code. Its
    draws are functions of location, so the key does not depend on where it is decoded. z is rounded to three decimals,
    because its last bits vary with the batch in which it was encoded.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(records):
        for field in CONTENT if z is None else METADATA:
            digest.update(np.ascontiguousarray(getattr(records[name], field)).tobytes())
    if z is not None:
        digest.update((np.round(z, 3) + 0.0).astype(np.float32).tobytes())  # + 0.0 turns -0.0 into 0.0
    return int.from_bytes(digest.digest(), "little")


def stream(source: Source, draw: int) -> np.random.Generator:
    """Return the source of random numbers for one draw of an object."""
    seed, key = source
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, draw, key))))


def posterior_draws(
    mean: NDArray[Any],
    scale: NDArray[Any],
    present: NDArray[Any],
    root: NDArray[Any] | None,
    sources: Sequence[Source],
    n_draws: int,
) -> NDArray[Any]:
    """Return draws (n_objects, n_draws, K, D) of equal mixtures of the normal experts that are present (n_objects, M).

    Means and scales of the experts are (n_objects, M, K, D), roots of their covariances (n_objects, M, K D, K D).
    """
    shape = mean.shape[2:]
    noise = [[stream(s, draw).standard_normal(shape, dtype=np.float32) for draw in range(n_draws)] for s in sources]
    row, expert = np.arange(len(mean))[:, None], random_experts(present, sources, n_draws)
    if root is None:
        return mean[row, expert] + scale[row, expert] * np.array(noise)
    flat = np.array(noise).reshape(len(mean), n_draws, -1, 1)
    return mean[row, expert] + (root[row, expert] @ flat).reshape(len(mean), n_draws, *shape)


def random_experts(present: NDArray[Any], sources: Sequence[Source], n_draws: int) -> NDArray[Any]:
    """Return the index of one of the experts present (n_objects, M) for each object and draw (n_objects, n_draws)."""
    chosen = np.empty((len(present), n_draws), np.intp)
    for i, source in enumerate(sources):
        there = np.flatnonzero(present[i])
        for draw in range(n_draws):
            own = apart(stream(source, draw))  # independent of the numbers that the draw itself uses
            chosen[i, draw] = there[own.integers(len(there))]
    return chosen


def subsample_observed(record: Record, share: float, source: Source) -> Record:
    """Return a record with a random share of the observed points, at least one."""
    places = np.flatnonzero(record.observed)
    n = max(1, round(share * len(places)))
    observed = np.zeros_like(record.observed)
    observed[stream(source, 0).permutation(places)[:n]] = True
    return record.replace(observed=observed)
