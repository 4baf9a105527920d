"""astropy's own magnitudes are the truth."""

import importlib

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Column, QTable, Table

from skdaep import TableError
from skdaep.preprocessing import FluxToMagnitude, MagnitudeToFlux

FLUX = np.array([0.5, 3.0, 3630.78, 1e4]) * u.Jy


def curve(value, error, name, unit, kind=Table):
    columns = {"time": np.arange(len(value)) * u.day, name: value * (unit or 1), f"{name}_err": error * (unit or 1)}
    return kind(columns)


@pytest.mark.parametrize("unit", ["Jy", "mJy", "uJy", "nJy", "erg / (s cm2 Hz)"])
def test_ab_magnitudes_are_those_of_astropy(unit):
    flux = FLUX.to_value(unit)
    z = FluxToMagnitude().fit_transform([curve(flux, 0.01 * flux, "flux", u.Unit(unit))])[0]
    np.testing.assert_allclose(z["flux"], FLUX.to_value(u.ABmag), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(z["flux_err"], 0.010857362, rtol=1e-6)
    assert z["flux"].unit == u.ABmag
    assert z["flux_err"].unit == u.mag


def test_a_qtable_gets_real_magnitudes():
    flux = FLUX.to_value("uJy")
    z = FluxToMagnitude().fit_transform([curve(flux, flux / 10, "flux", u.uJy, QTable)])[0]
    assert isinstance(z["flux"], u.Magnitude)
    np.testing.assert_allclose(z["flux"].to_value("Jy"), FLUX.value)


@pytest.mark.parametrize(("zero_point", "flux_unit"), [(25.0, None), (25.0, "uJy"), ("AB", "uJy"), ("AB", "mJy")])
@pytest.mark.parametrize("magnitude_unit", [None, u.mag])
def test_one_is_the_inverse_of_the_other(zero_point, flux_unit, magnitude_unit):
    mag, error = np.array([14.0, 20.0, 26.0]), np.array([0.01, 0.1, 0.3])
    X = [curve(mag, error, "mag", magnitude_unit)]
    there = MagnitudeToFlux(zero_point, unit=flux_unit)
    Z = there.fit_transform(X)
    assert Z[0]["mag"].unit == (None if flux_unit is None else u.Unit(flux_unit))
    back = FluxToMagnitude(zero_point, value="mag", error="mag_err").fit_transform(Z)
    for restored in (back[0], there.inverse_transform(Z)[0]):
        np.testing.assert_allclose(restored["mag"], mag, rtol=1e-12)
        np.testing.assert_allclose(restored["mag_err"], error, rtol=1e-12)


def test_five_magnitudes_are_a_factor_of_a_hundred():
    z = MagnitudeToFlux(zero_point=20.0, unit=None).fit_transform([curve([25.0, 20.0], [0.1, 0.1], "mag", u.mag)])[0]
    np.testing.assert_allclose(z["mag"], [0.01, 1.0])
    np.testing.assert_allclose(z["mag_err"][1], 0.1 * 0.4 * np.log(10))
    truth = (25.0 * u.ABmag).to_value("nJy")
    z = MagnitudeToFlux(unit="nJy").fit_transform([curve([25.0], [0.1], "mag", u.mag)])[0]
    np.testing.assert_allclose(z["mag"], [truth])


def test_no_flux_has_no_magnitude():
    x = curve(np.array([-1.0, 0.0, 1.0]), np.ones(3), "flux", u.Jy)
    step = FluxToMagnitude().fit([x])
    assert np.isnan(step.transform([x])[0]["flux"]).tolist() == [True, True, False]
    with pytest.raises(TableError, match=r"X\[1\] has no point left after FluxToMagnitude; it has no positive flux"):
        step.transform([x, x[:2]])
    # An encoder may decode such a flux, which is not an error on the way back.
    step = MagnitudeToFlux().fit([curve([20.0], [0.1], "mag", u.mag)])
    back = step.inverse_transform([Table({"time": [1.0, 2.0], "mag": [-1.0, 3630780.547]}, units={"mag": "mJy"})])
    np.testing.assert_allclose(back[0]["mag"], [np.nan, 0.0], atol=1e-8)


@pytest.mark.parametrize(
    ("step", "unit", "error", "match"),
    [
        (FluxToMagnitude(), None, TableError, r"X\[0\] column 'flux' has no unit, .*a number as zero_point"),
        (FluxToMagnitude(), "erg / (s cm2 AA)", TableError, "does not define an AB magnitude"),
        (FluxToMagnitude("Vega"), "Jy", ValueError, r"zero_point='Vega'\): a number or 'AB'"),
        (FluxToMagnitude(np.nan), "Jy", ValueError, "a number or 'AB'"),
        (MagnitudeToFlux(), "Jy", TableError, r"X\[0\] column 'flux' has unit 'Jy', but MagnitudeToFlux needs magn"),
        (MagnitudeToFlux(), "mag(ST)", TableError, "MagnitudeToFlux needs AB magnitudes"),
        (
            MagnitudeToFlux(unit="km"),
            "mag",
            TableError,
            "The flux has unit 'km', which does not define an AB magnitude",
        ),
        (MagnitudeToFlux(unit=None), "mag", TableError, "The flux has no unit"),
    ],
)
def test_refused(step, unit, error, match):
    x = Table({"time": [1.0], "flux": [1.0]})
    x["flux"].unit = unit
    with pytest.raises(error, match=match):
        step.fit([x])


@pytest.mark.parametrize(("unit", "per_mag"), [("mmag", 1000.0), ("mag(AB)", 1.0), ("mag", 1.0), (None, 1.0)])
def test_magnitudes_in_any_unit_become_the_same_fluxes_and_come_back(unit, per_mag):
    mag, error = np.array([20.0, 25.0]), np.array([0.1, 0.2])
    unit_of_error = None if unit is None else unit.removesuffix("(AB)")
    x = Table({"time": [0.0, 1.0], "mag": Column(per_mag * mag, unit=unit)})
    x["mag_err"] = Column(per_mag * error, unit=unit_of_error)
    step = MagnitudeToFlux(unit="uJy")
    z = step.fit_transform([x])[0]
    np.testing.assert_allclose(z["mag"], (mag * u.ABmag).to_value("uJy"), rtol=1e-10)
    np.testing.assert_allclose(z["mag_err"], 0.4 * np.log(10) * z["mag"] * error, rtol=1e-10)
    back = step.inverse_transform([z])[0]
    for name in ("mag", "mag_err"):
        np.testing.assert_allclose(back[name], x[name], rtol=1e-10)
        assert back[name].unit == x[name].unit


@pytest.mark.parametrize(
    ("step", "name", "unit", "message"),
    [
        (FluxToMagnitude(25.0), "mag", None, "is in magnitudes already"),
        (FluxToMagnitude(25.0), "y", "mmag", "with unit 'mmag' is in magnitudes already"),
        (FluxToMagnitude(25.0), "y", "dex(Jy)", "already, not a flux"),
        (MagnitudeToFlux(25.0), "flux", None, "is a flux by its name, but MagnitudeToFlux needs magnitudes"),
        (MagnitudeToFlux(25.0), "y", "mag / arcsec2", "needs magnitudes"),
        (MagnitudeToFlux(25.0), "y", "dex", "needs magnitudes"),
        (MagnitudeToFlux("AB"), "y", "mag(ST)", "needs AB magnitudes"),
    ],
)
def test_what_is_the_one_is_not_taken_for_the_other(step, name, unit, message):
    x = Table({"time": [0.0, 1.0], name: Column([1.0, 2.0], unit=unit)})
    with pytest.raises(TableError, match=message):
        step.set_params(value=name).fit([x])


def test_units_are_refused_after_cosmology_is_imported():
    """It enables equivalencies, with which astropy's error is another one."""
    importlib.import_module("astropy.cosmology")
    spectrum = Table({"time": [1.0], "flux": [2.0] * u.Unit("erg / (s cm2 AA)"), "flux_err": [1.0]})
    with pytest.raises(TableError, match="does not define an AB magnitude"):
        FluxToMagnitude().fit([spectrum])
