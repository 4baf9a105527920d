"""Read more objects than fit in memory, chunk by chunk, into a folder from which training takes its batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import chain
from numbers import Integral
from pathlib import Path
from typing import Any

from ..exceptions import TableError
from ..modalities import Modality, Objects
from ..model import Store
from ..model.folder import Writer, digest_of
from ..model.state import from_json, to_json
from ..tables import FlatTables
from ..training import undisturbed
from ._base import BaseEncoder
from ._daep import DAEPEncoder
from ._fitting import new_model
from ._multimodal_daep import MultimodalDAEP


@undisturbed()
def pack(chunks, path, modality=None, *, n_learn=20_000) -> Store:
    """Read objects chunk by chunk into a folder, on which estimators can train without holding the objects in memory.

    Columns, units, bands and scalings are learned from the first objects. These should be representative, and contain
    all bands and labels: new ones are refused later, unless the modality has ``unknown="ignore"``. Other units are
    converted.

    Training uses every object. `FunctionalPCA`, and the core of `DAEPEncoder`, are solved from at most 20,000 of them
    and 4 million points.

    The store only becomes valid when it is complete. If a call is interrupted, repeat it with the same chunks: it skips
    those that are done.

    Parameters
    ----------
    chunks : iterable of X
        Each chunk is an X for an estimator: a list of Tables, `FlatTables`, an array, or with several modalities a list
        of dicts. Use a generator that reads one file after the other, or a stream of LSDB. Only one chunk is in memory
        at a time.
    path : str or Path
        The folder, new or empty.
    modality : Modality or dict of Modality, default=None
        As for `DAEPEncoder` or, if it is a dict, for `MultimodalDAEP`. To make a store that a fitted estimator can
        encode, pass its modality, ``encoder.modalities_["sequence"]``.
    n_learn : int, default=20000
        Number of objects from which columns, bands and scalings are learned. Their chunks are in memory together.

    Returns
    -------
    store : Store
        An X for ``fit``, ``transform``, ``score`` and ``fit_prior`` of any encoder of these modalities.

    Raises
    ------
    TableError
        If an object cannot be used; the message names chunk, object and column.
    FileExistsError
        If the folder holds a complete store, or files of something else.
    ValueError
        If there are no chunks, or they differ from those of the interrupted call.

    Examples
    --------
    >>> import tempfile
    >>> from skdaep import DAEPEncoder, Spectrum, pack
    >>> from skdaep.datasets import make_supernova_spectra
    >>> chunks = (make_supernova_spectra(20, random_state=i)[0] for i in range(3))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = pack(chunks, f"{folder}/store", Spectrum())
    ...     encoder = DAEPEncoder(Spectrum(), model_dim=16, max_iter=5, random_state=0).fit(store)
    ...     encoder.transform(store).shape
    (60, 16)
    """
    if isinstance(n_learn, bool) or not (isinstance(n_learn, Integral) and n_learn >= 1):
        raise ValueError(f"n_learn={n_learn!r}: a positive int is needed.")
    face: BaseEncoder = MultimodalDAEP(modality) if isinstance(modality, dict) else DAEPEncoder(modality)
    face._validate_params()
    declared = face._declarations()
    writer = Writer.open(Path(path), {"declared": to_json(declared), "n_learn": int(n_learn)})
    with closing(writer):
        _write(writer, face, declared, chunks, n_learn)
    return Store(Path(path), verify=False)


def _write(writer: Writer, face: BaseEncoder, declared: dict[str, Modality], chunks: Iterable, n_learn: int) -> None:
    """Read all remaining chunks, and complete the store."""
    objects, held = _objects(face, declared, chunks), deque()
    if writer.learned is None:
        held, learned = _learned(face, declared, objects, n_learn)
        writer.learned = to_json(learned)
    model = new_model(face, from_json(writer.learned), 0)
    for k, chunk in enumerate(chain(_emptied(held), objects)):
        if k < len(writer.done) and len(chunk) != writer.done[k]:
            raise ValueError(
                f"chunks[{k}] holds {len(chunk)} objects, but {writer.done[k]} in the interrupted call that "
                f"began {writer.path}."
            )
        if k < len(writer.done) and not (writer.first and k == _first(writer.done)):
            continue
        if len(chunk):
            _add(writer, face, model, chunk, k)
        if k == len(writer.done):
            writer.noted(len(chunk))
    if not sum(writer.done):
        raise ValueError("chunks hold 0 objects (n_samples=0); at least one is needed.")
    writer.complete(model.modalities, declared, sum(writer.done))


def _emptied(held: deque[Objects]) -> Iterator[Objects]:
    """Yield objects and release them."""
    while held:
        yield held.popleft()


def _first(done: list[int]) -> int:
    """Return the number of the first chunk that has an object."""
    return next((k for k, n in enumerate(done) if n), -1)


def _add(writer: Writer, face: BaseEncoder, model: Any, chunk: Objects, k: int) -> None:
    """Read a chunk and add it. If it is the first one and already in the store, only compare it."""
    with told(f"chunks[{k}]: "):
        for name, m in model.modalities.items():
            having, own = chunk.having(name)
            try:
                m.check_errors(own, [face._name_in_errors("X", i, name) for i in having])
            except TableError as error:
                writer.without_errors.setdefault(name, f"chunks[{k}]: {error}")
        measurements = face._measurements(model, chunk)
    digest = digest_of(measurements) if writer.first is None or k < len(writer.done) else None
    if k < len(writer.done):
        if digest != writer.first:
            raise ValueError(f"chunks[{k}] holds other objects than in the interrupted call that began {writer.path}.")
        writer.open_files(measurements)
        return
    writer.first = writer.first or digest
    writer.add(measurements)


def _objects(face: BaseEncoder, declared: dict[str, Modality], chunks: Iterable) -> Iterator[Objects]:
    """Yield the objects of each chunk."""
    several, width = isinstance(face, MultimodalDAEP), None
    for k, X in enumerate(chunks):
        if hasattr(X, "__len__") and not len(X):
            yield Objects({})
            continue
        with told(f"chunks[{k}]: "):
            objects, columns = face._objects_of_fit(X, declared if several else None)
        n = columns.get("n_features_in_")
        if width not in (None, n):
            raise TableError(f"chunks[{k}] has {n or 'no'} columns, but those before have {width}.")
        width = n
        yield objects


def _learned(
    face: BaseEncoder, declared: dict[str, Modality], objects: Iterator[Objects], n_learn: int
) -> tuple[deque[Objects], dict[str, Modality]]:
    """Return the first chunks, and the modalities that have learned from them."""
    if all(getattr(m, "learned", None) is not None for m in declared.values()):
        return deque(), declared
    held: deque[Objects] = deque()
    while sum(map(len, held)) < n_learn and (chunk := next(objects, None)) is not None:
        held.append(chunk)
    full, learned = [chunk for chunk in held if len(chunk)], {}
    if not full:
        raise ValueError("chunks hold 0 objects (n_samples=0); at least one is needed.")
    for name, modality in declared.items():
        parts = [chunk.having(name) for chunk in full]
        starts = [sum(map(len, full[:k])) for k in range(len(full))]
        having = [s + i for s, (own, _) in zip(starts, parts, strict=True) for i in own]
        object_names = [face._name_in_errors("X", i, name) for i in having]
        if not object_names:
            raise TableError(f"None of the first {sum(map(len, full))} objects has {name!r}; increase n_learn.")
        with told("the first chunks, end to end: "):
            learned[name] = modality.learn(FlatTables.joined([own for _, own in parts]), object_names)
    return held, learned


@contextmanager
def told(object_name: str) -> Iterator[None]:
    """In this context errors state in which chunk an object is."""
    try:
        yield
    except TableError as error:
        raise TableError(f"{object_name}{error}") from None
