"""Many objects, stored as columns with the points of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from types import SimpleNamespace

import numpy as np
from astropy.table import Table

from ..exceptions import TableError


@dataclass(frozen=True)
class Labels:
    """A column of labels, stored as indices of the few different labels.

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
        Index of the label of each row. The last label, "", means that there is none.
    names : ndarray of str
        The labels.
    """

    codes: np.ndarray
    names: np.ndarray

    def __len__(self):
        return len(self.codes)

    def __getitem__(self, rows):
        return self.names[self.codes[rows]]

    def take(self, rows) -> Labels:
        """Return the labels of some rows, still as indices."""
        return Labels(self.codes[rows], self.names)


def map_labels(function: Callable, labels) -> np.ndarray:
    """Return ``function(labels)``. For `Labels`, the function is only called with the different labels."""
    return function(labels.names)[labels.codes] if isinstance(labels, Labels) else function(labels)


@dataclass(frozen=True, eq=False)
class FlatTables(Sequence):
    """A list of Tables that are made on demand from columns with the points of all objects.

    Create it with `from_long` or `from_nested`. It can be used wherever a list of Tables can: an item is a new Table; a
    slice, an array of indices or a boolean array gives another `FlatTables`. Estimators read the columns directly,
    without making Tables. Columns may be memory-mapped. It needs 16 bytes per object besides the columns.

    Parameters
    ----------
    columns : dict of ndarray or Labels
        The points of all objects.
    starts, ends : ndarray of int, shape (n_objects,)
        First row of each object and the row after its last one.
    order : ndarray of int or None, default=None
        Row of `columns` at each place. None means that they are in order.
    units : dict, default={}
        Name of a column -> unit.
    meta : dict of masked array or Labels, default={}
        Key of ``table.meta`` -> one number or label per object; masked or "" where absent.
    marks : dict, default={}
        Name of a column -> its own meta.
    """

    columns: Mapping
    starts: np.ndarray
    ends: np.ndarray
    order: np.ndarray | None = None
    units: Mapping = field(default_factory=dict)
    meta: Mapping = field(default_factory=dict)
    marks: Mapping = field(default_factory=dict)

    @classmethod
    def of(cls, tables: Iterable[Table]) -> FlatTables:
        """Combine Tables with the same columns into `FlatTables`, without keeping the Tables.

        Raises
        ------
        TableError
            If the columns or units of a Table differ from those of the first.
        """
        parts: dict[str, list] = {}
        units, marks, metas, lengths = {}, {}, [], []
        for i, table in enumerate(tables):
            own = {name: str(c.unit) for name, c in table.columns.items() if getattr(c, "unit", None) is not None}
            if i == 0:
                parts, units = {name: [] for name in table.colnames}, own
                marks = {name: dict(c.info.meta) for name, c in table.columns.items() if c.info.meta}
            if own != units or parts.keys() != set(table.colnames):
                raise TableError(
                    f"Object {i} has other columns or units than the first; keep these objects as a list of Tables."
                )
            for name, cells in parts.items():
                column = table.columns[name]
                cells.append(column.value if hasattr(column, "value") else np.ma.array(column))
            metas.append(dict(table.meta))
            lengths.append(len(table))
        ends = np.cumsum(lengths, dtype=np.intp)
        keys = dict.fromkeys(key for meta in metas for key in meta)
        return cls(
            columns={name: _joined(cells) for name, cells in parts.items()},
            starts=ends - lengths,
            ends=ends,
            units=units,
            meta={key: _of_all([meta.get(key) for meta in metas]) for key in keys},
            marks=marks,
        )

    @staticmethod
    def joined(parts: list[Sequence]) -> Sequence:
        """Return the objects of all parts, as FlatTables if all parts are such with the same columns and units."""
        if len(parts) == 1:
            return parts[0]
        if not all(isinstance(part, FlatTables) and part._form() == parts[0]._form() for part in parts):
            return [obj for part in parts for obj in part]
        ends = np.cumsum(np.concatenate([part.lengths for part in parts]))
        names, keys = parts[0].columns, parts[0].meta
        return FlatTables(
            columns={name: _end_to_end([part.column(name) for part in parts]) for name in names},
            starts=np.append(0, ends[:-1]),
            ends=ends,
            units=parts[0].units,
            meta={key: _end_to_end([part.meta[key] for part in parts]) for key in keys},
            marks=parts[0].marks,
        )

    def _form(self) -> tuple:
        return list(self.columns), dict(self.units), dict(self.marks), list(self.meta)

    def __len__(self):
        return len(self.starts)

    def __getitem__(self, i):
        if isinstance(i, (slice, list, np.ndarray)):
            return self._select(i if isinstance(i, slice) or len(i) else np.zeros(0, np.intp))
        i = range(len(self))[i]
        rows = slice(self.starts[i], self.ends[i])
        return self._table(rows if self.order is None else self.order[rows], self.columns, self._meta_of(i))

    def _select(self, which) -> FlatTables:
        meta = {key: _take(values, which) for key, values in self.meta.items()}
        return replace(self, starts=self.starts[which], ends=self.ends[which], meta=meta)

    def _table(self, rows, names: Iterable[str], meta: Mapping | None = None, copy: bool = True) -> Table:
        columns = {name: self.columns[name][rows] for name in names}
        units = {name: unit for name, unit in self.units.items() if name in columns}
        table = Table(columns, units=units, meta=meta, copy=copy)
        for name in self.marks.keys() & columns.keys():
            table[name].info.meta = dict(self.marks[name])
        return table

    def bearers(self) -> Iterator[SimpleNamespace]:
        """Yield a Table without columns, but with the ``meta``, for each object."""
        return (SimpleNamespace(meta=self._meta_of(i)) for i in range(len(self)))

    def _meta_of(self, i: int) -> dict:
        return {key: value for key, values in self.meta.items() if (value := _item(values[i])) is not None}

    @property
    def lengths(self) -> np.ndarray:
        """Number of points of each object."""
        return self.ends - self.starts

    def rows(self) -> slice | np.ndarray:
        """Return which rows of the columns hold the points of all objects, one object after the other."""
        lengths, rows = self.lengths, slice(0, 0)
        if (self.starts[1:] == self.ends[:-1]).all():
            rows = slice(self.starts[0], self.ends[-1]) if len(self) else rows
        else:
            first = np.repeat(self.starts - np.cumsum(lengths) + lengths, lengths)
            rows = first + np.arange(len(first))
        return rows if self.order is None else self.order[rows]

    def whole(self, names: Iterable[str]) -> Table:
        """Return one Table with the points of all objects in some columns, sharing memory if possible."""
        return self._table(self.rows(), names, copy=False)

    def column(self, name: str):
        """Return a column with the points of all objects, as an array or Labels."""
        return _take(self.columns[name], self.rows())

    def changed(self, columns: Mapping, units: Mapping, marks: Mapping) -> FlatTables:
        """Return the same objects with some columns replaced by arrays of all points, concatenated."""
        ends = np.cumsum(self.lengths)
        return FlatTables(
            columns={name: self.column(name) for name in self.columns} | columns,
            starts=ends - self.lengths,
            ends=ends,
            units={name: unit for name, unit in self.units.items() if name not in columns} | units,
            meta=self.meta,
            marks={name: mark for name, mark in self.marks.items() if name not in columns} | marks,
        )

    def of_points(self, chosen: np.ndarray) -> FlatTables:
        """Return the objects with only some of their points, chosen by a boolean array (n_points,)."""
        whole = self.changed({}, {}, {})
        before = np.append(0, np.cumsum(chosen))
        columns = {name: _take(column, chosen) for name, column in whole.columns.items()}
        return replace(whole, columns=columns, starts=before[whole.starts], ends=before[whole.ends])

    def __reduce__(self):
        """Pickle only the points of these objects, not all those of the columns they come from."""
        n_rows = min((len(column) for column in self.columns.values()), default=0)
        small = self.changed({}, {}, {}) if self.order is not None or self.lengths.sum() < n_rows else self
        return FlatTables, tuple(getattr(small, f.name) for f in fields(small))

    def __repr__(self):
        return f"<FlatTables: {len(self)} objects, {self.lengths.sum()} points of {', '.join(map(str, self.columns))}>"


def _take(values, rows):
    return values.take(rows) if isinstance(values, Labels) else values[rows]


def _item(value):
    """Return one metadata entry as a plain number, text or time, None if absent."""
    if value is np.ma.masked or (isinstance(value, str) and value == ""):
        return None
    return value.item() if isinstance(value, np.generic) and value.dtype.kind not in "mM" else value


def _joined(cells: list):
    """Return concatenated cells: text as Labels, a masked array only if some cells are masked."""
    values = np.ma.concatenate(cells)
    if values.dtype.kind == "U" and values.mask is np.ma.nomask:
        names, codes = np.unique(values.data, return_inverse=True)
        return Labels(codes.astype(np.min_scalar_type(len(names))), np.append(names, ""))
    return values if any(np.ma.isMaskedArray(c) and c.mask is not np.ma.nomask for c in cells) else values.data


def _end_to_end(columns: list):
    """Concatenate columns."""
    if not all(isinstance(column, Labels) for column in columns):
        whole = np.ma.concatenate([column[:] for column in columns])
        return whole if any(np.ma.isMaskedArray(column) for column in columns) else whole.data
    names = [*dict.fromkeys(name for column in columns for name in column.names.tolist() if name), ""]
    place = {name: code for code, name in enumerate(names)}
    codes = [np.array([place[name] for name in column.names.tolist()])[column.codes] for column in columns]
    return Labels(np.concatenate(codes), np.array(names))


def _of_all(values: list) -> np.ma.MaskedArray | Labels:
    """Return the entries of all objects for a key, None where absent."""
    absent = [value is None for value in values]
    if all(isinstance(value, (bool, int, float, np.number)) for value in values if value is not None):
        return masked(np.array([np.nan if value is None else value for value in values]), absent)
    column = np.empty(len(values), object)
    column[:] = values
    return masked(column, absent)


def masked(values: np.ndarray, absent=False) -> np.ma.MaskedArray:
    """Return one value for each object, masked where absent."""
    return np.ma.array(values, mask=np.broadcast_to(absent, values.shape))


# --- many objects, flat or one by one ---------------------------------------------------------------


def n_points(objects: Sequence) -> np.ndarray:
    """Return the number of points of each object."""
    return objects.lengths if isinstance(objects, FlatTables) else np.array([len(obj) for obj in objects], np.intp)


def distinct_layouts(objects: Sequence) -> Iterable[int]:
    """Return indices of objects that cover all column layouts, and objects with and without points."""
    if not isinstance(objects, FlatTables):
        return range(len(objects))
    return np.union1d(np.arange(len(objects))[:1], np.flatnonzero(objects.lengths == 0)).tolist()


@dataclass(frozen=True, eq=False)
class Objects(Sequence):
    """Objects with several modalities, stored by modality; an item is the dict of one object.

    Use it as X for estimators of several modalities, if the points are in flat columns.

    Parameters
    ----------
    parts : dict of FlatTables or list
        Name of a modality -> the objects in that modality.
    present : dict of ndarray of bool, default={}
        Name of a modality -> which objects have it. Without an entry, all objects have it.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdaep.tables import Objects, from_nested
    >>> frame = pd.DataFrame({"mjd": [[1.0, 2.0], []], "mag": [[18.1, 18.2], []]})
    >>> X = Objects.of({"photometry": from_nested(frame)[0], "other": from_nested(frame[::-1])[0]})
    >>> [list(obj) for obj in X]
    [['photometry'], ['other']]
    """

    parts: Mapping[str, Sequence]
    present: Mapping[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, parts: Mapping[str, FlatTables]) -> Objects:
        """Return objects with only those modalities in which they have a point."""
        if len(sizes := {name: len(part) for name, part in parts.items()}) and len(set(sizes.values())) > 1:
            raise ValueError(f"All modalities need the same number of objects, but there are {sizes}.")
        return cls(parts, {name: part.lengths > 0 for name, part in parts.items()})

    @classmethod
    def listed(cls, objects: Iterable[Mapping], names: Iterable[str]) -> Objects:
        """Make `Objects` from dicts of modalities."""
        objects = list(objects)
        parts = {name: [obj.get(name) for obj in objects] for name in names}
        return cls(parts, {name: np.array([name in obj for obj in objects], bool) for name in parts})

    def __len__(self):
        return len(next(iter(self.parts.values()), ()))

    def __getitem__(self, i):
        if isinstance(i, slice):
            present = {name: there[i] for name, there in self.present.items()}
            return Objects({name: part[i] for name, part in self.parts.items()}, present)
        i = range(len(self))[i]
        return {name: part[i] for name, part in self.parts.items() if name not in self.present or self.present[name][i]}

    def has(self, name: str) -> np.ndarray:
        """Return which objects have a modality."""
        return self.present.get(name, np.ones(len(self), bool))

    def having(self, name: str) -> tuple[np.ndarray, Sequence]:
        """Return the indices of the objects that have a modality, and their data in it."""
        if name not in self.parts:
            return np.zeros(0, np.intp), []
        part, there = self.parts[name], self.present.get(name)
        if there is None or there.all():
            return np.arange(len(part)), part
        which = np.flatnonzero(there)
        return which, part[which] if isinstance(part, FlatTables) else [part[i] for i in which]
