"""Two views, either of which may be missing; options of alignments, and their checkpoints."""

import numpy as np
import pytest
from astropy.table import Table
from sklearn.base import clone
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import NearestNeighbors

import skdaep
from skdaep.exceptions import OutOfRangeWarning
from skdaep.model import CheckpointFile

VIEWS = {"a": skdaep.Sequence(), "b": skdaep.Sequence()}
TINY = dict(model_dim=8, n_heads=2, n_encoder_layers=1, bottleneck_length=2, bottleneck_dim=2, encoder_hidden_length=3)
TINY |= dict(max_iter=4, batch_size=8, validation_fraction=0.3, random_state=0, device="cpu")


def view(i, k):
    time = np.linspace(0, 6, 7 + i % 3)
    return Table({"time": time, "flux": np.sin(k * time + i) + 0.1 * i})


X = [{"a": view(i, 1), "b": view(i, 2)} for i in range(12)]
X[1], X[7] = {"a": X[1]["a"]}, {"b": X[7]["b"], "a": None}
GROUPS = np.repeat(np.arange(6), 2)


@pytest.fixture(scope="module")
def dual():
    y = np.where(np.arange(12) % 4, np.arange(12) / 3 + 0.1, np.nan)
    return skdaep.DualFormer(VIEWS, n_dual_layers=1, supervised_weight=0.5, **TINY).fit(X, y)


def test_either_view_may_be_missing(dual):
    for name in VIEWS:
        alone = [{name: x[name]} for x in X if x.get(name) is not None]
        assert np.isfinite(dual.transform(alone)).all()
        assert np.isfinite(dual.predict(alone)).all()
        (other,) = set(VIEWS) - {name}
        assert len(dual.reconstruct(alone, modality=other, n_draws=2)) == len(alone)
    np.testing.assert_allclose(dual.transform([{"a": X[1]["a"], "b": None}]), dual.transform(X[1:2]), atol=1e-6)


def test_files_and_terms_of_the_loss(dual, tmp_path):
    dual.save(tmp_path / "model")
    np.testing.assert_array_equal(skdaep.load(tmp_path / "model").transform(X), dual.transform(X))
    dual.set_params(warm_start=True, duality_weight=2.0, max_iter=1).fit(X, np.arange(12) / 3 + 0.1)
    with pytest.raises(ValueError, match="projection was 'transpose'"):
        dual.set_params(projection="shared").fit(X, np.arange(12) / 3 + 0.1)


@pytest.mark.parametrize(
    "encoder",
    [skdaep.DualFormer(VIEWS, **TINY), skdaep.MultimodalDAEP(VIEWS, alignment="vicreg", alignment_weight=0.1, **TINY)],
    ids=["DualFormer", "MultimodalDAEP"],
)
def test_without_weight_no_label_reaches_a_code(encoder):
    codes = [clone(encoder).fit(X, y).transform(X) for y in (None, np.arange(12) / 3, ["a", "b"] * 6)]
    for other in codes[1:]:
        np.testing.assert_array_equal(other, codes[0])


def test_neighbours_and_odd_objects_are_found_by_codes(dual):
    rows = [i for i, x in enumerate(X) if x.get("a") is not None and x.get("b") is not None]
    Z, whole = dual.transform(X), [X[i] for i in rows]
    first = dual.reconstruct(whole, modality="a")
    for found, x in zip(first, whole, strict=True):  # each is its own nearest neighbour
        np.testing.assert_allclose(found["flux"], x["a"]["flux"], atol=1e-5)
    second = NearestNeighbors(metric="cosine").fit(Z).kneighbors(dual.transform(whole), 3, return_distance=False)
    assert second[:, 0].tolist() == rows
    odd = [{"a": Table({"time": X[0]["a"]["time"], "flux": 30.0 + 0 * X[0]["a"]["flux"]})}]
    forest = IsolationForest(random_state=0).fit(Z)
    with pytest.warns(OutOfRangeWarning):
        assert forest.score_samples(dual.transform(odd))[0] < forest.score_samples(Z).min()


def test_two_views_are_needed():
    with pytest.raises(ValueError, match="3 entries; DualFormer encodes two"):
        skdaep.DualFormer(VIEWS | {"c": skdaep.Sequence()}, **TINY).fit(X)


@pytest.mark.parametrize(
    ("alignment", "options", "message"),
    [
        ("infonce", {"momentum": 0.9}, "not an option of 'infonce'"),
        ("moco", {"momentun": 0.9}, r"not an option of 'moco' \(queue_size, momentum, temperature\)"),
        ("moco", {"queue_size": 1.5}, "a positive int"),
        ("vicreg", {"variance_weight": -1.0}, "at least 0"),
        ("dual", {"projection": 2}, "text"),
        ("dual", {"projection": "both"}, "choose 'transpose' or 'shared'"),
    ],
)
def test_options_of_alignments_are_checked(alignment, options, message):
    tiny = TINY | {"n_decoder_layers": 1, "alignment_weight": 0.1}
    with pytest.raises(ValueError, match=message):
        skdaep.MultimodalDAEP(VIEWS, alignment=alignment, alignment_options=options, **tiny).fit(X)


def test_the_old_name_of_the_weight():
    tiny = TINY | {"n_decoder_layers": 1, "max_iter": 1}
    with pytest.warns(FutureWarning, match="alignment_weight"):
        old = skdaep.MultimodalDAEP(VIEWS, contrastive_weight=0.1, **tiny).fit(X)
    new = skdaep.MultimodalDAEP(VIEWS, alignment_weight=0.1, **tiny).fit(X)
    np.testing.assert_array_equal(old.transform(X), new.transform(X))
    assert {"error", "alignment"} <= set(new.history_[-1])


class Killed(BaseException):
    pass


def test_a_queue_is_part_of_a_checkpoint(tmp_path, monkeypatch):
    def write_then_die(self, state, write=CheckpointFile.write):
        write(self, state)
        if state["iteration"] == 3:
            raise Killed

    options = {"alignment": "moco", "alignment_options": {"queue_size": 9, "momentum": 0.5}, "max_iter": 6}
    whole = skdaep.ContrastiveNeighbors(VIEWS, **TINY | options).fit(X, groups=GROUPS)
    options |= {"checkpoint": tmp_path / "fit.ckpt", "checkpoint_every": 0}
    estimator = skdaep.ContrastiveNeighbors(VIEWS, **TINY | options)
    with monkeypatch.context() as patch:
        patch.setattr(CheckpointFile, "write", write_then_die)
        with pytest.raises(Killed):
            estimator.fit(X, groups=GROUPS)
    estimator.fit(X, groups=GROUPS)
    for name, array in whole.model_.weights.items():
        np.testing.assert_array_equal(estimator.model_.weights[name], array, err_msg=name)
