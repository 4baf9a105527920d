"""What all encoders share: fit, transform, score, and the way from objects to the engine and back."""

from __future__ import annotations

import abc
import math
import warnings
from collections.abc import Iterator
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ..diffusion.noise import Correlation
from ..exceptions import InterruptedTrainingWarning
from ..modalities import Modality
from ..nn.autoencoder import Autoencoder
from ..objectives import Objective
from ..training import SOLVERS, autocast, resolve_device, resolve_precision, seeded
from ._callbacks import CallbackSupportMixin, FitProgress
from ._compat import Interval, StrOptions, fit_context
from ._decoding import (
    TOKENS_PER_PASS,
    capacity,
    collate,
    encode,
    learn_correlation,
)
from ._fitting import Split, fit_objective
from ._persistence import PersistenceMixin, arrays_of
from ._prior import PriorMixin
from ._reconstruction import ReconstructionMixin

POSITIVE = Interval(Integral, 1, None, closed="left")
#: points that are read, encoded and decoded before the next objects are looked at, on a CPU
POINTS_PER_CHUNK = 4 * TOKENS_PER_PASS


def some(objects: Iterator, name: str) -> Iterator:
    """Yield objects; ValueError if there are none."""
    empty = True
    for obj in objects:
        empty = False
        yield obj
    if empty:
        raise ValueError(f"{name} holds 0 objects (n_samples=0); at least one is needed.")


def refuse_class(name: str, modality) -> None:
    """Raise TypeError if a parameter is what makes a modality rather than a modality."""
    if callable(modality):
        called = getattr(modality, "__name__", modality)
        raise TypeError(f"{name} is {called}, not a modality; did you mean {called}()?")


def joined(parts: list):
    """Return lists as one list, arrays as one array."""
    return np.concatenate(parts) if isinstance(parts[0], np.ndarray) else [x for part in parts for x in part]


