"""The mixture-of-experts VAE of several modalities."""

from __future__ import annotations

from typing import Annotated

from ..objectives import MixtureOfExperts
from ._docs import documented
from ._multimodal import MultimodalEncoder
from ._parameters import POSITIVE, Core, PositiveInt


@documented
class MixtureOfExpertsVAE(MultimodalEncoder):
    r"""Encode objects with several modalities, any of which may be missing, with a mixture-of-experts VAE.

    The encoder is that of `MultimodalDAEP`, but it reads each modality separately and returns a normal posterior for
    each, called an expert. The posterior of an object is the mixture of its experts in equal parts. Each modality has
    its own decoder, and every expert is trained to decode all modalities. `transform` returns the mean of the mixture.

    Parameters
    ----------
    [modalities]
    beta : float, default=0.1
        Weight of the divergence of the posterior from the prior. It equals the assumed variance of the measurements in
        scaled units.
    n_importance : int, default=1
        Draws of each expert in a training step. 1 gives the plain evidence bound. More draws give the tighter
        importance-weighted bound, at a proportional cost of decoding; in tests they did not reduce the error.
    modality_weights : dict, default=None
        Name -> weight of its error (default 1). The error of an object is the weighted mean over its modalities.
    [shared parameters]

    Attributes
    ----------
    [shared attributes]

    [raises]

    Notes
    -----
    With experts :math:`q_m`, their mixture q over the M modalities of an object, and x all of its measurements, the
    loss follows from the importance-weighted bound with samples stratified by expert,

    .. math:: \frac1M \sum_m \mathbb{E}_{z_1 \dots z_K \sim q_m} \log \frac1K \sum_k
        \frac{p(x \mid z_k)\, p(z_k)}{q(z_k \mid x)},

    which is at most :math:`\log p(x)`, rises with K = `n_importance`, and weights all experts equally. Gradients pass
    through the draws. p(z) is N(0, 1). The likelihood is normal with variance `beta` in scaled units, so K = 1 with one
    modality is the loss of `BetaVAEEncoder`. The experts of [1]_ are Laplace distributions. All modalities count
    equally (or by `modality_weights`), however many points they have: each gets the weight of the mean number of
    points. So the loss is the bound on :math:`\log p(x)` itself if an object has equally many points in each.

    A draw of `reconstruct` chooses an expert at random, draws z from it and decodes z. As in `BetaVAEEncoder` such
    draws are mean curves without measurement noise, whereas `MultimodalDAEP` draws measurements. Add noise of variance
    `beta`, in scaled units, before you compare their coverage. `sample` draws z from the prior.

    References
    ----------
    .. [1] Shi et al., "Variational mixture-of-experts autoencoders for multi-modal deep generative models",
       arXiv:1911.03393, section 3.
    .. [2] Shen & Gagliano, "Mixture-of-expert variational autoencoders for cross-modality embedding of type Ia
       supernova data", arXiv:2507.16817.

    Examples
    --------
    >>> from skdaep import MixtureOfExpertsVAE, Photometry, Spectrum
    >>> from skdaep.datasets import make_supernova_light_curves, make_supernova_spectra
    >>> spectra, y = make_supernova_spectra(20, random_state=0)
    >>> light_curves, y = make_supernova_light_curves(20, random_state=0)
    >>> X = [{"photometry": lc, "spectrum": s} for lc, s in zip(light_curves, spectra)]
    >>> X[3]["spectrum"] = None
    >>> modalities = {"photometry": Photometry(), "spectrum": Spectrum(metadata=("phase",))}
    >>> encoder = MixtureOfExpertsVAE(modalities, model_dim=16, max_iter=5, random_state=0).fit(X)
    >>> encoder.transform(X).shape
    (20, 16)
    >>> encoder.reconstruct(X[3:4], modality="spectrum", n_draws=2)[0].colnames
    ['wavelength', 'flux']
    """

    objective_class = MixtureOfExperts

    beta: Annotated[float, POSITIVE] = 0.1
    n_importance: PositiveInt = 1
    core: Core = "auto"
    modality_weights: Annotated[dict[str, float] | None, dict, None] = None
