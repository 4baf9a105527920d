"""Files of safetensors and JSON with checksums; nothing in them is ever executed."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from ..exceptions import CorruptModelError

#: written by this version, and read
FORMAT, READ = 2, (1, 2)


def write(path: str | os.PathLike[str], arrays: dict[str, NDArray[Any]], content: dict[str, Any]) -> None:
    """Write arrays and a description of them, made of what JSON has, whole or not at all.

    The file takes the place of one that is there when it is complete.
    """
    path = Path(path)
    text = json.dumps(content | {"sha256": {k: _sha256(v) for k, v in arrays.items()}})
    header = {"format": str(FORMAT), "skdaep": text, "sha256": hashlib.sha256(text.encode()).hexdigest()}
    data = safetensors.numpy.save(arrays, metadata=header)
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


def read(path: str | os.PathLike[str]) -> tuple[int, dict[str, NDArray[Any]], dict[str, Any]]:
    """Return format, arrays and description of a file, all checksums verified.

    Raises
    ------
    CorruptModelError
        If the file is damaged, incomplete or of another format; the message says where.
    """
    version, text, arrays = _parts(path)
    try:
        content = json.loads(text)
        checksums = content.pop("sha256")
        _check(path, arrays, checksums)
    except CorruptModelError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CorruptModelError(f"{path} describes no model that can be built: {error!r}") from error
    return version, arrays, content


def _parts(path: str | os.PathLike[str]) -> tuple[int, str, dict[str, NDArray[Any]]]:
    """Return the format, the description of the model, its checksum verified, and the tensors."""
    open(path, "rb").close()  # a missing file or a directory is no damage, and Python says so best
    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            arrays = {k: file.get_tensor(k) for k in file.keys()}
    except (SafetensorError, ValueError) as error:
        raise CorruptModelError(f"{path} is not a readable model file: {error}") from error
    known = [str(version) for version in READ]
    if header.get("format") not in known:
        known_ones = " and ".join(known)
        raise CorruptModelError(f"{path} has format {header.get('format')!r}; this version reads {known_ones}.")
    text = header.get("skdaep", "")
    if hashlib.sha256(text.encode()).hexdigest() != header.get("sha256"):
        raise CorruptModelError(f"{path}: the description of the model is damaged.")
    return int(header["format"]), text, arrays


def _check(path: str | os.PathLike[str], arrays: dict[str, NDArray[Any]], checksums: dict[str, str]) -> None:
    if set(arrays) != set(checksums):
        raise CorruptModelError(f"{path}: tensors are missing or not listed.")
    for name, checksum in checksums.items():
        if _sha256(arrays[name]) != checksum:
            raise CorruptModelError(f"{path}: tensor {name!r} is damaged.")


def _sha256(array: NDArray[Any]) -> str:
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
