"""Galaxy10, as a file of its layout that is written here."""

import hashlib

import numpy as np
import pytest
from astropy import units as u

from skdaep import DatasetError, TableError
from skdaep.datasets import _galaxy10, fetch_galaxy10

h5py = pytest.importorskip("h5py")

N = 12
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (N, 256, 256, 3), dtype=np.uint8)
COLUMNS = {
    "images": IMAGES,
    "ans": np.repeat(np.arange(4, dtype=np.uint8), 3),  # sorted by class, as the real one
    "ra": np.linspace(0, 350, N),
    "dec": np.linspace(-30, 30, N),
    "redshift": np.r_[np.nan, np.linspace(0.01, 0.1, N - 1)],
    "pxscale": np.full(N, 0.262),
}


@pytest.fixture
def write(tmp_path, monkeypatch, archive):
    """Put a file with some columns changed on the archive, and its checksum in the package."""

    def write(**changes):
        path = tmp_path / "Galaxy10_DECals.h5"
        with h5py.File(path, "w") as file:
            for name, value in (COLUMNS | changes).items():
                if value is not None:
                    file[name] = value
        content = path.read_bytes()
        archive.files["/Galaxy10_DECals.h5"] = content
        remote = _galaxy10.GALAXY10._replace(
            url=f"{archive.url}/Galaxy10_DECals.h5", sha256=hashlib.sha256(content).hexdigest()
        )
        monkeypatch.setattr(_galaxy10, "GALAXY10", remote)
        return archive

    return write


def test_images_labels_and_metadata(write, monkeypatch):
    write()
    monkeypatch.setattr(_galaxy10, "CHUNK", 5)  # 5 + 5 + 2
    X, y, metadata = fetch_galaxy10(size=256, return_metadata=True)
    assert X.dtype == np.float32
    np.testing.assert_allclose(X, IMAGES / 255, atol=1e-6)
    assert y[[0, 3, 11]].tolist() == ["disturbed", "merging", "in-between round smooth"]
    assert metadata["ra"].unit == u.deg
    np.testing.assert_array_equal(metadata["redshift"], COLUMNS["redshift"])


def test_smaller_images_are_means_of_pixels(write):
    write()
    X, _ = fetch_galaxy10(size=2)
    assert X.shape == (N, 2, 2, 3)
    np.testing.assert_allclose(X[4, 1, 0], IMAGES[4, 128:, :128].mean((0, 1)) / 255, rtol=1e-5)


def test_a_few_objects_are_of_all_classes_and_the_seed_chooses_them(write):
    write()
    whole, labels, all_metadata = fetch_galaxy10(size=4, return_metadata=True)
    X, y, metadata = fetch_galaxy10(6, size=4, random_state=1, return_metadata=True)
    index = [int(np.flatnonzero(all_metadata["ra"] == ra)[0]) for ra in metadata["ra"]]
    assert index == sorted(index)
    assert len(set(index)) == 6
    np.testing.assert_array_equal(X, whole[index])
    assert y.tolist() == labels[index].tolist()
    assert len(set(y)) > 2
    np.testing.assert_array_equal(X, fetch_galaxy10(6, size=4, random_state=1)[0])
    assert not np.array_equal(X, fetch_galaxy10(6, size=4, random_state=2)[0])


def test_it_is_downloaded_once(write):
    archive = write()
    fetch_galaxy10(2, size=4)
    fetch_galaxy10(2, size=4, download=False)
    assert len(archive.requests) == 1


def test_offline_the_error_names_archive_place_and_size():
    with pytest.raises(DatasetError, match=r"2\.54 GB.*https://zenodo\.org/records/10845026.*galaxy10/Galaxy10_DECals"):
        fetch_galaxy10(download=False)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"ans": None}, r"Galaxy10_DECals\.h5 has no data set 'ans' \(it has: dec, images"),
        ({"images": IMAGES[:, :69, :69]}, r"'images' has images of shape \(69, 69, 3\)"),  # the older Galaxy10 SDSS
        ({"ans": np.full(N, 10)}, "data set 'ans' has class 10, but there are 10"),
    ],
)
def test_another_file_is_refused(write, changes, match):
    write(**changes)
    with pytest.raises(TableError, match=match):
        fetch_galaxy10(size=4)


@pytest.mark.parametrize("size", [0, 3, 512, 64.0])
def test_sizes_divide_256(size):
    with pytest.raises(ValueError, match="size must be a divisor of 256"):
        fetch_galaxy10(size=size)
