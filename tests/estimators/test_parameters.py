"""Parameters, codes and devices that make no sense are refused by name."""

import copy

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError

import skdaep
from skdaep import DeviceError, Photometry, Sequence

ESTIMATORS = ("DAEPEncoder",)  # what others have of their own is named


def test_transform_before_fit_is_refused(make, X):
    with pytest.raises(NotFittedError, match="not fitted"):
        make().transform(X)


@pytest.mark.parametrize(
    ("Z", "message"),
    [
        (np.zeros((2, 3)), r"Z has 3 columns.*2 x 2 = 4"),
        (np.zeros(4), "1D array|1-D"),
        (np.zeros((0, 4)), "0 sample"),
        (np.full((1, 4), np.nan), "Z contains NaN"),
        (np.full((1, 4), np.inf), "Z contains infinity"),
        (np.zeros((2, 4), complex), "omplex"),
    ],
    ids=["columns", "one dimension", "empty", "NaN", "infinite", "complex"],
)
def test_wrong_codes_are_refused(fitted, Z, message):
    with pytest.raises(ValueError, match=message):
        fitted.inverse_transform(Z)


def test_a_single_table_to_decode_at_stands_for_all(fitted, X):
    Z = fitted.transform(X)
    for one, other in zip(*(fitted.inverse_transform(Z, at=at) for at in (X[5], [X[5]] * 12)), strict=True):
        np.testing.assert_array_equal(one["mag"], other["mag"])


def test_at_of_another_length_is_refused(fitted, X):
    with pytest.raises(ValueError, match="at holds 3 objects but Z has 12 rows"):
        fitted.inverse_transform(fitted.transform(X), at=X[:3])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (dict(model_dim=8, n_heads=3), "model_dim=8 is not divisible by n_heads=3"),
        (dict(model_dim=0), "'model_dim'"),
        (dict(bottleneck_length=0), "'bottleneck_length'"),
        (dict(bottleneck_dim=1.5), "'bottleneck_dim'"),
        (dict(hidden_length="all"), "'hidden_length'"),
        (dict(max_iter=0), "'max_iter'"),
        (dict(batch_size=-1), "'batch_size'"),
        (dict(max_points=0), "'max_points'"),
        (dict(learning_rate_init=0.0), "'learning_rate_init'"),
        (dict(validation_fraction=1.0), "'validation_fraction'"),
        (dict(precision="float16"), "'precision'"),
        (dict(modality="photometry"), "'modality'"),
        (dict(random_state="0"), "'random_state'"),
    ],
    ids=lambda p: str(p) if isinstance(p, dict) else "",
)
def test_a_parameter_out_of_range_is_refused_by_name(make, X, parameters, message):
    with pytest.raises(ValueError, match=message):
        make(**parameters).fit(X)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("DAEPEncoder", dict(prediction="noise"), "'prediction'.*epsilon"),
        ("DAEPEncoder", dict(schedule="quadratic"), "'schedule'.*cosine"),
        ("DAEPEncoder", dict(sampler="euler"), "'sampler'.*ddim"),
        ("DAEPEncoder", dict(n_sampling_steps=0), "'n_sampling_steps'"),
        ("DAEPEncoder", dict(n_sampling_steps=10**9), "'n_sampling_steps'"),
        ("MAEPEncoder", dict(mask_ratio=1.0), "'mask_ratio'"),
        ("MAEPEncoder", dict(hidden_length=None), "'hidden_length'"),
        ("BetaVAEEncoder", dict(beta=-0.1), "'beta'"),
    ],
)
def test_a_parameter_of_its_own_out_of_range_is_refused_by_name(X, name, parameters, message):
    with pytest.raises(ValueError, match=message):
        getattr(skdaep, name)(**parameters).fit(X)


@pytest.mark.parametrize("declaration", [Photometry, Sequence, skdaep.Image])
def test_what_makes_a_modality_is_none(X, declaration):
    called = declaration.__name__
    with pytest.raises(TypeError, match=rf"modality is {called}, not a modality; did you mean {called}\(\)\?"):
        skdaep.DAEPEncoder(declaration).fit(X)
    with pytest.raises(TypeError, match=rf"modalities\['a'\] is {called}.*did you mean {called}\(\)\?"):
        skdaep.MultimodalDAEP({"a": declaration}).fit(X)


@pytest.mark.parametrize("n_draws", [True, 0, -1, 1.5, "2"])
def test_a_number_of_draws_that_is_none_is_refused(fitted, X, n_draws):
    for method in (fitted.reconstruct, lambda X, n_draws: fitted.inverse_transform(np.zeros((1, 4)), n_draws=n_draws)):
        with pytest.raises(ValueError, match=f"n_draws={n_draws!r}: a positive int or None"):
            method(X, n_draws=n_draws)


@pytest.mark.parametrize("changed", [dict(sampler="euler"), dict(precision="half"), dict(n_sampling_steps=0)], ids=repr)
def test_parameters_changed_after_fit_are_looked_at(fresh, X, changed):
    estimator = copy.deepcopy(fresh).set_params(**changed)
    (name,) = changed
    for method in (estimator.transform, estimator.reconstruct):
        with pytest.raises(ValueError, match=f"'{name}' parameter"):
            method(X)


@pytest.mark.parametrize("nothing", [None, np.nan], ids=repr)
def test_a_group_that_is_none_is_refused_by_index(make, X, nothing):
    groups = [*"abcdefghijkl"]
    groups[1] = nothing
    with pytest.raises(ValueError, match=rf"groups\[1\] is {nothing}"):
        make().fit(X, groups=np.array(groups, object))


def test_too_few_objects_for_the_validation_split(make, X):
    with pytest.raises(ValueError, match=r"validation set cannot be split off 1 object.*early_stopping=False"):
        make().fit(X[:1])
    with pytest.raises(ValueError, match=r"1 group.*early_stopping=False"):
        make().fit(X, groups=np.zeros(12))
    with pytest.raises(ValueError, match=r"validation_fraction=0.99 leaves no objects to train on"):
        make(validation_fraction=0.99).fit(X)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        make().fit(X, groups=np.zeros(3))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_absent_cuda_is_an_error_that_names_auto(make, X):
    with pytest.raises(DeviceError, match=r"device='cuda' is not available.*'auto'"):
        make(device="cuda").fit(X)
    assert make(device="auto").fit(X).device_ == "cpu"


def test_an_unknown_device_is_an_error_that_names_auto(make, X):
    with pytest.raises(DeviceError, match=r"device='gpu'.*'auto'"):
        make(device="gpu").fit(X)


@pytest.mark.gpu
def test_a_model_fitted_on_cuda_pickles_to_the_cpu(make, X, tmp_path):
    import pickle

    import skdaep

    estimator = make(device="auto", precision="float32").fit(X)
    assert estimator.device_.startswith("cuda")
    data = pickle.dumps(estimator)
    assert b"torch." not in data
    assert b"cuda" not in pickle.dumps(estimator.model_.weights)
    other = pickle.loads(data).set_params(device="cpu")
    np.testing.assert_allclose(other.transform(X), estimator.transform(X), rtol=1e-3, atol=1e-4)
    assert other.device_ == "cpu"
    estimator.save(tmp_path / "model.safetensors")
    loaded = skdaep.load(tmp_path / "model.safetensors", device="cpu")
    np.testing.assert_array_equal(loaded.transform(X), other.transform(X))
