"""Images through every estimator: shapes, invariances, draws, copies, searches and pipelines."""

import pickle

import numpy as np
import pytest
import torch
from astropy.nddata import NDData
from astropy.utils.masked import Masked
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

import skdaep
from skdaep import Image, TableError

CLOSE = dict(rtol=1e-5, atol=1e-5)
SHAPES = pytest.mark.parametrize("shape", [(8, 12, 1), (8, 12, 3)], ids=str)


def images(shape=(8, 12), n=12, seed=0):
    """Return galaxies (n, *shape): a bright blob somewhere, an offset for each channel, noise."""
    rng = np.random.default_rng(seed)
    row, column = np.meshgrid(*(np.linspace(-1, 1, k) for k in shape[:2]), indexing="ij")
    y, x, width = (rng.uniform(*ends, (n, 1, 1)) for ends in ((-0.7, 0.7), (-0.7, 0.7), (0.2, 0.6)))
    blob = 5 * np.exp(-((row - y) ** 2 + (column - x) ** 2) / width**2)
    noise = 0.1 * rng.standard_normal((n, *shape))
    return 3 + (blob if len(shape) == 2 else blob[..., None] * (1 + np.arange(shape[2]))) + noise


@pytest.fixture(scope="session")
def make_image(make):
    return lambda **changes: make(**{"modality": Image()} | changes)


@pytest.fixture(scope="session")
def of_images(make_image):
    """Fitted to images (8, 12); not to be changed."""
    return make_image(max_iter=15, early_stopping=False).fit(images())


def masked_nddata(X):
    return [NDData(x, mask=np.zeros(x.shape, bool)) for x in X]


HIDDEN = {
    "NaN": lambda x, m: np.where(m, np.nan, x),
    "NDData": lambda x, m: NDData(x, mask=m),
    "masked array": lambda x, m: np.ma.masked_array(x, m),
    "Masked": lambda x, m: Masked(x, mask=m),
    "masked infinity": lambda x, m: np.ma.masked_array(np.where(m, np.inf, x), m),
}
METHODS = {
    "transform": lambda e, X, n_draws: e.transform(X),
    "reconstruct": lambda e, X, n_draws: e.reconstruct(X),
    "draws": lambda e, X, n_draws: e.reconstruct(X, n_draws=n_draws),
    "score": lambda e, X, n_draws: e.score(X),
}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
def test_a_patch_with_a_hidden_pixel_is_as_if_it_were_not_there(of_images, supported_draws, method):
    """Whatever its other pixels hold, and however the pixel was hidden."""
    X, mask = images(n=4), np.zeros((8, 12), bool)
    mask[1, 2] = mask[6, 11] = True
    other = X.copy()
    other[:, :4, :4] = 1e6
    other[:, 4:, 8:] = -3
    expected = method(of_images, [HIDDEN["NaN"](x, mask) for x in X], supported_draws)
    hidden = [hide(x, mask) for hide in HIDDEN.values() for content in (X, other) for x in content]
    got = np.asarray(method(of_images, hidden, supported_draws))
    for same in got.reshape(-1, *np.shape(expected)):
        np.testing.assert_allclose(same, expected, **CLOSE)
    assert np.isfinite(expected).all(), "a patch without a measurement is decoded too"
    assert np.abs(method(of_images, X, supported_draws) - np.asarray(expected)).max() > 1e-4


@SHAPES
def test_shapes_of_all_that_is_returned(make_image, estimator_class, supported_draws, shape):
    X = images(shape)
    estimator = make_image().fit(X)
    Z = estimator.transform(X)
    assert Z.shape == (12, 4)
    assert Z.dtype == np.float32
    assert list(estimator.get_feature_names_out()) == [f"{estimator_class.__name__.lower()}{i}" for i in range(4)]
    for rebuilt in (
        estimator.reconstruct(X),
        estimator.inverse_transform(Z),
        estimator.inverse_transform(Z, at=X),
        estimator.reconstruct(X, output="arrays"),
    ):
        assert rebuilt.shape == X.shape
        assert rebuilt.dtype == np.float32
        assert np.isfinite(rebuilt).all()
    if supported_draws:
        assert estimator.reconstruct(X, n_draws=3).shape == (*X.shape, 3)
    if estimator_class.objective_class.draws == "noise":
        assert estimator.inverse_transform(Z, n_draws=3).shape == (*X.shape, 3)


