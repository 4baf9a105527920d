"""Draw on one Axes: measured points, decoded values, residuals."""

from __future__ import annotations

import numpy as np

from ._objects import PlottedPoints
from .style import DECODED, FAINT, FAINTER, MEASURED, REFERENCE, axis_label, band_styles, keywords, limits

#: up to this many points of an object are drawn large, with clear error bars
FEW = 120


def draw_measured(ax, points: PlottedPoints, styles: dict[str, tuple[str, str]]) -> None:
    """Draw points with error bars, with one colour and marker per band, or grey if there are no bands."""
    few = points.seen.sum() <= FEW * len(points.bands)
    for band, p in ((b, points.of_band(b)) for b in styles):
        color, marker = (MEASURED, "o") if band == "" else styles[band]
        ax.errorbar(
            p.location, p.value, p.error if np.isfinite(p.error).any() else None,
            fmt=marker, ms=5.5 if few else 1.8, mec="white", mew=0.4 if few else 0, color=color, elinewidth=0.8,
            alpha=1 if few else 0.6, zorder=3.5 if few else 2.5, label=band or "measured",
        )  # fmt: skip


def draw_decoded(ax, curve: PlottedPoints, styles: dict[str, tuple[str, str]], **line) -> list:
    """Draw lines or, for draws, the median with bands of 68 and 95 %; return the lines."""
    lines = []
    for band, c in ((b, curve.of_band(b)) for b in styles):
        color = DECODED if band == "" else styles[band][0]
        if c.has_draws:
            for level, alpha in ((0.95, FAINTER), (0.68, FAINT - FAINTER)):  # opacities of both bands add up
                ax.fill_between(c.location, *c.interval(level), color=color, alpha=alpha, lw=0, zorder=2)
        style = keywords("line", line, color=color, linewidth=1.4, zorder=3, label="_decoded")
        lines += ax.plot(c.location, c.median, **style)
    return lines


def draw_residuals(ax, measured: PlottedPoints, fitted: PlottedPoints, styles: dict[str, tuple[str, str]]) -> None:
    """Draw measured minus reconstructed values, divided by the error if known."""
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
    """Return residuals and their label, in units of the errors if all observed points have one."""
    difference, error = measured.value - fitted.median, measured.error
    if (error[measured.seen] > 0).all():
        return difference / error, "residual / $\\sigma$"
    return difference, axis_label("residual", measured.units.get(measured.columns.value))


def draw_panel(ax, measured: PlottedPoints, curve: PlottedPoints, styles: dict, **line) -> list:
    """Draw measured and decoded values of one object, with axes as astronomers expect; return the lines."""
    draw_measured(ax, measured, styles)
    lines = draw_decoded(ax, curve, styles, **line)
    shown = curve.interval(0.95) if curve.has_draws else curve.value
    set_value_axis(ax, measured, measured.value, shown)
    return lines


def set_value_axis(ax, points: PlottedPoints, *values: np.ndarray) -> None:
    """Set limits and label of the value axis, so that all values are visible, but not all error bars."""
    low, high = limits(*values)
    ax.set(ylabel=points.labels[1], ylim=(high, low) if points.is_magnitude else (low, high))


def set_location_axis(ax, points: PlottedPoints) -> None:
    """Set the label of the location axis, and print long numbers (MJD) in full."""
    ax.set_xlabel(points.labels[0])
    if ax.get_xscale() == "linear":
        ax.ticklabel_format(axis="x", useOffset=False, style="plain")
        if np.abs(ax.get_xlim()).max() > 1e4:
            ax.locator_params(axis="x", nbins=4)


def styles_of(objects: list[PlottedPoints]) -> dict[str, tuple[str, str]]:
    """Return the colour and marker of each band of some objects, the same in every panel."""
    return band_styles(b for points in objects for b in points.bands)


def label_once(axes: np.ndarray) -> None:
    """Only label the value axis of the first Axes in a row with equal labels."""
    for first, *others in axes:
        for ax in others:
            if ax.get_ylabel() == first.get_ylabel():
                ax.set_ylabel("")


def draw_legend(axes: np.ndarray, styles: dict, curve: PlottedPoints | None = None, room: bool = True) -> None:
    """Draw a legend of the bands or measurements, the line, and the shares of draws.

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
