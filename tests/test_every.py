"""What every estimator does, whatever its objective and whether an object is a Table or a dict of several."""

import copy
import pickle
from dataclasses import fields

import joblib
import numpy as np
import pytest
import sklearn
import skops.io
import torch
from sklearn.base import clone
from sklearn.ensemble import BaggingClassifier
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.model_selection import GridSearchCV, ShuffleSplit, cross_val_score
from sklearn.pipeline import make_pipeline

import skdaep
from skdaep.estimators import _fitting
from skdaep.estimators._split import split
from skdaep.exceptions import DivergenceError, InterruptedTrainingWarning
from skdaep.model import Training
from skdaep.model.fitting import Validation
from skdaep.model.passes import collate

ESTIMATORS = (*skdaep.ESTIMATORS, *skdaep.MULTIMODAL)
#: One of each kind of input, for what is the same lines in all: of Tables, of several modalities, of pairs.
one_of_each = pytest.mark.of("DAEPEncoder", "MixtureOfExpertsVAE", "ContrastiveNeighbors")
one_will_do = pytest.mark.of("DAEPEncoder")
ONE_SPLIT = ShuffleSplit(1, test_size=0.4, random_state=0)


def results(estimator, objects):
    """What every method gives, under its name; of several modalities one is decoded."""
    several = isinstance(objects[0], dict)
    options = {"output": "arrays"} | ({"modality": "photometry"} if several else {})
    at = [x["photometry"] for x in objects] if several else objects
    Z, draws = estimator.transform(objects), estimator.objective_class.draws
    out = {
        "transform": Z,
        "reconstruct": estimator.reconstruct(objects, **options),
        "inverse_transform": estimator.inverse_transform(Z, at=at, **options),
    }
    if draws is not None:
        out["draws of reconstruct"] = estimator.reconstruct(objects, n_draws=2, **options)
    if draws in ("noise", "neighbors"):
        out["draws of inverse_transform"] = estimator.inverse_transform(Z, at=at, n_draws=2, **options)
    return out


def assert_identical(one, other):
    assert one.keys() == other.keys()
    for name in one:
        for a, b in zip(one[name], other[name], strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)


def assert_differ(one, other):
    assert np.abs(np.asarray(one) - np.asarray(other)).max() > 1e-3


def weights(estimator):
    return np.concatenate([w.ravel() for w in estimator.model_.weights.values()])


# --- fit --------------------------------------------------------------------------------------------


def test_fit_returns_self_and_keeps_the_parameters(make, objects):
    estimator = make()
    before = estimator.get_params()
    assert estimator.fit(objects) is estimator
    assert estimator.get_params() == before


def test_fit_transform_is_fit_then_transform(make, fresh, objects):
    np.testing.assert_array_equal(make().fit_transform(objects), fresh.transform(objects))


def test_no_method_changes_the_estimator(fitted, objects):
    before = pickle.dumps(fitted)
    results(fitted, objects)
    assert pickle.dumps(fitted) == before


@pytest.mark.parametrize("method", ["transform", "inverse_transform", "reconstruct", "score", "save"])
def test_unfitted_is_refused(make, objects, method):
    with pytest.raises(NotFittedError):
        getattr(make(), method)(objects)


def test_same_seed_same_result(make, fresh, objects):
    assert_identical(results(make().fit(objects), objects), results(fresh, objects))


def test_other_seed_other_result(make, fresh, objects):
    assert_differ(make(random_state=1).fit_transform(objects), fresh.transform(objects))


@one_of_each
def test_a_random_state_instance_is_used_and_advanced(make, objects):
    rng = np.random.RandomState(0)
    one, other = make(random_state=rng).fit_transform(objects), make(random_state=rng).fit_transform(objects)
    assert_differ(one, other)
    np.testing.assert_array_equal(one, make(random_state=np.random.RandomState(0)).fit_transform(objects))


def test_global_generators_and_settings_are_untouched(make, objects):
    def state():
        name, keys, *rest = np.random.get_state()
        return (
            (name, keys.tobytes(), *rest),
            torch.get_rng_state().numpy().tobytes(),
            torch.get_num_threads(),
            torch.get_default_dtype(),
            torch.is_grad_enabled(),
            torch.are_deterministic_algorithms_enabled(),
        )

    before = state()
    estimator = make().fit(objects)
    assert state() == before
    results(estimator, objects)
    pickle.loads(pickle.dumps(estimator)).transform(objects)
    assert state() == before


