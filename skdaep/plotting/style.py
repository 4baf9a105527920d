"""Conventions of all pictures: Axes, colours and markers of bands and classes, labels with units.

For displays of one's own, too (doc/extend/display.rst).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

import numpy as np
from astropy import units as u

from .. import tables

#: colours of measurements without bands, of decoded curves without bands, and of reference lines
MEASURED, DECODED, REFERENCE = "0.45", "#0072B2", "0.3"
#: opacity of the bands that contain 68 and 95 % of the draws
FAINT, FAINTER = 0.45, 0.2

BLUE, GREEN, RED, AMBER, PINK, MAROON = "#0c71ff", "#49be61", "#c61c00", "#ffc200", "#f341a2", "#5d0000"
VIOLET, CYAN, ORANGE = "#4b1e9e", "#00a6b8", "#e8710a"
#: band -> colour and marker, from short to long wavelengths. Within a photometric system, colour-blind readers can
#: distinguish the colours.
BANDS = {
    "FUV": (VIOLET, "o"), "NUV": (BLUE, "D"),
    "u": (BLUE, "o"), "g": (GREEN, "^"), "r": (RED, "v"), "i": (AMBER, "s"), "z": (PINK, "*"), "y": (MAROON, "p"),
    "U": (VIOLET, "o"), "B": (BLUE, "D"), "V": (GREEN, "^"), "R": (RED, "v"), "I": (MAROON, "s"),
    "BP": (BLUE, "o"), "G": (GREEN, "^"), "RP": (RED, "v"),
    "c": (CYAN, "o"), "o": (ORANGE, "s"),
    "J": (AMBER, "s"), "H": (PINK, "D"), "K": (MAROON, "p"), "Ks": (MAROON, "p"),
    "W1": (BLUE, "o"), "W2": (GREEN, "^"), "W3": (AMBER, "s"), "W4": (RED, "v"),
}  # fmt: skip
#: colours of unknown bands, of classes and of methods
CYCLE = (BLUE, AMBER, RED, GREEN, PINK, MAROON, CYAN, VIOLET)
MARKERS = ("o", "s", "v", "^", "D", "p", "*", "P", "X", "<", ">")
#: names of surveys and instruments before or after the name of a band: "ztfg", "lsst::u", "2MASS J", "r_sdss"
SURVEYS = (
    *("lsst", "sdss", "ztf", "ps1", "panstarrs", "des", "decam", "hsc", "atlas", "2mass", "twomass", "bessell", "gaia"),
    *("wise", "unwise", "allwise", "johnson", "cousins", "galex", "kait", "csp", "skymapper", "mosfire", "ukidss"),
)
ACRONYMS = {"mjd": "MJD", "jd": "JD", "hjd": "HJD", "bjd": "BJD", "mag": "magnitude"}


# --- Axes -------------------------------------------------------------------------------------------


def require_matplotlib(caller: str) -> None:
    """Raise ImportError that says how to install matplotlib, if it is missing."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(f"{caller} needs matplotlib: pip install skdaep[plot]") from error


def axes_of(caller: str, ax, shape: tuple[int, int], size: tuple[float, float], **options) -> np.ndarray:
    """Return Axes to draw on: those given, or those of a new figure.

    Parameters
    ----------
    caller : str
        What errors call the display.
    ax : Axes, array of Axes or None
        What the user gave.
    shape : (int, int)
        Rows and columns.
    size : (float, float)
        Width and height of a new figure in inches.
    **options : dict
        Passed to ``plt.subplots``.

    Returns
    -------
    axes : ndarray of Axes
        Of that shape; another number of Axes given is a `ValueError`.
    """
    require_matplotlib(caller)
    if ax is None:
        import matplotlib.pyplot as plt

        return plt.subplots(*shape, figsize=size, squeeze=False, layout="constrained", **options)[1]
    axes = np.array(ax, dtype=object).ravel()
    if len(axes) != math.prod(shape):
        rows, columns = shape
        raise ValueError(f"{caller} needs {rows * columns} Axes ({rows} x {columns}) here, but ax holds {len(axes)}.")
    return axes.reshape(shape)


def keywords(artist: str, given: dict, **defaults) -> dict:
    """Return keywords for an artist of matplotlib: the user's, then the defaults.

    Parameters
    ----------
    artist : {"line", "scatter", "bar", "image"}
        The artist; its aliases are resolved: ``lw`` and ``linewidth`` are one.
    given : dict
        The user's.
    **defaults : object
        What holds where the user gave nothing.

    Returns
    -------
    keywords : dict
        Both.
    """
    from matplotlib import cbook, collections, image, lines, patches

    kind = {
        "line": lines.Line2D,
        "scatter": collections.PathCollection,
        "bar": patches.Rectangle,
        "image": image.AxesImage,
    }[artist]
    return defaults | cbook.normalize_kwargs(given, kind)


def limits(*values: np.ndarray, margin: float = 0.06) -> tuple[float, float]:
    """Return where an axis begins and ends that shows all values."""
    values = np.concatenate([np.ravel(v) for v in values])
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0, 1.0
    low, high = values.min(), values.max()
    pad = margin * (high - low) if high > low else 0.5
    return float(low - pad), float(high + pad)


# --- labels -----------------------------------------------------------------------------------------


def axis_label(name: str, unit: str | None) -> str:
    """Return a column's name and unit: "wavelength [Å]"."""
    text = ACRONYMS.get(name.lower(), name.replace("_", " "))
    if unit is None or unit == "" or (unit == "mag" and text == "magnitude"):
        return text
    of = tables.unit_named(unit)
    if isinstance(of, u.UnrecognizedUnit):
        return f"{text} [{unit}]"
    return f"{text} [{of.to_string('unicode', **{} if hasattr(of, 'function_unit') else {'fraction': False})}]"


# --- colours ----------------------------------------------------------------------------------------


def band_styles(bands: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return colour and marker of each band, no two alike, from short waves to long and unknown bands last."""
    order = list(BANDS)
    known = {band: _customary(band) for band in sorted(set(bands))}
    names = sorted(known, key=lambda b: (known[b] is None, order.index(known[b]) if known[b] else 0, b))
    styles: dict[str, tuple[str, str]] = {}
    for name in names:
        style = (DECODED, "o") if name == "" else BANDS.get(known[name])
        colors, markers = ({s[i] for s in styles.values()} for i in (0, 1))
        if style is None or style[0] in colors:  # its colour is taken, as with r of two surveys, or the band is unknown
            color = next((c for c in CYCLE if c not in colors), CYCLE[len(styles) % len(CYCLE)])
            style = (color, next((m for m in MARKERS if m not in markers), MARKERS[len(styles) % len(MARKERS)]))
        styles[name] = style
    return styles


def _customary(band: str) -> str | None:
    """Return the band of `BANDS` that a label means, None if there is none: "ztfg", "sdss::g" and "g" are "g"."""
    surveys = "|".join(SURVEYS)
    bare = re.sub(rf"^({surveys})|({surveys})$", "", band.strip(), flags=re.IGNORECASE).strip(" _:-./'")
    if bare in BANDS:
        return bare
    folded = {name.lower(): name for name in reversed(BANDS)}  # reversed, so that "u" has priority over "U"
    return folded.get(bare.lower())


def class_styles(classes: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return colour and marker of each class, no two pairs alike up to 88 classes."""
    return {
        name: (CYCLE[i % len(CYCLE)], MARKERS[(i + i // len(CYCLE)) % len(MARKERS)]) for i, name in enumerate(classes)
    }
