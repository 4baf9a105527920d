"""A prior of the bottleneck, which can be learned from codes and from which codes can be drawn.

What is known of an object, and the prior takes into account, are its metadata and perhaps labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..modalities import Modality, Record
from ..objectives.prior import Described, Known, Prior
from ..training import Checkpoint, generator_of, restore_rng, seeded, train
from .targets import Targets

BATCH_SIZE = 128
VALIDATION_FRACTION = 0.1
PATIENCE = 20  # records
LEAST = 10  # objects


#: what is known of many objects: the fields of `Known` by name
Facts = dict[str, NDArray[Any]]


def facts_of(
    modalities: Mapping[str, Modality],
    records: Sequence[dict[str, Record]],
    targets: Targets | None = None,
    y: NDArray[Any] | None = None,
) -> Facts:
    """Return what is known of objects: metadata by modality, then labels y (n, t) in the scale of `targets`.

    ``numbers`` (n, M) are NaN and ``labels`` (n, C) -1 where unknown. Without y no label is known.
    """
    numbers: list[Any] = []
    labels: list[Any] = []
    for name, modality in modalities.items():
        absent = np.full(modality.n_numbers, np.nan, np.float32), np.full(len(modality.n_labels), -1)
        having = [record.get(name) for record in records]
        numbers.append([absent[0] if r is None else r.numbers[: modality.n_numbers] for r in having])
        labels.append([absent[1] if r is None else r.labels[: len(modality.n_labels)] for r in having])
    if targets is not None:
        y = np.full((len(records), targets.n_columns), np.nan) if y is None else y
        if targets.kind == "numbers":
            numbers.append(y)
        else:
            labels.append(np.where(np.isnan(y), -1, y))
    return {"numbers": np.hstack(numbers).astype(np.float32), "labels": np.hstack(labels).astype(np.int64)}


def sizes_of(
    modalities: Mapping[str, Modality], targets: Targets | None, state: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the arguments of a `Prior` for what `facts_of` returns; none if a state of an old file knows nothing."""
    if targets is None and state is not None and not any(key.startswith(Known._fields) for key in state):
        return {}
    own = () if targets is None or targets.kind == "numbers" else (targets.n,)
    numbers = targets.n if targets is not None and targets.kind == "numbers" else 0
    return {
        "n_numbers": sum(m.n_numbers for m in modalities.values()) + numbers,
        "n_labels": sum((m.n_labels for m in modalities.values()), ()) + own,
    }


def learn(
    Z: NDArray[Any],
    facts: Facts,
    sizes: dict[str, Any],
    seed: int,
    device: str,
    max_iter: int,
    checkpoint: Checkpoint | None = None,
) -> tuple[Prior, list[dict[str, Any]]]:
    """Return a prior of codes (n, K * D) and the records of its training. `checkpoint` may store the training state.

    A tenth of the codes decides when to stop, so that the prior does not memorise the training objects. The first
    object of each label is not among them.

    Raises
    ------
    ValueError
        If there are fewer than 10 codes.
    """
    if len(Z) < LEAST:
        raise ValueError(f"A prior cannot be learned from {len(Z)} objects; at least {LEAST} are needed.")
    order = np.random.default_rng([seed, 3]).permutation(len(Z))
    order = np.concatenate([np.delete(order, first := _first_of_labels(facts["labels"][order])), order[first]])
    n_held_out = max(1, round(VALIDATION_FRACTION * len(Z)))
    objects = _described(Z[order], {k: v[order] for k, v in facts.items()}, device)
    held_out, shown = (_rows(objects, piece) for piece in (slice(n_held_out), slice(n_held_out, None)))
    with seeded(seed):
        prior = Prior(shown.z.mean(0).cpu(), shown.z.std(0).clamp(min=1e-6).cpu(), **sizes).to(device)
        prior.silence(shown.known)
    history = train(
        prior,
        _Batches(shown, seed),
        max_iter=max_iter,
        generator=generator_of(seed, shown.z.device),
        steps_per_record=min(50, max_iter),
        validation=_Validation(held_out, seed + 1),
        n_iter_no_change=PATIENCE,
        solver="adamw",
        learning_rate_init=1e-3,
        checkpoint=checkpoint,
    )
    return prior, history


