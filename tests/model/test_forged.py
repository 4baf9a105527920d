"""Forged models and checkpoints, whose checksums are right: refused or harmless, at no cost to speak of."""

import hashlib
import json
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from safetensors import safe_open

import skdaep

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(Path(__file__).parents[2])
    from benchmarks import forged

N_ROUNDS, N_PER_ROUND = 8, 50  # `python -m benchmarks.forged` tries thousands
N_CHECKPOINTS = 100


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    return forged.honest(tmp_path_factory.mktemp("honest"))


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    return forged.honest_checkpoints(tmp_path_factory.mktemp("checkpoints"))


def assert_refused_or_harmless(files, numbers, folder):
    for i in numbers:
        path, objects = files[i % len(files)]
        data, change = forged.forged(path, np.random.default_rng([1, i]))
        found = forged.outcome(forged.put(data, path, folder), objects)
        assert found in ("refused", "harmless"), f"{i}, {path.name}: {change}"


@pytest.mark.parametrize("number", range(N_ROUNDS))
def test_a_forged_file_is_refused_or_harmless(honest, number, tmp_path):
    """If this fails, ``forged(path, np.random.default_rng([1, i]))`` gives the file."""
    assert_refused_or_harmless(honest, range(number * N_PER_ROUND, (number + 1) * N_PER_ROUND), tmp_path)


def test_a_forged_checkpoint_is_refused_or_harmless(checkpoints, tmp_path):
    assert_refused_or_harmless(checkpoints, range(N_CHECKPOINTS), tmp_path)


def test_an_honest_file_is_harmless(honest, checkpoints, tmp_path):
    each = [*honest, *checkpoints]
    assert {forged.outcome(forged.put(p.read_bytes(), p, tmp_path), use) for p, use in each} == {"harmless"}


# --- by name ----------------------------------------------------------------------------------------


def edited(path, change, target):
    """Write the file with its description changed, and return its path."""
    with safe_open(path, framework="numpy") as file:
        arrays, about = {k: file.get_tensor(k) for k in file.keys()}, file.metadata()
    content = json.loads(about["skdaep"])
    change(content, arrays)
    arrays = {k: np.asarray(v, order="C") for k, v in arrays.items()}
    content["sha256"] = {k: forged._sha256(v) for k, v in arrays.items()}
    text = json.dumps(content)
    about |= {"skdaep": text, "sha256": hashlib.sha256(text.encode()).hexdigest()}
    target.write_bytes(safetensors.numpy.save(arrays, metadata=about))
    return target


def networks(content):
    return content["model"]["networks"]["dict"]


def sequence(content):
    return content["model"]["modalities"]["dict"]["sequence"]["Sequence"]["learned"]["Learned"]


def correlation(content):
    return content["model"]["correlation"]["dict"]["sequence"]["Correlation"]


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (lambda c, a: networks(c).update(model_dim=4096), "networks|weights"),
        (lambda c, a: networks(c).update(model_dim=10**9), "the tensors hold"),
        (lambda c, a: networks(c).update(n_encoder_layers=10**5), "the tensors hold"),
        (lambda c, a: networks(c).update(n_encoder_layers=300), "the tensors hold"),  # of a few dozen tensors
        (lambda c, a: networks(c).update(n_encoder_layers=10**9, share_weights=True), "the tensors hold"),
        (lambda c, a: networks(c).update(n_heads=3), "3 heads"),
        (lambda c, a: networks(c).update(encoder_hidden_length=10**8), "the tensors hold"),
        (lambda c, a: networks(c).update(share_weights="yes"), "must be bool"),
        (lambda c, a: c["model"].update(seed=-1), "seed"),
        (lambda c, a: c["model"].update(colour=1), "colour"),
        (lambda c, a: c["model"]["options"]["dict"].update(colour=1), "colour"),
        (lambda c, a: c["model"]["options"]["dict"].update(n_queries="all"), "must be int"),
        (lambda c, a: c["fitted"]["dict"].update(colour=1), "colour"),
        (lambda c, a: c["fitted"]["dict"].pop("history_"), "history_"),
        (lambda c, a: c["fitted"]["dict"].update(n_features_in_=3), "3"),
        (lambda c, a: c["parameters"]["dict"].update(max_iter=-1), "max_iter"),
        (lambda c, a: c["parameters"]["dict"].update(n_sampling_steps=10**9), "n_sampling_steps"),
        (lambda c, a: sequence(c)["value"]["Scaling"].update(scale=0.0), "positive"),
        (lambda c, a: sequence(c)["value"]["Scaling"].update(scale={"float": "nan"}), "positive"),
        (lambda c, a: sequence(c)["value"]["Scaling"].update(scale="1"), "<"),
        (lambda c, a: sequence(c).update(extent=10**400), "whole number"),
        (lambda c, a: correlation(c).update(cycle=2.0), "cycle None"),
        (lambda c, a: sequence(c).update(bands={"tuple": ["r", "g"]}), "sorted"),
        (lambda c, a: c["fitted"]["dict"].update(x={"array": ["a"], "dtype": "U500000000"}), "notes x"),
        (lambda c, a: c["fitted"]["dict"].update(x={"array": ["a" * 10**5, *[""] * 10**4], "dtype": "U"}), "too large"),
        (lambda c, a: c["fitted"]["dict"].update(x={"array": [1], "dtype": "V8"}), "V8"),
        (lambda c, a: c["fitted"]["dict"].update(x={"array": [1], "dtype": "f4,("}), "does not describe a valid model"),
        (
            lambda c, a: a.update({k: np.full_like(v, np.nan) for k, v in a.items() if v.dtype.kind == "f"}),
            "not finite",
        ),
        (lambda c, a: a.update({k: v.astype(np.float64) for k, v in a.items()}), "float64"),
        (lambda c, a: a.update(other=np.zeros(3)), "other"),
    ],
)
def test_what_cannot_be_is_named(honest, change, wanted, tmp_path):
    path = next(path for path, _ in honest if path.name == "0-DAEPEncoder.safetensors")
    start = time.perf_counter()
    with pytest.raises(skdaep.CorruptModelError, match=wanted):
        skdaep.load(edited(path, change, tmp_path / "forged"))
    assert time.perf_counter() - start < forged.MOST_SECONDS


