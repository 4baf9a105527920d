"""Check whether a stored state can occur in a training, by comparing all of it with the training's own state."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch


class Course(Protocol):
    """The planned course of a training."""

    max_iter: int
    steps_per_record: int
    validated: bool
    keep_start: bool


# --- optimisers -------------------------------------------------------------------------------------


def fill(optimizer: torch.optim.Optimizer) -> None:
    """Take a step without gradients, so that the optimiser has a state for every parameter. This changes weights."""
    for group in optimizer.param_groups:
        for p in group["params"]:
            p.grad = torch.zeros_like(p)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def refill(optimizer: torch.optim.Optimizer, saved: dict[int, dict[str, torch.Tensor]]) -> None:
    """Restore the state of a filled optimiser. Parameters without a stored state never had a gradient."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for i, p in enumerate(parameters):
        if i not in saved:
            del optimizer.state[p]
            continue
        for name, own in optimizer.state[p].items():
            own.copy_(saved[i][name])


# --- what is read against what is there -------------------------------------------------------------


def check_state(state: dict[str, Any], own: dict[str, Any], course: Course) -> None:
    """Raise ValueError, TypeError or KeyError if a state cannot occur in a training.

    Parameters
    ----------
    state : dict
        The stored state.
    own : dict
        The state of the training before its first step; the optimisers have taken one step.
    course : Course
        Numbers of steps and records of the training.
    """
    if state.keys() != own.keys():
        raise ValueError(f"its parts are {', '.join(map(str, state))}")
    for name in ("objective", "average", "generator"):
        check_same_layout(state[name], own[name], name)
    check_course(state, course)
    if state["average"]["n_averaged"] != state["iteration"]:
        raise ValueError(f"{int(state['average']['n_averaged'])} averages of {state['iteration']} steps")
    check_best(state["best"], own["average"], course)
    _check_optimizers(state["optimizers"], own["optimizers"], state["iteration"])


def check_same_layout(found: Any, own: Any, path: str) -> None:
    """Raise ValueError or TypeError if tensors in dicts have other names, shapes or types, or are not finite.

    Numbers may be infinite if the ones that they are compared with are.
    """
    if isinstance(own, Mapping):
        _demand(isinstance(found, Mapping) and found.keys() == own.keys(), path, "has other entries")
        for name, value in own.items():
            check_same_layout(found[name], value, f"{path}[{name!r}]")
        return
    _demand(isinstance(found, torch.Tensor), path, "is no tensor")
    kind, kind_of_own = (f"{x.dtype}{tuple(x.shape)}".removeprefix("torch.") for x in (found, own))
    _demand(kind == kind_of_own, path, f"is {kind}, but must be {kind_of_own}")
    _demand(bool(found.isfinite().all()) or not own.isfinite().all(), path, "is not finite")


def check_whole(x: Any, least: int, most: int, path: str) -> None:
    """Raise ValueError if x is not an int between least and most."""
    _demand(type(x) is int and least <= x <= most, path, f"is no whole number from {least} to {most}")


def check_course(state: dict[str, Any], course: Course) -> None:
    """Raise ValueError or TypeError if steps, records and sums of losses since the last record are inconsistent."""
    check_whole(state["iteration"], 1, course.max_iter, "iteration")
    check_whole(state["n_summed"], 0, min(course.steps_per_record, state["iteration"]), "n_summed")
    seconds = state["seconds"]
    _demand(isinstance(seconds, float) and 0 <= seconds < math.inf, "seconds", "is no length of time")
    recorded, history, sums = state["iteration"] - state["n_summed"], state["history"], state["sums"]
    due = [0] * course.keep_start + list(range(course.steps_per_record, recorded + 1, course.steps_per_record))
    if recorded == course.max_iter and due[-1:] != [recorded]:
        due.append(recorded)
    _demand(isinstance(history, list) and len(history) == len(due), "history", f"has not {len(due)} records")
    for record, iteration in zip(history, due, strict=True):
        _check_record(record, iteration, course)
    _demand(due[-1:] == [recorded] or recorded == 0, "history", f"ends before step {recorded}")
    check_whole(state["since_best"], 0, len(history), "since_best")
    _demand(isinstance(sums, dict) and ("loss" in sums) == (state["n_summed"] > 0), "sums", "has not the losses")
    for name, value in sums.items():
        _demand(isinstance(name, str) and name not in RECORDED, "sums", f"has {name!r}, which is no loss")
        finite = isinstance(value, torch.Tensor) and value.ndim == 0 and bool(value.isfinite())
        _demand(finite, f"sums[{name!r}]", "is no number")


#: keys of a record in addition to losses
RECORDED = ("iteration", "validation_loss", "learning_rate", "seconds")


def _check_record(record: Any, iteration: int, course: Course) -> None:
    path = f"the record of step {iteration}"
    needed = {*RECORDED, "loss"} - ({"loss"} if iteration == 0 else set())
    needed -= set() if course.validated else {"validation_loss"}
    _demand(isinstance(record, dict) and needed <= record.keys(), path, f"lacks some of {sorted(needed)}")
    _demand(all(isinstance(k, str) and type(v) in (int, float) for k, v in record.items()), path, "has no numbers")
    _demand(record["iteration"] == iteration, path, f"is of step {record['iteration']}")


def check_best(best: Any, average: Mapping[str, Any], course: Course) -> None:
    """Raise ValueError if the best validation loss and its weights are impossible."""
    if best is None:
        return
    _demand(course.validated and isinstance(best, tuple) and len(best) == 2, "best", "is no loss with weights")
    _demand(isinstance(best[0], float) and math.isfinite(best[0]), "best", "has a loss that is no number")
    weights = {k.removeprefix("module."): v for k, v in average.items() if k != "n_averaged"}
    check_same_layout(best[1], weights, "best")


def _check_optimizers(found: Any, own: Sequence[dict[int, Any]], n_steps: int) -> None:
    _demand(isinstance(found, list) and len(found) == len(own), "optimizers", f"are not {len(own)}")
    for one, expected in zip(found, own, strict=True):
        _demand(
            isinstance(one, dict) and one.keys() <= expected.keys(), "optimizers", "have parameters that are not there"
        )
        check_same_layout(one, {i: expected[i] for i in one}, "optimizers")
        counts = [saved["step"] for saved in one.values() if "step" in saved]  # AdamW counts its steps
        _demand(all(1 <= x <= n_steps for x in counts), "optimizers", f"have not taken 1 to {n_steps} steps")


def restore_rng(rng: np.random.Generator, state: dict[str, Any]) -> None:
    """Move a generator to another place in its own stream.

    Other states are refused: with an even increment PCG64 has short cycles, in which a shuffle may never end.
    """
    own: Any = rng.bit_generator.state
    _demand(state.keys() == own.keys() and state["bit_generator"] == own["bit_generator"], "rng", "is of another kind")
    _demand(state["state"]["inc"] == own["state"]["inc"], "rng", "is of another stream")
    rng.bit_generator.state = state


def _demand(right: bool, path: str, wrong: str) -> None:
    if not right:
        raise ValueError(f"{path} {wrong}")
