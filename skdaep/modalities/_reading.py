"""Read many objects at once, find the one that is bad, and put points into a canonical order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

import numpy as np

from ..exceptions import TableError


def read_together(read: Callable, objects: Sequence, object_names: Sequence[str]):
    """Return ``read(objects, where)``. If some objects are bad, raise the error of the first one, read alone."""
    with suppress(TableError):
        return read(objects, object_names)
    for obj, place in zip(objects, object_names, strict=True):
        read([obj], [place])
    return read(list(objects), object_names)


def remedy(object_name: str) -> str:
    """Return advice, for an error message, about an object, or a modality of one, without a measurement."""
    of_several = object_name.endswith(("']", '"]'))  # such as X[3]['spectrum']
    return "leave that modality out or set it to None" if of_several else "remove the object"


def canonical_order(owner: np.ndarray, *keys: np.ndarray) -> np.ndarray:
    """Return the order of points by owner, then by each key, like `numpy.lexsort`; `owner` is already sorted.

    Each key only sorts points that are tied in the keys before it. numpy.lexsort, which first sorts all points of all
    objects by the last key, takes several times as long. No key may hold NaN.
    """
    order, tied = np.arange(len(owner)), owner
    both = np.empty(len(owner), np.complex128)  # sorted by the real part, then by the imaginary part
    for key in keys:
        both.real, both.imag = tied, key[order]
        place = np.argsort(both, kind="stable")
        order, both = order[place], both[place]
        apart = both[1:] != both[:-1]
        if apart.all():
            break
        tied = np.append(0, np.cumsum(apart))
    return order
