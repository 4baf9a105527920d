"""Fits that do not come to their end, and what is left then."""

import numpy as np
import pytest

from skdaep.exceptions import InterruptedTrainingWarning, TableError


def test_a_fit_that_fails_leaves_the_one_before(make, X):
    encoder = make().fit(X)
    before, Z = dict(vars(encoder)), encoder.transform(X[:3])
    X[3]["mag"][:] = np.inf
    with pytest.raises(ValueError, match=r"X\[3\]"):
        encoder.fit(X)
    assert vars(encoder) == before
    np.testing.assert_array_equal(encoder.transform(X[:3]), Z)


def test_a_first_fit_that_fails_leaves_an_unfitted_estimator(make, X):
    encoder = make()
    with pytest.raises(TableError, match=r"X\[12\]"):
        encoder.fit([*X, 3])
    assert [k for k in vars(encoder) if k.endswith("_")] == []


def test_interrupted_after_training_the_model_is_kept(make, X, monkeypatch):
    whole = make().fit(X)

    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("skdaep.model.model.learn_noise", interrupt)
    with pytest.warns(InterruptedTrainingWarning, match="white noise"):
        encoder = make().fit(X)
    np.testing.assert_array_equal(encoder.transform(X), whole.transform(X))
    assert all(correlation.white == 1 for correlation in encoder.noise_correlation_.values())
