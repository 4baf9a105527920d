"""Check a model from a file: compare its numbers with its tensors before memory is allocated for them.

`check` compares descriptions and shapes, which costs nothing. `trial` then runs the model at the first points of its
own grid.
"""

from __future__ import annotations

import inspect
from numbers import Integral
from typing import TYPE_CHECKING, Any, get_type_hints

import numpy as np
import torch

from ..diffusion.noise import Correlation
from ..diffusion.samplers import MOST_EVALUATIONS
from ..modalities import Modality, Record
from ..nn.autoencoder import Autoencoder
from ..nn.batch import POINTS
from . import prior
from .hints import check as check_hint

if TYPE_CHECKING:
    from .model import Arrays, Model

#: Upper limits that protect against forged files, where no tensor shows the number: layers that share weights, turns
#: of noise on a circle, and options.
MOST_LAYERS, MOST_TURNS, MOST = 1_000, 1_000_000, {"n_sampling_steps": MOST_EVALUATIONS}
#: fewest tensors of a layer that does not share its weights
TENSORS_PER_LAYER = 2
#: number of points at which a model is tried
N_TRIED = 8


def check(model: Model) -> None:
    """Raise ValueError, TypeError or KeyError if the parts of a model are inconsistent."""
    check_hint(model, type(model), "the model")
    if not model.modalities or not 0 <= model.seed < 2**63:
        raise ValueError(f"{len(model.modalities)} modalities, seed {model.seed}")
    _check_networks(model)
    _check_options(model)
    state = {name: torch.from_numpy(array) for name, array in model.weights.items()}
    expected = model.objective.expected_state(model.plan(), state)
    _check_state(model.weights, expected, "weights")
    _check_prior(model)
    if model.isometry is not None:
        _check_isometry(model.isometry, int(np.prod(model.bottleneck_shape)))
    _check_head(model)
    for name, correlation in (*model.correlation.items(), *model.object_correlation.items()):
        _check_correlation(correlation, model.modalities[name])
    for name, scatter in (*model.scatter.items(), *model.object_scatter.items()):
        if scatter.is_known and not model.modalities[name].geometry.separations:
            raise ValueError(f"{scatter}, but the decoder has no spread")
    model.check_own()


def _check_networks(model: Model) -> None:
    """Check the arguments of the networks against their types and against the tensors."""
    hints, networks = get_type_hints(Autoencoder.__init__), model.shapes()
    most = sum(array.size for array in model.weights.values())
    layers = min(MOST_LAYERS, most) if networks.get("share_weights") else _most_layers(model)
    for name, value in networks.items():
        check_hint(value, hints[name], f"networks[{name!r}]")
        limit = layers if name.endswith("_layers") else most
        for number in value.values() if isinstance(value, dict) else [value]:
            if isinstance(number, Integral) and not isinstance(number, bool) and not 1 <= int(number) <= limit:
                raise ValueError(f"networks[{name!r}] is {value!r}, but the tensors hold {most} numbers")
    if "n_heads" in networks and networks["model_dim"] % networks["n_heads"]:
        raise ValueError(f"{networks['n_heads']} heads of {networks['model_dim']} numbers")


