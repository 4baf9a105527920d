"""Encoders as ONNX graphs give what `transform` gives; what they are fed is made of their own metadata alone."""

import json
from unittest import mock

import numpy as np
import pytest
import torch
from astropy.table import Table

import skdaep
from skdaep.model.export import encoding

ESTIMATORS = (*skdaep.ESTIMATORS, *skdaep.MULTIMODAL)
pytestmark = pytest.mark.filterwarnings("ignore::skdaep.exceptions.LevelOnlyWarning")  # of so few steps
SMALL = dict(
    core=None,
    model_dim=8,
    n_heads=2,
    n_encoder_layers=1,
    n_decoder_layers=1,
    bottleneck_length=2,
    bottleneck_dim=1,
    max_iter=2,
    random_state=0,
)


def as_array(obj, about, longest):
    """One object's entry of an input: filled up with NaN, or with -1 where there are labels."""
    labels = {name: i for i, name in enumerate(about.get("labels", ()))}
    absent = -1 if labels else np.nan
    if "key" in about:
        value = obj.meta.get(about["key"], absent)
        return labels.get(value, value)
    if "column" not in about:
        return np.asarray(obj, float)
    column = (
        [labels[x] for x in obj[about["column"]]]
        if labels
        else np.ma.filled(np.ma.asarray(obj[about["column"]]), np.nan)
    )
    return np.pad(np.asarray(column, float), (0, longest - len(obj)), constant_values=absent)


def feed(inputs, objects):
    """The arrays that a graph with these inputs takes."""
    arrays = {}
    for name, about in inputs.items():
        modality = name.partition(".")[0] if isinstance(objects[0], dict) else None
        own = [o if modality is None else o.get(modality) for o in objects]
        if name.endswith(".present"):
            arrays[name] = np.array([o is not None for o in own])
            continue
        longest = max((len(o) for o in own if o is not None), default=1)
        rows = [None if o is None else as_array(o, about, longest) for o in own]
        absent = np.full(about["axes"][1:] if "points" not in about["axes"] else longest, np.nan)
        some = next((np.full(np.shape(r), -1 if "labels" in about else np.nan) for r in rows if r is not None), absent)
        arrays[name] = np.array([some if r is None else r for r in rows]).astype(about["dtype"])
    return arrays


def in_torch(estimator, arrays):
    """What the graph holds, computed by torch as it is traced."""
    module = encoding(estimator.model_)
    with mock.patch("torch.compiler.is_compiling", return_value=True), torch.no_grad():
        return module(*(torch.from_numpy(arrays[name]) for name in module.inputs)).numpy()


def inputs_of(estimator):
    inputs = encoding(estimator.model_).inputs
    return {k: {"dtype": str(x.dtype)[6:], "axes": list(x.axes), **x.about} for k, x in inputs.items()}


def agrees(estimator, X):
    Z = estimator.transform(X)
    assert Z.std() > 1e-3
    np.testing.assert_allclose(in_torch(estimator, feed(inputs_of(estimator), X)), Z, rtol=1e-5, atol=2e-5)


def spectra(make_spectrum):
    return [make_spectrum(i) for i in range(12)]


def images():
    pixels = np.random.default_rng(0).normal(size=(12, 8, 8))
    pixels[3, 0, 0] = np.nan
    return pixels


def series(i):
    rng = np.random.default_rng(i)
    table = Table({"time": rng.choice([0.0, 5.0, 9.0], 20), "wavelength": rng.uniform(4000, 7000, 20)})
    table["flux"] = rng.normal(size=20)
    table["flux"][:2] = np.nan
    return table


# --- the same codes ---------------------------------------------------------------------------------


def test_of_every_encoder(fresh, objects):
    agrees(fresh, objects)


@pytest.mark.parametrize("core", [None, "linear"])
def test_of_every_geometry(core, make_spectrum, make_light_curve):
    def fit(modality, X):
        return skdaep.DAEPEncoder(modality, **SMALL | {"core": core}).fit(X), X

    folded = [make_light_curve(i) for i in range(12)]
    for table in folded:
        table["phase"] = table["time"].value / 7 % 1
    rows = np.random.default_rng(1).normal(size=(12, 40))
    rows[2, :3] = np.nan
    agrees(*fit(skdaep.Spectrum(), spectra(make_spectrum)))
    agrees(*fit(skdaep.Image(), images()))
    agrees(*fit(None, rows))
    if core is None:
        agrees(*fit(skdaep.Sequence(value="mag", location="phase", band="band", cycle=1.0), folded))
        agrees(*fit(skdaep.SpectralSeries(), [series(i) for i in range(12)]))


