"""Plots, as classes in the style of scikit-learn's displays.

``XDisplay.from_estimator`` computes and plots; ``XDisplay.from_predictions`` plots what was computed before. Both
return a display, whose `plot` plots it again, on your own Axes if you like. Magnitude axes point down, units are those
of the Tables, and bands have their usual colours and distinct markers. Needs matplotlib: ``pip install skdaep[plot]``.

A new plot is a file of its own (doc/extend/display.rst). Plots share `style` (conventions), `_objects` (Tables and
their decoded counterparts as arrays), `_panels` (one Axes) and `_decode` (estimators).
"""

from ._coverage import CoverageDisplay
from ._cross_modal import CrossModalDisplay
from ._images import ImageDisplay
from ._latent import LatentMapDisplay
from ._loss import LossDisplay
from ._probe import ProbeDisplay
from ._reconstruction import ReconstructionDisplay
from ._residuals import ResidualDisplay
from ._traversal import TraversalDisplay

__all__ = [
    "CoverageDisplay",
    "CrossModalDisplay",
    "ImageDisplay",
    "LatentMapDisplay",
    "LossDisplay",
    "ProbeDisplay",
    "ReconstructionDisplay",
    "ResidualDisplay",
    "TraversalDisplay",
]
