"""Conformal intervals of predicted labels: they cover as the closed form says, whatever the quantiles are worth."""

from types import SimpleNamespace

import numpy as np
import pytest
from astropy import units as u
from scipy.stats import norm

from skdaep import ConformalRegressor
from skdaep.model.targets import Targets

LEVELS = np.array([0.1, 0.25, 0.5, 0.75, 0.9])


class Predictor:
    """Predicts normal quantiles of the spread that an object states, times a factor: wrong if that is not 1."""

    quantiles_ = LEVELS

    def __init__(self, factor=1.0, n=1, **about):
        self.factor, self.n = factor, n
        targets = Targets("numbers", units=(None,) * n, origin=(0.0,) * n, scale=(1.0,) * n, flat=n == 1)
        self.model_ = SimpleNamespace(targets=targets)

    def predict_quantiles(self, X):
        found = self.factor * np.asarray(X)[:, None] * norm.ppf(LEVELS)
        return found if self.n == 1 else np.stack([found] * self.n, 1)


def draw(rng, n):
    """Return spreads of objects, which differ tenfold, and labels of those spreads."""
    spread = 10 ** rng.uniform(-0.5, 0.5, n)
    return spread, spread * rng.standard_normal(n)


@pytest.mark.parametrize(("n", "expected"), [(5, 5 / 6), (9, 0.8), (19, 0.8)])
@pytest.mark.parametrize("factor", [0.3, 1.0, 3.0])
def test_mean_coverage_is_the_closed_form(n, expected, factor):
    """The published code takes the plain quantile, and covers 0.71 to 0.77."""
    rng, covered = np.random.default_rng(0), []
    calibrated = ConformalRegressor(Predictor(factor), level=0.8)
    for _ in range(300):
        X, y = draw(rng, 200)
        low, high = calibrated.fit(*draw(rng, n)).predict_interval(X)
        covered.append(np.mean((low <= y) & (y <= high)))
    error = np.std(covered) / len(covered) ** 0.5
    assert abs(np.mean(covered) - expected) < 4 * error
    assert error < 0.01


def test_the_shift_is_an_order_statistic():
    X, y = draw(np.random.default_rng(1), 30)
    quantiles = Predictor().predict_quantiles(X)
    scores = np.sort(np.maximum(quantiles[:, 0] - y, y - quantiles[:, -1]))
    calibrated = ConformalRegressor(Predictor(), level=0.8).fit(X, y)
    assert calibrated.shift_[0] == scores[int(np.ceil(31 * 0.8)) - 1]
    half = ConformalRegressor(Predictor(), level=0.5).fit(X, y)
    scores = np.sort(np.maximum(quantiles[:, 1] - y, y - quantiles[:, 3]))
    assert half.shift_[0] == scores[int(np.ceil(31 * 0.5)) - 1]


def test_an_unknown_label_changes_nothing():
    """In the published code one makes every interval NaN."""
    X, y = draw(np.random.default_rng(2), 20)
    expected = ConformalRegressor(Predictor()).fit(X, y)
    calibrated = ConformalRegressor(Predictor()).fit(np.append(X, 1.0), np.append(y, np.nan))
    assert calibrated.shift_ == expected.shift_
    assert calibrated.n_objects_ == [20]


def test_a_group_weighs_as_an_object():
    X, y = draw(np.random.default_rng(3), 12)
    expected = ConformalRegressor(Predictor()).fit(X, y)
    twice = ConformalRegressor(Predictor()).fit(np.tile(X, 2), np.tile(y, 2), groups=np.tile(np.arange(12), 2))
    assert twice.shift_ == expected.shift_
    assert twice.n_objects_ == [12]


def test_targets_are_calibrated_apart_and_units_converted():
    X, y = draw(np.random.default_rng(4), 20)
    both = ConformalRegressor(Predictor(n=2)).fit(X, np.stack([y, 5 * y], 1))
    assert both.shift_[0] == ConformalRegressor(Predictor()).fit(X, y).shift_[0]
    assert both.shift_[1] == ConformalRegressor(Predictor()).fit(X, 5 * y).shift_[0]
    low, high = both.predict_interval(X)
    assert low.shape == high.shape == (20, 2)
    days = Predictor()
    days.model_.targets = Targets("numbers", "quantity", units=("d",), origin=(0.0,), scale=(1.0,))
    in_hours = ConformalRegressor(days).fit(X, (y * u.day).to(u.hour))
    assert in_hours.shift_[0] == pytest.approx(both.shift_[0])
    assert in_hours.predict_interval(X).low.unit == u.day


def test_quantiles_that_are_far_too_wide_leave_no_negative_interval():
    X, y = draw(np.random.default_rng(5), 20)
    low, high = ConformalRegressor(Predictor(100.0)).fit(X, 1e-9 * y).predict_interval(X)
    assert (low <= high).all()


@pytest.mark.parametrize(("level", "n", "needed"), [(0.8, 3, 4), (0.9, 8, 9), (0.95, 18, 19)])
def test_too_few_for_the_level_are_refused(level, n, needed):
    X, y = draw(np.random.default_rng(6), needed)
    calibrated = ConformalRegressor(Predictor(), level=level)
    with pytest.raises(ValueError, match=rf"{n} calibration objects .* needs at least {needed}"):
        calibrated.fit(X[:n], y[:n])
    assert np.isfinite(calibrated.fit(X, y).shift_).all()
    with pytest.raises(ValueError, match="level"):
        ConformalRegressor(Predictor(), level=1.0).fit(X, y)
    with pytest.raises(ValueError, match="columns"):
        ConformalRegressor(Predictor()).fit(X, np.stack([y, y], 1))
