"""Fits that are killed, stopped or interrupted, and go on from their checkpoint as if they never had been."""

import os
import pickle
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

import skdaep
from skdaep.exceptions import CheckpointWarning, CorruptModelError, InterruptedTrainingWarning
from skdaep.model import CheckpointFile, files

ALL = (*skdaep.ESTIMATORS, *skdaep.MULTIMODAL)
#: One of each kind of input: what keeps and restores a state is the same in all.
ESTIMATORS = ("DAEPEncoder", "MixtureOfExpertsVAE", "ContrastiveNeighbors")
one_will_do = pytest.mark.of("DAEPEncoder")
GROUPS = np.repeat([0, 1, 2, 3], 3)


class Killed(BaseException):
    """Nothing catches it."""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fit.ckpt"


@pytest.fixture(autouse=True)
def short_records(monkeypatch):
    monkeypatch.setattr("skdaep.model.fitting.STEPS_PER_RECORD", 3)


def at_step(monkeypatch, steps, action):
    """Do something once the state has been kept after so many steps."""
    write, steps = CheckpointFile.write, list(steps)

    def stopping(self, state):
        write(self, state)
        if steps and state["iteration"] >= steps[0]:
            steps.pop(0)
            action()

    monkeypatch.setattr(CheckpointFile, "write", stopping)


def kill():
    raise Killed


def course(estimator):
    """The weights, and the records without the seconds that they took."""
    history = [{k: v for k, v in r.items() if k != "seconds"} for r in estimator.history_]
    return estimator.model_.weights, history, estimator.best_loss_, estimator.n_iter_


def assert_same_course(one, other):
    (weights, *rest), (weights_of_other, *rest_of_other) = course(one), course(other)
    assert rest == rest_of_other
    assert weights.keys() == weights_of_other.keys()
    for name, array in weights.items():
        np.testing.assert_array_equal(array, weights_of_other[name], err_msg=name)


def killed_at(monkeypatch, estimator, objects, step, **options):
    """Fit until a kill after a step."""
    with monkeypatch.context() as patch:
        at_step(patch, [step], kill)
        with pytest.raises(Killed):
            estimator.fit(objects, **options)


# --- going on ---------------------------------------------------------------------------------------


@pytest.mark.of(*ALL)
def test_a_fit_goes_on_to_the_same_end(make, objects, path, monkeypatch):
    """Killed in an epoch, at its end, and again; whole epochs, records and batches lie between."""
    goes_on_to_the_same_end(make, objects, path, monkeypatch)


@one_will_do
@pytest.mark.parametrize("options", [{"early_stopping": False, "solver": "adamw"}, {"n_iter_no_change": 2}])
def test_so_does_a_fit_with_other_options(make, objects, path, monkeypatch, options):
    goes_on_to_the_same_end(make, objects, path, monkeypatch, **options)


def goes_on_to_the_same_end(make, objects, path, monkeypatch, **options):
    options = dict(max_iter=13, batch_size=4, validation_fraction=0.5) | options
    whole = make(**options).fit(objects, groups=GROUPS)
    estimator = make(**options, checkpoint=path, checkpoint_every=0)
    for step in (1, 3, 5):
        killed_at(monkeypatch, estimator, objects, step, groups=GROUPS)
        assert path.exists()
    assert_same_course(estimator.fit(objects, groups=GROUPS), whole)
    assert not path.exists()


def test_a_fit_from_a_core_goes_on_to_the_same_end(X, path, monkeypatch, capsys):
    small = {"model_dim": 8, "n_heads": 2, "bottleneck_length": 2, "bottleneck_dim": 2, "max_iter": 7}
    options = small | {"core": "linear", "validation_fraction": 0.5, "random_state": 0, "device": "cpu", "verbose": 1}
    whole = skdaep.DAEPEncoder(skdaep.Photometry(), **options).fit(X)
    told = [line.partition("seconds")[0] for line in capsys.readouterr().out.splitlines()]
    estimator = skdaep.DAEPEncoder(skdaep.Photometry(), **options, checkpoint=path, checkpoint_every=0)
    killed_at(monkeypatch, estimator, X, 4)
    assert_same_course(estimator.fit(X), whole)
    assert [line.partition("seconds")[0] for line in capsys.readouterr().out.splitlines()] == told


