"""Throughput: objects per second of training, encoding, point reconstruction and one draw, on the CPU."""

from __future__ import annotations

import argparse
import runpy
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from astropy.table import Table
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from skdaep import DAEPEncoder, Photometry, Spectrum
from skdaep.model.draws import content_key
from skdaep.training import autocast, generator_of, resolve_precision, train

from . import _report

CPU = torch.device("cpu")
# Objects per second of the authors' public implementation, two runs on a machine with 2 cores.
CASES = {
    "64 x 220": {
        "shape": (64, 220, 1),
        "parameters": {"n_heads": 4, "hidden_length": None},
        "authors": {"train": (26, 30), "encode": (580, 880), "draw": (0.7, 0.8)},
    },
    "64 x 60, 2 bands": {
        "shape": (64, 60, 2),
        "parameters": {"n_heads": 4, "hidden_length": None},
        "authors": {"train": (190, 210), "encode": (2800, 3400), "draw": (4.7, 4.7)},
    },
    "8 x 2500": {
        "shape": (8, 2500, 1),
        "parameters": {"n_heads": 8, "hidden_length": 256},
        "authors": {"train": (0.5, 0.7), "encode": (7, 12), "draw": (0.03, 0.03)},
    },
}
SIZES = {"model_dim": 128, "n_encoder_layers": 4, "n_decoder_layers": 4}
#: times the authors' implementation, case by case; what it has no target for is None
TARGETS = {
    "train": (4, 2.5, 8),
    "point": (200, None, 200),
    "draw": (20, None, 20),
    "encode": (None, None, 20),
}
LONGEST = 120.0  # seconds; what takes more in all is repeated less
COLUMNS = {
    "objects/s": "rate",
    "min": "min",
    "max": "max",
    "authors": "authors",
    "ratio": "ratio",
    "peer": "peer",
    "times the peer": "ratio_peer",
    "target": "target",
    "GFLOP/object": "gflop",
    "GFLOP/batch": "fixed",
    "share of peak": "share",
}


