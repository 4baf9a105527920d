"""Periods of known signals, aliases, what noise gives; phase zero; level and amplitude; meta as an array."""

import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.table import Table
from astropy.time import Time
from scipy.stats import beta
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import FeatureUnion, make_pipeline

from skdaep import DAEPEncoder, TableError
from skdaep.preprocessing import FindPeriod, MetaFeatures, PhaseFold, Standardize
from skdaep.preprocessing._harmonics import Curve, chi_squared, find_period, periodogram

T0 = 58_000.0


def times(n=100, span=60.0, seed=0):
    return T0 + np.sort(np.random.default_rng(seed).uniform(0, span, n))


def sawtooth(turns):
    """Return a steep rise to the bright end at phase 0 and a slow decline, in magnitudes."""
    return 15 + 0.6 * (turns % 1)


def star(period, shape=sawtooth, noise=0.02, seed=0, n=100, span=60.0, **columns):
    mjd = times(n, span, seed)
    mag = shape((mjd - T0) / period) + noise * np.random.default_rng(seed + 1).standard_normal(n)
    return Table({"mjd": mjd, "mag": mag, "mag_err": np.full(n, noise or 0.01), **columns})


def found(table, **options):
    return FindPeriod(**options).fit_transform([table])[0].meta


# --- the period ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("period", [0.0713, 0.5712, 3.1, 17.3])
def test_the_period_of_a_sawtooth_is_found(period):
    meta = found(star(period))
    assert 1 / meta["period"] == pytest.approx(1 / period, abs=0.15 / 60), "to a part of the width of a peak"
    assert meta["log_period"] == pytest.approx(np.log10(meta["period"]))
    assert meta["period_power"] > 0.9
    assert meta["period_fap"] < 1e-20


def test_two_minima_are_one_period_if_they_differ_or_look_like_eclipses():
    def binary(second):
        return lambda x: (
            15
            + 0.6 * np.exp(-0.5 * ((x + 0.5) % 1 - 0.5) ** 2 / 0.06**2)
            + second * np.exp(-0.5 * (x % 1 - 0.5) ** 2 / 0.06**2)
        )

    assert found(star(1.37, binary(0.2), n=200))["period"] == pytest.approx(1.37, rel=2e-3)
    equal = star(1.37, binary(0.6), n=200)
    assert found(equal)["period"] == pytest.approx(1.37, rel=2e-3), "symmetric dips are eclipses"
    assert found(equal, eclipses=False)["period"] == pytest.approx(1.37 / 2, rel=2e-3)
    flux = Table({"mjd": equal["mjd"], "flux": 10 ** (-0.4 * (equal["mag"] - 15))})
    assert found(flux)["period"] == pytest.approx(1.37, rel=2e-3), "in fluxes dips go down"
    upside_down = Table({"mjd": equal["mjd"], "flux": equal["mag"]})
    assert found(upside_down)["period"] == pytest.approx(1.37 / 2, rel=2e-3), "peaks are no eclipses"


def test_cycles_that_differ_do_not_make_twice_the_period():
    """A star whose amplitude changes slowly is fitted better by any longer series, but hardly."""
    table = star(0.5712, lambda x: 15 + 0.6 * (x % 1) * (1 + 0.3 * np.sin(x / 5)), noise=0.05, n=150)
    assert found(table)["period"] == pytest.approx(0.5712, rel=2e-3)


def test_bands_of_different_level_and_amplitude_count_together():
    table = star(0.37, noise=0.1, n=150)
    band = np.arange(150) % 3
    table["band"] = np.array(["g", "r", "i"])[band]
    table["mag"] = 2.0 * band + (1 - 0.2 * band) * table["mag"]
    assert found(table)["period"] == pytest.approx(0.37, rel=2e-3)


def test_points_without_a_value_or_of_infinite_error_do_not_count():
    table = star(0.5712)
    clean = found(table)["period"]
    spoiled = table.copy()
    for row, name, value in ((3, "mag", np.nan), (50, "mag_err", np.inf)):
        spoiled[name][row] = value
    spoiled["mag"][50] = -999.0
    assert found(spoiled)["period"] == pytest.approx(clean, rel=1e-4)


def test_a_star_seen_at_night_alone_is_told_from_its_day_alias():
    rng = np.random.default_rng(0)
    mjd = T0 + np.sort(np.floor(rng.uniform(0, 300, 150)) + rng.uniform(0.2, 0.4, 150))
    table = Table({"mjd": mjd, "mag": sawtooth((mjd - T0) / 0.5712) + 0.03 * rng.standard_normal(150)})
    assert found(table)["period"] == pytest.approx(0.5712, rel=1e-3)


