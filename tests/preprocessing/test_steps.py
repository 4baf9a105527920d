"""What every step owes: a way back, inputs left alone, units, masks and meta kept, and scikit-learn's manners."""

import copy
import inspect
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.table import Column, MaskedColumn, QTable, Table
from astropy.time import Time
from astropy.timeseries import TimeSeries
from astropy.utils.masked import Masked
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from skdaep import DAEPEncoder, FunctionalPCA, Spectrum, TableError, preprocessing
from skdaep.exceptions import OutOfRangeWarning
from skdaep.tables import FlatTables

validate = pytest.importorskip("numpydoc.validate").validate


def flux_curve(i: int, kind: type = Table, n: int = 20) -> Table:
    """Return object i: positive fluxes in two bands at MJDs near 60,000, with errors, meta and an odd column."""
    rng = np.random.default_rng([5, i])
    mjd = np.sort(60_000 + rng.uniform(0, 100, n))
    flux = 50 + 400 * np.exp(-0.5 * ((mjd - 60_040 - i) / 12) ** 2) + rng.standard_normal(n)
    table = kind(meta={"object_id": f"SN{i}", "redshift": 0.05 * (i + 1), "period": 3.7 + i, "nested": {"a": [1]}})
    table["quality"] = rng.integers(0, 9, n)
    table["mjd"] = mjd * u.day
    table["band"] = np.where(np.arange(n) % 3, "r", "g")
    table["flux"] = flux * u.uJy
    table["flux_err"] = rng.uniform(1, 3, n) * u.uJy
    return table


def magnitude_curve(i: int, kind: type = Table) -> Table:
    table = flux_curve(i, kind)
    flux, error = (u.Quantity(table.columns.pop(name)).value for name in ("flux", "flux_err"))
    table["mag"] = (23.9 - 2.5 * np.log10(flux)) * u.mag
    table["mag_err"] = 1.0857 * error / flux * u.mag
    return table


def spectrum(i: int, kind: type = Table) -> Table:
    table = flux_curve(i, kind)
    table["wavelength"] = (4000 + 200 * np.arange(20.0)) * u.AA
    table.remove_columns(["mjd", "band"])
    return table


# name -> (unfitted step, what makes an object for it, whether the way back gives everything again)
STEPS = {
    "Arcsinh": (preprocessing.Arcsinh(scale=20.0), flux_curve, True),
    "Arcsinh-quantity": (preprocessing.Arcsinh(scale=0.02 * u.mJy), flux_curve, True),
    "FindPeriod": (preprocessing.FindPeriod(min_period=1.0, key="found"), flux_curve, True),
    "FluxToMagnitude": (preprocessing.FluxToMagnitude(), flux_curve, True),
    "FluxToMagnitude-number": (preprocessing.FluxToMagnitude(zero_point=27.5), flux_curve, True),
    "Log10": (preprocessing.Log10(), flux_curve, True),
    "MagnitudeToFlux": (preprocessing.MagnitudeToFlux(), magnitude_curve, True),
    "MagnitudeToFlux-number": (preprocessing.MagnitudeToFlux(27.5, unit=None), magnitude_curve, True),
    "MedianFilter": (preprocessing.MedianFilter(size=3), flux_curve, False),
    "PhaseFold": (preprocessing.PhaseFold(), flux_curve, True),
    "PhaseFold-fixed": (preprocessing.PhaseFold(0.37, epoch=60_050.0), flux_curve, True),
    "PhaseFold-brightest": (preprocessing.PhaseFold(epoch="brightest"), flux_curve, True),
    "PhaseFold-faintest": (preprocessing.PhaseFold(epoch="faintest"), magnitude_curve, True),
    "PhaseFromPeak": (preprocessing.PhaseFromPeak(), flux_curve, True),
    "PhaseFromPeak-magnitudes": (preprocessing.PhaseFromPeak(), magnitude_curve, True),
    "RelativeToBrightest": (preprocessing.RelativeToBrightest(), flux_curve, True),
    "RestFrame": (preprocessing.RestFrame(), spectrum, True),
    "RestFrame-times": (preprocessing.RestFrame(times=True), flux_curve, True),
    "SignalToNoiseCut": (preprocessing.SignalToNoiseCut(threshold=40.0), flux_curve, False),
    "Standardize": (preprocessing.Standardize(), flux_curve, True),
    "Standardize-one": (preprocessing.Standardize(per_band=False), magnitude_curve, True),
    "Standardize-no-bands": (preprocessing.Standardize(), spectrum, True),
    "ZScore": (preprocessing.ZScore(), flux_curve, True),
    "ZScore-per_band": (preprocessing.ZScore(per_band=True), magnitude_curve, True),
    "ZScore-per_object": (preprocessing.ZScore(per_object=True), flux_curve, True),
    "ZScore-per_band-per_object": (preprocessing.ZScore(per_band=True, per_object=True), flux_curve, True),
}
CLASSES = sorted({name.split("-")[0] for name in STEPS})
VALUES = {"flux", "flux_err", "mag", "mag_err", "mjd", "wavelength"}


