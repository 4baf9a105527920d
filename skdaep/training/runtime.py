"""Devices, precision and randomness; the global generators and settings are never touched."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from ..exceptions import DeviceError


def resolve_device(device: str) -> torch.device:
    """Return the device meant by "auto" (CUDA where there is one, else the CPU) or by a name.

    Raises
    ------
    DeviceError
        If the device is not there.
    """
    cuda = torch.cuda.is_available()
    if device == "auto":
        return torch.device("cuda" if cuda else "cpu")
    try:
        resolved = torch.device(device)
        known = resolved.type in ("cpu", "cuda", "mps")
    except RuntimeError:
        known = False
    if not known:
        raise DeviceError(f"device={device!r} is not known; use 'auto', 'cpu', 'cuda' or 'mps'.")
    missing = (resolved.type == "cuda" and (not cuda or (resolved.index or 0) >= torch.cuda.device_count())) or (
        resolved.type == "mps" and not torch.backends.mps.is_available()
    )
    if missing:
        raise DeviceError(f"device={device!r} is not available on this machine; device='auto' takes what there is.")
    return resolved


def resolve_precision(precision: str, device: torch.device, *, training: bool) -> torch.dtype:
    """Return the dtype of matrix products.

    "auto" is bfloat16 in training on a CUDA device that has it, else float32: what noise there is in a gradient anyway
    hides the rounding, but codes and reconstructions would be left with three digits.
    """
    if precision == "auto":
        safe = training and device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        precision = "bfloat16" if safe else "float32"
    return {"bfloat16": torch.bfloat16, "float32": torch.float32}[precision]


def autocast(device: torch.device, dtype: torch.dtype) -> contextlib.AbstractContextManager[Any]:
    """Return a context in which matrix products run in `dtype`."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype is torch.bfloat16)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within, the CPU's global generator, from which networks are initialised, starts at `seed`; then it is as before.

    `torch.manual_seed` would reseed every CUDA device, too.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(seed))
        yield


def generator_of(seed: int, device: torch.device) -> torch.Generator:
    """Return a generator of its own on a device."""
    return torch.Generator(device=device).manual_seed(int(seed))
