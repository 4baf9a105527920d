"""Power spectra and autocorrelations against astropy and closed forms; light curves beside their views."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.table import QTable, Table
from astropy.timeseries import LombScargle
from scipy.stats import median_abs_deviation
from sklearn.base import clone
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from skdaep import DualFormer, MultimodalDAEP, Photometry, SamplingError, Sequence, Spectrum, TableError
from skdaep.preprocessing import Autocorrelation, Log10, PowerSpectrum, Views
from skdaep.tables import FlatTables, Objects

VIEWS = {"PowerSpectrum": PowerSpectrum(), "Autocorrelation": Autocorrelation(min_pairs=2)}
BESIDE = Views({"power": PowerSpectrum(), "correlation": Autocorrelation(min_pairs=2)})
POWER = {"power": Sequence("power", location="frequency")}


def curve(i=0, n=60, period=5.0, kind=Table, bands=("g", "r"), noise=0.1, **meta):
    rng = np.random.default_rng([7, i])
    time = np.sort(rng.uniform(0, 50, n))
    flux = 3 + i + np.sin(2 * np.pi * time / period) + noise * rng.standard_normal(n)
    columns = {"time": time * u.day, "flux": flux * u.uJy, "flux_err": rng.uniform(0.05, 0.3, n) * u.uJy}
    band = {"band": rng.choice(bands, n)} if bands else {}
    return kind(columns | band, meta={"redshift": 0.1 * i, **meta})


def regular(values, **columns):
    return Table({"time": np.arange(float(len(values))), "flux": values, **columns})


@pytest.fixture
def X():
    return [curve(i, period=3 + i) for i in range(6)]


@pytest.fixture(params=VIEWS)
def view(request):
    return clone(VIEWS[request.param])


# --- power spectra ----------------------------------------------------------------------------------


def by_astropy(table, frequency):
    """Return astropy's periodogram with errors to which a tenth of the scatter is added."""
    flux, error = (np.asarray(table[name]) for name in ("flux", "flux_err"))
    error = np.hypot(error, 0.1 * 1.4826 * median_abs_deviation(flux))
    return LombScargle(np.asarray(table["time"]), flux, error).power(frequency, method="slow"), flux, error


@pytest.mark.parametrize(
    ("frequencies", "atol"),
    [(np.geomspace(0.01, 2, 40), 1e-6), (np.linspace(0.01, 2, 400), 0.01)],
    ids=["any", "regular and many"],
)
def test_it_is_the_periodogram_of_astropy(frequencies, atol):
    X = [curve(i, bands=None) for i in range(3)]
    for table, x in zip(PowerSpectrum(frequencies).fit_transform(X), X, strict=True):
        np.testing.assert_array_equal(table["frequency"], frequencies)
        np.testing.assert_allclose(table["power"], by_astropy(x, frequencies)[0], rtol=0, atol=atol)
        assert table["frequency"].unit == 1 / u.day
        assert table.meta == x.meta


def test_bands_apart_or_joined_by_what_they_vary(X):
    frequencies = np.geomspace(0.02, 1, 15)
    apart = PowerSpectrum(frequencies).fit_transform(X)
    joined = PowerSpectrum(frequencies, per_band=False).fit_transform(X)
    for x, one, other in zip(X, apart, joined, strict=True):
        explained = total = 0
        for band in ("g", "r"):
            power, flux, error = by_astropy(x[x["band"] == band], frequencies)
            np.testing.assert_allclose(one["power"][one["band"] == band], power, rtol=1e-6)
            chi2 = np.sum((flux - np.average(flux, weights=error**-2)) ** 2 / error**2)
            explained, total = explained + chi2 * power, total + chi2
        assert other.colnames == ["frequency", "power"]
        np.testing.assert_allclose(other["power"], explained / total, rtol=1e-6)


def test_of_regular_sinusoids_it_is_their_share_of_the_variance():
    t = np.arange(64.0)
    values = 5 + 3 * np.sin(2 * np.pi * t * 4 / 64) + 2 * np.cos(2 * np.pi * t * 9 / 64 + 1)
    table = PowerSpectrum(np.arange(1, 32) / 64).fit_transform([regular(values)])[0]
    expected = np.zeros(31)
    expected[[3, 8]] = 9 / 13, 4 / 13
    np.testing.assert_allclose(table["power"], expected, atol=1e-8)


