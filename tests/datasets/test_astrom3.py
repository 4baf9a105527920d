"""AstroM3, as files of its layout that are written here."""

import json

import numpy as np
import pytest
from astropy import units as u

from skdaep import Sequence, Spectrum, TableError
from skdaep.datasets import fetch_astrom3

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

GRID = np.arange(3850, 4050, 2.0)  # shorter than theirs
FEATURES = ["amplitude", "period", "lksl_statistic", "rfr_score", "log_mad", "years"]


def star(i):
    """Return object i: 10 + i points over two years, and a spectrum."""
    rng = np.random.default_rng([7, i])
    n = 10 + i
    photometry = np.empty((n, 9), np.float32)
    photometry[:, 0] = np.linspace(0, 1, n)
    photometry[:, 1], photometry[:, 2] = rng.normal(size=n), 0.1
    photometry[:, 3:] = [0.3, 1.5, 0.2, 0.9, -1.0, 2.0]
    spectra = np.array([GRID, rng.normal(1, 0.1, len(GRID)), np.full(len(GRID), 0.05)], np.float32)
    spectra[2, :3] = 0  # errors not known
    return {"photometry": photometry, "spectra": spectra, "metadata": np.full(34, i, np.float32), "label": i % 10}


def content(stars, tmp_path, names=None):
    """Return a file of stars, as the bytes that the hub has."""
    path = tmp_path / "written.parquet"
    rows = {k: [np.asarray(s[k]).tolist() for s in stars] for k in stars[0]}
    table = pa.table({k: pa.array(v) for k, v in rows.items()})
    if names is not None:
        info = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
    parquet.write_table(table, path)
    return path.read_bytes()


@pytest.fixture
def publish(archive, tmp_path):
    def publish(stars, **options):
        half = len(stars) // 2
        files = {f"train-0000{k}-of-00002": part for k, part in enumerate((stars[:half], stars[half:]))}
        files |= {"test-00000-of-00001": stars[:1], "validation-00000-of-00001": stars[:1]}
        repository, folder = "AstroMLCore/AstroM3Processed", "sub10_42"
        written = {f"{folder}/{k}.parquet": content(v, tmp_path, **options) for k, v in files.items() if v}
        archive.publish(repository, **written)
        api = f"/api/datasets/{repository}/tree/main"
        archive.files[f"{api}/{folder}"] = archive.files.pop(api)
        return archive

    return publish


def test_stars_come_back_as_dicts_with_two_tables_and_a_label(publish):
    stars = [star(i) for i in range(12)]
    publish(stars)
    X, y, metadata = fetch_astrom3("sub10", return_metadata=True)
    assert len(X) == 12
    assert y.tolist()[:4] == ["DSCT", "EA", "EB", "EW"]
    np.testing.assert_array_equal(metadata, np.repeat(np.arange(12.0), 34).reshape(12, 34))
    for given, got in zip(stars, X, strict=True):
        photometry, spectrum = got["photometry"], got["spectrum"]
        assert photometry.colnames == ["time", "flux", "flux_err"]
        assert (photometry["time"].unit, spectrum["wavelength"].unit) == (u.day, u.AA)
        np.testing.assert_allclose(photometry["time"], 730 * np.linspace(0, 1, len(photometry)), rtol=1e-6)
        np.testing.assert_array_equal(photometry["flux"], given["photometry"][:, 1])
        assert list(photometry.meta) == FEATURES
        assert photometry.meta["period"] == 1.5
        np.testing.assert_array_equal(spectrum["wavelength"], GRID)
        np.testing.assert_array_equal(spectrum["flux"], given["spectra"][1])
        assert np.isnan(spectrum["flux_err"]).sum() == 3


def test_the_declarations_take_them(publish):
    publish([star(i) for i in range(4)])
    X, _ = fetch_astrom3("sub10")
    Sequence(metadata=("period",)).learn([x["photometry"] for x in X])
    Spectrum().learn([x["spectrum"] for x in X])


def test_files_not_needed_are_not_downloaded(publish):
    archive = publish([star(i) for i in range(12)])
    X, y = fetch_astrom3("sub10", n_objects=5)
    assert (len(X), len(y)) == (5, 5)
    assert len(archive.requests) == 2  # the listing and the first half
    assert len(fetch_astrom3("sub10", n_objects=8)[0]) == 8
    assert len(fetch_astrom3("sub10", "test")[0]) == 1
    before = len(archive.requests)
    fetch_astrom3("sub10", download=False)
    assert len(archive.requests) == before


def test_the_names_of_the_classes_are_those_of_the_file(publish):
    publish([star(1)], names=["zero", "one"])
    assert fetch_astrom3("sub10", "train")[1].tolist() == ["one"]


def test_arguments_are_checked_before_anything_is_asked(archive):
    for bad in ({"subset": "sub11"}, {"split": "val"}, {"seed": 1}):
        with pytest.raises(ValueError, match=f"{next(iter(bad))} must be one of"):
            fetch_astrom3(**bad)
    assert archive.requests == []


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"label": 10}, "column 'label' is 10; a number from 0 to 9"),
        ({"photometry": np.zeros((4, 3))}, r"column 'photometry' has shape \(4, 3\); axis 1 must have length 9"),
        ({"photometry": np.full((4, 9), 2457000.0)}, "'photometry' has times outside 0 to 1"),
        ({"spectra": np.zeros((2, 5))}, r"column 'spectra' has shape \(2, 5\); axis 0 must have length 3"),
        ({"spectra": star(0)["spectra"][[1, 0, 2]]}, "'spectra' does not begin with increasing wavelengths"),
    ],
)
def test_another_layout_is_refused_by_file_and_column(publish, change, match):
    publish([star(0), star(1) | change])
    with pytest.raises(TableError, match=f"train-00001-of-00002.parquet object 0 .*{match}"):
        fetch_astrom3("sub10")


def test_a_column_that_is_not_there(publish):
    stars = [star(0), star(1)]
    for s in stars:
        del s["spectra"]
    publish(stars)
    with pytest.raises(TableError, match=r"'spectra' has no such column \(it has: photometry, metadata, label\)"):
        fetch_astrom3("sub10")
