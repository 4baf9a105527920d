"""What `fit` does: from an estimator's parameters and objects to what it then holds. Nothing is assigned here."""

from __future__ import annotations

import inspect
import os
import re
import warnings
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from sklearn.utils import check_random_state

from ..diffusion.noise import Correlation
from ..exceptions import InterruptedTrainingWarning
from ..modalities import Modality, Record
from ..model import CheckpointFile, Model, Training, solve_model, train_model
from ..nn.autoencoder import Autoencoder
from ..objectives import by_modality
from ..training import resolve_device
from ._callbacks import FitProgress
from ._environment import environment
from ._split import split

if TYPE_CHECKING:
    from ._base import BaseEncoder


def learn(estimator: BaseEncoder, X, y, groups) -> dict[str, Any]:
    """Return the attributes of an estimator that was fitted to X."""
    if "n_heads" in estimator.get_params(deep=False) and estimator.model_dim % estimator.n_heads:
        raise ValueError(f"model_dim={estimator.model_dim} is not divisible by n_heads={estimator.n_heads}.")
    resolve_device(estimator.device)  # an unknown one is refused before anything is read
    before = estimator.model_ if getattr(estimator, "warm_start", False) and hasattr(estimator, "model_") else None
    declared = estimator._declarations()
    objects, columns = estimator._objects_of_fit(X, before.modalities if before else None)
    checkpoint = checkpoint_of(estimator)
    seed = _seed(estimator, checkpoint)
    parts = split(estimator, len(objects), groups, seed)
    modalities = before.modalities if before else _learned(estimator, declared, objects)
    if getattr(estimator, "error_weighting", False):  # not where nothing is decoded
        _check_errors(estimator, objects, modalities)
    architecture = architecture_of(estimator, declared)
    model = new_model(estimator, modalities, seed)
    if before:
        _check_resumes(estimator, architecture)
        model = model.with_weights(before.live())
    records = model.read(objects, lambda i, name: estimator._name_in_errors("X", i, name))
    estimator._check_split(objects, parts, before is not None)
    model = estimator._prepared(model, records)
    n_done = 0
    if checkpoint is not None:
        checkpoint.claim(seed, in_words(estimator), model.modalities, model.weights, records, parts)
        n_done = checkpoint.n_records

    noted = columns | {"_architecture": architecture, "environment_": environment(model.device)}

    def fitted_so_far(module, history) -> dict[str, Any]:
        so_far = model.with_weights(module)  # a copy: training goes on changing that module
        return noted | {"model_": so_far} | _told_by(history)

    if estimator.objective_class.in_closed_form:
        progress = FitProgress(estimator, 0, X, y, fitted_so_far)
        model, history = solve_model(model, records, parts)
        progress.tell(history)
    else:
        training = Training(**{f.name: getattr(estimator, f.name) for f in fields(Training)})
        progress = FitProgress(estimator, training.n_records(len(parts.train)) - n_done, X, y, fitted_so_far)
        model, history = train_model(model, records, parts, training, progress, checkpoint)
    held_out = parts.validation if len(parts.validation) else parts.train
    fitted = noted | {"model_": _with_correlation(model, [records[i] for i in held_out])} | _told_by(history)
    progress.end(fitted)
    if checkpoint is not None:
        checkpoint.remove()
    return fitted


