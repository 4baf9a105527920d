"""Model files: exact round trips, and no damaged file that loads or raises anything but CorruptModelError."""

import hashlib
import json
import os
import pickle
import re
import struct
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from astropy.table import Table
from sklearn.exceptions import NotFittedError

import skdaep
from skdaep import CorruptModelError, DeviceError, Sequence, modalities
from skdaep.model import files

ESTIMATORS = (*skdaep.ESTIMATORS, *skdaep.CLOSED_FORM)


@pytest.fixture(scope="session")
def model_file(fitted, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model.safetensors"
    fitted.save(path)
    return path


@pytest.fixture
def damaged(model_file, tmp_path):
    """Return a function that writes bytes to a file; it starts as a good model file."""
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(model_file.read_bytes())
    return path


def parts(data):
    """Split a file into header and tensors."""
    (n,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + n]), data[8 + n :]


def joined(header, tensors):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + tensors


def edited(data, change, sign=True):
    """Change the description of the model, and with `sign` its checksum too."""
    header, tensors = parts(data)
    metadata = header["__metadata__"]
    content = json.loads(metadata["skdaep"])
    change(content)
    metadata["skdaep"] = json.dumps(content)
    if sign:
        metadata["sha256"] = hashlib.sha256(metadata["skdaep"].encode()).hexdigest()
    return joined(header, tensors)


# --- round trips ------------------------------------------------------------------------------------


def test_a_loaded_model_is_the_saved_one(fitted, model_file, X, supported_draws):
    loaded = skdaep.load(model_file)
    assert type(loaded) is type(fitted)
    assert loaded.get_params() == fitted.get_params()
    assert loaded.modalities_ == fitted.modalities_
    assert loaded.history_ == fitted.history_
    assert loaded.n_iter_ == fitted.n_iter_
    assert loaded.best_loss_ == fitted.best_loss_
    Z = fitted.transform(X)
    np.testing.assert_array_equal(loaded.transform(X), Z)
    np.testing.assert_array_equal(loaded.get_feature_names_out(), fitted.get_feature_names_out())
    for one, other in zip(*(e.reconstruct(X, n_draws=supported_draws) for e in (loaded, fitted)), strict=True):
        np.testing.assert_array_equal(one["mag"], other["mag"])
        assert one["mag"].unit == other["mag"].unit
    np.testing.assert_array_equal(loaded.inverse_transform(Z)[0]["mag"], fitted.inverse_transform(Z)[0]["mag"])
    assert loaded.score(X) == fitted.score(X)


def test_a_loaded_model_can_be_saved_pickled_and_fitted_on(model_file, X, tmp_path):
    loaded = skdaep.load(model_file)
    Z = loaded.transform(X)
    loaded.save(tmp_path / "again.safetensors")
    np.testing.assert_array_equal(skdaep.load(tmp_path / "again.safetensors").transform(X), Z)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(skdaep.load(model_file))).transform(X), Z)
    if "warm_start" in loaded.get_params():  # what is solved in closed form begins anew
        loaded.set_params(warm_start=True, max_iter=2).fit(X)
        assert np.abs(loaded.transform(X) - Z).max() > 0


def test_a_model_of_a_dataframe_keeps_the_names_of_its_columns(make, tmp_path):
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(12, 3)), columns=["a", "b", "c"])
    estimator = make(modality=None).fit(frame).set_output(transform="pandas")
    estimator.save(tmp_path / "model")
    loaded = skdaep.load(str(tmp_path / "model"))
    assert loaded.n_features_in_ == 3
    assert list(loaded.feature_names_in_) == ["a", "b", "c"]
    pd.testing.assert_frame_equal(loaded.transform(frame), estimator.transform(frame))


def test_numpy_numbers_as_parameters(make, fresh, X, tmp_path, supported_draws):
    kinds = {int: np.int64, float: np.float64, bool: np.bool_}
    estimator = make()
    plain = estimator.get_params()
    estimator.set_params(**{k: kinds[type(v)](v) for k, v in plain.items() if type(v) in kinds})
    estimator.fit(X).save(tmp_path / "model")
    loaded = skdaep.load(tmp_path / "model")
    assert loaded.get_params() == plain
    np.testing.assert_array_equal(loaded.transform(X), fresh.transform(X))
    assert len(estimator.reconstruct(X, n_draws=supported_draws and np.int64(supported_draws))) == 12


def test_the_device_can_be_replaced(make, X, tmp_path):
    estimator = make().fit(X)
    Z = estimator.transform(X)
    estimator.set_params(device="cuda:99").save(tmp_path / "model")
    with pytest.raises(DeviceError, match="'auto'"):
        skdaep.load(tmp_path / "model")
    loaded = skdaep.load(tmp_path / "model", device="cpu")
    assert loaded.device == "cpu"
    np.testing.assert_array_equal(loaded.transform(X), Z)
    assert loaded.device_ == "cpu"


