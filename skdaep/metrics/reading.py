"""Pair measured and decoded values object by object, and sort points into bins."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from astropy.table import QTable, Table
from sklearn.utils.validation import check_consistent_length, column_or_1d

from .. import tables
from ..exceptions import TableError


def objects_of(X, name: str = "X") -> list:
    """Return X as a list of Tables, or of arrays: rows of numbers, or images."""
    if not tables.is_numeric(X):
        return tables.as_objects(X, name)
    return list(X.to_numpy() if hasattr(X, "to_numpy") else X)


#: how the user names a column to a metric, for error messages
ASK = "{}"


def value_unit(objects: list, value: str | None) -> str | None:
    """Return the unit of the values of the first object."""
    if not objects or not isinstance(objects[0], Table):
        return None
    return tables.unit_of(objects[0], tables.find_column(objects[0], "value", value, "X[0]", ask=ASK))


def pairs(
    X, other, value: str | None = None, with_draws: bool = False, unit: str | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield measured and decoded values of each object as float arrays, in `unit` or else in the unit of the object.

    NaN where not observed. Draws stand along a further, last axis.
    """
    X, called = objects_of(X), "draws" if with_draws else "reconstructed"
    check_consistent_length(X, other)
    for i, (x, y) in enumerate(zip(X, other, strict=True)):
        name, own = value, unit
        if isinstance(x, Table):
            columns = tables.Columns.find(x, f"X[{i}]", {"value": value}, ask=ASK)
            name, own = columns.value, unit or tables.unit_of(x, columns.value)
            x = tables.read_points([x], columns, [f"X[{i}]"], {"value": own}, "X[0]")["value"]
        x, y = tables.floats(x), decoded_values(y, name, f"{called}[{i}]", own)
        if (y.shape[:-1] if with_draws else y.shape) != x.shape:
            raise TableError(
                f"{called}[{i}] has shape {y.shape}, but X[{i}] has {x.shape}"
                f"{'; draws are expected along an additional last axis' if with_draws else ''}."
            )
        yield x, y


def decoded_values(y, value: str | None, object_name: str, unit: str | None = None) -> np.ndarray:
    """Return the decoded values of an object as a float array, with or without an axis of draws."""
    if not isinstance(y, (Table, dict)):
        given = getattr(y, "unit", None)
        values = tables.floats(y)
        return values if given is None else tables.convert(values, given.to_string(), unit, object_name, "X")
    y = tables.as_table(y, object_name)  # refuses a dict of modalities
    name = tables.find_column(y, "value", value, object_name, ask=ASK)
    return tables.numbers_or_draws(y, name, object_name, unit or tables.unit_of(y, name))


