"""Contrastive encodings of several modalities; predictions are training objects."""

from __future__ import annotations

from typing import Annotated

from ..exceptions import TableError
from ..model import NeighborModel
from ..model.measurements import records_of
from ..objectives import ALIGNMENTS, Contrastive
from ._compat import StrOptions
from ._docs import documented
from ._multimodal import MultimodalEncoder, check_alignment_options, held_out, n_modalities
from ._parameters import NOT_NEGATIVE


@documented
class ContrastiveNeighbors(
    MultimodalEncoder, without=("n_decoder_layers", "hidden_length", "error_weighting", "isometric")
):
    r"""Encode several modalities into one space, and predict from the nearest training object.

    The encoder is that of `MultimodalDAEP`, but it reads each modality separately. Training makes the encodings of an
    object's modalities agree, for example in contrast to those of other objects (`alignment`). There is no decoder. The
    estimator stores all training objects, and predicts the measurements of the nearest one. `transform` returns the
    mean of the encodings of an object's modalities. With "infonce" and "moco" encodings and mean have unit length,
    because only their directions matter.

    Parameters
    ----------
    [modalities]
    [alignment]
    metadata_tolerance : float, default=0.25
        Only training objects with similar metadata are considered: numbers may differ from the requested ones by at
        most this many standard deviations, and labels must be equal. If fewer than 10 objects qualify, the 10 with the
        most similar metadata are considered. A combination of labels that no training object has is ignored.
    [shared parameters]

    Attributes
    ----------
    [shared attributes]

    [raises]

    Notes
    -----
    The loss is computed for each pair of modalities, from the objects of a batch that have both (at least two), and
    averaged over pairs. ``skdaep.objectives.ALIGNMENTS`` has the equations. "infonce", the default, is symmetric and
    has a learned temperature [1]_. Objects with equal values in one of the two modalities, such as epochs of one
    supernova that share its light curve, are not used as negatives of each other there if they have at most
    `max_points` points. "moco" [3]_ takes negatives from a queue, but never the same object or one of its group
    (``fit(groups=)``). Its copy of the encoder lags by 1 / (1 - momentum) steps: use ``alignment_options={"momentum":
    0.99}`` for short fits. "vicreg" [4]_, "simsiam" [5]_ and "dual" [6]_ have no negatives.

    The nearest neighbour has the largest cosine in the space of `transform`, among the training objects that have the
    requested modality. Sequences are interpolated linearly within each band, and are constant beyond their ends. If a
    neighbour lacks a band or a patch of an image, it comes from the next neighbour that has it. With ``n_draws=k`` the
    draws are the k nearest neighbours, in order. A training object is its own nearest neighbour. Metadata that `at`
    lacks are replaced by the training median or the most common label.

    There is no prior, so there is neither `sample` nor `fit_prior`.

    References
    ----------
    .. [1] Radford et al., "Learning transferable visual models from natural language supervision", arXiv:2103.00020,
       section 2.3.
    .. [2] Shen & Gagliano, "Mixture-of-expert variational autoencoders for cross-modality embedding of type Ia
       supernova data", arXiv:2507.16817, where neighbours in a contrastive space are the rival.
    .. [3] He et al., "Momentum contrast for unsupervised visual representation learning", arXiv:1911.05722.
    .. [4] Bardes, Ponce & LeCun, "VICReg", arXiv:2105.04906.
    .. [5] Chen & He, "Exploring simple siamese representation learning", arXiv:2011.10566.
    .. [6] Kamai, Bronstein & Perets, "DESA", 2025; see `DualFormer`.

    Examples
    --------
    >>> from skdaep import ContrastiveNeighbors, Photometry, Spectrum
    >>> from skdaep.datasets import make_supernova_light_curves, make_supernova_spectra
    >>> spectra, y = make_supernova_spectra(20, random_state=0)
    >>> light_curves, y = make_supernova_light_curves(20, random_state=0)
    >>> X = [{"photometry": lc, "spectrum": s} for lc, s in zip(light_curves, spectra)]
    >>> X[3]["spectrum"] = None
    >>> modalities = {"photometry": Photometry(), "spectrum": Spectrum(metadata=("phase",))}
    >>> encoder = ContrastiveNeighbors(modalities, model_dim=16, max_iter=5, random_state=0).fit(X)
    >>> encoder.transform(X).shape
    (20, 16)
    >>> encoder.reconstruct(X[3:4], modality="spectrum", n_draws=5)[0].colnames
    ['wavelength', 'flux']
    """

    objective_class = Contrastive
    model_class = NeighborModel
    _aligns = True

    alignment: Annotated[str, StrOptions(set(ALIGNMENTS))] = "infonce"
    alignment_options: Annotated[dict | None, dict, None] = None
    metadata_tolerance: Annotated[float, NOT_NEGATIVE] = 0.25

    def _validate_params(self):
        super()._validate_params()
        if hasattr(self, "alignment"):
            check_alignment_options(self.alignment, self.alignment_options)

    def _check_split(self, has, split, resumes):
        """Check that each modality can be aligned with another, and that validation has at least two pairs."""
        super()._check_split(has, split, resumes)
        paired = n_modalities(has) > 1
        for modality in self._declarations():
            if not (has[modality] & paired)[split.train].any():
                raise TableError(f"No training object has {modality!r} and another modality{held_out(split)}.")
        n_pairs = int(paired[split.validation].sum())
        if len(split.validation) and n_pairs < 2:
            raise TableError(
                f"{n_pairs} of the {len(split.validation)} objects held out for validation have two modalities, but at "
                f"least 2 are needed. Set early_stopping=False or a larger validation_fraction."
            )

    def _prepared(self, model, measurements):
        return model.remembering(records_of(measurements, range(len(next(iter(measurements.values()))))))
