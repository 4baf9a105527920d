"""What every estimator does with lists of Tables, whatever its objective; scikit-learn's checks know arrays only."""

import copy
import pickle

import joblib
import numpy as np
import pytest
import sklearn
import skops.io
import torch
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.ensemble import BaggingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils import check_random_state

from skdaep.estimators import _fitting
from skdaep.estimators._decoding import collate
from skdaep.estimators._fitting import Split, Validation
from skdaep.exceptions import DivergenceError, InterruptedTrainingWarning

# Padding and the order of sums move float32 by about 2e-7; a real leak moves it by far more.
CLOSE = dict(rtol=1e-5, atol=1e-5)

# Each takes the codes Z of X too, since noise is keyed by the codes passed, to the last bit.
METHODS = {
    "transform": lambda e, X, Z: e.transform(X),
    "reconstruct": lambda e, X, Z: e.reconstruct(X, output="arrays"),
    "inverse_transform": lambda e, X, Z: e.inverse_transform(Z, at=X, output="arrays"),
    "draws of reconstruct": lambda e, X, Z: e.reconstruct(X, n_draws=2, output="arrays"),
    "draws of inverse_transform": lambda e, X, Z: e.inverse_transform(Z, at=X, n_draws=2, output="arrays"),
}
each_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
# where an estimator's draws come from -> the methods that it refuses
REFUSED = {
    "noise": [],
    "posterior": ["draws of inverse_transform"],
    None: ["draws of reconstruct", "draws of inverse_transform"],
}


def refused(estimator_class):
    return REFUSED[estimator_class._objective_class.draws]


@pytest.fixture(autouse=True)
def only_methods_that_it_has(request):
    if "method" in request.fixturenames:
        method = request.getfixturevalue("method")
        if any(method is METHODS[name] for name in refused(request.getfixturevalue("estimator_class"))):
            pytest.skip("these draws do not exist")


def assert_close(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, **CLOSE)


def assert_differ(one, other):
    assert np.abs(np.asarray(one) - np.asarray(other)).max() > 1e-3


def content(tables):
    """Everything a table holds, as something that compares with ==."""
    return [
        (
            t.colnames,
            dict(t.meta),
            [
                (c.unit, c.dtype.str, np.ma.getmaskarray(c).tolist(), np.ma.getdata(c).tobytes())
                for c in t.columns.values()
            ],
        )
        for t in tables
    ]


def results(estimator, X):
    """What every method gives, under its name."""
    Z = estimator.transform(X)
    has = {k: v for k, v in METHODS.items() if k not in refused(type(estimator))}
    return {name: method(estimator, X, Z) for name, method in has.items()}


def assert_identical(one, other):
    assert one.keys() == other.keys()
    for name in one:
        for a, b in zip(one[name], other[name], strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)


def weights(estimator):
    return np.concatenate([w.ravel() for w in estimator._weights.values()])


# --- the premise of all that follows ----------------------------------------------------------------


@each_method
def test_different_objects_have_different_results(fitted, X, method):
    first = [np.ravel(a)[:3] for a in method(fitted, X, fitted.transform(X))]
    for i in range(1, len(X)):
        assert_differ(first[0], first[i])


# --- fit --------------------------------------------------------------------------------------------


def test_fit_returns_self_and_keeps_the_parameters(make, X):
    estimator = make()
    before = estimator.get_params()
    assert estimator.fit(X) is estimator
    assert estimator.get_params() == before


def test_fit_transform_is_fit_then_transform(make, fresh, X):
    np.testing.assert_array_equal(make().fit_transform(X), fresh.transform(X))


def test_inputs_are_unchanged(make, X):
    X[3]["mag"].mask[0] = True
    X[4]["mag"][1] = np.nan
    before = content(X)
    estimator = make().fit(X)
    assert content(X) == before
    Z = estimator.transform(X)
    codes = Z.copy()
    for name in METHODS.keys() - refused(type(estimator)):
        METHODS[name](estimator, X, Z)
        assert content(X) == before, name
        np.testing.assert_array_equal(Z, codes)
    estimator.reconstruct(X, output="tables")
    estimator.inverse_transform(Z, at=X, output="tables")
    assert content(X) == before


def test_no_method_changes_the_estimator(fitted, X):
    before = pickle.dumps(fitted)
    results(fitted, X)
    assert pickle.dumps(fitted) == before


