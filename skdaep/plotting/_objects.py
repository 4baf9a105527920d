"""Objects, and what was decoded for them, as arrays to draw."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from astropy.table import Column, Table

from .. import tables
from ..exceptions import TableError
from ..metrics.reading import decoded_values
from .style import axis_label

#: keys of ``table.meta`` that may stand in a title
LABELS, REDSHIFTS = ("label", "class", "type"), ("redshift", "z")


class Columns(NamedTuple):
    """Names of the columns of each role, None where there is none."""

    value: str
    location: str
    band: str | None = None
    error: str | None = None

    @classmethod
    def find(cls, table: Table, where: str, **names: str | None) -> Columns:
        """Return the columns named, else those with a customary name."""
        found = {
            role: tables.find_column(table, role, names.get(role), where, required=role in ("value", "location"))
            for role in cls._fields
        }
        return cls(**found)


@dataclass(frozen=True)
class Points:
    """The points of one object, measured or decoded."""

    location: np.ndarray  # (n,)
    value: np.ndarray  # (n,), or (n, n_draws); NaN where not observed
    band: np.ndarray  # (n,) of str, "" where there are no bands
    error: np.ndarray  # (n,), NaN where not known
    columns: Columns
    units: dict[str, str | None]  # column -> unit, of value and location
    title: str = ""

    @property
    def has_draws(self) -> bool:
        """Whether there are draws rather than a single value for each point."""
        return self.value.ndim == 2

    @property
    def seen(self) -> np.ndarray:
        """Which points have a value and a location."""
        return np.isfinite(self.value if not self.has_draws else self.value[:, 0]) & np.isfinite(self.location)

    @property
    def bands(self) -> list[str]:
        """Bands with a point seen."""
        return np.unique(self.band[self.seen]).tolist()

    @property
    def median(self) -> np.ndarray:
        """The value, or the median of the draws."""
        return np.median(self.value, axis=1) if self.has_draws else self.value

    @property
    def labels(self) -> tuple[str, str]:
        """What stands at the axes of location and value."""
        value, location = (axis_label(c, self.units.get(c)) for c in self.columns[:2])
        return location, value

    @property
    def is_magnitude(self) -> bool:
        """Whether larger values are fainter."""
        return tables.is_magnitude(self.columns.value, self.units.get(self.columns.value))

    def interval(self, level: float) -> np.ndarray:
        """Return the ends (2, n) of the central interval that holds a share of the draws."""
        return np.quantile(self.value, [0.5 - level / 2, 0.5 + level / 2], axis=1)

    def of_band(self, band: str) -> Points:
        """Return the points seen of one band, by location."""
        return self[sorted(np.flatnonzero(self.seen & (self.band == band)), key=lambda i: self.location[i])]

    def __getitem__(self, rows) -> Points:
        return replace(self, **{k: getattr(self, k)[rows] for k in ("location", "value", "band", "error")})


def read(X, columns: Columns | None = None, name: str = "X", **names: str | None) -> list[Points]:
    """Return Tables, or rows of an array, as points in the units of the first object."""
    if tables.is_numeric(X):
        return [_row(row) for row in _rows(X, name)]
    objects = tables.as_objects(X, name)
    if not objects:
        raise ValueError(f"{name} holds 0 objects; at least one is needed.")
    columns = columns or Columns.find(objects[0], f"{name}[0]", **names)
    units = {c: tables.unit_of(objects[0], c) for c in columns[:2] if c in objects[0].colnames}
    return [_points(t, columns, units, f"{name}[{i}]") for i, t in enumerate(objects)]


def decoded(Y, like: list[Points], name: str = "reconstructed") -> list[Points]:
    """Return what was decoded at the points of objects: their locations and bands with other values."""
    check_numbers(name, len(Y), len(like))
    return [_decoded(y, points, f"{name}[{i}]") for i, (y, points) in enumerate(zip(Y, like, strict=True))]


def curves(Y, like: list[Points], name: str = "curves") -> list[Points]:
    """Return Tables decoded at locations of their own, in the units of the objects that they belong to."""
    check_numbers(name, len(Y), len(like))
    pairs = enumerate(zip(tables.as_objects(Y, name), like, strict=True))
    return [_points(t, points.columns, points.units, f"{name}[{i}]", draws=True) for i, (t, points) in pairs]


def check_list(X, name: str = "X") -> None:
    """Raise TableError if X is a single object."""
    tables.check_collection(X, name, "a list of objects")
    if isinstance(X, dict):
        raise TableError(f"{name} is a single dict; pass a list of them, [{name}], one per object.")


def check_numbers(name: str, n: int, wanted: int) -> None:
    """Raise ValueError if there is not one entry for each object."""
    if n != wanted:
        raise ValueError(f"{name} holds {n} objects, but X holds {wanted}; one for each is needed.")


def extended(table: Table, columns: Columns, n_points: int, where: str) -> Table:
    """Return an object followed by rows without a measurement, on a fine grid in each of its bands.

    `reconstruct` encodes the measured rows and decodes all of them.
    """
    points = _points(table, columns, {}, where)
    if not points.seen.any():
        raise TableError(f"{where} has no finite '{columns.value}'; remove the object.")
    location = points.location[points.seen]
    grid, bands = np.linspace(location.min(), location.max(), n_points), points.bands
    unknown = np.full(n_points * len(bands), np.nan)
    new = {
        columns.location: np.concatenate([points.location, np.tile(grid, len(bands))]),
        columns.value: np.concatenate([points.value, unknown]),
    }
    units = dict(points.units)
    if columns.error is not None:
        new[columns.error] = np.concatenate([points.error, unknown])
        units[columns.error] = tables.unit_of_error(units[columns.value])
    out = Table({c: Column(x, unit=units[c]) for c, x in new.items()}, meta=dict(table.meta))
    if columns.band is not None:
        out[columns.band] = np.concatenate([points.band, np.repeat(bands, n_points)])
    return out


def title_of(table: Table) -> str:
    """Return class and redshift, as far as ``table.meta`` has them."""
    label = next((v for v in (tables.metadata(table, k) for k in LABELS) if v is not None), None)
    redshift = next((v for v in (tables.metadata(table, k) for k in REDSHIFTS) if isinstance(v, float)), None)
    parts = [] if label is None else [f"{label:g}" if isinstance(label, float) else label]
    return ", ".join([*parts, *([] if redshift is None else [f"$z$ = {redshift:.3g}"])])


# --- one object -------------------------------------------------------------------------------------


def _points(table: Table, columns: Columns, units: dict, where: str, draws: bool = False) -> Points:
    """Read a Table, in which values may be draws or not; a column whose unit is not given keeps its own."""
    for role in ("value", "location", "band"):
        if getattr(columns, role) is not None:
            tables.find_column(table, role, getattr(columns, role), where)
    units = {c: units.get(c) or tables.unit_of(table, c) for c in columns[:2]}
    n, value, location = len(table), columns.value, columns.location
    error = np.full(n, np.nan)
    if columns.error in table.colnames:
        error = tables.numbers(table, columns.error, where, tables.unit_of_error(units[value]))
    return Points(
        location=tables.numbers(table, location, where, units[location]),
        value=(tables.numbers_or_draws if draws else tables.numbers)(table, value, where, units[value]),
        band=np.full(n, "") if columns.band is None else tables.labels(table, columns.band),
        error=error,
        columns=columns,
        units=units,
        title=title_of(table),
    )


def _rows(X, name: str) -> np.ndarray:
    X = np.asarray(X, float)
    if X.ndim != 2:
        raise TableError(f"{name} has shape {X.shape}; a list of Tables or an array (n_objects, n_points) is needed.")
    return X


def _row(row: np.ndarray) -> Points:
    n = len(row)
    return Points(np.arange(n, dtype=float), row, np.full(n, ""), np.full(n, np.nan), Columns("value", "column"), {})


def _decoded(y, like: Points, where: str) -> Points:
    name = like.columns.value
    name = name if isinstance(y, Table) and name in y.colnames else None
    value = decoded_values(y, name, where, like.units.get(like.columns.value))
    if value.ndim not in (1, 2) or len(value) != len(like.location):
        raise TableError(
            f"{where} has shape {value.shape}, but X has {len(like.location)} points there; (n_points,) or "
            f"(n_points, n_draws) is needed."
        )
    return replace(like, value=value, error=np.full(len(value), np.nan))