@pytest.mark.parametrize(
    ("name", "change", "wanted"),
    [
        ("DualFormer", lambda c, a: c["model"]["options"]["dict"].update(n_dual_layers=4000), "n_dual_layers"),
        (
            "FunctionalPCA",
            lambda c, a: c["model"].update(
                scatter={"dict": {k: {"Scatter": {"spread": 2.0}} for k in c["model"]["modalities"]["dict"]}}
            ),
            "has no spread",
        ),
    ],
)
def test_what_cannot_be_of_other_models_is_named(honest, name, change, wanted, tmp_path):
    path = [path for path, _ in honest if path.name.endswith(f"-{name}.safetensors")][-1]
    with pytest.raises(skdaep.CorruptModelError, match=wanted):
        skdaep.load(edited(path, change, tmp_path / "forged"))


def state(content):
    """Return the parts of a checkpoint's state by name; lists and dicts in it can be changed."""
    return {pair[0]: pair for pair in content["state"]["dict"]}


def tensors(arrays, *endings):
    return [k for k in arrays if k.endswith(endings)]


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (lambda c, a: state(c)["iteration"].__setitem__(1, 10**12), "from 1 to 6"),
        (lambda c, a: state(c)["n_summed"].__setitem__(1, 0), "ends before step 5"),
        (lambda c, a: state(c)["history"][1].pop(), "has not 2 records"),
        (lambda c, a: state(c)["history"][1].append(1), "not subscriptable"),
        (lambda c, a: state(c)["seconds"].__setitem__(1, -1.0), "no length of time"),
        (lambda c, a: state(c)["since_best"].__setitem__(1, -1), "since_best"),
        (lambda c, a: state(c)["sums"].__setitem__(1, {"dict": []}), "is not part of any state"),
        (lambda c, a: state(c)["batches"][1]["dict"][1].__setitem__(1, -1), "n_given"),
        (lambda c, a: state(c)["batches"][1]["dict"][0][1]["dict"][1][1]["dict"][1].__setitem__(1, 0), "stream"),
        (lambda c, a: state(c)["objective"].__setitem__(1, state(c)["average"][1]), "'/average/"),
        (lambda c, a: c["state"]["dict"].append(["colour", 1]), "its parts are"),
        (lambda c, a: c["state"]["dict"].append(["seconds", 1]), "twice"),
        (lambda c, a: c["identity"].update(seed=-1), "its seed"),
        (lambda c, a: c["identity"].update(parameters={"x": 1}), "must be str"),
        (lambda c, a: a.update({k: a[k] - 10 for k in tensors(a, "/n_averaged")}), "averages of 5 steps"),
        (lambda c, a: a.update({k: a[k] * 0 for k in tensors(a, "/step")}), "1 to 5 steps"),
        (lambda c, a: a.update({k: a[k][..., :-1] for k in tensors(a, "/momentum")}), "momentum.*but must be"),
        (lambda c, a: a.update({k: a[k] * np.nan for k in tensors(a, "weight")}), "not finite"),
        (lambda c, a: a.update({k: a[k].astype(np.float64) for k in tensors(a, "weight")}), "float64"),
        (lambda c, a: a.update(x=np.zeros(1)), "'x' is not part of any state"),
    ],
)
def test_what_no_training_comes_to_is_named(checkpoints, change, wanted, tmp_path):
    path, go_on = checkpoints[0]
    target = edited(path, change, tmp_path / "forged.fit")
    before = target.read_bytes()
    with pytest.raises(skdaep.CorruptModelError, match=rf"{wanted}.*delete the file to start again"):
        go_on(target)
    assert target.read_bytes() == before


