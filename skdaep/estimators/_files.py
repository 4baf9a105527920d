"""Estimators in files: parameters and what `fit` noted as JSON, beside the model."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np

from ..exceptions import CorruptModelError, DeviceError
from ..model import Model, files
from ..model.state import from_json, of_another_name, to_json
from ._fitting import architecture_of, new_model

#: what `fit` notes that a file keeps; the model has all else
NOTED = (
    *("history_", "n_iter_", "best_loss_", "prior_history_", "n_features_in_", "feature_names_in_"),
    *("_architecture", "_sklearn_output_config"),
)


def save(estimator, path, registry: dict[str, type]) -> None:
    """Write a fitted estimator to a file."""
    kind = type(estimator)
    if registry.get(kind.__name__) is not kind:
        raise TypeError(f"save cannot write {kind.__name__}{of_another_name(registry, kind)}; use pickle.")
    arrays, model = estimator.model_.state()
    noted = {k: v for k, v in vars(estimator).items() if k in NOTED}
    parameters = estimator.get_params(deep=False)
    description = {"class": kind.__name__, "parameters": to_json(parameters), "fitted": to_json(noted), "model": model}
    files.write(path, arrays, description)


def load(path, *, device=None):
    """Read an estimator written by its ``save``; nothing in the file is ever executed.

    Parameters
    ----------
    path : str or Path
        The file.
    device : str, default=None
        Replaces the estimator's parameter `device`, for a model trained where there was another one.

    Returns
    -------
    estimator : estimator
        As it was when saved.

    Raises
    ------
    CorruptModelError
        If the file is damaged, incomplete or of another format; the message says where.
    DeviceError
        If the model's device does not exist on this machine.
    """
    version, arrays, content = files.read(path)
    try:
        estimator = _estimator(path, content, device)
        estimator._become(_fitted(estimator, version, arrays, content))
        estimator._ready().live()  # a model that cannot be built is found out now
    except (CorruptModelError, DeviceError):
        raise
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise CorruptModelError(f"{path} describes no model that can be built: {error!r}") from error
    return estimator


def _estimator(path, content: dict[str, Any], device: str | None):
    """Return the estimator with its parameters, not fitted yet."""
    import skdaep

    from ._base import ESTIMATORS

    name = content["class"]
    for own in (*skdaep.ESTIMATORS, *skdaep.MULTIMODAL, *skdaep.CLOSED_FORM):
        getattr(skdaep, own)  # which enters it in the registry
    if name not in ESTIMATORS:
        raise CorruptModelError(f"{path}: unknown estimator {name!r}; import the module that defines it.")
    estimator = ESTIMATORS[name](**from_json(content["parameters"]))
    return estimator if device is None else estimator.set_params(device=device)


def _fitted(estimator, version: int, arrays: dict[str, np.ndarray], content: dict[str, Any]) -> dict[str, Any]:
    """Return what was fitted, by the name of the attribute."""
    noted = from_json(content["fitted"])
    noted["_architecture"] = architecture_of(estimator, {}) | noted["_architecture"]  # parameters newer than the file
    if version == 1:
        return _fitted_of_format_1(estimator, arrays, noted)
    return noted | {"model_": Model.from_state(arrays, content["model"])}


def _fitted_of_format_1(estimator, arrays: dict[str, np.ndarray], noted: dict[str, Any]) -> dict[str, Any]:
    """Return the same of a file in which the estimator was the model."""
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