@pytest.mark.parametrize("method", ["transform", "inverse_transform", "reconstruct", "score", "save"])
def test_unfitted_is_refused(make, X, method):
    with pytest.raises(NotFittedError):
        getattr(make(), method)(X)


def test_same_seed_same_result(make, fresh, X):
    assert_identical(results(make().fit(X), X), results(fresh, X))


def test_other_seed_other_result(make, fresh, X):
    assert_differ(make(random_state=1).fit_transform(X), fresh.transform(X))


def test_a_random_state_instance_is_used_and_advanced(make, X):
    rng = np.random.RandomState(0)
    one, other = make(random_state=rng).fit_transform(X), make(random_state=rng).fit_transform(X)
    assert_differ(one, other)
    np.testing.assert_array_equal(one, make(random_state=np.random.RandomState(0)).fit_transform(X))


def test_global_generators_and_settings_are_untouched(make, X):
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
    estimator = make().fit(X)
    assert state() == before
    results(estimator, X)
    pickle.loads(pickle.dumps(estimator)).transform(X)
    assert state() == before


def test_second_fit_forgets_the_first(make, fresh, X, make_light_curve):
    others = [make_light_curve(i) for i in range(20, 30)]
    for table in others:
        table["mag"].unit = table["mag_err"].unit = "Jy"
        table.meta["survey"] = "DES"
    again = make().fit(others).fit(X)
    assert again.modalities_ == fresh.modalities_
    np.testing.assert_array_equal(weights(again), weights(fresh))
    np.testing.assert_array_equal(again.transform(X), fresh.transform(X))


def test_second_fit_on_tables_forgets_that_the_first_saw_columns(make, X):
    estimator = make(modality=None).fit(np.random.default_rng(0).normal(size=(10, 6)))
    assert estimator.n_features_in_ == 6
    estimator.fit(X)
    assert not hasattr(estimator, "n_features_in_")
    assert estimator.transform(X).shape == (12, 4)


def test_warm_start_continues(make, X):
    rate = dict(learning_rate_init=1e-9)  # a fit that hardly moves, so that it shows where it began
    first = make(max_iter=10).fit(X)
    before, modalities = weights(first), first.modalities_
    first.set_params(warm_start=True, max_iter=2, **rate).fit(X)
    np.testing.assert_allclose(weights(first), before, atol=1e-6)
    assert first.modalities_ is modalities  # scaling too, so that z keeps its meaning
    assert_differ(weights(make(max_iter=1, **rate).fit(X)), before)


def test_warm_start_lowers_the_loss(make, X):
    estimator = make(warm_start=True, max_iter=10, early_stopping=False).fit(X)
    first = estimator.history_[-1]["loss"]
    assert estimator.fit(X).history_[-1]["loss"] < first


def test_warm_start_after_changing_the_architecture_is_refused(make, X):
    estimator = make(warm_start=True).fit(X)
    before = estimator.transform(X)
    for name, value in {"bottleneck_dim": 3, "n_heads": 1, "n_encoder_layers": 3}.items():
        was = estimator.get_params()[name]
        with pytest.raises(ValueError, match=rf"warm_start=True.*{name} was {was} .* is {value} now"):
            estimator.set_params(**{name: value}).fit(X)
        estimator.set_params(**{name: was})
    np.testing.assert_array_equal(estimator.transform(X), before)


def test_history_and_what_is_learned(make, X, monkeypatch):
    monkeypatch.setattr(_fitting, "STEPS_PER_RECORD", 2)
    estimator = make(max_iter=7).fit(X)
    assert [r["iteration"] for r in estimator.history_] == [2, 4, 6, 7]
    for record in estimator.history_:
        assert {"iteration", "loss", "validation_loss", "learning_rate", "seconds"} <= set(record)
        assert all(np.isfinite(v) for v in record.values())
    assert estimator.n_iter_ == 7
    assert estimator.best_loss_ == min(r["validation_loss"] for r in estimator.history_)
    assert estimator.device_ == "cpu"
    without = make(max_iter=7, early_stopping=False).fit(X)
    assert "validation_loss" not in without.history_[-1]
    assert without.best_loss_ == min(r["loss"] for r in without.history_)


