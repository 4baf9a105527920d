"""Closed-form linear models of irregular, incomplete, noisy objects."""

from .em import fit
from .factors import FactorAnalysis, Posterior, draw, root_of
from .padded import expected_scores
from .points import FlatPoints

__all__ = ["FactorAnalysis", "FlatPoints", "Posterior", "draw", "expected_scores", "fit", "root_of"]
