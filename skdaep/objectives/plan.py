"""What objectives are made of and what they learn from in closed form, so that signatures need not list it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..nn.batch import Ragged


class Plan(NamedTuple):
    """What an objective is made of."""

    modalities: dict[str, Any]
    networks: dict[str, Any]  # keyword arguments of the `Autoencoder`
    options: dict[str, Any]  # keyword arguments of the objective


class TrainingSet(NamedTuple):
    """The objects from which a closed form is learned."""

    measurements: Mapping[str, Ragged]
    held_out: Mapping[str, Ragged] | None  # validation objects, if any
    seed: int
