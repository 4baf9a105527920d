"""A prior of the bottleneck, which can be learned from codes and from which codes can be drawn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..objectives.prior import Prior
from ..training import Checkpoint, generator_of, restore_rng, seeded, train

BATCH_SIZE = 128
VALIDATION_FRACTION = 0.1
PATIENCE = 20  # records
LEAST = 10  # objects


def learn(
    Z: NDArray[Any], seed: int, device: str, max_iter: int, checkpoint: Checkpoint | None = None
) -> tuple[Prior, list[dict[str, Any]]]:
    """Return a prior of codes (n, K * D) and the records of its training. `checkpoint` may store the training state.

    A tenth of the codes decides when to stop, so that the prior does not memorise the training objects.

    Raises
    ------
    ValueError
        If there are fewer than 10 codes.
    """
    if len(Z) < LEAST:
        raise ValueError(f"A prior cannot be learned from {len(Z)} objects; at least {LEAST} are needed.")
    order = np.random.default_rng([seed, 3]).permutation(len(Z))
    n_held_out = max(1, round(VALIDATION_FRACTION * len(Z)))
    codes = torch.from_numpy(Z[order]).to(device)
    held_out, shown = codes[:n_held_out], codes[n_held_out:]
    with seeded(seed):
        prior = Prior(shown.mean(0).cpu(), shown.std(0).clamp(min=1e-6).cpu()).to(device)
    history = train(
        prior,
        _Batches(shown, seed),
        max_iter=max_iter,
        generator=generator_of(seed, shown.device),
        steps_per_record=min(50, max_iter),
        validation=_Validation(held_out, seed + 1),
        n_iter_no_change=PATIENCE,
        solver="adamw",
        learning_rate_init=1e-3,
        checkpoint=checkpoint,
    )
    return prior, history


def expected_state(size: int) -> dict[str, Tensor]:
    """Return tensors on the meta device, without numbers, with the shapes of a prior's state for codes (size,)."""
    with torch.device("meta"):
        return Prior(torch.empty(size), torch.empty(size)).state_dict()


@torch.inference_mode()
def draw(state: dict[str, NDArray[Any]], noise: NDArray[Any], device: str) -> NDArray[Any]:
    """Return codes drawn from a prior, given its state and noise of the shape of the codes."""
    arrays = {k: torch.from_numpy(v) for k, v in state.items()}
    with seeded(0):  # its first weights are replaced at once
        prior = Prior(arrays["mean"], arrays["scale"])
    prior.load_state_dict(arrays)
    z: NDArray[Any] = prior.to(device).eval().draw(lambda: torch.from_numpy(noise).to(device)).cpu().numpy()
    return z


class _Validation:
    """The loss of held-out bottlenecks, always at the same diffusion times and with the same noise."""

    def __init__(self, Z: Tensor, seed: int):
        self.Z, self.seed = Z.repeat(8, 1), seed  # eight times and noises of each

    def __call__(self, prior: Prior) -> float:
        with torch.inference_mode():
            return prior.loss(self.Z, generator_of(self.seed, self.Z.device))["loss"].mean().item()


class _Batches:
    """Endless batches, each a random subset of the codes."""

    def __init__(self, Z: Tensor, seed: int):
        self.Z, self.rng = Z, np.random.default_rng([seed, 4])

    def __iter__(self) -> Iterator[tuple[Tensor, list[int]]]:
        return self

    def __next__(self) -> tuple[Tensor, list[int]]:
        index = self.rng.choice(len(self.Z), min(BATCH_SIZE, len(self.Z)), replace=False)
        return self.Z[torch.from_numpy(index).to(self.Z.device)], index.tolist()

    def state(self) -> dict[str, Any]:
        """Return the state that determines all further batches."""
        return dict(self.rng.bit_generator.state)

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a state; raise ValueError, TypeError or KeyError if it does not belong to these batches."""
        restore_rng(self.rng, state)
