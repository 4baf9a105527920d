"""Training: `train` runs anything with a `.loss`. Also batches, devices and precision. Closed."""

from .batches import portions, token_batches
from .loop import SOLVERS, Checkpoint, train
from .ranks import Ranks, is_first, join, ranks_on, several
from .restoring import check_same_layout, check_whole, restore_rng
from .runtime import autocast, generator_of, resolve_device, resolve_precision, seeded, undisturbed

__all__ = [
    "SOLVERS",
    "Checkpoint",
    "Ranks",
    "autocast",
    "check_same_layout",
    "check_whole",
    "generator_of",
    "is_first",
    "join",
    "portions",
    "ranks_on",
    "resolve_device",
    "resolve_precision",
    "restore_rng",
    "seeded",
    "several",
    "token_batches",
    "train",
    "undisturbed",
]
