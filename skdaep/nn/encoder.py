"""The Perceiver encoder: it turns any number of tokens into a few bottleneck tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .blocks import CrossBlock, SelfBlock, where_needed
from .names import ModulesByName, ParametersByName


def learned_queries(length: int, model_dim: int) -> nn.Parameter:
    """Return learned tokens (1, length, model_dim), initialised at the scale of a normalised token."""
    return nn.Parameter(torch.randn(1, length, model_dim))


class Reader(nn.Module):
    """Blocks in which learned queries attend to the context and then to one another, `n_layers` times."""

    def __init__(self, length: int, model_dim: int, n_heads: int, n_layers: int, share_weights: bool):
        super().__init__()
        self.queries = learned_queries(length, model_dim)
        n_distinct = 1 if share_weights else n_layers
        self.order = [0 if share_weights else i for i in range(n_layers)]
        self.cross = nn.ModuleList(CrossBlock(model_dim, n_heads) for _ in range(n_distinct))
        self.mix = nn.ModuleList(SelfBlock(model_dim, n_heads) for _ in range(n_distinct))

    def forward(self, context: Tensor, observed: Tensor) -> Tensor:
        x, mask = self.queries.expand(context.shape[0], -1, -1), where_needed(observed)  # (B, Q, W)
        for i in self.order:
            x = self.cross[i](x, context, mask)
            x = self.mix[i](x)
        return x


class PerceiverEncoder(nn.Module):
    """Turn tokens (B, L, W) of one or several modalities into a bottleneck (B, K, D), at a cost linear in L.

    Without `hidden_length` the bottleneck queries read the tokens of all modalities (Jaegle et al. 2021; daep, section
    3). With it, `hidden_length` hidden tokens of each modality first read its tokens, and the bottleneck queries read
    the hidden tokens. This gives more working memory at a cost that does not grow with the bottleneck, and combines
    modalities late, whatever their numbers of points (daep, section 5). A learned embedding identifies the modality of
    a token.

    Parameters
    ----------
    names : sequence of str
        The modalities.
    mixer_self_attention : bool
        Whether the tokens attend to one another before the bottleneck queries read them.
    """

    def __init__(
        self,
        names: Sequence[str],
        bottleneck_length: int,
        out_dim: int,
        model_dim: int,
        n_heads: int,
        n_layers: int,
        hidden_length: int | None = None,
        share_weights: bool = False,
        mixer_self_attention: bool = False,
    ):
        super().__init__()
        self.norms = ModulesByName({k: nn.LayerNorm(model_dim) for k in names})
        self.first, self.kinds = None, None
        if hidden_length is not None:
            self.first = ModulesByName(
                {k: Reader(hidden_length, model_dim, n_heads, n_layers, share_weights) for k in names}
            )
            self.first_norms = ModulesByName({k: nn.LayerNorm(model_dim) for k in names})
        if len(names) > 1:
            self.kinds = ParametersByName({k: learned_queries(1, model_dim) for k in names})
        self.mixer = SelfBlock(model_dim, n_heads) if mixer_self_attention else None
        n_layers = n_layers if hidden_length is None or len(names) > 1 else 1
        self.bottleneck = Reader(bottleneck_length, model_dim, n_heads, n_layers, share_weights)
        self.out = nn.Sequential(nn.LayerNorm(model_dim), nn.Linear(model_dim, out_dim))
        self.code_shape = bottleneck_length, out_dim

    def forward(self, tokens: dict[str, Tensor], observed: dict[str, Tensor]) -> Tensor:
        parts = [self.read(name, tokens[name], observed[name]) for name in tokens]
        context, seen = (torch.cat(x, 1) for x in zip(*parts, strict=True))  # (B, sum of L or H, W)
        if self.mixer is not None:
            context = self.mixer(context, seen)
        return self.summary(context, seen)

    def summary(self, context: Tensor, seen: Tensor) -> Tensor:
        """Return the bottleneck (B, K, D) that the queries read from a context."""
        return self.out(self.bottleneck(context, seen))

    def read(self, name: str, tokens: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tokens of one modality for the bottleneck queries, and which are present."""
        x, seen = self.norms[name](tokens), observed  # (B, L, W), once for all blocks
        if self.first is not None:
            reader, norm, present = self.first[name], self.first_norms[name], observed.any(1)
            if torch.compiler.is_compiling():
                # A graph cannot select rows by their content. Objects without the modality read padding, and get 0.
                x = norm(reader(x, observed | ~present[:, None])).masked_fill(~present[:, None, None], 0)
            elif present.all():
                x = norm(reader(x, observed))  # (B, H, W)
            else:  # objects without the modality have nothing to attend to
                read = norm(reader(x[present], observed[present]))
                x = read.new_zeros(len(present), *read.shape[1:]).index_put((present.nonzero()[:, 0],), read)
            seen = present[:, None].expand(x.shape[:2])
        return (x if self.kinds is None else x + self.kinds[name]), seen
