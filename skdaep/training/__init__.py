"""Training: `train` runs anything with a `.loss`; batches, devices and precision beside it. Closed."""

from .batches import portions, token_batches
from .loop import SOLVERS, Checkpoint, train
from .runtime import autocast, generator_of, resolve_device, resolve_precision, seeded, undisturbed

__all__ = [
    "SOLVERS",
    "Checkpoint",
    "autocast",
    "generator_of",
    "portions",
    "resolve_device",
    "resolve_precision",
    "seeded",
    "token_batches",
    "train",
    "undisturbed",
]
