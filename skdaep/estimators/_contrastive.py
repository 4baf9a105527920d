"""Contrastive encodings of several modalities, and training objects returned for what is asked."""

from __future__ import annotations

from typing import Annotated

from ..exceptions import TableError
from ..model import NeighborModel
from ..objectives import ALIGNMENTS, Contrastive
from ._compat import StrOptions
from ._docs import documented
from ._multimodal import MultimodalEncoder, check_alignment_options, held_out
from ._parameters import NOT_NEGATIVE


@documented
class ContrastiveNeighbors(MultimodalEncoder, without=("n_decoder_layers", "hidden_length", "error_weighting")):
    r"""Encode several modalities into one space, and answer with measurements of the nearest object of fit.

    The encoder is that of `MultimodalDAEP`, but reads each modality alone, and is trained so that the encodings of one
    object's modalities agree, by contrast with other objects or otherwise. There is no decoder: what is asked of an
    object is answered with a measurement of its nearest neighbour among the objects of `fit`, all of which are kept.
    `transform` gives the mean of the encodings of the modalities that an object has. With "infonce" and "moco", which
    look at directions alone, those are unit vectors, and so is their mean.

    Parameters
    ----------
    [modalities]
    [alignment]
    metadata_tolerance : float, default=0.25
        Training objects may answer if their numerical metadata of the modality differ from those asked for by at most
        so many standard deviations of the training objects, and their labels not at all. If those are fewer than 10,
        the 10 nearest in metadata may. A label that no training object has with the others excludes none.
    [shared parameters]

    Attributes
    ----------
    [shared attributes]

    [raises]

    Notes
    -----
    Losses are of the objects of a batch that have both modalities, at least two, and averaged over all pairs of
    modalities; ``skdaep.objectives.ALIGNMENTS`` has their equations. "infonce", the default, is the symmetric one with
    a learned temperature [1]_. Objects with the same values in one of the two, such as epochs of one supernova that
    share its light curve, are no negatives of one another there, as long as they have at most `max_points` points;
    beyond that they are. "moco" [3]_ has negatives from a queue, among them none of the same object or group of
    ``fit(groups=)``. Its copy of the encoder lags by 1 / (1 - momentum) steps: fits of few thousand steps need
    ``alignment_options={"momentum": 0.99}``. "vicreg" [4]_, "simsiam" [5]_ and "dual" [6]_ have no negatives.

    Neighbours are nearest by the cosine in the space of `transform`, among the training objects that have the modality
    asked for. A sequence is brought to the locations asked for by linear interpolation within each band, constant
    beyond its ends. Bands that a neighbour lacks, and patches of an image that it lacks, come from the next
    one that has them. With ``n_draws=k`` the draws are the k nearest, in order. An object of `fit` is its own nearest
    neighbour. Absent metadata of `at` are replaced by the training median or commonest label, as everywhere.

    There are no new objects, hence neither `sample` nor `fit_prior`.

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

    def _check_split(self, objects, split, resumes):
        """Every modality is aligned with another, and validation says something: of one pair there is no loss."""
        super()._check_split(objects, split, resumes)
        pairs = [objects[i] for i in split.train if len(objects[i]) > 1]
        for modality in self._declarations():
            if not any(modality in o for o in pairs):
                raise TableError(f"No object to train on has {modality!r} beside another modality{held_out(split)}.")
        n_pairs = sum(len(objects[i]) > 1 for i in split.validation)
        if len(split.validation) and n_pairs < 2:
            raise TableError(
                f"Of {len(split.validation)} objects held out for validation {n_pairs} have two modalities; at least 2 "
                f"must. Set early_stopping=False or a larger validation_fraction."
            )

    def _prepared(self, model, records):
        return model.remembering(records)
