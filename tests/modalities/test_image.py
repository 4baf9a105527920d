"""Images: from arrays to patches and tokens and back, and images through every estimator."""

import pickle

import numpy as np
import pytest
import torch
from astropy import units as u
from astropy.nddata import CCDData, NDData
from astropy.table import Table
from astropy.utils.masked import Masked
from sklearn.base import clone

from skdaep import DAEPEncoder, Image, TableError

CLOSE = dict(rtol=1e-5, atol=1e-5)
ESTIMATORS = ("DAEPEncoder",)  # reading is the same in all
SHAPES = pytest.mark.parametrize("shape", [(8, 12), (8, 12, 1), (8, 12, 3)], ids=str)


def images(shape=(8, 12), n=12, seed=0):
    """Return galaxies (n, *shape): a bright blob somewhere, an offset for each channel, noise."""
    rng = np.random.default_rng(seed)
    row, column = np.meshgrid(*(np.linspace(-1, 1, k) for k in shape[:2]), indexing="ij")
    y, x, width = (rng.uniform(*ends, (n, 1, 1)) for ends in ((-0.7, 0.7), (-0.7, 0.7), (0.2, 0.6)))
    blob = 5 * np.exp(-((row - y) ** 2 + (column - x) ** 2) / width**2)
    noise = 0.1 * rng.standard_normal((n, *shape))
    return 3 + (blob if len(shape) == 2 else blob[..., None] * (1 + np.arange(shape[2]))) + noise


def learned(shape=(8, 12), **declaration):
    return Image(**declaration).learn(list(images(shape)))


def batch_of(modality, objects):
    records = [modality.read(o, f"X[{i}]") for i, o in enumerate(objects)]
    return modality.collate(records).take(torch.arange(len(objects)))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


# --- patches ----------------------------------------------------------------------------------------


