"""Check, before any object is read, whether all objects and a training step fit into memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..modalities import Modality
from .fitting import Training
from .model import Model

#: numbers that a training step stores per point and unit of `model_dim` in each block of the decoder and the encoder;
#: measured, and rounded down
PER_DECODER_BLOCK, PER_ENCODER_BLOCK = 7, 1
#: where Linux reports the memory
PROC, CGROUP = Path("/proc"), Path("/sys/fs/cgroup")
#: control groups (versions 2 and 1): folder, limit, memory in use, and the part of it that can be reclaimed
GROUPS = {
    "": ("", "memory.max", "memory.current", "inactive_file"),
    "memory": ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


def check_memory(model: Model, lengths: NDArray[Any], training: Training | None) -> None:
    """Raise MemoryError if a fit cannot fit into memory. The estimate is a lower limit.

    Parameters
    ----------
    model : Model
        The model to train.
    lengths : ndarray of int, shape (n_objects, n_modalities)
        Number of points of each object.
    training : Training or None
        Settings of training; None means that the fit is in closed form.
    """
    device = torch.device(model.device)
    points = float(lengths.sum(0) @ [_size(modality) for modality in model.modalities.values()])
    step = 0.0 if training is None else _of_a_step(lengths, model.shapes(), training, device)
    needed = {"cpu": points, str(device): points + step}  # points are read into main memory, then moved
    for place, n_bytes in needed.items():
        free = free_memory(torch.device(place))
        if n_bytes > free:
            raise MemoryError(
                f"This fit needs more than {_gib(n_bytes)} of memory on {place}, but only {_gib(free)} are free: it "
                f"needs {_gib(points)} for {lengths.sum():,} points of {len(lengths):,} objects, and {_gib(step)} for "
                f"a training step. {_advice(points, step, training)}"
            )


def _size(modality: Modality) -> int:
    """Return how many bytes a point of the training data takes in memory."""
    ragged = modality.collate([modality.absent()])
    return sum(tensor.itemsize * math.prod(tensor.shape[1:]) for tensor in ragged.points.values())


def _of_a_step(lengths: NDArray[Any], shapes: dict[str, Any], training: Training, device: torch.device) -> float:
    """Return how many bytes a training step stores until the gradients are computed."""
    most = training.max_points
    shown = (lengths if most is None else lengths.clip(max=most)).sum(1)
    n_points = max(shown.max(), min(shown.sum(), training.batch_size * np.median(shown)))
    # With hidden tokens, points only pass through one block; the others process hidden tokens.
    n_encoder = 1 if shapes.get("encoder_hidden_length") else shapes["n_encoder_layers"]
    n_decoder = 1 if any((shapes.get("hidden_length") or {}).values()) else shapes.get("n_decoder_layers", 0)
    decoded = 1.0 if most is None else 0.25
    per_width = decoded * PER_DECODER_BLOCK * n_decoder + PER_ENCODER_BLOCK * n_encoder
    return float(n_points * shapes["model_dim"] * per_width * (4 if device.type == "cpu" else 2))  # GPUs use bfloat16


def _advice(objects: float, step: float, training: Training | None) -> str:
    if training is None or objects > step:
        return "Fit to fewer objects, or bin their points."
    now = f"batch_size={training.batch_size}, max_points={training.max_points}"
    return f"Lower max_points or batch_size ({now}), or model_dim."


def _gib(n_bytes: float) -> str:
    n = n_bytes / 2**30
    return f"{n:.3g} GiB" if n < 1000 else f"{n:,.0f} GiB"


# --- what is free -----------------------------------------------------------------------------------


def free_memory(device: torch.device) -> float:
    """Return how many bytes are free on a device; infinity if the system does not say."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return float(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    return min([_available(), *_left_in_groups()]) if device.type == "cpu" else math.inf


def _available() -> float:
    """Return the free memory of the machine, including swap."""
    try:
        found = _numbers(PROC / "meminfo")
    except OSError:  # not on Linux
        return math.inf
    return 1024.0 * (found.get("MemAvailable:", math.inf) + found.get("SwapFree:", 0))


def _left_in_groups() -> Iterator[float]:
    """Yield the free memory of this process's control groups, which batch systems and containers use."""
    try:
        lines = (PROC / "self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in GROUPS:
            continue
        folder, *names = GROUPS[controllers]
        group = CGROUP / folder / path.lstrip("/")
        while group != CGROUP.parent:  # the limits of parent groups hold, too
            yield _left(group, *names)
            group = group.parent


def _left(group: Path, limit: str, used: str, cached: str) -> float:
    try:
        most = (group / limit).read_text().strip()
        if most == "max":
            return math.inf
        return int(most) - int((group / used).read_text()) + _numbers(group / "memory.stat").get(cached, 0)
    except OSError:  # a container cannot see its parent groups
        return math.inf


def _numbers(path: Path) -> dict[str, float]:
    """Return the numbers by name from a file with a name and a number on each line."""
    pairs = [line.split()[:2] for line in path.read_text().splitlines()]
    return {name: float(number) for name, number in pairs}
