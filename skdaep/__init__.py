"""Turn irregular astronomical measurements into compact vectors without labels, and vectors back into measurements.

The public names are loaded when first used, so that ``import skdaep`` costs next to nothing. The rooms:
``tables`` (what is accepted), ``preprocessing`` OPEN, ``modalities`` OPEN, ``nn``, ``diffusion`` (samplers OPEN),
``objectives`` OPEN, ``training``, ``model`` (what is fitted), ``estimators``, ``metrics``, ``calibration``,
``plotting`` OPEN, ``datasets``, ``pretrained`` OPEN (models ready to use), ``storage`` (files whole or not at all). An
open room takes new members, one file or function each: doc/extend/index.rst.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0.dev0"

#: encoders of one modality, and encoders of several modalities
ESTIMATORS = ("DAEPEncoder", "MAEPEncoder", "BetaVAEEncoder")
MULTIMODAL = ("MultimodalDAEP", "MixtureOfExpertsVAE", "ContrastiveNeighbors", "DualFormer")
#: encoders of one modality that need no gradient steps
CLOSED_FORM = ("FunctionalPCA",)
_HOMES = {
    **dict.fromkeys((*ESTIMATORS, *MULTIMODAL, *CLOSED_FORM, "load", "info", "pack"), "estimators"),
    "Store": "model",
    "encode_catalog": "catalogs",
    "Sequence": "modalities",
    "Spectrum": "modalities",
    "Photometry": "modalities",
    "SpectralSeries": "modalities",
    "Image": "modalities",
    "ConformalDraws": "calibration",
    "ConformalRegressor": "calibration",
    "TableError": "exceptions",
    "SamplingError": "exceptions",
    "DivergenceError": "exceptions",
    "DeviceError": "exceptions",
    "RankError": "exceptions",
    "CorruptModelError": "exceptions",
    "CorruptStoreError": "exceptions",
    "DatasetError": "exceptions",
    "LevelOnlyWarning": "exceptions",
    "OutOfRangeWarning": "exceptions",
    "UnusedColumnWarning": "exceptions",
    "UnknownBandWarning": "exceptions",
    "UnverifiedDownloadWarning": "exceptions",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module 'skdaep' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
