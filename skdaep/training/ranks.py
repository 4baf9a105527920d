"""Several processes of torch.distributed that train one model, or a single process, which communicates with none."""

from __future__ import annotations

import atexit
import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..exceptions import RankError


class Ranks:
    """One process.

    Attributes
    ----------
    rank, count : int
        Number of this process, and number of processes.
    """

    rank, count = 0, 1

    def first(self, x: Any) -> Any:
        """Return the value of the first process, bit by bit."""
        return x

    def gather(self, x: Any) -> list[Any]:
        """Return the values of all processes."""
        return [x]

    def any(self, *flags: bool) -> list[bool]:
        """Return which flags are set in any process."""
        return list(flags)

    def summed(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return sums over processes, in float32, bit by bit the same in all of them."""
        return list(tensors)

    def align(self, module: nn.Module) -> None:
        """Copy the weights of a module from the first process."""

    def check_same(self, digest: str) -> None:
        """Raise RankError if the digests of the processes' inputs differ."""


class Together(Ranks):
    """One of several processes that train a model on devices of the same kind. All must make the same calls."""

    def __init__(self, device: torch.device):
        self.device, self.rank, self.count = device, dist.get_rank(), dist.get_world_size()

    def first(self, x: Any) -> Any:
        """Broadcast."""
        held = [x]
        with self._waiting():
            dist.broadcast_object_list(held, src=0, device=self.device)
        return held[0]

    def gather(self, x: Any) -> list[Any]:
        """Gather."""
        held: list[Any] = [None] * self.count
        with self._waiting():
            dist.all_gather_object(held, x)
        return held

    def any(self, *flags: bool) -> list[bool]:
        """Reduce."""
        (raised,) = self.summed([torch.tensor(flags, dtype=torch.float32, device=self.device)])
        return (raised > 0).tolist()

    def summed(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Reduce."""
        flat = torch.cat([x.detach().flatten().float() for x in tensors])
        with self._waiting():
            dist.all_reduce(flat)
        parts = flat.split([x.numel() for x in tensors])
        return [part.view(x.shape).to(x.dtype) for part, x in zip(parts, tensors, strict=True)]

    def align(self, module: nn.Module) -> None:
        """Broadcast."""
        with self._waiting():
            for tensor in module.state_dict().values():
                dist.broadcast(tensor, src=0)

    def check_same(self, digest: str) -> None:
        """Gather and compare."""
        digests = self.gather(digest)
        if odd := [i for i, other in enumerate(digests) if other != digests[0]]:
            raise RankError(
                f"Processes 0 and {odd[0]} of {self.count} were given different X, groups or parameters; all processes "
                f"of a fit need the same. Does the script choose objects at random, without a seed?"
            )

    @contextlib.contextmanager
    def _waiting(self) -> Iterator[None]:
        """In this context, errors of torch become a RankError about the other process."""
        try:
            yield
        except RuntimeError as error:  # every backend has its own message
            raise RankError(
                f"Process {self.rank} of {self.count} waited in vain for another process, which has ended or is "
                f"busy; see the error of that process. ({error})"
            ) from error


def join() -> None:
    """Join the processes that `torchrun` started, if it did. An existing group is used."""
    if dist.is_available() and dist.is_torchelastic_launched() and not dist.is_initialized():
        if (device := local_device()) is not None:
            torch.cuda.set_device(device)
        dist.init_process_group()
        atexit.register(_leave)


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def several() -> bool:
    """Return whether this is one of several processes."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def ranks_on(device: torch.device) -> Ranks:
    """Return the processes that train together on this kind of device."""
    return Together(device) if several() else Ranks()


def is_first() -> bool:
    """Return whether this process is the only or the first one, which writes files and reports progress."""
    return not several() or dist.get_rank() == 0


def local_device() -> torch.device | None:
    """Return the CUDA device of this process on its machine, None if there are none.

    Raises
    ------
    RankError
        If the machine has fewer devices than processes.
    """
    if not torch.cuda.is_available():
        return None
    own, there = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
    if own >= there:
        raise RankError(
            f"Process {own} of this machine has no CUDA device of its own: there are {there}. Start it with "
            f"--nproc_per_node={there}, or set CUDA_VISIBLE_DEVICES='' to train on CPUs."
        )
    return torch.device("cuda", own)
