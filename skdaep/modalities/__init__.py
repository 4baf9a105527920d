"""Modalities translate between tables, arrays, batches and tokens. OPEN: one file per geometry."""

from ..tables import Objects
from ._base import Modality, Tokenizer
from ._image import Image
from ._inlet import Inlet, Input
from ._presets import Photometry, Spectrum
from ._range import warned_once
from ._record import LINE, PLANE, STORABLE, Geometry, Record, Separations, storable
from ._sequence import Sequence
from ._series import SpectralSeries

__all__ = [
    "LINE",
    "PLANE",
    "STORABLE",
    "Geometry",
    "Image",
    "Inlet",
    "Input",
    "Modality",
    "Objects",
    "Photometry",
    "Record",
    "Separations",
    "Sequence",
    "SpectralSeries",
    "Spectrum",
    "Tokenizer",
    "storable",
    "warned_once",
]
