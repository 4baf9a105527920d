"""Devices, precision and generators: what "auto" means, and errors that say what to do."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from skdaep.exceptions import DeviceError
from skdaep.training import autocast, generator_of, resolve_device, resolve_precision, seeded

CPU = torch.device("cpu")


@pytest.fixture
def no_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_auto_is_the_cpu_without_cuda(no_cuda):
    assert resolve_device("auto") == CPU


def test_auto_is_cuda_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == torch.device("cuda")


def test_auto_is_never_mps(no_cuda, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("auto") == CPU
    assert resolve_device("mps") == torch.device("mps")


@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_cuda_without_cuda_is_an_error_that_names_auto(no_cuda, device):
    with pytest.raises(DeviceError, match=f"{device}.*'auto'"):
        resolve_device(device)


def test_a_cuda_device_beyond_the_last_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(DeviceError, match="cuda:2"):
        resolve_device("cuda:2")


def test_mps_without_mps_is_an_error_that_names_auto(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="'auto'"):
        resolve_device("mps")


@pytest.mark.parametrize("device", ["gpu", "", "cuda:x", "CUDA", "meta", "xpu"])
def test_anything_else_is_an_error_that_lists_what_there_is(device):
    with pytest.raises(DeviceError, match="'auto', 'cpu', 'cuda' or 'mps'"):
        resolve_device(device)


def test_automatic_precision_is_float32_on_the_cpu():
    assert resolve_precision("auto", CPU, training=True) == torch.float32


def test_precision_asked_for_is_given():
    assert resolve_precision("bfloat16", CPU, training=False) == torch.bfloat16
    assert resolve_precision("float32", torch.device("cuda"), training=True) == torch.float32


@pytest.mark.parametrize("supported", [True, False])
def test_automatic_precision_in_training_on_cuda_is_bfloat16_where_it_is_native(supported, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported or including_emulation)
    expected = torch.bfloat16 if supported else torch.float32
    assert resolve_precision("auto", torch.device("cuda"), training=True) == expected
    assert resolve_precision("auto", torch.device("cuda"), training=False) == torch.float32


def parts():
    """Layers and initialisers of all kinds."""
    return [
        *(nn.Linear(7, 9), nn.Embedding(4, 5), nn.Conv2d(3, 8, 3), nn.TransformerEncoderLayer(8, 2), nn.LSTM(3, 4)),
        *(torch.randn(1, 3, 4), torch.rand(3), torch.randperm(10), nn.init.trunc_normal_(torch.empty(4, 4))),
        *(nn.init.orthogonal_(torch.empty(5, 5)), nn.init.xavier_uniform_(torch.empty(3, 3))),
    ]


def numbers(of):
    tensors = [p for x in of for p in (x.parameters() if isinstance(x, nn.Module) else [x])]
    return torch.cat([p.detach().flatten().float() for p in tensors])


def test_networks_are_initialised_as_by_torch_without_its_generator(monkeypatch):
    before = torch.get_rng_state()
    with torch.random.fork_rng():
        torch.manual_seed(5)
        expected = numbers(parts())
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: pytest.fail("CUDA generators were reseeded"))
    with seeded(5):
        found = numbers(parts())
    assert torch.equal(found, expected)
    assert torch.equal(before, torch.get_rng_state())
    with seeded(6):
        assert not torch.equal(numbers(parts()), expected)


def test_networks_made_in_many_threads_are_those_made_in_one():
    def build(seed):
        with seeded(seed):
            return numbers(parts())

    with ThreadPoolExecutor(8) as pool:
        for seed, found in enumerate(pool.map(build, range(40))):
            assert torch.equal(found, build(seed))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_sets_the_precision_of_matrix_products(dtype):
    x = torch.ones(2, 2)
    with autocast(CPU, dtype):
        assert (x @ x).dtype == dtype
    assert (x @ x).dtype == torch.float32


def test_autocast_to_float32_overrules_one_outside():
    x = torch.ones(2, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16), autocast(CPU, torch.float32):
        assert (x @ x).dtype == torch.float32


def test_generators_are_reproducible_and_leave_the_global_one_alone():
    state = torch.random.get_rng_state()
    one, same, other = (torch.rand(3, generator=generator_of(seed, CPU)) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.random.get_rng_state(), state)
