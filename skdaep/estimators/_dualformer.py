"""The DualFormer of DESA."""

from __future__ import annotations

from numbers import Real
from typing import Annotated

from ..nn.dual import ATTENTIONS
from ..objectives import DualFormer as Objective
from ._compat import Interval, StrOptions
from ._contrastive import ContrastiveNeighbors
from ._docs import documented
from ._parameters import NOT_NEGATIVE, PositiveInt


@documented
class DualFormer(ContrastiveNeighbors, without=("alignment", "alignment_options")):
    r"""Encode two views of an object that attend to each other, either of which may be missing (DESA).

    Hidden tokens read each view. In blocks of dual attention they attend to one another and to those of the other view.
    Then bottleneck queries read each view. The encodings of the two views, :math:`z_1` and :math:`z_2`, are projected
    with a matrix and its transpose, and training aligns these projections without negatives. `transform` returns the
    mean of the encodings, or the only one, along the directions of this matrix. There is no decoder: as in
    `ContrastiveNeighbors`, predictions are measurements of the nearest training object.

    Parameters
    ----------
    [modalities]
    n_dual_layers : int, default=4
        Blocks of dual attention.
    attention : {"both", "inter", "intra"}, default="both"
        Whether tokens attend to both views, only to the other view, or only to their own.
    projection : {"transpose", "shared"}, default="transpose"
        Whether the second view is projected by the transpose of the first one's matrix A, or by A itself.
    duality_weight, covariance_weight : float, default=1.0, 1.0
        Weights of two terms of the loss.
    variance_weight : float, default=25.0
        Weight of the term that keeps projections from shrinking. The paper has none (0).
    drop_modality : float, default=0.5
        Probability that in a training step the two views of an object do not see each other, as if the other were
        missing.
    metadata_tolerance : float, default=0.25
        As in `ContrastiveNeighbors`.
    [shared parameters]

    Attributes
    ----------
    [shared attributes]

    [raises]

    Notes
    -----
    The loss [1]_ is, with :math:`p_1 = A z_1`, :math:`p_2 = A^T z_2`,

    .. math:: \mathcal{L} = \frac1d \bigl(\langle z_1, p_1 \rangle - \langle z_2, p_2 \rangle\bigr)^2
        + c(p_1, p_1) + c(p_2, p_2) + c(p_1, p_2) + 25\,[v(p_1) + v(p_2)],

    c the mean square of the off-diagonal covariances and v the hinge of `VICReg <https://arxiv.org/abs/2105.04906>`_ at
    unit standard deviation. With :math:`S = (A + A^T) / 2 = V \Lambda V^T` the code is :math:`f = V^T (z_1 + z_2) / 2`.

    Differences from the paper, and their reasons:

    * The paper has no term v. Then A = 0 is a global minimum, and projections shrink.
    * In the paper, V are the eigenvectors of A. They are complex, and the real parts of conjugate pairs are equal, so f
      loses up to half of its numbers. The loss of duality only depends on S, because :math:`z^T A z = z^T S z`, and the
      eigenvectors of S are real and orthonormal. Here they are ordered by the size of their eigenvalues. A rotation
      changes neither neighbours nor linear probes.
    * The paper appends labels to z. Here `transform` takes no labels; see `supervised_weight`.
    * In the paper, z is the mean of tokens, one for each coordinate of encodings that were trained before and frozen.
      Here the tokens are those of the other encoders of this package and are trained with everything else, and
      bottleneck queries read z from them.

    If both views are present, attention also brings information that is only in the second view into :math:`z_1`.

    References
    ----------
    .. [1] Kamai, Bronstein & Perets, "DESA, a multi-modal approach for stellar astrophysics", 2025.

    Examples
    --------
    >>> from skdaep import DualFormer, Photometry, Spectrum
    >>> from skdaep.datasets import make_supernova_light_curves, make_supernova_spectra
    >>> spectra, y = make_supernova_spectra(20, random_state=0)
    >>> light_curves, y = make_supernova_light_curves(20, random_state=0)
    >>> X = [{"photometry": lc, "spectrum": s} for lc, s in zip(light_curves, spectra)]
    >>> X[3]["spectrum"] = None
    >>> views = {"photometry": Photometry(), "spectrum": Spectrum()}
    >>> encoder = DualFormer(views, model_dim=16, max_iter=5, supervised_weight=0.5, random_state=0).fit(X, y)
    >>> encoder.transform(X).shape
    (20, 16)
    >>> encoder.predict_proba([{"photometry": light_curves[0]}]).shape
    (1, 3)
    """

    objective_class = Objective

    n_dual_layers: PositiveInt = 4
    attention: Annotated[str, StrOptions(set(ATTENTIONS))] = "both"
    projection: Annotated[str, StrOptions({"transpose", "shared"})] = "transpose"
    duality_weight: Annotated[float, NOT_NEGATIVE] = 1.0
    covariance_weight: Annotated[float, NOT_NEGATIVE] = 1.0
    variance_weight: Annotated[float, NOT_NEGATIVE] = 25.0
    drop_modality: Annotated[float, Interval(Real, 0, 1, closed="left")] = 0.5
    encoder_hidden_length: PositiveInt = 16

    def _declarations(self):
        if len(self.modalities) != 2:
            raise ValueError(f"modalities has {len(self.modalities)} entries; DualFormer encodes two views.")
        return super()._declarations()
