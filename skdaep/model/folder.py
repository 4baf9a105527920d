"""Stores of objects in folders: memory-mapped ``.npy`` files, and JSON that describes them.

The JSON is written last, so a folder that has it is complete. Until then ``packing.json`` states how much of each file
is valid. When packing continues, the rest is cut off.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
import torch
from numpy.lib import format as npy
from numpy.typing import NDArray

from ..exceptions import CorruptStoreError
from ..modalities import Modality
from ..nn.batch import OBJECTS, POINTS, Ragged
from ..storage import replacing, sha256_of
from .checkpoint import content_digest
from .measurements import Measurements
from .state import from_json, to_json

#: version of the layout of files
FORMAT = 1
DESCRIPTION, PROGRESS = "store.json", "packing.json"
#: seconds between two saved states of the packing
EVERY = 5.0


@dataclass(frozen=True, eq=False)
class Store:
    """A folder of objects written by `pack`. It is an X for ``fit`` and ``transform`` whose points stay on disk.

    Parameters
    ----------
    path : str or Path
        The folder.
    verify : bool, default=True
        Whether to verify the checksums of all files. This reads them once, at about 1 GB per second.

    Raises
    ------
    CorruptStoreError
        If the folder is not a store, or is incomplete, damaged or of another format; the message names the file.

    See Also
    --------
    skdaep.pack : Makes one.

    Examples
    --------
    >>> import tempfile
    >>> from skdaep import Spectrum, Store, pack
    >>> from skdaep.datasets import make_supernova_spectra
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = pack([make_supernova_spectra(20, random_state=0)[0]], f"{folder}/store", Spectrum())
    ...     len(Store(f"{folder}/store"))
    20
    """

    path: Path
    verify: bool = True
    modalities: dict[str, Modality] = field(init=False, repr=False)
    declared: dict[str, Modality] = field(init=False, repr=False)
    measurements: Measurements = field(init=False, repr=False)
    checksums: dict[str, str] = field(init=False, repr=False)
    #: modality -> why its points cannot be weighted by their errors, if they cannot
    without_errors: dict[str, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        path = Path(self.path)
        content = _description(path)
        try:
            modalities, declared = (from_json(content[k]) for k in ("modalities", "declared"))
            checksums, without = dict(content["sha256"]), dict(content["without_errors"])
            measurements = {name: _mapped(path, i) for i, name in enumerate(modalities)}
        except CorruptStoreError:
            raise
        except Exception as error:  # a forged file can fail in any way
            raise CorruptStoreError(f"{path / DESCRIPTION} does not describe a valid store: {error!r}.") from error
        own = vars(self)
        own.update(path=path, modalities=modalities, declared=declared, measurements=measurements)
        own.update(checksums=checksums, without_errors=without)
        _check(path, measurements, checksums, content.get("n_objects"), self.verify)

    def __len__(self) -> int:
        return len(next(iter(self.measurements.values())))

    def __repr__(self) -> str:
        return f"<Store {str(self.path)!r}: {len(self)} objects of {', '.join(self.modalities)}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Store, (self.path, False)


def name_of(i: int, field: str) -> str:
    """Return the file name for a field of the i-th modality."""
    return f"{i}.{field}.npy"


def _description(path: Path) -> dict[str, Any]:
    if not path.is_dir():
        raise CorruptStoreError(f"{path} is not a folder; make a store with skdaep.pack.")
    if not (path / DESCRIPTION).is_file():
        hint = " It was not packed to the end: call pack again to go on." if (path / PROGRESS).is_file() else ""
        raise CorruptStoreError(f"{path} is not a store: it has no {DESCRIPTION}.{hint}")
    content = _json(path / DESCRIPTION)
    if content.get("format") != FORMAT:
        raise CorruptStoreError(f"{path} has format {content.get('format')!r}; this version reads {FORMAT}.")
    return content


def _json(path: Path) -> dict[str, Any]:
    """Return the content of a JSON file, after verifying its checksum."""
    try:
        text = json.loads(path.read_text())
        content = json.loads(text["content"])
        right = hashlib.sha256(text["content"].encode()).hexdigest() == text["sha256"] and isinstance(content, dict)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptStoreError(f"{path} cannot be read: {error!r}.") from error
    if not right:
        raise CorruptStoreError(f"{path} is damaged: its checksum is wrong.")
    return content


def _write_json(path: Path, content: dict[str, Any]) -> None:
    text = json.dumps(content, allow_nan=False)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps({"content": text, "sha256": hashlib.sha256(text.encode()).hexdigest()}))


def _mapped(path: Path, i: int) -> Ragged:
    def tensor(field: str) -> torch.Tensor:
        file = path / name_of(i, field)
        try:
            # Mode "c" (copy on write) because torch only takes writable arrays; nothing is ever written to them.
            return torch.from_numpy(np.load(file, mmap_mode="c", allow_pickle=False))
        except (OSError, EOFError, ValueError, TypeError) as error:
            raise CorruptStoreError(f"{file} cannot be read: {error}.") from error

    points, objects = ({k: tensor(k) for k in fields} for fields in (POINTS, OBJECTS))
    return Ragged(points, objects, tensor("lengths").clone(), mapped=True)


def _check(path: Path, measurements: Measurements, checksums: dict[str, str], n_objects: Any, verify: bool) -> None:
    """Raise CorruptStoreError if files are inconsistent or differ from what was written."""
    names = {name_of(i, k) for i in range(len(measurements)) for k in (*POINTS, *OBJECTS, "lengths")}
    if not measurements or checksums.keys() != names:
        raise CorruptStoreError(f"{path} does not list its files.")
    for name in sorted(names) if verify else ():
        if sha256_of(path / name) != checksums[name]:
            raise CorruptStoreError(f"{path / name} is damaged: its checksum is wrong.")
    for i, ragged in enumerate(measurements.values()):
        n_points = int(ragged.lengths.sum())
        sizes = {k: (len(v), n_points) for k, v in ragged.points.items()}
        sizes |= {k: (len(v), n_objects) for k, v in (ragged.objects | {"lengths": ragged.lengths}).items()}
        for name, (n, wanted) in sizes.items():
            if n != wanted:
                raise CorruptStoreError(f"{path / name_of(i, name)} holds {n} entries, not {wanted}.")


# --- writing ----------------------------------------------------------------------------------------


class Growing:
    """A ``.npy`` file to which arrays are appended."""

    def __init__(self, path: Path, first: NDArray[Any], n: int = 0):
        self.dtype, self.rest, self.n = first.dtype, first.shape[1:], n
        self.file: BinaryIO = open(path, "rb+" if path.exists() else "wb+")
        self._write_header()
        self.start = self.file.tell()
        self.file.truncate(self.start + n * self.dtype.itemsize * int(np.prod(self.rest, dtype=np.int64)))
        self.file.seek(0, os.SEEK_END)

    def _write_header(self) -> None:
        """Write the header, whose length does not depend on the number of entries."""
        self.file.seek(0)
        header = {"descr": npy.dtype_to_descr(self.dtype), "fortran_order": False, "shape": (self.n, *self.rest)}
        npy.write_array_header_1_0(self.file, header)

    def add(self, array: NDArray[Any]) -> None:
        """Add an array."""
        self.file.write(np.ascontiguousarray(array, self.dtype).data)
        self.n += len(array)

    def sync(self) -> None:
        """Flush everything to disk."""
        self.file.flush()
        os.fsync(self.file.fileno())

    def end(self) -> None:
        """Write the number of entries into the header."""
        self._write_header()
        if self.file.tell() != self.start:
            raise OSError(f"The header of {self.file.name} needs more space than was reserved.")
        self.sync()


#: fields of a writer from which another one can continue
KEPT = ("done", "first", "lengths", "learned", "without_errors")


@dataclass
class Writer:
    """Add objects to a store that is not yet complete.

    Parameters
    ----------
    path : Path
        The folder, which is created.
    identity : dict
        Description of what is packed. Packing only continues with the same description.
    """

    path: Path
    identity: dict[str, Any]
    files: dict[str, Growing] = field(default_factory=dict)
    #: number of objects in each chunk so far, and digest of the first chunk with objects
    done: list[int] = field(default_factory=list)
    first: str | None = None
    lengths: dict[str, int] = field(default_factory=dict)
    learned: dict[str, Any] | None = None
    without_errors: dict[str, str] = field(default_factory=dict)
    last: float = field(default_factory=time.monotonic)

    @classmethod
    def open(cls, path: Path, identity: dict[str, Any]) -> Self:
        """Return a writer for a new or an unfinished store."""
        if (path / DESCRIPTION).exists():
            raise FileExistsError(f"{path} is a store already; open it with skdaep.Store({str(path)!r}), or remove it.")
        path.mkdir(parents=True, exist_ok=True)
        if not (path / PROGRESS).exists():
            if any(path.iterdir()):
                raise FileExistsError(f"{path} contains other files; use a new or empty folder.")
            writer = cls(path, identity)
            writer.note()
            return writer
        content = _json(path / PROGRESS)
        for name, value in identity.items():
            if content.get(name) != value:
                raise ValueError(
                    f"{path} was begun with {name}={_short(content.get(name))}, not {_short(value)}: restore that to "
                    f"continue, or remove the folder."
                )
        return cls(path, identity, **{k: content[k] for k in KEPT})

    def note(self) -> None:
        """Record how far packing has come."""
        for file in self.files.values():
            file.sync()
        self.lengths = {name: file.n for name, file in self.files.items()} or self.lengths
        content = {k: getattr(self, k) for k in KEPT}
        _write_json(self.path / PROGRESS, self.identity | content)
        self.last = time.monotonic()

    def open_files(self, measurements: Measurements) -> None:
        """Open the files of these fields at the last valid entry."""
        for name, array in _arrays(measurements):
            if name not in self.files:
                self.files[name] = Growing(self.path / name, array, self.lengths.get(name, 0))

    def add(self, measurements: Measurements) -> None:
        """Add objects."""
        self.open_files(measurements)
        for name, array in _arrays(measurements):
            self.files[name].add(array)

    def noted(self, n_objects: int) -> None:
        """Record the end of a chunk if it is time to do so."""
        self.done.append(n_objects)
        if time.monotonic() - self.last >= EVERY:
            self.note()

    def close(self) -> None:
        """Close the files without completing them."""
        for file in self.files.values():
            file.file.close()

    def complete(self, modalities: dict[str, Modality], declared: dict[str, Modality], n_objects: int) -> None:
        """Complete the files and write the description."""
        for file in self.files.values():
            file.end()
        content = {"format": FORMAT, "modalities": to_json(modalities), "declared": to_json(declared)}
        content |= {"n_objects": n_objects, "without_errors": self.without_errors}
        content["sha256"] = {name: sha256_of(self.path / name) for name in self.files}
        _write_json(self.path / DESCRIPTION, content)
        (self.path / PROGRESS).unlink()


def _arrays(measurements: Measurements) -> Iterator[tuple[str, NDArray[Any]]]:
    for i, ragged in enumerate(measurements.values()):
        for k, v in (ragged.points | ragged.objects | {"lengths": ragged.lengths}).items():
            yield name_of(i, k), v.numpy()


def digest_of(measurements: Measurements) -> str:
    """Return a digest of measurements."""
    return content_digest([array for _, array in _arrays(measurements)])


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) < 200 else f"{text[:200]}..."
