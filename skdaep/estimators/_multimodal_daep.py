"""The diffusion autoencoder of several modalities."""

from __future__ import annotations

from numbers import Real

from ._compat import Interval
from ._denoising import DenoisingMixin
from ._docs import documented
from ._multimodal import MultimodalEncoder


@documented
class MultimodalDAEP(DenoisingMixin, MultimodalEncoder):
    r"""Encode objects measured in several ways, any of which may be missing, with a diffusion autoencoder (daep).

    Each modality has a tokenizer and a Perceiver encoder of its own, whose hidden tokens carry a learned embedding of
    the modality; a mixer Perceiver reads those of all modalities that an object has into a few bottleneck tokens; each
    modality has its own diffusion decoder. One modality can be decoded from any others.

    Parameters
    ----------
    [modalities]
    drop_modality : float, default=0.2
        Probability with which a modality of an object is hidden from the encoder in a training step; one is kept.
    modality_weights : dict, default=None
        Name -> weight of its loss, 1 if left out. An object's loss is the weighted mean over the modalities it has.
    mixer_self_attention : bool, default=False
        Whether the hidden tokens of all modalities attend to one another before the bottleneck queries read them.
    contrastive_weight : float, default=0.0
        Weight of a further loss that aligns the modalities: the InfoNCE of `ContrastiveNeighbors`, between the
        bottlenecks that each modality of an object gives alone. 0: none, and none of its cost.
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

    _parameter_constraints: dict = (
        MultimodalEncoder._parameter_constraints
        | DenoisingMixin._parameter_constraints
        | {
            "drop_modality": [Interval(Real, 0, 1, closed="left")],
            "mixer_self_attention": ["boolean"],
            "contrastive_weight": [Interval(Real, 0, None, closed="left")],
        }
    )
    _architecture_parameters = (
        *MultimodalEncoder._architecture_parameters,
        *("mixer_self_attention", "contrastive_weight"),
        *DenoisingMixin._architecture_parameters,
    )
    _network_parameters = (*MultimodalEncoder._network_parameters, "mixer_self_attention")

    def __init__(
        self,
        modalities,
        *,
        drop_modality=0.2,
        modality_weights=None,
        mixer_self_attention=False,
        contrastive_weight=0.0,
        prediction="x0",
        schedule="cosine",
        sampler="dpm++",
        n_sampling_steps=20,
        bottleneck_length=4,
        bottleneck_dim=4,
        model_dim=64,
        n_heads=4,
        n_encoder_layers=4,
        n_decoder_layers=4,
        hidden_length="auto",
        encoder_hidden_length=16,
        share_weights=False,
        max_iter=1000,
        batch_size=64,
        max_points=256,
        solver="muon",
        learning_rate_init=4e-3,
        weight_decay=0.01,
        error_weighting=False,
        early_stopping=True,
        validation_fraction=0.1,
        n_iter_no_change=30,
        warm_start=False,
        random_state=None,
        device="auto",
        precision="auto",
        verbose=False,
    ):
        self._store(locals())

    @property
    def _aligns(self) -> bool:
        return self.contrastive_weight > 0

    def _objective_options(self, modalities):
        return super()._objective_options(modalities) | {"drop_modality": self.drop_modality}

    def _make_objective(self, autoencoder, architecture, options):
        options = options | {"contrastive_weight": architecture["contrastive_weight"]}
        return super()._make_objective(autoencoder, architecture, options)
