"""Labels: read those of fit, and predict those of other objects."""

from __future__ import annotations

import math
import warnings

import numpy as np
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_consistent_length

from .. import tables
from ..exceptions import TableError
from ..model import Model, Split
from ..model.targets import Targets
from ..objectives import QUANTILES
from ..training import undisturbed

#: with no more distinct whole numbers than this, a column of floats may be meant as classes
FEW = 10


def targets_of(y, objects, otherwise: str = "set supervised_weight=0") -> tuple[Targets, np.ndarray]:
    """Return a description of labels, and their columns: (n, t) numbers or (n, 1) classes.

    `otherwise` tells users what to do without labels.

    Raises
    ------
    TableError
        If they are neither, or there is nothing to learn.
    """
    labels = tables.read_labels(y)
    columns, *about = labels
    check_consistent_length(objects, columns[0])
    values = np.stack(columns, 1)
    about = dict(zip(("form", "names", "units", "flat"), about, strict=True))
    if values.dtype == object:
        return Targets("classes", classes=_classes(values, columns, otherwise), **about), values
    for j, column in enumerate(columns):
        label_name = f"y[{labels.names[j]!r}]" if labels.names else "y" if labels.flat else f"y[:, {j}]"
        _check_numbers(column, label_name, otherwise)
    scale = np.nanstd(values, axis=0)
    origin, scale = np.nanmean(values, axis=0), np.where(scale > 0, scale, 1.0)
    return Targets("numbers", origin=tuple(origin.tolist()), scale=tuple(scale.tolist()), **about), values


def asked_labels(y, targets: Targets, n: int) -> np.ndarray:
    """Return labels (n, t) that are asked for, scaled by `targets`, NaN where unknown; a single one is for all.

    Raises
    ------
    ValueError
        If the targets have no such labels; the message names the classes.
    """
    given = tables.read_labels(np.repeat(y, 1) if np.ndim(y) == 0 else y)
    columns = np.stack(given.columns, 1)
    if len(columns) not in (1, n) or columns.shape[1] != targets.n_columns or given.names not in ((), targets.names):
        shape, needed = (" x ".join(map(str, x)) for x in (columns.shape, (n, targets.n_columns)))
        named = f" ({', '.join(targets.names)})" if targets.names else ""
        raise ValueError(f"y holds {shape} labels; {needed}{named}, or one for all objects, are needed.")
    if targets.kind == "classes":
        columns = np.where(columns != columns, None, columns.astype(object))
        if unknown := [x for x in columns[:, 0] if x is not None and x not in targets.classes]:
            known = ", ".join(map(repr, targets.classes))
            raise ValueError(f"y={unknown[0]!r} is not among the labels of fit_prior ({known}).")
    elif wrong := [x for x in columns.ravel().tolist() if not isinstance(x, float | None)]:
        raise ValueError(f"y={wrong[0]!r}: the labels of fit_prior were numbers.")
    else:
        units = zip(given.units, targets.units or given.units, strict=True)
        converted = [tables.convert(c.astype(float), *own, "y") for c, own in zip(columns.T, units, strict=True)]
        columns = np.stack(converted, 1)
    return np.broadcast_to(targets.standardised(columns), (n, targets.n_columns))


def _classes(values: np.ndarray, columns: list[np.ndarray], otherwise: str) -> tuple:
    if values.shape[1] > 1:
        kinds = ["classes" if c.dtype == object else "numbers" for c in columns]
        raise TableError(
            f"y has {len(kinds)} columns ({', '.join(kinds)}); use numbers in all, or one column of classes."
        )
    classes = sorted({x for x in values[:, 0] if x is not None})
    if not classes:
        raise TableError(f"y has no label for any of {len(values)} objects; pass some, or {otherwise}.")
    if len(classes) < 2:
        raise TableError(f"y holds one class only, {classes[0]!r} (n_samples={len(values)}); at least 2 are needed.")
    return tuple(classes)


def _check_numbers(column: np.ndarray, object_name: str, otherwise: str) -> None:
    owner = np.flatnonzero(~np.isnan(column))
    known = column[owner]
    if not len(known):
        raise TableError(f"{object_name} has no label for any of {len(column)} objects; leave it out, or {otherwise}.")
    # Even one sentinel such as -999 would distort the mean and scale of the targets.
    tables.warn_of_sentinels(known, owner, object_name, [f"object {i}" for i in range(len(column))], least=1)
    distinct = np.unique(known)
    if len(distinct) <= min(FEW, len(known) / 2) and (distinct == distinct.round()).all():
        warnings.warn(
            f"{object_name} holds the numbers {', '.join(f'{v:g}' for v in distinct)} as floats, which are predicted "
            "as numbers. If they stand for classes, make them whole numbers or text, None where unknown.",
            UserWarning,
            stacklevel=2,
        )


