"""Files in the layouts of the Multimodal Universe, written here, come back as Tables and images."""

import numpy as np
import pytest
from astropy import units as u

from skdaep import DatasetError, Sequence, Spectrum, TableError
from skdaep.datasets import fetch_multimodal_universe, load_multimodal_universe

RNG = np.random.default_rng(0)
N, L = 5, 12

LAMBDA = np.linspace(3600, 9800, L) + np.arange(N)[:, None]
FLUX = RNG.normal(1, 0.3, (N, L))
IVAR = RNG.uniform(1, 100, (N, L))
MASK = RNG.random((N, L)) < 0.2  # true: bad
IVAR[1, 3], LAMBDA[2, -2:], MASK[2, -2:] = 0.0, -1.0, True  # a dead pixel; padding
SPECTRA = {"flux": FLUX, "ivar": IVAR, "lambda": LAMBDA, "mask": MASK, "lsf_sigma": np.ones((N, L))}
SCALARS = {"object_id": [f"id{i}" for i in range(N)], "Z": np.linspace(0.1, 0.5, N), "ZWARN": [False] * N}


def write_parquet(path, columns, types=None):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    arrays = {k: pa.array(v, type=(types or {}).get(k)) for k, v in columns.items()}
    parquet.write_table(pa.table(arrays), path)
    return path


def write_hdf5(path, columns):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name, value in columns.items():
            file[name] = np.asarray(value, "S") if np.asarray(value).dtype.kind == "U" else value
    return path


def listed(group):
    """Return a group of columns (n, ...) as one dict of lists per object."""
    return [{k: np.asarray(v)[i].tolist() for k, v in group.items()} for i in range(N)]


def transposed(group):
    """Return the same as a list of dicts per object, one for each point."""
    return [
        [dict(zip(group, point, strict=True)) for point in zip(*row.values(), strict=True)] for row in listed(group)
    ]


def hdf5_of(group, prefix):
    return {f"{prefix}_{k}": v for k, v in group.items()}


# --- spectra ----------------------------------------------------------------------------------------


@pytest.fixture(params=["struct of lists", "list of structs", "hdf5", "pixels of one column each"])
def spectra(request, tmp_path):
    """The same spectra in every layout there is."""
    if request.param == "hdf5":
        return write_hdf5(tmp_path / "001-of-001.hdf5", SCALARS | hdf5_of(SPECTRA, "spectrum"))
    if request.param == "pixels of one column each":  # SDSS
        rows = listed({k: v[..., None] for k, v in SPECTRA.items()})
    else:
        rows = listed(SPECTRA) if request.param == "struct of lists" else transposed(SPECTRA)
    return write_parquet(tmp_path / "train-00000-of-00001.parquet", SCALARS | {"spectrum": rows})


def test_spectra_come_back_with_units_errors_and_metadata(spectra):
    X, metadata = load_multimodal_universe(spectra)
    assert len(X) == len(metadata) == N
    assert X[0].colnames == ["wavelength", "flux", "flux_err"]
    assert X[0]["wavelength"].unit == u.AA
    assert X[3].meta == {"object_id": "id3", "Z": 0.4, "ZWARN": False}
    assert list(metadata["object_id"]) == SCALARS["object_id"]
    good = ~MASK & (IVAR > 0)
    for i, table in enumerate(X):
        there = LAMBDA[i] > 0
        np.testing.assert_array_equal(table["wavelength"], LAMBDA[i, there])
        np.testing.assert_array_equal(table["flux"], np.where(good, FLUX, np.nan)[i, there])
        with np.errstate(divide="ignore"):
            error = np.where(IVAR > 0, 1 / np.sqrt(IVAR), np.nan)[i, there]
        np.testing.assert_allclose(table["flux_err"], error, rtol=1e-14)
    assert len(X[2]) == L - 2


def test_they_are_what_the_declaration_takes(spectra):
    X, _ = load_multimodal_universe(spectra)
    declaration = Spectrum(metadata=("z",)).learn(X)
    assert (declaration.value, declaration.location, declaration.error) == ("flux", "wavelength", "flux_err")


def test_the_first_objects_of_several_files(tmp_path):
    paths = [write_hdf5(tmp_path / f"{i}.hdf5", SCALARS | hdf5_of(SPECTRA, "spectrum")) for i in range(2)]
    X, metadata = load_multimodal_universe(paths, n_objects=N + 2)
    assert list(metadata["object_id"]) == [*SCALARS["object_id"], "id0", "id1"]
    assert len(X) == N + 2


