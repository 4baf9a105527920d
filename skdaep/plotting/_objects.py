"""Objects and decoded values, as arrays to draw."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from astropy.table import Column, Table

from .. import tables
from ..exceptions import TableError
from ..metrics.reading import decoded_values
from .style import axis_label

#: keys of ``table.meta`` that appear in titles
LABELS, REDSHIFTS = ("label", "class", "type"), ("redshift", "z")


Columns = tables.Columns
#: how the user names a column to a display, for error messages
ASK = "{}"


@dataclass(frozen=True)
class PlottedPoints:
    """The points of one object, measured or decoded."""

    location: np.ndarray  # (n,)
    value: np.ndarray  # (n,), or (n, n_draws); NaN where not observed
    band: np.ndarray  # (n,) of str, "" where there are no bands
    error: np.ndarray  # (n,), NaN where not known
    columns: Columns
    units: dict[str, str | None]  # units of the columns of value and location
    title: str = ""
    scale: str | None = None  # time scale of locations, such as "tdb"
    magnitude: bool | None = None  # whether values are magnitudes, if a preprocessing step has noted it

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
        """Bands with at least one observed point."""
        return np.unique(self.band[self.seen]).tolist()

    @property
    def median(self) -> np.ndarray:
        """The value, or the median of the draws."""
        return np.median(self.value, axis=1) if self.has_draws else self.value

    @property
    def labels(self) -> tuple[str, str]:
        """Labels of the axes of location and value."""
        value, location = (axis_label(c, self.units.get(c)) for c in self.columns[:2])
        return location, value

    @property
    def is_magnitude(self) -> bool:
        """Whether larger values are fainter, judging by unit or name."""
        return bool(tables.is_magnitude(self.columns.value, self.units.get(self.columns.value), self.magnitude))

    def interval(self, level: float) -> np.ndarray:
        """Return the ends (2, n) of the central interval that contains a given share of the draws."""
        return np.quantile(self.value, [0.5 - level / 2, 0.5 + level / 2], axis=1)

    def of_band(self, band: str) -> PlottedPoints:
        """Return the observed points of one band, sorted by location."""
        return self[sorted(np.flatnonzero(self.seen & (self.band == band)), key=lambda i: self.location[i])]

    def __getitem__(self, rows) -> PlottedPoints:
        return replace(self, **{k: getattr(self, k)[rows] for k in ("location", "value", "band", "error")})


def read(X, columns: Columns | None = None, name: str = "X", **names: str | None) -> list[PlottedPoints]:
    """Return Tables, or rows of an array, as points in the units of the first object."""
    if tables.is_numeric(X):
        return [_row(row) for row in _rows(X, name)]
    objects = tables.as_objects(X, name)
    if not objects:
        raise ValueError(f"{name} holds 0 objects; at least one is needed.")
    columns = columns or _find(objects[0], f"{name}[0]", **names)
    there = [c for c in columns[:2] if c in objects[0].colnames]
    units = {c: tables.unit_of(objects[0], c) for c in there}
    scale = tables.time_scale(objects[0][columns.location]) if columns.location in there else None
    return [_points(t, columns, units, f"{name}[{i}]", scale) for i, t in enumerate(objects)]


def _find(table: Table, object_name: str, **names: str | None) -> Columns:
    """Return the named columns, or else those with a usual name."""
    return Columns.find(table, object_name, dict.fromkeys(Columns._fields[:4]) | names, ask=ASK)


def decoded(Y, measured: list[PlottedPoints], name: str = "reconstructed") -> list[PlottedPoints]:
    """Return the values decoded at the points of objects, with the locations and bands of these points."""
    check_numbers(name, len(Y), len(measured))
    return [_decoded(y, points, f"{name}[{i}]") for i, (y, points) in enumerate(zip(Y, measured, strict=True))]


def curves(Y, measured: list[PlottedPoints], name: str = "curves") -> list[PlottedPoints]:
    """Return Tables decoded on a fine grid, in the units of their objects."""
    check_numbers(name, len(Y), len(measured))
    pairs = enumerate(zip(tables.as_objects(Y, name), measured, strict=True))
    return [_points(t, p.columns, p.units, f"{name}[{i}]", p.scale, draws=True) for i, (t, p) in pairs]


def check_list(X, name: str = "X") -> None:
    """Raise TableError if X is a single object."""
    tables.check_collection(X, name, "a list of objects")
    if isinstance(X, dict):
        raise TableError(f"{name} is a single dict; pass a list of them, [{name}], one per object.")


def check_numbers(name: str, n: int, wanted: int) -> None:
    """Raise ValueError if the number of entries is not the number of objects."""
    if n != wanted:
        raise ValueError(f"{name} holds {n} objects, but X holds {wanted}; one for each is needed.")


def extended(table: Table, columns: Columns, n_points: int, object_name: str) -> Table:
    """Return an object with additional rows, without measurements, on a fine grid in each of its bands.

    `reconstruct` encodes the measured rows and decodes all of them.
    """
    points = _points(table, columns, {}, object_name, tables.time_scale(table[columns.location]))
    if not points.seen.any():
        raise TableError(f"{object_name} has no finite '{columns.value}'; remove the object.")
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
    """Return class and redshift if ``table.meta`` has them."""
    label = next((v for v in (_metadatum(table, k) for k in LABELS) if v is not None), None)
    numbers = (_metadatum(table, k) for k in REDSHIFTS if not tables.unit_of_metadata(table, k))  # not a velocity
    redshift = next((v for v in numbers if isinstance(v, float)), None)
    parts = [] if label is None else [f"{label:g}" if isinstance(label, float) else label]
    return ", ".join([*parts, *([] if redshift is None else [f"$z$ = {redshift:.3g}"])])


def _metadatum(table: Table, key: str) -> float | str | None:
    """Return a number or text from the meta, None for anything else."""
    try:
        return tables.metadata(table, key)
    except TableError:
        return None


# --- one object -------------------------------------------------------------------------------------


def _points(
    table: Table, columns: Columns, units: dict, object_name: str, scale: str | None = None, draws: bool = False
) -> PlottedPoints:
    """Read a Table, whose values may be draws. A column without a given unit keeps its own."""
    for role in ("value", "location", "band"):
        if getattr(columns, role) is not None:
            tables.find_column(table, role, getattr(columns, role), object_name, ask=ASK)
    units = {c: units.get(c) or tables.unit_of(table, c) for c in columns[:2]}
    there = Columns(*(c if c in table.colnames else None for c in columns))
    read, n = tables.read_draws if draws else tables.read_points, len(table)
    by_role = {"value": units[columns.value], "location": units[columns.location]}
    found = {"band": np.full(n, ""), "error": np.full(n, np.nan)} | read(
        [table], there, [object_name], by_role, scale=scale
    )
    mark = table[columns.value].info.meta
    return PlottedPoints(
        **found,
        columns=columns,
        units=units,
        title=title_of(table),
        scale=scale,
        magnitude=mark.get(tables.MAGNITUDE) if mark else None,
    )


def _rows(X, name: str) -> np.ndarray:
    X = np.asarray(X, float)
    if X.ndim != 2:
        raise TableError(f"{name} has shape {X.shape}; a list of Tables or an array (n_objects, n_points) is needed.")
    return X


def _row(row: np.ndarray) -> PlottedPoints:
    n = len(row)
    return PlottedPoints(
        np.arange(n, dtype=float), row, np.full(n, ""), np.full(n, np.nan), Columns("value", "column"), {}
    )


def _decoded(y, measured: PlottedPoints, object_name: str) -> PlottedPoints:
    name = measured.columns.value
    name = name if isinstance(y, Table) and name in y.colnames else None
    value = decoded_values(y, name, object_name, measured.units.get(measured.columns.value))
    if value.ndim not in (1, 2) or len(value) != len(measured.location):
        raise TableError(
            f"{object_name} has shape {value.shape}, but X has {len(measured.location)} points there; (n_points,) or "
            f"(n_points, n_draws) is needed."
        )
    return replace(measured, value=value, error=np.full(len(value), np.nan))
