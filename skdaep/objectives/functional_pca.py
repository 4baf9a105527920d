r"""Functional PCA: a linear decoder, and the exact posterior of its scores in closed form (`skdaep.linear`).

.. math:: x = \mu + \sum_k z_k \phi_k + \epsilon, \qquad z_k \sim \mathcal{N}(0, v_k)

The basis is orthonormal on average over points, so the distance of two codes is the root mean square difference of the
decoded curves.
"""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor

from ..linear import FactorAnalysis, FlatPoints, Posterior, expected_scores, fit, root_of
from ..nn.batch import Batch
from .base import Bottleneck, Experts, NextNoise, Objective
from .cores.expansion import expected_factors, number_of_bands
from .plan import Plan, TrainingSet


class FunctionalPCA(Objective):
    """Encode one modality into expected scores. It is solved in closed form, not trained.

    Parameters
    ----------
    name : str
        The modality.
    factors : FactorAnalysis
        Of K components.
    """

    draws = "posterior"
    has_prior = True
    measures = True
    in_closed_form = True

    def __init__(self, name: str, factors: FactorAnalysis):
        super().__init__(None)
        self.name, self.factors = name, factors

    @classmethod
    def options(cls) -> frozenset[str]:
        """Return the names of the options of `solve`."""
        return frozenset({"smoothness", "error_weighting", "max_iter", "tol"})

    @classmethod
    def solve(cls, plan: Plan, objects: TrainingSet) -> tuple[FunctionalPCA, list[dict[str, Any]]]:
        """Return the objective fitted to the measurements of its single modality, and the history of the fit."""
        ((name, modality),), options = plan.modalities.items(), plan.options
        factors, history = fit(
            FlatPoints.of(objects.measurements[name]),
            plan.networks["bottleneck_length"],
            n_bands=number_of_bands(modality, "FunctionalPCA", "DAEPEncoder"),
            validation=None if objects.held_out is None else FlatPoints.of(objects.held_out[name]),
            smoothness=options["smoothness"],
            weigh_errors=options["error_weighting"],
            max_iter=options["max_iter"],
            tol=options["tol"],
            generator=torch.Generator().manual_seed(objects.seed),
        )
        return cls(name, factors), [_as_record(step) for step in history]

    @classmethod
    def of_state(cls, plan: Plan, state: dict[str, Tensor]) -> Self:
        """Return the objective with a given state."""
        (name,), n_components = plan.modalities, plan.networks["bottleneck_length"]
        factors = FactorAnalysis.of_state({k.removeprefix("factors."): v for k, v in state.items()})
        if factors.n_components != n_components:
            raise ValueError(f"{factors.n_components} components do not make {n_components} scores.")
        return cls(name, factors)

    @classmethod
    def expected_state(cls, plan: Plan, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return tensors with the shapes of a state, which gives the number of nodes on a line."""
        (modality,) = plan.modalities.values()
        return expected_factors(modality, plan.networks["bottleneck_length"], state, "factors.")

    def posterior(self, batches: dict[str, Batch]) -> Posterior:
        """Return mean (B, K) and covariance (B, K, K) of the normal distribution of scores, given all points."""
        return self.factors.posterior(FlatPoints.of(batches[self.name]))

    def encode(self, batches: dict[str, Batch]) -> Bottleneck:
        """Return means and standard deviations of scores, (B, K, 1) each. `experts` has their correlations."""
        if torch.compiler.is_compiling():
            return Bottleneck(expected_scores(self.factors, batches[self.name]).float()[..., None])
        mean, covariance, _ = self.posterior(batches)
        scale = covariance.diagonal(dim1=1, dim2=2).sqrt()
        return Bottleneck(mean.float()[..., None], scale.float()[..., None])

    def experts(self, batches: dict[str, Batch]) -> Experts:
        """Return the posterior, with the square root of its covariance."""
        mean, covariance, _ = self.posterior(batches)
        scale, root = covariance.diagonal(dim1=1, dim2=2).sqrt(), root_of(covariance)
        present = torch.ones(len(mean), 1, dtype=torch.bool, device=mean.device)
        return Experts(mean.float()[:, None, :, None], scale.float()[:, None, :, None], present, root.float()[:, None])

    def prior_draw(self, noise: Tensor) -> Tensor:
        """Return codes of new objects: independent scores with the learned variances."""
        return noise * self.factors.variance.sqrt().to(noise.dtype)[:, None]

    def loss(self, batches: dict[str, Batch], generator: torch.Generator) -> dict[str, Tensor]:
        """Return minus the log-likelihood of each object, divided by its number of values."""
        batch = batches[self.name]
        numbers = batch.lengths * batch.value[0, 0].numel()
        return {"loss": -self.posterior(batches).log_likelihood / numbers}

    def decode(
        self,
        name: str,
        z: Tensor,
        query: Batch,
        noise: NextNoise | None = None,
        context: Batch | None = None,
    ) -> Tensor:
        """Return the curve at the locations of `query`; with `noise`, a possible measurement of it."""
        values = self.factors.decode(z.flatten(1), query.location, query.band).view(query.value.shape)
        if noise is None:
            return values
        spread = self.factors.noise_of(query.error).sqrt().to(values.dtype)
        return values + spread.view(*spread.shape, *[1] * (values.ndim - 2)) * noise()


def _as_record(step: dict[str, Any]) -> dict[str, Any]:
    """Return the record of a step with the names used in training: the loss, and the validation loss."""
    validation = {"validation_loss": step["validation_error"]} if "validation_error" in step else {}
    rest = {k: v for k, v in step.items() if k not in ("iteration", "validation_error")}
    return {"iteration": step["iteration"], "loss": -step["log_likelihood"], **validation, **rest}
