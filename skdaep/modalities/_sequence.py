"""Sequences: a measured value at a continuous location, perhaps in a band, with metadata of the object.

Spectra, light curves and radial velocities are all this one geometry; they differ in declared column names.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from astropy.table import Column, Table

from .. import tables
from ..exceptions import TableError
from ._base import Modality
from ._learned import Learned, Scaling, default_grid, spacings
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

    def objects(self, X, name: str) -> list:
        """Return X as a list of Tables."""
        return tables.as_objects(X, name)

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
        raw = [new._raw(o, w, units) for o, w in zip(objects, where, strict=True)]
        value = np.concatenate([r["value"][r["seen"]] for r in raw])
        location = np.concatenate([r["location"][r["seen"]] for r in raw])
        band = np.concatenate([r["band"][r["seen"]] for r in raw])
        scaling = Scaling.of(location, np.median(location))
        scaled = scaling.forward(location)
        owner = np.repeat(np.arange(len(raw)), [r["seen"].sum() for r in raw])
        spacing = spacings(scaled, band, owner)
        extent = float(np.ptp(scaled)) or 1.0
        finest = np.quantile(spacing, 0.1) if len(spacing) else extent
        numbers, labels, typical = new._learn_metadata(objects, arrays)
        n_points = float(np.median([r["seen"].sum() for r in raw]))
        value_scaling = Scaling.of(value)
        errors = np.concatenate([r["error"][r["seen"]] for r in raw])
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

    def read(self, obj, where: str, values: bool = True) -> dict[str, Any]:
        """Return one object as scaled arrays in a canonical order of its rows."""
        learned = self.learned
        if isinstance(obj, np.ndarray) and not learned.arrays:
            raise TableError(f"{where} is a row of an array, but fit saw Tables.")
        if not isinstance(obj, np.ndarray) and learned.arrays:
            raise TableError(f"{where} is a Table, but fit saw a 2-D array.")
        raw = self._raw(obj, where, learned.units, values)
        band = np.searchsorted(learned.bands, raw["band"]).clip(max=len(learned.bands) - 1)
        known = np.asarray(learned.bands)[band] == raw["band"]
        if not known.all() and self.unknown == "error":
            name = raw["band"][~known & (raw["band"] != "")]
            if len(name):
                raise TableError(
                    f"{where} column '{self.band}' has band {str(name[0])!r}, not seen in fit "
                    f"({', '.join(learned.bands)}). Remove it, or set Sequence(unknown='ignore')."
                )
        record = {
            "value": learned.value.forward(raw["value"]).astype(np.float32),
            "location": learned.location.forward(raw["location"]).astype(np.float32),
            "band": band,
            "error": (raw["error"] / learned.value.scale).astype(np.float32),
            "seen": raw["seen"] & known,
            "rows": np.flatnonzero(np.isfinite(raw["location"]) & known),
        }
        if values and not record["seen"].any():
            raise TableError(f"{where} has no point in a band seen in fit.")
        # Canonical order: equal contents give equal noise and sums, however the rows were sorted.
        order = np.lexsort((raw["value"], raw["band"], raw["location"]))
        keep = order[np.isin(order, record["rows"], assume_unique=True)]
        record = {k: v[keep] for k, v in record.items() if k != "rows"}
        record["rows"], record["n_rows"] = keep, len(order)
        record.update(self._read_metadata(obj, where))
        return record

    def _raw(self, obj, where: str, units: dict, values: bool = True) -> dict[str, np.ndarray]:
        """Return the columns of one object in the units of fit, and `seen`: where a value was measured."""
        if isinstance(obj, np.ndarray):
            n = len(obj)
            raw = {
                "value": np.array(obj, dtype=np.float64),
                "location": np.arange(n, dtype=np.float64),
                "band": np.full(n, ""),
                "error": np.full(n, np.nan),
            }
        else:
            n = len(obj)
            if n == 0:
                raise TableError(f"{where} is an empty table; remove the object.")
            for role in ("location", "band", *(("value", "error") if values else ())):
                name = getattr(self, role)
                if name is not None:
                    tables.find_column(obj, role, name, where)
            raw = {"location": tables.numbers(obj, self.location, where, units.get(self.location))}
            for role in ("value", "error"):
                name = getattr(self, role) if values else None
                raw[role] = np.full(n, np.nan) if name is None else tables.numbers(obj, name, where, units.get(name))
            raw["band"] = np.full(n, "") if self.band is None else tables.labels(obj, self.band)
        raw["seen"] = np.isfinite(raw["value"]) & np.isfinite(raw["location"])
        if self.band is not None:
            raw["seen"] &= raw["band"] != ""
        if values and not raw["seen"].any():
            raise TableError(f"{where} has no finite '{self.value or 'value'}'; remove the object.")
        return raw

    def _read_metadata(self, obj, where: str) -> dict[str, np.ndarray]:
        learned = self.learned
        numbers = np.full(len(learned.numbers), np.nan, np.float32)
        labels = np.full(len(learned.labels), -1, np.int64)
        for j, (key, scaling) in enumerate(learned.numbers.items()):
            value = tables.metadata(obj, key)
            if isinstance(value, str):
                raise TableError(f"{where} metadata {key!r} is {value!r}; in fit it was a number.")
            if value is not None:
                numbers[j] = scaling.forward(value)
        for j, (key, seen) in enumerate(learned.labels.items()):
            value = tables.metadata(obj, key)
            if value is not None and str(value) in seen:
                labels[j] = seen.index(str(value))
            elif value is not None and self.unknown == "error":
                raise TableError(
                    f"{where} metadata {key!r} is {value!r}, not seen in fit ({', '.join(seen)}). "
                    f"Remove it from meta, or set Sequence(unknown='ignore')."
                )
        return {"numbers": numbers, "labels": labels}

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
