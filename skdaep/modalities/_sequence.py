"""Sequences: a measured value at a continuous location, perhaps in a band, with metadata of the object.

Spectra, light curves and radial velocities are all this one geometry; they differ in declared column names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from astropy.table import Column, Table

from .. import tables
from ..exceptions import TableError
from ._base import Modality
from ._learned import Learned, Scaling, default_grid, spacings
from ._reading import canonical_order, read_together
from ._tokenizer import SequenceHead, SequenceTokenizer

ROLES = ("value", "location", "band", "error")


@dataclass(frozen=True)
class Sequence(Modality):
    """Declare a modality of values at continuous locations: spectra, light curves, radial velocities.

    A column left as None is found by its customary name (``flux``, ``mag``, ``wavelength``, ``mjd``, ``filter``,
    ``flux_err``, ...); none or several such columns is an error that lists those there are.

    Parameters
    ----------
    value, location : str or None, default=None
        Columns of the measurement and of where on the axis it was made.
    band : str or None, default=None
        Column of a label (filter). None: found by name; a table without one has a single, unnamed band.
    error : str or None, default=None
        Column of the one-sigma error of `value`. None: found by name if there is one.
    metadata : tuple of str, default=()
        Keys of ``table.meta``, any case, that condition encoder and decoder: numbers or labels, absent where unknown.
    resolution : float or None, default=None
        Finest scale along the location axis to be resolved, in its unit. None: a tenth of the spacings between
        neighbours of one band in the training objects are finer than it.
    unknown : {"error", "ignore"}, default="error"
        What to do with a band or metadata label that was not seen in fit; ignored means its points are dropped,
        its metadata absent.
    learned : Learned or None, default=None
        What `learn` found; not for the user to give.

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
    metadata: tuple[str, ...] = ()
    resolution: float | None = None
    unknown: str = "error"
    learned: Learned | None = field(default=None, repr=False)

    takes_rows = True

    def objects(self, X, name: str) -> Iterator[Table]:
        """Yield the Tables of X."""
        return tables.each_object(X, name)

    def one(self, obj, where: str):
        """Return a Table."""
        return tables.as_table(obj, where)

    # --- learning -----------------------------------------------------------------------------------

    def learn(self, objects: list, where: list[str] | None = None) -> Sequence:
        """Return a copy completed with columns, units, bands, scaling, metadata and default grid of `objects`."""
        self._check()
        where = where or [f"X[{i}]" for i in range(len(objects))]
        arrays = isinstance(objects[0], np.ndarray)
        new = self if arrays else self._find_columns(objects[0], where[0])
        units = (
            {}
            if arrays
            else {c: tables.unit_of(objects[0], c) for c in (new.value, new.location, new.error) if c is not None}
        )
        # Errors are read in the unit of the values they belong to.
        if new.error is not None and not arrays:
            units[new.error] = tables.unit_of_error(units[new.value])
        raw = read_together(partial(new._raw, units=units), objects, where)
        value, location, band, errors, owner = (
            raw[k][raw["seen"]] for k in ("value", "location", "band", "error", "owner")
        )
        scaling = Scaling.of(location, np.median(location))
        scaled = scaling.forward(location)
        spacing = spacings(scaled, band, owner)
        extent = float(np.ptp(scaled)) or 1.0
        finest = np.quantile(spacing, 0.1) if len(spacing) else extent
        numbers, labels, typical = new._learn_metadata(objects, arrays)
        n_points = float(np.median(np.bincount(owner)))  # no object is without a point
        value_scaling = Scaling.of(value)
        errors = errors[errors > 0]  # also leaves out NaN
        learned = Learned(
            units=units,
            value=value_scaling,
            location=scaling,
            bands=tuple(np.unique(band).tolist()),
            resolution=float(finest if self.resolution is None else self.resolution / scaling.scale),
            extent=extent,
            numbers=numbers,
            labels=labels,
            typical=typical,
            grid=default_grid(location, band, n_points) if not arrays else (("", tuple(range(len(objects[0])))),),
            error=float(np.median(errors)) / value_scaling.scale if len(errors) else None,
            n_points=n_points,
            arrays=arrays,
        )
        return replace(new, learned=learned)

    def _check(self) -> None:
        if self.unknown not in ("error", "ignore"):
            raise ValueError(f"Sequence(unknown={self.unknown!r}): choose 'error' or 'ignore'.")
        if isinstance(self.metadata, str):
            raise ValueError(f"Sequence(metadata={self.metadata!r}): give a tuple, ({self.metadata!r},).")
        if duplicate := tables.first_duplicate(self.metadata):
            raise ValueError(f"Sequence(metadata=...): {duplicate!r} is named twice.")
        if self.resolution is not None and not self.resolution > 0:
            raise ValueError(f"Sequence(resolution={self.resolution!r}): a positive number is needed.")

    def _find_columns(self, table: Table, where: str) -> Sequence:
        """Fix the columns by the first table; the others must have the same."""
        names = {
            role: tables.find_column(table, role, getattr(self, role), where, required=role in ("value", "location"))
            for role in ROLES
        }
        return replace(self, **names)

    def _learn_metadata(self, objects: list, arrays: bool):
        numbers, labels, typical = {}, {}, {}
        if arrays and self.metadata:
            raise TableError("metadata needs Tables; rows of a 2-D array have none.")
        for key in self.metadata:
            seen = [v for v in (tables.metadata(o, key) for o in objects) if v is not None]
            if not seen:
                raise TableError(f"metadata {key!r} is in no object's meta (X[0] has: {', '.join(objects[0].meta)}).")
            if all(isinstance(v, float) for v in seen):
                numbers[key] = Scaling.of(np.array(seen))
                typical[key] = float(np.median(seen))
            else:
                counts = Counter(str(v) for v in seen)
                labels[key] = tuple(sorted(counts, key=lambda label: (-counts[label], label)))
                typical[key] = labels[key][0]
        return numbers, labels, typical

    # --- reading ------------------------------------------------------------------------------------

    def n_points(self, obj) -> int:
        """Return the number of rows."""
        return len(obj)

    def read(self, obj, where: str, values: bool = True) -> dict[str, Any]:
        """Return one object as scaled arrays in a canonical order of its rows."""
        return self.read_all([obj], [where], values)[0]

    def read_all(self, objects: list, where: list[str], values: bool = True) -> list[dict[str, Any]]:
        """Return what `read` does of each object, its arrays cut from those of all points."""
        return read_together(partial(self._read, values=values), objects, where) if objects else []

    def _read(self, objects: list, where: list[str], values: bool) -> list[dict[str, Any]]:
        learned = self.learned
        for obj, place in zip(objects, where, strict=True):
            if isinstance(obj, np.ndarray) and not learned.arrays:
                raise TableError(f"{place} is a row of an array, but fit saw Tables.")
            if not isinstance(obj, np.ndarray) and learned.arrays:
                raise TableError(f"{place} is a Table, but fit saw a 2-D array.")
        raw = self._raw(objects, where, learned.units, values)
        band, known = self._band_index(raw, where)
        seen = raw["seen"] & known
        if values and len(without := _without(seen, raw["owner"], len(objects))):
            raise TableError(f"{where[without[0]]} has no point in a band seen in fit.")
        # Canonical order: equal contents give equal noise and sums, however the rows were sorted.
        keep = np.flatnonzero(np.isfinite(raw["location"]) & known)
        value = np.nan_to_num(raw["value"], nan=np.inf)
        keep = keep[canonical_order(*(x[keep] for x in (raw["owner"], raw["location"], band, value)))]
        points = {
            "value": learned.value.forward(raw["value"][keep]).astype(np.float32),
            "location": learned.location.forward(raw["location"][keep]).astype(np.float32),
            "band": band[keep],
            "error": (raw["error"][keep] / learned.value.scale).astype(np.float32),
            "seen": seen[keep],
            "rows": raw["row"][keep],
        }
        numbers, labels = self._read_metadata(objects, where)
        ends = np.cumsum(np.bincount(raw["owner"][keep], minlength=len(objects))).tolist()
        return [
            {k: v[start:end] for k, v in points.items()} | {"n_rows": len(obj), "numbers": n, "labels": c}
            for obj, start, end, n, c in zip(objects, [0, *ends], ends, numbers, labels, strict=False)
        ]

    def _band_index(self, raw: dict[str, np.ndarray], where: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the index of each point's band among those seen in fit, and whether it is one of them."""
        bands = self.learned.bands
        index = np.searchsorted(bands, raw["band"]).clip(max=len(bands) - 1)
        known = np.asarray(bands)[index] == raw["band"]
        odd = np.flatnonzero(~known & (raw["band"] != "")) if self.unknown == "error" and not known.all() else ()
        if len(odd):
            raise TableError(
                f"{where[raw['owner'][odd[0]]]} column '{self.band}' has band {str(raw['band'][odd[0]])!r}, "
                f"not seen in fit ({', '.join(bands)}). Remove it, or set Sequence(unknown='ignore')."
            )
        return index, known

    def _raw(self, objects: list, where: list[str], units: dict, values: bool = True) -> dict[str, np.ndarray]:
        """Return the columns of objects end to end, in the units of fit.

        Beside them stand `owner` and `row`, the object and its row that a point is from, and `seen`: where a value was
        measured.
        """
        owner, row = tables.owner_and_row([len(obj) for obj in objects])
        raw = {"owner": owner, "row": row, "band": np.full(len(owner), "")}
        nothing = np.full(len(owner), np.nan)
        if isinstance(objects[0], np.ndarray):
            raw |= {"value": np.concatenate(objects), "location": row.astype(np.float64), "error": nothing}
        else:
            roles = ("location", "band", *(("value", "error") if values else ()))
            names = {role: name for role in roles if (name := getattr(self, role)) is not None}
            for obj, place in zip(objects, where, strict=True):
                self._check_columns(obj, names, place)
            for role in ("location", "value", "error"):
                name = names.get(role)
                raw[role] = nothing if name is None else tables.numbers_of(objects, name, where, units.get(name))
            if "band" in names:
                raw["band"] = tables.labels_of(objects, self.band)
        raw["seen"] = np.isfinite(raw["value"]) & np.isfinite(raw["location"])
        if self.band is not None:
            raw["seen"] &= raw["band"] != ""
        if values and len(without := _without(raw["seen"], owner, len(objects))):
            raise TableError(f"{where[without[0]]} has no finite '{self.value or 'value'}'; remove the object.")
        return raw

    def _check_columns(self, table: Table, names: dict[str, str], where: str) -> None:
        if len(table) == 0:
            raise TableError(f"{where} is an empty table; remove the object.")
        if not all(name in table.columns for name in names.values()):
            for role, name in names.items():
                tables.find_column(table, role, name, where)

    def _read_metadata(self, objects: list, where: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return scaled numbers (n_objects, M), NaN where absent, and indices of labels (n_objects, C), -1 there."""
        learned = self.learned
        numbers = np.full((len(objects), len(learned.numbers)), np.nan, np.float32)
        labels = np.full((len(objects), len(learned.labels)), -1, np.int64)
        for i, (obj, place) in enumerate(zip(objects, where, strict=True) if self.metadata else ()):
            for j, (key, scaling) in enumerate(learned.numbers.items()):
                value = tables.metadata(obj, key)
                if isinstance(value, str):
                    raise TableError(f"{place} metadata {key!r} is {value!r}; in fit it was a number.")
                if value is not None:
                    numbers[i, j] = scaling.forward(value)
            for j, (key, seen) in enumerate(learned.labels.items()):
                value = tables.metadata(obj, key)
                if value is not None and str(value) in seen:
                    labels[i, j] = seen.index(str(value))
                elif value is not None and self.unknown == "error":
                    raise TableError(
                        f"{place} metadata {key!r} is {value!r}, not seen in fit ({', '.join(seen)}). "
                        f"Remove it from meta, or set Sequence(unknown='ignore')."
                    )
        return numbers, labels

    def values_at(self, record: dict[str, Any], target: dict[str, Any]) -> np.ndarray:
        """Return values (n_points,) linear between those seen in the same band and constant beyond; NaN without any."""
        values = np.full(len(target["location"]), np.nan, np.float32)
        for band in np.unique(target["band"]):
            own, there = record["seen"] & (record["band"] == band), target["band"] == band
            if own.any():
                values[there] = np.interp(target["location"][there], record["location"][own], record["value"][own])
        return values

    def typical_metadata(self, record: dict[str, Any]) -> dict[str, Any]:
        """Fill absent metadata of a record with the training median or the commonest label."""
        learned = self.learned
        numbers = [s.forward(learned.typical[key]) for key, s in learned.numbers.items()]
        return record | {
            "numbers": np.where(np.isnan(record["numbers"]), np.array(numbers, np.float32), record["numbers"]),
            "labels": record["labels"].clip(min=0),
        }

    # --- writing ------------------------------------------------------------------------------------

    def unscale(self, values: np.ndarray, record: dict[str, Any]) -> np.ndarray:
        """Return values (n_points[, n_draws]) in the units of fit and the order of the object's rows."""
        full = np.full((record["n_rows"], *values.shape[1:]), np.nan)
        full[record["rows"]] = self.learned.value.back(values.astype(np.float64))
        return full

    def write(self, values: np.ndarray, like):
        """Return a Table with the locations, bands and meta of `like` and `values` as its measurements."""
        if isinstance(like, np.ndarray):
            return values
        units, names = self.learned.units, [c for c in (self.location, self.band) if c is not None]
        columns = {c: like[c] for c in like.colnames if c in names} | {self.value: values}
        return tables.write(like, columns, self.value, units[self.value])

    def grid(self):
        """Return the default grid: a row of columns, or a Table without values and with typical metadata."""
        learned = self.learned
        if learned.arrays:
            return np.full(len(learned.grid[0][1]), np.nan)
        location = np.concatenate([np.asarray(locations) for _, locations in learned.grid])
        table = Table(meta=dict(learned.typical))
        table[self.location] = Column(location, unit=learned.units[self.location])
        if self.band is not None:
            table[self.band] = np.concatenate([np.full(len(locations), b) for b, locations in learned.grid])
        return table

    def typical_error(self) -> float | None:
        """Return the median measurement error in scaled values."""
        return self.learned.error

    def separations(self) -> tuple[float, float, int]:
        """Return finest and longest separation of scaled locations, and the number of bands."""
        return self.learned.resolution, self.learned.extent, len(self.learned.bands)

    def tokenizer(self, model_dim: int) -> SequenceTokenizer:
        """Return a new tokenizer."""
        learned = self.learned
        return SequenceTokenizer(
            model_dim,
            n_bands=len(learned.bands),
            n_numbers=len(learned.numbers),
            n_labels=[len(seen) for seen in learned.labels.values()],
            extent=learned.extent,
            resolution=learned.resolution,
        )

    def head(self, model_dim: int) -> SequenceHead:
        """Return a new head: output tokens to values."""
        return SequenceHead(model_dim)


def _without(seen: np.ndarray, owner: np.ndarray, n_objects: int) -> np.ndarray:
    """Return the indices of objects none of whose points is seen."""
    return np.flatnonzero(np.bincount(owner[seen], minlength=n_objects) == 0)


def Spectrum(value="flux", location="wavelength", **declaration) -> Sequence:
    """Declare a spectrum: `Sequence` with columns ``flux`` and ``wavelength`` unless told otherwise.

    Parameters
    ----------
    value, location : str
        Columns of the flux and of the wavelength (or frequency, energy).
    **declaration
        Other fields of `Sequence`.

    Returns
    -------
    modality : Sequence
        The declaration.

    Examples
    --------
    >>> from skdaep import Spectrum
    >>> Spectrum(metadata=("phase",)).location
    'wavelength'
    """
    return Sequence(value=value, location=location, **declaration)


def Photometry(value="mag", location="time", band="band", **declaration) -> Sequence:
    """Declare a light curve: `Sequence` with columns ``mag``, ``time`` and ``band`` unless told otherwise.

    Parameters
    ----------
    value, location, band : str
        Columns of the magnitude or flux, of the time and of the filter.
    **declaration
        Other fields of `Sequence`.

    Returns
    -------
    modality : Sequence
        The declaration.

    Examples
    --------
    >>> from skdaep import Photometry
    >>> Photometry(value="flux", location="mjd").band
    'band'
    """
    return Sequence(value=value, location=location, band=band, **declaration)
