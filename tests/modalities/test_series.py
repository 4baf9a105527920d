"""Two continuous location axes in one Table: fit, decode anywhere, draw, display, save and load."""

import copy

import matplotlib as mpl
import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table

import skdaep
from skdaep import DAEPEncoder, FunctionalPCA, SpectralSeries, TableError
from skdaep.plotting import CoverageDisplay, ReconstructionDisplay, ResidualDisplay

TINY = dict(model_dim=16, n_heads=2, n_encoder_layers=1, n_decoder_layers=2, random_state=0, device="cpu")


def supernova(i, epochs=(0.0, 6.0, 20.0), n=15):
    rng = np.random.default_rng([5, i])
    time = np.repeat(np.asarray(epochs) + rng.uniform(0, 2, len(epochs)), n)
    wavelength = np.concatenate([np.sort(rng.uniform(4000, 7000, n)) for _ in epochs])
    flux = np.exp(-time / (10 + i % 5)) * (2 + np.sin(wavelength / 400 + i % 3)) + 0.02 * rng.normal(size=len(time))
    return Table({"time": time * u.day, "wavelength": wavelength * u.AA, "flux": flux}, meta={"redshift": 0.1})


X = [supernova(i) for i in range(40)]


@pytest.fixture(scope="module")
def fitted():
    return DAEPEncoder(SpectralSeries(), max_iter=300, early_stopping=False, **TINY).fit(X)


def test_both_axes_are_learned(fitted):
    modality = fitted.modalities_["sequence"]
    assert modality.learned.units["wavelength"] == "Angstrom"
    assert modality.epochs.unit == "d"
    record = modality.read(X[0], "X[0]")
    assert record.location.shape == (45, 2)
    back = record.location * [modality.learned.location.scale, modality.epochs.scaling.scale]
    back += [modality.learned.location.origin, modality.epochs.scaling.origin]
    np.testing.assert_allclose(back[:, 0], X[0]["wavelength"][record.rows], rtol=1e-5)
    np.testing.assert_allclose(back[:, 1], X[0]["time"][record.rows], rtol=1e-4, atol=1e-4)


def test_order_of_rows_does_not_matter(fitted):
    shuffled = [t[np.random.default_rng(0).permutation(len(t))] for t in X]
    np.testing.assert_array_equal(fitted.transform(shuffled), fitted.transform(X))


def test_the_second_axis_counts(fitted):
    """A spectrum decoded late is fainter than one decoded early, as all of these fade."""
    Z = fitted.transform(X[:5])
    early, late = (supernova(0, epochs=(t,)) for t in (0.0, 20.0))
    one, other = (np.mean(fitted.inverse_transform(Z, at=t, output="arrays")) for t in (early, late))
    assert one > 1.5 * other
    assert fitted.score(X) > -0.35  # of the standard deviation


def test_other_units_of_the_epoch_are_converted(fitted):
    hours = [t.copy() for t in X[:3]]
    for table in hours:
        table["time"] = table["time"].quantity.to(u.hour)
    np.testing.assert_allclose(fitted.transform(hours), fitted.transform(X[:3]), atol=1e-4)
    wrong = X[0].copy()
    wrong["time"] = np.asarray(wrong["time"]) * u.kg
    with pytest.raises(TableError, match=r"X\[0\].*'time'.*'kg'"):
        fitted.transform([wrong])


def test_rows_without_an_epoch_are_no_points(fitted):
    gappy = X[0].copy()
    gappy["time"][:15] = np.nan
    np.testing.assert_allclose(fitted.transform([gappy]), fitted.transform([X[0][15:]]), atol=1e-5)
    assert np.isnan(fitted.reconstruct([gappy])[0]["flux"][:15]).all()
    gappy["time"] = np.nan
    with pytest.raises(TableError, match=r"X\[0\] has no finite 'time'"):
        fitted.transform([gappy])


def test_a_table_without_the_column_is_refused_by_name(fitted):
    lacking = X[0].copy()
    lacking.remove_column("time")
    with pytest.raises(TableError, match=r"X\[0\].*'time'"):
        fitted.transform([lacking])


def test_draws_are_correlated_along_both_axes_and_repeatable(fitted):
    (draws,) = fitted.reconstruct(X[:1], n_draws=20, output="arrays")
    assert draws.shape == (45, 20)
    assert draws.std(1).mean() > 0
    assert all(len(np.atleast_1d(scale)) == 2 for scale in fitted.noise_correlation_["sequence"].scales)
    np.testing.assert_array_equal(fitted.reconstruct(X[:1], n_draws=20, output="arrays")[0], draws)


def test_the_default_grid_is_of_both_axes(fitted):
    (table,) = fitted.inverse_transform(fitted.transform(X[:1]))
    assert len(np.unique(table["time"])) == 5
    assert table["time"].unit == u.day
    assert table["wavelength"].unit == u.AA


def test_files(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    loaded = skdaep.load(tmp_path / "model")
    assert loaded.modalities_ == fitted.modalities_
    np.testing.assert_array_equal(loaded.transform(X), fitted.transform(X))


def test_displays_draw_a_curve_for_each_epoch(fitted):
    with mpl.rc_context({"backend": "Agg"}):
        display = ReconstructionDisplay.from_estimator(fitted, X[:2], n_draws=5)
        texts = {t.get_text() for t in display.figure_.findobj(mpl.text.Text)}
        epochs = {f"time = {t:.3g} d" for x in X[:2] for t in np.unique(x["time"])}
        assert epochs <= texts, "the legend names each curve"
        ResidualDisplay.from_estimator(fitted, X[:5])
        CoverageDisplay.from_estimator(fitted, X[:5], n_draws=10)


def test_in_several_modalities_it_stands_beside_others(fitted):
    objects = [{"series": x, "spectrum": x[:15]} for x in X[:12]]
    declared = {"series": SpectralSeries(), "spectrum": skdaep.Spectrum()}
    encoder = skdaep.ContrastiveNeighbors(declared, max_iter=2, validation_fraction=0.3, **{
        k: v for k, v in TINY.items() if k != "n_decoder_layers"
    })  # fmt: skip
    rebuilt = encoder.fit(objects).reconstruct(copy.deepcopy(objects[:2]), modality="series")
    np.testing.assert_allclose(rebuilt[0]["flux"], X[0]["flux"], rtol=1e-4)


def test_functional_pca_says_that_it_takes_lines_only():
    with pytest.raises(ValueError, match="points on a line or images"):
        FunctionalPCA(SpectralSeries(), n_components=2).fit(X)


def test_epochs_that_hardly_differ_are_curves_of_their_own():
    close = supernova(0, epochs=(59000.0, 59000.001, 59020.0))
    close["time"] = np.repeat([59000.0, 59000.001, 59020.0], 15) * u.day
    encoder = DAEPEncoder(SpectralSeries(), max_iter=2, early_stopping=False, **TINY).fit([close] * 3)
    with mpl.rc_context({"backend": "Agg"}):
        display = ReconstructionDisplay.from_estimator(encoder, [close])
        texts = {t.get_text() for t in display.figure_.findobj(mpl.text.Text)}
    assert {"time = 59000 d", "time = 59000.001 d", "time = 59020 d"} <= texts