def test_limits_are_kept_and_have_units():
    table = star(0.5712)
    table["mjd"].unit = u.d
    assert 1 <= found(table, min_period=24 * u.h)["period"] <= 30
    assert 0.05 <= found(table, max_period=0.3)["period"] <= 0.3
    seconds = Table({"time": (np.asarray(table["mjd"]) - T0) * 86400 * u.s, "mag": table["mag"]})
    assert found(seconds)["period"] == pytest.approx(0.5712 * 86400, rel=2e-3)
    timed = Table({"time": Time(table["mjd"], format="mjd"), "mag": table["mag"]})
    assert found(timed)["period"] == pytest.approx(0.5712, rel=2e-3)


def test_processes_do_not_matter():
    X = [star(p, seed=i, span=20) for i, p in enumerate((0.3, 0.7, 2.0))]
    one, two = (FindPeriod(n_jobs=n).fit_transform(X) for n in (None, 2))
    assert [z.meta for z in one] == [z.meta for z in two]


def test_chi_squared_is_that_of_least_squares():
    """Nested fits from one factorisation, beside numpy's; the ridge is small."""
    rng = np.random.default_rng(0)
    t, y, w = rng.uniform(0, 10, 60), rng.standard_normal(60), rng.uniform(0.5, 2, 60)
    chi2, numbers = chi_squared(Curve(t, y, w, np.full(60, "")), np.array([0.7, 1.9]), 3)
    assert numbers.tolist() == [1, 3, 5, 7]
    for i, f in enumerate((0.7, 1.9)):
        for k in range(4):
            angle = 2 * np.pi * f * t[:, None] * np.arange(1, k + 1)
            design = np.hstack([np.ones((60, 1)), np.cos(angle), np.sin(angle)]) * np.sqrt(w)[:, None]
            residual = np.linalg.lstsq(design, y * np.sqrt(w), rcond=None)[1]
            assert chi2[i, k] == pytest.approx(residual[0], rel=1e-3)


def test_the_quick_periodogram_is_near_the_exact_one():
    rng = np.random.default_rng(0)
    t, y, w = np.sort(rng.uniform(0, 50, 80)), rng.standard_normal(80), rng.uniform(0.5, 2, 80)
    curve, frequency = Curve(t, y, w, np.full(80, "")), 0.004 * np.arange(1, 1001)
    chi2, _ = chi_squared(curve, frequency, 1)
    np.testing.assert_allclose(periodogram(curve, frequency), 1 - chi2[:, 1] / chi2[:, 0], atol=0.03)


def test_the_false_alarm_probability_is_that_of_noise():
    """In noise a probability below 0.1 comes about in a tenth of the cases."""
    chances = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        t = rng.uniform(0, 20, 50)
        curve = Curve.of(t, rng.standard_normal(50), np.full(50, np.nan), np.full(50, ""))
        chances.append(find_period(curve, 0.1, 5.0, 3).false_alarm)
    assert 0.02 < np.mean(np.array(chances) < 0.1) < 0.25
    assert np.min(chances) > 1e-4


def test_the_false_alarm_probability_of_one_trial_is_closed_form():
    rng = np.random.default_rng(1)
    chi2 = []
    for _ in range(400):
        curve = Curve(np.sort(rng.uniform(0, 9, 30)), rng.standard_normal(30), np.ones(30), np.full(30, ""))
        chi2.append(chi_squared(curve, np.array([0.83]), 2)[0][0])
    chi2 = np.array(chi2)
    share = 1 - chi2[:, 2] / chi2[:, 0]
    assert np.mean(beta.sf(share, 2, 12.5) < 0.1) == pytest.approx(0.1, abs=0.045)


