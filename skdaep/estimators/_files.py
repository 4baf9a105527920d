"""Estimators in files: parameters and fitted attributes as JSON, in addition to the model."""

from __future__ import annotations

import inspect
import re
import warnings
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from ..exceptions import CorruptModelError, DeviceError
from ..modalities import Modality
from ..model import Model, checks, export, files
from ..model.hints import check
from ..model.state import from_json, of_another_name, to_json
from ..training import undisturbed
from ._fitting import architecture_of, new_model

#: attributes set by `fit` that a file stores in addition to the model, and their types
RECORDS = list[dict[str, float | str | bool | None]]
NOTED = {
    **{"history_": RECORDS, "n_iter_": int, "best_loss_": float, "prior_history_": RECORDS, "n_features_in_": int},
    **{"feature_names_in_": np.ndarray, "environment_": dict[str, str | int | None], "_architecture": dict[str, Any]},
    "_sklearn_output_config": dict[str, Literal["default", "pandas", "polars"]],
}
NEEDED = {"history_", "n_iter_", "best_loss_", "_architecture"}
#: old name of a parameter -> new name
RENAMED = {"contrastive_weight": "alignment_weight"}
#: values of parameters in files that are older than the parameter, if they differ from today's default
OLDER: dict[str, Any] = {"core": None, "isometric": False}
#: format -> parts of a description
PARTS = {1: {"class", "parameters", "fitted"}, 2: {"class", "parameters", "fitted", "model"}}


def save(estimator, path, registry: dict[str, type], key: str | bytes | None) -> None:
    """Write a fitted estimator to a file."""
    kind = type(estimator)
    if registry.get(kind.__name__) is not kind:
        raise TypeError(f"save cannot write {kind.__name__}{of_another_name(registry, kind)}; use pickle.")
    noted = {k: v for k, v in vars(estimator).items() if k in NOTED}
    parameters = estimator.get_params(deep=False)
    arrays, model = estimator.model_.state()
    description = {"class": kind.__name__, "parameters": to_json(parameters), "fitted": to_json(noted), "model": model}
    _check(estimator)  # do not write what `load` would refuse
    files.write(path, arrays, description, key)


def export_onnx(estimator, model: Model, path) -> None:
    """Write the encoder of a fitted estimator as an ONNX graph."""
    import skdaep

    about = {"skdaep": skdaep.__version__, "estimator": type(estimator).__name__}
    export.write(path, model, about | {"output": estimator.get_feature_names_out().tolist()})


@undisturbed()
def load(path, *, device=None, key=None):
    """Read an estimator written by its ``save``; nothing in the file is ever executed.

    Checksums detect damage but not forgery. A forged file can give wrong numbers, but it can neither run code nor take
    more memory than its size justifies. A `key` verifies who wrote the file.

    Parameters
    ----------
    path : str or Path
        The file.
    device : str, default=None
        Device to use instead of the estimator's own, for a model that was trained on another machine.
    key : str or bytes, default=None
        The secret given to ``save``. A file that was not signed with it is refused before anything else is read.

    Returns
    -------
    estimator : estimator
        As it was when saved.

    Raises
    ------
    CorruptModelError
        If the file is damaged, incomplete, inconsistent, of another format, or not signed with `key`. The message says
        where.
    DeviceError
        If the model's device does not exist on this machine.
    """
    version, arrays, content = files.read(path, key)
    try:
        if content.keys() != PARTS[version]:
            raise ValueError(f"its parts are {', '.join(sorted(content))}")
        estimator = _estimator(path, content, device)
        estimator._set_fitted(_fitted(estimator, version, arrays, content))
        _check(estimator)
        checks.trial(estimator._ready())  # fails now rather than later if the model cannot run
    except (CorruptModelError, DeviceError):
        raise
    except Exception as error:  # a forged file can fail in any way
        raise CorruptModelError(f"{path} does not describe a valid model: {error!r}") from error
    return estimator


