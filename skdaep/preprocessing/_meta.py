"""Metadata of objects as columns of numbers."""

from __future__ import annotations

from numbers import Real

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from .. import tables
from ..exceptions import TableError


class MetaFeatures(TransformerMixin, BaseEstimator):
    """Return numbers and labels from the meta of Tables as a 2-D array.

    A number becomes a column, in the unit of fit. A label becomes a column of 0 and 1 for each label seen in fit, all 0
    if it is missing. Use it beside an encoder in a `sklearn.pipeline.FeatureUnion`.

    Parameters
    ----------
    keys : tuple of str, default=()
        Keys in meta, in any case.
    fill : {"nan", "median"} or float, default="nan"
        Value of a missing number: NaN, the median of the training objects, or a given number.
    unknown : {"error", "ignore"}, default="error"
        What to do with a label that was not seen in fit. "ignore" treats it as missing.

    Attributes
    ----------
    units_ : dict
        Units of the numbers, by key; None is no unit.
    labels_ : dict
        Labels seen in fit, sorted, by key.
    fill_ : dict
        Value of a missing number, by key.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from skdaep.preprocessing import MetaFeatures
    >>> stars = [{"period": 0.5, "survey": "ZTF"}, {"period": None, "survey": "CRTS"}, {"period": 2.0}]
    >>> X = [Table({"time": [1.0], "mag": [15.0]}, meta=meta) for meta in stars]
    >>> features = MetaFeatures(("period", "survey")).fit(X)
    >>> features.transform(X).tolist()
    [[0.5, 0.0, 1.0], [nan, 1.0, 0.0], [2.0, 0.0, 0.0]]
    >>> features.get_feature_names_out().tolist()
    ['period', 'survey_CRTS', 'survey_ZTF']
    """

    def __init__(self, keys=(), *, fill="nan", unknown="error"):
        self.keys = keys
        self.fill = fill
        self.unknown = unknown

    def fit(self, X, y=None):
        """Learn which keys are numbers and which labels.

        Parameters
        ----------
        X : list of Table
            One Table per object.
        y : object, default=None
            Ignored.

        Returns
        -------
        self : object
            The fitted transformer.
        """
        self._check_parameters()
        objects, object_names = self._objects(X)
        tables.check_not_empty(len(objects))
        self.units_, self.labels_, self.fill_ = {}, {}, {}
        for key in self.keys:
            values = tables.values_of_metadata(objects, object_names, key)
            if any(isinstance(value, str) for value in values.values()):
                self.labels_[key] = tuple(sorted(set(values.values())))
                continue
            self.units_[key] = tables.unit_of_metadata(objects[next(iter(values))], key)
            numbers = [self._number(objects[i], object_names[i], key) for i in values]
            having = np.array(list(values))
            tables.warn_of_sentinels(np.array(numbers), having, f"Metadata {key!r}", object_names)
            self.fill_[key] = float(np.median(numbers) if self.fill == "median" else self.fill)
        return self

    def transform(self, X):
        """Return the numbers of each object.

        Parameters
        ----------
        X : list of Table
            Objects.

        Returns
        -------
        features : ndarray, shape (n_objects, n_features)
            In the order of `keys`.
        """
        check_is_fitted(self)
        rows = [self._row(obj, place) for obj, place in zip(*self._objects(X), strict=True)]
        return np.array(rows, float).reshape(len(rows), len(self.get_feature_names_out()))

    def get_feature_names_out(self, input_features=None):
        """Return the key of each number, and key and label of each label.

        Parameters
        ----------
        input_features : object, default=None
            Ignored: Tables have no features.

        Returns
        -------
        names : ndarray of object
            Such as ``period`` and ``survey_ZTF``.
        """
        check_is_fitted(self)
        names = [f"{key}_{label}" if label else key for key in self.keys for label in self.labels_.get(key, ("",))]
        return np.array(names, dtype=object)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "fill_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.allow_nan = True
        return tags

    def _check_parameters(self):
        if isinstance(self.keys, str) or not len(self.keys):
            raise ValueError(f"MetaFeatures(keys={self.keys!r}): give a tuple of keys in meta, such as ('period',).")
        if duplicate := tables.first_duplicate(self.keys):
            raise ValueError(f"MetaFeatures(keys=...): {duplicate!r} is named twice.")
        if self.unknown not in ("error", "ignore"):
            raise ValueError(f"MetaFeatures(unknown={self.unknown!r}): choose 'error' or 'ignore'.")
        if self.fill not in ("nan", "median"):
            check_scalar(self.fill, "fill", Real)

    def _objects(self, X) -> tuple[list, list[str]]:
        if tables.is_numeric(X):
            raise TableError("X is an array of numbers; MetaFeatures needs a list of Tables.")
        objects = tables.as_objects(X)
        return objects, [f"X[{i}]" for i in range(len(objects))]

    def _row(self, obj, object_name: str) -> list[float]:
        """Return the features of an object."""
        row = []
        for key in self.keys:
            if key in self.labels_:
                row += self._one_hot(obj, object_name, key)
            else:
                value = self._number(obj, object_name, key)
                row.append(self.fill_[key] if value is None else value)
        return row

    def _number(self, obj, object_name: str, key: str) -> float | None:
        return tables.number_of_metadata(obj, object_name, key, self.units_[key])

    def _one_hot(self, obj, object_name: str, key: str) -> list[float]:
        label, seen = tables.metadata(obj, key, object_name), self.labels_[key]
        if label not in (None, *seen) and self.unknown == "error":
            raise TableError(
                f"{object_name} metadata {key!r} is {label!r}, not seen in fit ({tables.listed(seen)}). "
                f"Remove it from meta, or set MetaFeatures(unknown='ignore')."
            )
        return [float(label == one) for one in seen]
