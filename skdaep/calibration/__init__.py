"""Intervals that cover new objects as often as they say: split conformal, for draws and for predicted labels."""

from ._draws import ConformalDraws
from ._regressor import ConformalRegressor

__all__ = ["ConformalDraws", "ConformalRegressor"]
