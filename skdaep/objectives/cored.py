"""What objectives with a core share. A core knows part of the answer before the first step."""

from __future__ import annotations

from functools import partial
from typing import Any, Self

import torch
from torch import Tensor

from ..nn.autoencoder import Autoencoder
from ..nn.batch import Batch
from .base import Bottleneck, Objective, encode_separately
from .cores import CORES, core_name
from .plan import Plan, TrainingSet


class Cored(Objective):
    """Encode with a core, and decode what it does not explain. An objective adds ``self.core.curve`` to its values.

    Parameters
    ----------
    core : str or None
        One of `CORES`. If it is "auto", `assembled` chooses one.
    """

    def __init__(self, autoencoder: Autoencoder, *, core: str | None = None, **options: Any):
        super().__init__(autoencoder, **options)
        self.core = CORES[core](autoencoder)
        self.starts_solved = self.core.solved

    @classmethod
    def assembled(cls, plan: Plan) -> Self:
        """Return an objective with newly initialised networks and the matching core."""
        given, prediction = plan.options.get("core"), plan.options.get("prediction", "x0")
        core = core_name(given, prediction, plan.modalities, cls.n_moments)
        return super().assembled(plan._replace(options=plan.options | {"core": core}))

    @classmethod
    def of_state(cls, plan: Plan, state: dict[str, Tensor]) -> Self:
        """Return the objective with the weights from a state, including those of its core."""
        objective = cls.assembled(plan)
        objective.core.restore(_of_core(state))
        objective.load_state_dict(state)
        return objective

    @classmethod
    def expected_state(cls, plan: Plan, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return tensors with the shapes of a state, including that of its core."""
        with torch.device("meta"):
            objective = cls.assembled(plan)
        core = objective.core.expected(plan.modalities, _of_core(state))
        return objective.state_dict() | {f"core.{k}": v for k, v in core.items()}

    def prepare(self, plan: Plan, objects: TrainingSet) -> None:
        """Learn the core."""
        self.start_at(self.core.learn(plan.modalities, objects, self.typical_errors.keys()))

    def start_at(self, noise: dict[str, float]) -> None:
        """Set the initial spread of each modality: how far values lie from the curves of the core."""

    def encode(self, batches: dict[str, Batch]) -> Bottleneck:
        """Return the bottleneck of a batch, given by modality, from all its points."""
        return Bottleneck(self.core.encode(self.autoencoder, batches))

    def code_root(self, batches: dict[str, Batch]) -> Tensor | None:
        """Return the square root (B, K D, K D) of the covariance of codes given their points, or None."""
        return self.core.code_root(batches)

    def deviation_of_code(self, name: str, batches: dict[str, Batch], query: Batch) -> Tensor | None:
        """Return the standard deviation (B, L) of decoded values that follows from `code_root`, if that is known."""
        return self.core.deviation_of_code(batches, query)

    def encode_separately(
        self, batches: dict[str, Batch], generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Encode each modality separately (B, M, K, D), and return which are present (B, M).

        With a generator, scores are drawn from their posterior, as in training.
        """
        return encode_separately(partial(self.core.encode, self.autoencoder, generator=generator), batches)

    def drawn(self, generator: torch.Generator) -> torch.Generator | None:
        """Return the generator in training, when scores are drawn from their posterior, otherwise None for its mean."""
        return generator if self.training else None

    def held_out_loss(self, batches: dict[str, Batch], generator: torch.Generator) -> Tensor:
        """Return the loss or, with a core, the mean absolute error of the point estimate from all points.

        The loss can fall because of noisy values or a few outliers, while the point estimate of most objects becomes
        worse than that of the core. If training hides stretches, the loss is used nevertheless, because the point
        estimate from all points ignores them.
        """
        if self.hide or not self.starts_solved:
            return super().held_out_loss(batches, generator)

        def absolute_error(name: str, z: Tensor, batch: Batch) -> Tensor:
            return self.mean_over_points(name, (self.decode(name, z, batch) - batch.value).abs(), batch)

        return self.mean_over_modalities(batches, self.encode(batches).mean, absolute_error)


def _of_core(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the part of a state that belongs to the core."""
    return {k.removeprefix("core."): v for k, v in state.items() if k.startswith("core.")}
