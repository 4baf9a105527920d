"""One Axes: measured points, what was decoded for them, residuals."""

from __future__ import annotations

import numpy as np

from ._objects import PlottedPoints
from .style import DECODED, FAINT, FAINTER, MEASURED, REFERENCE, axis_label, band_styles, keywords, limits

#: up to so many points of an object are drawn large, with clear error bars
FEW = 120


def draw_measured(ax, points: PlottedPoints, styles: dict[str, tuple[str, str]]) -> None:
    """Draw points with error bars, one colour and marker per band; grey where there are no bands."""
    few = points.seen.sum() <= FEW * len(points.bands)
    for band, p in ((b, points.of_band(b)) for b in styles):
        color, marker = (MEASURED, "o") if band == "" else styles[band]
        ax.errorbar(
            p.location, p.value, p.error if np.isfinite(p.error).any() else None,
            fmt=marker, ms=5.5 if few else 1.8, mec="white", mew=0.4 if few else 0, color=color, elinewidth=0.8,
            alpha=1 if few else 0.6, zorder=3.5 if few else 2.5, label=band or "measured",
        )  # fmt: skip


def draw_decoded(ax, curve: PlottedPoints, styles: dict[str, tuple[str, str]], **line) -> list:
    """Draw lines, of draws the median with bands of 68 and 95 %; return the lines."""
    lines = []
    for band, c in ((b, curve.of_band(b)) for b in styles):
        color = DECODED if band == "" else styles[band][0]
        if c.has_draws:
            for level, alpha in ((0.95, FAINTER), (0.68, FAINT - FAINTER)):  # the inner one lies on the outer one
                ax.fill_between(c.location, *c.interval(level), color=color, alpha=alpha, lw=0, zorder=2)
        style = keywords("line", line, color=color, linewidth=1.4, zorder=3, label="_decoded")
        lines += ax.plot(c.location, c.median, **style)
    return lines


def draw_residuals(ax, measured: PlottedPoints, fitted: PlottedPoints, styles: dict[str, tuple[str, str]]) -> None:
    """Draw what was measured less what was reconstructed, over the error where that is known."""
    residual, label = residuals(measured, fitted)
    few = measured.seen.sum() <= FEW * len(measured.bands)
    for band, (color, marker) in styles.items():
        here = measured.band == band
        color = color if band else MEASURED
        ax.plot(measured.location[here], residual[here], marker, ms=5 if few else 1.8, mew=0, color=color)
    ax.axhline(0, color=REFERENCE, lw=0.8, zorder=1)
    low, high = limits(residual, margin=0.1)
    largest = max(abs(low), abs(high))
    ax.set(ylabel=label, ylim=(largest, -largest) if measured.is_magnitude else (-largest, largest))


def residuals(measured: PlottedPoints, fitted: PlottedPoints) -> tuple[np.ndarray, str]:
    """Return residuals and their label, in units of the errors if all points seen have one."""
    difference, error = measured.value - fitted.median, measured.error
    if (error[measured.seen] > 0).all():
        return difference / error, "residual / $\\sigma$"
    return difference, axis_label("residual", measured.units.get(measured.columns.value))


def draw_panel(ax, measured: PlottedPoints, curve: PlottedPoints, styles: dict, **line) -> list:
    """Draw what was measured and decoded of one object, as far as an astronomer's axis goes; return the lines."""
    draw_measured(ax, measured, styles)
    lines = draw_decoded(ax, curve, styles, **line)
    shown = curve.interval(0.95) if curve.has_draws else curve.value
    set_value_axis(ax, measured, measured.value, shown)
    return lines


def set_value_axis(ax, points: PlottedPoints, *values: np.ndarray) -> None:
    """Set ends and label of the axis of values: all values are to be seen, error bars need not be."""
    low, high = limits(*values)
    ax.set(ylabel=points.labels[1], ylim=(high, low) if points.is_magnitude else (low, high))


def set_location_axis(ax, points: PlottedPoints) -> None:
    """Set the label of the axis of locations, whose numbers (MJD) are long and to be read as they stand."""
    ax.set_xlabel(points.labels[0])
    if ax.get_xscale() == "linear":
        ax.ticklabel_format(axis="x", useOffset=False, style="plain")
        if np.abs(ax.get_xlim()).max() > 1e4:
            ax.locator_params(axis="x", nbins=4)


def styles_of(objects: list[PlottedPoints]) -> dict[str, tuple[str, str]]:
    """Return colour and marker of all bands of some objects, the same in every panel."""
    return band_styles(b for points in objects for b in points.bands)


def label_once(axes: np.ndarray) -> None:
    """Leave the label of the values to the first of a row of Axes that have the same."""
    for first, *others in axes:
        for ax in others:
            if ax.get_ylabel() == first.get_ylabel():
                ax.set_ylabel("")


def draw_legend(axes: np.ndarray, styles: dict, curve: PlottedPoints | None = None, room: bool = True) -> None:
    """Name the bands, or what was measured; and the line, and the shares of draws, of what was decoded.

    It stands beside the last of a row of Axes or, without room, in the first, in a frame: its markers are not data.
    """
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = {name: handle for ax in axes for handle, name in zip(*ax.get_legend_handles_labels(), strict=True)}
    handles = {name: handles[name] for name in ([b or "measured" for b in styles]) if name in handles}
    color = DECODED if "" in styles else REFERENCE
    if curve is not None:
        handles["median" if curve.has_draws else "reconstructed"] = Line2D([], [], color=color, lw=1.4)
    if curve is not None and curve.has_draws:
        handles |= {name: Patch(color=color, alpha=a, lw=0) for a, name in ((FAINT, "68 %"), (FAINTER, "95 %"))}
    style = {"handles": list(handles.values()), "labels": list(handles), "fontsize": "small"}
    if len(handles) < 2:
        return
    if room:
        axes[-1].legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, **style)
    else:
        axes[0].legend(framealpha=1, edgecolor="0.85", **style).set_zorder(4)
