"""The state of a training in a file, from which the same training goes on after its process has ended."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..exceptions import CheckpointWarning, CorruptModelError
from . import files
from .state import from_json, to_json

KIND = "checkpoint"


class CheckpointFile:
    """A `Checkpoint` of the training loop in a file of its own.

    Parameters
    ----------
    path : str or Path
        The file. What it holds, if it is there, is what training goes on from.
    every : float
        Seconds between two states; 0: one after every step.

    Attributes
    ----------
    state : dict or None
        What to go on from.
    done : bool
        Whether training has come to its end.

    Raises
    ------
    CorruptModelError
        If the file is damaged or holds something else.
    FileNotFoundError, PermissionError
        If no file can be written there: better now than after a minute.
    """

    def __init__(self, path: str | os.PathLike[str], every: float):
        self.path, self.every, self.done = Path(path), every, False
        self.identity: dict[str, Any] = {}
        self.state: dict[str, Any] | None = None
        if self.path.exists():
            self.identity, self.state = _read(self.path)
        elif not self.path.parent.is_dir():
            raise FileNotFoundError(f"checkpoint={str(path)!r}: there is no folder {str(self.path.parent)!r}.")
        if not os.access(self.path.parent, os.W_OK | os.X_OK):
            raise PermissionError(f"checkpoint={str(path)!r}: its folder cannot be written to.")
        self.last = time.monotonic()

    @property
    def seed(self) -> int | None:
        """Seed of the training to go on with."""
        return self.identity.get("seed")

    @property
    def n_records(self) -> int:
        """Number of records of training that are in the state to go on from, that of the start not counted."""
        return 0 if self.state is None else sum(record["iteration"] > 0 for record in self.state["history"])

    def claim(self, seed: int, parameters: dict[str, str], *data: Any) -> None:
        """Say what is to be trained, on what data; from now on files say so.

        Raises
        ------
        ValueError
            If the file is that of another training: what differs is named.
        """
        identity = {"seed": seed, "parameters": parameters, "data": content_digest(data)}
        if self.state is not None and (different := _differences(self.identity, identity)):
            raise ValueError(
                f"checkpoint={str(self.path)!r} belongs to another fit: {different}. Restore that to go on with it, "
                f"or give another path, or delete the file to begin anew."
            )
        self.identity = identity

    def due(self) -> bool:
        """Return whether it is time to keep the state again."""
        return time.monotonic() - self.last >= self.every

    def keep(self, state: dict[str, Any]) -> None:
        """Write a state; a disk that is full ends no training: it goes on, and the last file stays."""
        arrays: dict[str, NDArray[Any]] = {}
        plain = _plain(state, "", arrays)
        try:
            files.write(self.path, arrays, {"kind": KIND, "identity": self.identity, "state": plain})
        except OSError as error:
            warnings.warn(
                f"checkpoint={str(self.path)!r} could not be written at step {state['iteration']}, and training goes "
                f"on: {error}",
                CheckpointWarning,
                stacklevel=2,
            )
        self.last = time.monotonic()

    def remove(self) -> None:
        """Remove the file, if training has come to its end."""
        if self.done:
            self.path.unlink(missing_ok=True)


class CheckpointOfFirst(CheckpointFile):
    """The checkpoint of another process than the first one, which alone reads and writes the file.

    Parameters
    ----------
    path : str or Path
        The file, for errors.
    identity, state : dict
        What the first process found in it.
    """

    def __init__(self, path: str | os.PathLike[str], identity: dict[str, Any], state: dict[str, Any] | None):
        self.path, self.done, self.identity, self.state = Path(path), False, identity, state

    def due(self) -> bool:
        """Return False: the first process tells when."""
        return False

    def keep(self, state: dict[str, Any]) -> None:
        """Leave it to the first process."""

    def remove(self) -> None:
        """Leave it to the first process."""


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return identity and state."""
    try:
        _, arrays, content = files.read(path)
        if content.get("kind") != KIND:
            raise CorruptModelError(f"{path} is no checkpoint but a file of another kind.")
        return content["identity"], _restored(content["state"], arrays)
    except CorruptModelError as error:
        raise CorruptModelError(f"{error} Give checkpoint= another path, or delete the file to begin anew.") from error
    except Exception as error:  # a forged file can go wrong in any way
        raise CorruptModelError(
            f"{path} holds no state of a training: {error!r}. Delete the file to begin anew."
        ) from error


def _differences(was: dict[str, Any], now: dict[str, Any]) -> str:
    """Say in what two identities differ; nothing if they are the same."""
    before, after = was["parameters"], now["parameters"]
    names = [k for k in {**before, **after} if before.get(k) != after.get(k)]
    found = [f"{k} was {before.get(k, 'absent')} and is {after.get(k, 'absent')}" for k in names]
    if was["seed"] != now["seed"]:
        found.append("random_state was another")
    if not found and was["data"] != now["data"]:
        found.append("X or groups (with warm_start the fit before) are others")
    return "; ".join(found)


# --- as plain data ----------------------------------------------------------------------------------


def _plain(x: Any, name: str, arrays: dict[str, NDArray[Any]]) -> Any:
    """Return x as JSON has it; its tensors go into `arrays` under the way that leads to them."""
    if isinstance(x, torch.Tensor):
        arrays[name] = x.detach().cpu().numpy()
        return {"tensor": name}
    if isinstance(x, dict):
        return {"dict": [[k, _plain(v, f"{name}/{k}", arrays)] for k, v in x.items()]}
    if isinstance(x, (list, tuple)):
        each = [_plain(v, f"{name}/{i}", arrays) for i, v in enumerate(x)]
        return {"tuple": each} if isinstance(x, tuple) else each
    if x is None or isinstance(x, (bool, int, float, str)):
        return to_json(x)
    raise TypeError(f"A checkpoint cannot hold {name}, a {type(x).__name__}.")


def _restored(x: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    """Return what `_plain` was given."""
    if isinstance(x, list):
        return [_restored(v, arrays) for v in x]
    if not isinstance(x, dict):
        return x
    ((kind, content),) = x.items()
    if kind == "tensor":
        return torch.from_numpy(arrays[content]).clone()  # in memory of torch's own, aligned as ever
    if kind == "float":
        return from_json(x)
    if kind == "tuple":
        return tuple(_restored(v, arrays) for v in content)
    return {k: _restored(v, arrays) for k, v in content}


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
        for each in x:
            _add(each, update)
    else:
        update(repr(x).encode())