def test_warm_start_continues(make, objects):
    rate = dict(learning_rate_init=1e-9)  # a fit that hardly moves, so that it shows where it began
    first = make(max_iter=5).fit(objects)
    before, modalities = weights(first), first.modalities_
    first.set_params(warm_start=True, max_iter=2, **rate).fit(objects)
    np.testing.assert_allclose(weights(first), before, atol=1e-6)
    assert first.modalities_ is modalities  # scaling too, so that z keeps its meaning
    assert_differ(weights(make(max_iter=1, **rate).fit(objects)), before)


@one_of_each
def test_a_warm_start_begins_where_the_fit_before_ended(make, fitted, objects):
    short = dict(max_iter=5, early_stopping=False)
    cold = make(**short).fit(objects)
    warm = copy.deepcopy(fitted).set_params(warm_start=True, **short).fit(objects)
    assert warm.history_[0]["loss"] < cold.history_[0]["loss"]


@one_of_each
def test_warm_start_after_changing_the_architecture_is_refused(fresh, objects):
    estimator = copy.deepcopy(fresh).set_params(warm_start=True)
    before = estimator.transform(objects)
    for name, value in {"bottleneck_dim": 3, "n_heads": 1, "n_encoder_layers": 3}.items():
        was = estimator.get_params()[name]
        with pytest.raises(ValueError, match=rf"warm_start=True.*{name} was {was} .* is {value} now"):
            estimator.set_params(**{name: value}).fit(objects)
        estimator.set_params(**{name: was})
    np.testing.assert_array_equal(estimator.transform(objects), before)


@one_of_each
def test_history_and_what_is_learned(make, objects, monkeypatch):
    monkeypatch.setattr("skdaep.model.fitting.STEPS_PER_RECORD", 2)
    estimator = make(max_iter=7).fit(objects)
    assert [r["iteration"] for r in estimator.history_] == [2, 4, 6, 7]
    for record in estimator.history_:
        assert {"iteration", "loss", "validation_loss", "learning_rate", "seconds"} <= set(record)
        assert all(np.isfinite(v) for v in record.values())
    assert estimator.n_iter_ == 7
    assert estimator.best_loss_ == min(r["validation_loss"] for r in estimator.history_)
    assert estimator.device_ == "cpu"
    without = make(max_iter=7, early_stopping=False).fit(objects)
    assert "validation_loss" not in without.history_[-1]
    assert without.best_loss_ == min(r["loss"] for r in without.history_)


@one_of_each
def test_early_stopping_restores_the_best_weights(make, objects, monkeypatch):
    monkeypatch.setattr("skdaep.model.fitting.STEPS_PER_RECORD", 2)
    losses, seen = iter([3.0, 1.0, 2.0, 1.5, 0.1]), []

    def scripted(self, objective):
        seen.append({k: v.clone() for k, v in objective.state_dict().items()})
        return next(losses)

    monkeypatch.setattr(Validation, "__call__", scripted)
    estimator = make(max_iter=20, n_iter_no_change=2).fit(objects)
    assert estimator.n_iter_ == 8, "stops after two records without a better one"
    assert estimator.best_loss_ == 1.0
    assert any(not torch.equal(seen[1][k], seen[3][k]) for k in seen[1])
    for name, value in estimator.model_.weights.items():
        np.testing.assert_array_equal(value, seen[1][name].numpy())


@pytest.fixture
def scripted(monkeypatch):
    """Fits have records of 2 steps, with validation losses as given; the last one stays."""
    monkeypatch.setattr("skdaep.model.fitting.STEPS_PER_RECORD", 2)

    def script(*losses):
        left = list(losses)
        monkeypatch.setattr(Validation, "__call__", lambda *_: left.pop(0) if len(left) > 1 else left[0])

    return script


@one_will_do
def test_the_default_stops_after_a_quarter_in_vain(make, objects, scripted):
    scripted(3.0, 1.0, 2.0)
    assert make(max_iter=48).fit(objects).n_iter_ == 2 * (2 + 6)
    scripted(3.0, 1.0, 2.0)
    assert make(max_iter=20).fit(objects).n_iter_ == 2 * (2 + 5), "five records at least"


@one_will_do
def test_a_fit_that_was_still_gaining_says_so(make, objects, scripted):
    scripted(3.0, 2.0, 2.0, 2.0, 1.95, 1.8)
    with pytest.warns(ConvergenceWarning, match=r"max_iter=12 .* by 10%\. Double max_iter until score"):
        make(max_iter=12).fit(objects)


@one_will_do
@pytest.mark.parametrize(
    ("losses", "max_iter"),
    [((3.0, 2.0, 2.0, 2.0, 1.95, 1.91), 12), ((3.0, 1.0), 4), ((3.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 1.0), 30)],
    ids=["converged", "too short to tell", "stopped"],
)
def test_other_fits_do_not(make, objects, scripted, losses, max_iter):
    scripted(*losses)
    make(max_iter=max_iter).fit(objects)  # warnings are errors


