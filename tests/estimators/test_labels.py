"""Labels in fit, and predictions: their forms, what is unknown, what is refused, and who reads none."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, QTable, Table
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_val_score

import skdaep
from skdaep.estimators._labels import targets_of
from skdaep.exceptions import OutOfRangeWarning
from skdaep.model import CheckpointFile

TINY = dict(
    **dict(model_dim=8, n_heads=2, n_encoder_layers=1, n_decoder_layers=1, bottleneck_length=2, bottleneck_dim=2),
    **dict(hidden_length=4, n_sampling_steps=3, max_iter=2, batch_size=8, random_state=0, device="cpu"),
)


def light_curve(i):
    """Return object i, its depth and redshift in its number."""
    rng = np.random.default_rng([42, i])
    time, depth = np.sort(rng.uniform(0, 100, 5 + i % 7)), rng.uniform(0.2, 2)
    mag = 18 + depth * np.sin(time / 20) + 0.05 * rng.standard_normal(len(time))
    return Table({"time": time * u.day, "mag": mag * u.mag}, meta={"redshift": rng.uniform(0.01, 0.3), "depth": depth})


X = [light_curve(i) for i in range(24)]
NUMBERS = np.array([t.meta["redshift"] for t in X])
CLASSES = np.array(["Ia", "II", "Ibc"] * 8)
SOME = np.where(np.arange(24) % 3 == 0, np.nan, NUMBERS)


def make(**changes):
    tiny = {k: v for k, v in TINY.items() if k in skdaep.DAEPEncoder().get_params()}
    return skdaep.DAEPEncoder(skdaep.Photometry(), **tiny | {"supervised_weight": 0.5} | changes)


@pytest.fixture(scope="module")
def regressor():
    return make().fit(X, SOME)


@pytest.fixture(scope="module")
def classifier():
    return make().fit(X, CLASSES)


# --- who reads none ---------------------------------------------------------------------------------


def test_without_weight_labels_are_not_looked_at():
    plain = make(supervised_weight=0.0)
    codes = [clone(plain).fit(X, y).transform(X) for y in (None, CLASSES, object())]
    for other in codes[1:]:
        np.testing.assert_array_equal(other, codes[0])
    for name in ("predict", "predict_quantiles", "predict_proba", "classes_", "quantiles_"):
        assert not hasattr(plain, name)
        assert not hasattr(plain.fit(X, CLASSES), name)
    assert plain.model_.head is None


def test_codes_of_new_objects_depend_on_no_label(regressor):
    """The public code of the method that this is measured against appends labels to the features."""
    assert "y" not in type(regressor).transform.__code__.co_varnames
    changed = [t.copy() for t in X[:3]]
    for t in changed:
        t["label"] = 1.0
    np.testing.assert_array_equal(regressor.transform(changed), regressor.transform(X[:3]))


# --- forms ------------------------------------------------------------------------------------------


def test_numbers_of_one_target(regressor):
    median, quantiles = regressor.predict(X), regressor.predict_quantiles(X)
    assert median.shape == (24,)
    assert quantiles.shape == (24, 5)
    np.testing.assert_array_equal(quantiles[:, 2], median)
    assert (np.diff(quantiles, axis=1) >= 0).all()
    assert list(regressor.quantiles_) == [0.1, 0.25, 0.5, 0.75, 0.9]
    assert not hasattr(regressor, "predict_proba")
    assert not hasattr(regressor, "classes_")


def test_classes(classifier):
    p = classifier.predict_proba(X)
    assert list(classifier.classes_) == ["II", "Ia", "Ibc"]
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-6)
    np.testing.assert_array_equal(classifier.predict(X), classifier.classes_[p.argmax(1)])
    assert not hasattr(classifier, "predict_quantiles")


def test_the_scale_and_unit_of_predictions_are_those_of_y(regressor):
    shifted = make().fit(X, 1000 * SOME + 5000)
    np.testing.assert_allclose(shifted.predict(X), 1000 * regressor.predict(X) + 5000, rtol=1e-4)
    days = make().fit(X, SOME * u.day)
    assert days.predict(X).unit == u.day
    assert days.predict_quantiles(X).unit == u.day
    np.testing.assert_array_equal(days.predict(X).value, regressor.predict(X))
    assert days.score(X, (SOME * u.day).to(u.s)) == pytest.approx(days.score(X, SOME * u.day))
    with pytest.raises(skdaep.TableError, match="'m'"):
        days.score(X, SOME * u.m)


def test_frames_and_tables_go_out_as_they_came_in():
    columns = {"z": SOME, "age": NUMBERS[::-1].copy()}
    table = QTable({"z": SOME, "age": NUMBERS[::-1] * u.Gyr})
    plain = make().fit(X, np.stack(list(columns.values()), 1))
    expected, quantiles = plain.predict(X), plain.predict_quantiles(X)
    assert quantiles.shape == (24, 2, 5)
    for y in (pd.DataFrame(columns), pl.DataFrame(columns)):
        estimator = make().fit(X, y)
        out, q = estimator.predict(X), estimator.predict_quantiles(X)
        assert type(out) is type(q) is type(y)
        assert list(out.columns) == ["z", "age"]
        np.testing.assert_array_equal(out.to_numpy(), expected)
        assert list(q.columns)[:5] == ["z_0.1", "z_0.25", "z_0.5", "z_0.75", "z_0.9"]
        np.testing.assert_array_equal(q.to_numpy(), quantiles.reshape(24, 10))
        with pytest.raises(ValueError, match="columns"):
            estimator.score(X, y[["age", "z"]])
    out = make().fit(X, table).predict(X)
    assert out["age"].unit == u.Gyr
    np.testing.assert_array_equal(out["z"], expected[:, 0])


def read(y):
    """Return what is learned from labels of X, as something that compares with ==."""
    targets, values = targets_of(y, X)
    return replace(targets, form="array"), np.nan_to_num(targets.standardised(values), nan=99).tolist()


def test_all_ways_to_say_unknown_are_one():
    masked = MaskedColumn(NUMBERS, mask=np.isnan(SOME))
    listed = [None if x != x else float(x) for x in SOME]
    for y in (masked, np.ma.masked_invalid(SOME), listed, pd.Series(SOME), pl.Series(listed)):
        assert read(y) == read(SOME), type(y)
    some = [None if i % 5 == 0 else c for i, c in enumerate(CLASSES)]
    for unknown in (np.nan, "", "nan", pd.NA):
        assert read([unknown if c is None else c for c in some]) == read(some)
    assert read(pd.Series(some)) == read(pd.Series(some).astype("category")) == read(pl.Series(some)) == read(some)
    assert read(some) != read(CLASSES)


def test_whole_numbers_and_truth_values_are_classes():
    assert read(np.arange(24) % 3)[0].classes == (0, 1, 2)
    assert read(pd.Series([1, 2, None] * 8, dtype="Int64"))[0].classes == (1, 2)
    assert read([True, False, None] * 8)[0].classes == (False, True)


# --- what is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y.*supervised_weight=0.5"),
        (NUMBERS[:5], "inconsistent"),
        (np.full(24, np.nan), "no label for any of 24"),
        ([None] * 24, "no label for any of 24"),
        (["Ia"] * 24, "one class only, 'Ia'"),
        (["Ia", 1.5] * 12, r"a number at object 1 \(1.5\) and a text at object 0 \('Ia'\)"),
        ([{}] * 24, "a dict at object 0"),
        (np.append(NUMBERS[:-1], np.inf), "infinite at object 23"),
        (np.zeros((24, 2, 2)), "shape"),
        (np.stack([CLASSES, CLASSES], 1), r"2 columns \(classes, classes\)"),
        (QTable({"a": NUMBERS, "b": CLASSES}), r"2 columns \(numbers, classes\)"),
    ],
)
def test_labels_that_cannot_be_learned_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        make().fit(X, y)


def test_many_whole_numbers_are_no_classes():
    with pytest.raises(skdaep.TableError, match="40 different whole numbers"):
        make().fit([light_curve(i) for i in range(40)], np.arange(40))


def test_labels_that_look_odd_are_named():
    with pytest.warns(UserWarning, match="numbers 0, 1 as floats"):
        make().fit(X, [0.0, 1.0, np.nan] * 8)
    with pytest.warns(OutOfRangeWarning, match=r"-9999 \(2 times\), first in object 3"):
        make().fit(X, np.where(np.isin(np.arange(24), [3, 8]), -9999.0, NUMBERS))
    y = np.linspace(0, 1, len(X))
    y[5] = -9999
    with pytest.warns(OutOfRangeWarning, match=r"y is -9999, first in object 5; all other values lie from 0 to 1"):
        make().fit(X, y)


def test_an_encoder_without_any_labelled_object_to_train_on_is_refused():
    y = np.full(24, np.nan)
    estimator = make(validation_fraction=0.5, random_state=1)
    held_out = np.setdiff1d(np.arange(24), _train_rows(estimator))
    y[held_out[0]] = 1.5
    with pytest.raises(skdaep.TableError, match="None of the 12 training objects has a label"):
        estimator.fit(X, y)


def _train_rows(estimator):
    from sklearn.utils import check_random_state

    from skdaep.estimators._split import split

    seed = int(check_random_state(estimator.random_state).randint(2**31 - 1))
    return split(estimator, 24, None, seed).train


# --- learning ---------------------------------------------------------------------------------------


def test_labels_are_learned_and_few_suffice():
    deep = np.array([t.meta["depth"] for t in X])
    y = np.where(deep > np.median(deep), "deep", "flat").astype(object)
    y[::4] = None
    estimator = make(max_iter=120, early_stopping=False, supervised_weight=0.7).fit(X, y)
    known = y != None  # noqa: E711
    assert estimator.score(X, y) > 0.9
    assert estimator.score(X, y) == np.mean(estimator.predict(X)[known] == y[known])
    assert estimator.score(X) < 0, "without labels it is the error of reconstruction"


def test_a_pre_trained_encoder_is_fine_tuned():
    estimator = make(supervised_weight=0.0, max_iter=5).fit(X)
    before = estimator.model_.weights
    estimator.set_params(warm_start=True, supervised_weight=0.5, max_iter=2, learning_rate_init=1e-9).fit(X, CLASSES)
    for name, array in estimator.model_.weights.items():
        np.testing.assert_allclose(array, before[name], atol=1e-6)
    head = estimator.model_.head
    # Its head goes on with the same classes, or some of them; others have a new one.
    estimator.fit(X, np.where(CLASSES == "Ibc", None, CLASSES))
    assert list(estimator.classes_) == ["II", "Ia", "Ibc"]
    np.testing.assert_allclose(estimator.model_.head["read.weight"], head["read.weight"], atol=1e-6)
    estimator.fit(X, np.where(CLASSES == "Ibc", "IIn", CLASSES))
    assert list(estimator.classes_) == ["II", "IIn", "Ia"]
    assert not hasattr(estimator.set_params(supervised_weight=0.0).fit(X), "predict")


# --- files, checkpoints, scikit-learn ---------------------------------------------------------------


@pytest.mark.parametrize("kind", ["regressor", "classifier"])
def test_files_and_copies_predict_the_same(kind, request, tmp_path):
    estimator = request.getfixturevalue(kind)
    estimator.save(tmp_path / "model")
    for other in (skdaep.load(tmp_path / "model"), pickle.loads(pickle.dumps(estimator)), copy.deepcopy(estimator)):
        np.testing.assert_array_equal(other.predict(X), estimator.predict(X))
        assert other.model_.targets == estimator.model_.targets
    assert b"torch." not in pickle.dumps(estimator)


def test_labels_are_part_of_what_a_checkpoint_belongs_to(tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def write_then_die(self, state, write=CheckpointFile.write):
        write(self, state)
        if state["iteration"] == 4:
            raise Killed

    path = tmp_path / "fit.ckpt"
    whole = make(max_iter=7).fit(X, SOME)
    estimator = make(max_iter=7, checkpoint=path, checkpoint_every=0)
    with monkeypatch.context() as patch:
        patch.setattr(CheckpointFile, "write", write_then_die)
        with pytest.raises(Killed):
            estimator.fit(X, SOME)
    other = SOME.copy()
    other[1] += 1
    with pytest.raises(ValueError, match="belongs to another fit: y, X or groups"):
        estimator.fit(X, other)
    assert pickle.dumps(estimator.fit(X, SOME).model_.weights) == pickle.dumps(whole.model_.weights)
    for name, array in whole.model_.head.items():
        np.testing.assert_array_equal(estimator.model_.head[name], array)


def test_searches_choose_by_the_score_of_the_labels():
    search = GridSearchCV(make(), {"supervised_weight": [0.2, 0.8]}, cv=2, error_score="raise").fit(X, CLASSES)
    assert ((search.cv_results_["mean_test_score"] >= 0) & (search.cv_results_["mean_test_score"] <= 1)).all()
    assert set(search.predict(X)) <= set(CLASSES)
    assert cross_val_score(make(), X, NUMBERS, cv=2, error_score="raise").shape == (2,)


def test_a_frozen_encoder_predicts(classifier):
    frozen = FrozenEstimator(classifier).fit(X, CLASSES)
    np.testing.assert_array_equal(frozen.predict_proba(X), classifier.predict_proba(X))


@pytest.mark.parametrize("name", [*skdaep.ESTIMATORS, *skdaep.MULTIMODAL])
def test_every_encoder_learns_labels(name):
    objects, declared = X, {"modality": skdaep.Photometry()}
    if name in skdaep.MULTIMODAL:
        objects = [{"blue": x, "red": x} for x in X]
        objects[3] = {"red": X[3]}
        declared = {"modalities": {"blue": skdaep.Photometry(), "red": skdaep.Photometry()}}
    cls = getattr(skdaep, name)
    tiny = {k: v for k, v in TINY.items() if k in cls(**declared).get_params()}
    estimator = cls(**declared, **tiny, supervised_weight=0.5, validation_fraction=0.3).fit(objects, SOME)
    assert estimator.predict(objects).shape == (24,)
    assert {"unsupervised", "supervised"} <= set(estimator.history_[-1])


def test_a_core_learns_labels_too():
    estimator = make(core="linear", hidden_length=None).fit(X, CLASSES)
    assert estimator.predict(X).shape == (24,)
