"""The law of what the point estimate leaves over, from residuals drawn of a known one."""

import numpy as np
import pytest

from skdaep.diffusion.scatter import Scatter


def residuals(n_objects=400, n_points=40, *, a=0.5, c=0.8, tau=0.0, with_errors=True, seed=0):
    rng = np.random.default_rng(seed)
    error = [rng.uniform(0.1, 1.0, n_points) if with_errors else np.full(n_points, np.nan) for _ in range(n_objects)]
    spread = [np.full(n_points, 0.7) for _ in range(n_objects)]
    level = a * np.exp(tau * rng.normal(size=n_objects))
    measured = [c * np.nan_to_num(e) * rng.normal(size=n_points) for e in error]
    residual = [k * s * rng.normal(size=n_points) + m for k, s, m in zip(level, spread, measured, strict=True)]
    return residual, spread, error


@pytest.mark.parametrize("law", [{"a": 0.5, "c": 0.8}, {"a": 1.0, "c": 0.2, "tau": 0.5}, {"a": 0.2, "c": 1.0}])
def test_finds_the_law_that_residuals_were_drawn_of(law):
    found = Scatter.of(*residuals(**law), typical_error=0.5)
    assert found.spread == pytest.approx(law["a"], rel=0.1)
    assert found.error == pytest.approx(law["c"], rel=0.1)
    assert found.level == pytest.approx(law.get("tau", 0.0), abs=0.2)


def test_without_errors_all_is_spread():
    found = Scatter.of(*residuals(with_errors=False), typical_error=None)
    assert found.error == 0
    assert found.spread == pytest.approx(0.5, rel=0.05)


def test_an_unknown_error_is_the_typical_one():
    law = Scatter(error=0.5, typical_error=0.4)
    np.testing.assert_allclose(law.errors(np.array([0.2, np.nan, np.inf])), [0.1, 0.2, 0.2])


def test_an_object_counts_once_however_many_points_it_has():
    quiet, noisy = residuals(100, 400, a=0.2, with_errors=False), residuals(100, 40, a=1.0, with_errors=False, seed=1)
    many = Scatter.of(*(x + y for x, y in zip(quiet, noisy, strict=True)))
    few = Scatter.of(*([p[:40] for p in x] + y for x, y in zip(quiet, noisy, strict=True)))
    assert many.spread == pytest.approx(few.spread, rel=0.1)
    assert many.level == pytest.approx(few.level, rel=0.15)
    assert many.level > 0.4


@pytest.mark.parametrize("bad", [{"spread": -1.0}, {"error": np.nan}, {"level": np.inf}])
def test_refuses_what_is_no_law(bad):
    with pytest.raises(ValueError, match="no scatter"):
        Scatter(**bad)


def test_too_few_points_tell_nothing():
    assert not Scatter.of(*residuals(2, 5)).is_known


@pytest.mark.parametrize(("truth", "least"), [(1.6, 1.6), (0.7, 1.0)])
def test_finds_how_much_of_what_is_open_of_codes_residuals_hold_but_at_least_all(truth, least):
    residual, spread, error = residuals(a=0.4, c=0.5)
    rng = np.random.default_rng(1)
    of_code = [np.full(40, rng.choice([0.0, 2.0])) for _ in residual]  # half of the objects were hardly seen
    residual = [r + truth * d * rng.normal(size=40) for r, d in zip(residual, of_code, strict=True)]
    found = Scatter.of(residual, spread, error, typical_error=0.5, of_code=of_code)
    assert found.code == pytest.approx(least, rel=0.1)
    if truth == least:
        assert (found.spread, found.error) == pytest.approx((0.4, 0.5), rel=0.1)
        assert found.level < 0.2


def test_where_nothing_is_open_of_codes_it_counts_as_it_is():
    residual, spread, error = residuals()
    nothing = [np.zeros(40)] * len(residual)
    assert Scatter.of(residual, spread, error, 0.5, nothing) == Scatter.of(residual, spread, error, 0.5)
    assert Scatter.of(residual, spread, error, 0.5).code == 1
