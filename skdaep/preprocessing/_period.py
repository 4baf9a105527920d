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

#: default of the shortest period, in days if locations have a unit of time
SHORTEST = 0.05
#: a search with more frequencies than this is refused, because the unit of the locations is probably missing
MOST_FREQUENCIES = 2e7


class FindPeriod(TableTransformer):
    r"""Find the period of each object, and store it in its meta.

    The light curve in each band is fitted with harmonics of a common period. Four numbers are stored: ``period``, in
    the unit of the locations; ``log_period``, its decimal logarithm; ``period_power``, the share of the variance that
    the fit explains; and ``period_fap``, the probability that noise alone explains as much. `PhaseFold` uses
    ``period``.

    Candidates are the highest peaks of the Lomb-Scargle periodogram, weighted over the bands by their :math:`\chi^2`,
    and of its sums over harmonics, with their halves and doubles. Among these, the fit with the lowest Bayesian
    information criterion is chosen, :math:`n \ln \chi^2 + k \ln n`, provided that its first or second harmonic is the
    strongest.

    Parameters
    ----------
    min_period : float, Quantity or None, default=None
        Shortest period, in the unit of the locations if it has none. None means 0.05 days, or 0.05 if the locations
        have no unit. The run time is inversely proportional to it.
    max_period : float, Quantity or None, default=None
        Longest period. None means half of the time span of the object.
    n_harmonics : int, default=6
        Largest number of harmonics (twice as many when a period is doubled). Fewer are used if a band has less than
        three points per fitted number.
    eclipses : bool, default=True
        Whether to take a cycle with one symmetric dip, sharper than its crest, for half the orbit of a binary, and
        double the period. It has no effect if neither name nor unit says whether the values are magnitudes or fluxes.
    key : str, default="period"
        Key in meta of the period. The other keys are ``log_<key>``, ``<key>_power`` and ``<key>_fap``.
    n_jobs : int or None, default=None
        Number of processes, as in joblib.
    location, value, band, error : str or None, default=None
        Columns. None finds them by their usual names. A table without bands has a single one.

    Attributes
    ----------
    columns_, units_ : dict
        Columns, and their units in fit, by role.

    See Also
    --------
    PhaseFold : Fold the light curve by the period found.

    Notes
    -----
    The spacing of frequencies is a fifth of the inverse time span. Bands with fewer than nine points are not used; an
    object that has only such bands is refused. Unknown errors are replaced by the median of the band. A tenth of the
    scatter is added to all errors in quadrature, because harmonics never fit perfectly.

    *Aliases.* With observations at night only, frequencies that differ by a whole number of cycles per day fit nearly
    as well; the harmonics decide, if they can.

    *Half and double.* Of a period and its double, the shorter is preferred unless the criterion of the double is better
    by more than 20. If two minima are equally deep, no fit distinguishes the period from its half; the shape does
    (`eclipses`). Pulsating stars rise faster than they fade. If instead the second harmonic is weaker than the first
    and within 0.6 radians of it at minimum light, the dip is symmetric, and the period is doubled. Cepheids of about
    ten days and some spotted stars may look like that: set it to False if there are no binaries.
    :doc:`/guide/variable_stars` says how often periods of real stars are right.

    The false-alarm probability is that of a single series in normal noise, from the beta distribution, for :math:`(2 +
    K)\, T\, \Delta f` independent trials with K harmonics; simulated noise agrees within a factor of two. It assumes
    white noise: red noise and trends make it small too, so a small value shows that the object varies, not that it is
    periodic.

    If the package ``nifty-ls`` is installed (extra "period"), it computes the same periodogram faster.

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
        eclipses=True,
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
        self.eclipses = eclipses
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
        faint = {True: 1, False: -1, None: 0}[self.is_magnitude_]
        how = self.n_harmonics, faint if self.eclipses else 0
        found = Parallel(self.n_jobs)(delayed(find_period)(*search, *how) for search in searches)
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
        """Return the lowest and highest frequency to search for an object."""
        days = u.Quantity(SHORTEST, u.d)
        default = SHORTEST if unit_of_locations(self) is None else days
        shortest = in_unit_of_locations(self, default if self.min_period is None else self.min_period, "min_period")
        span = float(np.ptp(points.location[is_observed(points)]))
        longest = span / 2 if self.max_period is None else in_unit_of_locations(self, self.max_period, "max_period")
        if not shortest < longest:
            raise TableError(
                f"{points.object_name} was observed over {span:g}, which leaves no periods from {shortest:g} to "
                f"{longest:g}; set {'min_period' if self.max_period is None else 'max_period'}, or remove the object."
            )
        if OVERSAMPLING * span / shortest > MOST_FREQUENCIES:
            raise TableError(
                f"{points.object_name} was observed over {span:g}, {span / shortest:.1g} times the shortest period; "
                f"set the unit of column '{self.columns_['location']}', or a longer min_period."
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
            f"{points.object_name} has {seen.sum()} points, and no band with the {FEWEST} points that "
            f"{type(step).__name__} needs; remove the object."
        )
    if not any(np.ptp(band.value) > 0 and np.ptp(band.time) > 0 for band in curve.by_band()):
        name = step.columns_["value"]
        raise SamplingError(
            f"{points.object_name} column '{name}' is constant, or all points have the same time; remove the object."
        )
    return curve
