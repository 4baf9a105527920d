"""Plot residuals of many objects against location."""

from __future__ import annotations

import numpy as np
from astropy.table import Column, Table

from ..metrics import residuals_by_location
from ._decode import ModalityView
from ._objects import decoded, read
from .style import FAINT, REFERENCE, axes_of, axis_label, band_styles, keywords, limits, require_matplotlib


class ResidualDisplay:
    """Residuals of many objects against location: the median, and a band that contains 68 % of the points.

    A median away from zero is a bias at that location. The width of the band is the error of a typical point, including
    measurement error. One row of Axes per band. Create it with `from_estimator` or `from_predictions`.

    Parameters
    ----------
    residuals : dict
        Band ("" if there are none) -> table from `skdaep.metrics.residuals_by_location`.
    location_label, value_label : str, default=None
        Labels of the axes.
    is_magnitude : bool, default=False
        Whether the residual axis points down.

    Attributes
    ----------
    axes_ : ndarray of Axes, shape (n_bands, 1)
        The Axes, one per band.
    figure_ : Figure
        The figure.

    See Also
    --------
    skdaep.metrics.residuals_by_location : The numbers.

    Examples
    --------
    >>> from skdaep.datasets import make_supernova_spectra
    >>> from skdaep.plotting import ResidualDisplay
    >>> X, y, truth = make_supernova_spectra(30, random_state=0, return_truth=True)
    >>> display = ResidualDisplay.from_predictions(X, truth.measured, bins=10)
    >>> len(display.residuals[""])
    10
    """

    def __init__(self, residuals, *, location_label=None, value_label=None, is_magnitude=False):
        self.residuals = residuals
        self.location_label = location_label
        self.value_label = value_label
        self.is_magnitude = is_magnitude

    @classmethod
    def from_estimator(cls, estimator, X, *, modality=None, bins=20, ax=None, **kwargs):
        """Reconstruct objects and plot the residuals.

        Parameters
        ----------
        estimator : estimator
            A fitted encoder.
        X : list of Table, array of shape (n_objects, n_points), or list of dict
            Objects of the same kind as in fit, preferably a test set.
        modality : str, default=None
            Modality to show, for an estimator of several; objects without it are left out.
        bins : int or array-like, default=20
            Number of bins with equally many points, or their edges.
        ax : Axes or array of Axes, default=None
            As in `plot`.
        **kwargs : dict
            As in `plot`.

        Returns
        -------
        display : ResidualDisplay
            The display.
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        part = ModalityView(estimator, modality, cls.__name__).on_a_line()
        X, own = part.objects(X, need_all=False)
        measured = read(own, part.columns)
        return cls._of(measured, decoded(part.reconstruct(X), measured), bins).plot(ax, **kwargs)

    @classmethod
    def from_predictions(cls, X, reconstructed, *, bins=20, value=None, location=None, band=None, ax=None, **kwargs):
        """Plot the residuals of existing reconstructions.

        Parameters
        ----------
        X : list of Table, or array of shape (n_objects, n_points)
            The measurements.
        reconstructed : list of Table, list of ndarray, or array
            The output of `reconstruct` for X; the median of draws is used.
        bins : int or array-like, default=20
            Number of bins with equally many points, or their edges.
        value, location, band : str, default=None
            Columns. None finds them by their usual names.
        ax : Axes or array of Axes, default=None
            As in `plot`.
        **kwargs : dict
            As in `plot`.

        Returns
        -------
        display : ResidualDisplay
            The display.
        """
        measured = read(X, value=value, location=location, band=band)
        return cls._of(measured, decoded(reconstructed, measured), bins).plot(ax, **kwargs)

    @classmethod
    def _of(cls, measured: list, rebuilt: list, bins):
        tables, unit = {}, measured[0].units.get(measured[0].columns.location)
        for name in sorted({b for p in measured for b in p.bands}):
            here = [p.seen & (p.band == name) for p in measured]
            X = [
                Table({"location": Column(p.location[h], unit=unit), "value": p.value[h]})
                for p, h in zip(measured, here, strict=True)
            ]
            Y = [p.median[h] for p, h in zip(rebuilt, here, strict=True)]
            tables[name] = residuals_by_location(X, Y, bins=bins)
        first = measured[0]
        unit = first.units.get(first.columns.value)
        label = axis_label("residual" if unit else f"residual {first.columns.value}", unit)
        return cls(tables, location_label=first.labels[0], value_label=label, is_magnitude=first.is_magnitude)

    def plot(self, ax=None, **kwargs):
        """Plot.

        Parameters
        ----------
        ax : Axes or array of Axes, default=None
            Axes to plot on, one per band. None makes a new figure.
        **kwargs : dict
            Passed to the lines of the medians (``Axes.plot``).

        Returns
        -------
        self : ResidualDisplay
            The display.
        """
        styles, n = band_styles(self.residuals), len(self.residuals)
        size = (5.6, 3.2 if n == 1 else 0.7 + 1.4 * n)
        axes = axes_of(type(self).__name__, ax, (n, 1), size, sharex=True, sharey=True)
        extremes = [_plain(table[k]) for table in self.residuals.values() for k in ("low", "high")]
        largest = max(np.abs(limits(*extremes, margin=0.1)))
        for ax_, (name, (color, marker)) in zip(axes[:, 0], styles.items(), strict=True):
            columns = (self.residuals[name][k] for k in ("location", "low", "median", "high"))
            center, low, median, high = (_plain(column) for column in columns)
            ax_.fill_between(center, low, high, color=color, alpha=FAINT / 2, lw=0, label="68 %")
            style = {"color": color, "marker": marker, "markersize": 4, "label": f"{name}, median".strip(", ")}
            ax_.plot(center, median, **keywords("line", kwargs, **style))
            ax_.axhline(0, color=REFERENCE, lw=0.8, zorder=1)
            ax_.set(ylim=(largest, -largest) if self.is_magnitude else (-largest, largest))
            ax_.legend(*(x[::-1] for x in ax_.get_legend_handles_labels()), frameon=False, fontsize="small", ncols=2)
        axes[-1, 0].set_xlabel(self.location_label)
        if ax is None and n > 1:
            axes[0, 0].figure.supylabel(self.value_label, fontsize="medium")
        else:
            for ax_ in axes[:, 0]:
                ax_.set_ylabel(self.value_label)
        self.axes_, self.figure_ = axes, axes[0, 0].figure
        return self


def _plain(column) -> np.ndarray:
    """Return a column without its unit."""
    return np.asarray(getattr(column, "value", column))