@SHAPES
@pytest.mark.parametrize("patch_size", [1, 2, 4])
def test_reading_and_unscaling_is_the_identity(shape, patch_size):
    modality, X = learned(shape, patch_size=patch_size), images(shape, seed=1)
    for image in X:
        record = modality.read(image, "X[0]")
        assert record.value.shape == (96 // patch_size**2, patch_size**2 * (shape[2] if len(shape) == 3 else 1))
        np.testing.assert_allclose(modality.unscale(record.value, record), image, atol=1e-5)
        draws = np.stack([record.value, 2 * record.value], -1)
        back = modality.unscale(draws, record)
        assert back.shape == (*shape, 2)
        np.testing.assert_allclose(back[..., 0], image, atol=1e-5)


@SHAPES
def test_pixels_are_scaled_to_mean_0_and_deviation_1(shape):
    modality = learned(shape)
    pixels = np.stack([modality.read(image, "X[0]").value for image in images(shape)])
    assert pixels.mean() == pytest.approx(0, abs=1e-5)
    assert pixels.std() == pytest.approx(1, abs=1e-5)


@SHAPES
def test_a_patch_is_a_square_of_neighbouring_pixels_at_its_place(shape):
    """One lit square is one patch, where the places say: rows first, within -1 to 1."""
    modality = learned(shape)
    dark = modality.read(np.zeros(shape), "X[0]").value
    for i in range(2):
        for j in range(3):
            image = np.zeros(shape)
            image[4 * i : 4 * i + 4, 4 * j : 4 * j + 4] = 1
            record = modality.read(image, "X[0]")
            (lit,) = np.flatnonzero((record.value != dark).any(1))
            assert (record.value != dark)[lit].all()
            np.testing.assert_allclose(record.location[lit], [(i + 0.5) - 1, (j + 0.5) * 2 / 3 - 1], atol=1e-6)


def test_learning_leaves_the_declaration_as_it_was():
    declaration = Image(patch_size=2, flips=False)
    completed = declaration.learn(list(images()))
    assert declaration == Image(patch_size=2, flips=False)
    assert completed != declaration
    assert completed.learn(list(images())) == completed
    assert clone(declaration, safe=False) == declaration
    assert pickle.loads(pickle.dumps(completed)) == completed
    assert len({completed, pickle.loads(pickle.dumps(completed))}) == 1


def test_constant_images_are_read_without_a_scale():
    modality = Image().learn([np.full((4, 4), 7.0)] * 3)
    record = modality.read(np.full((4, 4), 7.0), "X[0]")
    assert not record.value.any()
    np.testing.assert_array_equal(modality.unscale(record.value, record), np.full((4, 4), 7.0))


# --- tokens -----------------------------------------------------------------------------------------


def tokenizer(modality, width=8):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return modality.tokenizer(width)


@pytest.mark.parametrize("shape", [(8, 8), (32, 32), (8, 32), (4, 4), (64, 64)], ids=str)
def test_all_positions_are_distinct(shape):
    modality = learned(shape)
    module = tokenizer(modality)
    with torch.no_grad():
        features = module.features(torch.from_numpy(modality._places())).flatten(1)
        queries = module.queries(batch_of(modality, images(shape, n=1)))[0]
    for x, least in ((features, 0.1), (queries, 1e-4)):
        distance = torch.cdist(x[None], x[None], compute_mode="donot_use_mm_for_euclid_dist")[0]
        distance.fill_diagonal_(torch.inf)
        assert distance.min() > least


def test_row_and_column_are_not_interchangeable():
    modality = learned((32, 32))
    with torch.no_grad():
        queries = tokenizer(modality).queries(batch_of(modality, images((32, 32), n=1)))[0].view(8, 8, 8)
    difference = (queries - queries.swapaxes(0, 1)).norm(dim=-1)
    assert difference[~torch.eye(8, dtype=bool)].min() > 1e-3
    # Nor are they a sum of row and column, of which two corners would give the other two.
    assert (queries[0, 0] + queries[7, 7] - queries[0, 7] - queries[7, 0]).norm() > 1e-3


@SHAPES
def test_a_pixel_moves_the_token_of_its_patch_and_no_other(shape):
    modality = learned(shape)
    module, base = tokenizer(modality), batch_of(modality, images(shape, n=1))
    rng = np.random.default_rng(0)
    with torch.no_grad():
        before = module.add_values(module.queries(base), base.value)
        for _ in range(10):
            image, pixel = images(shape, n=1)[0], tuple(rng.integers(0, k) for k in shape)
            image[pixel] += 1
            batch = batch_of(modality, [image])
            moved = (module.add_values(module.queries(batch), batch.value) - before).norm(dim=-1)[0]
            patch = pixel[0] // 4 * 3 + pixel[1] // 4
            assert moved[patch] > 1e-4
            assert not moved[np.arange(6) != patch].any()


def test_queries_hold_no_values():
    modality = learned()
    module, batch = tokenizer(modality), batch_of(modality, images())
    assert torch.equal(module.queries(batch), module.queries(batch.replace(value=batch.value + 1)))


@SHAPES
def test_head_gives_the_pixels_of_each_patch(shape):
    modality = learned(shape)
    assert modality.head(8)(torch.zeros(2, 6, 8)).shape == (2, 6, 16 * (shape[2] if len(shape) == 3 else 1))


# --- flips ------------------------------------------------------------------------------------------

FLIPS = {(): 0, (0,): 1, (1,): 2, (0, 1): 3}


def as_sets(places, values):
    return {(tuple(p), tuple(v)) for p, v in zip(places, values, strict=True)}


def contents(batch):
    """Return every object as a set of points: place and pixels."""
    places = (batch.location.round(decimals=4) + 0.0).tolist()  # + 0.0: no negative zero
    return [as_sets(p[:n], v[:n]) for p, v, n in zip(places, batch.value.tolist(), batch.lengths.tolist(), strict=True)]


@SHAPES
@pytest.mark.parametrize("patch_size", [2, 4])
def test_an_augmented_batch_is_one_of_mirrored_images(shape, patch_size):
    modality, X = learned(shape, patch_size=patch_size), images(shape, n=64, seed=2)
    mirrored = [contents(batch_of(modality, np.flip(X, [1 + axis for axis in axes]))) for axes in FLIPS]
    augmented = contents(modality.augment(batch_of(modality, X), generator()))
    found = [[m[i] for m in mirrored].index(points) for i, points in enumerate(augmented)]
    counts = np.bincount(found, minlength=4)
    assert counts.min() >= 5, "each of the four comes up, as often as the others"


def test_flips_keep_patches_that_are_not_observed_out():
    modality, X = learned(), images(n=8)
    X[:, :4, :4] = np.nan
    batch = batch_of(modality, X)
    augmented = modality.augment(batch, generator())
    assert torch.equal(augmented.observed, batch.observed)
    corners = {tuple(np.sign(location)) for points in contents(augmented) for location, _ in points}
    assert len(corners) > 2
    mirrored = [contents(batch_of(modality, np.flip(X, [1 + axis for axis in axes]))) for axes in FLIPS]
    assert all(points in [m[i] for m in mirrored] for i, points in enumerate(contents(augmented)))


def test_augmenting_leaves_the_batch_as_it_was_and_follows_from_the_generator():
    modality, state = learned(), torch.get_rng_state()
    batch = batch_of(modality, images())
    before = {k: v.clone() for k, v in vars(batch).items()}
    one, same, other = (modality.augment(batch, generator(seed)) for seed in (0, 0, 1))
    assert all(torch.equal(v, before[k]) or torch.isnan(v).all() for k, v in vars(batch).items())
    assert torch.equal(one.value, same.value)
    assert not torch.equal(one.value, other.value)
    assert torch.equal(torch.get_rng_state(), state)


def test_without_flips_nothing_is_changed():
    modality = learned(flips=False)
    batch = batch_of(modality, images())
    assert modality.augment(batch, generator()) is batch


# --- what users hand over ---------------------------------------------------------------------------


@pytest.fixture(scope="session")
def make_image(make):
    return lambda **changes: make(**{"modality": Image()} | changes)


@pytest.fixture(scope="session")
def of_images(make_image):
    """Fitted to images (8, 12); not to be changed."""
    return make_image(max_iter=30, early_stopping=False).fit(images())


def masked_nddata(X):
    return [NDData(x, mask=np.zeros(x.shape, bool)) for x in X]


KINDS = {
    "list of arrays": list,
    "NDData": lambda X: [NDData(x) for x in X],
    "NDData with a mask": masked_nddata,
    "masked array": lambda X: np.ma.masked_array(X, np.zeros(X.shape, bool)),
    "list of masked arrays": lambda X: [np.ma.masked_array(x) for x in X],
    "Masked": lambda X: Masked(X, mask=np.zeros(X.shape, bool)),
    "dimensionless": lambda X: X << u.dimensionless_unscaled,
    "nested lists": lambda X: X.tolist(),
    "read-only": lambda X: np.broadcast_to(X, X.shape),
    "Fortran order": np.asfortranarray,
    "big-endian": lambda X: X.astype(">f8"),
    "tuple": tuple,
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_however_images_come_they_are_the_same_images(of_images, kind):
    X = images()
    np.testing.assert_array_equal(of_images.transform(kind(X)), of_images.transform(X))


UNITS = {
    "Quantity": lambda X: (X * u.Jy).to(u.mJy),
    "list of Quantities": lambda X: list((X * u.Jy).to(u.nJy)),
    "NDData": lambda X: [NDData(1e3 * x, unit="mJy") for x in X],
    "CCDData": lambda X: [CCDData(x, unit="Jy") for x in X],
    "Masked": lambda X: Masked(1e3 * X * u.mJy, mask=np.zeros(X.shape, bool)),
    "one in another unit": lambda X: [X[0] * u.Jy, *(1e3 * X[1:] * u.mJy)],
    "no unit": lambda X: X,
}


@pytest.fixture(scope="session")
def of_units(make_image):
    return make_image().fit([NDData(x, unit="Jy") for x in images()])


@pytest.mark.parametrize("kind", UNITS.values(), ids=UNITS.keys())
def test_units_are_converted_to_that_of_fit_and_no_unit_is_that_of_fit(of_units, kind):
    X = images()
    Z = of_units.transform(X << u.Jy)
    np.testing.assert_allclose(of_units.transform(kind(X)), Z, **CLOSE)
    np.testing.assert_allclose(of_units.inverse_transform(Z, at=kind(X)), of_units.inverse_transform(Z), **CLOSE)


def test_the_unit_of_fit_is_that_of_the_first_image(of_units):
    X = images()
    modality = Image().learn([Image().one(x, "") for x in UNITS["one in another unit"](X)])
    assert modality.learned.unit == "Jy"
    assert modality.learned.value.origin == pytest.approx(X.mean())
    assert modality.learned.value.scale == pytest.approx(X.std())


def test_units_that_cannot_be_converted_are_refused_by_place(make_image, of_images, of_units):
    X = images()
    with pytest.raises(TableError, match=r"X\[0\] has unit 'K', which cannot be converted to 'Jy' of fit"):
        of_units.transform(X * u.K)
    with pytest.raises(TableError, match=r"X\[3\] has unit 'K', which cannot be converted to 'Jy' of X\[0\]"):
        make_image().fit(with_image(X * u.Jy, 3, X[3] * u.K))
    with pytest.raises(TableError, match=r"X\[0\] has unit 'Jy', but fit had none"):
        of_images.transform(X * u.Jy)


@pytest.mark.parametrize("shape", [(8, 12, 3), (4, 4, 4)], ids=str)
def test_a_mask_of_pixels_is_one_of_all_their_channels(shape):
    image, mask = images(shape, n=1)[0], np.zeros(shape[:2], bool)
    mask[1, 2] = True
    expected = np.where(mask[..., None], np.nan, image)
    for given in (mask, mask.astype(int) * 4, np.repeat(mask[..., None], shape[2], 2)):
        np.testing.assert_array_equal(Image().one(NDData(image, mask=given), "X[0]"), expected)


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool", "float16", "float32"])
def test_numbers_of_any_type_are_taken_by_their_value(of_images, dtype):
    X = images().astype(dtype)
    np.testing.assert_array_equal(of_images.transform(X), of_images.transform(X.astype(float)))


# --- what is refused --------------------------------------------------------------------------------


def with_image(X, i, image):
    return [image if j == i else x for j, x in enumerate(X)]


def with_pixel(X, i, pixel, value):
    X = X.copy()
    X[(i, *pixel)] = value
    return X


REFUSED = {
    "2-D array": (lambda X: X.reshape(12, -1), r"X has shape \(12, 96\); images need \(n, H, W\) or \(n, H, W, C\)"),
    "5-D array": (lambda X: X[..., None, None], r"X has shape \(12, 8, 12, 1, 1\)"),
    "one image": (lambda X: X[0], r"X has shape \(8, 12\)"),
    "another size": (lambda X: with_image(X, 3, X[3][:, :8]), r"X\[3\] has shape \(8, 8\).*\(8, 12\)"),
    "another size that is as large": (lambda X: with_image(X, 3, X[3].T), r"X\[3\] has shape \(12, 8\).*\(8, 12\)"),
    "a channel axis": (lambda X: with_image(X, 3, X[3][..., None]), r"X\[3\] has shape \(8, 12, 1\).*\(8, 12\)"),
    "infinite pixel": (lambda X: with_pixel(X, 5, (2, 7), np.inf), r"X\[5\] is infinite at pixel \(2, 7\)"),
    "minus infinity": (lambda X: list(with_pixel(X, 5, (0, 0), -np.inf)), r"X\[5\] is infinite at pixel \(0, 0\)"),
    "extreme pixel": (
        lambda X: with_pixel(X, 5, (2, 7), 1e25),
        r"X\[5\] is 1e\+25 at pixel \(2, 7\), more than a million standard deviations",
    ),
    "all NaN": (lambda X: with_image(X, 4, np.full((8, 12), np.nan)), r"X\[4\] has no patch without NaN"),
    "a NaN in each patch": (
        lambda X: with_image(X, 4, np.where(np.arange(12) % 4, X[4], np.nan)),
        r"X\[4\] has no patch without NaN",
    ),
    "all masked": (lambda X: with_image(X, 4, NDData(X[4], mask=X[4] > -9)), r"X\[4\] has no patch without NaN"),
    "a mask of another size": (
        lambda X: with_image(X, 4, NDData(X[4], mask=X[4][:8, :8] > 0)),
        r"X\[4\] has a mask of shape \(8, 8\), but pixels of shape \(8, 12\)",
    ),
    "strings": (lambda X: X.astype(str), r"X\[0\] is not an image"),
    "complex numbers": (lambda X: X + 1j, r"X\[0\] is not an image"),
    "objects": (lambda X: X.astype(object), r"X\[0\] is not an image"),
    "None": (lambda X: with_image(X, 6, None), r"X\[6\] is not an image"),
    "file names": (lambda X: [f"galaxy{i}.fits" for i in range(12)], r"X\[0\] is not an image"),
    "Tables": (lambda X: [Table({"time": [1.0, 2.0], "flux": [1.0, 2.0]})] * 12, r"X\[0\] is not an image"),
    "a row": (lambda X: with_image(X, 2, X[2][0]), r"X\[2\] is not an image"),
}


@pytest.mark.parametrize("when", ["fit", "transform", "reconstruct", "score"])
@pytest.mark.parametrize("kind", REFUSED)
def test_bad_images_are_refused_by_place(make_image, of_images, kind, when):
    spoil, message = REFUSED[kind]
    estimator = make_image() if when == "fit" else of_images
    with pytest.raises(TableError, match=message):
        getattr(estimator, when)(spoil(images()))


@pytest.mark.parametrize("when", ["fit", "transform"])
def test_no_images_are_refused(make_image, of_images, when):
    estimator = make_image() if when == "fit" else of_images
    for nothing in ([], images()[:0]):
        with pytest.raises(ValueError, match="0 objects"):
            getattr(estimator, when)(nothing)


@pytest.mark.parametrize("shape", [(8, 10), (10, 8), (3, 3), (9, 9, 2)], ids=str)
def test_a_size_that_patches_do_not_fill_is_refused_in_fit(make_image, shape):
    with pytest.raises(TableError, match=rf"X\[0\] has {shape[0]} x {shape[1]} pixels.*patch_size"):
        make_image().fit(images(shape))


@pytest.mark.parametrize("shape", [(12, 8), (4, 12), (16, 24), (8, 12, 1)], ids=str)
def test_another_size_than_that_of_fit_is_refused(of_images, shape):
    X = images(shape, n=2)
    message = rf"\[0\] has shape \({', '.join(map(str, shape))}\), but the images of fit have \(8, 12\)"
    with pytest.raises(TableError, match=f"X{message}"):
        of_images.transform(X)
    with pytest.raises(TableError, match=f"at{message}"):
        of_images.inverse_transform(of_images.transform(images(n=2)), at=X)


@pytest.mark.parametrize("patch_size", [0, -4, 2.0, "4", None])
def test_a_patch_size_that_is_none_is_refused_in_fit(make_image, patch_size):
    declaration = Image(patch_size=patch_size)
    with pytest.raises(ValueError, match=r"Image\(patch_size=.*positive int"):
        make_image(modality=declaration).fit(images())


def test_patch_size_of_a_search_over_an_array_is_an_integer_too():
    assert Image(patch_size=np.int64(4)).learn(list(images())).tokenizer(8).patch_size == 4


@pytest.mark.parametrize("given", [np.asarray, list], ids=["array", "list"])
def test_images_that_are_not_declared_are_recognised(given):
    with pytest.raises(TableError, match=r"X looks like images.*Image\(\)"):
        DAEPEncoder().fit(given(images()))