@pytest.fixture(params=STEPS)
def step(request):
    return clone(STEPS[request.param][0])


@pytest.fixture
def has_way_back(request, step):
    return STEPS[request.node.callspec.params["step"]][2]


@pytest.fixture
def make(request, step):
    return STEPS[request.node.callspec.params["step"]][1]


@pytest.fixture
def X(make):
    return [make(i) for i in range(4)]


def bare(column):
    """Return a column as numbers or labels, NaN where masked."""
    if hasattr(column, "mjd"):
        column = column.mjd
    mask = getattr(column, "mask", None)
    values = np.ma.getdata(np.array(getattr(column, "unmasked", column)))
    return values if mask is None or values.dtype.kind not in "f" else np.where(mask, np.nan, values)


def assert_same(one, other, rtol=1e-9, lost=None):
    """Compare Tables; in row `lost` the value is not observed, and so its error need not be kept."""
    assert one.colnames == other.colnames
    assert one.meta == other.meta
    for name in one.colnames:
        assert getattr(one[name], "unit", None) == getattr(other[name], "unit", None), name
        if name in VALUES:
            a, b = (np.delete(bare(t[name]), lost if "_err" in name and lost else []) for t in (one, other))
            np.testing.assert_allclose(a, b, rtol=0 if name == "mjd" else rtol, atol=1e-9)
        else:
            np.testing.assert_array_equal(one[name], other[name])


def test_every_public_class_is_tried_here():
    public = {name for name in preprocessing.__all__ if inspect.isclass(getattr(preprocessing, name))}
    elsewhere = {"Autocorrelation", "PowerSpectrum", "Views"}  # test_views.py: they have no way back
    assert public == set(CLASSES) | {"TableTransformer", "Points", "MetaFeatures"} | elsewhere


# --- there and back ---------------------------------------------------------------------------------


def test_there_and_back(step, X, has_way_back):
    Z = step.fit_transform(X)
    assert [type(t) for t in Z] == [Table] * len(X)
    back = step.inverse_transform(Z)
    for given, transformed, restored in zip(X, Z, back, strict=True):
        assert restored.colnames == given.colnames
        if has_way_back:
            assert_same(restored, given)
        else:
            assert_same(restored, transformed)


def test_something_happens(step, X):
    Z = step.fit_transform(X)
    assert any(
        len(z) != len(x)
        or z.meta != x.meta
        or any(not np.array_equal(bare(z[name]), bare(x[name])) for name in x.colnames)
        for z, x in zip(Z, X, strict=True)
    )


def test_the_objects_given_are_not_changed(step, X, make):
    Z = step.fit_transform(X)
    step.inverse_transform(Z)
    for i, given in enumerate(X):
        assert_same(given, make(i), rtol=0)


def test_nothing_is_shared_with_the_objects_given(step, X, make):
    Z = step.fit_transform(X)
    kept = copy.deepcopy(Z)
    for transformed, restored in zip(Z, step.inverse_transform(Z), strict=True):
        for name in restored.colnames:
            restored[name][:] = restored[name][0]
        restored.meta["nested"]["a"].append("changed")
        assert transformed.meta["nested"] == {"a": [1]}
    for transformed, before in zip(Z, kept, strict=True):
        assert_same(transformed, before, rtol=0)
        for name in transformed.colnames:
            transformed[name][:] = transformed[name][0]
        transformed.meta["nested"]["a"].append("changed")
    for i, given in enumerate(X):
        assert_same(given, make(i), rtol=0)


