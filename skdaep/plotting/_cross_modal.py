"""Plot a modality predicted from others, and compare it with its measurements."""

from __future__ import annotations

import numpy as np

from .. import tables
from ._decode import ModalityView, check_n_draws
from ._images import panels, show
from ._objects import Columns, PlottedPoints, check_numbers, curves, decoded, extended, read
from ._panels import (
    draw_legend,
    draw_measured,
    draw_panel,
    draw_residuals,
    label_once,
    set_location_axis,
    set_value_axis,
    styles_of,
)
from ._reconstruction import check_few
from .style import axes_of, require_matplotlib


class CrossModalDisplay:
    """A modality predicted from others, compared with the truth, below the modalities that the encoder saw.

    One column of Axes per object: the given modalities, the predicted one with the truth, and the residuals. Draws are
    shown as their median with bands that contain 68 and 95 % of them; for images, the mean is shown. Create it with
    `from_estimator`.

    Parameters
    ----------
    X : list of dict
        The objects, including `modality`.
    predicted : list of Table, list of ndarray, or array
        The decoded modality at its own locations in X.
    modality : str
        The predicted modality.
    given : str or sequence of str, default=None
        Modalities to predict from. None uses all others.
    curves : list of Table, default=None
        Predictions on a fine grid.
    columns : dict, default=None
        Modality -> dict of columns by role (``value``, ``location``, ``band``, ``error``). Missing roles are found by
        their usual names.
    channels : int or sequence of three int, default=None
        Channels of images to show. None shows the only one, or all three.
    titles : list of str, default=None
        One per object. None uses class and redshift if ``meta`` of the predicted modality has them.

    Attributes
    ----------
    axes_ : ndarray of Axes, shape (len(given) + 2, n_objects)
        Given modalities, prediction with truth (for images one below the other), residuals.
    figure_ : Figure
        The figure.

    See Also
    --------
    ReconstructionDisplay : A modality that the encoder saw.

    Examples
    --------
    >>> from skdaep import MultimodalDAEP, Photometry, Spectrum
    >>> from skdaep.datasets import make_supernova_light_curves, make_supernova_spectra
    >>> from skdaep.plotting import CrossModalDisplay
    >>> spectra, y = make_supernova_spectra(20, random_state=0)
    >>> light_curves, y = make_supernova_light_curves(20, random_state=0)
    >>> X = [{"photometry": lc, "spectrum": s} for lc, s in zip(light_curves, spectra)]
    >>> modalities = {"photometry": Photometry(), "spectrum": Spectrum(metadata=("phase",))}
    >>> encoder = MultimodalDAEP(modalities, model_dim=16, max_iter=3, n_sampling_steps=3, random_state=0).fit(X)
    >>> display = CrossModalDisplay.from_estimator(encoder, X[:2], modality="spectrum", n_draws=4, n_points=20)
    >>> display.axes_.shape
    (3, 2)
    """

    def __init__(self, X, predicted, *, modality, given=None, curves=None, columns=None, channels=None, titles=None):
        self.X = X
        self.predicted = predicted
        self.modality = modality
        self.given = given
        self.curves = curves
        self.columns = columns
        self.channels = channels
        self.titles = titles

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        modality,
        given=None,
        n_draws=50,
        n_points=200,
        channels=None,
        titles=None,
        ax=None,
        **kwargs,
    ):
        """Hide a modality, predict it from the others and compare it with the truth.

        Parameters
        ----------
        estimator : estimator
            A fitted encoder of several modalities.
        X : list of dict
            The objects to draw, `modality` included; at most 8.
        modality : str
            Modality to predict.
        given : str or sequence of str, default=None
            Modalities to predict from. None uses all others.
        n_draws : int, default=50
            Number of draws behind the bands; None draws the point estimate.
        n_points : int, default=200
            Number of locations in each band at which the line is decoded.
        channels : int or sequence of three int, default=None
            Channels of images to show. None shows the only one, or all three.
        titles : list of str, default=None
            One per object. None uses class and redshift if ``meta`` of the predicted modality has them.
        ax : array of Axes, default=None
            As in `plot`.
        **kwargs : dict
            As in `plot`.

        Returns
        -------
        display : CrossModalDisplay
            The display.
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        part = ModalityView(estimator, modality, cls.__name__, need_several=True)
        check_few(X)
        check_n_draws(n_draws)
        X, truth = part.objects(X)
        given = _given(estimator.modalities_, modality, given)
        seen = [_only(x, given, f"X[{i}]") for i, x in enumerate(X)]
        if part.is_image:
            predicted, lines = part.reconstruct(seen, n_draws), None
        else:
            truth = tables.as_objects(truth)
            object_names = [f"X[{i}][{modality!r}]" for i in range(len(truth))]
            fine = [extended(t, part.columns, n_points, w)[len(t) :] for t, w in zip(truth, object_names, strict=True)]
            predicted, lines = (part.reconstruct(seen, n_draws, at=at) for at in (truth, fine))
        columns = {
            name: {role: getattr(m, role, None) for role in Columns._fields}
            for name, m in estimator.modalities_.items()
            if not m.stacks
        }
        shown = {"columns": columns, "channels": channels, "titles": titles}
        display = cls(X, predicted, modality=modality, given=given, curves=lines, **shown)
        return display.plot(ax, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        X,
        predicted,
        *,
        modality,
        given=None,
        curves=None,
        columns=None,
        channels=None,
        titles=None,
        ax=None,
        **kwargs,
    ):
        """Plot existing predictions of a modality.

        Parameters
        ----------
        X : list of dict
            The objects, including `modality`; at most 8.
        predicted : list of Table, list of ndarray, or array
            The decoded modality at its own locations in X, with or without draws.
        modality : str
            The predicted modality.
        given : str or sequence of str, default=None
            Modalities to predict from. None uses all others.
        curves : list of Table, default=None
            Predictions at locations of their own.
        columns : dict, default=None
            Modality -> dict of the columns of each role.
        channels : int or sequence of three int, default=None
            Channels of images to show. None shows the only one, or all three.
        titles : list of str, default=None
            One per object. None uses class and redshift if ``meta`` of the predicted modality has them.
        ax : array of Axes, default=None
            As in `plot`.
        **kwargs : dict
            As in `plot`.

        Returns
        -------
        display : CrossModalDisplay
            The display.
        """
        shown = {"columns": columns, "channels": channels, "titles": titles}
        display = cls(X, predicted, modality=modality, given=given, curves=curves, **shown)
        return display.plot(ax, **kwargs)

    def plot(self, ax=None, **kwargs):
        """Plot.

        Parameters
        ----------
        ax : array of Axes, default=None
            Where: n_objects for each modality given, for the prediction and for the residuals. None makes a new
            figure.
        **kwargs : dict
            Passed to the lines (``Axes.plot``), or to ``Axes.imshow``.

        Returns
        -------
        self : CrossModalDisplay
            The display.
        """
        check_few(self.X)
        check_numbers("predicted", len(self.predicted), len(self.X))
        for i, x in enumerate(self.X):
            if x.get(self.modality) is None:
                raise ValueError(f"X[{i}] has no {self.modality!r} to compare with; leave the object out.")
        given = _given({name: None for x in self.X for name in x}, self.modality, self.given)
        n, image = len(self.X), _is_image(self.X[0][self.modality])
        heights = [2.0] * len(given) + ([2.0, 2.0] if image else [2.6, 0.9])
        size = (max(1.4, n) * 3.6, 1.1 * sum(heights))
        axes = axes_of(type(self).__name__, ax, (len(heights), n), size, height_ratios=heights)
        for row, name in zip(axes, given, strict=False):
            self._draw_given(row, name, room=ax is None)
        titles = (self._draw_images if image else self._draw_lines)(axes[-2:], kwargs, room=ax is None)
        titles = titles if self.titles is None else self.titles
        check_numbers("titles", len(titles), n)
        for ax_, title in zip(axes[0], titles, strict=True):
            ax_.set_title(title, fontsize="medium")
        label_once(axes)
        self.axes_, self.figure_ = axes, axes[0, 0].figure
        return self

    def _read(self, objects: list, name: str) -> list[PlottedPoints]:
        roles = (self.columns or {}).get(name, {})
        return read(objects, Columns(**roles) if {"value", "location"} <= set(roles) else None, name, **roles)

    def _draw_given(self, axes: np.ndarray, name: str, room: bool) -> None:
        """Draw a modality of the objects that have it."""
        having = [(ax, x[name]) for ax, x in zip(axes, self.X, strict=True) if x.get(name) is not None]
        for ax in set(axes) - {ax for ax, _ in having}:
            ax.set(xticks=[], yticks=[])
            ax.text(0.5, 0.5, f"no {name}", ha="center", va="center", transform=ax.transAxes, color="0.5")
        if having and _is_image(having[0][1]):
            for ax, image in having:
                show(ax, *panels(image, image, self.channels, f"[{name!r}]")["measured"])
                ax.set_ylabel(name)
            return
        objects = self._read([x for _, x in having], name) if having else []
        styles = styles_of(objects)
        for (ax, _), points in zip(having, objects, strict=True):
            draw_measured(ax, points, styles)
            set_value_axis(ax, points, points.value)
            set_location_axis(ax, points)
        draw_legend(np.array([ax for ax, _ in having]), styles, room=room)

    def _draw_lines(self, axes: np.ndarray, kwargs: dict, room: bool) -> list[str]:
        """Draw truth, prediction and residuals; return titles."""
        truth = self._read([x[self.modality] for x in self.X], self.modality)
        predicted = decoded(self.predicted, truth, "predicted")
        lines = predicted if self.curves is None else curves(self.curves, truth)
        styles = styles_of(truth)
        for (top, below), x, y, line in zip(axes.T, truth, predicted, lines, strict=True):
            draw_panel(top, x, line, styles, **kwargs)
            draw_residuals(below, x, y, styles)
            top.sharex(below)
            top.tick_params(labelbottom=False)
            set_location_axis(below, x)
        draw_legend(axes[0], styles, lines[0], room=room)
        return [x.title for x in truth]

    def _draw_images(self, axes: np.ndarray, kwargs: dict, room: bool) -> list[str]:
        """Draw the truth and, below it, the prediction, without titles."""
        for i, (line, x, y) in enumerate(zip(axes.T, self.X, self.predicted, strict=True)):
            found = panels(x[self.modality], y, self.channels, f"[{i}]")
            for ax, (name, image) in zip(line, list(found.items())[:2], strict=True):
                show(ax, *image, **kwargs)
                ax.set_ylabel(f"{self.modality}, {name}")
        return [""] * len(self.X)


def _given(known, modality: str, given) -> tuple[str, ...]:
    """Return the given modalities after checking them."""
    others = tuple(name for name in known if name != modality)
    given = others if given is None else (given,) if isinstance(given, str) else tuple(given)
    if not given or any(name not in others for name in given):
        raise ValueError(f"given={given!r}: choose among {', '.join(others)}.")
    return given


def _only(x: dict, given: tuple[str, ...], object_name: str) -> dict:
    """Return an object with only the given modalities."""
    visible = {name: x[name] for name in given if x.get(name) is not None}
    if not visible:
        raise ValueError(f"{object_name} has none of {', '.join(given)} to predict from; leave the object out.")
    return visible


def _is_image(x) -> bool:
    return not (hasattr(x, "colnames") or hasattr(x, "spectral_axis"))
