"""The diffusion autoencoder with Perceivers."""

from __future__ import annotations

from typing import Annotated

from ._compat import StrOptions
from ._denoising import DenoisingParameters
from ._docs import documented
from ._unimodal import UnimodalEncoder


@documented
class DAEPEncoder(DenoisingParameters, UnimodalEncoder):
    r"""Encode irregular sequences or images with a diffusion autoencoder of Perceivers (daep).

    A Perceiver encoder reads the points and metadata of an object into a few bottleneck tokens; a Perceiver-IO
    decoder, trained to denoise the object's values given those tokens, rebuilds them at any location.

    Parameters
    ----------
    modality : Modality, default=None
        What holds what: `Spectrum`, `Photometry`, `Sequence` for anything else on a line, `Image`. None finds the
        columns by their customary names and uses no metadata.
    core : {"auto", "linear"} or None, default="auto"
        What training starts from. "linear": the objects of fit give in seconds the scores and the basis of
        `FunctionalPCA` of equal size; the bottleneck are those scores, scaled and rotated, and training adds what is
        not linear, to them and to what they decode to. The weights with the lowest absolute error of validation
        objects are kept, and the start is among them. With ``prediction="x0"`` only, for points on a line and images.
        None: nothing is known (the paper's). "auto": "linear" where that can be, else None.
    [denoising parameters]
    [shared parameters]

    Attributes
    ----------
    [shared attributes]

    [raises]

    Notes
    -----
    With :math:`x_t = \alpha_t x_0 + \sigma_t \epsilon` the loss is
    :math:`\mathbb{E}\,\lVert f(x_t, t, z, m) - \text{target}\rVert^2`, z the bottleneck and m the metadata. Predicting
    :math:`x_0` or v, the point estimate is the decoder's answer at t = 1, which is the conditional mean given z, in
    one evaluation; predicting :math:`\epsilon`, it is the mean of 8 draws.

    Points of the single-stage decoder are denoised one by one, so a draw is as coherent along the location as its
    noise is: that is correlated as what the point estimate left over of the objects held out (`noise_correlation_`),
    and a draw is a function that can be decoded anywhere. With hidden tokens noise is white and they do this.

    With ``core="linear"`` [4]_ :math:`z = R\,(s / u + \gamma\,e(x))` and :math:`f = \mu + \sum_k u_k (R^T z)_k \phi_k
    + \ldots`, with s the expected scores of functional PCA, :math:`u_k = \sqrt{\sigma_k \sigma_1}` of their standard
    deviations, :math:`\mu` and :math:`\phi` mean and basis, R a rotation, and e the Perceiver encoder; its gate
    :math:`\gamma` and what the decoder adds start at zero.

    The paper's setting is ``DAEPEncoder(prediction="epsilon", schedule="linear", sampler="ddim",
    n_sampling_steps=200, solver="adamw", learning_rate_init=2.5e-4, max_points=None, hidden_length=None)``; it needs
    far longer training.

    References
    ----------
    .. [1] "Diffusion autoencoder with Perceivers for long, irregular and multimodal astronomical sequences",
       arXiv:2510.20595, section 3.
    .. [2] Preechakul et al., "Diffusion Autoencoders", arXiv:2111.15640.
    .. [3] Jaegle et al., "Perceiver IO", arXiv:2107.14795.
    .. [4] Tipping & Bishop, "Probabilistic principal component analysis", JRSS B 61, 611 (1999).

    Examples
    --------
    >>> from skdaep import DAEPEncoder
    >>> from skdaep.datasets import make_supernova_spectra
    >>> X, y = make_supernova_spectra(20, random_state=0)
    >>> encoder = DAEPEncoder(model_dim=16, max_iter=5, random_state=0).fit(X)
    >>> Z = encoder.transform(X)
    >>> Z.shape
    (20, 16)
    >>> encoder.inverse_transform(Z[:1], at=X[:1])[0].colnames
    ['wavelength', 'flux']
    """

    core: Annotated[str | None, StrOptions({"auto", "linear"}), None] = "auto"