def test_frequencies_of_fit():
    step = PowerSpectrum().fit([regular(np.sin(np.arange(n) / 3.0)) for n in (21, 41, 81)])
    np.testing.assert_allclose(step.frequencies_, np.arange(1, 41) / 80, rtol=1e-12)
    other = step.transform([regular(np.sin(np.arange(30.0)))])[0]
    np.testing.assert_array_equal(other["frequency"], step.frequencies_)


@pytest.mark.parametrize("unit", ["km", "eV"])
def test_frequencies_are_not_those_of_light(X, unit):
    with pytest.raises(TableError, match=f"has unit '{unit}', which cannot be converted to '1 / d' of fit"):
        PowerSpectrum(frequencies=np.linspace(0.1, 1, 5) * u.Unit(unit)).fit(X)


def test_units_of_frequencies(X):
    micro = PowerSpectrum([10, 20] * u.uHz).fit(X)
    np.testing.assert_allclose(micro.frequencies_, [0.864, 1.728])
    hours = [copy.deepcopy(x) for x in X]
    for x in hours:
        x["time"] = x["time"].to(u.hour)
    for one, other in zip(micro.transform(hours), micro.transform(X), strict=True):
        np.testing.assert_allclose(one["power"], other["power"], rtol=1e-8)
    long = [x.copy() for x in X]
    for x in long:
        x["time"] *= 1e7
    frequencies = np.geomspace(0.01, 2, 300)  # no regular grid, however small its steps
    for one, other in zip(
        PowerSpectrum(frequencies).fit_transform(X), PowerSpectrum(1e-7 * frequencies).fit_transform(long), strict=True
    ):
        np.testing.assert_allclose(one["power"], other["power"], rtol=1e-6)
    with pytest.raises(TableError, match=r"PowerSpectrum\(frequencies=...\) has unit 'd'"):
        PowerSpectrum([1, 2] * u.day).fit(X)
    julian = curve(bands=None)
    julian["mjd"] = np.array(julian.columns.pop("time")) + 60_000
    table = PowerSpectrum().fit_transform([julian])[0]
    assert table["frequency"].unit == 1 / u.day
    plain = regular(np.sin(np.arange(30.0)))
    assert PowerSpectrum().fit_transform([plain])[0]["frequency"].unit is None
    plain["time"].unit = u.Unit("aeons", parse_strict="silent")  # which astropy does not know
    assert str(PowerSpectrum().fit_transform([plain])[0]["frequency"].unit) == "1 / (aeons)"
    assert str(Autocorrelation().fit_transform([plain])[0]["lag"].unit) == "aeons"


# --- autocorrelations -------------------------------------------------------------------------------


