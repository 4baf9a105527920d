"""Attention, feed-forward and the residual block: the only place where attention is written."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Multi-head attention of a query (B, Q, W) to a context (B, L, W); `observed` (B, L) is True where to attend.

    Computed by `scaled_dot_product_attention` with no weights returned, which is the fused path.
    The query may be (1, Q, W), shared by the whole batch.

    With few queries the keys and values of a long context are never formed: with q_h the query of head h
    and t a context token, ``q_h . (K_h t) = (K_h' q_h) . t`` and ``sum_j a_j V_h t_j = V_h sum_j a_j t_j``,
    so both projections act on the queries' side and the cost per context point falls from 2 W^2
    to 2 Q n_heads W. It is the same function, not an approximation.
    """

    def __init__(self, model_dim: int, n_heads: int):
        super().__init__()
        self.n_heads = n_heads
        self.query = nn.Linear(model_dim, model_dim, bias=False)
        self.key = nn.Linear(model_dim, model_dim, bias=False)
        self.value = nn.Linear(model_dim, model_dim, bias=False)
        self.out = nn.Linear(model_dim, model_dim)

    def forward(self, query: Tensor, context: Tensor, observed: Tensor | None = None) -> Tensor:
        B, L, W = context.shape
        Q, H = query.shape[1], self.n_heads
        q = self.query(query).expand(B, -1, -1).view(B, Q, H, W // H)
        allowed = None if observed is None else observed[:, None, None, :]
        if Q * H < min(W, L):
            q = torch.einsum("bqhd,hdw->bhqw", q, self.key.weight.view(H, W // H, W))
            q = q.reshape(B, 1, H * Q, W)
            seen = F.scaled_dot_product_attention(
                q, context[:, None], context[:, None], attn_mask=allowed, scale=(W // H) ** -0.5
            )  # (B, 1, HQ, W)
            seen = seen.view(B, H, Q, W)
            mixed = torch.einsum("bhqw,hdw->bqhd", seen, self.value.weight.view(H, W // H, W))
        else:
            k = self.key(context).view(B, L, H, W // H).transpose(1, 2)
            v = self.value(context).view(B, L, H, W // H).transpose(1, 2)
            mixed = F.scaled_dot_product_attention(q.transpose(1, 2), k, v, attn_mask=allowed).transpose(1, 2)
        return self.out(mixed.reshape(B, Q, W))


class FeedForward(nn.Sequential):
    """Two linear layers with a GELU between, four times as wide inside (Vaswani et al. 2017)."""

    def __init__(self, model_dim: int, expansion: int = 4):
        super().__init__(
            nn.Linear(model_dim, expansion * model_dim),
            nn.GELU(),
            nn.Linear(expansion * model_dim, model_dim),
        )


class CrossBlock(nn.Module):
    """Pre-norm residual: the query attends to a context, which the caller has normalised once for all blocks."""

    def __init__(self, model_dim: int, n_heads: int):
        super().__init__()
        self.norm = nn.LayerNorm(model_dim)
        self.attention = Attention(model_dim, n_heads)

    def forward(self, x: Tensor, context: Tensor, observed: Tensor | None = None) -> Tensor:
        return x + self.attention(self.norm(x), context, observed)


class SelfBlock(nn.Module):
    """Pre-norm residual: tokens attend to themselves, then a feed-forward."""

    def __init__(self, model_dim: int, n_heads: int):
        super().__init__()
        self.norm = nn.LayerNorm(model_dim)
        self.attention = Attention(model_dim, n_heads)
        self.forward_block = ForwardBlock(model_dim)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        return self.forward_block(x + self.attention(y, y))


class ForwardBlock(nn.Module):
    """Pre-norm residual feed-forward, each token by itself."""

    def __init__(self, model_dim: int):
        super().__init__()
        self.norm = nn.LayerNorm(model_dim)
        self.forward_ = FeedForward(model_dim)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.forward_(self.norm(x))