def test_the_file_is_readable_by_others_as_any_new_file_is(fitted, tmp_path):
    (tmp_path / "plain").touch()
    fitted.save(tmp_path / "model")
    assert (tmp_path / "model").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_an_unfitted_estimator_is_not_saved(make, tmp_path):
    with pytest.raises(NotFittedError):
        make().save(tmp_path / "model")
    assert os.listdir(tmp_path) == []


# --- saving is whole or not at all ------------------------------------------------------------------


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()], ids=["disk full", "Ctrl-C"])
def test_a_failed_save_leaves_the_old_file(fitted, damaged, monkeypatch, error, X):
    before = damaged.read_bytes()

    def failing(descriptor):
        assert len(os.listdir(damaged.parent)) == 2, "written beside the old file"
        raise error

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(type(error)):
        fitted.save(damaged)
    assert damaged.read_bytes() == before
    assert os.listdir(damaged.parent) == [damaged.name], "no half-written file is left"


def test_what_cannot_be_written_is_refused_before_the_file_is_touched(make, damaged, X):
    before = damaged.read_bytes()
    with pytest.raises(TypeError, match=r"RandomState.*int random_state"):
        make(random_state=np.random.RandomState(0)).fit(X).save(damaged)
    assert damaged.read_bytes() == before
    assert os.listdir(damaged.parent) == [damaged.name]


def test_what_has_the_name_of_another_is_refused_with_a_way_out(estimator_class, make, X, tmp_path):
    """What has the name of skdaep's own: `load` would build another."""
    sequence = dataclass(frozen=True)(type("Sequence", (Sequence,), {}))
    subclass = type(estimator_class.__name__, (estimator_class,), {"__init__": estimator_class.__init__})
    others = {"Sequence": make(modality=sequence()), subclass.__name__: subclass(**make().get_params())}
    for name, estimator in others.items():
        wanted = rf"save cannot write a? ?{name}, whose name belongs to skdaep\..*rename it; use pickle"
        with pytest.raises(TypeError, match=wanted):
            estimator.fit(X).save(tmp_path / "model")
    assert os.listdir(tmp_path) == []


def test_all_that_a_modality_is_made_of_can_be_written():
    """A new modality needs no entry in a list."""
    spectrum = Table({"wavelength": [1.0, 2.0, 4.0], "flux": [1.0, 3.0, 2.0]})
    learned = {type(m.learned) for m in (skdaep.Sequence().learn([spectrum]), skdaep.Image().learn([np.eye(4)]))}
    assert {skdaep.Sequence, skdaep.Image, *learned} <= set(modalities.STORABLE.values())


def test_saving_replaces_an_older_model(fitted, make, damaged, X):
    other = make(random_state=1).fit(X)
    other.save(damaged)
    np.testing.assert_array_equal(skdaep.load(damaged).transform(X), other.transform(X))


def test_saving_into_no_folder_is_an_os_error(fitted, tmp_path):
    with pytest.raises(FileNotFoundError):
        fitted.save(tmp_path / "nowhere" / "model")


# --- damage -----------------------------------------------------------------------------------------


def test_the_undamaged_file_loads_however_it_was_taken_apart(damaged):
    damaged.write_bytes(joined(*parts(damaged.read_bytes())))
    skdaep.load(damaged)
    damaged.write_bytes(edited(damaged.read_bytes(), lambda content: None))
    skdaep.load(damaged)


def test_no_flipped_bit_goes_unnoticed(damaged):
    data = damaged.read_bytes()
    (n_header,) = struct.unpack("<Q", data[:8])
    rng = np.random.default_rng(0)
    bits = [
        *range(64),
        *rng.integers(64, 8 * (8 + n_header), 200),
        *rng.integers(8 * (8 + n_header), 8 * len(data), 100),
    ]
    for bit in bits:
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        damaged.write_bytes(flipped)
        with pytest.raises(CorruptModelError, match=r"damaged\.safetensors"):
            skdaep.load(damaged)


def test_no_truncation_goes_unnoticed(damaged):
    data = damaged.read_bytes()
    for n in [0, 1, 7, 8, 9, 100, *np.random.default_rng(0).integers(0, len(data), 40), len(data) - 1]:
        damaged.write_bytes(data[:n])
        with pytest.raises(CorruptModelError):
            skdaep.load(damaged)


def test_no_zeroed_page_goes_unnoticed(damaged):
    data = damaged.read_bytes()
    for start in range(0, len(data), 4096):
        damaged.write_bytes(data[:start] + bytes(min(4096, len(data) - start)) + data[start + 4096 :])
        with pytest.raises(CorruptModelError):
            skdaep.load(damaged)


def test_appended_bytes_are_noticed(damaged):
    damaged.write_bytes(damaged.read_bytes() + b"more")
    with pytest.raises(CorruptModelError):
        skdaep.load(damaged)


