"""Functional PCA as an objective: what real modalities give it, and what it gives back."""

import numpy as np
import pytest
import torch
from astropy.table import Table
from sklearn.decomposition import PCA
from torch.utils._python_dispatch import TorchDispatchMode

from skdaep.linear import FlatPoints
from skdaep.linear.em import EM
from skdaep.linear.nodes import Nodes
from skdaep.modalities import Image, Sequence
from skdaep.objectives import FunctionalPCA, Plan, TrainingSet

NAME = "it"


def table(i):
    rng = np.random.default_rng([3, i])
    n = int(rng.integers(6, 25))
    time, band = np.sort(rng.uniform(0, 10, n)), rng.choice(["g", "r"], n)
    flux = rng.normal() * np.sin(time) + rng.normal() * (band == "g") + 0.1 * rng.normal(size=n)
    return Table({"time": time, "flux": flux, "band": band, "flux_err": rng.uniform(0.05, 0.2, n)})


def ragged_of(modality, objects):
    learned = modality.learn(objects)
    return learned.collate(learned.read_all(objects, [f"X[{i}]" for i in range(len(objects))]))


def solve(modality, ragged, n_components, **options):
    options = dict(smoothness=None, error_weighting=False, max_iter=100, tol=3e-4) | options
    networks = {"bottleneck_length": n_components, "bottleneck_dim": 1}
    return FunctionalPCA.solve(Plan({NAME: modality}, networks, options), TrainingSet({NAME: ragged}, None, 0))


TABLES = [table(i) for i in range(80)]
MODALITY = Sequence().learn(TABLES)
STORE = ragged_of(Sequence(), TABLES)
ALL = torch.arange(len(STORE))


@pytest.fixture(scope="module")
def fitted():
    return solve(MODALITY, STORE, 4, error_weighting=True)


@pytest.fixture(scope="module")
def objective(fitted):
    return fitted[0]


def batch(index=ALL):
    return STORE.take(index)


def test_the_bottleneck_has_the_asked_shape_and_its_posterior_is_narrower_than_the_prior(objective):
    mean, scale = objective.encode({NAME: batch()})
    assert mean.shape == scale.shape == (80, 4, 1)
    assert (scale.flatten(1) <= objective.factors.variance.sqrt() * 1.0001).all()


def test_padding_order_and_company_do_not_count(objective):
    whole = objective.encode({NAME: batch()}).mean
    alone = torch.cat([objective.encode({NAME: batch(ALL[i : i + 1])}).mean for i in (0, 5, 79)])
    torch.testing.assert_close(alone, whole[[0, 5, 79]], rtol=1e-4, atol=1e-5)
    shuffled = STORE.subset(ALL, None, torch.Generator().manual_seed(0))
    torch.testing.assert_close(objective.encode({NAME: shuffled}).mean, whole, rtol=1e-4, atol=1e-5)
    spoiled = batch()
    value = spoiled.value.masked_fill(~spoiled.observed, 1e6)
    torch.testing.assert_close(objective.encode({NAME: spoiled.replace(value=value)}).mean, whole)


def test_reconstructions_beat_the_mean_and_the_history_tells_why(fitted):
    objective, history = fitted
    b = batch()
    rebuilt = objective.decode(NAME, objective.encode({NAME: b}).mean, b)
    bare = objective.decode(NAME, torch.zeros(80, 4, 1), b)
    error, of_mean = (((x - b.value).abs() * b.observed).sum() / b.observed.sum() for x in (rebuilt, bare))
    assert error < 0.3 * of_mean
    assert [r["iteration"] for r in history] == list(range(1, len(history) + 1))
    assert {"log_likelihood", "validation_loss", "smoothness", "noise", "seconds"} < set(history[0])
    assert history[-1]["log_likelihood"] > history[0]["log_likelihood"]


def test_loss_is_minus_the_log_likelihood_per_number(objective):
    b = batch()
    loss = objective.loss({NAME: b}, torch.Generator())["loss"]
    torch.testing.assert_close(loss * b.lengths, -objective.posterior({NAME: b}).log_likelihood)


def test_draws_are_of_the_posterior_and_noise_is_that_of_each_measurement(objective):
    b, g = batch(ALL[:1]), torch.Generator().manual_seed(0)
    many = {NAME: b.repeat(4000)}
    (expert,) = zip(*objective.experts({NAME: b}), strict=True)
    z = expert[0].flatten() + torch.randn(4000, 4, generator=g) @ expert[3][0].T
    z = z.double()
    mean, covariance, _ = objective.posterior({NAME: b})
    torch.testing.assert_close(z.mean(0), mean[0], atol=0.05, rtol=0)
    torch.testing.assert_close(z.T.cov(), covariance[0], atol=0.02, rtol=0.1)
    code = objective.encode({NAME: b}).mean.repeat(4000, 1, 1)
    drawn = objective.decode(NAME, code, many[NAME], noise=lambda: torch.randn(4000, b.value.shape[1], generator=g))
    expected = float(objective.factors.noise) + b.error[0].double() ** 2
    torch.testing.assert_close(drawn.double().var(0), expected, rtol=0.1, atol=0)


def test_images_give_the_pca_of_their_pixels():
    rng = np.random.default_rng(0)
    modes = rng.normal(size=(3, 8, 12, 2))
    images = np.tensordot(rng.normal(size=(50, 3)) * [3, 2, 1], modes, 1) + 0.1 * rng.normal(size=(50, 8, 12, 2))
    modality = Image(patch_size=4).learn(list(images))
    ragged = modality.collate(modality.read_all(list(images), [""] * 50))
    objective, _ = solve(modality, ragged, 3)
    b = ragged.subset(torch.arange(50), None, torch.Generator().manual_seed(0))  # patches in any order
    rebuilt = objective.decode(NAME, objective.encode({NAME: b}).mean, b)
    flat = modality.learned.value.forward(images.reshape(50, -1))
    pca = PCA(3).fit(flat)
    expected = ragged.take(torch.arange(50))
    error = (rebuilt - b.value).abs().mean((1, 2))
    at_best = np.abs(pca.inverse_transform(pca.transform(flat)) - flat).mean(1)
    np.testing.assert_allclose(error, at_best, rtol=0.02)
    moved = expected.replace(location=expected.location + 0.1)
    with pytest.raises(ValueError, match="between the places of fit"):
        objective.decode(NAME, torch.zeros(50, 3, 1), moved)


class Work(TorchDispatchMode):
    """Counts the numbers that operations write."""

    def __init__(self):
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.total += sum(x.numel() for x in (out if isinstance(out, tuple | list) else (out,)) if torch.is_tensor(x))
        return out


@pytest.mark.parametrize("weigh_errors", [False, True])
def test_work_grows_as_objects_and_as_points(weigh_errors):
    points = FlatPoints.of(STORE)
    nodes = Nodes.learn(points, 2)

    def work(points):
        with Work() as counted:
            em = EM(nodes, points, 0.1 if weigh_errors else None)
            em.step(em.start(4, torch.Generator().manual_seed(0)), 0.1)
        return counted.total

    def times(n):
        copies = [getattr(points, k).repeat(n, *[1] * (getattr(points, k).ndim - 1)) for k in
                  ("value", "location", "band", "error")]  # fmt: skip
        owner = torch.cat([points.owner + i * points.n_objects for i in range(n)])
        return FlatPoints(owner, *copies, n * points.n_objects)

    one, three, five = (work(times(n)) for n in (2, 4, 6))
    assert five - three == pytest.approx(three - one, rel=0.01)
