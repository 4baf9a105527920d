"""Light curves in days from their brightest point, and in units of its flux."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from astropy import units as u

from ..exceptions import TableError
from ._base import Points, TableTransformer
from ._parameters import are_increasing, in_unit_of_locations, unit_of_locations
from ._values import DIMENSIONLESS

NEAR = 20.0  # days; a bright point without others this near may be an artefact
ERRORS_BELOW = 2.0  # fluxes are compared after subtracting this many errors


class RelativeToBrightest(TableTransformer):
    r"""Count times from the brightest point of each object, and divide fluxes by the flux of that point.

    :math:`t \to t - t_b`, :math:`f \to f / f_b` and :math:`\sigma \to \sigma / f_b`. So distance, unit and zero point
    no longer matter, but colours stay, if all bands have the same zero point (AB magnitudes, fluxes per frequency).
    The brightest point is that with the largest :math:`f - 2 \sigma` in any band that has two others within 20 days,
    so neither a stray point nor one with a large error is taken. No process is fitted, unlike in
    `PhaseFromPeak`, which takes time and needs bright objects. Time and flux of the point are stored in the meta, for
    the inverse.

    Parameters
    ----------
    keep : (float, float), Quantity or None, default=None
        First and last time to keep, for example (-30, 100), after the subtraction. Removed points do not come back.
        None keeps all.
    key : str, default="brightest"
        Prefix of the keys in meta: ``brightest_time`` and ``brightest_flux``.
    location, value, error : str or None, default=None
        Columns, which keep their names. None finds them by their usual names.

    Attributes
    ----------
    columns_, units_ : dict
        Columns, and their units in fit, by role.

    See Also
    --------
    PhaseFromPeak : Times from the peak of a Gaussian process in one band.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from skdaep.preprocessing import RelativeToBrightest
    >>> X = [Table({"mjd": [60_000.0, 60_003.0, 60_010.0], "flux": [2.0, 8.0, 4.0]})]
    >>> Z = RelativeToBrightest().fit_transform(X)
    >>> Z[0]["mjd"].tolist(), Z[0]["flux"].tolist()
    ([-3.0, 0.0, 7.0], [0.25, 1.0, 0.5])
    >>> Z[0].meta
    {'brightest_time': 60003.0, 'brightest_flux': 8.0}
    """

    remedy = "widen keep, or "

    def __init__(self, *, keep=None, key="brightest", location=None, value=None, error=None):
        self.keep = keep
        self.key = key
        self.location = location
        self.value = value
        self.error = error

    def check_parameters(self):
        if self.keep is not None and not are_increasing(self.keep):
            raise ValueError(f"RelativeToBrightest(keep={self.keep!r}): two increasing numbers are needed.")

    def units_after(self):
        self._need_kind()
        if self.is_magnitude_ or self._dex is not None:
            raise TableError(
                f"X[0] column '{self.columns_['value']}' is in magnitudes, but RelativeToBrightest needs fluxes; put "
                "MagnitudeToFlux before it."
            )
        return self.units_ | DIMENSIONLESS

    def is_magnitude_after(self):
        return False

    def forward(self, points):
        time, flux = self._brightest(points)
        points = replace(points, location=points.location - time, value=points.value / flux, error=points.error / flux)
        return points.remember(**dict(zip(self._keys, (time, flux), strict=True)))

    def points_kept(self, points):
        if self.keep is None:
            return super().points_kept(points)
        first, last = (in_unit_of_locations(self, end, "keep") for end in self.keep)
        return (points.location >= first) & (points.location <= last)

    def backward(self, points):
        time, flux = map(points.recall, self._keys)
        points = replace(points, location=points.location + time, value=points.value * flux, error=points.error * flux)
        return points.forget(*self._keys)

    @property
    def _keys(self) -> tuple[str, str]:
        return f"{self.key}_time", f"{self.key}_flux"

    def _brightest(self, points: Points) -> tuple[float, float]:
        """Return time and flux of the brightest point."""
        seen = np.isfinite(points.value) & np.isfinite(points.location)
        if not seen.any():
            raise TableError(f"{points.object_name} has no finite '{self.columns_['value']}'; remove the object.")
        time, flux, error = points.location[seen], points.value[seen], points.error[seen]
        order = np.argsort(time, kind="stable")
        near = NEAR if unit_of_locations(self) is None else in_unit_of_locations(self, NEAR * u.day, "20 days")
        n_near = np.searchsorted(time, time + near, "left", order) - np.searchsorted(time, time - near, "right", order)
        steady = n_near > 2  # itself and two others
        surely = flux - ERRORS_BELOW * np.where(np.isfinite(error), error, 0.0)
        i = np.argmax(np.where(steady | ~steady.any(), surely, -np.inf))
        if not flux[i] > 0:
            raise TableError(
                f"{points.object_name} is brightest at '{self.columns_['value']}' = {flux[i]:g}; RelativeToBrightest "
                "needs a positive flux. Remove the object."
            )
        return float(time[i]), float(flux[i])