def test_validation_has_the_same_noise_every_time(fresh, objects):
    measurements = collate(fresh.modalities_, fresh.model_.read(list(fresh._stream(objects))), torch.device("cpu"))
    training = Training(**{f.name: getattr(fresh, f.name) for f in fields(Training)})
    validation = Validation(measurements, np.arange(len(objects)), training, 1, torch.device("cpu"), torch.float32)
    assert validation(fresh.model_.live()) == validation(fresh.model_.live())


@one_will_do
def test_groups_stay_on_one_side(make):
    groups = np.repeat(np.arange(10), 5)
    for seed in range(5):
        parts = split(make(validation_fraction=0.3), 50, groups, seed)
        assert len(parts.validation) == 15
        assert not set(groups[parts.train]) & set(groups[parts.validation])
        assert sorted([*parts.train, *parts.validation]) == list(range(50))
    alone = split(make(validation_fraction=0.3), 50, None, 0)
    assert set(groups[alone.train]) & set(groups[alone.validation])


@one_of_each
def test_fit_passes_groups_on(make, objects, monkeypatch):
    seen = []

    def recording(*arguments):
        seen.append(split(*arguments))
        return seen[-1]

    monkeypatch.setattr(_fitting, "split", recording)
    groups = np.repeat([0, 1, 2], 4)
    make(validation_fraction=0.3).fit(objects, groups=groups)
    (parts,) = seen
    assert len(set(groups[parts.validation])) == 1
    assert len(parts.validation) == 4


def test_divergence_names_objects(make, objects):
    with pytest.raises(DivergenceError, match=r"X\[\d+\].*learning_rate_init") as caught:
        make(learning_rate_init=1e30, max_iter=20, weight_decay=0.0).fit(objects)
    assert set(caught.value.names) <= set(range(12))


# --- interruption and callbacks ---------------------------------------------------------------------


def interrupt_at(monkeypatch, estimator, call):
    """Make Ctrl-C arrive in the loss of a training step, counted from 1."""
    calls, loss = [], estimator.objective_class.loss

    def interrupted(self, batches, generator):
        calls.append(1)
        if len(calls) == call:
            raise KeyboardInterrupt
        return loss(self, batches, generator)

    monkeypatch.setattr(estimator.objective_class, "loss", interrupted)


@one_of_each
def test_interrupted_training_keeps_the_model(make, objects, monkeypatch):
    estimator = make(max_iter=20, early_stopping=False)
    interrupt_at(monkeypatch, estimator, 5)
    with pytest.warns(InterruptedTrainingWarning, match="after 4 of 20"):
        estimator.fit(objects)
    assert estimator.n_iter_ == 4
    assert estimator.transform(objects).shape == (12, 4)
    assert [r["iteration"] for r in estimator.history_] == [4]


@one_will_do
def test_interrupted_with_a_record_behind_it_keeps_the_model(make, objects, monkeypatch):
    monkeypatch.setattr("skdaep.model.fitting.STEPS_PER_RECORD", 2)
    estimator = make(max_iter=20, early_stopping=False)
    interrupt_at(monkeypatch, estimator, 5)
    with pytest.warns(InterruptedTrainingWarning):
        estimator.fit(objects)
    assert [r["iteration"] for r in estimator.history_] == [2, 4]


@one_of_each
def test_interrupted_before_the_first_step_leaves_things_as_they_were(fresh, objects, monkeypatch):
    estimator = copy.deepcopy(fresh)
    before = estimator.transform(objects)
    interrupt_at(monkeypatch, estimator, 1)
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(objects[:6])
    np.testing.assert_array_equal(estimator.transform(objects), before)


@one_will_do
@pytest.mark.callbacks
def test_interrupted_in_a_callback_keeps_the_model(make, objects, monkeypatch):
    monkeypatch.setattr("skdaep.model.fitting.STEPS_PER_RECORD", 2)
    estimator = make(max_iter=8).set_callbacks(Watcher(interrupt_at=2))
    with pytest.warns(InterruptedTrainingWarning):
        estimator.fit(objects)
    assert estimator.n_iter_ == 4
    assert estimator.transform(objects).shape == (12, 4)


