"""Files in safetensors format with JSON and checksums. Nothing in them is ever executed."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import struct
from collections import Counter
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import safe_open

from ..exceptions import CorruptModelError
from ..storage import regular, replacing

#: the format that is written, and those that can be read
FORMAT, READ = 2, (1, 2)
#: largest header, in bytes, that safetensors allows
LONGEST_HEADER = 100_000_000


def write(
    path: str | os.PathLike[str],
    arrays: dict[str, NDArray[Any]],
    content: dict[str, Any],
    key: str | bytes | None = None,
) -> None:
    """Write arrays and a description that JSON can hold, completely or not at all; with a key, sign them.

    An existing file is only replaced when the new one is complete.
    """
    arrays = {k: np.asarray(v, order="C") for k, v in arrays.items()}  # safetensors ignores strides
    text = json.dumps(content | {"sha256": {k: _sha256(v) for k, v in arrays.items()}}, allow_nan=False)
    header = {"format": str(FORMAT), "skdaep": text, "sha256": hashlib.sha256(text.encode()).hexdigest()}
    if key is not None:
        header["hmac"] = _signature(header, key)
    data = safetensors.numpy.save(arrays, metadata=header)
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def read(
    path: str | os.PathLike[str], key: str | bytes | None = None
) -> tuple[int, dict[str, NDArray[Any]], dict[str, Any]]:
    """Return format, arrays and description of a file, after verifying all checksums and, with a key, the signature.

    Raises
    ------
    CorruptModelError
        If the file is damaged, incomplete, of another format or not signed with the key; the message says where.
    """
    header = read_header(path)
    version, content = description(path, header, key)
    arrays = _arrays(path, header)
    checksums = content.pop("sha256", None)
    if not isinstance(checksums, dict) or set(arrays) != set(checksums):
        raise CorruptModelError(f"{path}: tensors are missing or not listed.")
    for name, checksum in checksums.items():
        if _sha256(arrays[name]) != checksum:
            raise CorruptModelError(f"{path}: tensor {name!r} is damaged.")
    return version, arrays, content


def read_header(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the header of a safetensors file, with the place of every tensor and the description of the file."""
    if regular(path) is None:
        Path(path).open("rb")  # raises the error of Python, such as FileNotFoundError
    with open(path, "rb") as file:
        start = file.read(8)
        (length,) = struct.unpack("<Q", start) if len(start) == 8 else (0,)
        if not 0 < length <= min(LONGEST_HEADER, os.fstat(file.fileno()).st_size - 8):
            raise CorruptModelError(f"{path} is not a readable model file: it has no header of safetensors.")
        text = file.read(length)
    header = _parsed(path, text, "header")
    if not isinstance(header, dict):
        raise CorruptModelError(f"{path} is not a readable model file: its header is not a dict.")
    return header


def description(
    path: str | os.PathLike[str], header: dict[str, Any], key: str | bytes | None = None
) -> tuple[int, dict[str, Any]]:
    """Return format and description from a header, after verifying its checksum and signature."""
    about = header.get("__metadata__", {})
    if not isinstance(about, dict) or not all(isinstance(v, str) for v in about.values()):
        raise CorruptModelError(f"{path} is not a readable model file: its metadata are not text.")
    if about.get("format") not in (known := [str(version) for version in READ]):
        known_ones = " and ".join(known)
        raise CorruptModelError(f"{path} has format {about.get('format')!r}; this version reads {known_ones}.")
    text = about.get("skdaep", "")
    if hashlib.sha256(text.encode(errors="replace")).hexdigest() != about.get("sha256"):
        raise CorruptModelError(f"{path}: the description of the model is damaged.")
    if key is not None and not hmac.compare_digest(_signature(about, key).encode(), about.get("hmac", "").encode()):
        signed = "another key, or changed since" if "hmac" in about else "no key"
        raise CorruptModelError(f"{path} was signed with {signed}: do not trust it.")
    content = _parsed(path, text, "description")
    if not isinstance(content, dict):
        raise CorruptModelError(f"{path} does not describe a valid model: the description is not a dict.")
    return int(about["format"]), content


def _arrays(path: str | os.PathLike[str], header: dict[str, Any]) -> dict[str, NDArray[Any]]:
    try:
        with safe_open(path, framework="numpy") as file:
            if (file.metadata() or {}) != header["__metadata__"]:
                raise CorruptModelError(f"{path} changed while it was read.")
            return {k: file.get_tensor(k) for k in file.keys()}
    except CorruptModelError:
        raise
    except Exception as error:  # invalid shapes and types raise many kinds of errors
        raise CorruptModelError(f"{path} is not a readable model file: {error}") from error


def _parsed(path: str | os.PathLike[str], text: str | bytes, part: str) -> Any:
    """Parse JSON strictly: repeated names, NaN and infinite numbers are errors."""
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise CorruptModelError(f"{path}: the {part} of the model is not readable JSON: {error}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"{twice!r} is repeated")
    return found


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _signature(header: dict[str, str], key: str | bytes) -> str:
    """Return the HMAC of format and description, which contains the checksums of all tensors."""
    if not isinstance(key, (str, bytes)) or not key:
        raise TypeError(f"key is a {type(key).__name__}; a non-empty text or bytes are needed.")
    secret = key.encode() if isinstance(key, str) else key
    return hmac.new(secret, f"{header['format']}\n{header['skdaep']}".encode(), hashlib.sha256).hexdigest()


def _sha256(array: NDArray[Any]) -> str:
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
