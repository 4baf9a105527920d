"""New objects of a class, of a number, or with given metadata."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from astropy import units as u
from astropy.table import Table

import skdaep
from skdaep import DAEPEncoder, FunctionalPCA, MultimodalDAEP, Sequence
from skdaep.model import prior
from skdaep.objectives.prior import Known

PLACE = np.linspace(0, 1, 12)
RNG = np.random.default_rng(0)
N = 60
#: rows of two kinds, which differ in sign, and of an amplitude
SIGN = np.repeat([1.0, -1.0], N // 2)
KIND = np.where(SIGN > 0, "up", "down")
AMPLITUDE = RNG.uniform(1, 3, N)
ROWS = SIGN[:, None] * AMPLITUDE[:, None] * np.sin(np.pi * PLACE) + 0.05 * RNG.normal(size=(N, 12))


def some(labels, n):
    """Return the labels of n objects, and None for the others."""
    known = np.full(len(labels), None)
    known[:: len(labels) // n] = labels[:: len(labels) // n]
    return known


def curves(**meta):
    return [
        Table({"x": PLACE, "v": row}, meta={k: v[i] for k, v in meta.items() if v[i] is not None})
        for i, row in enumerate(ROWS)
    ]


@pytest.fixture(scope="module")
def encoder():
    return FunctionalPCA(n_components=2, random_state=0).fit(ROWS)


@pytest.fixture(scope="module")
def of_kinds(encoder):
    """An encoder whose prior knows a third of the kinds."""
    return pickle.loads(pickle.dumps(encoder)).fit_prior(ROWS, some(KIND, 20), max_iter=800)


def signs(values):
    return np.sign(np.asarray(values)[:, 6])


def test_new_objects_are_of_the_class_that_is_asked_for(of_kinds):
    assert (signs(of_kinds.sample(50, y="up")) > 0).mean() > 0.95
    assert (signs(of_kinds.sample(50, y="down")) < 0).mean() > 0.95
    asked = np.tile(["up", "down"], 25)
    assert (signs(of_kinds.sample(50, y=asked)) == np.where(asked == "up", 1, -1)).mean() > 0.95


def test_without_a_label_they_are_of_all_classes(of_kinds):
    assert 0.3 < (signs(of_kinds.sample(100)) > 0).mean() < 0.7
    asked = [None if i % 2 else "up" for i in range(100)]
    drawn = signs(of_kinds.sample(100, y=asked))
    assert (drawn[::2] > 0).mean() > 0.95
    assert 0.25 < (drawn[1::2] > 0).mean() < 0.75
    np.testing.assert_allclose(of_kinds.sample(3, y=[None] * 3), of_kinds.sample(3), rtol=1e-5)


def test_a_number_is_a_condition_too():
    X, y = ROWS * SIGN[:, None], np.where(np.arange(N) % 3, AMPLITUDE, np.nan) * u.mag
    encoder = FunctionalPCA(n_components=2, random_state=0).fit(X).fit_prior(X, y, max_iter=400)
    for asked in (1.3 * u.mag, 2700 * u.mmag):
        found = encoder.sample(60, y=asked).max(1)
        assert found.mean() == pytest.approx(asked.to_value(u.mag), abs=0.2)
        assert found.std() < AMPLITUDE.std() / 2
    with pytest.raises(ValueError, match="y='bright': the labels of fit_prior were numbers"):
        encoder.sample(2, y="bright")


def test_a_class_of_a_single_object_is_learned(encoder):
    """That object must not be among those that decide when to stop."""
    for seed in range(10):
        y = np.full(N, "usual")
        y[seed] = "odd"
        facts = {"numbers": np.zeros((N, 0), np.float32), "labels": (y == "odd").astype(np.int64)[:, None]}
        Z = encoder.transform(ROWS)
        learned, _ = prior.learn(Z, facts, {"n_labels": (2,)}, seed, "cpu", max_iter=5)
        assert (learned.labels[0].detach().numpy() != 0).any(1).all()


def test_few_labels_have_half_of_the_chances():
    labels = torch.tensor([[0, 1]] * 4 + [[-1, 1]] * 96)
    chances = prior._chances(Known(torch.zeros(100, 0), labels))
    assert chances.sum() == pytest.approx(1)
    assert chances[:4].sum() == pytest.approx(0.52)
    assert prior._chances(Known(torch.zeros(100, 0), labels[:, 1:])) is None


def test_an_unknown_label_is_refused_with_the_known_ones(of_kinds, encoder):
    with pytest.raises(ValueError, match=r"y='sideways' is not among the labels of fit_prior \('down', 'up'\)"):
        of_kinds.sample(2, y="sideways")
    with pytest.raises(ValueError, match="y='left' is not among"):
        of_kinds.sample(2, y=["up", "left"])
    with pytest.raises(ValueError, match="y holds 3 x 1 labels; 2 x 1, or one for all objects, are needed"):
        of_kinds.sample(2, y=["up"] * 3)
    with pytest.raises(ValueError, match=r"knows no labels; call fit_prior\(X, y\)"):
        encoder.sample(2, y="up")


def test_labels_that_say_nothing_are_refused(encoder):
    own = pickle.loads(pickle.dumps(encoder))
    with pytest.raises(ValueError, match="no label for any of 60 objects; pass some, or leave y out"):
        own.fit_prior(ROWS, [None] * N)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        own.fit_prior(ROWS, KIND[:-1])
    assert own.model_.prior is None


def test_another_prior_forgets_the_labels(of_kinds):
    own = pickle.loads(pickle.dumps(of_kinds)).fit_prior(ROWS, max_iter=2)
    with pytest.raises(ValueError, match="knows no labels"):
        own.sample(y="up")


def test_the_encoder_does_not_see_the_labels(of_kinds, encoder):
    np.testing.assert_array_equal(of_kinds.transform(ROWS), encoder.transform(ROWS))


def test_labels_go_into_files(of_kinds, tmp_path):
    of_kinds.save(tmp_path / "model")
    loaded = skdaep.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.sample(3, y="up"), of_kinds.sample(3, y="up"))
    own = pickle.loads(pickle.dumps(of_kinds))
    vars(own)["model_"] = replace(of_kinds.model_, prior=None)
    with pytest.raises(ValueError, match="labels of a prior that does not exist"):
        own.save(tmp_path / "other")


@pytest.fixture(scope="module")
def declared():
    """An encoder of curves whose kind is declared as metadata, though few have one."""
    modality = Sequence("v", location="x", metadata=("kind",))
    small = {"model_dim": 16, "n_encoder_layers": 1, "n_decoder_layers": 1, "bottleneck_dim": 1, "max_iter": 60}
    X = curves(kind=some(KIND, 30))
    return DAEPEncoder(modality, **small, random_state=0).fit(X).fit_prior(X, max_iter=800)


def test_new_objects_suit_the_metadata_they_carry(declared):
    for kind, sign in (("up", 1), ("down", -1)):
        drawn = declared.sample(40, at=Table({"x": PLACE}, meta={"kind": kind}))
        assert {t.meta["kind"] for t in drawn} == {kind}
        assert (signs([t["v"] for t in drawn]) == sign).mean() > 0.9
    mixed = [Table({"x": PLACE}, meta={"kind": k}) for k in KIND[::3]]
    assert (signs([t["v"] for t in declared.sample(20, at=mixed)]) == SIGN[::3]).mean() > 0.9
    usual = declared.sample(20)
    assert (signs([t["v"] for t in usual]) == (1 if usual[0].meta["kind"] == "up" else -1)).mean() > 0.9


def test_bottlenecks_are_those_that_are_decoded(declared):
    at = Table({"x": PLACE}, meta={"kind": "down"})
    Z = declared.sample(3, at=at, output="bottlenecks")
    values = np.stack(declared.sample(3, at=at, output="arrays"))
    np.testing.assert_allclose(
        values, np.stack(declared.inverse_transform(Z, at=at, n_draws=1, output="arrays"))[..., 0], rtol=1e-4
    )
    with pytest.raises(ValueError, match=r"metadata 'kind' is 'left', not seen in fit"):
        declared.sample(2, at=Table({"x": PLACE}, meta={"kind": "left"}))


def test_priors_of_old_files_know_nothing(declared, tmp_path):
    sizes = prior.sizes_of(declared.modalities_, None)
    assert sizes == {"n_numbers": 0, "n_labels": (2,)}
    own = pickle.loads(pickle.dumps(declared))
    state = {k: v for k, v in declared.model_.prior.items() if not k.startswith("labels")}
    vars(own)["model_"] = replace(declared.model_, prior=state)
    own.save(tmp_path / "model")
    down = Table({"x": PLACE}, meta={"kind": "down"})
    loaded = skdaep.load(tmp_path / "model")
    up = Table({"x": PLACE}, meta={"kind": "up"})
    np.testing.assert_array_equal(*(loaded.sample(3, at=at, output="bottlenecks") for at in (up, down)))


def test_each_modality_has_metadata_of_its_own():
    modalities = {
        "one": Sequence("v", location="x", metadata=("kind", "amplitude")),
        "other": Sequence("v", location="x"),
    }
    X = [{"one": t, "other": t} for t in curves(kind=KIND, amplitude=AMPLITUDE)]
    X[0] = {"other": X[0]["other"]}
    small = {"model_dim": 16, "n_encoder_layers": 1, "n_decoder_layers": 1, "bottleneck_dim": 1, "max_iter": 60}
    encoder = MultimodalDAEP(modalities, **small, random_state=0).fit(X).fit_prior(X, KIND, max_iter=400)
    for kind, sign in (("up", 1), ("down", -1)):
        at = Table({"x": PLACE}, meta={"kind": kind})
        asked = encoder.sample(20, y=kind, modality="one", at=at), encoder.sample(20, y=kind, modality="other")
        for drawn in asked:
            assert (signs([t["v"] for t in drawn]) == sign).mean() > 0.85


def test_draws_are_as_noisy_as_the_errors_where_they_are_decoded():
    X = curves()
    for table in X:
        table["v_err"] = np.full(len(PLACE), 0.05)
    encoder = FunctionalPCA(
        Sequence("v", location="x", error="v_err"), error_weighting=True, n_components=2, random_state=0
    ).fit(X)
    Z, at = encoder.transform(X), X[0].copy()
    at["v_err"][6:] = [0.5, 0.5, 0.5, np.nan, np.inf, -1.0]
    point = encoder.inverse_transform(Z, at=at, output="arrays")
    drawn = encoder.inverse_transform(Z, at=at, n_draws=50, output="arrays")
    spread = np.std(np.stack(drawn) - np.stack(point)[..., None], axis=(0, 2))
    assert (spread[6:9] > 5 * spread[0]).all()
    np.testing.assert_allclose(spread[9:], spread[0], rtol=0.2)  # unknown: typical
