"""Store the state of training in a file, from which the same training can continue in another process."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from ..exceptions import CheckpointWarning, CorruptModelError
from ..storage import LockedError, locked, regular
from ..training import check_whole
from . import files
from .hints import check
from .state import from_json, to_json

KIND = "checkpoint"


class CheckpointFile:
    """A `Checkpoint` of the training loop in a file of its own.

    Parameters
    ----------
    path : str or Path
        The file. If it exists, training continues from its state.
    every : float
        Seconds between two states; 0 writes one after every step.

    Attributes
    ----------
    state : dict or None
        The state from which to continue.
    n_records : int
        Number of records of training in this state, without the record of the start.
    done : bool
        Whether training is complete.

    Raises
    ------
    CorruptModelError
        If the file is damaged or is not a checkpoint.
    """

    def __init__(self, path: str | os.PathLike[str], every: float):
        self.path, self.every, self.done = Path(path), every, False
        self.identity: dict[str, Any] = {}
        self.state: dict[str, Any] | None = None
        self.n_records = 0
        if self.path.exists():
            self.identity, self.state, self.n_records = _read(self.path)
        self.last = time.monotonic()

    @classmethod
    @contextlib.contextmanager
    def held(cls, path: str | os.PathLike[str], every: float) -> Iterator[Self]:
        """Yield the checkpoint, with exclusive access to it; remove the file once training is complete.

        Raises
        ------
        OSError
            If no file can be written there. It is better to know at once than after a minute.
        BlockingIOError
            If another training uses it.
        """
        regular(path)
        folder = Path(path).parent
        if not folder.is_dir():
            raise FileNotFoundError(f"checkpoint={str(path)!r}: there is no folder {str(folder)!r}.")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(f"checkpoint={str(path)!r}: its folder cannot be written to.")
        with contextlib.ExitStack() as stack:
            _enter_alone(path, stack)
            checkpoint = cls(path, every)
            yield checkpoint
            if checkpoint.done:
                checkpoint.path.unlink(missing_ok=True)

    @property
    def seed(self) -> int | None:
        """Seed of the training to continue."""
        return self.identity.get("seed")

    def claim(self, seed: int, parameters: dict[str, str], *data: Any) -> None:
        """Declare what is trained on which data. Later states contain this identity.

        Raises
        ------
        ValueError
            If the file belongs to another training; the message names the differences.
        """
        identity = {"seed": seed, "parameters": parameters, "data": content_digest(data)}
        if self.state is not None and (different := _differences(self.identity, identity)):
            raise ValueError(
                f"checkpoint={str(self.path)!r} belongs to another fit: {different}. Restore that to continue, "
                f"choose another path, or delete the file to start again."
            )
        self.identity = identity

    def resume(self, restore: Callable[[dict[str, Any]], None]) -> bool:
        """Restore the state, if there is one, by calling the given function; return whether there was one.

        Raises
        ------
        CorruptModelError
            If the state cannot be restored.
        """
        if self.state is None:
            return False
        with _as_corrupt(self.path):
            restore(self.state)
        return True

    def due(self) -> bool:
        """Return whether it is time to write another state."""
        return time.monotonic() - self.last >= self.every

    def write(self, state: dict[str, Any]) -> None:
        """Write a state. If this fails, for example on a full disk, training continues and the old file stays."""
        arrays: dict[str, NDArray[Any]] = {}
        plain = _plain(state, "", arrays)
        try:
            files.write(self.path, arrays, {"kind": KIND, "identity": self.identity, "state": plain})
        except OSError as error:
            warnings.warn(
                f"checkpoint={str(self.path)!r} could not be written at step {state['iteration']}; training "
                f"continues: {error}",
                CheckpointWarning,
                stacklevel=2,
            )
        self.last = time.monotonic()


class CheckpointOfFirst(CheckpointFile):
    """The checkpoint as seen by all processes but the first, which alone reads and writes the file.

    Parameters
    ----------
    path : str or Path
        The file, for errors.
    identity, state, n_records
        What the first process found in the file.
    """

    def __init__(
        self, path: str | os.PathLike[str], identity: dict[str, Any], state: dict[str, Any] | None, n_records: int
    ):
        self.path, self.done, self.identity, self.state, self.n_records = Path(path), False, identity, state, n_records

    def due(self) -> bool:
        """Return False, because the first process decides when to write."""
        return False

    def write(self, state: dict[str, Any]) -> None:
        """Do nothing, because the first process writes."""


def _enter_alone(path: str | os.PathLike[str], stack: contextlib.ExitStack) -> None:
    """Lock the path until the stack is closed; warn if the file system has no locks."""
    try:
        stack.enter_context(locked(path))
    except LockedError as error:
        raise BlockingIOError(
            f"checkpoint={str(path)!r} is in use by another fit ({error}); every fit needs its own path."
        ) from None
    except OSError as error:
        warnings.warn(
            f"checkpoint={str(path)!r} cannot be locked ({error}): make sure that no other fit uses it.",
            CheckpointWarning,
            stacklevel=2,
        )


@contextlib.contextmanager
def _as_corrupt(path: Path) -> Iterator[None]:
    """In this context every error is blamed on the file, because a forged file can fail in any way."""
    advice = "Give checkpoint= another path, or delete the file to start again."
    try:
        yield
    except OSError:  # the file cannot be read; its content is not to blame
        raise
    except CorruptModelError as error:
        raise CorruptModelError(f"{error} {advice}") from error
    except Exception as error:
        raise CorruptModelError(f"{path} does not belong to this training: {error}. {advice}") from error


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any], int]:
    """Return the identity, the state, and its number of records of training, without that of the start."""
    with _as_corrupt(path):
        _, arrays, content = files.read(path)
        if content.get("kind") != KIND:
            raise CorruptModelError(f"{path} is not a checkpoint.")
        identity, state = content["identity"], _restored(content["state"], arrays)
        check(identity, dict[str, int | str | dict[str, str]], "its identity")
        if identity.keys() != {"seed", "parameters", "data"}:
            raise ValueError(f"its identity is of {', '.join(identity)}")
        check(identity["parameters"], dict[str, str], "its parameters")
        check_whole(identity["seed"], 0, 2**31 - 1, "its seed")
        if arrays:
            raise ValueError(f"tensor {next(iter(arrays))!r} is not part of any state")
        return identity, state, sum(record["iteration"] > 0 for record in state["history"])


def _differences(was: dict[str, Any], now: dict[str, Any]) -> str:
    """Return a description of how two identities differ; empty if they are equal."""
    before, after = was["parameters"], now["parameters"]
    names = [k for k in {**before, **after} if before.get(k) != after.get(k)]
    found = [f"{k} was {before.get(k, 'absent')} and is {after.get(k, 'absent')}" for k in names]
    if was["seed"] != now["seed"]:
        found.append("random_state was another")
    if not found and was["data"] != now["data"]:
        found.append("y, X or groups (with warm_start the fit before) are others")
    return "; ".join(found)


# --- as plain data ----------------------------------------------------------------------------------


def _plain(x: Any, name: str, arrays: dict[str, NDArray[Any]]) -> Any:
    """Return x in a form that JSON can hold, and put its tensors into `arrays`, each under its path."""
    if isinstance(x, torch.Tensor):
        arrays[name] = x.detach().cpu().numpy()
        return {"tensor": name}
    if isinstance(x, dict):
        return {"dict": [[k, _plain(v, f"{name}/{k}", arrays)] for k, v in x.items()]}
    if isinstance(x, (list, tuple)):
        item = [_plain(v, f"{name}/{i}", arrays) for i, v in enumerate(x)]
        return {"tuple": item} if isinstance(x, tuple) else item
    if x is None or isinstance(x, (bool, int, float, str)):
        return to_json(x)
    raise TypeError(f"A checkpoint cannot hold {name}, a {type(x).__name__}.")


def _restored(x: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    """Return what `_plain` was given. Each array is used once, so the result is no larger than the arrays."""
    if isinstance(x, list):
        return [_restored(v, arrays) for v in x]
    if not isinstance(x, dict):
        return x
    ((kind, content),) = x.items()
    if kind == "tensor":
        return torch.from_numpy(arrays.pop(content))
    if kind == "float":
        return from_json(x)
    if kind == "tuple":
        return tuple(_restored(v, arrays) for v in content)
    if kind != "dict":
        raise ValueError(f"{kind!r} is unknown")
    found = {k: _restored(v, arrays) for k, v in content}
    if len(found) < len(content):
        raise ValueError("a name occurs twice")
    return found


# --- what was trained -------------------------------------------------------------------------------


def content_digest(x: Any) -> str:
    """Return a digest of arrays in dataclasses and containers."""
    digest = hashlib.blake2b(digest_size=16)
    _add(x, digest.update)
    return digest.hexdigest()


def _add(x: Any, update: Any) -> None:
    if isinstance(x, np.ndarray) and x.dtype != object:
        update(f"{x.dtype.str}{x.shape}".encode())
        update(np.ascontiguousarray(x).tobytes())
    elif dataclasses.is_dataclass(x) and not isinstance(x, type):
        update(type(x).__name__.encode())
        for field in dataclasses.fields(x):
            _add(getattr(x, field.name), update)
    elif isinstance(x, dict):
        _add(list(x.items()), update)
    elif isinstance(x, (list, tuple, np.ndarray)):
        update(f"{type(x).__name__}{len(x)}".encode())
        for item in x:
            _add(item, update)
    else:
        update(repr(x).encode())