def test_early_stopping_restores_the_best_weights(make, X, monkeypatch):
    monkeypatch.setattr(_fitting, "STEPS_PER_RECORD", 2)
    losses, seen = iter([3.0, 1.0, 2.0, 1.5, 0.1]), []

    def scripted(self, objective):
        seen.append({k: v.clone() for k, v in objective.state_dict().items()})
        return next(losses)

    monkeypatch.setattr(Validation, "__call__", scripted)
    estimator = make(max_iter=20, n_iter_no_change=2).fit(X)
    assert estimator.n_iter_ == 8, "stops after two records without a better one"
    assert estimator.best_loss_ == 1.0
    assert any(not torch.equal(seen[1][k], seen[3][k]) for k in seen[1])
    for name, value in estimator._weights.items():
        np.testing.assert_array_equal(value, seen[1][name].numpy())


def test_validation_has_the_same_noise_every_time(fresh, X):
    stores = collate(fresh.modalities_, fresh._read(fresh._objects(X), fresh.modalities_), torch.device("cpu"))
    validation = Validation(stores, fresh, 1, torch.device("cpu"), torch.float32)
    assert validation(fresh._module) == validation(fresh._module)


def test_groups_stay_on_one_side(make):
    groups = np.repeat(np.arange(10), 5)
    for seed in range(5):
        split = Split.of(make(validation_fraction=0.3), 50, groups, check_random_state(seed))
        assert len(split.validation) == 15
        assert not set(groups[split.train]) & set(groups[split.validation])
        assert sorted([*split.train, *split.validation]) == list(range(50))
    alone = Split.of(make(validation_fraction=0.3), 50, None, check_random_state(0))
    assert set(groups[alone.train]) & set(groups[alone.validation])


def test_fit_passes_groups_on(make, X, monkeypatch):
    seen, of = [], Split.of

    def recording(estimator, n_objects, groups, random_state):
        seen.append(of(estimator, n_objects, groups, random_state))
        return seen[-1]

    monkeypatch.setattr(Split, "of", recording)
    groups = np.repeat([0, 1, 2], 4)
    make(validation_fraction=0.3).fit(X, groups=groups)
    assert len(set(groups[seen[0].validation])) == 1
    assert len(seen[0].validation) == 4


def test_divergence_names_objects(make, X):
    with pytest.raises(DivergenceError, match=r"X\[\d+\].*learning_rate_init") as caught:
        make(learning_rate_init=1e30, max_iter=20, weight_decay=0.0).fit(X)
    assert set(caught.value.names) <= set(range(12))


# --- interruption and callbacks ---------------------------------------------------------------------


def interrupt_at(monkeypatch, estimator, call):
    """Make Ctrl-C arrive in the loss of a training step, counted from 1."""
    calls, loss = [], estimator._objective_class.loss

    def interrupted(self, batches, generator):
        calls.append(1)
        if len(calls) == call:
            raise KeyboardInterrupt
        return loss(self, batches, generator)

    monkeypatch.setattr(estimator._objective_class, "loss", interrupted)


def test_interrupted_training_keeps_the_model(make, X, monkeypatch):
    estimator = make(max_iter=20, early_stopping=False)
    interrupt_at(monkeypatch, estimator, 5)
    with pytest.warns(InterruptedTrainingWarning, match="after 4 of 20"):
        estimator.fit(X)
    assert estimator.n_iter_ == 4
    assert estimator.transform(X).shape == (12, 4)
    assert [r["iteration"] for r in estimator.history_] == [4]


def test_interrupted_with_a_record_behind_it_keeps_the_model(make, X, monkeypatch):
    monkeypatch.setattr(_fitting, "STEPS_PER_RECORD", 2)
    estimator = make(max_iter=20, early_stopping=False)
    interrupt_at(monkeypatch, estimator, 5)
    with pytest.warns(InterruptedTrainingWarning):
        estimator.fit(X)
    assert [r["iteration"] for r in estimator.history_] == [2, 4]


def test_interrupted_before_the_first_step_leaves_things_as_they_were(make, X, monkeypatch):
    estimator = make().fit(X)
    before = estimator.transform(X)
    interrupt_at(monkeypatch, estimator, 1)
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X[:6])
    np.testing.assert_array_equal(estimator.transform(X), before)


def test_interrupted_in_a_callback_keeps_the_model(make, X, monkeypatch):
    monkeypatch.setattr(_fitting, "STEPS_PER_RECORD", 2)
    estimator = make(max_iter=8).set_callbacks(Watcher(interrupt_at=2))
    with pytest.warns(InterruptedTrainingWarning):
        estimator.fit(X)
    assert estimator.n_iter_ == 4
    assert estimator.transform(X).shape == (12, 4)


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


