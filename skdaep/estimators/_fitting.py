"""The steps of `fit`, which return the fitted attributes of an estimator. Nothing is assigned here."""

from __future__ import annotations

import contextlib
import inspect
import os
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from ..diffusion.noise import Correlation
from ..exceptions import DivergenceError, InterruptedTrainingWarning, TableError
from ..modalities import Modality, Objects, Record
from ..model import (
    CheckpointFile,
    CheckpointOfFirst,
    Model,
    Split,
    Store,
    Training,
    content_digest,
    solve_model,
    train_model,
)
from ..model.measurements import Measurements, arrays_by_field, has, records_of
from ..nn.autoencoder import Autoencoder
from ..objectives import by_modality
from ..training import Ranks, join, ranks_on, resolve_device, several
from ._advice import LEAST, LEAST_STEPS, warn_if_short, warn_of_levels
from ._callbacks import FitProgress
from ._environment import environment
from ._labels import check_labelled, targets_of
from ._split import split

if TYPE_CHECKING:
    from ._base import BaseEncoder

#: largest number of objects used for what is learned after training: distances of codes, and noise
LOOKED_AT = 1024


@dataclass
class Task:
    """The model to fit, and its data."""

    model: Model
    measurements: Measurements
    parts: Split
    groups: Any  # as given by the user
    labels: NDArray[Any] | None  # (n_objects, n_targets), standardised
    noted: dict[str, Any]  # attributes of the estimator that training does not change
    checksums: Any = None  # of a `Store`; they replace its arrays in `identity`

    def identity(self) -> tuple[Any, ...]:
        """Return everything that affects the result of the fit, except parameters and seed."""
        model, data = self.model, self.checksums or arrays_by_field(self.measurements)
        return model.modalities, model.weights, model.targets, model.head, self.labels, data, self.parts, self.groups


def learn(estimator: BaseEncoder, X, y, groups, checkpoint: CheckpointFile | None, ranks: Ranks) -> dict[str, Any]:
    """Fit to X and return the attributes of the fitted estimator; `checkpoint` may store the state."""
    _check_parameters(estimator, y)
    task = _prepared(estimator, X, y, groups, ranks.first(_seed(estimator, checkpoint)))
    if ranks.count > 1:
        ranks.check_same(content_digest([in_words(estimator), *task.identity()]))
    if checkpoint is not None:
        checkpoint.claim(task.model.seed, in_words(estimator, processes=ranks.count), *task.identity())

    def fitted_so_far(module, history) -> dict[str, Any]:
        so_far = task.model.with_weights(module)  # a copy, because training continues to change the module
        return task.noted | {"model_": so_far} | _training_attributes(history)

    training = training_of(estimator)
    if training is None:
        progress = FitProgress(estimator, 0, X, y, fitted_so_far)
        model, history = solve_model(task.model, task.measurements, task.parts)
        progress.tell(history)
    else:
        n_records = training.n_records(len(task.parts.train), ranks.count) - (checkpoint.n_records if checkpoint else 0)
        progress = FitProgress(estimator, n_records, X, y, fitted_so_far)
        places = None if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
        model, history = train_model(
            task.model, task.measurements, task.parts, training, progress, checkpoint, task.labels, places, ranks
        )
        warn_if_short(history, estimator.max_iter)
    model, history = ranks.first((_finished(estimator, model, task.measurements, task.parts), history))
    fitted = task.noted | {"model_": model.using(**settings_of(estimator))} | _training_attributes(history)
    progress.end(fitted)
    if training is None or fitted["n_iter_"] >= LEAST_STEPS:
        warn_of_levels(fitted["model_"], _objects_to_check(task))
    return fitted


def _check_parameters(estimator: BaseEncoder, y) -> None:
    """Raise ValueError for inconsistent parameters before anything is read."""
    if "n_heads" in estimator.get_params(deep=False) and estimator.model_dim % estimator.n_heads:
        raise ValueError(f"model_dim={estimator.model_dim} is not divisible by n_heads={estimator.n_heads}.")
    if y is None and _learns_labels(estimator):
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is None: with "
            f"supervised_weight={estimator.supervised_weight:g} it learns from labels. Pass some, or set it to 0."
        )


def _learns_labels(estimator: BaseEncoder) -> bool:
    return getattr(estimator, "supervised_weight", 0) > 0