def check_labelled(labels: np.ndarray, split: Split) -> None:
    """Raise TableError if no training object has a label."""
    if np.isnan(labels[split.train]).all():
        n = len(split.validation)
        raise TableError(
            f"None of the {len(split.train)} training objects has a label ({n} are held out for validation: "
            "more labels or early_stopping=False may help)."
        )


def _predicts(self) -> bool:
    """Return whether there is a head or, before fit, whether there will be one."""
    model = getattr(self, "model_", None)
    if getattr(self, "supervised_weight", 0) > 0 if model is None else model.targets is not None:
        return True
    raise AttributeError(
        f"{type(self).__name__} cannot predict: it was fitted without labels. Set supervised_weight and call fit(X, y)."
    )


def _predicts_a(kind: str):
    def check(self) -> bool:
        _predicts(self)
        model = getattr(self, "model_", None)
        if model is None or model.targets.kind == kind:
            return True
        raise AttributeError(f"{type(self).__name__} was fitted to {model.targets.kind}, not {kind}.")

    return check


class PredictorMixin:
    """The methods of an encoder with a head."""

    @property
    def classes_(self) -> np.ndarray:
        _predicts_a("classes")(self)
        return np.array(self.model_.targets.classes)

    @property
    def quantiles_(self) -> np.ndarray:
        _predicts_a("numbers")(self)
        return np.array(QUANTILES)

    @available_if(_predicts)
    @undisturbed()
    def predict(self, X):
        """Predict the labels of objects: medians of numbers, or the likeliest classes. Needs `supervised_weight`.

        Parameters
        ----------
        X : list of Table, array, images, or list of dict
            Objects of the kind seen in fit.

        Returns
        -------
        y : ndarray, Quantity, Table or data frame
            Labels in the form, units and shape of the `y` of fit. For a column of pandas or polars, an ndarray.
        """
        model = self._ready()
        answer, targets = self._answers(model, X), model.targets
        if targets.kind == "classes":
            found = np.array(targets.classes)[answer.argmax(1)][:, None]
        else:
            found = targets.unscaled(answer[..., len(QUANTILES) // 2])
        return _written(found, targets)

    @available_if(_predicts_a("numbers"))
    @undisturbed()
    def predict_quantiles(self, X):
        """Predict quantiles of the labels of objects, at the levels `quantiles_`: 0.1, 0.25, 0.5, 0.75 and 0.9.

        Quantiles never cross. `skdaep.ConformalRegressor` calibrates intervals of them, so that they cover new objects
        as stated.

        Parameters
        ----------
        X : list of Table, array, images, or list of dict
            Objects of the kind seen in fit.

        Returns
        -------
        quantiles : ndarray or Quantity of shape (n_objects[, n_targets], 5), Table or data frame
            A Table has columns of shape (n_objects, 5), a data frame columns such as "teff_0.1".
        """
        model = self._ready()
        return _written(model.targets.unscaled(self._answers(model, X)), model.targets, QUANTILES)

    @available_if(_predicts_a("classes"))
    @undisturbed()
    def predict_proba(self, X):
        """Predict the probabilities of classes, in the order of `classes_`.

        Parameters
        ----------
        X : list of Table, array, images, or list of dict
            Objects of the kind seen in fit.

        Returns
        -------
        p : ndarray of shape (n_objects, n_classes)
            Each row sums to 1.
        """
        return self._answers(self._ready(), X).astype(np.float64)

    def _answers(self, model: Model, X) -> np.ndarray:
        return np.concatenate([model.predict(records) for _, _, records in self._chunks(model, X)])

    def _score_of_labels(self, model: Model, X, y) -> float:
        """Return the accuracy, or R^2 averaged over targets, over the objects with a label."""
        labels, answer, targets = tables.read_labels(y), self._answers(model, X), model.targets
        if len(labels.columns) != targets.n_columns or (labels.names and labels.names != targets.names):
            was, now = targets.names or targets.n_columns, labels.names or len(labels.columns)
            raise ValueError(f"y has the columns {now}, but in fit it had {was}.")
        check_consistent_length(answer, labels.columns[0])
        if targets.kind == "classes":
            found, (truth,) = np.array(targets.classes, object)[answer.argmax(1)], labels.columns
            known = np.array([x is not None for x in truth])
            return accuracy_score(*(x[known].astype(str) for x in (truth, found))) if known.any() else math.nan
        found = targets.unscaled(answer[..., len(QUANTILES) // 2])
        scores = []
        for j, truth in enumerate(labels.columns):
            truth = tables.convert(truth.astype(float), labels.units[j], targets.units[j], f"y, column {j},")
            known = ~np.isnan(truth)
            scores.append(r2_score(truth[known], found[known, j]) if known.sum() > 1 else math.nan)
        return float(np.mean(scores))


def _written(values: np.ndarray, targets: Targets, levels: tuple[float, ...] = ()):
    """Return values (n, t, ...) in the form of the labels of fit."""
    values = values[:, 0] if targets.flat else values
    return tables.write_labels(values, targets.form, targets.names, targets.units, levels)
