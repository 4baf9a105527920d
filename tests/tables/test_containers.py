"""Lists of objects and objects: other containers work where their meaning is plain, or an error says what to do."""

from collections import deque

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.nddata import StdDevUncertainty, UnknownUncertainty
from astropy.table import Column, QTable, Table, vstack
from astropy.time import Time, TimeDelta

from skdaep import DAEPEncoder, MultimodalDAEP, Photometry, Sequence, TableError, tables
from skdaep.metrics import object_errors
from skdaep.plotting import ReconstructionDisplay
from skdaep.preprocessing import PhaseFold, PhaseFromPeak, ZScore

ESTIMATORS = ("DAEPEncoder",)


class OnDemand:
    """Objects that have a length and indices, and nothing else; no index is out of range."""

    def __init__(self, objects):
        self.objects = objects

    def __len__(self):
        return len(self.objects)

    def __getitem__(self, i):
        return self.objects[i % len(self.objects)]


class Spectra:
    """The part of `specutils.Spectrum`, or of a SpectrumCollection, that is used."""

    def __init__(self, flux, uncertainty=None):
        self.spectral_axis, self.flux = np.linspace(4000, 5000, np.shape(flux)[-1]) * u.AA, flux * u.mJy
        self.uncertainty, self.mask, self.meta = uncertainty, None, {}


# --- lists ------------------------------------------------------------------------------------------

LISTS = {
    "values of a dict": lambda X: dict(enumerate(X)).values(),
    "deque": deque,
    "only a length and indices": OnDemand,
}


@pytest.mark.parametrize("listing", LISTS.values(), ids=LISTS)
def test_what_is_like_a_list_is_one(make, fitted, fresh, X, listing):
    expected = fitted.transform(X)
    np.testing.assert_array_equal(fitted.transform(listing(X)), expected)
    np.testing.assert_array_equal(make().fit(listing(X)).transform(X), fresh.transform(X))
    np.testing.assert_array_equal(
        fitted.inverse_transform(expected, at=listing(X))[3]["mag"], fitted.reconstruct(X)[3]["mag"]
    )
    assert len(ZScore().fit_transform(listing(X))) == len(X)
    rebuilt = fitted.reconstruct(X)
    np.testing.assert_array_equal(object_errors(listing(X), rebuilt), object_errors(X, rebuilt))
    assert ReconstructionDisplay.from_predictions(listing(X[:2]), rebuilt[:2]).figure_.axes
    assert ReconstructionDisplay.from_estimator(fitted, listing(X[:2])).figure_.axes
    plt.close("all")


@pytest.mark.parametrize("listing", [LISTS["deque"], OnDemand], ids=["deque", "on demand"])
def test_rows_of_numbers_may_come_so_too(make, listing):
    rows = list(np.random.default_rng(0).normal(size=(9, 5)))
    estimator = make(modality=None).fit(np.array(rows))
    np.testing.assert_array_equal(estimator.transform(listing(rows)), estimator.transform(np.array(rows)))


def test_groups_of_a_long_table_are_its_objects(make, fitted, X):
    for i, table in enumerate(X):
        table["object_id"] = i
        table.meta = {}
    long = vstack(X)[np.random.default_rng(0).permutation(sum(map(len, X)))]
    expected = fitted.transform(X)
    np.testing.assert_allclose(fitted.transform(long.group_by("object_id").groups), expected, rtol=1e-5, atol=1e-6)
    assert make(modality=Photometry()).fit(long.group_by("object_id").groups).n_iter_ == 2


def test_a_dict_says_how_to_make_a_list(make, X):
    with pytest.raises(TableError, match=r"X is a dict.*list\(X\.values\(\)\)"):
        make().fit(dict(enumerate(X)))


@pytest.mark.parametrize(
    "pairs", [lambda frame: frame.groupby("id"), lambda frame: list(frame.groupby("id"))], ids=["GroupBy", "its list"]
)
def test_a_group_by_is_refused_with_what_to_do(make, X, pairs):
    frame = pd.DataFrame({"id": [0, 0, 1], "time": [1.0, 2.0, 1.0], "mag": [1.0, 2.0, 3.0]})
    with pytest.raises(TableError, match=r"from_long\(frame, by=|pass the objects alone, \[x for _, x in X\]"):
        make().fit(pairs(frame))
    with pytest.raises(TableError, match=r"from_long\(frame, by="):
        make().fit(pl.from_pandas(frame).group_by("id"))


def test_items_of_a_dict_are_refused_with_what_to_do(make, X):
    with pytest.raises(
        TableError, match=r"X\[0\] is not a Table but a tuple\. It is a key and an object.*for _, x in X"
    ):
        make().fit(list(dict(enumerate(X)).items()))


