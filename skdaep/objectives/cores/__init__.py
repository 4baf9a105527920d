"""Cores: closed-form models from which training starts. OPEN: one file and a line below per subclass of `NoCore`."""

from __future__ import annotations

from typing import Any

from .base import NoCore
from .basis import BasisCore
from .expansion import has_curves
from .linear import LinearCore

#: value of the parameter `core` -> core
CORES: dict[str | None, type[NoCore]] = {None: NoCore, "linear": LinearCore, "basis": BasisCore}


def core_name(core: str | None, prediction: str, modalities: dict[str, Any], n_moments: int = 1) -> str | None:
    """Return the name of the core. "auto" becomes "linear" if scores can be the code, otherwise another one."""
    scores_are_code = len(modalities) == 1 and n_moments == 1
    if core == "linear" and not scores_are_code:
        raise ValueError('core="linear" is for one modality whose code has no posterior; use core="basis".')
    if core != "auto":
        return core
    if prediction != "x0" or not all(has_curves(m) for m in modalities.values()):
        return None
    return "linear" if scores_are_code else "basis"
