r"""SimSiam: the encoding of one modality predicts that of the other, which gets no gradient (Chen & He 2021).

.. math:: \mathcal{L}_i = -\tfrac12 \cos(p(a_i),\, \mathrm{sg}\,b_i) - \tfrac12 \cos(p(b_i),\, \mathrm{sg}\,a_i)

(arXiv:2011.10566, equation 2). A shared network, the projector, turns the encodings of two modalities into a and b. p
is the predictor, with a quarter of the width inside. sg stops the gradient: without it, or without p, all encodings
become the same.
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F

from ...nn.autoencoder import Autoencoder
from .base import Alignment, Pair, normalised_layer


class SimSiam(Alignment):
    """Predict one encoding from the other, without negatives (Chen & He 2021).

    Parameters
    ----------
    autoencoder : Autoencoder
        The networks, including the encoder.
    expansion : int
        Width of the projector divided by that of an encoding.
    """

    name = "simsiam"

    def __init__(self, autoencoder: Autoencoder, *, expansion: int = 4):
        super().__init__(autoencoder)
        size = math.prod(autoencoder.code_shape)
        width = expansion * size
        last = normalised_layer(width, width)[:2]
        self.projector = nn.Sequential(*normalised_layer(size, width), *normalised_layer(width, width), *last)
        self.predictor = nn.Sequential(
            *normalised_layer(width, max(1, width // 4)), nn.Linear(max(1, width // 4), width)
        )

    def of_pair(self, pair: Pair) -> Tensor:
        """Return minus the mean of both cosines (n,)."""
        a, b = self.projector(pair.a), self.projector(pair.b)
        return simsiam(self.predictor(a).float(), b.float(), self.predictor(b).float(), a.float())


def simsiam(from_a: Tensor, b: Tensor, from_b: Tensor, a: Tensor) -> Tensor:
    """Return the loss (n,) of predictions of b from a, and of a from b, all (n, d)."""
    return -0.5 * (F.cosine_similarity(from_a, b.detach()) + F.cosine_similarity(from_b, a.detach()))