@pytest.mark.parametrize(
    ("other", "hint"),
    [
        (lambda t: t.to_pandas(), r"a DataFrame\. Table\.from_pandas\(x\) makes it one"),
        (lambda t: pl.from_pandas(t.to_pandas()), r"Table\.from_pandas\(x\.to_pandas\(\)\) makes it one"),
        (lambda t: fits.table_to_hdu(Table(t, meta={})), r"a BinTableHDU\. Table\.read\(hdu\) makes one"),
    ],
    ids=["pandas", "polars", "HDU"],
)
def test_an_object_of_another_package_is_refused_with_what_makes_a_table_of_it(make, X, other, hint):
    X[2] = other(X[2])
    with pytest.raises(TableError, match=rf"X\[2\] is not a Table but {hint}|{hint}"):
        make().fit(X)


@pytest.mark.parametrize("cell", [[1.0], object(), Table()], ids=lambda x: type(x).__name__)
def test_rows_of_anything_but_numbers_are_refused_by_place(make, cell):
    rows = [[1.0, 2.0], [3.0, cell]]
    with pytest.raises(TableError, match=r"X\[1\]"):
        make(modality=None).fit(rows)


# --- records ----------------------------------------------------------------------------------------


def test_a_record_array_is_an_object(fitted, X):
    expected = fitted.transform(X)
    for table in X:
        table.meta = {}
    without_meta = fitted.transform(X)
    assert not np.array_equal(expected, without_meta)
    records = [np.asarray(t.as_array().filled()) for t in X]
    np.testing.assert_allclose(fitted.transform(records), without_meta, rtol=1e-5)
    np.testing.assert_allclose(fitted.transform([r.view(np.recarray) for r in records]), without_meta, rtol=1e-5)
    with pytest.raises(TableError, match="X is a single structured array; pass a list of them"):
        fitted.transform(records[0])


def test_records_of_fits_are_read_as_scaled(make):
    """Integers without sign stand in FITS with an offset, which a plain array of the records lacks."""
    flux = np.arange(5, dtype=np.uint16) + 40_000
    table = Table({"time": np.arange(5.0), "flux": flux})
    hdu = fits.BinTableHDU.from_columns(fits.table_to_hdu(table).columns)
    (read,) = tables.as_objects([hdu.data])
    np.testing.assert_array_equal(tables.numbers(read, "flux", "X[0]"), flux)


# --- spectra of specutils ---------------------------------------------------------------------------


def test_several_spectra_in_one_are_refused_with_the_list_that_they_make(make):
    several = Spectra(np.ones((3, 20)))
    with pytest.raises(
        TableError, match=r"X is a Spectra of several spectra; pass a list.*\[X\[i\] for i in range\(3\)\]"
    ):
        make(modality=None).fit(several)
    with pytest.raises(
        TableError, match=r"X\[0\] is a Spectra of several spectra.*\[X\[0\]\[i\] for i in range\(3\)\]"
    ):
        make(modality=None).fit([several])


def test_an_uncertainty_of_unknown_meaning_is_refused(make):
    values = np.random.default_rng(0).normal(size=(6, 20))
    objects = [Spectra(row, StdDevUncertainty(np.full(20, 0.1), unit=u.mJy)) for row in values]
    assert make(modality=None).fit(objects).modalities_["sequence"].error is not None
    objects[2].uncertainty = UnknownUncertainty(np.full(20, 0.1))
    with pytest.raises(TableError, match=r"X\[2\] has a UnknownUncertainty.*StdDevUncertainty.*uncertainty = None"):
        make(modality=None).fit(objects)


def test_spectra_of_specutils_themselves(make):
    specutils = pytest.importorskip("specutils")
    axis = np.linspace(4000, 5000, 20) * u.AA
    several = specutils.Spectrum(spectral_axis=axis, flux=np.random.default_rng(0).normal(size=(6, 20)) * u.Jy)
    collection = specutils.SpectrumCollection(spectral_axis=np.tile(axis, (6, 1)), flux=several.flux)
    for X in (several, [several], collection):
        with pytest.raises(TableError, match="of several spectra"):
            make(modality=None).fit(X)
    assert make(modality=None).fit_transform([several[i] for i in range(6)]).shape == (6, 4)


def test_a_collection_of_lightkurve(make):
    lightkurve = pytest.importorskip("lightkurve")
    rng = np.random.default_rng(0)
    X = [lightkurve.LightCurve(time=np.arange(20.0) + i, flux=rng.normal(size=20)) for i in range(6)]
    collection = lightkurve.LightCurveCollection(X)
    declared = Sequence(value="flux", location="time")
    estimator = make(modality=declared).fit(collection)
    np.testing.assert_array_equal(estimator.transform(collection), estimator.transform(X))


# --- times ------------------------------------------------------------------------------------------

