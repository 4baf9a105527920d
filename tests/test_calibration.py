"""Calibrated draws against closed forms: normal draws that are too narrow or too wide by a known factor."""

import copy

import numpy as np
import pytest
from astropy import units as u
from astropy.table import QTable, Table
from scipy.stats import norm
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skdaep import ConformalDraws, TableError
from skdaep.metrics import coverage, coverage_by

GRID = norm.ppf((np.arange(100) + 0.5) / 100)  # a hundred draws that are the normal law itself


def normal(n, spread=1.0, seed=0, n_points=20):
    """Return n objects of standard normal points, and draws around 0 that are `spread` times as wide."""
    X = np.random.default_rng(seed).normal(size=(n, n_points))
    return X, np.broadcast_to(np.broadcast_to(spread, n_points)[:, None] * GRID, (n, n_points, 100))


def as_tables(values, kind=Table, unit=u.Jy, **meta):
    """Return rows of values, or of draws, as Tables; each key of `meta` has one entry per object, None for none."""
    out = []
    for i, row in enumerate(values):
        present = {key: entries[i] for key, entries in meta.items() if entries[i] is not None}
        out.append(kind({"wavelength": np.arange(len(row)) * 10.0 * u.AA, "flux": row * unit}, meta=present))
    return out


def half_width(level=0.9):
    return np.quantile(GRID, 0.5 + level / 2)


# --- one factor -------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.5, 0.9])
@pytest.mark.parametrize("spread", [0.4, 1.0, 3.0])
def test_the_factor_undoes_a_known_spread_and_new_objects_are_covered(level, spread):
    conformal = ConformalDraws(level).fit(*normal(400, spread))
    assert conformal.factor_ == pytest.approx(1 / spread, rel=0.05)
    X, draws = normal(400, spread, seed=1)
    # 8,000 points in the validation set and as many in the new one: four standard deviations of their difference
    bound = 4 * np.sqrt(2 * level * (1 - level) / X.size) + 2 / 401
    assert coverage(X, conformal.transform(draws), level=level).coverage.mean() == pytest.approx(level, abs=bound)
    if spread != 1:
        assert abs(coverage(X, draws, level=level).coverage.mean() - level) > 2 * bound


def test_transformed_draws_keep_their_median_and_their_interval_is_the_interval():
    conformal = ConformalDraws(0.8).fit(*normal(50, 0.4))
    draws = np.random.default_rng(5).gamma(2, size=(3, 7, 100))  # the two sides differ
    new, (low, high) = conformal.transform(draws), conformal.interval(draws)
    median = np.median(draws, -1, keepdims=True)
    np.testing.assert_allclose(new - median, conformal.factor_ * (draws - median))
    np.testing.assert_allclose([low, high], np.quantile(new, [0.1, 0.9], axis=-1))


def test_of_objects_of_one_point_the_factor_is_that_of_split_conformal():
    for n in (9, 10, 19, 37):
        X, draws = normal(n, n_points=1)
        scores = np.sort(np.abs(X).ravel() / half_width())
        assert ConformalDraws(0.9).fit(X, draws).factor_ == pytest.approx(scores[int(np.ceil(0.9 * (n + 1))) - 1])


def test_with_just_as_many_objects_as_are_needed_the_factor_is_the_largest_score():
    for level, n in ((0.5, 1), (0.75, 3), (0.9, 9), (0.95, 19)):
        for n_points in (1, 3, 6, 7, 11):  # thirds and sevenths do not add up to the level in floating point
            X, draws = normal(n, n_points=n_points)
            assert ConformalDraws(level).fit(X, draws).factor_ == pytest.approx(np.abs(X).max() / half_width(level))


def test_sides_have_their_own_half_width():
    draws = np.array([-1.0, -1, 0, 4, 4])  # at level 0.5 the interval is (-1, 4)
    X = np.array([[2.0], [-0.5], [2.0]])
    assert ConformalDraws(0.5).fit(X, np.broadcast_to(draws, (3, 1, 5))).factor_ == pytest.approx(0.5)
    assert ConformalDraws(0.5).fit(np.array([[-2.0]] * 3), np.broadcast_to(draws, (3, 1, 5))).factor_ == 2


