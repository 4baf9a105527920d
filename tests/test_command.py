"""The command: files in, files out, and errors without a traceback."""

import json
import subprocess
import sys

import numpy as np
import pytest
from astropy.table import Table, vstack

import skdaep
from skdaep.__main__ import main

pq = pytest.importorskip("pyarrow.parquet")
pa = pytest.importorskip("pyarrow")

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
