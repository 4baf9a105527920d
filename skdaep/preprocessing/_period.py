"""The period of a variable star, found in its unfolded light curve."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from astropy import units as u
from joblib import Parallel, delayed
from sklearn.utils import check_scalar

from .. import tables
from ..exceptions import SamplingError, TableError
from ._base import Points, TableTransformer
from ._harmonics import FEWEST, OVERSAMPLING, Curve, find_period
from ._parameters import in_unit_of_locations, plain_number, unit_of_locations

#: shortest period looked for by default, in days where the locations have a unit of time
SHORTEST = 0.05
#: frequencies of one search beyond which a unit is missing rather than a period wanted
MOST_FREQUENCIES = 2e7


class FindPeriod(TableTransformer):
    r"""Find the period of each object, of a harmonic series in each band; columns stay as they are.

    Into the meta go the period, in the unit of the locations, its decimal logarithm, the share of the variance that the
    series explains and the probability that noise alone gives so much: ``period``, ``log_period``, ``period_power`` and
    ``period_fap``. `PhaseFold` reads the first.

    Candidates are the highest peaks of the Lomb-Scargle periodogram, weighted over the bands by their
    :math:`\chi^2`, and of its sums over harmonics, with their halves and doubles. Of these the series of least Bayesian
    information criterion wins, :math:`n \ln \chi^2 + k \ln n`, whose first or second harmonic is its strongest.

    Parameters
    ----------
    min_period : float, Quantity or None, default=None
        Shortest period, the inverse of the highest frequency, in the unit of the locations of fit if it has none. None:
        0.05 days, or 0.05 where the locations have no unit. The time taken is in proportion to its inverse.
    max_period : float, Quantity or None, default=None
        Longest period. None: half of the time that the object was observed.
    n_harmonics : int, default=6
        Most harmonics of a series, twice as many where its period turns out to be the double; fewer where a band has
        less than three points for each number that is fitted.
    key : str, default="period"
        Key in meta of the period; those of the others are ``log_<key>``, ``<key>_power`` and ``<key>_fap``.
    n_jobs : int or None, default=None
        Processes that share the objects, as in joblib.
    location, value, band, error : str or None, default=None
        Columns. None: found by their usual names; a table without bands has one.

    Attributes
    ----------
    columns_, units_ : dict
        Columns, and their units in fit, by role.

    See Also
    --------
    PhaseFold : Fold the light curve by the period found.

    Notes
    -----
    Frequencies are a fifth of the inverse of the time span apart. A band of fewer than nine points takes no part, and
    an object without any other is refused. Errors that are not known count as the band's median, and a tenth of its
    scatter is added to all, in quadrature, for no series fits to the last thousandth of a magnitude.

    *Aliases.* Nights one day apart leave frequencies that differ by a whole number of cycles per day alike; which is
    right the harmonics decide if anything does. *Half and double.* Two equal minima in a period are one in half of it:
    without a difference in depth that outweighs the additional numbers, a contact binary gets half its orbital period.
    On real stars these are all but a few per cent of the errors (``benchmarks/README.rst``).

    The false-alarm probability is that of one series in normal noise, from the beta distribution, for
    :math:`(2 + K)\, T\, \Delta f` independent trials with K harmonics; simulated noise agrees within a factor of two.
    It knows nothing of red noise and of trends: a small one says that the object varies, not that it is periodic.

    With the package ``nifty-ls`` installed (the extra "period") the same periodogram takes a tenth of the time.

    References
    ----------
    VanderPlas, J. T. 2018, ApJS 236, 16. VanderPlas, J. T. & Ivezic, Z. 2015, ApJ 812, 18. Garrison, L. H. et al. 2024,
    RNAAS 8, 250 (nifty-ls).

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from skdaep.preprocessing import FindPeriod
    >>> mjd = 60_000 + np.sort(np.random.default_rng(0).uniform(0, 60, 80))
    >>> X = [Table({"mjd": mjd, "mag": 15 + 0.3 * np.sin(2 * np.pi * mjd / 0.57)})]
    >>> Z = FindPeriod().fit_transform(X)
    >>> round(Z[0].meta["period"], 3), round(Z[0].meta["period_power"], 3)
    (0.57, 1.0)
    """

    def __init__(
        self,
        min_period=None,
        max_period=None,
        *,
        n_harmonics=6,
        key="period",
        n_jobs=None,
        location=None,
        value=None,
        band=None,
        error=None,
    ):
        self.min_period = min_period
        self.max_period = max_period
        self.n_harmonics = n_harmonics
        self.key = key
        self.n_jobs = n_jobs
        self.location = location
        self.value = value
        self.band = band
        self.error = error

    def check_parameters(self):
        check_scalar(self.n_harmonics, "n_harmonics", Integral, min_val=1)
        for name in ("min_period", "max_period"):
            if (given := getattr(self, name)) is not None:
                check_scalar(plain_number(given), name, Real, min_val=0, include_boundaries="neither")

    def units_after(self):
        name, unit = self.columns_["location"], self.units_["location"]
        if unit is not None and not tables.unit_named(unit).is_equivalent(u.s):
            raise TableError(f"X[0] column '{name}' has unit '{unit}', but FindPeriod needs times.")
        return self.units_

    def forward_all(self, points):
        searches = [(curve_of(self, p), *self._frequencies(p)) for p in points]
        found = Parallel(self.n_jobs)(delayed(find_period)(*search, self.n_harmonics) for search in searches)
        return [
            p.remember(**dict(zip(self._keys, (f.period, np.log10(f.period), f.power, f.false_alarm), strict=True)))
            for p, f in zip(points, found, strict=True)
        ]

    def backward(self, points):
        return points.forget(*self._keys)

    @property
    def _keys(self) -> tuple[str, ...]:
        return self.key, f"log_{self.key}", f"{self.key}_power", f"{self.key}_fap"

    def _frequencies(self, points: Points) -> tuple[float, float]:
        """Return the lowest and highest frequency for an object."""
        days = u.Quantity(SHORTEST, u.d)
        default = SHORTEST if unit_of_locations(self) is None else days
        shortest = in_unit_of_locations(self, default if self.min_period is None else self.min_period, "min_period")
        span = float(np.ptp(points.location[is_observed(points)]))
        longest = span / 2 if self.max_period is None else in_unit_of_locations(self, self.max_period, "max_period")
        if not shortest < longest:
            raise TableError(
                f"{points.object_name} was observed over {span:g}, and periods from {shortest:g} to {longest:g} are "
                f"wanted; set {'min_period' if self.max_period is None else 'max_period'}, or remove the object."
            )
        if OVERSAMPLING * span / shortest > MOST_FREQUENCIES:
            raise TableError(
                f"{points.object_name} was observed over {span:g}, {span / shortest:.1g} of the shortest period; set "
                f"the unit of column '{self.columns_['location']}', or a longer min_period."
            )
        return 1 / longest, 1 / shortest


def is_observed(points: Points) -> np.ndarray:
    """Return which points have a value, a location and no infinite error."""
    return np.isfinite(points.value) & np.isfinite(points.location) & ~np.isinf(points.error)


def curve_of(step: TableTransformer, points: Points) -> Curve:
    """Return the observed points of an object, in time from its first location.

    SamplingError if no harmonic series can be fitted.
    """
    seen = is_observed(points)
    columns = (points.value[seen], points.error[seen], points.band[seen])
    curve = Curve.of(points.location[seen] - np.nanmin(points.location), *columns)
    if not len(curve.time):
        raise SamplingError(
            f"{points.object_name} has {seen.sum()} points, and not {FEWEST} in any band, which {type(step).__name__} "
            f"needs; remove the object."
        )
    if not any(np.ptp(band.value) > 0 and np.ptp(band.time) > 0 for band in curve.by_band()):
        name = step.columns_["value"]
        raise SamplingError(f"{points.object_name} column '{name}' is constant, or of one time; remove the object.")
    return curve
