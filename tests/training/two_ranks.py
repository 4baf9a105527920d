"""What test_ranks.py runs in two processes; each writes what it saw to a file of its own."""

import json
import os
import signal
import sys
import warnings
from pathlib import Path

import numpy as np
import torch

import skdaep
from skdaep.model import CheckpointFile, Training
from skdaep.objectives.denoising import Denoising
from skdaep.training import muon, ranks

FOLDER, RANK = Path(sys.argv[1]), int(os.environ["RANK"])
SMALL = dict(core=None, model_dim=16, n_heads=2, n_encoder_layers=1, n_decoder_layers=1, batch_size=4, random_state=0)
SMALL |= {"n_iter_no_change": 100}
X = np.random.default_rng(0).normal(size=(20, 12)).cumsum(1)


def fit(X=X, **changes):
    return skdaep.DAEPEncoder(**SMALL | {"max_iter": 20} | changes).fit(X)


def course(encoder):
    history = [{k: v for k, v in record.items() if k != "seconds"} for record in encoder.history_]
    return {"history": history, "weights": {k: v.tobytes().hex() for k, v in encoder.model_.weights.items()}}


def error_of(function):
    try:
        function()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def interrupted(**changes):
    """A fit in which the second process alone is told to stop, after three steps."""
    due = ranks.Together.any
    n_asked = [0]

    def asking(self, *flags):
        n_asked[0] += 1
        if RANK == 1 and n_asked[0] == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return due(self, *flags)

    ranks.Together.any = asking
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        encoder = fit(**changes)
    ranks.Together.any = due
    return {"n_iter": encoder.n_iter_, "said": [str(w.message) for w in said]}


def diverging():
    """A fit in which a loss of the second process alone is not finite."""
    loss = Denoising.loss

    def broken(self, batches, generator):
        return {k: v * (np.nan if RANK == 1 else 1) for k, v in loss(self, batches, generator).items()}

    Denoising.loss = broken
    try:
        return error_of(fit)
    finally:
        Denoising.loss = loss


def killed():
    """A fit in whose course the second process is gone."""
    summed, n_steps = ranks.Together.summed, [0]

    def going(self, tensors):
        n_steps[0] += 1
        if RANK == 1 and n_steps[0] == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return summed(self, tensors)

    ranks.Together.summed = going
    return error_of(fit)


torch.set_num_threads(1)
muon.has_bfloat16_units = lambda device: False  # whose roundings alone make 1e-4 of loss in 20 steps
Training.steps_per_record = lambda *args: 1  # a record after every step
found = {"alone": error_of(lambda: fit(X[:3], early_stopping=False, batch_size=64))}
encoder = fit(verbose=True)
found["whole"] = course(encoder)
encoder.save(FOLDER / f"saved_by_{RANK}")
keeping = dict(checkpoint=str(FOLDER / "fit.ckpt"), checkpoint_every=0)
found["interrupted"] = interrupted(**keeping)
found["kept"] = CheckpointFile(FOLDER / "fit.ckpt", 0).n_records
found["resumed"] = course(fit(**keeping))
found["diverged"] = diverging()
found["different"] = error_of(lambda: fit(X + RANK))
(FOLDER / f"found_{RANK}.json").write_text(json.dumps(found))
(FOLDER / f"killed_{RANK}").write_text(killed())
sys.stdout.flush()
os._exit(0)  # gloo's own threads may abort as the interpreter ends, for the other process is gone
