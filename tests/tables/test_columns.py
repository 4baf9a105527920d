"""Columns of tables: bad ones are refused by object and column, odd but good ones read."""

import io
import re

import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import Column, MaskedColumn, QTable, Table
from astropy.utils.masked import Masked

from skdaep import Photometry, Sequence, TableError

ESTIMATORS = ("DAEPEncoder",)  # reading is the same in all


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


def test_what_is_just_large_is_no_error(fitted, X):
    X[2]["mag"][0] = 1e4
    X[2]["mag_err"][1] = 1e300
    assert np.isfinite(fitted.transform(X)).all()


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


def test_fits_round_trip(assert_same_code, fitted, fresh, make, X):
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
def test_forms_of_band_labels(assert_same_code, fitted, X, convert):
    expected = fitted.transform(X)
    for table in X:
        band = convert(table["band"])
        table.remove_column("band")
        table["band"] = band
    assert_same_code(fitted, X, expected)


def test_numbers_as_bands(assert_same_code, make, fresh, X):
    expected = fresh.transform(X)
    for table in X:
        table["band"] = np.where(table["band"] == "g", 1, 2)
    assert_same_code(make().fit(X), X, expected)


@pytest.mark.parametrize(
    "absent",
    [np.nan, None, pd.NA, np.float64("nan"), np.ma.masked, "", "nan"],
    ids=lambda x: f"{type(x).__name__}-{x!r}",
)
def test_absent_bands_are_none(absent):
    table = Table({"time": np.arange(4.0), "mag": np.arange(4.0), "band": np.array(["g", absent, "r", "g"], object)})
    modality = Sequence().learn([table])
    assert modality.learned.bands == ("g", "r")
    assert modality.read(table, "X[0]").observed.sum() == 3


def test_absent_bands_in_text_as_numpy_makes_it_of_a_list():
    table = Table({"time": np.arange(3.0), "mag": np.arange(3.0), "band": np.array(["g", np.nan, "r"])})
    assert table["band"][1] == "nan"
    assert Sequence().learn([table]).learned.bands == ("g", "r")


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.float32, float, object, str, "S1"])
def test_numbers_of_any_kind_are_one_band(dtype):
    def table(dtype):
        return Table({"time": np.arange(4.0), "mag": np.arange(4.0), "fid": np.array([0, 1, 2, 1]).astype(dtype)})

    modality = Sequence().learn([table(int), table(dtype)])
    assert modality.learned.bands == ("0", "1", "2")
    assert modality.read(table(dtype), "X[0]").band.tolist() == [0, 1, 2, 1]
    assert Sequence().learn([table(float)]).learned.bands == ("0", "1", "2")
    half = table(float)
    half["fid"][0] = np.nan
    assert Sequence().learn([half]).learned.bands == ("1", "2")


def test_a_masked_band_is_not_observed(assert_same_code, fitted, X):
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
def test_masked_cells(assert_same_code, of_spectra, spectra, mask_first, name):
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


def test_integer_and_float32_columns(assert_same_code, of_spectra, spectra):
    for table in spectra:
        table["flux"] = np.round(table["flux"])
    expected = of_spectra.transform(spectra)
    for dtype in (np.int16, np.int64, np.float32, ">f4", np.uint8):
        X = [t.copy() for t in spectra]
        for table in X:
            table["flux"] = Column(np.asarray(table["flux"]).astype(dtype), unit=u.mJy)
        assert_same_code(of_spectra, X, expected)


def test_unsorted_and_duplicate_locations(assert_same_code, of_spectra, spectra):
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


def test_one_point_in_a_table(make, fitted, X, supported_draws):
    assert np.isfinite(fitted.transform([X[2][:1]])).all()
    assert np.isfinite(fitted.reconstruct([X[2][:1]], n_draws=supported_draws)[0]["mag"]).all()
    X = [t[:1] for t in X]
    estimator = make().fit(X)
    assert np.isfinite(estimator.reconstruct(X, output="arrays")).all()


def test_one_object(make, fitted, X):
    assert fitted.transform(X[:1]).shape == (1, 4)
    estimator = make(early_stopping=False).fit(X[3:4])
    assert np.isfinite(estimator.transform(X[3:4])).all()
    assert len(estimator.inverse_transform(np.zeros((1, 4)))) == 1


def test_different_column_order_and_extra_columns_per_table(assert_same_code, fitted, X):
    expected = fitted.transform(X)
    X[1] = X[1]["mag", "band", "mag_err", "time"]
    X[2]["airmass"] = 1.2
    assert_same_code(fitted, X, expected)


def test_a_message_reads_well(fitted, X):
    X[4]["mag"] = Column(np.ones(len(X[4])), unit=u.Jy)
    with pytest.raises(TableError) as caught:
        fitted.transform(X)
    assert re.fullmatch(
        r"X\[4\] column 'mag' has unit 'Jy', which cannot be converted to 'mag' of fit\.", str(caught.value)
    )
