"""The diffusion autoencoder of several modalities."""

from __future__ import annotations

import warnings
from typing import Annotated

from ..objectives import ALIGNMENTS
from ._compat import StrOptions
from ._denoising import DenoisingParameters
from ._docs import documented
from ._multimodal import LateMixing, MultimodalEncoder, check_alignment_options
from ._parameters import NOT_NEGATIVE, Core


@documented
class MultimodalDAEP(LateMixing, DenoisingParameters, MultimodalEncoder):
    r"""Encode objects with several modalities, any of which may be missing, with a diffusion autoencoder (daep).

    Each modality has its own tokenizer and Perceiver encoder, whose hidden tokens carry a learned embedding of the
    modality. A mixer Perceiver compresses the tokens of all modalities of an object into a few bottleneck tokens. Each
    modality has its own diffusion decoder. Any modality can be decoded from any others.

    Parameters
    ----------
    [modalities]
    alignment_weight : float, default=0.0
        Weight of an additional loss that makes the bottlenecks of an object's single modalities agree. 0, the default,
        saves its cost.
    [alignment]
    contrastive_weight : float, default="deprecated"
        Former name of `alignment_weight`, with ``alignment="infonce"``.
    [late mixing]
    [denoising parameters]
    [shared parameters]

    Attributes
    ----------
    [shared attributes]

    [raises]

    References
    ----------
    .. [1] "Diffusion autoencoder with Perceivers for long, irregular and multimodal astronomical sequences",
       arXiv:2510.20595, section 5 and appendix A.3.

    Examples
    --------
    >>> from skdaep import MultimodalDAEP, Photometry, Spectrum
    >>> from skdaep.datasets import make_supernova_light_curves, make_supernova_spectra
    >>> spectra, y = make_supernova_spectra(20, random_state=0)
    >>> light_curves, y = make_supernova_light_curves(20, random_state=0)
    >>> X = [{"photometry": lc, "spectrum": s} for lc, s in zip(light_curves, spectra)]
    >>> X[3]["spectrum"] = None
    >>> modalities = {"photometry": Photometry(), "spectrum": Spectrum(metadata=("phase",))}
    >>> encoder = MultimodalDAEP(modalities, model_dim=16, max_iter=5, random_state=0).fit(X)
    >>> encoder.transform(X).shape
    (20, 16)
    >>> encoder.reconstruct(X[3:4], modality="spectrum")[0].colnames
    ['wavelength', 'flux']
    """

    alignment_weight: Annotated[float, NOT_NEGATIVE] = 0.0
    alignment: Annotated[str, StrOptions(set(ALIGNMENTS))] = "infonce"
    alignment_options: Annotated[dict | None, dict, None] = None
    contrastive_weight: Annotated[float | str, NOT_NEGATIVE, StrOptions({"deprecated"})] = "deprecated"
    core: Core = "auto"

    def _validate_params(self):
        super()._validate_params()
        check_alignment_options(self.alignment, self.alignment_options)
        if self.contrastive_weight != "deprecated":
            warnings.warn("contrastive_weight is deprecated; use alignment_weight.", FutureWarning, stacklevel=4)

    def _told(self):
        told = super()._told()
        weight = told.pop("contrastive_weight")
        return told if weight == "deprecated" else told | {"alignment": "infonce", "alignment_weight": weight}

    @property
    def _aligns(self) -> bool:
        return self._told()["alignment_weight"] > 0
