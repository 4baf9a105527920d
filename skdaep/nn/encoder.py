"""The Perceiver encoder: any number of tokens to a few bottleneck tokens."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .blocks import CrossBlock, SelfBlock


def learned_queries(length: int, model_dim: int) -> nn.Parameter:
    """Return learned tokens (1, length, model_dim), drawn at the scale of a normalised token."""
    return nn.Parameter(torch.randn(1, length, model_dim))


class Reader(nn.Module):
    """`n_layers` times: the learned queries attend to the context, then to one another."""

    def __init__(self, length: int, model_dim: int, n_heads: int, n_layers: int, share_weights: bool):
        super().__init__()
        self.queries = learned_queries(length, model_dim)
        n_distinct = 1 if share_weights else n_layers
        self.order = [0 if share_weights else i for i in range(n_layers)]
        self.cross = nn.ModuleList(CrossBlock(model_dim, n_heads) for _ in range(n_distinct))
        self.mix = nn.ModuleList(SelfBlock(model_dim, n_heads) for _ in range(n_distinct))

    def forward(self, context: Tensor, observed: Tensor) -> Tensor:
        x = self.queries.expand(len(context), -1, -1)  # (B, Q, W)
        for i in self.order:
            x = self.cross[i](x, context, observed)
            x = self.mix[i](x)
        return x


class PerceiverEncoder(nn.Module):
    """Tokens (B, L, W) to a bottleneck (B, K, D); cost linear in L (Jaegle et al. 2021; daep, section 3).

    With `hidden_length` the tokens are first read by that many hidden tokens, and the bottleneck queries
    read those: more working memory for long sequences at a cost that does not grow with the bottleneck.
    """

    def __init__(
        self,
        bottleneck_length: int,
        out_dim: int,
        model_dim: int,
        n_heads: int,
        n_layers: int,
        hidden_length: int | None = None,
        share_weights: bool = False,
    ):
        super().__init__()
        self.norm = nn.LayerNorm(model_dim)
        self.hidden = None
        if hidden_length is not None:
            self.hidden = Reader(hidden_length, model_dim, n_heads, n_layers, share_weights)
            self.hidden_norm = nn.LayerNorm(model_dim)
        self.bottleneck = Reader(
            bottleneck_length, model_dim, n_heads, n_layers if hidden_length is None else 1, share_weights
        )
        self.out = nn.Sequential(nn.LayerNorm(model_dim), nn.Linear(model_dim, out_dim))

    def forward(self, tokens: Tensor, observed: Tensor) -> Tensor:
        context = self.norm(tokens)  # (B, L, W), once for all blocks
        if self.hidden is not None:
            context = self.hidden_norm(self.hidden(context, observed))  # (B, H, W)
            observed = observed.new_ones(context.shape[:2])
        return self.out(self.bottleneck(context, observed))  # (B, K, D)
