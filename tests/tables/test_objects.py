"""What is accepted as a list of objects, and as an object."""

import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.table import QTable, Table
from astropy.time import Time
from astropy.timeseries import TimeSeries

import skdaep
from skdaep import Photometry, Spectrum, TableError
from skdaep.tables import as_table

ESTIMATORS = ("DAEPEncoder",)  # reading is the same in all


def object_array(objects):
    array = np.empty((len(objects), 1), object)
    array[:, 0] = objects
    return array


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
    for i, array in arrays:
        with pytest.raises(TableError, match=rf"X\[{i}\] is not a Table"):
            make().fit(array)


def test_a_bad_table_in_an_object_array_is_refused_by_index(fitted, X):
    X[2].remove_column("mag")
    with pytest.raises(TableError, match=r"X\[2\] has no column 'mag'"):
        fitted.transform(object_array(X))


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


def test_qtables(assert_same_code, of_spectra, spectra, supported_draws):
    expected = of_spectra.transform(spectra)
    rebuilt = of_spectra.reconstruct(spectra, output="arrays")
    quantities = [QTable(t) for t in spectra]
    assert_same_code(of_spectra, quantities, expected)
    back = of_spectra.reconstruct(quantities)
    assert isinstance(back[0], QTable)
    assert back[0]["flux"].unit == u.mJy
    np.testing.assert_allclose(back[0]["flux"].value, rebuilt[0], rtol=1e-5)
    draws = of_spectra.reconstruct(quantities, n_draws=supported_draws)[0]
    assert draws["flux"].shape == ((12, 2) if supported_draws else (12,))


def as_time_series(table, form="mjd"):
    series = TimeSeries(time=Time(table["time"], format="mjd"), meta=table.meta)
    for name in ("band", "mag", "mag_err"):
        series[name] = table[name]
    series["time"].format = form
    return series


def test_time_series(assert_same_code, make, X):
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

    def __init__(self, kind, array, unit=None):
        self.uncertainty_type, self.array, self.unit = kind, array, unit


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
def test_specutils_spectra(assert_same_code, of_spectra, spectra, kind, unit):
    expected = of_spectra.transform(spectra)
    fakes = [FakeSpectrum(t, uncertainty=kind, unit=unit) for t in spectra]
    assert_same_code(of_spectra, fakes, expected)
    records = [of_spectra.model_.read(list(of_spectra._stream(X))) for X in (fakes, spectra)]
    np.testing.assert_allclose(*(r[0]["sequence"].error for r in records), rtol=1e-5)
    back = of_spectra.reconstruct(fakes)[0]
    assert isinstance(back, Table)
    assert back["flux"].unit == u.mJy
    assert back["wavelength"].unit == u.AA


@pytest.mark.parametrize("kind", ["std", "var", "ivar"])
@pytest.mark.parametrize("unit", ["mJy", "Jy", "erg / (s cm2 Hz)"])
def test_uncertainties_in_another_unit_than_the_flux_are_converted(spectra, kind, unit):
    """The truth is from astropy's own uncertainties of a value with a unit."""
    fake, error = FakeSpectrum(spectra[0]), u.Quantity(spectra[0]["flux_err"]).to(unit)
    power = {"std": 1, "var": 2, "ivar": -2}[kind]
    fake.uncertainty = FakeUncertainty(kind, (error**power).value, (error**power).unit)
    table = as_table(fake, "X[0]")
    assert table["flux_err"].unit == u.mJy
    np.testing.assert_allclose(table["flux_err"], spectra[0]["flux_err"], rtol=1e-12)


def test_an_uncertainty_that_does_not_fit_the_flux_is_refused(spectra):
    fake = FakeSpectrum(spectra[0])
    fake.uncertainty.unit = u.AA
    with pytest.raises(
        TableError, match=r"X\[0\] has an uncertainty in 'Angstrom', which does not match its flux in 'mJy'"
    ):
        as_table(fake, "X[0]")


@pytest.mark.parametrize(("kind", "nothing"), [("ivar", 0.0), ("std", np.inf), ("var", np.inf)])
@pytest.mark.parametrize("mask", [None, np.arange(12) == 5])
def test_a_pixel_of_which_nothing_is_known_is_not_observed(spectra, kind, nothing, mask):
    fake = FakeSpectrum(spectra[0], uncertainty=kind, mask=mask)
    fake.uncertainty.array[3] = nothing
    table = as_table(fake, "X[0]")
    assert np.flatnonzero(table["flux"].mask).tolist() == ([3] if mask is None else [3, 5])
    fake.uncertainty.array[3] = np.nan
    masked = np.zeros(12, bool) | getattr(as_table(fake, "X[0]")["flux"], "mask", False)
    assert not masked[3], "an error that is not known"


@pytest.mark.parametrize("flag", [True, 4])
def test_masked_pixels_of_specutils_spectra(assert_same_code, of_spectra, spectra, flag):
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
