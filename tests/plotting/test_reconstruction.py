"""Reconstructions: the right numbers in the right artists."""

import copy

import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy import units as u
from astropy.table import QTable, Table
from sklearn.pipeline import make_pipeline

import skdaep
from skdaep import DAEPEncoder, TableError
from skdaep.plotting import ReconstructionDisplay
from skdaep.plotting.style import BANDS

TINY = dict(model_dim=8, n_heads=2, n_encoder_layers=1, n_decoder_layers=1, max_iter=3, random_state=0, device="cpu")


def points(ax):
    """Return label -> locations and values of the points with error bars."""
    return {c.get_label(): np.array(c.lines[0].get_data()) for c in ax.containers}


def lines(ax):
    return [line for line in ax.lines if line.get_label() == "_decoded"]


@pytest.fixture
def table():
    band = ["g", "r", "r", "g"]
    columns = {"time": [3.0, 1, 2, 4] * u.day, "mag": [18.0, 19, 20, 21] * u.mag, "band": band}
    return Table(columns | {"mag_err": [0.1, 0.2, 0.3, 0.4] * u.mag}, meta={"type": "Ia", "redshift": 0.05})


def test_points_of_a_light_curve_stand_in_their_bands(table):
    display = ReconstructionDisplay.from_predictions([table], [np.full(4, 19.0)])
    top, below = display.axes_[:, 0]
    np.testing.assert_array_equal(points(top)["g"], [[3, 4], [18, 21]])
    np.testing.assert_array_equal(points(top)["r"], [[1, 2], [19, 20]])
    for container, band in zip(top.containers, "gr", strict=True):
        assert container.lines[0].get_color() == BANDS[band][0]
        assert container.lines[0].get_marker() == BANDS[band][1]
    segments = top.containers[0].lines[2][0].get_segments()
    np.testing.assert_allclose([s[:, 1] for s in segments], [[17.9, 18.1], [20.6, 21.4]])
    np.testing.assert_allclose(np.concatenate([line.get_ydata() for line in below.lines[:2]]), [-10, 5, 0, 10 / 3])


def test_magnitudes_point_down_and_labels_have_units(table):
    top, below = ReconstructionDisplay.from_predictions([table], [np.full(4, 19.0)]).axes_[:, 0]
    assert top.yaxis_inverted()
    assert below.yaxis_inverted()
    assert top.get_ylabel() == "magnitude"
    assert below.get_xlabel() == "time [d]"
    assert below.get_ylabel() == r"residual / $\sigma$"
    assert top.get_title() == "Ia, $z$ = 0.05"
    names = [text.get_text() for text in top.get_legend().get_texts()]
    assert names == ["g", "r", "reconstructed"]
    low, high = sorted(below.get_ylim())
    assert low == -high


def test_fluxes_point_up_and_residuals_without_errors_have_their_unit(spectra):
    (table,) = spectra[:1]
    top, below = ReconstructionDisplay.from_predictions([table], [np.asarray(table["flux"]) - 1]).axes_[:, 0]
    assert not top.yaxis_inverted()
    assert below.get_ylabel() == "residual [mJy]"
    assert below.get_xlabel() == "wavelength [Å]"
    np.testing.assert_allclose(below.lines[0].get_ydata(), 1)
    assert [text.get_text() for text in top.get_legend().get_texts()] == ["measured", "reconstructed"]


def test_lines_run_along_the_location_whatever_the_order_of_rows(table):
    (line_g, line_r) = lines(ReconstructionDisplay.from_predictions([table], [np.arange(4.0)]).axes_[0, 0])
    np.testing.assert_array_equal(line_g.get_data(), [[3, 4], [0, 3]])
    np.testing.assert_array_equal(line_r.get_data(), [[1, 2], [1, 2]])


def test_draws_are_shown_by_their_median_and_quantiles(table):
    draws = np.arange(4.0)[:, None] + np.linspace(-1, 1, 201)
    display = ReconstructionDisplay.from_predictions([table["time", "mag"]], [draws])
    top, below = display.axes_[:, 0]
    (line,) = lines(top)
    np.testing.assert_allclose(line.get_ydata(), [1, 2, 0, 3], atol=1e-12)  # by time
    for band, level in zip(top.collections[-2:], (0.95, 0.68), strict=True):
        x, y = band.get_paths()[0].vertices.T
        np.testing.assert_allclose(np.ptp(y[x == 4.0]), 2 * level)
    np.testing.assert_allclose(below.lines[0].get_ydata(), [18, 18, 18, 18])
    names = [text.get_text() for text in top.get_legend().get_texts()]
    assert names == ["measured", "median", "68 %", "95 %"]
    np.testing.assert_allclose(display.reconstructed[0], draws)


