"""LSDB catalogues: objects a second by workers, what of it is not the network, and memory of a worker.

``python -m benchmarks.catalogs [--objects N]`` (needs lsdb). It makes HATS catalogues, encodes them with dask
workers of one thread each, codes written, and computes what 10^9 objects take on some nodes from the CPU time of an
object. Other work on the machine makes the time on the clock longer; CPU time it disturbs least.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from skdaep import DAEPEncoder, Photometry, encode_catalog
from skdaep.tables import from_nested

from . import _report
from .speed import _status, _times

#: points and bands of an object, and how many objects of it are encoded for each of `N_OBJECTS`
SURVEYS = {"ZTF": (217, "gr", 1.0), "Rubin, 10 years": (825, "ugrizy", 0.25)}
WORKERS = (1, 2)
N_OBJECTS, N_FIT = 10_000, 200
#: of a catalogue on paper
N_ON_PAPER, CORES_OF_A_NODE, NODES = 10**9, 64, (1, 10, 100)
#: bytes of a point on disk at least: time, magnitude and error as float32, band as a byte
BYTES_OF_A_POINT = 13


def main(arguments=None) -> None:
    """Measure both surveys."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=N_OBJECTS)
    options = parser.parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        made = {survey: _made(Path(folder) / survey[:4], options.objects, *SURVEYS[survey]) for survey in SURVEYS}
        rows = _measured(made)
    row = next(iter(rows.values()))
    paper = {survey: _on_paper(rows[f"{survey}, {WORKERS[-1]} workers"], SURVEYS[survey][0]) for survey in SURVEYS}
    title = (
        "encode_catalog of HATS catalogues, codes written, default encoder, one thread per worker; objects per second "
        "by CPU time, were a core all its own, and by the clock of a machine with other work (load, 2 cores)"
    )
    text = _report.table(rows, {k: k for k in row}, title, "workers")
    title = f"On paper: {N_ON_PAPER:,} objects on nodes of {CORES_OF_A_NODE} cores like this one, points at 13 bytes"
    text += "\n\n" + _report.table(paper, {k: k for k in next(iter(paper.values()))}, title, "survey")
    _report.write("catalogs", {"rows": rows, "paper": paper}, text)


def _on_paper(row: dict[str, float], n_points: int) -> dict[str, float]:
    core_hours = N_ON_PAPER * row["CPU us"] * 1e-6 / 3600
    hours = {f"hours on {n} nodes": core_hours / CORES_OF_A_NODE / n for n in NODES}
    points = N_ON_PAPER * n_points * BYTES_OF_A_POINT / 1e12
    about = {"points of an object": n_points, "points, TB": points, "codes, GB": N_ON_PAPER * row["bytes"] / 1e9}
    return about | {"core hours": core_hours} | hours


def _frame(seed: int, n: int, n_points: int, bands: str):
    import nested_pandas
    import pandas as pd

    rng = np.random.default_rng(seed)
    sky = {"ra": rng.uniform(0, 90, n), "dec": rng.uniform(0, 60, n)}
    base = nested_pandas.NestedFrame({"objectid": np.arange(n)} | sky)
    points = {
        "mjd": np.sort(rng.uniform(58_000, 61_650, (n, n_points)), 1).ravel(),
        "mag": rng.normal(20, 1, n * n_points).astype(np.float32),
        "magerr": rng.uniform(0.01, 0.1, n * n_points).astype(np.float32),
        "band": rng.choice(list(bands), n * n_points),
    }
    return base.join_nested(pd.DataFrame(points, index=np.repeat(np.arange(n), n_points)), "lc")


def _made(folder: Path, n_of_all: int, n_points: int, bands: str, share: float) -> dict[str, float]:
    """Write a catalogue, a small one and an encoder; return what is known of them without dask."""
    import lsdb

    n = int(n_of_all * share)
    frame = _frame(0, n, n_points, bands)
    flat = from_nested(frame, "lc")[0]
    estimator = DAEPEncoder(Photometry(), max_iter=2, device="cpu", random_state=0).fit(flat[:N_FIT])
    seconds = min(_times(lambda: estimator.transform(flat), 1))
    for name, part in {"all": frame, "few": frame[: n // 10]}.items():
        # as few partitions as the sky has, for those of catalogues are large
        catalog = lsdb.from_dataframe(part, ra_column="ra", dec_column="dec", partition_rows=n)
        catalog.write_catalog(folder / name, catalog_name=name, progress_bar=False)
    estimator.save(folder / "encoder.safetensors")
    size = 4 * len(estimator.get_feature_names_out())
    return {"folder": folder, "objects": n, "transform us": seconds / n * 1e6, "bytes": size}


def _measured(made: dict[str, dict]) -> dict[str, dict]:
    from dask.distributed import Client

    rows = {}
    for workers in WORKERS:
        with Client(n_workers=workers, threads_per_worker=1, dashboard_address=None) as client:
            for survey, about in made.items():
                about = dict(about)
                folder, n = about.pop("folder"), about["objects"]
                _encoded(folder, "few", folder / f"warm{workers}")  # workers load the model
                before, start = sum(client.run(time.process_time).values()), time.perf_counter()
                n_partitions = _encoded(folder, "all", folder / f"codes{workers}")
                seconds = time.perf_counter() - start
                each = (sum(client.run(time.process_time).values()) - before) / n * 1e6
                row = about | {
                    "partitions": n_partitions,
                    "CPU us": each,
                    "overhead share": 1 - about["transform us"] / each,
                    "rate by CPU": workers * 1e6 / each,
                    "rate by clock": n / seconds,
                    "load": os.getloadavg()[0],
                    "MiB of a worker": max(client.run(_status, "VmHWM").values()),
                }
                rows[f"{survey}, {workers} workers"] = row
                print(survey, workers, row, flush=True)
    return rows


def _encoded(folder: Path, name: str, to: Path) -> int:
    """Encode a catalogue and write the codes; return the number of partitions."""
    import lsdb

    catalog = lsdb.open_catalog(folder / name)
    encoded = encode_catalog(catalog, folder / "encoder.safetensors", "lc", keep=["objectid"])
    encoded.write_catalog(to, catalog_name="codes", progress_bar=False)
    return catalog.npartitions


if __name__ == "__main__":
    main()
