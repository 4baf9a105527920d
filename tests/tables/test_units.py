"""Units and times: converted, kept, or refused."""

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Column, Table
from astropy.time import Time

from skdaep import Sequence, TableError, preprocessing
from skdaep.metrics.reading import values_by
from skdaep.tables import dex_of, is_magnitude

ESTIMATORS = ("DAEPEncoder",)  # reading is the same in all


def test_units_are_converted(assert_same_code, of_spectra, spectra):
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


def test_wavelength_may_come_as_frequency(assert_same_code, of_spectra, spectra):
    expected = of_spectra.transform(spectra)
    for table in spectra:
        table["wavelength"] = table["wavelength"].to(u.THz, u.spectral())
    assert_same_code(of_spectra, spectra, expected)


def test_a_column_without_a_unit_is_in_the_units_of_fit(assert_same_code, of_spectra, spectra):
    expected = of_spectra.transform(spectra)
    for table in spectra:
        for name in table.colnames:
            table[name].unit = None
    assert_same_code(of_spectra, spectra, expected)


def test_a_unit_where_fit_had_none_is_refused_but_dimensionless_is_none(assert_same_code, make, spectra):
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


def test_magnitudes_of_a_system(make, X):
    for table in X:
        table["mag"] = Column(table["mag"].data.data, unit=u.ABmag)
    estimator = make().fit(X)
    assert estimator.reconstruct(X)[0]["mag"].unit == u.ABmag
    for table in X:
        table["mag"] = Column(table["mag"], unit=u.mag)
    with pytest.raises(TableError, match=r"X\[0\] column 'mag' has unit 'mag'"):
        estimator.transform(X)


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


# --- times ------------------------------------------------------------------------------------------


def dated(scale):
    """Return an object of the same instants in another scale; TDB is 69 s ahead of UTC."""
    instants = Time(60000 + np.arange(9.0), format="mjd", scale="utc")
    return Table({"time": getattr(instants, scale), "flux": np.sin(np.arange(9.0))})


@pytest.mark.parametrize("scale", ["utc", "tai", "tt", "tdb", "tcb"])
@pytest.mark.parametrize("first", ["utc", "tdb"])
def test_times_are_brought_to_the_scale_of_fit(first, scale):
    expected, other = dated(first), dated(scale)
    modality = Sequence().learn([expected, other])
    one, two = (modality.read(t, "X[0]").location for t in (expected, other))
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-3 / 86400 / modality.learned.location.scale)
    folded = preprocessing.PhaseFold(2.0, epoch=60000.0).fit([expected]).transform([expected, other])
    np.testing.assert_allclose(folded[0]["time"], folded[1]["time"], rtol=0, atol=1e-8)
    by_time = values_by([expected, other], "location")[0]
    np.testing.assert_allclose(*by_time, rtol=0, atol=1e-8)


def test_a_scale_that_cannot_be_reached_is_refused():
    local = Table({"time": Time(60000 + np.arange(9.0), format="mjd", scale="local"), "flux": np.arange(9.0)})
    modality = Sequence().learn([dated("utc")])
    with pytest.raises(TableError, match=r"X\[0\] column 'time' is in local, which cannot be converted to utc of fit"):
        modality.read(local, "X[0]")


# --- magnitudes or fluxes ---------------------------------------------------------------------------

MAGNITUDES = {
    "by unit": [
        ("y", "mag"),
        ("y", "mmag"),
        ("y", "mag(AB)"),
        ("y", "mmag(ST)"),
        ("y", "mag / arcsec2"),
        ("flux", "mag"),
    ],
    "by a unit astropy does not know": [("y", "magnitude"), ("y", "MAG")],
    "by name": [
        (name, None) for name in ("mag", "MAG_AUTO", "magpsf", "psfMag", "i_mag", "Magnitude", "m", "mag_corr")
    ],
}
FLUXES = {
    "by unit": [
        ("y", "Jy"),
        ("mag", "Jy"),
        ("y", "dex"),
        ("y", "dex(Jy)"),
        ("y", "dB"),
        ("y", "km / s"),
        ("y", "electron / s"),
    ],
    "by name": [(name, None) for name in ("flux", "psfFlux", "f_lambda", "uJy", "FLUXCAL", "counts", "sap_flux")],
}
NEITHER = {"by name": [(name, None) for name in ("value", "y", "image", "magnetic", "mag_flux", "rv", "magnification")]}


@pytest.mark.parametrize(
    ("name", "unit", "expected"),
    [
        (*one, expected)
        for kinds, expected in ((MAGNITUDES, True), (FLUXES, False), (NEITHER, None))
        for several in kinds.values()
        for one in several
    ],
)
def test_magnitudes_are_told_by_unit_then_by_name_or_not_at_all(name, unit, expected):
    assert is_magnitude(name, unit) is expected
    assert is_magnitude(name, unit, mark=not expected) is (not expected)


@pytest.mark.parametrize(
    ("unit", "dex"), [("mag", -0.4), ("mmag", -4e-4), ("mag(AB)", -0.4), ("dB", 0.1), ("Jy", None)]
)
def test_a_step_in_a_logarithmic_unit_is_so_many_dex(unit, dex):
    assert dex_of(unit) == (None if dex is None else pytest.approx(dex))


# --- logarithms of wavelength -----------------------------------------------------------------------

WAVELENGTH = np.linspace(4000.0, 8000.0, 20)


@pytest.mark.parametrize(
    ("name", "unit", "factor"),
    [("loglam", None, 1), ("LOGLAM", "dex(Angstrom)", 1), ("x", "dex(nm)", 0.1), ("log_wavelength", "dex", 1)],
)
def test_logarithms_of_wavelength_are_read_as_wavelengths(name, unit, factor):
    table = Table({name: Column(np.log10(factor * WAVELENGTH), unit=unit), "flux": np.sin(WAVELENGTH)})
    before = table.copy()
    modality = Sequence(location=name).learn([table])
    linear = Sequence(location="w").learn([Table({"w": factor * WAVELENGTH, "flux": table["flux"]})])
    assert modality.learned.location.scale == pytest.approx(linear.learned.location.scale)
    np.testing.assert_allclose(modality.read(table, "X[0]").location, (WAVELENGTH - 6000) / WAVELENGTH.std(), atol=1e-5)
    grid = modality.grid()
    assert grid[name].unit == ("nm" if factor == 0.1 else "Angstrom")
    np.testing.assert_allclose(modality.read(grid, "grid", values=False).location[[0, -1]], [-1.6, 1.6], atol=0.1)
    written = modality.write(table["flux"].data, table)
    assert written[name].unit == before[name].unit
    np.testing.assert_array_equal(written[name], before[name])


def test_wavelengths_in_another_unit_are_those_of_the_fit_to_logarithms():
    log, other = (
        Table({"loglam": np.log10(WAVELENGTH), "flux": WAVELENGTH}),
        Table({"loglam": WAVELENGTH / 10, "flux": WAVELENGTH}),
    )
    other["loglam"].unit = "nm"
    modality = Sequence().learn([log])
    np.testing.assert_allclose(*(modality.read(t, "X[0]").location for t in (log, other)), atol=1e-5)
