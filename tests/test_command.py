"""The command: files in, files out, and errors without a traceback."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from astropy.table import Table, vstack

import skdaep
from skdaep import inputs
from skdaep.__main__ import main

pq = pytest.importorskip("pyarrow.parquet")
pa = pytest.importorskip("pyarrow")
pd = pytest.importorskip("pandas")

SMALL = [
    f"--set={k}"
    for k in ("core=null", "model_dim=8", "n_heads=2", "n_encoder_layers=1", "n_decoder_layers=1", "max_iter=2")
]
PHOTOMETRY = ["--modality", "photometry", "--metadata", "redshift", "--unit", "mag=mag", "--unit", "time=day"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, make_light_curve):
    """Twelve light curves as a long and as a nested file, as FITS and as ECSV files, and in a folder of parquet."""
    folder = tmp_path_factory.mktemp("files")
    X = [make_light_curve(i) for i in range(12)]
    nested = {"object_id": [f"SN{i}" for i in range(12)], "redshift": [t.meta["redshift"] for t in X]}
    nested |= {c: pa.array([np.asarray(t[c]).tolist() for t in X]) for c in ("time", "band", "mag", "mag_err")}
    pq.write_table(pa.table(nested), folder / "nested.parquet")
    (folder / "hats" / "Norder=0").mkdir(parents=True)
    for part, rows in (("0", slice(0, 5)), ("1", slice(5, 12))):
        pq.write_table(
            pa.table({k: v[rows] for k, v in nested.items()}), folder / "hats" / "Norder=0" / f"{part}.parquet"
        )
    pq.write_table(pa.table({"odd": [1]}), folder / "hats" / "_metadata.parquet")
    for i, table in enumerate(X):
        table["object_id"], table["redshift"] = f"SN{i}", table.meta["redshift"]
    long = vstack(X, metadata_conflicts="silent")
    pq.write_table(pa.table({c: np.asarray(long[c]) for c in long.colnames}), folder / "long.parquet")
    for kind in ("fits", "ecsv"):
        (folder / kind).mkdir()
        for i, table in enumerate(X):
            table.meta = {"redshift": table.meta["redshift"]}
            table.write(folder / kind / f"SN{i:02d}.{kind}")
    return folder


@pytest.fixture(scope="module")
def model(folder):
    path = folder / "model.safetensors"
    assert main(["fit", str(folder / "nested.parquet"), str(path), *PHOTOMETRY, *SMALL, "--device=cpu", "--quiet"]) == 0
    return path


@pytest.fixture(scope="module")
def Z(folder, model):
    objects, _ = skdaep.tables.from_nested(
        pq.read_table(folder / "nested.parquet"), by="object_id", meta=("redshift",), units={"mag": "mag", "time": "d"}
    )
    return skdaep.load(model).transform(objects)


@pytest.mark.parametrize("source", ["nested.parquet", "long.parquet", "hats", "fits", "ecsv"])
def test_every_kind_of_file_gives_the_codes_of_the_library(source, folder, model, Z, tmp_path, capsys):
    units = PHOTOMETRY[4:] if source not in ("fits", "ecsv") else []
    assert main(["encode", str(model), str(folder / source), str(tmp_path / "z.npy"), *units]) == 0
    rows = np.load(tmp_path / "z.npy")
    assert rows["object_id"][[0, 11]].tolist() in (["SN0", "SN11"], ["SN00", "SN11"])
    np.testing.assert_allclose(rows["z"], Z, atol=1e-5)
    assert "12 of 12 objects" in capsys.readouterr().err


def test_of_hats_the_objects_are_read_alone(folder, model, Z, tmp_path, capsys):
    """Not the margin of a collection, nor what is about a catalogue."""
    collection = tmp_path / "collection"
    shutil.copytree(folder / "hats", collection / "main" / "dataset")
    shutil.copytree(folder / "hats", collection / "main_10arcs" / "dataset")
    shutil.copy(folder / "nested.parquet", collection / "main" / "data_thumbnail.parquet")
    (collection / "collection.properties").write_text("#HATS Collection\nhats_primary_table_url=main\n")
    (collection / "main" / "hats.properties").write_text("dataproduct_type=object\n")
    (collection / "main_10arcs" / "hats.properties").write_text("dataproduct_type=margin\n")
    asked = [str(tmp_path / "z.npy"), *PHOTOMETRY[4:], "--quiet"]
    assert main(["encode", str(model), str(collection), *asked]) == 0
    np.testing.assert_allclose(np.load(tmp_path / "z.npy")["z"], Z, atol=1e-5)
    assert main(["encode", str(model), str(collection / "main_10arcs"), *asked, "--overwrite"]) == 1
    assert "is a HATS catalogue of type 'margin'" in capsys.readouterr().err
    (collection / "collection.properties").write_text("hats_primary_table_url=other\n")
    assert main(["encode", str(model), str(collection), *asked, "--overwrite"]) == 1
    assert "names a primary catalogue that does not exist (other)" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning", "ignore:.*:FutureWarning", "ignore:.*inplace")
def test_hats_that_lsdb_wrote(folder, model, tmp_path):
    lsdb, npd = pytest.importorskip("lsdb"), pytest.importorskip("nested_pandas")
    frame = pq.read_table(folder / "nested.parquet").to_pandas(types_mapper=pd.ArrowDtype)
    frame = frame.assign(ra=np.linspace(0, 80, 12), dec=np.linspace(0, 60, 12))
    names = ["time", "band", "mag", "mag_err"]
    points = pd.DataFrame({c: np.concatenate(frame[c].to_list()) for c in names})
    points.index = np.repeat(np.arange(12), [len(cell) for cell in frame["mag"]])
    nested = npd.NestedFrame(frame.drop(columns=names)).join_nested(points, "lc")
    nested = nested.join_nested(points.iloc[::2], "other")
    catalog = lsdb.from_dataframe(nested, ra_column="ra", dec_column="dec", partition_rows=5)
    catalog.write_catalog(tmp_path / "hats", catalog_name="main", create_thumbnail=True)
    options = [*PHOTOMETRY[2:], "--quiet"]
    ask = ["fit", str(tmp_path / "hats"), str(tmp_path / "m.safetensors"), *PHOTOMETRY[:2], *options, *SMALL]
    assert main([*ask, "--metadata=redshift"]) == 1  # there are two nested columns with a mag
    assert main([*ask, "--column=lc", "--device=cpu", f"--store={tmp_path / 'store'}"]) == 0
    assert len(skdaep.Store(tmp_path / "store")) == 12
    asked = ["encode", str(model), str(tmp_path / "hats"), str(tmp_path / "z.parquet"), "--column=lc", "--quiet"]
    assert main([*asked, *PHOTOMETRY[4:]]) == 0
    found = pq.read_table(tmp_path / "z.parquet").to_pandas().set_index("object_id").loc[frame["object_id"]]
    opened = lsdb.open_catalog(tmp_path / "hats")
    units = {"mag": "mag", "time": "d"}
    encoded = skdaep.encode_catalog(opened, model, "lc", metadata=("redshift",), units=units).compute()
    truth = np.stack(encoded.set_index("object_id").loc[frame["object_id"], "embedding"].to_list())
    np.testing.assert_allclose(found.to_numpy(), truth, atol=1e-5)


@pytest.mark.parametrize("source", ["nested.parquet", "long.parquet", "ecsv", "two"])
def test_some_objects_at_a_time_give_the_codes_of_all(source, folder, model, Z, tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "N_OBJECTS", 5)
    monkeypatch.setattr(inputs, "N_POINTS", 37)
    if source == "two":  # an object begins in one file and ends in the other
        (folder / "two").mkdir(exist_ok=True)
        whole = pq.read_table(folder / "long.parquet")
        for name, rows in (("a", slice(0, 100)), ("b", slice(100, None))):
            pq.write_table(whole[rows], folder / "two" / f"{name}.parquet")
    sizes, transform = [], skdaep.DAEPEncoder.transform
    monkeypatch.setattr(skdaep.DAEPEncoder, "transform", lambda self, X: sizes.append(len(X)) or transform(self, X))
    units = PHOTOMETRY[4:] if source != "ecsv" else []
    assert main(["encode", str(model), str(folder / source), str(tmp_path / "z.parquet"), *units, "--quiet"]) == 0
    assert max(sizes) <= 5
    assert sum(sizes) == 12
    columns = pq.read_table(tmp_path / "z.parquet").to_pydict()
    assert [int(name[2:]) for name in columns.pop("object_id")] == list(range(12))
    np.testing.assert_allclose(np.stack(list(columns.values()), 1), Z, atol=1e-5)


def test_rows_of_an_object_that_are_apart_are_held_and_that_is_said(folder, model, Z, tmp_path, capsys):
    whole = pq.read_table(folder / "long.parquet")
    order = np.random.default_rng(0).permutation(len(whole))
    pq.write_table(whole.take(order), tmp_path / "mixed.parquet")
    ask = ["encode", str(model), str(tmp_path / "mixed.parquet"), str(tmp_path / "z.npy"), *PHOTOMETRY[4:]]
    assert main(ask) == 0
    assert "held in memory; sort it by 'object_id'" in capsys.readouterr().err
    rows = np.load(tmp_path / "z.npy")
    np.testing.assert_allclose(rows["z"][np.argsort([int(n[2:]) for n in rows["object_id"]])], Z, atol=1e-5)


def test_files_in_other_units_are_converted_or_refused(folder, model, Z, tmp_path, capsys):
    whole = pq.read_table(folder / "nested.parquet")

    def write(name, rows, unit, factor):
        times = pa.array([[t * factor for t in cell] for cell in whole["time"][rows].to_pylist()])
        columns = {c: times if c == "time" else whole[c][rows].combine_chunks() for c in whole.column_names}
        about = {"time": {"unit": unit}, "mag": {"unit": "mag"}}
        fields = [pa.field(c, a.type, metadata=about.get(c)) for c, a in columns.items()]
        pq.write_table(pa.table(columns, pa.schema(fields)), tmp_path / "units" / name)

    (tmp_path / "units").mkdir()
    write("a.parquet", slice(0, 5), "d", 1)
    write("b.parquet", slice(5, 12), "h", 24)
    ask = ["encode", str(model), str(tmp_path / "units"), str(tmp_path / "z.npy"), "--quiet", "--overwrite"]
    assert main(ask) == 0
    np.testing.assert_allclose(np.load(tmp_path / "z.npy")["z"], Z, atol=1e-5)
    write("b.parquet", slice(5, 12), "kg", 1)
    assert main(ask) == 1
    assert "Object SN5: X[0] column 'time' has unit 'kg', which cannot be converted to 'd'" in capsys.readouterr().err
    long = pq.read_table(folder / "long.parquet")
    for name, rows, unit in (("a", slice(0, 100), "d"), ("b", slice(100, None), "h")):
        fields = [pa.field(f.name, f.type, metadata={"unit": unit} if f.name == "time" else None) for f in long.schema]
        pq.write_table(long[rows].cast(pa.schema(fields)), tmp_path / "units" / f"{name}.parquet")
    assert main(ask) == 1
    assert "b.parquet: Column 'time' has unit h, but d in the file before" in capsys.readouterr().err


def test_bad_objects_are_named_or_get_nan(folder, model, Z, tmp_path, capsys):
    whole = pq.read_table(folder / "nested.parquet").to_pydict()
    for i in (3, 8):
        whole["mag"][i] = [None] * len(whole["mag"][i])
    pq.write_table(pa.table(whole), tmp_path / "bad.parquet")
    ask = ["encode", str(model), str(tmp_path / "bad.parquet"), str(tmp_path / "z.parquet"), *PHOTOMETRY[4:], "--quiet"]
    assert main(ask) == 1
    assert "Object SN3: X[0] has no finite 'mag'" in capsys.readouterr().err
    assert main([*ask, "--errors=null"]) == 0
    assert "2 objects cannot be encoded and get NaN. The first, SN3: X[0] has no finite" in capsys.readouterr().err
    z = pq.read_table(tmp_path / "z.parquet").drop_columns("object_id").to_pandas().to_numpy()
    assert np.flatnonzero(np.isnan(z).all(1)).tolist() == [3, 8]
    np.testing.assert_allclose(np.delete(z, [3, 8], 0), np.delete(Z, [3, 8], 0), atol=1e-5)
    whole["mag"] = [[None] * len(cell) for cell in whole["mag"]]
    pq.write_table(pa.table(whole), tmp_path / "bad.parquet")
    assert main([*ask, "--errors=null", "--overwrite"]) == 1
    assert "No object can be encoded" in capsys.readouterr().err
    for more in ([], [f"--store={tmp_path / 'store'}"]):
        asked = ["fit", str(tmp_path / "bad.parquet"), str(tmp_path / "m.safetensors"), *PHOTOMETRY, *SMALL, *more]
        assert main([*asked, "--quiet"]) == 1
        assert "object SN0 has no finite 'mag'" in capsys.readouterr().err
    bad = Table.read(sorted((folder / "ecsv").iterdir())[0])
    bad["mag"] = np.nan
    (tmp_path / "tables").mkdir()
    bad.write(tmp_path / "tables" / "SN.2011.fe.ecsv")
    asked = ["reconstruct", str(model), str(tmp_path / "tables"), str(tmp_path / "r.parquet"), "--quiet"]
    assert main(asked) == 1
    assert "Object SN.2011.fe: X[0] has no finite 'mag'" in capsys.readouterr().err


def test_codes_in_every_format(folder, model, Z, tmp_path):
    for name in ("z.parquet", "z.ecsv"):
        arguments = [
            "encode",
            str(model),
            str(folder / "nested.parquet"),
            str(tmp_path / name),
            *PHOTOMETRY[4:],
            "--quiet",
        ]
        assert main(arguments) == 0
    written = [pq.read_table(tmp_path / "z.parquet").to_pydict(), Table.read(tmp_path / "z.ecsv")]
    for columns in written:
        assert list(columns["object_id"])[:2] == ["SN0", "SN1"]
        z = np.stack([columns[f"daepencoder{i}"] for i in range(Z.shape[1])], 1)
        np.testing.assert_allclose(z, Z, atol=1e-5)


@pytest.mark.parametrize("draws", [None, 2])
def test_reconstructions_are_those_of_the_library(draws, folder, model, tmp_path):
    more = [] if draws is None else ["--draws", str(draws)]
    for name in ("r.parquet", "r.ecsv"):
        assert main(["reconstruct", str(model), str(folder / "ecsv"), str(tmp_path / name), "--quiet", *more]) == 0
    X = [Table.read(path) for path in sorted((folder / "ecsv").iterdir())]
    expected = np.concatenate(skdaep.load(model).reconstruct(X, n_draws=draws, output="arrays"))
    table, ecsv = pq.read_table(tmp_path / "r.parquet"), Table.read(tmp_path / "r.ecsv")
    np.testing.assert_allclose(np.array(table["mag"].to_pylist()), expected, rtol=1e-5)
    np.testing.assert_allclose(ecsv["mag"], expected, rtol=1e-5)
    assert table.schema.field("mag").metadata == {b"unit": b"mag"}
    assert ecsv["mag"].unit == "mag"
    assert table["object_id"].to_pylist() == np.repeat([f"SN{i:02d}" for i in range(12)], list(map(len, X))).tolist()


def test_fit_shows_its_progress_and_info_what_was_fitted(folder, tmp_path, capsys):
    path = tmp_path / "pca.safetensors"
    asked = [
        "fit",
        str(folder / "fits"),
        str(path),
        "--estimator=FunctionalPCA",
        "--set=n_components=2",
        "--error=mag_err",
    ]
    assert main([*asked, "--value=mag", "--location=time", "--band=band", "--device=cpu"]) == 0
    captured = capsys.readouterr()
    assert "12 objects" in captured.err
    assert "[FunctionalPCA] step" in captured.out
    assert main(["info", str(path)]) == 0
    assert "FunctionalPCA" in capsys.readouterr().out


def test_a_file_that_is_there_is_replaced_only_on_request(folder, model, tmp_path, capsys):
    out = tmp_path / "z.npy"
    out.write_text("precious")
    asked = ["encode", str(model), str(folder / "ecsv"), str(out)]
    assert main(asked) == 1
    assert out.read_text() == "precious"
    assert "use --overwrite" in capsys.readouterr().err
    assert main([*asked, "--overwrite"]) == 0
    assert len(np.load(out)) == 12


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["encode", "MODEL", "no/such", "z.npy"], "there is no such file or folder"),
        (["encode", "MODEL", "FOLDER/ecsv", "z.csv"], "must end in .parquet or .ecsv or .npy"),
        (["encode", "MODEL", "FOLDER/ecsv", "no/such/z.npy"], "there is no folder"),
        (["encode", "MODEL", "MODEL", "z.npy"], "is neither a parquet file nor a folder with"),
        (["encode", "FOLDER/long.parquet", "FOLDER/ecsv", "z.npy"], "is not a readable model file"),
        (["encode", "MODEL", "FOLDER/long.parquet", "z.npy", "--by", "oid"], "'oid'"),
        (["encode", "MODEL", "FOLDER/nested.parquet", "z.npy", "--by", "oid"], "'oid'"),
        (["encode", "MODEL", "FOLDER/ecsv", "z.npy", "--unit", "mag=mag"], "units of their own"),
        (["encode", "MODEL", "FOLDER/nested.parquet", "z.npy", "--column", "lc"], "There is no column 'lc' (there"),
        (["encode", "MODEL", "FOLDER/long.parquet", "z.npy", "--column", "mag"], "--column is for files with lists"),
        (["encode", "MODEL", "FOLDER/damaged.parquet", "z.npy"], "damaged.parquet cannot be read"),
        (["encode", "MODEL", "FOLDER/none.parquet", "z.npy"], "none.parquet holds 0 objects"),
        (["fit", "FOLDER/none.parquet", "m.safetensors"], "none.parquet holds 0 objects"),
        (["encode", "MODEL", "FOLDER/nested.parquet", "z.npy", "--unit", "mag=furlong"], "furlong"),
        (["encode", "MODEL", "FOLDER/broken", "z.npy"], "broken.ecsv cannot be read"),
        (["fit", "FOLDER/ecsv", "m.safetensors", "--set", "modeldim=3"], "modeldim"),
        (["fit", "FOLDER/ecsv", "m.safetensors", "--value", "flux"], "flux"),
        (["info", "FOLDER/long.parquet"], "is not a readable model file"),
    ],
)
def test_what_is_wrong_is_said_without_a_traceback(arguments, said, folder, model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (folder / "broken").mkdir(exist_ok=True)
    (folder / "broken" / "broken.ecsv").write_text("# no table")
    (folder / "damaged.parquet").write_bytes((folder / "long.parquet").read_bytes()[:-9])
    pq.write_table(pq.read_table(folder / "nested.parquet")[:0], folder / "none.parquet")
    assert main([a.replace("FOLDER", str(folder)).replace("MODEL", str(model)) for a in arguments]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert not list(tmp_path.iterdir())


def test_what_is_not_understood_has_another_code(capsys):
    for arguments in ([], ["bake"], ["fit", "x", "y", "--set", "novalue"]):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 2
    capsys.readouterr()


def test_an_interrupt_has_its_own_code(model, folder, monkeypatch, tmp_path, capsys):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(skdaep, "load", interrupted)
    assert main(["encode", str(model), str(folder / "ecsv"), str(tmp_path / "z.npy")]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_help_teaches_and_is_cheap():
    code = "import sys; from skdaep.__main__ import main\ntry: main(['encode', '--help'])\nexcept SystemExit: pass\n"
    code += "print(sorted({'torch', 'numpy', 'astropy', 'sklearn'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "examples:" in done.stdout
    assert "HATS" in done.stdout
    assert json.loads(done.stdout.splitlines()[-1]) == []
