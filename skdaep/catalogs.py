"""Encode catalogues: LSDB's partitions of HATS files, or a frame of nested-pandas."""

from __future__ import annotations

import contextlib
import os
import threading
import uuid
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import numpy as np
import torch
from astropy.table import Table

from .estimators import load
from .exceptions import TableError
from .tables import FlatTables, Objects, convert, fields_of, from_nested, n_points, unit_of
from .training import portions

#: points of a partition that are read and encoded together
POINTS_AT_ONCE = 2**16
#: loaded estimators that a process keeps for later partitions
N_HELD = 4


def encode_catalog(
    catalog,
    estimator,
    column,
    *,
    output="embedding",
    keep=None,
    metadata=(),
    units=None,
    errors="null",
    n_threads=1,
):
    """Encode all objects of a catalogue, partition by partition.

    Nested columns are read directly; no Tables are made. For an LSDB catalogue nothing is computed until ``.compute()``
    or ``.write_catalog(...)``, which use all workers of dask.

    Parameters
    ----------
    catalog : lsdb.Catalog, NestedFrame or DataFrame of pandas
        One row per object, with the points in nested columns or in lists.
    estimator : estimator, Pipeline, str or Path
        A fitted estimator, or the file of one, which every worker must be able to read. A worker loads it once.
    column : str, sequence of str, or dict
        The nested column, or several columns of lists. For an encoder of several modalities, a dict of these by
        modality; an object without points in a modality lacks it.
    output : str, default="embedding"
        Name of the new column. Its cells are lists of float32 of a fixed size.
    keep : sequence of str, default=None
        Columns to keep, in addition to right ascension and declination. None keeps all.
    metadata : sequence of str, default=()
        Columns with the metadata that the encoder was fitted with.
    units : dict, default=None
        Name of a column of points -> unit. Columns without a unit are assumed to be in the units of fit.
    errors : {"null", "raise"}, default="null"
        What to do about an object that cannot be encoded, for example because it has no finite value. "null" gives it a
        null, and a warning states the number of such objects in the partition and the reason for the first. "raise"
        stops the computation.
    n_threads : int, default=1
        Threads of torch per worker. To go faster, add workers rather than threads.

    Returns
    -------
    catalog : lsdb.Catalog or NestedFrame
        The catalogue with the new column.

    Raises
    ------
    TableError
        If a column that the encoder needs is missing or has a unit that cannot be converted or, with
        ``errors="raise"``, if an object cannot be encoded; the message has its index.
    TypeError, ValueError
        If a parameter makes no sense.

    See Also
    --------
    skdaep.pack : Learn from more objects than memory holds.

    Examples
    --------
    >>> import lsdb, skdaep  # doctest: +SKIP
    >>> catalog = lsdb.open_catalog("ztf_dr22", columns=["objectid", "objra", "objdec", "lc"])  # doctest: +SKIP
    >>> encoded = skdaep.encode_catalog(catalog, "encoder.safetensors", "lc", keep=["objectid"])  # doctest: +SKIP
    >>> encoded.write_catalog("ztf_dr22_codes")  # doctest: +SKIP
    """
    if errors not in ("null", "raise"):
        raise ValueError(f"errors={errors!r}: choose 'null' or 'raise'.")
    if isinstance(n_threads, bool) or not (isinstance(n_threads, Integral) and n_threads >= 1):
        raise ValueError(f"n_threads={n_threads!r}: a positive int is needed.")
    if not isinstance(output, str):
        raise TypeError(f"output={output!r}: the name of a column, a str, is needed.")
    for own in column.values() if isinstance(column, Mapping) else [column]:
        if not isinstance(own, str) and not (isinstance(own, (list, tuple)) and all(isinstance(c, str) for c in own)):
            raise TypeError(f"column={column!r}: a name, a list of names or a dict of these by modality is needed.")
    for name, given in (("keep", keep), ("metadata", metadata)):
        if isinstance(given, str):
            raise ValueError(f"{name}={given!r}: give a tuple, ({given!r},).")
    partitioned = hasattr(catalog, "map_partitions") and hasattr(catalog, "hc_structure")
    if not partitioned:
        _check_frame(catalog)
    if keep is not None and partitioned:
        info = catalog.hc_structure.catalog_info
        keep = list(dict.fromkeys([*keep, info.ra_column, info.dec_column]))
    task = Encoding(
        Held.of(estimator),
        column,
        output,
        None if keep is None else list(keep),
        tuple(metadata),
        units or {},
        errors,
        int(n_threads),
    )
    task.check(catalog.meta if partitioned else catalog)
    return catalog.map_partitions(task, meta=task(catalog.meta)) if partitioned else task(catalog)


