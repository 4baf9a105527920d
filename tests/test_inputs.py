"""What users hand over: bad input is refused by object index and column, odd but good input works."""

import copy
import io
import re

import numpy as np
import pandas as pd
import pytest
import torch
from astropy import units as u
from astropy.io import fits
from astropy.table import Column, MaskedColumn, QTable, Table
from astropy.time import Time
from astropy.timeseries import TimeSeries
from astropy.utils.masked import Masked
from sklearn.exceptions import NotFittedError

import skdaep
from skdaep import DeviceError, Photometry, Sequence, Spectrum, TableError

ESTIMATORS = ("DAEPEncoder",)  # reading is the same in all


def spectrum(i, n=12):
    rng = np.random.default_rng([7, i])
    wavelength = np.sort(rng.uniform(4000, 8000, n))
    flux = 2 + np.sin(wavelength / 500 + i) + 0.02 * rng.standard_normal(n)
    return Table({"wavelength": wavelength * u.AA, "flux": flux * u.mJy, "flux_err": np.full(n, 0.02) * u.mJy})


@pytest.fixture
def spectra():
    return [spectrum(i) for i in range(8)]


@pytest.fixture(scope="module")
def of_spectra(make):
    """Fitted to spectra in Angstrom and mJy."""
    return make(modality=None, max_iter=20, early_stopping=False).fit([spectrum(i) for i in range(8)])


def without(table, name):
    table.remove_column(name)
    return table


def with_cells(table, name, values):
    table.replace_column(name, (MaskedColumn if np.ma.isMaskedArray(values) else Column)(values, name=name))
    return table


def with_meta(table, **meta):
    table.meta.update(meta)
    return table


def object_array(objects):
    array = np.empty((len(objects), 1), object)
    array[:, 0] = objects
    return array


# --- bad tables: one bad object among good ones, in fit and in transform -----------------------------

BAD_TABLES = {
    "no such column": (lambda t: without(t, "mag"), r"X\[2\] has no column 'mag' .*it has: .*time"),
    "no location": (lambda t: without(t, "time"), r"X\[2\] has no column 'time'"),
    "no band": (lambda t: without(t, "band"), r"X\[2\] has no column 'band'"),
    "empty": (lambda t: t[:0], r"X\[2\] is an empty table"),
    "no columns": (lambda t: Table(), r"X\[2\] is an empty table"),
    "all masked": (lambda t: with_cells(t, "mag", np.ma.masked_all(len(t))), r"X\[2\] has no finite 'mag'"),
    "all NaN": (lambda t: with_cells(t, "mag", np.full(len(t), np.nan)), r"X\[2\] has no finite 'mag'"),
    "all locations NaN": (lambda t: with_cells(t, "time", np.full(len(t), np.nan)), r"X\[2\] has no finite"),
    "infinite value": (
        lambda t: with_cells(t, "mag", np.r_[1.0, np.inf, np.ones(len(t) - 2)]),
        r"X\[2\] column 'mag' is infinite at row 1",
    ),
    "infinite location": (
        lambda t: with_cells(t, "time", np.r_[np.ones(len(t) - 1), -np.inf]),
        r"X\[2\] column 'time' is infinite at row \d+",
    ),
    "complex": (lambda t: with_cells(t, "mag", np.ones(len(t), complex)), r"X\[2\] column 'mag' holds complex"),
    "text": (lambda t: with_cells(t, "mag", np.full(len(t), "1.5")), r"X\[2\] column 'mag' holds text"),
    "bytes": (lambda t: with_cells(t, "time", np.full(len(t), b"1.5")), r"X\[2\] column 'time' holds text"),
    "Python objects": (
        lambda t: with_cells(t, "mag", np.array([None] * len(t), object)),
        r"X\[2\] column 'mag' holds Python objects",
    ),
    "two dimensions": (lambda t: with_cells(t, "mag", np.ones((len(t), 2))), r"X\[2\] column 'mag' holds .*dimension"),
    "inconvertible unit of value": (
        lambda t: with_cells(t, "mag", np.ones(len(t)) * u.Jy),
        r"X\[2\] column 'mag' has unit 'Jy'.*cannot be converted to 'mag'",
    ),
    "inconvertible unit of location": (
        lambda t: with_cells(t, "time", np.ones(len(t)) * u.AA),
        r"X\[2\] column 'time' has unit 'Angstrom'.*cannot be converted to 'd'",
    ),
    "extreme value": (
        lambda t: with_cells(t, "mag", np.r_[1.0, 1e25, np.ones(len(t) - 2)]),
        r"X\[2\] column 'mag' is 1e\+25 at row 1, more than a million standard deviations.*NaN",
    ),
    "extreme value that overflows": (
        lambda t: with_cells(t, "mag", np.r_[1.0, -1e300, np.ones(len(t) - 2)]),
        r"X\[2\] column 'mag' is -1e\+300 at row 1",
    ),
    "extreme location": (
        lambda t: with_cells(t, "time", np.r_[1e25, np.ones(len(t) - 1)]),
        r"X\[2\] column 'time' is 1e\+25 at row 0",
    ),
    "None": (lambda t: None, r"X\[2\] is not a Table but None"),
    "a dict of columns": (lambda t: {"mag": [1.0], "time": [1.0]}, r"X\[2\] is not a Table but a dict"),
    "a DataFrame": (lambda t: t.to_pandas(), r"X\[2\] is not a Table but a DataFrame"),
    "an array among Tables": (lambda t: np.ones(5), r"X\[2\] is not a Table but a ndarray.*2-D array"),
    "a list among Tables": (lambda t: [1.0, 2.0], r"X\[2\] is not a Table but a list.*2-D array"),
    "a string": (lambda t: "sn2011fe.fits", r"X\[2\] is not a Table but a str"),
}


@pytest.mark.parametrize(("spoil", "message"), BAD_TABLES.values(), ids=BAD_TABLES.keys())
def test_a_bad_object_is_refused_by_index_and_column(make, fitted, X, spoil, message):
    X[2] = spoil(X[2])
    for method in (make(modality=Photometry()).fit, fitted.transform, fitted.reconstruct, fitted.score):
        with pytest.raises(TableError, match=message):
            method(X)
    with pytest.raises(TableError, match=message):
        fitted.transform(object_array(X))


