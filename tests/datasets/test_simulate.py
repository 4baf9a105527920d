"""The simulators: what a Table holds, which draws depend on what, and that the physics has the right sign."""

import subprocess
import sys

import numpy as np
import pytest
from astropy import units as u

from skdaep.datasets import make_supernova_light_curves, make_supernova_spectra
from skdaep.datasets._supernova import CLASSES, KNOTS, draw_supernova, extinction, pcygni, planck

SIMULATORS = [make_supernova_spectra, make_supernova_light_curves]


@pytest.fixture(scope="module")
def spectra():
    return make_supernova_spectra(200, random_state=0, return_truth=True)


@pytest.fixture(scope="module")
def light_curves():
    return make_supernova_light_curves(200, random_state=0, return_truth=True)


def draw_class(label, n=20):
    drawn = (draw_supernova(np.random.default_rng([7, i])) for i in range(20 * n))
    return [supernova for supernova in drawn if supernova.label == label][:n]


def assert_same(one, other):
    assert one.colnames == other.colnames
    assert one.meta == other.meta
    for name in one.colnames:
        np.testing.assert_array_equal(one[name], other[name])


def test_spectrum_columns(spectra):
    X, y, _ = spectra
    assert len(X) == len(y) == 200
    assert set(y) == {"Ia", "II", "Ibc"}
    for table in X:
        assert table.colnames == ["wavelength", "flux", "flux_err"]
        assert table["wavelength"].unit == u.AA
        assert table["flux"].unit is None
        assert set(table.meta) == {"object_id", "phase"}
        assert 150 <= len(table) <= 250
        assert 3500 <= table["wavelength"].min()
        assert table["wavelength"].max() <= 8500
        assert np.median(table["flux"]) == pytest.approx(1)
        assert (table["flux_err"] > 0).all()


def test_light_curve_columns(light_curves):
    X, _, _ = light_curves
    for table in X:
        assert table.colnames == ["time", "mag", "mag_err", "band"]
        assert table["time"].unit == u.day
        assert table["mag"].unit == u.mag == table["mag_err"].unit
        assert set(table.meta) == {"object_id", "redshift", "mjd_peak"}
        assert set(table["band"]) <= {"g", "r"}
        assert 10 <= len(table) <= 60
    assert np.median([len(table) for table in X]) > 25


@pytest.mark.parametrize("make", SIMULATORS)
def test_object_depends_on_seed_and_place_only(make):
    X, y, truth = make(8, random_state=3, return_truth=True)
    fewer, labels = make(5, random_state=3)
    other, _ = make(5, random_state=4)
    np.testing.assert_array_equal(y[:5], labels)
    for one, same in zip(X, fewer, strict=False):
        assert_same(one, same)
    assert len(X[0]) != len(other[0]) or (X[0].columns[1] != other[0].columns[1]).any()
    assert len(truth.held_out) == len(truth.measured) == len(truth.parameters) == 8


@pytest.mark.parametrize("make", SIMULATORS)
def test_random_state(make):
    before = np.random.get_state()[1].copy()
    fresh, _ = make(2)
    again, _ = make(2)
    np.testing.assert_array_equal(before, np.random.get_state()[1])
    assert len(fresh[0]) != len(again[0]) or (fresh[0].columns[1] != again[0].columns[1]).any()
    for kind in (np.random.RandomState, np.random.default_rng):
        assert_same(make(1, random_state=kind(5))[0][0], make(1, random_state=kind(5))[0][0])
    with pytest.raises(ValueError, match="random_state"):
        make(1, random_state="seed")
    with pytest.raises(ValueError, match="n_objects"):
        make(-1)
    X, y = make(0)
    assert X == []
    assert y.shape == (0,)


def test_same_supernovae_in_both(spectra, light_curves):
    np.testing.assert_array_equal(spectra[1], light_curves[1])
    for name in ("temperature", "velocity", "redshift", "Fe II", "object_id"):
        np.testing.assert_array_equal(spectra[2].parameters[name], light_curves[2].parameters[name])


@pytest.mark.parametrize("name", ["flux", "mag"])
def test_noise_is_as_stated(spectra, light_curves, name):
    X, _, truth = spectra if name == "flux" else light_curves
    pull = [(x[name] - true) / x[name + "_err"] for x, true in zip(X, truth.measured, strict=True)]
    pull = np.concatenate([np.asarray(p) for p in pull])
    assert abs(pull.mean()) < 4 / np.sqrt(len(pull))
    assert pull.std() == pytest.approx(1, abs=0.04)
    assert np.mean(np.abs(pull) > 2) == pytest.approx(0.0455, abs=0.01)


def test_noise_is_heteroscedastic(spectra, light_curves):
    relative = [np.median(x["flux_err"]) for x in spectra[0]]
    assert np.percentile(relative, 90) > 2 * np.percentile(relative, 10)
    for table in light_curves[0]:
        assert table["mag_err"][np.argmax(table["mag"])] > table["mag_err"][np.argmin(table["mag"])]


