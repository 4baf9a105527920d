"""The beta-VAE with Perceivers."""

from __future__ import annotations

from typing import Annotated

from ..objectives import Variational
from ._docs import documented
from ._parameters import NOT_NEGATIVE, Core
from ._unimodal import UnimodalEncoder


@documented
class BetaVAEEncoder(UnimodalEncoder):
    r"""Encode irregular sequences or images with a variational autoencoder of Perceivers.

    The encoder returns a normal posterior distribution of the bottleneck. Training pulls it towards a standard normal
    prior. The decoder predicts values at any location from a draw of the posterior. `transform` returns the posterior
    mean.

    Parameters
    ----------
    modality : Modality, default=None
        Which columns hold the value, location, band and error: `Spectrum`, `Photometry`, `Sequence` for anything else
        on a line, or `Image`. None finds the columns by their usual names and uses no metadata.
    beta : float, default=0.1
        Weight of the Kullback-Leibler divergence of the posterior from the prior.
    [shared parameters]

    Attributes
    ----------
    [shared attributes]

    [raises]

    Notes
    -----
    For an object of n points the loss is :math:`\frac1n [\sum_i (x_i - \hat x_i)^2 + 2 \beta\, \mathrm{KL}(q(z|x) \Vert
    \mathcal{N}(0, 1))]`, the negative evidence bound for measurements of unit variance in scaled units at :math:`\beta
    = 1`. To draw, `reconstruct` decodes draws of the posterior; these contain no measurement noise. `sample` draws z
    from the prior.

    References
    ----------
    .. [1] Higgins et al., "beta-VAE: learning basic visual concepts with a constrained variational framework", 2017.
    .. [2] "Diffusion autoencoder with Perceivers for long, irregular and multimodal astronomical sequences",
       arXiv:2510.20595, section 4.

    Examples
    --------
    >>> from skdaep import BetaVAEEncoder
    >>> from skdaep.datasets import make_supernova_spectra
    >>> X, y = make_supernova_spectra(20, random_state=0)
    >>> encoder = BetaVAEEncoder(model_dim=16, max_iter=5, random_state=0).fit(X)
    >>> encoder.reconstruct(X[:1], n_draws=3)[0]["flux"].shape == (len(X[0]), 3)
    True
    >>> len(encoder.sample(2))
    2
    """

    objective_class = Variational

    beta: Annotated[float, NOT_NEGATIVE] = 0.1
    core: Core = "auto"
