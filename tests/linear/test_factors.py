"""Probabilistic PCA of incomplete functions against scikit-learn, closed forms and its own promises."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA

from skdaep.linear import FactorAnalysis, FlatPoints, draw, fit, scores
from skdaep.linear.em import EM, solve, steady
from skdaep.linear.factors import root_of_precision
from skdaep.linear.nodes import Nodes

K = 3


def points_of(objects, n_bands=1):
    """Make points of objects given as (location, value[, band[, error]]) in float64."""
    full = [(*o, *(np.zeros(len(o[0]), int), np.full(len(o[0]), np.nan))[len(o) - 2 :]) for o in objects]
    location, value, band, error = (torch.as_tensor(np.concatenate(x)) for x in zip(*full, strict=True))
    owner = torch.arange(len(full)).repeat_interleave(torch.tensor([len(o[0]) for o in full]))
    return FlatPoints(owner, value.view(len(owner), -1), location, band, error, len(full))


def curves(n, x, seed=0, noise=0.1):
    """Return curves (n, len(x)) of three smooth modes about a mean, with noise."""
    rng = np.random.default_rng(seed)
    modes = np.stack([np.sin((k + 1) * np.pi * x + k) for k in range(K)])
    return np.cos(3 * x) + (rng.normal(size=(n, K)) * [2.0, 1.0, 0.5]) @ modes + noise * rng.normal(size=(n, len(x)))


def on_grid(Y, x):
    return points_of([(x, y) for y in Y])


def irregular(n=60, seed=0, noise=0.1, least=4, most=20):
    """Return curves at locations of their own, two bands, of which the second is the first's negative."""
    rng = np.random.default_rng([seed, 1])
    objects = []
    for i in range(n):
        x = np.sort(rng.uniform(0, 1, rng.integers(least, most)))
        band = rng.integers(0, 2, len(x))
        y = curves(n, x, seed, 0)[i] * np.where(band, -1, 1) + noise * rng.normal(size=len(x))
        objects.append((x, y, band))
    return points_of(objects)


def decoded(model, z, x, band=0):
    at = torch.as_tensor(x).expand(len(z), -1)
    return model.decode(z, at, torch.full(at.shape, band))[..., 0]


def dense(model, location, band, error=None):
    """Return mean, basis and variance of the noise at points, by definition."""
    at, bands = torch.as_tensor(location)[None], torch.as_tensor(band)[None]
    mean = model.decode(torch.zeros(1, model.n_components).double(), at, bands)[0, :, 0]
    eye = torch.eye(model.n_components, dtype=torch.float64)
    basis = model.decode(eye, at.expand(len(eye), -1), bands.expand(len(eye), -1))[..., 0] - mean
    noise = float(model.noise) + (0 if error is None else np.asarray(error) ** 2) + np.zeros(len(location))
    return mean.numpy(), basis.numpy().T, noise


# --- scikit-learn ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "m"), [(80, 30), (20, 50)], ids=["tall", "wide"])
def test_complete_grids_give_the_pca_of_scikit_learn(n, m):
    x = np.linspace(0, 1, m)
    Y = curves(n, x)
    pca = PCA(K, svd_solver="full").fit(Y)
    model, _ = fit(on_grid(Y, x), K, smoothness=0.0, tol=1e-9)
    z = model.posterior(on_grid(Y, x)).mean
    np.testing.assert_allclose(np.abs(pca.components_ @ model.basis[:, 0].numpy() / m**0.5), np.eye(K), atol=1e-4)
    # Scores are shrunk by noise: without noise they are those of PCA.
    shrunk = model.variance / (model.variance + model.noise / m)
    np.testing.assert_allclose(decoded(model, z / shrunk, x), pca.inverse_transform(pca.transform(Y)), atol=1e-4)
    left = Y.var(0).sum() - pca.explained_variance_.sum() * (n - 1) / n
    np.testing.assert_allclose(float(model.noise), left / (m - K), rtol=1e-4)
    np.testing.assert_allclose(model.variance + model.noise / m, pca.explained_variance_ * (n - 1) / n / m, rtol=1e-4)


