"""Show whether draws have the right width."""

from __future__ import annotations

import numpy as np

from .. import metrics
from ._decode import ModalityView, check_n_draws
from .style import DECODED, FAINT, REFERENCE, axes_of, keywords, require_matplotlib

LEVELS = tuple(np.linspace(0.05, 0.95, 19).round(2).tolist())


class CoverageDisplay:
    """Coverage of draws against the nominal level, and the histogram of the probability integral transform (PIT).

    Calibrated draws have coverage on the diagonal and a flat histogram. Coverage above the diagonal and a hump in the
    histogram mean that draws are too wide; coverage below and a U shape mean that they are too narrow; a slope means
    bias. Every object counts equally. Bands and error bars are the standard error over objects, because points of one
    object are not independent. Create it with `from_estimator` or `from_predictions`.

    Parameters
    ----------
    levels : array-like of shape (n_levels,)
        Shares of the draws inside the interval.
    coverage : ndarray of shape (n_levels, n_objects)
        Share of each object's points inside the interval.
    pit : list of ndarray
        Probability integral transform of the points of each object, NaN where not observed.

    Attributes
    ----------
    axes_ : ndarray of Axes, shape (1, 2)
        Coverage and PIT.
    figure_ : Figure
        The figure.

    See Also
    --------
    skdaep.metrics.coverage : Coverage of each object.
    skdaep.metrics.probability_integral_transform : PIT of each point.

    Examples
    --------
    >>> import numpy as np
    >>> from skdaep.plotting import CoverageDisplay
    >>> X = np.random.default_rng(0).normal(size=(10, 50))
    >>> draws = np.random.default_rng(1).normal(size=(10, 50, 100))
    >>> display = CoverageDisplay.from_predictions(X, draws, levels=[0.5, 0.9])
    >>> display.coverage.mean(1).round(1)
    array([0.5, 0.9])
    """

    def __init__(self, levels, coverage, pit):
        self.levels = levels
        self.coverage = coverage
        self.pit = pit

    @classmethod
    def from_estimator(cls, estimator, X, *, modality=None, n_draws=100, levels=LEVELS, ax=None, n_bins=10, **kwargs):
        """Make draws of objects and compare them with the measurements.

        Parameters
        ----------
        estimator : estimator
            A fitted encoder with draws.
        X : list of Table, array, images, or list of dict
            Objects of the same kind as in fit, preferably a test set.
        modality : str, default=None
            Modality to show, for an estimator of several; objects without it are left out.
        n_draws : int, default=100
            Number of draws.
        levels : array-like, default=0.05, 0.1, ... 0.95
            Shares of the draws inside the interval.
        ax : array of two Axes, default=None
            As in `plot`.
        n_bins : int, default=10
            As in `plot`.
        **kwargs : dict
            As in `plot`.

        Returns
        -------
        display : CoverageDisplay
            The display.
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        if n_draws is None:
            raise ValueError("n_draws=None: coverage needs draws; set their number.")
        check_n_draws(n_draws)
        part = ModalityView(estimator, modality, cls.__name__)
        X, own = part.objects(X, need_all=False)
        value = getattr(part.modality, "value", None)
        draws = part.reconstruct(X, n_draws)
        return cls.from_predictions(own, draws, levels=levels, value=value, ax=ax, n_bins=n_bins, **kwargs)

    @classmethod
    def from_predictions(cls, X, draws, *, levels=LEVELS, value=None, ax=None, n_bins=10, **kwargs):
        """Compare existing draws with the measurements.

        Parameters
        ----------
        X : list of Table, or array of shape (n_objects, n_points, ...)
            The measurements.
        draws : list of Table, list of ndarray, or array
            The output of `reconstruct` for X with ``n_draws=``; draws on the last axis.
        levels : array-like, default=0.05, 0.1, ... 0.95
            Shares of the draws inside the interval.
        value : str, default=None
            Column of the value. None finds it by its usual names.
        ax : array of two Axes, default=None
            As in `plot`.
        n_bins : int, default=10
            As in `plot`.
        **kwargs : dict
            As in `plot`.

        Returns
        -------
        display : CoverageDisplay
            The display.
        """
        shares = [metrics.coverage(X, draws, level=level, value=value).coverage for level in levels]
        pit = metrics.probability_integral_transform(X, draws, value=value)
        return cls(np.asarray(levels, float), np.array(shares), pit).plot(ax, n_bins=n_bins, **kwargs)

    def plot(self, ax=None, *, n_bins=10, **kwargs):
        """Plot.

        Parameters
        ----------
        ax : array of two Axes, default=None
            Axes to plot on. None makes a new figure.
        n_bins : int, default=10
            Number of bins of the histogram.
        **kwargs : dict
            Passed to the line of coverage (``Axes.plot``).

        Returns
        -------
        self : CoverageDisplay
            The display.
        """
        axes = axes_of(type(self).__name__, ax, (1, 2), (7.6, 3.6))
        self._draw_coverage(axes[0, 0], kwargs)
        self._draw_pit(axes[0, 1], n_bins)
        self.axes_, self.figure_ = axes, axes[0, 0].figure
        return self

    def _draw_coverage(self, ax, kwargs: dict) -> None:
        mean, error = _mean_and_error(np.asarray(self.coverage).T)
        ax.plot([0, 1], [0, 1], color=REFERENCE, lw=0.8, zorder=1)
        ax.fill_between(self.levels, mean - error, mean + error, color=DECODED, alpha=FAINT / 2, lw=0)
        ax.plot(self.levels, mean, **keywords("line", kwargs, color=DECODED, marker="o", markersize=3.5))
        ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="level", ylabel="share of points inside", aspect="equal")

    def _draw_pit(self, ax, n_bins: int) -> None:
        edges = np.linspace(0, 1, n_bins + 1)
        pit = [np.ravel(p)[np.isfinite(np.ravel(p))] for p in self.pit]
        density = np.array([np.histogram(p, edges)[0] * n_bins / len(p) for p in pit if len(p)])
        mean, error = _mean_and_error(density)
        ax.stairs(mean, edges, fill=True, color=DECODED, alpha=FAINT)
        ax.errorbar((edges[1:] + edges[:-1]) / 2, mean, error, fmt="none", ecolor=DECODED, elinewidth=1)
        ax.axhline(1, color=REFERENCE, lw=0.8)
        ax.set(xlim=(0, 1), ylim=(0, max(2, 1.1 * (mean + error).max())), xlabel="PIT", ylabel="density of points")


def _mean_and_error(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard error over objects, the first axis. A single object has no error."""
    error = np.nanstd(x, axis=0, ddof=1) / np.sqrt(len(x)) if len(x) > 1 else np.zeros(x.shape[1])
    return np.nanmean(x, axis=0), error
