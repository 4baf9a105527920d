"""What objectives share that may begin with a core: before the first step it knows part of the answer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor

from ..nn.autoencoder import Autoencoder
from ..nn.batch import Batch, Ragged
from .base import Bottleneck, Objective, encode_separately
from .cores import CORES, core_name


class Cored(Objective):
    """Encode with a core and decode what it leaves over; an objective adds ``self.core.curve`` to its values.

    Parameters
    ----------
    core : str or None
        One of `CORES`; where it is "auto", `assembled` chooses it.
    """

    def __init__(self, autoencoder: Autoencoder, *, core: str | None = None, **options: Any):
        super().__init__(autoencoder, **options)
        self.core = CORES[core](autoencoder)
        self.starts_solved = self.core.solved

    @classmethod
    def assembled(cls, modalities: dict[str, Any], networks: dict[str, Any], options: dict[str, Any]) -> Self:
        """Return an objective with freshly initialised networks, and the core that goes with them."""
        core = core_name(options.get("core"), options.get("prediction", "x0"), modalities, cls.n_moments)
        return super().assembled(modalities, networks, options | {"core": core})

    @classmethod
    def of_state(
        cls,
        modalities: dict[str, Any],
        networks: dict[str, Any],
        options: dict[str, Any],
        state: dict[str, Tensor],
    ) -> Self:
        """Return the objective of a state, that of its core included."""
        objective = cls.assembled(modalities, networks, options)
        objective.core.restore(_of_core(state))
        objective.load_state_dict(state)
        return objective

    @classmethod
    def expected_state(
        cls,
        modalities: dict[str, Any],
        networks: dict[str, Any],
        options: dict[str, Any],
        state: dict[str, Tensor],
    ) -> dict[str, Tensor]:
        """Return tensors like those of a state, that of its core included."""
        with torch.device("meta"):
            objective = cls.assembled(modalities, networks, options)
        core = objective.core.expected(modalities, _of_core(state))
        return objective.state_dict() | {f"core.{k}": v for k, v in core.items()}

    def prepare(
        self,
        modalities: dict[str, Any],
        measurements: Mapping[str, Ragged],
        held_out: Mapping[str, Ragged] | None,
        seed: int,
    ) -> None:
        """Learn the core."""
        self.start_at(self.core.learn(modalities, measurements, held_out, self.typical_errors.keys(), seed))

    def start_at(self, noise: dict[str, float]) -> None:
        """Take over, by modality, how far values lie from what the core knows."""

    def encode(self, batches: dict[str, Batch]) -> Bottleneck:
        """Return the bottleneck of batches by modality, from all their points."""
        return Bottleneck(self.core.encode(self.autoencoder, batches))

    def encode_separately(
        self, batches: dict[str, Batch], generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return what the encoder gives for each modality alone (B, M, K, D), and which there are (B, M).

        With a generator scores are drawn, as in training.
        """
        return encode_separately(partial(self.core.encode, self.autoencoder, generator=generator), batches)

    def drawn(self, generator: torch.Generator) -> torch.Generator | None:
        """Return the generator in training, where scores are drawn from their posterior; None: they are its mean."""
        return generator if self.training else None

    def held_out_loss(self, batches: dict[str, Batch], generator: torch.Generator) -> Tensor:
        """Return the loss; with a core the mean absolute error of the point estimate from all points.

        The loss falls for what noisy values tell of themselves, and for a few outliers, while the point estimate of
        most objects may be worse than what the core knew. Where stretches are hidden it is the loss all the same: the
        point estimate from all points says nothing of them.
        """
        if self.hide or not self.starts_solved:
            return super().held_out_loss(batches, generator)

        def absolute_error(name: str, z: Tensor, batch: Batch) -> Tensor:
            return self.mean_over_points(name, (self.decode(name, z, batch) - batch.value).abs(), batch)

        return self.mean_over_modalities(batches, self.encode(batches).mean, absolute_error)


def _of_core(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the part of a state that is its core's."""
    return {k.removeprefix("core."): v for k, v in state.items() if k.startswith("core.")}
