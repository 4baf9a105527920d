"""Fitted estimators as plain data: pickles without torch, and files of safetensors + JSON with checksums."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import os
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import torch
from safetensors import SafetensorError, safe_open

from .. import modalities
from ..diffusion.noise import Correlation
from ..exceptions import CorruptModelError, DeviceError
from ..training import resolve_device

FORMAT = 1
#: what the names of tensors begin with in a file, and the attributes that hold them; the last has what is left
TENSORS = {"prior.": "_prior", "stored.": "_stored", "": "_weights"}
#: dataclasses that may stand in a file: all that the modalities are made of
DATACLASSES = {"Correlation": Correlation} | {
    name: cls
    for module in vars(modalities).values()
    if inspect.ismodule(module)
    for name, cls in vars(module).items()
    if dataclasses.is_dataclass(cls) and cls.__module__ == module.__name__
}
OWN = "save writes skdaep's own estimators and modalities"


class PersistenceMixin:
    """Keep the weights as numpy arrays; the live module is a cache that never leaves the process."""

    #: attributes that are made anew from the others when next needed
    _caches: tuple[str, ...] = ("_module",)

    def _forget(self) -> None:
        for name in self._caches:
            vars(self).pop(name, None)

    def _keep(self, objective: torch.nn.Module) -> None:
        self._forget()
        self._weights = arrays_of(objective)
        self._module = objective.eval()

    def _resume(self, objective: torch.nn.Module, architecture: dict) -> None:
        """Start an objective from the weights of the fit before."""
        for name, value in architecture.items():
            if value != (was := self._architecture[name]):
                raise ValueError(
                    f"warm_start=True cannot continue: {name} was {was!r} in the fit before and is {value!r} now. "
                    "Restore it or set warm_start=False."
                )
        objective.load_state_dict({k: torch.from_numpy(v) for k, v in self._weights.items()})

    def _live(self) -> tuple[torch.nn.Module, torch.device]:
        """Return the module on its device, rebuilt from the weights after unpickling."""
        if getattr(self, "_module", None) is None:
            self._validate_params()  # `set_params` may have changed those of decoding
            self.device_ = str(resolve_device(self.device))
            module = self._build(self.modalities_, self._seed, self._architecture)
            module.load_state_dict({k: torch.from_numpy(v) for k, v in self._weights.items()})
            self._module = module.to(self.device_).eval()
        return self._module, torch.device(self.device_)

    def __getstate__(self):
        state = super().__getstate__()
        return {k: v for k, v in state.items() if k not in self._caches}

    def save(self, path) -> None:
        """Write the fitted estimator to one file: safetensors, with everything else as JSON in its header.

        Parameters
        ----------
        path : str or Path
            The file, by custom ``*.safetensors``. Written whole or not at all.

        Raises
        ------
        TypeError
            If a parameter cannot be written as JSON, such as a RandomState, or if the class of the estimator or of a
            modality is not skdaep's own.
        """
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)
        if _own_class(type(self).__name__) is not type(self):
            raise TypeError(f"{OWN}, and {type(self).__name__} is none of them; use pickle.")
        path = Path(path)
        skip = {*TENSORS.values(), *self._caches, "_skl_callbacks", *self.get_params(deep=False)}
        weights = {start + k: v for start, name in TENSORS.items() for k, v in getattr(self, name, {}).items()}
        text = json.dumps(
            {
                "class": type(self).__name__,
                "parameters": _to_json(self.get_params(deep=False)),
                "fitted": _to_json({k: v for k, v in vars(self).items() if k not in skip}),
                "sha256": {k: _sha256(v) for k, v in weights.items()},
            }
        )
        header = {"format": str(FORMAT), "skdaep": text, "sha256": hashlib.sha256(text.encode()).hexdigest()}
        data = safetensors.numpy.save(weights, metadata=header)
        temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}")  # not mkstemp: others could not read the file
        try:
            with open(temporary, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def arrays_of(module: torch.nn.Module) -> dict[str, np.ndarray]:
    """Return a copy of the weights as numpy arrays."""
    return {k: v.detach().cpu().numpy().copy() for k, v in module.state_dict().items()}


def load(path, *, device=None):
    """Read an estimator written by its ``save``; nothing in the file is ever executed.

    Parameters
    ----------
    path : str or Path
        The file.
    device : str, default=None
        Replaces the estimator's parameter `device`, for a model trained where there was another one.

    Returns
    -------
    estimator : estimator
        As it was when saved.

    Raises
    ------
    CorruptModelError
        If the file is damaged, incomplete or of another format; the message says where.
    DeviceError
        If the model's device does not exist on this machine.
    """
    text, weights = _read(path)
    try:
        content = json.loads(text)
        _check_tensors(path, weights, content["sha256"])
        if (own := _own_class(content["class"])) is None:
            raise CorruptModelError(f"{path}: unknown estimator {content['class']!r}.")
        estimator = own(**_from_json(content["parameters"]))
        if device is not None:
            estimator.set_params(device=device)
        vars(estimator).update(_from_json(content["fitted"]))
        for start, name in TENSORS.items():
            if own := {k.removeprefix(start): weights.pop(k) for k in list(weights) if k.startswith(start)}:
                setattr(estimator, name, own)
        estimator._live()
    except (CorruptModelError, DeviceError):
        raise
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise CorruptModelError(f"{path} describes no model that can be built: {error!r}") from error
    return estimator


def _own_class(name: str) -> type | None:
    """Return skdaep's estimator of a name."""
    import skdaep

    return getattr(skdaep, name) if name in (*skdaep.ESTIMATORS, *skdaep.MULTIMODAL) else None