@pytest.mark.parametrize("dependence", [0.0, 3.0])
def test_the_guarantee_holds_in_the_mean_for_few_objects_however_their_points_depend_on_each_other(dependence):
    rng, scale, n = np.random.default_rng(0), np.hypot(1, dependence), 12
    covered = []
    for _ in range(150):
        X = dependence * rng.normal(size=(n, 1)) + rng.normal(size=(n, 5))
        factor = ConformalDraws(0.9).fit(X, np.broadcast_to(GRID, (n, 5, 100))).factor_
        covered.append(2 * norm.cdf(factor * half_width() / scale) - 1)  # the law of a point of a new object
    error = np.std(covered) / np.sqrt(150)
    assert 0.9 - 3 * error <= np.mean(covered) <= 0.9 + 2 / (n + 1) + 3 * error


def test_a_greater_level_has_a_wider_interval_around_the_smaller():
    X, draws = normal(200, 0.4)
    lows, highs = zip(
        *(ConformalDraws(level).fit(X, draws).interval(draws[:2]) for level in (0.3, 0.6, 0.9)), strict=True
    )
    assert (np.diff(lows, axis=0) < 0).all()
    assert (np.diff(highs, axis=0) > 0).all()


# --- objects, not points, count ---------------------------------------------------------------------


def uneven(rng, n=12):
    sizes = rng.integers(1, 9, n)
    return [rng.normal(size=m) for m in sizes], [np.broadcast_to(GRID, (m, 100)) for m in sizes]


def test_objects_weigh_alike_whatever_their_number_of_points():
    X, draws = uneven(np.random.default_rng(0))
    before = ConformalDraws(0.7).fit(X, draws).factor_
    X[3], draws[3] = np.tile(X[3], 50), np.tile(draws[3], (50, 1))
    assert ConformalDraws(0.7).fit(X, draws).factor_ == before
    assert ConformalDraws(0.7).fit(X + [X[3]] * 20, draws + [draws[3]] * 20).factor_ != before


def test_the_factor_by_hand():
    draws = np.broadcast_to([-1.0, -1, 0, 1, 1], (3, 2, 5))  # at level 0.5 a score is the distance from 0
    X = np.array([[1.0, 2.0], [3.0, np.nan], [4.0, 5.0]])
    # weights 1/8, 1/8, 1/4, 1/8, 1/8 and 1/4 at infinity: half is reached at the score 3
    assert ConformalDraws(0.5).fit(X, draws).factor_ == 3
    # one group of the first two: 1/12, 1/12, 1/6, 1/6, 1/6 and 1/3: half is reached at 4
    assert ConformalDraws(0.5).fit(X, draws, groups=["a", "a", "b"]).factor_ == 4


def test_a_group_weighs_as_one_object():
    X, draws = uneven(np.random.default_rng(1))
    before = ConformalDraws(0.7).fit(X, draws)
    twice = ConformalDraws(0.7).fit(
        X + X[:4] * 3, draws + draws[:4] * 3, groups=[*range(12), *range(4)] + [*range(4)] * 2
    )
    assert twice.factor_ == before.factor_
    assert twice.n_objects_ == before.n_objects_ == 12


def test_too_few_objects_or_groups_for_the_level_are_refused_with_the_number_needed():
    with pytest.raises(ValueError, match=r"8 objects, but level=0.9 needs at least 9"):
        ConformalDraws(0.9).fit(*normal(8))
    with pytest.raises(ValueError, match=r"10 groups, but level=0.95 needs at least 19"):
        ConformalDraws(0.95).fit(*normal(20), groups=np.repeat(np.arange(10), 2))
    ConformalDraws(0.95).fit(*normal(19))
    with pytest.raises(ValueError, match="0 objects"):
        ConformalDraws(0.95).fit([], [])


# --- a factor for each bin --------------------------------------------------------------------------

SPREADS = np.repeat([0.5, 1.0, 2.0], 10)