def test_of_isometric_codes(make_spectrum):
    X = spectra(make_spectrum)
    for kind in (skdaep.MAEPEncoder, skdaep.DAEPEncoder):
        agrees(kind(skdaep.Spectrum(), isometric=True, **SMALL).fit(X), X)


@pytest.mark.parametrize("hidden", [None, 4])
@pytest.mark.parametrize("name", skdaep.MULTIMODAL)
def test_of_images_beside_sequences_any_of_which_may_be_missing(name, hidden, make_light_curve, make_spectrum):
    X = [{"p": make_light_curve(i), "s": make_spectrum(i), "i": image} for i, image in enumerate(images())]
    del X[1]["s"], X[2]["p"], X[4]["i"], X[5]["i"], X[5]["p"]
    modalities = {"p": skdaep.Photometry(metadata=("redshift",)), "s": skdaep.Spectrum(), "i": skdaep.Image()}
    if name == "DualFormer":  # of two views, and always with hidden tokens
        if hidden is None:
            return
        del modalities["p"]
        X = [{k: v for k, v in x.items() if k != "p"} for x in X if x.keys() & {"s", "i"}]
    known = getattr(skdaep, name)(modalities).get_params()
    small = {k: v for k, v in SMALL.items() if k in known} | {"encoder_hidden_length": hidden}
    agrees(getattr(skdaep, name)(modalities, validation_fraction=0.4, **small).fit(X), X)


@pytest.mark.filterwarnings("ignore::skdaep.LevelOnlyWarning")  # of so few objects
def test_errors_weigh_and_an_infinite_one_is_no_measurement(make_light_curve):
    X = [make_light_curve(i) for i in range(12)]
    for i, table in enumerate(X):
        table["mag"][:] += 0.5 * i
        table["mag_err"] *= np.random.default_rng(i).uniform(0.5, 9, len(table))
    X[0]["mag_err"][1] = np.inf
    agrees(skdaep.FunctionalPCA(n_components=3, error_weighting=True, random_state=0).fit(X), X)
    agrees(skdaep.DAEPEncoder(error_weighting=True, isometric=True, **SMALL | {"core": "linear"}).fit(X), X)


# --- what transform refuses -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def light_curves(make_light_curve):
    X = [make_light_curve(i, 9) for i in range(12)]
    return skdaep.DAEPEncoder(skdaep.Photometry(metadata=("redshift", "survey")), **SMALL).fit(X), X


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("value", v) for v in (np.inf, 1e9)],
        *[("location", v) for v in (-np.inf, 1e12)],
        *[("band", 2), ("error", -1.0), ("metadata.redshift", 1e9), ("metadata.redshift", np.inf)],
        *[("metadata.survey", 2)],
    ],
)
def test_what_transform_refuses_has_no_code(light_curves, name, value):
    encoder, X = light_curves
    arrays = feed(inputs_of(encoder), X)
    arrays[name][(4, 3)[: arrays[name].ndim]] = value
    z = in_torch(encoder, arrays)
    assert np.isnan(z[4]).all()
    np.testing.assert_allclose(np.delete(z, 4, 0), encoder.transform(X[:4] + X[5:]), rtol=1e-5, atol=2e-5)


def test_nor_has_an_object_without_a_point(light_curves):
    encoder, X = light_curves
    arrays = feed(inputs_of(encoder), X)
    arrays["value"][0], arrays["band"][1] = np.nan, -1
    assert np.isnan(in_torch(encoder, arrays)).all(1).tolist() == [True, True] + [False] * 10


@pytest.mark.parametrize(
    ("name", "nothing"), [("value", np.nan), ("location", np.nan), ("band", -1), ("error", np.inf)]
)
def test_a_point_that_lacks_something_does_not_count(light_curves, name, nothing):
    encoder, X = light_curves
    arrays = feed(inputs_of(encoder), X)
    arrays[name][:, 4] = nothing
    without = [table[np.arange(len(table)) != 4] for table in X]
    np.testing.assert_allclose(in_torch(encoder, arrays), encoder.transform(without), rtol=1e-5, atol=2e-5)


def test_unknown_labels_are_ignored_where_that_was_asked_for(make_light_curve):
    X = [make_light_curve(i, 9) for i in range(12)]
    modality = skdaep.Photometry(metadata=("survey",), unknown="ignore")
    encoder = skdaep.DAEPEncoder(modality, **SMALL).fit(X)
    arrays = feed(inputs_of(encoder), X)
    arrays["band"][0, 0], arrays["metadata.survey"][0] = 2, 7
    other = X[0].copy()
    other["band"][0], other.meta["survey"] = "z", "DES"
    np.testing.assert_allclose(in_torch(encoder, arrays)[0], encoder.transform([other])[0], rtol=1e-5, atol=2e-5)


