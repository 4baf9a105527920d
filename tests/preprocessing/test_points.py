"""The cut on signal-to-noise, and the median filter against scipy's."""

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Column, MaskedColumn, Table
from scipy.ndimage import median_filter

from skdaep import TableError
from skdaep.preprocessing import MedianFilter, SignalToNoiseCut


def curve(value=(9.0, 1.0, -4.0, 2.9), error=(1.0, 1.0, 1.0, 1.0), name="flux"):
    return Table({"time": np.arange(float(len(value))), name: value, f"{name}_err": error}, meta={"a": 1})


def times(table):
    return table["time"].astype(int).tolist()


def test_cut():
    step = SignalToNoiseCut(threshold=3.0).fit([curve()])
    assert times(step.transform([curve()])[0]) == [0, 2]
    assert times(step.set_params(threshold=0.0).transform([curve()])[0]) == [0, 1, 2, 3]
    # What is not known cannot be too small.
    unknown = curve((9.0, np.nan, 1.0, 1.0), (1.0, 1.0, np.nan, 0.0))
    assert times(step.set_params(threshold=3.0).transform([unknown])[0]) == [0, 1, 2, 3]


@pytest.mark.parametrize(("name", "unit"), [("mag", None), ("mag", u.mag), ("value", u.ABmag)])
def test_cut_of_magnitudes_is_that_of_fluxes(name, unit):
    x = curve((20.0, 20.0, 20.0), (0.1, 0.4, 0.3), name)
    if unit is not None:
        x[name].unit, x[f"{name}_err"].unit = unit, u.mag
    assert times(SignalToNoiseCut(3.0).fit_transform([x])[0]) == [0, 2]  # 1.0857 / 0.3 is 3.6


def test_cut_leaves_something():
    step = SignalToNoiseCut(threshold=100.0)
    with pytest.raises(
        TableError, match=r"X\[1\] has no point left after SignalToNoiseCut; lower threshold, set min_p"
    ):
        step.fit_transform([curve((900.0,), (1.0,)), curve()])
    assert times(step.set_params(min_points=2).fit_transform([curve()])[0]) == [0, 2]
    assert len(step.set_params(min_points=99).fit_transform([curve()])[0]) == 4


def test_cut_needs_errors():
    x = curve()
    x.remove_column("flux_err")
    with pytest.raises(TableError, match=r"X\[0\] has no column for the error .*SignalToNoiseCut\(error=...\)"):
        SignalToNoiseCut().fit([x])
    with pytest.raises(TableError, match=r"X\[1\] has no column 'flux_err'"):
        SignalToNoiseCut().fit([curve(), x])


@pytest.mark.parametrize("parameters", [{"threshold": -1}, {"threshold": "3"}, {"min_points": -1}, {"min_points": 1.5}])
def test_cut_refuses(parameters):
    with pytest.raises((ValueError, TypeError), match=next(iter(parameters))):
        SignalToNoiseCut(**parameters).fit([curve()])


@pytest.mark.parametrize("size", [1, 3, 4, 5, 11])
def test_median_filter_is_that_of_scipy(size):
    flux = np.random.default_rng(0).standard_normal(40)
    x = Table({"wavelength": np.arange(40.0), "flux": flux})
    order = np.random.default_rng(1).permutation(40)
    z = MedianFilter(size).fit_transform([x, x[order]])
    np.testing.assert_array_equal(z[0]["flux"], median_filter(flux, size))
    np.testing.assert_array_equal(z[1]["flux"], median_filter(flux, size)[order])


def test_median_filter_keeps_bands_apart_and_leaves_out_what_is_not_observed():
    rng = np.random.default_rng(0)
    flux, band = rng.standard_normal(30), np.arange(30) % 2
    mask = np.arange(30) == 8
    x = Table({"mjd": np.arange(30.0), "flux": MaskedColumn(flux, mask=mask), "band": np.array(["g", "r"])[band]})
    z = MedianFilter(3).fit_transform([x])[0]
    assert np.flatnonzero(z["flux"].mask).tolist() == [8]
    for rows in (np.flatnonzero((band == 0) & ~mask), np.flatnonzero(band == 1)):
        np.testing.assert_array_equal(z["flux"][rows], median_filter(flux[rows], 3))


@pytest.mark.parametrize("size", [0, 2.5, None])
def test_median_filter_refuses(size):
    with pytest.raises((ValueError, TypeError), match="size"):
        MedianFilter(size).fit([curve()])


LOGARITHMS = {
    "mag": ("mag", 1.0857362 / 3),
    "mmag": ("mmag", 1085.7362 / 3),
    "mag / arcsec2": ("mag / arcsec2", 1.0857362 / 3),
    "dex": ("dex", 0.43429448 / 3),
    "dex(Jy)": ("dex(Jy)", 0.43429448 / 3),
}


@pytest.mark.parametrize(("unit", "error"), LOGARITHMS.values(), ids=LOGARITHMS.keys())
def test_the_ratio_of_a_logarithm_is_that_of_the_flux(unit, error):
    """Of signal-to-noise 3: the relative error of the flux is a third."""
    x = Table({"time": [0.0, 1.0], "y": Column([20.0, 20.0], unit=unit), "y_err": [0.99 * error, 1.01 * error]})
    assert SignalToNoiseCut(3.0, value="y").fit_transform([x])[0]["time"].tolist() == [0.0]


def test_a_cut_on_inverse_variances_and_on_what_may_be_magnitudes_or_not():
    x = Table({"time": [0.0, 1.0, 2.0], "flux": [4.0, 2.0, 9.0], "ivar": [1.0, 1.0, 0.0]})
    z = SignalToNoiseCut(3.0).fit_transform([x])[0]
    assert z["time"].tolist() == [0.0, 2.0], "of a point not observed the ratio is not known"
    x.rename_column("flux", "value")
    with pytest.raises(TableError, match=r"X\[0\] column 'value' may be magnitudes or fluxes.*Set its unit"):
        SignalToNoiseCut(3.0).fit([x])
    x["value"].unit = u.MagUnit(u.AB, u.mmag)  # which astropy writes, but does not read
    with pytest.raises(TableError, match=r"X\[0\] column 'value' has unit 'mmag\(AB\)', which is not known"):
        SignalToNoiseCut(3.0).fit([x])


def test_an_error_of_next_to_nothing_is_no_overflow():
    table = Table({"time": [0.0, 1.0], "flux": [1e10, 1.0], "flux_err": [5e-311, 1.0]})
    assert len(SignalToNoiseCut(threshold=3).fit_transform([table])[0]) == 1
