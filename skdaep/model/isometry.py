r"""Rescale codes so that |z - z'| is the root mean square difference of the decoded values.

With J the derivative of an object's n decoded values, in scaled units, with respect to the entries of its code,

.. math:: M = \langle J^T J / n \rangle, \qquad z \to z M^{1/2} R,

where R is a fixed rotation. Because of R all entries vary about equally, so standardising them later does not undo the
map. The map and its inverse are applied between the networks and the user. Decoded values do not change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..modalities import Record
from ..nn.batch import POINTS

if TYPE_CHECKING:
    from .model import Model, Records

Array = NDArray[Any]

#: largest number of objects, and of points per object, in the mean
N_OBJECTS, N_POINTS = 64, 128
#: half the step of the differences, in standard deviations of an entry; and the smallest of these relative to all
STEP, LEAST_SPREAD = 0.05, 0.01
#: smallest relative length of a direction of codes; above 0, because the map must have an inverse
LEAST = 1e-4


def learn(model: Model, records: Records) -> dict[str, Array]:
    """Return the map and its inverse for a model that has none. Modalities count by their weights in the loss."""
    rng = np.random.default_rng([model.seed, 5])
    given = model.options.get("modality_weights") or {}
    weights = {name: given.get(name, 1.0) for name in model.modalities if any(name in record for record in records)}
    total = sum(weight * _metric_of(model, name, records, rng) for name, weight in weights.items())
    return map_of(total / sum(weights.values()))


def _metric_of(model: Model, name: str, records: Records, rng: np.random.Generator) -> Array:
    having = [record for record in records if name in record]
    chosen = [having[i] for i in rng.permutation(len(having))[:N_OBJECTS]]
    places = [subsample_points(record[name], rng) for record in chosen]
    keys = range(len(chosen))  # if decoding uses noise, it must be the same on both sides of a difference
    Z = model.encode(chosen).mean.reshape(len(chosen), -1)
    return metric(Z, lambda codes: model.decode(name, codes, places, keys))


def metric(Z: Array, decode: Callable[[Array], Sequence[Array]]) -> Array:
    """Return M (D, D), by central differences around codes (n, D); `decode` returns the values of each object."""
    Z = Z.astype(np.float64)
    steps = STEP * Z.std(0).clip(min=LEAST_SPREAD * max(Z.std(), LEAST_SPREAD))
    derivatives = [_difference(Z, step, decode) for step in np.diag(steps)]  # n arrays for each of the D entries
    of_objects = (np.stack([d.ravel() for d in own], 1) / steps for own in zip(*derivatives, strict=True))
    return np.mean([j.T @ j / len(j) for j in of_objects], axis=0)


def _difference(Z: Array, step: Array, decode: Callable[[Array], Sequence[Array]]) -> list[Array]:
    ahead, behind = (decode((Z + way).astype(np.float32)) for way in (step, -step))
    return [(a.astype(np.float64) - b) / 2 for a, b in zip(ahead, behind, strict=True)]


def map_of(M: Array) -> dict[str, Array]:
    """Return M^(1/2) R, the map to isometric codes, and its inverse. Directions without effect are not scaled."""
    values, vectors = np.linalg.eigh(M)
    if not values.max() > 0:
        values = np.ones(len(M))
    lengths = np.sqrt(values.clip(min=LEAST**2 * values.max()))
    rotation, _ = np.linalg.qr(np.random.default_rng(0).standard_normal(M.shape))
    return {"forward": vectors * lengths @ vectors.T @ rotation, "back": rotation.T @ (vectors / lengths) @ vectors.T}


def outward(maps: dict[str, Array] | None, z: Array) -> Array:
    """Return codes (..., K, D) as users see them, given those of the networks."""
    return z if maps is None else _mapped(z, maps["forward"])


def inward(maps: dict[str, Array] | None, z: Array) -> Array:
    """Return codes (..., K, D) of the networks, given those that users see."""
    return z if maps is None else _mapped(z, maps["back"])


def spread(maps: dict[str, Array] | None, scale: Array | None) -> Array | None:
    """Return standard deviations (..., K, D) of codes as users see them, if those of the networks are independent."""
    return scale if maps is None or scale is None else np.sqrt(_mapped(scale**2, maps["forward"] ** 2))


def _mapped(z: Array, matrix: Array) -> Array:
    return (z.reshape(*z.shape[:-2], -1).astype(np.float64) @ matrix).astype(z.dtype).reshape(z.shape)


def subsample_points(record: Record, rng: np.random.Generator) -> Record:
    """Return a record of some observed points, drawn at random."""
    seen = np.flatnonzero(record.observed)
    points = np.sort(rng.permutation(seen)[:N_POINTS])
    return record.replace(rows=None, **{name: getattr(record, name)[points] for name in (*POINTS, "observed")})