def test_bad_locations_to_decode_at_are_refused_by_index_and_column(fitted, X):
    Z = fitted.transform(X)
    X[2].remove_column("time")
    with pytest.raises(TableError, match=r"at\[2\] has no column 'time'"):
        fitted.inverse_transform(Z, at=X)


def test_band_not_seen_in_fit_is_refused_by_name(fitted, X):
    X[2]["band"][1] = "z"
    with pytest.raises(TableError, match=r"X\[2\] column 'band' has band 'z', not seen in fit \(g, r\)"):
        fitted.transform(X)
    with pytest.raises(TableError, match=r"at\[2\] column 'band' has band 'z'"):
        fitted.inverse_transform(fitted.transform(X[:2] + X[3:4]), at=X[:3])


def test_metadata_label_not_seen_in_fit_is_refused_by_name(fitted, X):
    X[2].meta["survey"] = "DES"
    with pytest.raises(TableError, match=r"X\[2\] metadata 'survey' is 'DES', not seen in fit \(ZTF, LSST\)"):
        fitted.transform(X)


def test_text_for_a_number_in_metadata_is_refused_by_name(fitted, X):
    X[2].meta["redshift"] = "about 0.1"
    with pytest.raises(TableError, match=r"X\[2\] metadata 'redshift' is 'about 0.1'"):
        fitted.transform(X)


def test_metadata_that_no_object_has_are_refused(make, X):
    with pytest.raises(TableError, match=r"'host_mass'.*redshift"):
        make(modality=Photometry(metadata=("host_mass",))).fit(X)


def test_extreme_metadata_are_refused_by_name(make, fitted, X):
    X[2].meta["redshift"] = 1e25
    for method in (make().fit, fitted.transform):
        with pytest.raises(TableError, match=r"X\[2\] metadata 'redshift' is 1e\+25, more than a million"):
            method(X)


def test_a_sentinel_in_a_whole_object_is_refused_in_fit_though_the_scale_is_finite(make, X):
    X[3]["mag"][:] = 1e30
    X[3]["mag"][1] = 2e30
    with pytest.raises(TableError, match=r"X\[3\] column 'mag' is 2e\+30 at row 1"):
        make().fit(X)


def test_what_is_just_large_is_no_error(fitted, X):
    X[2]["mag"][0] = 1e4
    X[2]["mag_err"][1] = 1e300
    assert np.isfinite(fitted.transform(X)).all()


def test_an_object_without_errors_has_unknown_ones_whatever_the_order(make, X):
    X[0].remove_column("mag_err")
    one, other = (make().fit(x).modalities_["sequence"] for x in (X, X[1:] + X[:1]))
    assert one.error == other.error == "mag_err"
    assert one.learned.error == pytest.approx(other.learned.error)
    assert np.isnan(one.read(X[0], "X[0]").error).all()
    assert np.isfinite(one.read(X[1], "X[1]").error).all()


def test_without_weighting_errors_are_not_missed(fitted, X):
    expected = fitted.transform(X)
    X[2].remove_column("mag_err")
    np.testing.assert_array_equal(fitted.transform(X), expected)


@pytest.mark.parametrize("i", [0, 2])
def test_a_fit_that_weighs_by_errors_insists_on_them(make, X, i):
    X[i].remove_column("mag_err")
    with pytest.raises(TableError, match=rf"X\[{i}\] has no column 'mag_err'"):
        make(error_weighting=True).fit(X)


def test_errors_declared_but_nowhere_are_refused(make, X):
    with pytest.raises(TableError, match=r"X\[0\] has no column 'sigma'"):
        make(modality=Photometry(error="sigma")).fit(X)


def test_optional_columns_of_several_names_are_refused_whatever_the_order(make, X):
    X[4].rename_column("mag_err", "magerr")
    for objects in (X, X[::-1]):
        with pytest.raises(TableError, match=r"error: X\[\d+\] has mag\w+; X\[\d+\] has mag\w+\. Choose.*error="):
            make().fit(objects)
    X[4]["mag_err"] = X[4]["magerr"]
    assert make().fit(X).modalities_["sequence"].error == "mag_err", "the one that all have"


def test_bands_that_only_some_objects_have_are_refused_whatever_the_order(make, X):
    X[0].remove_column("band")
    for i, objects in ((0, X), (11, X[::-1])):
        with pytest.raises(TableError, match=rf"X\[{i}\] has no column 'band'"):
            make().fit(objects)


def test_unknown_ignored_drops_the_points_of_a_band_and_a_label(make, X):
    modality = Photometry(metadata=("survey",), unknown="ignore")
    estimator = make(modality=modality, max_iter=20, early_stopping=False).fit(X)
    X = X[3:4]
    g_only = [X[0][X[0]["band"] == "g"]]
    X[0]["band"] = np.where(X[0]["band"] == "g", "g", "new")
    assert 0 < len(g_only[0]) < len(X[0])
    np.testing.assert_allclose(estimator.transform(X), estimator.transform(g_only), rtol=1e-5, atol=1e-6)
    (rebuilt,) = estimator.reconstruct(X)
    np.testing.assert_array_equal(np.isfinite(rebuilt["mag"]), X[0]["band"] == "g")
    X[0].meta["survey"] = "new"
    assert np.isfinite(estimator.transform(X)).all()
    X[0]["band"] = "new"
    with pytest.raises(TableError, match=r"X\[0\] has no point in a band seen in fit"):
        estimator.transform(X)


# --- bad columns ------------------------------------------------------------------------------------


def test_several_candidates_are_refused_with_a_way_out(make, spectra):
    for table in spectra:
        table["mag"] = table["flux"]
    with pytest.raises(
        TableError, match=r"X\[0\] has several candidates for the value: flux, mag.*Sequence\(value='flux'"
    ):
        make(modality=None).fit(spectra)
    assert make(modality=Sequence(value="flux")).fit_transform(spectra).shape == (8, 4)


def test_no_candidate_is_refused_with_the_columns_there_are(make, spectra):
    for table in spectra:
        table.rename_column("flux", "y")
    with pytest.raises(TableError, match=r"X\[0\] has no column for the value \(it has: wavelength, y, flux_err"):
        make(modality=None).fit(spectra)


