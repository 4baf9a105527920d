"""Redshifts, peaks that are known, and periods."""

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Column, Table
from astropy.time import Time
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from skdaep import TableError
from skdaep.datasets import make_supernova_light_curves
from skdaep.preprocessing import (
    Arcsinh,
    FluxToMagnitude,
    Log10,
    MagnitudeToFlux,
    PhaseFold,
    PhaseFromPeak,
    RestFrame,
    ZScore,
    augment,
)


def table(location, name="mjd", unit=None, value=None, **meta):
    location = np.asarray(location, float)
    new = Table({name: location, "flux": np.ones(len(location)) if value is None else value}, meta=meta)
    new[name].unit = unit
    return new


# --- rest frame -------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["AA", "nm", "Hz", "eV", "1 / cm", None])
def test_rest_frame_agrees_with_wavelengths(unit):
    """Whatever the axis is, the rest wavelength is the same."""
    observed = np.array([4000.0, 5000.0]) * u.AA
    x = table((observed if unit is None else observed.to(unit, u.spectral())).value, "wavelength", unit, redshift=0.25)
    z = RestFrame().fit_transform([x])[0]["wavelength"]
    rest = u.Quantity(np.asarray(z), unit or u.AA).to_value(u.AA, u.spectral())
    np.testing.assert_allclose(rest, [3200, 4000])


def test_rest_frame_reads_each_object_by_any_case():
    X = [
        table([1000.0], "wavelength", Z=0.0),
        table([1000.0], "wavelength", Z=1.0),
        table([1000.0], "wavelength", z=3 * u.one),
    ]
    assert [z["wavelength"][0] for z in RestFrame("z").fit_transform(X)] == [1000, 500, 250]


def test_rest_frame_of_times():
    x = table([-10.0, 20.0], "phase", u.day, redshift=1.0)
    assert RestFrame(times=True).fit_transform([x])[0]["phase"].tolist() == [-5, 10]
    with pytest.raises(TableError, match=r"X\[0\] column 'phase' has unit 'd', .*set times=True"):
        RestFrame().fit([x])
    with pytest.raises(TableError, match="RestFrame needs a time"):
        RestFrame(times=True).fit([table([4000.0], "wavelength", u.AA, redshift=0.1)])


@pytest.mark.parametrize(
    ("meta", "match"),
    [
        ({"z": 0.1}, r"X\[1\] has no number 'redshift' in meta \(it has: z\). Set it, or name its key"),
        ({"redshift": np.nan}, r"X\[1\] has no number 'redshift'"),
        ({"redshift": "0.1?"}, r"X\[1\] has 'redshift' = '0.1\?' in meta, but a number"),
        ({"redshift": -1.0}, r"X\[1\] has 'redshift' = -1 in meta; it must be above -1"),
    ],
)
def test_rest_frame_refuses(meta, match):
    good, bad = table([4000.0], "wavelength", redshift=0.1), table([4000.0], "wavelength", **meta)
    step = RestFrame().fit([good])
    with pytest.raises(TableError, match=match):
        step.transform([good, bad])
    with pytest.raises(TableError, match=match):
        step.inverse_transform([good, bad])


# --- phase from peak --------------------------------------------------------------------------------


def bump(peak, seed=0, n=40, stray=False):
    """Return noisy magnitudes in two bands; r is brightest at `peak`, g five days before."""
    rng = np.random.default_rng(seed)
    time = np.sort(peak + rng.uniform(-40, 80, n))
    band = np.where(rng.uniform(size=n) < 0.5, "g", "r")
    phase = time - peak + 5 * (band == "g")
    mag = 18 + 2 * (1 - np.exp(-0.5 * (phase / 15) ** 2)) + 0.03 * rng.standard_normal(n)
    new = Table({"mjd": time * u.day, "mag": mag * u.mag, "mag_err": np.full(n, 0.03) * u.mag, "band": band})
    if stray:  # one bright point, long after
        new.add_row([peak + 300, 12.0, 0.03, "r"])
    return new


