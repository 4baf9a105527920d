"""The training loop, for anything with ``loss(batch, generator) -> {"loss": (B,), ...}``."""

from __future__ import annotations

import copy
import math
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from ..exceptions import DivergenceError, InterruptedTrainingWarning
from .interrupts import postponed
from .muon import Muon
from .ranks import Ranks
from .restoring import check_same_layout, check_state, fill, refill

M = TypeVar("M", bound=nn.Module)
Tensors = tuple[torch.Tensor, ...] | list[torch.Tensor]


class Checkpoint(Protocol):
    """Where the state of training is stored while it runs."""

    #: whether training is complete, so that the checkpoint is no longer needed
    done: bool

    def resume(self, restore: Callable[[dict[str, Any]], None]) -> bool:
        """Restore the state, if there is one, by calling the given function; return whether there was one."""

    def due(self) -> bool:
        """Return whether it is time to write another state."""

    def write(self, state: dict[str, Any]) -> None:
        """Write a state: dicts, lists, tuples, tensors, numbers and text."""


def train(
    objective: M,
    batches: Iterable[tuple[Any, Sequence[int]]],
    *,
    max_iter: int,
    generator: torch.Generator,
    steps_per_record: int,
    validation: Callable[[M], float] | None = None,
    keep_start: bool = False,
    n_iter_no_change: int | None = None,
    solver: str = "muon",
    learning_rate_init: float = 4e-3,
    weight_decay: float = 0.01,
    warm_up: float = 0.05,
    clip_norm: float = 1.0,
    ema_decay: float = 0.995,
    precision: Callable[[], Any] = nullcontext,
    on_epoch_end: Callable[[dict[str, Any], M], bool] = lambda record, module: False,
    checkpoint: Checkpoint | None = None,
    ranks: Ranks | None = None,
) -> list[dict[str, Any]]:
    """Train in place. At the end the objective has the averaged weights or, with `validation`, the best of these.

    The optimiser is Muon or AdamW. The learning rate has a warm-up and a cosine decay over `max_iter` steps, and
    gradients are clipped to a norm. The weights are averaged exponentially, with a memory that grows up to `ema_decay`.

    Parameters
    ----------
    objective : nn.Module with ``loss``
        What to train.
    batches : iterable
        Endless pairs ``(batch, names)``, where names identify the objects of the batch in errors.
    max_iter : int
        Number of gradient steps.
    generator : torch.Generator
        Source of the objective's randomness.
    steps_per_record : int
        Steps between two records, about an epoch.
    validation : callable or None
        Returns the validation loss of a module; called at the end of each record with the averaged weights.
    keep_start : bool
        Whether validation may also choose the weights before the first step. They then have the first record, which has
        no training loss.
    n_iter_no_change : int or None
        Stop after this many records without a better validation loss, not counting a start that was kept; None never
        stops.
    solver : {"muon", "adamw"}
        A member of `SOLVERS`.
    precision : callable
        Returns the context manager in which the loss is computed.
    on_epoch_end : callable
        Called with each record and the averaged module; True stops training.
    checkpoint : Checkpoint or None
        Stores the state between two steps, including that of `batches` (methods `state` and `restore`). A training that
        continues from it gives the same result as an uninterrupted one. In the main thread, SIGINT and SIGTERM then
        wait for the end of a step, and the current state is stored.
    ranks : Ranks or None
        The processes that train the same objective, each on its own batches and with its own noise. A step follows the
        mean gradient over the objects of all processes. If one is interrupted, all stop.

    Returns
    -------
    history : list of dict
        Records of ``iteration``, ``loss`` and its parts, ``validation_loss``, ``learning_rate``, ``seconds``.

    Raises
    ------
    DivergenceError
        If a loss or gradient is not finite; its `names` are those of the batch.
    """
    optimizers = SOLVERS[solver](objective, learning_rate_init, weight_decay)
    loop = _Loop(
        objective=objective,
        batches=iter(batches),
        generator=generator,
        optimizers=optimizers,
        schedulers=[_warm_up_and_decay(optimizer, max_iter, warm_up) for optimizer in optimizers],
        average=_Average(objective, ema_decay),
        max_iter=max_iter,
        steps_per_record=steps_per_record,
        n_iter_no_change=n_iter_no_change,
        clip_norm=clip_norm,
        precision=precision,
        on_epoch_end=on_epoch_end,
        validated=validation is not None,
        keep_start=keep_start and validation is not None,
        ranks=ranks or Ranks(),
    )
    loop.ranks.align(objective)
    loop.ranks.align(loop.average)
    if (checkpoint is None or not checkpoint.resume(loop.restore)) and loop.keep_start:
        loop.write_record(validation)
    try:
        loop.run(validation, checkpoint)
    except KeyboardInterrupt:
        if loop.iteration == 0:
            raise
        warnings.warn(
            f"Training interrupted after {loop.iteration} of {max_iter} steps; the current model is kept.",
            InterruptedTrainingWarning,
            stacklevel=2,
        )
        if loop.n_summed:  # without validation, which takes time
            loop.end_record(None)
    else:
        if checkpoint is not None:
            checkpoint.done = True
    objective.load_state_dict(loop.average.module.state_dict() if loop.best is None else loop.best[1])
    return loop.history


