r"""A closed-form core: training starts where functional PCA ends, and adds what is not linear.

With s the scores of the points given (`skdaep.linear`), e the Perceiver, and R a rotation,

.. math:: z = R\,(s / u + \gamma\,e(x)), \qquad
    x_0 = \mu + \sum_k u_k (R^T z)_k \phi_k + \sum_j \sigma_j\,g_j(z)\,\psi_j + f(x_t, t, z)

where :math:`\gamma`, g and f start at zero: then z are the scores and :math:`x_0` what `FunctionalPCA` of equal size
makes of them. In training scores are drawn from their posterior (Tipping & Bishop 1999, given the points of the step),
so that no object is known by more digits than its points bear out.

With :math:`\sigma_k` the standard deviation of a score, :math:`u_k = \sqrt{\sigma_k \sigma_1}`: the unit is half way
between scores as they are, which nearly all say what the first two say, and scores of unit variance, most of which
are close to noise. R shares their variance among all entries, so that standardising them undoes nothing. What that
is worth to probes and neighbours ``python -m benchmarks.code_scales`` tells.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..linear import FactorAnalysis, FlatPoints, draw, expected_scores, fit
from ..nn.autoencoder import Autoencoder
from ..nn.batch import Batch, Ragged
from ..nn.names import ModulesByName, key_of

#: The larger basis has four factors for each entry of the code, but at most so many more: its time grows as their
#: square, and what comes after is close to noise in all sets that it was tried on.
MORE_FACTORS = 32
#: Steps of expectation and maximisation for the larger basis, which need not be the likeliest one.
STEPS = 10
#: Width of the network that gives its coefficients.
WIDTH = 128
#: Least standard deviation of a score, as a share of that of the values: beyond the rank of the data scores are 0.
LEAST = 1e-3


class NoCore(nn.Module):
    """The networks alone (the paper's)."""

    #: whether it predicts well before the first step
    solved: ClassVar[bool] = False

    def __init__(self, autoencoder: Autoencoder):
        super().__init__()

    def learn(
        self,
        modalities: dict[str, Any],
        measurements: Mapping[str, Ragged],
        held_out: Mapping[str, Ragged] | None,
        weighed: Collection[str],
        seed: int,
    ) -> dict[str, float]:
        """Learn from objects in closed form; return by modality how far values lie from what is then known.

        FlatPoints of the modalities named in `weighed` count by their errors.
        """
        return {}

    def expected(self, modalities: dict[str, Any], state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return tensors on the meta device like those that `restore` must find, beside those of a fresh core."""
        return {}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Make room for a state, which says how large it is."""

    def encode(
        self, autoencoder: Autoencoder, batches: dict[str, Batch], generator: torch.Generator | None = None
    ) -> Tensor:
        """Return the code (B, K, D); with a generator one that is drawn, given what the points leave open."""
        return autoencoder.encode(batches)

    def curve(self, autoencoder: Autoencoder, name: str, z: Tensor, query: Batch) -> Tensor | float:
        """Return the values (B, L) of a modality that networks need not give, of codes and metadata."""
        return 0.0


class BasisCore(NoCore):
    """Mean and basis of functional PCA of each modality: scores are one more token, the code makes coefficients.

    The code itself is free, so that it may hold what several modalities share, and depend on metadata.

    Parameters
    ----------
    autoencoder : Autoencoder
        Its heads start at zero.
    """

    def __init__(self, autoencoder: Autoencoder):
        super().__init__(autoencoder)
        self.names, n, width = autoencoder.decoded, number_of_entries(autoencoder), autoencoder.model_dim
        self.expansions = ModulesByName({name: Expansion(n, width, width) for name in self.names})
        for name in self.names:
            silence(autoencoder.heads[name])

    def learn(
        self,
        modalities: dict[str, Any],
        measurements: Mapping[str, Ragged],
        held_out: Mapping[str, Ragged] | None,
        weighed: Collection[str],
        seed: int,
    ) -> dict[str, float]:
        """Fit the factors of each modality; of an object as such nothing is known before the first step."""
        for name, modality in modalities.items():
            validation = None if held_out is None else held_out[name]
            self.expansions[name].learn(modality, measurements[name], validation, name in weighed, seed)
        return {}

    def expected(self, modalities: dict[str, Any], state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return tensors like those of the factors of each modality."""
        expected: dict[str, Tensor] = {}
        for name, modality in modalities.items():
            start = f"expansions.{key_of(name)}.basis."
            expected |= expected_factors(modality, self.expansions[name].n_factors, state, start)
        return expected

    def restore(self, state: dict[str, Tensor]) -> None:
        """Make the factors of a state."""
        for name in self.names:
            expansion = self.expansions[name]
            expansion.basis = factors_of(state, f"expansions.{key_of(name)}.basis.", expansion.n_factors)

    def encode(
        self, autoencoder: Autoencoder, batches: dict[str, Batch], generator: torch.Generator | None = None
    ) -> Tensor:
        """Return what the encoder makes of points and of the scores of each modality."""
        tokens = {name: self.expansions[name].tokens(points_of(batch), generator) for name, batch in batches.items()}
        return autoencoder.encode(batches, tokens)

    def curve(self, autoencoder: Autoencoder, name: str, z: Tensor, query: Batch) -> Tensor:
        """Return the mean, and the basis times what a network makes of the code and the metadata."""
        expansion, (context, present) = self.expansions[name], autoencoder.decoder_tokenizers[name].context(query)
        told = torch.cat([z.flatten(1), (context * present[..., None]).sum(1)], 1)
        coefficients = expansion.coefficients(told) * deviations(expansion.basis)
        with exactly(z):
            return along(expansion.basis, expansion.basis.curves(coefficients), query)


class LinearCore(NoCore):
    """Scores of functional PCA and its basis, of the only modality.

    Parameters
    ----------
    autoencoder : Autoencoder
        Its head starts at zero.
    """

    solved = True
    rotation: Tensor
    entries: FactorAnalysis

    def __init__(self, autoencoder: Autoencoder):
        super().__init__(autoencoder)
        (self.name,) = autoencoder.decoded
        self.n_entries = n = number_of_entries(autoencoder)
        self.register_buffer("rotation", torch.linalg.qr(torch.randn(n, n)).Q)
        self.gate = nn.Parameter(torch.zeros(n))
        self.expansion = Expansion(n, 0, autoencoder.model_dim)
        silence(autoencoder.heads[self.name])

    def learn(
        self,
        modalities: dict[str, Any],
        measurements: Mapping[str, Ragged],
        held_out: Mapping[str, Ragged] | None,
        weighed: Collection[str],
        seed: int,
    ) -> dict[str, float]:
        """Fit the factors of the code, and the larger basis as smooth as those."""
        modality, measured = modalities[self.name], measurements[self.name]
        validation = None if held_out is None else held_out[self.name]
        self.entries = self.expansion.learn(modality, measured, validation, self.name in weighed, seed)
        return {self.name: level_of(self.entries)}

    def expected(self, modalities: dict[str, Any], state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return tensors like those of both factor models."""
        modality = modalities[self.name]
        entries = expected_factors(modality, self.n_entries, state, "entries.")
        return entries | expected_factors(modality, self.expansion.n_factors, state, "expansion.basis.")

    def restore(self, state: dict[str, Tensor]) -> None:
        """Make the factors of a state."""
        self.entries = factors_of(state, "entries.", self.n_entries)
        self.expansion.basis = factors_of(state, "expansion.basis.", self.expansion.n_factors)

    def encode(
        self, autoencoder: Autoencoder, batches: dict[str, Batch], generator: torch.Generator | None = None
    ) -> Tensor:
        """Return scores plus the gated correction by the Perceiver, which sees the scores as one more token."""
        points = points_of(batches[self.name])
        learned = autoencoder.encode(batches, {self.name: self.expansion.tokens(points, generator)})
        z = scores(self.entries, points, generator) / self._unit() + self.gate * learned.flatten(1)
        with exactly(z):
            return (z @ self.rotation.T).view(learned.shape)

    def curve(self, autoencoder: Autoencoder, name: str, z: Tensor, query: Batch) -> Tensor:
        """Return the mean, the basis times the code, and the larger basis times what a network makes of the code."""
        larger = self.expansion.basis
        coefficients = self.expansion.coefficients(z.flatten(1)) * deviations(larger)
        with exactly(z):
            own = z.flatten(1) @ self.rotation * self._unit()
            return along(self.entries, self.entries.curves(own) + larger.deviations(coefficients), query)

    def _unit(self) -> Tensor:
        sigma = deviations(self.entries)
        return (sigma * sigma[0]).sqrt()


class Expansion(nn.Module):
    """The factors of a modality, the token that its scores become, and the network that gives coefficients.

    Parameters
    ----------
    n_entries, n_further : int
        Numbers that coefficients are made of: entries of the code, of which the number of factors follows, and others.
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

    def learn(
        self, modality: Any, measured: Ragged, held_out: Ragged | None, weigh_errors: bool, seed: int
    ) -> FactorAnalysis:
        """Fit as many factors as the code has entries, which are returned, and the larger basis as smooth as those."""
        options: dict[str, Any] = {
            "n_bands": number_of_bands(modality, "A core", "core=None"),
            "validation": None if held_out is None else FlatPoints.of(held_out),
            "weigh_errors": weigh_errors,
        }
        points = FlatPoints.of(measured)
        entries, history = fit(points, self.n_entries, **options, generator=torch.Generator().manual_seed(seed))
        again = torch.Generator().manual_seed(seed)
        options |= {"smoothness": _smoothness(history), "max_iter": STEPS, "generator": again}
        self.basis, _ = fit(points, self.n_factors, **options)
        return entries

    def tokens(self, points: FlatPoints | Batch, generator: torch.Generator | None) -> Tensor:
        """Return the token (B, 1, W) of the scores of points."""
        return self.token(scores(self.basis, points, generator) / deviations(self.basis))[:, None]


#: name -> core, as parameters say it
CORES: dict[str | None, type[NoCore]] = {None: NoCore, "linear": LinearCore, "basis": BasisCore}


def core_name(core: str | None, prediction: str, modalities: dict[str, Any], n_moments: int = 1) -> str | None:
    """Return the core that is named or, of "auto", the one that can serve: "linear" where scores can be the code."""
    scores_are_code = len(modalities) == 1 and n_moments == 1
    if core == "linear" and not scores_are_code:
        raise ValueError('core="linear" is for one modality whose code has no posterior; use core="basis".')
    if core != "auto":
        return core
    if prediction != "x0" or not all(_has_curves(m) for m in modalities.values()):
        return None
    return "linear" if scores_are_code else "basis"


def _has_curves(modality: Any) -> bool:
    """Return whether objects are functions on a line, or images of one size."""
    return not modality.geometry.separations or modality.geometry.n_axes == 1


def number_of_bands(modality: Any, what: str, instead: str) -> int:
    """Return how many mean curves objects of a modality have; ValueError if `what` cannot take it."""
    geometry = modality.geometry
    if not _has_curves(modality):
        raise ValueError(
            f"{what} takes points on a line or images of one size, not points of a {geometry.name} "
            f"with {geometry.n_axes} axes; use {instead}."
        )
    return modality.separations().n_bands if geometry.separations else 1


def expected_factors(modality: Any, n_components: int, state: dict[str, Tensor], start: str) -> dict[str, Tensor]:
    """Return tensors like those of a factor model, its names beginning so; the state tells the nodes on a line."""
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


def number_of_entries(autoencoder: Autoencoder) -> int:
    """Return how many numbers a code has."""
    return autoencoder.place.shape[1] * autoencoder.from_bottleneck.in_features


def factors_of(state: dict[str, Tensor], start: str, n_components: int) -> FactorAnalysis:
    """Return the factor model of that part of a state whose names begin so; ValueError if it is of another size."""
    factors = FactorAnalysis.of_state({k.removeprefix(start): v for k, v in state.items() if k.startswith(start)})
    if factors.n_components != n_components:
        raise ValueError(f"A core of {factors.n_components} scores is not one of {n_components}.")
    return factors


def points_of(batch: Batch) -> FlatPoints | Batch:
    """Return the points of a batch end to end; a graph that is exported keeps them padded."""
    return batch if torch.compiler.is_compiling() else FlatPoints.of(batch)


def level_of(factors: FactorAnalysis) -> float:
    """Return how far values of unknown error lie from what factors say."""
    unknown = torch.tensor(torch.nan, device=factors.noise.device)
    return float(factors.noise_of(unknown).sqrt())


def along(factors: FactorAnalysis, curves: Tensor, query: Batch) -> Tensor:
    """Return curves at the nodes (B, L, P) at the points of a batch."""
    return factors.at(curves, _locations(query), query.band).view(query.value.shape)


def silence(network: nn.Module) -> None:
    """Set weight and bias of a network's last layer to zero."""
    for parameter in list(network.parameters())[-2:]:
        nn.init.zeros_(parameter)


@contextmanager
def exactly(x: Tensor) -> Iterator[None]:
    """Compute in full precision, whatever that of the networks: digits of scores are digits of the curves."""
    with torch.autocast(x.device.type, enabled=False):
        yield


def scores(factors: FactorAnalysis, points: FlatPoints | Batch, generator: torch.Generator | None) -> Tensor:
    """Return the expectation of scores (B, n), with a generator a draw from their posterior."""
    with torch.no_grad(), exactly(points.value):
        if isinstance(points, Batch):
            return expected_scores(factors, points).float()
        posterior = factors.posterior(points)
        if generator is None:
            return posterior.mean.float()
        noise = torch.randn(posterior.mean.shape, generator=generator, device=generator.device)
        return draw(posterior, noise).float()


def _locations(query: Batch) -> Tensor:
    """Return locations (B, L[, 2]), padding where an object's first point is: at 0 an image may have no patch."""
    observed = query.observed.view(*query.observed.shape, *[1] * (query.location.ndim - 2))
    return torch.where(observed, query.location, query.location[:, :1])


def deviations(factors: FactorAnalysis) -> Tensor:
    """Return the standard deviations of scores (n,)."""
    return factors.variance.sqrt().clamp(min=LEAST).float()


def _smoothness(history: list[dict[str, Any]]) -> float:
    """Return the smoothness that a fit chose: that of its best step or, the last ones being for all, of the last."""
    best = history[-1]
    if "validation_error" in best:
        best = min(history, key=lambda step: step["validation_error"])
    return float(best["smoothness"])
