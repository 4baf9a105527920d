"""Which column plays which role, and what is asked where nothing tells."""

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table

from skdaep import Photometry, Sequence, TableError, UnusedColumnWarning, metrics, preprocessing
from skdaep.plotting import ReconstructionDisplay
from skdaep.tables import Columns

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


# --- names of surveys -------------------------------------------------------------------------------

FLAGS = ("catflags", "psfFlux_flag", "and_mask", "ANDMASK")
T = np.arange(6.0)
BANDS = ["a", "b"] * 3
SURVEYS = {
    "ZTF data release": ("hjd, mjd, mag, magerr, filtercode, catflags", "mag, mjd, filtercode, magerr, catflags"),
    "ZTF alerts, ALeRCE": ("mjd, magpsf, sigmapsf, fid", "magpsf, mjd, fid, sigmapsf"),
    "ZTF forced": (
        "jd, forcediffimflux, forcediffimfluxunc, filter",
        "forcediffimflux, jd, filter, forcediffimfluxunc",
    ),
    "ATLAS": ("MJD, m, dm, uJy, duJy, F, err", "uJy, MJD, F, duJy"),
    "ASAS-SN": ("HJD, mag, mag err, phot_filter", "mag, HJD, phot_filter, mag err"),
    "LSST": (
        "midpointMjdTai, psfFlux, psfFluxErr, band, psfFlux_flag",
        "psfFlux, midpointMjdTai, band, psfFluxErr, psfFlux_flag",
    ),
    "PLAsTiCC": ("mjd, flux, flux_err, passband", "flux, mjd, passband, flux_err"),
    "SNANA": ("MJD, FLT, FLUXCAL, FLUXCALERR", "FLUXCAL, MJD, FLT, FLUXCALERR"),
    "Gaia": ("time, flux, flux_error, flux_over_error, band", "flux, time, band, flux_error"),
    "VizieR": ("HJD, mag, e_mag, Filter", "mag, HJD, Filter, e_mag"),
    "AAVSO": ("JD, Magnitude, Uncertainty, Band", "Magnitude, JD, Band, Uncertainty"),
    "TESS": ("TIME, PDCSAP_FLUX, PDCSAP_FLUX_ERR, QUALITY", "PDCSAP_FLUX, TIME, PDCSAP_FLUX_ERR"),
    "SDSS": ("flux, loglam, ivar, and_mask, or_mask", "flux, loglam, ivar, and_mask"),
    "DESI": ("WAVELENGTH, FLUX, IVAR", "FLUX, WAVELENGTH, IVAR"),
    "LAMOST": ("FLUX, IVAR, WAVELENGTH, ANDMASK, ORMASK", "FLUX, WAVELENGTH, IVAR, ANDMASK"),
    "with units in the names": ("MJD(TAI), flux(mJy), flux_err", "flux(mJy), MJD(TAI), flux_err"),
}
BANDS_OF_SURVEYS = ("filtercode", "filter", "F", "phot_filter", "band", "FLT", "Filter", "Band")


@pytest.mark.parametrize(("columns", "expected"), SURVEYS.values(), ids=SURVEYS.keys())
def test_columns_of_surveys_are_found(columns, expected):
    kinds = dict.fromkeys(FLAGS, 0 * T) | dict.fromkeys(BANDS_OF_SURVEYS, BANDS) | {"fid": T % 2, "passband": T % 2}
    found = Sequence().learn([Table({name: kinds.get(name, T) for name in columns.split(", ")})])
    assert ", ".join(c for c in found.columns if c is not None) == expected


def test_names_that_all_write_come_before_those_of_surveys():
    table = Table({"mjd": T, "hjd": T + 1, "flux": T, "pdcsap_flux": T + 2})
    assert Sequence().learn([table]).columns[:2] == ("flux", "mjd")
    preferring = Sequence(prefer=("HJD", "PDCSAP_Flux")).learn([table])
    assert preferring.columns[:2] == ("pdcsap_flux", "hjd"), "in any case"


def test_a_column_f_of_numbers_is_no_band():
    assert Sequence().learn([Table({"time": T, "mag": T, "F": T})]).band is None


# --- an error belongs to its value ------------------------------------------------------------------

