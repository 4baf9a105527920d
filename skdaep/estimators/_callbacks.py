"""Report progress through scikit-learn's callback API. No other file uses it."""

from __future__ import annotations

import sys
from collections.abc import Callable

from ..training import is_first
from ._compat import CallbackSupportMixin

__all__ = ["CallbackSupportMixin", "FitProgress"]


class FitProgress:
    """Report the records of a fit as subtasks to the estimator's callbacks and, if verbose, as lines of text.

    Parameters
    ----------
    estimator : estimator with `CallbackSupportMixin`
        The estimator being fitted.
    n_records : int
        Number of records to come if nothing stops the fit.
    fitted_attributes : callable
        ``fitted_attributes(module, history)`` returns what an estimator holds that stops with the module.
    """

    def __init__(self, estimator, n_records: int, X, y, fitted_attributes: Callable):
        self.estimator, self.data = estimator, {"X": X, "y": y}
        self.fitted_attributes = fitted_attributes
        self.n_records, self.verbose = n_records, estimator.verbose and is_first()
        self.fit_task = estimator._init_callback_context(max_subtasks=n_records)
        self.fit_task.call_on_fit_task_begin(estimator=estimator, **self.data)
        self.task, self.n_begun, self.history = None, 0, []
        self._begin()

    def _begin(self) -> None:
        if self.n_begun < self.n_records:
            self.n_begun += 1
            self.task = self.fit_task.subcontext(task_name="record")
            self.task.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def _write(self, record: dict) -> None:
        numbers = "  ".join(f"{k} {v:.4g}" for k, v in record.items() if k != "iteration")
        sys.stdout.write(f"[{type(self.estimator).__name__}] step {record['iteration']}  {numbers}\n")
        sys.stdout.flush()

    def __call__(self, record: dict, module) -> bool:
        """Report one record; return True to stop training."""
        if self.verbose:
            self._write(record)
        self.history.append(record)
        stop = self.task.call_on_fit_task_end(
            estimator=self.estimator,
            metadata={"record": record},
            reconstruction_attributes=lambda: self.fitted_attributes(module, list(self.history)),
            **self.data,
        )
        if not stop:
            self._begin()
        return stop

    def tell(self, history: list[dict]) -> None:
        """Print records of fits in closed form, if verbose."""
        for record in history if self.verbose else ():
            self._write(record)

    def end(self, fitted: dict) -> None:
        """Report the end of the fit, with the attributes that the estimator will get."""
        self.fit_task.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=lambda: fitted, **self.data
        )