@pytest.mark.parametrize(
    ("table", "options", "match"),
    [
        (star(0.5, n=8), {}, r"X\[0\] has 8 points, and no band with the 9 points that FindPeriod needs; remove"),
        (
            star(0.5, lambda x: 15 + 0 * x, noise=0),
            {},
            r"X\[0\] column 'mag' is constant, or all points have the same time",
        ),
        (star(0.5), {"min_period": 40.0}, r"X\[0\] was observed over 59.* periods from 40 to .* set min_period"),
        (star(0.5), {"min_period": 1e-6}, r"X\[0\] was observed over .* times the shortest period; set the unit of"),
        (Table({"wavelength": times() * u.AA, "flux": times()}), {}, r"unit 'Angstrom', but FindPeriod needs times"),
        (Table(star(0.5), meta={"period": 3.0}), {}, r"X\[0\] has 'period' in meta already.*another key"),
    ],
    ids=["few", "constant", "short", "no unit", "wavelengths", "taken"],
)
def test_what_has_no_period_is_refused(table, options, match):
    with pytest.raises(TableError, match=match):
        found(table, **options)


# --- phase zero ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("epoch", "phase"), [("brightest", 0.25), ("faintest", 0.75)])
def test_phase_zero_is_where_the_fit_is_extreme(epoch, phase):
    def wave(turns):
        return 15 - 0.3 * np.sin(2 * np.pi * turns)

    table = star(0.5712, wave, noise=0.01)
    table.meta["period"] = 0.5712
    flux = Table({"mjd": table["mjd"], "flux": 10 ** (-0.4 * (table["mag"] - 20))}, meta=table.meta)
    for x in (table, flux):
        z = PhaseFold(epoch=epoch).fit_transform([x])[0]
        assert (z.meta["fold_epoch"] - T0) / 0.5712 % 1 == pytest.approx(phase, abs=0.02)


def test_found_folded_and_brought_to_one_phase():
    """Two stars of one shape, each with a period, epoch, level and band amplitudes of its own, are one curve."""
    X = []
    for i, period in enumerate((0.53, 0.71)):
        mjd = times(800, seed=i)  # many: the median of a band depends on the phases drawn
        band = np.arange(800) % 2
        angle = 2 * np.pi * ((mjd - T0) / period + 0.3 * i)
        mag = i + band + (1 - 0.3 * band) * (np.sin(angle) + 0.4 * np.sin(2 * angle))
        X.append(Table({"mjd": mjd, "mag": mag, "band": np.array(["g", "r"])[band]}))
    pipe = make_pipeline(FindPeriod(), PhaseFold(epoch="faintest"), Standardize())
    one, other = pipe.fit_transform(X)
    order = np.argsort(one["mjd"])
    inside = (other["mjd"] > 0.1) & (other["mjd"] < 0.9)
    expected = np.interp(other["mjd"], one["mjd"][order], one["mag"][order], period=1.0)
    np.testing.assert_allclose(other["mag"][inside], expected[inside], atol=0.15)
    for back, x in zip(pipe.inverse_transform([one, other]), X, strict=True):
        np.testing.assert_allclose(back["mjd"], x["mjd"], rtol=0, atol=1e-7)
        np.testing.assert_allclose(back["mag"], x["mag"])
        assert back.meta == x.meta


def test_a_fit_needs_to_know_which_end_is_bright():
    table = Table({"mjd": times(), "y": times()}, meta={"period": 1.0})
    with pytest.raises(TableError, match=r"column 'y' may be magnitudes or fluxes"):
        PhaseFold(epoch="brightest", value="y").fit([table])
    assert "cycle" in PhaseFold().fit_transform([table])[0].colnames, "without a fit no values are needed"


# --- level and amplitude --------------------------------------------------------------------------------


def test_standardized_values_have_median_0_and_amplitude_1():
    table = star(0.5)
    table["band"] = np.where(np.arange(100) % 2, "g", "r")
    z = Standardize().fit_transform([table])[0]
    for b in "gr":
        value, own = z["mag"][z["band"] == b], table["mag"][table["band"] == b]
        assert np.quantile(value, [0.05, 0.5, 0.95])[1] == pytest.approx(0, abs=1e-12)
        assert np.ptp(np.quantile(value, [0.05, 0.95])) == pytest.approx(2)
        assert z.meta[f"level_{b}"] == pytest.approx(np.median(own))
        low, level, high = np.quantile(own, [0.05, 0.5, 0.95])
        assert z.meta[f"skewness_{b}"] == pytest.approx((high + low - 2 * level) / (high - low))
        assert z.meta[f"amplitude_{b}"] == pytest.approx(np.ptp(np.quantile(own, [0.05, 0.95])) / 2)
    assert z["mag_err"][1] == pytest.approx(table["mag_err"][1] / z.meta["amplitude_g"])


