"""Objects out of the range that fit saw, and what is said of them."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from contextvars import ContextVar

import numpy as np

from ..exceptions import OutOfRangeWarning

#: An object is out of range if all its values, or locations, are farther than this outside the training range, as a
#: share of its width. Closer ones are ordinary extrapolation: a fainter object, the following days.
MARGIN = 0.25
#: columns for which `warned_once` has already given a warning; None outside of it
SAID: ContextVar[set[str | None] | None] = ContextVar("said", default=None)


@contextlib.contextmanager
def warned_once(said: set[str | None]) -> Iterator[None]:
    """In this context `warn_out_of_range` only warns of columns that are not yet in `said`, and adds them.

    So objects that are read in several parts cause a single warning.
    """
    token = SAID.set(said)
    try:
        yield
    finally:
        SAID.reset(token)


def warn_out_of_range(
    points: dict[str, np.ndarray],
    ranges: dict[str, tuple[float, float]],
    columns: dict[str, str | None],
    object_names: list[str],
) -> None:
    """Warn, once, of objects all of whose values, or locations, are far from those seen in fit.

    `points` has the numbers of each role and the `owner` of each point; `ranges` are those of fit.
    """
    odd: dict[int, str] = {}
    for role, (low, high) in ranges.items():
        margin, numbers, owner = MARGIN * (high - low), points[role], points["owner"]
        outside = (numbers < low - margin) | (numbers > high + margin)
        if low == high or not outside.any():  # a single number has no range
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
