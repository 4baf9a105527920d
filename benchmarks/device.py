"""What an accelerator gives: training against bare matrix products, objects encoded per second, a survey in minutes.

``python -m benchmarks.device`` where there is a CUDA device; ``--n-objects 60 --n-points 200 --batch 8 --seconds 2 6``
tries it on any. Stars are simulated: black bodies with absorption lines, at the resolution of LAMOST (1,800) and with
its noise (signal-to-noise 10 to 100 in the red, less in the blue).
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable

import numpy as np
import torch
from astropy.table import Table
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from skdaep import DAEPEncoder, Spectrum
from skdaep.model.passes import encode
from skdaep.training import resolve_device

from . import _report, throughput

WINDOW = (3700.0, 9000.0)  # Angstrom
RESOLVING_POWER = 1800
N_LINES = 120
SNR = (10.0, 100.0)
SETTINGS = {"bottleneck_length": 4, "bottleneck_dim": 8, "random_state": 0}
#: the shape of the issue's LONG case
SHAPE = {"model_dim": 128, "n_heads": 8, "n_encoder_layers": 4, "n_decoder_layers": 4, "hidden_length": 256}
PRODUCTS = {torch.ops.aten.mm, torch.ops.aten.addmm, torch.ops.aten.bmm, torch.ops.aten.baddbmm}


def main(arguments=None) -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n-objects", type=int, default=17_000)
    parser.add_argument("--n-points", type=int, default=2_500)
    parser.add_argument("--batch", type=int, default=512, help="objects of a training step beside bare products")
    parser.add_argument("--seconds", type=float, nargs=2, default=(50, 500), help="of training, a short and a long fit")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--name", default="device")
    options = parser.parse_args(arguments)
    device = resolve_device(options.device)
    start = time.perf_counter()
    X, truth = stars(options.n_objects + 500, options.n_points)
    seconds = {"simulating": time.perf_counter() - start}
    train, test, truth = X[:-500], X[-500:], truth[-500:]

    results = {"training beside bare products": against_products(train[: options.batch], device, options.repeats)}
    print(f"training beside bare products: {_text(results['training beside bare products'])}", flush=True)
    rows = {}
    for planned in options.seconds:
        estimator, facts = survey(train, planned, options.device)
        point = estimator.reconstruct(test, output="arrays")
        facts["error"] = float(np.mean([np.abs(p - t).mean() for p, t in zip(point, truth, strict=True)]))
        rows[f"{planned:g} s planned"] = facts
        print(f"{planned:g} s planned: {_text(facts)}", flush=True)
    results["survey"] = rows
    results["encode"] = encoding(estimator, train, device, options.repeats)
    columns = {k: k for k in ("error", "steps", "training_seconds", "fit_seconds")}
    title = (
        f"{len(train)} stars of {options.n_points} points on {device}; error against the truth, arcsinh(flux / median)"
    )
    lines = [f"{name}: {_text(results[name])}" for name in ("training beside bare products", "encode")]
    text = "\n".join([_report.table(rows, columns, title, "fit"), *lines])
    _report.write(options.name, results | {"seconds": seconds, "settings": _report.settings(estimator)}, text)


def _text(facts: dict) -> str:
    return ", ".join(f"{k} {v:.4g}" for k, v in facts.items())


# --- simulated stars ------------------------------------------------------------------------------------


def stars(n_objects: int, n_points: int, seed: int = 0) -> tuple[list[Table], list[np.ndarray]]:
    """Return spectra, arcsinh of the flux over its median with noise, and the noise-free values."""
    rng = np.random.default_rng(seed)
    wavelength = np.linspace(*WINDOW, n_points)
    centre = rng.uniform(*WINDOW, N_LINES)
    width = centre / RESOLVING_POWER * rng.uniform(0.6, 3.0, N_LINES)
    excitation, strength = rng.uniform(3_500, 12_000, N_LINES), rng.exponential(0.25, N_LINES)
    profiles = np.exp(-0.5 * ((wavelength - centre[:, None]) / width[:, None]) ** 2)  # (lines, points)
    tables, truths = [], []
    for _ in range(n_objects):
        temperature, metals = rng.uniform(3_800, 11_000), rng.normal(0, 0.4)
        abundance = 10 ** (metals + 0.1 * rng.standard_normal(N_LINES))
        depth = strength * abundance * np.exp(-0.5 * (np.log(temperature / excitation) / 0.25) ** 2)
        reddening = 10 ** (-0.4 * rng.exponential(0.2) * (6000 / wavelength) ** 1.3)
        planck = wavelength**-5.0 / np.expm1(1.4388e8 / (wavelength * temperature))
        flux = planck * reddening * np.exp(-depth @ profiles)
        flux = flux / np.median(flux)
        noise = flux.clip(0.05) ** 0.5 * (6500 / wavelength) / rng.uniform(*SNR)
        tables.append(
            Table({"wavelength": wavelength, "flux": np.arcsinh(flux + noise * rng.standard_normal(n_points))})
        )
        truths.append(np.arcsinh(flux))
    return tables, truths


# --- measurements ---------------------------------------------------------------------------------------


def survey(train: list[Table], seconds: float, device: str) -> tuple[DAEPEncoder, dict]:
    """Return an encoder fitted for about some seconds, and what it took."""
    estimator = DAEPEncoder(Spectrum(), **SETTINGS, device=device, max_iter=100)
    estimator.fit(train)
    first, last = estimator.history_[0], estimator.history_[-1]
    rate = (last["iteration"] - first["iteration"]) / (last["seconds"] - first["seconds"])
    start = time.perf_counter()
    estimator.set_params(max_iter=max(100, round(rate * seconds))).fit(train)
    facts = {"steps": estimator.n_iter_, "training_seconds": estimator.history_[-1]["seconds"]}
    return estimator, facts | {"fit_seconds": time.perf_counter() - start}


def encoding(estimator: DAEPEncoder, objects: list[Table], device: torch.device, repeats: int) -> dict:
    """Return objects encoded per second, from where they lie on the device and from Tables."""
    (name,), model = estimator.modalities_, estimator.model_
    measurements = model.collate(model.read([{name: x} for x in objects]))
    resident = np.median(throughput.timed(_waiting(lambda: encode(model.live(), measurements), device), repeats))
    tables = np.median(throughput.timed(lambda: estimator.transform(objects), 3))
    return {"objects/s on the device": len(objects) / resident, "objects/s from Tables": len(objects) / tables}


def against_products(objects: list[Table], device: torch.device, repeats: int) -> dict:
    """Return the rate of training on all points, that of its matrix products alone, and their ratio."""
    estimator = DAEPEncoder(Spectrum(), **SETTINGS, **SHAPE, device=str(device), max_points=None, early_stopping=False)
    estimator.set_params(max_iter=1, batch_size=len(objects)).fit(objects)
    (name,) = estimator.modalities_
    records = estimator.model_.read([{name: x} for x in objects])
    steps = throughput.training_steps(estimator, records, device)
    seconds = float(np.median(steps(len(objects), 2 + repeats)[2:]))
    shapes = Shapes()
    with sdpa_kernel(SDPBackend.MATH), shapes:  # attention as the products that it is made of
        steps(len(objects))
    bare = sum(n * _bare(*key, device, repeats) for key, n in shapes.counts.items())
    flop = sum(n * _flop(*key) for key, n in shapes.counts.items())
    rates = {"TFLOP/s": flop / seconds / 1e12, "TFLOP/s of bare products": flop / bare / 1e12, "share": bare / seconds}
    return {"objects/s": len(objects) / seconds} | rates


class Shapes(TorchDispatchMode):
    """Count the shapes and types of the matrix products within."""

    def __init__(self):
        super().__init__()
        self.counts: Counter = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket in PRODUCTS:
            a, b = args[-2:]
            self.counts[tuple(a.shape), tuple(b.shape), a.dtype] += 1
        return func(*args, **kwargs or {})


def _flop(a: tuple, b: tuple, dtype: torch.dtype) -> float:
    return 2.0 * np.prod(a) * b[-1]


def _bare(a: tuple, b: tuple, dtype: torch.dtype, device: torch.device, repeats: int) -> float:
    """Return the seconds of one product."""
    x, y = torch.randn(a, device=device).to(dtype), torch.randn(b, device=device).to(dtype)
    return float(np.median(throughput.timed(_waiting(lambda: x @ y, device), repeats)))


def _waiting(run: Callable, device: torch.device) -> Callable:
    """Return a function that runs and waits for the device."""

    def wait():
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return wait


if __name__ == "__main__":
    main()
