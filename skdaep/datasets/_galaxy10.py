"""Galaxy10 DECaLS: images of galaxies in ten classes."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from astropy import units as u
from astropy.table import Table

from ..exceptions import TableError
from ._cache import Remote, local_copy
from ._files import hdf5_columns
from ._simulate import _seed

GALAXY10 = Remote(
    url="https://zenodo.org/records/10845026/files/Galaxy10_DECals.h5",
    path="galaxy10/Galaxy10_DECals.h5",
    sha256="19aefc477c41bb7f77ff07599a6b82a038dc042f889a111b0d4d98bb755c1571",
    size=2_540_000_000,
)
LABELS = np.array(
    [
        *("disturbed", "merging", "round smooth", "in-between round smooth", "cigar-shaped smooth", "barred spiral"),
        *("unbarred tight spiral", "unbarred loose spiral", "edge-on without bulge", "edge-on with bulge"),
    ]
)
UNITS = {"ra": u.deg, "dec": u.deg, "pxscale": u.arcsec / u.pix}
CHUNK = 256  # images read at a time


def fetch_galaxy10(n_objects=None, *, size=64, random_state=0, return_metadata=False, data_home=None, download=True):
    """Fetch images of 17,736 galaxies in ten classes (Galaxy10 DECaLS).

    Parameters
    ----------
    n_objects : int or None, default=None
        Number of galaxies, chosen at random because the file is sorted by class. None takes all.
    size : int, default=64
        Height and width of the images, a divisor of the file's 256; pixels are averaged. All images need 0.9 GB of
        memory at 64 and 14 GB at 256.
    random_state : int, RandomState, Generator or None, default=0
        Seed of the choice of galaxies.
    return_metadata : bool, default=False
        Whether to also return positions and redshifts.
    data_home : str, path-like or None, default=None
        Folder for the file of 2.5 GB; see `get_data_home`.
    download : bool, default=True
        Whether to download the file if it is missing. False never uses the network.

    Returns
    -------
    X : ndarray of float32, shape (n_objects, size, size, 3)
        Colours made of the bands z, r and g, from 0 to 1, in the order of the file.
    y : ndarray of str, shape (n_objects,)
        The classes.
    metadata : astropy.table.Table
        Columns ``ra``, ``dec``, ``redshift`` and ``pxscale`` (of the pixels of the file). Only if `return_metadata`
        is True.

    Raises
    ------
    DatasetError
        If the file is not available (the message says where to get it and where to put it), or its checksum is wrong.
    TableError
        If the file lacks a data set, or its images have an unknown shape.
    ImportError
        If h5py is missing: ``pip install skdaep[data]``.

    Notes
    -----
    The checksum is the authors'. Every call verifies it.

    References
    ----------
    Leung, H. W. & Bovy, J. 2019, MNRAS 483, 3255 (astroNN, whose documentation describes the data set).
    Walmsley, M. et al. 2022, MNRAS 509, 3966 (Galaxy Zoo DECaLS, the labels).
    Dey, A. et al. 2019, AJ 157, 168 (DESI Legacy Imaging Surveys, the images).

    Examples
    --------
    They need the network, once (2.5 GB):

    >>> from skdaep.datasets import fetch_galaxy10
    >>> X, y = fetch_galaxy10(1000)  # doctest: +SKIP
    >>> X.shape  # doctest: +SKIP
    (1000, 64, 64, 3)
    """
    if not isinstance(size, Integral) or size < 1 or 256 % size:
        raise ValueError(f"size must be a divisor of 256, got {size!r}.")
    path = local_copy(GALAXY10, data_home, download)
    names = ("ra", "dec", "redshift", "pxscale") if return_metadata else ()
    columns = hdf5_columns(path, "fetch_galaxy10", ("ans", *names))
    label = columns.pop("ans")
    if label.max(initial=0) >= len(LABELS):
        raise TableError(f"{path} data set 'ans' has class {label.max()}, but there are {len(LABELS)}.")
    chosen = np.arange(len(label))
    if n_objects is not None:
        chosen = np.sort(np.random.default_rng(_seed(random_state)).permutation(len(label))[:n_objects])
    X, y = _images(path, chosen, size), LABELS[label[chosen]]
    if not return_metadata:
        return X, y
    return X, y, Table({name: columns[name][chosen] for name in names}, units=UNITS)


def _images(path, chosen: np.ndarray, size: int) -> np.ndarray:
    """Return the images of increasing indices, averaged down to a size and scaled to 0..1."""
    X = np.empty((len(chosen), size, size, 3), np.float32)
    for start in range(0, len(chosen), CHUNK):
        rows = chosen[start : start + CHUNK]
        images = hdf5_columns(path, "fetch_galaxy10", ("images",), rows)["images"]  # (n, 256, 256, 3)
        if images.shape[1:] != (256, 256, 3):
            raise TableError(f"{path} data set 'images' has images of shape {images.shape[1:]}, not (256, 256, 3).")
        blocks = images.reshape(len(rows), size, 256 // size, size, 256 // size, 3)
        X[start : start + len(rows)] = blocks.mean((2, 4), dtype=np.float32) / 255
    return X
