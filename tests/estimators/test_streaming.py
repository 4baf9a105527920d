"""Objects are read, encoded and decoded some at a time: memory does not grow with their number, nor results change."""

import collections.abc
import gc
import weakref

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table

from skdaep import DAEPEncoder, Image, MultimodalDAEP, OutOfRangeWarning, Photometry, Spectrum, TableError
from skdaep.estimators import _base

CLOSE = dict(rtol=1e-5, atol=1e-5)


@pytest.fixture(params=[1, 20, 60])
def chunks(request, monkeypatch):
    """Make chunks of at least so many points; the objects have 3 to 18."""
    monkeypatch.setattr(_base, "POINTS_PER_CHUNK", request.param)


def assert_close(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, **CLOSE)


@pytest.fixture
def whole(fitted, X, supported_draws):
    """What comes out if all objects are one chunk."""
    return results(fitted, X, supported_draws)


def results(estimator, X, supported_draws):
    return {
        "codes": estimator.transform(X),
        "arrays": estimator.reconstruct(X, output="arrays"),
        "tables": [np.asarray(t["mag"]) for t in estimator.reconstruct(X)],
        "draws": estimator.reconstruct(X, n_draws=supported_draws, output="arrays"),
        "score": [estimator.score(X)],
    }


def test_results_do_not_depend_on_the_chunks(whole, fitted, X, supported_draws, chunks):
    for name, result in results(fitted, X, supported_draws).items():
        assert_close(result, whole[name])


def test_a_bad_object_in_a_later_chunk_is_named_by_its_index(fitted, X, chunks):
    X[9]["time"].unit = u.kg
    for method in (fitted.transform, fitted.reconstruct, fitted.score):
        with pytest.raises(TableError, match=r"X\[9\] column 'time'"):
            method(X)
    X[10] = None
    with pytest.raises(TableError, match=r"X\[10\] is not a Table but None"):
        fitted.transform([*X[:9], X[0], *X[10:]])


class OnDemand(collections.abc.Sequence):
    """Light curves that are made when they are asked for."""

    def __init__(self, make_light_curve, n):
        self.make, self.n = make_light_curve, n
        self.alive, self.most = weakref.WeakSet(), 0

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        if not 0 <= i < self.n:
            raise IndexError(i)
        table = self.make(i)
        self.alive.add(Counted(table))
        gc.collect()
        self.most = max(self.most, len(self.alive))
        return table


class Counted:
    """Lives as long as a Table, which cannot be put into a WeakSet itself."""

    def __init__(self, table):
        table.meta["counted"] = self


@pytest.fixture
def quick_collection():
    """Leave all that is there already out of garbage collections, which else take half a second each."""
    gc.freeze()
    yield
    gc.unfreeze()


def test_objects_made_on_demand_are_let_go_after_their_chunk(fitted, make_light_curve, monkeypatch, quick_collection):
    monkeypatch.setattr(_base, "POINTS_PER_CHUNK", 40)
    X = OnDemand(make_light_curve, 30)
    Z = fitted.transform(X)
    assert 1 < X.most < 15
    assert_close(Z, fitted.transform(list(X)))
    assert fitted.score(X) == pytest.approx(fitted.score(list(X)), rel=1e-5)


def test_rows_and_images_are_chunked_too(monkeypatch):
    tiny = dict(model_dim=8, n_encoder_layers=1, n_decoder_layers=1, n_heads=2, max_iter=2, random_state=0)
    rng = np.random.default_rng(0)
    for modality, X in ((None, rng.normal(size=(9, 6))), (Image(), rng.normal(size=(9, 8, 8)))):
        estimator = DAEPEncoder(modality, n_sampling_steps=3, **tiny).fit(X)
        expected = estimator.transform(X), estimator.reconstruct(X)
        with monkeypatch.context() as patch:
            patch.setattr(_base, "POINTS_PER_CHUNK", 10)
            Z, rebuilt = estimator.transform(X), estimator.reconstruct(X)
        assert rebuilt.shape == X.shape
        assert rebuilt.dtype == np.float32
        assert_close(Z, expected[0])
        assert_close(rebuilt, expected[1])


def test_several_modalities_are_chunked_too(X, make_light_curve, monkeypatch):
    objects = [{"a": x, "b": make_light_curve(i + 20)["time", "mag"]} for i, x in enumerate(X)]
    del objects[3]["a"]
    objects[5]["b"] = None
    modalities = {"a": Photometry(), "b": Spectrum(value="mag", location="time")}
    tiny = dict(model_dim=8, n_encoder_layers=1, n_decoder_layers=1, n_heads=2, max_iter=2, random_state=0)
    estimator = MultimodalDAEP(modalities, n_sampling_steps=3, **tiny).fit(objects)

    def results():
        own, at = estimator.reconstruct(objects), make_light_curve(50)
        here = estimator.reconstruct(objects, modality="a", at=[make_light_curve(i + 30) for i in range(12)])
        return {
            "codes": estimator.transform(objects),
            "own": [np.asarray(o[k]["mag"]) for o in own for k in o],
            "anywhere": estimator.reconstruct(objects, modality="a", output="arrays"),
            "at one": estimator.reconstruct(objects, modality="a", at=at, output="arrays"),
            "at each": [np.asarray(t["mag"]) for t in here],
            "score": [estimator.score(objects)],
        }

    expected = results()
    assert len(expected["own"]) == 22
    monkeypatch.setattr(_base, "POINTS_PER_CHUNK", 40)
    for name, result in results().items():
        assert_close(result, expected[name])
    at = [make_light_curve(i + 30) for i in range(12)]
    at[9].remove_column("time")
    with pytest.raises(TableError, match=r"at\[9\] has no column 'time'"):
        estimator.reconstruct(objects, modality="a", at=at)


def test_objects_out_of_range_are_warned_of_once_in_all_chunks(monkeypatch):
    monkeypatch.setattr(_base, "POINTS_PER_CHUNK", 40)
    x = np.linspace(4000, 7000, 20)
    spectra = [Table({"wavelength": x, "flux": np.sin(x / 300 + i)}) for i in range(12)]
    encoder = DAEPEncoder(model_dim=8, n_heads=2, n_encoder_layers=1, n_decoder_layers=1, max_iter=1)
    encoder.fit(spectra)
    others = [Table({"wavelength": x / 10, "flux": t["flux"]}) for t in spectra]
    with pytest.warns(OutOfRangeWarning, match=r"X\[0\] column 'wavelength'") as caught:
        encoder.transform(others)
    assert len(caught) == 1
    with pytest.warns(OutOfRangeWarning):
        encoder.transform(others)
