"""Numbers that are far from all others: what they must not set, and what is said of them."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from contextvars import ContextVar

import numpy as np

from ..exceptions import OutOfRangeWarning

#: A number is wild if it is so many times the distance between the quartiles beyond them, and past a gap so many times
#: the distance of the farthest number that is not; and if it is one of few, as a share of all, or recurs as a sentinel
#: does. Without the gap the bright end of a distribution over many decades would be wild; of 10,000 normal ones none.
FAR, GAP = 10.0, 5.0
FEW, FEW_THAT_RECUR = 0.01, 0.5
#: so many numbers show where the quartiles are
ENOUGH = 2**20
#: distinct numbers that have quartiles of their own
MANY = 20
#: An object is out of range if all its values, or locations, are so far beyond those of fit, as a share of what these
#: span. What lies next to them is ordinary extrapolation: a fainter object, the days after.
MARGIN = 0.25
#: columns that objects read some at a time were warned of already; None outside `warned_once`
SAID: ContextVar[set[str | None] | None] = ContextVar("said", default=None)


def far(x: np.ndarray) -> np.ndarray:
    """Return which numbers are far from the quartiles and past a gap.

    The quartiles are those of the distinct numbers, so that a sentinel counts once, however often it recurs; of too few
    to have any, those of all.
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
    """Return which numbers are `far` and few, or recur: not enough of them to be a part of what was measured."""
    apart = far(x)
    few = max(1, FEW * len(x))
    if apart.sum() <= few:
        return apart
    again = apart & np.isin(x, [v for v, n in recurring(x[apart]).items() if n <= FEW_THAT_RECUR * len(x)])
    return apart if (apart & ~again).sum() <= few else again


@contextlib.contextmanager
def warned_once(said: set[str | None]) -> Iterator[None]:
    """Within, `warn_out_of_range` warns of a column only if it is not among those `said`, which it adds.

    For objects that are read some at a time: one warning for all.
    """
    token = SAID.set(said)
    try:
        yield
    finally:
        SAID.reset(token)


def range_of(x: np.ndarray) -> tuple[float, float]:
    """Return the ends of what numbers span, but for wild ones."""
    usual = x[~wild(x)]
    return float(usual.min()), float(usual.max())


def warn_of_sentinels(
    x: np.ndarray, owner: np.ndarray, what: str, object_names: list[str], everywhere: bool = True, least: int = 2
) -> None:
    """Warn of numbers that recur far outside all others; with ``everywhere=False`` not of those that all objects have.

    What all objects have may well be a place on a common grid. With ``least=1`` they need not recur.
    """
    found = recurring(x[far(x)], least)
    if not everywhere:
        found = {v: n for v, n in found.items() if len(np.unique(owner[x == v])) < len(np.unique(owner))}
    if found:
        rest = x[~np.isin(x, list(found))]
        first = object_names[owner[np.flatnonzero(x == next(iter(found)))[0]]]
        several = ", ".join(f"{v:g}" + f" ({n} times)" * (n > 1) for v, n in list(found.items())[:8])
        warnings.warn(
            f"{what} is {several}, first in {first}; all else lies from {rest.min():g} to {rest.max():g}. "
            f"If that is not a measurement, set it to NaN.",
            OutOfRangeWarning,
            stacklevel=2,
        )


def warn_out_of_range(
    points: dict[str, np.ndarray],
    ranges: dict[str, tuple[float, float]],
    columns: dict[str, str | None],
    object_names: list[str],
) -> None:
    """Warn, once, of objects whose values, or locations, are all far from any that fit saw.

    `points` has the numbers of a role and the `owner` of each, `ranges` what they spanned in fit.
    """
    odd: dict[int, str] = {}
    for role, (low, high) in ranges.items():
        margin, numbers, owner = MARGIN * (high - low), points[role], points["owner"]
        outside = (numbers < low - margin) | (numbers > high + margin)
        if low == high or not outside.any():  # one number spans no range
            continue
        inside = ~outside & np.isfinite(numbers)
        for i in np.setdiff1d(owner[outside], owner[inside]):
            first, last = (end(numbers[owner == i]) for end in (np.nanmin, np.nanmax))
            column = "" if columns[role] is None else f" column '{columns[role]}'"
            odd.setdefault(i, f"{column} runs from {first:g} to {last:g}, in fit from {low:g} to {high:g}")
    said = SAID.get()
    if odd and not (said is not None and columns["value"] in said):
        if said is not None:
            said.add(columns["value"])
        i = min(odd)
        more = f" So do {len(odd) - 1} more of {len(object_names)} objects." if len(odd) > 1 else ""
        hint = "Is it in another unit, frame or system?"
        warnings.warn(f"{object_names[i]}{odd[i]}. {hint}{more}", OutOfRangeWarning, stacklevel=2)
