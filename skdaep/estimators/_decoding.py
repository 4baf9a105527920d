"""Running a trained objective over a store of objects; draws depend on (seed, draw, content) and nothing else."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch

from ..diffusion.noise import Correlation, Noise
from ..modalities import Modality
from ..nn.batch import Batch, Ragged
from ..objectives import Objective
from ..training import token_batches

#: points that one forward pass may hold on a CPU, padding included
TOKENS_PER_PASS = 2**15
#: objects from which the correlation of the noise is learned, fewer where each costs many evaluations
N_CORRELATION, N_CORRELATION_COSTLY = 128, 16
CONDITION = ("numbers", "labels")
CONTENT = ("value", "location", "band", *CONDITION)


def capacity(device: torch.device) -> int:
    """Return how many times as many points as on a CPU are worked on at once, to keep a device busy.

    One for every 2 GiB of a CUDA device's memory: 64 KiB for a point, of which networks 1,024 wide need the most.
    """
    if device.type != "cuda":
        return 1
    return max(1, torch.cuda.get_device_properties(device).total_memory // 2**31)


def content_key(records: dict[str, dict[str, Any]], z: np.ndarray | None = None) -> int:
    """Return a number that identifies what was passed for an object, whatever its place in the call.

    `records` holds its modalities by name, whose rows are in canonical order already. With `z` the object is a code,
    whose draws are functions of location: where it is decoded does not count. z counts to three decimals, since its
    last bits vary with the batch it was encoded in.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(records):
        for field in CONTENT if z is None else CONDITION:
            digest.update(np.ascontiguousarray(records[name][field]).tobytes())
    if z is not None:
        digest.update((np.round(z, 3) + 0.0).astype(np.float32).tobytes())  # + 0.0: no negative zero
    return int.from_bytes(digest.digest(), "little")


def collate(modalities: dict[str, Modality], records: list[dict], device) -> dict[str, Ragged]:
    """Return the observed points of objects, one store per modality; an object has no points in one that it lacks."""
    return {
        name: modality.collate([r[name] if name in r else modality.absent() for r in records]).to(device)
        for name, modality in modalities.items()
    }


@torch.inference_mode()
def encode(module: Objective, stores: dict[str, Ragged]) -> tuple[np.ndarray, np.ndarray | None]:
    """Return means, and scales where there is a posterior, of the bottlenecks (n_objects, K, D).

    Objects are batched in an order of their own, whatever the order they came in: a processor may round a row of a
    matrix by where it stands, and the same objects would differ in the last bit.
    """
    lengths = sum(store.lengths.cpu().numpy() for store in stores.values())
    device = next(iter(stores.values())).lengths.device
    order = np.argsort(sum(_sums(store) for store in stores.values()), kind="stable")
    batches = [order[b] for b in token_batches(lengths[order], TOKENS_PER_PASS * capacity(device), None)]
    means, scales = zip(*(module.encode(_take(stores, rows)) for rows in batches), strict=True)
    back = np.concatenate(batches).argsort()
    mean, scale = (None if x[0] is None else torch.cat(x).float().cpu().numpy()[back] for x in (means, scales))
    return mean, scale


def _sums(store: Ragged) -> np.ndarray:
    """Return the sum of each object's values, which tells most objects apart."""
    values = store.points["value"]  # (n_points, ...)
    per_point = values.sum(tuple(range(1, values.ndim))) if values.ndim > 1 else values
    return torch.segment_reduce(per_point, "sum", lengths=store.lengths).cpu().numpy()


def _take(stores: dict[str, Ragged], rows: np.ndarray) -> dict[str, Batch]:
    return {k: store.take(torch.from_numpy(rows).to(store.lengths.device)) for k, store in stores.items()}


def posterior_draws(mean: np.ndarray, scale: np.ndarray, seeds: list, n_draws: int) -> np.ndarray:
    """Return draws (n_objects, n_draws, K, D) of the posterior; `seeds` has (seed, content key) for each object."""
    streams = [[_stream(seed, draw, key) for draw in range(n_draws)] for seed, key in seeds]
    noise = [[stream.standard_normal(mean.shape[1:], dtype=np.float32) for stream in row] for row in streams]
    return mean[:, None] + scale[:, None] * np.array(noise)


