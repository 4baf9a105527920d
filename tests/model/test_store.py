"""Stores in folders: the same fit as from memory, whole or not at all, and no damage that goes unnoticed."""

import json
import pickle
import shutil

import numpy as np
import pytest
import torch
from astropy.table import Table

import skdaep
from skdaep import (
    CorruptStoreError,
    DAEPEncoder,
    FunctionalPCA,
    MultimodalDAEP,
    Photometry,
    Spectrum,
    Store,
    TableError,
    pack,
)
from skdaep.model import fitting, folder
from skdaep.tables import FlatTables

ESTIMATORS = ("DAEPEncoder", "FunctionalPCA", "MultimodalDAEP", "ContrastiveNeighbors")
TINY = dict(model_dim=8, n_heads=2, n_encoder_layers=1, n_decoder_layers=1, max_iter=2, random_state=0, device="cpu")


def declared(estimator):
    return getattr(estimator, estimator._measured)


def halves(objects):
    return [objects[:7], objects[7:]]


def test_a_fit_from_a_folder_is_that_from_memory(make, objects, tmp_path):
    estimator = make()
    store = pack(halves(objects), tmp_path / "store", declared(estimator))
    assert len(store) == 12
    expected, found = make().fit(objects), estimator.fit(store)
    for name, array in expected.model_.weights.items():
        np.testing.assert_array_equal(found.model_.weights[name], array)
    np.testing.assert_array_equal(found.transform(store), expected.transform(objects))
    np.testing.assert_allclose(found.score(store), expected.score(objects), rtol=1e-5)
    assert found.noise_correlation_ == expected.noise_correlation_
    if hasattr(found, "fit_prior"):
        found.fit_prior(store, max_iter=2)
    with pytest.raises(TableError, match="has no Tables"):
        found.reconstruct(store)


def test_groups_errors_and_going_on(make_light_curve, tmp_path):
    X = [make_light_curve(i) for i in range(12)]
    del X[8]["mag_err"]
    store = pack(halves(X), tmp_path / "store", Photometry(error="mag_err"))
    groups = np.arange(12) // 3
    encoder = DAEPEncoder(warm_start=True, **TINY).fit(store, groups=groups)
    assert encoder.fit(store).n_iter_ == 2
    with pytest.raises(TableError, match=r"chunks\[1\]: X\[1\] has no column 'mag_err'"):
        DAEPEncoder(error_weighting=True, **TINY).fit(store)
    again = pickle.loads(pickle.dumps(store))
    np.testing.assert_array_equal(encoder.transform(again), encoder.transform(store))


def test_rows_of_arrays(tmp_path):
    X = np.random.default_rng(0).normal(size=(12, 5))
    store = pack(halves(X), tmp_path / "store")
    encoder = DAEPEncoder(**TINY).fit(store)
    assert encoder.n_features_in_ == 5
    np.testing.assert_array_equal(encoder.transform(X), DAEPEncoder(**TINY).fit(X).transform(X))
    with pytest.raises(TableError, match=r"chunks\[1\] has 4 columns, but those before have 5"):
        pack([X[:6], X[6:, 1:]], tmp_path / "other", n_learn=6)


def test_it_learns_from_the_first_and_says_what_is_not_among_them(make_light_curve, tmp_path):
    X = [make_light_curve(i) for i in range(12)]
    assert pack(halves(X), tmp_path / "a", Photometry(), n_learn=5).modalities["sequence"] == Photometry().learn(X[:7])
    assert pack(halves(X), tmp_path / "b", Photometry()).modalities["sequence"] == Photometry().learn(X)
    X[9]["band"] = "z"
    with pytest.raises(TableError, match=r"chunks\[1\]: X\[2\] column 'band' has band 'z', not seen in fit"):
        pack(halves(X), tmp_path / "c", Photometry(), n_learn=5)
    X[9]["mag"][2] = np.inf
    with pytest.raises(TableError, match=r"the first chunks, end to end: X\[9\] column 'mag' is infinite"):
        pack(halves(X), tmp_path / "d", Photometry())


