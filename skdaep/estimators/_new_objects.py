"""New objects: learn the distribution of bottlenecks, given metadata and labels, and draw from it."""

from __future__ import annotations

import contextlib
from numbers import Integral
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state

from ..modalities import Record
from ..model.prior import facts_of
from ..training import Ranks, is_first
from ._fitting import checkpoint_of, in_words
from ._labels import asked_labels, targets_of

if TYPE_CHECKING:
    from ._base import BaseEncoder


class Places(NamedTuple):
    """Where to decode objects, as Tables or the like and as records; a single one is for all objects."""

    templates: list
    records: list[Record]


def learn_prior(encoder: BaseEncoder, X, y, max_iter) -> None:
    """Give an encoder a prior; the arguments are those of its `fit_prior`."""
    model = encoder._ready()
    if isinstance(max_iter, bool) or not (isinstance(max_iter, Integral) and max_iter >= 1):
        raise ValueError(f"max_iter={max_iter!r}: a positive int is needed.")
    targets, labels = (None, None) if y is None else targets_of(y, X, "leave y out")
    codes, facts = [], []
    for start, _, records in encoder._chunks(model, X):
        codes.append(model.encode(records).mean)
        own = None if targets is None else targets.standardised(labels[start : start + len(records)])
        facts.append(facts_of(model.modalities, records, targets, own))
    Z, known = np.concatenate(codes), {k: np.concatenate([part[k] for part in facts]) for k in facts[0]}
    # With several processes each learns the same, and the first one keeps the state.
    keeping = checkpoint_of(encoder, Ranks(), ".prior") if is_first() else contextlib.nullcontext()
    with keeping as checkpoint:
        if checkpoint is not None:
            checkpoint.claim(model.seed, in_words(encoder, fit_prior_max_iter=max_iter), model.weights, Z, known)
        model, history = model.with_prior(Z, known, targets, max_iter, checkpoint)
        vars(encoder).update(model_=model, prior_history_=history)  # both or, if Ctrl-C comes now, neither


def check_new(encoder: BaseEncoder, n_objects) -> None:
    """Raise an error if so many objects cannot be drawn."""
    if not (isinstance(n_objects, Integral) and n_objects >= 1):
        raise ValueError(f"n_objects={n_objects!r}: a positive int is needed.")
    if not encoder._ready().has_prior:
        raise NotFittedError(f"This {type(encoder).__name__} has no prior yet; call fit_prior(X).")


def new_codes(encoder: BaseEncoder, n_objects: int, y, places: dict[str, Places], random_state) -> np.ndarray:
    """Return z (n_objects, K * D) from the prior, given labels and the metadata with which z will be decoded."""
    model = encoder._ready()
    if y is not None and model.prior_targets is None:
        raise ValueError("y: this prior knows no labels; call fit_prior(X, y).")
    labels = None if y is None else asked_labels(y, model.prior_targets, n_objects)
    columns = {name: own.records * (n_objects // len(own.records)) for name, own in places.items()}
    records = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    facts = facts_of(model.modalities, records, model.prior_targets, labels)
    seed = None if random_state is None else int(check_random_state(random_state).randint(2**31 - 1))
    return model.sample(n_objects, seed, facts)
