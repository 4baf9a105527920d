"""Measure how well a linear classifier predicts classes from features."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d

from .. import tables
from ..exceptions import TableError


class ProbeResult(NamedTuple):
    """Scores of a probe, as returned by `linear_probe`: means and standard deviations over the splits.

    Parameters
    ----------
    accuracy, accuracy_sd : float
        Share of correctly classified objects.
    f1, f1_sd : float
        Macro F1.

    Examples
    --------
    >>> import numpy as np
    >>> from skdaep.metrics import linear_probe
    >>> y = np.repeat([0, 1], 50)
    >>> result = linear_probe(y[:, None], y)
    >>> result.f1, result.f1_sd
    (1.0, 0.0)
    """

    accuracy: float
    accuracy_sd: float
    f1: float
    f1_sd: float


def linear_probe(Z, y, *, n_splits=10, train_size=0.3, random_state=0, classifier=None):
    """Return how well a linear classifier predicts classes from features.

    It is a logistic regression on standardised features, trained on a small part of the objects of each class and
    scored on the rest, over several random splits (daep, section 4).

    Parameters
    ----------
    Z : array of shape (n_objects, n_features)
        The output of `transform`.
    y : array-like of shape (n_objects,)
        Classes. Objects whose class is None or NaN are left out.
    n_splits : int, default=10
        Number of stratified splits.
    train_size : float, default=0.3
        Share of the objects used to train the classifier.
    random_state : int, RandomState or None, default=0
        Seed of the splits.
    classifier : estimator, default=None
        Classifier to use instead of logistic regression; it need not be linear.

    Returns
    -------
    result : ProbeResult
        ``accuracy``, ``accuracy_sd``, ``f1`` (the unweighted mean over classes) and ``f1_sd``.

    Raises
    ------
    TableError
        If `Z` holds objects.

    Examples
    --------
    >>> import numpy as np
    >>> from skdaep.metrics import linear_probe
    >>> y = np.repeat(["Ia", "II"], 50)
    >>> Z = np.random.default_rng(0).normal(size=(100, 2)) + 9 * (y == "Ia")[:, None]
    >>> linear_probe(Z, y).accuracy
    1.0
    """
    if not tables.is_numeric(Z):
        raise TableError("Z holds objects, not features; pass the output of transform.")
    Z, y = check_array(Z, dtype=float, input_name="Z"), column_or_1d(y, dtype=object)
    check_consistent_length(Z, y)
    known = np.array([label is not None and label == label for label in y])
    Z, y = Z[known], y[known].astype(str)
    classifier = LogisticRegression(max_iter=2000) if classifier is None else classifier
    scores = []
    for train, test in StratifiedShuffleSplit(n_splits, train_size=train_size, random_state=random_state).split(Z, y):
        model = make_pipeline(StandardScaler(), clone(classifier)).fit(Z[train], y[train])
        predicted = model.predict(Z[test])
        scores.append(
            (accuracy_score(y[test], predicted), f1_score(y[test], predicted, average="macro", zero_division=0))
        )
    (accuracy, f1), (accuracy_sd, f1_sd) = np.mean(scores, 0).tolist(), np.std(scores, 0).tolist()
    return ProbeResult(accuracy, accuracy_sd, f1, f1_sd)