def test_what_is_wrong_by_location_is_put_right_bin_by_bin():
    X, draws = normal(300, SPREADS, n_points=30)
    Y, new = normal(300, SPREADS, seed=1, n_points=30)
    conformal = ConformalDraws(by="location", bins=[0, 9.5, 19.5, 29]).fit(X, draws)
    np.testing.assert_allclose(conformal.factors_["factor"], [2, 1, 0.5], rtol=0.1)
    assert conformal.factors_["n_objects"].tolist() == [300] * 3
    edges = [0, 9.5, 19.5, 29]
    after = coverage_by(Y, conformal.transform(new), bins=edges, n_resamples=50)
    np.testing.assert_allclose(after["coverage"], 0.9, atol=0.03)
    one = coverage_by(Y, ConformalDraws().fit(X, draws).transform(new), bins=edges, n_resamples=50)
    assert np.ptp(one["coverage"]) > 0.2


def test_locations_of_tables_are_read_in_their_units_and_beyond_the_edges_the_nearest_bin_counts():
    X, draws = normal(40, SPREADS, n_points=30)
    conformal = ConformalDraws(by="location", bins=[20, 95, 195, 280]).fit(as_tables(X), as_tables(draws))
    assert conformal.factors_["location"].unit == u.AA
    other = as_tables(draws[:1])[0]
    other["wavelength"] = other["wavelength"].to(u.nm)
    new = conformal.transform([other])[0]["flux"].value
    used = new[:, -1] / draws[0, :, -1]
    np.testing.assert_allclose(used, np.repeat(conformal.factors_["factor"], 10))


def test_edges_are_found_from_the_points_observed():
    X, draws = normal(40)
    conformal = ConformalDraws(by="location", bins=2).fit(X[:, :10], draws[:, :10])
    X[:, 10:] = np.nan
    other = ConformalDraws(by="location", bins=2).fit(X, draws)
    assert other.factors_["location"].tolist() == conformal.factors_["location"].tolist() == [2.25, 6.75]
    assert other.factors_["factor"].tolist() == conformal.factors_["factor"].tolist()


@pytest.mark.parametrize("key", ["phase", "PHASE"])
def test_metadata_choose_the_factor_whatever_the_case_of_the_key(key):
    X, draws = normal(80)
    phase = np.linspace(-10, 10, 80)
    draws = draws * np.where(phase < 0, 0.5, 2)[:, None, None]
    conformal = ConformalDraws(by="phase", bins=[-10, 0, 10], min_objects=10)
    conformal.fit(as_tables(X, phase=phase), as_tables(draws, phase=phase))
    np.testing.assert_allclose(conformal.factors_["factor"], [2, 0.5], rtol=0.2)
    new = conformal.transform(as_tables(draws[[0, 0, 0]], **{key: [-5, 5, None]}))
    used = [table["flux"].value[0, -1] / draws[0, 0, -1] for table in new]
    np.testing.assert_allclose(used, [*conformal.factors_["factor"], conformal.factor_])


def test_labels_have_a_factor_each_and_unknown_or_rare_ones_that_of_all():
    X, draws = normal(90)
    survey = np.repeat(["A", "B", "C"], [40, 40, 10])
    draws = draws * np.where(survey == "A", 0.5, 1)[:, None, None]
    conformal = ConformalDraws(by="survey").fit(as_tables(X, survey=survey), as_tables(draws, survey=survey))
    a, b, c = conformal.factors_["factor"]
    assert a == pytest.approx(2, rel=0.2)
    assert b == pytest.approx(1, rel=0.2)
    assert c == conformal.factor_
    assert conformal.factors_["n_objects"].tolist() == [40, 40, 10]
    new = conformal.transform(as_tables(draws[[80] * 4], survey=["A", "C", "D", None]))
    used = [table["flux"].value[0, -1] / draws[80, 0, -1] for table in new]
    np.testing.assert_allclose(used, [a, c, c, c])


