"""Plot the course of training."""

from __future__ import annotations

from sklearn.utils.validation import check_is_fitted

from .style import DECODED, MEASURED, axes_of, keywords, require_matplotlib


class LossDisplay:
    """Training and validation loss against gradient steps, with the lowest validation loss marked.

    Create it with `from_estimator` or `from_predictions`.

    Parameters
    ----------
    history : list of dict
        Records of ``iteration``, ``loss`` and perhaps ``validation_loss``, as in ``history_`` of an estimator.
    name : str, default=None
        Prefix of the names of the lines, for several estimators on the same Axes.

    Attributes
    ----------
    ax_ : Axes
        The Axes.
    lines_ : dict
        "training" and, if there was any, "validation" -> Line2D.
    figure_ : Figure
        The figure.

    Examples
    --------
    >>> from skdaep.plotting import LossDisplay
    >>> history = [{"iteration": i, "loss": 1 / i, "validation_loss": 1.2 / i} for i in range(10, 60, 10)]
    >>> display = LossDisplay.from_predictions(history)
    >>> list(display.lines_)
    ['training', 'validation']
    """

    def __init__(self, history, *, name=None):
        self.history = history
        self.name = name

    @classmethod
    def from_estimator(cls, estimator, *, name=None, ax=None, **kwargs):
        """Plot the training history of an estimator.

        Parameters
        ----------
        estimator : estimator
            A fitted encoder, or a pipeline that ends in one.
        name : str, default=None
            Prefix of the names of the lines.
        ax : Axes, default=None
            As in `plot`.
        **kwargs : dict
            As in `plot`.

        Returns
        -------
        display : LossDisplay
            The display.
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        estimator = estimator[-1] if hasattr(estimator, "steps") else estimator
        check_is_fitted(estimator)
        return cls.from_predictions(estimator.history_, name=name, ax=ax, **kwargs)

    @classmethod
    def from_predictions(cls, history, *, name=None, ax=None, **kwargs):
        """Plot records of training.

        Parameters
        ----------
        history : list of dict
            Records of ``iteration``, ``loss`` and perhaps ``validation_loss``, as in ``history_`` of an estimator.
        name : str, default=None
            Prefix of the names of the lines.
        ax : Axes, default=None
            As in `plot`.
        **kwargs : dict
            As in `plot`.

        Returns
        -------
        display : LossDisplay
            The display.
        """
        return cls(history, name=name).plot(ax, **kwargs)

    def plot(self, ax=None, **kwargs):
        """Plot.

        Parameters
        ----------
        ax : Axes, default=None
            Axes to plot on. None makes a new figure.
        **kwargs : dict
            Passed to the lines (``Axes.plot``).

        Returns
        -------
        self : LossDisplay
            The display.
        """
        if not self.history:
            raise ValueError("history is empty.")
        ((ax,),) = axes_of(type(self).__name__, ax, (1, 1), (5.2, 3.4))
        prefix = "" if self.name is None else f"{self.name}, "
        self.lines_ = {}
        for key, label, style in (
            ("loss", "training", {"color": MEASURED, "linewidth": 1.0}),
            ("validation_loss", "validation", {"color": DECODED, "linewidth": 1.6}),
        ):
            records = [r for r in self.history if key in r]
            if records:
                x, y = [r["iteration"] for r in records], [r[key] for r in records]
                (self.lines_[label],) = ax.plot(x, y, **keywords("line", kwargs, label=prefix + label, **style))
        self._mark_lowest(ax)
        values = [value for line in self.lines_.values() for value in line.get_ydata()]
        if min(values) > 0:
            from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

            ax.set_yscale("log")
            ax.yaxis.set(major_locator=LogLocator(subs=(1, 2, 5)), major_formatter=StrMethodFormatter("{x:g}"))
            ax.yaxis.set_minor_formatter(NullFormatter())
        ax.set(xlabel="gradient step", ylabel="loss")
        ax.legend(frameon=False, fontsize="small")
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _mark_lowest(self, ax) -> None:
        if "validation" not in self.lines_:
            return
        x, y = self.lines_["validation"].get_data()
        lowest = min(range(len(y)), key=y.__getitem__)
        ax.plot(x[lowest], y[lowest], "o", ms=5, color=self.lines_["validation"].get_color(), label="_lowest")
