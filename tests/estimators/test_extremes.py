"""Values that float32 cannot hold, and objects too long to be looked at as a whole."""

import copy
import re

import numpy as np
import pytest

import skdaep
from skdaep.exceptions import TableError
from skdaep.model import correlation, fitting

ESTIMATORS = ("DAEPEncoder", "MAEPEncoder", "BetaVAEEncoder", "FunctionalPCA")
FACTORS = [1e44, 1e-50, 1e120, 1e-140]
SHORT = dict(model_dim=8, n_heads=2, n_encoder_layers=1, n_decoder_layers=1, max_iter=3, random_state=0, device="cpu")


def estimator_of(kind, modality):
    return kind(modality, **{k: v for k, v in SHORT.items() if k in kind().get_params()})


def arrays(n_axes):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(12, 8, 8)).cumsum(1)
    return (x.reshape(12, 64), None) if n_axes == 2 else (x, skdaep.Image(patch_size=4))


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("n_axes", [2, 3])
def test_a_factor_beyond_float32_comes_out_as_it_went_in(estimator_class, n_axes, factor):
    X, modality = arrays(n_axes)
    plain = estimator_of(estimator_class, modality).fit(X)
    scaled = estimator_of(estimator_class, modality).fit(factor * X)
    np.testing.assert_allclose(scaled.transform(factor * X), plain.transform(X), rtol=1e-4, atol=1e-5)
    rebuilt = scaled.reconstruct(factor * X)
    assert rebuilt.dtype == np.float64
    assert plain.reconstruct(X).dtype == np.float32
    np.testing.assert_allclose(rebuilt / factor, plain.reconstruct(X), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("n_axes", [2, 3])
def test_a_spread_that_float32_cannot_resolve_comes_out_too(estimator_class, n_axes):
    """A million and something: of float32 a sixteenth of the something would be left."""
    X, modality = arrays(n_axes)
    rebuilt = estimator_of(estimator_class, modality).fit(1e6 + 0.1 * X).reconstruct(1e6 + 0.1 * X)
    plain = estimator_of(estimator_class, modality).fit(X).reconstruct(X)
    np.testing.assert_allclose((rebuilt - 1e6) / 0.1, plain, atol=3e-3)


@pytest.mark.parametrize("factor", [1e-200, 1e-300, 1e200, 1e300])
@pytest.mark.parametrize("n_axes", [2, 3])
def test_what_float64_cannot_scale_is_refused_or_comes_out(estimator_class, n_axes, factor):
    X, modality = arrays(n_axes)
    estimator = estimator_of(estimator_class, modality)
    try:
        estimator.fit(factor * X)
    except TableError as error:
        refused = str(error)
    else:
        refused = None
    if refused:
        assert re.search(r"only varies by \S+|is as large as", refused), "it is the unit, and no single value"
        return
    plain = estimator_of(estimator_class, modality).fit(X)
    np.testing.assert_allclose(estimator.reconstruct(factor * X) / factor, plain.reconstruct(X), rtol=1e-4, atol=1e-4)


# --- long objects -----------------------------------------------------------------------------------


def test_objects_held_out_count_with_a_bounded_number_of_points(make, X, monkeypatch):
    if not hasattr(make(), "max_points"):
        pytest.skip("looks at all points")
    monkeypatch.setattr(fitting, "TOKENS_PER_PASS", 5)
    monkeypatch.setattr(correlation, "TOKENS_PER_PASS", 5)
    seen, learn = [], correlation.take

    def taking(measurements, rows):
        seen.extend(ragged.lengths.max().item() for ragged in measurements.values())
        return learn(measurements, rows)

    monkeypatch.setattr(correlation, "take", taking)
    init = fitting.Validation.__init__

    def noting(self, *arguments):
        init(self, *arguments)
        seen.extend(batch.lengths.max().item() for batches in self.batches() for batch in batches.values())

    monkeypatch.setattr(fitting.Validation, "__init__", noting)
    make(max_points=None).fit(X)
    assert max(len(x) for x in X) > 5
    assert seen
    assert max(seen) <= 5


# --- a prior ----------------------------------------------------------------------------------------


def test_a_prior_interrupted_at_its_end_leaves_the_one_before(make, X, monkeypatch):
    estimator = make().fit(X).fit_prior(X, max_iter=2)
    before = copy.deepcopy((estimator.model_.prior, estimator.prior_history_))

    def interrupted(module):
        raise KeyboardInterrupt

    monkeypatch.setattr("skdaep.model.model.arrays_of", interrupted)
    with pytest.raises(KeyboardInterrupt):
        estimator.fit_prior(X, max_iter=4)
    assert estimator.prior_history_ == before[1]
    for name, array in before[0].items():
        np.testing.assert_array_equal(estimator.model_.prior[name], array)
