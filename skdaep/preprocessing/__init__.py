"""Steps from Tables to Tables, with a way back, for a scikit-learn pipeline in front of an encoder.

A step takes a list of Tables and returns new ones; columns keep their names, and what the way back needs of an object
is left in its ``meta``, which an encoder copies into what it decodes. So, with `pipe` ending in an encoder,
``pipe[:-1].inverse_transform(pipe[-1].reconstruct(pipe[:-1].transform(X)))`` is in the units and frame of X
(times folded by a period come back within one period: the number of the cycle is not encoded).

Open: a new step is a subclass of `TableTransformer`, in a file of its own family (doc/extend/step.rst).
"""

from ._augment import augment
from ._base import Points, TableTransformer
from ._frames import PhaseFold, PhaseFromPeak, RestFrame
from ._magnitudes import FluxToMagnitude, MagnitudeToFlux
from ._points import MedianFilter, SignalToNoiseCut
from ._values import Arcsinh, Log10, ZScore

__all__ = [
    "Arcsinh",
    "FluxToMagnitude",
    "Log10",
    "MagnitudeToFlux",
    "MedianFilter",
    "PhaseFold",
    "PhaseFromPeak",
    "Points",
    "RestFrame",
    "SignalToNoiseCut",
    "TableTransformer",
    "ZScore",
    "augment",
]
