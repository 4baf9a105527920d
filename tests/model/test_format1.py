"""Files that the first version wrote: all that they gave then, they give now.

The files beside this one were written at commit 569dd13 from the objects of tests/conftest.py, and `expected.npz` holds
what their estimators gave there.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from safetensors import safe_open

import skdaep
from skdaep.model import files

ESTIMATORS = [k for k in (*skdaep.ESTIMATORS, *skdaep.MULTIMODAL) if k != "DualFormer"]  # which is younger
FILES = Path(__file__).parent / "format1"


@pytest.fixture(scope="module")
def expected():
    with np.load(FILES / "expected.npz") as arrays:
        return dict(arrays)


def results(estimator, objects):
    several = {"modality": "photometry"} if isinstance(objects[0], dict) else {}
    n_draws = None if estimator.objective_class.draws is None else 2
    return {
        "transform": estimator.transform(objects),
        "reconstruct": np.concatenate(estimator.reconstruct(objects, output="arrays", **several)),
        "draws": np.concatenate(estimator.reconstruct(objects, n_draws=n_draws, output="arrays", **several)),
    }


def test_what_was_saved_then_gives_the_same_now(estimator_class, objects, expected, tmp_path):
    name = estimator_class.__name__
    loaded = skdaep.load(FILES / f"{name}.safetensors")
    assert type(loaded) is estimator_class
    assert loaded.get_params().get("core") is None, "what is newer than the file is as it was then"
    assert loaded.model_.isometry is None
    loaded.save(tmp_path / "again")
    for estimator in (loaded, skdaep.load(tmp_path / "again")):
        for key, values in results(estimator, objects).items():
            np.testing.assert_allclose(values, expected[f"{name}/{key}"], rtol=2e-5, atol=2e-5, err_msg=key)


def test_a_fit_can_be_gone_on_with(estimator_class, objects):
    loaded = skdaep.load(FILES / f"{estimator_class.__name__}.safetensors")
    before = loaded.transform(objects)
    loaded.set_params(warm_start=True, max_iter=1, learning_rate_init=1e-9).fit(objects)
    np.testing.assert_allclose(loaded.transform(objects), before, atol=1e-3)


def test_a_prior_of_then_is_one_of_now(objects, estimator_class, tmp_path):
    """In format 1 the prior's tensors stand beside the weights, their names beginning with "prior."."""
    path = FILES / f"{estimator_class.__name__}.safetensors"
    loaded = skdaep.load(path)
    if not loaded.objective_class.has_decoder:
        pytest.skip("has no prior")
    loaded.fit_prior(objects, max_iter=2)
    with safe_open(path, framework="numpy") as file:
        arrays, header = {k: file.get_tensor(k) for k in file.keys()}, file.metadata()
    arrays |= {f"prior.{k}": v for k, v in loaded.model_.prior.items()}
    content = json.loads(header["skdaep"])
    content["sha256"] = {k: files._sha256(v) for k, v in arrays.items()}
    text = json.dumps(content)
    header |= {"skdaep": text, "sha256": hashlib.sha256(text.encode()).hexdigest()}
    safetensors.numpy.save_file(arrays, tmp_path / "model", metadata=header)
    expected = loaded.sample(3, output="bottlenecks")
    np.testing.assert_array_equal(skdaep.load(tmp_path / "model").sample(3, output="bottlenecks"), expected)