def _told_by(history: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what an estimator tells of its training."""
    best = min(r["validation_loss"] if "validation_loss" in r else r["loss"] for r in history)
    return {"history_": history, "n_iter_": history[-1]["iteration"], "best_loss_": best}


def checkpoint_of(estimator: BaseEncoder, suffix: str = "") -> CheckpointFile | None:
    """Return where the state of training is kept, if anywhere."""
    path = getattr(estimator, "checkpoint", None)  # not where nothing is trained
    return None if path is None else CheckpointFile(os.fspath(path) + suffix, estimator.checkpoint_every)


def in_words(estimator: BaseEncoder, **further: Any) -> dict[str, str]:
    """Return what makes a training another one, all but seed and data."""
    import skdaep

    apart = {"checkpoint", "checkpoint_every", "random_state", "verbose"}
    found = {k: v for k, v in estimator.get_params(deep=False).items() if k not in apart}
    found |= {"device": str(resolve_device(estimator.device))} | further
    words = {k: re.sub(r" at 0x\w+", "", repr(v)) for k, v in found.items()}  # of functions: not where they lie
    return {"estimator": type(estimator).__name__, "skdaep": skdaep.__version__} | words


def _seed(estimator: BaseEncoder, checkpoint: CheckpointFile | None) -> int:
    """Return the seed of a fit; where any would do, that of the fit to go on with."""
    if estimator.random_state is None and checkpoint is not None and checkpoint.seed is not None:
        return checkpoint.seed
    return int(check_random_state(estimator.random_state).randint(2**31 - 1))


def new_model(estimator: BaseEncoder, modalities: dict[str, Modality], seed: int) -> Model:
    """Return an untrained model of an estimator's parameters."""
    return estimator.model_class(
        modalities=modalities,
        objective=estimator.objective_class,
        networks=estimator._networks(),
        options=_options(estimator, modalities),
        seed=seed,
        correlation={name: Correlation() for name in modalities},  # white until it is learned
    ).using(**settings_of(estimator))


def settings_of(estimator: BaseEncoder) -> dict[str, Any]:
    """Return the parameters that apply to a fitted model at once."""
    names = estimator.objective_class.decoding_options.union(estimator.model_class.settings)
    settings = {k: v for k, v in estimator.get_params(deep=False).items() if k in names}
    return settings | {"device": str(resolve_device(estimator.device))}


def architecture_of(estimator: BaseEncoder, declared: dict[str, Modality]) -> dict[str, Any]:
    """Return the parameters on which weights depend, and the modalities."""
    objective = estimator.objective_class
    names = objective.options() - objective.decoding_options - objective.training_options
    names |= network_parameters(estimator)
    return {k: v for k, v in estimator.get_params(deep=False).items() if k in names} | {"modalities": declared}


def network_parameters(estimator: BaseEncoder) -> frozenset[str]:
    """Return the names of the parameters that are keywords of the networks."""
    keywords = inspect.signature(Autoencoder).parameters.values()
    return frozenset(p.name for p in keywords if p.kind is p.KEYWORD_ONLY) & estimator.get_params(deep=False).keys()


def _options(estimator: BaseEncoder, modalities: dict[str, Modality]) -> dict[str, Any]:
    """Return the arguments of the objective: parameters of the same names, and what follows from others."""
    names = estimator.objective_class.options()
    options = {k: v for k, v in estimator.get_params(deep=False).items() if k in names}
    if estimator.objective_class.has_decoder and "n_queries" in names:
        options["n_queries"] = None if estimator.max_points is None else max(32, estimator.max_points // 4)
    if "hide" in names:
        options["hide"] = by_modality(estimator.hide, modalities)
    if "typical_errors" in names and getattr(estimator, "error_weighting", False):
        errors = {k: m.typical_error() for k, m in modalities.items()}
        options["typical_errors"] = {k: error for k, error in errors.items() if error is not None}
    return options


def _learned(estimator: BaseEncoder, declared: dict[str, Modality], objects: list[dict]) -> dict[str, Modality]:
    """Return the modalities completed with what the objects show."""
    return {name: modality.learn(*_having(estimator, name, objects)) for name, modality in declared.items()}


def _check_errors(estimator: BaseEncoder, objects: list[dict], modalities: dict[str, Modality]) -> None:
    """Raise TableError if some objects lack the errors that others have."""
    for name, modality in modalities.items():
        modality.check_errors(*_having(estimator, name, objects))


def _having(estimator: BaseEncoder, name: str, objects: list[dict]) -> tuple[list, list[str]]:
    """Return a modality of the objects that have it, and what each is called in errors."""
    having = [i for i, o in enumerate(objects) if name in o]
    return [objects[i][name] for i in having], [estimator._name_in_errors("X", i, name) for i in having]


def _check_resumes(estimator: BaseEncoder, architecture: dict[str, Any]) -> None:
    """Raise ValueError if the weights of the fit before are those of other networks."""
    # A parameter that is younger than the fit had its default there.
    defaults = {k: p.default for k, p in inspect.signature(type(estimator)).parameters.items()}
    for name, value in architecture.items():
        if value != (was := (defaults | estimator._architecture)[name]):
            raise ValueError(
                f"warm_start=True cannot continue: {name} was {was!r} in the fit before and is {value!r} now. "
                "Restore it or set warm_start=False."
            )


def _with_correlation(model: Model, held_out: list[dict[str, Record]]) -> Model:
    try:
        return model.with_correlation(held_out)
    except KeyboardInterrupt:
        warnings.warn(
            "Interrupted after training; the model is kept, but draws will have white noise.",
            InterruptedTrainingWarning,
            stacklevel=6,
        )
        return model