@pytest.mark.parametrize("stray", [False, True])
def test_the_peak_is_found_within_a_day(stray):
    peaks = [60_000.3, 59_123.7, 58_400.1]
    X = [bump(p, seed, stray=stray) for seed, p in enumerate(peaks)]
    for z, x, peak in zip(PhaseFromPeak().fit_transform(X), X, peaks, strict=True):
        assert abs(z.meta["peak_time"] - peak) < 1
        np.testing.assert_allclose(z["mjd"], x["mjd"] - z.meta["peak_time"], rtol=0, atol=1e-9)
        assert z["mjd"].unit == u.day
    for z, peak in zip(PhaseFromPeak("g").fit_transform(X), peaks, strict=True):
        assert abs(z.meta["peak_time"] - (peak - 5)) < 1


@pytest.mark.parametrize("unit", ["mag", None])
@pytest.mark.parametrize(
    "steps",
    [
        (),
        (ZScore(),),
        (MagnitudeToFlux(25.0, unit=None),),
        (MagnitudeToFlux(25.0), Arcsinh(10.0), ZScore()),
        (MagnitudeToFlux(25.0, unit=None), Log10()),
        (MagnitudeToFlux(25.0, unit=None), FluxToMagnitude(25.0), ZScore()),
    ],
    ids=lambda steps: "-".join(type(s).__name__ for s in steps) or "no step",
)
def test_the_bright_end_is_known_whatever_was_done_before_and_however_the_column_is_called(steps, unit):
    time = np.arange(-30.0, 60.0, 3.0)
    x = Table({"mjd": time, "mag": 18 + 2 * (1 - np.exp(-0.5 * (time / 15) ** 2))})
    x["mag"].unit = unit
    pipe = make_pipeline(*map(clone, steps), PhaseFromPeak(peak_band=None))
    Z = pipe.fit_transform([x])
    assert abs(Z[0].meta["peak_time"]) < 1
    back = pipe.inverse_transform(Z)[0]
    np.testing.assert_allclose(back["mag"], x["mag"])
    assert back["mag"].unit == x["mag"].unit
    assert not back["mag"].meta


def test_the_peak_of_simulated_supernovae_is_their_maximum_in_r():
    """Their times count from it; some have a gap there."""
    X, _ = make_supernova_light_curves(30, random_state=1)
    near = [i for i, x in enumerate(X) if (np.abs(x["time"][x["band"] == "r"]) < 4).sum() > 2]
    peaks = np.array([z.meta["peak_time"] for z in PhaseFromPeak().fit_transform([X[i] for i in near])])
    assert len(near) > 8
    assert np.median(np.abs(peaks)) < 1.5


def test_fluxes_point_up():
    X = [bump(60_000.0)]
    flux = X[0].copy()
    flux["mag"] = 10 ** (-0.4 * (flux["mag"].value - 20)) * u.uJy
    flux.rename_columns(["mag", "mag_err"], ["flux", "flux_err"])
    flux["flux_err"] = 0.03 * flux["flux"]
    magnitudes = PhaseFromPeak().fit_transform(X)[0].meta["peak_time"]
    fluxes = PhaseFromPeak().fit_transform([flux])[0].meta["peak_time"]
    assert abs(magnitudes - fluxes) < 1
    wrong = PhaseFromPeak(brightest="minimum").fit_transform([flux])[0].meta["peak_time"]
    assert abs(wrong - fluxes) > 10


def test_no_errors_no_bands_one_point():
    x = bump(60_000.0, n=60)["mjd", "mag"][bump(60_000.0, n=60)["band"] == "r"]
    assert abs(PhaseFromPeak(None).fit_transform([x])[0].meta["peak_time"] - 60_000) < 1.5
    assert PhaseFromPeak(None).fit_transform([x[:1]])[0]["mjd"].tolist() == [0]


def test_dates_come_back_to_a_microday():
    X = [bump(2_460_000.5 + i, i) for i in range(3)]  # JD
    step = PhaseFromPeak()
    for restored, x in zip(step.inverse_transform(step.fit_transform(X)), X, strict=True):
        assert np.abs(restored["mjd"] - x["mjd"]).max() < 1e-8
        assert restored["mjd"].dtype == np.float64


def test_other_units_of_time():
    """The window is in the unit of fit."""
    x = bump(60_000.0)
    hours = x.copy()
    hours["mjd"] = x["mjd"].to(u.hr)
    peak = PhaseFromPeak(window=60 * 24).fit_transform([hours])[0].meta["peak_time"]
    assert abs(peak / 24 - PhaseFromPeak().fit_transform([x])[0].meta["peak_time"]) < 0.3