def test_each_object_for_itself(step, X):
    """Order and company of the objects do not matter."""
    Z = step.fit(X).transform(X)
    for alone, reference in zip(step.transform(X[::-1])[::-1], Z, strict=True):
        assert_same(alone, reference, rtol=0)
    assert_same(step.transform(X[2:3])[0], Z[2], rtol=0)


def test_qtable(step, make, has_way_back):
    X, Q = [make(i) for i in range(4)], [make(i, QTable) for i in range(4)]
    Z = step.fit_transform(Q)
    assert [type(z) for z in Z] == [QTable] * 4
    for z, reference in zip(Z, clone(step).fit_transform(X), strict=True):
        assert z.colnames == reference.colnames
        for name in set(z.colnames) & VALUES:
            np.testing.assert_array_equal(bare(getattr(z[name], "value", z[name])), bare(reference[name]))
    if has_way_back:
        for restored, given in zip(step.inverse_transform(Z), Q, strict=True):
            assert_same(restored, given)


@pytest.mark.parametrize("kind", [Table, QTable])
def test_masked_points_stay_masked(step, make, has_way_back, kind):
    X = [make(i, kind) for i in range(4)]
    name = "mag" if "mag" in X[0].colnames else "flux"
    for x in X:
        mask = np.arange(20) == 3
        x[name] = MaskedColumn(x[name], mask=mask) if kind is Table else Masked(x[name], mask=mask)
    assert np.isnan(bare(X[0][name])[3])
    Z = step.fit_transform(X)
    for given, transformed, restored in zip(X, Z, step.inverse_transform(Z), strict=True):
        assert np.asarray(transformed[name].mask).sum() == 1
        assert np.isfinite(bare(transformed[name])).sum() == len(transformed) - 1
        if has_way_back:
            assert_same(restored, given, lost=3)


def test_nan_stays_nan(step, X, has_way_back):
    name = "mag" if "mag" in X[0].colnames else "flux"
    for x in X:
        x[name][3] = np.nan
    Z = step.fit_transform(X)
    assert all(np.isnan(z[name]).sum() == 1 for z in Z)
    if has_way_back:
        for restored, given in zip(step.inverse_transform(Z), X, strict=True):
            assert_same(restored, given, lost=3)


def test_units_are_converted_to_those_of_fit(step, X, make, has_way_back):
    step.fit(X)
    others = [make(i) for i in range(4)]
    for x in others:
        for name, unit in {"flux": u.mJy, "flux_err": u.nJy, "mjd": u.hr, "wavelength": u.nm}.items():
            if name in x.colnames:
                x[name] = Column(x[name].to(unit))
    back = step.inverse_transform(step.transform(others))
    if has_way_back:
        for restored, given, other in zip(back, X, others, strict=True):
            for name in set(VALUES) & set(given.colnames):
                expected = other if restored[name].unit == other[name].unit else given  # untouched columns stay
                assert restored[name].unit in (given[name].unit, other[name].unit)
                np.testing.assert_allclose(restored[name], expected[name], rtol=1e-12)


def test_other_columns_and_descriptions_stay(step, X):
    for x in X:
        for name in x.colnames:
            x[name].info.description = f"the {name}"
    for given, transformed in zip(X, step.fit_transform(X), strict=True):
        assert transformed["quality"].dtype == given["quality"].dtype
        assert all(transformed[name].info.description == f"the {name}" for name in given.colnames)


def test_explicit_columns(step, X, make):
    """Names that no alias knows."""
    renamed = [make(i) for i in range(4)]
    names = {"flux": "f", "flux_err": "df", "mag": "m", "mag_err": "dm", "mjd": "when", "wavelength": "w", "band": "b"}
    names = {old: new for old, new in names.items() if old in X[0].colnames}
    for x in renamed:
        for old, new in names.items():
            x.rename_column(old, new)
    roles = {"flux": "value", "mag": "value", "flux_err": "error", "mag_err": "error", "mjd": "location"}
    roles |= {"wavelength": "location", "band": "band"}
    given = {roles[old]: new for old, new in names.items() if roles[old] in step.get_params()}
    if isinstance(step, preprocessing.PhaseFromPeak):
        given["brightest"] = "minimum" if "m" in renamed[0].colnames else "maximum"
    other = clone(step).set_params(**given)
    for z, reference in zip(other.fit_transform(renamed), step.fit_transform(X), strict=True):
        for old, new in names.items():
            np.testing.assert_array_equal(bare(z[new]), bare(reference[old]))


