"""Columns written to a file as they come: parquet bit by bit, other formats at the end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .storage import replacing

Columns = dict[str, np.ndarray]


class Output:
    """What columns are added to; `units` by name."""

    def __init__(self, path: Path, temporary: Path):
        self.path, self.temporary = path, temporary
        self.parts: list[Columns] = []
        self.units: dict[str, str] = {}
        self.writer: Any = None

    def add(self, columns: Columns, units: dict[str, str] | None = None) -> None:
        """Add rows, NaN where there is nothing."""
        self.units |= units or {}
        if self.path.suffix == ".parquet":
            self._write(columns)
        else:
            self.parts.append(columns)

    def _write(self, columns: Columns) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        arrays = {name: _as_arrow(pa, values) for name, values in columns.items()}
        if self.writer is None:
            about = {name: {"unit": unit} for name, unit in self.units.items()}
            fields = [pa.field(name, a.type, metadata=about.get(name)) for name, a in arrays.items()]
            self.writer = pq.ParquetWriter(os.fspath(self.temporary), pa.schema(fields))
        schema = self.writer.schema
        self.writer.write_table(pa.table([arrays[name].cast(schema.field(name).type) for name in arrays], schema))

    def end(self) -> None:
        """Write what was held."""
        if self.writer is not None:
            self.writer.close()
            return
        columns = {name: np.concatenate([part[name] for part in self.parts]) for name in self.parts[0]}
        if self.path.suffix == ".ecsv":
            from astropy.table import Table

            Table(columns, units=self.units).write(self.temporary, format="ascii.ecsv", overwrite=True)
            return
        ids, *rest = columns
        Z = np.stack([columns[name] for name in rest], axis=1)
        rows = np.empty(len(Z), [(ids, columns[ids].dtype), ("z", Z.dtype, Z.shape[1:])])
        rows[ids], rows["z"] = columns[ids], Z
        with open(self.temporary, "wb") as file:
            np.save(file, rows, allow_pickle=False)


@contextmanager
def written(path: Path) -> Iterator[Output]:
    """Yield what columns are added to; the file is there whole or not at all."""
    with replacing(path) as temporary:
        output = Output(path, temporary)
        try:
            yield output
            output.end()
        finally:
            if output.writer is not None:
                output.writer.close()


def _as_arrow(pa: Any, values: np.ndarray) -> Any:
    """Return a column of Arrow; several numbers in a row, as draws are, become a list of fixed length."""
    if values.ndim == 1:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
