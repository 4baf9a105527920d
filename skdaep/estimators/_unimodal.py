"""The face of an encoder of one modality: lists of Tables, rows of an array, or images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from .. import tables
from ..exceptions import TableError
from ..modalities import Modality, Sequence
from ._base import BaseEncoder, joined, refuse_class
from ._reconstruction import check_places

NAME = "sequence"  # of the only modality


class UnimodalEncoder(BaseEncoder):
    """Shared by the encoders of one modality; a subclass adds its parameters and `_make_objective`."""

    _parameter_constraints: dict = {"modality": [Modality, None]} | BaseEncoder._parameter_constraints

    def _validate_params(self):
        refuse_class("modality", self.modality)
        super()._validate_params()

    def _declarations(self) -> dict[str, Modality]:
        return {NAME: self.modality or Sequence()}

    def _where(self, name: str, i: int, modality: str) -> str:
        return f"{name}[{i}]"

    def _stream(self, X, reset: bool = False, name: str = "X") -> Iterator[dict]:
        return ({NAME: x} for x in self._each(X, reset, name))

    def _each(self, X, reset: bool = False, name: str = "X") -> Iterable:
        """Return the objects of X or its rows of numbers, noting the number of columns as scikit-learn does."""
        (modality,) = (self._declarations() if reset or not hasattr(self, "modalities_") else self.modalities_).values()
        if not (modality.takes_rows and tables.is_numeric(X)):
            if reset:
                for attribute in ("n_features_in_", "feature_names_in_"):
                    vars(self).pop(attribute, None)
            return modality.objects(X, name)
        X = tables.rows(X, name)
        if not reset and hasattr(self, "modalities_") and not hasattr(self, "n_features_in_"):
            raise TableError(f"{name} is an array of numbers, but fit saw Tables; pass a list of Tables.")
        if getattr(X, "ndim", 2) > 2:
            raise TableError(f"{name} looks like images; declare them with modality=Image().")
        X = validate_data(self, X, reset=reset, dtype=np.float64, ensure_all_finite=False)
        if np.isinf(X).any():
            row, column = np.argwhere(np.isinf(X))[0]
            raise TableError(f"{name}[{row}] contains infinity at column {column}; set it to NaN if not observed.")
        return X

    def _like(self, at, n: int, of: str) -> list | None:
        """Return where to decode, one entry for each of n."""
        if at is None:
            return None
        at = list(self._each([at] * n if self.modalities_[NAME].is_one(at) else at, name="at"))
        check_places(at, n, of)
        return at

    def inverse_transform(self, Z, *, at=None, n_draws=None, output="tables"):
        """Decode bottlenecks to measurements.

        Parameters
        ----------
        Z : array of shape (n_objects, bottleneck_length * bottleneck_dim)
            What `transform` returned.
        at : Table, list of Table, or array of shape (n_objects, n_points), default=None
            Where to decode each object: locations, bands and metadata are read, values need not be there. Absent
            metadata are replaced by the training median or commonest label. A single Table stands for all. None
            decodes on a grid learned in fit.
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
        self._check_output(output)
        self._check_draws_of_codes(n_draws)
        like = self._like(at, len(Z), f"Z has {len(Z)} rows")
        return self._write(NAME, *self._decode_at(Z, NAME, like, n_draws), output)

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
        self._check_output(output)
        self._check_draws(n_draws)
        rebuilt = []
        for _, objects, records in self._chunks(X):
            values, own = self._decode_own(records, NAME, n_draws, context), [r[NAME] for r in records]
            rebuilt.append(self._write(NAME, values, own, np.arange(len(own)), [o[NAME] for o in objects], output))
        return joined(rebuilt)

    def sample(self, n_objects=1, *, at=None, random_state=None, output="tables"):
        """Draw new objects.

        Parameters
        ----------
        n_objects : int, default=1
            How many.
        at : Table, list of Table, or array of shape (n_objects, n_points), default=None
            As in `inverse_transform`.
        random_state : int, RandomState or None, default=None
            None uses the seed of fit: the same objects every time.
        output : {"tables", "arrays", "bottlenecks"}, default="tables"
            As in `inverse_transform`; "bottlenecks" leaves the drawn z undecoded.

        Returns
        -------
        X : list of Table, list of ndarray, or ndarray
            The objects, as `inverse_transform` gives them, with the scatter of the measurements where the decoder
            draws; or z, of shape (n_objects, bottleneck_length * bottleneck_dim).

        Raises
        ------
        NotFittedError
            If there is no prior: `fit_prior` was not called, and the objective does not bring one.
        """
        self._check_output(output, "bottlenecks")
        Z = self._sample_bottlenecks(n_objects, random_state)
        if output == "bottlenecks":
            return Z
        like = self._like(at, n_objects, f"n_objects={n_objects}")
        return self._write(NAME, *self._decode_samples(Z, NAME, like), output)
