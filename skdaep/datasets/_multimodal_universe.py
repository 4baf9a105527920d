"""Spectra, light curves and images of the Multimodal Universe."""

from __future__ import annotations

from itertools import chain, islice
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.table import Table

from .. import tables
from ..exceptions import TableError
from ._cache import local_copy
from ._files import objects_in, positive
from ._hub import hub_files

WAVELENGTH = ("lambda", "wavelength", "wave")
FLUX = ("flux", "pdcsap_flux", "kspsap_flux", "psf_flux", "array")  # the middle three: Kepler, TESS-QLP, TESS-TGLC


def fetch_multimodal_universe(name, *, files="*", n_files=1, n_objects=None, bands=None, data_home=None, download=True):
    """Fetch spectra, light curves or images of the Multimodal Universe from the Hugging Face hub.

    Parameters
    ----------
    name : str
        A data set of the organisation MultimodalUniverse, such as "plasticc", "desi" or "legacysurvey", or any other
        of the same layout with its owner, "owner/name".
    files : str, default="*"
        Pattern for the paths of the files in the data set, as in a shell, such as ``"train_only/*"``; in a HATS
        catalogue, ``"dataset/Norder*"``. Only Parquet and HDF5 files count.
    n_files : int or None, default=1
        Number of files, in the order of their names. None takes all. One file may have gigabytes.
    n_objects : int or None, default=None
        Number of objects, from the start. None takes all.
    bands : sequence of str or None, default=None
        Names of the bands, only needed if the file numbers them (PLAsTiCC as HDF5: ``"ugrizY"``).
    data_home : str, path-like or None, default=None
        Folder for the files; see `get_data_home`.
    download : bool, default=True
        Whether to download missing files. False never uses the network.

    Returns
    -------
    X : list of astropy.table.Table or ndarray
        As from `load_multimodal_universe`.
    metadata : astropy.table.Table
        Numbers and labels, one row per object.

    Raises
    ------
    DatasetError
        If a file is not available (the message says where to get it and where to put it), or its checksum is wrong.
    TableError
        If a file has an unknown layout.
    ImportError
        If pyarrow or h5py is missing: ``pip install skdaep[data]``.

    See Also
    --------
    load_multimodal_universe : Read files on disk, such as those of the full data set.

    Notes
    -----
    The hub states the checksum of every large file, and every call verifies it. For files without one, and for the
    listing of the data set, the checksum of the first download is stored and verified later.

    The hub has up to 100,000 objects of each survey. The authors describe how to get the full data set as HDF5 files.

    References
    ----------
    The Multimodal Universe Collaboration 2024, "The Multimodal Universe: Enabling Large-Scale Machine Learning with
    100TB of Astronomical Scientific Data", arXiv:2412.02527.

    Examples
    --------
    They need the network, once (15 MB):

    >>> from skdaep.datasets import fetch_multimodal_universe
    >>> X, metadata = fetch_multimodal_universe("plasticc", n_objects=100)  # doctest: +SKIP
    >>> X[0].colnames  # doctest: +SKIP
    ['time', 'flux', 'flux_err', 'band']
    >>> y = metadata["obj_type"]  # doctest: +SKIP
    """
    repository = name if "/" in name else f"MultimodalUniverse/{name}"
    found = hub_files(repository, files, data_home=data_home, download=download, suffixes=(".parquet", ".hdf5", ".h5"))
    paths = [local_copy(remote, data_home, download) for remote in found[:n_files]]
    return load_multimodal_universe(paths, n_objects=n_objects, bands=bands)