def test_a_callback_sees_every_record(make, X, monkeypatch):
    monkeypatch.setattr(_fitting, "STEPS_PER_RECORD", 2)
    watcher = Watcher()
    estimator = make(max_iter=6, early_stopping=False).set_callbacks(watcher).fit(X)
    assert watcher.records == estimator.history_
    assert watcher.data is X
    assert watcher.events[:3] == ["setup", "begin fit", "begin record"]
    assert watcher.events[-3:] == ["end record", "end fit", "teardown"]
    assert watcher.events.count("begin record") == watcher.events.count("end record") == 3
    np.testing.assert_array_equal(watcher.codes[-1], estimator.transform(X))
    assert_differ(watcher.codes[0], watcher.codes[-1])


def test_a_callback_can_stop_the_fit(make, X, monkeypatch):
    monkeypatch.setattr(_fitting, "STEPS_PER_RECORD", 2)
    estimator = make(max_iter=10).set_callbacks(Watcher(stop_at=2)).fit(X)
    assert estimator.n_iter_ == 4


def test_the_estimator_a_callback_gets_stays_what_it_was(make, X, monkeypatch):
    monkeypatch.setattr(_fitting, "STEPS_PER_RECORD", 2)
    watcher = Watcher(stop_at=1)
    estimator = make(max_iter=10, warm_start=True).set_callbacks(watcher).fit(X)
    kept, code = watcher.kept, watcher.codes[0]
    estimator.set_callbacks().fit(X)
    np.testing.assert_array_equal(kept.transform(X), code)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(kept)).transform(X), code)


def test_progress_bar(make, X, capsys):
    make().set_callbacks(ProgressBar()).fit(X)
    assert "100%" in capsys.readouterr().out


def test_progress_bar_of_a_search_reaches_the_encoder(make, X, capsys):
    search = GridSearchCV(make(), {"bottleneck_dim": [1, 2]}, cv=2).set_callbacks(
        ProgressBar(max_propagation_depth=None)
    )
    search.fit(X)
    assert type(make()).__name__ in capsys.readouterr().out


def test_verbose_writes_a_line_per_record_and_silence_is_the_default(make, X, capsys):
    make().fit(X)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""
    make(verbose=True).fit(X)
    assert "step 3" in capsys.readouterr().out


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


@pytest.mark.parametrize("round_trip", COPIES.values(), ids=COPIES.keys())
def test_a_copy_gives_identical_results(fitted, X, round_trip, tmp_path):
    other = round_trip(fitted, tmp_path / "copy")
    assert_identical(results(other, X), results(fitted, X))
    assert other.get_params() == fitted.get_params()
    assert other.history_ == fitted.history_


def test_a_copy_of_a_copy_is_a_copy(fitted, X, tmp_path):
    other = pickle.loads(pickle.dumps(copy.deepcopy(pickle.loads(pickle.dumps(fitted)))))
    np.testing.assert_array_equal(other.transform(X), fitted.transform(X))


def test_pickles_hold_no_torch(fitted, X, make):
    fitted.transform(X)  # the live module is there
    assert b"torch" not in pickle.dumps(fitted)
    assert b"torch" not in pickle.dumps(make())


def test_clone_is_unfitted_and_fits_alike(fresh, X):
    other = clone(fresh)
    assert not hasattr(other, "modalities_")
    assert other.get_params() == fresh.get_params()
    np.testing.assert_array_equal(other.fit(X).transform(X), fresh.transform(X))


# --- invariances ------------------------------------------------------------------------------------


@each_method
def test_order_of_objects_is_irrelevant(fitted, X, method):
    order = np.random.default_rng(0).permutation(len(X))
    Z = fitted.transform(X)
    expected = method(fitted, X, Z)
    assert_close(method(fitted, [X[i] for i in order], Z[order]), [expected[i] for i in order])


@each_method
def test_company_of_objects_is_irrelevant(fitted, X, method):
    Z = fitted.transform(X)
    expected = method(fitted, X, Z)
    for i in range(0, len(X), 3):
        assert_close(method(fitted, X[i : i + 1], Z[i : i + 1]), expected[i : i + 1])