def test_flat_tables_of_several_files(tmp_path):
    rng = np.random.default_rng(3)

    def part(bands):
        return FlatTables.of(
            Table(
                {"mjd": rng.normal(size=6), "mag": rng.normal(size=6), "band": rng.choice(bands, 6)},
                meta={"z": 0.1 * i},
            )
            for i in range(5)
        )

    parts = [part(["r", "g"]), part(["i", "g"])]
    store = pack(parts, tmp_path / "store", Photometry(metadata=("z",)))
    X = [t for p in parts for t in p]
    assert store.modalities["sequence"] == Photometry(metadata=("z",)).learn(X)
    assert store.measurements["sequence"].points["band"].dtype == torch.uint8


def test_a_store_of_a_fitted_modality_can_be_encoded_and_another_is_refused(make_light_curve, tmp_path):
    X = [make_light_curve(i) for i in range(12)]
    encoder = DAEPEncoder(Photometry(), **TINY).fit(X[:6])
    own = pack([X[6:]], tmp_path / "own", encoder.modalities_["sequence"])
    np.testing.assert_array_equal(encoder.transform(own), encoder.transform(X[6:]))
    other = pack([X[6:]], tmp_path / "other", Photometry())
    with pytest.raises(
        TableError, match=r"other columns, bands or scalings .* modality=encoder.modalities_\['sequence'\]"
    ):
        encoder.transform(other)
    with pytest.raises(TableError, match=r"was packed with .*, but fit has"):
        DAEPEncoder(Spectrum(), **TINY).fit(other)
    with pytest.raises(TableError, match=r"holds sequence, but MultimodalDAEP needs a, b"):
        MultimodalDAEP({"a": Photometry(), "b": Spectrum()}, **TINY).fit(other)


# --- whole or not at all ----------------------------------------------------------------------------


def interrupted(chunks, n):
    for k, chunk in enumerate(chunks):
        if k == n:
            raise KeyboardInterrupt
        yield chunk


@pytest.mark.parametrize("n", [1, 3, 5])
def test_what_was_interrupted_is_gone_on_with(make_light_curve, tmp_path, monkeypatch, n):
    monkeypatch.setattr(folder, "EVERY", 0.0)
    chunks = [[make_light_curve(i), make_light_curve(i + 50)] for i in range(5)]
    chunks.insert(2, [])
    whole = pack(chunks, tmp_path / "whole", Photometry(), n_learn=3)
    with pytest.raises(KeyboardInterrupt):
        pack(interrupted(chunks, n), tmp_path / "store", Photometry(), n_learn=3)
    with pytest.raises(CorruptStoreError, match="not packed to the end: call pack again"):
        Store(tmp_path / "store")
    for path in (tmp_path / "store").glob("*.npy"):
        path.write_bytes(path.read_bytes() + b"what came after the last note")
    if n == 3:
        with pytest.raises(ValueError, match=r"chunks\[0\] holds other objects"):
            pack([chunks[1], *chunks[1:]], tmp_path / "store", Photometry(), n_learn=3)
        with pytest.raises(ValueError, match=r"chunks\[0\] holds 1 objects, but 2 in the interrupted call"):
            pack([chunks[0][:1], *chunks[1:]], tmp_path / "store", Photometry(), n_learn=3)
        with pytest.raises(ValueError, match="begun with n_learn=3, not 4"):
            pack(chunks, tmp_path / "store", Photometry(), n_learn=4)
    store = pack(chunks, tmp_path / "store", Photometry(), n_learn=3)
    assert store.checksums == whole.checksums
    assert {p.name for p in store.path.iterdir()} == {p.name for p in whole.path.iterdir()}
    with pytest.raises(FileExistsError, match=r"is a store already; open it with skdaep\.Store"):
        pack(chunks, tmp_path / "store", Photometry(), n_learn=3)


def test_a_full_disk_leaves_what_can_be_gone_on_with(make_light_curve, tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "EVERY", 0.0)
    chunks = [[make_light_curve(i)] for i in range(4)]
    add, calls = folder.Growing.add, []

    def full(self, array):
        calls.append(1)
        if len(calls) == 17:
            self.file.write(b"half")
            raise OSError(28, "No space left on device")
        add(self, array)

    with monkeypatch.context() as patch:
        patch.setattr(folder.Growing, "add", full)
        with pytest.raises(OSError, match="No space"):
            pack(chunks, tmp_path / "store", Photometry(), n_learn=2)
    store = pack(chunks, tmp_path / "store", Photometry(), n_learn=2)
    assert store.checksums == pack(chunks, tmp_path / "whole", Photometry(), n_learn=2).checksums