def load_multimodal_universe(paths, *, n_objects=None, bands=None):
    r"""Read spectra, light curves or images from files in the layout of the Multimodal Universe.

    Parameters
    ----------
    paths : path-like or list of path-like
        Parquet files (``.parquet``) or HDF5 files (``.hdf5``, ``.h5``).
    n_objects : int or None, default=None
        Number of objects, from the start. None takes all.
    bands : sequence of str or None, default=None
        Names of the bands, only needed if the file numbers them (PLAsTiCC as HDF5: ``"ugrizY"``).

    Returns
    -------
    X : list of astropy.table.Table or ndarray of shape (n_objects, height, width, n_bands)
        Spectra have the columns ``wavelength`` (Angstrom), ``flux`` and, where there are inverse variances,
        ``flux_err``; light curves ``time`` (days, as given: mostly MJD), ``flux``, ``flux_err`` and ``band``. The
        files name no unit of flux. What was not observed is NaN. The ``meta`` of a Table is its row of `metadata`.
    metadata : astropy.table.Table
        Numbers and labels, one row per object; for images, ``metadata.meta["bands"]`` names the last axis of X.

    Raises
    ------
    TableError
        If a file has an unknown layout; the message names it and the column.
    ImportError
        If pyarrow or h5py is missing: ``pip install skdaep[data]``.

    See Also
    --------
    fetch_multimodal_universe : Download and read.

    Notes
    -----
    Errors are :math:`1 / \sqrt{\mathrm{ivar}}`. A pixel is not observed if its inverse variance is not positive, or
    if ``mask`` says so: true means *bad* in the spectra of the Multimodal Universe, but *good* in its images. Padding
    (a wavelength that is not positive; flux and error both 0) is left out. Parquet files hold times in single
    precision: steps of 340 s at MJD 60000.

    Examples
    --------
    They need the file:

    >>> from skdaep.datasets import load_multimodal_universe
    >>> X, metadata = load_multimodal_universe("desi/001-of-001.hdf5")  # doctest: +SKIP
    """
    paths = [paths] if isinstance(paths, (str, Path)) else list(paths)
    rows = chain.from_iterable(_placed(Path(path), n_objects) for path in paths)
    X, scalars, kinds, names = [], [], set(), None
    for object_name, row in islice(rows, n_objects):
        kind, columns = _measurements(row, object_name)
        kinds.add(kind)
        if len(kinds) > 1:
            raise TableError(f"{object_name} is of kind {kind}, but those before are not; read one kind at a time.")
        meta = {key: value for key, value in row.items() if isinstance(value, (bool, int, float, str))}
        if kind == "image":
            image, names = _image(columns, object_name)
            if X and image.shape != X[0].shape:
                raise TableError(
                    f"{object_name} has an image of shape {image.shape}, but those before have {X[0].shape}."
                )
            X.append(image)
        elif kind == "spectrum":
            X.append(_spectrum(columns, meta, object_name))
        else:
            named = meta.get("bands", "").split(",") if bands is None else bands
            X.append(_light_curve(columns, meta, named, object_name))
        scalars.append(meta)
    metadata = Table(rows=scalars, meta={} if names is None else {"bands": names})
    return (np.stack(X) if names is not None else X), metadata


def _placed(path: Path, n: int | None):
    for i, row in enumerate(objects_in(path, "load_multimodal_universe", n)):
        yield f"{path} object {i}", row


# --- the layouts ------------------------------------------------------------------------------------


def _measurements(row: dict, object_name: str) -> tuple[str, dict]:
    """Return what kind of measurement an object has, and its columns, whichever way the file groups them."""
    arrays = {name: value for name, value in row.items() if isinstance(value, (dict, np.ndarray))}
    found = {}
    for kind in ("spectrum", "lightcurve", "image"):
        group = arrays.get(kind)
        if isinstance(group, np.ndarray) and group.ndim == 3:  # (bands, 3, points): PLAsTiCC as HDF5
            group = {"time": group[:, 0], "flux": group[:, 1], "flux_err": group[:, 2]}
        prefixed = {name.removeprefix(f"{kind}_"): arrays[name] for name in arrays if name.startswith(f"{kind}_")}
        columns = group if isinstance(group, dict) else prefixed
        if any(name in columns for name in FLUX):
            found[kind] = columns
    if not found and "time" in arrays:
        found["lightcurve"] = arrays
    if len(found) != 1:
        what = f"several kinds of measurement ({', '.join(found)})" if found else "no spectrum, lightcurve or image"
        raise TableError(f"{object_name} has {what} (its columns: {', '.join(row)}).")
    return found.popitem()


