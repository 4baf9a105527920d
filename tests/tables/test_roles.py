"""Which column plays which role, and what is asked where nothing tells."""

import numpy as np
import pytest
from astropy import units as u

from skdaep import Photometry, Sequence, TableError

ESTIMATORS = ("DAEPEncoder",)  # reading is the same in all


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
