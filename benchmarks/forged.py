"""Models and checkpoints forged at random, their checksums made right again: each must be refused, or harmless.

``python -m benchmarks.forged`` changes sizes, types, names, tensors and nesting of honest files (20,000 files,
``--minutes`` at most): of models of every class, which it loads and uses, and of checkpoints of fits and of a prior,
with which it goes on. A file is harmless if nothing but skdaep's own errors is raised, at no more than 300 MB and 5 s
of CPU time beyond what the honest file takes. ``tests/model/test_forged.py`` does the same with 500.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import copy
import functools
import hashlib
import json
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import safetensors.numpy
import torch
from safetensors import safe_open

import skdaep
from skdaep.model import CheckpointFile
from skdaep.model.files import _sha256

from . import _report

MOST_BYTES, MOST_SECONDS = 300e6, 5.0
DEEPEST = 200  # entries further down, which a change before has nested, are left alone
#: what sizes, numbers and texts are replaced by
ODD = [
    *(0, -1, 1, 2, 3, 7, 64, 1000, 4096, 10_000, 10**5, 10**9, 2**31, 2**53, 2**63, 2**64, 10**30, 10**400, -(10**20)),
    *(0.0, -1.0, 0.5, 1e-300, 1e-30, 1e30, 1e300, float("nan"), float("inf"), -0.0, 1.5, True, False, None),
    *("", "x", "nan", "U500000000", "<f8", "O", "V8", "f4,(", "<M8[s]", "é\ud800", "../../etc", "Denoising", "Model"),
    *("flux", "time", "mag", "km/s", "sequence", "cuda:99", [], {}, [[]], {"dict": {}}, {"tuple": []}),
    {"float": "inf"},
    *({"array": ["a" * 1000] * 100, "dtype": "U500000000"}, {"Scaling": {"origin": 0.0, "scale": 0.0}}, [1, 2, 3]),
    {"array": [1], "dtype": "<i8", "shape": [10**9]},
]


# --- forging ----------------------------------------------------------------------------------------


def forged(path: Path, rng: np.random.Generator) -> tuple[bytes, str]:
    """Return the content of a file like an honest one but for one to three changes, and what was changed."""
    with safe_open(path, framework="numpy") as file:
        arrays, about = {k: file.get_tensor(k) for k in file.keys()}, file.metadata()
    content = json.loads(about["skdaep"])
    changes = [_change(content, arrays, rng) for _ in range(rng.choice([1, 1, 1, 2, 3]))]
    content["sha256"] = {k: _sha256(v) for k, v in arrays.items()}
    try:
        text = json.dumps(content)
        if rng.random() < 0.03:
            text, changes = _by_text(text, rng), [*changes, "text"]
        about |= {"skdaep": text, "sha256": hashlib.sha256(text.encode(errors="replace")).hexdigest()}
        return safetensors.numpy.save(arrays, metadata=about), "; ".join(changes)
    except Exception:  # what cannot be written is no file
        return forged(path, rng)


def _change(content: dict, arrays: dict, rng: np.random.Generator) -> str:
    content.pop("sha256", None)
    return _tensor(arrays, rng) if rng.random() < 0.25 else _entry(content, rng)


def _entry(content: dict, rng: np.random.Generator) -> str:
    """Change an entry of the description, sizes and the like more often than long lists of numbers."""
    places: dict[str, list] = collections.defaultdict(list)
    for holder, key, name in _places(content, ""):
        places[name].append((holder, key))
    name = list(places)[rng.integers(len(places))]
    holder, key = places[name][rng.integers(len(places[name]))]
    kind = rng.choice(["put", "put", "put", "scale", "drop", "rename", "swap", "nest", "list"])
    if kind == "put":
        holder[key] = ODD[rng.integers(len(ODD))]
    elif kind == "scale" and isinstance(holder[key], (int, float)):
        holder[key] = type(holder[key])(holder[key] * float(rng.choice([-1, 0, 2, 3, 10, 1000, 1e6])))
    elif kind == "drop":
        del holder[key]
    elif kind == "rename" and isinstance(holder, dict):
        holder[str(rng.choice(["x", "dict", "tuple", "array", "", "sequence", "Image"]))] = holder.pop(key)
    elif kind == "swap":
        other, there = places[list(places)[rng.integers(len(places))]][0]
        if other is not holder:
            holder[key] = json.loads(json.dumps(other[there]))
    elif kind == "nest":
        for _ in range(int(rng.choice([1, 60, 300]))):
            holder[key] = {"tuple": [holder[key]]}
    elif isinstance(holder[key], list):
        holder[key] = holder[key] * int(rng.integers(0, 4))
    return f"{kind} {name}"


def _places(x, name: str, depth: int = 0):
    """Yield holder, key and name of every entry; those of a list share a name."""
    for key, value in list(x.items() if isinstance(x, dict) else enumerate(x)):
        named = x[0] if isinstance(x, list) and len(x) == 2 and isinstance(x[0], str) else "*"  # an entry of a dict
        own = f"{name}/{key if isinstance(x, dict) else named}"
        yield x, key, own
        if isinstance(value, (dict, list)) and depth < DEEPEST:
            yield from _places(value, own, depth + 1)


def _tensor(arrays: dict, rng: np.random.Generator) -> str:
    name = list(arrays)[rng.integers(len(arrays))]
    kinds = ["drop", "add", "rename", "shape", "type", "nan", "huge", "cut", "grow", "random"]
    array, kind = arrays[name], rng.choice(kinds)
    if kind == "drop":
        del arrays[name]
    elif kind == "add":
        arrays[f"{name}x"] = array
    elif kind == "rename":
        others = ["seed/x", "x", "networks/y", "prior/mean", "table/z", "weights/", "/"]
        arrays[str(rng.choice(others))] = arrays.pop(name)
    elif kind == "shape":
        arrays[name] = array.reshape(rng.permutation(array.shape) if array.ndim > 1 else (1, *array.shape))
    elif kind == "type":
        with np.errstate(invalid="ignore"):
            arrays[name] = array.astype(rng.choice(["f2", "f8", "i8", "u1", "?"]))
    elif kind in ("nan", "huge") and array.dtype.kind == "f":
        odd = np.nan if kind == "nan" else 3e38
        arrays[name] = np.where(rng.random(array.shape) < 0.5, odd, array).astype(array.dtype)
    elif kind == "cut" and array.ndim:
        arrays[name] = array[: int(rng.integers(0, len(array) + 1))]
    elif kind == "grow" and array.ndim:
        arrays[name] = np.concatenate([array] * int(rng.integers(2, 5)))
    elif array.dtype.kind in "if":
        arrays[name] = (rng.standard_normal(array.shape) * 10 ** rng.uniform(-3, 9)).astype(array.dtype)
    return f"{kind} tensor {name}"


def _by_text(text: str, rng: np.random.Generator) -> str:
    """Return a description that no writer of JSON gives: nested deep, a name twice, cut short."""
    return [
        "[" * 100_000 + "]" * 100_000,
        '{"a":' * 3000 + "1" + "}" * 3000,
        text[:-1] + ', "class": "DAEPEncoder"}',
        text[: len(text) // 2],
        text.replace("1", "NaN", 1),
        text.replace("1", "9" * 5000, 1),
    ][rng.integers(6)]


# --- what becomes of a file -------------------------------------------------------------------------

OWN = (skdaep.TableError, skdaep.DivergenceError, skdaep.DeviceError, skdaep.CorruptModelError)


def outcome(path: Path, objects: list | Callable) -> str:
    """Return "refused", "harmless", or the error that is neither, after using a file.

    A model is loaded and used for objects; with a checkpoint a training goes on, by a function of its path.
    """
    return _of_checkpoint(path, objects) if callable(objects) else _of_model(path, objects)


def _of_checkpoint(path: Path, go_on: Callable) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            go_on(path)
        except skdaep.CorruptModelError:
            return "refused"
        except OWN:
            return "harmless"
        except Exception as error:
            return "refused" if "another fit" in str(error) else f"fit: {_told(error)}"
    return "harmless"


def _of_model(path: Path, objects: list) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            estimator = skdaep.load(path)
        except (skdaep.CorruptModelError, skdaep.DeviceError):
            return "refused"
        except Exception as error:
            return f"load: {_told(error)}"
        for use in (_encodes, _decodes, _reconstructs, _draws, _keeps):
            try:
                use(estimator, objects, path)
            except OWN:
                pass
            except Exception as error:
                return f"use: {_told(error)}"
    return "harmless"


def _encodes(estimator, objects, path):
    estimator.transform(objects)
    estimator.score(objects)


def _decodes(estimator, objects, path):
    estimator.inverse_transform(np.zeros((1, int(np.prod(estimator.bottleneck_shape_))), np.float32))


def _reconstructs(estimator, objects, path):
    estimator.reconstruct(objects[:2])


def _draws(estimator, objects, path):
    if estimator.objective_class.draws is not None:
        estimator.reconstruct(objects[:2], n_draws=2)
    if estimator.model_.has_prior:
        estimator.sample(2)


def _keeps(estimator, objects, path):
    repr((estimator, estimator.get_params(), estimator.history_, estimator.modalities_))
    estimator.get_feature_names_out()
    estimator.save(path.with_suffix(".again"))
    skdaep.load(path.with_suffix(".again"))
    str(skdaep.info(path))


def _told(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {str(error)[:80]} ({Path(last.filename).name}:{last.lineno})"


# --- measuring --------------------------------------------------------------------------------------


def peak() -> float:
    """Return the most bytes that this process has had in memory since `forget_peak`."""
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM"))
    return 1024.0 * int(line.split()[1])


def forget_peak() -> None:
    """Begin anew with `peak`."""
    Path("/proc/self/clear_refs").write_text("5")


def measured(path: Path, objects: list | Callable) -> tuple[str, float, float]:
    """Return the outcome, and the bytes and seconds of CPU time that it took."""
    forget_peak()
    before, start = peak(), time.process_time()
    found = outcome(path, objects)
    return found, peak() - before, time.process_time() - start


# --- honest files -----------------------------------------------------------------------------------


def honest(folder: Path) -> list[tuple[Path, list]]:
    """Write a small file of every kind of model; return each and objects of its kind."""
    from skdaep.datasets import make_supernova_light_curves, make_supernova_spectra

    curves, _ = make_supernova_light_curves(14, random_state=0)
    spectra, _ = make_supernova_spectra(14, random_state=0)
    both = [{"photometry": c, "spectrum": s} for c, s in zip(curves, spectra, strict=True)]
    rng = np.random.default_rng(0)
    rows, images = rng.normal(size=(14, 9)), rng.normal(size=(14, 8, 8))
    photometry, spectrum = skdaep.Photometry(metadata=("redshift",)), skdaep.Spectrum(metadata=("phase",))
    several = {"photometry": photometry, "spectrum": spectrum}
    tiny = dict(model_dim=8, n_heads=2, n_encoder_layers=1, n_decoder_layers=1, n_components=3, max_iter=3)
    tiny |= dict(bottleneck_length=2, bottleneck_dim=2, n_sampling_steps=3, random_state=0, device="cpu")
    made = []
    for name, measured_by, objects in [
        *((name, photometry, curves) for name in skdaep.ESTIMATORS),
        *((name, spectrum, spectra) for name in ("DAEPEncoder", *skdaep.CLOSED_FORM)),
        *((name, several, both) for name in skdaep.MULTIMODAL),
        *((name, None, rows) for name in ("DAEPEncoder", *skdaep.CLOSED_FORM)),
        *((name, skdaep.Image(), images) for name in ("MAEPEncoder", *skdaep.CLOSED_FORM)),
    ]:
        cls = getattr(skdaep, name)
        known = cls(measured_by).get_params()
        estimator = cls(measured_by, **{k: v for k, v in tiny.items() if k in known})
        if name == "ContrastiveNeighbors":
            estimator.set_params(validation_fraction=0.4)
        if name == "MAEPEncoder":
            estimator.set_params(share_weights=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator.fit(objects)
            if name == "DAEPEncoder":
                estimator.fit_prior(objects, max_iter=2)
        path = folder / f"{len(made)}-{name}.safetensors"
        estimator.save(path)
        made.append((path, objects[:3]))
    return made


class _Stop(BaseException):
    """Ends a training as a kill does."""


def _write_and_stop(write: Callable, n_steps: int) -> Callable:
    def stopping(self, state):
        write(self, state)
        if state["iteration"] == n_steps:
            raise _Stop

    return stopping


#: records are of so many steps here, so that there are some before and one after the state that is kept
SHORT_RECORDS = mock.patch("skdaep.model.fitting.STEPS_PER_RECORD", 2)


def go_on(estimator, objects: list, train: str, path: Path, **options) -> None:
    """Go on with a training from its checkpoint, or begin it; `fit_prior` adds ".prior" to the parameter."""
    own = path if train == "fit" else path.with_suffix("")
    estimator = copy.deepcopy(estimator).set_params(checkpoint=own, checkpoint_every=0)
    with SHORT_RECORDS:
        getattr(estimator, train)(objects, **options)


def honest_checkpoints(folder: Path) -> list[tuple[Path, Callable]]:
    """Write checkpoints of trainings of several kinds; return each and what goes on with one."""
    from skdaep.datasets import make_supernova_light_curves, make_supernova_spectra

    curves, _ = make_supernova_light_curves(12, random_state=0)
    spectra, _ = make_supernova_spectra(12, random_state=0)
    both = [{"photometry": c, "spectrum": s} for c, s in zip(curves, spectra, strict=True)]
    photometry, spectrum = skdaep.Photometry(), skdaep.Spectrum()
    several = {"photometry": photometry, "spectrum": spectrum}
    tiny = dict(model_dim=16, n_heads=2, n_encoder_layers=1, n_decoder_layers=1, bottleneck_length=2, bottleneck_dim=2)
    tiny |= dict(max_iter=6, batch_size=4, validation_fraction=0.4, random_state=0, device="cpu")
    made = []
    for name, measured_by, objects, further in [
        ("DAEPEncoder", photometry, curves, {"core": None}),
        ("DAEPEncoder", None, np.random.default_rng(0).normal(size=(12, 9)), {"core": "linear"}),
        ("DAEPEncoder", photometry, curves, {"random_state": None, "early_stopping": False}),
        ("MAEPEncoder", spectrum, spectra, {"solver": "adamw", "max_iter": 5}),
        ("BetaVAEEncoder", photometry, curves, {}),
        ("MultimodalDAEP", several, both, {"contrastive_weight": 0.1}),
        ("MixtureOfExpertsVAE", several, both, {}),
        ("ContrastiveNeighbors", several, both, {}),
    ]:
        cls = getattr(skdaep, name)
        known = cls(measured_by).get_params()
        estimator = cls(measured_by, **{k: v for k, v in (tiny | further).items() if k in known})
        made.append((f"{len(made)}-{name}", functools.partial(go_on, estimator, objects, "fit")))
    with warnings.catch_warnings(action="ignore"):
        fitted = skdaep.DAEPEncoder(photometry, **tiny).fit(curves)
    made.append(("prior", functools.partial(go_on, fitted, curves, "fit_prior", max_iter=6)))
    stopping = mock.patch.object(CheckpointFile, "write", _write_and_stop(CheckpointFile.write, 5))
    paths = [folder / f"{name}.{'prior' if name == 'prior' else 'fit'}" for name, _ in made]
    for path, (_, training) in zip(paths, made, strict=True):
        with warnings.catch_warnings(action="ignore"), stopping, contextlib.suppress(_Stop):
            training(path)
    return [(path, training) for path, (_, training) in zip(paths, made, strict=True)]


def put(data: bytes, like: Path, folder: Path) -> Path:
    """Write a file where neither the honest one is touched nor what its name ends with is lost."""
    target = folder / f"forged{like.suffix}"
    target.write_bytes(data)
    return target


def main(arguments=None) -> None:
    """Forge, use, and tell."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--n-files", type=int, default=20_000)
    parser.add_argument("--share", type=float, default=0.2, help="of them that are checkpoints")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        found = _all(Path(name), options)
    counts = {kind: dict(collections.Counter(x["outcome"] for x in found if x["kind"] == kind)) for kind in KINDS}
    odd = [x for x in found if x["outcome"] == "neither" or x["bytes"] > MOST_BYTES or x["seconds"] > MOST_SECONDS]
    most = {key: max(x[key] for x in found) for key in ("bytes", "seconds")}
    told = [f"{sum(n.values())} {kind}: {n}" for kind, n in counts.items()]
    told += [
        f"{len(odd)} not as they should be",
        f"at most {most['bytes'] / 1e6:.0f} MB and {most['seconds']:.2f} s of ",
    ]
    told[-1] += "CPU time beyond an honest file"
    content = {"seed": options.seed, "counts": counts, "most_beyond_honest": most, "odd": odd}
    _report.write("forged", content, "\n".join(told))