@pytest.mark.parametrize(
    ("modality", "message"),
    [
        (Sequence(unknown="drop"), "unknown='drop'"),
        (Sequence(metadata="redshift"), r"metadata='redshift'.*\('redshift',\)"),
        (Sequence(metadata=("z", "Z")), "'Z' is named twice"),
        (Sequence(resolution=0), "resolution=0"),
        (Sequence(value="mag", location="mag"), r"X\[0\] column 'mag' is both value and location"),
        (Sequence(error="mag"), r"X\[0\] column 'mag' is both value and error"),
    ],
)
def test_a_wrong_declaration_is_refused_in_fit(make, X, modality, message):
    with pytest.raises(ValueError, match=message):
        make(modality=modality).fit(X)


@pytest.mark.parametrize("resolution", [1 * u.AA, "1"], ids=repr)
def test_a_resolution_that_is_no_number_is_refused(make, X, resolution):
    with pytest.raises(TypeError, match=r"resolution=.*a positive number in the unit of the location"):
        make(modality=Sequence(resolution=resolution)).fit(X)


def test_presets_fall_back_to_customary_names(make, X):
    for table in X:
        table["flux"] = 10 ** (-0.4 * table["mag"].data)
    usual = make(modality=Photometry()).fit(X).modalities_["sequence"]
    assert (usual.value, usual.location, usual.band) == ("mag", "time", "band"), "of several candidates"
    for table in X:
        table.rename_columns(["time", "band", "flux"], ["mjd", "filter", "quality_of_flux"])
    found = make(modality=Photometry(metadata=("redshift",))).fit(X).modalities_["sequence"]
    assert (found.value, found.location, found.band) == ("mag", "mjd", "filter")
    with pytest.raises(TableError, match=r"X\[0\] has no column 'time'"):
        make(modality=Photometry(location="time")).fit(X)


# --- bad collections --------------------------------------------------------------------------------


def test_a_single_table_is_refused_with_a_way_out(make, X):
    with pytest.raises(TableError, match=r"X is a single Table; pass a list of them, \[X\]"):
        make().fit(X[0])
    with pytest.raises(TableError, match=r"X is a single structured array"):
        make().fit(X[0].as_array())


def test_a_dict_is_refused(make, X):
    with pytest.raises(TableError, match="X is a dict"):
        make().fit({"a": X[0]})


def test_dicts_of_modalities_are_refused_with_a_way_out(make, X):
    with pytest.raises(TableError, match=r"X\[0\] is not a Table but a dict.*MultimodalDAEP.*x\['photometry'\]"):
        make().fit([{"photometry": x} for x in X])


def test_nothing_is_refused(make, fitted):
    for method in (make().fit, fitted.transform):
        with pytest.raises(ValueError, match=r"0 objects|0 sample"):
            method([])


NO_COLLECTIONS = {
    "None": (None, "not None"),
    "number": (3, "not a int"),
    "text": ("f.fits", "not a str"),
    "generator": ((t for t in ()), r"not a generator; pass list\(X\)"),
    "map": (map(str, ()), r"not a map; pass list\(X\)"),
}


@pytest.mark.parametrize(("X", "message"), NO_COLLECTIONS.values(), ids=NO_COLLECTIONS.keys())
def test_no_collection_is_refused_with_what_would_be_one(make, fitted, X, message):
    for method in (make().fit, fitted.transform):
        with pytest.raises(TableError, match=f"X must be a list of Tables or a 2-D array, {message}"):
            method(X)
    with pytest.raises(TableError, match=f"X must be a list or an array of images, {message}"):
        make(modality=skdaep.Image()).fit(X)
    with pytest.raises(TableError, match=f"X must be a list of dicts, {message}"):
        skdaep.MultimodalDAEP({"a": Photometry()}).fit(X)


@pytest.mark.parametrize("bad", [{"flux": 1}, "text", None], ids=repr)
def test_an_object_array_of_anything_but_tables_is_refused_by_index(make, X, bad):
    arrays = [(0, object_array([bad] * 4)), (0, object_array([bad] * 4)[:, 0]), (1, object_array([X[0], bad, X[1]]))]
    for where, array in arrays:
        with pytest.raises(TableError, match=rf"X\[{where}\] is not a Table"):
            make().fit(array)


def test_tables_in_several_columns_are_refused(make, X):
    array = np.concatenate([object_array(X), object_array(X)], axis=1)
    for collection in (array, pd.DataFrame(array)):
        with pytest.raises(TableError, match=r"X\[0\] is not a Table but a ndarray"):
            make().fit(collection)


def test_objects_that_are_numbers_are_numbers(make):
    X = np.random.default_rng(0).normal(size=(9, 1))
    expected = make(modality=None).fit_transform(X)
    for other in (X.astype(object), pd.DataFrame(X.astype(object))):
        np.testing.assert_array_equal(make(modality=None).fit_transform(other), expected)


def test_tables_after_an_array_and_an_array_after_tables_are_refused(make, fitted, X):
    with pytest.raises(TableError, match="X is an array of numbers, but fit saw Tables"):
        fitted.transform(np.ones((3, 5)))
    of_arrays = make(modality=None).fit(np.random.default_rng(0).normal(size=(9, 5)))
    with pytest.raises(TableError, match=r"X\[0\] is a Table, but fit saw a 2-D array"):
        of_arrays.transform(X)


def test_infinity_in_an_array_is_refused_by_row_and_column(make):
    X = np.ones((4, 5))
    X[2, 3] = np.inf
    with pytest.raises(TableError, match=r"X\[2\] contains infinity at column 3"):
        make(modality=None).fit(X)


MASKED_ROWS = {
    "masked array": lambda X, mask: np.ma.masked_array(X, mask),
    "list of masked arrays": lambda X, mask: [np.ma.masked_array(x, m) for x, m in zip(X, mask, strict=True)],
    "masked integers": lambda X, mask: np.ma.masked_array(X.astype(int), mask),
    "Masked": lambda X, mask: Masked(X, mask=mask),
    "list of Masked": lambda X, mask: [Masked(x, mask=m) for x, m in zip(X, mask, strict=True)],
    "list of MaskedColumns": lambda X, mask: [MaskedColumn(x, mask=m) for x, m in zip(X, mask, strict=True)],
    "Masked Quantity": lambda X, mask: Masked(u.Quantity(X), mask=mask),
    "list with one masked array": lambda X, mask: [np.ma.masked_array(X[0], mask[0]), *np.where(mask, np.nan, X)[1:]],
}