def main(arguments=None) -> None:
    """Measure all cases and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7, help="timed steps and passes; the median counts")
    parser.add_argument("--cases", nargs="*", choices=list(CASES), default=list(CASES), metavar="CASE")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="parameters of DAEPEncoder")
    parser.add_argument(
        "--peer",
        metavar="PATH",
        help="a Python file that times another implementation beside this one: its build(n_objects, n_points, n_bands, "
        "model_dim, n_heads, n_encoder_layers, n_decoder_layers, hidden_length) returns functions without arguments by "
        "name, any of train, encode, point and draw, that do it once for a whole batch",
    )
    parser.add_argument("--name", default="throughput")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)

    peak = matmul_peak()
    rows, settings = {}, {}
    for place, case in enumerate(CASES):
        if case not in options.cases:
            continue
        estimator = DAEPEncoder(**_architecture(case) | _report.overrides(options.set))
        settings[case] = _report.settings(estimator)
        n_objects = CASES[case]["shape"][0]
        peer, peers = (_peer(options.peer, case) if options.peer else {}), {}
        for quantity, (seconds, (fixed, each)) in measure(estimator, case, options.repeats).items():
            like = "draw" if quantity == "point" and "point" not in peer else quantity  # a draw is their estimate
            theirs = CASES[case]["authors"].get("draw" if quantity == "point" else quantity)
            rate, gflop = n_objects / np.median(seconds), (fixed / n_objects + each) / 1e9
            if like in peer and like not in peers:
                peers[like] = n_objects / np.median(timed(peer[like], options.repeats))
            rows[f"{case}: {quantity}"] = {
                "rate": rate,
                "min": n_objects / max(seconds),
                "max": n_objects / min(seconds),
                "authors": f"{theirs[0]:g}-{theirs[1]:g}" if theirs[0] != theirs[1] else f"{theirs[0]:g}",
                "ratio": rate / np.mean(theirs),
                "peer": peers.get(like),
                "ratio_peer": rate / peers[like] if like in peers else None,
                "target": TARGETS[quantity][place],
                "gflop": gflop,
                "fixed": fixed / 1e9,
                "gflops": gflop * n_objects / min(seconds),
            }
            print(f"{case}: {quantity} {rate:.4g} objects/s", flush=True)
        peak = max(peak, matmul_peak())  # a machine is another from minute to minute
    for row in rows.values():
        row["share"] = row.pop("gflops") / (peak / 1e9)
    title = f"Objects per second, float32, {options.threads} threads, matmul peak {peak / 1e9:.0f} GFLOP/s"
    text = _report.table(rows, COLUMNS, title, "case")
    text += "\nauthors: theirs on another machine; reconstructions and draws are DDIM with 200 steps."
    text += "\npeer: another implementation in this run. Share of peak: of the quickest repeat,"
    text += "\nbeside the quickest product of square matrices: other work slows now one, now the other."
    text += "\nGFLOP/batch: those of a whole batch whatever its size; in training the solver's."
    _report.write(options.name, {"matmul_gflops": peak / 1e9, "settings": settings, "rows": rows}, text)


def matmul_peak(n: int = 2048, repeats: int = 9) -> float:
    """Return the FLOP/s of float32 products of n x n matrices, the best of some repeats."""
    a, b = torch.randn(n, n), torch.randn(n, n)
    return 2 * n**3 / min(timed(lambda: torch.mm(a, b), repeats))


def _architecture(case: str) -> dict:
    modality = Photometry(value="mag") if CASES[case]["shape"][2] == 2 else Spectrum()
    options = {"modality": modality, "device": "cpu", "precision": "float32", "max_points": None, "random_state": 0}
    return options | SIZES | CASES[case]["parameters"]


def _peer(path: str, case: str) -> dict[str, Callable]:
    return runpy.run_path(path)["build"](*CASES[case]["shape"], **SIZES | CASES[case]["parameters"])


def synthetic(n_objects: int, n_points: int, n_bands: int) -> list[Table]:
    """Return objects of random values; throughput does not depend on them."""
    rng = np.random.default_rng(0)
    tables = []
    for _ in range(n_objects):
        x, y = np.sort(rng.uniform(0, 100, n_points)), rng.standard_normal(n_points)
        columns = {"wavelength": x, "flux": y} if n_bands == 1 else {"time": x, "mag": y}
        tables.append(Table(columns | ({} if n_bands == 1 else {"band": rng.choice(["g", "r"], n_points)})))
    return tables


def measure(estimator, case: str, repeats: int) -> dict[str, tuple[list[float], tuple[float, float]]]:
    """Return seconds of each repeat, and FLOP of a batch and of each of its objects, of each quantity.

    Training is the package's own loop on all points of one batch: subsets drawn, loss, gradients, clipping, optimiser,
    average of the weights. The rest starts from records, as the estimator's methods do once Tables are read, and
    ends with scaled values. Internals are used so that neither reading Tables nor validation is timed.
    """
    n_objects, n_points, n_bands = CASES[case]["shape"]
    objects = synthetic(n_objects, n_points, n_bands)
    estimator.set_params(max_iter=1, early_stopping=False, batch_size=n_objects).fit(objects)
    (name,) = estimator.modalities_
    model = estimator.model_
    records = model.read([{name: x} for x in objects])
    keys, places = [content_key(r) for r in records], [r[name] for r in records]
    model.live().requires_grad_(False)  # FlopCounterMode fails on weights in inference mode otherwise
    Z = model.encode(records).mean

    def encode(n: int):
        return model.encode(records[:n])

    def point(n: int):
        return model.decode(name, encode(n).mean, places[:n], keys[:n])

    def draw(n: int):
        return model.decode(name, Z[:n], places[:n], keys[:n], 1)

    steps = training_steps(estimator, records)
    # the encoder's share of the points is random: count steps of several seeds
    flop = np.mean([_flop(partial(steps, seed=seed)) for seed in range(8)], axis=0)
    results = {"train": (steps(n_objects, 2 + repeats)[2:], tuple(flop))}
    for run in (encode, point, draw):
        results[run.__name__] = (timed(partial(run, n_objects), repeats), _flop(run))
    return results


def training_steps(estimator, records: list[dict], device: torch.device = CPU) -> Callable:
    """Return a function of a number of objects that trains on all their points and gives the seconds of each step."""
    ((name, modality),) = estimator.modalities_.items()
    ragged = modality.collate([r[name] for r in records]).to(device)
    objective = replace(estimator.model_, seed=0).build().to(device)
    dtype = resolve_precision(estimator.precision, device, training=True)

    def batches(n_objects: int) -> Iterator:
        generator, index = generator_of(0, device), torch.arange(n_objects, device=device)
        while True:
            yield {name: ragged.subset(index, None, generator)}, index.tolist()

    def steps(n_objects: int, n: int = 1, seed: int = 0) -> list[float]:
        options = {"solver": estimator.solver, "generator": generator_of(seed, device), "steps_per_record": 1}
        options["precision"] = partial(autocast, device, dtype)
        history = train(objective, batches(n_objects), max_iter=n, **options)
        return np.diff([0.0, *(r["seconds"] for r in history)]).tolist()

    return steps


def timed(run: Callable, repeats: int) -> list[float]:
    """Return the seconds of each run, after one to warm up; of fewer runs, or of that one, where they are long."""
    seconds: list[float] = []
    while len(seconds) <= repeats and sum(seconds) < LONGEST:
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return seconds[1:] or seconds


def _flop(run: Callable[[int], object]) -> tuple[float, float]:
    """Count the FLOP of matrix products of ``run(n_objects)``: those of any batch, and those of each object.

    From batches of one and two objects; attention as plain products, which the counter knows on the CPU.
    """
    counts = []
    for n_objects in (1, 2):
        counter = FlopCounterMode(display=False)
        with sdpa_kernel(SDPBackend.MATH), counter:
            run(n_objects)
        counts.append(float(counter.get_total_flops()))
    one, two = counts
    return 2 * one - two, two - one


if __name__ == "__main__":
    main()
