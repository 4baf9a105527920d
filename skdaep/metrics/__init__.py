"""Evaluate reconstructions, draws and features: errors, residuals by location, coverage, the linear probe.

`reading` pairs what was measured with what was decoded and says into which bin a point falls; the rest is by theme.
"""

from ._coverage import CoverageResult, coverage, coverage_by, probability_integral_transform
from ._errors import object_errors, residuals_by_location
from ._probe import ProbeResult, linear_probe

__all__ = [
    "CoverageResult",
    "ProbeResult",
    "coverage",
    "coverage_by",
    "linear_probe",
    "object_errors",
    "probability_integral_transform",
    "residuals_by_location",
]
