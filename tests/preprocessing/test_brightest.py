"""Times and fluxes relative to the brightest point."""

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table
from sklearn.pipeline import make_pipeline

from skdaep import TableError
from skdaep.datasets import make_supernova_light_curves
from skdaep.preprocessing import MagnitudeToFlux, PhaseFromPeak, RelativeToBrightest

TIME = np.arange(60_000.0, 60_040.0, 4.0)
FLUX = np.array([0.0, 1, 5, 9, 10, 8, 6, 4, 3, 2])


def curve(time=TIME, flux=FLUX, error=None, unit=None, **meta):
    table = Table({"time": time, "flux": np.asarray(flux, float)}, units={"time": "d"}, meta=meta)
    if error is not None:
        table["flux_err"] = error
    table["flux"].unit = unit
    return table


def brightest(table, **parameters):
    return RelativeToBrightest(**parameters).fit_transform([table])[0].meta


def test_the_brightest_point_is_zero_and_one():
    z = RelativeToBrightest().fit_transform([curve(error=np.full(10, 0.5), unit="uJy")])[0]
    np.testing.assert_allclose(z["time"], TIME - 60_016)
    np.testing.assert_allclose(z["flux"], FLUX / 10)
    np.testing.assert_allclose(z["flux_err"], 0.05)
    assert z["flux"].unit is None
    assert z["time"].unit == u.day


@pytest.mark.parametrize("factor", [1e-9, 1.0, 1e12])
def test_the_scale_of_fluxes_does_not_matter(factor):
    z = RelativeToBrightest().fit_transform([curve(), curve(flux=factor * FLUX)])
    np.testing.assert_allclose(z[0]["flux"], z[1]["flux"], rtol=1e-12)


def test_a_stray_point_and_an_uncertain_one_are_not_taken():
    stray = curve(np.append(TIME, 60_200.0), np.append(FLUX, 1e3))
    assert brightest(stray)["brightest_flux"] == 10
    uncertain = curve(np.append(TIME, 60_020.5), np.append(FLUX, 15.0), np.append(np.full(10, 0.1), 5.0))
    assert brightest(uncertain)["brightest_flux"] == 10
    assert brightest(curve(flux=np.append(FLUX[:-1], 15.0)))["brightest_flux"] == 15  # neither
    assert brightest(curve([60_000.0, 60_200.0], [1.0, 3.0]))["brightest_flux"] == 3  # no point has others


@pytest.mark.parametrize(("unit", "factor"), [("hour", 24.0), ("s", 86_400.0)])
def test_what_is_near_is_in_days_whatever_the_unit(unit, factor):
    stray = curve((np.append(TIME, 60_200.0) - 60_000) * factor, np.append(FLUX, 1e3))
    stray["time"].unit = unit
    assert brightest(stray)["brightest_flux"] == 10


def test_points_outside_are_removed():
    z = RelativeToBrightest(keep=(-9, 8)).fit_transform([curve()])[0]
    assert z["time"].tolist() == [-8, -4, 0, 4, 8]
    z = RelativeToBrightest(keep=(-216, 192) * u.hour).fit_transform([curve()])[0]
    assert z["time"].tolist() == [-8, -4, 0, 4, 8]
    with pytest.raises(TableError, match=r"X\[0\] has no point left after RelativeToBrightest; widen keep"):
        RelativeToBrightest(keep=(1000, 2000)).fit_transform([curve()])
    with pytest.raises(ValueError, match=r"keep=\(3, 1\)\): two increasing numbers"):
        RelativeToBrightest(keep=(3, 1)).fit([curve()])


def test_on_simulated_light_curves_it_is_near_the_peak():
    """That of a Gaussian process in r; the brightest point may be in g, which peaks earlier."""
    X, _ = make_supernova_light_curves(30, random_state=0)
    fluxes = MagnitudeToFlux(25.0, unit=None)
    times = [t.meta["brightest_time"] for t in make_pipeline(fluxes, RelativeToBrightest()).fit_transform(X)]
    peaks = [t.meta["peak_time"] for t in PhaseFromPeak().fit_transform(X)]
    assert np.median(np.abs(np.subtract(times, peaks))) < 4


def test_magnitudes_and_odd_fluxes_are_refused():
    with pytest.raises(TableError, match=r"column 'mag' is in magnitudes.*put MagnitudeToFlux before it"):
        RelativeToBrightest().fit([Table({"time": TIME, "mag": FLUX})])
    with pytest.raises(TableError, match="may be magnitudes or fluxes"):
        RelativeToBrightest().fit([Table({"time": TIME, "value": FLUX})])
    with pytest.raises(TableError, match=r"X\[1\] is brightest at 'flux' = -1; .* needs a positive flux"):
        RelativeToBrightest().fit_transform([curve(), curve(flux=FLUX - 11)])
    with pytest.raises(TableError, match=r"X\[1\] has no finite 'flux'"):
        RelativeToBrightest().fit_transform([curve(), curve(flux=np.full(10, np.nan))])
