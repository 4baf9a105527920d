"""FunctionalPCA as a user has it: PCA where that is defined, and honest where it is not."""

import numpy as np
import pytest
from astropy.table import Table
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import skdaep
from skdaep import FunctionalPCA, Image, Photometry, Sequence

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(120, 5)) * [5, 4, 3, 2, 1] @ RNG.normal(size=(5, 40)) + 0.1 * RNG.normal(size=(120, 40))


def test_on_complete_rows_it_is_pca():
    pca, ours = PCA(5).fit(ROWS), FunctionalPCA(n_components=5, smoothness=0, early_stopping=False, tol=0).fit(ROWS)
    expected = pca.inverse_transform(pca.transform(ROWS))
    np.testing.assert_allclose(ours.reconstruct(ROWS), expected, atol=0.02 * ROWS.std())
    one, other = ours.transform(ROWS), pca.transform(ROWS)
    overlap = np.linalg.svd(np.linalg.qr(one)[0].T @ np.linalg.qr(other)[0], compute_uv=False)
    assert overlap.min() > 0.9999


def test_what_is_missing_is_predicted_from_what_is_there():
    hidden = RNG.random(ROWS.shape) < 0.3
    gappy = np.where(hidden, np.nan, ROWS)
    rebuilt = FunctionalPCA(n_components=5, random_state=0).fit(gappy).reconstruct(gappy)
    assert np.abs(rebuilt - ROWS)[hidden].mean() < 0.05 * ROWS.std()


def curve(i, n=12):
    rng = np.random.default_rng([9, i])
    time = np.sort(rng.uniform(0, 10, n))
    flux = 3 * rng.normal() * np.sin(time / 2) + rng.normal() * np.cos(time) + 0.1 * rng.normal(size=n)
    return Table({"time": time, "flux": flux, "flux_err": np.full(n, 0.1)})


CURVES = [curve(i) for i in range(150)]


def test_draws_cover_as_they_say():
    pca = FunctionalPCA(Sequence("flux"), n_components=3, random_state=0).fit(CURVES[:100])
    inside = []
    for table, draws in zip(CURVES[100:], pca.reconstruct(CURVES[100:], n_draws=200, output="arrays"), strict=True):
        low, high = np.quantile(draws, [0.05, 0.95], axis=1)
        inside += ((low < table["flux"]) & (table["flux"] < high)).tolist()
    assert np.mean(inside) == pytest.approx(0.9, abs=0.05)


def test_an_object_seen_at_few_points_shrinks_towards_the_mean():
    pca = FunctionalPCA(Sequence("flux"), n_components=3, random_state=0).fit(CURVES)
    whole = np.linalg.norm(pca.transform(CURVES), axis=1)
    few = np.linalg.norm(pca.transform([t[5:6] for t in CURVES]), axis=1)
    assert few.mean() < 0.8 * whole.mean()
    spread = [np.std(pca.reconstruct([t], n_draws=100, output="arrays")[0]) for t in (CURVES[0], CURVES[0][5:6])]
    assert all(np.isfinite(spread))


def test_distances_of_codes_are_distances_of_reconstructions():
    pca = FunctionalPCA(n_components=5, smoothness=0, random_state=0).fit(ROWS)
    Z, scale = pca.transform(ROWS), pca.modalities_["sequence"].learned.value.scale
    apart = np.sqrt(((pca.inverse_transform(Z)[:60] - pca.inverse_transform(Z)[60:]) ** 2).mean(1)) / scale
    np.testing.assert_allclose(np.linalg.norm(Z[:60] - Z[60:], axis=1), apart, rtol=0.05)


def test_samples_scatter_as_the_objects_do():
    pca = FunctionalPCA(n_components=5, random_state=0).fit(ROWS)
    new = pca.sample(2000)
    np.testing.assert_allclose(new.std(0), ROWS.std(0), rtol=0.25)
    np.testing.assert_array_equal(pca.sample(5), pca.sample(2000)[:5])


def test_images_and_bands_and_errors():
    images = RNG.normal(size=(40, 8, 8)).cumsum(1).cumsum(2)
    assert FunctionalPCA(Image(), n_components=3).fit(images).reconstruct(images).shape == images.shape
    curves = [table.copy() for table in CURVES[:40]]
    for table in curves:
        table["band"] = np.where(np.arange(12) % 2, "g", "r")
    pca = FunctionalPCA(Photometry("flux"), n_components=3, error_weighting=True, random_state=0).fit(curves)
    assert set(pca.inverse_transform(pca.transform(curves[:1]))[0]["band"]) == {"g", "r"}


def test_it_is_fast_to_say_what_it_did(capsys):
    pca = FunctionalPCA(n_components=2, verbose=True, random_state=0).fit(ROWS)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(pca.history_) == pca.n_iter_
    assert "log_likelihood" in lines[0]


def test_pipelines_files_and_what_it_lacks(tmp_path):
    y = ROWS[:, 0] > 0
    pipeline = make_pipeline(FunctionalPCA(n_components=5, random_state=0), LogisticRegression()).fit(ROWS, y)
    assert pipeline.score(ROWS, y) > 0.9
    pca = pipeline[0]
    pca.save(tmp_path / "model")
    np.testing.assert_array_equal(skdaep.load(tmp_path / "model").transform(ROWS), pca.transform(ROWS))
    assert "model_dim" not in pca.get_params()


def test_objects_that_are_all_alike_have_codes_of_nought():
    pca = FunctionalPCA(n_components=2).fit(np.ones((10, 5)))
    assert not pca.transform(np.ones((3, 5))).any()
    np.testing.assert_allclose(pca.reconstruct(np.ones((3, 5))), 1, atol=1e-5)


@pytest.mark.parametrize("seed", [10, 14, 22])  # with these no point of the held-out objects gives scores
def test_held_out_objects_of_two_points(seed):
    X = np.random.default_rng(0).normal(size=(10, 2))
    pca = FunctionalPCA(n_components=1, random_state=seed).fit(X)
    assert np.isfinite(pca.reconstruct(X)).all()


def test_metadata_are_not_used_and_that_is_said():
    with pytest.warns(UserWarning, match="does not use metadata .phase."):
        FunctionalPCA(Sequence("flux", metadata=("phase",)), n_components=2).fit(
            [Table(t, meta={"phase": 1.0 * i}) for i, t in enumerate(CURVES[:20])]
        )


def test_order_of_rows_and_company_do_not_matter():
    pca = FunctionalPCA(Sequence("flux"), n_components=3, random_state=0).fit(CURVES)
    Z = pca.transform(CURVES)
    shuffled = [t[np.random.default_rng(0).permutation(len(t))] for t in CURVES]
    np.testing.assert_allclose(pca.transform(shuffled), Z, atol=1e-5)
    np.testing.assert_allclose(pca.transform(CURVES[3:5]), Z[3:5], atol=1e-5)
    one = pca.reconstruct(CURVES[3:5], n_draws=2, output="arrays")
    other = pca.reconstruct(CURVES, n_draws=3, output="arrays")
    np.testing.assert_allclose(one[0], other[3][:, :2], atol=1e-4)
