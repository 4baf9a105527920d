"""What surrounds a call changes no number, and is afterwards what it was."""

import contextlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

import skdaep

ESTIMATORS = (*skdaep.ESTIMATORS, *skdaep.MULTIMODAL, *skdaep.CLOSED_FORM)


@contextlib.contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    yield
    torch.set_default_dtype(before)


SURROUNDINGS = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "float64": lambda: default_dtype(torch.float64),
    "float16": lambda: default_dtype(torch.float16),
    "meta": lambda: torch.device("meta"),
    "errstate": lambda: np.errstate(all="raise"),
    "print options": lambda: np.printoptions(precision=1, threshold=2),
}


def surroundings():
    return (
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.get_num_threads(),
        torch.get_rng_state().numpy().tobytes(),
        np.geterr(),
        np.random.get_state()[1].tobytes(),
    )


def everything(make, objects, path):
    """What every public method gives, in a dict of arrays."""
    estimator = make().fit(objects)
    several = isinstance(objects[0], dict)
    options = {"output": "arrays"} | ({"modality": "photometry"} if several else {})
    Z = estimator.transform(objects)
    found = {f"weights {k}": v for k, v in estimator.model_.weights.items()}
    found |= {"Z": Z, "score": estimator.score(objects), "fit_transform": make().fit_transform(objects)}
    found["inverse"] = np.concatenate([v.ravel() for v in estimator.inverse_transform(Z, **options)])
    found["rebuilt"] = np.concatenate([v.ravel() for v in estimator.reconstruct(objects, **options)])
    if estimator.objective_class.draws:
        draws = estimator.reconstruct(objects, n_draws=2, **options)
        found["draws"] = np.concatenate([v.ravel() for v in draws])
    if hasattr(estimator, "fit_prior"):
        estimator.fit_prior(objects, max_iter=3)
        found["sample"] = np.concatenate([v.ravel() for v in estimator.sample(3, **options)])
    estimator.save(path)
    return found | {"loaded": skdaep.load(path).transform(objects)}


@pytest.fixture(scope="module")
def expected(make, make_objects, tmp_path_factory):
    """What every public method gives where nothing surrounds it."""
    return everything(make, make_objects(), tmp_path_factory.mktemp("expected") / "model")


def changes_nothing(make, objects, path, expected, *names):
    with contextlib.ExitStack() as stack:
        for name in names:
            stack.enter_context(SURROUNDINGS[name]())
        before = surroundings()
        found = everything(make, objects, path)
        assert surroundings() == before
    assert found.keys() == expected.keys()
    for key, array in expected.items():
        np.testing.assert_array_equal(found[key], array, err_msg=key)


@pytest.mark.of("DAEPEncoder")
@pytest.mark.parametrize("name", SURROUNDINGS)
def test_what_surrounds_a_call_changes_nothing(make, objects, tmp_path, expected, name):
    changes_nothing(make, objects, tmp_path / "model", expected, name)


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_nor_does_all_of_that_at_once(make, objects, tmp_path, expected, dtype):
    others = SURROUNDINGS.keys() - {"float64", "float16"}
    changes_nothing(make, objects, tmp_path / "model", expected, *sorted(others), dtype)


def test_an_error_leaves_the_surroundings_too(make):
    with torch.inference_mode(), np.errstate(all="raise"), default_dtype(torch.float64):
        before = surroundings()
        with pytest.raises(ValueError, match="at least one"):
            make().fit([])
        assert surroundings() == before


@pytest.mark.of("DAEPEncoder", "MixtureOfExpertsVAE", "FunctionalPCA")
def test_fits_in_threads_are_those_in_one(make, objects, tmp_path, expected):
    def fit(i):
        return everything(make, objects, tmp_path / f"model{i}")

    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(fit, range(4)):
            for key, array in expected.items():
                np.testing.assert_array_equal(found[key], array, err_msg=key)


FORKED = """
import os, sys
sys.path.insert(0, sys.argv[1])
import numpy as np, torch
torch.set_num_threads(2)
import skdaep
rng = np.random.default_rng(0)
X = rng.normal(size=(400, 200)).cumsum(1)
estimator = skdaep.DAEPEncoder(max_iter=2, device="cpu", random_state=0).fit(X)
before = estimator.transform(X)
torch.randn(2000, 2000) @ torch.randn(2000, 2000)
pid = os.fork()
if pid == 0:
    Z = estimator.transform(X)
    fresh = skdaep.DAEPEncoder(max_iter=2, device="cpu", random_state=0).fit(X)
    near = np.abs(Z - before).max() < 1e-4 and torch.get_num_threads() == 2
    os._exit(0 if near and np.abs(fresh.transform(X) - before).max() < 1e-2 else 1)
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_works_after_torch_used_threads():
    environment = {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    command = [sys.executable, "-c", FORKED, str(Path(__file__).parents[1])]
    assert subprocess.run(command, env=environment, timeout=300).returncode == 0
