"""Fold times by a period."""

from __future__ import annotations

from dataclasses import replace
from numbers import Real

import numpy as np
from astropy.time import ScaleValueError, Time
from sklearn.utils import check_scalar

from .. import tables
from ..exceptions import TableError
from ._base import Points, TableTransformer
from ._harmonics import extreme_phase
from ._parameters import in_unit_of_locations, plain_number, unit_of_locations
from ._period import curve_of

#: with more cycles than this, a phase has fewer than two correct digits in double precision
MOST_CYCLES = 1e14
#: choices of `epoch` that need a fit to the object
FITTED = ("brightest", "faintest")
#: largest number of harmonics in that fit
N_HARMONICS = 6


class PhaseFold(TableTransformer):
    r"""Fold locations by a period into phases from 0 to 1, and store the number of the cycle.

    With period :math:`P` and epoch :math:`t_0`, :math:`(t - t_0) / P` is split into an integer, stored in a new column
    `cycle`, and the phase. The epoch is stored in the meta as `key`. The inverse combines them. Tables without the new
    column, such as decoded ones, are transformed back to the first period after the epoch.

    The phase column is marked as periodic in its meta, so for `skdaep.Sequence` phase 0.99 is next to 0.01.

    Parameters
    ----------
    period : str, float or Quantity, default="period"
        Key in meta, in any case, or one period for all objects, in the unit of the locations if it has none.
    epoch : str, float, Quantity, Time or None, default=None
        Location of phase 0: a key in meta, or one location for all objects. None means the first location of each
        object. If it is a Time, locations must be Times, or in a column called "mjd" or "jd". "brightest" and
        "faintest" mean the maximum or minimum of a fit of up to six harmonics, to all bands together, so that objects
        of the same kind line up.
    cycle : str, default="cycle"
        Name of the new column.
    key : str, default="fold_epoch"
        Key in meta under which the epoch is stored.
    location, value, band, error : str or None, default=None
        Columns, which keep their names. None finds them by their usual names. Value, band and error are only used to
        fit harmonics.

    Attributes
    ----------
    columns_, units_ : dict
        Columns, and their units in fit, by role.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from skdaep.preprocessing import PhaseFold
    >>> X = [Table({"mjd": [100.0, 101.0, 105.0], "mag": [15.0, 16.0, 15.0]}, meta={"period": 4.0})]
    >>> Z = PhaseFold().fit_transform(X)
    >>> Z[0]["mjd"].tolist(), Z[0]["cycle"].tolist()
    ([0.0, 0.25, 0.25], [0, 0, 1])
    """

    def __init__(
        self,
        period="period",
        *,
        epoch=None,
        cycle="cycle",
        key="fold_epoch",
        location=None,
        value=None,
        band=None,
        error=None,
    ):
        self.period = period
        self.epoch = epoch
        self.cycle = cycle
        self.key = key
        self.location = location
        self.value = value
        self.band = band
        self.error = error

    def check_parameters(self):
        if not isinstance(self.period, str):
            check_scalar(plain_number(self.period), "period", Real, min_val=0, include_boundaries="neither")
        if not (self.epoch is None or isinstance(self.epoch, (str, Time))):
            check_scalar(plain_number(self.epoch), "epoch", Real)

    @property
    def _fits(self) -> bool:
        return isinstance(self.epoch, str) and self.epoch in FITTED

    def roles_read(self):
        return super().roles_read() if self._fits else ("location",)

    def units_after(self):
        if self._fits:
            self._need_kind()
        return self.units_ | {"location": None}

    def cycle_after(self):
        return 1.0

    def _number(self, points: Points, name: str) -> float:
        """Return the number that a parameter gives, directly or as a key in meta."""
        given = getattr(self, name)
        if isinstance(given, str) and isinstance(time := tables.raw_metadata(points.table, given), Time):
            given = time
        if isinstance(given, Time):
            return self._location_of(given, points)
        if not isinstance(given, str):
            return in_unit_of_locations(self, given, name)
        return points.number(given, unit_of_locations(self), f" Set it, or name its key with PhaseFold({name}=...).")

    def _location_of(self, time: Time, points: Points) -> float:
        """Return the location of a Time on the axis of the object."""
        name = self.columns_["location"]
        called = name.lower()
        if self._scale is not None:
            try:
                return float(getattr(time, self._scale).mjd)
            except ScaleValueError as error:
                raise TableError(f"{points.object_name} column '{name}' and the epoch: {error}.") from None
        if called != "jd" and not called.endswith("mjd"):  # heliocentric and barycentric times differ by minutes
            raise TableError(
                f"{points.object_name} column '{name}' holds numbers with an unknown origin, to which the epoch, a "
                f"Time, cannot be converted; give PhaseFold(epoch=...) as such a number."
            )
        return float(time.jd if called == "jd" else time.mjd)

    def _period(self, points: Points) -> float:
        period = self._number(points, "period")
        if period <= 0:
            raise TableError(f"{points.object_name} has {self.period!r} = {period:g} in meta; it must be above 0.")
        return period

    def _epoch(self, points: Points, first: float) -> float:
        if self.epoch is None:
            return first
        if not self._fits:
            return self._number(points, "epoch")
        curve, period = curve_of(self, points), self._period(points)
        largest = self.is_magnitude_ == (self.epoch == "faintest")
        return first + period * extreme_phase(curve, period, N_HARMONICS, largest)

    def forward(self, points):
        seen = points.location[np.isfinite(points.location)]
        if not len(seen):
            raise TableError(f"{points.object_name} has no finite '{self.columns_['location']}'; remove the object.")
        if self.cycle in points.table.colnames:
            raise TableError(f"{points.object_name} has a column {self.cycle!r} already; set another cycle=.")
        epoch = self._epoch(points, float(seen.min()))
        with np.errstate(over="ignore"):  # an overflow is an error below
            turns = (points.location - epoch) / self._period(points)
        if len(far := np.flatnonzero(np.abs(turns) > MOST_CYCLES)):
            name, row = self.columns_["location"], far[0]
            raise TableError(
                f"{points.object_name} column '{name}' is {points.location[row]:g} at row {row}, so many periods from "
                f"the epoch that rounding leaves no phase; set it to NaN, or check the period."
            )
        cycle = np.floor(turns)
        phase = turns - cycle
        # Just before the epoch, a phase may round to 1, which is phase 0 of the next cycle.
        phase, cycle = np.where(phase == 1, 0.0, phase), cycle + (phase == 1)
        new = replace(points, location=phase, other={self.cycle: np.nan_to_num(cycle).astype(np.int64)})
        return new.remember(**{self.key: epoch})

    def backward(self, points):
        cycle = points.table[self.cycle] if self.cycle in points.table.colnames else 0
        location = points.recall(self.key) + (points.location + np.asarray(cycle)) * self._period(points)
        return replace(points, location=location, other={self.cycle: None}).forget(self.key)
