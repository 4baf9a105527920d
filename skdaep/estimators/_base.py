"""The base of all encoders: parameters, fit, transform, score and files, around a fitted `Model`."""

from __future__ import annotations

import abc
import os
from collections.abc import Iterable, Iterator
from numbers import Integral
from typing import Annotated, Any, ClassVar, dataclass_transform

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_array, check_is_fitted

from .. import tables
from ..exceptions import TableError
from ..modalities import Modality, Objects, Record, warned_once
from ..model import Model, Split, Store, check_memory
from ..model.measurements import Measurements, records_of
from ..model.measurements import joined as joined_measurements
from ..model.passes import TOKENS_PER_PASS, capacity, collate, total_lengths
from ..objectives import HIDING, Objective
from ..registry import register
from ..tables import FlatTables
from ..training import SOLVERS, is_first, portions, undisturbed
from ._callbacks import CallbackSupportMixin
from ._compat import StrOptions, fit_context
from ._files import export_onnx, save
from ._fitting import (
    check_store,
    checkpoint_of,
    learn,
    network_parameters,
    ranks_of,
    settings_of,
    training_of,
)
from ._labels import PredictorMixin
from ._new_objects import Places, learn_prior
from ._parameters import NOT_NEGATIVE, POSITIVE, POSITIVE_INT, SHARE, WEIGHT, Bool, PositiveInt, declare, parameters

#: points that are read, encoded and decoded together on a CPU
POINTS_PER_CHUNK = 4 * TOKENS_PER_PASS
#: every estimator by name, for loading files
ESTIMATORS: dict[str, type] = {}


