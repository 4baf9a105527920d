"""The diffusion autoencoder with Perceivers."""

from __future__ import annotations

from ._denoising import DenoisingParameters
from ._docs import documented
from ._parameters import Core
from ._unimodal import UnimodalEncoder


@documented
class DAEPEncoder(DenoisingParameters, UnimodalEncoder):
    r"""Encode irregular sequences or images with a diffusion autoencoder of Perceivers (daep).

    A Perceiver encoder compresses the points and metadata of an object into a few bottleneck tokens. A Perceiver-IO
    decoder is trained to remove noise from the values, given these tokens. It can reconstruct the object at any
    location.

    Parameters
    ----------
    modality : Modality, default=None
        Which columns hold the value, location, band and error: `Spectrum`, `Photometry`, `Sequence` for anything else
        on a line, or `Image`. None finds the columns by their usual names and uses no metadata.
    [denoising parameters]
    [shared parameters]

    Attributes
    ----------
    [shared attributes]

    [raises]

    Notes
    -----
    With :math:`x_t = \alpha_t x_0 + \sigma_t \epsilon` the loss is
    :math:`\mathbb{E}\,\lVert f(x_t, t, z, m) - \text{target}\rVert^2`, where z is the bottleneck and m
    are the metadata. If the decoder predicts :math:`x_0` or v, the point estimate is its output at t = 1, the
    conditional mean given z, in one evaluation. If it predicts :math:`\epsilon`, the point estimate is the mean of 8
    draws.

    The single-stage decoder denoises each point independently, so draws are as correlated along the location as their
    noise. This noise has the correlation of the residuals of the validation objects (`noise_correlation_`), and a draw
    is a function that can be decoded anywhere. Its distance from the point estimate is
    :math:`a\,s\,e^{\tau \xi} g + c\,e\,\eta`, with s the decoder's own spread, g this noise, e the error of the point,
    and :math:`\xi` of each draw and :math:`\eta` of each point normal; a, c and :math:`\tau` come from the residuals of
    the validation objects (`noise_scatter_`). ``noise=False`` omits the last term and the white part of g. With hidden
    tokens the noise is white, and the tokens correlate the points.

    With ``core="linear"`` [4]_ :math:`z = R\,(s / u + \gamma\,e(x))` and :math:`f = \mu + \sum_k u_k (R^T z)_k \phi_k +
    \ldots`, with s the expected scores of functional PCA, :math:`u_k = \sqrt{\sigma_k \sigma_1}` of their standard
    deviations, :math:`\mu` and :math:`\phi` mean and basis, R a rotation, and e the Perceiver encoder. Its gate
    :math:`\gamma` and the nonlinear part of the decoder start at zero.

    The paper's setting is ``DAEPEncoder(prediction="epsilon", schedule="linear", sampler="ddim",
    n_sampling_steps=200, solver="adamw", learning_rate_init=2.5e-4, max_points=None, hidden_length=None)``. It needs
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

    core: Core = "auto"
