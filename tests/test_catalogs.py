"""Catalogues encoded by partition: the codes of `transform`, whatever partitions and bad objects they have."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError

from skdaep import DAEPEncoder, MultimodalDAEP, Photometry, Spectrum, TableError, catalogs, encode_catalog
from skdaep.tables import Objects, from_nested

pd = pytest.importorskip("pandas")
npd = pytest.importorskip("nested_pandas")
pa = pytest.importorskip("pyarrow")
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
        UserWarning, match=r"2 of 40 objects cannot be encoded and get a null\. The first, 3: .*no finite 'mag'"
    ):
        encoded = encode_catalog(bad, encoder, "lc", metadata=("z",))
    assert np.flatnonzero(encoded["embedding"].isna()).tolist() == [3, 17]
    kept = np.setdiff1d(np.arange(N), [3, 17])
    expected = encoder.transform(from_nested(frame, "lc", meta=("z",))[0])[kept]
    np.testing.assert_allclose(codes(encoded["embedding"].iloc[kept]), expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(TableError, match=r"Object 3: X\[0\] has no finite 'mag'"):
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
        ("z", {}, TableError, "Column 'z' holds double instead of lists"),
        ("spectrum", {}, TableError, "Column 'spectrum' of the catalogue has no field 'mjd'"),
        ("lc", dict(keep=("id",)), TableError, "no column 'id'"),
        ("lc", dict(keep="ra"), ValueError, r"give a tuple, \('ra',\)"),
        ("lc", dict(metadata=("redshift",)), TableError, "no column 'redshift'"),
        ("lc", dict(units={"flux": "Jy"}), TableError, "units has 'flux', which is not a field of any nested column"),
        ("lc", dict(units={"mjd": "kg"}), TableError, "Column 'mjd' of the catalogue has unit 'kg', but fit had none"),
        (["mjd", "mag"], {}, TableError, r"no column 'mjd' \(it has: ra, dec"),
        (None, {}, TypeError, "column=None: a name, a list of names or a dict"),
        (["lc", 3], {}, TypeError, r"column=\['lc', 3\]: a name"),
        ("lc", dict(output=3), TypeError, "output=3: the name of a column"),
        ("lc", dict(output="z"), ValueError, "the catalogue has such a column"),
        ("lc", dict(errors="ignore"), ValueError, "choose 'null' or 'raise'"),
        ("lc", dict(n_threads=0), ValueError, "a positive int"),
        ({"sequence": "lc"}, {}, ValueError, "for DAEPEncoder one column is needed"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_computed(frame, encoder, column, options, error, message):
    with pytest.raises(error, match=message):
        encode_catalog(frame, encoder, column, **{"metadata": ("z",)} | options)


@pytest.mark.parametrize(
    ("made", "error", "message"),
    [
        (lambda frame: "ztf_dr22", TypeError, "a str, not an lsdb.Catalog .* open it first, with lsdb.open_catalog"),
        (lambda frame: None, TypeError, "a NoneType, not an lsdb.Catalog"),
        (
            lambda frame: pa.table({"mjd": [[1.0]]}),
            TypeError,
            r"a Table, .*call estimator.transform\(skdaep.tables.from_nested",
        ),
        (lambda frame: frame.rename(columns={"dec": "ra"}), TableError, "several columns 'ra'; rename or remove"),
        (lambda frame: frame.assign(lc=None), TableError, "Column 'lc' is null in every row"),
    ],
)
def test_what_is_no_catalogue_or_one_that_cannot_be_read_is_refused(frame, encoder, made, error, message):
    with pytest.raises(error, match=message):
        encode_catalog(made(frame), encoder, "lc", metadata=("z",))


def test_an_estimator_must_be_fitted_and_its_file_there(frame, tmp_path):
    with pytest.raises(NotFittedError):
        encode_catalog(frame, DAEPEncoder(), "lc")
    with pytest.raises(FileNotFoundError, match="no_model"):
        encode_catalog(frame, tmp_path / "no_model", "lc")


def test_lists_of_one_object_that_differ_in_length_make_it_null(frame, encoder):
    X, _ = from_nested(frame, "lc")
    lists = pd.DataFrame({name: [table[name].tolist() for table in X] for name in ("mjd", "mag", "band")})
    lists["z"] = frame["z"]
    columns = ["mjd", "mag", "band"]
    whole = encode_catalog(lists, encoder, columns, metadata=("z",))
    lists.at[7, "mag"] = [20.0]
    with pytest.warns(UserWarning, match=r"1 of 40 objects .* The first, 7: Row 0 has \d+ entries in 'mjd', but 1 in"):
        encoded = encode_catalog(lists, encoder, columns, metadata=("z",))
    assert np.flatnonzero(encoded["embedding"].isna()).tolist() == [7]
    kept = np.delete(np.arange(N), 7)
    np.testing.assert_allclose(codes(encoded["embedding"][kept]), codes(whole["embedding"][kept]), rtol=1e-4, atol=1e-5)
    with pytest.raises(TableError, match="Object 7: Row 0 has"):
        encode_catalog(lists, encoder, columns, metadata=("z",), errors="raise")


def test_partitions_may_differ_in_types_and_have_no_points_or_indices_that_recur(frame, encoder):
    expected = codes(encode_catalog(frame, encoder, "lc", metadata=("z",))["embedding"])
    wide = pa.table({name: frame["lc"].nest.to_lists()[name] for name in ("mjd", "mag", "band")} | {"z": frame["z"]})
    kinds = {"mjd": pa.large_list(pa.float64()), "mag": pa.list_(pa.float32())}
    kinds |= {"band": pa.list_(pa.dictionary(pa.int8(), pa.string())), "z": pa.float64()}
    other = wide.cast(pa.schema(kinds)).to_pandas(types_mapper=pd.ArrowDtype)
    encoded = encode_catalog(other, encoder, ["mjd", "mag", "band"], metadata=("z",))
    np.testing.assert_allclose(codes(encoded["embedding"]), expected, atol=1e-4)
    twice = encode_catalog(pd.concat([frame, frame]), encoder, "lc", metadata=("z",))
    np.testing.assert_allclose(codes(twice["embedding"]), np.tile(expected, (2, 1)), atol=1e-5)
    nulls = pa.nulls(3, pa.struct({n: t for n, t in kinds.items() if n != "z"}))
    none = pd.DataFrame({"lc": pd.Series(nulls, dtype=pd.ArrowDtype(nulls.type)), "z": 0.5})
    with pytest.warns(UserWarning, match=r"3 of 3 objects cannot .* is an empty table"):
        assert encode_catalog(none, encoder, "lc", metadata=("z",))["embedding"].isna().all()


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