def _most_layers(model: Model) -> int:
    """Return the largest number of layers that the tensors can belong to, if no two layers share tensors."""
    return min(MOST_LAYERS, len(model.weights) // TENSORS_PER_LAYER)


def _check_options(model: Model) -> None:
    """Check the types of the objective's arguments."""
    if unknown := model.options.keys() ^ model.objective.options() & model.options.keys():
        raise ValueError(f"options {sorted(unknown)} are unknown")
    hints: dict[str, Any] = {}
    for base in reversed(model.objective.__mro__):
        if inspect.isfunction(vars(base).get("__init__")):
            hints |= get_type_hints(vars(base)["__init__"])
    for name, value in model.options.items():
        check_hint(value, hints.get(name, Any), f"options[{name!r}]")
        most = _most_layers(model) if name.endswith("_layers") else MOST.get(name, 2**31)
        if isinstance(value, int) and not 0 <= value <= most:
            raise ValueError(f"options[{name!r}] is {value}")


def _check_state(arrays: Arrays, expected: dict[str, torch.Tensor], part: str) -> None:
    """Check that arrays have the names, shapes and types of the given tensors, and finite numbers."""
    if arrays.keys() != expected.keys():
        odd = sorted(arrays.keys() ^ expected.keys())
        raise ValueError(f"{part}: {odd[0]!r} and {len(odd) - 1} others are missing or unknown")
    for name, tensor in expected.items():
        array = arrays[name]
        if array.shape != tuple(tensor.shape) or torch.from_numpy(array).dtype != tensor.dtype:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise ValueError(
                f"{part}[{name!r}] is {array.dtype}{array.shape}, but the model needs {kind}{tuple(tensor.shape)}"
            )
        if not np.isfinite(array).all() and not name.endswith(".typical_error"):
            raise ValueError(f"{part}[{name!r}] is not finite")


def _check_prior(model: Model) -> None:
    if model.prior_targets is not None:
        model.prior_targets.check()
        if model.prior is None:
            raise ValueError("labels of a prior that does not exist")
    if model.prior is not None:
        sizes = prior.sizes_of(model.modalities, model.prior_targets, model.prior)
        expected = prior.expected_state(int(np.prod(model.bottleneck_shape)), sizes)
        _check_state(model.prior, expected, "prior")


def _check_isometry(isometry: Arrays, size: int) -> None:
    """Check the shapes of the map of codes and its inverse, and that they are inverse to each other."""
    with torch.device("meta"):
        expected = dict.fromkeys(("forward", "back"), torch.empty(size, size, dtype=torch.float64))
    _check_state(isometry, expected, "isometry")
    if not np.allclose(isometry["forward"] @ isometry["back"], np.eye(size), atol=1e-6):
        raise ValueError("the maps of codes are not inverse to each other")


def _check_head(model: Model) -> None:
    if (model.targets is None) != (model.head is None):
        raise ValueError("targets without a head, or a head without targets")
    if model.targets is not None and model.head is not None:
        model.targets.check()
        _check_state(model.head, model.targets.expected_state(int(np.prod(model.bottleneck_shape))), "head")


def _check_correlation(correlation: Correlation, modality: Modality) -> None:
    if not correlation.scales:
        return
    here = modality.separations()
    if correlation.n_bands != here.n_bands or correlation.by_axis.shape[1] != len(here.longest):
        raise ValueError(f"{correlation} in {here.n_bands} bands along {len(here.longest)} axes")
    if correlation.cycle != here.cycle or (here.cycle or 0) > MOST_TURNS * correlation.by_axis.min():
        raise ValueError(f"{correlation}, where locations have the cycle {here.cycle}")


def trial(model: Model) -> None:
    """Run a model at a few points of each modality; raise its errors, or ValueError if results are not finite."""
    model, shown, queries = model.reduced(), {}, {}
    for name, modality in model.modalities.items():
        grid = modality.grid()
        record = modality.read(grid, name, values=False)
        modality.write(modality.unscale(np.zeros_like(record.value), record), grid)  # refuses invalid units
        queries[name] = modality.typical_metadata(_first_of(record))
        shown[name] = queries[name].replace(
            value=np.zeros_like(queries[name].value), observed=np.ones_like(queries[name].observed)
        )
    z = model.encode([shown]).mean
    decoded = [model.decode(name, z, [query])[0] for name, query in queries.items()]
    answers = [] if model.targets is None else [model.predict([shown])]
    if not all(np.isfinite(x).all() for x in (z, *decoded, *answers)):
        raise ValueError("its results are not finite")


def _first_of(record: Record) -> Record:
    """Return a record of the first few points."""
    return record.replace(**{k: getattr(record, k)[:N_TRIED] for k in (*POINTS, "observed")})
