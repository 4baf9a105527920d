"""Run a trained objective over many objects, as many at once as memory and speed allow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..diffusion.noise import Correlation, Noise, apart
from ..diffusion.scatter import Scatter
from ..modalities import Modality, Record
from ..nn.batch import Batch, Ragged
from ..objectives import Objective
from ..training import token_batches
from .draws import Source, stream

#: largest number of points, with padding, in a forward pass on a CPU
TOKENS_PER_PASS = 2**15


def capacity(device: torch.device) -> int:
    """Return how many times more points than on a CPU are processed at once, to keep a device busy.

    This is 1 for every 2 GiB of a CUDA device's memory: 64 KiB per point, enough for networks of width 1,024.
    """
    if device.type != "cuda":
        return 1
    return max(1, torch.cuda.get_device_properties(device).total_memory // 2**31)


def tokens_per_pass(device: torch.device) -> int:
    """Return how many points one forward pass may hold."""
    return TOKENS_PER_PASS * capacity(device)


def collate(modalities: dict[str, Modality], records: Sequence[dict[str, Record]], device: Any) -> dict[str, Ragged]:
    """Return the observed points as one `Ragged` per modality. Objects that lack a modality have no points."""
    return {
        name: modality.collate([r[name] if name in r else modality.absent() for r in records]).to(device)
        for name, modality in modalities.items()
    }


@torch.inference_mode()
def encode(module: Objective, measurements: dict[str, Ragged]) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Return the means of the bottlenecks (n_objects, K, D), and the scales if there is a posterior."""
    mean, scale = _in_batches(module.encode, measurements)
    return mean, scale


@torch.inference_mode()
def experts(
    module: Objective, measurements: dict[str, Ragged]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any] | None]:
    """Return the experts of objects as arrays: means, scales, which are present, and roots or None."""
    mean, scale, present, root = _in_batches(module.experts, measurements)
    return mean, scale, present, root


@torch.inference_mode()
def code_roots(module: Objective, measurements: dict[str, Ragged]) -> NDArray[Any] | None:
    """Return the roots (n_objects, K D, K D) of the covariances of codes, if the objective knows them."""
    (root,) = _in_batches(lambda batches: (module.code_root(batches),), measurements)
    return root


@torch.inference_mode()
def predict(module: Objective, head: Callable[[Tensor], Tensor], measurements: dict[str, Ragged]) -> NDArray[Any]:
    """Return the predictions of a head from each object's features."""
    answer: NDArray[Any]
    (answer,) = _in_batches(lambda batches: (head(module.features(batches)),), measurements)
    return answer


def _in_batches(function: Callable[[dict[str, Batch]], tuple[Any, ...]], measurements: dict[str, Ragged]) -> list[Any]:
    """Apply a function to all objects, batch by batch, and return arrays.

    The order of objects in batches does not depend on their order in X. Otherwise the results of the same objects could
    differ in the last bit, because a processor may round the rows of a matrix differently.
    """
    lengths = total_lengths(measurements)
    device = next(iter(measurements.values())).lengths.device
    order = np.argsort(sum(_sums(ragged) for ragged in measurements.values()), kind="stable")
    batches = [order[b] for b in token_batches(lengths[order], tokens_per_pass(device), None)]
    parts = zip(*(function(take(measurements, rows)) for rows in batches), strict=True)
    back = np.concatenate(batches).argsort()
    return [None if x[0] is None else _to_numpy(torch.cat(x))[back] for x in parts]


def _to_numpy(x: Tensor) -> NDArray[Any]:
    return (x.float() if x.is_floating_point() else x).cpu().numpy()


def _sums(ragged: Ragged) -> NDArray[Any]:
    """Return the sum of each object's values, which differs for most objects."""
    values = ragged.points["value"]  # (n_points, ...)
    per_point = values.sum(tuple(range(1, values.ndim))) if values.ndim > 1 else values
    return torch.segment_reduce(per_point, "sum", lengths=ragged.lengths).cpu().numpy()