def random_experts(counts: list[int], seeds: list, n_draws: int) -> np.ndarray:
    """Return a number below the object's count for each object and draw (n_objects, n_draws)."""
    chosen = np.empty((len(counts), n_draws), np.intp)
    for i, (seed, key) in enumerate(seeds):
        for draw in range(n_draws):
            own = _stream(seed, draw, key).bit_generator.jumped()  # not the numbers that the draw itself is made of
            chosen[i, draw] = np.random.Generator(own).integers(counts[i])
    return chosen


def some_seen(record: dict[str, Any], share: float, seed: tuple[int, int]) -> dict[str, Any]:
    """Return a record of which only a share of the observed points, drawn at random, is seen; at least one."""
    places = np.flatnonzero(record["seen"])
    n = max(1, round(share * len(places)))
    seen = np.zeros_like(record["seen"])
    seen[_stream(seed[0], 0, seed[1]).permutation(places)[:n]] = True
    return record | {"seen": seen}


def _stream(seed: int, draw: int, key: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, draw, key))))


@torch.inference_mode()
def decode(
    module: Objective,
    name: str,
    store: Ragged,
    index: np.ndarray,
    Z: np.ndarray,
    seeds: list,
    n_draws: int | None,
    correlation: Correlation,
    context: Ragged | None = None,
) -> list[np.ndarray]:
    """Return values (n_points, ...), or draws (n_points, ..., n_draws), for each row of Z.

    Row i is decoded at the locations of object ``index[i]`` of `store`, beside the points of the same object of
    `context`. `seeds` has (seed, content key) for each row.
    """
    device = store.lengths.device
    lengths = store.lengths.cpu().numpy()[index]
    draws = n_draws or module.n_point_draws  # 0: the point estimate needs no noise
    values: list = [None] * len(Z)
    for rows in token_batches(lengths, TOKENS_PER_PASS * capacity(device) / max(draws, 1), None):
        objects = torch.from_numpy(index[rows]).to(device)
        query, z, noise = store.take(objects), torch.from_numpy(Z[rows]).to(device), None
        seen = None if context is None else context.take(objects)
        if draws:
            query, z = query.repeat(draws), z.repeat_interleave(draws, 0)
            streams = [_stream(seeds[i][0], draw, seeds[i][1]) for i in rows for draw in range(draws)]
            noise = Noise(streams, query, correlation)
        out = module.decode(name, z, query, noise=noise, context=seen).float().cpu().numpy()
        out = np.moveaxis(out.reshape(len(rows), max(draws, 1), *out.shape[1:]), 1, -1)  # (B, L, ..., draws)
        for i, x in zip(rows, out if n_draws else out.mean(-1), strict=True):
            values[i] = x[: lengths[i]]
    return values


@torch.inference_mode()
def learn_correlation(
    module: Objective, modalities: dict[str, Modality], records: list[dict], device
) -> dict[str, Correlation]:
    """Return by modality how the noise of draws is to be correlated, from what the point estimate leaves over."""
    records = records[: N_CORRELATION_COSTLY if module.n_point_draws else N_CORRELATION]
    stores = collate(modalities, records, device)
    residuals: dict[str, list] = {name: [] for name in modalities}
    if module.free_correlation:
        lengths = sum(store.lengths.cpu().numpy() for store in stores.values())
        for rows in token_batches(lengths, TOKENS_PER_PASS * capacity(device), None):
            batches = _take(stores, rows)
            z = module.encode(batches).mean
            for name in module.free_correlation:
                residuals[name] += _residuals(module, name, z, batches[name])
    return {
        name: Correlation.of(residuals[name], *modality.separations())
        if residuals[name] and modality.separations()
        else Correlation()
        for name, modality in modalities.items()
    }


def _residuals(module: Objective, name: str, z: torch.Tensor, batch: Batch) -> list[tuple[np.ndarray, ...]]:
    """Return location, band and residual about the point estimate of the points of each object."""
    rows = batch.present.nonzero()[:, 0]
    if not len(rows):
        return []
    batch = batch.rows(rows)
    # Where the point estimate is a mean of draws, the draw from no noise at all stands for it.
    noise = (lambda: torch.zeros_like(batch.value)) if module.n_point_draws else None
    residual = (batch.value - module.decode(name, z[rows], batch, noise=noise)).float()
    columns = [x.cpu().numpy() for x in (batch.location, batch.band, residual, batch.observed)]
    return [(x[seen], band[seen], r[seen]) for x, band, r, seen in zip(*columns, strict=True)]
