"""Calibrated intervals for draws and for predicted labels, by split conformal prediction."""

from ._draws import ConformalDraws
from ._regressor import ConformalRegressor

__all__ = ["ConformalDraws", "ConformalRegressor"]