def total_lengths(measurements: dict[str, Ragged]) -> NDArray[Any]:
    """Return the number of points of each object, over all its modalities."""
    return np.sum([ragged.lengths.cpu().numpy() for ragged in measurements.values()], axis=0)


def take(measurements: dict[str, Ragged], rows: NDArray[Any]) -> dict[str, Batch]:
    """Return a batch of objects by modality."""
    return {k: ragged.take(torch.from_numpy(rows).to(ragged.lengths.device)) for k, ragged in measurements.items()}


class Draws(NamedTuple):
    """Number of draws, and how they scatter around the point estimate."""

    number: int | None = None  # None: the point estimate
    correlation: Correlation = Correlation()
    scatter: Scatter = Scatter()
    measured: bool = True  # whether to add measurement noise, which differs from point to point


@torch.inference_mode()
def decode(
    module: Objective,
    name: str,
    ragged: Ragged,
    index: NDArray[Any],
    Z: NDArray[Any],
    sources: Sequence[Source],
    wanted: Draws,
    context: Ragged | None = None,
) -> list[NDArray[Any]]:
    """Return, for each row of Z, values (n_points, ...) or draws (n_points, ..., n_draws).

    Row i is decoded at the locations of object ``index[i]`` of `ragged`, and the decoder sees the points of the same
    object in `context`. `sources` has an entry for each row.
    """
    device = ragged.lengths.device
    lengths = ragged.lengths.cpu().numpy()[index]
    draws = wanted.number or module.n_point_draws  # 0: the point estimate needs no noise
    values: list[Any] = [None] * len(Z)
    for rows in token_batches(lengths, tokens_per_pass(device) / max(draws, 1), None):
        objects = torch.from_numpy(index[rows]).to(device)
        query, z, noise = ragged.take(objects), torch.from_numpy(Z[rows]).to(device), None
        seen = None if context is None else context.take(objects)
        centre = module.decode(name, z, query) if wanted.number and wanted.scatter.is_known else None
        if draws:
            query, z = query.repeat(draws), z.repeat_interleave(draws, 0)
            streams = [stream(sources[i], draw) for i in rows for draw in range(draws)]
            noise = Noise(streams, query, wanted.correlation, wanted.measured)
        out = module.decode(name, z, query, noise=noise, context=seen)
        if centre is not None:
            own = [_own_stream(sources[i], draw) for i in rows for draw in range(draws)]
            out = _scattered(out, centre.repeat_interleave(draws, 0), query, own, wanted)
        arrays = out.float().cpu().numpy()
        arrays = np.moveaxis(arrays.reshape(len(rows), max(draws, 1), *arrays.shape[1:]), 1, -1)  # (B, L, ..., draws)
        for i, x in zip(rows, arrays if wanted.number else arrays.mean(-1), strict=True):
            values[i] = x[: lengths[i]]
    return values


def _own_stream(source: Source, draw: int) -> np.random.Generator:
    """Return random numbers that `Noise` does not use."""
    return apart(apart(stream(source, draw)))


def _scattered(out: Tensor, centre: Tensor, query: Batch, own: list[np.random.Generator], wanted: Draws) -> Tensor:
    """Return draws (B, L) that scatter around their centre as `Scatter` describes."""
    scatter, (n, length) = wanted.scatter, out.shape
    level = scatter.spread * np.exp(scatter.level * np.array([[g.standard_normal()] for g in own]))
    out = centre + torch.from_numpy(level).to(centre) * (out - centre)
    if not wanted.measured:
        return out
    measuring = np.zeros((n, length))
    for row, g, points in zip(measuring, own, query.lengths.tolist(), strict=True):
        row[:points] = g.standard_normal(points)
    return out + torch.from_numpy(measuring * scatter.errors(query.error.cpu().numpy())).to(out)
