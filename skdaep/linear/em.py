r"""Fit `FactorAnalysis` by expectation maximisation. Each step takes a few matrix products.

Scores get variance 1 and :math:`\mu, w_k` are found together (Tipping & Bishop 1999; Roweis 1998), with the prior

.. math:: -\frac{\lambda}{2} \int \mu''(x)^2 + \sum_k w_k''(x)^2 \, dx, \qquad \lambda = \tau n / s^2

of smooth functions, where x runs from 0 to 1 over each band and n is the number of measured values. For evenly sampled
functions, waves with more than :math:`\tau^{-1/4} / \pi` half periods are damped.
"""

from __future__ import annotations

import itertools
import math
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.linalg import solveh_banded
from torch import Tensor

from .factors import RIDGES, FactorAnalysis, outer_products, symmetric, weights_of_points
from .nodes import Evidence, Nodes
from .points import FlatPoints
from .scores import Sums, posteriors, triangles, twice
from .start import completed, principal_components

#: Smallest noise variance relative to the mean square of the values, given the precision of float32.
LEAST_NOISE = 1e-6
#: Steps per value of smoothness that is tried, and the relative error at which the search for it ends.
N_TRIED, WORSE = 5, 1.005
#: One in so many objects is held out to choose the smoothness, if no validation objects are given.
HELD_OUT = 10


@dataclass(frozen=True)
class State:
    """Mean and loadings of scores of variance 1, theta (L, P, 1 + K), and the noise s^2."""

    theta: Tensor
    noise: float

    @property
    def is_mean_alone(self) -> bool:
        """Whether scores are negligible beside the noise: the mean may predict best, but all codes would be alike."""
        return bool((self.theta[..., 1:] ** 2).sum(2).max() < 1e-2 * self.noise)


def fit(
    points: FlatPoints,
    n_components: int,
    *,
    n_bands: int = 1,
    validation: FlatPoints | None = None,
    smoothness: float | None = None,
    weigh_errors: bool = False,
    max_iter: int = 100,
    tol: float = 3e-4,
    generator: torch.Generator | None = None,
) -> tuple[FactorAnalysis, list[dict[str, Any]]]:
    r"""Return the model of points and the history of its fit.

    Time grows as objects x nodes x K^2 and as points, memory as objects x nodes and as points.

    Parameters
    ----------
    points : FlatPoints
        Points of the training objects.
    n_components : int
        K. Scores beyond the dimensions that the objects span are 0.
    n_bands : int
        Number of bands, numbered from 0 to n_bands - 1.
    validation : FlatPoints or None
        Points of other objects. With them the best state of all steps is kept: the one with the lowest mean absolute
        error at a random half of each object's points, given the other half.
    smoothness : float or None
        :math:`\tau` of the prior, 0 for none. None: chosen by the validation objects or, without any, by every tenth
        object, which count in the last steps only.
    weigh_errors : bool
        Whether measurement errors count as additional noise.
    max_iter : int
        Largest number of steps.
    tol : float
        Steps end when the log-likelihood per value grows by less than this, in nats.
    generator : torch.Generator or None
        Draws the halves, and starts the search for singular vectors of large matrices. None is a generator with seed 0.

    Returns
    -------
    factors : FactorAnalysis
    history : list of dict
        Of each step ``iteration``, ``log_likelihood`` per number, of the model before it, ``smoothness``, ``noise``,
        ``seconds`` and, with validation, ``validation_error`` of the model after it.
    """
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    points, validation = points.to("cpu"), None if validation is None else validation.to("cpu")
    nodes = Nodes.learn(points, n_bands)
    typical_error = float(points.error.nanmedian()) if weigh_errors and points.error.isfinite().any() else None
    everything = EM(nodes, points, typical_error)
    em = everything
    if smoothness is None and validation is None and points.n_objects >= HELD_OUT:
        held_out = torch.arange(points.n_objects) % HELD_OUT == HELD_OUT - 1
        em, validation = EM(nodes, points.of_objects(~held_out), typical_error), points.of_objects(held_out)
    halves = None if validation is None else Halves(em, validation, generator)
    search = Search(em, halves, em.start(n_components, generator), max_iter, tol)
    if smoothness is not None or halves is None or not em.roughness.any():
        search.run(smoothness or 0.0, max_iter)
    else:
        search.choose()
    if em is not everything:
        search.end_with(everything)
    return everything.model(search.best[1]), search.history


