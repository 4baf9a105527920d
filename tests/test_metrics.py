"""Metrics against closed forms and other libraries."""

import numpy as np
import pytest
from astropy import units as u
from astropy.nddata import NDData
from astropy.table import MaskedColumn, QTable, Table
from scipy.stats import binom, bootstrap, kstest, norm
from sklearn.dummy import DummyClassifier

from skdaep.exceptions import TableError
from skdaep.metrics import (
    coverage,
    coverage_by,
    linear_probe,
    object_errors,
    probability_integral_transform,
    residuals_by_location,
)


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


def test_points_decoded_to_nothing_are_told_of():
    with pytest.warns(UserWarning, match=r"reconstructed\[1\] is NaN at 2 of 3 observed points of X\[1\]"):
        errors = object_errors(
            np.array([[1.0, 2.0, np.nan], [1.0, 2.0, 3.0]]), np.array([[1.0] * 3, [1.5] + [np.nan] * 2])
        )
    assert errors.tolist() == [0.5, 0.5]


def test_an_object_without_an_observed_point_has_no_error():
    X = np.array([[1.0, 2.0], [np.nan, np.nan]])
    np.testing.assert_array_equal(object_errors(X, np.zeros((2, 2))), [1.5, np.nan])


def test_objects_of_several_modalities_are_refused_with_a_way_out():
    X = [{"spectrum": spectrum([1.0, 2.0]), "light curve": None}] * 3
    draws = [np.zeros((2, 5))] * 3
    for call in (object_errors, residuals_by_location, coverage, coverage_by, probability_integral_transform):
        with pytest.raises(TableError, match=r"X\[0\] is not a Table but a dict.*\[x\['spectrum'\] for x in X\]"):
            call(X, draws)
    with pytest.raises(TableError, match=r"reconstructed\[0\] is not a Table but a dict"):
        object_errors([spectrum([1.0, 2.0])] * 3, X)
    with pytest.raises(TableError, match="X is a single Table"):
        object_errors(spectrum([1.0, 2.0]), [np.zeros(2)] * 2)
    with pytest.raises(TableError, match="Z holds objects, not features"):
        linear_probe(X, ["a", "b", "a"])


@pytest.mark.parametrize("kind", [Table, QTable])
def test_reconstruction_in_another_unit_is_converted(kind):
    X = [spectrum([1.0, 2.0], "Jy")]
    rebuilt = kind({"wavelength": [0, 10] * u.AA, "flux": [1000.0, 3000.0] * u.mJy})
    np.testing.assert_allclose(object_errors(X, [rebuilt]), [0.5])
    np.testing.assert_allclose(object_errors([spectrum([1.0, 2.0])], [rebuilt]), [1998.5])  # taken to be in its units


def test_images_have_errors_too():
    images = np.zeros((3, 4, 4))
    np.testing.assert_allclose(object_errors(images, images + 2), [2, 2, 2])
    other = images + np.where(np.arange(4) == 0, 9.0, 2.0)
    hidden = np.broadcast_to(np.arange(4) == 0, images.shape)
    np.testing.assert_allclose(object_errors(np.ma.array(images, mask=hidden), other), [2, 2, 2])
    np.testing.assert_allclose(object_errors([NDData(images[0], mask=hidden[0])], other[:1]), [2])


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


@pytest.mark.parametrize(("unit", "of_residuals"), [("mJy", u.mJy), ("mag(AB)", u.mag)])
def test_residuals_have_the_unit_of_the_values_without_a_zero_point(unit, of_residuals):
    out = residuals_by_location([spectrum([20.0, 21.0, 25.0], unit)], [np.full(3, 20.0)], bins=1)
    assert out["median"].unit == out["low"].unit == out["high"].unit == of_residuals
    np.testing.assert_allclose(out["median"].value, 1)


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


@pytest.mark.parametrize(("n_draws", "expected"), [(10, 0.76), (20, 0.82), (50, 0.87)])
def test_few_perfect_draws_cover_what_the_docstring_says(n_draws, expected):
    rng = np.random.default_rng(0)
    X, draws = rng.normal(size=(100, 400)), rng.normal(size=(100, 400, n_draws))
    assert coverage(X, draws, level=0.9).coverage.mean() == pytest.approx(expected, abs=0.01)


