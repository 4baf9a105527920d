"""What speed and memory depend on: points, width, encoded objects, fits, and what reading Tables takes.

``python -m benchmarks.speed [SECTION ...]``; without one, all. Times are CPU time of one thread unless said otherwise:
other work on the machine disturbs it least.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from astropy import units as u
from astropy.table import MaskedColumn, QTable, Table

from skdaep import DAEPEncoder, Photometry, Spectrum, info
from skdaep.model.draws import content_key

from . import _report, throughput

POINTS = (100, 300, 1000, 3000, 10_000, 30_000)
POINTS_PER_BATCH = 2**14
WIDTHS = (32, 64, 128, 256)
OBJECTS = (1000, 10_000, 100_000, 1_000_000)
SIZES = {"model_dim": 32, "n_heads": 4, "n_encoder_layers": 2, "n_decoder_layers": 2, "random_state": 0}
PLAIN = {"device": "cpu", "precision": "float32", "early_stopping": False}


def main(arguments=None) -> None:
    """Measure the sections asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peer", metavar="PATH", help="see benchmarks.throughput")
    options = parser.parse_args(arguments)
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"no section {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    for name in options.sections or SECTIONS:
        if name == "throughput":
            throughput.main(["--peer", options.peer] if options.peer else [])
        else:
            torch.set_num_threads(1)
            SECTIONS[name](options.repeats)


# --- reading Tables ---------------------------------------------------------------------------------


def reading(repeats: int, n_objects: int = 5000) -> None:
    """Time `transform` from Tables to codes, and the reading in it."""
    rows = {}
    for kind in KINDS:
        X = [light_curve(i, kind) for i in range(n_objects)]
        estimator = _light_curves(kind).fit(X[:200])
        read = _times(partial(_exhaust, estimator, X), repeats)
        whole = _times(partial(estimator.transform, X), repeats)
        network = [b - a for a, b in zip(read, whole, strict=True)]
        parts = {"read": read, "network": network, "transform": whole}
        rows[kind] = {f"{k} {s}": f(v) / n_objects * 1e6 for k, v in parts.items() for s, f in STATISTICS.items()}
    columns = {f"{k}{'' if s == 'median' else ' ' + s}": f"{k} {s}" for k in parts for s in STATISTICS}
    title = f"CPU microseconds per object, {n_objects} light curves of 30 to 60 points in two bands"
    text = _report.table(rows, columns, title, "table") + "\nnetwork: collating, batches and the encoder, model_dim 32."
    _report.write("speed_reading", {"settings": _report.settings(estimator), "rows": rows}, text)


def _exhaust(estimator, X) -> None:
    (name,) = estimator.modalities_
    estimator.model_.read([{name: x} for x in X])


KINDS = ("Table", "Table with units, errors, masks and meta", "QTable with units and errors")


