"""Check which spreads and scales single and double precision can resolve."""

from __future__ import annotations

import numpy as np

from ..exceptions import TableError

#: Below the first, squares vanish in double precision; above the second, they overflow. Then there is no scale.
SMALLEST, LARGEST = 1e-150, 1e150
#: Finest scale that single precision resolves, in standard deviations of the locations.
FINEST = 1e-7


def check_spread(x: np.ndarray, object_name: str) -> None:
    """Raise an error if numbers differ by too little to have a scale, or if most are too large for one."""
    with np.errstate(over="ignore"):
        spread, size = np.ptp(x), np.median(np.abs(x))
    if 0 < spread < SMALLEST:
        raise TableError(f"{object_name} only varies by {spread:.1g}, too little for a scale; choose another unit.")
    if spread > 0 and size > LARGEST:
        raise TableError(f"{object_name} is as large as {size:.1g}, too large for a scale; choose another unit.")


def scaled_resolution(declared: float | None, finest: float | None, scale: float, extent: float) -> float:
    """Return the finest scale to resolve, in scaled locations: the declared one, or the finest spacing.

    It is at most the extent.
    """
    if declared is None:
        return extent if finest is None else finest
    if declared < FINEST * scale:
        raise TableError(
            f"Sequence(resolution={declared:g}) is finer than single precision can resolve over the range of the "
            f"locations; {FINEST * scale:.2g} is the smallest possible."
        )
    return min(declared / scale, extent)
