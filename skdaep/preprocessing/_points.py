"""Remove noise: a cut on signal-to-noise, and a median filter. Neither can be inverted."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral, Real

import numpy as np
from scipy.ndimage import median_filter
from sklearn.utils import check_scalar

from ..exceptions import TableError
from ._base import TableTransformer


class SignalToNoiseCut(TableTransformer):
    r"""Remove points whose value is not well above its error.

    Points with :math:`|v| / \sigma` below the threshold are removed. For magnitudes (recognised by unit, or by name if
    there is no unit) the ratio is that of the flux, :math:`2.5 / (\ln 10\, \sigma)`, and likewise for other logarithms.
    If neither tells, the column is refused. Points with an unknown value or error are kept. There is no inverse:
    `inverse_transform` leaves the points as they are.

    Parameters
    ----------
    threshold : float, default=3.0
        Smallest ratio that is kept.
    min_points : int, default=0
        Keep at least this many points of an object, those with the highest ratios. With 0, an object without any
        remaining point is an error.
    value, error : str or None, default=None
        Columns. None finds them by their usual names.

    Attributes
    ----------
    columns_, units_ : dict
        Columns, and their units in fit, by role.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from skdaep.preprocessing import SignalToNoiseCut
    >>> X = [Table({"time": [1.0, 2.0, 3.0], "flux": [9.0, 1.0, -4.0], "flux_err": [1.0, 1.0, 1.0]})]
    >>> SignalToNoiseCut(threshold=3.0).fit_transform(X)[0]["time"].tolist()
    [1.0, 3.0]
    """

    remedy = "lower threshold, set min_points, or "

    def __init__(self, threshold=3.0, *, min_points=0, value=None, error=None):
        self.threshold = threshold
        self.min_points = min_points
        self.value = value
        self.error = error

    @property
    def pointwise(self) -> bool:
        return self.min_points == 0

    def check_parameters(self):
        check_scalar(self.threshold, "threshold", Real, min_val=0)
        check_scalar(self.min_points, "min_points", Integral, min_val=0)

    def required_roles(self):
        return ("error",)

    def units_after(self):
        self._need_kind()
        if self.is_magnitude_ and self._dex is None:
            name, unit = self.columns_["value"], self.units_["value"]
            raise TableError(f"X[0] column '{name}' has unit '{unit}', which is not known; convert it to mag.")
        return self.units_

    def points_kept(self, points):
        signal = np.abs(points.value)
        if self._dex is not None:
            signal = np.where(np.isfinite(signal), 1 / (np.log(10) * abs(self._dex)), np.nan)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            ratio = signal / points.error  # infinite if the error is close to 0
        retained = ~(ratio < self.threshold)
        best = np.argsort(-ratio)[: self.min_points]  # NaN is sorted last
        retained[best] = True
        return retained


class MedianFilter(TableTransformer):
    """Replace each value by the median of its neighbours along the location, within its band.

    This removes spikes of a pixel or two and keeps edges. The ends are reflected. Points that are not observed are left
    out and stay so. Errors are not changed, so they are too large. There is no inverse: `inverse_transform` leaves the
    values as they are.

    Parameters
    ----------
    size : int, default=5
        Number of neighbouring points, the point itself included.
    location, value, band : str or None, default=None
        Columns. None finds them by their usual names; a table without bands has a single one.

    Attributes
    ----------
    columns_, units_ : dict
        Columns, and their units in fit, by role.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from skdaep.preprocessing import MedianFilter
    >>> X = [Table({"wavelength": [1.0, 2.0, 3.0, 4.0, 5.0], "flux": [1.0, 2.0, 90.0, 4.0, 5.0]})]
    >>> MedianFilter(size=3).fit_transform(X)[0]["flux"].tolist()
    [1.0, 2.0, 4.0, 5.0, 5.0]
    """

    def __init__(self, size=5, *, location=None, value=None, band=None):
        self.size = size
        self.location = location
        self.value = value
        self.band = band

    def check_parameters(self):
        check_scalar(self.size, "size", Integral, min_val=1)

    def forward(self, points):
        value = points.value.copy()
        seen = np.isfinite(points.value) & np.isfinite(points.location)
        for band in np.unique(points.band):
            rows = np.flatnonzero(seen & (points.band == band))
            rows = rows[np.argsort(points.location[rows], kind="stable")]
            if len(rows):
                value[rows] = median_filter(points.value[rows], self.size)
        return replace(points, value=value)
