"""The only imports of scikit-learn's private helpers, and what releases before 1.9 lack."""

from __future__ import annotations

import sklearn
from sklearn.base import _fit_context as fit_context
from sklearn.utils._param_validation import Interval, StrOptions

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn before 1.9

    class _NoCallbacks:
        """A task that nobody is told of."""

        def subcontext(self, **about):
            return self

        def call_on_fit_task_begin(self, **about):
            return self

        def call_on_fit_task_end(self, **about):
            return False  # there are no callbacks that could stop the fit

    class CallbackSupportMixin:
        """Fit without callbacks; `set_callbacks` says what they need."""

        def set_callbacks(self, *callbacks):
            """Raise: this release of scikit-learn has no callbacks."""
            raise ImportError(
                f"Callbacks need scikit-learn 1.9 or later, and {sklearn.__version__} is installed; "
                "use verbose=True for progress."
            )

        def _init_callback_context(self, **about):
            return _NoCallbacks()


__all__ = ["CallbackSupportMixin", "Interval", "StrOptions", "fit_context"]