class Watcher:
    """A callback that notes what it is told, and stops or interrupts at a record."""

    def __init__(self, stop_at=None, interrupt_at=None):
        self.stop_at, self.interrupt_at = stop_at, interrupt_at
        self.records, self.codes, self.events = [], [], []
        self.data = None

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X=None):
        self.events.append(f"begin {context.task_name}")
        self.data = X

    def on_fit_task_end(self, estimator, context, *, X=None, metadata=None, fitted_estimator=None):
        self.events.append(f"end {context.task_name}")
        if metadata is None:
            return False
        self.records.append(metadata["record"])
        self.codes.append(fitted_estimator.transform(X))
        self.kept = fitted_estimator
        if len(self.records) == self.interrupt_at:
            raise KeyboardInterrupt
        return len(self.records) == self.stop_at


@one_of_each
@pytest.mark.callbacks
def test_a_callback_sees_every_record(make, objects, monkeypatch):
    monkeypatch.setattr("skdaep.model.fitting.STEPS_PER_RECORD", 2)
    watcher = Watcher()
    estimator = make(max_iter=6, early_stopping=False).set_callbacks(watcher).fit(objects)
    assert watcher.records == estimator.history_
    assert watcher.data is objects
    assert watcher.events[:3] == ["setup", "begin fit", "begin record"]
    assert watcher.events[-3:] == ["end record", "end fit", "teardown"]
    assert watcher.events.count("begin record") == watcher.events.count("end record") == 3
    np.testing.assert_array_equal(watcher.codes[-1], estimator.transform(objects))
    assert_differ(watcher.codes[0], watcher.codes[-1])


@one_will_do
@pytest.mark.callbacks
def test_a_callback_can_stop_the_fit(make, objects, monkeypatch):
    monkeypatch.setattr("skdaep.model.fitting.STEPS_PER_RECORD", 2)
    estimator = make(max_iter=10).set_callbacks(Watcher(stop_at=2)).fit(objects)
    assert estimator.n_iter_ == 4


@one_of_each
@pytest.mark.callbacks
def test_the_estimator_a_callback_gets_stays_what_it_was(make, objects, monkeypatch):
    monkeypatch.setattr("skdaep.model.fitting.STEPS_PER_RECORD", 2)
    watcher = Watcher(stop_at=1)
    estimator = make(max_iter=10, warm_start=True).set_callbacks(watcher).fit(objects)
    kept, code = watcher.kept, watcher.codes[0]
    estimator.set_callbacks().fit(objects)
    np.testing.assert_array_equal(kept.transform(objects), code)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(kept)).transform(objects), code)


@one_will_do
@pytest.mark.callbacks
def test_progress_bar(make, objects, capsys):
    from sklearn.callback import ProgressBar

    make().set_callbacks(ProgressBar()).fit(objects)
    assert "100%" in capsys.readouterr().out


@one_will_do
@pytest.mark.callbacks
def test_progress_bar_of_a_search_reaches_the_encoder(make, objects, capsys):
    from sklearn.callback import ProgressBar

    search = GridSearchCV(make(), {"bottleneck_dim": [1]}, cv=ONE_SPLIT).set_callbacks(
        ProgressBar(max_propagation_depth=None)
    )
    search.fit(objects)
    assert type(make()).__name__ in capsys.readouterr().out


@one_will_do
def test_verbose_writes_a_line_per_record_and_silence_is_the_default(make, objects, capsys):
    make().fit(objects)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""
    make(verbose=True).fit(objects)
    assert "step 2" in capsys.readouterr().out


# --- copies -----------------------------------------------------------------------------------------


def skops_round_trip(estimator, path):
    skops.io.dump(estimator, path)
    return skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))


def joblib_round_trip(estimator, path):
    joblib.dump(estimator, path)
    return joblib.load(path)


COPIES = {
    "pickle": lambda estimator, path: pickle.loads(pickle.dumps(estimator)),
    "joblib": joblib_round_trip,
    "skops": skops_round_trip,
    "deepcopy": lambda estimator, path: copy.deepcopy(estimator),
    "copy": lambda estimator, path: copy.copy(estimator),
}


def test_copies_give_identical_results(fitted, objects, tmp_path):
    expected = results(fitted, objects)
    for name, round_trip in COPIES.items():
        other = round_trip(fitted, tmp_path / name)
        assert_identical(results(other, objects), expected)
        assert other.get_params() == fitted.get_params()
        assert other.history_ == fitted.history_


@one_of_each
def test_a_copy_of_a_copy_is_a_copy(fitted, objects, tmp_path):
    other = pickle.loads(pickle.dumps(copy.deepcopy(pickle.loads(pickle.dumps(fitted)))))
    np.testing.assert_array_equal(other.transform(objects), fitted.transform(objects))


def test_pickles_hold_no_torch(fitted, objects, make):
    fitted.transform(objects)  # the live module is there
    assert b"torch." not in pickle.dumps(fitted)
    assert b"torch." not in pickle.dumps(make())


