"""Simulated variable stars: what a Table holds, and that each class is what its name says."""

import numpy as np
import pytest
from astropy import units as u

from skdaep.datasets import make_variable_stars
from skdaep.datasets._variable_star import CLASSES, _eclipses, _ellipsoids, _overlap, _pulse, draw_star


@pytest.fixture(scope="module")
def stars():
    return make_variable_stars(150, random_state=0, return_truth=True)


@pytest.fixture(scope="module")
def drawn():
    by_class = {label: [] for label in CLASSES}
    for i in range(700):
        star = draw_star(np.random.default_rng([3, i]))
        by_class[star.label].append(star)
    return by_class


def test_columns(stars):
    X, y, _ = stars
    assert set(y) == set(CLASSES)
    for table in X:
        assert table.colnames == ["mjd", "mag", "mag_err", "band"]
        assert (table["mjd"].unit, table["mag"].unit, table["mag_err"].unit) == (u.d, u.mag, u.mag)
        assert set(table["band"]) == {"g", "r"}
        assert list(table.meta) == ["object_id"], "nothing that a survey does not know"
        assert 80 <= len(table) <= 200
        assert (np.diff(table["mjd"]) >= 0).all()


def test_noise_is_that_of_the_errors(stars):
    X, _, truth = stars
    pulls = np.concatenate([(x["mag"] - m) / x["mag_err"] for x, m in zip(X, truth.measured, strict=True)])
    assert pulls.std() == pytest.approx(1, abs=0.02)
    assert abs(pulls.mean()) < 0.03


def test_truth_is_periodic(stars):
    X, _, truth = stars
    for table, row, held_out in zip(X, truth.parameters, truth.held_out, strict=True):
        turns = (np.asarray(held_out["mjd"]) - row["epoch"]) / row["period"]
        assert held_out.colnames == ["mjd", "mag", "band"]
        assert np.ptp(turns) > 1.5
        assert table.meta["object_id"] == row["object_id"]


def test_an_object_does_not_depend_on_how_many_there_are():
    few, many = make_variable_stars(3, random_state=1), make_variable_stars(5, random_state=1)
    assert few[1].tolist() == many[1][:3].tolist()
    assert all((a["mag"] == b["mag"]).all() for a, b in zip(few[0], many[0], strict=False))


def test_periods_are_those_of_the_classes(drawn):
    ranges = {"RRab": (0.4, 0.9), "RRc": (0.2, 0.45), "DSCT": (0.05, 0.25), "CEP": (1, 100), "MIRA": (100, 500)}
    for label, (low, high) in (ranges | {"EA": (0.5, 10), "EW": (0.2, 0.6)}).items():
        assert all(low < star.period < high for star in drawn[label])


def test_rr_lyrae_follow_the_bailey_diagram(drawn):
    period, amplitude = np.array([(s.period, s.amplitude) for s in drawn["RRab"]]).T
    assert np.corrcoef(period, amplitude)[0, 1] < -0.5
    overtone = [s.period for s in drawn["RRc"]]
    assert np.median(overtone) / np.median(period) < 0.7


@pytest.mark.parametrize("label", ["RRab", "RRc", "DSCT", "CEP", "MIRA"])
def test_a_pulse_brightens_faster_than_it_fades(drawn, label):
    phase = np.linspace(0, 1, 2001)
    for star in drawn[label]:
        shape = star.shape(phase)
        faintest = phase[np.argmax(shape)]
        assert faintest >= 0.5
        assert (np.argmin(shape) in (0, 2000), np.ptp(shape)) == (True, pytest.approx(1))
        g, r = (np.ptp(star.magnitude(star.epoch + star.period * phase, np.full(2001, red))) for red in (False, True))
        assert r < g


def test_a_pulse_is_continuous():
    for rise in (0.1, 0.3, 0.5):
        phase = np.linspace(0, 1, 10001)
        assert np.abs(np.diff(_pulse(rise, phase))).max() < 3e-3 / rise


def test_discs_overlap_as_in_geometry():
    assert _overlap(np.array([0.0]), 0.3, 0.2) == pytest.approx(np.pi * 0.2**2, rel=1e-3)
    assert _overlap(np.array([0.5, 0.9]), 0.3, 0.2) == pytest.approx([0, 0], abs=1e-8)
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-0.5, 0.5, (2, 400_000))
    both = (np.hypot(x, y) < 0.3) & (np.hypot(x - 0.25, y) < 0.2)
    assert _overlap(np.array([0.25]), 0.3, 0.2)[0] == pytest.approx(both.mean(), rel=0.02)


def test_eclipses_are_as_deep_as_the_light_covered():
    """Seen edge on the smaller star hides its area of the larger, and is hidden altogether half a turn later."""
    first, second, ratio = 0.25, 0.15, 0.4
    depths = _eclipses(first, second, ratio, 0.0, np.array([0.0, 0.5, 0.25]))
    total = first**2 + ratio * second**2
    expected = -2.5 * np.log10(1 - np.array([second**2 / total, ratio * second**2 / total]))
    assert depths[:2] == pytest.approx(expected, rel=1e-3)
    assert depths[2] == pytest.approx(0, abs=1e-6)
    assert np.abs(_eclipses(first, second, ratio, 0.0, np.linspace(0.2, 0.3, 50))).max() < 1e-6


def test_contact_binaries_have_two_minima_of_nearly_one_depth():
    phase = np.linspace(0, 1, 1001)
    shape = _ellipsoids(0.1, phase)
    minima = np.flatnonzero((shape[1:-1] > shape[:-2]) & (shape[1:-1] > shape[2:])) + 1
    assert phase[minima] == pytest.approx([0.5], abs=0.01), "and the one at phase 0"
    assert shape[0] - shape[minima[0]] == pytest.approx(0.1, abs=1e-6)