def test_numbers_that_some_objects_lack_are_hidden_in_the_metadata(tmp_path):
    rows = {"object_id": ["a", "b"], "Z": [0.1, None], "spectrum": listed(SPECTRA)[:2]}
    X, metadata = load_multimodal_universe(write_parquet(tmp_path / "x.parquet", rows))
    assert X[1].meta == {"object_id": "b"}
    assert metadata["Z"].mask.tolist() == [False, True]


def test_extension_types_are_read_as_what_they_hold(tmp_path):
    """As the arrays of Hugging Face's datasets are, when that package is there too."""
    pa = pytest.importorskip("pyarrow")

    class Pixels(pa.ExtensionType):
        def __init__(self):
            super().__init__(pa.list_(pa.float64()), "skdaep.test.pixels")

        def __arrow_ext_serialize__(self):
            return b""

        @classmethod
        def __arrow_ext_deserialize__(cls, storage_type, serialized):
            return cls()

    pa.register_extension_type(Pixels())
    try:
        path = tmp_path / "x.parquet"
        columns = {"object_id": SCALARS["object_id"]} | {f"spectrum_{k}": list(SPECTRA[k]) for k in ("flux", "lambda")}
        types = {f"spectrum_{k}": Pixels() for k in ("flux", "lambda")}
        arrays = {
            k: pa.ExtensionArray.from_storage(types[k], pa.array(v)) if k in types else pa.array(v)
            for k, v in columns.items()
        }
        pa.parquet.write_table(pa.table(arrays), path)
        X, _ = load_multimodal_universe(path)
    finally:
        pa.unregister_extension_type("skdaep.test.pixels")
    np.testing.assert_array_equal(X[0]["flux"], FLUX[0])


# --- light curves -----------------------------------------------------------------------------------

TIME, PHOT, PHOT_ERR = (
    np.sort(RNG.uniform(59000, 59100, (N, 2, 6))),
    RNG.normal(size=(N, 2, 6)),
    np.full((N, 2, 6), 0.1),
)
TIME[:, 1, 4:], PHOT[:, 1, 4:], PHOT_ERR[:, 1, 4:] = -99, 0, 0  # padding: r has four points
PHOT[0, 0, 0] = np.nan
PHOT_ERR[0, 0, 1] = -1  # not known


@pytest.fixture(params=["struct of lists", "cube", "one file an object"])
def light_curves(request, tmp_path):
    if request.param == "cube":  # PLAsTiCC
        cube = np.stack([TIME, PHOT, PHOT_ERR], axis=2)  # (n, bands, 3, points)
        columns = {"object_id": SCALARS["object_id"], "obj_type": np.arange(N), "lightcurve": cube}
        return write_hdf5(tmp_path / "train.hdf5", columns), "gr"
    if request.param == "one file an object":  # the surveys of supernovae
        columns = {"time": TIME, "flux": PHOT, "flux_err": PHOT_ERR}
        return [
            write_hdf5(
                tmp_path / f"example_{i}.hdf5",
                {"object_id": f"id{i}", "bands": "g,r", "redshift": 0.1} | {k: v[i] for k, v in columns.items()},
            )
            for i in range(N)
        ], None
    group = {"band": np.broadcast_to([["g"], ["r"]], (N, 2, 6)), "time": TIME, "flux": PHOT, "flux_err": PHOT_ERR}
    rows = listed({k: v.reshape(N, -1) for k, v in group.items()})
    columns = {"object_id": SCALARS["object_id"], "obj_type": ["SNIa"] * N, "lightcurve": rows}
    return write_parquet(tmp_path / "train.parquet", columns), None


def test_light_curves_come_back_with_bands_and_without_padding(light_curves):
    paths, bands = light_curves
    X, metadata = load_multimodal_universe(paths, bands=bands)
    assert list(metadata["object_id"]) == SCALARS["object_id"]
    for i, table in enumerate(X):
        assert table.colnames == ["time", "flux", "flux_err", "band"]
        assert table["time"].unit == u.day
        assert list(table["band"]) == ["g"] * 6 + ["r"] * 4
        np.testing.assert_array_equal(table["time"], np.r_[TIME[i, 0], TIME[i, 1, :4]])
        np.testing.assert_array_equal(table["flux"], np.r_[PHOT[i, 0], PHOT[i, 1, :4]])
    assert np.isnan(X[0]["flux"][0])
    assert np.isnan(X[0]["flux_err"]).tolist() == [False, True] + [False] * 8
    assert Sequence().learn(X).band == "band"