class Search:
    """The steps of a fit, with the last state, the best state and its error, and the history."""

    def __init__(self, em: EM, halves: Halves | None, state: State, max_iter: int, tol: float):
        self.em, self.halves, self.state, self.max_iter, self.tol = em, halves, state, max_iter, tol
        error = math.inf if halves is None or state.is_mean_alone else halves.error(state)
        self.best: tuple[float, State, float] = (error, state, 0.0)  # error, state, smoothness
        self.history: list[dict[str, Any]] = []
        self.settled: set[float] = set()  # values of smoothness for which further steps gain too little
        self.began = time.perf_counter()

    def choose(self) -> None:
        """Increase the smoothness tenfold until the error rises, then continue from the best."""
        finest = (math.pi * int(self.em.nodes.counts.max())) ** -4
        before = self.run(0.0, N_TRIED)
        for power in itertools.count():
            error = self.run(finest * 10**power, N_TRIED)
            if error > WORSE * before or finest * 10**power > 1 or len(self.history) >= self.max_iter:
                break
            before = error
        _, self.state, smoothness = self.best
        if smoothness not in self.settled:
            self.run(smoothness, self.max_iter)

    def end_with(self, em: EM) -> None:
        """Take a few more steps from the best state, at its smoothness, with other points and none held out."""
        _, self.state, smoothness = self.best
        self.em, self.halves, self.max_iter = em, None, len(self.history) + N_TRIED
        self.run(smoothness, N_TRIED)

    def run(self, smoothness: float, n_steps: int) -> float:
        """Take steps at a smoothness and return the last validation error."""
        penalty, last, error = smoothness * self.em.n_values / self.state.noise, -math.inf, math.inf
        for _ in range(min(n_steps, self.max_iter - len(self.history))):
            state, log_likelihood, objective = self.em.step(self.state, penalty)
            self.state, error = state, math.inf if self.halves is None else self.halves.error(state)
            self._record(smoothness, log_likelihood, error)
            better = self.halves is None or not error >= self.best[0]  # True for NaN: nothing was hidden
            if better and not state.is_mean_alone:
                self.best = error, state, smoothness
            if objective - last < self.tol * self.em.n_values:
                self.settled.add(smoothness)
                break
            last = objective
        return error

    def _record(self, smoothness: float, log_likelihood: float, error: float) -> None:
        record = {"iteration": len(self.history) + 1, "log_likelihood": log_likelihood / self.em.n_values}
        if self.halves is not None:
            record["validation_error"] = error
        more = {"smoothness": smoothness, "noise": self.state.noise, "seconds": time.perf_counter() - self.began}
        self.history.append(record | more)