def test_a_few_wild_points_move_neither_level_nor_amplitude():
    table = star(0.5)
    wild = table.copy()
    wild["mag"][[3, 40]] = 99.0, -99.0
    one, other = (Standardize().fit_transform([x])[0].meta for x in (table, wild))
    assert one["level"] == pytest.approx(other["level"], abs=0.02)
    assert one["amplitude"] == pytest.approx(other["amplitude"], rel=0.05)


def test_a_constant_band_has_amplitude_1():
    z = Standardize().fit_transform([Table({"time": [1.0, 2.0, 3.0], "mag": [15.0, 15.0, 15.0]})])[0]
    assert (z["mag"].tolist(), z.meta) == ([0, 0, 0], {"level": 15.0, "amplitude": 1.0, "skewness": 0.0})


def test_two_keys_are_needed():
    with pytest.raises(ValueError, match=r"three keys are needed"):
        Standardize(level="a", amplitude="a").fit([star(0.5)])


# --- meta as an array -----------------------------------------------------------------------------------


def objects(*metas):
    return [Table({"time": [1.0, 2.0], "mag": [15.0, 15.0 + i]}, meta=meta) for i, meta in enumerate(metas)]


def test_units_are_those_of_fit():
    X = objects({"period": 1 * u.d, "n": 3}, {"PERIOD": 48 * u.h, "n": np.int64(4)})
    features = MetaFeatures(("period", "n")).fit(X)
    assert features.transform(X).tolist() == [[1, 3], [2, 4]]
    assert features.transform(objects({"period": 3 * u.d})).tolist()[0][0] == 3
    with pytest.raises(TableError, match=r"X\[0\] metadata 'period'"):
        features.transform(objects({"period": 1 * u.m}))


@pytest.mark.parametrize(("fill", "expected"), [("nan", np.nan), ("median", 2.0), (-1, -1.0)])
def test_what_is_missing_is_filled(fill, expected):
    X = objects({"a": 1.0}, {"a": np.nan}, {}, {"a": 3.0})
    np.testing.assert_array_equal(MetaFeatures(("a",), fill=fill).fit_transform(X)[:, 0], [1, expected, expected, 3])


def test_labels_not_seen_in_fit_are_refused_or_ignored():
    X, new = objects({"c": "A"}, {"c": "B"}, {"c": "A"}), objects({"c": "C"})
    with pytest.raises(TableError, match=r"X\[0\] metadata 'c' is 'C', not seen in fit \(A, B\)"):
        MetaFeatures(("c",)).fit(X).transform(new)
    assert MetaFeatures(("c",), unknown="ignore").fit(X).transform(new).tolist() == [[0, 0]]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({}, r"keys=\(\)\): give a tuple"),
        ({"keys": "period"}, r"keys='period'\): give a tuple"),
        ({"keys": ("a", "A")}, "'A' is named twice"),
        ({"keys": ("b",)}, r"metadata 'b' is in no object's meta \(X\[0\] has: a"),
        ({"keys": ("a",), "unknown": "drop"}, "choose 'error' or 'ignore'"),
        ({"keys": ("mixed",)}, r"metadata 'mixed' is .*numbers and text"),
    ],
)
def test_keys_that_make_no_sense(options, match):
    with pytest.raises(ValueError, match=match):
        MetaFeatures(**options).fit(objects({"a": 1.0, "mixed": 1.0}, {"a": 2.0, "mixed": "x"}))


def test_beside_an_encoder_in_a_union():
    X = [star(0.5 + 0.1 * i, seed=i, n=30) for i in range(6)]
    for i, x in enumerate(X):
        x.meta = {"log_period": 0.1 * i, "site": "ab"[i % 2]}
    encoder = DAEPEncoder(model_dim=8, n_heads=2, bottleneck_length=1, bottleneck_dim=2, max_iter=2, random_state=0)
    union = FeatureUnion([("shape", encoder), ("meta", MetaFeatures(("log_period", "site")))])
    frame = union.set_output(transform="pandas").fit_transform(X)
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns)[2:] == ["meta__log_period", "meta__site_a", "meta__site_b"]
    np.testing.assert_array_equal(frame["meta__log_period"], [x.meta["log_period"] for x in X])


def test_not_fitted_and_no_tables():
    with pytest.raises(NotFittedError):
        MetaFeatures(("a",)).transform(objects({"a": 1.0}))
    with pytest.raises(TableError, match="MetaFeatures needs a list of Tables"):
        MetaFeatures(("a",)).fit(np.ones((3, 2)))
