"""Batches of objects of similar length with a budget of tokens, and portions of consecutive objects."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

#: a batch ends when this share of it is padding, if it fills at least this share of the budget
MAX_PADDING, LEAST_FILLED = 0.1, 0.25
#: relative random change of lengths before sorting, so that batches differ from epoch to epoch
JITTER = 0.05


def token_batches(lengths: np.ndarray, budget: float, rng: np.random.Generator | None) -> Iterator[np.ndarray]:
    """Yield arrays of object indices, with every object once.

    A batch holds objects of similar lengths, as many as fit the budget of tokens including padding, but at least one.
    It is cut earlier, from a quarter of the budget on, if padding would exceed 10 %. The budgets of an epoch are evened
    out, so that the last batch is not much smaller.

    Parameters
    ----------
    lengths : ndarray of int, shape (n_objects,)
        Number of points of each object.
    budget : float
        Largest ``len(batch) * longest`` of a batch.
    rng : numpy.random.Generator or None
        Shuffles objects of similar length and the batches; None keeps the order of increasing length.
    """
    roughly = lengths if rng is None else lengths * rng.uniform(1 - JITTER, 1 + JITTER, len(lengths))
    order = np.argsort(roughly, kind="stable")  # by changed lengths
    total = lengths.sum()
    budget = min(budget, total / np.ceil(total / budget) + lengths.max())
    batches, start, filled, longest = [], 0, 0, 0
    for place, length in enumerate(lengths[order].tolist()):
        count, longest = place - start + 1, max(longest, length)
        padded = filled + length < (1 - MAX_PADDING) * longest * count
        if count > 1 and (longest * count > budget or (padded and longest * (count - 1) > LEAST_FILLED * budget)):
            batches.append(order[start:place])
            start, filled, longest = place, 0, length
        filled += length
    batches.append(order[start:])
    if rng is not None:
        batches = [batches[i] for i in rng.permutation(len(batches))]
    yield from batches


def portions(lengths: np.ndarray, n_points: float) -> Iterator[slice]:
    """Yield slices of consecutive objects, each with just enough objects to reach a number of points."""
    total, start = np.cumsum(lengths), 0
    while start < len(total):
        end = 1 + int(np.searchsorted(total, n_points + (total[start - 1] if start else 0)))
        yield slice(start, min(end, len(total)))
        start = end