class EM:
    """The steps for some points, at some nodes; a point of unknown error has the `typical_error`, None: none count."""

    def __init__(self, nodes: Nodes, points: FlatPoints, typical_error: float | None):
        self.nodes, self.points, self.typical_error = nodes, points, typical_error
        self.places = nodes.place(points.location, points.band)
        self.unweighted = nodes.evidence(points, self.places)
        self.roughness = nodes.roughness()
        self.n_values = float(self.unweighted.n_values.sum())
        self.least_noise = LEAST_NOISE * float(self.unweighted.square.sum()) / max(self.n_values, 1) or LEAST_NOISE

    def start(self, n_components: int, generator: torch.Generator) -> State:
        """Return the most likely model of completed curves. For curves on a common grid it is the final one."""
        curves = completed(self.unweighted, self.nodes)  # (N, L, P)
        mean = curves.mean(0)
        X = (curves - mean).flatten(1)
        vectors, values = principal_components(X, n_components, generator)
        left = float((X.double() ** 2).sum() - (values.double() ** 2).sum()) / len(X)
        noise = max(left / max(X.shape[1] - n_components, 1), self.least_noise)
        variance = values**2 / len(X)
        shrunk = (variance - noise).clamp(min=0)
        # If all loadings were 0, they would stay 0 in the following steps.
        loadings = vectors * (shrunk if shrunk.any() else variance).sqrt()
        return State(torch.cat([mean[..., None], loadings.unflatten(0, mean.shape)], -1), noise)

    def step(self, state: State, penalty: float) -> tuple[State, float, float]:
        """Return the next state, and log-likelihood and log-posterior, up to a constant, of this one."""
        evidence = self.evidence(state.noise)
        weight = weights_of_points(self.points.error, state.noise, self.typical_error)
        sums, log_likelihood, moments = None, 0.0, []
        for part, posterior in posteriors(state.theta, state.noise, evidence):
            own = Sums.of(part, posterior)
            sums = own if sums is None else sums.plus(own)
            log_likelihood += float(posterior.log_likelihood.sum())
            if weight is not None:
                moments.append(triangles(posterior, state.theta.dtype))
        assert sums is not None  # there is at least one object
        theta, residual = self._maximise(evidence, sums, penalty * state.noise)
        if weight is not None:
            scores, covariance = (torch.cat(parts) for parts in zip(*moments, strict=True))
            residual = self._residual_beside_errors(theta, state.noise, scores, covariance, weight)
        noise = max(residual / self.n_values, self.least_noise)
        return State(theta, noise), log_likelihood, log_likelihood - 0.5 * penalty * self._rough(state.theta)

    def model(self, state: State) -> FactorAnalysis:
        """Return the model of a state in canonical form."""
        evidence = self.unweighted
        own = evidence.own.double().sum(0)
        beside = torch.zeros_like(own) if evidence.next is None else evidence.next.double().sum(0)
        density = torch.stack([own, beside], 1) / len(self.points)
        theta = state.theta
        return FactorAnalysis.canonical(
            self.nodes, theta[..., 0], theta[..., 1:], state.noise, density, self.typical_error
        )

    def evidence(self, noise: float) -> Evidence:
        """Return the evidence of the points at a noise, by which those with errors are weighed."""
        weight = weights_of_points(self.points.error, noise, self.typical_error)
        return self.unweighted if weight is None else self.nodes.evidence(self.points, self.places, weight)

    def _rough(self, theta: Tensor) -> float:
        """Return the integral of squared second derivatives."""
        theta, R = theta.double(), self.roughness
        total = R[:, 0] @ (theta**2).sum((1, 2))
        for d in (1, 2):
            total = total + 2 * R[:-d, d] @ (theta[:-d] * theta[d:]).sum((1, 2))
        return float(total)

    def _maximise(self, evidence: Evidence, sums: Sums, ridge: float) -> tuple[Tensor, float]:
        """Return the best theta given scores, and the expected sum of squared residuals."""
        (own, beside, pull), k = sums, sums.pull.shape[2]
        own_blocks, beside_blocks = symmetric(own, k), None if beside is None else symmetric(beside, k)
        # Where few objects have points, rounding errors of long sums can exceed the smallest eigenvalue.
        rounding = torch.finfo(evidence.value.dtype).eps * own_blocks.diagonal(dim1=1, dim2=2).mean()
        theta = steady(own_blocks, beside_blocks, pull, ridge * self.roughness, rounding)
        products = outer_products(theta, beside is not None)
        residual = evidence.square.sum() - 2 * (theta * pull).sum()
        for x, y in zip((own, beside), products, strict=True):
            if x is not None and y is not None:
                residual = residual + (x * y @ twice(k)).sum()
        return theta.to(evidence.value.dtype), float(residual)

    def _residual_beside_errors(
        self, theta: Tensor, noise: float, scores: Tensor, covariance: Tensor, weight: Tensor
    ) -> float:
        """Return the expected sum of squares of that part of the residuals that is not measurement error."""
        curves = torch.einsum("nk,lpk->nlp", scores, theta)
        owner, (node, share) = self.points.owner, self.places
        squared = ((self.points.value - self.nodes.at(curves, self.places, owner)).double() ** 2).sum(1)
        k, t, after = theta.shape[2] - 1, share.to(theta.dtype), (node + 1).clamp(max=len(self.nodes) - 1)
        covariance = covariance * twice(k).to(theta.dtype)
        own, beside = outer_products(theta[..., 1:], bool(share.any()))
        variance = covariance @ own.T
        squared += (1 - t) ** 2 * variance[owner, node] + t**2 * variance[owner, after]
        if beside is not None:
            squared += t * (1 - t) * (covariance @ beside.T)[owner, node.clamp(max=len(self.nodes) - 2)]
        return float((weight**2 * squared + theta.shape[1] * noise * (1 - weight)).sum())


