"""Enlarge a training set with copies of its objects."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral, Real

import numpy as np
from numpy.polynomial.legendre import legval
from sklearn.utils import check_random_state, check_scalar

from .. import tables
from ..exceptions import TableError
from ._base import TableTransformer


def augment(
    X,
    y=None,
    groups=None,
    *,
    n_copies=5,
    noise=True,
    drop=0.1,
    stretch=0.0,
    contrast=0.0,
    tilt=0.0,
    random_state=None,
    value=None,
    location=None,
    error=None,
):
    r"""Enlarge a training set with noisy, thinned and distorted copies of its objects.

    The first copy of an object is the object itself. In the others, each observed point except the last is removed with
    probability `drop`, and noise of the size of the measurement error is added: :math:`v \to v + \sigma \epsilon`, with
    an error of :math:`\sqrt 2 \sigma`.

    On request, copies are also distorted, as objects of one kind differ from each other, with one draw
    :math:`\epsilon_1, \ldots, \epsilon_4` from a standard normal distribution for each copy:

    .. math::

        x \to x\,(1 + s\,\epsilon_1), \qquad
        v \to m + (v - m)\,e^{c\,\epsilon_2} + t\,[\epsilon_3 P_1(u) + \tfrac14 \epsilon_4 P_2(u)],

    where :math:`s, c, t` are `stretch`, `contrast` and `tilt`, m is the median of the object, and u the location,
    scaled to -1 to 1 over the range of all objects, in Legendre polynomials. For a spectrum in log flux these imitate
    an error in redshift, the strength of the lines, and the colour (dust, calibration).

    This is a function and not a pipeline step, because a scikit-learn pipeline cannot change the number of objects, and
    would also add copies in prediction. Split off test objects first, then enlarge the training objects before `fit`.

    Parameters
    ----------
    X : list of Table
        One Table per object.
    y : array-like of shape (n_objects, ...), default=None
        Labels or anything else to repeat along with X.
    groups : array-like of shape (n_objects,), default=None
        Objects that belong together. None makes every object a group.
    n_copies : int, default=5
        Number of copies of each object, the object itself included.
    noise : bool, default=True
        Whether to add noise to the values, which needs an error column. Points without an error get no noise.
    drop : float, default=0.1
        Probability that a point is removed, from 0 to below 1.
    stretch : float, default=0.0
        Standard deviation of the relative change of the locations. Only for axes with a natural zero, such as
        wavelength or phase.
    contrast : float, default=0.0
        Standard deviation of the logarithm of a factor that scales values about their median, and their errors.
    tilt : float, default=0.0
        Standard deviation of the added slope, in units of the value at the ends of the range.
    random_state : int, RandomState or None, default=None
        Seed.
    value, location, error : str or None, default=None
        Columns. None finds them by their usual names.

    Returns
    -------
    X : list of Table, length n_copies * n_objects
        First all objects unchanged, then all second copies, and so on. These are new Tables.
    y : ndarray or None
        Repeated in the same order.
    groups : ndarray
        Repeated too. Pass it to ``fit(X, groups=groups)`` and to splitters such as `GroupKFold`, so that the copies of
        an object are never on both sides of a split.

    Examples
    --------
    >>> from skdaep.datasets import make_supernova_light_curves
    >>> from skdaep.preprocessing import augment
    >>> X, y = make_supernova_light_curves(3, random_state=0)
    >>> X, y, groups = augment(X, y, n_copies=2, random_state=0)
    >>> len(X), groups.tolist()
    (6, [0, 1, 2, 0, 1, 2])
    """
    check_scalar(n_copies, "n_copies", Integral, min_val=1)
    check_scalar(drop, "drop", Real, min_val=0, max_val=1, include_boundaries="left")
    distortion = {"stretch": stretch, "contrast": contrast, "tilt": tilt}
    for name, size in distortion.items():
        check_scalar(size, name, Real, min_val=0)
    seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
    columns = {"value": value, "location": location, "error": error}
    tables = []
    for copy in range(n_copies):
        rng = np.random.default_rng([seed, copy])
        change = {"noise": noise and copy > 0, "drop": drop if copy else 0.0}
        change |= {name: size if copy else 0.0 for name, size in distortion.items()}
        tables += _Perturbed(rng, needs_error=noise, **change, **columns).fit_transform(X)
    index = np.tile(np.arange(len(tables) // n_copies), n_copies)
    return tables, None if y is None else np.asarray(y)[index], index if groups is None else np.asarray(groups)[index]


class _Perturbed(TableTransformer):
    """Make one copy of each object. It is a step so that it reads and writes Tables as steps do."""

    def __init__(self, rng, needs_error, noise, drop, stretch, contrast, tilt, value, location, error):
        self.rng = rng
        self.needs_error = needs_error
        self.noise = noise
        self.drop = drop
        self.stretch = stretch
        self.contrast = contrast
        self.tilt = tilt
        self.value = value
        self.location = location
        self.error = error

    @property
    def _name(self):
        return "augment"

    def required_roles(self):
        return ("error",) if self.needs_error else ()

    def _find(self, table):
        try:
            return super()._find(table)
        except TableError as error:
            hint = " Or add no noise: augment(noise=False)." if "for the error" in str(error) else ""
            raise TableError(f"{error}{hint}") from None

    def units_after(self):
        name, unit = self.columns_["location"], self.units_["location"]
        if self.stretch and (self._scale is not None or tables.log_unit(name, unit) is not None):
            kind = "logarithms" if self._scale is None else "dates"
            raise TableError(f"X[0] column '{name}' holds {kind}, which have no natural zero; set stretch=0.")
        return self.units_

    def learn(self, points):
        locations = np.concatenate([p.location[np.isfinite(p.location)] for p in points])
        self._range = (locations.min(), locations.max()) if len(locations) else (0.0, 1.0)

    def forward(self, points):
        for size, change in (
            (self.noise, self._noisy),
            (self.contrast, self._contrasted),
            (self.tilt, self._tilted),
            (self.stretch, self._stretched),
        ):
            points = change(points) if size else points
        return points

    def _noisy(self, points):
        shift = np.nan_to_num(points.error, posinf=0.0) * self.rng.standard_normal(len(points.value))
        return replace(points, value=points.value + shift, error=np.sqrt(2) * points.error)

    def _contrasted(self, points):
        if np.isnan(points.value).all():
            return points
        middle, factor = np.nanmedian(points.value), np.exp(self.contrast * self.rng.standard_normal())
        return replace(points, value=middle + factor * (points.value - middle), error=factor * points.error)

    def _tilted(self, points):
        first, last = self._range
        u = (2 * points.location - first - last) / max(last - first, np.finfo(float).tiny)
        slope, bend = self.rng.standard_normal(2)
        return replace(points, value=points.value + self.tilt * legval(u, [0.0, slope, bend / 4]))

    def _stretched(self, points):
        return replace(points, location=points.location * (1 + self.stretch * self.rng.standard_normal()))

    def points_kept(self, points):
        drop = self.rng.uniform(size=len(points.value)) < self.drop
        seen = np.flatnonzero(np.isfinite(points.value) & np.isfinite(points.location))
        if len(seen) and drop[seen].all():
            drop[self.rng.choice(seen)] = False
        return ~drop