def test_draws_without_their_axis_are_refused():
    with pytest.raises(TableError, match="draws are expected"):
        coverage([spectrum([1, 2])], [np.zeros(2)])


def test_draws_in_tables_are_read(fitted, X, has_draws):
    result = coverage(X, fitted.reconstruct(X, n_draws=5))
    assert result.coverage.shape == result.width.shape == (len(X),)
    assert ((0 <= result.coverage) & (result.coverage <= 1)).all()
    assert (result.width > 0).all()


# --- coverage in bins -------------------------------------------------------------------------------

GRID = norm.ppf((np.arange(100) + 0.5) / 100)  # a hundred draws that are the normal law itself


def described(X, **meta):
    """Return rows as spectra; each key of `meta` has one entry per object."""
    tables = [spectrum(row, "Jy") for row in X]
    for i, table in enumerate(tables):
        table.meta.update({key: entries[i] for key, entries in meta.items()})
    return tables


def test_coverage_and_width_by_location_are_those_of_the_normal_law():
    spread = np.repeat([0.5, 1.0, 2.0], 10)
    X, draws = (
        described(np.random.default_rng(0).normal(size=(200, 30))),
        list(spread[:, None] * np.tile(GRID, (200, 30, 1))),
    )
    out = coverage_by(X, draws, bins=[0, 95, 195, 290], level=0.8, n_resamples=200)
    half = np.array([0.5, 1, 2]) * np.quantile(GRID, 0.9)
    assert out.colnames == ["location", "coverage", "coverage_low", "coverage_high", "width", "n_points", "n_objects"]
    np.testing.assert_allclose(out["location"].to_value(u.AA), [47.5, 145, 242.5])
    np.testing.assert_allclose(out["width"].to_value(u.Jy), 2 * half)
    assert ((out["coverage_low"] < 2 * norm.cdf(half) - 1) & (2 * norm.cdf(half) - 1 < out["coverage_high"])).all()
    # points of an object are independent here, so that the bootstrap must find the binomial error of 2,000 points
    error = np.diff(binom.interval(0.95, 2000, 2 * norm.cdf(half) - 1), axis=0)[0] / 2000
    np.testing.assert_allclose(out["coverage_high"] - out["coverage_low"], error, rtol=0.25)
    assert out["n_points"].tolist() == [2000] * 3
    assert out["n_objects"].tolist() == [200] * 3


def test_one_bin_is_the_mean_over_objects_of_coverage():
    rng = np.random.default_rng(0)
    X = [spectrum(rng.normal(size=n)) for n in (3, 30, 7)]
    draws = [np.tile(GRID, (len(x), 1)) for x in X]
    out, each = coverage_by(X, draws, bins=1), coverage(X, draws)
    np.testing.assert_allclose([out["coverage"][0], out["width"][0]], [each.coverage.mean(), each.width.mean()])


def test_the_width_of_magnitudes_has_no_zero_point():
    out = coverage_by([spectrum([20.0, 21.0], "mag(AB)")], [np.tile(GRID, (2, 1))], bins=1)
    assert out["width"].unit == u.mag


def test_objects_count_and_not_their_points_and_groups_count_as_objects_do():
    X = [np.zeros(1000), np.full(10, 9.0), np.full(2, 9.0)]
    draws = [np.tile(GRID, (len(x), 1)) for x in X]
    assert coverage_by(X, draws, bins=1)["coverage"][0] == pytest.approx(1 / 3)
    assert coverage_by(X, draws, bins=1, groups=["b", "a", "b"])["coverage"][0] == pytest.approx(1 / 4)
    assert coverage_by(X, draws, bins=1, groups=["b", "a", "a"])["coverage"][0] == pytest.approx(1 / 2)


def test_in_a_bin_a_group_is_the_mean_of_those_of_its_objects_that_have_points_there():
    X = np.array([[0.0, 0.0], [9.0, np.nan], [9.0, 9.0]])
    out = coverage_by(X, np.tile(GRID, (3, 2, 1)), bins=[0, 0.5, 1], groups=["a", "a", "b"])
    np.testing.assert_allclose(out["coverage"], [1 / 4, 1 / 2])
    assert out["n_objects"].tolist() == [3, 2]