@pytest.mark.parametrize("name", ["PhaseFromPeak", "PhaseFold", "ZScore"])
def test_a_time_series_gives_a_qtable_of_mjd(name):
    x = flux_curve(0, QTable)
    mjd = x["mjd"].value
    x.remove_column("mjd")
    series = TimeSeries(time=Time(mjd, format="mjd"), data=x, meta=x.meta)
    step = getattr(preprocessing, name)()
    Z = step.fit_transform([series])
    assert type(Z[0]) is QTable
    back = step.inverse_transform(Z)[0]["time"]
    assert isinstance(back, Time if name == "ZScore" else u.Quantity)
    np.testing.assert_allclose(back.mjd if name == "ZScore" else back.to_value("d"), mjd, rtol=0, atol=1e-9)


# --- what an encoder decodes ------------------------------------------------------------------------


def decoded(table, n_draws=None):
    """Return what an encoder makes of an object: its locations, bands and meta, and values, perhaps draws of them."""
    kind = QTable if isinstance(table, QTable) else Table
    name = "mag" if "mag" in table.colnames else "flux"
    keep = [c for c in table.colnames if c in ("mjd", "wavelength", "band")]
    value = table[name]
    if n_draws is not None:
        value = np.stack([np.asarray(value)] * n_draws, 1)
        value = Column(value, unit=table[name].unit) if kind is Table else value << (table[name].unit or u.one)
    return kind({c: table[c] for c in keep} | {name: value}, meta=dict(table.meta))


@pytest.mark.parametrize("n_draws", [None, 3])
@pytest.mark.parametrize("kind", [Table, QTable])
def test_decoded_tables_come_back(step, make, has_way_back, kind, n_draws):
    X = [make(i, kind) for i in range(4)]
    Z = [decoded(z, n_draws) for z in step.fit_transform(X)]
    before = copy.deepcopy(Z)
    for restored, given, x, same in zip(step.inverse_transform(Z), Z, X, before, strict=True):
        name = "mag" if "mag" in x.colnames else "flux"
        assert restored.colnames == given.colnames
        assert restored[name].shape == given[name].shape
        assert given.meta == same.meta
        if not has_way_back:
            continue
        assert restored.meta == x.meta
        folded = isinstance(step, preprocessing.PhaseFold)
        for column in set(restored.colnames) - ({"mjd"} if folded else set()):
            assert restored[column].unit == x[column].unit
            if column != "band":
                truth, got = np.asarray(x[column]), np.asarray(restored[column])
                truth = np.stack([truth] * got.shape[1], 1) if got.ndim == 2 else truth
                np.testing.assert_allclose(got, truth, rtol=1e-9, atol=1e-9)


def test_a_pipeline_gives_original_units_from_draws():
    X = [flux_curve(i) for i in range(4)]
    steps = make_pipeline(
        preprocessing.SignalToNoiseCut(),
        preprocessing.FluxToMagnitude(),
        preprocessing.PhaseFromPeak(),
        preprocessing.RestFrame(times=True),
        preprocessing.ZScore(per_band=True, per_object=True),
    )
    back = steps.fit(X).inverse_transform([decoded(z, 2) for z in steps.transform(X)])
    for restored, x in zip(back, X, strict=True):
        assert (restored["flux"].unit, restored["mjd"].unit) == (u.uJy, u.day)
        np.testing.assert_allclose(restored["mjd"], x["mjd"], rtol=0, atol=1e-9)
        np.testing.assert_allclose(restored["flux"], np.stack([x["flux"]] * 2, 1), rtol=1e-9)
        assert restored.meta == x.meta


# --- scikit-learn -----------------------------------------------------------------------------------

ENCODER = DAEPEncoder(
    model_dim=8,
    n_heads=2,
    n_encoder_layers=1,
    n_decoder_layers=1,
    bottleneck_length=2,
    bottleneck_dim=2,
    max_iter=2,
    early_stopping=False,
    device="cpu",
    random_state=0,
)


def test_clone_and_repr(step, X):
    other = clone(step.fit(X))
    assert not hasattr(other, "columns_")
    assert repr(other) == repr(step)
    assert type(step)(**step.get_params()).get_params().keys() == step.get_params().keys()


def test_init_only_stores(step):
    for name, default in inspect.signature(type(step)).parameters.items():
        given = object()
        assert getattr(type(step)(**{name: given}), name) is given
        assert default.default is not inspect.Parameter.empty


