"""What objectives are made of and what they learn from in closed form, so that signatures need not list it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..nn.batch import Ragged


class Plan(NamedTuple):
    """What an objective is made of."""

    modalities: dict[str, Any]
    networks: dict[str, Any]  # keyword arguments of the `Autoencoder`
    options: dict[str, Any]  # those of the objective


class TrainingSet(NamedTuple):
    """What is learned from without steps."""

    measurements: Mapping[str, Ragged]
    held_out: Mapping[str, Ragged] | None  # what tells when to stop; None: nothing
    seed: int