def test_the_bootstrap_is_that_of_scipy_on_the_shares_of_objects():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 6)) + 2 * rng.normal(size=(40, 1))
    draws = np.tile(GRID, (40, 6, 1))
    out = coverage_by(X, draws, bins=1, n_resamples=4000)
    share = coverage(X, draws).coverage
    low, high = bootstrap((share,), np.mean, method="percentile", n_resamples=4000, random_state=1).confidence_interval
    np.testing.assert_allclose([out["coverage_low"][0], out["coverage_high"][0]], [low, high], atol=0.01)


def test_copies_of_an_object_in_its_group_change_nothing():
    rng = np.random.default_rng(0)
    X, draws = rng.normal(size=(20, 6)), np.tile(GRID, (20, 6, 1))
    once = coverage_by(X, draws, bins=2)
    thrice = coverage_by(np.tile(X, (3, 1)), np.tile(draws, (3, 1, 1)), bins=2, groups=np.tile(np.arange(20), 3))
    for name in ("coverage", "coverage_low", "coverage_high", "width"):
        np.testing.assert_allclose(once[name], thrice[name])
    alone = coverage_by(np.tile(X, (3, 1)), np.tile(draws, (3, 1, 1)), bins=2)
    assert (alone["coverage_high"] - alone["coverage_low"] < thrice["coverage_high"] - thrice["coverage_low"]).all()


@pytest.mark.parametrize("key", ["phase", "PHASE"])
def test_coverage_by_metadata_whatever_the_case_of_the_key(key):
    phase = np.linspace(-10, 10, 60)
    X = described(np.where(phase[:, None] < 0, 0.0, 9.0) * np.ones(5), **{key: phase})
    draws = np.tile(GRID, (60, 5, 1))
    for table in X[:20]:
        table["flux"][1:] = np.nan  # bins by number hold equally many objects, not points
    out = coverage_by(X, draws, by="phase", bins=2)
    np.testing.assert_allclose(out["phase"], [-5, 5])
    assert out["coverage"].tolist() == [1, 0]
    assert out["n_objects"].tolist() == [30, 30]
    X[0].meta[key] = np.nan
    assert coverage_by(X, draws, by="phase", bins=[-10, 0])["n_objects"].tolist() == [29]


def test_coverage_by_label_by_band_and_by_what_is_given():
    kind = np.array(["Ia", "II", "Ia", None])  # of the last it is not known
    X, draws = np.where(kind == "Ia", 0.0, 9.0)[:, None] * np.ones(4), np.tile(GRID, (4, 4, 1))
    tables = described(X, survey=kind)
    for out in (coverage_by(tables, draws, by="survey"), coverage_by(X, draws, by=kind)):
        assert out[out.colnames[0]].tolist() == ["II", "Ia"]
        assert out["coverage"].tolist() == [0, 1]
        assert np.isnan(out["coverage_low"]).tolist() == [True, False]  # one object says nothing of others
    for table in tables:
        table["band"] = ["g", "r", "r", "r"]
        table["flux"][0] = 0
    out = coverage_by(tables, draws, by="band")
    assert out["band"].tolist() == ["g", "r"]
    np.testing.assert_allclose(out["coverage"], [1, 1 / 2])


def test_of_several_keys_every_combination_of_bins_is_one():
    """Each is what its objects, or points, give alone."""
    rng, kind = np.random.default_rng(0), np.array(["Ia", "II"] * 20)
    tables = described(rng.normal(size=(40, 6)) * np.where(kind == "Ia", 1, 3)[:, None], survey=kind)
    draws = np.tile(GRID, (40, 6, 1))
    edges = [0, 25, 50]
    out = coverage_by(tables, draws, by=("survey", "location"), bins={"survey": 5, "location": edges})
    assert out["survey"].tolist() == ["II", "II", "Ia", "Ia"]
    np.testing.assert_allclose(out["location"].to_value(u.AA), [12.5, 37.5] * 2)
    for i, name in enumerate(("II", "Ia")):
        own = np.flatnonzero(kind == name)
        alone = coverage_by([tables[j] for j in own], draws[own], bins=edges)
        for column in ("coverage", "width", "n_points", "n_objects"):
            np.testing.assert_allclose(u.Quantity(out[column])[2 * i : 2 * i + 2], u.Quantity(alone[column]))
    with pytest.raises(ValueError, match="bins has survey, but by has survey, location"):
        coverage_by(tables, draws, by=("survey", "location"), bins={"survey": 5})