@pytest.mark.parametrize("hide", MASKED_ROWS.values(), ids=MASKED_ROWS.keys())
def test_masked_cells_of_arrays_are_not_observed(make, hide):
    X = np.random.default_rng(0).normal(0, 9, size=(6, 7)).round()
    mask = np.eye(6, 7) > 0
    hidden = np.where(mask, np.nan, X)
    estimator = make(modality=None).fit(hidden)
    expected = estimator.transform(hidden), estimator.reconstruct(hidden), estimator.score(hidden)
    given = hide(np.where(mask, 777, X), mask)
    for method, wanted in zip((estimator.transform, estimator.reconstruct, estimator.score), expected, strict=True):
        np.testing.assert_array_equal(method(given), wanted)
    np.testing.assert_array_equal(make(modality=None).fit(given).transform(hidden), expected[0])


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.ones((4, 5)) * u.Jy, r"X has unit 'Jy', which an array does not keep; pass its \.value, or Tables"),
        (Masked(np.ones((4, 5)) * u.Jy), "X has unit 'Jy'"),
        (np.ma.masked_array(np.ones((4, 5)) * u.Jy), "X has unit 'Jy'"),
        ([np.ones(5), np.ones(5) * u.mJy, np.ones(5)], r"X\[1\] has unit 'mJy'"),
        (np.ones((4, 5)) * u.percent, "X has unit '%'"),
        (np.full((4, 5), "1.0"), r"X\[0\] holds text at column 0: .*'1\.0'.*Numbers are needed"),
        (np.full((4, 5), b"1.0"), r"X\[0\] holds text at column 0"),
        (np.array([[1.0, 2.0], [3.0, "4.0"]], object), r"X\[1\] holds text at column 1: '4\.0'"),
        ([[1.0, 2.0], [3.0, "4.0"]], r"X\[1\] holds text at column"),
        (pd.DataFrame({"a": [1.0, 2.0], "b": ["1", "2"]}), r"X\[0\] holds text at column 1"),
        (np.full(5, "1.0"), "X holds text at column 0"),
        ([np.ones(5), np.ones(5), np.ones(4)], r"X\[2\] has shape \(4,\), but X\[0\] has \(5,\).*Use Tables"),
        ([[1.0, 2.0], [1.0]], r"X\[1\] has shape \(1,\), but X\[0\] has \(2,\).*Use Tables"),
        (np.array([[1.0, 2.0], [3.0, 1e300], [5.0, 6.0]]), r"X\[1\] is 1e\+300 at column 1, more than a million"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_an_array_that_is_none_of_bare_numbers_is_refused(make, X, message):
    with pytest.raises(TableError, match=message):
        make(modality=None).fit(X)


def test_an_array_to_transform_is_held_to_the_same(make):
    X = np.random.default_rng(0).normal(size=(6, 5))
    estimator = make(modality=None).fit(X * u.dimensionless_unscaled)
    for method in (estimator.transform, estimator.score, estimator.reconstruct):
        with pytest.raises(TableError, match="X has unit 'mJy'"):
            method(X * u.mJy)
        with pytest.raises(TableError, match=r"X\[2\] is 1e\+25 at column 3"):
            method(np.where(np.arange(30).reshape(6, 5) == 13, 1e25, X))
    with pytest.raises(TableError, match="at has unit 'Jy'"):
        estimator.inverse_transform(np.zeros((6, 4)), at=X * u.Jy)


def test_a_row_of_an_array_without_a_number_is_refused_by_index(make):
    X = np.ones((4, 5))
    X[2] = np.nan
    with pytest.raises(TableError, match=r"X\[2\] has no finite 'value'"):
        make(modality=None).fit(X)


def test_metadata_of_arrays_are_refused(make):
    with pytest.raises(TableError, match="metadata needs Tables"):
        make(modality=Sequence(metadata=("z",))).fit(np.ones((4, 5)))


def test_transform_before_fit_is_refused(make, X):
    with pytest.raises(NotFittedError, match="not fitted"):
        make().transform(X)


# --- bad codes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("Z", "message"),
    [
        (np.zeros((2, 3)), r"Z has 3 columns.*2 x 2 = 4"),
        (np.zeros(4), "1D array|1-D"),
        (np.zeros((0, 4)), "0 sample"),
        (np.full((1, 4), np.nan), "Z contains NaN"),
        (np.full((1, 4), np.inf), "Z contains infinity"),
        (np.zeros((2, 4), complex), "omplex"),
    ],
    ids=["columns", "one dimension", "empty", "NaN", "infinite", "complex"],
)
def test_wrong_codes_are_refused(fitted, Z, message):
    with pytest.raises(ValueError, match=message):
        fitted.inverse_transform(Z)


def test_a_single_table_to_decode_at_stands_for_all(fitted, X):
    Z = fitted.transform(X)
    for one, other in zip(*(fitted.inverse_transform(Z, at=at) for at in (X[5], [X[5]] * 12)), strict=True):
        np.testing.assert_array_equal(one["mag"], other["mag"])


def test_at_of_another_length_is_refused(fitted, X):
    with pytest.raises(ValueError, match="at holds 3 objects but Z has 12 rows"):
        fitted.inverse_transform(fitted.transform(X), at=X[:3])


# --- bad parameters ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (dict(model_dim=8, n_heads=3), "model_dim=8 is not divisible by n_heads=3"),
        (dict(model_dim=0), "'model_dim'"),
        (dict(bottleneck_length=0), "'bottleneck_length'"),
        (dict(bottleneck_dim=1.5), "'bottleneck_dim'"),
        (dict(hidden_length="all"), "'hidden_length'"),
        (dict(max_iter=0), "'max_iter'"),
        (dict(batch_size=-1), "'batch_size'"),
        (dict(max_points=0), "'max_points'"),
        (dict(learning_rate_init=0.0), "'learning_rate_init'"),
        (dict(validation_fraction=1.0), "'validation_fraction'"),
        (dict(precision="float16"), "'precision'"),
        (dict(modality="photometry"), "'modality'"),
        (dict(random_state="0"), "'random_state'"),
    ],
    ids=lambda p: str(p) if isinstance(p, dict) else "",
)
def test_a_parameter_out_of_range_is_refused_by_name(make, X, parameters, message):
    with pytest.raises(ValueError, match=message):
        make(**parameters).fit(X)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("DAEPEncoder", dict(prediction="noise"), "'prediction'.*epsilon"),
        ("DAEPEncoder", dict(schedule="quadratic"), "'schedule'.*cosine"),
        ("DAEPEncoder", dict(sampler="heun"), "'sampler'.*ddim"),
        ("DAEPEncoder", dict(n_sampling_steps=0), "'n_sampling_steps'"),
        ("MAEPEncoder", dict(mask_ratio=1.0), "'mask_ratio'"),
        ("MAEPEncoder", dict(hidden_length=None), "'hidden_length'"),
        ("BetaVAEEncoder", dict(beta=-0.1), "'beta'"),
    ],
)
def test_a_parameter_of_its_own_out_of_range_is_refused_by_name(X, name, parameters, message):
    with pytest.raises(ValueError, match=message):
        getattr(skdaep, name)(**parameters).fit(X)


