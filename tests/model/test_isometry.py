"""Isometric codes: |z - z'| is the root mean square distance of what codes decode to, which stays as it was."""

import warnings
from dataclasses import replace
from inspect import signature

import numpy as np
import pytest

import skdaep
from skdaep import BetaVAEEncoder, DAEPEncoder, FunctionalPCA
from skdaep.exceptions import CorruptModelError
from skdaep.model import checks, isometry

ESTIMATORS = tuple(
    n for n in (*skdaep.ESTIMATORS, *skdaep.MULTIMODAL) if "isometric" in signature(getattr(skdaep, n)).parameters
)
ROWS = np.random.default_rng(0).normal(size=(80, 3)) @ np.random.default_rng(1).normal(size=(3, 20)) / 2
SMALL = dict(bottleneck_length=3, bottleneck_dim=1, model_dim=16, n_heads=2, n_encoder_layers=1, n_decoder_layers=1)
SMALL |= dict(max_iter=40, random_state=0, device="cpu")


def records_of(model, objects):
    alone = next(iter(model.modalities))
    as_dicts = [x if isinstance(x, dict) else {alone: x} for x in objects]
    return model.read([{k: v for k, v in x.items() if v is not None} for x in as_dicts])


@pytest.fixture(scope="module")
def plain():
    return BetaVAEEncoder(**SMALL).fit(ROWS).model_


@pytest.fixture(scope="module")
def isometric():
    return BetaVAEEncoder(**SMALL, isometric=True).fit(ROWS).model_


def test_of_a_linear_decoder_all_distances_are_exact():
    rng = np.random.default_rng(2)
    basis, Z = rng.normal(size=(5, 40)) * [[3], [1], [0.1], [0.01], [1]], rng.normal(size=(7, 5))
    M = isometry.metric(Z, lambda codes: list(codes.astype(float) @ basis))
    np.testing.assert_allclose(M, basis @ basis.T / 40, rtol=1e-3, atol=1e-6)
    mapped = Z @ isometry.map_of(M)["forward"]
    distance = np.linalg.norm(mapped[:, None] - mapped, axis=2)
    rms = np.sqrt(np.mean(((Z[:, None] - Z) @ basis) ** 2, axis=2))
    np.testing.assert_allclose(distance, rms, rtol=1e-3, atol=1e-6)


def test_directions_that_decode_to_nothing_can_be_mapped_back():
    for M in (np.diag([1.0, 1e-20, 0.0]), np.zeros((3, 3))):
        maps = isometry.map_of(M)
        np.testing.assert_allclose(maps["forward"] @ maps["back"], np.eye(3), atol=1e-9)


def test_answers_stay_as_they_were(fitted, objects):
    model, records = fitted.model_, records_of(fitted.model_, objects)
    mapped = model.isometric(records)
    assert mapped.isometric(records).isometry["forward"] == pytest.approx(mapped.isometry["forward"])
    for name in model.modalities:
        having = [r for r in records if name in r]
        for n_draws in (None, 2) if model.draws else (None,):
            values, expected = (m.reconstruct(having, name, n_draws=n_draws) for m in (mapped, model))
            scale = max(np.abs(v).max() for v in expected)
            for one, other in zip(values, expected, strict=True):
                np.testing.assert_allclose(one, other, atol=1e-5 * scale)


def test_steps_are_as_long_as_what_they_change(isometric):
    records = records_of(isometric, list(ROWS))
    (name,) = isometric.modalities
    Z = isometric.encode(records).mean.reshape(80, -1)
    near = Z + 0.1 * (np.roll(Z, 1, axis=0) - Z)
    places = [r[name] for r in records]
    keys = range(80)
    one, other = (np.array(isometric.decode(name, z, places, keys)) for z in (Z, near))
    ratio = np.mean((one - other) ** 2) / np.mean(((Z - near) ** 2).sum(1))
    assert ratio == pytest.approx(1, abs=0.15)


def test_at_a_linear_core_distances_are_those_of_functional_pca():
    ruined = DAEPEncoder(**SMALL | {"max_iter": 2}, learning_rate_init=1e-12, core="linear", isometric=True).fit(ROWS)
    codes = ruined.transform(ROWS), FunctionalPCA(n_components=3, random_state=0).fit(ROWS).transform(ROWS)
    one, other = (np.linalg.norm(Z[:, None] - Z, axis=2) for Z in codes)
    np.testing.assert_allclose(one, other, atol=0.1 * other.max())


def test_the_posterior_is_mapped_with_its_mean(plain, isometric):
    records = records_of(plain, list(ROWS[:3]))
    sources = [(0, i) for i in range(3)]
    z, seen = (m.posterior_draws(records, sources, 4000) for m in (plain, isometric))
    np.testing.assert_allclose(isometry.outward(isometric.isometry, z), seen, atol=1e-5)
    mean, scale = isometric.encode(records)
    np.testing.assert_allclose(seen.mean(1), mean, atol=0.1 * scale.max())
    np.testing.assert_allclose(seen.std(1), scale, rtol=0.08)


def test_new_objects_are_the_same(plain, isometric):
    (name,) = plain.modalities
    place = [plain.modalities[name].absent().replace(**vars_of(plain, name))]
    one, other = (m.decode(name, m.sample(4), place) for m in (plain, isometric))
    np.testing.assert_allclose(one, other, atol=1e-5)


def vars_of(model, name):
    record = model.modalities[name].read(model.modalities[name].grid(), name, values=False)
    return {k: getattr(record, k) for k in ("value", "location", "band", "error", "observed")}


def test_files_hold_the_map_and_refuse_one_that_is_none(isometric, tmp_path):
    encoder = BetaVAEEncoder(**SMALL, isometric=True).fit(ROWS)
    encoder.save(tmp_path / "model.safetensors")
    again = skdaep.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.transform(ROWS), encoder.transform(ROWS))
    forged = replace(isometric, isometry=isometric.isometry | {"back": isometric.isometry["forward"]})
    with pytest.raises(ValueError, match="not inverse to each other"):
        checks.check(forged)
    vars(encoder)["model_"] = forged
    with pytest.raises((ValueError, CorruptModelError)):
        encoder.save(tmp_path / "forged.safetensors")


def test_a_warm_start_maps_anew():
    warm = DAEPEncoder(**SMALL, isometric=True, warm_start=True).fit(ROWS)
    before = warm.reconstruct(ROWS)
    with warnings.catch_warnings(action="ignore"):
        warm.set_params(learning_rate_init=1e-12).fit(ROWS)
    np.testing.assert_allclose(warm.reconstruct(ROWS), before, atol=1e-4)