def _check(estimator) -> None:
    """Raise ValueError or TypeError if parameters, fitted attributes and model are inconsistent."""
    with warnings.catch_warnings(action="ignore"):  # `fit` has already given these warnings
        estimator._validate_params()
    model = estimator.model_
    if type(model) is not estimator.model_class or model.objective is not estimator.objective_class:
        raise ValueError(f"{type(model).__name__} of {model.objective.__name__} in {type(estimator).__name__}")
    if model.modalities.keys() != estimator._declarations().keys():
        raise ValueError(f"modalities {list(model.modalities)}, declared {list(estimator._declarations())}")
    if unknown := model.networks.keys() - estimator._networks().keys():
        raise ValueError(f"networks with {', '.join(sorted(unknown))}")
    checks.check(model)
    noted = {k: v for k, v in vars(estimator).items() if k in NOTED}
    for name, value in noted.items():
        check(value, NOTED[name], name)
    check(noted["_architecture"]["modalities"], dict[str, Modality], "_architecture['modalities']")
    # The rows of an array have as many columns as the grid has points.
    columns = {len(m.grid()) for m in model.modalities.values() if m.takes_rows and m.learned.arrays}
    stated = {noted[k] for k in ["n_features_in_"] if k in noted}
    names = {noted[k].shape for k in ["feature_names_in_"] if k in noted}
    if stated != columns or not names <= {(n,) for n in columns}:
        raise ValueError(f"it was fitted to {columns or 'no'} columns, but notes {noted.get('n_features_in_')}")


def _estimator(path, content: dict[str, Any], device: str | None):
    """Return the unfitted estimator with its parameters."""
    import skdaep

    from ._base import ESTIMATORS

    name = content["class"]
    for own in (*skdaep.ESTIMATORS, *skdaep.MULTIMODAL, *skdaep.CLOSED_FORM):
        getattr(skdaep, own)  # imports it, which adds it to the registry
    if name not in ESTIMATORS:
        raise CorruptModelError(f"{path}: unknown estimator {name!r}; import the module that defines it.")
    kind = ESTIMATORS[name]
    older = {k: v for k, v in OLDER.items() if k in inspect.signature(kind).parameters}
    estimator = kind(**older | _renamed(from_json(content["parameters"])))
    return estimator if device is None else estimator.set_params(device=device)


def _renamed(values: dict[str, Any]) -> dict[str, Any]:
    """Return parameters with their current names."""
    return {RENAMED[k] if k in RENAMED and v != "deprecated" else k: v for k, v in values.items()}


def _fitted(estimator, version: int, arrays: dict[str, np.ndarray], content: dict[str, Any]) -> dict[str, Any]:
    """Return the fitted attributes by name."""
    noted = from_json(content["fitted"])
    noted["_architecture"] = architecture_of(estimator, {}) | noted["_architecture"]  # adds newer parameters
    if version == 1:
        return _fitted_of_format_1(estimator, arrays, noted)
    if unknown := noted.keys() - NOTED.keys():
        raise ValueError(f"it notes {', '.join(sorted(unknown))}")
    if missing := NEEDED - noted.keys():
        raise ValueError(f"it lacks {', '.join(sorted(missing))}")
    options = {"dict": _renamed(content["model"]["options"]["dict"])}
    return noted | {"model_": Model.from_state(arrays, content["model"] | {"options": options})}


def _fitted_of_format_1(estimator, arrays: dict[str, np.ndarray], noted: dict[str, Any]) -> dict[str, Any]:
    """Return the fitted attributes from a file of format 1, in which estimator and model were one."""
    now = estimator.get_params(deep=False)
    parameters = {k: v for k, v in noted["_architecture"].items() if k in now}
    model = new_model(type(estimator)(**now | parameters), noted["modalities_"], noted["_seed"])
    prior = {k.removeprefix("prior."): v for k, v in arrays.items() if k.startswith("prior.")}
    table = {k.removeprefix("stored."): v for k, v in arrays.items() if k.startswith("stored.")}
    weights = {k: v for k, v in arrays.items() if not k.startswith(("prior.", "stored."))}
    changes = {"weights": weights, "prior": prior or None, "correlation": noted["noise_correlation_"]}
    if table:
        changes["table"] = {re.sub(r"^seen\.", "observed.", k): v for k, v in table.items()}
    return {k: v for k, v in noted.items() if k in NOTED} | {"model_": replace(model, **changes)}
