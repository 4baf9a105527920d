"""The fitted model: what an estimator holds, a file keeps and a worker process is sent. Closed.

``model`` has the model itself, made of its parts: ``passes`` runs the networks over many objects, ``draws`` says where
randomness comes from, ``correlation`` and ``prior`` are learned after training, ``neighbors`` answers from objects of
fit, ``measurements`` and ``folder`` hold what was read, ``memory`` tells whether a fit has room, ``fitting`` trains,
``checkpoint`` keeps the state of that, ``state`` and ``files`` keep models. No scikit-learn, no astropy.
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
