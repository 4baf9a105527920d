"""Many objects as columns that hold the points of all of them end to end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from astropy.table import Table


@dataclass(frozen=True)
class Labels:
    """A column of labels, as indices of the few that there are.

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
        Index of the label of each row; the last label, "", stands where there is none.
    names : ndarray of str
        The labels.
    """

    codes: np.ndarray
    names: np.ndarray

    def __len__(self):
        return len(self.codes)

    def __getitem__(self, rows):
        return self.names[self.codes[rows]]


@dataclass(frozen=True, eq=False)
class FlatTables(Sequence):
    """A list of Tables that are made on demand from columns with the points of all objects.

    Create it with `from_long` or `from_nested`. It can be used wherever a list of Tables can: an item is a new Table, a
    slice is another `FlatTables`. It needs 16 bytes per object besides the columns.

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
    """

    columns: Mapping
    starts: np.ndarray
    ends: np.ndarray
    order: np.ndarray | None = None
    units: Mapping = field(default_factory=dict)
    meta: Mapping = field(default_factory=dict)

    def __len__(self):
        return len(self.starts)

    def __getitem__(self, i):
        if isinstance(i, slice):
            meta = {key: values[i] for key, values in self.meta.items()}
            return replace(self, starts=self.starts[i], ends=self.ends[i], meta=meta)
        i = range(len(self))[i]
        rows = slice(self.starts[i], self.ends[i])
        rows = rows if self.order is None else self.order[rows]
        meta = {key: value for key, values in self.meta.items() if (value := _item(values[i])) is not None}
        return Table({name: column[rows] for name, column in self.columns.items()}, units=dict(self.units), meta=meta)

    def __repr__(self):
        points = int((self.ends - self.starts).sum())
        return f"<FlatTables: {len(self)} objects, {points} points of {', '.join(map(str, self.columns))}>"


def _item(value):
    """Return one metadatum as a plain number or text, None if it is absent."""
    return None if value is np.ma.masked or value == "" else value.item()


def masked(values: np.ndarray, absent=False) -> np.ma.MaskedArray:
    """Return one value for each object, hidden where it is absent."""
    return np.ma.array(values, mask=np.broadcast_to(absent, values.shape))