@pytest.mark.parametrize("location", ["wavelength", "time"])
def test_held_out_locations(spectra, light_curves, location):
    X, _, truth = spectra if location == "wavelength" else light_curves
    for table, held_out in zip(X, truth.held_out, strict=True):
        assert held_out.colnames == [name for name in table.colnames if not name.endswith("_err")]
        assert held_out.meta == table.meta
        assert held_out[location].unit == table[location].unit
        assert len(held_out) == 100
        assert table[location].min() <= held_out[location].min()
        assert held_out[location].max() <= table[location].max()
        assert not np.isin(held_out[location], table[location]).any()


def test_some_spectra_have_gaps_with_truth_inside(spectra):
    X, _, truth = spectra
    widest = [np.argmax(np.diff(x["wavelength"])) for x in X]
    inside = [
        np.sum((h["wavelength"] > x["wavelength"][k]) & (h["wavelength"] < x["wavelength"][k + 1]))
        for x, h, k in zip(X, truth.held_out, widest, strict=True)
    ]
    assert np.mean(np.array(inside) > 1) > 0.4


def test_truth_joins_smoothly(spectra):
    # the truth between the points is on the scale of the truth at the points
    X, _, truth = spectra
    for x, at_points, held_out in zip(X[:20], truth.measured, truth.held_out, strict=False):
        near = np.interp(held_out["wavelength"], x["wavelength"], at_points)
        assert np.median(np.abs(near - held_out["flux"])) < 0.03


def test_planck_and_extinction():
    # Wien's displacement law, and E(B-V) as it is defined, to the precision of a power law
    wavelength = np.linspace(3000, 9000, 6001)
    assert wavelength[np.argmax(planck(wavelength, 6000.0))] == pytest.approx(2.897772e7 / 6000, abs=1)
    assert extinction(4400, 1.0) - extinction(5500, 1.0) == pytest.approx(1, abs=0.1)


def test_pcygni_profile():
    wavelength, rest, scale = np.linspace(5000, 8000, 30_001), 6355.0, 10_000 / 299_792.458
    absorbed, emitted = pcygni(wavelength, rest, scale)
    trough = wavelength[np.argmax(absorbed)]
    assert trough == pytest.approx(rest * (1 - scale), abs=0.2)
    assert wavelength[np.argmax(emitted)] == pytest.approx(rest, abs=0.2)
    assert absorbed[wavelength > rest].max() < 1e-6
    assert np.sum(absorbed) == pytest.approx(np.sum(emitted), rel=1e-3)


def test_photosphere_cools_and_slows():
    phase = np.linspace(-20, 100, 61)
    for label in CLASSES:
        for supernova in draw_class(label, 3):
            assert (np.diff(supernova.photosphere_temperature(phase)) < 0).all()
            assert (np.diff(supernova.photosphere_velocity(phase)) < 0).all()
            assert supernova.photosphere_velocity(0) == pytest.approx(supernova.velocity)


def test_classes_differ_in_their_lines():
    def depth(label, rest, phase):
        # flux at the blueshifted line over that of the edges, averaged over objects
        def ratio(supernova):
            trough = rest * (1 - supernova.photosphere_velocity(phase) / 299_792.458)
            return supernova.flux(trough, phase) / np.sqrt(
                supernova.flux(trough - 350, phase) * supernova.flux(trough + 450, phase)
            )

        return np.mean([ratio(supernova) for supernova in draw_class(label, 10)])

    assert depth("Ia", 6355, 0) < 0.7 < depth("Ibc", 6355, 0)
    assert depth("II", 6563, 30) < depth("Ibc", 6563, 30)
    bright = [s.flux(6563, 30) / s.flux(6800, 30) for s in draw_class("II", 10)]
    assert np.mean(bright) > 1.3  # H alpha in emission


def test_light_curves_peak_at_zero_and_redden():
    for label in CLASSES:
        for supernova in draw_class(label, 5):
            assert np.argmin(supernova.dimming(np.linspace(-30, 100, 261))) == pytest.approx(60, abs=1)
            g, r = supernova.magnitudes(np.array([-5.0, 0.0, 25.0])).T
            assert (np.diff(g - r) > 0).all()
            assert supernova.light_curve()(KNOTS[3:9]) == pytest.approx(supernova.magnitudes(KNOTS[3:9]))


def test_plateau_outlasts_the_others():
    drop = {label: np.mean([s.dimming(60.0) for s in draw_class(label, 10)]) for label in CLASSES}
    assert drop["II"] < 1 < 2 < min(drop["Ia"], drop["Ibc"])


def test_import_needs_no_torch():
    code = "import sys, skdaep.datasets; sys.exit(any(m in sys.modules for m in ('torch', 'sklearn')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
