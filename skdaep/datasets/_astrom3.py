"""AstroM3: variable stars with an ASAS-SN light curve and a LAMOST spectrum."""

from __future__ import annotations

import json

import numpy as np
from astropy import units as u
from astropy.table import Table

from ..exceptions import TableError
from ._cache import local_copy
from ._files import objects_in, parquet_file, positive
from ._hub import hub_files

REPOSITORY = "AstroMLCore/AstroM3Processed"
SUBSETS, SEEDS, SPLITS = ("full", "sub50", "sub25", "sub10"), (42, 0, 66, 12, 123), ("train", "validation", "test")
LABELS = ("DSCT", "EA", "EB", "EW", "HADS", "M", "ROT", "RRAB", "RRC", "SR")
#: the columns of "photometry" after time, flux and error; they repeat one value per object
FEATURES = ("amplitude", "period", "lksl_statistic", "rfr_score", "log_mad", "years")
DAYS_PER_YEAR = 365  # as the authors of the data define a year


def fetch_astrom3(
    subset="full", split="train", *, seed=42, n_objects=None, return_metadata=False, data_home=None, download=True
):
    """Fetch variable stars with a light curve and a spectrum each (AstroM3).

    Parameters
    ----------
    subset : {"full", "sub50", "sub25", "sub10"}, default="full"
        Share of the data set of about 21,000 stars: all, a half, a quarter or a tenth. "sub10" is 60 MB.
    split : {"train", "validation", "test"}, default="train"
        Part of the authors' split.
    seed : {42, 0, 66, 12, 123}, default=42
        Seed of the authors' split.
    n_objects : int or None, default=None
        Number of objects, from the start. None takes all.
    return_metadata : bool, default=False
        Whether to also return the numbers of the catalogue.
    data_home : str, path-like or None, default=None
        Where to keep the files; see `get_data_home`.
    download : bool, default=True
        Whether to download missing files. False never uses the network.

    Returns
    -------
    X : list of dict
        Objects for `MultimodalDAEP`. "photometry" is a Table with ``time`` (days since the first point), ``flux`` and
        ``flux_err`` (less the mean, over the median absolute deviation), and ``amplitude``, ``period``,
        ``lksl_statistic``, ``rfr_score``, ``log_mad`` and ``years`` in its ``meta``, as the authors scaled them;
        "spectrum" is a Table with ``wavelength`` (Angstrom), ``flux`` and ``flux_err`` on one grid, as
        the authors scaled them.
    y : ndarray of str, shape (n_objects,)
        Type of variable: "DSCT", "EA", "EB", "EW", "HADS", "M", "ROT", "RRAB", "RRC" or "SR".
    metadata : ndarray of shape (n_objects, n_features)
        The input of the authors' metadata encoder: scaled magnitudes, colours, astrometry. Only if `return_metadata` is
        True.

    Raises
    ------
    DatasetError
        If a file is not available (the message says where to get it and where to put it), or its checksum is wrong.
    TableError
        If a file has an unknown layout.
    ImportError
        If pyarrow is missing: ``pip install skdaep[data]``.

    Notes
    -----
    Checksums come from the Hugging Face hub. The listing of the files is stored at the first download.
    These are the files of AstroM3Processed; observed times and fluxes are in AstroM3Dataset.

    References
    ----------
    Rizhko, M. & Bloom, J. S. 2024, "AstroM3: A self-supervised multimodal model for astronomy", arXiv:2411.08842,
    section 2.

    Examples
    --------
    They need the network, once:

    >>> from skdaep.datasets import fetch_astrom3
    >>> X, y = fetch_astrom3("sub10", "test")  # doctest: +SKIP
    >>> X[0]["spectrum"].colnames  # doctest: +SKIP
    ['wavelength', 'flux', 'flux_err']
    """
    for name, value, choices in (("subset", subset, SUBSETS), ("split", split, SPLITS), ("seed", seed, SEEDS)):
        if value not in choices:
            raise ValueError(f"{name} must be one of {choices}, got {value!r}.")
    folder = f"{subset}_{seed}"
    files = hub_files(REPOSITORY, f"{folder}/{split}-*.parquet", folder, data_home, download)
    X, y, metadata = [], [], []
    for remote in files:
        if n_objects is not None and len(X) >= n_objects:
            break
        path = local_copy(remote, data_home, download)
        left = None if n_objects is None else n_objects - len(X)
        labels = _labels(path)
        for i, row in enumerate(objects_in(path, "fetch_astrom3", left)):
            object_name = f"{path} object {i}"
            X.append({"photometry": _photometry(row, object_name), "spectrum": _spectrum(row, object_name)})
            y.append(_label(row, labels, object_name))
            metadata.append(np.asarray(row.get("metadata", ()), np.float32))
    y = np.array(y, dtype=f"<U{max(map(len, LABELS))}")
    return (X, y, np.array(metadata)) if return_metadata else (X, y)


def _labels(path) -> tuple[str, ...]:
    """Return the classes in the order of their numbers, as the file states them."""
    schema = parquet_file(path, "fetch_astrom3").schema_arrow.metadata or {}
    features = json.loads(schema.get(b"huggingface", b"{}")).get("info", {}).get("features", {})
    return tuple(features.get("label", {}).get("names", LABELS))


def _label(row: dict, labels: tuple[str, ...], object_name: str) -> str:
    label = row.get("label")
    if isinstance(label, str):
        return label
    if not isinstance(label, int) or not 0 <= label < len(labels):
        raise TableError(f"{object_name} column 'label' is {label!r}; a number from 0 to {len(labels) - 1} is needed.")
    return labels[label]


def _array(row: dict, name: str, axis: int, length: int, object_name: str) -> np.ndarray:
    values = np.asarray(row.get(name), float)
    if values.ndim != 2 or values.shape[axis] != length:
        has = f"shape {values.shape}" if row.get(name) is not None else f"no such column (it has: {', '.join(row)})"
        raise TableError(f"{object_name} column '{name}' has {has}; axis {axis} must have length {length}.")
    return values


def _photometry(row: dict, object_name: str) -> Table:
    values = _array(row, "photometry", 1, 3 + len(FEATURES), object_name)  # (points, 9)
    if not len(values):
        raise TableError(f"{object_name} column 'photometry' has no points.")
    time, flux, error = values[:, :3].T
    if time.min() < 0 or time.max() > 1:
        raise TableError(
            f"{object_name} column 'photometry' has times outside 0 to 1: not the layout this reader knows."
        )
    meta = dict(zip(FEATURES, values[0, 3:].tolist(), strict=True))
    columns = {"time": time * meta["years"] * DAYS_PER_YEAR, "flux": flux, "flux_err": positive(error)}
    return Table(columns, units={"time": u.day}, meta=meta)


def _spectrum(row: dict, object_name: str) -> Table:
    wavelength, flux, error = _array(row, "spectra", 0, 3, object_name)
    if not (np.diff(wavelength) > 0).all():
        raise TableError(
            f"{object_name} column 'spectra' does not begin with increasing wavelengths: not the layout known."
        )
    columns = {
        "wavelength": wavelength,
        "flux": np.where(np.isfinite(flux), flux, np.nan),
        "flux_err": positive(error),
    }
    return Table(columns, units={"wavelength": u.AA})