def test_images_are_rebuilt_the_right_way_round(make_image):
    """Ramps along both axes and over each patch, learned by heart: mirrored or with patches swapped they are others."""
    pattern = 2 * np.linspace(-1, 1, 8)[:, None] + np.linspace(-1, 1, 12) + np.tile(np.linspace(-1, 1, 4), 3)
    X = pattern + 0.05 * np.random.default_rng(0).standard_normal((24, 8, 12))
    estimator = make_image(modality=Image(flips=False), max_iter=40, early_stopping=False, learning_rate_init=1e-2)
    (rebuilt,) = estimator.fit(X).reconstruct(X[:1])
    error = np.abs(rebuilt - pattern).mean()
    swapped = pattern.reshape(2, 4, 3, 4)[:, ::-1, :, ::-1].reshape(8, 12)
    for wrong in (pattern[::-1], pattern[:, ::-1], swapped, np.full((8, 12), pattern.mean())):
        assert error < 0.6 * np.abs(rebuilt - wrong).mean()


def test_inverse_transform_is_the_second_half_of_reconstruct(of_images):
    X = images()
    expected = of_images.reconstruct(X)
    for at in (X, np.full_like(X, np.nan), None):
        np.testing.assert_allclose(of_images.inverse_transform(of_images.transform(X), at=at), expected, **CLOSE)


def test_order_and_company_are_irrelevant(of_images, supported_draws, monkeypatch):
    X, order = images(), np.random.default_rng(0).permutation(12)
    X[2, 0, 0] = X[5, 0, :] = np.nan
    for method in (
        lambda x: of_images.transform(x),
        lambda x: of_images.reconstruct(x),
        lambda x: of_images.reconstruct(x, n_draws=supported_draws),
    ):
        expected = method(X)
        np.testing.assert_allclose(method(X[order]), expected[order], **CLOSE)
        np.testing.assert_allclose(method(X[4:6]), expected[4:6], **CLOSE)
        with monkeypatch.context() as patch:
            patch.setattr("skdaep.model.passes.TOKENS_PER_PASS", 20)
            np.testing.assert_allclose(method(X), expected, **CLOSE)


def test_different_images_have_different_codes(of_images):
    Z = of_images.transform(images())
    assert np.abs(Z[:, None] - Z).max(2)[~np.eye(12, dtype=bool)].min() > 1e-4
    assert np.abs(of_images.transform(images()[:, ::-1]) - Z).max() > 1e-3


def test_draws_differ_from_one_another_and_repeat(of_images, has_draws):
    X = images(n=3)
    draws = of_images.reconstruct(X, n_draws=3)
    np.testing.assert_array_equal(of_images.reconstruct(X, n_draws=3), draws)
    np.testing.assert_allclose(of_images.reconstruct(X, n_draws=2), draws[..., :2], **CLOSE)
    assert np.abs(draws[..., 0] - draws[..., 1]).max() > 1e-3


def test_score_is_minus_the_mean_absolute_error_in_scaled_units(of_images):
    X = images(seed=3)
    expected = -np.abs(of_images.reconstruct(X) - X).mean() / images().std()
    assert of_images.score(X) == pytest.approx(expected, rel=1e-5)
    hidden, seen = X.copy(), np.ones(X.shape, bool)
    hidden[:, 5, 5], seen[:, 4:, 4:8] = np.nan, False
    error = np.abs(of_images.reconstruct(hidden) - X)
    assert of_images.score(hidden) == pytest.approx(-error[seen].mean() / images().std(), rel=1e-5)


def test_inputs_are_unchanged(make_image):
    X = images()
    X[0, 0, 0] = np.nan
    ndd = [NDData(x.copy(), mask=x > 5) for x in images()]
    before, datas, masks = X.copy(), [d.data.copy() for d in ndd], [d.mask.copy() for d in ndd]
    estimator = make_image().fit(X)
    estimator.reconstruct(X)
    estimator.inverse_transform(estimator.transform(X), at=X)
    estimator.fit(ndd).reconstruct(ndd)
    np.testing.assert_array_equal(X, before)
    for d, data, mask in zip(ndd, datas, masks, strict=True):
        np.testing.assert_array_equal(d.data, data)
        np.testing.assert_array_equal(d.mask, mask)


def test_same_seed_same_result_and_another_another(make_image):
    X = images()
    one, same, other = (make_image(random_state=seed).fit(X) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.transform(X), same.transform(X))
    np.testing.assert_array_equal(one.reconstruct(X), same.reconstruct(X))
    assert one.history_[-1]["loss"] == same.history_[-1]["loss"]
    assert np.abs(one.transform(X) - other.transform(X)).max() > 1e-3


def test_global_generators_are_untouched(make_image):
    before = np.random.get_state()[1].tobytes(), torch.get_rng_state().numpy().tobytes()
    make_image().fit(images()).reconstruct(images())
    assert (np.random.get_state()[1].tobytes(), torch.get_rng_state().numpy().tobytes()) == before


