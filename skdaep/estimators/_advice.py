"""Warnings about a fit: that it was too short, or that it learned little more than the level of light curves."""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ..exceptions import LevelOnlyWarning
from ..modalities import Record
from ..model import Model

#: fewest records from which convergence is judged, and largest relative gain of the loss in the last third
TELLING, GAIN = 3, 0.05
#: fewest steps after which a model should know more than the level of each object
LEAST_STEPS = 150
#: fewest and most objects on which a model is tested, and most if decoding needs many evaluations
LEAST, MOST, MOST_COSTLY = 10, 128, 16
#: share of an object's variance that a model must explain to have learned more than levels
EXPLAINED = 0.1
#: Frames between the functions of this file and the user's call of `fit`.
STACKLEVEL = 6


def warn_if_short(history: list[dict[str, Any]], max_iter: int) -> None:
    """Warn if the last third of training lowered the validation loss too much for a converged fit.

    Fits of few records tell nothing, nor do those that something stopped before.
    """
    losses = [r["validation_loss"] for r in history if "validation_loss" in r]
    if len(losses) < TELLING or history[-1]["iteration"] < max_iter:
        return
    before, best = min(losses[: round(len(losses) * 2 / 3)]), min(losses)
    if before - best > GAIN * before:
        warnings.warn(
            f"After max_iter={max_iter} steps training has not converged: the last third of the steps lowered the "
            f"validation loss by {(before - best) / before:.0%}. Double max_iter until score on held-out objects stops "
            "improving.",
            ConvergenceWarning,
            stacklevel=STACKLEVEL,
        )


def warn_of_levels(model: Model, records: list[dict[str, Record]]) -> None:
    """Warn if the model explains hardly more of light curves than the level of each object."""
    for name, modality in model.modalities.items():
        if not modality.is_over_time or not model.objective.has_decoder:
            continue
        with suppress(KeyboardInterrupt):  # the fit is done, so Ctrl-C only skips this test
            share = explained_beyond_levels(model, name, records)
            if share is not None and share < EXPLAINED:
                _warn_of_levels(name if len(model.modalities) > 1 else "the light curves", share)


def explained_beyond_levels(model: Model, name: str, records: list[dict[str, Record]]) -> float | None:
    """Return the median share that is explained of the variance of objects about their levels, without noise.

    None if fewer than `LEAST` objects vary more than by twice their errors.
    """
    most = MOST_COSTLY if model.live().n_point_draws else MOST
    shown = [r for r in records if name in r][:most]
    shares = []
    for record, values in zip([r[name] for r in shown], model.reconstruct(shown, name), strict=True):
        seen = record.observed
        value, band, noise = record.value[seen], record.band[seen], np.nan_to_num(record.error[seen]) ** 2
        beyond, left = np.sum((value - _levels(value, band)) ** 2), np.sum((value - values[seen]) ** 2)
        if beyond > 2 * noise.sum():
            shares.append(1 - (left - noise.sum()) / (beyond - noise.sum()))
    return float(np.median(shares)) if len(shares) >= LEAST else None


def _levels(value: np.ndarray, band: np.ndarray) -> np.ndarray:
    """Return, for each value, the mean of the values in its band."""
    return (np.bincount(band, value) / np.maximum(np.bincount(band), 1))[band]


def _warn_of_levels(what: str, share: float) -> None:
    warnings.warn(
        "The model has learned little more than the mean level of each object: for half of the objects tested, it "
        f"explains at most {max(share, 0):.0%} of the variance of {what} about this level. If objects are periodic, "
        "fold them with FindPeriod, PhaseFold and Standardize (skdaep.preprocessing). Otherwise train longer.",
        LevelOnlyWarning,
        stacklevel=STACKLEVEL + 1,
    )