def test_only_the_window_is_kept():
    z = PhaseFromPeak(keep=(-30, 50)).fit_transform([bump(60_000.0)])[0]
    assert -30 <= z["mjd"].min() < z["mjd"].max() <= 50
    assert len(z) < 40
    with pytest.raises(TableError, match=r"X\[0\] has no point left after PhaseFromPeak; widen keep"):
        PhaseFromPeak(keep=(1000, 2000)).fit_transform([bump(60_000.0)])


def test_processes_do_not_change_the_result():
    X = [bump(60_000.0 + i, i) for i in range(2)]
    for one, two in zip(PhaseFromPeak().fit_transform(X), PhaseFromPeak(n_jobs=2).fit_transform(X), strict=True):
        assert abs(one.meta["peak_time"] - two.meta["peak_time"]) < 1e-6


def test_no_point_in_the_band():
    good, bad = bump(60_000.0), bump(60_000.0)
    with pytest.raises(TableError, match=r"X\[0\] has no point in band 'i' \(it has: g, r\). Choose another peak_band"):
        PhaseFromPeak("i").fit_transform([good])
    with pytest.raises(TableError, match=r"X\[1\] has no point in band 'r' \(it has: g\)"):
        PhaseFromPeak().fit_transform([good, bad[bad["band"] == "g"]])
    bad["mag"] = np.nan
    with pytest.raises(TableError, match=r"X\[1\] has no point in band 'r' \(it has: none\)"):
        PhaseFromPeak().fit_transform([good, bad])
    with pytest.raises(TableError, match=r"X\[1\] has no finite 'mag'"):
        PhaseFromPeak(None).fit_transform([good, bad])
    bad.remove_column("band")
    with pytest.raises(TableError, match=r"X\[0\] has no column for the band .*PhaseFromPeak\(band=...\)"):
        PhaseFromPeak().fit([bad])


@pytest.mark.parametrize("parameters", [{"brightest": "up"}, {"keep": (5, 1)}, {"keep": 3}, {"window": 0}])
def test_phase_from_peak_refuses(parameters):
    with pytest.raises(ValueError, match=next(iter(parameters))):
        PhaseFromPeak(**parameters).fit([bump(60_000.0)])


# --- phase of a period ------------------------------------------------------------------------------


def test_a_periodic_signal_is_a_function_of_phase():
    time = np.sort(np.random.default_rng(0).uniform(58_000, 59_000, 200))
    x = table(time, unit=u.day, value=np.sin(2 * np.pi * time / 2.7), P=2.7)
    z = PhaseFold("P").fit_transform([x])[0]
    assert z["mjd"].unit is None
    assert z["mjd"].min() >= 0
    assert z["mjd"].max() < 1
    assert z.meta["fold_epoch"] == time.min()
    np.testing.assert_allclose(np.sin(2 * np.pi * (z["mjd"] + time.min() / 2.7)), x["flux"], atol=1e-7)


def test_periods_from_meta_with_unit_or_fixed():
    hours = table([0.0, 1.0, 3.0], unit=u.day, PERIOD=48 * u.hr)
    assert PhaseFold("PERIOD").fit_transform([hours])[0]["mjd"].tolist() == [0, 0.5, 0.5]
    assert PhaseFold(4.0).fit_transform([hours])[0]["mjd"].tolist() == [0, 0.25, 0.75]
    x = table([10.0, 11.0], period=4.0, t0=9.0)
    z = PhaseFold(epoch="t0").fit_transform([x])[0]
    assert (z["mjd"].tolist(), z["cycle"].tolist()) == ([0.25, 0.5], [0, 0])
    with pytest.raises(TableError, match=r"X\[0\] has 'PERIOD' = 48.0 h in meta, but 'Angstrom' is needed"):
        PhaseFold("PERIOD").fit_transform([table([0.0], unit=u.AA, PERIOD=48 * u.hr)])


def test_phases_are_below_one_even_a_hair_before_the_epoch():
    x = table([-1e-20, -0.25, np.nan, 1.0])
    z = PhaseFold(1.0, epoch=0.0).fit_transform([x])[0]
    np.testing.assert_array_equal(z["mjd"], [0, 0.75, np.nan, 0])
    assert z["cycle"].tolist() == [0, -1, 0, 1]


