r"""How far measurements lie from the point estimate, so that draws have the right coverage.

The loss of a denoiser determines the spread s that fits best around its means. It does not determine how much of the
scatter is measurement noise, nor how much objects differ. The residuals of held-out objects determine both:

.. math:: x - m = b\,d + a\,s\,e^{\tau \xi}\,g + c\,e\,\eta,

where d follows from the uncertainty of the code given the points of the object, if the objective knows it, g is the
noise of `Correlation`, e the error of the point, and :math:`\xi` (per object) and :math:`\eta` (per point) are standard
normal. The first term is small for well-observed objects. The second is what no code says about the object. The third
is measurement noise. The parameters are found by maximum likelihood, with equal weight for every object, and with
:math:`b \ge 1`: codes are at least as uncertain as the points that were seen leave them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

#: points of an object, and about how many of all, that tell the law; and those that are too few to tell it
LEAST_PER_OBJECT, MOST_PER_OBJECT, MOST, FEWEST = 8, 64, 8192, 30
#: of all but b; and of a, b and c, and of tau: beyond them the residuals are no noise about a point estimate
SMALLEST, LARGEST, WIDEST = 1e-2, 30.0, 2.0
#: starting values of a, of c and b (if they may be so small) and of tau; evaluations of the likelihood per parameter
STARTS, EVALUATIONS = ((0.8, 0.5, 0.3), (0.2, 0.5, 1.3)), 85
#: first step of the logarithms
STEP = 0.2
#: nodes of the integral over the levels of objects
LEVELS, SHARES = np.polynomial.hermite_e.hermegauss(9)


@dataclass(frozen=True)
class Scatter:
    """Factors for the spread and for the errors of points, and how much the level of objects varies.

    Parameters
    ----------
    spread : float, default=1.0
        The factor a for the spread of the decoder.
    error : float, default=0.0
        The factor c for the errors.
    level : float, default=0.0
        Standard deviation tau of the logarithm of an object's level.
    typical_error : float, default=0.0
        Replaces unknown errors.
    code : float, default=1.0
        The factor b for the uncertainty of the code.
    """

    spread: float = 1.0
    error: float = 0.0
    level: float = 0.0
    typical_error: float = 0.0
    code: float = 1.0

    def __post_init__(self) -> None:
        sizes = (self.spread, self.error, self.level, self.typical_error, self.code)
        if not all(math.isfinite(x) and x >= 0 for x in sizes):
            raise ValueError(f"{self} is no scatter")

    @property
    def is_known(self) -> bool:
        """Whether it differs from the spread of the decoder."""
        return self != Scatter(typical_error=self.typical_error, code=self.code)

    def errors(self, error: NDArray[Any]) -> NDArray[Any]:
        """Return the standard deviation of the measurement noise for given errors, which are not finite if unknown."""
        return self.error * np.where(np.isfinite(error), error, self.typical_error)

    @classmethod
    def of(
        cls,
        residual: Sequence[NDArray[Any]],
        spread: Sequence[NDArray[Any]],
        error: Sequence[NDArray[Any]],
        typical_error: float | None = None,
        of_code: Sequence[NDArray[Any]] | None = None,
    ) -> Scatter:
        """Fit the parameters to residuals, spreads and errors of the points of each object. Without errors c is 0.

        `of_code` are the standard deviations of d. Without them b is 1.
        """
        most = int(np.clip(MOST / len(residual), LEAST_PER_OBJECT, MOST_PER_OBJECT))
        chosen = [np.unique(np.linspace(0, len(r) - 1, most).astype(int)) for r in residual]
        share = np.concatenate([np.full(len(rows), 1 / len(rows)) for rows in chosen])
        r, s, e, d = (
            np.concatenate([x[rows] for x, rows in zip(columns, chosen, strict=True)]).astype(float)
            for columns in (residual, spread, error, of_code or [np.zeros_like(r) for r in residual])
        )
        if len(r) < FEWEST or not r.any():
            return cls(typical_error=typical_error or 0.0)
        e = np.where(np.isfinite(e), e, typical_error or 0.0)
        share /= share.sum()
        size = math.sqrt(share @ (r / s) ** 2)  # a, if nothing else is at work
        others = [x for x in (e, d) if x.any()]
        lows = [low for x, low in ((e, SMALLEST), (d, 1.0)) if x.any()]

        def cost(x: NDArray[Any]) -> float:
            a, tau, *factors = np.exp(x)
            variance = (a * size * s[:, None] * np.exp(tau * LEVELS)) ** 2
            for factor, other in zip(factors, others, strict=True):
                variance = variance + (factor * other[:, None]) ** 2
            law = (SHARES * np.exp(-0.5 * r[:, None] ** 2 / variance) / np.sqrt(variance)).sum(1)
            return float(-share @ np.log(np.maximum(law, np.finfo(float).tiny)))

        highs = [LARGEST, WIDEST, *[LARGEST] * len(others)]
        bounds = [(math.log(low), math.log(high)) for low, high in zip([SMALLEST] * 2 + lows, highs, strict=True)]
        # There may be two maxima: a few objects lie far out, or most of them a little.
        starts = [np.log([a, tau, *np.maximum(c, lows)]) for a, c, tau in STARTS]
        a, tau, *factors = np.exp(min((_minimum(cost, x, bounds) for x in starts), key=cost)).tolist()
        c, b = (factors.pop(0) if x.any() else default for x, default in ((e, 0.0), (d, 1.0)))
        return cls(a * size, c, tau, typical_error or 0.0, b)


def _minimum(
    cost: Callable[[NDArray[Any]], float], start: NDArray[Any], bounds: list[tuple[float, float]]
) -> NDArray[Any]:
    """Return the minimum that Nelder and Mead's method finds from a start."""
    # The first steps are given because scipy's are proportional to the start, which may be 0.
    simplex = [start, *(start + STEP * np.eye(len(start)))]
    options = {"maxfev": EVALUATIONS * len(bounds), "initial_simplex": simplex}
    found: NDArray[Any] = minimize(cost, start, method="Nelder-Mead", bounds=bounds, options=options).x
    return found
