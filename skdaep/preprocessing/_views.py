"""Other views of a light curve: its power spectrum and its autocorrelation."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from numbers import Integral

import numpy as np
from astropy import units as u
from astropy.table import Column, QTable, Table
from astropy.timeseries import LombScargle
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from .. import tables
from ..exceptions import SamplingError
from ..tables import FlatTables
from ._base import TableTransformer
from ._harmonics import FEWEST, Curve
from ._object import Points
from ._parameters import plain_number, unit_of_locations
from ._period import curve_of, is_observed


class View(TableTransformer):
    """A step that computes another Table from a light curve, with the same locations for all objects.

    It cannot be inverted.
    """

    #: names of the columns of locations and values
    _names: tuple[str, str]
    #: name and description of the parameter that sets the locations, and whether these may start at 0
    _places: tuple[str, str, bool]
    #: error for an object without any value
    _nothing = "has no value; remove the object."

    def __init__(self, *, per_band=True, location=None, value=None, band=None, error=None):
        self.per_band = per_band
        self.location = location
        self.value = value
        self.band = band
        self.error = error

    @abstractmethod
    def _unit_of_places(self) -> str | None:
        """Return the unit of the places."""

    @abstractmethod
    def _default_places(self, span: float, n: int) -> np.ndarray:
        """Return default places for objects with a typical time span and number of points in a band."""

    @abstractmethod
    def _values(self, curves: list[Curve], places: np.ndarray) -> np.ndarray:
        """Return the values computed from the given bands together, NaN where there are none."""

    def check_parameters(self):
        if (given := getattr(self, self._places[0])) is None:
            return
        values, (name, what, from_zero) = np.asarray(plain_number(given)), self._places
        numbers = values.ndim == 1 and len(values) > 1 and values.dtype.kind in "iuf"
        rises = numbers and np.isfinite(values).all() and (np.diff(values) > 0).all()
        if not rises or not (values[0] > 0 or (from_zero and values[0] == 0)):
            least = "from 0 on" if from_zero else "above 0"
            raise ValueError(f"{self._name}({name}=...): give {what}, two or more increasing numbers {least}.")

    def learn(self, points):
        given, told = getattr(self, self._places[0]), f"{self._name}({self._places[0]}=...)"
        if given is None:
            given = self._default_places(*self._typical(points))
        elif isinstance(given, u.Quantity):
            given = tables.convert(
                given.value.astype(float), str(given.unit), self._unit_of_places(), told, light=False
            )
        setattr(self, f"{self._places[0]}_", np.array(given, float))

    def _typical(self, points: list[Points]) -> tuple[float, int]:
        """Return the median time span, and the median number of points in an object's richest band."""
        seen = [is_observed(p) for p in points]
        spans = [np.ptp(p.location[s]) if s.any() else 0.0 for p, s in zip(points, seen, strict=True)]
        counts = [np.unique(p.band[s], return_counts=True)[1].max(initial=0) for p, s in zip(points, seen, strict=True)]
        enough = (np.array(counts) >= FEWEST) & (np.array(spans) > 0)
        if not enough.any():
            raise SamplingError(f"No object of X has {FEWEST} points in a band, at several times.", range(len(points)))
        return float(np.median(np.array(spans)[enough])), int(np.median(np.array(counts)[enough]))

    def transform(self, X):
        """Return a Table with the view of each object; each Table keeps the meta of its object.

        Parameters
        ----------
        X : list of Table
            Objects with the columns seen in fit, in units that can be converted to those of fit.

        Returns
        -------
        X : list of Table
            New Tables (or QTables), or `FlatTables` if X was.

        Raises
        ------
        SamplingError
            If the points of some objects are too few. `objects` has their indices.
        """
        check_is_fitted(self)
        objects, refused = self._objects(X), {}
        made = self._computed(objects, refused)
        made = FlatTables.of(made) if isinstance(objects, FlatTables) else list(made)
        if refused:
            others = f" ({len(refused) - 1} others too)" if len(refused) > 1 else ""
            raise SamplingError(f"{next(iter(refused.values()))}{others}", refused)
        return made

    def _computed(self, objects: Sequence[Table], refused: dict[int, SamplingError]) -> Iterator[Table]:
        """Yield the view of each object, and put objects without one into `refused`."""
        for i, table in enumerate(objects):
            points = self._read(table, f"X[{i}]", self.units_)
            try:
                yield self._view(points)
            except SamplingError as error:
                refused[i] = error

    def _view(self, points: Points) -> Table:
        curves = curve_of(self, points).by_band()
        groups = [[curve] for curve in curves] if self.per_band else [curves]
        places = getattr(self, f"{self._places[0]}_")
        values, at = [self._values(group, places) for group in groups], self._locations(places)
        if np.isnan(values).all():
            raise SamplingError(f"{points.object_name} {self._nothing}")
        kind = QTable if isinstance(points.table, QTable) else Table
        columns = {self._names[0]: _with_unit(np.tile(at, len(groups)), self._unit_of_places(), kind)}
        if self.per_band and "band" in self.columns_:
            columns[self.columns_["band"]] = np.repeat([curve.band[0] for curve in curves], len(at))
        return kind(columns | {self._names[1]: np.concatenate(values)}, meta=points.meta)

    def _locations(self, places: np.ndarray) -> np.ndarray:
        """Return the column of locations."""
        return places

    @property
    def inverse_transform(self):
        """Raise an AttributeError: a light curve cannot be computed from its view."""
        raise AttributeError(f"{self._name} has no inverse_transform: a light curve cannot be computed from its view.")


