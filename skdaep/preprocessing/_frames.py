"""Locations in the object's own frame: rest frame, phase from peak."""

from __future__ import annotations

import warnings
from dataclasses import replace
from numbers import Real

import numpy as np
from astropy import units as u
from joblib import Parallel, delayed
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern
from sklearn.utils import check_scalar

from .. import tables
from ..exceptions import TableError
from ._base import Points, TableTransformer
from ._parameters import are_increasing, in_unit_of_locations, plain_number


class RestFrame(TableTransformer):
    r"""Move locations to the rest frame of each object, by the redshift in its meta.

    Wavelengths become :math:`\lambda / (1 + z)`. Frequencies, energies and wavenumbers (recognised by unit, or by name
    if there is no unit) become :math:`\nu (1 + z)`. For decimal logarithms, such as ``loglam`` or dex(Angstrom),
    :math:`\log_{10} (1 + z)` is subtracted or added. With `times`, durations become :math:`t / (1 + z)`. Values are not
    changed. The inverse reads the redshift from the meta of each Table again.

    Parameters
    ----------
    redshift : str, default="redshift"
        Key of a number in meta, in any case. Velocities are refused.
    times : bool, default=False
        Whether locations are times: days from a zero point of the object, as from `PhaseFromPeak`, not dates.
    location : str or None, default=None
        Column. None finds it by its usual names.

    Attributes
    ----------
    columns_, units_ : dict
        Columns, and their units in fit, by role.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from skdaep.preprocessing import RestFrame
    >>> X = [Table({"wavelength": [5000.0, 6000.0], "flux": [1.0, 1.0]}, meta={"redshift": 0.25})]
    >>> RestFrame().fit_transform(X)[0]["wavelength"].tolist()
    [4000.0, 4800.0]
    """

    def __init__(self, redshift="redshift", *, times=False, location=None):
        self.redshift = redshift
        self.times = times
        self.location = location

    def units_after(self):
        name, unit = self.columns_["location"], self.units_["location"]
        self._axis = tables.log_unit(name, unit) or unit  # the unit, or the one inside a logarithm
        self._is_log = self._axis != unit
        column = f"X[0] column '{name}'"
        if self.times and self._scale is not None:
            raise TableError(
                f"{column} contains dates; subtract a zero point of each object first, for example with PhaseFromPeak."
            )
        if unit is None and not self._is_log and tables.plain(name).startswith(("log", "ln")):
            raise TableError(
                f"{column} has no unit, but its name suggests a logarithm. Set its unit, such as dex(Angstrom)."
            )
        kinds = [u.s] if self.times else [u.m, u.Hz, u.J, 1 / u.m]
        if self._axis is not None and not any(tables.unit_named(self._axis).is_equivalent(kind) for kind in kinds):
            need = "a time" if self.times else "a wavelength, frequency or energy; for times set times=True"
            raise TableError(f"{column} has unit '{unit or self._axis}', but RestFrame needs {need}.")
        return self.units_

    def _stretch(self, points: Points) -> float:
        """Return the factor from rest frame to observer."""
        redshift = points.number(self.redshift, "", " Set it, or name its key with RestFrame(redshift=...).")
        if redshift <= -1:
            raise TableError(f"{points.object_name} has {self.redshift!r} = {redshift:g} in meta; it must be above -1.")
        return 1 + redshift if self.times or self._grows() else 1 / (1 + redshift)

    def _grows(self) -> bool:
        """Return whether the axis is one of wavelengths, by its unit or else by its name."""
        if self._axis is None:
            return not tables.plain(self.columns_["location"]).startswith(("freq", "nu", "energy", "wavenumber"))
        return tables.unit_named(self._axis).is_equivalent(u.m)

    def _shifted(self, points: Points, factor: float) -> Points:
        """Multiply locations, whose logarithm may be what there is, by a factor."""
        location = points.location
        return replace(points, location=location + np.log10(factor) if self._is_log else location * factor)

    def forward(self, points):
        return self._shifted(points, 1 / self._stretch(points))

    def backward(self, points):
        return self._shifted(points, self._stretch(points))


