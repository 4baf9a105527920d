"""Replacements in graphs for operations that ONNX lacks."""

from collections.abc import Callable
from typing import Any

import torch


def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """Return operation -> function of onnxscript."""
    from onnxscript import DOUBLE, script
    from onnxscript import opset18 as op

    def solved(matrix, right):  # type: ignore[no-untyped-def]
        """Do what `skdaep.linear.padded.solved` does, by eliminating one unknown after the other."""
        both = op.Concat(matrix, op.Unsqueeze(right, [2]), axis=2)  # (B, K, K + 1)
        n = op.Squeeze(op.Shape(right, start=1, end=2), [0])
        for k in range(n):
            row = op.Gather(both, k, axis=1)
            row = row / op.Gather(row, op.Unsqueeze(k, [0]), axis=1)
            column = op.Gather(both, k, axis=2)
            others = column - op.CastLike(op.Equal(op.Range(0, n, 1), k), column)
            both = both - op.Unsqueeze(others, [2]) * op.Unsqueeze(row, [1])
        return op.Gather(both, n, axis=2)

    # The exporter needs types. They are set here because `script` would look up annotations outside this function.
    solved.__annotations__ = {"matrix": DOUBLE, "right": DOUBLE, "return": DOUBLE}
    return {torch.ops.skdaep.solved.default: script()(solved)}