def _check_frame(catalog) -> None:
    """Raise TypeError if something is neither a catalogue nor a frame."""
    try:
        import pandas as pd
    except ImportError:
        raise ImportError("encode_catalog needs lsdb or nested-pandas: pip install skdaep[lsdb]") from None
    if not isinstance(catalog, pd.DataFrame):
        hint = "open it first, with lsdb.open_catalog" if isinstance(catalog, (str, os.PathLike)) else ""
        hint = hint or "for other frames call estimator.transform(skdaep.tables.from_nested(frame)[0])"
        raise TypeError(f"catalog is a {type(catalog).__name__}, not an lsdb.Catalog or a NestedFrame; {hint}.")


@dataclass(frozen=True)
class Encoding:
    """The encoding of a partition. The parameters are those of `encode_catalog`."""

    held: Held
    column: Any
    output: str
    keep: list[str] | None
    metadata: tuple[str, ...]
    units: Mapping[str, Any]
    errors: str
    n_threads: int

    def check(self, frame) -> None:
        """Raise if a frame, which may have no row, has not what is needed."""
        estimator, has = self.held.get(), list(map(str, frame.columns))
        if (twice := next((name for name in has if has.count(name) > 1), None)) is not None:
            raise TableError(f"The catalogue has several columns {twice!r}; rename or remove all but one.")
        for name in (*(self.keep or ()), *self.metadata, *self._columns()):
            if name not in has:
                raise TableError(f"The catalogue has no column {name!r} (it has: {', '.join(has)}).")
        if self.output in (has if self.keep is None else self.keep):
            raise ValueError(f"output={self.output!r}: the catalogue has such a column; choose another name.")
        modalities = getattr(estimator, "modalities_", {})
        several = isinstance(self.column, Mapping)
        if modalities and several != hasattr(estimator, "modalities"):
            wanted = f"a dict of columns by modality ({', '.join(modalities)})" if not several else "one column"
            raise ValueError(f"column={self.column!r}: for {type(estimator).__name__} {wanted} is needed.")
        if several and (unknown := self.column.keys() - modalities.keys()):
            raise ValueError(
                f"column has {min(unknown)!r}, which is not among the modalities ({', '.join(modalities)})."
            )
        fields = []
        for name, modality in modalities.items():
            if not several or name in self.column:
                fields += self._check_fields(frame, self.column[name] if several else self.column, modality)
        for name in self.units if modalities else ():
            if name not in fields:
                raise TableError(
                    f"units has {name!r}, which is not a field of any nested column ({', '.join(fields)})."
                )
        self._check_units(modalities)
        self._check_metadata(modalities)

    def _columns(self) -> list[str]:
        """Return all columns with points."""
        columns = self.column.values() if isinstance(self.column, Mapping) else [self.column]
        return [name for own in columns for name in ([own] if isinstance(own, str) else own)]

    def _check_units(self, modalities: Mapping) -> None:
        """Refuse units that cannot be those of fit, which would make all objects null."""
        for modality in modalities.values():
            for name in self.units.keys() & modality.learned.units.keys():
                given = unit_of(Table({name: [1.0]}, units={name: self.units[name]}), name)
                convert(np.ones(1), given, modality.learned.units[name], f"Column {name!r} of the catalogue")

    def _check_fields(self, frame, column, modality) -> list[str]:
        roles = modality.columns
        if roles is None:
            raise TableError(f"The encoder was fitted to {type(modality).__name__} or rows of an array, not to Tables.")
        own = [column] if isinstance(column, str) else list(column)
        fields = fields_of(frame[own], own)
        for name in (roles.location, roles.value, roles.band):
            if name is not None and name not in fields:
                raise TableError(
                    f"Column {column!r} of the catalogue has no field {name!r}, which the encoder needs "
                    f"(it has: {', '.join(fields)})."
                )
        return fields

    def _check_metadata(self, modalities: Mapping) -> None:
        told = {key.lower() for key in self.metadata}
        lacking = [key for m in modalities.values() for key in getattr(m, "metadata", ()) if key.lower() not in told]
        if lacking:
            warnings.warn(
                f"The encoder was fitted with metadata {', '.join(lacking)}, which no object has here; "
                f"name their columns by metadata=.",
                UserWarning,
                stacklevel=4,
            )

    def __call__(self, frame):
        """Return a partition with its codes."""
        import pandas as pd

        kept = frame if self.keep is None else frame[self.keep]
        codes = pd.arrays.ArrowExtensionArray(self._codes(frame))
        return kept.assign(**{self.output: pd.Series(codes, index=frame.index)})

    def _codes(self, frame):
        """Return the codes of a partition as an array of Arrow, null for those that have none."""
        import pyarrow as pa

        estimator = self.held.get()
        n, bad = len(frame), {}
        found = np.zeros((n, len(estimator.get_feature_names_out())), np.float32)
        with THREADS.limited_to(self.n_threads):
            for start, objects in self._read(frame, 0, bad) if n else ():
                names = frame.index[start : start + len(objects)]
                odd = encode_each(estimator, objects, names, found[start : start + len(objects)], self.errors)
                bad |= {start + i: reason for i, reason in odd.items()}
        if bad:
            first = min(bad)
            warnings.warn(
                f"{len(bad)} of {n} objects cannot be encoded and get a null. The first, {frame.index[first]}: "
                f"{bad[first]}",
                UserWarning,
                stacklevel=2,
            )
        null = pa.array(np.isin(np.arange(n), list(bad)))
        return pa.FixedSizeListArray.from_arrays(pa.array(found.ravel()), found.shape[1], mask=null if bad else None)

    def _read(self, frame, start: int, bad: dict[int, str]) -> Iterator[tuple[int, FlatTables | Objects]]:
        """Yield the objects of a partition that can be read, with the place of the first of those."""
        try:
            objects = self._objects(frame)
        except TableError as error:
            if len(frame) == 1:
                _note(start, frame.index[0], error, self.errors, bad)
                return
            middle = len(frame) // 2
            yield from self._read(frame[:middle], start, bad)
            yield from self._read(frame[middle:], start + middle, bad)
        else:
            yield start, objects

    def _objects(self, frame) -> FlatTables | Objects:
        if not isinstance(self.column, Mapping):
            return from_nested(frame, self.column, meta=self.metadata, units=self.units)[0]
        parts = {}
        for name, own in self.column.items():
            units = {k: self.units[k] for k in fields_of(frame, own) if k in self.units}
            parts[name] = from_nested(frame, own, meta=self.metadata, units=units)[0]
        return Objects.of(parts)


