"""Codes of exported encoders, run by onnxruntime, against those of `transform`, on 1 to 20,000 points.

python -m benchmarks.onnx_agreement   (extra "onnx", and onnxruntime)
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from astropy.table import Table

import skdaep

RESULTS = Path(__file__).parent / "results"
N_POINTS = (1, 2, 17, 300, 2_000, 20_000)
SMALL = dict(max_iter=30, random_state=0)


def light_curve(i: int, n: int) -> Table:
    """Return object i at n points in two bands."""
    rng = np.random.default_rng([42, i])
    time_, band = np.sort(rng.uniform(0, 100, n)), rng.choice(["g", "r"], n)
    mag = 18 + rng.uniform(0.5, 2) * np.sin(time_ / 20 + i) + 0.5 * (band == "g") + 0.05 * rng.standard_normal(n)
    columns = {"time": time_, "band": band, "mag": mag, "mag_err": rng.uniform(0.02, 0.1, n)}
    return Table(columns, meta={"redshift": rng.uniform(0.01, 0.3)})


def feed(inputs: dict, table: Table) -> dict:
    """Return the arrays of one object that a graph takes."""
    arrays = {}
    for name, about in inputs.items():
        cells = table[about["column"]] if "column" in about else table.meta[about["key"]]
        cells = [about["labels"].index(x) for x in cells] if "labels" in about else cells
        arrays[name] = np.array([cells], about["dtype"])
    return arrays


def seconds(function) -> float:
    """Return the CPU seconds of a call, the median of nine."""
    taken = []
    for _ in range(9):
        start = time.process_time()
        function()
        taken.append(time.process_time() - start)
    return float(np.median(taken))


def agreement(encoder, X: list[Table], path: Path) -> dict:
    """Return differences, times and sizes of one encoder."""
    encoder.fit(X)
    start = time.process_time()
    encoder.export_onnx(path)
    exported = time.process_time() - start
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options)
    inputs = json.loads(session.get_modelmeta().custom_metadata_map["skdaep"])["inputs"]
    worst = {}
    for n in N_POINTS:
        one = light_curve(999, n)
        (z,) = session.run(None, feed(inputs, one))
        worst[n] = float(np.abs(z - encoder.transform([one])).max())
    one, arrays = light_curve(999, 200), feed(inputs, light_curve(999, 200))
    return {
        "largest difference by points": worst,
        "standard deviation of codes": float(encoder.transform(X).std()),
        "CPU seconds of export": exported,
        "MiB": path.stat().st_size / 2**20,
        "CPU ms an object of 200 points": {
            "transform": 1e3 * seconds(lambda: encoder.transform([one])),
            "onnxruntime": 1e3 * seconds(lambda: session.run(None, arrays)),
        },
    }


def main() -> None:
    """Write the results of all encoders of one modality."""
    torch.set_num_threads(1)
    X, modality = [light_curve(i, 40) for i in range(60)], skdaep.Photometry(metadata=("redshift",))
    encoders = {
        "DAEPEncoder": skdaep.DAEPEncoder(modality, **SMALL),
        "DAEPEncoder, core=None": skdaep.DAEPEncoder(modality, core=None, **SMALL),
        "MAEPEncoder": skdaep.MAEPEncoder(modality, **SMALL),
        "BetaVAEEncoder": skdaep.BetaVAEEncoder(modality, **SMALL),
        "FunctionalPCA": skdaep.FunctionalPCA(skdaep.Photometry(), error_weighting=True, random_state=0),
    }
    with tempfile.TemporaryDirectory() as folder:
        found = {name: agreement(e, X, Path(folder) / "encoder.onnx") for name, e in encoders.items()}
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    about = {"commit": commit, "torch": torch.__version__, "onnxruntime": onnxruntime.__version__, "threads": 1}
    (RESULTS / "onnx_agreement.json").write_text(json.dumps(about | found, indent=1) + "\n")
    lines = [f"{name:24s} {max(f['largest difference by points'].values()):.1e}" for name, f in found.items()]
    (RESULTS / "onnx_agreement.txt").write_text("largest difference, 1 to 20,000 points\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