@pytest.mark.parametrize("declaration", [Photometry, Sequence, skdaep.Image])
def test_what_makes_a_modality_is_none(X, declaration):
    called = declaration.__name__
    with pytest.raises(TypeError, match=rf"modality is {called}, not a modality; did you mean {called}\(\)\?"):
        skdaep.DAEPEncoder(declaration).fit(X)
    with pytest.raises(TypeError, match=rf"modalities\['a'\] is {called}.*did you mean {called}\(\)\?"):
        skdaep.MultimodalDAEP({"a": declaration}).fit(X)


@pytest.mark.parametrize("n_draws", [True, 0, -1, 1.5, "2"])
def test_a_number_of_draws_that_is_none_is_refused(fitted, X, n_draws):
    for method in (fitted.reconstruct, lambda X, n_draws: fitted.inverse_transform(np.zeros((1, 4)), n_draws=n_draws)):
        with pytest.raises(ValueError, match=f"n_draws={n_draws!r}: a positive int or None"):
            method(X, n_draws=n_draws)


@pytest.mark.parametrize("changed", [dict(sampler="heun"), dict(precision="half"), dict(n_sampling_steps=0)], ids=repr)
def test_parameters_changed_after_fit_are_looked_at(fresh, X, changed):
    estimator = copy.deepcopy(fresh).set_params(**changed)
    (name,) = changed
    for method in (estimator.transform, estimator.reconstruct):
        with pytest.raises(ValueError, match=f"'{name}' parameter"):
            method(X)


@pytest.mark.parametrize("nothing", [None, np.nan], ids=repr)
def test_a_group_that_is_none_is_refused_by_index(make, X, nothing):
    groups = [*"abcdefghijkl"]
    groups[1] = nothing
    with pytest.raises(ValueError, match=rf"groups\[1\] is {nothing}"):
        make().fit(X, groups=np.array(groups, object))


def test_too_few_objects_for_the_validation_split(make, X):
    with pytest.raises(ValueError, match=r"validation set cannot be split off 1 object.*early_stopping=False"):
        make().fit(X[:1])
    with pytest.raises(ValueError, match=r"1 group.*early_stopping=False"):
        make().fit(X, groups=np.zeros(12))
    with pytest.raises(ValueError, match=r"validation_fraction=0.99 leaves no objects to train on"):
        make(validation_fraction=0.99).fit(X)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        make().fit(X, groups=np.zeros(3))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_absent_cuda_is_an_error_that_names_auto(make, X):
    with pytest.raises(DeviceError, match=r"device='cuda' is not available.*'auto'"):
        make(device="cuda").fit(X)
    assert make(device="auto").fit(X).device_ == "cpu"


def test_an_unknown_device_is_an_error_that_names_auto(make, X):
    with pytest.raises(DeviceError, match=r"device='gpu'.*'auto'"):
        make(device="gpu").fit(X)


@pytest.mark.gpu
def test_a_model_fitted_on_cuda_pickles_to_the_cpu(make, X, tmp_path):
    import pickle

    import skdaep

    estimator = make(device="auto", precision="float32").fit(X)
    assert estimator.device_.startswith("cuda")
    data = pickle.dumps(estimator)
    assert b"torch" not in data
    assert b"cuda" not in pickle.dumps(estimator.model_.weights)
    other = pickle.loads(data).set_params(device="cpu")
    np.testing.assert_allclose(other.transform(X), estimator.transform(X), rtol=1e-3, atol=1e-4)
    assert other.device_ == "cpu"
    estimator.save(tmp_path / "model.safetensors")
    loaded = skdaep.load(tmp_path / "model.safetensors", device="cpu")
    np.testing.assert_array_equal(loaded.transform(X), other.transform(X))


# --- odd but good: columns --------------------------------------------------------------------------


def assert_same_code(estimator, X, expected):
    np.testing.assert_allclose(estimator.transform(X), expected, rtol=1e-5, atol=1e-6)


def test_fits_round_trip(fitted, fresh, make, X):
    expected = fitted.transform(X)
    buffer = io.BytesIO()
    hdus = [fits.PrimaryHDU()]
    for table in X:
        table.meta = {k.upper(): v for k, v in table.meta.items() if k != "object_id"}
        hdus.append(fits.table_to_hdu(table))
    fits.HDUList(hdus).writeto(buffer)
    with fits.open(io.BytesIO(buffer.getvalue())) as opened:
        read = [Table.read(hdu) for hdu in opened[1:]]
        raw = [
            Table(np.asarray(hdu.data), meta=table.meta, copy=False) for hdu, table in zip(opened[1:], X, strict=True)
        ]
    # The trap is there: big-endian, strided, bytes, upper-case keys.
    assert raw[0]["mag"].dtype.byteorder == ">"
    assert not raw[0]["mag"].flags.c_contiguous
    assert raw[0]["band"].dtype.kind == "S"
    assert "REDSHIFT" in read[0].meta
    assert_same_code(fitted, read, expected)
    assert_same_code(fitted, raw, expected)
    assert_same_code(make().fit(read), X, fresh.transform(X))


@pytest.mark.parametrize(
    "convert",
    [
        lambda band: np.char.encode(np.asarray(band).astype(str)),
        lambda band: [f"{b} " for b in band],
        lambda band: np.array([str(b) for b in band], object),
        lambda band: np.array([b.encode() for b in band], object),
        lambda band: MaskedColumn(band),
    ],
    ids=["bytes", "padded", "objects", "objects of bytes", "masked"],
)
def test_forms_of_band_labels(fitted, X, convert):
    expected = fitted.transform(X)
    for table in X:
        band = convert(table["band"])
        table.remove_column("band")
        table["band"] = band
    assert_same_code(fitted, X, expected)