def test_points_not_observed_are_not_drawn(table):
    table["mag"][1] = np.nan
    top, below = ReconstructionDisplay.from_predictions([table], [np.full(4, 19.0)]).axes_[:, 0]
    np.testing.assert_array_equal(points(top)["r"], [[2], [20]])
    assert np.isfinite(top.get_ylim() + below.get_ylim()).all()


def test_line_of_an_estimator_is_what_it_decodes_on_a_fine_grid(of_light_curves, make_light_curve):
    X = [make_light_curve(i) for i in (1, 2)]
    display = ReconstructionDisplay.from_estimator(of_light_curves, X, n_points=30)
    Z = of_light_curves.transform(X)
    for i, ax in enumerate(display.axes_[0]):
        time, (g, r) = np.asarray(X[i]["time"]), lines(ax)
        grid = np.linspace(time.min(), time.max(), 30)
        np.testing.assert_allclose(g.get_xdata(), grid)
        both = Table({"time": np.tile(grid, 2) * u.day, "band": np.repeat(["g", "r"], 30)}, meta=X[i].meta)
        (truth,) = of_light_curves.inverse_transform(Z[i : i + 1], at=[both], output="arrays")
        np.testing.assert_allclose(np.concatenate([g.get_ydata(), r.get_ydata()]), truth, rtol=1e-5)
    (rebuilt,) = of_light_curves.reconstruct(X[:1], output="arrays")
    np.testing.assert_allclose(display.reconstructed[0]["mag"], rebuilt, rtol=1e-5)


@pytest.mark.parametrize("name", ["MAEPEncoder", "BetaVAEEncoder"])
def test_every_estimator_is_drawn_with_its_own_residuals(name, make_light_curve):
    """Also where a decoder's points see one another, and where draws come from the posterior."""
    X = [make_light_curve(i) for i in range(12)]
    encoder, n_draws = getattr(skdaep, name)(**TINY), 4 if name == "BetaVAEEncoder" else None
    encoder.fit(X)
    display = ReconstructionDisplay.from_estimator(encoder, X[:1], n_draws=n_draws, n_points=15)
    (rebuilt,) = encoder.reconstruct(X[:1], n_draws=n_draws, output="arrays")
    np.testing.assert_allclose(display.reconstructed[0]["mag"], rebuilt, rtol=1e-5)
    assert display.curves[0]["mag"].shape == (30,) if n_draws is None else (30, 4)


def test_units_other_than_those_of_fit_are_those_of_the_picture(of_light_curves, make_light_curve):
    table = make_light_curve(3)
    days = ReconstructionDisplay.from_estimator(of_light_curves, [table], n_points=5)
    table["time"] = (np.asarray(table["time"]) * 24) * u.hour
    hours = ReconstructionDisplay.from_estimator(of_light_curves, [table], n_points=5)
    assert hours.axes_[1, 0].get_xlabel() == "time [h]"
    for a, b in zip(lines(days.axes_[0, 0]), lines(hours.axes_[0, 0]), strict=True):
        np.testing.assert_allclose(24 * a.get_xdata(), b.get_xdata())
        np.testing.assert_allclose(a.get_ydata(), b.get_ydata(), rtol=1e-5)


def test_qtables_and_rows_of_arrays_can_be_drawn(of_light_curves, of_rows, make_light_curve):
    table = make_light_curve(3)
    table["mag"] = np.asarray(table["mag"]) * u.mag
    one, other = (ReconstructionDisplay.from_estimator(of_light_curves, [t], n_draws=2) for t in (table, QTable(table)))
    for a, b in zip(lines(one.axes_[0, 0]), lines(other.axes_[0, 0]), strict=True):
        np.testing.assert_allclose(a.get_data(), b.get_data(), rtol=1e-5)
    X = np.random.default_rng(0).normal(size=(2, 6))
    X[0, 3] = np.nan
    display = ReconstructionDisplay.from_estimator(of_rows, X, n_draws=2)
    np.testing.assert_array_equal(points(display.axes_[0, 0])["measured"][0], [0, 1, 2, 4, 5])
    np.testing.assert_array_equal(lines(display.axes_[0, 0])[0].get_xdata(), np.arange(6))


def test_a_modality_of_several_is_drawn_as_alone(of_several, objects):
    display = ReconstructionDisplay.from_estimator(of_several, objects[2:4], modality="spectrum", n_points=9)
    rebuilt = of_several.reconstruct(objects[2:4], modality="spectrum", output="arrays")
    for table, values in zip(display.reconstructed, rebuilt, strict=True):
        np.testing.assert_allclose(table["flux"], values, rtol=1e-5)
    assert len(lines(display.axes_[0, 1])[0].get_xdata()) == 9