def test_pickle(step, X):
    Z = step.fit_transform(X)
    other = pickle.loads(pickle.dumps(step))
    for one, two in zip(other.transform(X), Z, strict=True):
        assert_same(one, two, rtol=0)


def test_not_fitted(step, X):
    with pytest.raises(NotFittedError):
        step.transform(X)
    with pytest.raises(NotFittedError):
        step.inverse_transform(X)


def test_fit_forgets_the_last_fit(step, X):
    once = step.fit_transform(X[:2])
    step.fit(X)
    for one, two in zip(step.fit_transform(X[:2]), once, strict=True):
        assert_same(one, two, rtol=0)


def test_scikit_learn_check(step):
    with pytest.warns(SkipTestWarning):  # it has checks for the class, none for lists of Tables
        check_estimator(step, on_skip=None)


def test_output_stays_tables(step, X):
    assert step.set_output(transform="pandas") is step
    assert isinstance(step.fit_transform(X)[0], Table)
    names = np.array(["a", "b"], object)
    assert step.get_feature_names_out(names) is names
    assert step.get_feature_names_out() is None


def test_pipeline_with_an_encoder(step, X, has_way_back):
    pipe = make_pipeline(step, clone(ENCODER)).set_output(transform="pandas")
    Z = pipe.fit(X).transform(X)
    assert isinstance(Z, pd.DataFrame)
    assert list(pipe.get_feature_names_out()) == [f"daepencoder{i}" for i in range(4)]
    inner = pipe[:-1].transform(X)
    for output, n_draws in ((pipe[-1].reconstruct(inner), None), (pipe[-1].reconstruct(inner, n_draws=2), 2)):
        for restored, given, x in zip(pipe[:-1].inverse_transform(output), inner, X, strict=True):
            name = "mag" if "mag" in x.colnames else "flux"
            location = "wavelength" if "wavelength" in x.colnames else "mjd"
            assert restored[name].shape == (len(given), *([n_draws] if n_draws else []))
            assert restored[name].unit == x[name].unit
            assert restored[location].unit == x[location].unit
            if has_way_back:
                assert restored.meta == x.meta
                if not isinstance(step, preprocessing.PhaseFold):
                    np.testing.assert_allclose(restored[location], x[location], rtol=1e-12)


def test_the_pipeline_decodes_codes_where_nothing_of_an_object_is_needed():
    X = [flux_curve(i) for i in range(4)]
    pipe = make_pipeline(preprocessing.FluxToMagnitude(), preprocessing.ZScore(), clone(ENCODER)).fit(X)
    back = pipe.inverse_transform(pipe.transform(X))
    assert [t["flux"].unit for t in back] == [u.uJy] * 4
    pipe = make_pipeline(preprocessing.PhaseFromPeak(), clone(ENCODER)).fit(X)
    Z = pipe.transform(X)
    with pytest.raises(TableError, match=r"X\[0\] has no number 'peak_time' in meta .*inverse_transform\(Z, at=X\)"):
        pipe.inverse_transform(Z)
    inner = pipe[:-1].transform(X)
    back = pipe[:-1].inverse_transform(pipe[-1].inverse_transform(pipe[-1].transform(inner), at=inner))
    np.testing.assert_allclose(back[1]["mjd"], X[1]["mjd"], rtol=0, atol=1e-9)


def test_the_error_of_a_way_back_without_a_redshift_names_ways_that_work():
    X = [spectrum(i) for i in range(4)]
    pipe = make_pipeline(preprocessing.RestFrame(), clone(ENCODER)).fit(X)
    Z, inner = pipe.transform(X), pipe[:-1].transform(X)
    with pytest.raises(TableError, match=r"no number 'redshift' .*metadata routing.*metadata=\('redshift',\)"):
        pipe.inverse_transform(Z)
    with config_context(enable_metadata_routing=True):
        pipe[-1].set_inverse_transform_request(at=True)
        back = pipe.inverse_transform(Z, at=inner)
    np.testing.assert_allclose(back[1]["wavelength"], X[1]["wavelength"])
    declared = clone(ENCODER).set_params(modality=Spectrum(metadata=("redshift",)))
    pipe = make_pipeline(preprocessing.RestFrame(), declared).fit(X)
    back, grid = pipe.inverse_transform(Z), pipe[-1].inverse_transform(Z)
    stretch = 1 + np.median([x.meta["redshift"] for x in X])
    np.testing.assert_allclose(back[0]["wavelength"], grid[0]["wavelength"] * stretch)


