"""The Perceiver-IO decoder: query tokens and a condition to output tokens, one for each query."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .blocks import CrossBlock, ForwardBlock, SelfBlock, where_needed
from .encoder import learned_queries


class PointBlock(nn.Module):
    """Single stage: every point attends to the condition alone; linear in points, which never meet."""

    def __init__(self, model_dim: int, n_heads: int):
        super().__init__()
        self.condition = CrossBlock(model_dim, n_heads)
        self.think = ForwardBlock(model_dim)

    def forward(self, points: Tensor, condition: Tensor, present: Tensor | None) -> Tensor:
        return self.think(self.condition(points, condition, present))


class HiddenBlock(nn.Module):
    """Two stages: hidden tokens attend to the condition and think; the points query both.

    The condition shares a softmax with the hidden tokens only, whose number is fixed, and never with the points: its
    pull does not depend on how densely an object was sampled.
    """

    def __init__(self, model_dim: int, n_heads: int):
        super().__init__()
        self.hidden_norm = nn.LayerNorm(model_dim)
        self.condition = CrossBlock(model_dim, n_heads)
        self.think = SelfBlock(model_dim, n_heads)
        self.query = CrossBlock(model_dim, n_heads)
        self.think_points = ForwardBlock(model_dim)

    def forward(self, points, hidden, condition, present) -> tuple[Tensor, Tensor]:
        hidden = self.think(self.condition(hidden, condition, present))
        context = torch.cat([condition, self.hidden_norm(hidden)], 1)  # (B, C + H, W)
        if present is not None:
            present = torch.cat([present, present.new_ones(hidden.shape[:2])], 1)
        return self.think_points(self.query(points, context, present)), hidden  # (B, L, W), (B, H, W)


class PerceiverDecoder(nn.Module):
    """Queries (B, L, W) and a condition (B, C, W) to tokens (B, L, W) (Jaegle et al. 2022; daep, section 3).

    In the two-stage form hidden tokens read the queries once, before all blocks: the path by which points meet.

    Parameters
    ----------
    hidden_length : int or None
        Number of hidden tokens; None is the single-stage form, in which points do not see one another.
    """

    def __init__(self, model_dim: int, n_heads: int, n_layers: int, hidden_length: int | None):
        super().__init__()
        block = PointBlock if hidden_length is None else HiddenBlock
        self.hidden = None if hidden_length is None else learned_queries(hidden_length, model_dim)
        self.norm = nn.LayerNorm(model_dim)
        if hidden_length is not None:
            self.points_norm = nn.LayerNorm(model_dim)
            self.read = CrossBlock(model_dim, n_heads)
        self.blocks = nn.ModuleList(block(model_dim, n_heads) for _ in range(n_layers))

    def forward(self, queries: Tensor, observed: Tensor, condition: Tensor, present: Tensor) -> Tensor:
        condition, present, points = self.norm(condition), where_needed(present), queries
        if self.hidden is None:
            for block in self.blocks:
                points = block(points, condition, present)
            return points
        hidden = self.hidden.expand(len(points), -1, -1)  # (B, H, W)
        hidden = self.read(hidden, self.points_norm(points), where_needed(observed))
        for block in self.blocks:
            points, hidden = block(points, hidden, condition, present)
        return points