def _with_unit(values: np.ndarray, unit: str | None, kind: type):
    return values << tables.unit_named(unit) if kind is QTable and unit is not None else Column(values, unit=unit)


class PowerSpectrum(View):
    r"""Compute the power spectrum of each light curve, at the same frequencies for all.

    This is the Lomb-Scargle periodogram, which works for irregular times. It is normalised to the share of the variance
    that a sinusoid of that frequency explains, from 0 to 1,

    .. math:: P(f) = 1 - \chi^2(f) / \chi^2_0.

    The returned Tables have the columns ``frequency`` and ``power``: declare them as
    ``Sequence("power", location="frequency")``. They do not contain the level, amplitude and phase of the light curve.

    Parameters
    ----------
    frequencies : array, Quantity or None, default=None
        Frequencies. Numbers without a unit are in cycles per unit of the locations of fit. None uses multiples of 1 /
        (2 T) up to 1 / (2 d), where T is the median time span and d the mean spacing in the objects of fit. This does
        not reach periods that are short compared with the spacing.
    per_band : bool, default=True
        Whether to compute a separate power spectrum for each band, with a column of bands. False combines the bands by
        their :math:`\chi^2`. Bands with fewer than nine points are left out.
    location, value, band, error : str or None, default=None
        Columns. None finds them by their usual names; a table without bands has a single one.

    Attributes
    ----------
    frequencies_ : ndarray
        The frequencies.
    columns_, units_ : dict
        Columns, and their units in fit, by role.

    See Also
    --------
    Views : Combine light curves with their power spectra, for encoders of several modalities.
    FindPeriod : Find the period of each object.

    Notes
    -----
    Points are weighted by their errors as in `FindPeriod`: unknown errors are replaced by the median of the band, and a
    tenth of the scatter is added in quadrature.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from skdaep.preprocessing import PowerSpectrum
    >>> time = np.sort(np.random.default_rng(0).uniform(0, 60, 80))
    >>> X = [Table({"time": time, "flux": 1 + 0.3 * np.sin(2 * np.pi * time / 5)})]
    >>> spectrum = PowerSpectrum(frequencies=np.linspace(0.05, 0.5, 10)).fit_transform(X)[0]
    >>> spectrum.colnames, float(spectrum["frequency"][spectrum["power"].argmax()])
    (['frequency', 'power'], 0.2)
    """

    _names = ("frequency", "power")
    _places = ("frequencies", "frequencies", False)

    def __init__(self, frequencies=None, *, per_band=True, location=None, value=None, band=None, error=None):
        super().__init__(per_band=per_band, location=location, value=value, band=band, error=error)
        self.frequencies = frequencies

    def _unit_of_places(self):
        if (unit := unit_of_locations(self)) is None:
            return None
        try:
            return (tables.unit_named(unit) ** -1).to_string()
        except ValueError:  # the unit is unknown to astropy
            return f"1 / ({unit})"

    def _default_places(self, span, n):
        return np.arange(1, n) / (2 * span)

    def _values(self, curves, places):
        scaled = places / places[-1]  # otherwise astropy takes any grid with tiny steps for a regular one
        explained, total = np.zeros(len(places)), 0.0
        for time, value, weight, _ in curves:
            chi2 = weight @ (value - np.average(value, weights=weight)) ** 2
            if chi2 > 0 and np.ptp(time) > 0:
                power = LombScargle(time * places[-1], value, weight**-0.5).power(scaled)
                explained, total = explained + chi2 * power, total + chi2
        return explained / total if total else np.full(len(places), np.nan)


