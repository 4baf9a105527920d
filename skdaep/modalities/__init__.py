"""Modalities: the translator between tables, arrays, batches and tokens. OPEN: one file per geometry."""

from ._base import Modality
from ._image import Image
from ._presets import Photometry, Spectrum
from ._sequence import Sequence

__all__ = ["Image", "Modality", "Photometry", "Sequence", "Spectrum"]