def test_axes_given_are_used_and_inputs_left_alone(of_light_curves, make_light_curve):
    X = [make_light_curve(i) for i in range(2)]
    before = copy.deepcopy(X)
    figure, axes = plt.subplots(2, 2)
    display = ReconstructionDisplay.from_estimator(of_light_curves, X, ax=axes)
    assert display.figure_ is figure
    assert (display.axes_ == axes).all()
    assert plt.get_fignums() == [figure.number]
    for table, old in zip(X, before, strict=True):
        assert table.colnames == old.colnames
        assert table.meta == old.meta
        assert all((table[c] == old[c]).all() for c in table.colnames)
    _, ax = plt.subplots()
    alone = ReconstructionDisplay.from_estimator(of_light_curves, X[:1], ax=ax)
    assert alone.axes_.shape == (1, 1)
    assert ax.get_xlabel() == "time [d]"
    assert display.plot() is display
    assert display.figure_ is not figure


def test_lines_take_keywords_and_objects_titles(table):
    display = ReconstructionDisplay.from_predictions([table], [np.arange(4.0)], titles=["mine"], lw=3, residuals=False)
    assert display.axes_.shape == (1, 1)
    assert [line.get_linewidth() for line in display.lines_[0]] == [3, 3]
    assert display.axes_[0, 0].get_title() == "mine"


def test_the_legend_hides_no_data_and_its_markers_are_not_taken_for_some(table):
    """It stands beside the Axes, and where those are not its own in a frame."""
    display = ReconstructionDisplay.from_predictions([table], [np.zeros(4)])
    display.figure_.canvas.draw()
    top = display.axes_[0, 0]
    assert top.get_legend().get_window_extent().x0 > top.get_window_extent().x1
    top = display.plot(plt.subplots(2)[1]).axes_[0, 0]
    display.figure_.canvas.draw()
    assert top.get_legend().get_window_extent().x1 < top.get_window_extent().x1
    assert top.get_legend().get_frame().get_visible()
    assert top.get_legend().get_frame().get_alpha() == 1


def test_many_bands_are_named_beside_the_data():
    bands = np.repeat(list("ugrizy"), 2)
    table = Table({"mjd": np.arange(12.0) + 59000, "flux": np.ones(12), "band": bands})
    display = ReconstructionDisplay.from_predictions([table, table], [np.zeros(12)] * 2)
    first, last = display.axes_[0]
    assert first.get_legend() is None
    assert [text.get_text() for text in last.get_legend().get_texts()] == [*"ugrizy", "reconstructed"]
    display.figure_.canvas.draw()
    assert all(float(text.get_text()) >= 58990 for text in display.axes_[1, 0].get_xticklabels())
    _, axes = plt.subplots(1, 2)
    assert display.plot(axes).axes_[0, 0].get_legend() is not None  # whose Axes these are may have no room


# --- bad input --------------------------------------------------------------------------------------


def test_what_cannot_be_drawn_is_refused(of_light_curves, of_images, of_several, objects, images, table):
    draw = ReconstructionDisplay.from_estimator
    with pytest.raises(ValueError, match="at most 8"):
        draw(of_light_curves, [table] * 9)
    with pytest.raises(TableError, match=r"X is a single Table; pass a list of them, \[X\]"):
        draw(of_light_curves, table)
    with pytest.raises(ValueError, match="see ImageDisplay"):
        draw(of_images, images[:1])
    with pytest.raises(TypeError, match=r"pass pipe\[-1\]"):
        draw(make_pipeline(of_light_curves), [table])
    with pytest.raises(ValueError, match="not fitted"):
        draw(DAEPEncoder(), [table])
    with pytest.raises(ValueError, match="leave modality= out"):
        draw(of_light_curves, [table], modality="x")
    with pytest.raises(ValueError, match="set modality= to one of light curve, spectrum, image"):
        draw(of_several, objects[:1])
    with pytest.raises(ValueError, match="choose one of light curve"):
        draw(of_several, objects[:1], modality="x")
    with pytest.raises(ValueError, match=r"X\[1\] has no 'spectrum'"):
        draw(of_several, objects[:2], modality="spectrum")
    with pytest.raises(ValueError, match="n_draws=1"):
        draw(of_light_curves, [table], n_draws=1)
    assert plt.get_fignums() == []


def test_predictions_that_do_not_fit_are_refused(table):
    draw = ReconstructionDisplay.from_predictions
    with pytest.raises(ValueError, match="reconstructed holds 2 objects, but X holds 1"):
        draw([table], [np.zeros(4)] * 2)
    with pytest.raises(TableError, match=r"reconstructed\[0\] has shape \(3,\), but X has 4 points"):
        draw([table], [np.zeros(3)])
    with pytest.raises(ValueError, match="titles holds 2"):
        draw([table], [np.zeros(4)], titles=["a", "b"])
    with pytest.raises(ValueError, match="curves holds 0"):
        draw([table], [np.zeros(4)], curves=[])
    with pytest.raises(TableError, match="no column 'flux'"):
        draw([table], [np.zeros(4)], value="flux")
    with pytest.raises(ValueError, match="holds 0 objects"):
        draw([], [])
    assert plt.get_fignums() == []
