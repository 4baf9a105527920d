"""Objects of files, some at a time: of parquet, of HATS, of folders with one FITS or ECSV file for each object."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from .exceptions import TableError
from .tables import from_long, from_nested, is_type_of_points, units_of

#: number of objects, or of rows of a long table, that are read at a time
N_OBJECTS, N_POINTS = 1000, 2**16
#: endings of files that hold one object each
ENDS = (".fits", ".fits.gz", ".fit", ".ecsv")
#: names of the files that describe a HATS catalogue
COLLECTION, PROPERTIES = "collection.properties", ("hats.properties", "properties")

#: default name of the column with the names of objects
BY = "object_id"

Piece = tuple[Sequence[Any], np.ndarray]


@dataclass(frozen=True)
class Asked:
    """How objects are to be read from parquet; the parameters are those of `from_long` and `from_nested`."""

    by: str | None
    columns: list[str] | None = None
    meta: tuple[str, ...] = ()
    units: dict[str, Any] = field(default_factory=dict)


class Folder:
    """Tables of files, one for each object, which is called by the name of its file."""

    def __init__(self, paths: list[Path]):
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def pieces(self) -> Iterator[Piece]:
        """Yield some objects at a time, and their names."""
        for start in range(0, len(self), N_OBJECTS):
            paths = self.paths[start : start + N_OBJECTS]
            yield [_table(path) for path in paths], np.array([_stem(path) for path in paths])


def _table(path: Path) -> Table:
    try:
        return Table.read(path)
    except Exception as error:  # astropy raises many kinds
        raise TableError(f"{path} cannot be read: {error}") from error


def _stem(path: Path) -> str:
    end = next(end for end in sorted(ENDS, key=len, reverse=True) if path.name.lower().endswith(end))
    return path.name[: -len(end)]


class Nested:
    """Rows of parquet files, one for each object, with the points in lists."""

    def __init__(self, paths: list[Path], asked: Asked):
        self.paths, self.asked = paths, asked
        self.files = [_opened(path) for path in paths]

    def __len__(self) -> int:
        return sum(file.metadata.num_rows for file in self.files)

    def pieces(self) -> Iterator[Piece]:
        """Yield some objects at a time, and their names: numbers of rows, if no column has them."""
        asked, n = self.asked, 0
        for path, file in zip(self.paths, self.files, strict=True):
            with _told(path):
                for frame in _frames(file, N_OBJECTS, _needed(file.schema_arrow, asked)):
                    objects, names = from_nested(frame, asked.columns, by=asked.by, meta=asked.meta, units=asked.units)
                    yield objects, names if asked.by is not None else names + n
                    n += len(objects)


def _needed(schema, asked: Asked) -> list[str]:
    """Return the columns to read."""
    points = asked.columns or [f.name for f in schema if is_type_of_points(f.type)]
    wanted = {*points, *asked.meta, *([] if asked.by is None else [asked.by])}
    for name in sorted(wanted):
        _check_has(schema.names, name)
    return [name for name in schema.names if name in wanted]


class Long:
    """Parquet files of one row per point. They are read piece by piece if the rows of each object are together."""

    def __init__(self, paths: list[Path], asked: Asked):
        self.paths, self.asked, self.by = paths, asked, str(asked.by)
        self.files = [_opened(path) for path in paths]
        self.n_objects, self.n_runs = self._counts()

    def __len__(self) -> int:
        return self.n_objects

    def _counts(self) -> tuple[int, int]:
        """Return how many objects there are, and how often their name changes from one row to the next."""
        import pyarrow as pa
        import pyarrow.compute as pc

        starts: list[Any] = []
        last = None
        for path, file in zip(self.paths, self.files, strict=True):
            with _told(path):
                _check_has(file.schema_arrow.names, self.by)
                for frame in _frames(file, N_POINTS, [self.by]):
                    names = _plain(frame[self.by])
                    first = [] if last is not None and names[0].equals(last) else [0]
                    rows = np.append(first, _changes(names)).astype(np.int64)
                    starts.append(names.take(pa.array(rows)))
                    last = names[-1]
        if not starts:
            return 0, 0
        every = pa.chunked_array([part.cast(starts[0].type) for part in starts])
        return pc.count_distinct(every, mode="all").as_py(), len(every)

    @property
    def scattered(self) -> bool:
        """Whether the rows of some object are apart, so that the whole table must be held."""
        return self.n_runs > self.n_objects

    def pieces(self) -> Iterator[Piece]:
        """Yield some objects at a time, and their names."""
        import pyarrow as pa

        if self.scattered:
            objects, names = self._made(pa.concat_tables([file.read() for file in self.files], **PERMISSIVE))
            for start in range(0, len(objects), N_OBJECTS):
                part = slice(start, start + N_OBJECTS)
                yield objects[part], names[part]
            return
        rest = None  # rows of the last object, which may continue in the next frame
        for path, file in zip(self.paths, self.files, strict=True):
            with _told(path):
                for frame in _frames(file, N_POINTS):
                    if rest is not None:
                        _check_units(rest.schema, frame.schema)
                        frame = pa.concat_tables([rest, frame], **PERMISSIVE)
                    changes = _changes(_plain(frame[self.by]))
                    last = int(changes[-1]) if len(changes) else 0
                    rest = frame[last:]
                    if last:
                        yield self._made(frame[:last])
        if rest is not None:
            yield self._made(rest)

    def _made(self, frame) -> Piece:
        return from_long(frame, self.by, meta=self.asked.meta, units=self.asked.units)


#: for columns whose types differ between files
PERMISSIVE = {"promote_options": "permissive"}


def _plain(column):
    """Return a column of names as one array, not encoded by a dictionary."""
    import pyarrow as pa

    column = column.combine_chunks()
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _changes(names) -> np.ndarray:
    """Return the rows at which another name begins than that of the row before."""
    import pyarrow.compute as pc

    differ = pc.not_equal(names[1:], names[:-1]).fill_null(True)  # from_long refuses nulls, and names the row
    return np.flatnonzero(differ.to_numpy(zero_copy_only=False)) + 1


def _check_has(names: list[str], name: str) -> None:
    if name not in names:
        raise TableError(f"There is no column {name!r} (there are: {', '.join(names)}).")


def _check_units(before, schema) -> None:
    """Refuse an object that began in a file of other units."""
    earlier, own = units_of(before), units_of(schema)
    for name in earlier.keys() | own.keys():
        if earlier.get(name) != own.get(name):
            raise TableError(
                f"Column {name!r} has unit {own.get(name)}, but {earlier.get(name)} in the file before, which ends "
                f"with points of the same object."
            )


def _opened(path: Path):
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise ImportError("Parquet files need pyarrow: pip install skdaep[data]") from None
    try:
        return pq.ParquetFile(path, pre_buffer=False)  # pyarrow's buffer holds all that was read of a file
    except (pa.ArrowException, OSError) as error:
        raise TableError(f"{path} cannot be read: {error}") from error


def _frames(file, n_rows: int, columns: list[str] | None = None) -> Iterator[Any]:
    """Yield so many rows at a time."""
    import pyarrow as pa

    for batch in file.iter_batches(n_rows, columns=columns):
        if len(batch):
            yield pa.Table.from_batches([batch])


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Within, say of which file an error is."""
    try:
        yield
    except TableError as error:
        raise TableError(f"{path}: {error}") from None


