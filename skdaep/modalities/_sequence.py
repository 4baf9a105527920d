"""Sequences: values measured at continuous locations, perhaps in bands, with metadata of the object.

Spectra, light curves and radial velocities all have this geometry. They only differ in the names of their columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from numbers import Real

import numpy as np
from astropy.table import Column, Table

from .. import tables
from ..exceptions import TableError
from ._base import Modality
from ._find import find_columns, find_cycle
from ._inlet import Inlet, SequenceInlet
from ._learned import EXTREME, Learned, Scaling, circle, line, spoiler
from ._metadata import learn_metadata, read_metadata, typical_meta
from ._range import warn_out_of_range
from ._reading import canonical_order, read_together, remedy
from ._record import LINE, Record, Separations
from ._spread import check_spread, scaled_resolution
from ._tokenizer import SequenceHead, SequenceTokenizer


@dataclass(frozen=True)
class Sequence(Modality):
    """Declare a modality of values at continuous locations: spectra, light curves, radial velocities.

    A column left as None is found by its usual names (``flux``, ``mag``, ``wavelength``, ``mjd``, ``filter``,
    ``flux_err``, ...). If no column or several match, an error lists them.

    Parameters
    ----------
    value, location : str or None, default=None
        Columns of the measured value and of its location on the axis.
    band : str or None, default=None
        Column of the filter. None finds it by name; a table without one has a single, unnamed band.
    error : str or None, default=None
        Column of the one-sigma error of `value`. None finds it by name, if there is one: ``e_mag`` and ``mag_err``
        belong to ``mag``, but ``flux_err`` does not. In Tables without this column errors are unknown. A point with an
        infinite error was not observed.
    ivar : str or None, default=None
        Column of the inverse variance of `value`, instead of `error`. None finds it by name if there are no errors. A
        point with an inverse variance of 0 was not observed.
    quality : str or None, default=None
        Column of flags or of a mask: a point whose flag is not 0, or is True, was not observed. None only finds
        unmistakable names (``dq``, ``and_mask``, ``catflags``, ``upper_limit``, ...), and ``repr`` shows what it found.
        Columns called ``quality`` or ``mask`` must be named here.
    metadata : tuple of str, default=()
        Keys of ``table.meta``, in any case, that are given to encoder and decoder: numbers, converted to the unit of
        fit if they have one, or labels. A key may be absent from some objects.
    resolution : float or None, default=None
        Finest scale to resolve along the location axis, in its unit. None chooses the 10th percentile of the spacings
        between neighbouring points of a band in the training objects, but at least a tenth of an object's mean spacing.
        The latter matters if points come in clusters, such as several exposures per night.
    unknown : {"error", "ignore"}, default="error"
        What to do with a band or metadata label that was not seen in fit. "ignore" drops its points, or treats the
        metadata as absent.
    prefer : tuple of str, default=()
        Columns, in any case, to prefer if several match, such as "mag" in `Photometry`.
    cycle : float or None, default=None
        Period of locations that lie on a circle, such as phases, in their unit: with 1.0, phase 0.99 is next to 0.01.
        None uses the mark that `skdaep.preprocessing.PhaseFold` leaves in the column; without it, locations lie on a
        line. On a circle the default `resolution` is the mean spacing of an object's points in a band.
    learned : Learned or None, default=None
        What `learn` found. Do not set it yourself.

    Notes
    -----
    Values and locations are standardised by mean and standard deviation of the training points. This ignores a few wild
    points: those beyond a gap and more than ten interquartile ranges from the quartiles. If the same number recurs
    there, such as -999, an `OutOfRangeWarning` names it. Numbers more than a million standard deviations away are
    refused.

    Examples
    --------
    >>> from skdaep import Sequence
    >>> Sequence(value="rv", location="bjd", metadata=("spectral_type",)).value
    'rv'
    """

    value: str | None = None
    location: str | None = None
    band: str | None = None
    error: str | None = None
    ivar: str | None = None
    quality: str | None = None
    metadata: tuple[str, ...] = ()
    resolution: float | None = None
    unknown: str = "error"
    prefer: tuple[str, ...] = ()
    cycle: float | None = None
    learned: Learned | None = field(default=None, repr=False)

    geometry = LINE
    takes_rows = True
    takes_tables = True

    def objects(self, X, name: str) -> Iterator[Table]:
        """Yield the Tables of X."""
        return tables.iterate_objects(X, name)

    def one(self, obj, object_name: str):
        """Return a Table."""
        several = "Of several epochs make several objects, held together by groups=; each has one Table."
        return tables.as_table(obj, object_name, several)

    def is_one(self, X) -> bool:
        """Return whether X is a Table."""
        return tables.is_tabular(X)

    # --- learning -----------------------------------------------------------------------------------

    def learn(self, objects: list, object_names: list[str] | None = None) -> Sequence:
        """Return a copy that has learned columns, units, bands, scaling, metadata and default grid from `objects`."""
        self._check()
        object_names = object_names or [f"X[{i}]" for i in range(len(objects))]
        arrays = isinstance(objects[0], np.ndarray)
        if arrays and self.metadata:
            raise TableError("metadata needs Tables; rows of a 2-D array have none.")
        new = self if arrays else replace(self, **find_columns(self, objects, object_names))
        if not arrays and self.cycle is None:
            new = replace(new, cycle=find_cycle(new.location, objects, object_names))
        units = {} if arrays else new._units_of(objects[0])
        raw = read_together(partial(new._raw, units=units, whose=object_names[0]), objects, object_names)
        value, location, band, errors, owner = (
            raw[k][raw["seen"]] for k in ("value", "location", "band", "error", "owner")
        )
        for role, numbers in (("value", value), ("location", location)):
            check_spread(numbers, f"{object_names[0]} and the others: column '{getattr(new, role) or role}'")
            if (i := spoiler(numbers, owner)) is not None:
                new._refuse_extreme(role, raw, np.flatnonzero(raw["seen"])[i], object_names)
            if not arrays:
                tables.warn_of_sentinels_in(objects[0], getattr(new, role), role, numbers, owner, object_names)
        scaling = Scaling.of(location, np.median(location))
        n_points = float(np.median(np.bincount(owner)))  # every object has a point
        bands = tuple(np.unique(band).tolist())
        axis = (
            line(location, band, owner, scaling, n_points)
            if new.cycle is None
            else circle(new.cycle, bands, scaling, n_points)
        )
        value_scaling = Scaling.of(value)
        errors = errors[errors > 0]  # this removes NaN, too
        learned = Learned(
            units=units,
            value=value_scaling,
            location=scaling,
            bands=bands,
            resolution=scaled_resolution(self.resolution, axis.finest, scaling.scale, axis.extent),
            extent=axis.extent,
            **learn_metadata(objects, object_names, self.metadata)._asdict(),
            grid=axis.grid if not arrays else (("", tuple(range(len(objects[0])))),),
            error=float(np.median(errors)) / value_scaling.scale if len(errors) else None,
            n_points=n_points,
            arrays=arrays,
            ranges={"value": tables.range_of(value)} | ({} if new.cycle else {"location": tables.range_of(location)}),
            time_scale=None if arrays else tables.time_scale(objects[0][new.location]),
        )
        return replace(new, learned=learned)

    def _check(self) -> None:
        if self.unknown not in ("error", "ignore"):
            raise ValueError(f"Sequence(unknown={self.unknown!r}): choose 'error' or 'ignore'.")
        if isinstance(self.metadata, str):
            raise ValueError(f"Sequence(metadata={self.metadata!r}): give a tuple, ({self.metadata!r},).")
        if duplicate := tables.first_duplicate(self.metadata):
            raise ValueError(f"Sequence(metadata=...): {duplicate!r} is named twice.")
        for name in ("resolution", "cycle"):
            if (given := getattr(self, name)) is None:
                continue
            wanted = f"Sequence({name}={given!r}): a positive number in the unit of the location is needed."
            if not isinstance(given, Real):
                raise TypeError(wanted)
            if not 0 < given < np.inf:
                raise ValueError(wanted)

    @property
    def columns(self) -> tables.Columns | None:
        """Columns by role, including those that `learn` has found; None for arrays."""
        return None if self.learned is not None and self.learned.arrays else self._roles

    @property
    def _roles(self) -> tables.Columns:
        return tables.Columns(*(getattr(self, role) for role in tables.Columns._fields))

    @property
    def is_over_time(self) -> bool:
        """Whether locations are times and not phases, judging by their unit or else their name."""
        return (
            self.columns is not None
            and self.cycle is None
            and tables.says_time(self.location, self.learned.units[self.location])
        )

    @property
    def place_columns(self) -> tuple[str, ...]:
        """The columns that state where a value was measured."""
        return tuple(c for c in (self.location, self.band) if c is not None)

    def _units_of(self, table: Table) -> dict[str, str | None]:
        """Return units by column. Errors have the unit of their values, logarithms of wavelength that of wavelength."""
        value, location = tables.unit_of(table, self.value), tables.unit_of(table, self.location)
        units = {self.value: value, self.location: tables.linear_unit(self.location, location)}
        return units if self.error is None else units | {self.error: tables.unit_of_error(value)}

    def check_errors(self, objects: list, object_names: list[str]) -> None:
        """Raise an error if an object lacks the column of errors, or of inverse variances, that others have."""
        role = "ivar" if self.error is None else "error"
        for i in tables.distinct_layouts(objects) if getattr(self, role) is not None else ():
            tables.find_column(objects[i], role, getattr(self, role), object_names[i])

    # --- reading ------------------------------------------------------------------------------------

    def n_points(self, obj) -> int:
        """Return the number of rows."""
        return len(obj)

    def read(self, obj, object_name: str, values: bool = True) -> Record:
        """Return one object as scaled arrays, with its points in a canonical order."""
        return self.read_all([obj], [object_name], values)[0]

    def read_all(self, objects: list, object_names: list[str], values: bool = True) -> list[Record]:
        """Return the record of each object, like `read`, but read all points at once."""
        return read_together(partial(self._read, values=values), objects, object_names) if objects else []

    def _read(self, objects: list, object_names: list[str], values: bool) -> list[Record]:
        learned = self.learned
        for i in tables.distinct_layouts(objects):
            obj, place = objects[i], object_names[i]
            if isinstance(obj, np.ndarray) and not learned.arrays:
                raise TableError(f"{place} is a row of an array, but fit saw Tables.")
            if not isinstance(obj, np.ndarray) and learned.arrays:
                raise TableError(f"{place} is a Table, but fit saw a 2-D array.")
        raw = self._raw(objects, object_names, learned.units, values)
        band, known = self._band_index(raw, object_names)
        seen = raw["seen"] & known
        if values and len(without := _without(seen, raw["owner"], len(objects))):
            place = object_names[without[0]]
            raise TableError(f"{place} has no point in a band seen in fit; {remedy(place)}.")
        chosen = np.flatnonzero(np.isfinite(raw["location"]) & known)
        for role, scaling in (("value", learned.value), ("location", learned.location)):
            if len(beyond := chosen[scaling.extreme(raw[role][chosen])]):
                self._refuse_extreme(role, raw, beyond[0], object_names)
        warn_out_of_range(raw, learned.ranges, self._roles._asdict(), object_names)
        # Canonical order: noise and sums must not depend on how the rows were sorted.
        value = np.nan_to_num(raw["value"], nan=np.inf)
        chosen = chosen[canonical_order(*(x[chosen] for x in (raw["owner"], raw["location"], band, value)))]
        with np.errstate(over="ignore"):  # an infinite error is allowed: the point has no weight
            error = (raw["error"][chosen] / learned.value.scale).astype(np.float32)
        points = {
            "value": learned.value.forward(raw["value"][chosen]).astype(np.float32),
            "location": learned.location.forward(raw["location"][chosen]).astype(np.float32),
            "band": band[chosen],
            "error": error,
            "observed": seen[chosen],
            "rows": raw["row"][chosen],
        }
        numbers, labels = read_metadata(objects, object_names, learned, self.unknown)
        lengths = np.bincount(raw["owner"][chosen], minlength=len(objects))
        whole = {"n_rows": tables.n_points(objects).tolist(), "numbers": numbers, "labels": labels}
        return Record.cut(points, lengths, whole)

    def _refuse_extreme(self, role: str, raw: dict[str, np.ndarray], i: int, object_names: list[str]) -> None:
        owner, row, name = object_names[raw["owner"][i]], raw["row"][i], getattr(self, role)
        column, place = ("", f"column {row}") if name is None else (f" column '{name}'", f"row {row}")
        raise TableError(f"{owner}{column} is {raw[role][i]:g} at {place}, {EXTREME}.")

    def _band_index(self, raw: dict[str, np.ndarray], object_names: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the index of each point's band among those seen in fit, and whether the band was seen."""
        bands = np.asarray(self.learned.bands)

        def index_of(labels: np.ndarray) -> np.ndarray:
            return np.searchsorted(bands, labels).clip(max=len(bands) - 1)

        index = tables.map_labels(index_of, raw["band"])
        known = tables.map_labels(lambda labels: bands[index_of(labels)] == labels, raw["band"])
        odd = np.flatnonzero(~known & _has_band(raw)) if self.unknown == "error" and not known.all() else ()
        if len(odd):
            raise TableError(
                f"{object_names[raw['owner'][odd[0]]]} column '{self.band}' has band {str(raw['band'][odd[0]])!r}, "
                f"not seen in fit ({tables.listed(self.learned.bands)}). Remove it, or set Sequence(unknown='ignore')."
            )
        return index, known

    def _raw(
        self, objects: list, object_names: list[str], units: dict, values: bool = True, whose: str = "fit"
    ) -> dict[str, np.ndarray]:
        """Return the columns of all objects, concatenated, in `units`, which are those of fit or of an object.

        The result also has the object and the row of each point, `owner` and `row`, and whether its value was measured,
        `seen`.
        """
        owner, row = tables.owner_and_row(tables.n_points(objects))
        raw = {"owner": owner, "row": row, "band": np.full(len(owner), "")}
        nothing = np.full(len(owner), np.nan)
        if isinstance(objects[0], np.ndarray):
            raw |= {"value": np.concatenate(objects), "location": row.astype(np.float64), "error": nothing}
        else:
            needed = ("location", "band", *(("value",) if values else ()))
            names = {role: name for role in needed if (name := getattr(self, role)) is not None}
            for i in tables.distinct_layouts(objects):
                self._check_columns(objects[i], names, object_names[i])
            scale = self.learned.time_scale if self.learned else tables.time_scale(objects[0].columns[self.location])
            by_role = {role: units[name] for role in ("value", "location") if (name := getattr(self, role)) in units}
            raw |= {"value": nothing, "error": nothing}
            raw |= tables.read_points(objects, self._roles, object_names, by_role, whose, scale=scale, values=values)
        if self.cycle is not None:
            raw["location"] = np.mod(raw["location"], self.cycle)
        raw["seen"] = np.isfinite(raw["value"]) & np.isfinite(raw["location"])
        if self.band is not None:
            raw["seen"] &= _has_band(raw)
        if values and len(without := _without(raw["seen"], owner, len(objects))):
            place = object_names[without[0]]
            raise TableError(f"{place} has no finite '{self.value or 'value'}'{self._why_none()}; {remedy(place)}.")
        return raw

    def _why_none(self) -> str:
        """Return which columns, besides the values, may make all points of an object unobserved."""
        marks = [f"'{name}' is {bad}" for name, bad in ((self.ivar, "0"), (self.quality, "not 0")) if name is not None]
        return f" (points where {' or '.join(marks)} are not observed)" if marks else ""

    def _check_columns(self, table: Table, names: dict[str, str], object_name: str) -> None:
        if len(table) == 0:
            raise TableError(f"{object_name} is an empty table; {remedy(object_name)}.")
        if not all(name in table.columns for name in names.values()):
            for role, name in names.items():
                tables.find_column(table, role, name, object_name)

    def values_at(self, record: Record, target: Record) -> np.ndarray:
        """Return values (n_points,) interpolated within their band, constant beyond its ends; NaN without any."""
        values = np.full(len(target), np.nan, np.float32)
        for band in np.unique(target.band):
            own, there = record.observed & (record.band == band), target.band == band
            if own.any():
                known = record.location[own], record.value[own]
                values[there] = np.interp(target.location[there], *known, period=self._scaled_cycle)
        return values

    def typical_metadata(self, record: Record) -> Record:
        """Replace absent metadata of a record by the training median or the most common label."""
        learned = self.learned
        numbers = [s.forward(learned.typical[key]) for key, s in learned.numbers.items()]
        return record.replace(
            numbers=np.where(np.isnan(record.numbers), np.array(numbers, np.float32), record.numbers),
            labels=record.labels.clip(min=0),
        )

    # --- writing ------------------------------------------------------------------------------------

    @property
    def dtype(self) -> type:
        return self.learned.value.dtype

    def unscale(self, values: np.ndarray, record: Record) -> np.ndarray:
        """Return values (n_points[, n_draws]) in the units of fit and in the order of the object's rows."""
        full = np.full((record.n_rows, *values.shape[1:]), np.nan)
        full[record.rows] = self.learned.value.back(values.astype(np.float64))
        return full

    def write(self, values: np.ndarray, template):
        """Return a Table with `values`, and with the locations, bands and meta of `template`."""
        if isinstance(template, np.ndarray):
            return values
        units, places = self.learned.units, self.place_columns
        columns = {c: template[c] for c in template.colnames if c in places} | {self.value: values}
        return tables.write(template, columns, self.value, units[self.value])

    def grid(self):
        """Return the default grid: a row of an array, or a Table with typical metadata but no values."""
        learned = self.learned
        if learned.arrays:
            return np.full(len(learned.grid[0][1]), np.nan)
        location = np.concatenate([np.asarray(locations) for _, locations in learned.grid])
        table = Table(meta=typical_meta(learned))
        table[self.location] = Column(location, unit=learned.units[self.location])
        if self.band is not None:
            table[self.band] = np.concatenate([np.full(len(locations), b) for b, locations in learned.grid])
        return table

    @property
    def n_numbers(self) -> int:
        return len(self.learned.numbers)

    @property
    def n_labels(self) -> tuple[int, ...]:
        return tuple(len(seen) for seen in self.learned.labels.values())

    def typical_error(self) -> float | None:
        """Return the median measurement error in scaled values."""
        return self.learned.error

    def separations(self) -> Separations:
        """Return the separations of scaled locations."""
        learned = self.learned
        return Separations((learned.resolution,), (learned.extent,), len(learned.bands), self._scaled_cycle)

    @property
    def _scaled_cycle(self) -> float | None:
        return None if self.cycle is None else self.cycle / self.learned.location.scale

    def inlet(self) -> Inlet:
        """Return a module that turns arrays of columns into a batch."""
        return SequenceInlet(self) if type(self).read_all is Sequence.read_all else Modality.inlet(self)

    def tokenizer(self, model_dim: int) -> SequenceTokenizer:
        """Return a new tokenizer."""
        learned = self.learned
        return SequenceTokenizer(
            model_dim,
            n_bands=len(learned.bands),
            n_numbers=self.n_numbers,
            n_labels=self.n_labels,
            extent=learned.extent,
            resolution=learned.resolution,
            cycle=self._scaled_cycle,
        )

    def head(self, model_dim: int) -> SequenceHead:
        """Return a new head that turns output tokens into values."""
        return SequenceHead(model_dim)


def _has_band(raw: dict[str, np.ndarray]) -> np.ndarray:
    return tables.map_labels(lambda labels: labels != "", raw["band"])


def _without(seen: np.ndarray, owner: np.ndarray, n_objects: int) -> np.ndarray:
    """Return the indices of objects without a single observed point."""
    return np.flatnonzero(np.bincount(owner[seen], minlength=n_objects) == 0)
