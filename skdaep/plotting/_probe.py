"""Plot the scores of linear probes, method by method."""

from __future__ import annotations

import numpy as np

from ..metrics import linear_probe
from .style import CYCLE, axes_of, keywords, require_matplotlib

NAMES = {"f1": "macro F1"}


class ProbeDisplay:
    """Bar chart of probe scores for the features of several methods, with standard deviations over splits.

    Create it with `from_estimator` or `from_predictions`.

    Parameters
    ----------
    results : dict
        Name of the method -> result of `skdaep.metrics.linear_probe`.

    Attributes
    ----------
    ax_ : Axes
        The Axes.
    bars_ : dict
        Field -> BarContainer.
    figure_ : Figure
        The figure.

    See Also
    --------
    skdaep.metrics.linear_probe : The numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from skdaep.plotting import ProbeDisplay
    >>> y = np.repeat(["Ia", "II"], 50)
    >>> noise = np.random.default_rng(0).normal(size=(100, 2))
    >>> display = ProbeDisplay.from_predictions({"good": noise + 9 * (y == "Ia")[:, None], "noise": noise}, y)
    >>> display.results["good"].accuracy
    1.0
    """

    def __init__(self, results):
        self.results = results

    @classmethod
    def from_estimator(cls, estimators, X, y, *, fields=None, ax=None, bar_kw=None, **kwargs):
        """Encode objects with one or several estimators and probe their features.

        Parameters
        ----------
        estimators : estimator or dict
            A fitted encoder, or name -> encoder.
        X : list of Table, array, images, or list of dict
            Objects of the same kind as in fit, preferably a test set.
        y : array-like of shape (n_objects,)
            Classes.
        fields : list of str, default=None
            As in `plot`.
        ax : Axes, default=None
            As in `plot`.
        bar_kw : dict, default=None
            As in `plot`.
        **kwargs : dict
            Passed to `skdaep.metrics.linear_probe`.

        Returns
        -------
        display : ProbeDisplay
            The display.
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        estimators = {type(estimators).__name__: estimators} if hasattr(estimators, "transform") else estimators
        _check_named("estimators", estimators, "encoder")
        Z = {name: estimator.transform(X) for name, estimator in estimators.items()}
        return cls.from_predictions(Z, y, fields=fields, ax=ax, bar_kw=bar_kw, **kwargs)

    @classmethod
    def from_predictions(cls, Z, y, *, fields=None, ax=None, bar_kw=None, **kwargs):
        """Probe existing features.

        Parameters
        ----------
        Z : dict
            Name of the method -> features, of shape (n_objects, n_features).
        y : array-like of shape (n_objects,)
            Classes.
        fields : list of str, default=None
            As in `plot`.
        ax : Axes, default=None
            As in `plot`.
        bar_kw : dict, default=None
            As in `plot`.
        **kwargs : dict
            Passed to `skdaep.metrics.linear_probe`.

        Returns
        -------
        display : ProbeDisplay
            The display.
        """
        _check_named("Z", Z, "features")
        results = {name: linear_probe(z, y, **kwargs) for name, z in Z.items()}
        return cls(results).plot(ax, fields=fields, **bar_kw or {})

    def plot(self, ax=None, *, fields=None, **kwargs):
        """Plot.

        Parameters
        ----------
        ax : Axes, default=None
            Axes to plot on. None makes a new figure.
        fields : list of str, default=None
            Scores to show. None shows all that have a standard deviation.
        **kwargs : dict
            Passed to ``Axes.barh``.

        Returns
        -------
        self : ProbeDisplay
            The display.
        """
        if not self.results:
            raise ValueError("results is empty.")
        rows = [result._asdict() for result in self.results.values()]
        fields = fields or [k for k in rows[0] if f"{k}_sd" in rows[0]]
        for field in fields:
            if any(field not in row or f"{field}_sd" not in row for row in rows):
                raise ValueError(f"fields={fields!r}: {field!r} and {field + '_sd'!r} are not in every result.")
        ((ax,),) = axes_of(type(self).__name__, ax, (1, 1), (5.2, 1.2 + 0.22 * len(rows) * (1 + len(fields))))
        place, height = np.arange(len(rows)), 0.8 / len(fields)
        self.bars_ = {}
        for i, field in enumerate(fields):
            style = keywords("bar", kwargs, color=CYCLE[i], alpha=0.75, label=NAMES.get(field, field))
            errors = {"xerr": [row[f"{field}_sd"] for row in rows], "error_kw": {"elinewidth": 1}}
            y = place + (i - (len(fields) - 1) / 2) * height
            self.bars_[field] = ax.barh(y, [row[field] for row in rows], height=0.9 * height, **errors, **style)
        ax.set(yticks=place, yticklabels=list(self.results), xlabel="score, mean and s.d. over splits")
        ax.invert_yaxis()
        ax.set_xlim(right=1)
        if len(fields) > 1:
            ax.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1), borderaxespad=0.2)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _check_named(name: str, given, what: str) -> None:
    if not isinstance(given, dict):
        raise TypeError(f"{name} is a {type(given).__name__}; pass a dict, name of the method -> {what}.")
