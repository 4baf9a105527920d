"""From records to a trained model: batches, validation at fixed noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..exceptions import RankError
from ..modalities import Modality, Record
from ..nn.batch import Batch, Ragged
from ..objectives import Objective
from ..training import Checkpoint, Ranks, autocast, generator_of, resolve_precision, token_batches, train
from .model import Model
from .passes import TOKENS_PER_PASS, collate

#: a record of training is an epoch, but at least so many steps
STEPS_PER_RECORD = 50


@dataclass(frozen=True)
class Split:
    """Indices of the objects trained on, and of those held out for validation."""

    train: NDArray[Any]
    validation: NDArray[Any]


@dataclass(frozen=True)
class Training:
    """How a model is trained; the fields are parameters of every estimator."""

    max_iter: int
    batch_size: int
    max_points: int | None
    solver: str
    learning_rate_init: float
    weight_decay: float
    n_iter_no_change: int
    precision: str

    def steps_per_record(self, n_objects: int, n_ranks: int = 1) -> int:
        """Return the steps between two records when so many processes train on so many objects."""
        return int(min(max(STEPS_PER_RECORD, math.ceil(n_objects / self.batch_size / n_ranks)), self.max_iter))

    def n_records(self, n_objects: int, n_ranks: int = 1) -> int:
        """Return the number of records if nothing stops training."""
        return math.ceil(self.max_iter / self.steps_per_record(n_objects, n_ranks))


def train_model(
    model: Model,
    records: Sequence[dict[str, Record]],
    split: Split,
    training: Training,
    on_epoch_end: Callable[[dict[str, Any], Objective], bool] = lambda record, module: False,
    checkpoint: Checkpoint | None = None,
    ranks: Ranks | None = None,
) -> tuple[Model, list[dict[str, Any]]]:
    """Return a trained model and the records of its training, which starts from the weights of `model`.

    Parameters
    ----------
    model : Model
        What to train.
    records : list of dict
        Objects, each by modality.
    split : Split
        Which of them are trained on, and which are held out.
    training : Training
        How.
    on_epoch_end : callable
        Called with each record and the module with averaged weights; True stops training.
    checkpoint : Checkpoint or None
        Where the state of training is kept, and may come from.
    ranks : Ranks or None
        The processes that train the model, each with every so-manieth batch.
    """
    ranks = ranks or Ranks()
    device = torch.device(model.device)
    dtype = resolve_precision(training.precision, device, training=True)
    stores = collate(model.modalities, [records[i] for i in split.train], device)
    objective, held_out, validation = model.revived(), None, None
    if len(split.validation):
        held_out = collate(model.modalities, [records[i] for i in split.validation], device)
        validation = Validation(held_out, training, model.seed + 1, device, dtype)
    if not model.weights:  # a fresh fit
        objective.prepare(model.modalities, stores, held_out, model.seed)
        objective.to(device)
    history = train(
        objective,
        Batches(model.modalities, stores, split.train, training, model.seed, device, ranks),
        max_iter=int(training.max_iter),
        generator=generator_of(_seed_of(model.seed, ranks), device),
        steps_per_record=training.steps_per_record(len(split.train), ranks.count),
        validation=validation,
        keep_start=objective.starts_solved,
        n_iter_no_change=training.n_iter_no_change,
        solver=training.solver,
        learning_rate_init=training.learning_rate_init,
        weight_decay=training.weight_decay,
        precision=lambda: autocast(device, dtype),
        on_epoch_end=on_epoch_end,
        checkpoint=checkpoint,
        ranks=ranks,
    )
    return model.with_weights(objective.eval()), history


def _seed_of(seed: int, ranks: Ranks) -> int:
    """Return a seed that no other process has; the first has the seed itself."""
    return seed + (ranks.rank << 32)


def _lengths(stores: dict[str, Ragged], max_points: int | None) -> NDArray[Any]:
    """Return how many points each object shows in a step, of all its modalities together."""
    lengths = [store.lengths.cpu().numpy() for store in stores.values()]
    return np.sum([n if max_points is None else n.clip(max=max_points) for n in lengths], axis=0)


def _budget(lengths: NDArray[Any], batch_size: int) -> float:
    """Tokens in a batch: batch_size objects of median length, padding included."""
    return batch_size * float(np.median(lengths))


def solve_model(model: Model, records: Sequence[dict[str, Record]], split: Split) -> tuple[Model, list[dict[str, Any]]]:
    """Return a model whose objective is solved in closed form, and the records of that."""
    objective, options = model.objective, model.options
    shown = collate(model.modalities, [records[i] for i in split.train], "cpu")
    held_out = [records[i] for i in split.validation]
    others = collate(model.modalities, held_out, "cpu") if held_out else None
    solved, history = objective.solve(model.modalities, model.networks, options, shown, others, model.seed)
    return model.with_weights(solved.to(model.device).eval()), history


class Batches:
    """Endless epochs of training batches, each a new shuffle and new random subsets of points.

    Of several processes, all of which shuffle alike, each gets every so-manieth batch.
    """

    def __init__(
        self,
        modalities: dict[str, Modality],
        stores: dict[str, Ragged],
        names: NDArray[Any],
        training: Training,
        seed: int,
        device: torch.device,
        ranks: Ranks | None = None,
    ):
        self.modalities, self.stores, self.names, self.device = modalities, stores, names, device
        self.ranks = ranks or Ranks()
        self.max_points = training.max_points
        self.lengths = _lengths(stores, self.max_points)
        self.budget = _budget(self.lengths, training.batch_size)
        self.rng = np.random.default_rng([seed, 1])
        self.generator = generator_of(_seed_of(seed + 2, self.ranks), device)
        self._begin_epoch()
        if self.ranks.count > len(self.epoch):
            raise RankError(
                f"{self.ranks.count} processes, but the {len(names)} objects to train on make {len(self.epoch)} "
                f"batches of batch_size={training.batch_size}: some would have nothing to do. Start fewer processes, "
                f"or make batch_size smaller."
            )

    def _begin_epoch(self) -> None:
        self.shuffled_from, self.n_given = self.rng.bit_generator.state, 0
        self.epoch = list(token_batches(self.lengths, self.budget, self.rng))

    def __iter__(self) -> Iterator[tuple[dict[str, Batch], list[int]]]:
        return self

    def __next__(self) -> tuple[dict[str, Batch], list[int]]:
        index = [self._next() for _ in range(self.ranks.count)][self.ranks.rank]
        on_device = torch.from_numpy(index).to(self.device)
        return {k: self._batch(k, on_device) for k in self.stores}, self.names[index].tolist()

    def _next(self) -> NDArray[Any]:
        if self.n_given == len(self.epoch):
            self._begin_epoch()
        self.n_given += 1
        return self.epoch[self.n_given - 1]

    def state(self) -> dict[str, Any]:
        """Return what the batches to come depend on."""
        return {"rng": self.shuffled_from, "n_given": self.n_given, "generator": self.generator.get_state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on as from a state."""
        self.rng.bit_generator.state = state["rng"]
        self._begin_epoch()
        self.n_given = state["n_given"]
        self.generator.set_state(state["generator"])

    def _batch(self, name: str, index: torch.Tensor) -> Batch:
        batch = self.stores[name].subset(index, self.max_points, self.generator)
        return self.modalities[name].augment(batch, self.generator)


class Validation:
    """The loss of held-out objects on the same points, at the same times and with the same noise every time.

    An object shows at most as many points as a forward pass has on a CPU, 32,768, even if `max_points` is None.
    """

    def __init__(
        self, stores: dict[str, Ragged], training: Training, seed: int, device: torch.device, dtype: torch.dtype
    ):
        self.seed, self.device, self.dtype = seed, device, dtype
        most = TOKENS_PER_PASS if training.max_points is None else training.max_points
        lengths = _lengths(stores, most)
        generator = generator_of(seed, device)
        self.batches: list[dict[str, Batch]] = []
        for rows in token_batches(lengths, 4 * _budget(lengths, training.batch_size), None):
            index = torch.from_numpy(rows).to(device)
            self.batches.append({k: s.subset(index, most, generator) for k, s in stores.items()})

    def __call__(self, objective: Objective) -> float:
        """Return the mean loss."""
        generator = generator_of(self.seed, self.device)
        objective.eval()
        with torch.inference_mode(), autocast(self.device, self.dtype):
            losses = [objective.held_out_loss(batch, generator) for batch in self.batches]
        return torch.cat(losses).mean().item()