class PhaseFromPeak(TableTransformer):
    r"""Subtract the time of peak brightness in one band.

    The peak is that of a Gaussian process with a Matern kernel (:math:`\nu = 5/2`) and the measurement errors as noise,
    on a grid of a 240th of `window`. The process is fitted within `window` of the brightest point. That point is chosen
    after subtracting two errors, and must have two others within a third of `window`, so neither a stray point nor one
    with a large error is taken for the peak. Unknown errors are replaced by a tenth of the scatter. The peak is stored
    in the meta, from which the inverse restores the times in float64.

    Parameters
    ----------
    peak_band : str or None, default="r"
        Band that defines the peak. None uses all points.
    brightest : {"auto", "minimum", "maximum"}, default="auto"
        Which end of the values is bright. "auto" means the minimum of magnitudes and the maximum of anything else.
        Magnitudes are recognised by their unit, the name of a column without a unit, or an earlier step. If these are
        inconclusive, the column is refused.
    window : float or Quantity, default=60.0
        Time on either side of the brightest point that is fitted, in the unit of the locations if it has none.
    keep : (float, float), Quantity or None, default=None
        First and last phase to keep, for example (-30, 100). Removed points do not come back. None keeps all.
    key : str, default="peak_time"
        Key in meta under which the peak is stored.
    n_jobs : int or None, default=None
        Number of processes, as in joblib.
    location, value, band, error : str or None, default=None
        Columns, which keep their names. None finds them by their usual names.

    Attributes
    ----------
    columns_, units_ : dict
        Columns, and their units in fit, by role.

    References
    ----------
    Rasmussen, C. E. & Williams, C. K. I. 2006, Gaussian Processes for Machine Learning, chapters 2 and 4.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from skdaep.preprocessing import PhaseFromPeak
    >>> mjd = np.arange(60_000.0, 60_060.0, 2.0)
    >>> X = [Table({"mjd": mjd, "mag": 18 + ((mjd - 60_020) / 20) ** 2, "mag_err": np.full(30, 0.01)})]
    >>> step = PhaseFromPeak(peak_band=None)
    >>> Z = step.fit_transform(X)
    >>> round(Z[0].meta["peak_time"]), round(Z[0]["mjd"][0])
    (60020, -20)
    >>> step.inverse_transform(Z)[0]["mjd"][0].item()
    60000.0
    """

    remedy = "widen keep, or "

    def __init__(
        self,
        peak_band="r",
        *,
        brightest="auto",
        window=60.0,
        keep=None,
        key="peak_time",
        n_jobs=None,
        location=None,
        value=None,
        band=None,
        error=None,
    ):
        self.peak_band = peak_band
        self.brightest = brightest
        self.window = window
        self.keep = keep
        self.key = key
        self.n_jobs = n_jobs
        self.location = location
        self.value = value
        self.band = band
        self.error = error

    def check_parameters(self):
        if self.brightest not in ("auto", "minimum", "maximum"):
            raise ValueError(f"PhaseFromPeak(brightest={self.brightest!r}): choose 'auto', 'minimum' or 'maximum'.")
        check_scalar(plain_number(self.window), "window", Real, min_val=0, include_boundaries="neither")
        if self.keep is not None and not are_increasing(self.keep):
            raise ValueError(f"PhaseFromPeak(keep={self.keep!r}): two increasing numbers are needed.")

    def required_roles(self):
        return () if self.peak_band is None else ("band",)

    def units_after(self):
        if self.brightest == "auto":
            self._need_kind(", or brightest='minimum' or 'maximum'")
        return self.units_

    def forward_all(self, points):
        curves = [self._curve(p) for p in points]
        window = in_unit_of_locations(self, self.window, "window")
        peaks = Parallel(self.n_jobs)(delayed(_peak_time)(*curve, window) for curve in curves)
        return [
            replace(p, location=p.location - peak).remember(**{self.key: peak})
            for p, peak in zip(points, peaks, strict=True)
        ]

    def points_kept(self, points):
        if self.keep is None:
            return super().points_kept(points)
        first, last = (in_unit_of_locations(self, end, "keep") for end in self.keep)
        return (points.location >= first) & (points.location <= last)

    def backward(self, points):
        return replace(points, location=points.location + points.recall(self.key)).forget(self.key)

    def _curve(self, points: Points) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return time, brightness and error of the observed points of the band."""
        seen = np.isfinite(points.value) & np.isfinite(points.location)
        if self.peak_band is not None:
            has = ", ".join(np.unique(points.band[seen])) or "none"
            seen &= points.band == self.peak_band
            if not seen.any():
                raise TableError(
                    f"{points.object_name} has no point in band {self.peak_band!r} (it has: {has}). "
                    f"Choose another peak_band, None for all points, or remove the object."
                )
        if not seen.any():
            raise TableError(f"{points.object_name} has no finite '{self.columns_['value']}'; remove the object.")
        faint_end_up = self.brightest == "minimum" or (self.brightest == "auto" and self.is_magnitude_)
        sign = -1 if faint_end_up else 1
        return points.location[seen], sign * points.value[seen], points.error[seen]


def _peak_time(time: np.ndarray, brightness: np.ndarray, error: np.ndarray, window: float) -> float:
    """Return the time at which a Gaussian process through the points is highest, within the observed range."""
    steady = (np.abs(time[:, None] - time) < window / 3).sum(1) > 2
    surely = brightness - 2 * np.where(np.isfinite(error), error, 0.0)
    origin = time[np.argmax(np.where(steady | ~steady.any(), surely, -np.inf))]
    near = np.abs(time - origin) < window
    time, brightness, error = time[near] - origin, brightness[near], error[near]
    scale = brightness.std() or 1.0
    # In units of the scatter. The minimum keeps the matrix well conditioned if points are close to each other.
    noise = np.hypot(np.where(np.isfinite(error), error / scale, 0.1), 0.02)
    kernel = ConstantKernel(1.0, (0.05, 20.0)) * Matern(window / 3, (window / 7.5, window / 0.75), nu=2.5)
    process = GaussianProcessRegressor(kernel, alpha=noise**2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a length scale at its bound is acceptable
        process.fit(time[:, None], (brightness - brightness.mean()) / scale)
    step = window / 240
    grid = np.append(np.arange(time.min(), time.max(), step), time.max())
    return float(origin + grid[np.argmax(process.predict(grid[:, None]))])
