"""Several processes of torch.distributed that train one model; one alone is the case that sends nothing."""

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
        Number of this process, and how many there are.
    """

    rank, count = 0, 1

    def first(self, x: Any) -> Any:
        """Return what the first process has, to the bit."""
        return x

    def gather(self, x: Any) -> list[Any]:
        """Return what every process has."""
        return [x]

    def any(self, *flags: bool) -> list[bool]:
        """Return which flags some process has raised."""
        return list(flags)

    def summed(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return sums over processes, in float32; the same everywhere, to the bit."""
        return list(tensors)

    def align(self, module: nn.Module) -> None:
        """Give a module the weights that it has in the first process."""

    def check_same(self, digest: str) -> None:
        """Raise RankError if processes were given different things, by their digests."""


class Together(Ranks):
    """One of several processes that train a model on devices of a kind; all must come to the same calls."""

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
        """Within, that another process is gone is said as such."""
        try:
            yield
        except RuntimeError as error:  # every backend has its own
            raise RankError(
                f"Process {self.rank} of {self.count} waited in vain for another process, which has ended or is "
                f"busy; see the error of that process. ({error})"
            ) from error


def join() -> None:
    """Make this process one of those that `torchrun` started, if it did; a group that is there already stays."""
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
    """Return the processes that train together, on devices of this kind."""
    return Together(device) if several() else Ranks()


def is_first() -> bool:
    """Return whether this process is alone or the first, which writes files and tells of progress."""
    return not several() or dist.get_rank() == 0


def local_device() -> torch.device | None:
    """Return the CUDA device of this process among those of its machine, None where there are none.

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