class Halves:
    """Two random halves of the points of held-out objects: one determines the scores, the other tests the curves."""

    def __init__(self, em: EM, points: FlatPoints, generator: torch.Generator):
        self.nodes = em.nodes
        first = torch.rand(len(points), generator=generator) < 0.5
        self.given, self.hidden = EM(em.nodes, points.of_points(first), em.typical_error), points.of_points(~first)
        self.places = em.nodes.place(self.hidden.location, self.hidden.band)
        self.counts = torch.bincount(self.hidden.owner, minlength=points.n_objects)

    def error(self, state: State) -> float:
        """Return the mean over objects of the mean absolute error at hidden points."""
        parts = posteriors(state.theta, state.noise, self.given.evidence(state.noise))
        scores = torch.cat([triangles(posterior, state.theta.dtype)[0] for _, posterior in parts])
        curves = torch.einsum("nk,lpk->nlp", scores, state.theta)
        error = (self.hidden.value - self.nodes.at(curves, self.places, self.hidden.owner)).abs().mean(1)
        sums = error.new_zeros(len(self.counts)).index_add_(0, self.hidden.owner, error)
        return float((sums / self.counts)[self.counts > 0].mean())


def steady(own: Tensor, beside: Tensor | None, pull: Tensor, rough: Tensor, rounding: Tensor) -> Tensor:
    """Return the solution of `solve` with the least of `RIDGES` on the diagonal that makes it positive definite."""
    ridge = rounding * torch.eye(own.shape[1], dtype=own.dtype)
    for size in RIDGES[:-1]:
        with suppress(np.linalg.LinAlgError):
            return solve(own + size * ridge, beside, pull, rough)
    return solve(own + RIDGES[-1] * ridge, beside, pull, rough)


def solve(own: Tensor, beside: Tensor | None, pull: Tensor, rough: Tensor) -> Tensor:
    """Return theta (L, P, k) of the symmetric system with blocks `own` (L, k, k) and `beside` (L - 1, k, k).

    `rough` (L, 3) are the diagonals of a matrix of nodes that is added for each of the k functions.
    """
    L, P, k = pull.shape
    if beside is None and not rough.any():
        return torch.linalg.solve(own, pull.mT).mT
    reach = 3 if rough.any() else 2  # number of non-zero blocks per column, on and below the diagonal
    bands, node = own.new_zeros(reach * k, L, k), torch.arange(L)[:, None]  # entry (l k + j + d, l k + j) at [d, l, j]
    i, j = torch.tril_indices(k, k)
    bands[i - j, node, j] = own[:, i, j]
    if beside is not None:
        i, j = torch.cartesian_prod(torch.arange(k), torch.arange(k)).T
        bands[k + i - j, node[:-1], j] = beside.flatten(1)
    for d in range(reach):
        bands[d * k] += rough[:, d, None]
    right = pull.mT.reshape(L * k, P)
    theta = solveh_banded(bands.flatten(1).numpy(), right.numpy(), lower=True, overwrite_ab=True, check_finite=False)
    return torch.from_numpy(theta).view(L, k, P).mT
