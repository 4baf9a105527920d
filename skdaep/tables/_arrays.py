"""Convert columns and images, masked or not, to plain arrays."""

from __future__ import annotations

import numpy as np
from astropy import units as u
from astropy.table import Column

from ._times import days, is_time


def floats(x) -> np.ndarray:
    """Return a new float64 array, NaN where masked. A mask of pixels applies to all channels."""
    cells, mask = bare(x)
    values = np.array(cells, np.float64)
    if mask is not None:
        mask = mask.reshape(*mask.shape, *[1] * (values.ndim - mask.ndim))
        values[np.broadcast_to(mask, values.shape)] = np.nan
    return values


def bare(x) -> tuple[np.ndarray, np.ndarray | None]:
    """Return a column, array or NDData as a plain array, and its mask, None if it cannot have one."""
    # The two most common kinds are handled first and quickly, because a million objects have many of them. A Quantity
    # searches all units for an attribute that it lacks, and numpy.ma.getdata of a Column makes a new Column.
    if type(x) is u.Quantity:
        return np.asarray(x), None
    cells = x
    if is_time(x):  # such as the column of a TimeSeries
        return days(x), None
    if not isinstance(x, Column):
        x = x if hasattr(x, "uncertainty") else np.asanyarray(x)
        cells = x.data if hasattr(x, "uncertainty") else x  # only NDData has an uncertainty
        cells = np.ma.getdata(getattr(cells, "unmasked", cells))
    mask = getattr(x, "mask", None)
    return np.asarray(cells), None if mask is None else np.asarray(mask, bool)