def test_missing_values_of_a_factor_model_are_foretold_better_than_by_filling_in():
    x = np.linspace(0, 1, 30)
    Y, rng = curves(300, x, noise=0.05), np.random.default_rng(3)
    seen = rng.random(Y.shape) < 0.4
    points = points_of([(x[s], y[s]) for y, s in zip(Y, seen, strict=True)])
    model, _ = fit(points, K, smoothness=0.0, tol=1e-6, max_iter=300)
    error = np.abs(decoded(model, model.posterior(points).mean, x).numpy() - curves(300, x, noise=0))
    assert len(model.nodes) == len(x)
    assert error[~seen].mean() < 0.05
    assert float(model.noise) == pytest.approx(0.05**2, rel=0.1)


# --- closed forms ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("weigh_errors", [False, True])
def test_posterior_and_likelihood_are_those_of_the_normal_distribution(weigh_errors):
    rng = np.random.default_rng(0)
    plain = irregular()
    error = torch.as_tensor(rng.uniform(0.05, 0.3, len(plain)))
    points = FlatPoints(plain.owner, plain.value, plain.location, plain.band, error, plain.n_objects)
    model, _ = fit(points, K, n_bands=2, smoothness=1e-6, weigh_errors=weigh_errors)
    posterior = model.posterior(points)
    for i in (0, 7, 59):
        here = points.owner == i
        location, band, y = (x[here].numpy() for x in (points.location, points.band, points.value[:, 0]))
        mean, basis, noise = dense(model, location, band, error[here].numpy() if weigh_errors else None)
        prior = np.diag(model.variance.numpy())
        marginal = basis @ prior @ basis.T + np.diag(noise)
        gain = prior @ basis.T @ np.linalg.inv(marginal)
        np.testing.assert_allclose(posterior.mean[i], gain @ (y - mean), rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(posterior.covariance[i], prior - gain @ basis @ prior, rtol=1e-6, atol=1e-9)
        expected = multivariate_normal(mean, marginal).logpdf(y)
        np.testing.assert_allclose(posterior.log_likelihood[i], expected, rtol=1e-8)


def test_curves_of_a_gaussian_process_are_foretold_as_by_its_own_conditional():
    """Brownian motion on [0, 1] at 12 nodes: with all components the model is the process."""
    x, rng = np.linspace(0.1, 1, 12), np.random.default_rng(0)
    covariance, noise = np.minimum(x[:, None], x), 0.01
    Y = rng.multivariate_normal(np.zeros(12), covariance, 20000) + noise**0.5 * rng.normal(size=(20000, 12))
    model, _ = fit(on_grid(Y, x), 11, smoothness=0.0)
    seen, y = np.array([1, 4, 9]), Y[0]
    z = model.posterior(points_of([(x[seen], y[seen])])).mean
    gain = covariance[:, seen] @ np.linalg.inv(covariance[np.ix_(seen, seen)] + noise * np.eye(3))
    np.testing.assert_allclose(decoded(model, z, x)[0], gain @ y[seen], atol=0.05)


def test_draws_cover_as_they_say():
    model, _ = fit(irregular(2000, least=10, most=40), K, n_bands=2, smoothness=1e-7, tol=1e-5)
    other = irregular(400, seed=0, least=6)
    first = torch.arange(len(other)) % 2 == 0
    posterior = model.posterior(other.of_points(first))
    noise = torch.Generator().manual_seed(0)
    draws = [draw(posterior, torch.randn(400, K, generator=noise)) for _ in range(200)]
    hidden = other.of_points(~first)
    places = model.nodes.place(hidden.location, hidden.band)
    values = torch.stack([
        model.nodes.at(model.mean + torch.einsum("nk,lpk->nlp", z, model.basis), places, hidden.owner)[:, 0]
        for z in draws
    ])  # fmt: skip
    values += model.noise.sqrt() * torch.randn(values.shape, generator=noise)
    for level in (0.5, 0.9):
        low, high = values.quantile((1 - level) / 2, 0), values.quantile((1 + level) / 2, 0)
        inside = (low <= hidden.value[:, 0]) & (hidden.value[:, 0] <= high)
        assert float(inside.double().mean()) == pytest.approx(level, abs=0.04)
    spread = torch.stack(draws).transpose(0, 1) - posterior.mean[:, None]
    empirical = spread.mT @ spread / 200
    assert float((empirical - posterior.covariance).abs().mean() / posterior.covariance.abs().mean()) < 0.15


# --- what is promised of the fit ------------------------------------------------------------------------


@pytest.mark.parametrize("weigh_errors", [False, True])
@pytest.mark.parametrize("penalty", [0.0, 0.3])
def test_no_step_lowers_the_objective(weigh_errors, penalty):
    plain = irregular()
    error = torch.as_tensor(np.random.default_rng(0).uniform(0.05, 0.3, len(plain)))
    em = EM(Nodes.learn(plain, 2), FlatPoints(plain.owner, plain.value, plain.location, plain.band, error, 60),
            0.1 if weigh_errors else None)  # fmt: skip
    state, objectives = em.start(K, torch.Generator().manual_seed(0)), []
    for _ in range(40):
        state, _, objective = em.step(state, penalty)
        objectives.append(objective)
    assert np.diff(objectives).min() > -1e-6 * abs(objectives[-1])
    assert objectives[-1] - objectives[0] > 10


def test_basis_is_orthonormal_over_points_and_codes_are_as_far_apart_as_curves():
    points = irregular()
    model, _ = fit(points, K, n_bands=2, smoothness=1e-6)
    _, basis, _ = dense(model, points.location.numpy(), points.band.numpy())
    np.testing.assert_allclose(basis.T @ basis / len(points), np.eye(K), atol=1e-6)
    assert (np.diff(model.variance.numpy()) <= 0).all()
    flat = model.basis.flatten(0, 1)
    assert (flat.gather(0, flat.abs().argmax(0, keepdim=True)) > 0).all()


def test_smoothness_is_chosen_by_what_it_foretells():
    """Sparse curves ask for it, more of it foretells worse; the error of other objects says which is best."""
    train, other = irregular(100, most=8, noise=0.3), irregular(100, seed=9, least=10)
    by_smoothness = {s: fit(train, K, n_bands=2, smoothness=s, validation=other)[1] for s in (0.0, 1.0)}
    _, history = fit(train, K, n_bands=2, validation=other)
    least = min(r["validation_error"] for r in history)
    for records in by_smoothness.values():
        assert least < min(r["validation_error"] for r in records)
    assert any(r["smoothness"] > 0 for r in history)


def test_the_penalty_is_the_integral_of_the_squared_second_derivative():
    """Of sin(2 pi x): 8 pi^4, on nodes wherever they are, in whatever unit."""
    rng = np.random.default_rng(0)
    x = (np.arange(801) + np.r_[0, rng.uniform(-0.3, 0.3, 799), 0]) / 800
    nodes = Nodes(torch.as_tensor(50 * x - 3), torch.tensor([len(x)]))
    f, R = torch.as_tensor(np.sin(2 * np.pi * x)), nodes.roughness()
    total = (R[:, 0] * f**2).sum() + 2 * sum((R[:-d, d] * f[:-d] * f[d:]).sum() for d in (1, 2))
    assert float(total) == pytest.approx(8 * np.pi**4, rel=0.01)
    line = torch.as_tensor(3 * x - 1)
    bent = (R[:, 0] * line**2).sum() + 2 * sum((R[:-d, d] * line[:-d] * line[d:]).sum() for d in (1, 2))
    assert abs(float(bent)) < 1e-3


def test_sums_over_points_are_those_of_interpolation_matrices():
    """The evidence, which is all that a step sees of the points, against dense matrices h."""
    points = irregular(60)
    nodes = Nodes.learn(points, 2)
    places = nodes.place(points.location, points.band)
    weight = torch.as_tensor(np.random.default_rng(0).uniform(0.1, 1, len(points)))
    evidence = nodes.evidence(points, places, weight)
    h = nodes.at(torch.eye(len(nodes), dtype=torch.float64), places)  # (n, L)
    for i in range(5):
        mine = points.owner == i
        A = h[mine].T @ (weight[mine, None] * h[mine])
        np.testing.assert_allclose(evidence.own[i], A.diagonal(), atol=1e-12)
        np.testing.assert_allclose(evidence.next[i, :-1], A.diagonal(1), atol=1e-12)
        np.testing.assert_allclose(evidence.value[i], h[mine].T @ (weight[mine, None] * points.value[mine]), atol=1e-12)
    np.testing.assert_allclose(h.sum(1), 1)


def test_objects_without_points_have_the_scores_of_all():
    points = irregular()
    model, _ = fit(points, K, n_bands=2, smoothness=0.0)
    posterior = model.posterior(points.of_points(points.owner != 3))
    np.testing.assert_allclose(posterior.mean[3], 0)
    np.testing.assert_allclose(posterior.covariance[3], torch.diag(model.variance), atol=1e-12)


def test_more_components_than_objects_span_stay_unused():
    x = np.linspace(0, 1, 20)
    model, _ = fit(on_grid(curves(5, x), x), 8, smoothness=0.0)
    posterior = model.posterior(on_grid(curves(5, x), x))
    assert (model.variance[4:] == 0).all()
    assert (posterior.mean[:, 4:] == 0).all()
    assert posterior.mean.isfinite().all()
    assert model.basis.isfinite().all()


def test_a_band_without_points_and_constant_values_are_borne():
    model, _ = fit(points_of([(np.arange(4.0), np.ones(4))] * 3), 2, n_bands=2, smoothness=0.0)
    np.testing.assert_allclose(decoded(model, torch.zeros(1, 2), np.arange(4.0)), 1, atol=1e-6)


def test_points_of_infinite_error_count_for_nothing_and_unknown_ones_are_typical():
    plain = irregular()
    error = torch.full((len(plain),), 0.1, dtype=torch.float64)
    spoiled, unknown = plain.value.clone(), error.clone()
    spoiled[::7], error[::7], unknown[::2] = 1e3, torch.inf, torch.nan

    def scores(value, error):
        points = FlatPoints(plain.owner, value, plain.location, plain.band, error, plain.n_objects)
        return model.posterior(points).mean

    points = FlatPoints(plain.owner, plain.value, plain.location, plain.band, unknown, plain.n_objects)
    model, history = fit(points, K, n_bands=2, smoothness=1e-6, weigh_errors=True)
    assert np.isfinite([r["log_likelihood"] for r in history]).all()
    torch.testing.assert_close(scores(spoiled, error), scores(plain.value, error))
    torch.testing.assert_close(scores(plain.value, unknown), scores(plain.value, unknown.nan_to_num(0.1)))


def test_single_precision_and_nodes_that_few_objects_saw_are_borne():
    x, rng = np.linspace(0, 1, 40), np.random.default_rng(0)
    Y = curves(40, x, noise=1e-3)
    objects = [(x[s], y[s]) for y, s in zip(Y, rng.random(Y.shape) < 0.1 + 0.9 * (x < 0.5), strict=True)]
    double = points_of(objects)
    single = FlatPoints(
        double.owner, double.value.float(), double.location.float(), double.band, double.error.float(), 40
    )
    for smoothness in (0.0, 1e-9):
        a, b = (fit(p, 12, smoothness=smoothness, max_iter=30)[0].posterior(p) for p in (single, double))
        assert a.mean.isfinite().all()
        assert float(a.log_likelihood.sum()) == pytest.approx(float(b.log_likelihood.sum()), rel=0.1)


def test_state_is_plain_tensors_that_rebuild_the_model():
    points = irregular()
    model, _ = fit(points, K, n_bands=2, smoothness=1e-6)
    again = FactorAnalysis.of_state(model.state_dict())
    for a, b in zip(model.posterior(points), again.posterior(points), strict=True):
        assert torch.equal(a, b)


def test_nodes_out_of_order_are_refused():
    state = fit(irregular(), K, n_bands=2)[0].state_dict()
    turned = state | {"nodes.location": state["nodes.location"].flip(0)}
    with pytest.raises(ValueError, match="not in order"):
        FactorAnalysis.of_state(turned)


def test_fit_leaves_the_global_generator_and_points_as_they_were():
    points = irregular()
    before, values = torch.random.get_rng_state(), points.value.clone()
    (first, _), (second, _) = (fit(points, K, n_bands=2) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(points.value, values)
    assert torch.equal(first.basis, second.basis)


def test_rounding_that_makes_a_system_indefinite_is_outweighed():
    own = torch.tensor([1.0, -1e-6], dtype=torch.float64).diag_embed().expand(4, 2, 2)
    system = own, torch.zeros(3, 2, 2, dtype=torch.float64), torch.ones(4, 1, 2, dtype=torch.float64)
    smooth, rounding = torch.zeros(4, 3, dtype=torch.float64), torch.tensor(1e-8, dtype=torch.float64)
    with pytest.raises(np.linalg.LinAlgError):
        solve(*system, smooth)
    np.testing.assert_allclose(steady(*system, smooth, rounding)[:, 0], [[1 / (1 + 1e-5), 1 / 9e-6]] * 4)


def test_the_root_of_a_precision_bears_rounding_and_is_nan_where_there_is_none():
    exact = torch.tensor([[2.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    rounded = torch.tensor([[1e8, 1e8 + 1], [1e8 + 1, 1e8]], dtype=torch.float64)  # of 1e8 in float32, plus 1
    none = torch.full((2, 2), torch.nan, dtype=torch.float64)
    root = root_of_precision(torch.stack([exact, rounded, none]), eps=1.2e-7)
    torch.testing.assert_close(root[0], torch.linalg.cholesky(exact))
    torch.testing.assert_close(root[1] @ root[1].T, rounded, rtol=1e-5, atol=0)
    assert root[2].diagonal().isnan().any()


@pytest.mark.parametrize("weigh_errors", [False, True])
def test_a_few_objects_at_a_time_give_the_fit_of_all_at_once(weigh_errors, monkeypatch):
    points = irregular()
    error = 0.1 + torch.rand(len(points), generator=torch.Generator().manual_seed(3))
    points = replace(points, error=error.to(points.value))
    options = dict(n_bands=2, weigh_errors=weigh_errors)
    whole, history = fit(points, K, **options)
    seen, expectation = [], scores.expectation
    monkeypatch.setattr(scores, "AT_ONCE", 7 * (1 + K) ** 2)
    monkeypatch.setattr(scores, "expectation", lambda *a: seen.append(len(a[2].own)) or expectation(*a))
    parts, again = fit(points, K, **options)
    assert max(seen) == 7
    assert len(again) == len(history)
    torch.testing.assert_close(parts.basis, whole.basis, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(parts.noise, whole.noise)


@pytest.mark.parametrize(("n_bands", "least"), [(1, 64), (4, 64), (8, 64), (37, 13), (300, 8)])
def test_dozens_of_sparse_bands_have_few_nodes_each(n_bands, least):
    """Clinical records have 37 variables, most measured once or twice: 64 nodes each cost more than they say."""
    rng = np.random.default_rng(0)
    band = np.arange(2 * n_bands) // 2
    objects = [(rng.uniform(0, 1, len(band)), rng.normal(size=len(band)), band) for _ in range(100)]
    assert Nodes.learn(points_of(objects, n_bands), n_bands).counts.tolist() == [least] * n_bands


def test_a_band_of_many_points_has_as_many_nodes_among_dozens_as_alone():
    rng = np.random.default_rng(0)
    band = np.concatenate([np.zeros(50, int), np.arange(1, 37)])
    objects = [(rng.uniform(0, 1, len(band)), rng.normal(size=len(band)), band) for _ in range(100)]
    assert Nodes.learn(points_of(objects, 37), 37).counts.tolist() == [100, *[13] * 36]
