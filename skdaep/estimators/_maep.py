"""The masked autoencoder with Perceivers."""

from __future__ import annotations

from numbers import Real

from ..objectives import Masking
from ._base import POSITIVE
from ._compat import Interval, StrOptions
from ._docs import documented
from ._unimodal import UnimodalEncoder


@documented
class MAEPEncoder(UnimodalEncoder):
    r"""Encode irregular sequences or images with a masked autoencoder of Perceivers (maep).

    In training a share of each object's points is hidden; the encoder reads the others into a few bottleneck tokens,
    and the decoder predicts the hidden values from those tokens and, if shown any, from visible points.

    Parameters
    ----------
    modality : Modality, default=None
        What holds what: `Spectrum`, `Photometry`, `Sequence` for anything else on a line, `Image`. None finds the
        columns by their customary names and uses no metadata.
    mask_ratio : float, default=0.75
        Share of an object's observed points that is hidden in training.
    [shared parameters]

    Attributes
    ----------
    [shared attributes]

    [raises]

    Notes
    -----
    With H the hidden points, V the visible ones and m the metadata, the loss is
    :math:`\frac{1}{|H|}\sum_{i\in H}(x_i - \hat x_i(z(x_V), m, x_C))^2`. The decoder is shown C, a random share of V
    from none to all, so that z alone suffices for `inverse_transform`, and `reconstruct` may give it some of the
    points. `transform` sees all points. There are no draws.

    References
    ----------
    .. [1] "Diffusion autoencoder with Perceivers for long, irregular and multimodal astronomical sequences",
       arXiv:2510.20595, section 3.
    .. [2] He et al., "Masked autoencoders are scalable vision learners", arXiv:2111.06377.

    Examples
    --------
    >>> from skdaep import MAEPEncoder
    >>> from skdaep.datasets import make_supernova_spectra
    >>> X, y = make_supernova_spectra(20, random_state=0)
    >>> encoder = MAEPEncoder(mask_ratio=0.3, model_dim=16, max_iter=5, random_state=0).fit(X)
    >>> len(encoder.reconstruct(X[:1], context=0.5)[0]) == len(X[0])
    True
    """

    _parameter_constraints: dict = UnimodalEncoder._parameter_constraints | {
        "mask_ratio": [Interval(Real, 0, 1, closed="neither")],
        "hidden_length": [POSITIVE, StrOptions({"auto"})],
    }
    _architecture_parameters = (*UnimodalEncoder._architecture_parameters, "mask_ratio")
    _objective_class = Masking
    _auto_hidden_lengths = (8, 32)

    def __init__(
        self,
        modality=None,
        *,
        mask_ratio=0.75,
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
        return Masking(autoencoder, architecture["model_dim"], mask_ratio=architecture["mask_ratio"], **options)

    def reconstruct(self, X, *, context=0.0, n_draws=None, output="tables"):
        """Encode objects and decode them at their own locations, perhaps showing the decoder some of the points.

        Parameters
        ----------
        X : list of Table, or array
            Objects of the kind seen in fit.
        context : float, default=0.0
            Share of an object's points, drawn at random, that the decoder sees beside z; 0.1 in the paper.
        n_draws : None, default=None
            This estimator has no draws.
        output : {"tables", "arrays"}, default="tables"
            As in `inverse_transform`.

        Returns
        -------
        X : list of Table, list of ndarray, or ndarray
            As in `inverse_transform`.
        """
        if not (isinstance(context, Real) and 0 <= context <= 1):
            raise ValueError(f"context={context!r}: a share between 0 and 1 is needed.")
        return self._reconstruct(X, n_draws, output, context)
