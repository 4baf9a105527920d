"""The contract of an objective, and what objectives share: which points are seen, and how errors are averaged."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn

from ..nn.autoencoder import Autoencoder
from ..nn.batch import Batch
from ..registry import register
from .hiding import shown_in_part
from .plan import Plan, TrainingSet

#: every objective by name, for loading files
OBJECTIVES: dict[str, type] = {}

NextNoise = Callable[[], Tensor]  # fresh standard normal noise at every call


class Bottleneck(NamedTuple):
    """The codes of a batch: their mean (B, K, D), and their scale if the objective has a posterior."""

    mean: Tensor
    scale: Tensor | None = None


class Experts(NamedTuple):
    """Normal posteriors of a batch. The posterior of z is their mixture in equal parts. Absent ones are zeros."""

    mean: Tensor  # (B, M, K, D)
    scale: Tensor  # (B, M, K, D)
    present: Tensor  # (B, M)
    root: Tensor | None = None  # (B, M, K D, K D) root of the covariance, if entries are correlated


class Objective(nn.Module):
    """How an autoencoder encodes, what its loss is, and how it decodes.

    Model files refer to subclasses by name. Keyword arguments of the constructor have the names of the parameters of an
    estimator, which passes them on (see `options`).

    Parameters
    ----------
    n_queries : int or None
        Largest number of points per object to decode in a training step. None means all.
    typical_errors : dict
        Modality -> typical measurement error, to which the errors of points are compared to weight them. Without an
        entry all points count equally.
    drop_modality : float
        Probability that a training step hides a modality of an object from the encoder. At least one stays visible.
    modality_weights : dict
        Modality -> weight of its loss (default 1).
    hide : dict
        Modality -> ways to hide its points from the encoder in training, from ``HIDING`` (default: random points).

    Attributes
    ----------
    n_moments : int
        Numbers that the encoder returns for each entry of the bottleneck.
    draws : {"noise", "posterior", "neighbors", None}
        Source of draws: noise given to `decode`, the posterior of z, or other objects. None means that there are no
        draws.
    free_correlation : frozenset of str
        Modalities whose noise of draws may be correlated along the location, because each point is denoised
        independently.
    n_point_draws : int
        Number of draws whose mean is the point estimate; 0 if ``decode`` without noise returns it.
    has_prior : bool
        Whether training makes z follow N(0, 1).
    has_decoder : bool
        Whether there is a decoder. Without one, new objects cannot be sampled.
    measures : bool
        Whether draws include measurement noise.
    in_closed_form : bool
        Whether `solve` replaces training.
    starts_solved : bool
        Whether it predicts well before the first step. The start is kept if training does not improve on it.
    decoding_options : frozenset of str
        Options that may change after training, because no weight depends on them.
    training_options : frozenset of str
        Options that only `loss` uses.
    hidden_length_on_separations, hidden_length_on_grids : int or None
        Meaning of hidden_length="auto" for a modality whose points have separations, and for one whose points are on a
        fixed grid.
    """

    autoencoder: Autoencoder  # missing in objectives in closed form
    n_moments: ClassVar[int] = 1
    draws: ClassVar[str | None] = None
    free_correlation: frozenset[str] = frozenset()
    n_point_draws: int = 0
    has_prior: ClassVar[bool] = False
    has_decoder: ClassVar[bool] = True
    measures: ClassVar[bool] = False
    in_closed_form: ClassVar[bool] = False
    starts_solved: bool = False
    decoding_options: ClassVar[frozenset[str]] = frozenset()
    training_options: ClassVar[frozenset[str]] = frozenset(
        {"n_queries", "typical_errors", "drop_modality", "modality_weights", "hide"}
    )
    hidden_length_on_separations: ClassVar[int | None] = None
    hidden_length_on_grids: ClassVar[int | None] = None

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        register(OBJECTIVES, cls)

    def __init__(
        self,
        autoencoder: Autoencoder | None,
        *,
        n_queries: int | None = None,
        typical_errors: dict[str, float] | None = None,
        drop_modality: float = 0.0,
        modality_weights: dict[str, float] | None = None,
        hide: dict[str, tuple[str, ...]] | None = None,
    ):
        super().__init__()
        if autoencoder is not None:
            self.autoencoder = autoencoder
        self.n_queries, self.typical_errors = n_queries, typical_errors or {}
        self.drop_modality, self.modality_weights = drop_modality, modality_weights or {}
        self.hide = hide or {}

    @classmethod
    def options(cls) -> frozenset[str]:
        """Return the names of all keyword arguments of the constructor, those of base classes included."""
        constructors = [vars(base)["__init__"] for base in cls.__mro__ if "__init__" in vars(base)]
        own = constructors[: 1 + [vars(Objective)["__init__"] is c for c in constructors].index(True)]
        parameters = [p for c in own for p in inspect.signature(c).parameters.values()]
        return frozenset(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)

    @classmethod
    def assembled(cls, plan: Plan) -> Self:
        """Return an objective with newly initialised networks."""
        return cls(Autoencoder(plan.modalities, n_moments=cls.n_moments, **plan.networks), **plan.options)

    @classmethod
    def of_state(cls, plan: Plan, state: dict[str, Tensor]) -> Self:
        """Return an objective with the weights from a state."""
        objective = cls.assembled(plan)
        objective.load_state_dict(state)
        return objective

    @classmethod
    def expected_state(cls, plan: Plan, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return tensors on the meta device, without numbers, with the names and shapes that a state must have.

        The constructors of the networks run on this device, so they must not read numbers from a tensor.
        """
        with torch.device("meta"):
            return cls.assembled(plan).state_dict()

    @classmethod
    def solve(cls, plan: Plan, objects: TrainingSet) -> tuple[Objective, list[dict[str, Any]]]:
        """Return the objective fitted to measurements, and the records of the fit; only if `in_closed_form`."""
        raise NotImplementedError

    def prepare(self, plan: Plan, objects: TrainingSet) -> None:
        """Learn, before the first step of a new fit, what needs no steps. `of_state` restores it later."""

    def begin(self) -> None:
        """Reset state, other than weights, from a previous fit; called at the start of each fit."""

    def prior_draw(self, noise: Tensor) -> Tensor:
        """Return codes (B, K, D) of new objects from standard normal noise; only if `has_prior`."""
        return noise

    def encode(self, batches: dict[str, Batch]) -> Bottleneck:
        """Return the bottleneck of a batch, given by modality, from all its points."""
        return Bottleneck(self.autoencoder.encode(batches))

    def features(self, batches: dict[str, Batch]) -> Tensor:
        """Return the input of a head that predicts labels (B, K D): the code, or a vector of which it is a rotation."""
        return self.encode(batches).mean.flatten(1)

    def mean_and_scale(self, batches: dict[str, Batch]) -> tuple[Tensor, Tensor]:
        """Return mean and scale (B, K, D) of the bottleneck; only for objectives with a posterior."""
        mean, scale = self.encode(batches)
        if scale is None:
            raise TypeError(f"{type(self).__name__} has no posterior.")
        return mean, scale

    def experts(self, batches: dict[str, Batch]) -> Experts:
        """Return the posteriors whose mixture is that of z. By default there is only one."""
        mean, scale = self.mean_and_scale(batches)
        return Experts(mean[:, None], scale[:, None], torch.ones(len(mean), 1, dtype=torch.bool, device=mean.device))

    def code_root(self, batches: dict[str, Batch]) -> Tensor | None:
        """Return the square root (B, K D, K D) of the covariance of codes given their points, or None if unknown.

        Objectives with a posterior have `experts` instead.
        """
        return None

    def deviation_of_code(self, name: str, batches: dict[str, Batch], query: Batch) -> Tensor | None:
        """Return the standard deviation (B, L) of decoded values that follows from `code_root`, if that is known."""
        return None

    def encode_separately(self, batches: dict[str, Batch]) -> tuple[Tensor, Tensor]:
        """Encode each modality separately (B, M, K, D n_moments), and return which are present (B, M).

        Absent modalities are zeros.
        """
        return encode_separately(self.autoencoder.encode, batches)

    def loss(self, batches: dict[str, Batch], generator: torch.Generator) -> dict[str, Tensor]:
        """Return losses per object (B,) by name; ``"loss"`` is the one to minimise.

        The points of the batches are in random order, so any slice is a random subset.
        """
        raise NotImplementedError

    def held_out_loss(self, batches: dict[str, Batch], generator: torch.Generator) -> Tensor:
        """Return the loss per held-out object (B,) that decides which weights are best."""
        return self.loss(batches, generator)["loss"]

    def decode(
        self,
        name: str,
        z: Tensor,
        query: Batch,
        noise: NextNoise | None = None,
        context: Batch | None = None,
    ) -> Tensor:
        """Return values (B, L) of a modality at the locations of `query`.

        With `noise` these are a draw, otherwise a mean. `context` has measured points that the decoder may see in
        addition to z.
        """
        raise NotImplementedError

    def spread(self, name: str, z: Tensor, query: Batch) -> Tensor | None:
        """Return how far draws of each value lie from the point estimate (B, L); None if unknown."""
        return None

    def drop_modalities(self, batches: dict[str, Batch], generator: torch.Generator) -> dict[str, Batch]:
        """Hide modalities of objects at random. Each object keeps at least one."""
        if len(batches) == 1 or self.drop_modality == 0:
            return batches
        present = torch.stack([b.present for b in batches.values()], 1)  # (B, M)
        luck = torch.rand(present.shape, generator=generator, device=present.device).masked_fill(~present, -1.0)
        retained = (luck >= self.drop_modality) | (luck == luck.max(1, keepdim=True).values)
        return {
            name: batch.replace(observed=batch.observed & retained[:, j, None])
            for j, (name, batch) in enumerate(batches.items())
        }

    def shown(self, batches: dict[str, Batch], generator: torch.Generator) -> dict[str, Batch]:
        """Return the points of each object that the encoder sees in a training step, at least one."""
        shown = random_share(batches, generator)
        for name in [k for k in batches if k in self.hide]:
            shown[name] = shown_in_part(batches[name], self.hide[name], generator)
        return shown

    def mean_over_modalities(
        self, batches: dict[str, Batch], z: Tensor, loss: Callable[[str, Tensor, Batch], Tensor]
    ) -> Tensor:
        """Return the weighted mean of ``loss(name, z, batch)`` (B,) over the modalities of each object."""
        if len(batches) == 1:
            ((name, batch),) = batches.items()
            return loss(name, z, batch).float()
        total, weights = torch.zeros(2, len(z), device=z.device)  # float32, even if the networks use less precision
        for name, batch in batches.items():
            rows = batch.present.nonzero()[:, 0]
            if len(rows):
                weight = self.modality_weights.get(name, 1.0)
                total = total.index_add(0, rows, weight * loss(name, z[rows], batch.rows(rows)).float())
                weights = weights.index_add(0, rows, weights.new_full((len(rows),), weight))
        return total / weights

    def decoded_points(self, batch: Batch) -> Batch:
        """Return the last `n_queries` points of each object."""
        return batch if self.n_queries is None else batch.last(batch.lengths.clamp(max=self.n_queries))

    def mean_over_points(self, name: str, per_point: Tensor, query: Batch) -> Tensor:
        r"""Return the mean of (B, L, ...) over the observed points of each object. Padding never counts.

        If there is a typical error e, a point with error :math:`e_i` has the weight :math:`e^2 / (e^2 + e_i^2)`, which
        is right for a model whose own error is e. A point with an unknown error counts as a typical one.
        """
        typical, weight = self.typical_errors.get(name), query.observed.to(per_point.dtype)
        if typical is not None:
            weight = weight / (1 + (query.error / typical).nan_to_num(1.0) ** 2)
        per_point = per_point.flatten(2).mean(2) if per_point.ndim > 2 else per_point
        return (per_point * weight).sum(1) / weight.sum(1).clamp(min=torch.finfo(weight.dtype).tiny)


