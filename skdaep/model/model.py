"""A fitted model: its modalities, what was learned, and how to run it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray

from ..diffusion.noise import Correlation
from ..diffusion.scatter import Scatter
from ..modalities import Modality, Objects, Record
from ..objectives import OBJECTIVES, Objective, Plan, Supervised
from ..registry import register
from ..training import Checkpoint, autocast, resolve_precision, seeded
from . import isometry, passes, prior
from .correlation import learn_noise
from .draws import Source, content_key, posterior_draws, subsample_observed
from .prior import Facts
from .state import from_json, of_another_name, to_json
from .targets import Head, Targets

#: every kind of model by name, for loading files
MODELS: dict[str, type] = {}

Arrays = dict[str, NDArray[Any]]
Records = Sequence[dict[str, Record]]


class Codes(NamedTuple):
    """Bottlenecks of objects: means (n, K, D), and scales if there is a posterior."""

    mean: NDArray[Any]
    scale: NDArray[Any] | None = None


@dataclass(frozen=True, eq=False)
class Model:
    """A fitted model, which encodes records into codes and decodes codes into values.

    A model never changes; methods that learn something return a new model. Its weights are numpy arrays. The torch
    module built from them is a cache that is not part of pickles, copies and files, so a model can be sent to any
    machine.

    Parameters
    ----------
    modalities : dict
        Name -> `Modality`, completed by its `learn`.
    objective : type
        A subclass of `Objective`.
    networks : dict
        Arguments of `Autoencoder`; hidden_length may be "auto".
    options : dict
        Arguments of the objective.
    seed : int
        Seed of the initial weights and of all draws.
    weights : dict of ndarray, default={}
        State of the objective. If empty, the objective is newly initialised.
    correlation : dict of Correlation, default={}
        Name -> correlation of the noise of draws along the location. Without an entry, noise is white.
    scatter : dict of Scatter, default={}
        Name -> how far draws lie from the point estimate. Without an entry, the decoder decides.
    object_correlation, object_scatter : dict, default={}
        The same for draws of an object, whose codes are drawn too. Without an entry, those above hold.
    prior : dict of ndarray or None, default=None
        State of the prior of the bottleneck, if one was learned.
    prior_targets : Targets or None, default=None
        The labels that the prior knows in addition to the metadata.
    isometry : dict of ndarray or None, default=None
        The map from the codes of the networks to those that users see, and its inverse. None means that they are the
        same.
    device, precision : str
        Device and precision of the networks.
    targets : Targets or None, default=None
        The labels that a head predicts from codes, if any were learned.
    head : dict of ndarray or None, default=None
        State of the head.
    """

    modalities: dict[str, Modality]
    objective: type[Objective]
    networks: dict[str, Any]
    options: dict[str, Any]
    seed: int
    weights: Arrays = field(default_factory=dict, repr=False)
    correlation: dict[str, Correlation] = field(default_factory=dict)
    prior: Arrays | None = field(default=None, repr=False)
    isometry: Arrays | None = field(default=None, repr=False)
    device: str = "cpu"
    precision: str = "auto"
    targets: Targets | None = None
    head: Arrays | None = field(default=None, repr=False)
    scatter: dict[str, Scatter] = field(default_factory=dict)
    object_correlation: dict[str, Correlation] = field(default_factory=dict)
    object_scatter: dict[str, Scatter] = field(default_factory=dict)
    prior_targets: Targets | None = None

    #: fields that follow the parameters of the estimator with the same names, even after the fit
    settings: ClassVar[tuple[str, ...]] = ("device", "precision")

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        register(MODELS, cls)

    # --- the live module ----------------------------------------------------------------------------

    def build(self) -> Objective:
        """Return a newly initialised objective, without using global random generators."""
        with seeded(self.seed):
            return self.objective.assembled(self.plan())

    def plan(self) -> Plan:
        """Return what the objective is made of."""
        return Plan(self.modalities, self.shapes(), self.options)

    def shapes(self) -> dict[str, Any]:
        """Return the arguments of the networks, with the hidden length by modality."""
        if "hidden_length" not in self.networks:
            return self.networks
        given, objective = self.networks["hidden_length"], self.objective
        auto = {True: objective.hidden_length_on_separations, False: objective.hidden_length_on_grids}
        hidden = {k: auto[m.geometry.separations] if given == "auto" else given for k, m in self.modalities.items()}
        return self.networks | {"hidden_length": hidden}

    def live(self) -> Objective:
        """Return the objective on its device, ready to run. All threads that share the model get the same one."""
        module: Objective | None = vars(self).get("_live")
        if module is None:  # without a lock, which a fork could leave locked; if two threads make a module, one is kept
            module = vars(self).setdefault("_live", self.revived().eval())
        return module

    def revived(self) -> Objective:
        """Return a new objective with the model's weights, on its device, for training."""
        if not self.weights:
            return self.build().to(self.device)
        state = {k: torch.from_numpy(v) for k, v in self.weights.items()}
        with seeded(self.seed):
            return self.objective.of_state(self.plan(), state).to(self.device)

    def revived_head(self) -> Head:
        """Return the head that predicts the targets, on the model's device; newly initialised if it has no state."""
        if self.targets is None:
            raise ValueError("This model cannot predict: it was trained without labels.")
        return self.targets.head(int(np.prod(self.bottleneck_shape)), self.seed, self.head).to(self.device)

    def __getstate__(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)

    def running(self) -> AbstractContextManager[Any]:
        """Return a context manager that sets the model's precision for matrix products."""
        device = torch.device(self.device)
        return autocast(device, resolve_precision(self.precision, device, training=False))

    # --- other models made of this one --------------------------------------------------------------

    def with_weights(self, module: Objective | Supervised) -> Self:
        """Return a model with copies of the weights of a module and, if it has one, of its head."""
        if isinstance(module, Supervised):
            return replace(self, weights=arrays_of(module.inner), head=arrays_of(module.head))
        return replace(self, weights=arrays_of(module))

    def to_predict(self, targets: Targets, before: Model | None) -> Self:
        """Return a model that will learn targets, with the head of the previous model if that predicts the same."""
        if before is not None and before.targets is not None and before.targets.goes_on(targets):
            return replace(self, targets=before.targets, head=before.head)
        return replace(self, targets=targets, head=None)

    def using(self, **settings: Any) -> Self:
        """Return a model with another `device`, `precision` or options of decoding."""
        changes = {k: v for k, v in settings.items() if k in self.settings and v != getattr(self, k)}
        options = {k: v for k, v in settings.items() if k not in self.settings and v != self.options[k]}
        if options:
            changes["options"] = self.options | options
        return replace(self, **changes) if changes else self

    def to(self, device: str | torch.device) -> Self:
        """Return a model that runs on another device."""
        return self.using(device=str(device))

    def with_noise(self, records: Records) -> Self:
        """Return a model whose draws scatter around the point estimate, and are correlated, like the given objects."""
        with self.running():
            laws = learn_noise(self.live(), self.modalities, records, torch.device(self.device))
        return self._sharing(**laws._asdict())

    def isometric(self, records: Records) -> Self:
        """Return a model with the same reconstructions, whose codes are as far apart as the decoded objects."""
        return self._sharing(isometry=isometry.learn(self._sharing(isometry=None), records))

    def with_prior(
        self,
        Z: NDArray[Any],
        facts: Facts,
        targets: Targets | None,
        max_iter: int,
        checkpoint: Checkpoint | None = None,
    ) -> tuple[Self, list[dict[str, Any]]]:
        """Return a model with a prior learned from codes and what is known of their objects, and its records.

        `targets` describe the labels among the `facts`, if there are any.
        """
        sizes, flat = prior.sizes_of(self.modalities, targets), Z.reshape(len(Z), -1)
        learned, history = prior.learn(flat, facts, sizes, self.seed, self.device, max_iter, checkpoint)
        return self._sharing(prior=arrays_of(learned), prior_targets=targets), history

    def _sharing(self, **changes: Any) -> Self:
        """Return a model with the same weights, which shares the live module."""
        other = replace(self, **changes)
        vars(other)["_live"] = self.live()
        return other

    # --- as plain data ------------------------------------------------------------------------------

    def state(self) -> tuple[Arrays, dict[str, Any]]:
        """Return the arrays of the model, with keys ``field/name``, and a description of the rest for JSON.

        Raises
        ------
        TypeError
            If it contains anything that a file must not, such as a modality that is not a registered dataclass.
        """
        name = self.objective.__name__
        if OBJECTIVES.get(name) is not self.objective:
            raise TypeError(f"save cannot write {name}{of_another_name(OBJECTIVES, self.objective)}; use pickle.")
        values = {f.name: getattr(self, f.name) for f in fields(self)} | {"objective": name}
        of_arrays = {k: v for k, v in values.items() if _holds_arrays(v)}
        arrays = {f"{k}/{name}": array for k, own in of_arrays.items() for name, array in own.items()}
        plain = {k: to_json(v) for k, v in values.items() if k not in of_arrays}
        return arrays, {"kind": type(self).__name__} | plain

    @staticmethod
    def from_state(arrays: Arrays, description: dict[str, Any]) -> Model:
        """Return the model with a given state. KeyError if its objective or a modality is not defined."""
        values = {k: from_json(v) for k, v in description.items() if k != "kind"}
        for key, array in arrays.items():
            name, _, rest = key.partition("/")
            values.setdefault(name, {})[rest] = array
        model: Model = MODELS[description["kind"]](**values | {"objective": OBJECTIVES[values["objective"]]})
        return model

    def check_own(self) -> None:
        """Raise an error if the additional fields of a subclass are invalid; called for models from files."""

    def reduced(self) -> Self:
        """Return a model that gives other answers, but costs less to run."""
        return self

    # --- objects to codes ---------------------------------------------------------------------------

    @property
    def bottleneck_shape(self) -> tuple[int, int]:
        """Number and width of the bottleneck tokens."""
        return self.networks["bottleneck_length"], self.networks["bottleneck_dim"]

    @property
    def draws(self) -> str | None:
        """Source of draws, see `Objective`."""
        return self.objective.draws

    @property
    def has_prior(self) -> bool:
        """Whether there is a prior, from which new objects can be drawn."""
        return self.objective.has_prior or self.prior is not None

    def read(
        self, objects: Sequence[dict[str, Any]], name_of: Callable[[int, str], str] | None = None
    ) -> list[dict[str, Record]]:
        """Return a record of each modality of each object; ``name_of(i, name)`` returns its name in errors."""
        name_of = name_of or (lambda i, name: f"X[{i}][{name!r}]")
        records: list[dict[str, Record]] = [{} for _ in range(len(objects))]
        objects = objects if isinstance(objects, Objects) else Objects.listed(objects, self.modalities)
        for name, modality in self.modalities.items():
            having, own = objects.having(name)
            read = modality.read_all(own, [name_of(i, name) for i in having])
            for i, record in zip(having, read, strict=True):
                records[i][name] = record
        return records

    def collate(self, records: Records) -> dict[str, Any]:
        """Return the observed points of objects by modality, on the model's device."""
        return passes.collate(self.modalities, records, self.device)

    def encode(self, records: Records) -> Codes:
        """Return the bottlenecks of objects."""
        with self.running():
            mean, scale = passes.encode(self.live(), self.collate(records))
        return Codes(isometry.outward(self.isometry, mean), isometry.spread(self.isometry, scale))

    def predict(self, records: Records) -> NDArray[Any]:
        """Return the predictions of the head: quantiles (n, T, Q) of standardised numbers, or probabilities (n, C)."""
        with self.running():
            return passes.predict(self.live(), self.revived_head().eval(), self.collate(records))

    # --- codes to values ----------------------------------------------------------------------------

    def decode(
        self,
        name: str,
        Z: NDArray[Any],
        places: Sequence[Record],
        keys: Sequence[int] | None = None,
        n_draws: int | None = None,
        context: float = 0.0,
        measured: bool = True,
        own_codes: bool = False,
    ) -> list[NDArray[Any]]:
        """Return, for each row of Z, scaled values of a modality (n_points, ...) or draws (n_points, ..., n_draws).

        Parameters
        ----------
        name : str
            The modality.
        Z : ndarray, shape (n, K * D) or (n, K, D)
            Codes.
        places : list of Record
            Where to decode each row. A single record is used for all rows.
        keys : list of int or None
            Content keys, on which draws depend. None uses those of the codes.
        n_draws : int or None
            Number of draws. None returns the point estimate.
        context : float
            Share of the points of `places` that the decoder sees in addition to z.
        measured : bool
            Whether draws include the noise of measurements.
        own_codes : bool
            Whether rows of Z are draws of the codes of objects.
        """
        keys = self.code_keys(name, Z, places) if keys is None else keys
        index = _index(len(Z), places)
        sources = [(self.seed, key) for key in keys]
        modality, seen = self.modalities[name], None
        ragged = modality.collate(list(places), queries=True).to(self.device)
        if context:
            shown = [subsample_observed(r, context, source) for r, source in zip(places, sources, strict=True)]
            seen = modality.collate(shown).to(self.device)
        z = isometry.inward(self.isometry, np.reshape(Z, (len(Z), *self.bottleneck_shape)))
        correlation = self.correlation | (self.object_correlation if own_codes else {})
        scatter = self.scatter | (self.object_scatter if own_codes else {})
        wanted = passes.Draws(n_draws, correlation.get(name, Correlation()), scatter.get(name, Scatter()), measured)
        with self.running():
            return passes.decode(self.live(), name, ragged, index, z, sources, wanted, seen)

    def code_keys(self, name: str, Z: NDArray[Any], places: Sequence[Record]) -> list[int]:
        """Return the content keys of codes, which depend on the codes and on the metadata of the places."""
        flat, index = np.reshape(Z, (len(Z), -1)), _index(len(Z), places)
        return [content_key({name: places[i]}, z) for i, z in zip(index, flat, strict=True)]

    def draw(self, name: str, Z: NDArray[Any], places: Sequence[Record]) -> list[NDArray[Any]]:
        """Return a draw for each code or, if the decoder has no draws, the point estimate."""
        if not self.objective.measures:
            return self.decode(name, Z, places)
        return [v[..., 0] for v in self.decode(name, Z, places, n_draws=1)]

    def reconstruct(
        self,
        records: Records,
        name: str,
        places: Sequence[Record] | None = None,
        n_draws: int | None = None,
        context: float = 0.0,
        measured: bool = True,
    ) -> list[NDArray[Any]]:
        """Encode objects and decode one modality, at their own locations or at `places`, like `decode`."""
        places = [r[name] for r in records] if places is None else places
        keys = [content_key(r) for r in records]
        z = None if n_draws is None else self._code_draws(records, name, keys, n_draws)  # (n, draws, K, D)
        if n_draws is None or z is None:
            return self.decode(name, self.encode(records).mean, places, keys, n_draws, context, measured)
        repeated = [place for place in places for _ in range(n_draws)]
        draw_keys = [key + (draw << 128) for key in keys for draw in range(n_draws)]  # other noise for each draw
        flat = z.reshape(-1, *z.shape[2:])
        if self.draws == "noise" or (self.objective.measures and measured):
            own = self.draws == "noise"
            drawn = self.decode(name, flat, repeated, draw_keys, n_draws=1, measured=measured, own_codes=own)
            values = [v[..., 0] for v in drawn]
        else:
            values = self.decode(name, flat, repeated, draw_keys)
        return [np.stack(values[i : i + n_draws], -1) for i in range(0, len(values), n_draws)]

    def _code_draws(self, records: Records, name: str, keys: Sequence[int], n_draws: int) -> NDArray[Any] | None:
        """Return a code for each draw of a modality (n_objects, n_draws, K, D), or None if all have the same code."""
        sources = [(self.seed, key) for key in keys]
        if self.draws == "posterior":
            return self.posterior_draws(records, sources, n_draws)
        with self.running():
            measurements = self.collate(records)
            root = passes.code_roots(self.live(), measurements)
            if root is None:
                return None
            mean, _ = passes.encode(self.live(), measurements)
        factor = self.object_scatter.get(name, Scatter()).code
        one = np.ones((len(mean), 1), bool)
        draws = posterior_draws(
            mean[:, None], np.zeros_like(mean[:, None]), one, factor * root[:, None], sources, n_draws
        )
        return isometry.outward(self.isometry, draws)

    def posterior_draws(self, records: Records, sources: Sequence[Source], n_draws: int) -> NDArray[Any]:
        """Return draws (n_objects, n_draws, K, D) from the posterior of each object's code."""
        with self.running():
            experts = passes.experts(self.live(), self.collate(records))
        return isometry.outward(self.isometry, posterior_draws(*experts, sources, n_draws))

    def sample(self, n_objects: int, seed: int | None = None, facts: Facts | None = None) -> NDArray[Any]:
        """Return codes (n_objects, K * D) drawn from the prior. The noise of an object depends on its number.

        `facts` are what is known of each object; an objective's own prior ignores them.
        """
        seed = self.seed if seed is None else seed
        size = int(np.prod(self.bottleneck_shape))
        noise = np.stack([np.random.default_rng([seed, i]).standard_normal(size) for i in range(n_objects)])
        noise = noise.astype(np.float32)
        if self.prior is not None:
            facts = prior.facts_of(self.modalities, [{}] * n_objects, self.prior_targets) if facts is None else facts
            sizes = prior.sizes_of(self.modalities, self.prior_targets, self.prior)
            return prior.draw(self.prior, sizes, noise, facts, self.device)
        if not self.objective.has_prior:
            raise ValueError("This model has no prior; learn one by with_prior.")
        z = self.live().prior_draw(torch.from_numpy(noise).to(self.device).view(-1, *self.bottleneck_shape))
        return isometry.outward(self.isometry, z.cpu().numpy()).reshape(n_objects, -1)

    def errors(self, records: Records) -> list[float]:
        """Return each object's mean absolute reconstruction error, in scaled units, over its modalities."""
        errors: list[list[float]] = [[] for _ in records]
        for name in self.modalities:
            having = [i for i, r in enumerate(records) if name in r]
            values = self.reconstruct([records[i] for i in having], name) if having else []
            for i, v in zip(having, values, strict=True):
                record = records[i][name]
                errors[i].append(np.abs(v - record.value)[record.observed].mean())
        return [float(np.mean(e)) for e in errors]


register(MODELS, Model)


def _index(n: int, places: Sequence[Record]) -> NDArray[Any]:
    """Return the index of the place at which each of n codes is decoded."""
    return np.zeros(n, np.intp) if len(places) == 1 else np.arange(n)


def _holds_arrays(x: Any) -> bool:
    return isinstance(x, dict) and len(x) > 0 and all(isinstance(v, np.ndarray) for v in x.values())


def arrays_of(module: torch.nn.Module) -> Arrays:
    """Return a copy of a module's state as numpy arrays."""
    return {k: v.detach().cpu().numpy().copy() for k, v in module.state_dict().items()}