def test_points_not_observed_or_beyond_the_edges_do_not_count_and_empty_bins_are_nan():
    X = np.array([[0.0, np.nan, 9.0, 9.0], [0.0, 0.0, 9.0, np.nan]])
    out = coverage_by(X, np.tile(GRID, (2, 4, 1)), bins=[-9, -5, 1.5, 2])
    np.testing.assert_array_equal(out["coverage"], [np.nan, 1, 0])
    assert out["n_points"].tolist() == [0, 3, 2]
    on_the_edge = coverage_by(X, np.tile(GRID, (2, 4, 1)), bins=[0, 1, 3])  # goes with those above
    assert on_the_edge["n_points"].tolist() == [2, 4]
    assert np.isnan(coverage(np.full((1, 2), np.nan), np.zeros((1, 2, 3)))).all()


def test_what_cannot_be_sorted_into_bins_is_refused():
    X, draws = described(np.zeros((3, 4))), np.tile(GRID, (3, 4, 1))
    with pytest.raises(TableError, match="No object has 'phase'"):
        coverage_by(X, draws, by="phase")
    with pytest.raises(TableError, match=r"X\[0\] is an array, which has no 'phase'"):
        coverage_by(np.zeros((3, 4)), draws, by="phase")
    with pytest.raises(ValueError, match="inconsistent"):
        coverage_by(X, draws, by=[1, 2])
    with pytest.raises(ValueError, match="groups has 2 entries"):
        coverage_by(X, draws, groups=[1, 2])
    with pytest.raises(ValueError, match="increasing"):
        coverage_by(X, draws, bins=[3, 1])
    with pytest.raises(ValueError, match="0 objects"):
        coverage_by([], [])


# --- ranks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_draws", [1, 4, 50])
def test_ranks_of_calibrated_draws_are_uniform_whatever_their_number(n_draws):
    rng = np.random.default_rng(0)
    centre = rng.normal(size=(40, 50))
    X, draws = centre + rng.normal(size=(40, 50)), centre[..., None] + rng.normal(size=(40, 50, n_draws))
    assert kstest(np.ravel(probability_integral_transform(X, draws)), "uniform").pvalue > 0.01


def test_ranks_are_uniform_where_measurements_repeat():
    rng = np.random.default_rng(0)
    X, draws = rng.poisson(1, size=(40, 50)), rng.poisson(1, size=(40, 50, 9))
    assert kstest(np.ravel(probability_integral_transform(X, draws)), "uniform").pvalue > 0.01


@pytest.mark.parametrize(("spread", "shift"), [(0.5, 0.0), (2.0, 0.0), (1.0, 0.5)])
def test_ranks_of_normal_draws_have_the_law_of_their_spread_and_shift(spread, shift):
    X = np.random.default_rng(0).normal(size=(40, 50))
    ranks = np.ravel(probability_integral_transform(X, np.broadcast_to(shift + spread * GRID, (40, 50, 100))))
    expected = norm.cdf(shift + spread * norm.ppf(np.linspace(0.1, 0.9, 9)))
    np.testing.assert_allclose([np.mean(ranks <= q) for q in np.linspace(0.1, 0.9, 9)], expected, atol=0.04)


def test_ranks_have_the_shape_of_the_values_and_are_nan_where_not_observed():
    table = spectrum([-9.0, 9.0, np.nan])
    (ranks,) = probability_integral_transform([table], [np.tile(GRID, (3, 1))])
    assert 0 <= ranks[0] <= 1 / 101
    assert 100 / 101 <= ranks[1] <= 1
    assert np.isnan(ranks[2])
    again, other = (probability_integral_transform([table], [np.tile(GRID, (3, 1))], random_state=s)[0] for s in (0, 1))
    assert again[0] == ranks[0] != other[0]


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