@parameters
@dataclass_transform(kw_only_default=True)
class BaseEncoder(
    PredictorMixin,
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
    metaclass=abc.ABCMeta,
):
    """Base class of the encoders. Internally an object is a dict of its modalities, with a single entry if unimodal.

    A subclass names its objective and declares parameters, see `declare`; `without` drops some that are shared. Those
    that are called as arguments of the networks, of the objective or of `Training` are handed to these.
    """

    #: the objective that is trained
    objective_class: ClassVar[type[Objective]]
    #: the class of the fitted model
    model_class: ClassVar[type[Model]] = Model
    #: name of the parameter that declares the modalities
    _measured: ClassVar[str]

    bottleneck_length: PositiveInt = 4
    bottleneck_dim: PositiveInt = 4
    model_dim: PositiveInt = 64
    n_heads: PositiveInt = 4
    n_encoder_layers: PositiveInt = 4
    n_decoder_layers: PositiveInt = 4
    hidden_length: Annotated[int | str | None, POSITIVE_INT, StrOptions({"auto"}), None] = "auto"
    encoder_hidden_length: Annotated[int | None, POSITIVE_INT, None] = None
    share_weights: Bool = False
    isometric: Bool = False
    supervised_weight: Annotated[float, WEIGHT] = 0.0
    max_iter: PositiveInt = 1000
    batch_size: PositiveInt = 64
    max_points: Annotated[int | None, POSITIVE_INT, None] = 256
    hide: Annotated[Any, StrOptions(set(HIDING)), tuple, list, dict] = "points"
    solver: Annotated[str, StrOptions(set(SOLVERS))] = "muon"
    learning_rate_init: Annotated[float, POSITIVE] = 4e-3
    weight_decay: Annotated[float, NOT_NEGATIVE] = 0.01
    error_weighting: Bool = False
    early_stopping: Bool = True
    validation_fraction: Annotated[float, SHARE] = 0.1
    n_iter_no_change: Annotated[int | str, POSITIVE_INT, StrOptions({"auto"})] = "auto"
    warm_start: Bool = False
    checkpoint: Annotated[str | os.PathLike | None, str, os.PathLike, None] = None
    checkpoint_every: Annotated[float, NOT_NEGATIVE] = 60.0
    random_state: Annotated[Any, "random_state"] = None
    device: Annotated[str, str] = "auto"
    precision: Annotated[str, StrOptions({"auto", "float32", "bfloat16"})] = "auto"
    verbose: Annotated[bool | int, "verbose"] = False

    def __init_subclass__(cls, without: tuple[str, ...] = (), **options):
        super().__init_subclass__(**options)
        if hasattr(cls, "_measured"):
            declare(cls, without)
        if hasattr(cls, "objective_class"):
            register(ESTIMATORS, cls)

    # --- hooks of the faces -------------------------------------------------------------------------

    @abc.abstractmethod
    def _declarations(self) -> dict[str, Modality]:
        """Return the declared modalities by name."""

    @abc.abstractmethod
    def _objects_of_fit(self, X, learned: dict[str, Modality] | None) -> tuple[Objects, dict[str, Any]]:
        """Return the training objects, and the attributes that scikit-learn sets for their columns.

        `learned` are the modalities of the fit that this one goes on with, if it does.
        """

    @abc.abstractmethod
    def _stream(self, X) -> Iterator[dict]:
        """Yield the objects of X, each by modality."""

    @abc.abstractmethod
    def _held(self, X) -> Objects | None:
        """Return the objects of X if they are in flat columns; None if they must be streamed."""

    @abc.abstractmethod
    def _name_in_errors(self, X: str, i: int, modality: str) -> str:
        """Return the name of a modality of the i-th object in error messages."""

    def _check_split(self, has: dict[str, np.ndarray], split: Split, resumes: bool) -> None:
        """Raise an error if too few training objects are left; `has` states which objects have each modality."""

    def _networks(self) -> dict[str, Any]:
        """Return the arguments of the networks."""
        return {k: getattr(self, k) for k in sorted(network_parameters(self))}

    def _told(self) -> dict[str, Any]:
        """Return the parameters in the form that networks and objective expect."""
        return self.get_params(deep=False)

    def _prepared(self, model: Model, measurements: Measurements) -> Model:
        """Return the model with additional information from the training objects."""
        return model

    # --- fitting ------------------------------------------------------------------------------------

    @fit_context(prefer_skip_nested_validation=True)
    @undisturbed()
    def fit(self, X, y=None, *, groups=None):
        """Learn to encode and decode the objects of X.

        Parameters
        ----------
        X : list of Table, array of shape (n_objects, n_points), images, or list of dict
            One Table per object. In an array, a row is a regularly sampled object, and NaN means not observed. With
            several modalities, one dict per object. Meta-estimators that index arrays, such as bagging, need an object
            array of Tables of shape (n_objects, 1).
        y : array-like of shape (n_objects,) or (n_objects, n_targets), Table or data frame, default=None
            Labels, used only if `supervised_weight` is above 0: numbers (NaN if unknown), or classes as text, booleans
            or integers (None if unknown).
        groups : array-like of shape (n_objects,), default=None
            Objects of one group stay on the same side of the validation split.

        Returns
        -------
        self : object
            The fitted estimator. If `fit` raises an exception, the estimator is unchanged.

        Raises
        ------
        TableError
            If an object cannot be used; the message names it and the column.
        DivergenceError
            If the loss is not finite; the message names the objects of the batch.
        ValueError
            If there are no labels to learn from, and `supervised_weight` is above 0.
        MemoryError
            If the objects or a training step do not fit into memory; the message says what to lower.
        CorruptModelError, BlockingIOError
            If the checkpoint is damaged, or in use by another fit.
        """
        ranks = ranks_of(self)  # refuses an unknown device before any data are read
        with checkpoint_of(self, ranks) as checkpoint:
            self._set_fitted(learn(self, X, y, groups, checkpoint, ranks))
        return self

    def _set_fitted(self, fitted: dict[str, Any]) -> None:
        """Set the fitted attributes, and remove those of a previous fit."""
        for name in ("n_features_in_", "feature_names_in_", "prior_history_"):
            vars(self).pop(name, None)
        vars(self).update(fitted)

    # --- the fitted model ---------------------------------------------------------------------------

    def _ready(self) -> Model:
        """Return the fitted model with the current device, precision and decoding parameters."""
        check_is_fitted(self)
        model = self.model_.using(**settings_of(self))
        if model is not self.model_:  # `set_params` has changed something
            self._validate_params()
            self.model_ = model
        return model

    @property
    def modalities_(self) -> dict[str, Modality]:
        return self.model_.modalities

    @property
    def bottleneck_shape_(self) -> tuple[int, int]:
        return self.model_.bottleneck_shape

    @property
    def noise_correlation_(self) -> dict:
        return self.model_.correlation

    @property
    def noise_scatter_(self) -> dict:
        return self.model_.scatter

    @property
    def device_(self) -> str:
        return self.model_.device

    @property
    def _n_features_out(self) -> int:
        return int(np.prod(self.model_.bottleneck_shape))

    # --- encoding -----------------------------------------------------------------------------------

    @undisturbed()
    def transform(self, X):
        """Encode objects.

        Objects are read and encoded in portions, so X may be a sequence that makes its Tables on demand, for example
        from files.

        Parameters
        ----------
        X : list of Table, array, images, or list of dict
            Objects of the same kind as in fit.

        Returns
        -------
        Z : ndarray of float32, shape (n_objects, bottleneck_length * bottleneck_dim)
            The bottleneck of each object.
        """
        model = self._ready()
        mean = np.concatenate([model.encode(records).mean for _, _, records in self._chunks(model, X)])
        return mean.reshape(len(mean), -1)

    @undisturbed()
    def score(self, X, y=None):
        """Return minus the mean absolute reconstruction error in scaled units, averaged over objects.

        With several modalities, the error of an object is the mean over the modalities that it has. If the encoder was
        fitted to labels and `y` is given, the score is that of its predictions instead, over the objects with a label:
        R^2, averaged over targets, or the accuracy. A grid search on ``fit(X, y)`` uses this score.

        Parameters
        ----------
        X : list of Table, array, images, or list of dict
            Objects of the same kind as in fit.
        y : array-like, Table or data frame, default=None
            Labels as in `fit`; ignored if `fit` had none.

        Returns
        -------
        score : float
            At most 0, or 1 for labels; larger is better. NaN if no object has a label.
        """
        model = self._ready()
        if model.targets is not None and y is not None:
            return self._score_of_labels(model, X, y)
        return -float(np.mean(np.concatenate([model.errors(records) for _, _, records in self._chunks(model, X)])))

    def _chunks(self, model: Model, X) -> Iterator[tuple[int, Objects, list[dict[str, Record]]]]:
        """Yield objects and their records in batches of limited memory, each with the number of its first object."""
        most = POINTS_PER_CHUNK * capacity(torch.device(model.device))
        if isinstance(X, Store):
            check_store(self, X, model.modalities)
            pieces = portions(total_lengths(X.measurements), most)
            yield from ((s.start, None, records_of(X.measurements, range(s.start, s.stop))) for s in pieces)
            return
        held = self._held(X)
        pieces = self._streamed(model, X, most) if held is None else _cut(model, held, most)
        yield from self._read_in_turn(model, pieces)

    def _streamed(self, model: Model, X, most: int) -> Iterator[Objects]:
        objects, n_points = [], 0
        for obj in at_least_one(self._stream(X)):
            objects.append(obj)
            n_points += sum(model.modalities[name].n_points(part) for name, part in obj.items())
            if n_points >= most:
                yield Objects.listed(objects, model.modalities)
                objects, n_points = [], 0
        if objects:
            yield Objects.listed(objects, model.modalities)

    def _read_in_turn(
        self, model: Model, pieces: Iterable[Objects]
    ) -> Iterator[tuple[int, Objects, list[dict[str, Record]]]]:
        start, said = 0, set()
        for objects in pieces:
            with warned_once(said):
                records = model.read(objects, lambda i, name, start=start: self._name_in_errors("X", start + i, name))
            yield start, objects, records
            start += len(objects)

    def _measurements(self, model: Model, objects: Objects) -> Measurements:
        """Read objects a few at a time, so that not all Tables and records are in memory at once."""
        sizes = {name: _lengths(model, objects, name) for name in model.modalities}
        check_memory(model, np.stack(list(sizes.values()), 1), training_of(self))
        pieces = _cut(model, objects, POINTS_PER_CHUNK)
        parts = (collate(model.modalities, records, "cpu") for *_, records in self._read_in_turn(model, pieces))
        return joined_measurements(parts, {name: int(n.sum()) for name, n in sizes.items()}, len(objects))

    # --- decoding -----------------------------------------------------------------------------------

    def _places(self, name: str, templates: list | None) -> Places:
        """Return where to decode: at the points of `templates`, or else on the learned grid."""
        modality = self._ready().modalities[name]
        if templates is None:
            templates, object_names = [modality.grid()], ["the learned grid"]
        else:
            object_names = [self._name_in_errors("at", i, name) for i in range(len(templates))]
        read = modality.read_all(templates, object_names, values=False)
        return Places(templates, [modality.typical_metadata(r) for r in read])

    def _decoded(
        self, name: str, Z: np.ndarray, places: Places, n_draws: int | None, output: str, noise=True, drawn=False
    ):
        """Decode each row of Z there.

        Returns Tables or arrays, as `output` asks for; one draw of the measurements if `drawn`.
        """
        model = self._ready()
        modality, (templates, records) = model.modalities[name], places
        if drawn:
            values = model.draw(name, Z, records)
        else:
            values = model.decode(name, Z, records, n_draws=n_draws, measured=noise)
        n = 1 if len(records) == len(Z) else len(Z)
        return self._written(modality, values, records * n, templates * n, output)

    def _written(self, modality: Modality, values: list, records: list[Record], templates: list, output: str):
        """Return scaled values in the form that the user requested."""
        arrays = [modality.unscale(v, record) for v, record in zip(values, records, strict=True)]
        if hasattr(self, "n_features_in_") or modality.stacks:
            return np.stack(arrays).astype(modality.dtype)
        if output == "arrays":
            return arrays
        return [modality.write(a, obj) for a, obj in zip(arrays, templates, strict=True)]

    def _checked_codes(self, Z) -> np.ndarray:
        length, dim = self._ready().bottleneck_shape
        Z = check_array(Z, dtype=np.float32, input_name="Z")
        if Z.shape[1] != length * dim:
            raise ValueError(
                f"Z has {Z.shape[1]} columns, but this estimator's bottleneck has {length} x {dim} = {length * dim}."
            )
        return Z

    def _check_draws(self, n_draws, noise, of_codes: bool = False, modality: str | None = None) -> None:
        if not isinstance(noise, (bool, np.bool_)):
            raise ValueError(f"noise={noise!r}: True or False is needed.")
        if n_draws is None:
            return
        if isinstance(n_draws, bool) or not (isinstance(n_draws, Integral) and n_draws >= 1):
            raise ValueError(f"n_draws={n_draws!r}: a positive int or None is needed.")
        draws = self.objective_class.draws
        if not draws:
            raise ValueError(f"{type(self).__name__} has no draws; use n_draws=None.")
        if of_codes and draws == "posterior" and not (self.objective_class.measures and noise):
            raise ValueError("Draws come from the posterior, which Z does not contain; use reconstruct(X, n_draws=).")
        if noise or draws == "posterior":
            return
        free = self.model_.live().free_correlation if draws == "noise" else ()
        for name in self.model_.modalities if modality is None else [modality]:
            if name not in free:
                raise ValueError(
                    "noise=False: with hidden tokens the noise of draws cannot be separated; use noise=True, or fit "
                    "with hidden_length=None."
                    if draws == "noise"
                    else f"noise=False: {type(self).__name__} returns measurements of other objects; use noise=True."
                )

    # --- new objects --------------------------------------------------------------------------------

    def _makes_new_objects(self) -> bool:
        if self.objective_class.has_decoder:
            return True
        raise AttributeError(
            f"{type(self).__name__} returns training objects and cannot draw new ones; "
            f"use reconstruct(X, n_draws=) for the nearest neighbours of an object."
        )

    @available_if(_makes_new_objects)
    @undisturbed()
    def fit_prior(self, X, y=None, *, max_iter=2000):
        """Learn the distribution of bottlenecks, for `sample`.

        This trains a small diffusion model on z [1]_ and takes seconds. A tenth of the objects decides when to stop, so
        that the prior does not memorise the training objects. The prior also learns how z depends on the declared
        metadata and on `y`, so that `sample` can draw objects of a redshift or of a class.

        Parameters
        ----------
        X : list of Table, array, images, or list of dict
            Objects of the same kind as in fit, usually the same objects.
        y : array-like of shape (n_objects,) or (n_objects, n_targets), Table or data frame, default=None
            Labels of objects: numbers (NaN if unknown), or classes as text, booleans or integers (None if unknown). The
            encoder does not see them. Objects without a label teach the prior what all objects have in common.
        max_iter : int, default=2000
            Largest number of gradient steps.

        Returns
        -------
        self : object
            The estimator; `prior_history_` holds the records of training.

        Raises
        ------
        ValueError
            If there are fewer than 10 objects, no label in `y`, or `max_iter` is not a positive int.

        References
        ----------
        .. [1] Preechakul et al., "Diffusion Autoencoders", arXiv:2111.15640, section 4.
        """
        learn_prior(self, X, y, max_iter)
        return self

    # --- files --------------------------------------------------------------------------------------

    @undisturbed()
    def save(self, path, *, key=None):
        """Write the fitted estimator to one file in safetensors format.

        Parameters
        ----------
        path : str or Path
            The file, usually ``*.safetensors``. It is written completely or not at all. An existing file keeps its mode
            and, if permitted, its owner. Symbolic links are followed.
        key : str or bytes, default=None
            A secret that signs the file (HMAC-SHA256). ``load(path, key=...)`` then verifies that the writer knew it.

        Raises
        ------
        TypeError
            If a parameter cannot be written as JSON, such as a RandomState, or if the name of the estimator, its
            objective or a modality belongs to another class.
        OSError
            If `path` is a folder, device or pipe.

        Notes
        -----
        If several processes train together (:doc:`/guide/gpu`), the first one writes, and the others do not wait for
        it.
        """
        check_is_fitted(self)
        if is_first():
            save(self, path, ESTIMATORS, key)

    @undisturbed()
    def export_onnx(self, path):
        """Write the encoder as an ONNX graph, which does the same as `transform` without torch or skdaep.

        The graph includes the scaling, in float64. Its metadata ``skdaep`` contain columns, units and labels as JSON.
        An object that `transform` would refuse gets a row of NaN. Needs the extra ``onnx``.

        Parameters
        ----------
        path : str or Path
            The file, usually ``*.onnx``. It is written completely or not at all.

        Raises
        ------
        ImportError
            If ``onnx`` or ``onnxscript`` is missing.
        NotImplementedError
            If a modality of your own has no `inlet`.

        See Also
        --------
        save : Write the whole estimator, including the decoder.

        Notes
        -----
        :doc:`/guide/onnx` explains the inputs, and shows how to run such a file.
        """
        model = self._ready()
        if is_first():
            export_onnx(self, model, path)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "model_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.target_tags.required = bool(getattr(self, "supervised_weight", 0))
        tags.target_tags.multi_output = True
        return tags