@dataclass
class _Loop(Generic[M]):
    """The training loop, and its complete state between two steps."""

    objective: M
    batches: Any  # an iterator; with `state` and `restore` it can be continued
    generator: torch.Generator
    optimizers: list[torch.optim.Optimizer]
    schedulers: list[torch.optim.lr_scheduler.LRScheduler]
    average: _Average[M]
    max_iter: int
    steps_per_record: int
    n_iter_no_change: int | None
    clip_norm: float
    precision: Callable[[], Any]
    on_epoch_end: Callable[[dict[str, Any], M], bool]
    validated: bool
    keep_start: bool
    ranks: Ranks

    iteration: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    best: tuple[float, dict[str, Any]] | None = None  # validation loss and weights
    since_best: int = 0
    sums: dict[str, torch.Tensor] = field(default_factory=dict)  # sums of losses since the last record
    n_summed: int = 0
    start: float = field(default_factory=time.perf_counter)

    #: attributes that consist of plain data
    PLAIN: ClassVar = ("iteration", "history", "best", "since_best", "sums", "n_summed")

    def state(self) -> dict[str, Any]:
        """Return everything on which later steps depend, without copying. The step determines the learning rate."""
        own, *others = self.ranks.gather({"batches": self.batches.state(), "generator": self.generator.get_state()})
        return {
            "objective": self.objective.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [optimizer.state_dict()["state"] for optimizer in self.optimizers],
            **own,
            **({"others": others} if others else {}),  # states of the other processes
            "seconds": time.perf_counter() - self.start,
            **{name: getattr(self, name) for name in self.PLAIN},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a state; raise ValueError, TypeError or KeyError if it cannot occur in this training."""
        for optimizer in self.optimizers:
            fill(optimizer)
        check_state(state, self.state(), self)
        self.objective.load_state_dict(state["objective"])
        self.average.load_state_dict(state["average"])
        for optimizer, scheduler, saved in zip(self.optimizers, self.schedulers, state["optimizers"], strict=True):
            refill(optimizer, saved)
            scheduler.last_epoch = state["iteration"] - 1
            scheduler.step()
        own = state["others"][self.ranks.rank - 1] if self.ranks.rank else state
        check_same_layout(own["generator"], self.generator.get_state(), "generator")
        self.batches.restore(own["batches"])
        self.generator.set_state(own["generator"])
        self.start = time.perf_counter() - state["seconds"]
        for name in self.PLAIN:
            setattr(self, name, copy.deepcopy(state[name]))  # copies tensors into aligned memory of torch

    def run(self, validation: Callable[[M], float] | None, checkpoint: Checkpoint | None) -> None:
        """Take all remaining steps, or those until a record ends training."""
        at_once = checkpoint is None and self.ranks.count == 1
        waiting: AbstractContextManager[list[int]] = nullcontext([]) if at_once else postponed()
        with waiting as signals:
            stopped = False
            while self.iteration < self.max_iter or self.n_summed:
                if self.n_summed < self.steps_per_record and self.iteration < self.max_iter:
                    self.step()
                elif self.end_record(validation):
                    break
                stopped, due = self.ranks.any(bool(signals), checkpoint is not None and checkpoint.due())
                if checkpoint is not None and (stopped or due):
                    checkpoint.write(self.state())
                if stopped:
                    break
            if stopped:
                raise KeyboardInterrupt

    def step(self) -> None:
        """Take one step."""
        batch, names = next(self.batches)
        parts = _step(
            self.objective, batch, names, self.generator, self.optimizers, self.clip_norm, self.precision, self.ranks
        )
        for scheduler in self.schedulers:
            scheduler.step()
        self.average.update_parameters(self.objective)
        self.sums = {k: self.sums.get(k, 0.0) + v for k, v in parts.items()}
        self.iteration, self.n_summed = self.iteration + 1, self.n_summed + 1

    def end_record(self, validation: Callable[[M], float] | None) -> bool:
        """Write and report a record of the steps since the last one; return whether training is over."""
        record = self.write_record(validation)
        patience_is_over = self.n_iter_no_change is not None and self.since_best >= self.n_iter_no_change
        (stop,) = self.ranks.any(bool(self.on_epoch_end(record, self.average.module)))
        return stop or patience_is_over

    def lowest_trained(self) -> float:
        """Return the lowest validation loss after training steps, without that of the start."""
        losses = [r["validation_loss"] for r in self.history if "loss" in r]
        return min(filter(math.isfinite, losses), default=math.inf)

    def write_record(self, validation: Callable[[M], float] | None) -> dict[str, Any]:
        """Add a record of the steps since the last one to the history, and return it."""
        means = {k: (v / self.n_summed).item() for k, v in self.sums.items()}
        record: dict[str, Any] = {"iteration": self.iteration} | means
        module = self.average.module
        if validation is not None:
            record["validation_loss"] = loss = self.ranks.first(validation(module))
            self.since_best = 0 if loss < self.lowest_trained() else self.since_best + 1
            if loss < (math.inf if self.best is None else self.best[0]):  # False for NaN
                self.best = (loss, copy.deepcopy(module.state_dict()))
        record["learning_rate"] = self.optimizers[-1].param_groups[0]["lr"]
        record["seconds"] = time.perf_counter() - self.start
        self.history.append(record)
        self.sums, self.n_summed = {}, 0
        return record


class _Average(AveragedModel, Generic[M]):
    """A moving average of a module's weights, as a module of its kind."""

    module: M

    def __init__(self, module: M, decay: float):
        super().__init__(module, multi_avg_fn=_growing_memory(decay))


def _step(
    objective: Any,  # an nn.Module with a method `loss`, which Python cannot express as a type
    batch: Any,
    names: Sequence[int],
    generator: torch.Generator,
    optimizers: Sequence[torch.optim.Optimizer],
    clip_norm: float,
    precision: Callable[[], Any],
    ranks: Ranks,
) -> dict[str, torch.Tensor]:
    """Take one gradient step and return the batch means of the losses."""
    with precision():
        losses = objective.loss(batch, generator)
    objective.zero_grad(set_to_none=True)
    losses["loss"].mean().backward()
    means = {k: v.detach().mean() for k, v in losses.items()}
    if ranks.count > 1:
        means = _shared(objective, means, len(losses["loss"]), ranks)
    norm = nn.utils.clip_grad_norm_(objective.parameters(), clip_norm)
    if not torch.isfinite(norm):
        _diverged(losses["loss"], names, ranks)
    for optimizer in optimizers:
        optimizer.step()
    return means


def _shared(objective: nn.Module, means: dict[str, torch.Tensor], n: int, ranks: Ranks) -> dict[str, torch.Tensor]:
    """Replace gradients of the mean over n objects of this process by those of the mean over all processes.

    Return other means, averaged in the same way. A parameter that no process used still has no gradient.
    """
    parameters = [p for p in objective.parameters() if p.requires_grad]
    used = torch.tensor([p.grad is not None for p in parameters], dtype=torch.float32, device=parameters[0].device)
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    here = [*gradients, *means.values()]
    total, users, *sums = ranks.summed([used.new_tensor(n), used, *(n * x for x in here)])
    for p, gradient, has in zip(parameters, sums, users.tolist(), strict=False):
        p.grad = gradient / total if has else None
    return dict(zip(means, (x / total for x in sums[len(parameters) :]), strict=True))


def _diverged(losses: torch.Tensor, names: Sequence[int], ranks: Ranks) -> None:
    """Name the objects whose loss is not finite, or all of the batch if only the gradient is not."""
    bad = [n for n, ok in zip(names, torch.isfinite(losses).tolist(), strict=True) if not ok]
    gathered = ranks.gather((bad, list(names)))
    raise DivergenceError(sorted({n for own, _ in gathered for n in own} or {n for _, own in gathered for n in own}))


def _adamw(objective: nn.Module, learning_rate: float, weight_decay: float) -> list[torch.optim.Optimizer]:
    """AdamW throughout.

    Only matrices decay, not biases, norms and learned queries.
    """
    return [_adamw_of(list(objective.parameters()), learning_rate, weight_decay)]


def _muon(objective: nn.Module, learning_rate: float, weight_decay: float) -> list[torch.optim.Optimizer]:
    """Muon on the matrices of linear layers, AdamW on all else (Jordan et al. 2024).

    AdamW also treats matrices with a side below 16. Muon's orthogonalised steps allow a larger learning rate than
    AdamW's of equal size: a factor of 2.5 measured best.
    """
    linear = {id(m.weight) for m in objective.modules() if isinstance(m, nn.Linear) and min(m.weight.shape) >= 16}
    matrices = [p for p in objective.parameters() if id(p) in linear]
    others = [p for p in objective.parameters() if id(p) not in linear]
    muon = [Muon(matrices, lr=2.5 * learning_rate, weight_decay=weight_decay)] if matrices else []
    return [*muon, _adamw_of(others, learning_rate, weight_decay)]


def _adamw_of(parameters: list[nn.Parameter], learning_rate: float, weight_decay: float) -> torch.optim.Optimizer:
    groups = [
        {"params": [p for p in parameters if p.ndim == 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim != 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.99), fused=True)


#: name -> optimisers; the first is the default. The first line of its docstring appears in the documentation.
SOLVERS = {"muon": _muon, "adamw": _adamw}


def _warm_up_and_decay(
    optimizer: torch.optim.Optimizer, max_iter: int, warm_up: float
) -> torch.optim.lr_scheduler.LRScheduler:
    """Factor of the learning rate: a linear rise in the first steps, then a cosine decay to nearly zero."""
    total_steps = max_iter + 2  # the schedule needs at least two steps up and one down
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=[group["lr"] for group in optimizer.param_groups],
        total_steps=total_steps,
        pct_start=max(warm_up, 2 / total_steps),
        anneal_strategy="cos",
        cycle_momentum=False,
        div_factor=25,
        final_div_factor=1e3,
    )


def _growing_memory(decay: float) -> Callable[[Tensors, Tensors, torch.Tensor | int], None]:
    """Average with weight 1 - d for the newest weights, with d = min(decay, (1 + n) / (10 + n)) after n averages.

    A fixed decay would lag behind in short fits.
    """

    @torch.no_grad()
    def update(averages: Tensors, weights: Tensors, n_averaged: torch.Tensor | int) -> None:
        d = min(decay, (1 + int(n_averaged)) / (10 + int(n_averaged)))
        torch._foreach_lerp_(list(averages), list(weights), 1 - d)

    return update