def test_without_cycles_locations_come_back_within_a_period_of_the_epoch():
    time = np.sort(np.random.default_rng(0).uniform(58_000, 59_000, 50))
    step = PhaseFold()
    z = step.fit_transform([table(time, unit=u.day, period=3.3)])
    whole = step.inverse_transform(z)[0]
    np.testing.assert_allclose(whole["mjd"], time, rtol=0, atol=1e-9)
    z[0].remove_column("cycle")
    back = step.inverse_transform(z)[0]
    turns = (time - np.asarray(back["mjd"])) / 3.3
    np.testing.assert_allclose(turns, np.round(turns), atol=1e-9)
    assert back["mjd"].min() >= time.min()
    assert back["mjd"].max() < time.min() + 3.3
    assert back["mjd"].unit == u.day


@pytest.mark.parametrize(
    ("step", "meta", "match"),
    [
        (
            PhaseFold(),
            {},
            r"X\[1\] has no number 'period' in meta \(it has: nothing\). Set it, or .*PhaseFold\(period=",
        ),
        (PhaseFold(), {"period": 0.0}, r"X\[1\] has 'period' = 0 in meta; it must be above 0"),
        (PhaseFold(epoch="t0"), {"period": 1.0}, r"X\[1\] has no number 't0' in meta"),
    ],
)
def test_phase_fold_refuses(step, meta, match):
    with pytest.raises(TableError, match=match):
        step.fit_transform([table([1.0], period=1.0, t0=0.0), table([1.0], **meta)])


def test_phase_fold_refuses_more():
    with pytest.raises(ValueError, match="period"):
        PhaseFold(-1.0).fit([table([1.0])])
    with pytest.raises(TableError, match=r"X\[0\] has no finite 'mjd'"):
        PhaseFold(1.0).fit_transform([table([np.nan])])
    x = table([1.0])
    x["cycle"] = 3
    with pytest.raises(TableError, match=r"X\[0\] has a column 'cycle' already"):
        PhaseFold(1.0).fit_transform([x])


# --- what is bright, and where a fit starts ---------------------------------------------------------

DAYS = np.arange(30.0)
PARABOLA = 18 + ((DAYS - 10) / 5) ** 2  # a magnitude that is brightest at 10


@pytest.mark.parametrize("unit", ["mag", "mmag", "mag(AB)", "mag / arcsec2", None])
def test_the_peak_of_magnitudes_in_any_unit_is_where_they_are_smallest(unit):
    value = PARABOLA * (1000 if unit == "mmag" else 1)
    X = [Table({"mjd": DAYS, "mag" if unit is None else "y": Column(value, unit=unit)})]
    step = PhaseFromPeak(None, value=None if unit is None else "y")
    assert step.fit_transform(X)[0].meta["peak_time"] == pytest.approx(10, abs=0.3)


def test_what_may_be_magnitudes_or_not_is_asked_about():
    X = [Table({"mjd": DAYS, "value": PARABOLA})]
    with pytest.raises(TableError, match=r"X\[0\] column 'value' may be magnitudes or fluxes.*brightest='minimum'"):
        PhaseFromPeak(None).fit(X)
    z = PhaseFromPeak(None, brightest="minimum").fit_transform(X)[0]
    assert z.meta["peak_time"] == pytest.approx(10, abs=0.3)


@pytest.mark.parametrize("kind", ["error", "inverse variance"])
@pytest.mark.parametrize("stray", [150.0, 1000.0])
def test_a_bright_point_of_large_error_is_not_taken_for_the_peak(kind, stray):
    time = np.arange(0.0, 300, 3)
    flux, error = 100 * np.exp(-(((time - 60) / 15) ** 2) / 2), np.full(100, 3.0)
    flux[80], error[80] = stray, 0.8 * stray
    x = Table({"time": time, "flux": flux, **({"flux_err": error} if kind == "error" else {"ivar": error**-2})})
    assert PhaseFromPeak(None).fit_transform([x])[0].meta["peak_time"] == pytest.approx(60, abs=1)


