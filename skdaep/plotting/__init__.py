"""Pictures, as classes in the manner of scikit-learn's displays.

``XDisplay.from_estimator`` computes and draws, ``XDisplay.from_predictions`` draws what was computed before; either
returns a display, whose `plot` draws it again, on Axes of one's own if given some. Magnitudes point down, units are
those of the tables, bands have their customary colours, told apart by marker too. Needs matplotlib:
``pip install skdaep[plot]``.

Open: a new picture is a file of its own (doc/extend/display.rst); what pictures share is in `style` (conventions),
`_objects` (Tables and what was decoded for them as arrays to draw), `_panels` (one Axes) and `_decode` (estimators).
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
