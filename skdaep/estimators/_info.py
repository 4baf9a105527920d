"""Describe a model file without building the model."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..exceptions import CorruptModelError
from ..model import files


@dataclass(frozen=True)
class FileInfo:
    """Description of a model file; print it to read it.

    Parameters
    ----------
    path : Path
        The file.
    format : int
        Format of the file.
    estimator : str
        Name of the class of the estimator.
    parameters : dict
        Parameters of the estimator, with modalities as written in the file.
    environment : dict
        Versions, commit, device and threads of the fit; empty in old files.
    n_iter : int or None
        Steps of the fit.
    n_weights, n_bytes : int
        Number of weights, and size of the file.
    signed : bool
        Whether it has a signature, which only ``load(path, key=...)`` verifies.
    """

    path: Path
    format: int
    estimator: str
    parameters: dict[str, Any]
    environment: dict[str, Any]
    n_iter: int | None
    n_weights: int
    n_bytes: int
    signed: bool

    def __str__(self) -> str:
        lines = {
            "file": f"{self.path}, format {self.format}, {self.n_bytes} bytes, {'' if self.signed else 'not '}signed",
            "estimator": f"{self.estimator}, {self.n_weights} numbers, {self.n_iter} steps",
            "fitted with": ", ".join(f"{k} {v}" for k, v in self.environment.items() if v is not None) or "not noted",
        }
        told = [f"{name:12} {text}" for name, text in lines.items()]
        return "\n".join([*told, "parameters", *(f"    {k} = {_short(v)}" for k, v in self.parameters.items())])


def info(path):
    """Describe a model file from its header, without building the model or reading tensors.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    info : FileInfo
        Class, parameters, versions, commit, device and threads of the fit, and size.

    Raises
    ------
    CorruptModelError
        If the header is damaged or of another format. Only `load` finds damaged tensors.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import skdaep
    >>> from skdaep.datasets import make_supernova_spectra
    >>> X, y = make_supernova_spectra(20, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "pca.safetensors"
    ...     skdaep.FunctionalPCA(n_components=3).fit(X).save(path)
    ...     about = skdaep.info(path)
    >>> about.estimator, about.parameters["n_components"], about.signed
    ('FunctionalPCA', 3, False)
    """
    header = files.read_header(path)
    version, content = files.description(path, header)
    about = header["__metadata__"]
    try:
        fitted = content["fitted"]["dict"]
        return FileInfo(
            path=Path(path),
            format=version,
            estimator=str(content["class"]),
            parameters={k: _plain(v) for k, v in content["parameters"]["dict"].items()},
            environment={k: _plain(v) for k, v in fitted.get("environment_", {"dict": {}})["dict"].items()},
            n_iter=fitted.get("n_iter_"),
            n_weights=sum(_size(entry) for name, entry in header.items() if name != "__metadata__"),
            n_bytes=os.stat(path).st_size,
            signed="hmac" in about,
        )
    except (AttributeError, KeyError, TypeError, RecursionError) as error:
        raise CorruptModelError(f"{path} describes no model: {error!r}") from error


def _size(entry: dict[str, Any]) -> int:
    size = 1
    for n in entry["shape"]:
        size *= n
    return size


def _plain(x: Any) -> Any:
    """Return the content of a file as plain data; dataclasses become their name and fields."""
    if isinstance(x, list):
        return [_plain(v) for v in x]
    if not isinstance(x, dict) or len(x) != 1:
        return x
    ((kind, content),) = x.items()
    if kind == "tuple":
        return tuple(_plain(content))
    if not isinstance(content, dict):
        return content
    fields = {k: _plain(v) for k, v in content.items()}
    return fields if kind == "dict" else {kind: fields}


def _short(x: Any) -> str:
    text = repr(x)
    return text if len(text) <= 90 else f"{text[:87]}..."
