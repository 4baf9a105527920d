"""What the estimators with diffusion decoders share."""

from __future__ import annotations

from ..diffusion.process import PREDICTIONS
from ..diffusion.samplers import SAMPLERS
from ..diffusion.schedules import SCHEDULES
from ..objectives import Denoising
from ._base import POSITIVE
from ._compat import StrOptions


class DenoisingMixin:
    """The parameters of denoising, which stand in `_docs.DENOISING`, and the objective made of them."""

    _parameter_constraints: dict = {
        "prediction": [StrOptions(set(PREDICTIONS))],
        "schedule": [StrOptions(set(SCHEDULES))],
        "sampler": [StrOptions(set(SAMPLERS))],
        "n_sampling_steps": [POSITIVE],
    }
    _architecture_parameters = ("prediction", "schedule")
    _objective_class = Denoising

    def _make_objective(self, autoencoder, architecture, options):
        return Denoising(
            autoencoder,
            architecture["model_dim"],
            prediction=architecture["prediction"],
            schedule=architecture["schedule"],
            sampler=self.sampler,
            n_sampling_steps=self.n_sampling_steps,
            **options,
        )
