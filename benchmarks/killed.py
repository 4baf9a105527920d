"""Kill fits at random times, let them go on from their checkpoints, and compare them with fits left alone.

    python -m benchmarks.killed [--kills 200] [--fits 20] [--every 0.5] [--minutes 60]

Every fit runs in a process of its own, which is killed (``kill -9``) again and again until its share of the kills is
used up, and then left to end. Written at the end: how many kills there were, whether all final weights are bitwise
those of an uninterrupted fit, and what being killed cost in time.
"""

import argparse
import os
import signal
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np
import torch

import skdaep
from skdaep.datasets import make_supernova_light_curves, make_supernova_spectra

NETWORKS = dict(model_dim=32, n_encoder_layers=2, batch_size=16, device="cpu")
N_OBJECTS, N_STEPS = 60, 100


def cases():
    """Return estimator, kind of objects, further parameters and options of `fit`, by a name."""
    groups = np.repeat(np.arange(N_OBJECTS // 3), 3)
    patience = {"n_iter_no_change": 3, "max_iter": 300, "learning_rate_init": 0.02}
    return {
        "DAEP": ("DAEPEncoder", "spectra", {}, {}),
        "DAEP, early stopping": ("DAEPEncoder", "curves", patience, {}),
        "DAEP, groups": ("DAEPEncoder", "curves", {}, {"groups": groups}),
        "DAEP, AdamW": ("DAEPEncoder", "spectra", {"solver": "adamw", "early_stopping": False}, {}),
        "MAEP": ("MAEPEncoder", "spectra", {}, {}),
        "VAE": ("BetaVAEEncoder", "curves", {}, {}),
        "multimodal": ("MultimodalDAEP", "both", {"alignment_weight": 0.1}, {}),
        "mixture": ("MixtureOfExpertsVAE", "both", {}, {}),
        "contrastive": ("ContrastiveNeighbors", "both", {"validation_fraction": 0.3}, {}),
        "images": ("DAEPEncoder", "images", {}, {}),
    }


def declared(kind):
    """Return the parameter that says what objects of a kind are."""
    photometry, spectrum = skdaep.Photometry(), skdaep.Spectrum(metadata=("phase",))
    if kind == "both":
        return {"modalities": {"photometry": photometry, "spectrum": spectrum}}
    return {"modality": {"spectra": spectrum, "curves": photometry, "images": skdaep.Image()}[kind]}


def objects_of(kind):
    """Return objects of a kind."""
    if kind == "images":
        return np.random.default_rng(0).normal(size=(N_OBJECTS, 16, 16)).cumsum(1).cumsum(2)
    curves, _ = make_supernova_light_curves(N_OBJECTS, random_state=0)
    spectra, _ = make_supernova_spectra(N_OBJECTS, random_state=0)
    both = [{"photometry": curves[i], "spectrum": spectra[i] if i % 5 else None} for i in range(N_OBJECTS)]
    return {"curves": curves, "spectra": spectra, "both": both}[kind]


def fit(case, seed, out, **checkpoint):
    """Fit, and write the weights."""
    name, kind, further, options = case
    parameters = {"max_iter": N_STEPS} | NETWORKS | declared(kind) | further | checkpoint
    start = time.perf_counter()
    estimator = getattr(skdaep, name)(**parameters, random_state=seed).fit(objects_of(kind), **options)
    seconds = time.perf_counter() - start
    np.savez(out, **estimator.model_.weights, n_iter=estimator.n_iter_, fit_seconds=seconds)


def forked(function, *arguments, **options):
    """Run a function in a process of its own; return its number."""
    pid = os.fork()
    if pid == 0:
        try:
            function(*arguments, **options)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    return pid


def killed(case, seed, folder, n_kills, every, rng):
    """Fit with so many kills; return how often, whether it ends as one left alone, and what it took."""
    whole, out, path = folder / "whole.npz", folder / "killed.npz", folder / "fit.ckpt"
    os.waitpid(forked(fit, case, seed, whole), 0)
    seconds, kills, n_steps = float(np.load(whole)["fit_seconds"]), 0, int(np.load(whole)["n_iter"])
    spent = 0.0
    while kills < n_kills:
        pid, start = forked(fit, case, seed, out, checkpoint=path, checkpoint_every=every), time.perf_counter()
        time.sleep(rng.uniform(0, 2.5 * seconds / n_kills + 0.5))
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        spent += time.perf_counter() - start
        if out.exists():
            break
        kills += status == signal.SIGKILL
    if not out.exists():
        start = time.perf_counter()
        os.waitpid(forked(fit, case, seed, out, checkpoint=path, checkpoint_every=every), 0)
        spent += time.perf_counter() - start
    one, other = np.load(whole), np.load(out)
    same = all(np.array_equal(one[k], other[k]) for k in one.files if k != "fit_seconds")
    left = [p.name for p in folder.iterdir() if p not in (whole, out)]
    return kills, same, n_steps, seconds, spent, left


def main():
    """Kill fits, and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--fits", type=int, default=20)
    parser.add_argument("--every", type=float, default=0.5)
    parser.add_argument("--minutes", type=float, default=60)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rng, found, end = np.random.default_rng(0), [], time.monotonic() + 60 * options.minutes
    names = list(cases())
    for i in range(options.fits):
        if time.monotonic() > end:
            break
        name = names[i % len(names)]
        with tempfile.TemporaryDirectory() as folder:
            n_kills = options.kills // options.fits
            found.append(killed(cases()[name], i, Path(folder), n_kills, options.every, rng))
        kills, same, n_steps, seconds, spent, left = found[-1]
        print(f"{name:22s} {kills:3d} kills of {n_steps} steps, {'bitwise equal' if same else 'DIFFERENT'}", end="; ")
        print(f"{seconds:.1f} s alone, {spent:.1f} s with all that was repeated; files left: {left}", flush=True)
    kills, same, n_steps, seconds, spent, _ = zip(*found, strict=True)
    print(f"{sum(kills)} kills over {len(found)} fits: {sum(same)} bitwise equal; {sum(seconds):.0f} s alone, ", end="")
    print(f"{sum(spent):.0f} s with kills (reading anew after each of them included)")


if __name__ == "__main__":
    main()