# --- one way to metadata ----------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["period", "Period", "PERIOD"])
@pytest.mark.parametrize("period", [0.5, 0.5 * u.day, 12 * u.hour, np.float32(0.5), u.Quantity(np.array(43200.0), "s")])
def test_a_period_is_read_in_the_unit_of_the_times_whatever_the_case_of_its_key(key, period):
    x = Table({"time": DAYS * u.day, "mag": PARABOLA}, meta={key: period})
    assert PhaseFold().fit_transform([x])[0]["cycle"].max() == 58


def test_a_period_with_a_unit_beside_times_without_is_refused():
    x = Table({"time": DAYS, "mag": PARABOLA}, meta={"Period": 12 * u.hour})
    with pytest.raises(TableError, match=r"X\[0\] has 'period' = 12.0 h in meta, but the locations have no unit"):
        PhaseFold().fit_transform([x])


@pytest.mark.parametrize("key", ["redshift", "REDSHIFT"])
def test_a_redshift_that_is_a_velocity_is_refused_and_percents_are_numbers(key):
    x = Table({"wavelength": [5000.0], "flux": [1.0]}, meta={key: 3000 * u.km / u.s})
    with pytest.raises(TableError, match=r"X\[0\] has 'redshift' = 3000.0 km / s in meta, but a number without a unit"):
        RestFrame().fit_transform([x])
    x.meta[key] = 25 * u.percent
    assert RestFrame().fit_transform([x])[0]["wavelength"][0] == pytest.approx(4000)


# --- axes that are not linear -----------------------------------------------------------------------

LAMBDA = np.array([4000.0, 5000, 8000])
AXES = {
    "loglam": ("loglam", None, np.log10(LAMBDA), np.log10(LAMBDA / 1.25)),
    "dex(Angstrom)": ("x", "dex(Angstrom)", np.log10(LAMBDA), np.log10(LAMBDA / 1.25)),
    "dex by name": ("log_wave", "dex", np.log10(LAMBDA), np.log10(LAMBDA / 1.25)),
    "dex(Hz)": ("x", "dex(Hz)", np.log10(LAMBDA), np.log10(LAMBDA * 1.25)),
    "frequency by name": ("frequency", None, LAMBDA, LAMBDA * 1.25),
    "wavelength": ("lambda", None, LAMBDA, LAMBDA / 1.25),
}


@pytest.mark.parametrize(("name", "unit", "given", "expected"), AXES.values(), ids=AXES.keys())
def test_logarithms_are_shifted_and_not_stretched(name, unit, given, expected):
    x = Table({name: Column(given, unit=unit), "flux": [1.0, 2, 3]}, meta={"redshift": 0.25})
    step = RestFrame(location=name)
    z = step.fit_transform([x])[0]
    np.testing.assert_allclose(z[name], expected, rtol=1e-12)
    assert z[name].unit == x[name].unit
    np.testing.assert_allclose(step.inverse_transform([z])[0][name], given, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "unit", "message"),
    [
        ("log_x", None, "its name suggests a logarithm"),
        ("lnlambda", None, "its name suggests a logarithm"),
        ("x", "dex", "has unit 'dex'"),
        ("x", "dex(s)", r"has unit 'dex\(s\)'"),
    ],
)
def test_a_logarithm_of_what_nobody_says_is_refused(name, unit, message):
    x = Table({name: Column(LAMBDA, unit=unit), "flux": [1.0, 2, 3]}, meta={"redshift": 0.25})
    with pytest.raises(TableError, match=rf"X\[0\] column '{name}'.*{message}"):
        RestFrame(location=name).fit([x])


def test_dates_have_no_rest_frame_until_they_have_an_origin():
    x = Table({"time": Time(60000 + DAYS, format="mjd"), "mag": PARABOLA}, meta={"redshift": 0.25})
    with pytest.raises(TableError, match=r"X\[0\] column 'time' contains dates; subtract a zero point.*PhaseFromPeak"):
        RestFrame(times=True).fit([x])
    z = make_pipeline(PhaseFromPeak(None), RestFrame(times=True)).fit_transform([x])[0]
    assert np.ptp(z["time"]) == pytest.approx(29 / 1.25)
    with pytest.raises(TableError, match="holds dates, which have no natural zero; set stretch=0"):
        augment([x], noise=False, stretch=0.1)
