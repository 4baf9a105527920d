"""Connect tokenizers, encoder, decoders and heads of all modalities. A single modality is a dict with one entry."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from .batch import Batch
from .decoder import PerceiverDecoder
from .encoder import PerceiverEncoder, learned_queries
from .names import ModulesByName


class Tokenized(Protocol):
    """The methods of a modality that make parts of the networks."""

    def tokenizer(self, model_dim: int) -> nn.Module:
        """Return a new module that turns batches into tokens."""

    def head(self, model_dim: int) -> nn.Module:
        """Return a new module that turns output tokens into values."""


class Autoencoder(nn.Module):
    """Encode batches by modality into a bottleneck (B, K, D), and decode it into values at queried locations.

    Without decoder layers it is only an encoder, without parameters that would not be trained.

    Parameters
    ----------
    modalities : dict of Tokenized
        By name.
    n_decoder_layers : int or None
        Number of decoder blocks; None means that there is no decoder.
    n_moments : int
        Number of outputs of the encoder for each entry of the bottleneck: 1, or 2 for mean and scale.
    """

    def __init__(
        self,
        modalities: Mapping[str, Tokenized],
        *,
        bottleneck_length: int,
        bottleneck_dim: int,
        model_dim: int,
        n_heads: int,
        n_encoder_layers: int,
        encoder_hidden_length: int | None,
        share_weights: bool,
        n_decoder_layers: int | None = None,
        hidden_length: int | dict[str, int | None] | None = None,
        mixer_self_attention: bool = False,
        n_moments: int = 1,
    ):
        super().__init__()
        self.model_dim, self.n_heads, self.names = model_dim, n_heads, tuple(modalities)
        decoded = {} if n_decoder_layers is None else modalities
        self.decoded = tuple(decoded)
        self.encoder_tokenizers = ModulesByName({k: m.tokenizer(model_dim) for k, m in modalities.items()})
        self.decoder_tokenizers = ModulesByName({k: m.tokenizer(model_dim) for k, m in decoded.items()})
        self.heads = ModulesByName({k: m.head(model_dim) for k, m in decoded.items()})
        self.encoder = PerceiverEncoder(
            list(modalities),
            bottleneck_length,
            bottleneck_dim * n_moments,
            model_dim,
            n_heads,
            n_encoder_layers,
            encoder_hidden_length,
            share_weights,
            mixer_self_attention,
        )
        self.decoders = ModulesByName()
        if n_decoder_layers is None:
            return
        hidden = hidden_length if isinstance(hidden_length, dict) else dict.fromkeys(decoded, hidden_length)
        for name in decoded:
            self.decoders[name] = PerceiverDecoder(model_dim, n_heads, n_decoder_layers, hidden[name])
        self.from_bottleneck = nn.Linear(bottleneck_dim, model_dim)
        self.place = learned_queries(bottleneck_length, model_dim)  # distinguishes the bottleneck tokens

    def encode(self, batches: dict[str, Batch], further: Mapping[str, Tensor] | None = None) -> Tensor:
        """Return the bottleneck (B, K, D n_moments) of observed points and metadata, ignoring absent modalities.

        `further` are additional tokens (B, T, W) of a modality.
        """
        tokens, observed = self.tokens(batches)
        for name, more in (further or {}).items():
            here = batches[name].present[:, None].expand(more.shape[:2])
            tokens[name], observed[name] = torch.cat([tokens[name], more], 1), torch.cat([observed[name], here], 1)
        return self.encoder(tokens, observed)

    def tokens(self, batches: dict[str, Batch]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the encoder's tokens (B, T, W) for points and metadata of each modality, and which are present."""
        tokens, observed = {}, {}
        for name, batch in batches.items():
            tokenizer = self.encoder_tokenizers[name]
            context, present = tokenizer.context(batch)
            tokens[name] = torch.cat([tokenizer.add_values(tokenizer.queries(batch), batch.value), context], 1)
            observed[name] = torch.cat([batch.observed, present & batch.present[:, None]], 1)
        return tokens, observed

    @property
    def code_shape(self) -> tuple[int, int]:
        """Shape (K, D n_moments) of the output of `encode` for one object."""
        return self.encoder.code_shape

    def encoding_part(self) -> Autoencoder:
        """Return a copy that can only encode."""
        part = copy.deepcopy(self)
        if self.decoded:
            part.decoded = ()
            part.decoder_tokenizers, part.heads, part.decoders = (ModulesByName() for _ in range(3))
            del part.from_bottleneck, part.place
        return part

    def condition(self, name: str, z: Tensor, query: Batch) -> tuple[Tensor, Tensor]:
        """Return z and metadata as the decoder's condition (B, C, W), and which tokens are present (B, C)."""
        context, present = self.decoder_tokenizers[name].context(query)
        bottleneck = self.from_bottleneck(z) + self.place  # (B, K, W)
        always = present.new_ones(bottleneck.shape[:2])
        return torch.cat([bottleneck, context], 1), torch.cat([always, present], 1)

    def decode(self, name: str, tokens: Tensor, condition: Tensor, present: Tensor, observed: Tensor) -> Tensor:
        """Return values (B, L) for the decoder's input tokens (B, L, W)."""
        return self.heads[name](self.decode_tokens(name, tokens, condition, present, observed))

    def decode_tokens(self, name: str, tokens: Tensor, condition: Tensor, present: Tensor, observed: Tensor) -> Tensor:
        """Return the decoder's output tokens (B, L, W), from which heads read."""
        return self.decoders[name](tokens, observed, condition, present)