def encode_each(estimator, objects, names, found: np.ndarray, errors: str = "raise") -> dict[int, str]:
    """Write the code of each object into a row of `found`; return why some have none, by their places.

    Raises
    ------
    TableError
        With ``errors="raise"``, if an object cannot be encoded; the message has its name.
    """
    bad: dict[int, str] = {}
    parts = objects.parts.values() if isinstance(objects, Objects) else [objects]
    for piece in portions(np.sum([n_points(part) for part in parts], axis=0), POINTS_AT_ONCE):
        _encode(estimator, objects, piece.start, piece.stop, names, found, errors, bad)
    return bad


def _encode(estimator, objects, start: int, end: int, names, found: np.ndarray, errors: str, bad) -> None:
    """Encode some objects; where one of them is bad, each half of them."""
    try:
        found[start:end] = np.asarray(estimator.transform(objects[start:end]))
    except TableError as error:
        if end - start == 1:
            _note(start, names[start], error, errors, bad)
            return
        middle = (start + end) // 2
        _encode(estimator, objects, start, middle, names, found, errors, bad)
        _encode(estimator, objects, middle, end, names, found, errors, bad)


def _note(place: int, name, error: TableError, errors: str, bad: dict[int, str]) -> None:
    """Raise that an object cannot be encoded, or note it."""
    if errors == "raise":
        raise TableError(f"Object {name}: {error}") from None
    bad[place] = str(error)


# --- what a worker holds ----------------------------------------------------------------------------

_HELD: dict[str, Any] = {}
_LOCK = threading.Lock()


@dataclass(frozen=True)
class Held:
    """An estimator that a process loads, and builds the networks of, once, however many partitions and threads ask."""

    key: str
    source: Any = field(repr=False)

    @classmethod
    def of(cls, source) -> Held:
        """Return what holds a fitted estimator, or that of a file."""
        return cls(uuid.uuid4().hex, os.fspath(source) if isinstance(source, (str, os.PathLike)) else source)

    def get(self):
        """Return the estimator."""
        with _LOCK:
            if self.key not in _HELD:
                while len(_HELD) >= N_HELD:
                    del _HELD[next(iter(_HELD))]
                estimator = load(self.source) if isinstance(self.source, str) else self.source
                if hasattr(estimator, "model_"):
                    estimator.model_.live()
                _HELD[self.key] = estimator
            return _HELD[self.key]


class _Threads:
    """How many threads torch may use, which is a matter of the process: the last call to leave restores it."""

    def __init__(self):
        self.lock, self.n_within, self.before = threading.Lock(), 0, 1

    @contextlib.contextmanager
    def limited_to(self, n: int) -> Iterator[None]:
        """Within, torch has so many threads."""
        with self.lock:
            if self.n_within == 0:
                self.before = torch.get_num_threads()
            self.n_within += 1
            torch.set_num_threads(n)
        try:
            yield
        finally:
            with self.lock:
                self.n_within -= 1
                if self.n_within == 0:
                    torch.set_num_threads(self.before)


THREADS = _Threads()


def _renew() -> None:
    """Give a process that was forked off locks of its own: those of its parent may have been held."""
    global _LOCK
    _LOCK, THREADS.lock, THREADS.n_within = threading.Lock(), threading.Lock(), 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