def test_several_names_have_a_factor_for_every_combination():
    X, draws = normal(100, SPREADS, n_points=30)
    phase = np.tile([1.0, 2.0], 50)
    draws = draws / phase[:, None, None]
    conformal = ConformalDraws(by=("location", "phase"), bins={"location": [0, 95, 195, 290], "phase": [0, 1.5, 3]})
    conformal.fit(as_tables(X, phase=phase), as_tables(draws, phase=phase))
    assert conformal.factors_.colnames == ["location", "phase", "factor", "n_objects"]
    np.testing.assert_allclose(conformal.factors_["factor"], [2, 4, 1, 2, 0.5, 1], rtol=0.2)
    new = conformal.transform(as_tables(draws[:1], phase=[2.0]))[0]["flux"].value
    np.testing.assert_allclose(new[:, -1] / draws[0, :, -1], np.repeat(conformal.factors_["factor"][1::2], 10))


def test_bands_have_a_factor_each():
    band = np.tile(["g", "r"], 10)
    X, draws = normal(40, np.where(band == "g", 0.5, 2))
    X, draws = as_tables(X), as_tables(draws)
    for table in X + draws:
        table["band"] = band
    conformal = ConformalDraws(by="band").fit(X, draws)
    assert conformal.factors_["band"].tolist() == ["g", "r"]
    np.testing.assert_allclose(conformal.factors_["factor"], [2, 0.5], rtol=0.2)


# --- what goes in and comes out ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Table, QTable])
def test_tables_come_back_as_they_were_but_for_the_draws(kind):
    X, draws = normal(40, 0.5)
    given = as_tables(draws, kind, phase=range(40))
    before = copy.deepcopy(given)
    conformal = ConformalDraws().fit(as_tables(X, kind), given)
    new = conformal.transform(given)
    assert type(new[3]) is kind
    assert new[3].colnames == given[3].colnames
    assert new[3].meta == {"phase": 3}
    assert new[3]["flux"].unit == u.Jy
    np.testing.assert_allclose(new[3]["flux"].value, conformal.factor_ * draws[3])
    new[3]["wavelength"][0] = -1 * u.AA if kind is QTable else -1
    assert all((a == b).all() and a.meta == b.meta for a, b in zip(before, given, strict=True))


def test_tables_and_arrays_agree_and_arrays_say_where_they_are_by_at():
    X, draws = normal(40, SPREADS, n_points=30)
    arrays = ConformalDraws(by="location", bins=3).fit(X, draws)
    conformal = ConformalDraws(by="location", bins=3).fit(as_tables(X), as_tables(draws))
    assert arrays.factors_["factor"].tolist() == conformal.factors_["factor"].tolist()
    np.testing.assert_array_equal(conformal.transform(draws, at=as_tables(X)), arrays.transform(draws))
    np.testing.assert_array_equal(conformal.transform(as_tables(draws))[7]["flux"].value, arrays.transform(draws)[7])
    assert isinstance(arrays.transform(list(draws)), list)
    with pytest.raises(TableError, match="at=X"):
        conformal.transform(draws)
    with pytest.raises(TableError, match=r"at\[0\] has 30 points, but draws\[0\]"):
        conformal.transform(draws[:, :5], at=as_tables(X))


def test_images_are_calibrated_too():
    rng = np.random.default_rng(0)
    X, draws = rng.normal(size=(30, 4, 5)), np.broadcast_to(0.5 * GRID, (30, 4, 5, 100))
    conformal = ConformalDraws().fit(X, draws)
    assert conformal.factor_ == pytest.approx(2, rel=0.15)
    assert conformal.transform(draws).shape == draws.shape
    with pytest.raises(TableError, match="only a row of numbers or a Table"):
        ConformalDraws(by="location").fit(X, draws)


def test_order_and_company_of_objects_make_no_difference():
    X, draws = uneven(np.random.default_rng(2), 40)
    X, draws = as_tables(X), as_tables(draws)
    options = dict(level=0.7, by="location", bins=3, min_objects=5)
    one = ConformalDraws(**options).fit(X, draws)
    other = ConformalDraws(**options).fit(X[::-1], draws[::-1])
    assert one.factors_["factor"].tolist() == other.factors_["factor"].tolist()
    whole, part = one.transform(draws), one.transform(draws[5:7])
    np.testing.assert_array_equal(whole[5]["flux"], part[0]["flux"])


