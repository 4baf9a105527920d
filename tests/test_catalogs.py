"""Catalogues encoded by partition: the codes of `transform`, whatever partitions and bad objects they have."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from skdaep import DAEPEncoder, MultimodalDAEP, Photometry, Spectrum, TableError, catalogs, encode_catalog
from skdaep.tables import Objects, from_nested

pd = pytest.importorskip("pandas")
npd = pytest.importorskip("nested_pandas")
pytest.importorskip("pyarrow")
pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning", "ignore:.*:FutureWarning")
ESTIMATORS = ("DAEPEncoder",)
TINY = dict(model_dim=8, n_heads=2, n_encoder_layers=1, n_decoder_layers=1, max_iter=2, random_state=0, device="cpu")
N = 40


def points(seed, owners, names):
    rng = np.random.default_rng(seed)
    n = len(owners)
    columns = {names[0]: rng.uniform(0, 100, n), names[1]: rng.normal(20, 1, n), "band": rng.choice(["g", "r"], n)}
    return pd.DataFrame(columns, index=owners)


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    base = npd.NestedFrame({"ra": rng.uniform(0, 90, N), "dec": rng.uniform(0, 60, N), "z": rng.uniform(0, 1, N)})
    lengths = rng.integers(5, 12, N)
    base = base.join_nested(points(1, np.repeat(np.arange(N), lengths), ("mjd", "mag")), "lc")
    some = np.repeat(np.arange(0, N, 2), 7)
    return base.join_nested(points(2, some, ("wavelength", "flux")).drop(columns="band"), "spectrum")


@pytest.fixture(scope="module")
def encoder(frame):
    return DAEPEncoder(Photometry(metadata=("z",)), **TINY).fit(from_nested(frame, "lc", meta=("z",))[0])


def codes(column):
    return np.stack([np.asarray(code) for code in column])


def test_a_frame_gets_the_codes_of_transform(frame, encoder):
    encoded = encode_catalog(frame, encoder, "lc", metadata=("z",))
    assert list(encoded.columns) == [*frame.columns, "embedding"]
    assert str(encoded["embedding"].dtype).startswith("fixed_size_list<")
    expected = encoder.transform(from_nested(frame, "lc", meta=("z",))[0])
    np.testing.assert_array_equal(codes(encoded["embedding"]), expected)
    few = encode_catalog(frame, encoder, "lc", metadata=("z",), keep=("ra",), output="code")
    assert list(few.columns) == ["ra", "code"]


def test_no_rows_have_the_same_columns(frame, encoder):
    with pytest.warns(UserWarning, match=r"fitted with metadata z, .* by metadata="):
        encoded = encode_catalog(frame[:0], encoder, "lc")
    whole = encode_catalog(frame, encoder, "lc", metadata=("z",))
    assert len(encoded) == 0
    assert encoded.dtypes.equals(whole.dtypes)


def test_bad_objects_are_null_and_counted_or_named(frame, encoder):
    bad = frame.copy()
    flux = bad["lc"].nest["mag"].copy()
    flux.loc[[3, 17]] = np.nan
    bad["lc"] = (
        bad["lc"].nest.set_column("mag", flux)
        if hasattr(bad["lc"].nest, "set_column")
        else bad["lc"].nest.with_flat_field("mag", flux)
    )
    with pytest.warns(
        UserWarning, match=r"2 of 40 objects cannot be encoded and get null\. The first, 3: .*no finite 'mag'"
    ):
        encoded = encode_catalog(bad, encoder, "lc", metadata=("z",))
    assert np.flatnonzero(encoded["embedding"].isna()).tolist() == [3, 17]
    kept = np.setdiff1d(np.arange(N), [3, 17])
    expected = encoder.transform(from_nested(frame, "lc", meta=("z",))[0])[kept]
    np.testing.assert_allclose(codes(encoded["embedding"].iloc[kept]), expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(TableError, match=r"Object 3 of the catalogue: X\[0\] has no finite 'mag'"):
        encode_catalog(bad, encoder, "lc", metadata=("z",), errors="raise")


def test_several_modalities(frame):
    declared = {"photometry": Photometry(), "spectrum": Spectrum()}
    columns = {"photometry": "lc", "spectrum": "spectrum"}
    X = Objects.of({name: from_nested(frame, column)[0] for name, column in columns.items()})
    encoder = MultimodalDAEP(declared, **TINY).fit(X)
    encoded = encode_catalog(frame, encoder, columns)
    np.testing.assert_array_equal(codes(encoded["embedding"]), encoder.transform(X))
    with pytest.warns(UserWarning, match=r"20 of 40 objects .* X\[0\] has none of the modalities"):
        assert encode_catalog(frame, encoder, {"spectrum": "spectrum"})["embedding"].isna().sum() == 20
    with pytest.raises(ValueError, match="a dict of columns by modality"):
        encode_catalog(frame, encoder, "lc")
    with pytest.raises(ValueError, match="column has 'image', which is not among"):
        encode_catalog(frame, encoder, {"image": "lc"})


@pytest.mark.parametrize(
    ("column", "options", "error", "message"),
    [
        ("light", {}, TableError, "no column 'light'"),
        ("z", {}, TableError, "Column 'z' holds no lists, but double"),
        ("spectrum", {}, TableError, "Column 'spectrum' of the catalogue has no field 'mjd'"),
        ("lc", dict(keep=("id",)), TableError, "no column 'id'"),
        ("lc", dict(keep="ra"), ValueError, r"give a tuple, \('ra',\)"),
        ("lc", dict(metadata=("redshift",)), TableError, "no column 'redshift'"),
        ("lc", dict(units={"flux": "Jy"}), TableError, "units has 'flux', which no nested column has"),
        ("lc", dict(units={"mjd": "kg"}, errors="raise"), TableError, r"Object 0 of the catalogue: .*unit 'kg'"),
        ("lc", dict(output="z"), ValueError, "the catalogue has such a column"),
        ("lc", dict(errors="ignore"), ValueError, "choose 'null' or 'raise'"),
        ("lc", dict(n_threads=0), ValueError, "a positive int"),
        ({"sequence": "lc"}, {}, ValueError, "for DAEPEncoder one column is needed"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_computed(frame, encoder, column, options, error, message):
    with pytest.raises(error, match=message):
        encode_catalog(frame, encoder, column, **{"metadata": ("z",)} | options)


def test_a_process_loads_a_file_once_whatever_its_threads(frame, encoder, tmp_path, monkeypatch):
    encoder.save(tmp_path / "model.safetensors")
    loads, load = [], catalogs.load
    monkeypatch.setattr(catalogs, "load", lambda path: loads.append(path) or load(path))
    held = catalogs.Held.of(tmp_path / "model.safetensors")
    task = catalogs.Encoding(held, "lc", "code", ["z"], ("z",), {}, "null", 1)
    before = torch.get_num_threads()
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(pickle.loads(pickle.dumps(task)), [frame[i : i + 10] for i in range(0, N, 10)]))
    assert len(loads) == 1
    assert torch.get_num_threads() == before
    expected = encoder.transform(from_nested(frame, "lc", meta=("z",))[0])
    found = np.concatenate([codes(part["code"]) for part in parts])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    for _ in range(catalogs.N_HELD + 2):
        catalogs.Held.of(encoder).get()
    assert len(catalogs._HELD) <= catalogs.N_HELD


def test_there_and_back_by_hats(frame, encoder, tmp_path):
    lsdb = pytest.importorskip("lsdb")
    dask = pytest.importorskip("dask")
    with dask.config.set(scheduler="threads", num_workers=2):
        catalog = lsdb.from_dataframe(frame, ra_column="ra", dec_column="dec", partition_rows=10)
        assert catalog.npartitions > 2
        catalog = catalog.query("z < 0.9 and ra < 45")  # which empties some
        encoded = encode_catalog(catalog, encoder, "lc", metadata=("z",), keep=("z",))
        assert list(encoded.columns) == ["z", "ra", "dec", "embedding"]
        encoded.write_catalog(tmp_path / "codes", catalog_name="codes")
        again = lsdb.open_catalog(tmp_path / "codes").compute()
    expected = frame.query("z < 0.9 and ra < 45")
    assert len(again) == len(expected)
    order = np.argsort(expected["z"].to_numpy())
    truth = encoder.transform(from_nested(expected, "lc", meta=("z",))[0])[order]
    np.testing.assert_allclose(codes(again.sort_values("z")["embedding"]), truth, rtol=1e-4, atol=1e-5)
    assert str(again["embedding"].dtype).startswith("fixed_size_list<")
    with pytest.raises(TableError, match="no column 'light'"):
        encode_catalog(catalog, encoder, "light", metadata=("z",))
