r"""A linear core: training starts from functional PCA and adds the nonlinear part.

With s the scores of the given points (`skdaep.linear`), e the Perceiver, and R a rotation,

.. math:: z = R\,(s / u + \gamma\,e(x)), \qquad
    x_0 = \mu + \sum_k u_k (R^T z)_k \phi_k + \sum_j \sigma_j\,g_j(z)\,\psi_j + f(x_t, t, z)

where :math:`\gamma`, g and f start at zero. At the start z are therefore the scores, and :math:`x_0` is the
reconstruction of a `FunctionalPCA` of equal size. Training uses the expected scores of the random points of a step, so
scores are no more precise than these points allow.

The unit is :math:`u_k = \sqrt{\sigma_k \sigma_1}`, with :math:`\sigma_k` the standard deviation of a score. This is a
compromise between unscaled scores, dominated by the first two, and scores of unit variance, most of which are close to
noise. R spreads the variance over all entries, so that standardising them does not undo the scaling.
``python -m benchmarks.code_scales`` measures the effect on probes and neighbours.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn

from ...linear import FactorAnalysis, FlatPoints, root_of
from ...nn.autoencoder import Autoencoder
from ...nn.batch import Batch
from ..plan import TrainingSet
from .base import NoCore, number_of_entries, silence
from .expansion import Expansion, along, deviations, exactly, expected_factors, factors_of, level_of, points_of, scores


class LinearCore(NoCore):
    """Scores and basis of a functional PCA of the only modality.

    Parameters
    ----------
    autoencoder : Autoencoder
        The networks; the head starts at zero.
    """

    solved = True
    rotation: Tensor
    entries: FactorAnalysis

    def __init__(self, autoencoder: Autoencoder):
        super().__init__(autoencoder)
        (self.name,) = autoencoder.decoded
        self.n_entries = n = number_of_entries(autoencoder)
        self.register_buffer("rotation", torch.linalg.qr(torch.randn(n, n)).Q)
        self.gate = nn.Parameter(torch.zeros(n))
        self.expansion = Expansion(n, 0, autoencoder.model_dim)
        silence(autoencoder.heads[self.name])

    def learn(self, modalities: dict[str, Any], objects: TrainingSet, weighed: Collection[str]) -> dict[str, float]:
        """Fit the factors of the code, and a larger basis with the same smoothness."""
        self.entries = self.expansion.learn(modalities[self.name], objects, self.name, self.name in weighed)
        return {self.name: level_of(self.entries)}

    def expected(self, modalities: dict[str, Any], state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return tensors with the shapes of both factor models."""
        modality = modalities[self.name]
        entries = expected_factors(modality, self.n_entries, state, "entries.")
        return entries | expected_factors(modality, self.expansion.n_factors, state, "expansion.basis.")

    def restore(self, state: dict[str, Tensor]) -> None:
        """Make the factors from a state."""
        self.entries = factors_of(state, "entries.", self.n_entries)
        self.expansion.basis = factors_of(state, "expansion.basis.", self.expansion.n_factors)

    def encode(
        self, autoencoder: Autoencoder, batches: dict[str, Batch], generator: torch.Generator | None = None
    ) -> Tensor:
        """Return the scores plus a gated correction by the Perceiver, which gets the scores as an additional token.

        Training uses expected scores too. If it used drawn scores, the networks would learn to shrink them towards the
        mean. Expected scores are already shrunk, so this would be wrong for them.
        """
        points = points_of(batches[self.name])
        learned = autoencoder.encode(batches, {self.name: self.expansion.tokens(points, None)})
        z = scores(self.entries, points, None) / self._unit() + self.gate * learned.flatten(1)
        with exactly(z):
            return (z @ self.rotation.T).view(learned.shape)

    def curve(self, autoencoder: Autoencoder, name: str, z: Tensor, query: Batch) -> Tensor:
        """Return the mean, plus the basis times the code, plus the larger basis times coefficients from a network."""
        larger = self.expansion.basis
        coefficients = self.expansion.coefficients(z.flatten(1)) * deviations(larger)
        with exactly(z):
            own = z.flatten(1) @ self.rotation * self._unit()
            return along(self.entries, self.entries.curves(own) + larger.deviations(coefficients), query)

    def code_root(self, batches: dict[str, Batch]) -> Tensor | None:
        """Return the square root (B, K D, K D) of the covariance of codes, which is that of their scores."""
        with exactly(self.rotation):
            return self.rotation @ (self._root(batches) / self._unit()[:, None])

    def deviation_of_code(self, batches: dict[str, Batch], query: Batch) -> Tensor | None:
        """Return the standard deviation (B, L) of the curves that scores are factors of."""
        variance = torch.zeros_like(query.value)
        with exactly(variance):
            for column in self._root(batches).unbind(2):  # (B, n) each
                variance += along(self.entries, self.entries.deviations(column), query) ** 2
        return variance.sqrt()

    def _root(self, batches: dict[str, Batch]) -> Tensor:
        posterior = self.entries.posterior(FlatPoints.of(batches[self.name]))
        return root_of(posterior.covariance).float()

    def _unit(self) -> Tensor:
        sigma = deviations(self.entries)
        return (sigma * sigma[0]).sqrt()
