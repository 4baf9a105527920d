"""Metrics against closed forms and other libraries."""

import numpy as np
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, QTable, Table
from sklearn.dummy import DummyClassifier

from skdaep.exceptions import TableError
from skdaep.metrics import coverage, linear_probe, object_errors, residuals_by_location


def spectrum(flux, unit=None):
    table = Table({"wavelength": np.arange(len(flux)) * 10.0 * u.AA, "flux": np.asarray(flux, float)})
    table["flux"].unit = unit
    return table


# --- errors -----------------------------------------------------------------------------------------


def test_error_of_an_object_is_the_mean_absolute_difference_over_scale():
    X, rebuilt = [spectrum([1, 2, 3]), spectrum([0.0])], [spectrum([1, 0, 4]), spectrum([5.0])]
    np.testing.assert_allclose(object_errors(X, rebuilt), [1, 5])
    np.testing.assert_allclose(object_errors(X, rebuilt, scale=2), [0.5, 2.5])
    np.testing.assert_allclose(object_errors(X, [np.array([1, 0, 4.0]), np.array([5.0])]), [1, 5])


def test_points_not_observed_do_not_count():
    table = spectrum([1, 2, 3])
    table["flux"] = MaskedColumn([1.0, 2.0, 99.0], mask=[False, False, True])
    np.testing.assert_allclose(object_errors([table], [np.array([2.0, 2.0, 0.0])]), [0.5])
    np.testing.assert_allclose(object_errors(np.array([[1.0, np.nan]]), np.array([[2.0, 5.0]])), [1])


def test_reconstruction_in_another_unit_is_converted():
    X = [spectrum([1.0, 2.0], "Jy")]
    rebuilt = QTable({"wavelength": [0, 10] * u.AA, "flux": [1000.0, 3000.0] * u.mJy})
    np.testing.assert_allclose(object_errors(X, [rebuilt]), [0.5])


def test_images_have_errors_too():
    images = np.zeros((3, 4, 4))
    np.testing.assert_allclose(object_errors(images, images + 2), [2, 2, 2])


def test_score_is_the_error_in_scaled_units(fitted, X):
    scale = fitted.modalities_["sequence"].learned.value.scale
    assert -np.mean(object_errors(X, fitted.reconstruct(X), scale=scale)) == pytest.approx(fitted.score(X), rel=1e-5)


@pytest.mark.parametrize("rebuilt", [np.zeros((1, 2)), [np.zeros((3, 2))]])
def test_other_shape_is_refused_by_index(rebuilt):
    with pytest.raises(TableError, match=r"reconstructed\[0\]"):
        object_errors([spectrum([1, 2, 3])], rebuilt)


def test_other_number_of_objects_is_refused():
    with pytest.raises(ValueError, match="inconsistent"):
        object_errors([spectrum([1, 2, 3])], [])


# --- residuals --------------------------------------------------------------------------------------


def test_residuals_by_location_are_the_quantiles_of_each_bin():
    rng = np.random.default_rng(0)
    X = [spectrum(np.r_[rng.normal(0, 1, 50), rng.normal(3, 0.1, 50)]) for _ in range(200)]
    out = residuals_by_location(X, [np.zeros(100) for _ in X], bins=[0, 495, 1000])
    assert out["location"].unit == u.AA
    np.testing.assert_allclose(out["location"].value, [247.5, 747.5])
    np.testing.assert_allclose(out["median"], [0, 3], atol=0.05)
    np.testing.assert_allclose(out["high"] - out["low"], [2 * 0.9945, 2 * 0.09945], rtol=0.05)
    assert out["n_points"].tolist() == [10000, 10000]


def test_bins_by_number_hold_equally_many_points():
    X = [spectrum(np.zeros(97)), spectrum(np.zeros(31))]
    out = residuals_by_location(X, X, bins=4)
    assert out["n_points"].sum() == 128
    assert np.ptp(out["n_points"]) <= 4


def test_points_outside_the_edges_are_left_out_and_empty_bins_are_nan():
    out = residuals_by_location([spectrum(np.zeros(10))], [np.zeros(10)], bins=[-50, -20, 35])
    assert out["n_points"].tolist() == [0, 4]
    assert np.isnan(out["median"][0])


# --- coverage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.5, 0.9])
@pytest.mark.parametrize("spread", [0.5, 1.0, 2.0])
def test_coverage_and_width_of_normal_draws_are_those_of_the_normal_law(level, spread):
    from scipy.stats import norm

    rng = np.random.default_rng(0)
    X, draws = rng.normal(size=(20, 500)), spread * rng.normal(size=(20, 500, 400))
    result = coverage(X, draws, level=level)
    half = spread * norm.ppf(0.5 + level / 2)
    assert result.width.mean() == pytest.approx(2 * half, rel=0.03)
    assert result.coverage.mean() == pytest.approx(2 * norm.cdf(half) - 1, abs=0.02)


@pytest.mark.parametrize("level", [0, 1, -0.1, 90])
def test_a_level_that_is_no_share_is_refused(level):
    with pytest.raises(ValueError, match="level"):
        coverage(np.zeros((1, 2)), np.zeros((1, 2, 3)), level=level)


def test_draws_without_their_axis_are_refused():
    with pytest.raises(TableError, match="draws are expected"):
        coverage([spectrum([1, 2])], [np.zeros(2)])


def test_draws_in_tables_are_read(fitted, X, has_draws):
    result = coverage(X, fitted.reconstruct(X, n_draws=5))
    assert result.coverage.shape == result.width.shape == (len(X),)
    assert ((0 <= result.coverage) & (result.coverage <= 1)).all()
    assert (result.width > 0).all()


# --- probe ------------------------------------------------------------------------------------------


def test_probe_reads_separable_classes_and_nothing_from_noise():
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b"], 200)
    clear, noise = rng.normal(size=(400, 3)) + 20 * (y == "a")[:, None], rng.normal(size=(400, 3))
    assert linear_probe(clear, y) == (1, 0, 1, 0)
    blind = linear_probe(noise, y)
    assert blind.accuracy == pytest.approx(0.5, abs=0.05)
    assert blind.accuracy_sd > 0


def test_probe_of_the_commonest_class_has_its_share_and_a_low_f1():
    y = np.array(["a"] * 80 + ["b"] * 20)
    result = linear_probe(np.zeros((100, 1)), y, classifier=DummyClassifier())
    assert result.accuracy == pytest.approx(0.8)
    assert result.f1 == pytest.approx(0.5 * 2 * 0.8 / 1.8)


def test_probe_leaves_out_objects_of_unknown_class_and_repeats():
    rng = np.random.default_rng(0)
    y = np.array(["a", "b"] * 50 + [None] * 30 + [np.nan] * 5, object)
    Z = rng.normal(size=(135, 2))
    assert linear_probe(Z, y) == linear_probe(Z[:100], y[:100])
    assert linear_probe(Z * 1000 + 5, y).accuracy == pytest.approx(linear_probe(Z, y).accuracy, abs=1e-6)
    assert linear_probe(Z, y, random_state=1) != linear_probe(Z, y)
