"""Images with their reconstructions."""

from __future__ import annotations

import numpy as np

from .. import tables
from ..exceptions import TableError
from ._decode import ModalityView
from ._objects import check_list, check_numbers
from .style import axes_of, keywords, require_matplotlib

MOST = 16
SPREAD = "s.d. of draws"


class ImageDisplay:
    """Images, their reconstructions and residuals, one column per object.

    All images of an object have the same contrast, set by the central 99 % of its measured pixels. Residuals have the
    same range about zero, so a faint residual is small. With draws, the mean is shown, and their standard deviation in
    another row, with one contrast for all objects, which is written beside it. Create it with
    `from_estimator` or `from_predictions`.

    Parameters
    ----------
    X : array of shape (n_objects, height, width[, n_channels]), or list of such
        The measurements; NaN means not observed.
    reconstructed : array of shape (n_objects, height, width[, n_channels][, n_draws])
        The output of `reconstruct` for X.
    channels : int or sequence of three int, default=None
        Channels to show: one in grey, or red, green and blue. None shows the only one, or all three.
    titles : list of str, default=None
        One per object.

    Attributes
    ----------
    axes_ : ndarray of Axes, shape (3 or 4, n_objects)
        Measured, reconstructed, residual and, with draws, their standard deviation.
    figure_ : Figure
        The figure.

    See Also
    --------
    ReconstructionDisplay : Spectra and light curves.

    Examples
    --------
    >>> import numpy as np
    >>> from skdaep.plotting import ImageDisplay
    >>> X = np.random.default_rng(0).normal(size=(2, 8, 8))
    >>> ImageDisplay.from_predictions(X, 0.5 * X).axes_.shape
    (3, 2)
    """

    def __init__(self, X, reconstructed, *, channels=None, titles=None):
        self.X = X
        self.reconstructed = reconstructed
        self.channels = channels
        self.titles = titles

    @classmethod
    def from_estimator(
        cls, estimator, X, *, modality=None, n_draws=None, channels=None, titles=None, ax=None, **kwargs
    ):
        """Reconstruct images and plot them.

        Parameters
        ----------
        estimator : estimator
            A fitted encoder of images.
        X : array, list of arrays, or list of dict
            The objects to plot, of the same kind as in fit; at most 16.
        modality : str, default=None
            Modality to show, for an estimator of several.
        n_draws : int, default=None
            Number of draws. None plots the point estimate.
        channels : int or sequence of three int, default=None
            As in `ImageDisplay`.
        titles : list of str, default=None
            One per object.
        ax : array of Axes, default=None
            As in `plot`.
        **kwargs : dict
            As in `plot`.

        Returns
        -------
        display : ImageDisplay
            The display.
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        part = ModalityView(estimator, modality, cls.__name__)
        if not part.is_image:
            raise ValueError(f"{cls.__name__} draws images, but {part.name!r} is on a line: see ReconstructionDisplay.")
        _check_few(X)
        X, own = part.objects(X)
        rebuilt = part.reconstruct(X, n_draws)
        return cls.from_predictions(own, rebuilt, channels=channels, titles=titles, ax=ax, **kwargs)

    @classmethod
    def from_predictions(cls, X, reconstructed, *, channels=None, titles=None, ax=None, **kwargs):
        """Plot images and existing reconstructions.

        Parameters
        ----------
        X : array of shape (n_objects, height, width[, n_channels]), or list of such
            The measurements, of at most 16 objects.
        reconstructed : array of shape (n_objects, height, width[, n_channels][, n_draws])
            The output of `reconstruct` for X.
        channels : int or sequence of three int, default=None
            As in `ImageDisplay`.
        titles : list of str, default=None
            One per object.
        ax : array of Axes, default=None
            As in `plot`.
        **kwargs : dict
            As in `plot`.

        Returns
        -------
        display : ImageDisplay
            The display.
        """
        return cls(X, reconstructed, channels=channels, titles=titles).plot(ax, **kwargs)

    def plot(self, ax=None, **kwargs):
        """Plot.

        Parameters
        ----------
        ax : array of Axes, default=None
            Where: n_objects for each of measured, reconstructed, residual and, with draws, standard deviation. None
            makes a new figure.
        **kwargs : dict
            Passed to ``Axes.imshow``. The first row is at the bottom (``origin="lower"``), as in FITS files.

        Returns
        -------
        self : ImageDisplay
            The display.
        """
        _check_few(self.X)
        check_numbers("reconstructed", len(self.reconstructed), len(self.X))
        titles = [""] * len(self.X) if self.titles is None else self.titles
        check_numbers("titles", len(titles), len(self.X))
        columns = [
            panels(x, y, self.channels, f"[{i}]")
            for i, (x, y) in enumerate(zip(self.X, self.reconstructed, strict=True))
        ]
        widest = max(c[SPREAD][2] for c in columns) if SPREAD in columns[0] else None
        shape = (len(columns[0]), len(columns))
        axes = axes_of(type(self).__name__, ax, shape, (0.4 + 1.7 * shape[1], 0.2 + 1.7 * shape[0]))
        for line, column, title in zip(axes.T, columns, titles, strict=True):
            for ax_, (name, image) in zip(line, column.items(), strict=True):
                if name == SPREAD:
                    image, name = (image[0], 0.0, widest), f"{name}\n(0 to {widest:.2g})"
                show(ax_, *image, **kwargs)
                if ax_ in axes[:, 0]:
                    ax_.set_ylabel(name, fontsize="medium")
            line[0].set_title(title, fontsize="medium")
        self.axes_, self.figure_ = axes, axes[0, 0].figure
        return self


def panels(x, y, channels, object_name: str) -> dict[str, tuple[np.ndarray, float, float]]:
    """Return, by name, the images (H, W[, 3]) to show for an object, each with its darkest and brightest value."""
    x, y = tables.floats(x), tables.floats(y)
    draws = y.ndim == x.ndim + 1
    if (y.shape[:-1] if draws else y.shape) != x.shape or x.ndim not in (2, 3):
        raise TableError(f"reconstructed{object_name} has shape {y.shape}, but X{object_name} has {x.shape}.")
    x, mean = select_channels(x, channels), select_channels(y.mean(-1) if draws else y, channels)
    low, high = np.nanquantile(x, [0.005, 0.995]) if np.isfinite(x).any() else (0.0, 1.0)
    half = (high - low) / 2 or 1.0
    out = {"measured": (x, low, high), "mean of draws" if draws else "reconstructed": (mean, low, high)}
    out["residual"] = (x - mean, -half, half)
    if draws:
        spread = select_channels(y.std(-1), channels)
        out[SPREAD] = (spread, 0.0, float(np.nanmax(spread)))
    return out


def select_channels(image: np.ndarray, channels) -> np.ndarray:
    """Return an image (H, W) or (H, W, 3) with the chosen channels."""
    if image.ndim == 2:
        return image
    if channels is None and image.shape[-1] in (1, 3):
        channels = 0 if image.shape[-1] == 1 else (0, 1, 2)
    if channels is None:
        raise ValueError(f"Images have {image.shape[-1]} channels: choose one or three, channels=(2, 1, 0).")
    if np.ndim(channels) and len(channels) != 3:
        raise ValueError(f"channels={channels!r}: one or three can be shown.")
    return image[..., channels] if np.ndim(channels) == 0 else image[..., list(channels)]


def show(ax, image: np.ndarray, low: float, high: float, **kwargs) -> None:
    """Draw an image in grey, in colours if it has three channels, or in red and blue if zero is in the middle."""
    if image.ndim == 3:
        image = np.nan_to_num(((image - low) / (high - low)).clip(0, 1), nan=1.0)
    defaults = {"cmap": "RdBu_r" if low == -high else "gray", "vmin": low, "vmax": high, "origin": "lower"}
    ax.imshow(image, **keywords("image", kwargs, interpolation="nearest", **defaults))
    ax.set(xticks=[], yticks=[])


def _check_few(X) -> None:
    check_list(X)
    if len(X) > MOST:
        raise ValueError(f"X holds {len(X)} objects; at most {MOST} fit side by side. Choose a few: X[:8].")
