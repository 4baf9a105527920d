"""Fits of a given training time, with the validation error along the way."""

from __future__ import annotations

import time

from sklearn.base import clone

from . import _scores

WARM_UP_STEPS = 150
WARM_UP_SECONDS = 60.0


class Stopwatch:
    """Callback: stop a warm-up fit after some seconds, once two records are there to measure a rate from."""

    def setup(self, estimator, context):
        self.n_records = 0

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, metadata=None):
        if metadata is None:
            return False
        self.n_records += 1
        return self.n_records >= 2 and metadata["record"]["seconds"] > WARM_UP_SECONDS


class Clock:
    """Callback: the CPU seconds before the first step and those of a step, of a fit of two records."""

    def setup(self, estimator, context):
        self.begin, self.marks = time.process_time(), []

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, metadata=None):
        if metadata is not None:
            self.marks.append((metadata["record"]["iteration"], time.process_time() - self.begin))

    @property
    def step(self):
        (first, earlier), (last, later) = self.marks[-2:]
        return (later - earlier) / (last - first)

    @property
    def start(self):
        last, later = self.marks[-1]
        return later - last * self.step


class Curve:
    """Callback: the point error of held-out objects at given minutes of training, its own time not counted.

    Parameters
    ----------
    data, objects
        The protocol and the objects that are scored.
    minutes : sequence of float
        When to score; at the first record past each.
    """

    def __init__(self, data, objects: list, minutes=(5, 15, 60)):
        self.data, self.objects, self.minutes = data, objects, sorted(minutes)

    def setup(self, estimator, context):
        self.points, self.own_seconds, self.seconds, self.next_line = [], 0.0, 0.0, 0.0

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, metadata=None, fitted_estimator=None):
        if metadata is None:  # the end of the whole fit
            return
        record = metadata["record"]
        self.seconds = seconds = record["seconds"] - self.own_seconds
        if seconds >= self.next_line:
            numbers = "  ".join(f"{k} {record[k]:.4g}" for k in ("loss", "validation_loss") if k in record)
            print(f"{seconds / 60:6.1f} min  step {record['iteration']} of {estimator.max_iter}  {numbers}", flush=True)
            self.next_line = seconds + 60
        if len(self.points) < len(self.minutes) and seconds >= 60 * self.minutes[len(self.points)]:
            start = time.perf_counter()
            error = point_error(fitted_estimator, self.data, self.objects)["error_mean"]
            due = self.minutes[len(self.points)]
            self.points.append({"minutes": due, "seconds": seconds, "iteration": record["iteration"], "error": error})
            print(f"{seconds / 60:6.1f} min  validation error {error:.4f}", flush=True)
            self.own_seconds += time.perf_counter() - start


def point_error(estimator, data, objects: list) -> dict[str, float]:
    """Return the error of the estimator's point estimate."""
    return _scores.summary(_scores.object_errors(estimator.reconstruct(objects, output="arrays"), data, objects))


def fit(estimator, objects: list, minutes: float | None, curve: Curve, groups=None) -> dict:
    """Fit in place for about some minutes of training, or for the estimator's own `max_iter`; return the times.

    The learning rate falls to nothing over `max_iter` steps, so that must be known before: it is chosen from the steps
    per second of a short fit on the same objects.
    """
    times = {}
    if minutes is not None:
        warm_up = clone(estimator).set_params(max_iter=WARM_UP_STEPS).set_callbacks(Stopwatch())
        warm_up.fit(objects, groups=groups)
        times["steps_per_second_of_warm_up"] = rate = _rate(warm_up.history_)
        estimator.set_params(max_iter=max(1, round(60 * minutes * rate)))
        print(f"{rate:.2f} steps/s in the warm-up: max_iter={estimator.max_iter} for {minutes:g} minutes", flush=True)
    start = time.perf_counter()
    estimator.set_callbacks(curve).fit(objects, groups=groups)
    estimator.set_callbacks()
    times["fit_seconds"] = time.perf_counter() - start  # reading and scoring along the way included
    times["training_seconds"] = curve.seconds
    return times | {"max_iter": estimator.max_iter, "n_iter": estimator.n_iter_}


def _rate(history: list[dict]) -> float:
    """Return steps per second, the first record left out where there are more: it holds one-time costs."""
    first = history[0] if len(history) > 1 else {"iteration": 0, "seconds": 0.0}
    return (history[-1]["iteration"] - first["iteration"]) / (history[-1]["seconds"] - first["seconds"])
