"""Train a model on measurements, with batches and validation at fixed noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..exceptions import RankError
from ..modalities import Modality
from ..nn.batch import Batch
from ..objectives import Labelled, Objective, Supervised, TrainingSet
from ..training import (
    Checkpoint,
    Ranks,
    autocast,
    check_same_layout,
    check_whole,
    generator_of,
    resolve_precision,
    restore_rng,
    token_batches,
    train,
)
from .measurements import Measurements, Subset
from .model import Model
from .passes import TOKENS_PER_PASS

#: fewest steps between two records of the history; usually there is one record per epoch
STEPS_PER_RECORD = 50
#: most objects, and most points, of a folder from which the core of an encoder and functional PCA are solved, because
#: these points must fit into memory
MOST_SOLVED, MOST_POINTS_SOLVED = 20_000, 2**22
#: Training stops after this share of all records without a better validation loss, but not before LEAST_PATIENCE
#: records. At the full learning rate, long fits still improve after a tenth of their steps without progress.
PATIENCE, LEAST_PATIENCE = 0.25, 5


Trained = Objective | Supervised


@dataclass(frozen=True)
class Split:
    """Indices of the training objects and of those held out for validation."""

    train: NDArray[Any]
    validation: NDArray[Any]


@dataclass(frozen=True)
class Training:
    """Settings of training. The fields are parameters of every estimator."""

    max_iter: int
    batch_size: int
    max_points: int | None
    solver: str
    learning_rate_init: float
    weight_decay: float
    n_iter_no_change: int | str
    precision: str
    supervised_weight: float = 0.0

    def steps_per_record(self, n_objects: int, n_ranks: int = 1) -> int:
        """Return the number of steps between two records, for given numbers of processes and objects."""
        return int(min(max(STEPS_PER_RECORD, math.ceil(n_objects / self.batch_size / n_ranks)), self.max_iter))

    def n_records(self, n_objects: int, n_ranks: int = 1) -> int:
        """Return the number of records of a fit that does not stop early."""
        return math.ceil(self.max_iter / self.steps_per_record(n_objects, n_ranks))

    def patience(self, n_objects: int, n_ranks: int = 1, starts_solved: bool = False) -> int:
        """Return after how many records without a better validation loss training stops.

        A fit that starts from a closed-form solution never stops early: at the full learning rate it is worse than its
        start, and only improves on it as the rate falls.
        """
        if self.n_iter_no_change != "auto":
            return int(self.n_iter_no_change)
        n_records = self.n_records(n_objects, n_ranks)
        return n_records if starts_solved else max(LEAST_PATIENCE, math.ceil(PATIENCE * n_records))


def train_model(
    model: Model,
    measurements: Measurements,
    split: Split,
    training: Training,
    on_epoch_end: Callable[[dict[str, Any], Trained], bool] = lambda record, module: False,
    checkpoint: Checkpoint | None = None,
    labels: NDArray[Any] | None = None,
    groups: NDArray[Any] | None = None,
    ranks: Ranks | None = None,
) -> tuple[Model, list[dict[str, Any]]]:
    """Train a model, starting from its weights. Return the trained model and the records of training.

    Parameters
    ----------
    model : Model
        The model to train.
    measurements : dict of Ragged
        The points of objects, by modality. They are moved to the model's device, or batch by batch if they are
        memory-mapped.
    split : Split
        Which objects are for training and which are held out.
    training : Training
        How.
    on_epoch_end : callable
        Called with each record and the module with averaged weights; True stops training.
    checkpoint : Checkpoint or None
        Where the state of training is stored, and from which training may continue.
    labels : ndarray of float32, shape (n_objects, n_targets), or None
        Standardised labels that the head of `model` learns to predict, NaN where unknown.
    groups : ndarray of int, shape (n_objects,), or None
        Group of each object; None means that every object is its own group.
    ranks : Ranks or None
        The processes that train the model and take batches in turn.
    """
    ranks = ranks or Ranks()
    device = torch.device(model.device)
    dtype = resolve_precision(training.precision, device, training=True)
    groups = np.arange(len(next(iter(measurements.values())))) if groups is None else groups
    measurements = {name: ragged if ragged.mapped else ragged.to(device) for name, ragged in measurements.items()}
    measurements = {name: ragged.grouped(torch.from_numpy(groups)) for name, ragged in measurements.items()}
    known = None if labels is None else torch.from_numpy(labels).to(device)
    objective, held_out, validation = model.revived(), None, None
    if len(split.validation):
        held_out = solved_from(measurements, split.validation)
        validation = Validation(measurements, split.validation, training, model.seed + 1, device, dtype, known)
    if not model.weights:  # not a warm start
        objective.prepare(model.plan(), TrainingSet(solved_from(measurements, split.train), held_out, model.seed))
        objective.to(device)
    objective.begin()
    trained: Trained = objective
    if labels is not None:
        trained = Supervised(objective, model.revived_head(), training.supervised_weight)
    history = train(
        trained,
        Batches(model.modalities, measurements, split.train, training, model.seed, device, known, ranks),
        max_iter=int(training.max_iter),
        generator=generator_of(_seed_of(model.seed, ranks), device),
        steps_per_record=training.steps_per_record(len(split.train), ranks.count),
        validation=validation,
        keep_start=objective.starts_solved,
        n_iter_no_change=training.patience(len(split.train), ranks.count, objective.starts_solved),
        solver=training.solver,
        learning_rate_init=training.learning_rate_init,
        weight_decay=training.weight_decay,
        precision=lambda: autocast(device, dtype),
        on_epoch_end=on_epoch_end,
        checkpoint=checkpoint,
        ranks=ranks,
    )
    return model.with_weights(trained.eval()), history


def with_labels(
    batches: dict[str, Batch], labels: torch.Tensor | None, names: NDArray[Any]
) -> dict[str, Batch] | Labelled:
    """Return batches of the given objects in the form that the loss expects, with labels if there are any."""
    return batches if labels is None else Labelled(batches, labels[torch.from_numpy(names).to(labels.device)])


def _seed_of(seed: int, ranks: Ranks) -> int:
    """Return a different seed for each process; the first uses the seed itself."""
    return seed + (ranks.rank << 32)


def solved_from(measurements: Measurements, index: NDArray[Any]) -> Subset:
    """Return the objects from which the closed form is solved. All their points are in memory at once."""
    if not any(ragged.mapped for ragged in measurements.values()):
        return Subset(measurements, index)
    n_points = _lengths(measurements, None)[index].sum()
    return Subset(measurements, index[:: math.ceil(max(len(index) / MOST_SOLVED, n_points / MOST_POINTS_SOLVED, 1))])


def home_of(measurements: Measurements) -> torch.device:
    """Return the device on which measurements are stored."""
    return next(iter(measurements.values())).lengths.device


def _lengths(measurements: Measurements, max_points: int | None) -> NDArray[Any]:
    """Return the number of points that each object shows in a step, over all its modalities."""
    lengths = [ragged.lengths.cpu().numpy() for ragged in measurements.values()]
    return np.sum([n if max_points is None else n.clip(max=max_points) for n in lengths], axis=0)


def _budget(lengths: NDArray[Any], batch_size: int) -> float:
    """Number of tokens in a batch: batch_size objects of median length, padding included."""
    return batch_size * float(np.median(lengths))


def solve_model(model: Model, measurements: Measurements, split: Split) -> tuple[Model, list[dict[str, Any]]]:
    """Return a model whose objective was solved in closed form, and the records of its iterations."""
    shown = solved_from(measurements, split.train)
    others = solved_from(measurements, split.validation) if len(split.validation) else None
    solved, history = model.objective.solve(model.plan(), TrainingSet(shown, others, model.seed))
    return model.with_weights(solved.to(model.device).eval()), history


class Batches:
    """Endless epochs of training batches. Each epoch has a new order of objects and new random subsets of points.

    `names` are the indices of the training objects. Several processes shuffle in the same way and take batches in turn.
    """

    def __init__(
        self,
        modalities: dict[str, Modality],
        measurements: Measurements,
        names: NDArray[Any],
        training: Training,
        seed: int,
        device: torch.device,
        labels: torch.Tensor | None = None,
        ranks: Ranks | None = None,
    ):
        self.modalities, self.measurements, self.names, self.device = modalities, measurements, names, device
        self.labels, self.ranks = labels, ranks or Ranks()
        self.max_points, self.home = training.max_points, home_of(measurements)
        self.lengths = _lengths(measurements, self.max_points)[names]
        self.budget = _budget(self.lengths, training.batch_size)
        self.rng = np.random.default_rng([seed, 1])
        self.generator = generator_of(_seed_of(seed + 2, self.ranks), self.home)
        self._begin_epoch()
        if self.ranks.count > len(self.epoch):
            raise RankError(
                f"{self.ranks.count} processes are too many: {len(names)} training objects make {len(self.epoch)} "
                f"batches of batch_size={training.batch_size}. Start fewer processes, or lower batch_size."
            )

    def _begin_epoch(self) -> None:
        self.shuffled_from, self.n_given = self.rng.bit_generator.state, 0
        self.epoch = list(token_batches(self.lengths, self.budget, self.rng))

    def __iter__(self) -> Iterator[tuple[dict[str, Batch] | Labelled, list[int]]]:
        return self

    def __next__(self) -> tuple[dict[str, Batch] | Labelled, list[int]]:
        names = self.names[[self._next() for _ in range(self.ranks.count)][self.ranks.rank]]
        index = torch.from_numpy(names).to(self.home)
        batches = {k: self._batch(k, index) for k in self.measurements}
        return with_labels(batches, self.labels, names), names.tolist()

    def _next(self) -> NDArray[Any]:
        if self.n_given == len(self.epoch):
            self._begin_epoch()
        self.n_given += 1
        return self.epoch[self.n_given - 1]

    def state(self) -> dict[str, Any]:
        """Return the state that determines all further batches."""
        return {"rng": self.shuffled_from, "n_given": self.n_given, "generator": self.generator.get_state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a state; raise ValueError, TypeError or KeyError if it does not belong to these batches."""
        restore_rng(self.rng, state["rng"])
        self._begin_epoch()
        check_whole(state["n_given"], 0, len(self.epoch), "n_given")
        check_same_layout(state["generator"], self.generator.get_state(), "generator")
        self.n_given = state["n_given"]
        self.generator.set_state(state["generator"])

    def _batch(self, name: str, index: torch.Tensor) -> Batch:
        batch = self.measurements[name].subset(index, self.max_points, self.generator)
        return self.modalities[name].augment(batch, self.generator).to(self.device)