class BaseEncoder(
    PersistenceMixin,
    PriorMixin,
    ReconstructionMixin,
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
    metaclass=abc.ABCMeta,
):
    """Shared by the encoders. Inside, an object is a dict of its modalities; a unimodal one has a single entry."""

    _parameter_constraints: dict = {
        "bottleneck_length": [POSITIVE],
        "bottleneck_dim": [POSITIVE],
        "model_dim": [POSITIVE],
        "n_heads": [POSITIVE],
        "n_encoder_layers": [POSITIVE],
        "n_decoder_layers": [POSITIVE],
        "hidden_length": [POSITIVE, StrOptions({"auto"}), None],
        "encoder_hidden_length": [POSITIVE, None],
        "share_weights": ["boolean"],
        "max_iter": [POSITIVE],
        "batch_size": [POSITIVE],
        "max_points": [POSITIVE, None],
        "solver": [StrOptions(set(SOLVERS))],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "error_weighting": ["boolean"],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [POSITIVE],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "device": [str],
        "precision": [StrOptions({"auto", "float32", "bfloat16"})],
        "verbose": ["verbose"],
    }

    #: parameters that shape the networks; after fit they are those of the fit, whatever `set_params` says
    _architecture_parameters: tuple[str, ...] = (
        *("bottleneck_length", "bottleneck_dim", "model_dim", "n_heads", "n_encoder_layers", "n_decoder_layers"),
        *("hidden_length", "encoder_hidden_length", "share_weights"),
    )
    _network_parameters = _architecture_parameters
    _objective_class: type[Objective]
    #: hidden_length="auto": on a line (correlated noise makes draws coherent), and in images (patches must meet)
    _auto_hidden_lengths: tuple[int | None, int | None] = (None, 32)

    @abc.abstractmethod
    def _make_objective(self, autoencoder: Autoencoder, architecture: dict, options: dict) -> Objective:
        """Return the objective that trains the autoencoder; `options` go to every objective."""

    @abc.abstractmethod
    def _declarations(self) -> dict[str, Modality]:
        """Return the modalities as declared, by name."""

    @abc.abstractmethod
    def _stream(self, X, reset: bool = False, name: str = "X") -> Iterator[dict]:
        """Yield the objects, each by modality, of what a user gave; ``reset=True`` in fit."""

    def _objects(self, X, reset: bool = False, name: str = "X") -> list[dict]:
        return list(some(self._stream(X, reset, name), name))

    @abc.abstractmethod
    def _where(self, name: str, i: int, modality: str) -> str:
        """Return what the i-th object's modality is called in errors."""

    def _store(self, parameters: dict) -> None:
        """Store what `__init__` was given, and do nothing else."""
        vars(self).update((k, v) for k, v in parameters.items() if k not in ("self", "__class__"))

    def set_params(self, **params):
        """Set parameters; those of decoding (sampler, device, ...) also apply to a fitted estimator at once.

        Parameters
        ----------
        **params : dict
            Parameters of the estimator.

        Returns
        -------
        self : object
            The estimator.
        """
        self._forget()  # what is made from the weights is made anew when next needed
        return super().set_params(**params)

    # --- fitting ------------------------------------------------------------------------------------

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, *, groups=None):
        """Learn to encode and decode the objects of X.

        Parameters
        ----------
        X : list of Table, array of shape (n_objects, n_points), images, or list of dict
            One Table per object. In an array a row is a regularly sampled object, NaN is "not observed". With several
            modalities one dict per object. Meta-estimators that index arrays (bagging) need a column of Tables, an
            object array of shape (n_objects, 1).
        y : object, default=None
            Ignored.
        groups : array-like of shape (n_objects,), default=None
            Objects of one group stay on one side of the validation split.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        TableError
            If an object cannot be used; the message names it and the column.
        DivergenceError
            If training meets a loss that is not finite; the message names the objects of the batch.
        """
        before = dict(vars(self))
        try:
            return self._fit(X, y, groups)
        except BaseException:  # nothing is lost of the fit before
            vars(self).clear()
            vars(self).update(before)
            raise

    def _fit(self, X, y, groups):
        if self.model_dim % self.n_heads:
            raise ValueError(f"model_dim={self.model_dim} is not divisible by n_heads={self.n_heads}.")
        device = resolve_device(self.device)
        resume = self.warm_start and hasattr(self, "_weights")
        objects = self._objects(X, reset=not resume)
        split = Split.of(self, len(objects), groups, check_random_state(self.random_state))
        modalities = self.modalities_ if resume else self._learn(objects)
        if getattr(self, "error_weighting", False):  # not where nothing is decoded
            self._check_errors(objects, modalities)
        records = self._read(objects, modalities)
        self._check_split(objects, split, resume)
        architecture = {name: getattr(self, name) for name in self._architecture_parameters}
        architecture["modalities"] = self._declarations()
        objective = self._build(modalities, split.seed, architecture)
        if resume:
            self._resume(objective, architecture)
        shape = (self.bottleneck_length, self.bottleneck_dim)
        fitted = {
            "modalities_": modalities,
            "bottleneck_shape_": shape,
            "device_": str(device),
            "_architecture": architecture,
            "_seed": split.seed,
            "_n_features_out": math.prod(shape),
            "noise_correlation_": {name: Correlation() for name in modalities},  # white until it is learned
            **self._kept(records),
        }

        def fitted_so_far(module, record):
            # Weights, not the module: training goes on changing that one.
            return fitted | {"n_iter_": record["iteration"], "_weights": arrays_of(module)}

        progress = FitProgress(self, split.n_records, X, y, fitted_so_far)
        history = fit_objective(self, objective, modalities, records, split, device, progress)
        for name in ("_prior", "prior_history_"):  # those of another fit's bottlenecks
            vars(self).pop(name, None)
        vars(self).update(fitted)
        self.history_ = history
        self.n_iter_ = history[-1]["iteration"]
        self.best_loss_ = min(r.get("validation_loss", r["loss"]) for r in history)
        self._keep(objective)
        held_out = split.validation if len(split.validation) else split.train
        self._learn_correlation(objective, [records[i] for i in held_out], device)
        progress.end()
        return self

    def _check_split(self, objects: list[dict], split: Split, resume: bool) -> None:
        """Raise if too little is left to learn from without the objects held out."""

    def _learn_correlation(self, objective: Objective, records: list[dict], device: torch.device) -> None:
        try:
            with self._precision(device):
                self.noise_correlation_ = learn_correlation(objective, self.modalities_, records, device)
        except KeyboardInterrupt:
            warnings.warn(
                "Interrupted after training; the model is kept, but draws will have white noise.",
                InterruptedTrainingWarning,
                stacklevel=3,
            )

    def _learn(self, objects: list[dict]) -> dict[str, Modality]:
        """Return the modalities completed with what the objects show."""
        learned = {}
        for name, modality in self._declarations().items():
            having = [i for i, o in enumerate(objects) if name in o]
            where = [self._where("X", i, name) for i in having]
            learned[name] = modality.learn([objects[i][name] for i in having], where)
        return learned

    def _check_errors(self, objects: list[dict], modalities: dict[str, Modality]) -> None:
        """Raise TableError if some objects lack the errors that others have."""
        for name, modality in modalities.items():
            having = [i for i, o in enumerate(objects) if name in o]
            modality.check_errors([objects[i][name] for i in having], [self._where("X", i, name) for i in having])

    def _read(self, objects: list[dict], modalities: dict[str, Modality], start: int = 0) -> list[dict]:
        """Return each object's record of each modality that it has; the first of them is ``X[start]``."""
        records: list[dict] = [{} for _ in objects]
        for name, modality in modalities.items():
            having = [i for i, o in enumerate(objects) if name in o]
            where = [self._where("X", start + i, name) for i in having]
            for i, record in zip(having, modality.read_all([objects[i][name] for i in having], where), strict=True):
                records[i][name] = record
        return records

    def _chunks(self, X) -> Iterator[tuple[int, list[dict], list[dict]]]:
        """Yield the number of the first, objects and their records, so many at a time that memory does not grow."""
        start, objects, n_points = 0, [], 0
        most = POINTS_PER_CHUNK * capacity(self._live()[1])
        for obj in some(self._stream(X), "X"):
            objects.append(obj)
            n_points += sum(self.modalities_[name].n_points(part) for name, part in obj.items())
            if n_points >= most:
                yield start, objects, self._read(objects, self.modalities_, start)
                start, objects, n_points = start + len(objects), [], 0
        if objects:
            yield start, objects, self._read(objects, self.modalities_, start)

    def _kept(self, records: list[dict]) -> dict:
        """Return what else of the objects of fit is kept, by the name of the attribute."""
        return {}

    def _build(self, modalities: dict[str, Modality], seed: int, architecture: dict) -> Objective:
        """Return a freshly initialised objective; the global generator is left as it was."""
        networks = {k: v for k, v in architecture.items() if k in self._network_parameters}
        if networks.get("hidden_length") == "auto":
            on_a_line, in_images = self._auto_hidden_lengths
            networks["hidden_length"] = {
                name: on_a_line if modality.separations() else in_images for name, modality in modalities.items()
            }
        options = self._objective_options(modalities)
        with seeded(seed):
            autoencoder = Autoencoder(modalities, n_moments=self._objective_class.n_moments, **networks)
            return self._make_objective(autoencoder, architecture, options)

    def _objective_options(self, modalities: dict[str, Modality]) -> dict:
        """Return what every objective is told of the training."""
        options: dict = {"n_queries": None if self.max_points is None else max(32, self.max_points // 4)}
        if self.error_weighting:
            errors = {k: m.typical_error() for k, m in modalities.items()}
            options["typical_errors"] = {k: error for k, error in errors.items() if error is not None}
        return options

    # --- encoding -----------------------------------------------------------------------------------

    def transform(self, X):
        """Encode objects.

        They are read and encoded some at a time, and only their codes are kept: X may be a sequence that makes its
        Tables when they are asked for, from files say.

        Parameters
        ----------
        X : list of Table, array, images, or list of dict
            Objects of the kind seen in fit.

        Returns
        -------
        Z : ndarray of float32, shape (n_objects, bottleneck_length * bottleneck_dim)
            The bottleneck of each object.
        """
        check_is_fitted(self)
        mean = self._means(X)
        return mean.reshape(len(mean), -1)

    def _means(self, X) -> np.ndarray:
        return np.concatenate([self._encode(records)[0] for _, _, records in self._chunks(X)])

    def _encode(self, records: list[dict]) -> tuple[np.ndarray, np.ndarray | None]:
        """Return mean and scale of the bottlenecks (n_objects, K, D)."""
        module, device = self._live()
        with self._precision(device):
            return encode(module, collate(self.modalities_, records, device))

    def score(self, X, y=None):
        """Return minus the mean over objects of each one's mean absolute reconstruction error, in scaled units.

        With several modalities an object's error is the mean over those that it has.

        Parameters
        ----------
        X : list of Table, array, images, or list of dict
            Objects of the kind seen in fit.
        y : object, default=None
            Ignored.

        Returns
        -------
        score : float
            At most 0; larger is better.
        """
        check_is_fitted(self)
        return -float(np.mean(np.concatenate([self._errors(records) for _, _, records in self._chunks(X)])))

    def _errors(self, records: list[dict]) -> list[float]:
        """Return each object's mean absolute reconstruction error."""
        errors: list[list[float]] = [[] for _ in records]
        for name in self.modalities_:
            having = [i for i, r in enumerate(records) if name in r]
            values = self._decode_own([records[i] for i in having], name, None) if having else []
            for i, v in zip(having, values, strict=True):
                record = records[i][name]
                errors[i].append(np.abs(v - record["value"])[record["seen"]].mean())
        return [np.mean(e) for e in errors]

    def _precision(self, device: torch.device):
        return autocast(device, resolve_precision(self.precision, device, training=False))

    def __sklearn_is_fitted__(self):
        return hasattr(self, "modalities_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
