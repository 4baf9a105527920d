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
    r"""Encode two views of an object, either of which may be missing, as they see one another (DESA).

    Each view is read by hidden tokens of its own; in blocks of dual attention these attend to one another and to those
    of the other view; bottleneck queries then read each view. Both encodings, :math:`z_1` and :math:`z_2`, are aligned
    by their projections with one matrix and its transpose, without negatives. `transform` gives their mean, or the one
    that there is, along the directions of that matrix. As in `ContrastiveNeighbors` there is no decoder: what is asked
    of an object is answered by its nearest neighbour.

    Parameters
    ----------
    [modalities]
    n_dual_layers : int, default=4
        Blocks of dual attention.
    attention : {"both", "inter", "intra"}, default="both"
        Whether tokens attend to those of both views, of the other one alone, or of their own alone.
    projection : {"transpose", "shared"}, default="transpose"
        Whether the second view is projected by the transpose of the first one's matrix A, or by A itself.
    duality_weight, covariance_weight : float, default=1.0, 1.0
        Of the terms of the loss.
    variance_weight : float, default=25.0
        Of the term that keeps projections from shrinking; 0: there is none (the paper).
    drop_modality : float, default=0.5
        Probability with which, in a training step, the views of an object do not see one another, as if the other were
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

    What the paper has and this has not, and why:

    * No term v. Then A = 0 is a global minimum, and projections shrink.
    * V are the eigenvectors of A, which are complex; of conjugate pairs the real parts are equal, so that f loses up to
      half of its numbers. :math:`z^T A z = z^T S z`: the loss of duality sees S alone, whose eigenvectors are real and
      orthonormal. They are ordered by the size of their eigenvalues. A rotation changes neither neighbours nor what a
      linear probe reads.
    * Labels are appended to z. Here `transform` takes none; see `supervised_weight`.
    * z is the mean of the tokens, one for each coordinate of encodings that are trained before and then frozen. Here
      tokens are those of the family's encoders, trained with all else, and z is what the bottleneck queries read.

    Through attention z1 holds what is private to the second view too, if both are there.

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
