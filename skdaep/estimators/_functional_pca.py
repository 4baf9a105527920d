"""Functional PCA, the estimator that is solved in closed form."""

from __future__ import annotations

import warnings
from typing import Annotated, Any

from ..objectives import FunctionalPCA as Objective
from ._docs import documented
from ._parameters import NOT_NEGATIVE, PositiveInt
from ._unimodal import UnimodalEncoder

TRAINED = (
    *("bottleneck_length", "bottleneck_dim", "model_dim", "n_heads", "n_encoder_layers", "n_decoder_layers"),
    *("hidden_length", "encoder_hidden_length", "share_weights", "batch_size", "max_points", "hide", "solver"),
    *("learning_rate_init", "weight_decay", "n_iter_no_change", "warm_start", "precision"),
    *("checkpoint", "checkpoint_every", "isometric", "supervised_weight"),
)


@documented
class FunctionalPCA(UnimodalEncoder, without=TRAINED):
    r"""Encode irregular, incomplete, noisy sequences or images with probabilistic PCA, in closed form and in seconds.

    The model of an object is a mean curve, plus a few basis curves times its scores, plus noise. `fit` learns mean and
    basis from the measured points, wherever they are, and imputes nothing. `transform` returns the expected scores,
    given the points of an object. The fewer points there are, the closer the scores are to zero.

    Parameters
    ----------
    modality : Modality, default=None
        Which columns hold the value, location, band and error: `Spectrum`, `Photometry`, `Sequence` for anything else
        on a line, or `Image`. None finds the columns by their usual names.
    n_components : int, default=16
        Number of scores.
    smoothness : float or None, default=None
        Strength of the prior that mean and basis are smooth; 0 turns it off. None chooses the value that best predicts
        points of the validation objects from their other points.
    tol : float, default=3e-4
        Iterations stop when the log-likelihood per value grows by less than this.
    max_iter : int, default=100
        Largest number of iterations of expectation and maximisation.
    error_weighting : bool, default=False
        Whether to use the measurement errors: the noise of a point then has the variance s^2 + e_i^2, where e_i is its
        error. A point without an error is treated as if it had the median error. Either all Tables must have an error
        column, or none.
    early_stopping : bool, default=True
        Whether to hold out objects, on which `smoothness` and the best iteration are chosen.
    [shared parameters]

    Attributes
    ----------
    [shared attributes]

    [raises]

    Notes
    -----
    With :math:`y_{in}` the n-th point of object i,

    .. math:: y_{in} = \mu(x_{in}) + \sum_k z_{ik} \phi_k(x_{in}) + \epsilon_{in}, \qquad
        z_{ik} \sim \mathcal{N}(0, v_k), \quad \epsilon_{in} \sim \mathcal{N}(0, s^2 + e_{in}^2),

    where the errors :math:`e_{in}` are used if `error_weighting` is True. Mean and basis, one for each band, are linear
    between nodes. The nodes are the common grid of the objects, if they have one; otherwise quantiles of the locations,
    twice as many as a typical object has points in the band, but 64 to 512 (fewer than 64 if there are more than eight
    bands). Expectation maximisation fits them [1]_ [2]_ [3]_; scores are conditional expectations [4]_. For
    complete data on a common grid this is ordinary PCA.

    Scores are ordered by variance. The basis is orthonormal on average over the points of fit, so the distance of two
    codes is the root mean square distance of their curves, in scaled units.

    Draws of `reconstruct` include the exact posterior of the scores and measurement noise. Draws of
    `inverse_transform` include the noise only. `sample` draws scores from their prior.

    References
    ----------
    .. [1] Tipping & Bishop, "Probabilistic principal component analysis", JRSS B 61, 611 (1999).
    .. [2] Roweis, "EM algorithms for PCA and SPCA", NIPS 1997.
    .. [3] Bailey, "Principal component analysis with noisy and/or missing data", PASP 124, 1015 (2012),
       arXiv:1208.4122.
    .. [4] Yao, Mueller & Wang, "Functional data analysis for sparse longitudinal data", JASA 100, 577 (2005).

    Examples
    --------
    >>> from skdaep import FunctionalPCA
    >>> from skdaep.datasets import make_supernova_spectra
    >>> X, y = make_supernova_spectra(40, random_state=0)
    >>> pca = FunctionalPCA(n_components=4, random_state=0).fit(X)
    >>> Z = pca.transform(X)
    >>> Z.shape
    (40, 4)
    >>> pca.inverse_transform(Z[:1], at=X[:1])[0].colnames
    ['wavelength', 'flux']
    >>> pca.reconstruct(X[:1], n_draws=3)[0]["flux"].shape == (len(X[0]), 3)
    True
    """

    objective_class = Objective

    n_components: PositiveInt = 16
    smoothness: Annotated[float | None, NOT_NEGATIVE, None] = None
    tol: Annotated[float, NOT_NEGATIVE] = 3e-4
    max_iter: PositiveInt = 100

    def _validate_params(self):
        super()._validate_params()
        if unused := getattr(self.modality, "metadata", ()):
            warnings.warn(f"FunctionalPCA does not use metadata ({', '.join(unused)}).", UserWarning, stacklevel=4)

    def _networks(self) -> dict[str, Any]:
        return {"bottleneck_length": self.n_components, "bottleneck_dim": 1}