OWN = {
    "by its name": ("pdcsap_flux", ["pdcsap_flux", "pdcsap_flux_err", "flux_err"], "pdcsap_flux_err"),
    "of the value itself": ("flux", ["flux", "pdcsap_flux", "pdcsap_flux_err", "flux_err"], "flux_err"),
    "of a flux, no magnitude's": ("mag", ["mag", "flux", "flux_error"], None),
    "of a magnitude, no flux's": ("flux", ["mag", "flux", "e_mag"], None),
    "of a magnitude alone": ("flux", ["flux", "magerr"], None),
    "before the value": ("mag", ["e_mag", "mag", "e_flux"], "e_mag"),
    "d": ("mag", ["dmag", "mag", "dflux"], "dmag"),
    "in another case": ("Mag", ["MAG_ERR", "Mag", "flux_err"], "MAG_ERR"),
    "SExtractor": ("FLUX_AUTO", ["FLUX_AUTO", "FLUXERR_AUTO", "MAGERR_AUTO"], "FLUXERR_AUTO"),
    "SDSS": ("psfMag_r", ["psfMag_r", "psfMagErr_r", "psfMagErr_g"], "psfMagErr_r"),
    "that names none": ("rv", ["rv", "error"], "error"),
    "that names none, beside two kinds": ("mag", ["mag", "flux", "error"], None),
    "of a logarithm, not": ("log_flux", ["log_flux", "flux_err"], None),
    "of something unknown, not": ("brightness", ["brightness", "flux_err"], None),
    "of a value of the kind": ("magnitude", ["magnitude", "mag_err"], "mag_err"),
    "of a value that is there": ("fluxcal", ["fluxcal", "flux", "flux_err"], None),
}


@pytest.mark.parametrize(("value", "columns", "error"), OWN.values(), ids=OWN.keys())
def test_an_error_belongs_to_its_value(value, columns, error):
    table = Table({"time": T, **{c: T + i for i, c in enumerate(columns)}})
    assert Sequence(value).learn([table]).error == error
    step = preprocessing.ZScore(value=value).fit([table])
    assert step.columns_.get("error") == error
    assert Columns.find(table, "X[0]", {"value": value}).error == error


def test_an_error_that_names_no_value_is_told_by_its_unit():
    table = Table({"time": T, "flux": T * u.Jy, "mag": T * u.mag, "error": T * u.mag})
    assert Sequence("mag").learn([table]).error == "error"
    assert Sequence("flux").learn([table]).error is None


def test_two_errors_of_one_value_are_asked_about():
    table = Table({"time": T, "mag": T, "mag_err": T, "e_mag": T})
    with pytest.raises(TableError, match=r"error: X\[0\] has mag_err, e_mag\. Choose with modality=Sequence\(error="):
        Sequence().learn([table])
    assert Sequence(prefer=("E_MAG",)).learn([table]).error == "e_mag"


# --- what is asked, and by whom ---------------------------------------------------------------------

TWO = Table({"time": T, "flux": T, "mag": T})
ASKS = {
    "Sequence": (lambda: Sequence().learn([TWO]), r"modality=Sequence\(value='flux'\)"),
    "step": (lambda: preprocessing.ZScore().fit([TWO]), r"ZScore\(value='flux'\)"),
    "augment": (lambda: preprocessing.augment([TWO], noise=False), r"augment\(value='flux'\)"),
    "metric": (lambda: metrics.object_errors([TWO], [TWO]), r"Choose with value='flux'"),
    "display": (lambda: ReconstructionDisplay.from_predictions([TWO], [TWO]), r"Choose with value='flux'"),
}


@pytest.mark.parametrize(("call", "advice"), ASKS.values(), ids=ASKS.keys())
def test_the_advice_is_what_the_caller_understands(call, advice):
    with pytest.raises(TableError, match=rf"several candidates for the value: flux, mag\. .*{advice}") as caught:
        call()
    assert ("Sequence(" in str(caught.value)) == ("Sequence" in advice)


# --- text that plays no role ------------------------------------------------------------------------


def test_text_of_few_values_that_plays_no_role_is_named():
    table = Table({"time": T, "mag": T, "kanal": BANDS, "telescope": ["P48"] * 6})
    with pytest.warns(UnusedColumnWarning, match=r"Column 'kanal' holds a, b and is not used.*Sequence\(band='kanal'"):
        assert Sequence().learn([table]).band is None
    assert Sequence(band="kanal").learn([table]).band == "kanal"