def _lengths(model: Model, objects: Objects, name: str) -> np.ndarray:
    """Return the number of points that each object holds of a modality."""
    lengths, (having, part) = np.zeros(len(objects), np.intp), objects.having(name)
    flat = isinstance(part, FlatTables)
    lengths[having] = part.lengths if flat else [model.modalities[name].n_points(obj) for obj in part]
    return lengths


def _cut(model: Model, objects: Objects, most: int) -> Iterator[Objects]:
    """Yield objects in chunks."""
    lengths = np.sum([_lengths(model, objects, name) for name in model.modalities], axis=0)
    return (objects[piece] for piece in portions(lengths, most))


def at_least_one(objects: Iterator) -> Iterator:
    """Yield the objects of X; ValueError if there are none."""
    n = 0
    for obj in objects:
        n += 1
        yield obj
    tables.check_not_empty(n)


def refuse_class(name: str, modality) -> None:
    """Raise TypeError if a parameter is a class or function that makes a modality, instead of a modality."""
    if callable(modality):
        called = getattr(modality, "__name__", modality)
        raise TypeError(f"{name} is {called}, not a modality; did you mean {called}()?")


def refuse_store(X) -> None:
    """Raise TableError if Tables are needed but X is a store, which has none."""
    if isinstance(X, Store):
        raise TableError(
            f"{X} has no Tables that reconstruct could use as templates; use inverse_transform(Z, at=...), or pass "
            "Tables."
        )


def check_places(at, n: int, of: str) -> None:
    """Raise ValueError if `at` does not hold n objects; `of` describes the n items."""
    if len(at) != n:
        raise ValueError(f"at holds {len(at)} objects but {of}; one for each is needed.")


def check_output(output, *further: str) -> None:
    """Raise ValueError if `output` is not one of the known kinds."""
    known = ("tables", "arrays", *further)
    if output not in known:
        raise ValueError(f"output={output!r}: choose one of {', '.join(map(repr, known))}.")


def concatenated(parts: list):
    """Concatenate lists to one list, or arrays to one array."""
    return np.concatenate(parts) if isinstance(parts[0], np.ndarray) else [x for part in parts for x in part]
