"""Plot measurements of a few objects, their reconstructions and residuals."""

from __future__ import annotations

from ._decode import ModalityView
from ._objects import Columns, check_list, check_numbers, curves, decoded, read
from ._panels import draw_legend, draw_panel, draw_residuals, label_once, set_location_axis, styles_of
from .style import axes_of, require_matplotlib

#: largest number of objects side by side
MOST = 8


class ReconstructionDisplay:
    """Spectra or light curves with their reconstructions, and residuals below.

    One column of Axes per object. Draws are shown as their median with bands that contain 68 and 95 % of them.
    Residuals are in units of the measurement error if it is known. Create it with `from_estimator` or
    `from_predictions`. Parameters are stored as attributes.

    Parameters
    ----------
    X : list of Table, or array of shape (n_objects, n_points)
        The measurements.
    reconstructed : list of Table, list of ndarray, or array
        The output of `reconstruct` for X, with or without draws.
    curves : list of Table, default=None
        Reconstructions on a fine grid, plotted as lines. None plots `reconstructed`.
    value, location, band, error, ivar, quality : str, default=None
        Columns. None finds them by their usual names.
    titles : list of str, default=None
        One per object. None uses class and redshift if ``meta`` has them.

    Attributes
    ----------
    axes_ : ndarray of Axes, shape (2, n_objects) or (1, n_objects)
        Data above, residuals below.
    lines_ : list of list of Line2D
        The lines of each object, one per band.
    figure_ : Figure
        The figure.

    See Also
    --------
    CrossModalDisplay : A modality predicted from others.
    ImageDisplay : Images with their reconstructions.

    Examples
    --------
    >>> from skdaep import DAEPEncoder
    >>> from skdaep.datasets import make_supernova_light_curves
    >>> from skdaep.plotting import ReconstructionDisplay
    >>> X, y = make_supernova_light_curves(20, random_state=0)
    >>> encoder = DAEPEncoder(model_dim=16, max_iter=3, n_sampling_steps=3, random_state=0).fit(X)
    >>> display = ReconstructionDisplay.from_estimator(encoder, X[:2], n_draws=5, n_points=20)
    >>> display.axes_.shape
    (2, 2)
    >>> display.axes_[0, 0].get_ylabel()
    'magnitude'
    """

    def __init__(
        self,
        X,
        reconstructed,
        *,
        curves=None,
        value=None,
        location=None,
        band=None,
        error=None,
        ivar=None,
        quality=None,
        titles=None,
    ):
        self.X = X
        self.reconstructed = reconstructed
        self.curves = curves
        self.value = value
        self.location = location
        self.band = band
        self.error = error
        self.ivar = ivar
        self.quality = quality
        self.titles = titles

    @classmethod
    def from_estimator(
        cls, estimator, X, *, modality=None, n_draws=None, n_points=200, titles=None, ax=None, residuals=True, **kwargs
    ):
        """Reconstruct objects and plot them.

        Parameters
        ----------
        estimator : estimator
            A fitted encoder.
        X : list of Table, array of shape (n_objects, n_points), or list of dict
            The objects to plot, of the same kind as in fit; at most 8.
        modality : str, default=None
            Modality to show, for an estimator of several.
        n_draws : int, default=None
            Number of draws behind the bands. None plots the point estimate.
        n_points : int, default=200
            Number of locations in each band at which the line is decoded.
        titles : list of str, default=None
            One per object. None uses class and redshift if ``meta`` has them.
        ax : Axes or array of Axes, default=None
            As in `plot`.
        residuals : bool, default=True
            As in `plot`.
        **kwargs : dict
            As in `plot`.

        Returns
        -------
        display : ReconstructionDisplay
            The display.
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        part = ModalityView(estimator, modality, cls.__name__).on_a_line()
        check_few(X)
        own, rebuilt, curves = part.reconstruct_with_curves(X, n_draws, n_points)
        names = {} if part.columns is None else part.columns._asdict()
        display = cls(own, rebuilt, curves=curves, titles=titles, **names)
        return display.plot(ax, residuals=residuals, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        X,
        reconstructed,
        *,
        curves=None,
        value=None,
        location=None,
        band=None,
        error=None,
        ivar=None,
        quality=None,
        titles=None,
        ax=None,
        residuals=True,
        **kwargs,
    ):
        """Plot objects and existing reconstructions.

        Parameters
        ----------
        X : list of Table, or array of shape (n_objects, n_points)
            The measurements, of at most 8 objects.
        reconstructed : list of Table, list of ndarray, or array
            The output of `reconstruct` for X, with or without draws.
        curves : list of Table, default=None
            Reconstructions on a fine grid, from ``inverse_transform(Z, at=...)``.
        value, location, band, error, ivar, quality : str, default=None
            Columns. None finds them by their usual names.
        titles : list of str, default=None
            One per object. None uses class and redshift if ``meta`` has them.
        ax : Axes or array of Axes, default=None
            As in `plot`.
        residuals : bool, default=True
            As in `plot`.
        **kwargs : dict
            As in `plot`.

        Returns
        -------
        display : ReconstructionDisplay
            The display.
        """
        columns = {"value": value, "location": location, "band": band}
        columns |= {"error": error, "ivar": ivar, "quality": quality}
        display = cls(X, reconstructed, curves=curves, titles=titles, **columns)
        return display.plot(ax, residuals=residuals, **kwargs)

    def plot(self, ax=None, *, residuals=True, **kwargs):
        """Plot.

        Parameters
        ----------
        ax : Axes or array of Axes, default=None
            Axes to plot on: n_objects for data only, 2 n_objects with residuals. None makes a new figure.
        residuals : bool, default=True
            Whether a new figure has Axes for residuals.
        **kwargs : dict
            Passed to the lines (``Axes.plot``).

        Returns
        -------
        self : ReconstructionDisplay
            The display.
        """
        check_few(self.X)
        measured = read(self.X, **{role: getattr(self, role) for role in Columns._fields})
        rebuilt = decoded(self.reconstructed, measured)
        lines = rebuilt if self.curves is None else curves(self.curves, measured)
        titles = [p.title for p in measured] if self.titles is None else self.titles
        check_numbers("titles", len(titles), len(measured))
        n = len(measured)
        rows = (2 if residuals else 1) if ax is None else 1 + (_count(ax) == 2 * n)
        size = (max(1.4, n) * 3.6, 3.9 if rows == 2 else 3.0)
        axes = axes_of(
            type(self).__name__, ax, (rows, n), size, sharex="col", **{"height_ratios": [2.7, 1]} if rows == 2 else {}
        )
        styles, self.lines_ = styles_of(measured), []
        for column, x, y, line, title in zip(axes.T, measured, rebuilt, lines, titles, strict=True):
            self.lines_.append(draw_panel(column[0], x, line, styles, **kwargs))
            column[0].set_title(title, fontsize="medium")
            if rows == 2:
                draw_residuals(column[1], x, y, styles)
            set_location_axis(column[-1], x)
        label_once(axes)
        draw_legend(axes[0], styles, lines[0], room=ax is None)
        self.axes_, self.figure_ = axes, axes[0, 0].figure
        return self


def check_few(X) -> None:
    """Raise ValueError if more objects are passed than fit side by side, TableError if X is a single object."""
    check_list(X)
    if len(X) > MOST:
        raise ValueError(f"X holds {len(X)} objects; at most {MOST} fit side by side. Choose a few: X[:3].")


def _count(ax) -> int:
    return len(ax) if isinstance(ax, list | tuple) else getattr(ax, "size", 1)