class Validation:
    """The loss of held-out objects, always for the same points, diffusion times and noise.

    An object shows at most as many points as a forward pass on a CPU holds, 32,768, even if `max_points` is None. The
    points are read from the measurements each time, so they need no additional memory.
    """

    def __init__(
        self,
        measurements: Measurements,
        names: NDArray[Any],
        training: Training,
        seed: int,
        device: torch.device,
        dtype: torch.dtype,
        labels: torch.Tensor | None = None,
    ):
        self.measurements, self.names, self.seed, self.device, self.dtype = measurements, names, seed, device, dtype
        self.labels, self.most = labels, TOKENS_PER_PASS if training.max_points is None else training.max_points
        lengths = _lengths(measurements, self.most)[names]
        self.rows = list(token_batches(lengths, 4 * _budget(lengths, training.batch_size), None))

    def batches(self) -> Iterator[dict[str, Batch] | Labelled]:
        """Yield the batches, always the same ones."""
        home = home_of(self.measurements)
        generator = generator_of(self.seed, home)
        for rows in self.rows:
            names = self.names[rows]
            index = torch.from_numpy(names).to(home)
            batches = {k: s.subset(index, self.most, generator).to(self.device) for k, s in self.measurements.items()}
            yield with_labels(batches, self.labels, names)

    def __call__(self, objective: Any) -> float:
        """Return the mean loss."""
        generator = generator_of(self.seed, self.device)
        objective.eval()
        with torch.inference_mode(), autocast(self.device, self.dtype):
            losses = [objective.held_out_loss(batch, generator) for batch in self.batches()]
        return torch.cat(losses).mean().item()
