"""Estimators: the scikit-learn face. OPEN: one thin class per objective, on one base."""

from ._daep import DAEPEncoder
from ._persistence import load

__all__ = ["DAEPEncoder", "load"]
