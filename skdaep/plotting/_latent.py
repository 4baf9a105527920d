"""Plot codes in two dimensions."""

from __future__ import annotations

import numpy as np
from sklearn.manifold import TSNE
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d

from .style import axes_of, class_styles, keywords, require_matplotlib

UNKNOWN = "0.75"
#: with more points than this, markers are smaller
MANY = 2000


class LatentMapDisplay:
    """Map of objects by their codes in two dimensions, coloured by class or by a number.

    Create it with `from_estimator` or `from_predictions`.

    Parameters
    ----------
    places : ndarray of shape (n_objects, 2)
        Position of each object.
    y : array-like of shape (n_objects,), default=None
        Classes (text, bool or integers) or numbers (floats) that set the colour. Objects whose y is None, NaN or "" are
        grey.
    label : str, default=None
        Name of y: title of the legend, or label of the colour bar.
    axis_labels : tuple of str, default=None
        Names of the two dimensions. None leaves the axes bare, because coordinates of t-SNE have no meaning.

    Attributes
    ----------
    ax_ : Axes
        The Axes.
    scatters_ : dict
        Class, or "" without classes, -> PathCollection.
    figure_ : Figure
        The figure.

    Examples
    --------
    >>> import numpy as np
    >>> from skdaep.plotting import LatentMapDisplay
    >>> y = np.repeat(["Ia", "II"], 20)
    >>> Z = np.random.default_rng(0).normal(size=(40, 8)) + 5 * (y == "Ia")[:, None]
    >>> display = LatentMapDisplay.from_predictions(Z, y)
    >>> list(display.scatters_)
    ['II', 'Ia']
    """

    def __init__(self, places, y=None, *, label=None, axis_labels=None):
        self.places = places
        self.y = y
        self.label = label
        self.axis_labels = axis_labels

    @classmethod
    def from_estimator(cls, estimator, X, y=None, *, embedding=None, label=None, ax=None, **kwargs):
        """Encode objects and plot the map.

        Parameters
        ----------
        estimator : estimator
            A fitted encoder, or a pipeline that ends in one.
        X : list of Table, array, images, or list of dict
            Objects of the same kind as in fit.
        y : array-like of shape (n_objects,), default=None
            Classes or numbers; see `LatentMapDisplay`.
        embedding : estimator, default=None
            As in `from_predictions`.
        label : str, default=None
            Name of y.
        ax : Axes, default=None
            As in `plot`.
        **kwargs : dict
            As in `plot`.

        Returns
        -------
        display : LatentMapDisplay
            The display.
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        Z = estimator.transform(X)
        return cls.from_predictions(Z, y, embedding=embedding, label=label, ax=ax, **kwargs)

    @classmethod
    def from_predictions(cls, Z, y=None, *, embedding=None, label=None, ax=None, **kwargs):
        """Plot the map of existing codes.

        Parameters
        ----------
        Z : array of shape (n_objects, n_features)
            The output of `transform`; two columns are plotted as they are.
        y : array-like of shape (n_objects,), default=None
            Classes or numbers; see `LatentMapDisplay`.
        embedding : estimator, default=None
            Estimator whose ``fit_transform`` maps standardised features to two dimensions, such as ``PCA(2)`` or
            ``umap.UMAP()``. None uses t-SNE with a fixed seed.
        label : str, default=None
            Name of y.
        ax : Axes, default=None
            As in `plot`.
        **kwargs : dict
            As in `plot`.

        Returns
        -------
        display : LatentMapDisplay
            The display.
        """
        Z = check_array(Z, dtype=float, input_name="Z")
        if y is not None:
            check_consistent_length(Z, y)
        if Z.shape[1] == 2 and embedding is None:
            return cls(Z, y, label=label, axis_labels=("$z_0$", "$z_1$")).plot(ax, **kwargs)
        names = None
        if embedding is None:
            if len(Z) < 4:
                raise ValueError(f"Z holds {len(Z)} objects; t-SNE needs at least 4. Give another embedding=.")
            embedding = TSNE(perplexity=min(30.0, (len(Z) - 1) / 3), random_state=0)
        else:
            names = tuple(f"{type(embedding).__name__} {i}" for i in (1, 2))
        places = np.asarray(embedding.fit_transform(StandardScaler().fit_transform(Z)))
        if places.shape != (len(Z), 2):
            raise ValueError(f"{embedding!r} gave an array of shape {places.shape}, but {(len(Z), 2)} is needed.")
        return cls(places, y, label=label, axis_labels=names).plot(ax, **kwargs)

    def plot(self, ax=None, **kwargs):
        """Plot.

        Parameters
        ----------
        ax : Axes, default=None
            Axes to plot on. None makes a new figure.
        **kwargs : dict
            Passed to ``Axes.scatter``.

        Returns
        -------
        self : LatentMapDisplay
            The display.
        """
        ((ax,),) = axes_of(type(self).__name__, ax, (1, 1), (5.2, 4.4))
        self._keywords = keywords("scatter", kwargs, s=16 if len(self.places) < MANY else 5, linewidths=0)
        self.scatters_ = {}
        y = None if self.y is None else column_or_1d(self.y)
        if y is None:
            self._scatter(ax, "", np.full(len(self.places), True), color=UNKNOWN)
        elif y.dtype.kind == "f":
            self._draw_numbers(ax, y)
        else:
            self._draw_classes(ax, y)
        if self.axis_labels is None:
            ax.set(xticks=[], yticks=[])
            ax.set_aspect("equal", adjustable="datalim")
        else:
            ax.set(xlabel=self.axis_labels[0], ylabel=self.axis_labels[1])
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw_numbers(self, ax, y) -> None:
        known = np.isfinite(y)
        if not known.all():
            self._scatter(ax, "unknown", ~known, color=UNKNOWN)
        low, high = np.quantile(y[known], [0.01, 0.99]) if known.any() else (0, 1)
        scatter = self._scatter(ax, "", known, c=y[known], cmap="viridis", vmin=low, vmax=high)
        beyond = (y[known].min(initial=low) < low) + 2 * (y[known].max(initial=high) > high)
        ax.figure.colorbar(scatter, ax=ax, label=self.label, pad=0.02, extend=("neither", "min", "max", "both")[beyond])

    def _draw_classes(self, ax, y) -> None:
        known = np.array([v is not None and v == v and v != "" for v in y.tolist()])
        y = y.astype(str)
        if not known.all():
            self._scatter(ax, "unknown", ~known, color=UNKNOWN, label="unknown")
        names, counts = np.unique(y[known], return_counts=True)
        order = _order(names)
        names, counts = names[order], counts[order]
        styles = class_styles(names.tolist())
        for name in names[np.argsort(-counts, kind="stable")].tolist():  # rare classes last, on top
            color, marker = styles[name]
            self._scatter(ax, name, known & (y == name), color=color, marker=marker, label=name)
        self.scatters_ = {name: self.scatters_[name] for name in (*styles, "unknown") if name in self.scatters_}
        ax.legend(
            [*self.scatters_.values()], [*self.scatters_], title=self.label, frameon=False, fontsize="small",
            markerscale=1.4, loc="upper left", bbox_to_anchor=(1, 1), borderaxespad=0.2, handletextpad=0.2,
        )  # fmt: skip

    def _scatter(self, ax, name: str, here: np.ndarray, **style):
        self.scatters_[name] = ax.scatter(*np.asarray(self.places)[here].T, **style | self._keywords)
        return self.scatters_[name]


def _order(names: np.ndarray) -> np.ndarray:
    """Return the order of classes; numbers are sorted as numbers."""
    try:
        return np.argsort(names.astype(float))
    except ValueError:
        return np.arange(len(names))