def test_numbers_as_bands(make, fresh, X):
    expected = fresh.transform(X)
    for table in X:
        table["band"] = np.where(table["band"] == "g", 1, 2)
    assert_same_code(make().fit(X), X, expected)


def test_a_masked_band_is_not_observed(fitted, X):
    expected = fitted.transform([X[2][1:]])
    X[2]["band"] = MaskedColumn(X[2]["band"], mask=np.arange(len(X[2])) == 0)
    assert_same_code(fitted, X[2:3], expected)


@pytest.mark.parametrize(
    "mask_first",
    [
        lambda q, mask: MaskedColumn(q.value, unit=q.unit, mask=mask),
        lambda q, mask: Masked(q, mask=mask),
        lambda q, mask: Column(np.where(mask, np.nan, q.value), unit=q.unit),
    ],
    ids=["MaskedColumn", "MaskedQuantity", "NaN"],
)
@pytest.mark.parametrize("name", ["flux", "wavelength", "flux_err"])
def test_masked_cells(of_spectra, spectra, mask_first, name):
    table = spectra[0]
    expected = of_spectra.transform([table if name == "flux_err" else table[1:]])
    values = u.Quantity(table[name])
    values[0] = 777 * values.unit
    table = QTable(table)
    table[name] = mask_first(values, np.arange(len(table)) == 0)
    assert_same_code(of_spectra, [table], expected)
    (rebuilt,) = of_spectra.reconstruct([table])
    assert isinstance(rebuilt, QTable)
    assert np.isfinite(np.asarray(rebuilt["flux"].value)).tolist() == [name != "wavelength"] + [True] * (len(table) - 1)


def test_integer_and_float32_columns(of_spectra, spectra):
    for table in spectra:
        table["flux"] = np.round(table["flux"] * 10)
    expected = of_spectra.transform(spectra)
    for dtype in (np.int16, np.int64, np.float32, ">f4", np.uint8):
        X = [t.copy() for t in spectra]
        for table in X:
            table["flux"] = Column(np.asarray(table["flux"]).astype(dtype), unit=u.mJy)
        assert_same_code(of_spectra, X, expected)


def test_unsorted_and_duplicate_locations(of_spectra, spectra):
    table = spectra[0]
    table["wavelength"][3] = table["wavelength"][4]
    expected = of_spectra.transform([table])
    rebuilt = of_spectra.reconstruct([table])[0]["flux"]
    order = np.random.default_rng(0).permutation(len(table))
    assert_same_code(of_spectra, [table[order]], expected)
    np.testing.assert_allclose(of_spectra.reconstruct([table[order]])[0]["flux"], rebuilt[order], rtol=1e-5)
    assert rebuilt[3] == pytest.approx(rebuilt[4], rel=1e-5)


def test_all_locations_equal(make, spectra):
    for table in spectra:
        table["wavelength"] = 5000.0 * u.AA
    estimator = make(modality=None).fit(spectra)
    assert np.isfinite(estimator.transform(spectra)).all()
    assert np.isfinite(estimator.inverse_transform(estimator.transform(spectra), output="arrays")).all()


def test_constant_values(make, spectra):
    for table in spectra:
        table["flux"] = 3.0 * u.mJy
    estimator = make(modality=None).fit(spectra)
    np.testing.assert_allclose(estimator.reconstruct(spectra)[0]["flux"], 3.0, atol=3)


def test_one_point_in_a_table(make, fitted, X, some_draws):
    assert np.isfinite(fitted.transform([X[2][:1]])).all()
    assert np.isfinite(fitted.reconstruct([X[2][:1]], n_draws=some_draws)[0]["mag"]).all()
    X = [t[:1] for t in X]
    estimator = make().fit(X)
    assert np.isfinite(estimator.reconstruct(X, output="arrays")).all()


def test_one_object(make, fitted, X):
    assert fitted.transform(X[:1]).shape == (1, 4)
    estimator = make(early_stopping=False).fit(X[3:4])
    assert np.isfinite(estimator.transform(X[3:4])).all()
    assert len(estimator.inverse_transform(np.zeros((1, 4)))) == 1


def test_different_column_order_and_extra_columns_per_table(fitted, X):
    expected = fitted.transform(X)
    X[1] = X[1]["mag", "band", "mag_err", "time"]
    X[2]["airmass"] = 1.2
    assert_same_code(fitted, X, expected)


def test_metadata_of_all_kinds_of_number_and_text(fitted, X):
    expected = fitted.transform(X[1:2])
    z = X[1].meta["redshift"]
    for number in (np.float64(z), np.array(z), u.Quantity(z), np.ma.array(z)):
        X[1].meta["redshift"] = number
        assert_same_code(fitted, X[1:2], expected)
    for text in (b"ZTF", np.str_("ZTF"), np.array("ZTF")):
        X[1].meta["survey"] = text
        assert_same_code(fitted, X[1:2], expected)
    for absent in (None, np.nan, np.ma.masked):
        X[1].meta["redshift"] = absent
        assert np.abs(fitted.transform(X[1:2]) - expected).max() > 1e-3


# --- odd but good: units ----------------------------------------------------------------------------


def test_units_are_converted(of_spectra, spectra):
    expected = of_spectra.transform(spectra)
    rebuilt = of_spectra.reconstruct(spectra, output="arrays")
    for table in spectra:
        table["wavelength"] = table["wavelength"].to(u.nm)
        table["flux"] = table["flux"].to(u.Jy)
    assert spectra[0]["flux"].unit == u.Jy
    assert_same_code(of_spectra, spectra, expected)
    back = of_spectra.reconstruct(spectra)
    assert back[0]["flux"].unit == u.mJy, "units of fit"
    np.testing.assert_allclose(back[0]["flux"], rebuilt[0], rtol=1e-5)


def test_wavelength_may_come_as_frequency(of_spectra, spectra):
    expected = of_spectra.transform(spectra)
    for table in spectra:
        table["wavelength"] = table["wavelength"].to(u.THz, u.spectral())
    assert_same_code(of_spectra, spectra, expected)


def test_a_column_without_a_unit_is_in_the_units_of_fit(of_spectra, spectra):
    expected = of_spectra.transform(spectra)
    for table in spectra:
        for name in table.colnames:
            table[name].unit = None
    assert_same_code(of_spectra, spectra, expected)