KINDS = ("models", "checkpoints")


def _all(folder: Path, options) -> list[dict]:
    """Forge and use all files; return what became of each."""
    files = dict(zip(KINDS, (honest(folder), honest_checkpoints(folder)), strict=True))
    usual = {}
    for path, objects in [*files["models"], *files["checkpoints"]] * 2:  # twice: some is imported and cached once
        usual[path] = measured(put(path.read_bytes(), path, folder), objects)
        assert usual[path][0] == "harmless", f"{path.name}, which is honest: {usual[path][0]}"
    found, end = [], time.monotonic() + 60 * options.minutes
    for i in range(options.n_files):
        rng = np.random.default_rng([options.seed, i])
        kind = KINDS[int(rng.random() < options.share)]
        path, objects = files[kind][rng.integers(len(files[kind]))]
        data, change = forged(path, rng)
        what, n_bytes, seconds = measured(put(data, path, folder), objects)
        outcome = what if what in ("refused", "harmless") else "neither"
        costs = {"bytes": n_bytes - usual[path][1], "seconds": seconds - usual[path][2]}
        found.append({"kind": kind, "outcome": outcome} | costs)
        if outcome == "neither" or costs["bytes"] > MOST_BYTES or costs["seconds"] > MOST_SECONDS:
            found[-1] |= {"number": i, "file": path.name, "change": change, "told": what}
            print(found[-1], flush=True)
        if i % 500 == 499:
            print(f"{i + 1} files", flush=True)
        if time.monotonic() > end:
            break
    return found


if __name__ == "__main__":
    main()