def test_of_a_sinusoid_it_is_the_cosine():
    n, period = 2000, 40
    values = 7 + 3 * np.sin(2 * np.pi * np.arange(n) / period + 0.4)
    table = Autocorrelation().fit_transform([regular(values)])[0]
    np.testing.assert_allclose(table["lag"], np.arange(1, n // 2 + 1), rtol=1e-12)
    np.testing.assert_allclose(table["autocorrelation"], np.cos(2 * np.pi * table["lag"] / period), atol=0.03)
    np.testing.assert_allclose(table["autocorrelation"][39:400:40], 1, atol=2e-3)


def test_of_irregular_points_it_is_the_mean_cosine_of_a_bin():
    rng = np.random.default_rng(0)
    time, width, period = np.sort(rng.uniform(0, 400, 1500)), 0.8, 4.0
    x = Table({"time": time, "flux": np.sin(2 * np.pi * time / period)})
    table = Autocorrelation(np.arange(0, 10, width)).fit_transform([x])[0]
    expected = np.cos(2 * np.pi * table["lag"] / period) * np.sinc(width / period)
    np.testing.assert_allclose(table["autocorrelation"], expected, atol=0.05)


def test_noise_lowers_it_by_its_share_of_the_variance():
    rng = np.random.default_rng(1)
    values = np.sin(2 * np.pi * np.arange(4000) / 20) + rng.standard_normal(4000)
    table = Autocorrelation(np.arange(0.5, 41)).fit_transform([regular(values)])[0]
    np.testing.assert_allclose(table["autocorrelation"], np.cos(2 * np.pi * table["lag"] / 20) / 3, atol=0.07)


@pytest.mark.parametrize("per_band", [True, False])
def test_each_pair_of_a_band_counts_in_its_bin(per_band):
    x, edges = curve(n=40), np.array([0, 0.5, 2, 7, 20, 60])
    products = {band: [[] for _ in edges[1:]] for band in ("g", "r")}
    for band, bins in products.items():
        own = x[x["band"] == band]
        t, v = np.asarray(own["time"]), np.asarray(own["flux"])
        v = (v - v.mean()) / v.std()
        for i in range(len(v)):
            for j in range(i):
                place = [k for k in range(5) if edges[k] <= t[i] - t[j] < edges[k + 1]]
                assert len(place) == 1
                bins[place[0]].append(v[i] * v[j])
    step = Autocorrelation(edges, min_pairs=1, per_band=per_band)
    table = step.fit_transform([x[np.random.default_rng(2).permutation(40)]])[0]
    if per_band:
        expected = [np.mean(b) for band in ("g", "r") for b in products[band]]
        assert table["band"].tolist() == ["g"] * 5 + ["r"] * 5
    else:
        expected = [np.mean(g + r) for g, r in zip(*products.values(), strict=True)]
    np.testing.assert_allclose(table["autocorrelation"], expected, rtol=1e-9)


def test_bins_of_few_pairs_are_not_observed():
    x = curve(n=12, bands=None)
    lag = np.abs(np.subtract.outer(*[np.asarray(x["time"])] * 2))[np.triu_indices(12, 1)]
    pairs = np.histogram(lag, [0, 1, 10, 30, 50])[0]
    table = Autocorrelation([0, 1, 10, 30, 50], min_pairs=int(np.sort(pairs)[1])).fit_transform([x])[0]
    assert np.isnan(table["autocorrelation"]).sum() == 1
    assert np.isnan(table["autocorrelation"][pairs.argmin()])
    with pytest.raises(SamplingError, match=r"X\[0\] has no min_pairs=100 pairs .*make bins wider"):
        Autocorrelation(min_pairs=100).fit_transform([x])


def test_a_constant_band_has_none_and_leaves_the_others_theirs():
    x = curve(n=60)
    x["flux"][x["band"] == "r"] = 2.0
    table = Autocorrelation(min_pairs=2).fit_transform([x])[0]
    assert np.isnan(table["autocorrelation"][table["band"] == "r"]).all()
    assert np.isfinite(table["autocorrelation"][table["band"] == "g"]).any()
    table = PowerSpectrum().fit_transform([x])[0]
    assert np.isnan(table["power"]).tolist() == (table["band"] == "r").tolist()


# --- both -------------------------------------------------------------------------------------------


def test_objects_are_left_alone_and_kinds_kept(view, X):
    before = copy.deepcopy(X)
    tables, quantities = view.fit_transform(X), view.fit_transform([QTable(x) for x in X])
    for x, old, table, other in zip(X, before, tables, quantities, strict=True):
        assert all((x[name] == old[name]).all() for name in x.colnames)
        assert type(other) is QTable
        assert table.meta == other.meta == x.meta
        table.meta["redshift"] = 9
        assert x.meta["redshift"] != 9
        for name in table.colnames:
            np.testing.assert_array_equal(getattr(other[name], "value", other[name]), table[name])
        assert other[view._names[0]].unit == table[view._names[0]].unit


def test_points_that_are_not_observed_do_not_count(view, X):
    spoiled = [x.copy() for x in X]
    for x in spoiled:
        x.add_row({"time": 20.0, "flux": np.nan, "flux_err": 0.1, "band": "g"})
        x.add_row({"time": 20.0, "flux": 1e9, "flux_err": np.inf, "band": "g"})
    view.fit(X)
    for one, other in zip(view.transform(spoiled), view.transform(X), strict=True):
        np.testing.assert_array_equal(one[view._names[1]], other[view._names[1]])


def test_flat_tables_give_flat_tables(view, X):
    listed, flat = view.fit_transform(X), clone(view).fit_transform(FlatTables.of(X))
    assert isinstance(flat, FlatTables)
    for one, other in zip(flat, listed, strict=True):
        assert one.colnames == other.colnames
        assert one[view._names[0]].unit == other[view._names[0]].unit
        for name in one.colnames:
            np.testing.assert_array_equal(one[name], other[name])


def test_objects_of_few_points_are_named(view, X):
    view.fit(X)
    few, flat = [*X[:2], X[2][:5], X[3], X[4][:3]], curve(3)
    flat["flux"] = 1.0
    for given in (few, FlatTables.of(few)):
        with pytest.raises(
            SamplingError, match=r"X\[2\] has 5 points, and no band with the 9 points.*\(1 others too\)"
        ) as info:
            view.transform(given)
        assert info.value.objects == [2, 4]
        assert pickle.loads(pickle.dumps(info.value)).objects == [2, 4]
    with pytest.raises(SamplingError, match=r"X\[0\] column 'flux' is constant, or all points have the same time"):
        view.transform([flat])
    with pytest.raises(SamplingError, match="No object of X has 9 points in a band"):
        clone(view).fit([x[:5] for x in X])


@pytest.mark.parametrize("given", [[], [0.1], [[0.1, 0.2]], ["a", "b"], [0.2, 0.1], [-1, 1], [0.1, np.nan], 0.5])
def test_odd_places_are_refused(view, given):
    with pytest.raises(ValueError, match=rf"{type(view).__name__}\({view._places[0]}=...\): give"):
        view.set_params(**{view._places[0]: given}).fit([curve()])


def test_what_may_be_0():
    with pytest.raises(ValueError, match="increasing numbers above 0"):
        PowerSpectrum([0, 1]).fit([curve()])
    Autocorrelation([0, 1]).fit([curve()])
    with pytest.raises(ValueError, match="min_pairs"):
        Autocorrelation(min_pairs=0).fit([curve()])


def test_there_is_no_way_back(view, X):
    assert not hasattr(view.fit(X), "inverse_transform")
    assert not hasattr(make_pipeline(view), "inverse_transform")
    with pytest.raises(AttributeError, match="a light curve cannot be computed"):
        view.inverse_transform(X)


@pytest.mark.parametrize("step", [*VIEWS.values(), BESIDE], ids=[*VIEWS, "Views"])
def test_manners(step, X):
    step = clone(step)
    with pytest.raises(NotFittedError):
        step.transform(X)
    with pytest.warns(SkipTestWarning):
        check_estimator(step, on_skip=None)
    fitted = step.fit(X)
    other = pickle.loads(pickle.dumps(fitted))
    for one, two in zip(other.transform(X), fitted.transform(X), strict=True):
        for a, b in zip(*([t.values() if isinstance(t, dict) else [t] for t in (one, two)]), strict=True):
            assert all(np.array_equal(a[n], b[n], equal_nan=a[n].dtype.kind == "f") for n in b.colnames)
    assert step.set_output(transform="pandas") is step


# --- beside the light curve -------------------------------------------------------------------------


def test_light_curves_become_objects_of_several_modalities(X):
    objects = BESIDE.fit_transform(X)
    assert [list(obj) for obj in objects] == [["light_curve", "power", "correlation"]] * 6
    for obj, x, power in zip(objects, X, PowerSpectrum().fit_transform(X), strict=True):
        assert obj["light_curve"] is x
        np.testing.assert_array_equal(obj["power"]["power"], power["power"])


def test_objects_of_several_modalities_keep_theirs(X):
    given = [{"curve": x, "spectrum": i} for i, x in enumerate(X)]
    given[2], given[4] = {"spectrum": 2}, {"curve": None, "spectrum": 4}
    before = [dict(obj) for obj in given]
    views = Views({"power": PowerSpectrum(), "again": "passthrough"}, of="curve")
    for X_given in (given, pd.Series(given), np.array(given, object)[:, None]):
        objects = views.fit_transform(X_given)
        assert given == before
        assert [obj["spectrum"] for obj in objects] == list(range(6))
        assert ["power" in obj for obj in objects] == [True, True, False, True, False, True]
        assert objects[3]["again"] is X[3]


@pytest.mark.parametrize("flat", [False, True])
def test_a_view_may_be_missing(X, flat):
    views = Views({"power": PowerSpectrum(), "log": make_pipeline(PowerSpectrum(), Log10(value="power"))})
    X = [x[:4] if i in (1, 3) else x for i, x in enumerate(X)]
    given = FlatTables.of(X) if flat else X
    with pytest.raises(SamplingError, match=r"View 'log': X\[1\] has 4 points|View 'power': X\[1\] has 4 points"):
        views.fit(given).transform(given)
    views.set_params(impossible="missing").fit(given)
    objects = views.transform(given)
    assert isinstance(objects, Objects) is flat
    assert ["power" in obj and "log" in obj for obj in objects] == [i not in (1, 3) for i in range(6)]
    for name, like in (("power", PowerSpectrum()), ("log", make_pipeline(PowerSpectrum(), Log10(value="power")))):
        expected = like.fit_transform([x for i, x in enumerate(X) if i not in (1, 3)])
        for one, other in zip([obj[name] for obj in objects if name in obj], expected, strict=True):
            np.testing.assert_array_equal(one["power"], other["power"])
    none = views.transform(given[:0] if flat else [x[:4] for x in X])
    assert not any("power" in obj for obj in none)
    with pytest.raises(SamplingError, match="No object of X has"):
        views.fit([x[:4] for x in X])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"views": {}}, "give a dict"),
        ({"views": [PowerSpectrum()]}, "give a dict"),
        ({"views": {"light_curve": PowerSpectrum()}}, "'light_curve' cannot be the name of a view"),
        ({"views": {"power": "power"}}, "'power' is 'power'; give a step"),
        ({"views": {"power": PowerSpectrum()}, "impossible": "skip"}, "choose 'error' or 'missing'"),
    ],
)
def test_odd_views_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Views(**options).fit([curve()])


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([{"light_curve": curve(), "power": 1}], r"X\[0\] has 'power' already"),
        ([{"light_curve": curve()}, curve()], r"X\[1\] is not a dict but a Table"),
        ([curve(), {"light_curve": curve()}], r"X\[0\] is not a dict but a Table"),
        ([{"spectrum": curve()}], "No object of X has 'light_curve'"),
        ([{"light_curve": 3}], r"X\[0\]\['light_curve'\] is not a Table"),
        ([], "X holds 0 objects"),
        (curve(), "X is a single Table"),
        ({"light_curve": [curve()]}, "X is a dict"),
        (np.ones((3, 4)), "is not a Table|array of numbers"),
    ],
)
def test_odd_objects_are_refused(X, message):
    with pytest.raises(ValueError, match=message):
        Views({"power": PowerSpectrum()}).fit(X)


