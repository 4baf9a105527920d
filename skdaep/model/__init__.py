"""The fitted model, which estimators hold, files store, and worker processes receive. Closed.

``model`` defines the model itself. ``passes`` runs its networks over many objects, and ``draws`` provides random
numbers. ``correlation`` and ``prior`` are learned after training. ``neighbors`` answers with training objects.
``measurements`` and ``folder`` hold what was read, and ``memory`` checks whether a fit has enough of it. ``fitting``
trains, and ``checkpoint`` stores the state of training. ``state`` and ``files`` store models. This room uses neither
scikit-learn nor astropy.
"""

from .checkpoint import CheckpointFile, CheckpointOfFirst, content_digest
from .fitting import Split, Training, solve_model, train_model
from .folder import Store
from .memory import check_memory
from .model import Codes, Model
from .neighbors import NeighborModel

__all__ = [
    "CheckpointFile",
    "CheckpointOfFirst",
    "Codes",
    "Model",
    "NeighborModel",
    "Split",
    "Store",
    "Training",
    "check_memory",
    "content_digest",
    "solve_model",
    "train_model",
]
