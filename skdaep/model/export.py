"""Encoders as ONNX graphs, which run without torch and skdaep."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from ..modalities import Inlet, Input
from ..nn.names import ModulesByName
from ..objectives import Objective
from ..storage import replacing
from .model import Model
from .operations import translations

#: Size of the example that is traced. Its objects are long, so that the graph has the attention for long objects.
EXAMPLE = {"objects": 2, "points": 1024}
NEEDED = ("onnx", "onnxscript")


class ExportedEncoder(nn.Module):
    """Turn arrays of measurements into codes (B, K D), NaN for objects that `transform` would refuse.

    With several modalities, inputs are called ``name.input``, and ``name.present`` (B,) states which objects have one.
    """

    isometry: Tensor | None

    def __init__(self, objective: Objective, inlets: dict[str, Inlet], isometry: Tensor | None = None):
        super().__init__()
        self.register_buffer("isometry", isometry)  # (K D, K D)
        self.objective, self.names, self.several = objective, list(inlets), len(inlets) > 1
        self.inlets = ModulesByName(inlets)
        self.inputs: dict[str, Input] = {}
        for name, inlet in inlets.items():
            present = {"present": Input(torch.bool, ("objects",), {})} if self.several else {}
            self.inputs |= {self._called(name, k): v for k, v in (inlet.inputs | present).items()}

    def _called(self, name: str, key: str) -> str:
        return f"{name}.{key}" if self.several else key

    def forward(self, *arrays: Tensor) -> Tensor:
        """Return the codes, given the arrays in the order of `inputs`."""
        given, batches, refused, present = dict(zip(self.inputs, arrays, strict=True)), {}, [], []
        for name in self.names:
            inlet = self.inlets[name]
            batch, bad = inlet({key: given[self._called(name, key)] for key in inlet.inputs})
            here = given[self._called(name, "present")] if self.several else torch.ones_like(bad)
            batches[name] = batch.replace(observed=batch.observed & here[:, None])
            refused.append(here & (bad | ~batch.present))
            present.append(here)
        no_code = torch.stack(refused).any(0) | ~torch.stack(present).any(0)
        z = self.objective.encode(batches).mean.flatten(1)
        z = z if self.isometry is None else (z.double() @ self.isometry).float()
        return z.masked_fill(no_code[:, None], torch.nan)


def encoding(model: Model) -> ExportedEncoder:
    """Return the part of a model that is exported, on the CPU."""
    isometry = None if model.isometry is None else torch.from_numpy(model.isometry["forward"])
    inlets = {name: modality.inlet() for name, modality in model.modalities.items()}
    return ExportedEncoder(model.to("cpu").revived(), inlets, isometry).eval()


def write(path: str | os.PathLike[str], model: Model, about: dict[str, Any]) -> None:
    """Write a model's encoder as an ONNX graph; `about` is added to its metadata as JSON."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise ImportError(f"export_onnx needs {' and '.join(missing)}: pip install skdaep[onnx]")
    module = encoding(model)
    inputs = {k: _described(x) for k, x in module.inputs.items()}
    with replacing(path) as temporary, torch.no_grad(), _silently():
        program: Any = torch.onnx.export(
            module,
            tuple(_example(x) for x in module.inputs.values()),
            dynamo=True,
            custom_translation_table=translations(),
            input_names=list(module.inputs),
            output_names=["z"],
            dynamic_shapes=(tuple(_free_axes(k, x) for k, x in module.inputs.items()),),
            verbose=False,
        )
        program.model.metadata_props["skdaep"] = json.dumps(about | {"inputs": inputs}, allow_nan=False)
        temporary.write_bytes(program.model_proto.SerializeToString())


def _described(x: Input) -> dict[str, Any]:
    return {"dtype": str(x.dtype).removeprefix("torch."), "axes": list(x.axes), **x.about}


def _example(x: Input) -> Tensor:
    return torch.zeros([axis if isinstance(axis, int) else EXAMPLE[axis] for axis in x.axes], dtype=x.dtype)


def _free_axes(name: str, x: Input) -> dict[int, str]:
    """Return the names of axes that may have any length. Each modality has its own number of points."""
    prefix = name.rpartition(".")[0]
    called = {"objects": "objects", "points": f"{prefix}.points".lstrip(".")}
    return {i: called[axis] for i, axis in enumerate(x.axes) if axis in called}


@contextlib.contextmanager
def _silently() -> Iterator[None]:
    """In this context the exporter does not print warnings about its own packages."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(action="ignore"):
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
