"""Units and times: converted, kept, or refused."""

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Column

from skdaep import TableError

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
