"""Running a trained objective over a store of objects; draws depend on (seed, draw, content) and nothing else."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch

from ..nn.batch import Ragged
from ..objectives import Objective
from ..training import token_batches

#: points that one forward pass may hold, padding included
TOKENS_PER_PASS = 2**15
CONTENT = ("value", "location", "band", "numbers", "labels")


def content_key(record: dict[str, Any], z: np.ndarray | None = None) -> int:
    """Return a number that identifies what was passed for an object, whatever its place in the call.

    Rows are in canonical order already. With `z` the object is a code to be decoded at the record's locations, so
    the record's values do not count; z counts to three decimals, since its last bits vary with the batch it was
    encoded in.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name in CONTENT:
        if name != "value" or z is None:
            digest.update(np.ascontiguousarray(record[name]).tobytes())
    if z is not None:
        digest.update((np.round(z, 3) + 0.0).astype(np.float32).tobytes())  # + 0.0: no negative zero
    return int.from_bytes(digest.digest(), "little")


class Noise:
    """Standard normal noise for a batch, one independent stream per row; each call gives the next (B, L).

    Parameters
    ----------
    seeds : list of tuple of int
        One per row: (seed, draw, content key).
    lengths : list of int
        Number of points of each row.
    """

    def __init__(self, seeds: list[tuple[int, int, int]], lengths: list[int], device: torch.device):
        self.streams = [np.random.Generator(np.random.Philox(np.random.SeedSequence(s))) for s in seeds]
        self.lengths, self.device = lengths, device

    def __call__(self) -> torch.Tensor:
        """Return the next noise; zero on padding."""
        noise = np.zeros((len(self.streams), max(self.lengths)), np.float32)
        for row, stream, n in zip(noise, self.streams, self.lengths, strict=True):
            row[:n] = stream.standard_normal(n, dtype=np.float32)
        return torch.from_numpy(noise).to(self.device)


@torch.inference_mode()
def encode(module: Objective, name: str, store: Ragged) -> np.ndarray:
    """Return the bottlenecks (n_objects, K, D) of all objects of a store."""
    lengths, z = store.lengths.cpu().numpy(), {}
    for rows in token_batches(lengths, TOKENS_PER_PASS, None):
        batch = store.take(torch.from_numpy(rows).to(store.lengths.device))
        z |= zip(rows.tolist(), module.encode({name: batch}).mean.float().cpu().numpy(), strict=True)
    return np.stack([z[i] for i in range(len(store))])


@torch.inference_mode()
def decode(
    module: Objective, name: str, store: Ragged, index: np.ndarray, Z: np.ndarray, seeds: list, n_draws: int | None
) -> list[np.ndarray]:
    """Return values (n_points,), or draws (n_points, n_draws), for each row of Z at the locations of object `index`.

    `seeds` has (seed, content key) for each row.
    """
    device = store.lengths.device
    lengths = store.lengths.cpu().numpy()[index]
    draws = n_draws or module.n_point_draws  # 0: the point estimate needs no noise
    values: list = [None] * len(Z)
    for rows in token_batches(lengths, TOKENS_PER_PASS / max(draws, 1), None):
        query = store.take(torch.from_numpy(index[rows]).to(device))
        z, noise = torch.from_numpy(Z[rows]).to(device), None
        if draws:
            query, z = query.repeat(draws), z.repeat_interleave(draws, 0)
            streams = [(seeds[i][0], draw, seeds[i][1]) for i in rows for draw in range(draws)]
            noise = Noise(streams, np.repeat(lengths[rows], draws).tolist(), device)
        out = module.decode(name, z, query, noise=noise).float().cpu().numpy()
        out = out.reshape(len(rows), max(draws, 1), -1).swapaxes(1, 2)  # (B, L, draws)
        for i, x in zip(rows, out if n_draws else out.mean(2), strict=True):
            values[i] = x[: lengths[i]]
    return values