def test_a_file_may_name_one_band(tmp_path):
    columns = {"object_id": "a", "bands": "Bessell V", "time": TIME[1, :1], "flux": PHOT[1, :1]}
    X, _ = load_multimodal_universe(write_hdf5(tmp_path / "a.hdf5", columns))
    assert X[0].colnames == ["time", "flux", "band"]
    assert set(X[0]["band"]) == {"Bessell V"}


def test_one_object_is_read_whole(tmp_path):
    """With n_objects=1, a file without rows must not lose its second band."""
    columns = {"object_id": "a", "bands": "g,r", "time": TIME[0], "flux": PHOT[0], "flux_err": PHOT_ERR[0]}
    X, _ = load_multimodal_universe(write_hdf5(tmp_path / "a.hdf5", columns), n_objects=1)
    assert set(X[0]["band"]) == {"g", "r"}


def test_light_curves_without_bands_and_with_the_flux_of_a_pipeline(tmp_path):
    time = TIME[:, 0].copy()
    time[0, -1] = np.nan  # padding of Kepler
    columns = {"object_id": np.arange(N), "time": time, "pdcsap_flux": PHOT[:, 0], "pdcsap_flux_err": PHOT_ERR[:, 0]}
    X, _ = load_multimodal_universe(write_hdf5(tmp_path / "kepler.hdf5", columns))
    assert X[0].colnames == ["time", "flux", "flux_err"]
    assert [len(table) for table in X] == [5, 6, 6, 6, 6]


def test_numbered_bands_must_be_named(tmp_path):
    cube = np.stack([TIME, PHOT, PHOT_ERR], axis=2)
    path = write_hdf5(tmp_path / "train.hdf5", {"object_id": np.arange(N), "lightcurve": cube})
    for bands in (None, "ugr"):
        with pytest.raises(TableError, match=r"object 0 has 2 bands, of which \d are named; give bands="):
            load_multimodal_universe(path, bands=bands)


# --- images -----------------------------------------------------------------------------------------

PIXELS = RNG.normal(size=(N, 2, 4, 3))
GOOD = RNG.random((N, 2, 4, 3)) > 0.1  # true: good, unlike in spectra
WEIGHT = np.where(RNG.random((N, 2, 4, 3)) > 0.1, 1.0, 0.0)
IMAGES = {"band": np.broadcast_to(["g", "z"], (N, 2)), "mask": GOOD, "ivar": WEIGHT, "psf_fwhm": np.ones((N, 2))}


@pytest.fixture(params=["struct of lists", "list of structs", "hdf5"])
def images(request, tmp_path):
    if request.param == "hdf5":
        return write_hdf5(tmp_path / "i.hdf5", SCALARS | hdf5_of(IMAGES | {"array": PIXELS}, "image"))
    rows = (listed if request.param == "struct of lists" else transposed)(IMAGES | {"flux": PIXELS})
    return write_parquet(tmp_path / "i.parquet", SCALARS | {"image": rows})


def test_images_come_back_with_bands_last(images):
    X, metadata = load_multimodal_universe(images)
    assert X.shape == (N, 4, 3, 2)
    assert metadata.meta["bands"] == ["g", "z"]
    assert list(metadata["Z"]) == list(SCALARS["Z"])
    expected = np.where(GOOD & (WEIGHT > 0), PIXELS, np.nan).astype(np.float32)
    np.testing.assert_array_equal(X, np.moveaxis(expected, 1, -1))


def test_one_quality_map_for_all_bands(tmp_path):
    columns = hdf5_of({"array": PIXELS, "mask": GOOD[:, 0]}, "image")  # Legacy Survey
    X, metadata = load_multimodal_universe(write_hdf5(tmp_path / "i.hdf5", SCALARS | columns))
    np.testing.assert_array_equal(np.isnan(X), np.repeat(~GOOD[:, 0, ..., None], 2, axis=-1))
    assert metadata.meta["bands"] == ["0", "1"]


# --- what is refused --------------------------------------------------------------------------------


def refused(path, match, **options):
    with pytest.raises(TableError, match=match):
        load_multimodal_universe(path, **options)


def test_foreign_files_are_named(tmp_path):
    pytest.importorskip("pyarrow")
    pytest.importorskip("h5py")
    for suffix, kind in (("parquet", "Parquet"), ("hdf5", "HDF5")):
        (tmp_path / f"x.{suffix}").write_bytes(b"<html>not found</html>")
        refused(tmp_path / f"x.{suffix}", rf"x\.{suffix} is not an? {kind} file")
    refused(tmp_path / "x.fits", r"x\.fits is neither a Parquet .* nor an HDF5 file")


