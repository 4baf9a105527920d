"""From records to a trained objective: validation split, batches, validation at fixed noise."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit
from sklearn.utils.validation import check_consistent_length, column_or_1d

from ..modalities import Modality
from ..nn.batch import Batch, Ragged
from ..training import autocast, generator_of, resolve_precision, token_batches, train
from ._decoding import collate

#: a record of training is an epoch, but at least so many steps
STEPS_PER_RECORD = 50


@dataclass(frozen=True)
class Split:
    """Indices of training and validation objects, the seed of everything random, and the length of a record."""

    train: np.ndarray
    validation: np.ndarray
    seed: int
    steps_per_record: int
    n_records: int

    @classmethod
    def of(cls, estimator, n_objects: int, groups, random_state: np.random.RandomState) -> Split:
        """Split objects, whole groups if there are any, by the estimator's parameters."""
        seed = int(random_state.randint(2**31 - 1))
        train_index, validation = np.arange(n_objects), np.arange(0)
        if groups is not None:
            groups = column_or_1d(groups, dtype=None)
            for i, group in enumerate(groups):
                if group is None or group != group:
                    raise ValueError(f"groups[{i}] is {group}; every object needs a group.")
            check_consistent_length(train_index, groups)
        if estimator.early_stopping:
            n_units = n_objects if groups is None else len(np.unique(groups))
            if n_units < 2:
                raise ValueError(
                    f"A validation set cannot be split off {n_units} {'object' if groups is None else 'group'} "
                    f"(n_samples={n_objects}); at least 2 are needed. Set early_stopping=False."
                )
            splitter = ShuffleSplit if groups is None else GroupShuffleSplit
            split = splitter(1, test_size=estimator.validation_fraction, random_state=seed)
            try:
                train_index, validation = next(split.split(train_index, groups=groups))
            except ValueError as error:
                raise ValueError(
                    f"validation_fraction={estimator.validation_fraction} leaves no objects to train on "
                    f"(n_samples={n_objects}). Lower it or set early_stopping=False."
                ) from error
        per_epoch = math.ceil(len(train_index) / estimator.batch_size)
        steps = min(max(STEPS_PER_RECORD, per_epoch), estimator.max_iter)
        return cls(train_index, validation, seed, steps, math.ceil(estimator.max_iter / steps))


def fit_objective(estimator, objective, modalities: dict[str, Modality], records, split: Split, device, progress):
    """Train an objective in place by the estimator's parameters and return the history."""
    dtype = resolve_precision(estimator.precision, device, training=True)
    stores = collate(modalities, [records[i] for i in split.train], device)
    objective.to(device)
    validation = None
    if len(split.validation):
        held_out = collate(modalities, [records[i] for i in split.validation], device)
        validation = Validation(held_out, estimator, split.seed + 1, device, dtype)
    return train(
        objective,
        Batches(modalities, stores, split.train, estimator, split.seed, device),
        max_iter=int(estimator.max_iter),
        generator=generator_of(split.seed, device),
        steps_per_record=split.steps_per_record,
        validation=validation,
        n_iter_no_change=estimator.n_iter_no_change,
        solver=estimator.solver,
        learning_rate_init=estimator.learning_rate_init,
        weight_decay=estimator.weight_decay,
        precision=lambda: autocast(device, dtype),
        on_epoch_end=progress,
    )


def _lengths(stores: dict[str, Ragged], max_points: int | None) -> np.ndarray:
    """Return how many points each object shows in a step, of all its modalities together."""
    lengths = [store.lengths.cpu().numpy() for store in stores.values()]
    return sum(n if max_points is None else n.clip(max=max_points) for n in lengths)


def _budget(lengths: np.ndarray, batch_size: int) -> float:
    """Tokens in a batch: batch_size objects of median length, padding included."""
    return batch_size * float(np.median(lengths))


class Batches:
    """Endless epochs of training batches, each a new shuffle and new random subsets of points."""

    def __init__(self, modalities: dict[str, Modality], stores: dict[str, Ragged], names, estimator, seed: int, device):
        self.modalities, self.stores, self.names, self.device = modalities, stores, names, device
        self.max_points = estimator.max_points
        self.lengths = _lengths(stores, self.max_points)
        self.budget = _budget(self.lengths, estimator.batch_size)
        self.rng = np.random.default_rng([seed, 1])
        self.generator = generator_of(seed + 2, device)

    def __iter__(self) -> Iterator[tuple[dict, list[int]]]:
        while True:
            for index in token_batches(self.lengths, self.budget, self.rng):
                on_device = torch.from_numpy(index).to(self.device)
                yield {k: self._batch(k, on_device) for k in self.stores}, self.names[index].tolist()

    def _batch(self, name: str, index: torch.Tensor) -> Batch:
        batch = self.stores[name].subset(index, self.max_points, self.generator)
        return self.modalities[name].augment(batch, self.generator)


class Validation:
    """The loss of held-out objects on the same points, at the same times and with the same noise every time."""

    def __init__(self, stores: dict[str, Ragged], estimator, seed: int, device, dtype):
        self.seed, self.device, self.dtype = seed, device, dtype
        lengths = _lengths(stores, estimator.max_points)
        generator = generator_of(seed, device)
        self.batches = []
        for rows in token_batches(lengths, 4 * _budget(lengths, estimator.batch_size), None):
            index = torch.from_numpy(rows).to(device)
            self.batches.append({k: s.subset(index, estimator.max_points, generator) for k, s in stores.items()})

    def __call__(self, objective) -> float:
        generator = generator_of(self.seed, self.device)
        with torch.inference_mode(), autocast(self.device, self.dtype):
            losses = [objective.loss(batch, generator)["loss"] for batch in self.batches]
        return torch.cat(losses).mean().item()
