r"""Muon: momentum matrices are made orthogonal before they are applied (Jordan et al. 2024).

The tests compare it with `torch.optim.Muon`, which treats one matrix after another. For a small network on a CPU this
takes longer than the gradient (benchmarks/README.rst). Here matrices of equal shape are orthogonalised together, in
bfloat16 like there if the processor supports it, otherwise in float32.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

#: numbers processed together on a CPU: half a MiB of float32, so that products stay in the cache of a core
CACHED = 2**17

Pair = tuple[Tensor, Tensor]  # a matrix and the direction it moves in


class Muon(torch.optim.Optimizer):
    r"""Move matrices by :math:`-\eta\, 0.2 \sqrt{\max(m, n)}\; \mathrm{orth}(M)`, M the Nesterov momentum.

    The factor makes steps as large as AdamW's (Liu et al. 2025, arXiv:2502.16982), so `learning_rate` means the same.

    Parameters
    ----------
    params : iterable of 2-D Parameter
        Matrices. Biases, norms, embeddings and the like need another optimiser.
    """

    def __init__(self, params: Iterable[Tensor], lr: float, weight_decay: float = 0.0, momentum: float = 0.95):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Take one step. A closure, if given, is called first to compute the gradients, and its loss is returned."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            gradients = [p.grad for p in params]
            for p in params:
                if not self.state[p]:
                    self.state[p]["momentum"] = torch.zeros_like(p)
            momenta = [self.state[p]["momentum"] for p in params]
            torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
            directions = torch._foreach_lerp(gradients, momenta, group["momentum"])  # Nesterov
            torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
            by_shape: defaultdict[torch.Size, list[Pair]] = defaultdict(list)
            for p, direction in zip(params, directions, strict=True):
                by_shape[p.shape].append((p, direction))
            for shape, pairs in by_shape.items():
                size = -group["lr"] * 0.2 * max(shape) ** 0.5
                for part in _passes(pairs, shape):
                    steps = orthogonal(torch.stack([direction for _, direction in part])).unbind()
                    torch._foreach_add_([p for p, _ in part], steps, alpha=size)
        return loss


def _passes(pairs: list[Pair], shape: torch.Size) -> list[list[Pair]]:
    """Split pairs of matrices of equal shape into passes: as many as fit the cache of a CPU, otherwise all at once."""
    n = max(1, CACHED // shape.numel()) if pairs[0][0].device.type == "cpu" else len(pairs)
    return [pairs[i : i + n] for i in range(0, len(pairs), n)]


def orthogonal(matrices: Tensor) -> Tensor:
    r"""Return roughly :math:`U V^\top` of each matrix (n, rows, columns) with singular value decomposition U S V.

    Five steps of a Newton-Schulz iteration, an odd polynomial of degree five that drives singular values from (0, 1]
    to about 1 without ever computing them.
    """
    wide = matrices.mT if matrices.shape[1] > matrices.shape[2] else matrices
    x = wide / torch.linalg.matrix_norm(wide, keepdim=True).clamp(min=1e-7)
    x = x.to(torch.bfloat16 if has_bfloat16_units(x.device) else x.dtype)
    for _ in range(5):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=-4.7750, alpha=2.0315), x, beta=3.4445)
    return (x.mT if matrices.shape[1] > matrices.shape[2] else x).to(matrices.dtype)


def has_bfloat16_units(device: torch.device) -> bool:
    """Return whether products of bfloat16 matrices are faster than of float32 ones."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    amx = getattr(torch.cpu, "_is_amx_tile_supported", None)  # torch has no public name for it
    return device.type == "cpu" and amx is not None and amx()