GRIDS = {
    "Arcsinh": {"scale": [1.0, 10.0]},
    "FluxToMagnitude": {"zero_point": ["AB", 25.0]},
    "MedianFilter": {"size": [1, 3]},
    "PhaseFromPeak": {"keep": [None, (-30, 40)]},
    "RelativeToBrightest": {"keep": [None, (-30, 40)]},
    "SignalToNoiseCut": {"threshold": [1.0, 10.0]},
    "ZScore": {"per_band": [False, True]},
}


@pytest.mark.parametrize("name", GRIDS)
def test_grid_search(name):
    X = [flux_curve(i) for i in range(4)]
    pipe = make_pipeline(getattr(preprocessing, name)(), clone(ENCODER))
    grid = {f"{name.lower()}__{k}": v for k, v in GRIDS[name].items()}
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.transform(X).shape == (4, 4)


# --- what is given ----------------------------------------------------------------------------------


def test_whatever_holds_tables(step, X):
    Z = step.fit_transform(X)
    array = np.empty((4, 1), object)
    array[:, 0] = X
    for given in (tuple(X), pd.Series(X, index=[5, 6, 7, 8]), array):
        for one, two in zip(clone(step).fit_transform(given), Z, strict=True):
            assert_same(one, two, rtol=0)


@pytest.mark.parametrize(
    ("X", "match"),
    [
        (np.ones((3, 4)), "X is an array of numbers; .* needs a list of Tables"),
        ([flux_curve(0), None], r"X\[1\] is not a Table but None"),
        (flux_curve(0), "X is a single Table"),
        ([], "X holds 0 objects"),
        ([flux_curve(0), flux_curve(1)[:0]], r"X\[1\] is an empty table"),
        ([Table({"x": [1.0]})], r"X\[0\] has no column for the (value|location) .*Declare it with \w+\("),
    ],
    ids=["array", "None", "single", "nothing", "empty", "columns"],
)
def test_bad_input(X, match):
    for step in (preprocessing.ZScore(), preprocessing.Log10(), preprocessing.RestFrame(times=True)):
        with pytest.raises(ValueError, match=match):
            step.fit(X)


def test_bad_object_among_good_ones(step, X):
    step.fit(X)
    for spoil, match in [
        (lambda t: t[:0], r"X\[2\] is an empty table"),
        (lambda t: t["quality", "band"] if "band" in t.colnames else t[["quality"]], r"X\[2\] has no column"),
    ]:
        with pytest.raises(TableError, match=match):
            step.transform([X[0], X[1], spoil(X[2])])


def test_two_candidates_name_the_parameter():
    x = flux_curve(0)
    x["mag"] = x["flux"]
    with pytest.raises(TableError, match=r"several candidates for the value: flux, mag.*Log10\(value='flux'"):
        preprocessing.Log10().fit([x])


