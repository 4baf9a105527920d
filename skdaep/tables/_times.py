"""Convert times and durations of any package to days."""

from __future__ import annotations

import datetime

import numpy as np
from astropy import units as u
from astropy.time import Time, TimeDelta

from ..exceptions import TableError


def is_time(x) -> bool:
    """Return whether x is a time or a duration, or an array or a column of them."""
    if isinstance(x, (np.ndarray, np.generic)):
        return x.dtype.kind in "mM"
    return isinstance(x, (Time, TimeDelta, datetime.date, datetime.timedelta))  # a datetime is a date, too


def days(x) -> np.ndarray:
    """Return times as MJD in their own scale, dates without one as MJD in UTC, and durations in days.

    Masked cells and NaT become NaN.
    """
    if isinstance(x, Time):
        return _filled(x.mjd)
    if isinstance(x, TimeDelta):
        return _filled(x.to_value(u.day))
    if isinstance(x, datetime.timedelta):
        return np.float64(x / datetime.timedelta(days=1))
    if isinstance(x, datetime.date):
        return np.float64(Time(datetime.datetime.combine(x, datetime.time()) if type(x) is datetime.date else x).mjd)
    hidden = np.ma.getmaskarray(x)
    x = np.asarray(np.ma.getdata(x))
    x = np.where(hidden, np.array("NaT", x.dtype), x)
    return _of_durations(x) if x.dtype.kind == "m" else _of_dates(x)


def _of_durations(x: np.ndarray) -> np.ndarray:
    if np.datetime_data(x.dtype)[0] == "generic":
        raise TableError("A duration, numpy.timedelta64, has no unit; give it one, or make it a number of days.")
    seconds = x.astype("timedelta64[us]").astype(np.float64) / 1e6
    return np.where(np.isnat(x), np.nan, seconds / 86400)


def _of_dates(x: np.ndarray) -> np.ndarray:
    """Return MJD in UTC, with days of 86,400 seconds as in numpy, exact to some microseconds."""
    whole = x.astype("datetime64[D]")
    rest = (x - whole).astype("timedelta64[ns]").astype(np.float64) / 86400e9
    mjd = (whole - np.datetime64("1858-11-17", "D")).astype(np.float64) + rest
    return np.where(np.isnat(x), np.nan, mjd)


def _filled(x) -> np.ndarray:
    """Return masked cells as NaN."""
    mask = getattr(x, "mask", None)
    return np.asarray(x) if mask is None else np.where(np.asarray(mask), np.nan, np.asarray(getattr(x, "unmasked", x)))
