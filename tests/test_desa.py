"""What `benchmarks.desa` scores by: clusters matched to labels, intervals by range of label, stars on one side."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import skdaep

ROOT = Path(skdaep.__file__).parents[1]
if not (ROOT / "benchmarks").is_dir():
    pytest.skip("the package is installed without its benchmarks", allow_module_level=True)

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(ROOT)
    pytest.importorskip("pandas")  # the benchmarks' extra
    from benchmarks import _stars


def test_clusters_are_matched_to_labels_whatever_their_numbers():
    """In the public code the number of a cluster is compared with that of a class."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 4, 200)
    assert _stars.matched_accuracy(label, label) == 1
    wrong = np.where(np.arange(200) < 20, (label + 1) % 4, label)
    for order in ([1, 2, 3, 0], [3, 0, 2, 1]):
        assert _stars.matched_accuracy(np.array(order)[label], label) == 1
        assert _stars.matched_accuracy(np.array(order)[wrong], label) == 0.9
    assert _stars.matched_accuracy(np.zeros(200, int), label) == np.bincount(label).max() / 200


def test_clusters_of_codes_that_know_the_temperature():
    rng = np.random.default_rng(0)
    teff = rng.permutation(np.repeat([4000.0, 5000, 6000, 7000], 40)) + rng.normal(0, 20, 160)
    codes = np.stack([teff, 0.1 * teff + rng.normal(0, 3, 160)], 1)
    assert _stars.cluster_accuracy(codes, teff) > 0.95
    assert _stars.cluster_accuracy(rng.standard_normal((160, 2)), teff) < 0.45


class Predictor:
    """Predicts the same quantiles for all, of 5 targets."""

    quantiles_ = np.array([0.1, 0.25, 0.5, 0.75, 0.9])

    def __init__(self):
        names = dict(names=(), form="array", units=(None,) * 5, flat=False, n_columns=5)
        self.model_ = SimpleNamespace(targets=SimpleNamespace(**names))

    def predict_quantiles(self, X):
        return np.tile([-1.0, -0.5, 0.0, 0.5, 1.0], (len(X), 5, 1))


def test_coverage_is_told_of_all_and_of_thirds_of_the_labels():
    rng = np.random.default_rng(0)
    labels = {"test": np.tile(np.linspace(-3, 3, 300)[:, None], 5), "validation": rng.uniform(-3, 3, (99, 5))}
    labels["test"][::7, 1] = np.nan
    data = SimpleNamespace(objects={k: list(v) for k, v in labels.items()}, labels=labels)
    data.stars = {k: np.arange(len(v)) for k, v in labels.items()}
    found = _stars.coverage(Predictor(), data)
    np.testing.assert_allclose(found["predicted"]["teff"], [1 / 3, 0, 1, 0], atol=0.02)
    np.testing.assert_allclose(found["predicted"]["logg"], [1 / 3, 0, 1, 0], atol=0.02)
    assert found["calibrated"]["teff"][0] == pytest.approx(0.8, abs=0.1)
    assert found["calibrated"]["teff"][2] == 1


def test_a_few_shot_probe_never_sees_the_star_it_is_scored_on():
    """Every star twice, with the same code and a label of its own: nothing is learned of others."""
    rng = np.random.default_rng(0)
    star = np.repeat(np.arange(60), 2)
    codes, label = rng.standard_normal((60, 8))[star], rng.standard_normal(60)[star]
    data = SimpleNamespace(labels={"test": np.tile(label[:, None], 5)}, stars={"test": star})
    assert all(score < 0.1 for name, score in _stars._on_few(codes, data).items() if not name.endswith("_sd"))