def _pick(columns: dict, names: tuple[str, ...], object_name: str) -> str:
    name = next((name for name in names if columns.get(name) is not None), None)
    if name is None:
        raise TableError(f"{object_name} has no column {' or '.join(names)} (it has: {', '.join(columns)}).")
    return name


def _flat(columns: dict, name: str, n: int | None, object_name: str) -> np.ndarray:
    """Return a column as n float64 numbers."""
    try:
        values = np.asarray(columns[name], float).ravel()
    except (TypeError, ValueError):
        raise TableError(f"{object_name} column '{name}' does not hold numbers.") from None
    if n is not None and len(values) != n:
        raise TableError(f"{object_name} column '{name}' has {len(values)} entries, but the flux has {n}.")
    return values


def _spectrum(columns: dict, meta: dict, object_name: str) -> Table:
    flux = _flat(columns, _pick(columns, FLUX, object_name), None, object_name)
    n = len(flux)
    wavelength = _flat(columns, _pick(columns, WAVELENGTH, object_name), n, object_name)
    new = {"wavelength": wavelength, "flux": np.where(np.isfinite(flux), flux, np.nan)}
    if columns.get("ivar") is not None:
        new["flux_err"] = positive(_flat(columns, "ivar", n, object_name)) ** -0.5
        new["flux"][np.isnan(new["flux_err"])] = np.nan
    if columns.get("mask") is not None:
        new["flux"][_flat(columns, "mask", n, object_name) != 0] = np.nan
    there = np.isfinite(wavelength) & (wavelength > 0)
    return Table({name: values[there] for name, values in new.items()}, units={"wavelength": u.AA}, meta=meta)


def _light_curve(columns: dict, meta: dict, bands, object_name: str) -> Table:
    name = _pick(columns, FLUX, object_name)
    flux = _flat(columns, name, None, object_name)
    n = len(flux)
    time = _flat(columns, _pick(columns, ("time", "mjd"), object_name), n, object_name)
    new = {"time": time, "flux": np.where(np.isfinite(flux), flux, np.nan)}
    there = np.isfinite(time)
    if columns.get(f"{name}_err") is not None:
        error = _flat(columns, f"{name}_err", n, object_name)
        new["flux_err"] = positive(error)
        there &= (flux != 0) | (error != 0)
    band = _bands(columns, np.shape(columns[name]), bands, object_name)
    if band is not None:
        new["band"] = band
    return Table({name: values[there] for name, values in new.items()}, units={"time": u.day}, meta=meta)


def _bands(columns: dict, shape: tuple[int, ...], bands, object_name: str) -> np.ndarray | None:
    """Return the band of each point: a column, or one name for each row of a flux of shape (bands, points)."""
    if columns.get("band") is not None:
        return tables.labels(Table({"band": np.ravel(columns["band"])}), "band")
    if len(shape) < 2:
        return None
    names = [name for name in bands if name]
    if len(names) != shape[0]:
        raise TableError(
            f"{object_name} has {shape[0]} bands, of which {len(names)} are named; give bands=, in their order."
        )
    return np.repeat(names, shape[1])


def _image(columns: dict, object_name: str) -> tuple[np.ndarray, list[str]]:
    """Return an image of shape (height, width, bands), and the names of the bands."""
    flux = np.array(columns[_pick(columns, FLUX, object_name)], dtype=np.float32)
    if flux.ndim != 3:
        raise TableError(f"{object_name} has an image of shape {flux.shape}; (bands, height, width) is needed.")
    for name, good in (("mask", lambda mask: mask != 0), ("ivar", lambda ivar: ivar > 0)):
        if columns.get(name) is not None:
            values = np.asarray(columns[name], float)
            if values.shape not in (flux.shape, flux.shape[1:]):
                raise TableError(
                    f"{object_name} column 'image.{name}' has shape {values.shape}, the image {flux.shape}."
                )
            flux[~np.broadcast_to(good(values), flux.shape)] = np.nan
    flux[~np.isfinite(flux)] = np.nan
    band = columns.get("band")
    names = [str(i) for i in range(len(flux))] if band is None else list(tables.labels(Table({"band": band}), "band"))
    return np.moveaxis(flux, 0, -1), names
