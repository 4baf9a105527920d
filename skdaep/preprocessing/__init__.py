"""Steps that transform Tables in a scikit-learn pipeline, before an encoder. Most can be inverted.

A step takes a list of Tables and returns new ones. Columns keep their names. Numbers that the inverse needs are stored
in the ``meta`` of each object, which encoders copy to the objects that they decode. So if `pipe` ends in an encoder,
``pipe[:-1].inverse_transform(pipe[-1].reconstruct(pipe[:-1].transform(X)))`` is in the units and frame of X. (Folded
times come back within a single period, because the number of the cycle is not encoded.)

Open: to add a step, write a subclass of `TableTransformer` in a file of related steps (doc/extend/step.rst).
"""

from ._augment import augment
from ._base import TableTransformer
from ._beside import Views
from ._brightest import RelativeToBrightest
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
    "RelativeToBrightest",
    "RestFrame",
    "SignalToNoiseCut",
    "Standardize",
    "TableTransformer",
    "Views",
    "ZScore",
    "augment",
]
