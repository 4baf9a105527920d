"""Fits that have no room in memory are refused before they begin, and no others."""

import re

import numpy as np
import pytest
import torch

import skdaep
from skdaep.model import memory

ESTIMATORS = (*skdaep.ESTIMATORS, *skdaep.MULTIMODAL, *skdaep.CLOSED_FORM)
CPU = torch.device("cpu")


def test_a_fit_without_room_is_refused(make, objects, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda device: 1000.0)
    estimator = make()
    with pytest.raises(MemoryError, match=r"needs more than \S+ GiB of memory on cpu, but only \S+ GiB are free"):
        estimator.fit(objects)
    assert not hasattr(estimator, "model_")


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("DAEPEncoder", {}),
        ("DAEPEncoder", {"n_decoder_layers": 1, "model_dim": 32}),
        ("DAEPEncoder", {"max_points": 256}),
        ("DAEPEncoder", {"hidden_length": 8, "encoder_hidden_length": 8}),
        ("MAEPEncoder", {}),
        ("BetaVAEEncoder", {"max_points": 512}),
    ],
)
def test_a_step_keeps_no_less_than_is_said(name, parameters, monkeypatch):
    """Autograd tells what it keeps for the gradient; refusing must not be too late by more than a factor of three."""
    said, reckon, kept = [], memory._of_a_step, {}
    monkeypatch.setattr(memory, "_of_a_step", lambda *args: said.append(reckon(*args)) or said[0])

    def keep(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    options = {"max_points": None, "max_iter": 1, "early_stopping": False, "random_state": 0, "device": "cpu"}
    encoder = getattr(skdaep, name)(**options | parameters)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        encoder.fit(np.random.default_rng(0).normal(size=(4, 1000)))
    assert said[0] <= sum(kept.values()) <= 3 * said[0]


def complaint(n_objects, n_points, **parameters):
    """Return what a fit of rows is told where nothing is free."""
    modality = skdaep.Sequence().learn(list(np.arange(4.0).reshape(2, 2)), ["a", "b"])
    training = skdaep.model.Training(**{"max_iter": 1, "batch_size": 64, "max_points": 256} | OPTIONS | parameters)
    networks = {"model_dim": 64, "n_encoder_layers": 4, "n_decoder_layers": 4}
    model = skdaep.model.Model({"x": modality}, skdaep.DAEPEncoder.objective_class, networks, {}, 0)
    with pytest.raises(MemoryError) as error:
        memory.check_memory(model, np.full((n_objects, 1), n_points), training)
    return str(error.value)


OPTIONS = {"solver": "muon", "learning_rate_init": 1.0, "weight_decay": 0.0, "n_iter_no_change": 1, "precision": "auto"}


def test_what_to_lower_is_what_takes_the_memory(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda device: 0.0)
    many, long = complaint(10**6, 10**4), complaint(10, 10**6, max_points=None)
    assert "10,000,000,000 points of 1,000,000 objects" in many
    assert "fewer objects, or bin" in many
    assert "Lower max_points or batch_size (batch_size=64, max_points=None), or model_dim" in long
    assert f"{10**10 * 13 / 2**30:.3g} GiB for" in many  # 4 bytes each of value, location and error, one of the band


# --- what is free -----------------------------------------------------------------------------------


@pytest.fixture
def system(tmp_path, monkeypatch):
    """Return a function that writes a file of a system that is not this one, where all else has no limit."""
    monkeypatch.setattr(memory, "PROC", tmp_path / "proc")
    monkeypatch.setattr(memory, "CGROUP", tmp_path / "cgroup")

    def put(name, text):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    return put


def test_without_linux_nothing_is_known(system):
    assert memory.free_memory(CPU) == np.inf


def test_the_machine_tells_what_it_has(system):
    system("proc/meminfo", "MemTotal: 9000 kB\nMemAvailable:    5000 kB\nSwapFree: 1000 kB\nHugePages_Total: 0\n")
    assert memory.free_memory(CPU) == 6000 * 1024


@pytest.mark.parametrize(
    ("line", "folder", "limit", "used", "cached"),
    [
        ("0::/job/step\n", "cgroup/job", "memory.max", "memory.current", "inactive_file"),
        ("9:cpu:/x\n4:memory:/job/step\n", "cgroup/memory/job", *memory.GROUPS["memory"][1:]),
        ("0::/not/seen\n", "cgroup", "memory.max", "memory.current", "inactive_file"),
    ],
)
def test_a_control_group_and_those_around_it_limit(system, line, folder, limit, used, cached):
    system("proc/self/cgroup", line)
    system(f"{folder}/{limit}", "max\n")
    assert memory.free_memory(CPU) == np.inf
    for name, text in {limit: "5000\n", used: "2000\n", "memory.stat": f"anon 7\n{cached} 500\n"}.items():
        system(f"{folder}/{name}", text)
    assert memory.free_memory(CPU) == 5000 - 2000 + 500


def test_this_machine_has_some_memory():
    assert 2**20 < memory.free_memory(CPU) <= np.inf
    assert re.fullmatch(r"1\.5 GiB", memory._gib(1.5 * 2**30))
