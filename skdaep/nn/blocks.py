"""Attention, feed-forward layers and residual blocks. Attention is implemented only here."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Attention(nn.Module):
    r"""Multi-head attention of a query (B, Q, W) to a context (B, L, W); `observed` (B, L) is True where to attend.

    The query may be (1, Q, W), shared by the whole batch. The same function is computed in three ways. With q_i the
    i-th query, c_j the j-th context token and :math:`A_h = W^q_h{}^\top W^k_h`, the scores of head h are
    :math:`q_i^\top A_h c_j`, and the output is :math:`\sum_h W^o_h W^v_h \sum_j a_{hij} c_j`. So

    * in general, queries, keys and values are projected for `scaled_dot_product_attention`, the fused kernel;
    * if there are few queries, as in an encoder, the projections of keys and values are applied to the queries instead:
      the long context is not projected, and costs 2 Q n_heads W operations per token instead of 2 W^2;
    * if the context is short, like a decoder's condition, the projections of queries and output are applied to the
      context instead: each of many queries costs 2 L n_heads W instead of 2 W^2.
    """

    def __init__(self, model_dim: int, n_heads: int):
        super().__init__()
        self.n_heads = n_heads
        self.query = nn.Linear(model_dim, model_dim, bias=False)
        self.key = nn.Linear(model_dim, model_dim, bias=False)
        self.value = nn.Linear(model_dim, model_dim, bias=False)
        self.out = nn.Linear(model_dim, model_dim)
        # Scores of unit variance. With smaller ones attention starts as a mean over all tokens, and learns slowly.
        for scoring in (self.query, self.key):
            nn.init.xavier_uniform_(scoring.weight)

    def forward(self, query: Tensor, context: Tensor, observed: Tensor | None = None) -> Tensor:
        (B, L, W), Q, H = context.shape, query.shape[1], self.n_heads
        query = query.expand(B, -1, -1)
        if Q * H < min(W, L):
            return self._few_queries(query, context, observed)
        if L < Q and L * H < W:
            return self._short_context(query, context, observed)
        q, k, v = (self._heads(f(x)) for f, x in ((self.query, query), (self.key, context), (self.value, context)))
        allowed = None if observed is None else observed[:, None, None, :]
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)  # (B, H, Q, W / H)
        return self.out(mixed.transpose(1, 2).reshape(B, Q, W))

    def seen(self, query: Tensor, context: Tensor, by: Attention) -> Tensor:
        """Return the attention of a query (B, Q, W) with the keys and values of another module, before `out`."""
        q, k, v = self._heads(self.query(query)), self._heads(by.key(context)), self._heads(by.value(context))
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)  # (B, H, L, W / H)

    def _few_queries(self, query: Tensor, context: Tensor, observed: Tensor | None) -> Tensor:
        W, H = context.shape[2], self.n_heads
        q = torch.einsum("bhqd,hdw->bhqw", self._heads(self.query(query)), self.key.weight.view(H, -1, W))
        allowed = None if observed is None else observed[:, None, None, :]
        seen = F.scaled_dot_product_attention(
            q.flatten(1, 2)[:, None], context[:, None], context[:, None], attn_mask=allowed, scale=(W // H) ** -0.5
        ).view(q.shape)  # (B, H, Q, W)
        mixed = torch.einsum("bhqw,hdw->bqhd", seen, self.value.weight.view(H, -1, W))
        return self.out(mixed.flatten(2))

    def _short_context(self, query: Tensor, context: Tensor, observed: Tensor | None) -> Tensor:
        W, H = context.shape[2], self.n_heads
        k = torch.einsum("bhld,hdw->bhlw", self._heads(self.key(context)), self.query.weight.view(H, -1, W))
        v = torch.einsum("bhld,whd->bhlw", self._heads(self.value(context)), self.out.weight.view(W, H, -1))
        # Queries on the last axis, because a softmax is slow where the last axis is short.
        scores = (query @ (k.flatten(1, 2) * (W // H) ** -0.5).mT).mT  # (B, H L, Q)
        scores = scores.unflatten(1, (H, -1))
        if observed is not None:
            scores = scores.masked_fill(~observed[:, None, :, None], -torch.inf)
        v = v + self.out.bias / H  # cheaper than after attention; the weights of each head sum to 1
        return scores.softmax(2).flatten(1, 2).mT @ v.flatten(1, 2)


def where_needed(observed: Tensor) -> Tensor | None:
    """Return None if everything is observed, because attention without a mask is faster (on CUDA another kernel).

    An exported graph always has the mask, because it cannot branch on data.
    """
    return observed if torch.compiler.is_compiling() or not observed.all() else None


class FeedForward(nn.Sequential):
    """Two linear layers with a GELU between, no wider inside. Four times the width learned more slowly per second."""

    def __init__(self, model_dim: int):
        super().__init__(nn.Linear(model_dim, model_dim), nn.GELU(), nn.Linear(model_dim, model_dim))


class CrossBlock(nn.Module):
    """Pre-norm residual block: the query attends to a context that the caller has normalised once for all blocks."""

    def __init__(self, model_dim: int, n_heads: int):
        super().__init__()
        self.norm = nn.LayerNorm(model_dim)
        self.attention = Attention(model_dim, n_heads)

    def forward(self, x: Tensor, context: Tensor, observed: Tensor | None = None) -> Tensor:
        return x + self.attention(self.norm(x), context, observed)


class SelfBlock(nn.Module):
    """Pre-norm residual block: tokens attend to the observed tokens among them, followed by a feed-forward layer."""

    def __init__(self, model_dim: int, n_heads: int):
        super().__init__()
        self.norm = nn.LayerNorm(model_dim)
        self.attention = Attention(model_dim, n_heads)
        self.think = ForwardBlock(model_dim)

    def forward(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        y = self.norm(x)
        return self.think(x + self.attention(y, y, observed))


class ForwardBlock(nn.Module):
    """Pre-norm residual feed-forward layer, applied to each token separately."""

    def __init__(self, model_dim: int):
        super().__init__()
        self.norm = nn.LayerNorm(model_dim)
        self.feed = FeedForward(model_dim)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.feed(self.norm(x))
