r"""Noise correlated along the location axis, for draws that are coherent at any set of locations.

A denoiser that treats every point separately is trained on the distribution of the noise of one point, N(0, 1). The
correlation between the noise of two points is not determined by it. So it can be chosen freely, and a deterministic
sampler passes it on to the draw. Here the noise is a Gaussian process,

.. math:: \epsilon(x) = \sqrt{w_0}\,\text{white} + \sum_k \sqrt{w_k}\, g_k(x), \qquad
    \operatorname{Cov}[g_k(x), g_k(x')] = e^{-\sum_a (x_a - x'_a)^2 / 2 \ell_{ka}^2}, \qquad w_0 + \sum_k w_k = 1,

over the axes a of a location, with weights fitted to the residuals of the point estimate of real objects. Apart from
the white noise, a draw is then a function of location, and decoding it at other places gives the same function. Bilos
et al. 2023 (arXiv:2211.02590) diffuse functions in a similar way. :math:`g_k` are random Fourier features (Rahimi &
Recht 2007).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.optimize import nnls
from torch import Tensor

N_FEATURES = 16  # sinusoids that make up each g_k
#: number of lags and of length scales along each axis, for locations with one and two axes
N_LAGS = {1: 32, 2: 16}
N_SCALES = {1: 12, 2: 8}
#: share of the variance of residuals that remains for correlated noise, however large the known white noise is
LEAST_SHARE = 0.05
N_ANCHORS = 64  # points per object that are paired with all its other points


@dataclass(frozen=True)
class Correlation:
    """Components g_k: length scale, share of the variance, and whether all bands share it or each has its own.

    A scale is a number or, for locations with several axes, a tuple of numbers. The rest of the variance, 1 minus the
    sum of the weights, is white noise. With a `cycle` locations lie on a circle, and the frequencies of a component are
    whole numbers per cycle.
    """

    scales: tuple[float, ...] | tuple[tuple[float, ...], ...] = ()
    weights: tuple[float, ...] = ()
    shared: tuple[bool, ...] = ()
    n_bands: int = 1
    cycle: float | None = None

    def __post_init__(self) -> None:
        sizes = {len(self.scales), len(self.weights), len(self.shared)}
        if len(sizes) > 1 or self.n_bands < 1 or sum(self.weights) > 1 + 1e-6 or min(self.weights, default=0) < 0:
            raise ValueError(f"{self} is no correlation")
        if not (self.by_axis > 0).all():
            raise ValueError(f"Correlation(scales={self.scales!r}): must be positive")

    @property
    def white(self) -> float:
        """Share of the variance that is independent from point to point."""
        return max(0.0, 1.0 - sum(self.weights))

    @property
    def by_axis(self) -> np.ndarray:
        """Length scales (n_components, n_axes)."""
        return np.reshape(self.scales, (len(self.weights), -1)) if self.weights else np.zeros((0, 1))

    def at(self, separation: ArrayLike, same_band: bool = True) -> np.ndarray:
        """Return the correlation of the noise of two different points, by their separation (...[, n_axes])."""
        given = np.asarray(separation)
        by_axis = given if self.by_axis.shape[1] > 1 else given[..., None]
        kernels = _kernels(by_axis, self.by_axis, self.cycle)
        return kernels @ (np.array(self.weights) * (same_band | np.array(self.shared, bool)))

    @classmethod
    def of(
        cls,
        residuals: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]],
        finest: tuple[float, ...],
        longest: tuple[float, ...],
        n_bands: int,
        cycle: float | None = None,
        white: float = 0.0,
    ) -> Correlation:
        """Fit the weights, none negative, to the correlation of residuals at all separations.

        Parameters
        ----------
        residuals : iterable of (location, band, residual)
            One triple of arrays per object: (n_points,) or (n_points, n_axes), and (n_points,) twice.
        finest, longest : tuple of float
            Shortest and longest separation of interest along each axis.
        n_bands : int
            Number of bands.
        cycle : float or None, default=None
            Period of the single axis.
        white : float, default=0.0
            Contribution of noise that should not count, independent for each point, to the sum of squares of all
            residuals.
        """
        n_axes = len(finest)
        edges = [
            np.concatenate([[0.0], np.geomspace(low, max(high, 2 * low), N_LAGS[n_axes])])
            for low, high in zip(finest, longest, strict=True)
        ]
        lags = tuple(len(e) - 1 for e in edges)
        sums, counts, variance, n_points = np.zeros((2, *lags)), np.zeros((2, *lags)), 0.0, 0
        for location, band, residual in residuals:
            if not len(residual):
                continue
            location = location.reshape(len(residual), n_axes)
            anchors = np.unique(np.linspace(0, len(location) - 1, N_ANCHORS).astype(int))
            separation = np.abs(location[anchors, None] - location)  # (anchors, points, axes)
            if cycle is not None:
                separation = np.minimum(separation % cycle, -separation % cycle)
            use = np.arange(len(location)) != anchors[:, None]
            places = [np.searchsorted(e, separation[..., a], side="right") - 1 for a, e in enumerate(edges)]
            for place, n in zip(places, lags, strict=True):
                use &= place < n
            other_band = band[anchors, None] != band
            bins = (other_band[use].astype(int), *(place[use] for place in places))
            np.add.at(sums, bins, (residual[anchors, None] * residual)[use])
            np.add.at(counts, bins, 1.0)
            variance, n_points = variance + residual @ residual, n_points + len(residual)
        if n_points == 0 or variance == 0 or not counts.any():
            return cls(n_bands=n_bands, cycle=cycle)
        variance = max(variance - white, LEAST_SHARE * variance)
        offered = [np.geomspace(low, high, N_SCALES[n_axes]) for low, high in zip(finest, longest, strict=True)]
        scales = np.stack(np.meshgrid(*offered, indexing="ij"), -1).reshape(-1, n_axes)
        by_axis = [0.5 * (e[1:] + e[:-1]) for e in edges]
        middles = np.stack(np.meshgrid(*by_axis, indexing="ij"), -1).reshape(-1, 1, n_axes)
        kernels = _kernels(middles[:, 0], scales, cycle)  # (lags, scales)
        design = np.block([[kernels, kernels], [kernels, np.zeros_like(kernels)]])  # [same band, other] x [shared, own]
        target = (sums / np.maximum(counts, 1)).ravel() * n_points / variance
        weight = np.sqrt(counts.ravel() / counts.max()).clip(max=0.1)  # or long lags would dominate
        found = nnls(design * weight[:, None], target * weight)[0]
        found /= max(1.0, found.sum())
        used = found > 1e-3
        shared = np.repeat([True, False], len(scales))
        own = np.tile(scales, (2, 1))[used]
        own = own[:, 0].tolist() if n_axes == 1 else map(tuple, own.tolist())
        return cls(tuple(own), tuple(found[used].tolist()), tuple(shared[used].tolist()), n_bands, cycle)


def _kernels(separation: np.ndarray, scales: np.ndarray, cycle: float | None) -> np.ndarray:
    """Return the correlation (..., n_scales) at separations (..., A) for length scales (n_scales, A)."""
    if cycle is None:
        return np.exp(-0.5 * ((separation[..., None, :] / scales) ** 2).sum(-1))
    turns, law = _law_of_turns(scales[:, 0], cycle)
    return np.cos(2 * np.pi / cycle * separation * turns) @ law.T


def _law_of_turns(scales: np.ndarray, cycle: float) -> tuple[np.ndarray, np.ndarray]:
    """Return whole numbers of turns per cycle (K,), and their probabilities for each length scale (n_scales, K)."""
    spread = cycle / (2 * np.pi * scales[:, None])  # standard deviation of the number of turns
    turns = np.arange(np.ceil(8 * spread.max()) + 1)
    law = np.exp(-0.5 * (turns / spread) ** 2) * np.where(turns == 0, 1, 2)  # clockwise and anticlockwise
    return turns, law / law.sum(1, keepdims=True)


class NoisePlaces(Protocol):
    """Places at which noise is needed: the fields of a batch of B objects with up to L points that are used."""

    @property
    def value(self) -> Tensor:
        """Any tensor with the shape (B, L, ...) of the noise."""

    @property
    def location(self) -> Tensor:
        """Locations (B, L) or (B, L, A)."""

    @property
    def band(self) -> Tensor:
        """Index of the band (B, L)."""

    @property
    def observed(self) -> Tensor:
        """False on padding (B, L)."""


def apart(stream: np.random.Generator) -> np.random.Generator:
    """Return a stream without common numbers with the given one: its bit generator, jumped far ahead."""
    bits: Any = stream.bit_generator  # numpy does not type this; all its generators except SFC64 can jump
    return np.random.Generator(bits.jumped())


class Noise:
    """Standard normal noise for a batch, an independent stream per row. Each call returns new noise (B, L, ...).

    Parameters
    ----------
    streams : list of numpy.random.Generator
        One per row.
    query : Places
        Where noise is needed, such as a batch.
    correlation : Correlation
        Correlation of the noise along the location.
    white : bool, default=True
        Whether to include the part that is independent from point to point. Without it the variance is less than 1.
    """

    def __init__(
        self, streams: list[np.random.Generator], query: NoisePlaces, correlation: Correlation, white: bool = True
    ):
        self.streams, self.query, self.correlation = streams, query, correlation
        self.share = correlation.white**0.5 if white else 0.0
        # White noise has separate streams, so that the smooth part of a draw does not depend on the number of points.
        self.white = [apart(stream) for stream in streams]
        self.lengths = query.observed.sum(1).tolist()

    def __call__(self) -> Tensor:
        """Return the next noise; zero on padding."""
        white = np.zeros(tuple(self.query.value.shape), np.float32)
        for row, stream, n in zip(white, self.white, self.lengths, strict=True):
            row[:n] = stream.standard_normal(row[:n].shape, dtype=np.float32)
        noise = torch.from_numpy(white).to(self.query.value.device) * self.share
        if not self.correlation.scales:
            return noise
        functions = [self._features(stream) for stream in self.streams]
        frequency, sine, cosine = (self._to_device(x) for x in zip(*functions, strict=True))
        location = self.query.location.reshape(*self.query.observed.shape, -1)  # (B, L, A)
        phase = (location[:, :, None] * frequency[:, None]).sum(-1)  # (B, L, F)
        row, band = torch.arange(len(phase), device=phase.device)[:, None], self.query.band
        smooth = (sine[row, band] * phase.sin() + cosine[row, band] * phase.cos()).sum(-1)  # (B, L)
        return (noise + smooth) * self.query.observed

    def _features(self, stream: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw frequencies (F, A) and amplitudes (n_bands, F) of sines and of cosines of one function per band."""
        law = self.correlation
        scales = law.by_axis[:, None]  # (n_scales, 1, A)
        if law.cycle is None:
            frequency = stream.standard_normal((len(scales), N_FEATURES, scales.shape[2])) / scales
        else:
            turns, shares = _law_of_turns(law.by_axis[:, 0], law.cycle)
            drawn = [stream.choice(turns, N_FEATURES, p=share) for share in shares]
            frequency = 2 * np.pi / law.cycle * np.array(drawn)[..., None]
        amplitude = stream.standard_normal((2, law.n_bands, len(law.scales), N_FEATURES))
        amplitude *= np.sqrt(np.array(law.weights) / N_FEATURES)[:, None]
        shared = np.array(law.shared, bool)
        amplitude[:, :, shared] = amplitude[:, :1, shared]
        return frequency.reshape(-1, scales.shape[2]), *amplitude.reshape(2, law.n_bands, -1)

    def _to_device(self, rows: Sequence[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.stack(rows).astype(np.float32)).to(self.query.value.device)
