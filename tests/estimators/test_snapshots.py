"""What a callback saves in mid-fit is a model; what a file tells of its fit."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch

import skdaep
from skdaep.estimators import _environment

ESTIMATORS = (*skdaep.ESTIMATORS, *skdaep.MULTIMODAL)


class Saving:
    """Save what there is at the end of every record, as the guide shows."""

    def __init__(self, path):
        self.path, self.n_iter = path, []

    def setup(self, estimator, context):
        """Nothing to set up."""

    def teardown(self, estimator, context):
        """Nothing to tear down."""

    def on_fit_task_begin(self, estimator, context, **data):
        """Nothing at the begin."""

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None, **data):
        if fitted_estimator is not None and context.task_name == "record":
            fitted_estimator.save(self.path)
            self.n_iter.append(fitted_estimator.n_iter_)
        return False


@pytest.mark.of("DAEPEncoder", "MixtureOfExpertsVAE")
@pytest.mark.callbacks
def test_a_callback_can_save_in_mid_fit(make, objects, tmp_path):
    callback = Saving(tmp_path / "model")
    estimator = make(max_iter=60, batch_size=12, early_stopping=False).set_callbacks(callback).fit(objects)
    assert len(callback.n_iter) > 1
    assert callback.n_iter[-1] == estimator.n_iter_
    loaded = skdaep.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.transform(objects), estimator.transform(objects))
    assert loaded.history_ == estimator.history_
    assert loaded.environment_ == estimator.environment_
    assert os.listdir(tmp_path) == ["model"]


def test_a_file_tells_with_what_it_was_made(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    told = skdaep.info(tmp_path / "model")
    assert told.environment == fitted.environment_
    expected = {name: metadata.version(name) for name in ("torch", "numpy", "scikit-learn", "astropy")}
    expected |= {"skdaep": skdaep.__version__, "python": platform.python_version(), "threads": torch.get_num_threads()}
    assert told.environment.items() >= expected.items()
    assert told.environment["device"].startswith("cpu")
    assert told.estimator == type(fitted).__name__
    assert told.parameters["max_iter"] == 30
    assert told.n_weights >= sum(v.size for v in fitted.model_.weights.values())
    for text in ("30 steps", f"torch {torch.__version__}", "max_iter = 30", "not signed"):
        assert text in str(told)


def test_the_commit_is_that_of_git(fitted):
    root = Path(skdaep.__file__).parents[1]
    git = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False)
    if git.returncode or not (root / ".git").exists():
        pytest.skip("no clone")
    assert fitted.environment_["commit"] == git.stdout.strip()


def test_the_commit_of_a_wheel_is_what_it_was_built_from(tmp_path, monkeypatch):
    monkeypatch.setattr(_environment, "__file__", str(tmp_path / "skdaep" / "estimators" / "_environment.py"))
    (tmp_path / "skdaep").mkdir()
    (tmp_path / "skdaep" / "_commit.txt").write_text("abc\n")
    assert _environment._commit.__wrapped__() == "abc"
