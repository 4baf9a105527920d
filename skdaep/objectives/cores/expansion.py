"""The factors of a modality, and how networks use their scores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ...linear import FactorAnalysis, FlatPoints, draw, expected_scores, fit
from ...nn.batch import Batch
from ..plan import TrainingSet
from .base import silence

#: The larger basis has four factors for each entry of the code, but at most this many more than entries: time grows as
#: their square, and further factors were close to noise in all data sets that we tried.
MORE_FACTORS = 32
#: Steps of expectation maximisation for the larger basis. It need not be the most likely one.
STEPS = 10
#: Width of the network that computes its coefficients.
WIDTH = 128
#: Smallest standard deviation of a score relative to that of the values. Beyond the rank of the data, scores are 0.
LEAST = 1e-3


class Expansion(nn.Module):
    """The factors of a modality, the token made from its scores, and the network that computes coefficients.

    Parameters
    ----------
    n_entries, n_further : int
        Number of inputs of the network: entries of the code, from which the number of factors follows, and others.
    width : int
        Of the token.
    """

    basis: FactorAnalysis

    def __init__(self, n_entries: int, n_further: int, width: int):
        super().__init__()
        self.n_entries, self.n_factors = n_entries, min(4 * n_entries, n_entries + MORE_FACTORS)
        self.token = nn.Sequential(nn.Linear(self.n_factors, width), nn.GELU(), nn.Linear(width, width))
        self.coefficients = nn.Sequential(
            nn.Linear(n_entries + n_further, WIDTH), nn.GELU(), nn.Linear(WIDTH, self.n_factors)
        )
        silence(self.coefficients)

    def learn(self, modality: Any, objects: TrainingSet, name: str, weigh_errors: bool) -> FactorAnalysis:
        """Fit and return as many factors as the code has entries; also fit the larger basis, equally smooth."""
        held_out, seed = objects.held_out, objects.seed
        options: dict[str, Any] = {
            "n_bands": number_of_bands(modality, "A core", "core=None"),
            "validation": None if held_out is None else FlatPoints.of(held_out[name]),
            "weigh_errors": weigh_errors,
        }
        points = FlatPoints.of(objects.measurements[name])
        entries, history = fit(points, self.n_entries, **options, generator=torch.Generator().manual_seed(seed))
        again = torch.Generator().manual_seed(seed)
        options |= {"smoothness": _smoothness(history), "max_iter": STEPS, "generator": again}
        self.basis, _ = fit(points, self.n_factors, **options)
        return entries

    def tokens(self, points: FlatPoints | Batch, generator: torch.Generator | None) -> Tensor:
        """Return the token (B, 1, W) of the scores of points."""
        return self.token(scores(self.basis, points, generator) / deviations(self.basis))[:, None]


def has_curves(modality: Any) -> bool:
    """Return whether objects are functions on a line, or images of equal size."""
    return not modality.geometry.separations or modality.geometry.n_axes == 1


def number_of_bands(modality: Any, what: str, instead: str) -> int:
    """Return the number of mean curves of a modality; ValueError if `what` does not support the modality."""
    geometry = modality.geometry
    if not has_curves(modality):
        raise ValueError(
            f"{what} takes points on a line or images of one size, not points of a {geometry.name} "
            f"with {geometry.n_axes} axes; use {instead}."
        )
    return modality.separations().n_bands if geometry.separations else 1


def expected_factors(modality: Any, n_components: int, state: dict[str, Tensor], start: str) -> dict[str, Tensor]:
    """Return tensors with the shapes of a factor model and the given prefix; the state gives the number of nodes."""
    line = modality.geometry.separations
    with torch.device("meta"):
        *_, last = modality.head(1).parameters()
    expected = FactorAnalysis.expected_state(
        n_nodes=len(state[f"{start}nodes.location"]) if line else modality.n_points(None),
        n_values=last.numel(),
        n_components=n_components,
        n_bands=modality.separations().n_bands if line else 1,
    )
    return {f"{start}{name}": tensor for name, tensor in expected.items()}


def factors_of(state: dict[str, Tensor], start: str, n_components: int) -> FactorAnalysis:
    """Return the factor model from the part of a state with the given prefix; ValueError if sizes do not match."""
    factors = FactorAnalysis.of_state({k.removeprefix(start): v for k, v in state.items() if k.startswith(start)})
    if factors.n_components != n_components:
        raise ValueError(f"A core of {factors.n_components} scores is not one of {n_components}.")
    return factors


def points_of(batch: Batch) -> FlatPoints | Batch:
    """Return the points of a batch, concatenated. In an exported graph they stay padded."""
    return batch if torch.compiler.is_compiling() else FlatPoints.of(batch)


def level_of(factors: FactorAnalysis) -> float:
    """Return how far values with unknown errors lie from the curves of the factors."""
    unknown = torch.tensor(torch.nan, device=factors.noise.device)
    return float(factors.noise_of(unknown).sqrt())


def along(factors: FactorAnalysis, curves: Tensor, query: Batch) -> Tensor:
    """Interpolate curves, given at the nodes (B, L, P), to the points of a batch."""
    return factors.at(curves, locations_of(query), query.band).view(query.value.shape)


@contextmanager
def exactly(x: Tensor) -> Iterator[None]:
    """Compute in full precision, whatever that of the networks, because the accuracy of curves depends on it."""
    with torch.autocast(x.device.type, enabled=False):
        yield


def scores(factors: FactorAnalysis, points: FlatPoints | Batch, generator: torch.Generator | None) -> Tensor:
    """Return the expected scores (B, n) or, with a generator, a draw from their posterior."""
    with torch.no_grad(), exactly(points.value):
        if isinstance(points, Batch):
            return expected_scores(factors, points).float()
        posterior = factors.posterior(points)
        if generator is None:
            return posterior.mean.float()
        noise = torch.randn(posterior.mean.shape, generator=generator, device=generator.device)
        return draw(posterior, noise).float()


def locations_of(query: Batch) -> Tensor:
    """Return locations (B, L[, 2]). Padding gets that of the first point, as an image may have no patch at 0."""
    observed = query.observed.view(*query.observed.shape, *[1] * (query.location.ndim - 2))
    return torch.where(observed, query.location, query.location[:, :1])


def deviations(factors: FactorAnalysis) -> Tensor:
    """Return the standard deviations of scores (n,)."""
    return factors.variance.sqrt().clamp(min=LEAST).float()


def _smoothness(history: list[dict[str, Any]]) -> float:
    """Return the smoothness that a fit chose, in its best step or, if the last ones used all objects, its last."""
    best = history[-1]
    if "validation_error" in best:
        best = min(history, key=lambda step: step["validation_error"])
    return float(best["smoothness"])