@each_method
def test_padding_is_irrelevant(fitted, make_light_curve, method, monkeypatch):
    # Batches never pad by more than 10 %; without that limit a short object is padded to the length of a long one.
    monkeypatch.setattr("skdaep.training.batches.MAX_PADDING", 1.0)
    short, long = make_light_curve(1, n=3), make_light_curve(2, n=60)
    Z = fitted.transform([long, short])
    expected = method(fitted, [short], Z[1:])
    assert_close(method(fitted, [long, short], Z)[1:], expected)


@each_method
def test_order_of_rows_is_irrelevant(fitted, X, method):
    rng = np.random.default_rng(0)
    orders = [rng.permutation(len(t)) for t in X]
    Z = fitted.transform(X)
    expected = method(fitted, X, Z)
    got = method(fitted, [t[order] for t, order in zip(X, orders, strict=True)], Z)
    if method is not METHODS["transform"]:
        expected = [a[order] for a, order in zip(expected, orders, strict=True)]
    assert_close(got, expected)


@each_method
def test_content_of_unobserved_cells_is_irrelevant(fitted, X, method):
    def with_row_0_unobserved(garbage, mask):
        table = X[2].copy()
        table["mag"][0] = garbage
        table["mag"].mask[0] = mask
        return table

    kinds = [(18.0, True), (1e30, True), (np.nan, True), (np.inf, True), (np.nan, False)]
    Z = fitted.transform(X[2:3])
    got = method(fitted, [with_row_0_unobserved(*kind) for kind in kinds], Z.repeat(len(kinds), axis=0))
    assert_close(got[1:], [got[0]] * (len(kinds) - 1))


def test_an_observed_cell_matters(fitted, X):
    before = fitted.transform(X[2:3])
    X[2]["mag"].mask[0] = True
    assert_differ(fitted.transform(X[2:3]), before)


def test_an_unobserved_row_is_as_no_row(fitted, X):
    table = X[2].copy()
    table["mag"].mask[0] = True
    assert_close(fitted.transform([table]), fitted.transform([X[2][1:]]))
    (rebuilt,) = fitted.reconstruct([table])
    assert np.isfinite(rebuilt["mag"]).all(), "a row without a measurement is decoded too"


def test_error_and_other_columns_do_not_move_the_code(fitted, X):
    expected = fitted.transform(X[:1])
    X[0]["quality"] = 99
    np.testing.assert_array_equal(fitted.transform(X[:1]), expected)


@each_method
def test_small_passes_give_the_same_as_one_large(fitted, X, method, monkeypatch):
    Z = fitted.transform(X)
    expected = method(fitted, X, Z)
    monkeypatch.setattr("skdaep.estimators._decoding.TOKENS_PER_PASS", 20)
    assert_close(method(fitted, X, Z), expected)


# --- draws ------------------------------------------------------------------------------------------

DRAWS = {k: v for k, v in METHODS.items() if "draws" in k}
each_draw = pytest.mark.parametrize("method", DRAWS.values(), ids=DRAWS.keys())


@each_draw
def test_draws_differ_and_identical_objects_share_them(fitted, X, method):
    one, other = method(fitted, [X[4], X[4].copy()], fitted.transform(X[4:5]).repeat(2, axis=0))
    np.testing.assert_allclose(one, other, **CLOSE)
    assert one.shape == (len(X[4]), 2)
    assert_differ(one[:, 0], one[:, 1])


def test_draw_does_not_depend_on_the_number_of_draws(fitted, X, has_draws):
    two, three = (fitted.reconstruct(X[:3], n_draws=n, output="arrays") for n in (2, 3))
    assert_close([a[:, :2] for a in three], two)


def test_draws_depend_on_the_seed_of_the_estimator(fitted, X, has_draws):
    other = copy.deepcopy(fitted)
    other._seed += 1
    (one,), (two,) = (e.reconstruct(X[:1], n_draws=1, output="arrays") for e in (fitted, other))
    assert_differ(one, two)
    np.testing.assert_array_equal(fitted.transform(X), other.transform(X))


def test_draws_depend_on_the_content_of_the_object(fitted, X, has_draws):
    other = X[0].copy()
    other["mag"][0] += 1e-3
    one, two = fitted.reconstruct([X[0], other], n_draws=1, output="arrays")
    assert_differ(one, two)


@pytest.mark.parametrize("n_draws", [0, -1, 1.5, "2"])
def test_a_wrong_number_of_draws_is_refused(fitted, X, n_draws):
    with pytest.raises(ValueError, match="n_draws"):
        fitted.reconstruct(X, n_draws=n_draws)