def _prepared(estimator: BaseEncoder, X, y, groups, seed: int) -> Task:
    """Return the task of the fit, which holds the measurements but not the objects."""
    before = estimator.model_ if getattr(estimator, "warm_start", False) and hasattr(estimator, "model_") else None
    learned = before.modalities if before else None
    declared = estimator._declarations()
    packed = isinstance(X, Store)
    if packed:
        objects, columns, learned = X, check_store(estimator, X, learned), learned or X.modalities
    else:
        objects, columns = estimator._objects_of_fit(X, learned)
    parts = split(estimator, len(objects), groups, seed)
    modalities = learned or _learned(estimator, declared, objects)
    if getattr(estimator, "error_weighting", False):  # estimators without a decoder lack the parameter
        _check_errors(estimator, objects, modalities)
    architecture = architecture_of(estimator, declared)
    model, labels = new_model(estimator, modalities, seed), None
    if _learns_labels(estimator):
        targets, values = targets_of(y, objects)
        model = model.to_predict(targets, before)
        labels = model.targets.standardised(values)
        check_labelled(labels, parts)
    if before:
        _check_resumes(estimator, architecture)
        model = model.with_weights(before.live())
    measurements = X.measurements if packed else estimator._measurements(model, objects)
    estimator._check_split(has(measurements), parts, before is not None)
    model = estimator._prepared(model, measurements)
    noted = columns | {"_architecture": architecture, "environment_": environment(model.device)}
    return Task(model, measurements, parts, groups, labels, noted, X.checksums if packed else None)


def _objects_to_check(task: Task) -> list[dict[str, Record]]:
    """Return objects on which to test what a model explains: held-out ones and, if these are few, others."""
    validation = task.parts.validation
    inspected = validation if len(validation) >= LEAST else np.append(validation, task.parts.train)
    return records_of(task.measurements, inspected[:LOOKED_AT])


