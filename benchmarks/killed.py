"""Kill fits at random times, let them go on from their checkpoints, and compare them with fits left alone.

    python -m benchmarks.killed [--kills 200] [--fits 24] [--every 0.3] [--minutes 60]

Every fit runs in a process of its own, which is killed (``kill -9``) again and again until its share of the kills is
used up, and then left to end. Written at the end: how many kills there were, whether all final weights and losses are
bitwise those of an uninterrupted fit, how many steps were taken again, and what keeping a state costs.
"""

import argparse
import contextlib
import inspect
import mmap
import os
import signal
import struct
import tempfile
import time
import traceback
from functools import cache
from pathlib import Path
from unittest import mock

import numpy as np
import torch

import skdaep
from skdaep.datasets import make_supernova_light_curves, make_supernova_spectra
from skdaep.model import CheckpointFile
from skdaep.preprocessing import augment
from skdaep.training.loop import _Loop

from . import _report

NETWORKS = dict(model_dim=16, n_heads=2, n_encoder_layers=1, n_decoder_layers=1, batch_size=8, device="cpu")
N_OBJECTS, N_STEPS, STEPS_PER_RECORD = 24, 150, 5


def cases():
    """Return estimator, kind of objects, further parameters and options of `fit`, by a name."""
    groups = np.repeat(np.arange(N_OBJECTS // 3), 3)
    patience = {"n_iter_no_change": 3, "max_iter": 300, "learning_rate_init": 0.02}
    return {
        "DAEP": ("DAEPEncoder", "spectra", {}, {}),
        "DAEP, early stopping": ("DAEPEncoder", "curves", patience, {}),
        "DAEP, groups": ("DAEPEncoder", "curves", {}, {"groups": groups}),
        "DAEP, augment": ("DAEPEncoder", "augmented", {}, {"groups": augmented()[2]}),
        "DAEP, AdamW": ("DAEPEncoder", "spectra", {"solver": "adamw", "early_stopping": False}, {}),
        "DAEP, linear core": ("DAEPEncoder", "spectra", {"core": "linear"}, {}),
        "MAEP": ("MAEPEncoder", "spectra", {}, {}),
        "VAE": ("BetaVAEEncoder", "curves", {}, {}),
        "multimodal": ("MultimodalDAEP", "both", {"alignment_weight": 0.1}, {}),
        "mixture": ("MixtureOfExpertsVAE", "both", {}, {}),
        "contrastive": ("ContrastiveNeighbors", "both", {"validation_fraction": 0.3}, {}),
        "images": ("DAEPEncoder", "images", {}, {}),
    }


@cache
def augmented():
    """Return two copies of each of half as many light curves, no labels, and of which object each is."""
    return augment(objects_of("curves")[: N_OBJECTS // 2], n_copies=2, random_state=0)


def declared(kind):
    """Return the parameter that says what objects of a kind are."""
    photometry, spectrum = skdaep.Photometry(), skdaep.Spectrum(metadata=("phase",))
    if kind == "both":
        return {"modalities": {"photometry": photometry, "spectrum": spectrum}}
    known = {"spectra": spectrum, "curves": photometry, "augmented": photometry, "images": skdaep.Image()}
    return {"modality": known[kind]}


@cache
def objects_of(kind):
    """Return objects of a kind."""
    if kind == "images":
        return np.random.default_rng(0).normal(size=(N_OBJECTS, 16, 16)).cumsum(1).cumsum(2)
    curves, _ = make_supernova_light_curves(N_OBJECTS, random_state=0)
    spectra, _ = make_supernova_spectra(N_OBJECTS, random_state=0)
    if kind == "augmented":
        return augmented()[0]
    both = [{"photometry": curves[i], "spectrum": spectra[i] if i % 5 else None} for i in range(N_OBJECTS)]
    return {"curves": curves, "spectra": spectra, "both": both}[kind]


class Counts:
    """Steps taken, states kept and nanoseconds of CPU time for those, in memory that processes share."""

    def __init__(self):
        self.memory = mmap.mmap(-1, 24)

    def __call__(self):
        """Return the three counts."""
        return struct.unpack("3q", self.memory[:])

    def add(self, *counts):
        """Add to them."""
        self.memory[:] = struct.pack("3q", *(a + b for a, b in zip(self(), counts, strict=True)))

    def watching(self):
        """Return a context in which fits are counted, and have several records."""
        step, write = _Loop.step, CheckpointFile.write

        def counted_step(loop):
            step(loop)
            self.add(1, 0, 0)

        def counted_write(file, state):
            start = time.process_time_ns()
            write(file, state)
            self.add(0, 1, time.process_time_ns() - start)

        stack = contextlib.ExitStack()
        stack.enter_context(mock.patch.object(_Loop, "step", counted_step))
        stack.enter_context(mock.patch.object(CheckpointFile, "write", counted_write))
        stack.enter_context(mock.patch("skdaep.model.fitting.STEPS_PER_RECORD", STEPS_PER_RECORD))
        return stack


def fit(case, seed, out, counts, **checkpoint):
    """Fit, and write weights and losses."""
    name, kind, further, options = case
    cls, networks = getattr(skdaep, name), {"max_iter": N_STEPS} | NETWORKS
    networks = {k: v for k, v in networks.items() if k in inspect.signature(cls).parameters}  # not all have decoders
    parameters = networks | declared(kind) | further | checkpoint
    with counts.watching():
        estimator = cls(**parameters, random_state=seed).fit(objects_of(kind), **options)
    losses = [r["loss"] for r in estimator.history_ if "loss" in r]
    np.savez(out, **estimator.model_.weights, n_iter=estimator.n_iter_, losses=losses)


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


def cpu_of(pid):
    """Wait for a process; return the seconds of CPU time that it took."""
    _, _, used = os.wait4(pid, 0)
    return used.ru_utime + used.ru_stime


def wait_for(counts, n_steps, out):
    """Wait until so many further steps are taken, or the fit has ended."""
    begun = counts()[0]
    while counts()[0] < begun + n_steps and not out.exists():
        time.sleep(0.002)


def same(one, other):
    """Return whether two fits have the same weights, losses and steps, bit by bit."""
    with np.load(one) as a, np.load(other) as b:
        return a.files == b.files and all(a[k].tobytes() == b[k].tobytes() for k in a.files)  # NaN is NaN


def killed(name, seed, folder, n_kills, every, rng):
    """Fit alone and with so many kills; return how that went."""
    case, whole, out, path = cases()[name], folder / "whole.npz", folder / "killed.npz", folder / "fit.ckpt"
    start = time.perf_counter()
    alone = cpu_of(forked(fit, case, seed, whole, Counts()))
    seconds, counts, kills, spent = time.perf_counter() - start, Counts(), 0, 0.0
    n_steps = int(np.load(whole)["n_iter"])
    while not out.exists():
        pid = forked(fit, case, seed, out, counts, checkpoint=path, checkpoint_every=every)
        if kills < n_kills:
            if kills % 3:  # else at any time, before the first step too
                wait_for(counts, rng.uniform(0, 2 * n_steps / n_kills), out)
            time.sleep(rng.uniform(0, 0.1 if kills % 3 else seconds / 2))
            os.kill(pid, signal.SIGKILL)
            kills += not out.exists()
        spent += cpu_of(pid)
    n_taken, n_kept, nanoseconds = counts()
    left = sorted(p.name for p in folder.iterdir() if p.suffix != ".npz")
    return {
        **{"case": name, "seed": seed, "kills": kills, "bitwise_equal": same(whole, out), "left": left},
        **{"steps": n_steps, "steps_taken": n_taken, "states_kept": n_kept, "cpu_keeping": nanoseconds / 1e9},
        **{"cpu_alone": alone, "cpu_killed": spent, "seconds_alone": seconds},
    }


def main():
    """Kill fits, and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--fits", type=int, default=24)
    parser.add_argument("--every", type=float, default=0.3)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rng, found, end = np.random.default_rng(options.seed), [], time.monotonic() + 60 * options.minutes
    names, n_kills = list(cases()), -(-options.kills // options.fits)
    for i in range(options.fits):
        if time.monotonic() > end:
            break
        with tempfile.TemporaryDirectory() as folder:
            found.append(killed(names[i % len(names)], i, Path(folder), n_kills, options.every, rng))
        print(found[-1], flush=True)
    counted = (
        "kills",
        "bitwise_equal",
        "steps",
        "steps_taken",
        "states_kept",
        "cpu_keeping",
        "cpu_alone",
        "cpu_killed",
    )
    total = {k: sum(row[k] for row in found) for k in counted}
    each = total["cpu_keeping"] / max(total["states_kept"], 1)
    told = [
        f"{total['kills']} kills of {len(found)} fits: {total['bitwise_equal']} bitwise equal to fits left alone",
        f"{total['steps_taken']} steps taken of {total['steps']}, {1 - total['steps'] / total['steps_taken']:.1%} "
        f"of them again, where the state is kept every {options.every} s",
        f"to keep a state takes {1000 * each:.1f} ms of CPU time, {each / 60:.3%} of the 60 s between two by default",
        f"CPU time alone {total['cpu_alone']:.0f} s, with kills {total['cpu_killed']:.0f} s, reading anew included",
    ]
    rows = {f"{row['case']}, seed {row['seed']}": row for row in found}
    table = _report.table(rows, {k.replace("_", " "): k for k in counted}, "\n".join(told), "fit")
    _report.write("killed", {"seed": options.seed, "every": options.every, "total": total, "fits": found}, table)


if __name__ == "__main__":
    main()
