"""A modality predicted from others that the encoder saw, against the truth that it did not."""

import numpy as np
import pytest

from skdaep import TableError
from skdaep.plotting import CrossModalDisplay


def test_the_truth_is_hidden_from_the_encoder_and_shown_to_the_reader(of_several, objects):
    X = objects[2:4]
    display = CrossModalDisplay.from_estimator(of_several, X, modality="spectrum", n_draws=3, n_points=7)
    without = [{k: v for k, v in x.items() if k != "spectrum"} for x in X]
    at = [x["spectrum"]["wavelength",] for x in X]
    truth = of_several.reconstruct(without, modality="spectrum", at=at, n_draws=3, output="arrays")
    for i, (table, draws) in enumerate(zip(display.predicted, truth, strict=True)):
        np.testing.assert_allclose(table["flux"], draws, rtol=1e-4, atol=1e-5)
        top, below = display.axes_[-2:, i]
        measured = top.containers[0].lines[0]
        np.testing.assert_array_equal(measured.get_data(), [X[i]["spectrum"]["wavelength"], X[i]["spectrum"]["flux"]])
        residual = np.asarray(X[i]["spectrum"]["flux"]) - np.median(draws, axis=1)
        np.testing.assert_allclose(below.lines[0].get_ydata(), residual, rtol=1e-4, atol=1e-5)
        (line,) = (line for line in top.lines if line.get_label() == "_decoded")
        assert len(line.get_xdata()) == 7
    assert display.given == ("light curve", "image")
    assert display.axes_.shape == (4, 2)
    assert display.axes_[0, 0].yaxis_inverted()
    np.testing.assert_array_equal(display.axes_[1, 0].images[0].get_array(), X[0]["image"])


def test_given_says_from_which(of_several, objects):
    display = CrossModalDisplay.from_estimator(
        of_several, objects[:1], modality="light curve", given=("spectrum",), n_draws=None, n_points=3
    )
    only = [{"spectrum": objects[0]["spectrum"]}]
    (values,) = of_several.reconstruct(only, modality="light curve", at=[objects[0]["light curve"]], output="arrays")
    np.testing.assert_allclose(display.predicted[0]["mag"], values, rtol=1e-5)
    assert display.axes_.shape == (3, 1)
    assert display.axes_[1, 0].yaxis_inverted()
    display = CrossModalDisplay.from_predictions(objects[:1], display.predicted, modality="light curve", given="image")
    assert display.axes_.shape == (3, 1)


def test_images_are_predicted_and_absent_modalities_said_to_be_so(of_several, objects):
    display = CrossModalDisplay.from_estimator(of_several, objects[:2], modality="image", n_draws=2)
    truth, mean = display.axes_[-2:, 1]
    np.testing.assert_array_equal(truth.images[0].get_array(), objects[1]["image"])
    np.testing.assert_allclose(mean.images[0].get_array(), display.predicted[1].mean(-1))
    assert mean.get_ylabel() == ""  # that of the first column holds for the row
    assert display.axes_[-1, 0].get_ylabel() == "image, mean of draws"
    assert [t.get_text() for t in display.axes_[1, 1].texts] == ["no spectrum"]


def test_predictions_made_before(of_several, objects):
    X = [{k: v for k, v in o.items() if k != "image"} for o in objects[2:4]]
    predicted = [np.zeros(len(x["spectrum"])) for x in X]
    display = CrossModalDisplay.from_predictions(X, predicted, modality="spectrum", titles=["a", "b"])
    assert [ax.get_title() for ax in display.axes_[0]] == ["a", "b"]
    (line,) = (line for line in display.axes_[1, 0].lines if line.get_label() == "_decoded")
    np.testing.assert_array_equal(line.get_ydata(), 0)


def test_what_makes_no_sense_is_refused(of_several, of_spectra, objects, spectra):
    draw = CrossModalDisplay.from_estimator
    for modality in (None, "spectrum"):
        with pytest.raises(ValueError, match="DAEPEncoder has one modality; CrossModalDisplay needs several"):
            draw(of_spectra, spectra[:1], modality=modality)
    with pytest.raises(TableError, match=r"X is a single dict; pass a list of them, \[X\]"):
        draw(of_several, objects[0], modality="spectrum")
    with pytest.raises(ValueError, match=r"X\[0\] has no 'spectrum'"):
        draw(of_several, objects[1:2], modality="spectrum")
    with pytest.raises(ValueError, match="choose among light curve, image"):
        draw(of_several, objects[:1], modality="spectrum", given=("spectrum",))
    with pytest.raises(ValueError, match=r"X\[0\] has none of image"):
        draw(of_several, objects[4:5], modality="spectrum", given=("image",))
    with pytest.raises(ValueError, match="predicted holds 0"):
        CrossModalDisplay.from_predictions(objects[:1], [], modality="spectrum")
    with pytest.raises(ValueError, match=r"X\[1\] has no 'spectrum'"):
        CrossModalDisplay.from_predictions(objects[:2], [0, 0], modality="spectrum")
