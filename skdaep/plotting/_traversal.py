"""Show what the bottleneck encodes, by decoding along one of its dimensions, or between two objects."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from astropy.table import Column, Table

from .. import tables
from ._decode import ModalityView
from ._images import select_channels, show
from ._objects import PlottedPoints, check_numbers, read
from ._panels import set_location_axis, set_value_axis, styles_of
from .style import axes_of, keywords, limits, require_matplotlib

#: viridis without its bright yellow end, which is hard to see on white
CMAP, CMAP_END = "viridis", 0.92


class TraversalDisplay:
    """Objects decoded along a line in the bottleneck, coloured by position on the line; one Axes per band.

    Create it with `from_estimator` or `from_predictions`.

    Parameters
    ----------
    steps : array-like of shape (n_steps,)
        Positions on the line.
    decoded : list of Table, or array of shape (n_steps, n_points) or (n_steps, height, width[, n_channels])
        Objects decoded there, without draws.
    label : str, default=None
        Name of the steps.
    value, location, band : str, default=None
        Columns. None finds them by their usual names.
    channels : int or sequence of three int, default=None
        Channels of images to show: one in grey, or red, green and blue. None shows the only one, or all three.

    Attributes
    ----------
    axes_ : ndarray of Axes, shape (1, n_bands), or (1, n_steps) of images
        The Axes.
    lines_ : list of list of Line2D
        The lines of each Axes, one per step; empty for images.
    figure_ : Figure
        The figure.

    Examples
    --------
    >>> from skdaep import DAEPEncoder
    >>> from skdaep.datasets import make_supernova_spectra
    >>> from skdaep.plotting import TraversalDisplay
    >>> X, y = make_supernova_spectra(20, random_state=0)
    >>> encoder = DAEPEncoder(model_dim=16, max_iter=3, random_state=0).fit(X)
    >>> display = TraversalDisplay.from_estimator(encoder, X, dimension=3, n_steps=5)
    >>> len(display.lines_[0]), display.label
    (5, '$z_{3}$')
    """

    def __init__(self, steps, decoded, *, label=None, value=None, location=None, band=None, channels=None):
        self.steps = steps
        self.decoded = decoded
        self.label = label
        self.value = value
        self.location = location
        self.band = band
        self.channels = channels

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        dimension=None,
        between=None,
        start=None,
        at=None,
        modality=None,
        n_steps=7,
        n_points=200,
        channels=None,
        ax=None,
        **kwargs,
    ):
        """Decode along one dimension of the bottleneck, or between two objects, and plot the result.

        Parameters
        ----------
        estimator : estimator
            A fitted encoder.
        X : list of Table, array, images, or list of dict
            Objects of the same kind as in fit. They set the range of a dimension.
        dimension : int, default=None
            Column of the codes to move along, from the 5 % to the 95 % quantile of X. None means 0, or `between`.
        between : tuple of two int, default=None
            Indices in X of two objects, to move on the straight line between their codes.
        start : int, default=None
            Index in X of the object from which to move along `dimension`. None starts at the median code of X.
        at : Table, default=None
            Where to decode, and with which metadata. None uses a fine grid over the locations of fit, with the training
            median or the most common label of the metadata.
        modality : str, default=None
            Modality to show, for an estimator of several.
        n_steps : int, default=7
            Number of positions to decode.
        n_points : int, default=200
            Number of locations of the fine grid in each band.
        channels : int or sequence of three int, default=None
            Channels of images to show.
        ax : array of Axes, default=None
            As in `plot`.
        **kwargs : dict
            As in `plot`.

        Returns
        -------
        display : TraversalDisplay
            The display.
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        part = ModalityView(estimator, modality, cls.__name__)
        if between is not None and (dimension is not None or start is not None):
            raise ValueError("Give dimension= (and start=) or between=, not both.")
        Z = np.asarray(estimator.transform(X), float)
        if between is None:
            steps, codes, label = _along(Z, 0 if dimension is None else dimension, start, n_steps)
        else:
            steps, codes, label = _between(Z, between, n_steps)
        columns = None if part.is_image else part.columns
        names = {} if columns is None else dict(zip(columns._fields[:3], columns, strict=False))
        if columns is None:
            decoded = part.inverse_transform(codes)
        else:
            at = _fine_grid(part, codes[:1], n_points) if at is None else at
            decoded = part.inverse_transform(codes, [at] * n_steps)
        return cls(steps, decoded, label=label, channels=channels, **names).plot(ax, **kwargs)

    @classmethod
    def from_predictions(
        cls, steps, decoded, *, label=None, value=None, location=None, band=None, channels=None, ax=None, **kwargs
    ):
        """Plot objects decoded before.

        Parameters
        ----------
        steps : array-like of shape (n_steps,)
            Positions on the line.
        decoded : list of Table, or array of shape (n_steps, n_points) or (n_steps, height, width[, n_channels])
            The output of `inverse_transform` there, without draws.
        label : str, default=None
            Name of the steps.
        value, location, band : str, default=None
            Columns. None finds them by their usual names.
        channels : int or sequence of three int, default=None
            Channels of images to show.
        ax : array of Axes, default=None
            As in `plot`.
        **kwargs : dict
            As in `plot`.

        Returns
        -------
        display : TraversalDisplay
            The display.
        """
        display = cls(steps, decoded, label=label, value=value, location=location, band=band, channels=channels)
        return display.plot(ax, **kwargs)

    def plot(self, ax=None, **kwargs):
        """Plot.

        Parameters
        ----------
        ax : array of Axes, default=None
            Axes to plot on: one per band, or one per step for images. None makes a new figure.
        **kwargs : dict
            Passed to the lines (``Axes.plot``), or to ``Axes.imshow``.

        Returns
        -------
        self : TraversalDisplay
            The display.
        """
        check_numbers("decoded", len(self.decoded), len(self.steps))
        if np.ndim(self.decoded[0]) >= 2 and not hasattr(self.decoded[0], "colnames"):
            images = [select_channels(image, self.channels) for image in np.asarray(self.decoded, float)]
            axes = self._plot_images(ax, images, kwargs)
        else:
            axes = self._plot_lines(ax, read(self.decoded, **self._columns(), name="decoded"), kwargs)
        self.axes_, self.figure_ = axes, axes[0, 0].figure
        return self

    def _columns(self) -> dict:
        return {"value": self.value, "location": self.location, "band": self.band}

    def _plot_lines(self, ax, objects: list[PlottedPoints], kwargs: dict) -> np.ndarray:
        from matplotlib import colormaps
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import ListedColormap, Normalize

        bands = list(styles_of(objects))
        shape = (1, len(bands))
        axes = axes_of(type(self).__name__, ax, shape, (1.2 + 4.2 * len(bands), 3.4), sharex=True, sharey=True)
        cmap = ListedColormap(colormaps[CMAP](np.linspace(0, CMAP_END, 256)))
        colors = ScalarMappable(Normalize(np.min(self.steps), np.max(self.steps)), cmap)
        self.lines_ = []
        for i, (ax_, band) in enumerate(zip(axes[0], bands, strict=True)):
            lines = []
            for step, points in zip(self.steps, objects, strict=True):
                p, style = points.of_band(band), keywords("line", kwargs, color=colors.to_rgba(step), linewidth=1.3)
                lines += ax_.plot(p.location, p.value, **style)
            self.lines_.append(lines)
            set_value_axis(ax_, objects[0], *(p.value for p in objects))
            set_location_axis(ax_, objects[0])
            ax_.set_title(band, fontsize="medium")
            if i:
                ax_.set_ylabel("")
        axes[0, 0].figure.colorbar(colors, ax=list(axes[0]), label=self.label, pad=0.02)
        return axes

    def _plot_images(self, ax, images: list[np.ndarray], kwargs: dict) -> np.ndarray:
        n = len(images)
        height, width = images[0].shape[:2]
        axes = axes_of(type(self).__name__, ax, (1, n), (1.5 * n, 1.5 * height / width + 0.6))
        low, high = limits(*images, margin=0)
        self.lines_ = []
        for ax_, step, image in zip(axes[0], self.steps, images, strict=True):
            show(ax_, image, low, high, **kwargs)
            ax_.set_title(f"{step:.2f}", fontsize="small")
        axes[0, n // 2].set_xlabel(self.label, x=n % 2 / 2)  # centred: it may be wider than an image
        return axes


# --- where to decode --------------------------------------------------------------------------------


def _along(Z: np.ndarray, dimension: int, start: int | None, n_steps: int):
    """Return values of one column, codes that differ in it alone, and what it is called."""
    if not (isinstance(dimension, Integral) and 0 <= dimension < Z.shape[1]):
        raise ValueError(f"dimension={dimension!r}: the codes have {Z.shape[1]} columns, counted from 0.")
    _check_index("start", start, len(Z))
    steps = np.linspace(*np.quantile(Z[:, dimension], [0.05, 0.95]), n_steps)
    codes = np.tile(np.median(Z, axis=0) if start is None else Z[start], (n_steps, 1))
    codes[:, dimension] = steps
    return steps, codes, f"$z_{{{dimension}}}$"


def _between(Z: np.ndarray, between, n_steps: int):
    """Return shares of the way between two objects, the codes there, and what the shares are called."""
    if len(between) != 2:
        raise ValueError(f"between={between!r}: two indices are needed.")
    for index in between:
        _check_index("between", index, len(Z))
    i, j = between
    steps = np.linspace(0, 1, n_steps)
    return steps, (1 - steps[:, None]) * Z[i] + steps[:, None] * Z[j], f"way from object {i} to object {j}"


def _check_index(name: str, index, n: int) -> None:
    if index is not None and not (isinstance(index, Integral) and -n <= index < n):
        raise ValueError(f"{name}: {index!r} is not the index of one of the {n} objects of X.")


def _fine_grid(part: ModalityView, code: np.ndarray, n_points: int) -> Table:
    """Return the grid learned in fit with more points, and its typical metadata."""
    ((coarse,), columns) = part.inverse_transform(code), part.columns
    (points,) = read([coarse], columns)
    ends = {band: points.of_band(band).location[[0, -1]] for band in styles_of([points])}
    location = np.concatenate([np.linspace(*pair, n_points) for pair in ends.values()])
    fine = Table({columns.location: Column(location, unit=tables.unit_of(coarse, columns.location))}, meta=coarse.meta)
    if columns.band is not None:
        fine[columns.band] = np.repeat(list(ends), n_points)
    return fine