@pytest.mark.parametrize(
    ("step", "key"),
    [
        (preprocessing.PhaseFromPeak(), "peak_time"),
        (preprocessing.PhaseFold(), "fold_epoch"),
        (preprocessing.RelativeToBrightest(), "brightest_time"),
        (preprocessing.ZScore(per_object=True), "zscore_mean"),
        (preprocessing.Standardize(per_band=False), "level"),
    ],
)
def test_twice_is_refused_and_meta_is_read_in_any_case(step, key):
    X = [flux_curve(i) for i in range(2)]
    Z = step.fit_transform(X)
    again = clone(step).set_params(**{"cycle": "more"} if hasattr(step, "cycle") else {}).fit(Z)
    with pytest.raises(TableError, match=rf"X\[0\] has '{key}' in meta already"):
        again.transform(Z)
    for z in Z:  # as FITS gives them back
        z.meta = {k.upper(): v for k, v in z.meta.items()}
    back = step.inverse_transform(Z)
    np.testing.assert_allclose(back[1]["mjd"], X[1]["mjd"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(back[1]["flux"], X[1]["flux"], rtol=1e-12)
    assert key.upper() not in back[1].meta
    del Z[1].meta[key.upper()]
    with pytest.raises(TableError, match=rf"X\[1\] has no number '{key}' in meta"):
        step.inverse_transform(Z)


# --- docstrings -------------------------------------------------------------------------------------

# As in tests/test_docstrings.py.
IGNORED = {"GL01", "ES01", "SA01", "SA04", "RT02", "SS05", "YD01"}


METHODS = ("fit", "transform", "inverse_transform", "get_feature_names_out", "set_output")


@pytest.mark.parametrize("name", [*preprocessing.__all__, *(f"ZScore.{method}" for method in METHODS)])
def test_docstring_is_valid(name):
    ignored = IGNORED | ({"EX01"} if "." in name else set())
    found = validate(f"skdaep.preprocessing.{name}")["errors"]
    assert [f"{code}: {message}" for code, message in found if code not in ignored] == []


def test_masked_column_of_odd_kinds():
    """A masked band is no band; masked errors are unknown ones."""
    x = flux_curve(0)
    x["flux_err"] = MaskedColumn(x["flux_err"], mask=np.arange(20) < 2)
    x["band"] = MaskedColumn(x["band"], mask=np.arange(20) == 5)
    z = preprocessing.ZScore(per_band=True).fit_transform([x])[0]
    assert np.flatnonzero(np.isnan(z["flux"])).tolist() == [5]
    assert np.flatnonzero(z["flux_err"].mask).tolist() == [0, 1, 5]


def test_datasets_work_as_they_are():
    from skdaep.datasets import make_supernova_light_curves, make_supernova_spectra

    curves, _ = make_supernova_light_curves(3, random_state=0)
    spectra, _ = make_supernova_spectra(3, random_state=0)
    for X, steps in [
        (curves, [preprocessing.PhaseFromPeak(), preprocessing.MagnitudeToFlux(), preprocessing.ZScore(per_band=True)]),
        (spectra, [preprocessing.SignalToNoiseCut(), preprocessing.MedianFilter(), preprocessing.Arcsinh()]),
    ]:
        pipe = make_pipeline(*steps)
        back = pipe.inverse_transform(pipe.fit_transform(X))
        assert [t.colnames for t in back] == [t.colnames for t in X]
        assert all(t.meta == x.meta for t, x in zip(back, X, strict=True))


# --- sentinels --------------------------------------------------------------------------------------


def with_sentinels(make, number=-999.0, n=12):
    """Return objects two points of each of which are none."""
    X = [make(i) for i in range(n)]
    for table in X:
        name = next(name for name in ("flux", "mag") if name in table.colnames)
        table[name][[3, 11]] = number
    return X, name


def sentinels_warned_of(function, *args):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function(*args)
    return [str(w.message) for w in caught if issubclass(w.category, OutOfRangeWarning)]


@pytest.mark.parametrize("kind", [list, FlatTables.of])
def test_sentinels_are_warned_of_by_whatever_reads_values(step, make, kind):
    X, name = with_sentinels(make, 1e5)
    if name not in clone(step).fit([make(0)]).columns_.values():
        pytest.skip("reads no values")
    (told,) = sentinels_warned_of(step.fit, kind(X))
    assert told.startswith(f"Column '{name}' is 100000 (24 times), first in X[0]; all other values lie from ")


@pytest.mark.parametrize("kind", [list, FlatTables.of])
def test_sentinels_are_warned_of_once_in_a_pipeline(kind):
    X, _ = with_sentinels(magnitude_curve, 99.0)
    pipe = make_pipeline(
        preprocessing.ZScore(), preprocessing.Standardize(), preprocessing.PhaseFold(), FunctionalPCA(n_components=2)
    )
    assert len(sentinels_warned_of(pipe.fit, kind(X))) == 1
    before = [table.copy() for table in X]
    for one, other in zip(X, before, strict=True):
        assert_same(one, other)


def test_sentinels_behind_a_view_are_warned_of():
    X, _ = with_sentinels(magnitude_curve, 99.0)
    for table in X:
        table.remove_column("band")
    views = preprocessing.Views({"power": preprocessing.PowerSpectrum()})
    assert len(sentinels_warned_of(views.fit, X)) == 1


def test_sentinels_in_metadata_are_warned_of():
    X = [flux_curve(i) for i in range(12)]
    for table in X[4:6]:
        table.meta["redshift"] = -999.0
    (told,) = sentinels_warned_of(preprocessing.MetaFeatures(("redshift",)).fit, X)
    assert told.startswith("Metadata 'redshift' is -999 (2 times), first in X[4]")