# --- output -----------------------------------------------------------------------------------------


def test_transform_gives_float32_of_the_size_of_the_bottleneck(fitted, X):
    Z = fitted.transform(X)
    assert Z.shape == (12, 4)
    assert Z.dtype == np.float32


def test_feature_names_and_pandas_output(make, X):
    estimator = make().set_output(transform="pandas").fit(X)
    frame = estimator.transform(X)
    names = [f"{type(estimator).__name__.lower()}{i}" for i in range(4)]
    assert list(frame.columns) == list(estimator.get_feature_names_out()) == names
    np.testing.assert_array_equal(frame.to_numpy(), estimator.set_output(transform="default").transform(X))
    # A DataFrame of codes goes back in.
    assert len(estimator.inverse_transform(frame)) == 12


def test_reconstruct_gives_tables_with_the_rows_units_and_meta_of_the_object(fitted, X):
    for table, rebuilt in zip(X, fitted.reconstruct(X), strict=True):
        assert set(rebuilt.colnames) == {"time", "band", "mag"}
        assert rebuilt["mag"].unit == "mag"
        assert rebuilt["time"].unit == "d"
        assert rebuilt.meta == table.meta
        np.testing.assert_array_equal(rebuilt["time"], table["time"])
        np.testing.assert_array_equal(rebuilt["band"], table["band"])


def test_output_arrays_are_the_values_of_the_tables(fitted, X, some_draws):
    for n_draws in (None, some_draws):
        tables = fitted.reconstruct(X, n_draws=n_draws)
        arrays = fitted.reconstruct(X, n_draws=n_draws, output="arrays")
        for table, array in zip(tables, arrays, strict=True):
            np.testing.assert_array_equal(table["mag"], array)
    with pytest.raises(ValueError, match="output='lists'"):
        fitted.reconstruct(X, output="lists")


def test_rebuilt_tables_do_not_share_memory_with_the_input(fitted, X):
    rebuilt = fitted.reconstruct(X[:1])[0]
    before = content(X[:1])
    rebuilt["time"][:] = 0
    rebuilt.meta["redshift"] = 9
    assert content(X[:1]) == before


def test_bfloat16_stays_near_float32(make, X, some_draws):
    estimator = make(precision="bfloat16").fit(X)
    half, draws = estimator.transform(X), estimator.reconstruct(X, n_draws=some_draws, output="arrays")
    assert all(np.isfinite(d).all() for d in draws)
    full = estimator.set_params(precision="float32").transform(X)
    assert not np.array_equal(half, full)
    assert np.abs(half - full).max() < 0.05 * np.abs(full).max()


def test_parameters_of_the_networks_set_after_fit_change_nothing(make, X):
    estimator = make().fit(X)
    Z, rebuilt = estimator.transform(X), estimator.reconstruct(X, output="arrays")
    estimator.set_params(model_dim=12, hidden_length=6)
    assert np.array_equal(estimator.transform(X), Z)
    assert_close(estimator.reconstruct(X, output="arrays"), rebuilt)


def test_default_grid(fitted, X):
    Z = fitted.transform(X)
    rebuilt = fitted.inverse_transform(Z)
    assert len(rebuilt) == 12
    grid = rebuilt[0]
    assert grid["time"].unit == "d"
    assert grid["mag"].unit == "mag"
    assert set(grid["band"]) == {"g", "r"}
    times = np.concatenate([t["time"] for t in X])
    assert times.min() <= grid["time"].min() < 5
    assert 95 < grid["time"].max() <= times.max()
    assert grid.meta == {"redshift": np.median([t.meta["redshift"] for t in X]), "survey": "ZTF"}
    for table in rebuilt:
        np.testing.assert_array_equal(table["time"], grid["time"])
        assert np.isfinite(table["mag"]).all()
    # It is a decode like any other.
    at = [grid] * 12
    assert_close([t["mag"] for t in rebuilt], fitted.inverse_transform(Z, at=at, output="arrays"))


def test_at_needs_no_values(fitted, X):
    Z = fitted.transform(X)
    expected = fitted.inverse_transform(Z, at=X, output="arrays")
    bare = [t["time", "band"] for t in X]
    assert_close(fitted.inverse_transform(Z, at=bare, output="arrays"), expected)


