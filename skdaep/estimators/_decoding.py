"""Draws that depend on (seed, draw, content of the object) and on nothing else."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch

CONTENT = ("value", "location", "band", "numbers", "labels")


def content_key(record: dict[str, Any], z: np.ndarray | None = None) -> int:
    """Return a number that identifies what was passed for an object, whatever its place in the call.

    Rows are in canonical order already. With `z` the object is a code to be decoded at the record's locations, so
    the record's values do not count.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name in CONTENT:
        if name != "value" or z is None:
            digest.update(np.ascontiguousarray(record[name]).tobytes())
    if z is not None:
        digest.update(np.ascontiguousarray(z, np.float32).tobytes())
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