class Autocorrelation(View):
    r"""Compute the autocorrelation of each light curve, in the same bins of time lag for all.

    Each pair of points contributes the product of its values to the bin of its time lag, which works for irregular
    times [1]_:

    .. math:: r_k = \frac{1}{n_k} \sum_{t_j - t_i \in \text{bin } k} \frac{(v_i - \bar v)(v_j - \bar v)}{s^2},

    with mean :math:`\bar v` and standard deviation s of the light curve in that band. The returned Tables have the
    columns ``lag``, the middle of the bin, and ``autocorrelation``: declare them as
    ``Sequence("autocorrelation", location="lag")``. Bins with fewer than `min_pairs` pairs are NaN, which means not
    observed.

    Parameters
    ----------
    bins : array, Quantity or None, default=None
        Edges of the bins. Numbers without a unit are in the unit of the locations of fit. None centres bins on
        multiples of the mean spacing of points (the median over the objects of fit), up to half of the time span.
    min_pairs : int, default=10
        Smallest number of pairs in a bin.
    per_band : bool, default=True
        Whether to compute a separate autocorrelation for each band, with a column of bands. False adds up the pairs of
        all bands; both points of a pair are always in the same band. Bands with fewer than nine points are left out.
    location, value, band, error : str or None, default=None
        Columns. None finds them by their usual names; a table without bands has a single one.

    Attributes
    ----------
    bins_ : ndarray
        The edges.
    columns_, units_ : dict
        Columns, and their units in fit, by role.

    See Also
    --------
    Views : Combine light curves with their autocorrelation, for encoders of several modalities.

    Notes
    -----
    Noise increases :math:`s^2`, and so lowers all correlations by the same factor. The run time is proportional to the
    number of pairs within the last edge: bin long, regular light curves first.

    References
    ----------
    .. [1] Edelson & Krolik 1988, ApJ 333, 646; the variance of the errors is not subtracted here.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from skdaep.preprocessing import Autocorrelation
    >>> time = np.sort(np.random.default_rng(0).uniform(0, 60, 400))
    >>> X = [Table({"time": time, "flux": 1 + 0.3 * np.sin(2 * np.pi * time / 5)})]
    >>> table = Autocorrelation(bins=np.linspace(2.25, 5.25, 7)).fit_transform(X)[0]
    >>> table["lag"].tolist(), table["autocorrelation"].round(1).tolist()
    ([2.5, 3.0, 3.5, 4.0, 4.5, 5.0], [-1.0, -0.8, -0.3, 0.3, 0.8, 1.0])
    """

    _names = ("lag", "autocorrelation")
    _places = ("bins", "edges of bins", True)

    def __init__(self, bins=None, *, min_pairs=10, per_band=True, location=None, value=None, band=None, error=None):
        super().__init__(per_band=per_band, location=location, value=value, band=band, error=error)
        self.bins = bins
        self.min_pairs = min_pairs

    def check_parameters(self):
        super().check_parameters()
        check_scalar(self.min_pairs, "min_pairs", Integral, min_val=1)

    def _unit_of_places(self):
        return unit_of_locations(self)

    def _default_places(self, span, n):
        spacing = span / (n - 1)
        return spacing * (np.arange(n // 2 + 1) + 0.5)

    def _locations(self, places):
        return (places[1:] + places[:-1]) / 2

    @property
    def _nothing(self):
        return f"has no min_pairs={self.min_pairs} pairs of points in any bin; make bins wider, or remove the object."

    def _values(self, curves, places):
        total, pairs = np.sum([_products(curve, places) for curve in curves], axis=0)
        return np.where(pairs < self.min_pairs, np.nan, total / np.maximum(pairs, 1))


def _products(curve: Curve, edges: np.ndarray) -> np.ndarray:
    """Return the sum of products of standardised values and the number of pairs in each bin of lag (2, n_bins)."""
    found = np.zeros((2, len(edges) - 1))
    if not curve.value.std() > 0:
        return found
    order = np.argsort(curve.time, kind="stable")
    time, value = curve.time[order], ((curve.value - curve.value.mean()) / curve.value.std())[order]
    for k in range(1, len(time)):
        lag = time[k:] - time[:-k]
        if lag.min() >= edges[-1]:  # then all larger k only have larger lags
            break
        place = np.searchsorted(edges, lag, side="right") - 1
        inside = (place >= 0) & (place < len(edges) - 1)
        for row, weights in zip(found, (value[k:] * value[:-k], np.ones(len(lag))), strict=True):
            row += np.bincount(place[inside], weights[inside], minlength=len(edges) - 1)
    return found
