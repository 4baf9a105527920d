"""Along a dimension of the bottleneck, and between two objects."""

import numpy as np
import pytest
from astropy.table import Table

from skdaep import TableError
from skdaep.plotting import TraversalDisplay


def test_one_dimension_moves_and_the_others_stay(of_light_curves, make_light_curve):
    X = [make_light_curve(i) for i in range(12)]
    display = TraversalDisplay.from_estimator(of_light_curves, X, dimension=2, n_steps=4, n_points=11)
    Z = of_light_curves.transform(X)
    np.testing.assert_allclose(display.steps[[0, -1]], np.quantile(Z[:, 2], [0.05, 0.95]), rtol=1e-5)
    codes = np.tile(np.median(Z, axis=0), (4, 1))
    codes[:, 2] = display.steps
    truth = of_light_curves.inverse_transform(codes, at=display.decoded, output="arrays")
    for i, table in enumerate(display.decoded):
        np.testing.assert_allclose(table["mag"], truth[i], rtol=1e-5)
        for lines, band in zip(display.lines_, "gr", strict=True):
            here = table["band"] == band
            np.testing.assert_array_equal(lines[i].get_data(), [table["time"][here], table["mag"][here]])
            assert here.sum() == 11
    assert display.axes_.shape == (1, 2)
    assert [ax.get_title() for ax in display.axes_[0]] == ["g", "r"]
    assert display.axes_[0, 0].yaxis_inverted()
    assert display.axes_[0, 0].get_ylabel() == "magnitude"
    assert display.figure_.axes[-1].get_ylabel() == "$z_{2}$"
    assert len({line.get_color() for line in display.lines_[0]}) == 4


def test_between_two_objects_the_ends_are_the_objects(of_spectra, spectra):
    at = Table({"wavelength": np.linspace(4000, 8000, 9)}, units={"wavelength": "Angstrom"})
    display = TraversalDisplay.from_estimator(of_spectra, spectra, between=(3, -1), at=at, n_steps=3)
    np.testing.assert_array_equal(display.steps, [0, 0.5, 1])
    Z = of_spectra.transform(spectra)
    truth = of_spectra.inverse_transform([Z[3], (Z[3] + Z[-1]) / 2, Z[-1]], at=[at] * 3, output="arrays")
    for line, values in zip(display.lines_[0], truth, strict=True):
        np.testing.assert_allclose(line.get_data(), [at["wavelength"], values], rtol=1e-4)


def test_start_says_from_which_object(of_spectra, spectra):
    display = TraversalDisplay.from_estimator(of_spectra, spectra, start=5, dimension=0, n_steps=2, n_points=5)
    codes = np.tile(of_spectra.transform(spectra)[5], (2, 1))
    codes[:, 0] = display.steps
    truth = of_spectra.inverse_transform(codes, at=display.decoded, output="arrays")
    np.testing.assert_allclose([t["flux"] for t in display.decoded], truth, rtol=1e-4)


def test_images_and_rows_and_one_of_several(of_images, of_rows, of_several, images, objects):
    display = TraversalDisplay.from_estimator(of_images, images, n_steps=3)
    assert display.axes_.shape == (1, 3)
    for ax, image in zip(display.axes_[0], display.decoded, strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), image)
        assert ax.images[0].get_clim() == pytest.approx((display.decoded.min(), display.decoded.max()))
    rows = np.random.default_rng(0).normal(size=(5, 6))
    assert len(TraversalDisplay.from_estimator(of_rows, rows, n_steps=3).lines_[0]) == 3
    display = TraversalDisplay.from_estimator(of_several, objects, modality="spectrum", n_steps=3, n_points=5)
    assert [t.colnames for t in display.decoded] == [["wavelength", "flux"]] * 3


def test_channels_of_images_are_chosen():
    images = np.random.default_rng(0).normal(size=(2, 4, 4, 5))
    display = TraversalDisplay.from_predictions([0, 1], images, channels=(4, 2, 0))
    low, high = display.axes_[0, 0].images[0].get_array().min(), display.axes_[0, 1].images[0].get_array().max()
    assert display.axes_[0, 0].images[0].get_array().shape == (4, 4, 3)
    assert 0 <= low <= high <= 1
    display = TraversalDisplay.from_predictions([0, 1], images, channels=3)
    np.testing.assert_array_equal(display.axes_[0, 1].images[0].get_array(), images[1, ..., 3])
    with pytest.raises(ValueError, match="5 channels: choose one or three"):
        TraversalDisplay.from_predictions([0, 1], images)


@pytest.mark.parametrize("shape", [(3, 8, 8), (4, 8, 12), (2, 12, 8)])
def test_titles_and_label_of_images_are_within_the_figure(shape):
    n = len(images := np.zeros(shape))
    figure = TraversalDisplay.from_predictions(np.arange(n), images, label="way from object 1 to object 2").figure_
    figure.canvas.draw()
    written = [ax.title for ax in figure.axes] + [figure.axes[n // 2].xaxis.label]
    for text in written:
        box = text.get_window_extent()
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1
    middle = figure.axes[n // 2].xaxis.label.get_window_extent()
    assert (middle.x0 + middle.x1) / 2 == pytest.approx(figure.bbox.width / 2, abs=5)


def test_what_makes_no_sense_is_refused(of_spectra, spectra):
    draw = TraversalDisplay.from_estimator
    with pytest.raises(ValueError, match="not both"):
        draw(of_spectra, spectra, dimension=0, between=(0, 1))
    with pytest.raises(ValueError, match="dimension=4: the codes have 4 columns"):
        draw(of_spectra, spectra, dimension=4)
    with pytest.raises(ValueError, match="between: 12 is not the index"):
        draw(of_spectra, spectra, between=(0, 12))
    with pytest.raises(ValueError, match="two indices"):
        draw(of_spectra, spectra, between=(0, 1, 2))
    with pytest.raises(ValueError, match="start: 99"):
        draw(of_spectra, spectra, start=99)
    with pytest.raises(ValueError, match="decoded holds 1 objects"):
        TraversalDisplay.from_predictions([0, 1], spectra[:1])
    draws = Table({"wavelength": [1.0, 2], "flux": np.zeros((2, 5))})
    with pytest.raises(TableError, match="one real number per row is needed"):
        TraversalDisplay.from_predictions([0], [draws])
