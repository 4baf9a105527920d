"""The parameters of denoising, which the estimators with diffusion decoders share."""

from __future__ import annotations

from numbers import Integral
from typing import Annotated

from ..diffusion.process import PREDICTIONS
from ..diffusion.samplers import MOST_EVALUATIONS, SAMPLERS
from ..diffusion.schedules import SCHEDULES
from ..objectives import Denoising
from ._compat import Interval, StrOptions
from ._parameters import parameters


@parameters
class DenoisingParameters:
    """Parameters of `Denoising`, described in `_docs.DENOISING`."""

    objective_class = Denoising

    prediction: Annotated[str, StrOptions(set(PREDICTIONS))] = "x0"
    schedule: Annotated[str, StrOptions(set(SCHEDULES))] = "cosine"
    sampler: Annotated[str, StrOptions(set(SAMPLERS))] = "dpm++"
    n_sampling_steps: Annotated[int, Interval(Integral, 1, MOST_EVALUATIONS, closed="both")] = 20
