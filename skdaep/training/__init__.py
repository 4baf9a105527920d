"""Training: `train` runs anything with a `.loss`; batches, devices and precision beside it. Closed."""

from .batches import portions, token_batches
from .loop import SOLVERS, Checkpoint, train
from .restoring import check_like, check_whole, restore_rng
from .runtime import autocast, generator_of, resolve_device, resolve_precision, seeded, undisturbed

__all__ = [
    "SOLVERS",
    "Checkpoint",
    "autocast",
    "check_like",
    "check_whole",
    "generator_of",
    "portions",
    "resolve_device",
    "resolve_precision",
    "restore_rng",
    "seeded",
    "token_batches",
    "train",
    "undisturbed",
]
