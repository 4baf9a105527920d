"""Base of encoders of several modalities. X is a list of dicts, one per object; modalities may be absent."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from numbers import Integral, Real
from typing import Annotated, Any

import numpy as np
from sklearn.utils.metaestimators import available_if

from .. import tables
from ..exceptions import TableError
from ..modalities import Modality, Objects
from ..model import Model, Split
from ..objectives import ALIGNMENTS
from ..training import undisturbed
from ._base import (
    BaseEncoder,
    at_least_one,
    check_output,
    check_places,
    concatenated,
    refuse_class,
    refuse_store,
)
from ._compat import Interval
from ._docs import documented, multimodal_docstring
from ._new_objects import Places, check_new, new_codes
from ._parameters import POSITIVE_INT, Bool, parameters
from ._unimodal import UnimodalEncoder


@parameters
class LateMixing:
    """Parameters of how modalities are combined, described in `_docs.LATE_MIXING`."""

    drop_modality: Annotated[float, Interval(Real, 0, 1, closed="left")] = 0.2
    modality_weights: Annotated[dict[str, float] | None, dict, None] = None
    mixer_self_attention: Bool = False


class MultimodalEncoder(BaseEncoder):
    """Base class of encoders of several modalities. A subclass names its objective and adds its parameters."""

    _measured = "modalities"

    modalities: Annotated[dict[str, Modality], dict]
    encoder_hidden_length: Annotated[int | None, POSITIVE_INT, None] = 16

    #: whether training aligns modalities, so that some objects must have two
    _aligns = False

    def _validate_params(self):
        super()._validate_params()
        for name, weight in (getattr(self, "modality_weights", None) or {}).items():
            if name not in self.modalities or not (isinstance(weight, Real) and weight > 0):
                known = ", ".join(self.modalities)
                raise ValueError(
                    f"modality_weights[{name!r}]={weight!r}: a positive weight of one of {known} is needed."
                )

    def _declarations(self) -> dict[str, Modality]:
        for name, modality in self.modalities.items():
            refuse_class(f"modalities[{name!r}]", modality)
            if not isinstance(modality, Modality) or not isinstance(name, str) or not name:
                raise ValueError(f"modalities[{name!r}] is {modality!r}; a dict of names to Modality is needed.")
        if not self.modalities:
            raise ValueError("modalities is empty; declare at least one.")
        return self.modalities

    def _name_in_errors(self, X: str, i: int, modality: str) -> str:
        return f"{X}[{i}][{modality!r}]"

    def _objects_of_fit(self, X, learned: dict[str, Modality] | None) -> tuple[Objects, dict[str, Any]]:
        modalities = learned or self._declarations()
        objects = _held(X, modalities)
        if objects is None:
            objects = Objects.listed(at_least_one(_objects_of(X, modalities)), modalities)
        for name in self._declarations() if learned is None else ():
            if not len(objects.having(name)[0]):
                raise TableError(f"No object of X has {name!r}; remove it from modalities.")
        return objects, {}

    def _check_split(self, has: dict[str, np.ndarray], split: Split, resumes: bool) -> None:
        for modality in self._declarations() if not resumes else ():
            if not has[modality][split.train].any():
                raise TableError(f"No training object has {modality!r}{held_out(split)}.")
        if self._aligns and not (n_modalities(has)[split.train] > 1).any():
            raise TableError(f"No training object has two modalities: there is nothing to align{held_out(split)}.")

    def _stream(self, X) -> Iterator[dict]:
        return _objects_of(X, self.modalities_)

    def _held(self, X) -> Objects | None:
        return _held(X, self.modalities_)

    def _check_modality(self, modality: str | None) -> list[str]:
        if modality is not None and modality not in self.modalities_:
            raise ValueError(f"modality={modality!r}: choose one of {', '.join(self.modalities_)}, or None for all.")
        return list(self.modalities_) if modality is None else [modality]

    def _templates(self, at, modality: str | None, n: int, of: str) -> list | None:
        """Return where to decode, one entry per object; None if `at` is None."""
        if at is None:
            return None
        if modality is None:
            raise ValueError("at= needs modality=, the modality to decode there.")
        kind = self.modalities_[modality]
        at = [at] * n if kind.is_one(at) else at
        tables.check_collection(at, "at", "an object or a list of them")
        check_places(at, n, of)
        return [None if o is None else kind.one(o, f"at[{i}]") for i, o in enumerate(at)]

    # --- decoding -----------------------------------------------------------------------------------

    @undisturbed()
    def inverse_transform(self, Z, *, modality=None, at=None, n_draws=None, noise=True, output="tables"):
        """Decode bottlenecks to measurements of one modality, or of all.

        Parameters
        ----------
        Z : array of shape (n_objects, bottleneck_length * bottleneck_dim)
            What `transform` returned.
        modality : str, default=None
            Modality to decode. None decodes all, on the grids learned in fit.
        at : Table or list of Table, default=None
            Where to decode `modality`, and with which metadata. A single Table is used for all objects. None decodes on
            the grid learned in fit.
        n_draws : int, default=None
            Number of draws, along an additional last axis. None returns the point estimate.
        noise : bool, default=True
            Whether draws are of measurements, with their noise, or of the object without it: see :ref:`draws`.
        output : {"tables", "arrays"}, default="tables"
            Whether to return Tables (or images), or only arrays of values.

        Returns
        -------
        X : list of Table, list of ndarray, ndarray, or list of dict
            One per row of Z; dicts if `modality` is None.
        """
        Z = self._checked_codes(Z)
        check_output(output)
        self._check_draws(n_draws, noise, True, modality)
        places = self._all_places(modality, at, len(Z), f"Z has {len(Z)} rows")
        return self._decoded_all(Z, modality, places, n_draws, output, noise)

    def _all_places(self, modality: str | None, at, n: int, of: str) -> dict[str, Places]:
        """Return where to decode each modality that is wanted."""
        names, templates = self._check_modality(modality), self._templates(at, modality, n, of)
        if templates is not None and any(o is None for o in templates):
            raise ValueError(f"at holds None, but {of}; one object for each is needed.")
        return {k: self._places(k, templates) for k in names}

    def _decoded_all(
        self, Z, modality, places: dict[str, Places], n_draws, output, noise: bool = True, drawn: bool = False
    ):
        decoded = {k: self._decoded(k, Z, own, n_draws, output, noise, drawn) for k, own in places.items()}
        return decoded[modality] if modality else _dicts(decoded)

    @undisturbed()
    def reconstruct(self, X, *, modality=None, at=None, n_draws=None, noise=True, output="tables"):
        """Encode objects from the modalities that they have, and decode one modality or all that they have.

        Parameters
        ----------
        X : list of dict
            Objects of the same kind as in fit; absent modalities are None or left out.
        modality : str, default=None
            Modality to decode, whether an object has it or not. None decodes those that it has, at their own locations.
        at : Table or list of Table, default=None
            Where to decode `modality`, and with which metadata. A single Table is used for all objects. Metadata that
            it lacks are the median of fit, not those of the object. None decodes at an object's own locations, or on
            the grid learned in fit if it lacks the modality.
        n_draws : int, default=None
            Number of draws, along an additional last axis. None returns the point estimate. Only VAEs draw the
            bottleneck too. Other draws may be too narrow for objects of which little was seen: see :ref:`draws`.
        noise : bool, default=True
            Whether draws are of measurements, with their noise, or of the object without it: see :ref:`draws`.
        output : {"tables", "arrays"}, default="tables"
            Whether to return Tables (or images), or only arrays of values.

        Returns
        -------
        X : list of Table, list of ndarray, ndarray, or list of dict
            One per object; dicts if `modality` is None.
        """
        model = self._ready()
        check_output(output)
        self._check_draws(n_draws, noise, modality=modality)
        refuse_store(X)
        names, rebuilt = self._check_modality(modality), []
        _check_list_of_dicts(X, "X")
        templates = None if at is None else self._templates(at, modality, len(X), f"X holds {len(X)}")
        for start, objects, records in self._chunks(model, X):
            if modality is None:
                rebuilt.append(self._rebuilt_own(model, objects, records, names, n_draws, noise, output))
            else:
                at = [None] * len(objects) if templates is None else templates[start : start + len(objects)]
                rebuilt.append(self._rebuilt(model, objects, records, modality, at, n_draws, noise, output, start))
        return concatenated(rebuilt)

    def _rebuilt_own(self, model: Model, objects, records, names: list[str], n_draws, noise, output) -> list[dict]:
        """Decode objects in those modalities of `names` that they have."""
        rebuilt: list[dict] = [{} for _ in objects]
        for name in names:
            having = [i for i, o in enumerate(objects) if name in o]
            if having:
                part = ([x[i] for i in having] for x in (objects, records))
                values = self._rebuilt(model, *part, name, [None] * len(having), n_draws, noise, output)
                for i, value in zip(having, values, strict=True):
                    rebuilt[i][name] = value
        return rebuilt

    def _rebuilt(self, model: Model, objects, records, name: str, at: list, n_draws, noise, output, start: int = 0):
        """Decode objects in a modality at the objects of `at` or, if None, at their own locations or on the grid."""
        kind, templates, places = model.modalities[name], [], []
        for i, (obj, record, other) in enumerate(zip(objects, records, at, strict=True)):
            if other is None and name in obj:
                templates.append(obj[name])
                places.append(record[name])
            else:
                templates.append(kind.grid() if other is None else other)
                places.append(kind.typical_metadata(kind.read(templates[-1], f"at[{start + i}]", values=False)))
        values = model.reconstruct(records, name, places, n_draws, measured=noise)
        return self._written(kind, values, places, templates, output)

    @available_if(BaseEncoder._makes_new_objects)
    @undisturbed()
    def sample(self, n_objects=1, *, y=None, modality=None, at=None, random_state=None, output="tables"):
        """Draw new objects.

        Parameters
        ----------
        n_objects : int, default=1
            Number of new objects.
        y : label or array-like of shape (n_objects,), default=None
            Labels of the new objects, as in `fit_prior`; a single one is for all. None (also in an array) draws from
            the distribution over all labels.
        modality : str, default=None
            As in `inverse_transform`.
        at : Table or list of Table, default=None
            As in `inverse_transform`. If the prior was learned by `fit_prior`, new objects also suit these metadata.
        random_state : int, RandomState or None, default=None
            Seed. None uses the seed of fit and returns the same objects every time.
        output : {"tables", "arrays", "bottlenecks"}, default="tables"
            As in `inverse_transform`; "bottlenecks" returns z without decoding it.

        Returns
        -------
        X : list of Table, list of ndarray, ndarray, or list of dict
            As from `inverse_transform`; or z, of shape (n_objects, bottleneck_length * bottleneck_dim).

        Raises
        ------
        NotFittedError
            If there is no prior, because `fit_prior` was not called and the objective has none.
        ValueError
            If `y` is not a label of `fit_prior`; the message names the known ones.
        """
        check_output(output, "bottlenecks")
        check_new(self, n_objects)
        places = self._all_places(modality, at, n_objects, f"n_objects={n_objects}")
        Z = new_codes(self, n_objects, y, places, random_state)
        return Z if output == "bottlenecks" else self._decoded_all(Z, modality, places, None, output, drawn=True)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags


def multimodal(cls: type[UnimodalEncoder], name: str) -> type[MultimodalEncoder]:
    """Make an encoder of several modalities, any of which may be missing, from an encoder of one modality.

    It has the same objective and parameters, and in addition `drop_modality`, `modality_weights` and
    `mixer_self_attention`. So an objective needs no second estimator.

    Parameters
    ----------
    cls : type
        A subclass of `UnimodalEncoder`.
    name : str
        Name of the new class. For pickling, assign the class to this name in a module.

    Returns
    -------
    cls : type
        A subclass of `MultimodalEncoder`.

    Examples
    --------
    >>> from skdaep import MAEPEncoder, Photometry, Spectrum
    >>> from skdaep.estimators import multimodal
    >>> MultimodalMAEP = multimodal(MAEPEncoder, "MultimodalMAEP")
    >>> MultimodalMAEP({"photometry": Photometry(), "spectrum": Spectrum()}, mask_ratio=0.5).drop_modality
    0.2
    """
    declared: dict[str, inspect.Parameter] = {}
    for base in cls.__mro__[: cls.__mro__.index(UnimodalEncoder)]:
        declared = vars(base).get("_own_parameters", {}) | declared
    body = {k: p.default for k, p in declared.items() if p.default is not p.empty}
    body["__annotations__"] = {k: p.annotation for k, p in declared.items()}
    body |= {"objective_class": cls.objective_class, "model_class": cls.model_class}
    body |= {"__doc__": multimodal_docstring(cls, list(declared)), "__module__": sys._getframe(1).f_globals["__name__"]}
    return documented(type(name, (LateMixing, MultimodalEncoder), body))


def check_alignment_options(alignment: str, options: dict | None) -> None:
    """Raise ValueError if an alignment has no such option, or if its value is invalid."""
    known = ALIGNMENTS[alignment].options()
    for name, value in (options or {}).items():
        if name not in known:
            choices = ", ".join(known) or "it has none"
            raise ValueError(f"alignment_options[{name!r}] is not an option of {alignment!r} ({choices}).")
        kind, needed = _KINDS[type(known[name])]
        if not isinstance(value, kind) or isinstance(value, bool) or (kind is not str and value < (kind is Integral)):
            raise ValueError(f"alignment_options[{name!r}]={value!r}: {needed} is needed, such as {known[name]!r}.")


#: type of a default -> type that is accepted, and its name in errors
_KINDS = {str: (str, "text"), int: (Integral, "a positive int"), float: (Real, "a number of at least 0")}


def n_modalities(has: dict[str, np.ndarray]) -> np.ndarray:
    """Return the number of modalities of each object."""
    return np.sum(list(has.values()), axis=0)


def _held(X, modalities: dict[str, Modality]) -> Objects | None:
    """Return X if it is `Objects` with these modalities, otherwise None."""
    if not isinstance(X, Objects):
        return None
    if unknown := [name for name in X.parts if name not in modalities]:
        raise TableError(f"X has {unknown[0]!r}, which is not among the modalities ({', '.join(modalities)}).")
    for name, part in X.parts.items():
        if not (modalities[name].takes_tables and isinstance(part, tables.FlatTables)):
            return None
    tables.check_not_empty(len(X))
    none = np.flatnonzero(n_modalities({name: X.has(name) for name in X.parts}) == 0)
    if len(none):
        raise TableError(f"X[{none[0]}] has none of the modalities ({', '.join(modalities)}); remove the object.")
    return X


def _objects_of(X, modalities: dict[str, Modality]) -> Iterator[dict]:
    """Yield the objects of X as dicts of their modalities."""
    _check_list_of_dicts(X, "X")
    cells = (X.to_numpy() if hasattr(X, "to_numpy") else X).ravel() if hasattr(X, "shape") else X
    yield from (_present(o, modalities, f"X[{i}]") for i, o in enumerate(cells))


def _present(obj, modalities: dict[str, Modality], object_name: str) -> dict:
    if not isinstance(obj, dict):
        raise TableError(
            f"{object_name} is not a dict but a {type(obj).__name__}; pass one dict of modalities per object."
        )
    for name in obj:
        if name not in modalities:
            raise TableError(
                f"{object_name} has {name!r}, which is not among the modalities ({', '.join(modalities)})."
            )
    absent = {k for k, v in obj.items() if v is None or (isinstance(v, float) and np.isnan(v))}  # NaN: pandas
    present = {k: modalities[k].one(v, f"{object_name}[{k!r}]") for k, v in obj.items() if k not in absent}
    if not present:
        raise TableError(f"{object_name} has none of the modalities ({', '.join(modalities)}); remove the object.")
    return present


def _dicts(decoded: dict[str, list]) -> list[dict]:
    return [dict(zip(decoded, row, strict=True)) for row in zip(*decoded.values(), strict=True)]


def held_out(split: Split) -> str:
    """Return the end of an error message about too few training objects."""
    n = len(split.validation)
    return f" ({n} are held out for validation: more objects or early_stopping=False may help)" if n else ""


def _check_list_of_dicts(X, name: str) -> None:
    """Raise an error if X is not a list or column of objects. The objects themselves are checked when read."""
    if isinstance(X, dict):
        raise TableError(
            f"{name} is a dict; pass a list of dicts, one per object. To convert a dict of lists, use "
            f"[dict(zip({name}, row)) for row in zip(*{name}.values(), strict=True)]."
        )
    if hasattr(X, "columns") and len(X.columns) > 1 and not tables.is_tabular(X):
        raise TableError(f"{name} is a {type(X).__name__}; pass a list of dicts, {name}.to_dict('records').")
    tables.check_collection(X, name, "a list of dicts")
    if getattr(X, "shape", ())[1:] not in ((), (1,)):
        raise TableError(f"{name} is an array of shape {X.shape}; pass a list of dicts, or one column of them.")