TINY = dict(model_dim=8, n_heads=2, n_encoder_layers=1, bottleneck_length=2, bottleneck_dim=2, max_iter=2)
TINY |= dict(encoder_hidden_length=3, batch_size=8, early_stopping=False, random_state=0, device="cpu")


@pytest.mark.parametrize("flat", [False, True])
def test_encoders_of_several_modalities_take_them(X, flat):
    X = [x[:4] if i == 1 else x for i, x in enumerate(X)]
    given = FlatTables.of(X) if flat else X
    views = Views({"power": PowerSpectrum()}, impossible="missing")
    encoder = MultimodalDAEP({"light_curve": Photometry("flux"), **POWER}, n_decoder_layers=1, **TINY)
    pipe = make_pipeline(views, encoder).fit(given)
    assert np.isfinite(pipe.transform(given)).all()
    decoded = pipe[-1].reconstruct([{"light_curve": X[0]}], modality="power")[0]
    assert decoded.colnames == ["frequency", "band", "power"]
    dual = DualFormer({"light_curve": Photometry("flux"), **POWER}, **TINY)
    assert make_pipeline(views, dual).fit_transform(given).shape == (6, 4)


def test_beside_a_spectrum(X):
    wavelength = np.linspace(4000, 7000, 20) * u.AA
    spectra = [Table({"wavelength": wavelength, "flux": np.ones(20) + i}) for i in range(6)]
    objects = [{"light_curve": x, "spectrum": s} for x, s in zip(X, spectra, strict=True)]
    modalities = {"light_curve": Photometry("flux"), "spectrum": Spectrum("flux"), **POWER}
    pipe = make_pipeline(Views({"power": PowerSpectrum()}), MultimodalDAEP(modalities, n_decoder_layers=1, **TINY))
    assert pipe.fit_transform(objects).shape == (6, 4)
