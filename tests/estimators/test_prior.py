"""New objects: the prior of the bottleneck and what `sample` makes of it."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError

import skdaep
from skdaep.objectives.prior import Described, Known, Prior
from skdaep.training import generator_of, train


@pytest.fixture(scope="module")
def with_prior(fitted, make_light_curve):
    estimator = copy.deepcopy(fitted)
    return estimator.fit_prior([make_light_curve(i) for i in range(12)], max_iter=30)


def nothing(n):
    """Nothing is known of n objects."""
    return Known(torch.zeros(n, 0), torch.zeros(n, 0, dtype=torch.long))


def test_the_prior_learns_a_bent_distribution_of_two_parts():
    """Two arcs: what a single normal distribution cannot be."""
    rng = np.random.default_rng(0)
    angle, side = rng.uniform(0, np.pi, 4000), rng.integers(0, 2, 4000)
    Z = np.stack([np.cos(angle) + 6 * side, np.sin(angle)], 1) + 0.02 * rng.normal(size=(4000, 2))
    Z = torch.from_numpy(Z.astype(np.float32))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        prior = Prior(Z.mean(0), Z.std(0), width=32, n_layers=2)

    def batches():
        while True:
            yield Described(Z[torch.from_numpy(rng.choice(4000, 256))], nothing(256)), []

    device = torch.device("cpu")
    options = {"solver": "adamw", "learning_rate_init": 3e-3, "steps_per_record": 500}
    train(prior, batches(), max_iter=600, generator=generator_of(0, device), **options)
    noise = torch.randn(2000, 2, generator=generator_of(1, device))
    with torch.inference_mode():
        drawn = prior.draw(lambda: noise, nothing(2000)).numpy()
    right = drawn[:, 0] > 3
    assert right.mean() == pytest.approx(0.5, abs=0.06)
    radius = np.hypot(drawn[:, 0] - 6 * right, drawn[:, 1])
    assert np.median(np.abs(radius - 1)) < 0.2  # 0.6 for a normal distribution of equal moments
    assert (drawn[:, 1] > -0.3).mean() > 0.95


def test_without_a_prior_sample_says_what_to_call(fitted):
    if fitted.objective_class.has_prior:
        assert len(fitted.sample(2)) == 2
    else:
        with pytest.raises(NotFittedError, match="fit_prior"):
            fitted.sample(2)


def test_a_prior_that_comes_with_the_objective_is_standard_normal(fitted):
    if not fitted.objective_class.has_prior:
        pytest.skip("brings no prior")
    Z = fitted.sample(2000, output="bottlenecks")
    np.testing.assert_allclose(Z.mean(0), 0, atol=0.1)
    np.testing.assert_allclose(np.cov(Z.T), np.eye(4), atol=0.12)


def test_samples_are_tables_on_the_default_grid_or_where_asked(with_prior, X):
    tables = with_prior.sample(3)
    grid = with_prior.inverse_transform(with_prior.transform(X[:1]))[0]
    for table in tables:
        np.testing.assert_array_equal(table["time"], grid["time"])
        assert table["mag"].shape == grid["mag"].shape
        assert table["mag"].unit == "mag"
        assert np.isfinite(table["mag"]).all()
    assert not np.array_equal(tables[0]["mag"], tables[1]["mag"])
    np.testing.assert_array_equal(with_prior.sample(2, at=X[5])[1]["time"], X[5]["time"])
    assert [len(t) for t in with_prior.sample(3, at=X[:3])] == [len(t) for t in X[:3]]
    with pytest.raises(ValueError, match="at holds 3 objects but n_objects=2"):
        with_prior.sample(2, at=X[:3])
    with pytest.raises(ValueError, match="output='z': choose one of 'tables', 'arrays', 'bottlenecks'"):
        with_prior.sample(2, output="z")


def test_samples_are_numbered_and_seeded(with_prior):
    few, many = (with_prior.sample(n, output="bottlenecks") for n in (2, 5))
    np.testing.assert_allclose(few, many[:2], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(with_prior.sample(2, output="bottlenecks"), few)
    assert not np.allclose(with_prior.sample(2, random_state=1, output="bottlenecks"), few)
    one, other = (with_prior.sample(2, random_state=1, output="arrays") for _ in range(2))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("n_objects", [0, 1.5, "3"])
def test_a_wrong_number_is_refused(with_prior, n_objects):
    with pytest.raises(ValueError, match="n_objects"):
        with_prior.sample(n_objects)


def test_too_few_objects_for_a_prior_are_refused(fitted, X):
    with pytest.raises(ValueError, match="9 objects; at least 10"):
        copy.deepcopy(fitted).fit_prior(X[:9])


def test_fitting_the_prior_leaves_encoder_generators_and_inputs_alone(fitted, X):
    estimator = copy.deepcopy(fitted)
    before, state = estimator.transform(X), torch.get_rng_state()
    assert estimator.fit_prior(X, max_iter=5) is estimator
    np.testing.assert_array_equal(estimator.transform(X), before)
    assert torch.equal(torch.get_rng_state(), state)
    assert estimator.prior_history_[-1]["iteration"] == 5


def test_the_prior_goes_into_pickles_and_files(with_prior, tmp_path):
    expected = with_prior.sample(2, output="bottlenecks")
    with_prior.save(tmp_path / "model")
    for copied in (pickle.loads(pickle.dumps(with_prior)), skdaep.load(tmp_path / "model")):
        np.testing.assert_array_equal(copied.sample(2, output="bottlenecks"), expected)


def test_another_fit_forgets_the_prior(make, X):
    estimator = make().fit(X).fit_prior(X, max_iter=2)
    estimator.fit(X)
    assert not hasattr(estimator, "_prior")
    assert not hasattr(estimator, "prior_history_")