# --- what there is ----------------------------------------------------------------------------------


def open_input(path: Path, asked: Asked) -> Folder | Nested | Long:
    """Return the objects of a file or a folder."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file or folder.")
    parquet = _parquet_files(path)
    if not parquet:
        tables = [p for p in sorted(path.iterdir()) if p.name.lower().endswith(ENDS)] if path.is_dir() else []
        if not tables:
            raise ValueError(f"{path} is neither a parquet file nor a folder with *.parquet, *.fits or *.ecsv.")
        if asked.units:
            raise ValueError("--unit is for parquet files; FITS and ECSV files have units of their own.")
        return Folder(tables)
    schema = _opened(parquet[0]).schema_arrow
    if any(is_type_of_points(column.type) for column in schema):
        named = asked.by in schema.names or asked.by != BY
        return Nested(parquet, asked if named else replace(asked, by=None))
    if asked.columns:
        raise ValueError(f"--column is for files with lists in their cells; {parquet[0]} has one row per point.")
    return Long(parquet, asked)


def _parquet_files(path: Path) -> list[Path]:
    """Return the file, those in a folder, or those with the objects of a HATS catalogue, in order."""
    if not path.is_dir():
        return [path] if path.suffix == ".parquet" else []
    if (path / COLLECTION).exists():
        primary = _properties(path / COLLECTION).get("hats_primary_table_url")
        if not primary or not (path / primary).is_dir():
            raise ValueError(f"{path / COLLECTION} names a primary catalogue that does not exist ({primary}).")
        path = path / primary
    found = sorted(p for p in path.rglob("*.parquet") if not p.name.startswith(("_", ".")))
    about = next((path / name for name in PROPERTIES if (path / name).exists()), None)
    if about is None:
        return found
    kind = _properties(about).get("dataproduct_type", "object")
    if kind not in ("object", "source", "nested"):
        raise ValueError(f"{path} is a HATS catalogue of type {kind!r}, not one of objects.")
    return [p for p in found if any(part.startswith("Norder=") for part in p.parts)]  # not the thumbnail


def _properties(path: Path) -> dict[str, str]:
    pairs = [line.partition("=") for line in path.read_text().splitlines() if not line.startswith("#")]
    return {key.strip(): value.strip() for key, equals, value in pairs if equals}