def _training_attributes(history: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the attributes that describe the training."""
    best = min(r["validation_loss"] if "validation_loss" in r else r["loss"] for r in history)
    return {"history_": history, "n_iter_": history[-1]["iteration"], "best_loss_": best}


def ranks_of(estimator: BaseEncoder) -> Ranks:
    """Return the processes that fit the estimator together, if `torchrun` started them."""
    join()
    return ranks_on(resolve_device(estimator.device))


def training_of(estimator: BaseEncoder) -> Training | None:
    """Return the training settings; None if the objective is solved in closed form."""
    if estimator.objective_class.in_closed_form:
        return None
    return Training(**{f.name: getattr(estimator, f.name) for f in fields(Training)})


@contextlib.contextmanager
def checkpoint_of(estimator: BaseEncoder, ranks: Ranks, suffix: str = "") -> Iterator[CheckpointFile | None]:
    """Yield the checkpoint, if there is one. Only the first process reads and writes the file."""
    path = getattr(estimator, "checkpoint", None)  # estimators in closed form lack the parameter
    if path is None:
        yield None
    elif ranks.rank:
        yield CheckpointOfFirst(os.fspath(path), *ranks.first(None))
    else:
        with CheckpointFile.held(os.fspath(path) + suffix, estimator.checkpoint_every) as checkpoint:
            ranks.first((checkpoint.identity, checkpoint.state, checkpoint.n_records))
            yield checkpoint


def in_words(estimator: BaseEncoder, **further: Any) -> dict[str, str]:
    """Return, as text, everything except seed and data that distinguishes one training from another."""
    import skdaep

    apart = {"checkpoint", "checkpoint_every", "random_state", "verbose"}
    found = {k: v for k, v in estimator.get_params(deep=False).items() if k not in apart}
    device = resolve_device(estimator.device)
    found |= {"device": device.type if several() else str(device)} | further  # each process may have its own device
    words = {k: re.sub(r" at 0x\w+", "", repr(v)) for k, v in found.items()}  # without addresses in memory
    return {"estimator": type(estimator).__name__, "skdaep": skdaep.__version__} | words


def _seed(estimator: BaseEncoder, checkpoint: CheckpointFile | None) -> int:
    """Return the seed of a fit. If any seed will do, use that of the fit to continue."""
    if estimator.random_state is None and checkpoint is not None and checkpoint.seed is not None:
        return checkpoint.seed
    return int(check_random_state(estimator.random_state).randint(2**31 - 1))


def new_model(estimator: BaseEncoder, modalities: dict[str, Modality], seed: int) -> Model:
    """Return an untrained model with the parameters of an estimator."""
    return estimator.model_class(
        modalities=modalities,
        objective=estimator.objective_class,
        networks=estimator._networks(),
        options=_options(estimator, modalities),
        seed=seed,
        correlation={name: Correlation() for name in modalities},  # white noise until the correlation is learned
    ).using(**settings_of(estimator))


def settings_of(estimator: BaseEncoder) -> dict[str, Any]:
    """Return the parameters that can be changed after the fit."""
    names = estimator.objective_class.decoding_options.union(estimator.model_class.settings)
    settings = {k: v for k, v in estimator.get_params(deep=False).items() if k in names}
    return settings | {"device": str(resolve_device(estimator.device))}


def architecture_of(estimator: BaseEncoder, declared: dict[str, Modality]) -> dict[str, Any]:
    """Return the modalities and the parameters on which the weights depend."""
    objective = estimator.objective_class
    names = objective.options() - objective.decoding_options - objective.training_options
    names |= network_parameters(estimator)
    return {k: v for k, v in estimator._told().items() if k in names} | {"modalities": declared}


def network_parameters(estimator: BaseEncoder) -> frozenset[str]:
    """Return the names of the parameters that are passed to the networks."""
    keywords = inspect.signature(Autoencoder).parameters.values()
    return frozenset(p.name for p in keywords if p.kind is p.KEYWORD_ONLY) & estimator.get_params(deep=False).keys()


def _options(estimator: BaseEncoder, modalities: dict[str, Modality]) -> dict[str, Any]:
    """Return the arguments of the objective: parameters of the same names, and derived ones."""
    names = estimator.objective_class.options()
    options = {k: v for k, v in estimator._told().items() if k in names}
    if estimator.objective_class.has_decoder and "n_queries" in names:
        options["n_queries"] = None if estimator.max_points is None else max(32, estimator.max_points // 4)
    if "hide" in names:
        options["hide"] = by_modality(estimator.hide, modalities)
    if "typical_errors" in names and getattr(estimator, "error_weighting", False):
        errors = {k: m.typical_error() for k, m in modalities.items()}
        options["typical_errors"] = {k: error for k, error in errors.items() if error is not None}
    return options


def _learned(estimator: BaseEncoder, declared: dict[str, Modality], objects: Objects) -> dict[str, Modality]:
    """Return modalities that have learned from the objects."""
    return {name: modality.learn(*_objects_with(estimator, name, objects)) for name, modality in declared.items()}


def _check_errors(estimator: BaseEncoder, objects: Objects | Store, modalities: dict[str, Modality]) -> None:
    """Raise TableError if only some objects have errors."""
    if isinstance(objects, Store):
        for reason in objects.without_errors.values():
            raise TableError(reason)
        return
    for name, modality in modalities.items():
        modality.check_errors(*_objects_with(estimator, name, objects))


def check_store(estimator: BaseEncoder, store: Store, learned: dict[str, Modality] | None) -> dict[str, Any]:
    """Return scikit-learn's attributes for the columns of a store; TableError if it does not suit the estimator."""
    names, wanted = list(store.modalities), list(learned or estimator._declarations())
    if names != wanted:
        raise TableError(f"{store} holds {', '.join(names)}, but {type(estimator).__name__} needs {', '.join(wanted)}.")
    if learned is not None and learned != store.modalities:
        raise TableError(
            f"{store} was packed with other columns, bands or scalings than those of fit; pack the objects with "
            f"modality=encoder.modalities_{'' if len(names) > 1 else f'[{names[0]!r}]'}."
        )
    if learned is None and getattr(estimator, estimator._measured) is not None:
        for name, declared in estimator._declarations().items():
            if declared not in (store.declared[name], store.modalities[name]):
                raise TableError(f"{store} was packed with {store.declared[name]}, but fit has {declared}.")
    rows = [m for m in store.modalities.values() if m.takes_rows and m.learned.arrays]
    return {"n_features_in_": len(rows[0].grid())} if rows else {}


def _objects_with(estimator: BaseEncoder, name: str, objects: Objects) -> tuple[Sequence, Sequence[str]]:
    """Return a modality of the objects that have it, and their names in errors."""
    having, own = objects.having(name)
    return own, _Names(lambda i: estimator._name_in_errors("X", i, name), having)


class _Names(Sequence):
    """Names of objects in errors, which are only formatted when needed."""

    def __init__(self, name_of: Callable[[int], str], which: np.ndarray):
        self.name_of, self.which = name_of, which

    def __len__(self):
        return len(self.which)

    def __getitem__(self, i):
        return _Names(self.name_of, self.which[i]) if isinstance(i, slice) else self.name_of(int(self.which[i]))


def _check_resumes(estimator: BaseEncoder, architecture: dict[str, Any]) -> None:
    """Raise ValueError if the weights of the previous fit belong to other networks."""
    # A parameter that did not exist at the previous fit had its default value.
    defaults = {k: p.default for k, p in inspect.signature(type(estimator)).parameters.items()}
    for name, value in architecture.items():
        if value != (was := (defaults | estimator._architecture)[name]):
            raise ValueError(
                f"warm_start=True cannot continue: {name} was {was!r} in the previous fit and is {value!r} now. "
                "Restore it or set warm_start=False."
            )


def _finished(estimator: BaseEncoder, model: Model, measurements: Measurements, parts: Split) -> Model:
    """Return the trained model with everything that is learned after training."""
    held_out = parts.validation if len(parts.validation) else parts.train
    try:
        if getattr(estimator, "isometric", False):  # not every estimator has this parameter
            inspected = np.random.default_rng(model.seed).permutation(parts.train)[:LOOKED_AT]
            model = model.isometric(records_of(measurements, inspected))
        return model.with_noise(records_of(measurements, held_out[:LOOKED_AT]))
    except DivergenceError as error:
        raise DivergenceError(held_out[error.names].tolist()) from None
    except KeyboardInterrupt:
        warnings.warn(
            "Interrupted after training; the model is kept, but draws will have white noise, and codes may not be "
            "isometric.",
            InterruptedTrainingWarning,
            stacklevel=6,
        )
        return model
