"""Colours that anyone can tell apart, and labels with units."""

import itertools
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from skdaep.plotting import LossDisplay
from skdaep.plotting.style import BANDS, axes_of, axis_label, band_styles, class_styles, limits

SYSTEMS = {"ugrizy": "u g r i z y", "UBVRI": "U B V R I", "2MASS": "J H Ks", "Gaia": "G BP RP", "ATLAS": "c o"}
SYSTEMS |= {"WISE": "W1 W2 W3 W4", "GALEX": "FUV NUV"}
# What readers without one kind of cone see of linear RGB: Machado, Oliveira & Fernandes 2009, severity 1.
VISION = {
    "all cones": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
TO_XYZ = np.array([[0.4124564, 0.3575761, 0.180437], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.950304]])


def lab(color, vision):
    """Return a colour in CIELAB, in which distances are what eyes see."""
    c = np.array(to_rgb(color))
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(np.array(vision) @ linear, 0, 1) / TO_XYZ.sum(1)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("system", SYSTEMS)
def test_bands_of_a_system_differ_in_colour_for_every_reader_and_in_marker(system, vision):
    styles = band_styles(SYSTEMS[system].split())
    assert all(styles[band] == BANDS[band] for band in SYSTEMS[system].split())
    for (color, marker), (other, other_marker) in itertools.combinations(styles.values(), 2):
        assert np.linalg.norm(lab(color, VISION[vision]) - lab(other, VISION[vision])) > 20
        assert marker != other_marker


@pytest.mark.parametrize(
    ("label", "band"),
    [("ztfg", "g"), ("ZTF_g", "g"), ("lsst::u", "u"), ("r_sdss", "r"), ("2MASS J", "J"), ("bessellv", "V"), ("Y", "y")],
)
def test_a_band_is_known_under_the_names_of_surveys(label, band):
    assert band_styles([label])[label] == BANDS[band]


def test_bands_come_from_short_waves_to_long_and_unknown_ones_last():
    assert list(band_styles(["z", "F999W", "u", "i", "g"])) == ["u", "g", "i", "z", "F999W"]


def test_no_two_bands_look_alike():
    for bands in (["sdss_r", "ps1_r", "R"], ["F606W", "F814W", "F125W"], [*BANDS, "a", "b", "c1"]):
        styles = band_styles(bands)
        assert len(set(styles.values())) == len(styles) == len(bands)
    assert len({color for color, _ in band_styles(["sdss_r", "ps1_r", "R"]).values()}) == 3


def test_no_two_classes_look_alike():
    assert len(set(class_styles([str(i) for i in range(80)]).values())) == 80


@pytest.mark.parametrize(
    ("name", "unit", "label"),
    [
        ("wavelength", "Angstrom", "wavelength [Å]"),
        ("flux", "erg / (s cm2 Angstrom)", "flux [erg Å⁻¹ s⁻¹ cm⁻²]"),
        ("f_lambda", None, "f lambda"),
        ("mag", "mag", "magnitude"),
        ("mag", "mag(AB)", "magnitude [mag(AB)]"),
        ("mjd", "d", "MJD [d]"),
        ("flux", "", "flux"),
    ],
)
def test_labels_have_the_unit_of_the_column(name, unit, label):
    assert axis_label(name, unit) == label


def test_limits_hold_all_finite_values():
    low, high = limits(np.array([1.0, np.nan]), np.array([[5.0, 3.0]]))
    assert 0.5 < low < 1
    assert 5 < high < 5.5
    low, high = limits(np.array([2.0]))
    assert low < 2 < high
    assert limits(np.array([np.nan])) == (0, 1)


def test_axes_of_another_number_are_refused():
    _, axes = plt.subplots(1, 3)
    with pytest.raises(ValueError, match=r"needs 2 Axes \(1 x 2\) here, but ax holds 3"):
        axes_of("XDisplay", axes, (1, 2), (4, 4))


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install skdaep\[plot\]"):
        LossDisplay([{"iteration": 1, "loss": 1.0}]).plot()


def test_a_unit_that_astropy_does_not_know_stands_as_it_is():
    assert axis_label("flux", "counts_adu") == "flux [counts_adu]"