def test_a_fit_from_a_folder_goes_on_to_the_same_end(X, tmp_path, path, monkeypatch):
    options = {"model_dim": 8, "n_heads": 2, "max_iter": 7, "random_state": 0, "device": "cpu"}
    store = skdaep.pack([X], tmp_path / "store", skdaep.Photometry())
    whole = skdaep.DAEPEncoder(skdaep.Photometry(), **options).fit(store)
    estimator = skdaep.DAEPEncoder(skdaep.Photometry(), **options, checkpoint=path, checkpoint_every=0)
    killed_at(monkeypatch, estimator, store, 4)
    with pytest.raises(ValueError, match="belongs to another fit: y, X or groups"):
        estimator.fit(X[:-1])
    assert_same_course(estimator.fit(skdaep.Store(tmp_path / "store")), whole)


def test_a_checkpoint_changes_no_number(make, objects, path):
    estimator = make(max_iter=7, checkpoint=path, checkpoint_every=0).fit(objects)
    assert_same_course(estimator, make(max_iter=7).fit(objects))


def test_a_warm_start_goes_on_too(make, fresh, objects, path, monkeypatch):
    options = dict(max_iter=9, warm_start=True)
    whole = pickle.loads(pickle.dumps(fresh)).set_params(**options).fit(objects)
    estimator = pickle.loads(pickle.dumps(fresh)).set_params(**options, checkpoint=str(path), checkpoint_every=0)
    killed_at(monkeypatch, estimator, objects, 5)
    assert_same_course(estimator.fit(objects), whole)


@one_will_do
def test_without_a_seed_it_is_that_of_the_fit_to_go_on_with(make, objects, path, monkeypatch):
    estimator = make(random_state=None, max_iter=8, checkpoint=path, checkpoint_every=0)
    killed_at(monkeypatch, estimator, objects, 4)
    seed = CheckpointFile(path, 0).seed
    assert estimator.fit(objects).model_.seed == seed


@one_will_do
def test_callbacks_are_told_of_what_is_left(make, objects, path, monkeypatch, capsys):
    estimator = make(max_iter=12, checkpoint=path, checkpoint_every=0, early_stopping=False, verbose=True)
    killed_at(monkeypatch, estimator, objects, 7)
    capsys.readouterr()
    assert len(estimator.fit(objects).history_) == 4
    assert [line.split()[2] for line in capsys.readouterr().out.splitlines()] == ["9", "12"]


def test_a_prior_goes_on_too(fitted, objects, path, monkeypatch):
    if not fitted.objective_class.has_decoder:
        pytest.skip("has no prior to learn")
    whole = pickle.loads(pickle.dumps(fitted)).fit_prior(objects, max_iter=9)
    estimator = pickle.loads(pickle.dumps(fitted)).set_params(checkpoint=path, checkpoint_every=0)
    with monkeypatch.context() as patch:
        at_step(patch, [4], kill)
        with pytest.raises(Killed):
            estimator.fit_prior(objects, max_iter=9)
    assert not hasattr(estimator, "prior_history_")
    assert estimator.model_.prior is None
    with pytest.raises(ValueError, match="fit_prior_max_iter was 9 and is 8"):
        estimator.fit_prior(objects, max_iter=8)
    estimator.fit_prior(objects, max_iter=9)
    for name, array in whole.model_.prior.items():
        np.testing.assert_array_equal(array, estimator.model_.prior[name])
    assert list(path.parent.iterdir()) == []


# --- signals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_writes_a_checkpoint_and_keeps_the_model(make, objects, path, monkeypatch, number):
    whole = make(max_iter=9).fit(objects)
    estimator = make(max_iter=9, checkpoint=path, checkpoint_every=3600)
    loss, calls = estimator.objective_class.loss, []

    def signalled(self, batches, generator):
        calls.append(1)
        if len(calls) == 4:
            os.kill(os.getpid(), number)
        return loss(self, batches, generator)

    handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(estimator.objective_class, "loss", signalled)
        with pytest.warns(InterruptedTrainingWarning, match="of 9 steps"):
            estimator.fit(objects)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == handlers
    assert 0 < estimator.n_iter_ < 9
    assert len(estimator.transform(objects)) == 12
    assert path.exists(), "training has not come to its end"
    assert_same_course(estimator.fit(objects), whole)


