"""Images: what is shown, and in which contrast."""

import numpy as np
import pytest

from skdaep import TableError
from skdaep.plotting import ImageDisplay


def shown(ax):
    return np.asarray(ax.images[0].get_array())


def test_measured_reconstructed_and_residual_have_one_contrast(of_images, images):
    X = images[:2].copy()
    X[0, 0, 0] = np.nan
    display = ImageDisplay.from_estimator(of_images, X)
    rebuilt = of_images.reconstruct(X)
    for i, (x, y, r) in enumerate(display.axes_.T):
        np.testing.assert_array_equal(np.ma.filled(x.images[0].get_array(), np.nan), X[i])
        np.testing.assert_allclose(shown(y), rebuilt[i])
        np.testing.assert_allclose(np.ma.filled(r.images[0].get_array(), np.nan), X[i] - rebuilt[i], atol=1e-6)
        low, high = x.images[0].get_clim()
        assert (low, high) == y.images[0].get_clim() == pytest.approx(np.nanquantile(X[i], [0.005, 0.995]))
        assert r.images[0].get_clim() == pytest.approx(((low - high) / 2, (high - low) / 2))
        assert x.images[0].origin == "lower"
    assert [ax.get_ylabel() for ax in display.axes_[:, 0]] == ["measured", "reconstructed", "residual"]


def test_of_draws_mean_and_standard_deviation_are_shown():
    X = np.arange(16.0).reshape(1, 4, 4)
    draws = X[..., None] + np.array([-1.0, 1.0])
    display = ImageDisplay.from_predictions(X, draws)
    _, mean, residual, spread = display.axes_[:, 0]
    np.testing.assert_array_equal(shown(mean), X[0])
    np.testing.assert_array_equal(shown(residual), 0)
    np.testing.assert_array_equal(shown(spread), 1)
    assert spread.images[0].get_clim() == (0, 1)
    assert spread.get_ylabel() == "s.d. of draws\n(0 to 1)"


def test_channels_in_colours_or_one_in_grey():
    X = np.random.default_rng(0).uniform(size=(1, 4, 4, 3))
    assert shown(ImageDisplay.from_predictions(X, X).axes_[0, 0]).shape == (4, 4, 3)
    np.testing.assert_array_equal(shown(ImageDisplay.from_predictions(X, X).axes_[2, 0]), 0.5)
    np.testing.assert_array_equal(shown(ImageDisplay.from_predictions(X, X, channels=1).axes_[0, 0]), X[0, ..., 1])
    single = ImageDisplay.from_predictions(X[..., :1], X[..., :1])
    np.testing.assert_array_equal(shown(single.axes_[0, 0]), X[0, ..., 0])


def test_keywords_reach_the_image():
    X = np.zeros((1, 4, 4))
    display = ImageDisplay.from_predictions(X, X, cmap="magma", origin="upper", titles=["M 31"])
    assert display.axes_[0, 0].images[0].get_cmap().name == "magma"
    assert display.axes_[0, 0].images[0].origin == "upper"
    assert display.axes_[0, 0].get_title() == "M 31"


def test_a_modality_of_several(of_several, objects):
    display = ImageDisplay.from_estimator(of_several, objects[:2], modality="image", n_draws=2)
    assert display.axes_.shape == (4, 2)
    np.testing.assert_array_equal(shown(display.axes_[0, 0]), objects[0]["image"])


def test_what_cannot_be_drawn_is_refused(of_spectra, spectra):
    with pytest.raises(ValueError, match="see ReconstructionDisplay"):
        ImageDisplay.from_estimator(of_spectra, spectra[:1])
    X = np.zeros((2, 4, 4, 5))
    with pytest.raises(ValueError, match="5 channels: choose one or three"):
        ImageDisplay.from_predictions(X, X)
    with pytest.raises(ValueError, match="one or three can be shown"):
        ImageDisplay.from_predictions(X, X, channels=(0, 1))
    with pytest.raises(TableError, match=r"reconstructed\[0\] has shape \(3, 4, 5\)"):
        ImageDisplay.from_predictions(X, X[:, :3])
    with pytest.raises(ValueError, match="holds 1 objects, but X holds 2"):
        ImageDisplay.from_predictions(X, X[:1])
    with pytest.raises(ValueError, match="at most 16"):
        ImageDisplay.from_predictions(np.zeros((17, 4, 4)), np.zeros((17, 4, 4)))