@pytest.mark.parametrize("part", ["objective", "average"])
def test_a_core_that_no_training_comes_to_is_named(checkpoints, part, tmp_path):
    path, go_on = checkpoints[1]

    def change(content, arrays):
        names = [k for k in arrays if k.startswith(f"/{part}/") and k.endswith("entries.nodes.location")]
        assert names
        arrays.update({k: -arrays[k] for k in names})

    with pytest.raises(skdaep.CorruptModelError, match="nodes are not in order"):
        go_on(edited(path, change, tmp_path / "forged.fit"))


def large(checkpoints, part, number, tmp_path):
    """Go on with a fit that holds nothing out, so that no loss after the last step tells of weights so large."""
    path, go_on = checkpoints[2]

    def change(content, arrays):
        names = [k for k in arrays if k.startswith("/average/") and part in k]
        arrays.update({k: np.full_like(arrays[k], number) for k in names})

    go_on(edited(path, change, tmp_path / "forged.fit"))


def test_weights_that_predict_no_numbers_are_no_fit(checkpoints, tmp_path):
    with pytest.raises(skdaep.DivergenceError, match=r"not finite for X\[\d+\], X"):
        large(checkpoints, "decoder_tokenizers", 3e38, tmp_path)


def test_predictions_whose_squares_are_beyond_single_precision_are_numbers(checkpoints, tmp_path):
    large(checkpoints, "heads", 1e19, tmp_path)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[" * 10**5 + "]" * 10**5, "recursion"),
        ('{"class": 1, "class": 2}', "'class' is repeated"),
        ('{"class": NaN}', "NaN is no number"),
        ('{"class": ' + "9" * 5000 + "}", "digits"),
    ],
)
def test_odd_json_is_refused(honest, text, wanted, tmp_path, monkeypatch):
    (path, _), *_ = honest
    monkeypatch.setattr(json, "dumps", lambda *args, **options: text)
    target = edited(path, lambda content, arrays: None, tmp_path / "forged")
    monkeypatch.undo()
    with pytest.raises(skdaep.CorruptModelError, match=wanted):
        skdaep.load(target)
    with pytest.raises(skdaep.CorruptModelError, match=wanted):
        skdaep.info(target)


def test_a_name_twice_in_the_header_is_refused(honest, tmp_path):
    (path, _), *_ = honest
    data = path.read_bytes()
    n = int.from_bytes(data[:8], "little")
    header = data[8 : 8 + n].rstrip()
    name = header.partition(b'"weights/')[2].partition(b'"')[0]
    again = header[:-1] + b',"weights/' + name + b'":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'
    (tmp_path / "forged").write_bytes(len(again).to_bytes(8, "little") + again + data[8 + n :])
    with pytest.raises(skdaep.CorruptModelError, match="twice"):
        skdaep.load(tmp_path / "forged")


# --- who wrote it -----------------------------------------------------------------------------------


def test_a_key_tells_who_wrote_a_file(honest, tmp_path):
    path, objects = honest[0]
    estimator, target = skdaep.load(path), tmp_path / "signed"
    estimator.save(target, key="a secret")
    loaded = skdaep.load(target, key=b"a secret")
    np.testing.assert_array_equal(loaded.transform(objects), estimator.transform(objects))
    skdaep.load(target)  # a checksum needs no key
    assert skdaep.info(target).signed
    assert not skdaep.info(path).signed
    with pytest.raises(skdaep.CorruptModelError, match="another key, or changed since"):
        skdaep.load(target, key="another")
    with pytest.raises(skdaep.CorruptModelError, match="signed with no key"):
        skdaep.load(path, key="a secret")
    for none in ("", b"", 3):
        with pytest.raises(TypeError, match="key is a"):
            estimator.save(tmp_path / "x", key=none)
    assert not (tmp_path / "x").exists()


def test_a_changed_weight_is_found_by_the_key_though_its_checksum_is_right(honest, tmp_path):
    path, _ = honest[0]
    skdaep.load(path).save(tmp_path / "signed", key="a secret")

    def change(content, arrays):
        name = next(k for k, v in arrays.items() if v.ndim == 2)
        arrays[name] = arrays[name] + 1

    target = edited(tmp_path / "signed", change, tmp_path / "forged")
    skdaep.load(target)
    with pytest.raises(skdaep.CorruptModelError, match="another key, or changed since"):
        skdaep.load(target, key="a secret")