def test_a_unit_where_fit_had_none_is_refused_but_dimensionless_is_none(make, spectra):
    for table in spectra:
        table["flux"].unit = table["flux_err"].unit = None
    estimator = make(modality=None).fit(spectra)
    expected = estimator.transform(spectra)
    assert estimator.reconstruct(spectra)[0]["flux"].unit is None
    for table in spectra:
        table["flux"].unit = u.dimensionless_unscaled
    assert_same_code(estimator, spectra, expected)
    spectra[2]["flux"].unit = u.Jy
    with pytest.raises(TableError, match=r"X\[2\] column 'flux' has unit 'Jy', but fit had none"):
        estimator.transform(spectra)


def test_in_fit_the_unit_that_the_first_object_lacks_is_said_to_be_lacking_there(make, spectra):
    spectra[0]["flux"].unit = None
    with pytest.raises(TableError, match=r"X\[1\] column 'flux' has unit 'mJy', but X\[0\] had none.*add it"):
        make(modality=None).fit([t["wavelength", "flux"] for t in spectra])
    with pytest.raises(TableError, match=r"X\[0\] column 'flux_err' has unit 'mJy', but 'flux' of X\[0\] had none"):
        make(modality=None).fit(spectra)


def test_units_that_astropy_does_not_know_are_kept_apart(make, spectra):
    for table in spectra:
        table["flux"].unit = table["flux_err"].unit = u.Unit("DN/exposure", parse_strict="silent")
    estimator = make(modality=None).fit(spectra)
    assert str(estimator.reconstruct(spectra)[0]["flux"].unit) == "DN/exposure"
    for other in (u.Unit("foo", parse_strict="silent"), u.Jy):
        spectra[2]["flux"].unit = other
        with pytest.raises(TableError, match=rf"X\[2\] column 'flux' has unit '{other}', which cannot.*'DN/exp"):
            estimator.transform(spectra)


def test_units_of_metadata_are_converted(make, X):
    for i, table in enumerate(X):
        table.meta["d"] = (3 + i) * u.Mpc
    modality = Photometry(metadata=("d",))
    estimator = make(modality=modality, max_iter=20).fit(X)
    expected = estimator.transform(X)
    assert estimator.inverse_transform(expected[:1])[0].meta["d"].unit == u.Mpc
    for table in X:
        table.meta["d"] = table.meta["d"].to(u.kpc)
    assert_same_code(estimator, X, expected)
    mixed = [t.copy() for t in X]
    mixed[0].meta["d"] = mixed[0].meta["d"].to(u.Mpc)
    assert_same_code(make(modality=modality, max_iter=20).fit(mixed), X, expected)
    X[2].meta["d"] = 5.0  # without a unit it is in that of fit
    assert_same_code(estimator, X, expected)
    X[2].meta["d"] = 5 * u.Jy
    with pytest.raises(TableError, match=r"X\[2\] metadata 'd' has unit 'Jy'.* converted to 'Mpc' of fit"):
        estimator.transform(X)
    with pytest.raises(TableError, match=r"X\[2\] metadata 'd' .* to 'kpc' of X\[0\]"):
        make(modality=modality).fit(X)
    X[0].meta["d"] = 3.0
    with pytest.raises(TableError, match=r"X\[1\] metadata 'd' has unit 'kpc', but X\[0\] had none"):
        make(modality=modality).fit(X)


def test_magnitudes_of_a_system(make, X):
    for table in X:
        table["mag"] = Column(table["mag"].data.data, unit=u.ABmag)
    estimator = make().fit(X)
    assert estimator.reconstruct(X)[0]["mag"].unit == u.ABmag
    for table in X:
        table["mag"] = Column(table["mag"], unit=u.mag)
    with pytest.raises(TableError, match=r"X\[0\] column 'mag' has unit 'mag'"):
        estimator.transform(X)


# --- odd but good: kinds of table -------------------------------------------------------------------


def test_qtables(of_spectra, spectra, some_draws):
    expected = of_spectra.transform(spectra)
    rebuilt = of_spectra.reconstruct(spectra, output="arrays")
    quantities = [QTable(t) for t in spectra]
    assert_same_code(of_spectra, quantities, expected)
    back = of_spectra.reconstruct(quantities)
    assert isinstance(back[0], QTable)
    assert back[0]["flux"].unit == u.mJy
    np.testing.assert_allclose(back[0]["flux"].value, rebuilt[0], rtol=1e-5)
    draws = of_spectra.reconstruct(quantities, n_draws=some_draws)[0]
    assert draws["flux"].shape == ((12, 2) if some_draws else (12,))


def as_time_series(table, form="mjd"):
    series = TimeSeries(time=Time(table["time"], format="mjd"), meta=table.meta)
    for name in ("band", "mag", "mag_err"):
        series[name] = table[name]
    series["time"].format = form
    return series


def test_time_series(make, X):
    for table in X:
        table["time"] += 60000.0
    estimator = make().fit(X)
    expected = estimator.transform(X)
    for form in ("mjd", "jd", "isot"):
        series = [as_time_series(t, form) for t in X]
        assert_same_code(estimator, series, expected)
    back = estimator.reconstruct(series)
    assert isinstance(back[0]["time"], Time)
    np.testing.assert_allclose(back[0]["mag"].value, estimator.reconstruct(X)[0]["mag"], rtol=1e-5)
    assert_same_code(make().fit(series), X, expected)
    assert len(estimator.inverse_transform(expected, at=series)) == 12


def test_time_series_in_fit_give_a_default_grid(make, X):
    estimator = make().fit([as_time_series(t) for t in X])
    grid = estimator.inverse_transform(np.zeros((1, 4)))[0]
    assert grid["time"].unit == "d"
    assert np.isfinite(np.asarray(grid["mag"])).all()


class FakeUncertainty:
    """The part of `astropy.nddata.NDUncertainty` that is used."""

    def __init__(self, kind, array):
        self.uncertainty_type, self.array = kind, array


class FakeSpectrum:
    """The part of `specutils.Spectrum` that is used."""

    def __init__(self, table, mask=None, uncertainty="std", unit=u.AA):
        self.spectral_axis = u.Quantity(table["wavelength"]).to(unit, u.spectral())
        self.flux = u.Quantity(table["flux"])
        error = np.asarray(table["flux_err"])
        power = {"std": 1, "var": 2, "ivar": -2}.get(uncertainty)
        self.uncertainty = None if power is None else FakeUncertainty(uncertainty, error**power)
        self.mask, self.meta = mask, {"header": 1}