def test_swapped_tensors_are_noticed_by_name(damaged):
    header, tensors = parts(damaged.read_bytes())
    shapes = {}
    for name, entry in header.items():
        if name != "__metadata__":
            shapes.setdefault((entry["dtype"], tuple(entry["shape"])), []).append(name)
    one, other = next(names[:2] for names in shapes.values() if len(names) > 1 and "weight" in names[0])
    header[one], header[other] = header[other], header[one]
    damaged.write_bytes(joined(header, tensors))
    with pytest.raises(CorruptModelError, match=f"tensor '({re.escape(one)}|{re.escape(other)})' is damaged"):
        skdaep.load(damaged)


def test_a_missing_and_a_renamed_tensor_are_noticed(damaged):
    header, tensors = parts(damaged.read_bytes())
    name = list(header)[-1]
    damaged.write_bytes(joined({f"{k}x" if k == name else k: v for k, v in header.items()}, tensors))
    with pytest.raises(CorruptModelError, match="tensors are missing"):
        skdaep.load(damaged)


@pytest.mark.parametrize("key", ["class", "parameters", "fitted", "model", "sha256"])
def test_an_edited_description_is_noticed(damaged, key):
    data = damaged.read_bytes()
    damaged.write_bytes(edited(data, lambda content: content.pop(key), sign=False))
    with pytest.raises(CorruptModelError, match="description of the model is damaged"):
        skdaep.load(damaged)


def remove(*keys):
    def change(content):
        for key in keys[:-1]:
            content = content[key]
        del content[keys[-1]]

    return change


def put(value, *keys):
    def change(content):
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        remove("class"),
        remove("parameters"),
        remove("fitted"),
        remove("sha256"),
        put("os.system", "class"),
        put("BaseEncoder", "class"),
        put([], "class"),
        put(None, "parameters"),
        put({"dict": {"no_such_parameter": 1}}, "parameters"),
        put([1, 2], "parameters"),
        put({"Path": {"path": "/"}}, "parameters", "dict", "modality"),
        put({"Sequence": {"colour": 1}}, "parameters", "dict", "modality"),
        put({"array": ["a"], "dtype": "<f4"}, "fitted", "dict", "n_iter_"),
        put({"array": [1.0], "dtype": "no dtype"}, "fitted", "dict", "n_iter_"),
        put({}, "fitted", "dict", "n_iter_"),
        put({"tuple": 3}, "fitted", "dict", "n_iter_"),
        remove("model"),
        put([], "model"),
        remove("model", "modalities"),
        remove("model", "seed"),
        remove("model", "kind"),
        put("Model'", "model", "kind"),
        put("os.system", "model", "objective"),
        put({"dict": {}}, "model", "networks"),
        put(16, "model", "networks", "dict", "bottleneck_length"),
        put(None, "sha256"),
    ],
)
def test_a_signed_description_that_makes_no_sense_is_refused(damaged, change):
    damaged.write_bytes(edited(damaged.read_bytes(), change))
    with pytest.raises(CorruptModelError, match=r"damaged\.safetensors"):
        skdaep.load(damaged)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '"x"'])
def test_a_signed_description_that_is_none_is_refused(damaged, text):
    header, tensors = parts(damaged.read_bytes())
    header["__metadata__"] |= {"skdaep": text, "sha256": hashlib.sha256(text.encode()).hexdigest()}
    damaged.write_bytes(joined(header, tensors))
    with pytest.raises(CorruptModelError, match=r"damaged\.safetensors"):
        skdaep.load(damaged)


def test_another_format_is_refused_by_its_number(damaged):
    header, tensors = parts(damaged.read_bytes())
    header["__metadata__"]["format"] = "999"
    damaged.write_bytes(joined(header, tensors))
    with pytest.raises(CorruptModelError, match=f"format '999'; this version reads 1 and {files.FORMAT}"):
        skdaep.load(damaged)
    del header["__metadata__"]
    damaged.write_bytes(joined(header, tensors))
    with pytest.raises(CorruptModelError, match="format None"):
        skdaep.load(damaged)


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_pickle_is_refused_and_not_executed(damaged, fitted, tmp_path):
    for content in (fitted, Payload(tmp_path / "executed")):
        damaged.write_bytes(pickle.dumps(content))
        with pytest.raises(CorruptModelError):
            skdaep.load(damaged)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 100, b"\xff" * 100, b"hello, world, this is a text", b"PK\x03\x04" * 50]
)
def test_files_of_other_kinds_are_refused(damaged, content):
    damaged.write_bytes(content)
    with pytest.raises(CorruptModelError):
        skdaep.load(damaged)


def test_a_missing_file_and_a_directory_are_os_errors(tmp_path):
    with pytest.raises(FileNotFoundError):
        skdaep.load(tmp_path / "nothing")
    with pytest.raises(IsADirectoryError):
        skdaep.load(tmp_path)
