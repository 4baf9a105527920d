"""The masked autoencoder with Perceivers."""

from __future__ import annotations

from numbers import Real
from typing import Annotated

from ..objectives import Masking
from ..training import undisturbed
from ._compat import StrOptions
from ._docs import documented
from ._parameters import POSITIVE_INT, SHARE, Core
from ._unimodal import UnimodalEncoder


@documented
class MAEPEncoder(UnimodalEncoder):
    r"""Encode irregular sequences or images with a masked autoencoder of Perceivers (maep).

    Training hides most points of each object. The encoder compresses the others into a few bottleneck tokens. The
    decoder predicts the hidden values from these tokens, and from some of the visible points.

    Parameters
    ----------
    modality : Modality, default=None
        Which columns hold the value, location, band and error: `Spectrum`, `Photometry`, `Sequence` for anything else
        on a line, or `Image`. None finds the columns by their usual names and uses no metadata.
    mask_ratio : float, default=0.75
        Share of an object's observed points that training hides.
    [shared parameters]

    Attributes
    ----------
    [shared attributes]

    [raises]

    Notes
    -----
    With H the hidden points, V the visible ones and m the metadata, the loss is :math:`\frac{1}{|H|}\sum_{i\in H}(x_i -
    \hat x_i(z(x_V), m, x_C))^2`. The decoder sees C, a random part of V that may be empty or all of it. So
    `inverse_transform` works from z alone, and `reconstruct` can also show the decoder some of the points. `transform`
    uses all points. There are no draws.

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

    objective_class = Masking

    mask_ratio: Annotated[float, SHARE] = 0.75
    core: Core = "auto"
    hidden_length: Annotated[int | str, POSITIVE_INT, StrOptions({"auto"})] = "auto"

    @undisturbed()
    def reconstruct(self, X, *, context=0.0, n_draws=None, output="tables"):
        """Encode objects and decode them at their own locations; the decoder may see some of the points.

        Parameters
        ----------
        X : list of Table, or array
            Objects of the same kind as in fit.
        context : float, default=0.0
            Share of an object's points, chosen at random, that the decoder sees in addition to z; 0.1 in the paper.
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
        return self._reconstructed(X, n_draws, output, context)