def test_reconstruct_is_encode_then_decode(fitted, X):
    rebuilt = fitted.reconstruct(X, output="arrays")
    assert_close(rebuilt, fitted.inverse_transform(fitted.transform(X), at=X, output="arrays"))


def test_score_is_minus_the_mean_absolute_error_in_scaled_units(fitted, X):
    X[3]["mag"].mask[:2] = True
    scale = fitted.modalities_["sequence"].learned.value.scale
    assert scale == pytest.approx(np.std(np.concatenate([t["mag"].data.data for t in X])))
    errors = [
        np.abs(np.ma.masked_invalid(t["mag"]) - a).mean() / scale
        for t, a in zip(X, fitted.reconstruct(X, output="arrays"), strict=True)
    ]
    score = fitted.score(X)
    assert score <= 0
    assert score == pytest.approx(-np.mean(errors), rel=1e-5)
    assert fitted.score(X, np.zeros(12)) == score


# --- metadata ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"redshift": 2.0}, {"survey": "LSST"}])
def test_metadata_change_code_and_decode(fitted, X, change):
    X = [X[1]]
    other = [X[0].copy()]
    other[0].meta.update(change)
    assert X[0].meta["survey"] == "ZTF"
    Z = fitted.transform(X)
    assert_differ(fitted.transform(other), Z)
    decode = fitted.inverse_transform
    assert_differ(decode(Z, at=X, output="arrays")[0], decode(Z, at=other, output="arrays")[0])


@pytest.mark.parametrize("key", ["redshift", "survey"])
def test_absent_metadata_are_absent_in_the_encoder_and_typical_in_the_decoder(fitted, X, key):
    typical, absent, empty = X[1].copy(), X[1].copy(), X[1].copy()
    typical.meta[key] = {"redshift": np.median([t.meta["redshift"] for t in X]), "survey": "ZTF"}[key]
    del absent.meta[key]
    empty.meta[key] = np.nan
    Z = fitted.transform([typical, absent, empty])
    np.testing.assert_allclose(Z[1], Z[2], **CLOSE)
    assert_differ(Z[0], Z[1])
    one, two = fitted.inverse_transform(Z[[0, 0]], at=[typical, absent], output="arrays")
    np.testing.assert_allclose(one, two, **CLOSE)


# --- composition ------------------------------------------------------------------------------------


def test_grid_search(make, X):
    search = GridSearchCV(make(), {"bottleneck_dim": [1, 2]}, cv=2, error_score="raise").fit(X)
    assert search.transform(X).shape == (12, 2 * search.best_params_["bottleneck_dim"])
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(search)).transform(X), search.transform(X))


def test_cross_val_score(make, X, y):
    pipeline = make_pipeline(make(), LogisticRegression())
    assert cross_val_score(pipeline, X, y, cv=2, error_score="raise").shape == (2,)
    assert (cross_val_score(make(), X, cv=2, error_score="raise") <= 0).all()


def test_pipeline_with_a_classifier(make, X, y):
    pipeline = make_pipeline(make(), LogisticRegression()).fit(X, y)
    assert set(pipeline.predict(X)) <= {"Ia", "II"}
    np.testing.assert_array_equal(pipeline[:-1].transform(X), pipeline[0].transform(X))
    assert list(pipeline[:-1].get_feature_names_out()) == list(pipeline[0].get_feature_names_out())


def test_pipeline_with_tsne(make, X):
    embedded = make_pipeline(make(), TSNE(perplexity=5, max_iter=250, random_state=0)).fit_transform(X)
    assert embedded.shape == (12, 2)


def test_frozen(fitted, X, y):
    before = weights(fitted).copy()
    pipeline = make_pipeline(FrozenEstimator(fitted), LogisticRegression()).fit(X, y)
    np.testing.assert_array_equal(weights(fitted), before)
    np.testing.assert_array_equal(pipeline[0].transform(X), fitted.transform(X))
    assert cross_val_score(pipeline, X, y, cv=2, error_score="raise").shape == (2,)


def test_bagging_of_an_object_array(make, X, y):
    column = np.empty((12, 1), object)
    column[:, 0] = X
    bag = BaggingClassifier(make_pipeline(make(), LogisticRegression()), n_estimators=2, random_state=0)
    assert bag.fit(column, y).predict(column).shape == (12,)


def test_html_and_repr(fitted, make):
    assert type(fitted).__name__ in repr(make())
    with sklearn.config_context(display="diagram"):
        assert type(fitted).__name__ in fitted._repr_html_()