def light_curve(seed: int, kind: str) -> Table:
    """Return one object of 30 to 60 points in two bands."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(30, 61))
    time, band, mag = np.sort(rng.uniform(0, 100, n)), rng.choice(["g", "r"], n), rng.standard_normal(n)
    if kind == KINDS[0]:
        return Table({"time": time, "band": band, "mag": mag})
    columns = {"time": time * u.day, "band": band, "mag": mag * u.mJy, "mag_err": np.full(n, 0.1) * u.mJy}
    if kind == KINDS[2]:
        return QTable(columns)
    columns["mag"] = MaskedColumn(mag, mask=rng.random(n) < 0.1, unit=u.mJy)
    return Table(columns, meta={"redshift": rng.uniform(0, 1), "survey": str(rng.choice(["ZTF", "LSST"]))})


def _light_curves(kind: str) -> DAEPEncoder:
    metadata = ("redshift", "survey") if kind == KINDS[1] else ()
    return DAEPEncoder(Photometry(metadata=metadata), max_iter=2, **SIZES, **PLAIN)


# --- points -----------------------------------------------------------------------------------------


def points(repeats: int) -> None:
    """Time encoding, a training step and a draw of objects of 100 to 30,000 points."""
    rows = {n: _cost_of(n, repeats) for n in POINTS}
    slopes = {k: _slope(rows, f"{k} median") for k in ("encode", "train", "draw")}
    columns = {f"{k}{'' if s == 'median' else ' ' + s}": f"{k} {s}" for k in slopes for s in STATISTICS}
    title = f"CPU milliseconds per object, batches of {POINTS_PER_BATCH:,} points (one object of 30,000), model_dim 32"
    text = _report.table({f"{n:,} points": row for n, row in rows.items()}, columns, title, "object")
    text += "\nslope of log time over log points, 1,000 to 30,000: "
    text += ", ".join(f"{k} {slope:.2f}" for k, slope in slopes.items())
    _report.write("speed_points", {"slopes": slopes, "rows": rows}, text)


def _cost_of(n_points: int, repeats: int) -> dict[str, float]:
    n_objects = max(1, POINTS_PER_BATCH // n_points)
    X = throughput.synthetic(n_objects, n_points, 1)
    estimator = DAEPEncoder(Spectrum(), max_points=None, max_iter=1, batch_size=n_objects, **SIZES, **PLAIN).fit(X)
    (name,) = estimator.modalities_
    model = estimator.model_
    records = model.read([{name: x} for x in X])
    keys, places = [content_key(r) for r in records], [r[name] for r in records]
    Z = model.encode(records).mean
    steps = throughput.training_steps(estimator, records)
    runs = {
        "encode": partial(model.encode, records),
        "train": partial(steps, n_objects),
        "draw": partial(model.decode, name, Z, places, keys, 1),
    }
    seconds = {k: _times(run, repeats) for k, run in runs.items()}
    print(n_points, "points:", {k: round(np.median(v), 4) for k, v in seconds.items()}, flush=True)
    return {f"{k} {s}": 1000 * f(v) / n_objects for k, v in seconds.items() for s, f in STATISTICS.items()}


def _slope(rows: dict[int, dict], key: str) -> float:
    n = np.array([n for n in rows if n >= 1000])
    return float(np.polyfit(np.log(n), np.log([rows[i][key] for i in n]), 1)[0])


# --- width ------------------------------------------------------------------------------------------


def widths(repeats: int, n_objects: int = 64, n_points: int = 220) -> None:
    """Count the weights of the default encoder by `model_dim`, and time encoding and a training step."""
    rows = {width: _cost_of_width(width, throughput.synthetic(n_objects, n_points, 1), repeats) for width in WIDTHS}
    columns = {"weights": "weights", "file, MB": "megabytes", "encode": "encode", "train": "train"}
    title = f"Weights, and CPU milliseconds per object, batches of {n_objects} objects of {n_points} points"
    text = _report.table({str(n): row for n, row in rows.items()}, columns, title, "model_dim")
    _report.write("speed_widths", {"rows": rows}, text)


def _cost_of_width(width: int, X: list[Table], repeats: int) -> dict[str, float]:
    estimator = DAEPEncoder(Spectrum(), model_dim=width, max_points=None, max_iter=1, random_state=0, **PLAIN).fit(X)
    (name,) = estimator.modalities_
    records = estimator.model_.read([{name: x} for x in X])
    steps = throughput.training_steps(estimator, records)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        estimator.save(path)
        about = info(path)
    encode, train = (
        _times(run, repeats) for run in (partial(estimator.model_.encode, records), partial(steps, len(X)))
    )
    milliseconds = {
        "encode": 1000 * float(np.median(encode)) / len(X),
        "train": 1000 * float(np.median(train)) / len(X),
    }
    return {"weights": about.n_weights, "megabytes": about.n_bytes / 1e6} | milliseconds


# --- encoded objects --------------------------------------------------------------------------------


class Repeated(Sequence):
    """A million Tables, which would take 10 GB, as references to fewer."""

    def __init__(self, tables: list[Table], n: int):
        self.tables, self.n = tables, n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> Table:
        if not 0 <= i < self.n:
            raise IndexError(i)
        return self.tables[i % len(self.tables)]


def objects(repeats: int, n_tables: int = 1000) -> None:
    """Measure peak memory and time of `transform` of 10^3 to 10^6 objects."""
    tables = [light_curve(i, KINDS[1]) for i in range(n_tables)]
    estimator = _light_curves(KINDS[1]).fit(tables[:200])
    estimator.transform(Repeated(tables, 100))  # to warm up
    gc.collect()
    before = _status("VmRSS")
    rows = {n: _memory_of(estimator, Repeated(tables, n), before) for n in OBJECTS}
    columns = {"peak beside input, MiB": "peak", "codes alone, MiB": "codes", "CPU us per object": "microseconds"}
    text = _report.table(
        {f"{n:,}": row for n, row in rows.items()},
        columns,
        f"transform of n objects ({n_tables} different Tables of 30 to 60 points, over and over), once each",
        "objects",
    )
    _report.write("speed_objects", {"rows": rows}, text)


def _memory_of(estimator, X: Sequence, before: float) -> dict[str, float]:
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts from here
    start = time.process_time()
    Z = estimator.transform(X)
    seconds = time.process_time() - start
    row = {"peak": _status("VmHWM") - before, "codes": Z.nbytes / 2**20, "microseconds": 1e6 * seconds / len(X)}
    print(f"{len(X)} objects: {row}", flush=True)
    return row


def _status(field: str) -> float:
    """Return a size of this process in MiB (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


# --- fits -------------------------------------------------------------------------------------------


def fits(repeats: int, n: int = 100) -> None:
    """Measure how memory grows over 100 fits after 10 to warm up."""
    X = [light_curve(i, KINDS[1]) for i in range(20)]
    _flat("fits", n, lambda: _light_curves(KINDS[1]).fit(X))


def transforms(repeats: int, n: int = 200) -> None:
    """Measure how memory grows over 200 calls of `transform` after 10 to warm up."""
    X = [light_curve(i, KINDS[1]) for i in range(20)]
    _flat("transforms", n, partial(_light_curves(KINDS[1]).fit(X).transform, X))


def _flat(name: str, n: int, run: Callable) -> None:
    """Write how memory grows over n runs.

    What is allocated and not freed, tensors included, is what a leak would show in. The process also keeps freed memory
    that the allocator could not give back.
    """
    grown = _growth(n, run, {"in use": _in_use, "process": lambda: _status("VmRSS")})
    tracemalloc.start()  # takes memory itself
    traced = _growth(n, run, {"Python": lambda: tracemalloc.get_traced_memory()[0] / 2**20})
    tracemalloc.stop()
    rows = {i: grown[i] | traced[i] for i in grown}
    columns = {"in use": "in use", "process": "process", "Python's objects and numpy's arrays": "Python"}
    title = f"Growth in MiB over {n} {name} of 20 light curves, after 10 to warm up"
    text = _report.table({f"{i} {name}": row for i, row in rows.items()}, columns, title, "after")
    path = _report.write(f"speed_{name}", {"rows": rows}, text)
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
    for label, key in columns.items():
        ax.plot(list(rows), [row[key] for row in rows.values()], label=label)
    ax.set(xlabel=name, ylabel="growth (MiB)", ylim=(min(0, *ax.get_ylim()), max(2, ax.get_ylim()[1])))
    ax.legend()
    figure.savefig(path.with_suffix(".png"), dpi=150)


def _growth(n: int, run: Callable, held: dict[str, Callable[[], float]]) -> dict[int, dict[str, float]]:
    """Return by how much each measure has grown after every tenth of n runs, from after the first ten on."""
    now = {}
    for i in range(-10, n + 1):
        if i >= 0 and i % (n // 10) == 0:
            gc.collect()
            now[i] = {name: measure() for name, measure in held.items()}
        run()
    return {i: {name: x - now[0][name] for name, x in row.items()} for i, row in now.items()}


class _Mallinfo2(ctypes.Structure):
    """What glibc's allocator says of itself, in bytes: ``man mallinfo``."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
    ]


def _in_use() -> float:
    """Return MiB that are allocated and not freed."""
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = _Mallinfo2
    info = mallinfo2()
    return (info.uordblks + info.hblkhd) / 2**20


# --- shared -----------------------------------------------------------------------------------------

STATISTICS = {"median": np.median, "min": np.min, "max": np.max}
SECTIONS: dict[str, Callable] = {
    "throughput": throughput.main,
    "reading": reading,
    "points": points,
    "widths": widths,
    "objects": objects,
    "fits": fits,
    "transforms": transforms,
}


def _times(run: Callable, repeats: int) -> list[float]:
    """Return the CPU seconds of each run, after one to warm up."""
    run()
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    return seconds


if __name__ == "__main__":
    main()
