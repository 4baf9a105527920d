"""Pictures of whole sets of objects: residuals, latent map, coverage, losses, probes."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from skdaep import metrics
from skdaep.plotting import CoverageDisplay, LatentMapDisplay, LossDisplay, ProbeDisplay, ResidualDisplay

# --- residuals --------------------------------------------------------------------------------------


def test_residuals_are_the_quantiles_of_the_metric_band_by_band(of_light_curves, make_light_curve):
    X = [make_light_curve(i) for i in range(12)]
    rebuilt = of_light_curves.reconstruct(X, output="arrays")
    display = ResidualDisplay.from_estimator(of_light_curves, X, bins=4)
    assert list(display.residuals) == ["g", "r"]
    for ax, band in zip(display.axes_[:, 0], "gr", strict=True):
        of_band = [t["band"] == band for t in X]
        parts = [t[here] for t, here in zip(X, of_band, strict=True)]
        truth = metrics.residuals_by_location(
            parts, [y[here] for y, here in zip(rebuilt, of_band, strict=True)], bins=4
        )
        np.testing.assert_allclose(ax.lines[0].get_xdata(), truth["location"].value)
        np.testing.assert_allclose(ax.lines[0].get_ydata(), truth["median"].value, rtol=1e-5)
        area = ax.collections[0].get_paths()[0].vertices
        assert np.isclose(area[:, 1].min(), truth["low"].value.min(), rtol=1e-5)
        assert np.isclose(area[:, 1].max(), truth["high"].value.max(), rtol=1e-5)
        assert ax.yaxis_inverted()
    assert display.axes_[1, 0].get_xlabel() == "time [d]"
    assert display.value_label == "residual [mag]"


def test_residuals_of_rows_and_of_draws():
    X = np.zeros((50, 4))
    rebuilt = np.tile([0.0, 1, 2, 3], (50, 1))[..., None] + [-1.0, 0, 1]  # draws around 0, 1, 2, 3
    display = ResidualDisplay.from_predictions(X, rebuilt, bins=[-0.5, 0.5, 1.5, 2.5, 3.5])
    np.testing.assert_array_equal(display.residuals[""]["median"], [0, -1, -2, -3])
    ax = display.axes_[0, 0]
    assert not ax.yaxis_inverted()
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("column", "residual value")


def test_a_table_of_the_metric_with_its_units_can_be_drawn():
    X = [Table({"wavelength": np.arange(10.0) * u.AA, "flux": np.arange(10.0) * u.mJy})]
    table = metrics.residuals_by_location(X, [np.zeros(10)], bins=2)
    (line,) = (
        line
        for line in ResidualDisplay({"": table}).plot().axes_[0, 0].lines
        if len(line.get_xdata()) == 2 and line.get_marker() == "o"
    )
    np.testing.assert_array_equal(line.get_data(), [[2.25, 6.75], [2, 7]])


def test_objects_that_lack_the_modality_are_left_out(of_several, objects):
    display = ResidualDisplay.from_estimator(of_several, objects, modality="spectrum", bins=2)
    assert display.residuals[""]["n_points"].sum() == sum(len(o["spectrum"]) for o in objects if o["spectrum"])
    with pytest.raises(ValueError, match="No object of X has 'spectrum'"):
        ResidualDisplay.from_estimator(of_several, objects[1:2], modality="spectrum")


# --- latent map -------------------------------------------------------------------------------------


def test_two_columns_are_drawn_as_they_are_and_classes_told_apart():
    Z, y = np.random.default_rng(0).normal(size=(20, 2)), np.array(["II", "Ia", "Ia", "Ia", ""] * 4)
    display = LatentMapDisplay.from_predictions(Z, y, label="type")
    assert list(display.scatters_) == ["II", "Ia", "unknown"]
    for name, here in (("II", y == "II"), ("Ia", y == "Ia"), ("unknown", y == "")):
        np.testing.assert_array_equal(display.scatters_[name].get_offsets(), Z[here])
    colors = {tuple(s.get_facecolor()[0]) for s in display.scatters_.values()}
    shapes = {s.get_paths()[0].vertices.tobytes() for n, s in display.scatters_.items() if n != "unknown"}
    assert (len(colors), len(shapes)) == (3, 2)
    legend = display.ax_.get_legend()
    assert [t.get_text() for t in legend.get_texts()] == ["II", "Ia", "unknown"]
    assert legend.get_title().get_text() == "type"
    assert display.ax_.get_xlabel() == "$z_0$"


def test_numbers_have_a_colour_bar_and_unknown_ones_are_grey():
    y = np.append(np.linspace(0, 1, 19), np.nan)
    display = LatentMapDisplay.from_predictions(np.random.default_rng(0).normal(size=(20, 2)), y, label="redshift")
    np.testing.assert_array_equal(display.scatters_[""].get_array(), y[:-1])
    assert len(display.scatters_["unknown"].get_offsets()) == 1
    _, bar = display.figure_.axes
    assert bar.get_ylabel() == "redshift"


@pytest.mark.parametrize("y", [None, np.array([True, False] * 6), np.arange(12)])
def test_other_kinds_of_y(y):
    Z = np.random.default_rng(0).normal(size=(12, 2))
    assert len(LatentMapDisplay.from_predictions(Z, y).scatters_) == (1 if y is None else len(set(y.tolist())))


def test_classes_that_are_numbers_stand_in_the_order_of_numbers():
    Z, y = np.random.default_rng(0).normal(size=(12, 2)), np.array([10, 9, 2, 2] * 3)
    for classes in (y, y.astype(str), np.array([*y[:-1], None], object)):
        display = LatentMapDisplay.from_predictions(Z, classes)
        assert [name for name in display.scatters_ if name != "unknown"] == ["2", "9", "10"]


def test_more_columns_are_embedded(of_spectra, spectra):
    display = LatentMapDisplay.from_estimator(of_spectra, spectra, np.arange(12.0), embedding=PCA(2))
    Z = of_spectra.transform(spectra).astype(float)
    truth = PCA(2).fit_transform((Z - Z.mean(0)) / Z.std(0))
    np.testing.assert_allclose(display.places, truth, atol=1e-4)
    assert display.ax_.get_xlabel() == "PCA 1"
    tsne = LatentMapDisplay.from_estimator(of_spectra, spectra)
    again = LatentMapDisplay.from_estimator(of_spectra, spectra)
    np.testing.assert_array_equal(tsne.places, again.places)
    assert len(tsne.ax_.get_xticks()) == 0


def test_a_latent_map_that_makes_no_sense_is_refused():
    Z = np.random.default_rng(0).normal(size=(12, 5))
    with pytest.raises(ValueError, match="inconsistent"):
        LatentMapDisplay.from_predictions(Z, np.arange(3))
    with pytest.raises(ValueError, match=r"shape \(12, 3\), but \(12, 2\) is needed"):
        LatentMapDisplay.from_predictions(Z, embedding=PCA(3))
    with pytest.raises(ValueError, match="t-SNE needs at least 4"):
        LatentMapDisplay.from_predictions(Z[:3])


# --- coverage ---------------------------------------------------------------------------------------


def test_coverage_is_that_of_the_metric_and_calibrated_draws_are_on_the_diagonal():
    rng = np.random.default_rng(0)
    X, draws = rng.normal(size=(40, 100)), rng.normal(size=(40, 100, 200))
    display = CoverageDisplay.from_predictions(X, draws, levels=[0.2, 0.5, 0.8], n_bins=5)
    left, right = display.axes_[0]
    x, y = left.lines[1].get_data()
    np.testing.assert_array_equal(x, [0.2, 0.5, 0.8])
    np.testing.assert_allclose(y, [metrics.coverage(X, draws, level=k).coverage.mean() for k in x])
    np.testing.assert_allclose(y, x, atol=0.02)
    heights = right.patches[0].get_data().values
    np.testing.assert_allclose(heights, 1, atol=0.1)
    np.testing.assert_allclose(heights.mean(), 1)
    narrow = CoverageDisplay.from_predictions(X, draws / 3, levels=[0.5], n_bins=5)
    assert narrow.coverage.mean() < 0.3
    assert narrow.axes_[0, 1].patches[0].get_data().values[[0, -1]].min() > 1.5


def test_objects_count_alike_in_the_histogram():
    X = [np.full(90, -9.0), np.full(10, 9.0)]  # below, and above, all draws
    tables = [Table({"time": np.arange(len(x)), "flux": x}) for x in X]
    draws = [np.random.default_rng(0).normal(size=(len(x), 99)) for x in X]
    display = CoverageDisplay.from_predictions(tables, draws, levels=[0.5], n_bins=4)
    np.testing.assert_allclose(display.axes_[0, 1].patches[0].get_data().values, [2, 0, 0, 2])


def test_coverage_of_estimators(of_spectra, of_several, of_images, spectra, objects, images):
    display = CoverageDisplay.from_estimator(of_spectra, spectra, n_draws=5, levels=[0.5])
    draws = of_spectra.reconstruct(spectra, n_draws=5)
    np.testing.assert_allclose(display.coverage[0], metrics.coverage(spectra, draws, level=0.5).coverage)
    display = CoverageDisplay.from_estimator(of_several, objects, modality="light curve", n_draws=2, levels=[0.5])
    assert display.coverage.shape == (1, 12)
    display = CoverageDisplay.from_estimator(of_images, images[:3], n_draws=2, levels=[0.5])
    assert display.pit[0].shape == (8, 8)


def test_coverage_needs_draws(of_spectra, spectra):
    with pytest.raises(ValueError, match="coverage needs draws"):
        CoverageDisplay.from_estimator(of_spectra, spectra, n_draws=None)
    with pytest.raises(ValueError, match="draws are expected along an additional last axis"):
        CoverageDisplay.from_predictions(np.zeros((2, 3)), np.zeros((2, 3)))
    assert plt.get_fignums() == []


# --- losses and probes ------------------------------------------------------------------------------


def test_losses_stand_at_their_steps_and_the_lowest_is_marked():
    history = [{"iteration": 10 * i, "loss": 1 / i, "validation_loss": v} for i, v in ((1, 3), (2, 1), (3, 2))]
    display = LossDisplay(history, name="daep").plot(lw=3)
    np.testing.assert_allclose(display.lines_["training"].get_data(), [[10, 20, 30], [1, 1 / 2, 1 / 3]])
    np.testing.assert_allclose(display.lines_["validation"].get_data(), [[10, 20, 30], [3, 1, 2]])
    np.testing.assert_allclose(display.ax_.lines[-1].get_data(), [[20], [1]])
    assert display.lines_["training"].get_linewidth() == 3
    assert display.lines_["training"].get_label() == "daep, training"
    assert display.ax_.get_yscale() == "log"


def test_losses_of_an_estimator_without_validation(of_spectra):
    display = LossDisplay.from_estimator(make_pipeline(of_spectra))
    assert list(display.lines_) == ["training"]
    np.testing.assert_array_equal(
        display.lines_["training"].get_ydata(), [record["loss"] for record in of_spectra.history_]
    )


def test_losses_below_zero_are_on_a_linear_scale_and_none_are_refused():
    assert LossDisplay([{"iteration": 1, "loss": -1.0}]).plot().ax_.get_yscale() == "linear"
    with pytest.raises(ValueError, match="history is empty"):
        LossDisplay([]).plot()


def test_bars_are_the_scores_of_the_probe_with_their_spread(of_spectra, spectra):
    y = np.array(["a", "b"] * 6)
    display = ProbeDisplay.from_estimator({"daep": of_spectra}, spectra, y, train_size=0.5, n_splits=3)
    truth = metrics.linear_probe(of_spectra.transform(spectra), y, train_size=0.5, n_splits=3)
    assert display.results == {"daep": truth}
    for field in ("accuracy", "f1"):
        bars = display.bars_[field]
        np.testing.assert_allclose(bars.patches[0].get_width(), getattr(truth, field))
        np.testing.assert_allclose(bars.patches[0].get_x(), 0)
        ((start, end),) = bars.errorbar.lines[2][0].get_segments()
        np.testing.assert_allclose(end[0] - start[0], 2 * getattr(truth, f"{field}_sd"))
    assert [t.get_text() for t in display.ax_.get_yticklabels()] == ["daep"]


def test_bars_of_some_fields_and_of_unknown_ones():
    results = {"a": metrics.ProbeResult(0.5, 0.1, 0.4, 0.1), "b": metrics.ProbeResult(0.7, 0.1, 0.6, 0.1)}
    display = ProbeDisplay(results).plot(fields=["f1"], alpha=0.5)
    assert [bar.get_width() for bar in display.bars_["f1"]] == [0.4, 0.6]
    assert display.ax_.get_legend() is None
    assert display.ax_.yaxis_inverted()  # the first on top
    with pytest.raises(ValueError, match="'speed' and 'speed_sd' are not in every result"):
        ProbeDisplay(results).plot(fields=["speed"])
    with pytest.raises(ValueError, match="results is empty"):
        ProbeDisplay({}).plot()
    with pytest.raises(TypeError, match="estimators is a list; pass a dict, name of the method -> encoder"):
        ProbeDisplay.from_estimator([PCA(2)], np.zeros((4, 2)), list("abab"))
    with pytest.raises(TypeError, match="Z is a ndarray; pass a dict"):
        ProbeDisplay.from_predictions(np.zeros((4, 2)), list("abab"))


def test_units_are_those_of_the_tables():
    X = [Table({"wavelength": [1.0, 2] * u.um, "flux": [1.0, 2] * u.Jy})]
    display = ResidualDisplay.from_predictions(X, [np.zeros(2)], bins=1)
    assert display.location_label == "wavelength [µm]"
    assert display.value_label == "residual [Jy]"
