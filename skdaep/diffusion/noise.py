r"""Noise correlated along the location axis, for draws that are coherent at any set of locations.

A denoiser that treats every point by itself is trained on the law of one point's noise, N(0, 1), and says nothing of
how the noise of two points goes together. That is free, and a deterministic sampler hands it on to the draw. So the
noise is taken to be a Gaussian process,

.. math:: \epsilon(x) = \sqrt{w_0}\,\text{white} + \sum_k \sqrt{w_k}\, g_k(x), \qquad
    \operatorname{Cov}[g_k(x), g_k(x')] = e^{-(x - x')^2 / 2 \ell_k^2}, \qquad w_0 + \sum_k w_k = 1,

with weights fitted to what the point estimate leaves over of real objects. A draw is then a function of location
(white noise apart): decoded at other places it goes on as the same function (Bilos et al. 2023, arXiv:2211.02590,
diffuse functions likewise; :math:`g_k` by random Fourier features, Rahimi & Recht 2007).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor

N_FEATURES = 16  # sinusoids of each g_k
N_LAGS = 32
N_ANCHORS = 64  # points of an object whose pairs with all others are counted


@dataclass(frozen=True)
class Correlation:
    """Components g_k: length scale, share of the variance, and whether all bands share it or each has its own.

    What the weights leave to 1 is white. Without components all of it is.
    """

    scales: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()
    shared: tuple[bool, ...] = ()
    n_bands: int = 1

    @property
    def white(self) -> float:
        """Share of the variance that is independent from point to point."""
        return max(0.0, 1.0 - sum(self.weights))

    def at(self, separation, same_band: bool = True) -> np.ndarray:
        """Return the correlation of the noise of two different points."""
        kernels = np.exp(-0.5 * (np.asarray(separation)[..., None] / np.array(self.scales)) ** 2)
        return kernels @ (np.array(self.weights) * (same_band | np.array(self.shared, bool)))

    @classmethod
    def of(
        cls, residuals: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]], finest: float, extent: float, n_bands: int
    ) -> Correlation:
        """Fit the weights, none negative, to the correlation of residuals at all separations.

        Parameters
        ----------
        residuals : iterable of (location, band, residual)
            One triple of arrays (n_points,) per object.
        finest, extent : float
            Shortest and longest separation of interest.
        n_bands : int
            Number of bands there are.
        """
        edges = np.concatenate([[0.0], np.geomspace(finest, max(extent, 2 * finest), N_LAGS)])
        sums, counts, variance, n_points = np.zeros((2, N_LAGS)), np.zeros((2, N_LAGS)), 0.0, 0
        for location, band, residual in residuals:
            anchors = np.unique(np.linspace(0, len(location) - 1, N_ANCHORS).astype(int))
            separation = np.abs(location[anchors, None] - location)
            pair = np.arange(len(location)) != anchors[:, None]
            place = np.searchsorted(edges, separation, side="right") - 1
            other_band = band[anchors, None] != band
            use = pair & (place < N_LAGS)
            where = (other_band[use].astype(int), place[use])
            np.add.at(sums, where, (residual[anchors, None] * residual)[use])
            np.add.at(counts, where, 1.0)
            variance, n_points = variance + residual @ residual, n_points + len(residual)
        if n_points == 0 or variance == 0 or not counts.any():
            return cls(n_bands=n_bands)
        scales = np.geomspace(finest, extent, 12)
        middles = 0.5 * (edges[1:] + edges[:-1])
        kernels = np.exp(-0.5 * (middles[:, None] / scales) ** 2)  # (lags, scales)
        design = np.block([[kernels, kernels], [kernels, np.zeros_like(kernels)]])  # [same band, other] x [shared, own]
        target = (sums / np.maximum(counts, 1)).ravel() * n_points / variance
        weight = np.sqrt(counts.ravel() / counts.max()).clip(max=0.1)  # long lags have most pairs, not most to say
        found = nnls(design * weight[:, None], target * weight)[0]
        found /= max(1.0, found.sum())
        used = found > 1e-3
        shared = np.repeat([True, False], len(scales))
        return cls(*(tuple(x[used].tolist()) for x in (np.tile(scales, 2), found, shared)), n_bands)


class Noise:
    """Standard normal noise for a batch, one independent stream per row; each call gives the next (B, L, ...).

    Parameters
    ----------
    streams : list of numpy.random.Generator
        One per row.
    query : batch
        Where the noise is wanted; only its value's shape, location, band and observed are read.
    correlation : Correlation
        How it is correlated along the location.
    """

    def __init__(self, streams: list[np.random.Generator], query, correlation: Correlation):
        self.streams, self.query, self.correlation = streams, query, correlation
        # One number per point, from streams of their own: a draw is the same function wherever it is wanted.
        self.white = [np.random.Generator(stream.bit_generator.jumped()) for stream in streams]
        self.lengths = query.observed.sum(1).tolist()

    def __call__(self) -> Tensor:
        """Return the next noise; zero on padding."""
        noise = np.zeros(tuple(self.query.value.shape), np.float32)
        for row, stream, n in zip(noise, self.white, self.lengths, strict=True):
            row[:n] = stream.standard_normal(row[:n].shape, dtype=np.float32)
        noise = torch.from_numpy(noise).to(self.query.value.device) * self.correlation.white**0.5
        if not self.correlation.scales:
            return noise
        functions = [self._features(stream) for stream in self.streams]
        frequency, sine, cosine = (self._to_device(x) for x in zip(*functions, strict=True))
        phase = self.query.location[..., None] * frequency[:, None]  # (B, L, F)
        row, band = torch.arange(len(phase), device=phase.device)[:, None], self.query.band
        smooth = (sine[row, band] * phase.sin() + cosine[row, band] * phase.cos()).sum(-1)  # (B, L)
        return (noise + smooth) * self.query.observed

    def _features(self, stream: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw frequencies (F,) and amplitudes (n_bands, F) of sines and of cosines of one function per band."""
        law = self.correlation
        frequency = stream.standard_normal((len(law.scales), N_FEATURES)) / np.array(law.scales)[:, None]
        amplitude = stream.standard_normal((2, law.n_bands, len(law.scales), N_FEATURES))
        amplitude *= np.sqrt(np.array(law.weights) / N_FEATURES)[:, None]
        shared = np.array(law.shared, bool)
        amplitude[:, :, shared] = amplitude[:, :1, shared]
        return frequency.ravel(), *amplitude.reshape(2, law.n_bands, -1)

    def _to_device(self, rows) -> Tensor:
        return torch.from_numpy(np.stack(rows).astype(np.float32)).to(self.query.value.device)
