"""Calibrate predicted quantiles of labels, by shifting them until they have the right coverage."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from .. import tables
from ..metrics.reading import check_level, group_index, weights
from ._draws import ROUNDING


class PredictedInterval(NamedTuple):
    """Ends of the intervals of labels, each in the form of the labels of fit."""

    low: Any
    high: Any


class ConformalRegressor(BaseEstimator):
    r"""Shift predicted quantiles of labels until their interval covers new objects as stated.

    The score of a calibration object with label :math:`y` and predicted quantiles :math:`(l, h)` is its signed distance
    outside them, :math:`E = \max(l - y,\, y - h)`, and the interval of a new object is :math:`(l - Q,\, h + Q)`, where
    Q is the :math:`\lceil (n + 1)\,\text{level} \rceil`-th smallest of n scores [1]_. The quantiles are the pair whose
    nominal share is nearest to the level. They make the width of the interval depend on the object, and Q ensures the
    coverage, however good they are.

    If a new object is exchangeable with the calibration objects, its interval covers at :math:`\lceil (n + 1)
    \,\text{level} \rceil / (n + 1)` in the mean over calibration sets, without ties. This holds on average over
    objects, but not for each kind or label. The encoder must not have seen the calibration objects, not even for early
    stopping.

    Parameters
    ----------
    estimator : encoder
        An encoder that was fitted to numbers with `supervised_weight`. It is not refitted.
    level : float, default=0.8
        Share of new objects whose label should lie inside the interval.

    Attributes
    ----------
    shift_ : ndarray of shape (n_targets,)
        Q of each target, in its unit; negative if the quantiles were too wide.
    n_objects_ : ndarray of int, shape (n_targets,)
        Number of calibration objects or groups with a label.

    References
    ----------
    .. [1] Romano, Patterson & Candes, "Conformalized quantile regression", NeurIPS 2019, arXiv:1905.03222.

    Examples
    --------
    >>> import numpy as np
    >>> from skdaep import ConformalRegressor, DAEPEncoder
    >>> from skdaep.datasets import make_supernova_spectra
    >>> X, _ = make_supernova_spectra(60, random_state=0)
    >>> phase = np.array([table.meta["phase"] for table in X])
    >>> encoder = DAEPEncoder(model_dim=16, max_iter=5, supervised_weight=0.5, random_state=0).fit(X[:40], phase[:40])
    >>> low, high = ConformalRegressor(encoder, level=0.8).fit(X[40:], phase[40:]).predict_interval(X[:3])
    >>> low.shape, bool((low < high).all())
    ((3,), True)
    """

    def __init__(self, estimator, level=0.8):
        self.estimator = estimator
        self.level = level

    def fit(self, X, y, groups=None):
        """Find the shift of each target.

        Parameters
        ----------
        X : list of Table, array, images, or list of dict
            Calibration objects, which the encoder has not seen in fit.
        y : array-like, Table or data frame
            Their labels, in the form used in fit. Unknown labels do not count.
        groups : array-like of shape (n_objects,), default=None
            Which objects belong together, such as the spectra of one star. A group then has the weight of an object,
            and the guarantee is for an object of a new group.

        Returns
        -------
        self : object
            The fitted calibration.

        Raises
        ------
        ValueError
            If the level is invalid, or a target has fewer than ``level / (1 - level)`` labels.
        AttributeError
            If the encoder does not predict numbers.
        """
        check_level(self.level)
        quantiles, labels = self._quantiles(X), tables.read_labels(y)
        low, high = self._ends()
        group = group_index(groups, len(quantiles))
        self.shift_, self.n_objects_ = np.empty(quantiles.shape[1]), np.empty(quantiles.shape[1], int)
        if len(labels.columns) != quantiles.shape[1]:
            raise ValueError(f"y has {len(labels.columns)} columns, but {quantiles.shape[1]} targets are predicted.")
        for j, truth in enumerate(self._in_units_of_fit(labels)):
            check_consistent_length(quantiles, truth)
            known = ~np.isnan(truth)
            score = np.maximum(quantiles[:, j, low] - truth, truth - quantiles[:, j, high])[known]
            self.n_objects_[j] = len(np.unique(group[known]))
            self.shift_[j] = self._shift(score, group[known], labels.names[j] if labels.names else "y")
        return self

    def predict_interval(self, X):
        """Return the interval of each object's label.

        Parameters
        ----------
        X : list of Table, array, images, or list of dict
            New objects.

        Returns
        -------
        interval : PredictedInterval
            ``low`` and ``high``, each in the form, unit and shape of the `y` of fit.
        """
        check_is_fitted(self)
        quantiles, (low, high) = self._quantiles(X), self._ends()
        bottom, top = quantiles[..., low] - self.shift_, quantiles[..., high] + self.shift_
        middle = (bottom + top) / 2  # a negative shift must not move the lower end above the upper one
        targets = self._targets()
        return PredictedInterval(*(_written(x, targets) for x in (np.minimum(bottom, middle), np.maximum(top, middle))))

    def __sklearn_is_fitted__(self):
        return hasattr(self, "shift_")

    def _targets(self):
        return self.estimator.model_.targets

    def _quantiles(self, X) -> np.ndarray:
        """Return predicted quantiles (n, n_targets, n_levels) as plain numbers."""
        targets = self._targets()
        return tables.plain_labels(self.estimator.predict_quantiles(X), targets.form, targets.n_columns)

    def _ends(self) -> tuple[int, int]:
        """Return the indices of the pair of quantiles whose nominal coverage is closest to the level."""
        levels = self.estimator.quantiles_
        share = levels[::-1][: len(levels) // 2] - levels[: len(levels) // 2]
        place = int(np.abs(share - self.level).argmin())
        return place, len(levels) - 1 - place

    def _in_units_of_fit(self, labels: tables.LabelColumns) -> list[np.ndarray]:
        columns = zip(labels.columns, labels.units, self._targets().units, strict=True)
        return [tables.convert(column.astype(float), given, unit, "y") for column, given, unit in columns]

    def _shift(self, score: np.ndarray, group: np.ndarray, name: str) -> float:
        """Return the smallest score at which the cumulative share of n + 1 weights reaches the level."""
        n, needed = len(np.unique(group)), int(np.ceil(self.level / (1 - self.level) - ROUNDING))
        if n < needed:
            raise ValueError(
                f"{name} is known for {n} calibration objects (or groups), but level={self.level!r} needs at least "
                f"{needed}. Use more, or a lower level."
            )
        order = np.argsort(score)
        share = np.cumsum(weights(np.arange(len(score)), group)[order]) / (n + 1)
        return float(score[order][np.searchsorted(share, self.level - ROUNDING)])


def _written(values: np.ndarray, targets):
    values = values[:, 0] if targets.flat else values
    return tables.write_labels(values, targets.form, targets.names, targets.units)