@one_will_do
def test_a_second_signal_does_not_wait(make, objects, path, monkeypatch):
    estimator = make(max_iter=9, checkpoint=path, checkpoint_every=3600, early_stopping=False)
    loss, calls = estimator.objective_class.loss, []

    def signalled(self, batches, generator):
        calls.append(1)
        if len(calls) == 4:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
        return loss(self, batches, generator)

    monkeypatch.setattr(estimator.objective_class, "loss", signalled)
    with pytest.warns(InterruptedTrainingWarning, match="after 3 of 9 steps"):
        estimator.fit(objects)


@one_will_do
def test_in_a_thread_there_are_no_signals_and_the_fit_is_the_same(make, objects, path):
    estimator = make(max_iter=5, checkpoint=path, checkpoint_every=0)
    thread = threading.Thread(target=estimator.fit, args=(objects,))
    thread.start()
    thread.join()
    assert_same_course(estimator, make(max_iter=5).fit(objects))


# --- what is refused --------------------------------------------------------------------------------


def test_another_fit_is_refused_and_the_file_stays(make, objects, path, monkeypatch):
    estimator = make(max_iter=9, checkpoint=path, checkpoint_every=0)
    killed_at(monkeypatch, estimator, objects, 5)
    before = path.read_bytes()
    for changes, message in {
        ("max_iter", 10): "max_iter was 9 and is 10",
        ("learning_rate_init", 0.5): "learning_rate_init was 0.004 and is 0.5",
        ("random_state", 1): "random_state was another",
        ("solver", "adamw"): "solver was 'muon' and is 'adamw'",
    }.items():
        with pytest.raises(ValueError, match=rf"fit\.ckpt.*another fit: {message}.*delete the file"):
            make(**{"max_iter": 9, "checkpoint": path, changes[0]: changes[1]}).fit(objects)
    with pytest.raises(ValueError, match="X or groups"):
        estimator.fit(objects[:-1] + objects[:1])
    with pytest.raises(ValueError, match="X or groups"):
        estimator.fit(objects, groups=GROUPS)
    assert path.read_bytes() == before
    assert make(max_iter=9, checkpoint=path, verbose=True).fit(objects).n_iter_ == 9, "verbose changes nothing"


@one_will_do
def test_damage_is_refused(make, objects, path, monkeypatch):
    estimator = make(max_iter=9, checkpoint=path, checkpoint_every=0)
    killed_at(monkeypatch, estimator, objects, 5)
    whole = path.read_bytes()
    for place in np.random.default_rng(0).integers(8, len(whole), 10):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(CorruptModelError, match=r"fit\.ckpt.*delete the file"):
            estimator.fit(objects)


@one_will_do
def test_a_model_is_no_checkpoint(make, fresh, objects, path):
    fresh.save(path)
    with pytest.raises(CorruptModelError, match="not a checkpoint"):
        make(checkpoint=path).fit(objects)


