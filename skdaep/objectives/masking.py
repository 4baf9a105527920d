r"""The masked autoencoder: learn z by predicting points that were hidden (maep, section 3; He et al. 2022).

.. math:: \mathcal{L} = \frac{1}{|H|} \sum_{i \in H} (x_i - \hat x_i)^2, \qquad
    \hat x = f\bigl(z(x_V),\, \{x_j\}_{j \in C}\bigr), \quad C \subseteq V

V are the visible points and H the hidden ones. The decoder gets one token for each hidden point, with a learned token
in place of the value, and one for each visible point that it is shown. The hidden tokens of the two-stage decoder carry
information from visible to hidden locations, at a cost linear in points. The decoder is shown a random share of the
visible points, from none to all, so that it can also decode from z alone. With `hide`, H is a stretch of the object
instead of a random share of its points.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..nn.autoencoder import Autoencoder
from ..nn.batch import Batch
from .base import NextNoise, share_of
from .cored import Cored
from .hiding import in_part


class Masking(Cored):
    """Predict hidden points from z and a share of the visible points."""

    hidden_length_on_separations, hidden_length_on_grids = 8, 32

    def __init__(self, autoencoder: Autoencoder, *, mask_ratio: float, **options: Any):
        super().__init__(autoencoder, **options)
        self.mask_ratio = mask_ratio
        self.hidden_token = nn.Parameter(torch.zeros(autoencoder.model_dim))

    def loss(self, batches: dict[str, Batch], generator: torch.Generator) -> dict[str, Tensor]:
        """Return the squared error of the hidden points per object. A single point is both visible and hidden."""
        batches, n_seen = self.visible_first(batches, generator)
        remaining = self.drop_modalities(batches, generator)
        visible = {name: batch.first(n_seen[name]) for name, batch in remaining.items()}
        z = self.core.encode(self.autoencoder, visible, self.drawn(generator))

        def squared_error(name: str, z: Tensor, batch: Batch) -> Tensor:
            seen = batch.first(n_seen[name][batches[name].present])  # for the objects that have this modality
            n_hidden = (batch.lengths - seen.lengths).clamp(min=1)
            hidden = batch.last(n_hidden if self.n_queries is None else n_hidden.clamp(max=self.n_queries))
            share = torch.rand(len(z), generator=generator, device=generator.device)
            context = seen.first((share * (seen.lengths + 1)).long())
            error = (self.decode(name, z, hidden, context=context) - hidden.value) ** 2
            return self.mean_over_points(name, error, hidden)

        return {"loss": self.mean_over_modalities(batches, z, squared_error)}

    def visible_first(
        self, batches: dict[str, Batch], generator: torch.Generator
    ) -> tuple[dict[str, Batch], dict[str, Tensor]]:
        """Return batches in which visible points come first, and their numbers (B,), by modality."""
        n_seen = {name: share_of(batch, 1 - self.mask_ratio) for name, batch in batches.items()}
        for name in [k for k in batches if k in self.hide]:
            seen = in_part(batches[name], self.hide[name], generator)
            batches, n_seen[name] = batches | {name: batches[name].foremost(seen)}, seen.sum(1)
        return batches, n_seen

    def decode(
        self,
        name: str,
        z: Tensor,
        query: Batch,
        noise: NextNoise | None = None,
        context: Batch | None = None,
    ) -> Tensor:
        """Return the values at the locations of `query`, given z and the points of `context`."""
        tokenizer = self.autoencoder.decoder_tokenizers[name]
        tokens, observed = tokenizer.queries(query) + self.hidden_token, query.observed  # (B, L, W)
        if context is not None and context.value.shape[1]:
            shown = tokenizer.add_values(tokenizer.queries(context), context.value)
            tokens, observed = torch.cat([tokens, shown], 1), torch.cat([observed, context.observed], 1)
        values = self.autoencoder.decode(name, tokens, *self.autoencoder.condition(name, z, query), observed)
        return values[:, : query.observed.shape[1]] + self.core.curve(self.autoencoder, name, z, query)