def test_no_chunks_and_folders_of_others(tmp_path):
    for chunks in ([], [[]], iter(())):
        with pytest.raises(ValueError, match="0 objects"):
            pack(chunks, tmp_path / "empty")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(FileExistsError, match="contains other files"):
        pack([], tmp_path / "mine")
    for n_learn in (0, True, 2.5):
        with pytest.raises(ValueError, match="n_learn"):
            pack([], tmp_path / "new", n_learn=n_learn)
    with pytest.raises(TypeError, match=r"did you mean Photometry\(\)"):
        pack([], tmp_path / "new", Photometry)


# --- damage -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory, make_light_curve):
    path = tmp_path_factory.mktemp("stores") / "whole"
    return pack([[make_light_curve(i) for i in range(12)]], path, Photometry(metadata=("redshift", "survey"))).path


@pytest.mark.parametrize("how", ["bit", "cut", "longer", "gone", "empty"])
def test_damage_is_noticed_and_named(whole, tmp_path, how):
    rng = np.random.default_rng(0)
    for name in sorted(p.name for p in whole.iterdir()):
        path = tmp_path / name.replace(".", "_")
        shutil.copytree(whole, path)
        data = bytearray((path / name).read_bytes())
        if how == "bit":
            data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        changed = {"bit": data, "cut": data[:-3], "longer": data + b"x", "empty": b""}.get(how)
        (path / name).unlink()
        if changed is not None:
            (path / name).write_bytes(changed)
        with pytest.raises(CorruptStoreError, match=name.replace(".", r"\.")):
            Store(path)


def rewritten(path, change):
    content = json.loads(json.loads((path / "store.json").read_text())["content"])
    change(content)
    folder._write_json(path / "store.json", content)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(format=2), "format 2; this version reads 1"),
        (lambda c: c.pop("modalities"), "does not describe a valid store"),
        (lambda c: c["modalities"]["dict"].clear(), "does not list its files"),
        (lambda c: c["sha256"].pop("0.band.npy"), "does not list its files"),
        (lambda c: c.update(n_objects=11), "holds 12 entries, not 11"),
        (lambda c: c["modalities"]["dict"]["sequence"].update(Sequence=3), "does not describe a valid store"),
    ],
)
def test_what_does_not_go_together_is_refused(whole, tmp_path, change, message):
    shutil.copytree(whole, tmp_path / "store")
    rewritten(tmp_path / "store", change)
    with pytest.raises(CorruptStoreError, match=message):
        Store(tmp_path / "store")


def test_what_is_no_store(tmp_path):
    with pytest.raises(CorruptStoreError, match="is not a folder"):
        Store(tmp_path / "nothing")
    with pytest.raises(CorruptStoreError, match=r"has no store\.json"):
        Store(tmp_path)
    np.save(tmp_path / "a.npy", np.zeros(3))
    assert skdaep.Store is Store


def test_of_files_what_needs_no_steps_is_solved_from_a_part(make_light_curve, tmp_path, monkeypatch):
    X = [make_light_curve(i) for i in range(12)]
    store = pack([X], tmp_path / "store", Photometry())
    monkeypatch.setattr(fitting, "MOST_SOLVED", 4)
    few = FunctionalPCA(n_components=2, random_state=0, early_stopping=False).fit(store)
    own = FunctionalPCA(Photometry(), n_components=2, random_state=0, early_stopping=False).fit(X)
    assert few.best_loss_ != own.best_loss_
    part = fitting.solved_from(store.measurements, np.arange(12))
    assert len(part["sequence"]) == 4
    most = int(store.measurements["sequence"].lengths.sum()) // 5
    monkeypatch.setattr(fitting, "MOST_POINTS_SOLVED", most)
    assert len(fitting.solved_from(store.measurements, np.arange(12))["sequence"]) == 2
    assert (
        len(fitting.solved_from({"sequence": store.measurements["sequence"].to("cpu")}, np.arange(12))["sequence"])
        == 12
    )