@one_will_do
def test_a_folder_that_is_not_there_is_an_error_at_once(make, objects, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        make(checkpoint=tmp_path / "no" / "fit.ckpt").fit(objects)


@one_will_do
def test_what_is_no_regular_file_is_no_checkpoint_and_nobody_is_told_to_delete_it(make, objects, tmp_path):
    for path, wanted in ((tmp_path, "directory"), ("/dev/null", "not a regular file")):
        with pytest.raises(OSError, match=wanted) as error:
            make(checkpoint=path).fit(objects)
        assert "delete" not in str(error.value)


@one_will_do
def test_a_path_is_for_one_fit_at_a_time(make, objects, path):
    estimator = make(checkpoint=path)
    with (
        CheckpointFile.held(path, 0),
        pytest.raises(BlockingIOError, match=r"fit\.ckpt.*in use by another fit.*process"),
    ):
        estimator.fit(objects)
    assert not hasattr(estimator, "model_")
    estimator.fit(objects)
    assert list(path.parent.iterdir()) == []


@one_will_do
def test_where_there_are_no_locks_a_fit_says_so_and_goes_on(make, objects, path, monkeypatch):
    def none(descriptor):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("skdaep.storage._lock", none)
    with pytest.warns(CheckpointWarning, match="cannot be locked.*No locks available"):
        make(checkpoint=path).fit(objects)


@one_will_do
def test_a_full_disk_ends_no_fit(make, objects, path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write", full)
    with pytest.warns(CheckpointWarning, match=r"step \d.*No space left"):
        estimator = make(max_iter=7, checkpoint=path, checkpoint_every=0).fit(objects)
    assert_same_course(estimator, make(max_iter=7).fit(objects))


@one_will_do
def test_a_path_in_a_file_of_the_model(make, objects, path, tmp_path):
    make(checkpoint=path).fit(objects).save(tmp_path / "model")
    assert skdaep.load(tmp_path / "model").checkpoint == str(path)


# --- kill -9 ----------------------------------------------------------------------------------------

SCRIPT = """
import os, signal, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import numpy as np, torch
torch.set_num_threads(1)
import skdaep
import skdaep.model.fitting
from tests.conftest import TINY, objects_for
skdaep.model.fitting.STEPS_PER_RECORD = 7
skdaep.model.CheckpointFile.due = lambda self: time.sleep(0.01) or True  # no fit is over before it is killed
rng = np.random.default_rng(0)

def fit(name, out, **options):
    kind = getattr(skdaep, name)
    if name in skdaep.MULTIMODAL:
        options["modalities"] = {"photometry": skdaep.Photometry(), "spectrum": skdaep.Spectrum()}
    else:
        options["modality"] = skdaep.Photometry()
    options |= {k: v for k, v in TINY.items() if k in kind(**options).get_params()}
    options |= {"max_iter": 60, "batch_size": 4, "validation_fraction": 0.4, "n_iter_no_change": 6}
    estimator = kind(**options).fit(objects_for(kind), groups=np.repeat([0, 1, 2, 3], 3))
    np.savez(out, **estimator.model_.weights, history=[r["loss"] for r in estimator.history_])

def child(function, *arguments, **options):
    pid = os.fork()
    if pid == 0:
        function(*arguments, **options)
        os._exit(0)
    return pid

for name in sys.argv[2:]:
    fit(name, f"whole{name}.npz")
    checkpoint = Path(f"ckpt{name}")
    for kill in (True, True, True, False):
        pid = child(fit, name, f"killed{name}.npz", checkpoint=checkpoint)
        if kill:
            while not checkpoint.exists():
                time.sleep(0.001)
            time.sleep(rng.uniform(0, 0.1))
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        print(name, status, checkpoint.exists())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_killed_processes_lose_nothing(tmp_path):
    """Fits of two kinds in processes that are killed at random times, and one of each that is left alone.

    ``python -m benchmarks.killed`` kills fits of all kinds.
    """
    names = ["DAEPEncoder", "ContrastiveNeighbors"]
    command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parents[2]), *names]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    for name in names:
        *killed, last = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith(name)]
        assert killed == [[str(int(signal.SIGKILL)), "True"]] * 3
        assert last == ["0", "False"]
        with np.load(tmp_path / f"whole{name}.npz") as one, np.load(tmp_path / f"killed{name}.npz") as other:
            assert one.files == other.files
            for key in one.files:
                np.testing.assert_array_equal(one[key], other[key], err_msg=f"{name} {key}")


@one_will_do
@pytest.mark.callbacks
def test_without_a_checkpoint_signals_are_left_alone(make, objects):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = signal.getsignal(signal.SIGTERM)
        seen = []
        make(max_iter=2).set_callbacks(Watch(seen)).fit(objects)
    assert seen == [before]


class Watch:
    """A callback that notes the handler of SIGTERM during a fit."""

    def __init__(self, seen):
        self.seen = seen

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, metadata=None):
        if metadata is not None:
            self.seen.append(signal.getsignal(signal.SIGTERM))
        return False
