r"""A core that provides a basis. Codes are free, and decoders need not learn the shapes of curves.

Let s_m be the scores of modality m (`skdaep.linear`), :math:`\psi_{mj}` its factors, whose scores have the standard
deviations :math:`\sigma_{mj}`, and c the metadata. Then

.. math:: z = e(x, s), \qquad
    x_{0m} = \mu_m + \sum_j \sigma_{mj}\,g_{mj}(z, c)\,\psi_{mj} + f_m(x_t, t, z, c)

where g and f start at zero. ``python -m benchmarks.cores`` measures the gain.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor

from ...nn.autoencoder import Autoencoder
from ...nn.batch import Batch
from ...nn.names import ModulesByName, key_of
from ..plan import TrainingSet
from .base import NoCore, number_of_entries, silence
from .expansion import Expansion, along, deviations, exactly, expected_factors, factors_of, points_of


class BasisCore(NoCore):
    """Mean and basis of a functional PCA of each modality. Scores are an extra token; codes give the coefficients.

    The code itself is free, so it can hold what several modalities share, and can depend on metadata.

    Parameters
    ----------
    autoencoder : Autoencoder
        The networks; their heads start at zero.
    """

    def __init__(self, autoencoder: Autoencoder):
        super().__init__(autoencoder)
        self.names, n, width = autoencoder.decoded, number_of_entries(autoencoder), autoencoder.model_dim
        self.expansions = ModulesByName({name: Expansion(n, width, width) for name in self.names})
        for name in self.names:
            silence(autoencoder.heads[name])

    def learn(self, modalities: dict[str, Any], objects: TrainingSet, weighed: Collection[str]) -> dict[str, float]:
        """Fit the factors of each modality. Before the first step, reconstructions are the mean."""
        for name, modality in modalities.items():
            self.expansions[name].learn(modality, objects, name, name in weighed)
        return {}

    def expected(self, modalities: dict[str, Any], state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return tensors with the shapes of the factors of each modality."""
        expected: dict[str, Tensor] = {}
        for name, modality in modalities.items():
            start = f"expansions.{key_of(name)}.basis."
            expected |= expected_factors(modality, self.expansions[name].n_factors, state, start)
        return expected

    def restore(self, state: dict[str, Tensor]) -> None:
        """Make the factors from a state."""
        for name in self.names:
            expansion = self.expansions[name]
            expansion.basis = factors_of(state, f"expansions.{key_of(name)}.basis.", expansion.n_factors)

    def encode(
        self, autoencoder: Autoencoder, batches: dict[str, Batch], generator: torch.Generator | None = None
    ) -> Tensor:
        """Return the code that the encoder computes from the points and the scores of each modality."""
        tokens = {name: self.expansions[name].tokens(points_of(batch), generator) for name, batch in batches.items()}
        return autoencoder.encode(batches, tokens)

    def curve(self, autoencoder: Autoencoder, name: str, z: Tensor, query: Batch) -> Tensor:
        """Return the mean plus the basis, with coefficients that a network computes from code and metadata."""
        expansion, (context, present) = self.expansions[name], autoencoder.decoder_tokenizers[name].context(query)
        told = torch.cat([z.flatten(1), (context * present[..., None]).sum(1)], 1)
        coefficients = expansion.coefficients(told) * deviations(expansion.basis)
        with exactly(z):
            return along(expansion.basis, expansion.basis.curves(coefficients), query)
