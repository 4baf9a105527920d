"""Closed-form linear models of irregular, incomplete, noisy objects."""

from .em import fit
from .factors import FactorAnalysis, Posterior, draw, root_of
from .points import Points

__all__ = ["FactorAnalysis", "Points", "Posterior", "draw", "fit", "root_of"]
