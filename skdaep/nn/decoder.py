"""The Perceiver-IO decoder: it turns query tokens and a condition into output tokens, one for each query."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .blocks import CrossBlock, ForwardBlock, SelfBlock, where_needed
from .encoder import learned_queries


class PointBlock(nn.Module):
    """Every point attends to a context separately. The cost is linear in points, which do not interact."""

    def __init__(self, model_dim: int, n_heads: int):
        super().__init__()
        self.context = CrossBlock(model_dim, n_heads)
        self.think = ForwardBlock(model_dim)

    def forward(self, points: Tensor, context: Tensor, present: Tensor | None) -> Tensor:
        return self.think(self.context(points, context, present))


class HiddenBlock(nn.Module):
    """Hidden tokens attend to the condition and then to one another. Points are not involved."""

    def __init__(self, model_dim: int, n_heads: int):
        super().__init__()
        self.condition = CrossBlock(model_dim, n_heads)
        self.think = SelfBlock(model_dim, n_heads)

    def forward(self, hidden: Tensor, condition: Tensor, present: Tensor | None) -> Tensor:
        return self.think(self.condition(hidden, condition, present))


class PerceiverDecoder(nn.Module):
    """Turn queries (B, L, W) and a condition (B, C, W) into tokens (B, L, W) (Jaegle et al. 2022; daep, section 3).

    In the two-stage form, hidden tokens read the points once, before all blocks. The blocks only work on hidden tokens.
    After them, the points query the hidden tokens once. So points exchange information at a cost that grows little with
    depth. (In the authors' code, points query in every layer, but always with their initial tokens, so only the last
    layer counts.) The condition shares a softmax with the hidden tokens, whose number is fixed, but never with the
    points. So its weight does not depend on how densely an object was sampled.

    Parameters
    ----------
    hidden_length : int or None
        Number of hidden tokens; None is the single-stage form, in which points do not interact.
    """

    def __init__(self, model_dim: int, n_heads: int, n_layers: int, hidden_length: int | None):
        super().__init__()
        block = PointBlock if hidden_length is None else HiddenBlock
        self.hidden = None if hidden_length is None else learned_queries(hidden_length, model_dim)
        self.norm = nn.LayerNorm(model_dim)
        if hidden_length is not None:
            self.points_norm = nn.LayerNorm(model_dim)
            self.read = CrossBlock(model_dim, n_heads)
            self.hidden_norm = nn.LayerNorm(model_dim)
            self.query = PointBlock(model_dim, n_heads)
        self.blocks = nn.ModuleList(block(model_dim, n_heads) for _ in range(n_layers))

    def forward(self, queries: Tensor, observed: Tensor, condition: Tensor, present: Tensor) -> Tensor:
        condition, mask, points = self.norm(condition), where_needed(present), queries
        if self.hidden is None:
            for block in self.blocks:
                points = block(points, condition, mask)
            return points
        hidden = self.hidden.expand(len(points), -1, -1)  # (B, H, W)
        hidden = self.read(hidden, self.points_norm(points), where_needed(observed))
        for block in self.blocks:
            hidden = block(hidden, condition, mask)
        context = torch.cat([condition, self.hidden_norm(hidden)], 1)  # (B, C + H, W)
        if mask is not None:
            mask = torch.cat([mask, mask.new_ones(hidden.shape[:2])], 1)
        return self.query(points, context, mask)
