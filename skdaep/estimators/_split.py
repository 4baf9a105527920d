"""Split objects into training and held-out ones."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit
from sklearn.utils.validation import check_consistent_length, column_or_1d

from ..model import Split


def split(estimator, n_objects: int, groups, seed: int) -> Split:
    """Return a split of objects, or of whole groups, according to the estimator's parameters."""
    everyone = np.arange(n_objects)
    if groups is not None:
        groups = column_or_1d(groups, dtype=None)
        for i, group in enumerate(groups):
            if group is None or group != group:
                raise ValueError(f"groups[{i}] is {group}; every object needs a group.")
        check_consistent_length(everyone, groups)
    if not estimator.early_stopping:
        return Split(everyone, everyone[:0])
    n_units = n_objects if groups is None else len(np.unique(groups))
    if n_units < 2:
        raise ValueError(
            f"A validation set cannot be split off {n_units} {'object' if groups is None else 'group'} "
            f"(n_samples={n_objects}); at least 2 are needed. Set early_stopping=False."
        )
    splitter = ShuffleSplit if groups is None else GroupShuffleSplit
    parts = splitter(1, test_size=estimator.validation_fraction, random_state=seed)
    try:
        return Split(*next(parts.split(everyone, groups=groups)))
    except ValueError as error:
        raise ValueError(
            f"validation_fraction={estimator.validation_fraction} leaves no objects to train on "
            f"(n_samples={n_objects}). Lower it or set early_stopping=False."
        ) from error