def _read(path) -> tuple[str, dict[str, np.ndarray]]:
    """Return the description of the model, its checksum verified, and the tensors."""
    open(path, "rb").close()  # a missing file or a directory is no damage, and Python says so best
    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            weights = {k: file.get_tensor(k) for k in file.keys()}
    except (SafetensorError, ValueError) as error:
        raise CorruptModelError(f"{path} is not a readable model file: {error}") from error
    if header.get("format") != str(FORMAT):
        raise CorruptModelError(f"{path} has format {header.get('format')!r}; this version reads {FORMAT}.")
    text = header.get("skdaep", "")
    if hashlib.sha256(text.encode()).hexdigest() != header.get("sha256"):
        raise CorruptModelError(f"{path}: the description of the model is damaged.")
    return text, weights


def _check_tensors(path, weights: dict[str, np.ndarray], checksums: dict[str, str]) -> None:
    if set(weights) != set(checksums):
        raise CorruptModelError(f"{path}: tensors are missing or not listed.")
    for name, checksum in checksums.items():
        if _sha256(weights[name]) != checksum:
            raise CorruptModelError(f"{path}: tensor {name!r} is damaged.")


def _sha256(array: np.ndarray) -> str:
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _to_json(x: Any) -> Any:
    """Turn numbers, text, containers, arrays and the declared dataclasses into JSON."""
    if x is None or isinstance(x, (bool, int, float, str)):
        return x
    if isinstance(x, np.generic):
        return x.item()
    if isinstance(x, np.ndarray):
        return {"array": x.tolist(), "dtype": "object" if x.dtype == object else x.dtype.str}
    if isinstance(x, tuple):
        return {"tuple": [_to_json(v) for v in x]}
    if isinstance(x, list):
        return [_to_json(v) for v in x]
    if isinstance(x, dict):
        return {"dict": {str(k): _to_json(v) for k, v in x.items()}}
    name = type(x).__name__
    if DATACLASSES.get(name) is type(x):
        return {name: {f.name: _to_json(getattr(x, f.name)) for f in dataclasses.fields(x)}}
    if isinstance(x, np.random.RandomState):
        raise TypeError("save cannot write a RandomState; set an int random_state.")
    raise TypeError(f"{OWN}, and {name} is none of them; use pickle.")


def _from_json(x: Any) -> Any:
    if isinstance(x, list):
        return [_from_json(v) for v in x]
    if not isinstance(x, dict):
        return x
    if "array" in x:
        return np.array(x["array"], dtype=x["dtype"])
    ((kind, content),) = x.items()
    if kind == "tuple":
        return tuple(_from_json(content))
    fields = {k: _from_json(v) for k, v in content.items()}
    return fields if kind == "dict" else DATACLASSES[kind](**fields)