def test_points_not_observed_do_not_count_and_draws_that_are_nan_stay_nan():
    X, draws = normal(40, 0.5)
    expected = ConformalDraws().fit(X[:, 5:], draws[:, 5:]).factor_
    X[:, :5] = np.nan
    assert ConformalDraws().fit(X, draws).factor_ == expected
    draws = draws.copy()
    X[:, :5], draws[:, :5] = 99, np.nan
    conformal = ConformalDraws().fit(X, draws)
    assert conformal.factor_ == expected
    assert np.isnan(conformal.transform(draws)[:, :5]).all()
    assert np.isfinite(conformal.transform(draws)[:, 5:]).all()


def test_draws_without_width_cover_only_what_they_hit():
    X, draws = normal(100, n_points=50)
    draws = draws.copy()
    draws[:, 0] = 0
    one = ConformalDraws().fit(X, draws)  # 2 % of the points are lost: the others make up for them
    assert one.factor_ == pytest.approx(norm.ppf(0.5 + 0.45 / 0.98) / half_width(), rel=0.05)
    X[:, 0] = 0
    hit = ConformalDraws().fit(X, draws).factor_
    assert hit == pytest.approx(norm.ppf(0.5 + 0.44 / 0.98) / half_width(), rel=0.05)
    assert hit < 0.97 * one.factor_
    with pytest.raises(ValueError, match="For the validation objects, so many measurements lie outside"):
        ConformalDraws().fit(X, np.zeros((100, 50, 1)))
    X[:, 0] = 1
    with pytest.raises(ValueError, match=r"For location 0\.0, so many measurements"):
        ConformalDraws(by="location", bins=[-0.5, 0.5, 49]).fit(X, draws)


def test_draws_of_an_estimator_are_calibrated(fitted, X, has_draws):
    draws = fitted.reconstruct(X, n_draws=10)
    conformal = ConformalDraws(0.8, by=("location", "redshift"), bins=2, min_objects=5).fit(X, draws)
    new = conformal.transform(draws)
    assert new[0]["mag"].shape == draws[0]["mag"].shape
    assert new[0]["mag"].unit == u.mag
    assert coverage(X, ConformalDraws(0.8).fit(X, draws).transform(draws), level=0.8 + 1e-6).coverage.mean() >= 0.8


# --- manners ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        (dict(level=90), "level=90"),
        (dict(by=3), "by=3"),
        (dict(by=("phase", "phase")), "by="),
        (dict(by="location", bins=0), "bins=0"),
        (dict(by="location", bins=[3, 2]), "increasing"),
        (dict(by="location", bins={"phase": 3}), "same names"),
        (dict(min_objects=0), "min_objects=0"),
        (dict(by="phase"), "'phase'"),
    ],
)
def test_parameters_that_make_no_sense_are_refused_in_fit(parameters, match):
    X, draws = normal(20)
    with pytest.raises(ValueError, match=match):
        ConformalDraws(**parameters).fit(as_tables(X), as_tables(draws))


def test_another_number_of_draws_or_an_empty_object_is_refused_by_index():
    X, draws = normal(20)
    conformal = ConformalDraws().fit(X, draws)
    with pytest.raises(TableError, match=r"draws\[0\] has 50 draws, but 100"):
        conformal.transform(draws[..., :50])
    with pytest.raises(TableError, match=r"draws\[1\] has 99 draws, but 100"):
        ConformalDraws().fit(X, [draws[0], draws[1, :, 1:], *draws[2:]])
    X[7] = np.nan
    with pytest.raises(TableError, match=r"X\[7\] has no observed point"):
        ConformalDraws().fit(X, draws)
    with pytest.raises(ValueError, match="groups has 3 entries"):
        ConformalDraws().fit(X, draws, groups=[1, 2, 3])
    with pytest.raises(NotFittedError):
        clone(conformal).transform(draws)
