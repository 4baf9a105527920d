"""Base of encoders of one modality. X is a list of Tables, an array, or images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import numpy as np
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import validate_data

from .. import tables
from ..exceptions import TableError
from ..modalities import Modality, Objects, Sequence
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
from ._new_objects import check_new, new_codes

NAME = "sequence"  # internal name of the only modality


class UnimodalEncoder(BaseEncoder):
    """Base class of encoders of one modality. A subclass names its objective and adds its parameters."""

    _measured = "modality"

    modality: Annotated[Modality | None, Modality, None] = None

    def _validate_params(self):
        refuse_class("modality", self.modality)
        super()._validate_params()

    def _declarations(self) -> dict[str, Modality]:
        return {NAME: self.modality or Sequence()}

    def _name_in_errors(self, X: str, i: int, modality: str) -> str:
        return f"{X}[{i}]"

    def _objects_of_fit(self, X, learned: dict[str, Modality] | None) -> tuple[Objects, dict[str, Any]]:
        (modality,) = (learned or self._declarations()).values()
        if _is_flat(X, modality):
            return _flat(X), {}
        if learned is not None:
            return _listed(self._validated(X, "X")), _columns(self)
        if not _is_rows(X, modality):
            return _listed(modality.objects(X, "X")), {}
        blank = type(self)(**self.get_params(deep=False))  # notes n_features_in_ and feature_names_in_
        return _listed(_checked_rows(blank, X, "X", reset=True)), _columns(blank)

    def _stream(self, X) -> Iterator[dict]:
        return ({NAME: x} for x in self._validated(X, "X"))

    def _held(self, X) -> Objects | None:
        return _flat(X) if _is_flat(X, self.modalities_[NAME]) else None

    def _validated(self, X, name: str) -> Iterable:
        """Return the objects or the rows of numbers of X."""
        modality = self.modalities_[NAME]
        if not _is_rows(X, modality):
            return modality.objects(X, name)
        X = tables.rows(X, name)
        if not hasattr(self, "n_features_in_"):
            raise TableError(f"{name} is an array of numbers, but fit saw Tables; pass a list of Tables.")
        return _checked_rows(self, X, name, reset=False)

    def _templates(self, at, n: int, of: str) -> list | None:
        """Return where to decode, one entry for each of n rows."""
        if at is None:
            return None
        at = list(self._validated([at] * n if self.modalities_[NAME].is_one(at) else at, "at"))
        check_places(at, n, of)
        return at

    @undisturbed()
    def inverse_transform(self, Z, *, at=None, n_draws=None, noise=True, output="tables"):
        """Decode bottlenecks to measurements.

        Parameters
        ----------
        Z : array of shape (n_objects, bottleneck_length * bottleneck_dim)
            Bottlenecks from `transform`.
        at : Table, list of Table, or array of shape (n_objects, n_points), default=None
            Where to decode each object. Only locations, bands, metadata and, for the noise of draws, errors are used;
            values are not needed. Missing metadata are replaced by the training median or the most common label. A
            single Table is used for all objects. None decodes on a grid learned in fit.
        n_draws : int, default=None
            Number of draws, which form an additional last axis. None returns the point estimate.
        noise : bool, default=True
            Whether draws are of measurements, with their noise, or of the object without it: see :ref:`draws`.
        output : {"tables", "arrays"}, default="tables"
            Whether to return Tables, or only arrays of their values, which is much faster.

        Returns
        -------
        X : list of Table, list of ndarray, or ndarray of shape (n_objects, n_points[, n_draws])
            Values in the units of fit. With draws, the value column of a Table has the shape (n_points, n_draws).
        """
        Z = self._checked_codes(Z)
        check_output(output)
        self._check_draws(n_draws, noise, of_codes=True)
        places = self._places(NAME, self._templates(at, len(Z), f"Z has {len(Z)} rows"))
        return self._decoded(NAME, Z, places, n_draws, output, noise)

    @undisturbed()
    def reconstruct(self, X, *, at=None, n_draws=None, noise=True, output="tables"):
        """Encode objects and decode them, by default at their own locations, including rows without a measurement.

        Parameters
        ----------
        X : list of Table, or array of shape (n_objects, n_points)
            Objects of the same kind as in fit.
        at : Table, list of Table, or array of shape (n_objects, n_points), default=None
            Where to decode each object, as in `inverse_transform`. None decodes at its own locations.
        n_draws : int, default=None
            As in `inverse_transform`. Here draws also include the uncertainty of the bottleneck, if the encoder knows
            it (``core="linear"``, `FunctionalPCA`, VAEs): see :ref:`draws`.
        noise : bool, default=True
            As in `inverse_transform`.
        output : {"tables", "arrays"}, default="tables"
            As in `inverse_transform`.

        Returns
        -------
        X : list of Table, list of ndarray, or ndarray of shape (n_objects, n_points[, n_draws])
            As in `inverse_transform`.
        """
        return self._reconstructed(X, n_draws, output, noise=noise, at=at)

    def _reconstructed(self, X, n_draws, output, context: float = 0.0, noise: bool = True, at=None):
        model = self._ready()
        check_output(output)
        self._check_draws(n_draws, noise)
        refuse_store(X)
        given = None if at is None else self._templates(at, len(X), f"X holds {len(X)} objects")
        rebuilt, modality = [], model.modalities[NAME]
        for start, objects, records in self._chunks(model, X):
            if given is None:
                templates, places = objects.parts[NAME], [r[NAME] for r in records]
            else:
                templates = given[start : start + len(records)]
                names = [self._name_in_errors("at", start + i, NAME) for i in range(len(templates))]
                read = modality.read_all(templates, names, values=False)
                places = [modality.typical_metadata(r) for r in read]
            values = model.reconstruct(records, NAME, places, n_draws, context, noise)
            rebuilt.append(self._written(modality, values, places, templates, output))
        return concatenated(rebuilt)

    @available_if(BaseEncoder._makes_new_objects)
    @undisturbed()
    def sample(self, n_objects=1, *, y=None, at=None, random_state=None, output="tables"):
        """Draw new objects.

        Parameters
        ----------
        n_objects : int, default=1
            Number of new objects.
        y : label or array-like of shape (n_objects,), default=None
            Labels of the new objects, as in `fit_prior`; a single one is for all. None (also in an array) draws from
            the distribution over all labels.
        at : Table, list of Table, or array of shape (n_objects, n_points), default=None
            As in `inverse_transform`. If the prior was learned by `fit_prior`, new objects also suit these metadata.
        random_state : int, RandomState or None, default=None
            Seed. None uses the seed of fit and returns the same objects every time.
        output : {"tables", "arrays", "bottlenecks"}, default="tables"
            As in `inverse_transform`; "bottlenecks" returns z without decoding it.

        Returns
        -------
        X : list of Table, list of ndarray, or ndarray
            New objects, as noisy as measurements if the decoder makes draws; or z, of shape (n_objects,
            bottleneck_length * bottleneck_dim).

        Raises
        ------
        NotFittedError
            If there is no prior, because `fit_prior` was not called and the objective has none.
        ValueError
            If `y` is not a label of `fit_prior`; the message names the known ones.
        """
        check_output(output, "bottlenecks")
        check_new(self, n_objects)
        places = self._places(NAME, self._templates(at, n_objects, f"n_objects={n_objects}"))
        Z = new_codes(self, n_objects, y, {NAME: places}, random_state)
        return Z if output == "bottlenecks" else self._decoded(NAME, Z, places, None, output, drawn=True)


def _is_flat(X, modality: Modality) -> bool:
    return modality.takes_tables and isinstance(X, tables.FlatTables)


def _flat(X: tables.FlatTables) -> Objects:
    tables.check_not_empty(len(X))
    return Objects({NAME: X})


def _listed(X: Iterable) -> Objects:
    return Objects({NAME: list(at_least_one(X))})


def _is_rows(X, modality: Modality) -> bool:
    return modality.takes_rows and tables.is_numeric(X)


def _columns(estimator) -> dict[str, Any]:
    """Return scikit-learn's attributes for the columns of an array."""
    return {k: v for k, v in vars(estimator).items() if k in ("n_features_in_", "feature_names_in_")}


def _checked_rows(estimator, X, name: str, reset: bool) -> np.ndarray:
    """Return rows of numbers, after noting their columns in fit, or comparing them with those of fit."""
    X = tables.rows(X, name)
    if getattr(X, "ndim", 2) > 2:
        raise TableError(f"{name} looks like images; declare them with modality=Image().")
    X = validate_data(estimator, X, reset=reset, dtype=np.float64, ensure_all_finite=False)
    if np.isinf(X).any():
        row, column = np.argwhere(np.isinf(X))[0]
        raise TableError(f"{name}[{row}] contains infinity at column {column}; set it to NaN if not observed.")
    return X
