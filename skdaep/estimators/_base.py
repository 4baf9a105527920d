"""The scikit-learn face of a unimodal autoencoder: fit, transform, inverse_transform, reconstruct, score."""

from __future__ import annotations

import abc
import math
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from .. import tables
from ..diffusion.noise import Correlation
from ..exceptions import TableError
from ..modalities import Modality, Sequence
from ..nn.autoencoder import Autoencoder
from ..objectives import Objective
from ..training import SOLVERS, autocast, resolve_device, resolve_precision
from ._callbacks import CallbackSupportMixin, FitProgress
from ._compat import Interval, StrOptions, fit_context
from ._decoding import content_key, decode, encode, learn_correlation, posterior_draws, some_seen
from ._fitting import Split, fit_objective
from ._persistence import PersistenceMixin, arrays_of
from ._prior import PriorMixin

POSITIVE = Interval(Integral, 1, None, closed="left")


class BaseEncoder(
    PersistenceMixin,
    PriorMixin,
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
    metaclass=abc.ABCMeta,
):
    """Shared by the encoders; a subclass adds its parameters and `_make_objective`."""

    _parameter_constraints: dict = {
        "modality": [Modality, None],
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
    _objective_class: type[Objective]
    #: hidden_length="auto": on a line (correlated noise makes draws coherent), and in images (patches must meet)
    _auto_hidden_lengths: tuple[int | None, int | None] = (None, 32)

    @abc.abstractmethod
    def _make_objective(self, autoencoder: Autoencoder, architecture: dict, options: dict) -> Objective:
        """Return the objective that trains the autoencoder; `options` go to every objective."""

    def _store(self, parameters: dict) -> None:
        """Store what `__init__` was given, and do nothing else."""
        vars(self).update((k, v) for k, v in parameters.items() if k != "self")

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
        vars(self).pop("_module", None)  # rebuilt from the weights when next needed
        return super().set_params(**params)

    # --- fitting ------------------------------------------------------------------------------------

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, *, groups=None):
        """Learn to encode and decode the objects of X.

        Parameters
        ----------
        X : list of Table, or array of shape (n_objects, n_points)
            One Table per object. In an array a row is a regularly sampled object, NaN is "not observed".
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
        if self.model_dim % self.n_heads:
            raise ValueError(f"model_dim={self.model_dim} is not divisible by n_heads={self.n_heads}.")
        device = resolve_device(self.device)
        resume = self.warm_start and hasattr(self, "_weights")
        objects = self._objects(X, reset=not resume)
        split = Split.of(self, len(objects), groups, check_random_state(self.random_state))
        modalities = self.modalities_ if resume else self._learn(objects)
        records = self._read(objects, modalities)
        architecture = {name: getattr(self, name) for name in self._architecture_parameters}
        objective = self._build(modalities, split.seed, architecture)
        if resume:
            self._resume(objective)
        shape = (self.bottleneck_length, self.bottleneck_dim)
        fitted = {
            "modalities_": modalities,
            "bottleneck_shape_": shape,
            "device_": str(device),
            "_architecture": architecture,
            "_seed": split.seed,
            "_n_features_out": math.prod(shape),
        }

        def fitted_so_far(module, record):
            # Weights, not the module: training goes on changing that one.
            return fitted | {"n_iter_": record["iteration"], "_weights": arrays_of(module)}

        progress = FitProgress(self, split.n_records, X, y, fitted_so_far)
        history = fit_objective(self, objective, modalities, records, split, device, progress)
        vars(self).pop("_prior", None)  # that of another fit's bottlenecks
        vars(self).update(fitted)
        self.history_ = history
        self.n_iter_ = history[-1]["iteration"]
        self.best_loss_ = min(r.get("validation_loss", r["loss"]) for r in history)
        self._keep(objective)
        self.noise_correlation_ = self._learn_correlation(objective, records, split)
        progress.end()
        return self

    def _learn_correlation(self, objective, records: list[dict], split: Split) -> dict[str, Correlation]:
        """Return by modality how the noise of draws is correlated, learned from objects held out, if any were."""
        index = split.validation if len(split.validation) else split.train
        device = torch.device(self.device_)
        with self._precision(device):
            return {
                name: learn_correlation(objective, name, modality, [records[i] for i in index], device)
                for name, modality in self.modalities_.items()
            }

    def _learn(self, objects: list) -> dict[str, Modality]:
        """Return the completed modalities by name; one for the unimodal estimators."""
        return {"sequence": self._declared().learn(objects)}

    def _read(self, objects: list, modalities: dict[str, Modality], name: str = "X", **options) -> list[dict]:
        """Return one record per object; unimodal."""
        (modality,) = modalities.values()
        return [modality.read(o, f"{name}[{i}]", **options) for i, o in enumerate(objects)]

    def _build(self, modalities: dict[str, Modality], seed: int, architecture: dict) -> Objective:
        """Return a freshly initialised objective; the global generator is left as it was."""
        networks = {k: v for k, v in architecture.items() if k in BaseEncoder._architecture_parameters}
        if networks["hidden_length"] == "auto":
            on_a_line = all(modality.separations() for modality in modalities.values())
            networks["hidden_length"] = self._auto_hidden_lengths[0 if on_a_line else 1]
        options = {"n_queries": None if self.max_points is None else max(32, self.max_points // 4)}
        if self.error_weighting:
            errors = {k: m.typical_error() for k, m in modalities.items()}
            options["typical_errors"] = {k: error for k, error in errors.items() if error is not None}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            autoencoder = Autoencoder(modalities, n_moments=self._objective_class.n_moments, **networks)
            return self._make_objective(autoencoder, architecture, options)

    def _objects(self, X, reset: bool = False, name: str = "X") -> list:
        """Return X as a list of objects or of rows of numbers, noting the number of columns as scikit-learn does."""
        (modality,) = self.modalities_.values() if hasattr(self, "modalities_") and not reset else (self._declared(),)
        if not (modality.takes_rows and tables.is_numeric(X)):
            if reset:
                for attribute in ("n_features_in_", "feature_names_in_"):
                    vars(self).pop(attribute, None)
            objects = modality.objects(X, name)
            if not objects:
                raise ValueError(f"{name} holds 0 objects (n_samples=0); at least one is needed.")
            return objects
        if not reset and hasattr(self, "modalities_") and not hasattr(self, "n_features_in_"):
            raise TableError(f"{name} is an array of numbers, but fit saw Tables; pass a list of Tables.")
        X = validate_data(self, X, reset=reset, dtype=np.float64, ensure_all_finite=False)
        if np.isinf(X).any():
            row, column = np.argwhere(np.isinf(X))[0]
            raise TableError(f"{name}[{row}] contains infinity at column {column}; set it to NaN if not observed.")
        return list(X)

    def _declared(self) -> Modality:
        return self.modality or Sequence()

    # --- encoding -----------------------------------------------------------------------------------

    def transform(self, X):
        """Encode objects.

        Parameters
        ----------
        X : list of Table, or array of shape (n_objects, n_points)
            Objects of the kind seen in fit.

        Returns
        -------
        Z : ndarray of float32, shape (n_objects, bottleneck_length * bottleneck_dim)
            The bottleneck of each object.
        """
        check_is_fitted(self)
        mean, _ = self._encode(self._read(self._objects(X), self.modalities_))
        return mean.reshape(len(mean), -1)

    def _encode(self, records: list[dict]) -> tuple[np.ndarray, np.ndarray | None]:
        """Return mean and scale of the bottlenecks (n_objects, K, D)."""
        module, device = self._live()
        ((name, modality),) = self.modalities_.items()
        with self._precision(device):
            return encode(module, name, modality.collate(records).to(device))

    # --- decoding -----------------------------------------------------------------------------------

    def inverse_transform(self, Z, *, at=None, n_draws=None, output="tables"):
        """Decode bottlenecks to measurements.

        Parameters
        ----------
        Z : array of shape (n_objects, bottleneck_length * bottleneck_dim)
            What `transform` returned.
        at : list of Table, or array of shape (n_objects, n_points), default=None
            Where to decode each object: locations, bands and metadata are read, values need not be there. Absent
            metadata are replaced by the training median or commonest label. None decodes on a grid learned in fit.
        n_draws : int, default=None
            None gives the point estimate; a number gives so many draws along a further, last axis.
        output : {"tables", "arrays"}, default="tables"
            What to return for Tables: Tables, or only their arrays of values, which takes far less time.

        Returns
        -------
        X : list of Table, list of ndarray, or ndarray of shape (n_objects, n_points[, n_draws])
            Values in the units of fit. In a Table draws make the value column one of shape (n_points, n_draws).
        """
        check_is_fitted(self)
        Z = self._check_bottleneck(Z)
        self._check_draws(n_draws)
        if n_draws is not None and self._live()[0].draws == "posterior":
            raise ValueError("Draws come from the posterior of z, which Z does not hold; use reconstruct(X, n_draws=).")
        return self._write(*self._decode_at(Z, at, n_draws), output)

    def _decode_at(self, Z: np.ndarray, at, n_draws: int | None):
        """Return scaled values for each row of Z, and the records, their index by row, and the objects of `at`."""
        (modality,) = self.modalities_.values()
        if at is None:
            like = [modality.grid()]
            records, index = self._read(like, self.modalities_, values=False), np.zeros(len(Z), np.intp)
        else:
            like = self._objects(at, name="at")
            if len(like) != len(Z):
                raise ValueError(f"at holds {len(like)} objects but Z has {len(Z)} rows; one per row is needed.")
            records = self._read(like, self.modalities_, name="at", values=False)
            index = np.arange(len(Z))
        records = [modality.typical_metadata(r) for r in records]
        keys = [content_key(records[i], z) for i, z in zip(index, Z, strict=True)]
        return self._decode(Z, records, index, keys, n_draws), records, index, like

    def reconstruct(self, X, *, n_draws=None, output="tables"):
        """Encode objects and decode them at their own locations, rows without a measurement included.

        Parameters
        ----------
        X : list of Table, or array of shape (n_objects, n_points)
            Objects of the kind seen in fit.
        n_draws : int, default=None
            As in `inverse_transform`.
        output : {"tables", "arrays"}, default="tables"
            As in `inverse_transform`.

        Returns
        -------
        X : list of Table, list of ndarray, or ndarray of shape (n_objects, n_points[, n_draws])
            As in `inverse_transform`.
        """
        return self._reconstruct(X, n_draws, output)

    def _reconstruct(self, X, n_draws, output, context: float = 0.0):
        check_is_fitted(self)
        self._check_draws(n_draws)
        like = self._objects(X)
        records = self._read(like, self.modalities_)
        index = np.arange(len(records))
        values = self._decode_own(records, n_draws, context)
        return self._write(values, records, index, like, output)

    def _decode_own(self, records: list[dict], n_draws: int | None, context: float = 0.0) -> list[np.ndarray]:
        """Return scaled values, or draws, of objects at their own locations."""
        keys, index = [content_key(r) for r in records], np.arange(len(records))
        mean, scale = self._encode(records)
        if n_draws is None or scale is None:
            return self._decode(mean, records, index, keys, n_draws, context)
        z = posterior_draws(mean, scale, [(self._seed, key) for key in keys], n_draws)
        values = self._decode(z, records, index.repeat(n_draws), keys, None)
        return [np.stack(values[i : i + n_draws], -1) for i in range(0, len(values), n_draws)]

    def score(self, X, y=None):
        """Return minus the mean over objects of each one's mean absolute reconstruction error, in scaled units.

        Parameters
        ----------
        X : list of Table, or array of shape (n_objects, n_points)
            Objects of the kind seen in fit.
        y : object, default=None
            Ignored.

        Returns
        -------
        score : float
            At most 0; larger is better.
        """
        check_is_fitted(self)
        records = self._read(self._objects(X), self.modalities_)
        values = self._decode_own(records, None)
        return -float(np.mean([np.abs(v - r["value"])[r["seen"]].mean() for v, r in zip(values, records, strict=True)]))

    def _check_bottleneck(self, Z) -> np.ndarray:
        Z = check_array(Z, dtype=np.float32, input_name="Z")
        if Z.shape[1] != self._n_features_out:
            raise ValueError(
                f"Z has {Z.shape[1]} columns, but this estimator's bottleneck has "
                f"{self.bottleneck_shape_[0]} x {self.bottleneck_shape_[1]} = {self._n_features_out}."
            )
        return Z

    def _check_draws(self, n_draws) -> None:
        if n_draws is None:
            return
        if not (isinstance(n_draws, Integral) and n_draws >= 1):
            raise ValueError(f"n_draws={n_draws!r}: a positive int or None is needed.")
        if not self._live()[0].draws:
            raise ValueError(f"{type(self).__name__} has no draws; use n_draws=None.")

    def _decode(self, Z, records, index, keys, n_draws, context: float = 0.0) -> list[np.ndarray]:
        """Return scaled values for each row of Z at the locations of record ``index[row]``."""
        module, device = self._live()
        ((name, modality),) = self.modalities_.items()
        store = modality.collate(records, queries=True).to(device)
        shown = (
            [some_seen(r, context, (self._seed, key)) for r, key in zip(records, keys, strict=True)] if context else []
        )
        seen = modality.collate(shown).to(device) if shown else None
        seeds = [(self._seed, key) for key in (keys if len(keys) == len(index) else np.array(keys, object)[index])]
        correlation = getattr(self, "noise_correlation_", {}).get(name, Correlation())
        z = np.reshape(Z, (len(index), *self.bottleneck_shape_))
        with self._precision(device):
            return decode(module, name, store, index, z, seeds, n_draws, correlation, seen)

    def _write(self, values, records, index, like, output):
        if output not in ("tables", "arrays"):
            raise ValueError(f"output={output!r}: choose 'tables' or 'arrays'.")
        (modality,) = self.modalities_.values()
        arrays = [modality.unscale(v, records[i]) for i, v in zip(index, values, strict=True)]
        if hasattr(self, "n_features_in_") or modality.stacks:
            return np.stack(arrays).astype(np.float32)
        if output == "arrays":
            return arrays
        return [modality.write(a, like[i]) for i, a in zip(index, arrays, strict=True)]

    def _precision(self, device: torch.device):
        return autocast(device, resolve_precision(self.precision, device))

    def __sklearn_is_fitted__(self):
        return hasattr(self, "modalities_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
