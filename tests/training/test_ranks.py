"""Two processes on the CPU train one model: what one process would of twice the batch, and neither is left waiting."""

import json
import os
import re
import socket
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import skdaep
from skdaep.estimators._split import split
from skdaep.exceptions import RankError
from skdaep.model import Training
from skdaep.model.fitting import Batches, _seed_of
from skdaep.training import Ranks, generator_of, train

SCRIPT = Path(__file__).with_name("two_ranks.py")


class Rank(Ranks):
    """One of two, of which nothing is asked but its number."""

    count = 2

    def __init__(self, rank):
        self.rank = rank


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """What two processes found that were started as torchrun starts them."""
    folder = tmp_path_factory.mktemp("ranks")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "test"}
    shared |= {"CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": os.pathsep.join(sys.path), "GLOO_SOCKET_IFNAME": "lo"}
    processes = [
        subprocess.Popen(
            [sys.executable, SCRIPT, folder],
            env=os.environ | shared | {"RANK": str(i), "LOCAL_RANK": str(i)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(2)
    ]
    output = [p.communicate(timeout=300) for p in processes]
    files = [folder / f"found_{i}.json" for i in range(2)]
    assert all(f.exists() for f in files), output
    return folder, [json.loads(f.read_text()) for f in files], output, [p.returncode for p in processes]


def test_every_process_ends_with_the_same_bits(run):
    _, (first, second), _, _ = run
    assert first["whole"] == second["whole"]


class Both(nn.Module):
    """An objective that is given the batches and the noise of two processes at once."""

    def __init__(self, objective, generators):
        super().__init__()
        self.objective, self.generators = objective, generators

    def loss(self, batches, generator):
        parts = [self.objective.loss(b, g) for b, g in zip(batches, self.generators, strict=True)]
        return {k: torch.cat([part[k] for part in parts]) for k in parts[0]}


def test_the_losses_are_those_of_one_process_with_both_batches(run, monkeypatch):
    monkeypatch.setattr("skdaep.training.muon.has_bfloat16_units", lambda device: False)  # as in two_ranks.py
    _, (found, _), _, _ = run
    X = np.random.default_rng(0).normal(size=(20, 12)).cumsum(1)
    small = dict(core=None, model_dim=16, n_heads=2, n_encoder_layers=1, n_decoder_layers=1, batch_size=4)
    small |= {"n_iter_no_change": 100}
    encoder = skdaep.DAEPEncoder(**small, max_iter=1, random_state=0).fit(X)
    model, cpu = encoder.model_, torch.device("cpu")
    objects, _ = encoder._objects_of_fit(X, None)
    kept = split(encoder, 20, None, model.seed)
    training = Training(**{f.name: getattr(encoder, f.name) for f in fields(Training)})
    measurements = encoder._measurements(model, objects)
    of_rank = (model.modalities, measurements, kept.train, training, model.seed, cpu)
    batches = [Batches(*of_rank, ranks=Rank(i)) for i in range(2)]
    both = Both(model.build(), [generator_of(_seed_of(model.seed, Rank(i)), cpu) for i in range(2)])
    pairs = (((a, b), [*m, *n]) for (a, m), (b, n) in zip(*batches, strict=True))
    history = train(both, pairs, max_iter=20, generator=generator_of(0, cpu), steps_per_record=1, solver="muon")
    losses = [[record["loss"] for record in h] for h in (history, found["whole"]["history"])]
    assert len(losses[0]) == len(losses[1]) == 20
    np.testing.assert_allclose(*losses, rtol=0, atol=1e-5)


def test_the_first_process_writes_files_and_tells_of_progress(run):
    folder, _, output, _ = run
    assert [(folder / f"saved_by_{i}").exists() for i in range(2)] == [True, False]
    assert ["step 20" in out for out, _ in output] == [True, False]


def test_all_stop_together_when_one_is_interrupted_and_go_on_from_one_checkpoint(run):
    folder, found, _, _ = run
    assert found[0]["interrupted"] == found[1]["interrupted"]
    assert 0 < found[0]["interrupted"]["n_iter"] < 20
    assert "Training interrupted after" in found[0]["interrupted"]["said"][0]
    for each in found:
        assert each["kept"] > 0
        assert each["resumed"] == found[0]["whole"]
    assert not (folder / "fit.ckpt").exists()


def test_a_loss_that_is_not_finite_in_one_is_an_error_in_all(run):
    _, found, _, _ = run
    assert found[0]["diverged"] == found[1]["diverged"]
    assert re.match(r"DivergenceError: .* for X\[\d+\](, X\[\d+\])*\.", found[0]["diverged"])


def test_different_objects_are_refused(run):
    _, found, _, _ = run
    for each in found:
        assert each["different"].startswith("RankError: Processes 0 and 1 of 2 were given different X")


def test_more_processes_than_batches_are_refused(run):
    _, found, _, _ = run
    for each in found:
        assert each["alone"].startswith("RankError: 2 processes are too many: 3 training objects make 1 batches")


def test_a_process_does_not_wait_for_one_that_is_gone(run):
    folder, _, _, codes = run
    assert codes == [0, -9]
    assert (folder / "killed_0").read_text().startswith("RankError: Process 0 of 2 waited in vain for another process")


def test_more_processes_than_devices_are_refused(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(RankError, match=r"Process 2 .* there are 2.*--nproc_per_node=2"):
        skdaep.training.ranks.local_device()
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert skdaep.training.ranks.local_device() == torch.device("cuda:1")


def test_a_process_alone_sends_nothing():
    alone = Ranks()
    assert (alone.rank, alone.count, alone.first(3), alone.gather(3), alone.any(True, False)) == (
        0,
        1,
        3,
        [3],
        [True, False],
    )