@one_of_each
def test_clone_is_unfitted_and_fits_alike(fresh, objects):
    other = clone(fresh)
    assert not hasattr(other, "modalities_")
    assert other.get_params() == fresh.get_params()
    np.testing.assert_array_equal(other.fit(objects).transform(objects), fresh.transform(objects))


# --- what comes out ---------------------------------------------------------------------------------


@pytest.mark.parametrize("n_draws", [0, -1, 1.5, "2"])
def test_a_wrong_number_of_draws_is_refused(fitted, objects, n_draws):
    with pytest.raises(ValueError, match="n_draws"):
        fitted.reconstruct(objects, n_draws=n_draws)


def test_transform_gives_float32_of_the_size_of_the_bottleneck(fitted, objects):
    Z = fitted.transform(objects)
    assert Z.shape == (12, 4)
    assert Z.dtype == np.float32


def test_feature_names_and_pandas_output(make, objects):
    estimator = make().set_output(transform="pandas").fit(objects)
    frame = estimator.transform(objects)
    names = [f"{type(estimator).__name__.lower()}{i}" for i in range(4)]
    assert list(frame.columns) == list(estimator.get_feature_names_out()) == names
    np.testing.assert_array_equal(frame.to_numpy(), estimator.set_output(transform="default").transform(objects))
    assert len(estimator.inverse_transform(frame)) == 12, "a DataFrame of codes goes back in"


def test_bfloat16_stays_near_float32(make, objects):
    estimator = make(precision="bfloat16").fit(objects)
    half = estimator.transform(objects)
    assert all(np.isfinite(x).all() for values in results(estimator, objects).values() for x in values)
    full = estimator.set_params(precision="float32").transform(objects)
    assert not np.array_equal(half, full)
    assert np.abs(half - full).max() < 0.05 * np.abs(full).max()


@one_of_each
def test_parameters_of_the_networks_set_after_fit_change_nothing(fresh, objects):
    estimator = copy.deepcopy(fresh)
    before = results(estimator, objects)
    estimator.set_params(model_dim=12, n_encoder_layers=2)
    assert_identical(results(estimator, objects), before)


# --- composition ------------------------------------------------------------------------------------


@one_of_each
def test_grid_search(make, objects):
    search = GridSearchCV(make(), {"bottleneck_dim": [1, 2]}, cv=ONE_SPLIT, error_score="raise").fit(objects)
    assert search.transform(objects).shape == (12, 2 * search.best_params_["bottleneck_dim"])
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(search)).transform(objects), search.transform(objects))


@one_of_each
def test_cross_val_score(make, objects, y):
    pipeline = make_pipeline(make(), LogisticRegression())
    assert cross_val_score(pipeline, objects, y, cv=2, error_score="raise").shape == (2,)
    assert (cross_val_score(make(), objects, cv=ONE_SPLIT, error_score="raise") <= 0).all()


@one_of_each
def test_pipeline_with_a_classifier(make, objects, y):
    pipeline = make_pipeline(make(), LogisticRegression()).fit(objects, y)
    assert set(pipeline.predict(objects)) <= {"Ia", "II"}
    np.testing.assert_array_equal(pipeline[:-1].transform(objects), pipeline[0].transform(objects))
    assert list(pipeline[:-1].get_feature_names_out()) == list(pipeline[0].get_feature_names_out())


@one_will_do
def test_pipeline_with_tsne(make, objects):
    embedded = make_pipeline(make(), TSNE(perplexity=5, max_iter=250, random_state=0)).fit_transform(objects)
    assert embedded.shape == (12, 2)


@one_of_each
def test_frozen(fitted, objects, y):
    before = weights(fitted).copy()
    pipeline = make_pipeline(FrozenEstimator(fitted), LogisticRegression()).fit(objects, y)
    np.testing.assert_array_equal(weights(fitted), before)
    np.testing.assert_array_equal(pipeline[0].transform(objects), fitted.transform(objects))
    assert cross_val_score(pipeline, objects, y, cv=2, error_score="raise").shape == (2,)


@one_of_each
def test_bagging_of_an_object_array(make, objects, y):
    column = np.empty((12, 1), object)
    column[:, 0] = objects
    bag = BaggingClassifier(make_pipeline(make(), LogisticRegression()), n_estimators=2, random_state=0)
    assert bag.fit(column, y).predict(column).shape == (12,)


def test_html_and_repr(fitted, make):
    assert type(fitted).__name__ in repr(make())
    with sklearn.config_context(display="diagram"):
        assert type(fitted).__name__ in fitted._repr_html_()
