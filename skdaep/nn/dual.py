r"""Attention between two views, each with its own projections (Kamai, Bronstein & Perets 2025)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .blocks import Attention, ForwardBlock
from .names import ModulesByName

#: attention -> whether tokens attend to the other view, and whether to their own
ATTENTIONS = {"both": (True, True), "inter": (True, False), "intra": (False, True)}


class DualBlock(nn.Module):
    r"""Pre-norm residual block: tokens x_i of two views attend to each other and themselves, then feed-forward.

    .. math:: x_i \leftarrow x_i
        + O_i\,[\mathrm{Att}(Q_i x_i, K_j x_j, V_j x_j) + \mathrm{Att}(Q_i x_i, K_i x_i, V_i x_i)]

    Parameters
    ----------
    names : sequence of str
        The two views.
    attention : {"both", "inter", "intra"}
        Which of the two terms to use.
    """

    def __init__(self, names: Sequence[str], model_dim: int, n_heads: int, attention: str):
        super().__init__()
        self.inter, self.intra = ATTENTIONS[attention]
        self.norms = ModulesByName({k: nn.LayerNorm(model_dim) for k in names})
        self.attention = ModulesByName({k: Attention(model_dim, n_heads) for k in names})
        self.think = ModulesByName({k: ForwardBlock(model_dim) for k in names})

    def forward(self, x: dict[str, Tensor], meet: Tensor) -> dict[str, Tensor]:
        """Return the tokens (B, H, W) of both views, which attend to each other in objects with `meet` (B,)."""
        y = {name: self.norms[name](tokens) for name, tokens in x.items()}
        one, other = x
        return {a: self.think[a](x[a] + self._change(a, b, y, meet)) for a, b in ((one, other), (other, one))}

    def _change(self, own: str, other: str, y: dict[str, Tensor], meet: Tensor) -> Tensor:
        attention, seen = self.attention[own], []
        if self.inter:
            of_other = attention.seen(y[own], y[other], by=self.attention[other])
            seen.append(of_other.where(meet[:, None, None], 0.0))
        if self.intra:
            seen.append(attention.seen(y[own], y[own], by=attention))
        return attention.out(torch.stack(seen).sum(0))
