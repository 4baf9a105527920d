"""Tokens of a sequence: value, sinusoidal location and band; metadata become separate tokens (daep, section 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..nn.batch import Batch
from ..nn.positions import NumberEmbedding, frequency_range


class SequenceTokenizer(nn.Module):
    r"""Turn points and metadata into tokens of width W = model_dim.

    A point's token is :math:`P\,[\,w v + c,\ \mathrm{MLP}(\phi(x)) + b_k\,]`: the value v is projected linearly, the
    location x passes through sinusoids and an MLP, and the band k has a learned embedding. Both halves are concatenated
    and projected by P. Consecutive linear maps are multiplied first, so that a point costs one W x W product instead of
    three.

    Parameters
    ----------
    extent, resolution : float
        Range and finest spacing of scaled locations, see `frequency_range`.
    cycle : float or None, default=None
        Period of scaled locations, see `Sinusoids`.
    """

    def __init__(self, model_dim, n_bands, n_numbers, n_labels, extent, resolution, cycle=None):
        super().__init__()
        self.value = nn.Linear(1, model_dim)
        self.location = NumberEmbedding(model_dim, *frequency_range(extent, resolution), cycle)
        self.band = nn.Embedding(n_bands, model_dim) if n_bands > 1 else None
        self.join = nn.Linear(2 * model_dim, model_dim)
        # Metadata are standardised. The lowest frequency makes a quarter turn from -4 to 4, the highest resolves 1/16.
        self.numbers = nn.ModuleList(NumberEmbedding(model_dim, 1 / 32, 8.0, 17) for _ in range(n_numbers))
        self.labels = nn.ModuleList(nn.Embedding(n, model_dim) for n in n_labels)

    def queries(self, batch: Batch) -> Tensor:
        """Return tokens of bare locations (B, L, W)."""
        of_value, of_where = self.join.weight.chunk(2, dim=1)
        features, (first, activation, last) = self.location.features, self.location.mlp
        hidden = activation(first(features(batch.location)))  # (B, L, W)
        bias = self.join.bias + of_value @ self.value.bias + of_where @ last.bias
        tokens = F.linear(hidden, of_where @ last.weight, bias)
        return tokens if self.band is None else tokens + F.embedding(batch.band, self.band.weight @ of_where.T)

    def add_values(self, queries: Tensor, value: Tensor) -> Tensor:
        """Return tokens of points (B, L, W) from their queries and values (B, L)."""
        of_value, _ = self.join.weight.chunk(2, dim=1)
        return queries + value[..., None] * (of_value @ self.value.weight[:, 0])

    def context(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return metadata as tokens (B, M, W) and whether each is present (B, M)."""
        present = torch.cat([batch.numbers.isfinite(), batch.labels >= 0], dim=1)
        numbers = batch.numbers.nan_to_num()
        tokens = [embed(numbers[:, j]) for j, embed in enumerate(self.numbers)]
        tokens += [embed(batch.labels[:, j].clamp(min=0)) for j, embed in enumerate(self.labels)]
        if not tokens:
            return self.join.weight.new_zeros(*present.shape, len(self.join.bias)), present
        return torch.stack(tokens, dim=1), present


class SequenceHead(nn.Module):
    """Turn output tokens (B, L, W) into one value per location (B, L)."""

    def __init__(self, model_dim: int):
        super().__init__()
        self.norm = nn.LayerNorm(model_dim)
        self.out = nn.Linear(model_dim, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.out(self.norm(tokens))[..., 0]
