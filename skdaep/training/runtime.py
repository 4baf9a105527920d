"""Devices, precision and random generators. Global generators and settings are never changed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from ..exceptions import DeviceError
from .ranks import local_device, several


def resolve_device(device: str) -> torch.device:
    """Return the device for "auto" (CUDA if available, else the CPU) or for a name.

    With several processes, each uses its own CUDA device.

    Raises
    ------
    DeviceError
        If the device does not exist.
    """
    cuda = torch.cuda.is_available()
    if device == "auto":
        own = local_device() if several() else None
        return own or torch.device("cuda" if cuda else "cpu")
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
        raise DeviceError(f"device={device!r} is not available on this machine; device='auto' chooses one that is.")
    return resolved


def resolve_precision(precision: str, device: torch.device, *, training: bool) -> torch.dtype:
    """Return the dtype of matrix products.

    "auto" is bfloat16 for training on CUDA devices that support it, otherwise float32. The noise of gradients hides the
    rounding, but codes and reconstructions would only be accurate to three digits.
    """
    if precision == "auto":
        safe = training and device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        precision = "bfloat16" if safe else "float32"
    return {"bfloat16": torch.bfloat16, "float32": torch.float32}[precision]


def autocast(device: torch.device, dtype: torch.dtype) -> contextlib.AbstractContextManager[Any]:
    """Return a context manager in which matrix products use `dtype`."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype is torch.bfloat16)


#: functions that initialise networks; they accept a generator
RANDOM = frozenset(
    [
        *(torch.rand, torch.randn, torch.randint, torch.randperm, torch.normal, torch.bernoulli, torch.multinomial),
        *(torch.Tensor.uniform_, torch.Tensor.normal_, torch.Tensor.random_, torch.Tensor.bernoulli_),
        *(torch.Tensor.exponential_, torch.Tensor.cauchy_, torch.Tensor.log_normal_, torch.Tensor.geometric_),
        *(nn.init.uniform_, nn.init.normal_, nn.init.trunc_normal_, nn.init.orthogonal_, nn.init.sparse_),
        *(nn.init.kaiming_uniform_, nn.init.kaiming_normal_, nn.init.xavier_uniform_, nn.init.xavier_normal_),
    ]
)


class seeded(TorchFunctionMode):
    """In this context and thread, networks are initialised from their own generator with the given `seed`.

    In torch, layers draw initial weights from the global generator. Here they get the numbers that it would return
    after `torch.manual_seed`, which itself would reseed every CUDA device and interfere with other threads.
    """

    def __init__(self, seed: int):
        super().__init__()
        self.generator = torch.Generator().manual_seed(int(seed))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in RANDOM and kwargs.get("generator") is None:
            kwargs = kwargs | {"generator": self.generator}
        return func(*args, **kwargs)


#: the process that imported this module; threads of torch do not survive a fork
_PROCESS = os.getpid()


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """In this context torch and numpy have their default settings; afterwards the previous ones are restored.

    The defaults are: gradients, no inference mode, no autocast, float32, the CPU, and numpy's floating-point warnings.
    torch has one default dtype for all threads. During a call with another default dtype, all threads have float32. In
    a process forked after torch has used several threads, torch uses one thread, because it would hang otherwise.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in ("cpu", "cuda", "mps"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device() != torch.device("cpu"):
            stack.enter_context(torch.device("cpu"))
        if (dtype := torch.get_default_dtype()) is not torch.float32:
            stack.callback(torch.set_default_dtype, dtype)
            torch.set_default_dtype(torch.float32)
        if os.getpid() != _PROCESS and (n_threads := torch.get_num_threads()) > 1:
            stack.callback(torch.set_num_threads, n_threads)
            torch.set_num_threads(1)
        yield


def generator_of(seed: int, device: torch.device) -> torch.Generator:
    """Return a new generator on a device."""
    return torch.Generator(device=device).manual_seed(int(seed))
