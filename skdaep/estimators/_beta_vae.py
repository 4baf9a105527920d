"""The beta-VAE with Perceivers."""

from __future__ import annotations

from numbers import Real

from ..objectives import Variational
from ._compat import Interval
from ._docs import documented
from ._unimodal import UnimodalEncoder


@documented
class BetaVAEEncoder(UnimodalEncoder):
    r"""Encode irregular sequences or images with a variational autoencoder of Perceivers.

    The encoder gives a normal posterior of the bottleneck, drawn towards a standard normal prior; the decoder predicts
    values at any location from a draw of it. `transform` gives the posterior's mean.

    Parameters
    ----------
    modality : Modality, default=None
        What holds what: `Spectrum`, `Photometry`, `Sequence` for anything else on a line, `Image`. None finds the
        columns by their customary names and uses no metadata.
    beta : float, default=0.1
        Weight of the divergence of the posterior from the prior.
    [shared parameters]

    Attributes
    ----------
    [shared attributes]

    [raises]

    Notes
    -----
    For an object of n points the loss is :math:`\frac1n [\sum_i (x_i - \hat x_i)^2 + 2 \beta\, \mathrm{KL}(q(z|x) \Vert
    \mathcal{N}(0, 1))]`, the negative evidence bound for measurements of unit variance in scaled units at
    :math:`\beta = 1`. Draws of `reconstruct` are decoded from draws of the posterior; they hold no measurement noise.
    `sample` draws z from the prior.

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

    _parameter_constraints: dict = UnimodalEncoder._parameter_constraints | {
        "beta": [Interval(Real, 0, None, closed="left")],
    }
    _architecture_parameters = (*UnimodalEncoder._architecture_parameters, "beta")
    _objective_class = Variational
    _auto_hidden_lengths = (None, None)

    def __init__(
        self,
        modality=None,
        *,
        beta=0.1,
        bottleneck_length=4,
        bottleneck_dim=4,
        model_dim=64,
        n_heads=4,
        n_encoder_layers=4,
        n_decoder_layers=4,
        hidden_length="auto",
        encoder_hidden_length=None,
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

    def _make_objective(self, autoencoder, architecture, options):
        return Variational(autoencoder, beta=architecture["beta"], **options)