def encode_separately(encode: Callable[[dict[str, Batch]], Tensor], batches: dict[str, Batch]) -> tuple[Tensor, Tensor]:
    """Return separate encodings of the modalities (B, M, K, D), 0 if absent, and which are present (B, M)."""
    present = torch.stack([batch.present for batch in batches.values()], 1)
    if torch.compiler.is_compiling():
        # A graph cannot select rows by their content. Absent modalities are encoded, and the result is set to 0.
        separate = torch.stack([encode({name: batch}) for name, batch in batches.items()], 1)
        return separate.masked_fill(~present[:, :, None, None], 0), present
    alone = {}
    for j, (name, batch) in enumerate(batches.items()):
        rows = batch.present.nonzero()[:, 0]
        if len(rows):
            alone[j] = rows, encode({name: batch.rows(rows)}).float()
    shape = next(iter(alone.values()))[1].shape[1:]
    separate = torch.zeros(*present.shape, *shape, device=present.device)
    for j, (rows, z) in alone.items():
        separate[rows, j] = z
    return separate, present


def random_share(batches: dict[str, Batch], generator: torch.Generator) -> dict[str, Batch]:
    """Keep the first points of each object, a random 25 to 100 % of all, at least one."""
    share = 1 - 0.75 * torch.rand((), generator=generator, device=generator.device)
    return first_share(batches, share)


def first_share(batches: dict[str, Batch], share: float | Tensor) -> dict[str, Batch]:
    """Keep the first points of each object, a given share of all, at least one."""
    return {k: b.first(share_of(b, share)) for k, b in batches.items()}


def share_of(batch: Batch, share: float | Tensor) -> Tensor:
    """Return how many points of each object (B,) are a given share of all, at least one."""
    # The small number prevents that 0.6 of 25 points become 16 because of rounding in float32.
    return torch.ceil(share * batch.lengths - 1e-3).long().clamp(min=1)
