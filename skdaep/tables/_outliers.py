"""Find numbers that are far from all others, keep them out of the scaling, and warn of them."""

from __future__ import annotations

import warnings

import numpy as np
from astropy.table import Table

from ..exceptions import OutOfRangeWarning

#: A number is wild if it lies FAR interquartile ranges outside the quartiles and beyond a gap, GAP times as wide as the
#: distance to the farthest number that is not wild; and if there are few of them (as a share of all numbers), or they
#: are equal, like sentinels. The condition of a gap protects the bright end of a distribution over many decades.
FAR, GAP = 10.0, 5.0
FEW, FEW_THAT_RECUR = 0.01, 0.5
#: largest number of values from which quartiles are computed
ENOUGH = 2**20
#: with this many distinct numbers, their quartiles are used instead of those of all numbers
MANY = 20
#: key in the meta of a column whose sentinels a step has already warned of
WARNED = "warned of sentinels"


def far(x: np.ndarray) -> np.ndarray:
    """Return which numbers are far from the quartiles and beyond a gap.

    The quartiles are those of the distinct numbers, so that a sentinel counts once, however often it recurs. If there
    are too few distinct numbers, the quartiles are those of all numbers.
    """
    thinned = x[:: 1 + len(x) // ENOUGH]
    distinct = np.unique(thinned)
    low, high = np.quantile(distinct if len(distinct) >= MANY else thinned, [0.25, 0.75])
    nothing = np.zeros(len(x), bool)
    with np.errstate(over="ignore"):
        reach = FAR * (high - low)
        if low == high or (x.min() >= low - reach and x.max() <= high + reach):
            return nothing
        distance = np.maximum(low - x, x - high)
        beyond = distance > reach
        steps = np.append(max(distance[~beyond].max(), high - low), np.unique(distance[beyond]))
        gaps = np.flatnonzero(steps[1:] > GAP * steps[:-1])
    return distance >= steps[gaps[0] + 1] if len(gaps) else nothing


def recurring(x: np.ndarray, least: int = 2) -> dict[float, int]:
    """Return how often each number occurs that occurs at least so many times."""
    return {float(v): int(n) for v, n in zip(*np.unique(x, return_counts=True), strict=True) if n >= least}


def wild(x: np.ndarray) -> np.ndarray:
    """Return which numbers are `far` and either few or recurring, so that they are hardly part of the measurements."""
    apart = far(x)
    few = max(1, FEW * len(x))
    if apart.sum() <= few:
        return apart
    again = apart & np.isin(x, [v for v, n in recurring(x[apart]).items() if n <= FEW_THAT_RECUR * len(x)])
    return apart if (apart & ~again).sum() <= few else again


def range_of(x: np.ndarray) -> tuple[float, float]:
    """Return the smallest and the largest number, without wild ones."""
    usual = x[~wild(x)]
    return float(usual.min()), float(usual.max())


def warn_of_sentinels(
    x: np.ndarray, owner: np.ndarray, what: str, object_names: list[str], everywhere: bool = True, least: int = 2
) -> bool:
    """Warn of numbers that recur far outside all others, and return whether there are any.

    With ``everywhere=False`` numbers that all objects have do not count, because they may be a place on a common grid.
    With ``least=1`` numbers need not recur.
    """
    found = recurring(x[far(x)], least)
    if not everywhere:
        found = {v: n for v, n in found.items() if len(np.unique(owner[x == v])) < len(np.unique(owner))}
    if found:
        rest = x[~np.isin(x, list(found))]
        first = object_names[owner[np.flatnonzero(x == next(iter(found)))[0]]]
        several = ", ".join(f"{v:g}" + f" ({n} times)" * (n > 1) for v, n in list(found.items())[:8])
        warnings.warn(
            f"{what} is {several}, first in {first}; all other values lie from {rest.min():g} to {rest.max():g}. "
            f"If that is not a measurement, set it to NaN.",
            OutOfRangeWarning,
            stacklevel=2,
        )
    return bool(found)


def warn_of_sentinels_in(
    first: Table, name: str, role: str, x: np.ndarray, owner: np.ndarray, object_names: list[str]
) -> bool:
    """Warn of sentinels in a column of values or locations, and return whether there are any.

    There is no second warning if the column of the first object is marked as already warned of by a step.
    """
    if (first[name].info.meta or {}).get(WARNED):
        return True
    return warn_of_sentinels(x, owner, f"Column '{name}'", object_names, everywhere=role == "value")