def test_foreign_layouts_are_named_with_their_columns(tmp_path):
    path = tmp_path / "x.hdf5"
    refused(write_hdf5(path, {"ra": [1.0]}), r"x\.hdf5 has no data set 'object_id' \(it has: ra\)")
    refused(write_hdf5(path, {"object_id": [1], "ra": [1.0]}), "object 0 has no spectrum, lightcurve or image .*ra")
    short = SCALARS | hdf5_of(SPECTRA, "spectrum") | {"Z": [0.1]}
    refused(write_hdf5(path, short), "data set 'Z' does not have one entry for each of the 5 objects")
    no_axis = SCALARS | {"spectrum_flux": FLUX}
    refused(write_hdf5(path, no_axis), "object 0 has no column lambda or wavelength or wave")
    uneven = SCALARS | {"spectrum_flux": FLUX, "spectrum_lambda": LAMBDA[:, :-1]}
    refused(write_hdf5(path, uneven), f"object 0 column 'lambda' has {L - 1} entries, but the flux has {L}")
    both = SCALARS | hdf5_of(SPECTRA, "spectrum") | {"image_array": PIXELS}
    refused(write_hdf5(path, both), r"object 0 has several kinds of measurement \(spectrum, image\)")
    words = SCALARS | {"spectrum_flux": FLUX.astype("S3").astype("U"), "spectrum_lambda": LAMBDA}
    words["spectrum_flux"][:] = "abc"
    refused(write_hdf5(path, words), "column 'flux' does not hold numbers")


def test_images_of_several_sizes_are_refused(tmp_path):
    sizes = (slice(None), slice(3))
    paths = [
        write_hdf5(tmp_path / f"{i}.hdf5", SCALARS | {"image_array": PIXELS[:, :, s]}) for i, s in enumerate(sizes)
    ]
    refused(paths, r"1\.hdf5 object 0 has an image of shape \(3, 3, 2\), but those before have \(4, 3, 2\)")


def test_kinds_are_not_mixed(tmp_path):
    spectra = write_hdf5(tmp_path / "0.hdf5", SCALARS | hdf5_of(SPECTRA, "spectrum"))
    images = write_hdf5(tmp_path / "1.hdf5", SCALARS | {"image_array": PIXELS})
    refused([spectra, images], r"1\.hdf5 object 0 is of kind image, but those before are not")


def test_ragged_lists_are_named(tmp_path):
    rows = [{"band": ["g"], "flux": [[[1.0, 2.0], [3.0]]]}]
    path = write_parquet(tmp_path / "x.parquet", {"object_id": ["a"], "image": rows})
    refused(path, r"x\.parquet column 'image'\.flux holds lists of lengths \[1, 2\]")


# --- from the hub -----------------------------------------------------------------------------------


@pytest.fixture
def hub(archive, tmp_path):
    rows = {"object_id": SCALARS["object_id"], "spectrum": listed(SPECTRA)}
    content = write_parquet(tmp_path / "x.parquet", rows).read_bytes()
    archive.publish(
        "MultimodalUniverse/desi",
        **{"all/train-0.parquet": content, "all/train-1.parquet": content, "README.md": b"read"},
    )
    return archive


def test_fetching_downloads_as_many_files_as_asked_and_once(hub):
    X, metadata = fetch_multimodal_universe("desi")
    assert len(X) == len(metadata) == N
    assert len(hub.requests) == 2  # the listing and one file
    X, _ = fetch_multimodal_universe("MultimodalUniverse/desi", n_files=None, n_objects=7)
    assert len(X) == 7
    assert len(hub.requests) == 3
    fetch_multimodal_universe("desi", files="all/*", n_files=2, download=False)
    assert len(hub.requests) == 3


def test_what_arrives_is_held_to_the_checksum_of_the_hub(hub):
    for path in hub.files:
        if path.endswith("train-0.parquet"):
            hub.files[path] = hub.files[path][:-8] + b"tampered"
    with pytest.raises(DatasetError, match=r"train-0\.parquet gave a file with sha256"):
        fetch_multimodal_universe("desi")


def test_a_name_the_hub_does_not_have(hub):
    with pytest.raises(DatasetError, match=r"Not Found.*datasets/MultimodalUniverse/dessi/tree"):
        fetch_multimodal_universe("dessi")
