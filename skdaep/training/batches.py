"""Batches of objects of similar length under a budget of tokens."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

MAX_PADDING = 0.1


def token_batches(lengths: np.ndarray, budget: float, rng: np.random.Generator | None) -> Iterator[np.ndarray]:
    """Yield arrays of indices of objects; every object once.

    A batch holds objects of neighbouring lengths, as many as fit the budget of tokens, padding included (always
    at least one), and is cut earlier where padding would pass 10 %.

    Parameters
    ----------
    lengths : ndarray of int, shape (n_objects,)
        Points of each object.
    budget : float
        Largest ``len(batch) * longest`` of a batch.
    rng : numpy.random.Generator or None
        Shuffles objects of equal length and the batches; None keeps the order of increasing length.
    """
    order = np.arange(len(lengths)) if rng is None else rng.permutation(len(lengths))
    order = order[np.argsort(lengths[order], kind="stable")]
    batches, start, filled = [], 0, 0
    for place, longest in enumerate(lengths[order].tolist()):
        count = place - start + 1
        if count > 1 and (longest * count > budget or filled + longest < (1 - MAX_PADDING) * longest * count):
            batches.append(order[start:place])
            start, filled = place, 0
        filled += longest
    batches.append(order[start:])
    if rng is not None:
        batches = [batches[i] for i in rng.permutation(len(batches))]
    yield from batches
