"""The start of EM: principal components of curves that are completed by interpolation."""

from __future__ import annotations

import torch
from torch import Tensor

from .nodes import Evidence, Nodes

#: With more rows and columns than this, singular vectors come from a random projection (Halko et al. 2011).
LARGE = 1000
N_EXTRA, N_POWERS = 10, 4


def completed(evidence: Evidence, nodes: Nodes) -> Tensor:
    """Return curves (N, L, P) minus the mean curve, linear between measurements and constant beyond them.

    In a band without points, a curve is the mean curve.
    """
    touched = _touched(evidence)  # (N, L)
    least = torch.finfo(touched.dtype).tiny
    mean = evidence.value.sum(0) / touched.sum(0).clamp(min=least)[:, None]
    above = torch.where(touched[..., None] > 0, evidence.value / touched[..., None].clamp(min=least) - mean, 0.0)
    for start, count in zip(nodes.starts(), nodes.counts.tolist(), strict=True):
        band = slice(start, start + count)
        above[:, band] = _between(above[:, band], touched[:, band] > 0, nodes.location[band])
    return mean + above


def _touched(evidence: Evidence) -> Tensor:
    """Return the sum of w h (N, L): interpolation's weights h sum to one."""
    if evidence.next is None:
        return evidence.own
    total = evidence.own + evidence.next
    total[:, 1:] += evidence.next[:, :-1]
    return total


def _between(curves: Tensor, seen: Tensor, location: Tensor) -> Tensor:
    """Interpolate curves (N, L, P) between observed nodes (N, L); zeros if there are none."""
    if seen.all():
        return curves
    n = seen.shape[1]
    place = torch.arange(n, device=seen.device)
    before = torch.where(seen, place, -1).cummax(1).values
    after = torch.where(seen, place, n).flip(1).cummin(1).values.flip(1)
    before, after = torch.where(before < 0, after, before).clamp(max=n - 1), torch.where(after == n, before, after)
    width = location[after] - location[before]
    share = torch.where(width > 0, (location - location[before]) / width, 0.0).to(curves.dtype)[..., None]
    row = torch.arange(len(curves), device=seen.device)[:, None]
    return curves[row, before] * (1 - share) + curves[row, after] * share


def principal_components(X: Tensor, k: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return the k leading right singular vectors (m, k) of X (n, m) and its singular values; zeros beyond its rank."""
    if min(X.shape) > LARGE:
        q = torch.randn(X.shape[1], k + N_EXTRA, generator=generator, dtype=X.dtype)
        for _ in range(N_POWERS):
            q = torch.linalg.qr(X.T @ (X @ q)).Q
        values, inner = torch.linalg.eigh(((projected := X @ q).T @ projected).double())
        vectors = q @ inner.to(X.dtype)
    elif X.shape[0] < X.shape[1]:
        values, left = torch.linalg.eigh((X @ X.T).double())
        vectors = X.T @ left.to(X.dtype)
        vectors = vectors / vectors.norm(dim=0).clamp(min=torch.finfo(X.dtype).tiny)
    else:
        values, vectors = torch.linalg.eigh((X.T @ X).double())
        vectors = vectors.to(X.dtype)
    return _padded(vectors.flip(1)[:, :k], k), _padded(values.flip(0)[:k].clamp(min=0).sqrt().to(X.dtype), k)


def _padded(x: Tensor, k: int) -> Tensor:
    return torch.cat([x, x.new_zeros(*x.shape[:-1], k - x.shape[-1])], -1)