class Brighter(skdaep.Sequence):
    """Reads otherwise than a Sequence."""

    def read_all(self, objects, object_names, values=True):
        return super().read_all(objects, object_names, values)


def test_a_modality_that_reads_otherwise_is_refused(X):
    encoder = skdaep.DAEPEncoder(Brighter(prefer=("mag", "time")), **SMALL).fit(X)
    with pytest.raises(NotImplementedError, match=r"Brighter cannot be exported: it has no inlet\(\)"):
        encoding(encoder.model_)


def test_without_the_extra_the_error_says_how_to_get_it(light_curves, monkeypatch, tmp_path):
    monkeypatch.setattr("skdaep.model.export.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"export_onnx needs onnx and onnxscript: pip install skdaep\[onnx\]"):
        light_curves[0].export_onnx(tmp_path / "encoder.onnx")
    assert not list(tmp_path.iterdir())


# --- the file ---------------------------------------------------------------------------------------


def session_of(encoder, path):
    """Export an encoder; return the session that runs the file, and what the file says of itself."""
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    encoder.export_onnx(path)
    session = runtime.InferenceSession(path.read_bytes())
    return session, json.loads(session.get_modelmeta().custom_metadata_map["skdaep"])


@pytest.mark.filterwarnings("ignore:.*deprecated")
def test_a_file_of_modalities_gives_what_transform_gives(tmp_path, make_light_curve):
    def obj(i, n):
        return {"p": make_light_curve(i, n), "i": np.random.default_rng(i).normal(size=(4, 4))}

    X = [obj(i, 9) for i in range(12)]
    del X[1]["p"], X[2]["i"]
    modalities = {"p": skdaep.Photometry(metadata=("redshift", "survey")), "i": skdaep.Image()}
    small = {k: v for k, v in SMALL.items() if k != "core"}
    encoder = skdaep.MultimodalDAEP(modalities, encoder_hidden_length=None, **small).fit(X)
    session, about = session_of(encoder, tmp_path / "encoder.onnx")
    assert [p.name for p in tmp_path.iterdir()] == ["encoder.onnx"]
    assert about["estimator"] == "MultimodalDAEP"
    assert about["inputs"]["p.band"]["labels"] == ["g", "r"]
    assert about["inputs"]["p.location"]["unit"] == "d"
    for objects in (X, *([obj(99, n)] for n in (1, 2, 17, 300, 20_000))):
        (z,) = session.run(None, feed(about["inputs"], objects))
        np.testing.assert_allclose(z, encoder.transform(objects), rtol=1e-5, atol=2e-5)
    arrays = feed(about["inputs"], X) | {"p.present": np.zeros(12, bool)}
    (z,) = session.run(None, arrays)
    alone = [x for x in ({k: v for k, v in o.items() if k == "i"} for o in X) if x]
    np.testing.assert_allclose(np.delete(z, 2, 0), encoder.transform(alone), rtol=1e-5, atol=2e-5)
    assert np.isnan(z[2]).all()


@pytest.mark.filterwarnings("ignore:.*deprecated")
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("DAEPEncoder", {"core": "linear", "bottleneck_dim": 2}),
        ("DAEPEncoder", {}),
        ("MAEPEncoder", {"isometric": True}),
        ("BetaVAEEncoder", {}),
        ("FunctionalPCA", {"n_components": 3}),
    ],
)
def test_a_file_of_one_modality_gives_what_transform_gives(name, options, tmp_path, make_light_curve):
    kind = getattr(skdaep, name)
    metadata = () if name in skdaep.CLOSED_FORM else ("redshift", "survey")
    small = {k: v for k, v in (SMALL | options).items() if k in kind().get_params()}
    X = [make_light_curve(i, 9) for i in range(12)]
    encoder = kind(skdaep.Photometry(metadata=metadata), **small).fit(X)
    session, about = session_of(encoder, tmp_path / "encoder.onnx")
    for objects in (X, *([make_light_curve(99, n)] for n in (1, 2, 17, 300, 20_000))):
        (z,) = session.run(None, feed(about["inputs"], objects))
        np.testing.assert_allclose(z, encoder.transform(objects), rtol=1e-5, atol=2e-5)
    arrays = feed(about["inputs"], X)
    arrays["value"][5] = np.nan
    (z,) = session.run(None, arrays)
    assert np.isnan(z).all(1).nonzero()[0].tolist() == [5]