def test_few_patches_of_each_image_are_learned_from_if_asked(make_image):
    X = images()
    estimator = make_image(modality=Image(patch_size=1), max_points=16).fit(X)
    assert np.isfinite(estimator.reconstruct(X)).all()


def test_scale_and_offset_of_the_pixels_do_not_matter(make_image, of_images):
    X = images()
    other = make_image(max_iter=15, early_stopping=False).fit(1e-17 * (X - 100))
    np.testing.assert_allclose(other.transform(1e-17 * (X - 100)), of_images.transform(X), rtol=1e-2, atol=1e-2)
    np.testing.assert_allclose(1e17 * other.reconstruct(1e-17 * (X - 100)) + 100, of_images.reconstruct(X), atol=5e-2)


def test_flips_reach_the_training_and_not_the_codes(make_image):
    X = images()
    X[:, :4] += 5  # bright above, which flips hide
    on, off = (make_image(modality=Image(flips=flips)).fit(X) for flips in (True, False))
    assert np.abs(on.transform(X) - off.transform(X)).max() > 1e-4
    np.testing.assert_array_equal(on.transform(X), on.transform(X))


# --- copies and composition -------------------------------------------------------------------------


def test_copies_give_identical_results(of_images, tmp_path, supported_draws):
    X = images()
    of_images.save(tmp_path / "model.safetensors")
    for other in (pickle.loads(pickle.dumps(of_images)), skdaep.load(tmp_path / "model.safetensors")):
        assert other.get_params() == of_images.get_params()
        assert other.modalities_ == of_images.modalities_
        np.testing.assert_array_equal(other.transform(X), of_images.transform(X))
        for n_draws in (None, supported_draws):
            np.testing.assert_array_equal(
                other.reconstruct(X, n_draws=n_draws), of_images.reconstruct(X, n_draws=n_draws)
            )
        assert other.score(X) == of_images.score(X)


def test_clone_is_unfitted_and_fits_alike(of_images):
    other = clone(of_images)
    assert other.get_params() == of_images.get_params()
    assert other.modality.learned is None
    with pytest.raises(NotFittedError):
        other.transform(images())
    np.testing.assert_array_equal(other.fit(images()).transform(images()), of_images.transform(images()))


def test_warm_start_continues(make_image):
    X = images()
    estimator = make_image(warm_start=True, max_iter=5, early_stopping=False).fit(X)
    modalities, first = estimator.modalities_, estimator.history_[-1]["loss"]
    assert estimator.fit(X).history_[-1]["loss"] < first
    assert estimator.modalities_ is modalities


def test_grid_search(make_image):
    X = masked_nddata(images())
    search = GridSearchCV(make_image(), {"bottleneck_dim": [1, 2]}, cv=2, error_score="raise").fit(X)
    assert search.transform(X).shape == (12, 2 * search.best_params_["bottleneck_dim"])
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_pipeline_with_a_classifier(make_image):
    X, y = images(), np.array(["spiral", "elliptical"] * 6)
    pipeline = make_pipeline(make_image(), LogisticRegression()).fit(X, y)
    assert set(pipeline.predict(X)) <= {"spiral", "elliptical"}
    assert cross_val_score(pipeline, X, y, cv=2, error_score="raise").shape == (2,)


# --- what is refused -------------------------------------------------------------------------------


def test_an_estimator_of_tables_refuses_images(fresh, make):
    with pytest.raises((TableError, ValueError)):
        fresh.transform(images())
    with pytest.raises((TableError, ValueError)):
        make(modality=None).fit(images())


@pytest.mark.parametrize("n_draws", [0, -1, 1.5, "2"])
def test_a_wrong_number_of_draws_is_refused(of_images, n_draws):
    with pytest.raises(ValueError, match="n_draws"):
        of_images.reconstruct(images(), n_draws=n_draws)


def test_codes_of_another_size_and_another_number_of_places_are_refused(of_images):
    Z = of_images.transform(images())
    with pytest.raises(ValueError, match="columns"):
        of_images.inverse_transform(Z[:, :3])
    with pytest.raises(ValueError, match="at holds 5 objects but Z has 12 rows; one for each is needed"):
        of_images.inverse_transform(Z, at=images()[:5])


def test_a_single_image_to_decode_at_stands_for_all(of_images):
    Z = of_images.transform(images())
    for at in (images()[0], NDData(images()[0])):
        np.testing.assert_array_equal(of_images.inverse_transform(Z, at=at), of_images.inverse_transform(Z))