AXES = {
    "TimeDelta": lambda t: TimeDelta(t, format="jd"),
    "timedelta64": lambda t: Column((t * 86_400e6).round().astype("timedelta64[us]")),
    "hours": lambda t: Column(24 * t, unit="h"),
}


@pytest.mark.parametrize("axis", AXES.values(), ids=AXES)
def test_durations_are_days(make, fitted, X, axis):
    expected = fitted.transform(X)
    for table in X:
        table["time"] = axis(np.asarray(table["time"]))
    np.testing.assert_allclose(fitted.transform(X), expected, rtol=1e-3, atol=1e-4)
    estimator = make().fit(X)
    assert estimator.modalities_["sequence"].learned.units["time"] in ("d", "h")
    assert isinstance(estimator.reconstruct(X)[0]["time"], type(X[0]["time"]))
    assert np.isfinite(estimator.inverse_transform(estimator.transform(X))[0]["mag"]).all()


@pytest.mark.parametrize("unit", ["s", "ms", "ns", "m"])
def test_dates_are_mjd(unit):
    moments = np.array(["2020-01-01T12:00", "1858-11-17T00:00", "NaT", "1700-01-01T06:00"], f"datetime64[{unit}]")
    expected = [58849.5, 0.0, np.nan, Time("1700-01-01T06:00", scale="tai").mjd]
    np.testing.assert_allclose(tables.numbers(Table({"t": moments}), "t", "X[0]", "d"), expected, atol=1e-9)
    hidden = np.ma.array(moments, mask=[True, False, False, False])
    assert np.isnan(tables.numbers(Table({"t": hidden}), "t", "X[0]", "d")).tolist() == [True, False, True, False]
    assert tables.unit_of(Table({"t": moments}), "t") == "d"


def test_masked_times_are_not_observed():
    time = Time([59_000.0, 59_001.0], format="mjd")
    time[1] = np.ma.masked
    assert np.isnan(tables.numbers(Table({"t": time}), "t", "X[0]", "d")).tolist() == [False, True]


def folded(X, **options):
    return PhaseFold(**options).fit_transform(X)


@pytest.fixture
def timed():
    return [Table({"time": np.arange(0.0, 10.0) * u.day, "mag": np.arange(10.0)}, meta={"period": 3.0})]


def test_a_period_may_have_a_unit(timed):
    expected = folded(timed)[0]
    for period in (3 * u.day, 72 * u.hour):
        np.testing.assert_allclose(folded(timed, period=period)[0]["time"], expected["time"], atol=1e-12)
    step = PhaseFold(period=72 * u.hour).fit(timed)
    np.testing.assert_allclose(step.inverse_transform(step.transform(timed))[0]["time"], timed[0]["time"], atol=1e-9)
    np.testing.assert_allclose(
        folded(timed, epoch=24 * u.hour)[0]["time"], folded(timed, epoch=1.0)[0]["time"], atol=1e-12
    )
    with pytest.raises(TableError, match="unit 'Jy', which cannot be converted to 'd'"):
        folded(timed, period=3 * u.Jy)
    with pytest.raises(ValueError, match="period"):
        folded(timed, period=-3 * u.day)


def test_a_period_with_a_unit_needs_one_of_the_times_unless_their_name_says_days(timed):
    timed[0]["time"].unit = None
    with pytest.raises(TableError, match=r"PhaseFold\(period=\.\.\.\) has unit 'h', but fit had none"):
        folded(timed, period=72 * u.hour)
    expected = folded(timed)[0]["time"]
    timed[0].rename_column("time", "mjd")
    np.testing.assert_allclose(folded(timed, period=72 * u.hour)[0]["mjd"], expected, atol=1e-12)


def test_window_and_phases_kept_may_have_a_unit():
    time = np.arange(0.0, 100.0, 2)
    table = Table({"time": time * u.day, "flux": 100 * np.exp(-(((time - 40) / 15) ** 2)) * u.Jy})
    (expected,) = PhaseFromPeak(None, window=50.0, keep=(-20, 30)).fit_transform([table])
    for keep in ((-20, 30) * u.day, (-480 * u.hour, 30 * u.day)):
        (kept,) = PhaseFromPeak(None, window=1200 * u.hour, keep=keep).fit_transform([table])
        np.testing.assert_allclose(kept["time"], expected["time"], atol=1e-9)
    with pytest.raises(
        TableError, match=r"PhaseFromPeak\(window=\.\.\.\) has unit 'Jy', which cannot be converted to 'd'"
    ):
        PhaseFromPeak(None, window=50 * u.Jy).fit_transform([table])
    for keep in ((3, -3) * u.day, 3 * u.day, (1, 2, 3), "ab", (Time(1, format="mjd"), 3)):
        with pytest.raises(ValueError, match="two increasing numbers"):
            PhaseFromPeak(None, keep=keep).fit([table])