def expected_state(size: int, sizes: dict[str, Any]) -> dict[str, Tensor]:
    """Return tensors on the meta device, without numbers, with the shapes of a prior's state for codes (size,)."""
    with torch.device("meta"):
        return Prior(torch.empty(size), torch.empty(size), **sizes).state_dict()


@torch.inference_mode()
def draw(
    state: dict[str, NDArray[Any]], sizes: dict[str, Any], noise: NDArray[Any], facts: Facts, device: str
) -> NDArray[Any]:
    """Return codes drawn from a prior, given its state, noise of the shape of the codes, and what is known of each."""
    arrays = {k: torch.from_numpy(v) for k, v in state.items()}
    with seeded(0):  # its first weights are replaced at once
        prior = Prior(arrays["mean"], arrays["scale"], **sizes)
    prior.load_state_dict(arrays)
    given = _described(noise, facts, device)
    z: NDArray[Any] = prior.to(device).eval().draw(lambda: given.z, given.known).cpu().numpy()
    return z


def _described(Z: NDArray[Any], facts: Facts, device: str) -> Described:
    known = Known(*(torch.from_numpy(facts[k]).to(device) for k in Known._fields))
    return Described(torch.from_numpy(Z).to(device), known)


def _rows(objects: Described, index: Any) -> Described:
    return Described(objects.z[index], Known(*(x[index] for x in objects.known)))


def _first_of_labels(labels: NDArray[Any]) -> NDArray[Any]:
    """Return the indices of the first object of each label."""
    first = [np.unique(column, return_index=True) for column in labels.T]
    return np.unique(np.concatenate([np.zeros(0, np.intp), *(index[value >= 0] for value, index in first)]))


class _Validation:
    """The loss of held-out bottlenecks, always at the same diffusion times and with the same noise."""

    def __init__(self, objects: Described, seed: int):
        z, known = objects
        self.objects = Described(z.repeat(8, 1), Known(*(x.repeat(8, 1) for x in known)))  # eight times and noises
        self.seed = seed

    def __call__(self, prior: Prior) -> float:
        with torch.inference_mode():
            return prior.loss(self.objects, generator_of(self.seed, self.objects.z.device))["loss"].mean().item()


def _chances(known: Known) -> NDArray[Any] | None:
    """Return the probability of each object in batches; None if they are equal.

    A label or number that few objects have would hardly be noticed. If it is fewer than half of them, half of the
    chances are theirs.
    """
    there = torch.cat([known.numbers.isfinite(), known.labels >= 0], 1).cpu().numpy()
    share = there.mean(0)
    rare = there[:, (share > 0) & (share < 1 / 2)]
    if not rare.shape[1]:
        return None
    chances: NDArray[Any] = 0.5 / len(rare) + 0.5 * (rare / rare.sum(0)).mean(1)
    return chances / chances.sum()


class _Batches:
    """Endless batches of random objects."""

    def __init__(self, objects: Described, seed: int):
        self.objects, self.rng, self.chances = objects, np.random.default_rng([seed, 4]), _chances(objects.known)

    def __iter__(self) -> Iterator[tuple[Described, list[int]]]:
        return self

    def __next__(self) -> tuple[Described, list[int]]:
        n, device = len(self.objects.z), self.objects.z.device
        index = self.rng.choice(n, min(BATCH_SIZE, n), replace=self.chances is not None, p=self.chances)
        return _rows(self.objects, torch.from_numpy(index).to(device)), index.tolist()

    def state(self) -> dict[str, Any]:
        """Return the state that determines all further batches."""
        return dict(self.rng.bit_generator.state)

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a state; raise ValueError, TypeError or KeyError if it does not belong to these batches."""
        restore_rng(self.rng, state)
