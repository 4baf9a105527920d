"""The fitted model: plain data that goes anywhere, never changes, and runs without an estimator."""

import copy
import json
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

import skdaep
from skdaep.model import Model, NeighborModel, Split, Training, train_model

ESTIMATORS = (*skdaep.ESTIMATORS, *skdaep.MULTIMODAL)


@pytest.fixture
def model(fitted):
    return fitted.model_


def as_dicts(model, objects):
    return objects if isinstance(objects[0], dict) else [{next(iter(model.modalities)): x} for x in objects]


@pytest.fixture
def records(model, objects):
    present = [{k: v for k, v in x.items() if v is not None} for x in as_dicts(model, objects)]
    return model.read(present)


def test_it_does_what_the_estimator_does(fitted, model, objects, records):
    name = next(iter(model.modalities))
    several = {"modality": name} if isinstance(objects[0], dict) else {}
    np.testing.assert_array_equal(model.encode(records).mean.reshape(12, -1), fitted.transform(objects))
    values = model.reconstruct(records, name)
    scaled = [model.modalities[name].unscale(v, r[name]) for v, r in zip(values, records, strict=True)]
    for own, other in zip(scaled, fitted.reconstruct(objects, output="arrays", **several), strict=True):
        np.testing.assert_array_equal(own, other)
    assert -np.mean(model.errors(records)) == pytest.approx(fitted.score(objects), rel=1e-6)


def test_it_never_changes(model, records):
    before = pickle.dumps(model)
    model.reconstruct(records, next(iter(model.modalities)))
    with pytest.raises(FrozenInstanceError):
        model.seed = 1
    assert model.to("cpu") is model
    assert model.using(precision="bfloat16").precision == "bfloat16"
    assert pickle.dumps(model) == before


def test_state_is_arrays_and_json(model, records):
    arrays, description = model.state()
    assert all(isinstance(array, np.ndarray) and array.dtype != object for array in arrays.values())
    again = Model.from_state(arrays, json.loads(json.dumps(description)))
    assert type(again) is type(model)
    assert again.state()[1] == description
    np.testing.assert_array_equal(again.encode(records).mean, model.encode(records).mean)


def test_copies_hold_weights_and_no_module(model, records):
    code = model.encode(records).mean
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), copy.copy(model)):
        assert "_live" not in vars(other)
        np.testing.assert_array_equal(other.encode(records).mean, code)


def test_threads_share_one_module(fitted, records):
    model = pickle.loads(pickle.dumps(fitted.model_))
    with ThreadPoolExecutor(8) as pool:
        modules = list(pool.map(lambda _: model.live(), range(32)))
    assert all(module is modules[0] for module in modules)


def test_one_place_stands_for_all(model, records):
    name = next(iter(model.modalities))
    Z, place = model.encode(records).mean, records[0][name]
    n_draws = 2 if model.draws in ("noise", "neighbors") else None
    one = model.decode(name, Z, [place], n_draws=n_draws)
    each = model.decode(name, Z, [place] * len(Z), n_draws=n_draws)
    for a, b in zip(one, each, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_it_is_trained_without_an_estimator(model, records):
    training = Training(
        max_iter=3, batch_size=8, max_points=None, solver="adamw", learning_rate_init=1e-3, weight_decay=0.0,
        n_iter_no_change=5, precision="auto",
    )  # fmt: skip
    order = np.arange(len(records))
    trained, history = train_model(model, model.collate(records), Split(order[:8], order[8:]), training)
    assert history[-1]["iteration"] == 3
    assert any((trained.weights[k] != v).any() for k, v in model.weights.items())
    fresh, _ = train_model(replace(model, weights={}), model.collate(records), Split(order, order[:0]), training)
    assert fresh.weights.keys() == model.weights.keys()


def test_without_a_prior_there_are_no_new_codes(model):
    if model.has_prior:
        assert model.sample(3).shape == (3, 4)
    else:
        with pytest.raises(ValueError, match="no prior"):
            model.sample(3)


def test_the_neighbors_model_keeps_its_objects(model, records):
    if isinstance(model, NeighborModel):
        assert model.remembering(records[:3]).table["owner.photometry"].max() == 2
    else:
        assert not hasattr(model, "table")


def test_the_room_needs_no_scikit_learn():
    done = subprocess.run(
        [sys.executable, "-c", "import skdaep.model, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not {"sklearn", "pandas"} & set(done.stdout.split())