def test_an_epoch_may_be_a_time(timed):
    epoch = Time(59_001.0, format="mjd", scale="utc")
    expected = folded(timed, epoch=1.0)[0]["time"]
    for name, zero in (("mjd", 59_000.0), ("jd", 2_459_000.5)):
        table = timed[0].copy()
        table.rename_column("time", name)
        table[name] = (np.arange(10.0) + zero) * u.day
        np.testing.assert_allclose(folded([table], epoch=epoch)[0][name], expected, atol=1e-6)
    with pytest.raises(TableError, match=r"X\[0\] column 'time' holds numbers with an unknown origin"):
        folded(timed, epoch=epoch)


def test_an_epoch_is_brought_to_the_scale_of_times(timed):
    expected = folded(timed, epoch=0.5)[0]["time"]
    epoch = Time(59_000.5, format="mjd", scale="utc")
    timed[0]["time"] = Time(59_000 + np.arange(10.0), format="mjd", scale="utc").tdb
    timed[0].meta["T0"] = epoch
    for given in (epoch, epoch.tdb, "t0"):
        np.testing.assert_allclose(folded(timed, epoch=given)[0]["time"], expected, atol=1e-8)
    with pytest.raises(TableError, match="and the epoch"):
        folded(timed, epoch=Time(59_001.0, format="mjd", scale="local"))


def test_times_too_many_periods_away_have_no_phase(timed):
    timed[0]["time"][3] = 1e30
    with pytest.raises(TableError, match=r"X\[0\] column 'time' is 1e\+30 at row 3, so many periods"):
        folded(timed)


# --- odd columns ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("band", "message"),
    [
        (lambda n: np.full((n, 2), "g"), "column 'band' has 1 further dimensions; one label per row"),
        (lambda n: np.full(n, b"\xff"), "column 'band' holds bytes that are not UTF-8"),
        (lambda n: np.array([b"\xff"] * n, object), "column 'band' holds bytes that are not UTF-8"),
    ],
    ids=["two dimensions", "not UTF-8", "objects not UTF-8"],
)
def test_bands_that_are_no_label_are_refused_by_object(make, fitted, X, band, message):
    X[2]["band"] = band(len(X[2]))
    for method in (make().fit, fitted.transform, ZScore(per_band=True).fit):
        with pytest.raises(TableError, match=rf"X\[2\] {message}"):
            method(X)


def test_bytes_of_another_encoding_than_ascii_are_read(fitted, X):
    assert tables.labels(Table({"band": np.array(["ü".encode()])}), "band").tolist() == ["ü"]


@pytest.mark.parametrize("name", ["time", "mag"])
def test_numbers_too_close_for_a_scale_are_refused(make, X, name):
    for table in X:
        table[name] = np.asarray(table[name]) * 1e-200
        table.remove_column("mag_err")
    with pytest.raises(TableError, match=rf"column '{name}' only varies by \S+e-\d\d\d"):
        make(modality=Photometry()).fit(X)


def test_a_resolution_finer_than_single_precision_is_refused_and_a_coarse_one_is_not(make, X):
    for tiny in (5e-324, 1e-30):
        with pytest.raises(TableError, match=rf"Sequence\(resolution={tiny:g}\) is finer"):
            make(modality=Sequence(resolution=tiny)).fit(X)
    coarse = make(modality=Sequence(resolution=1e300)).fit(X)
    np.testing.assert_array_equal(coarse.transform(X), make(modality=Sequence(resolution=1e9)).fit(X).transform(X))


def test_z_scores_of_extreme_values_neither_overflow_nor_vanish(X):
    expected = ZScore(value="mag").fit_transform(X)
    for size in (1e300, 1e-300):
        scaled = [QTable(t) for t in X]
        for table in scaled:
            table["mag"] = np.asarray(table["mag"].value) * size / 20
            table["mag_err"] = table["mag_err"].value * size / 20
        got = ZScore(value="mag").fit_transform(scaled)
        np.testing.assert_allclose(np.asarray(got[0]["mag"]), np.asarray(expected[0]["mag"]), rtol=1e-9)


def test_several_modalities_name_the_object_of_an_odd_container(X):
    encoder = MultimodalDAEP({"lc": Photometry()}, max_iter=1)
    with pytest.raises(TableError, match=r"X\[0\]\['lc'\] is not a Table but a DataFrame.*from_pandas"):
        encoder.fit([{"lc": X[0].to_pandas()}])


def test_the_default_encoder_finds_columns_of_what_is_on_demand(X):
    assert DAEPEncoder(model_dim=8, max_iter=1).fit(OnDemand(X)).modalities_["sequence"].value == "mag"
