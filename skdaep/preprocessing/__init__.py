"""Steps from Tables to Tables, most with a way back, for a scikit-learn pipeline in front of an encoder.

A step takes a list of Tables and returns new ones; columns keep their names, and what the way back needs of an object
is left in its ``meta``, which an encoder copies into what it decodes. So, with `pipe` ending in an encoder,
``pipe[:-1].inverse_transform(pipe[-1].reconstruct(pipe[:-1].transform(X)))`` is in the units and frame of X
(times folded by a period come back within one period: the number of the cycle is not encoded).

Open: a new step is a subclass of `TableTransformer`, in a file of its own family (doc/extend/step.rst).
"""

from ._augment import augment
from ._base import TableTransformer
from ._beside import Views
from ._fold import PhaseFold
from ._frames import PhaseFromPeak, RestFrame
from ._levels import Standardize, ZScore
from ._magnitudes import FluxToMagnitude, MagnitudeToFlux
from ._meta import MetaFeatures
from ._object import Points
from ._period import FindPeriod
from ._points import MedianFilter, SignalToNoiseCut
from ._values import Arcsinh, Log10
from ._views import Autocorrelation, PowerSpectrum

__all__ = [
    "Arcsinh",
    "Autocorrelation",
    "FindPeriod",
    "FluxToMagnitude",
    "Log10",
    "MagnitudeToFlux",
    "MedianFilter",
    "MetaFeatures",
    "PhaseFold",
    "PhaseFromPeak",
    "Points",
    "PowerSpectrum",
    "RestFrame",
    "SignalToNoiseCut",
    "Standardize",
    "TableTransformer",
    "Views",
    "ZScore",
    "augment",
]