@pytest.mark.parametrize("kind", ["std", "var", "ivar"])
@pytest.mark.parametrize("unit", [u.AA, u.um, u.GHz])
def test_specutils_spectra(of_spectra, spectra, kind, unit):
    expected = of_spectra.transform(spectra)
    fakes = [FakeSpectrum(t, uncertainty=kind, unit=unit) for t in spectra]
    assert_same_code(of_spectra, fakes, expected)
    records = [of_spectra.model_.read(list(of_spectra._stream(X))) for X in (fakes, spectra)]
    np.testing.assert_allclose(*(r[0]["sequence"].error for r in records), rtol=1e-5)
    back = of_spectra.reconstruct(fakes)[0]
    assert isinstance(back, Table)
    assert back["flux"].unit == u.mJy
    assert back["wavelength"].unit == u.AA


@pytest.mark.parametrize("flag", [True, 4])
def test_masked_pixels_of_specutils_spectra(of_spectra, spectra, flag):
    expected = of_spectra.transform([spectra[0][1:]])
    mask = np.zeros(len(spectra[0]), type(flag))
    mask[0] = flag
    assert_same_code(of_spectra, [FakeSpectrum(spectra[0], mask=mask)], expected)


def test_specutils_spectra_in_fit(make, spectra):
    fakes = [FakeSpectrum(t) for t in spectra]
    np.testing.assert_allclose(
        make(modality=None).fit(fakes).transform(fakes),
        make(modality=None).fit(spectra).transform(spectra),
        rtol=1e-4,
        atol=1e-5,
    )
    with pytest.raises(TableError, match="X is a single FakeSpectrum; pass a list"):
        make(modality=None).fit(fakes[0])


def test_specutils_spectra_without_uncertainty(make, spectra):
    fakes = [FakeSpectrum(t, uncertainty=None) for t in spectra]
    assert make(modality=Spectrum()).fit_transform(fakes).shape == (8, 4)


# --- odd but good: collections ----------------------------------------------------------------------


COLLECTIONS = {
    "tuple": tuple,
    "object array (n, 1)": object_array,
    "object array (n,)": lambda X: object_array(X)[:, 0],
    "Series": lambda X: pd.Series(list(object_array(X)[:, 0])),
    "Series with another index": lambda X: pd.Series(list(object_array(X)[:, 0]), index=np.arange(len(X)) + 100),
    "DataFrame": lambda X: pd.DataFrame({"lc": list(object_array(X)[:, 0])}, index=np.arange(len(X))[::-1]),
}


@pytest.mark.parametrize("collect", COLLECTIONS.values(), ids=COLLECTIONS.keys())
def test_collections_of_tables(make, fitted, fresh, X, collect):
    collection = collect(X)
    np.testing.assert_array_equal(fitted.transform(collection), fitted.transform(X))
    np.testing.assert_array_equal(
        fitted.inverse_transform(np.zeros((12, 4)), at=collection)[3]["mag"],
        fitted.inverse_transform(np.zeros((12, 4)), at=X)[3]["mag"],
    )
    estimator = make().fit(collection)
    np.testing.assert_array_equal(estimator.transform(X), fresh.transform(X))
    assert not hasattr(estimator, "n_features_in_")
    assert not hasattr(estimator, "feature_names_in_")


def test_structured_arrays(make, spectra):
    for table in spectra:
        for name in table.colnames:
            table[name].unit = None
    array = np.asarray(spectra)
    assert array.dtype.names
    assert array.shape == (8, 12)
    estimator = make(modality=None).fit(array)
    expected = make(modality=None).fit(spectra).transform(spectra)
    np.testing.assert_array_equal(estimator.transform(array), expected)
    np.testing.assert_array_equal(estimator.transform(spectra), expected)


def test_tables_with_one_row_as_a_structured_array(make, spectra):
    spectra = [t[:1] for t in spectra]
    array = np.asarray(spectra)
    assert array.shape == (8, 1)
    assert make(modality=None).fit(array).transform(array).shape == (8, 4)


# --- MJD --------------------------------------------------------------------------------------------


def test_mjd_keeps_its_precision(make, X):
    for table in X:
        table["time"] += 60000.0
    estimator = make(max_iter=1).fit(X)
    modality = estimator.modalities_["sequence"]
    second = 1 / 86400
    table = X[3]
    table["time"][:2] = 60000.0, 60000.0 + second
    location = modality.read(table, "X[0]").location
    assert location.dtype == np.float32
    gap = np.diff(location[np.argsort(location)])[0] * modality.learned.location.scale
    assert gap == pytest.approx(second, rel=0.2)


def test_the_origin_of_time_does_not_matter(make, X):
    far = [t.copy() for t in X]
    for table in far:
        table["time"] += 2460000.5
    near, distant = make().fit(X), make().fit(far)
    np.testing.assert_allclose(distant.transform(far), near.transform(X), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(
        distant.inverse_transform(np.zeros((1, 4)))[0]["time"] - 2460000.5,
        near.inverse_transform(np.zeros((1, 4)))[0]["time"],
        atol=1e-6,
    )


# --- arrays -----------------------------------------------------------------------------------------


def test_arrays_in_arrays_out(make, some_draws):
    X = np.random.default_rng(0).normal(5, 2, (12, 9))
    X[0, 3] = np.nan
    estimator = make(modality=None).fit(X)
    Z = estimator.transform(X)
    assert estimator.n_features_in_ == 9
    for rebuilt in (estimator.inverse_transform(Z), estimator.inverse_transform(Z, at=X), estimator.reconstruct(X)):
        assert rebuilt.shape == X.shape
        assert rebuilt.dtype == np.float32
        assert np.isfinite(rebuilt).all()
    assert estimator.reconstruct(X, n_draws=some_draws).shape == ((12, 9, 2) if some_draws else X.shape)
    garbage = X.copy()
    np.testing.assert_array_equal(estimator.transform(garbage), Z)


def test_a_message_reads_well(fitted, X):
    X[4]["mag"] = Column(np.ones(len(X[4])), unit=u.Jy)
    with pytest.raises(TableError) as caught:
        fitted.transform(X)
    assert re.fullmatch(
        r"X\[4\] column 'mag' has unit 'Jy', which cannot be converted to 'mag' of fit\.", str(caught.value)
    )
