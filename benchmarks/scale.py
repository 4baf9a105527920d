"""Large catalogues: what reading flat columns takes, and what memory a fit takes, from memory and from a folder.

``python -m benchmarks.scale [SECTION ...]``; without one, all. Times are CPU time of one thread; memory is anonymous
memory of the process beside what it held before (Linux), which the pages of mapped files, given back when another
process wants them, are not part of.
"""

from __future__ import annotations

import argparse
import gc
import os
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from skdaep import DAEPEncoder, Photometry, pack
from skdaep.tables import FlatTables, Labels, from_nested

from . import _report
from .speed import PLAIN, SIZES, STATISTICS, _status, _times

N_POINTS = 217
OBJECTS = (10_000, 100_000, 1_000_000)
ENCODED = (10_000, 50_000, 250_000)  # by the command
CHUNK, N_LEARN, POINTS_PER_OBJECT = 1000, 10_000, 50


def main(arguments=None) -> None:
    """Measure the sections asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"no section {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    torch.set_num_threads(1)
    for name in options.sections or SECTIONS:
        SECTIONS[name](options.repeats)


def light_curves(seed: int, n: int, n_points: int) -> FlatTables:
    """Return light curves in two bands, as flat columns."""
    rng, ends = np.random.default_rng(seed), np.arange(1, n + 1) * n_points
    columns = {
        "mjd": np.sort(rng.uniform(58_000, 59_000, (n, n_points)), 1).ravel(),
        "mag": rng.normal(20, 1, n * n_points),
        "magerr": rng.uniform(0.01, 0.1, n * n_points),
        "band": Labels(rng.integers(0, 2, n * n_points).astype(np.uint8), np.array(["g", "r", ""])),
    }
    return FlatTables(columns, ends - n_points, ends)


def encoder(**changes) -> DAEPEncoder:
    """Return a small one."""
    return DAEPEncoder(Photometry(), **SIZES | PLAIN | {"max_iter": 60, "early_stopping": True} | changes)


# --- reading ----------------------------------------------------------------------------------------


def frame_of(flat: FlatTables):
    """Return an Arrow table with one row per light curve, its points in lists."""
    import pyarrow as pa

    offsets = pa.array(np.append(0, flat.ends).astype(np.int32))
    fields = {name: pa.ListArray.from_arrays(offsets, pa.array(flat.column(name)[:])) for name in flat.columns}
    return pa.table({"lc": pa.StructArray.from_arrays(list(fields.values()), names=list(fields))})


def nested(repeats: int, n: int = 4000) -> None:
    """Time the way of nested light curves of 217 points to codes, over Tables and over flat columns."""
    flat = light_curves(0, n, N_POINTS)
    frame = frame_of(flat)
    estimator = encoder(max_iter=2).fit(flat[:200])
    model = estimator.model_

    def read(X) -> None:
        for *_, records in estimator._chunks(model, X):
            model.collate(records)

    columns, tables = partial(from_nested, frame), list(flat)
    seconds = {
        "nested column to FlatTables": _times(columns, repeats),
        "FlatTables to Ragged": _times(lambda: read(flat), repeats),
        "FlatTables to Tables": _times(lambda: list(flat), 1),
        "Tables to Ragged": _times(lambda: read(tables), repeats),
        "transform of FlatTables": _times(lambda: estimator.transform(flat), repeats),
    }
    rows = {k: {s: f(v) / n * 1e6 for s, f in STATISTICS.items()} for k, v in seconds.items()}
    title = f"CPU microseconds per object, {n} nested light curves of {N_POINTS} points in two bands"
    text = _report.table(rows, {s: s for s in STATISTICS}, title, "step")
    beside = sum(rows[k]["median"] for k in ("nested column to FlatTables", "FlatTables to Ragged"))
    text += f"\nBeside the network: {beside:.1f} of 60 that are the goal."
    _report.write("scale_reading", {"settings": _report.settings(estimator), "rows": rows, "beside": beside}, text)


# --- memory -----------------------------------------------------------------------------------------


def memory(repeats: int, n: int = 5000, n_points: int = 200) -> None:
    """Measure what `fit` holds beside its input while it trains, and its peak while it learns scalings and reads."""
    encoder(max_iter=2).fit(light_curves(1, 100, n_points))  # to warm up
    rows = {}
    for kind, made in {"FlatTables": lambda X: X, "list of Tables": list}.items():
        X = made(light_curves(0, n, n_points))
        tracemalloc.start()
        seen = Watched(lambda: tracemalloc.get_traced_memory()[0] / 2**20)
        encoder(max_iter=60).fit(X)
        held, (_, peak) = seen.end()[1], tracemalloc.get_traced_memory()
        tracemalloc.stop()
        rows[kind] = {"held": held, "peak": peak / 2**20, "bytes a point held": held * 2**20 / (n * n_points)}
    title = f"MiB of numpy and Python beside the input, fit of {n:,} objects of {n_points} points"
    _report.write("scale_memory", {"rows": rows}, _report.table(rows, {k: k for k in rows[kind]}, title, "input"))


def folder(repeats: int) -> None:
    """Measure pack, fit and transform from a folder, of 10^4 to 10^6 objects, each in a process of its own."""
    os.environ["MALLOC_MMAP_THRESHOLD_"] = "65536"  # so that what is freed is given back, and counts no longer
    alone = {"mp_context": get_context("spawn"), "max_tasks_per_child": 1}
    with ProcessPoolExecutor(1, **alone) as pool:
        found = dict(zip(reversed(OBJECTS), pool.map(_of_folder, reversed(OBJECTS)), strict=True))
    rows = {n: found[n] for n in OBJECTS}
    title = (
        f"Objects of {POINTS_PER_OBJECT} points in chunks of {CHUNK}, n_learn={N_LEARN:,}: peaks in MiB, CPU "
        f"microseconds per object (fit: CPU s of 60 steps with validation of a hundredth)"
    )
    columns = {k: k for k in rows[OBJECTS[0]]}
    text = _report.table({f"{n:,}": row for n, row in rows.items()}, columns, title, "objects")
    _report.write("scale_folder", {"rows": rows}, text)


def _of_folder(n: int) -> dict[str, float]:
    torch.set_num_threads(1)
    encoder(max_iter=2).fit(light_curves(1, 100, POINTS_PER_OBJECT))  # to warm up
    chunks = (light_curves(k, CHUNK, POINTS_PER_OBJECT) for k in range(n // CHUNK))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store"
        store, packed, pack_seconds = beside(lambda: pack(chunks, path, Photometry(), n_learn=N_LEARN))
        size = sum(file.stat().st_size for file in path.iterdir()) / 2**20
        fitted, fit, fit_seconds = beside(lambda: encoder(validation_fraction=0.01).fit(store))
        Z, encoded, encode_seconds = beside(lambda: fitted.transform(store))
    row = {"on disk": size, "pack": packed, "fit": fit, "transform": encoded, "codes": Z.nbytes / 2**20}
    each = {"pack us": pack_seconds / n * 1e6, "fit s": fit_seconds, "transform us": encode_seconds / n * 1e6}
    print(n, row | each, flush=True)
    return row | each


def command(repeats: int) -> None:
    """Measure ``python -m skdaep encode`` of a parquet file, each number of objects in a process of its own."""
    alone = {"mp_context": get_context("spawn"), "max_tasks_per_child": 1}
    with ProcessPoolExecutor(1, **alone) as pool:
        rows = dict(zip(ENCODED, pool.map(_of_command, ENCODED), strict=True))
    title = f"python -m skdaep encode, objects of {POINTS_PER_OBJECT} points: peak in MiB, CPU microseconds per object"
    columns = {k: k for k in rows[ENCODED[0]]}
    text = _report.table({f"{n:,}": row for n, row in rows.items()}, columns, title, "objects")
    _report.write("scale_command", {"rows": rows}, text)


def _of_command(n: int) -> dict[str, float]:
    import pyarrow.parquet as pq

    from skdaep.__main__ import main as skdaep

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        model, objects, codes = (Path(folder) / name for name in ("model.safetensors", "objects.parquet", "z.parquet"))
        encoder(max_iter=2).fit(light_curves(1, 100, POINTS_PER_OBJECT)).save(model)
        with pq.ParquetWriter(objects, frame_of(light_curves(0, 1, POINTS_PER_OBJECT)).schema) as writer:
            for k in range(n // CHUNK):
                writer.write_table(frame_of(light_curves(k, CHUNK, POINTS_PER_OBJECT)))
        rc, peak, seconds = beside(lambda: skdaep(["encode", str(model), str(objects), str(codes)]))
        if rc or pq.read_metadata(codes).num_rows != n:
            raise RuntimeError(f"encode ended with {rc}")
        return {"on disk": objects.stat().st_size / 2**20, "peak": peak, "encode us": seconds / n * 1e6}


def beside(run: Callable) -> tuple[Any, float, float]:
    """Return what a function gives, its peak of memory in MiB, and its CPU seconds."""
    gc.collect()
    before, start = _status("RssAnon"), time.process_time()
    seen = Watched(lambda: _status("RssAnon"))
    found = run()
    return found, seen.end()[0] - before, time.process_time() - start


class Watched:
    """A number that another thread looks at again and again."""

    def __init__(self, number: Callable[[], float]):
        self.number, self.seen, self.over = number, [number()], threading.Event()
        self.watcher = threading.Thread(target=self._watch)
        self.watcher.start()

    def _watch(self) -> None:
        while not self.over.wait(0.01):
            self.seen.append(self.number())

    def end(self) -> tuple[float, float]:
        """Return the largest number, and the median of the last half: of what was seen in training."""
        self.over.set()
        self.watcher.join()
        return max(self.seen), float(np.median(self.seen[len(self.seen) // 2 :]))


SECTIONS: dict[str, Callable] = {"nested": nested, "memory": memory, "folder": folder, "command": command}

if __name__ == "__main__":
    main()