def seen_of(x: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Return which points have both a measurement and draws."""
    return np.isfinite(x) & np.isfinite(draws).all(axis=-1)


def check_level(level: float) -> None:
    """Raise ValueError if a level is not between 0 and 1."""
    if not 0 < level < 1:
        raise ValueError(f"level={level!r}: a share between 0 and 1 is needed.")


# --- what points are told apart by ------------------------------------------------------------------


def values_by(
    objects: list,
    by,
    *,
    location: str | None = None,
    band: str | None = None,
    unit: str | None = None,
    name: str = "X",
) -> tuple[list[np.ndarray], str | None]:
    """Return, for each object, one value per point, shape (n_points,), or one for all points, shape ().

    Values are numbers, NaN where absent, or text, "" where absent; beside them comes their unit, `unit` if given.
    `by` is "location", "band", a key of the metadata, or one number or label for each object.
    """
    if not objects:
        raise ValueError(f"{name} holds 0 objects; at least one is needed.")
    if not isinstance(by, str):
        check_consistent_length(objects, by)
        return _scalars(list(column_or_1d(by, dtype=object))), None
    if by == "location" and not isinstance(objects[0], Table):
        return [_places(x, f"{name}[{i}]") for i, x in enumerate(objects)], None
    for i, x in enumerate(objects):
        if not isinstance(x, Table):
            raise TableError(f"{name}[{i}] is an array, which has no {by!r}; pass Tables.")
    if by not in ("location", "band"):
        return _of_metadata(objects, by, unit, name)
    role = location if by == "location" else band
    object_names = [f"{name}[{i}]" for i in range(len(objects))]
    columns = [tables.find_column(t, by, role, place, ask=ASK) for t, place in zip(objects, object_names, strict=True)]
    if by == "band":
        return [tables.labels(*arguments) for arguments in zip(objects, columns, object_names, strict=True)], None
    unit, scale = unit or tables.unit_of(objects[0], columns[0]), tables.time_scale(objects[0][columns[0]])
    found = []
    for t, column, place in zip(objects, columns, object_names, strict=True):
        found.append(tables.numbers(t, column, place, unit or tables.unit_of(t, column), scale=scale))
    return found, unit


def _of_metadata(objects: list[Table], key: str, unit: str | None, name: str) -> tuple[list[np.ndarray], str | None]:
    """Return the metadata of each object in one unit: the given one, or else the first one found."""
    given = [tables.unit_of_metadata(t, key) for t in objects]
    unit = unit or next((one for one in given if one), None)
    values = [tables.metadata(t, key, f"{name}[{i}]") for i, t in enumerate(objects)]
    for i, (value, own) in enumerate(zip(values, given, strict=True)):
        if isinstance(value, float):
            values[i] = float(tables.convert(value, own, unit, f"{name}[{i}] metadata {key!r}", "another object"))
    return _scalars(values), unit


def _places(x, object_name: str) -> np.ndarray:
    """Return the column indices of a row of numbers, which serve as locations."""
    if np.ndim(x) != 1:
        raise TableError(f"{object_name} has shape {np.shape(x)}; only a row of numbers or a Table has a location.")
    return np.arange(len(x), dtype=float)


def _scalars(values: list) -> list[np.ndarray]:
    absent = [v is None or v != v for v in values]
    if any(isinstance(v, (str, bytes)) for v in values):
        text = [v.decode() if isinstance(v, bytes) else str(v) for v in values]
        return [np.array("" if a else v) for v, a in zip(text, absent, strict=True)]
    return [np.array(np.nan if a else v, float) for v, a in zip(values, absent, strict=True)]


@dataclass(frozen=True)
class Bins:
    """Bins of numbers, or of labels.

    Parameters
    ----------
    marks : ndarray
        Edges, shape (n_bins + 1,), if numbers; labels, shape (n_bins,), if text.
    name : str
        What the values are, for errors.
    """

    marks: np.ndarray
    name: str

    @classmethod
    def learn(cls, values: Sequence[np.ndarray], bins, name: str) -> Bins:
        """Return bins with the given edges, a number of bins with equally many values, or one bin per label."""
        flat = np.concatenate([np.ravel(v) for v in values]) if values else np.zeros(0)
        flat = flat[flat != ""] if flat.dtype.kind == "U" else flat[np.isfinite(flat)]
        if not len(flat):
            raise TableError(f"No object has {name!r}, which is needed for the bins.")
        if flat.dtype.kind == "U":
            return cls(np.unique(flat), name)
        if np.ndim(bins) == 0:
            if not (isinstance(bins, (int, np.integer)) and bins > 0):
                raise ValueError(f"bins={bins!r}: a positive number of bins, or their edges, are needed.")
            edges = np.unique(np.quantile(flat, np.linspace(0, 1, bins + 1)))  # fewer if many values are equal
            return cls(edges if len(edges) > 1 else np.repeat(edges, 2), name)
        edges = np.asarray(bins, float)
        if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
            raise ValueError(f"bins={bins!r}: at least two edges in increasing order are needed.")
        return cls(edges, name)

    def __len__(self):
        return len(self.marks) - (self.marks.dtype.kind != "U")

    @property
    def middles(self) -> np.ndarray:
        """Middles of the bins, or labels."""
        return self.marks if self.marks.dtype.kind == "U" else (self.marks[1:] + self.marks[:-1]) / 2

    def place(self, values: np.ndarray, open_ends: bool = False) -> np.ndarray:
        """Return the bin of each value, -1 if it is absent, beyond the edges or an unknown label."""
        if self.marks.dtype.kind == "U":
            values = values.astype(str)
            place = np.searchsorted(self.marks, values).clip(max=len(self) - 1)
            return np.where(self.marks[place] == values, place, -1)
        if values.dtype.kind == "U":
            raise TableError(f"{self.name!r} is {np.unique(values)[0]!r} for an object, but a number is needed.")
        first, last = self.marks[[0, -1]]
        place = np.searchsorted(self.marks, values, side="right").clip(1, len(self)) - 1
        inside = np.isfinite(values) if open_ends else (first <= values) & (values <= last)
        return np.where(inside, place, -1)


@dataclass(frozen=True)
class Cells:
    """All combinations of bins of several quantities; a single cell if there are none.

    Parameters
    ----------
    bins : dict
        Name -> bins.
    units : dict
        Name -> unit of the values, or None.
    """

    bins: dict[str, Bins]
    units: dict[str, str | None]

    @classmethod
    def learn(cls, read: dict[str, tuple], seen: list[np.ndarray], bins) -> Cells:
        """Return the cells for the observed points of each object; `read` has the results of `values_by` by name."""
        if isinstance(bins, dict) and set(bins) != set(read):
            raise ValueError(f"bins has {', '.join(bins)}, but by has {', '.join(read)}; the same names are needed.")
        learned = {}
        for name, (values, _) in read.items():
            observed = [v[s] if v.ndim else v for v, s in zip(values, seen, strict=True)]
            learned[name] = Bins.learn(observed, bins[name] if isinstance(bins, dict) else bins, name)
        return cls(learned, {name: unit for name, (_, unit) in read.items()})

    def __len__(self):
        return math.prod(len(bins) for bins in self.bins.values())

    def places(self, read: dict[str, tuple], n_objects: int, open_ends: bool = False) -> Iterator[np.ndarray]:
        """Yield the cell numbers of the points of each object, -1 if they are in no cell."""
        for i in range(n_objects):
            cell, known = 0, True
            for name, bins in self.bins.items():
                place = bins.place(read[name][0][i], open_ends)
                cell, known = cell * len(bins) + place, known & (place >= 0)
            yield np.where(known, cell, -1)

    def middles(self) -> QTable:
        """Return, by name, the middle of the bin, or the label, of every cell."""
        out, shape = QTable(), [len(bins) for bins in self.bins.values()]
        for (name, bins), index in zip(self.bins.items(), np.indices(shape), strict=True):
            out[name] = bins.middles[index.ravel()]
            if self.units[name] is not None:
                out[name].unit = self.units[name]
        return out


# --- objects, not points, are exchangeable ----------------------------------------------------------


def group_index(groups, n_objects: int) -> np.ndarray:
    """Return the group number of each object. Without groups, each object is its own group."""
    if groups is None:
        return np.arange(n_objects)
    groups = column_or_1d(groups)
    if len(groups) != n_objects:
        raise ValueError(f"groups has {len(groups)} entries, but there are {n_objects} objects.")
    return np.unique(groups, return_inverse=True)[1]


def weights(owner: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return weights of points that sum to 1 in each group, with equal weights of its objects, and of their points.

    `owner` is the object of each point, `group` the group of each object.
    """
    points = np.bincount(owner, minlength=len(group))
    objects = np.bincount(group[points > 0], minlength=group.max(initial=-1) + 1)
    return 1 / (points[owner] * objects[group[owner]])
