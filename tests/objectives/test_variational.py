"""The beta-VAE's objective: its divergence, its bound, its posterior, and what beta does to a fit."""

import numpy as np
import pytest
import torch
from astropy.table import Table
from scipy.stats import kstest
from torch.distributions import Normal, kl_divergence

from skdaep import BetaVAEEncoder, Photometry
from skdaep.modalities import Sequence
from skdaep.model import draws as model_draws
from skdaep.nn.autoencoder import Autoencoder
from skdaep.nn.batch import POINTS
from skdaep.objectives import Bottleneck, Variational
from skdaep.objectives.variational import divergence_from_standard_normal

WIDTH = 16
NAME = "sequence"
LENGTHS = [20, 7, 13, 1]


def posterior_draws(mean, scale, sources, n_draws):
    """Draws of a posterior of one expert."""
    there = np.ones((len(mean), 1), bool)
    return model_draws.posterior_draws(mean[:, None], scale[:, None], there, None, sources, n_draws)


def table(i, n):
    rng = np.random.default_rng([11, i])
    time, band = np.sort(rng.uniform(0, 10, n)), rng.choice(["g", "r"], n)
    meta = {"redshift": 0.1 * (i + 1), "survey": "ZTF" if i % 2 else "LSST"}
    return Table({"time": time, "flux": np.sin(time + i) + 0.3 * (band == "g") + 0.2 * i, "band": band}, meta=meta)


TABLES = [table(i, n) for i, n in enumerate(LENGTHS)]
MODALITY = Sequence(metadata=("redshift", "survey")).learn(TABLES)
STORE = MODALITY.collate([MODALITY.read(t, "X") for t in TABLES])


def make(*, beta=0.3, n_queries=None, hidden_length=None, seed=0, modalities=None):
    """Make an objective away from its initialisation."""
    architecture = {
        "bottleneck_length": 2,
        "bottleneck_dim": 3,
        "model_dim": WIDTH,
        "n_heads": 2,
        "n_encoder_layers": 2,
        "n_decoder_layers": 2,
        "hidden_length": hidden_length,
        "encoder_hidden_length": None,
        "share_weights": False,
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        autoencoder = Autoencoder(modalities or {NAME: MODALITY}, n_moments=Variational.n_moments, **architecture)
        objective = Variational(autoencoder, beta=beta, n_queries=n_queries)
        with torch.no_grad():
            for parameter in objective.parameters():
                parameter.add_(0.02 * torch.randn_like(parameter))
    return objective


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def shuffled():
    """Return a training batch: points in random order."""
    return STORE.subset(torch.arange(len(LENGTHS)), None, generator(7))


def losses(objective, batch, seed=0):
    with torch.no_grad():
        return objective.loss({NAME: batch}, generator(seed))


FORMS = pytest.mark.parametrize("hidden_length", [None, 4], ids=["single stage", "two stages"])


def test_divergence_is_shared_by_all_points_of_an_object_however_many_a_step_sees():
    beta, objects = 0.3, torch.arange(len(LENGTHS))
    terms = losses(make(beta=beta), STORE.subset(objects, 4, generator(7)))
    per_nat = (terms["loss"] - terms["error"]) / terms["divergence"]
    torch.testing.assert_close(per_nat, 2 * beta / torch.tensor(LENGTHS, dtype=torch.float32), rtol=1e-4, atol=1e-6)


# --- divergence -------------------------------------------------------------------------------------


def test_divergence_is_that_of_torch():
    mean, scale = 3 * torch.randn(50, 4, 5, generator=generator()), torch.rand(50, 4, 5, generator=generator(1)) * 4
    expected = kl_divergence(Normal(mean, scale), Normal(0.0, 1.0)).sum((1, 2))
    torch.testing.assert_close(divergence_from_standard_normal(mean, scale), expected, rtol=1e-5, atol=1e-5)


def test_divergence_is_zero_for_the_standard_normal_and_nowhere_else():
    zero, one = torch.zeros(1, 2, 3), torch.ones(1, 2, 3)
    assert divergence_from_standard_normal(zero, one).item() == 0
    for mean, scale in ((0.1, 1.0), (-0.1, 1.0), (0.0, 0.9), (0.0, 1.1)):
        assert divergence_from_standard_normal(zero + mean, one * scale).item() > 1e-3


# --- loss -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("beta", [0.0, 0.1, 1.0, 30.0])
@pytest.mark.parametrize("n_queries", [None, 5])
def test_loss_is_the_error_and_twice_beta_times_the_divergence_per_point(beta, n_queries):
    """Per point of the object, however many of them are decoded in a step."""
    parts = losses(make(beta=beta, n_queries=n_queries), shuffled())
    assert set(parts) == {"loss", "error", "divergence"}
    assert all(p.shape == (4,) for p in parts.values())
    expected = parts["error"] + 2 * beta * parts["divergence"] / torch.tensor(LENGTHS)
    torch.testing.assert_close(parts["loss"], expected, rtol=1e-6, atol=1e-6)
    assert parts["divergence"].min() > 0


def test_beta_moves_neither_the_error_nor_the_divergence():
    one, other = (losses(make(beta=beta), shuffled()) for beta in (0.0, 5.0))
    assert torch.equal(one["error"], other["error"])
    assert torch.equal(one["divergence"], other["divergence"])
    assert (other["loss"] > one["loss"]).all()


def test_loss_is_the_negative_evidence_bound_at_beta_1():
    """-ELBO = -E log N(x; x_hat, 1) + KL, over n / 2 and without the constant log(2 pi)."""
    objective, batch = make(beta=1.0), shuffled()
    seen = {}
    decode = objective.decode
    objective.decode = lambda name, z, query: seen.setdefault("out", decode(name, z, query))
    objective.shown = lambda batches, generator: batches  # all points
    loss = losses(objective, batch)["loss"]
    posterior = Normal(*(x.detach() for x in objective.encode({NAME: batch})))
    log_likelihood = Normal(seen["out"], 1.0).log_prob(batch.value) + 0.5 * np.log(2 * np.pi)
    bound = (log_likelihood * batch.observed).sum(1) - kl_divergence(posterior, Normal(0.0, 1.0)).sum((1, 2))
    torch.testing.assert_close(loss, -2 * bound / torch.tensor(LENGTHS), rtol=1e-5, atol=1e-5)


def test_z_of_the_loss_is_drawn_from_the_posterior(monkeypatch):
    objective, batch, drawn, g = make(), shuffled(), [], generator()
    monkeypatch.setattr(objective, "encode", lambda batches: Variational.encode(objective, {NAME: batch}), raising=True)
    monkeypatch.setattr(objective, "decode", lambda name, z, query: drawn.append(z) or query.value)
    with torch.no_grad():
        for _ in range(250):
            objective.loss({NAME: batch}, g)
        mean, scale = objective.encode(None)
    standardised = (torch.stack(drawn) - mean) / scale
    assert kstest(standardised.flatten().numpy(), "norm").pvalue > 1e-4


@FORMS
@pytest.mark.parametrize("n_queries", [None, 5])
def test_content_of_padding_does_not_reach_the_loss(hidden_length, n_queries):
    objective, batch = make(hidden_length=hidden_length, n_queries=n_queries), shuffled()
    filled = batch.replace(
        **{k: torch.where(batch.observed, getattr(batch, k), 1 if k == "band" else 50.0) for k in POINTS}
    )
    assert not torch.equal(filled.value, batch.value)
    clean, dirty = losses(objective, batch), losses(objective, filled)
    for part in clean:
        torch.testing.assert_close(dirty[part], clean[part], rtol=1e-6, atol=1e-6)


@FORMS
def test_loss_of_an_object_does_not_depend_on_its_company(hidden_length, monkeypatch):
    objective, batch = make(hidden_length=hidden_length), shuffled()
    monkeypatch.setattr(torch, "rand", lambda *shape, **_: torch.full(shape if shape != ((),) else (), 0.5))
    monkeypatch.setattr(torch, "randn", lambda shape, **_: torch.cos(torch.arange(6.0)).view(2, 3).expand(shape))
    together = losses(objective, batch)
    for i in range(4):
        alone = batch.replace(**{k: v[i : i + 1] for k, v in vars(batch).items()}).first(batch.lengths[i : i + 1])
        for part, value in losses(objective, alone).items():
            torch.testing.assert_close(value, together[part][i : i + 1], rtol=1e-5, atol=1e-5)


@FORMS
def test_loss_is_finite_and_reproducible_from_the_generator(hidden_length):
    objective, batch = make(hidden_length=hidden_length), shuffled()
    state = torch.random.get_rng_state()
    one, same, other = (losses(objective, batch, seed)["loss"] for seed in (0, 0, 1))
    assert one.isfinite().all()
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.random.get_rng_state(), state)


@FORMS
def test_every_parameter_is_trained(hidden_length):
    """But for the decoder's embedding of values, since it is given none: queries are bare locations."""
    objective = make(hidden_length=hidden_length)
    objective.loss({NAME: shuffled()}, generator())["loss"].mean().backward()
    unused = objective.autoencoder.decoder_tokenizers[NAME].value.weight
    for name, parameter in objective.named_parameters():
        if parameter is unused:
            assert parameter.grad is None or not parameter.grad.any()
            continue
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_modalities_count_equally_and_the_divergence_once(monkeypatch):
    objective, batch = make(beta=1.0, modalities={"a": MODALITY, "b": MODALITY}), shuffled()
    short = batch.first(batch.lengths.clamp(max=4))
    monkeypatch.setattr(objective, "decode", lambda name, z, query: query.value + (1.0 if name == "a" else 3.0))
    with torch.no_grad():
        parts = objective.loss({"a": batch, "b": short}, generator())
    torch.testing.assert_close(parts["error"], torch.full((4,), 5.0), rtol=1e-5, atol=0)
    n_points = 2 * batch.lengths  # of the whole objects, in both modalities
    torch.testing.assert_close(parts["loss"], parts["error"] + 2 * parts["divergence"] / n_points)


# --- posterior --------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0.0, 1.0, -1e3, 1e4])
def test_scale_of_the_posterior_is_positive_whatever_the_encoder_says(value):
    objective, batch = make(), STORE.take(torch.arange(4))
    with torch.no_grad():
        mean, scale = objective.encode({NAME: batch.replace(value=batch.value + value)})
        assert mean.shape == scale.shape == (4, 2, 3)
        assert (scale > 0).all()
        objective.autoencoder.encoder.out[-1].bias.sub_(1e4)
        _, smallest = objective.encode({NAME: batch})
    assert smallest.max() == smallest.min() == pytest.approx(1e-4)
    assert divergence_from_standard_normal(mean, smallest).isfinite().all()


def test_draws_of_the_posterior_have_its_mean_and_scale():
    rng, n = np.random.default_rng(0), 4000
    mean = rng.normal(size=(2, 3, 2)).astype(np.float32)
    scale = np.float32([[[0.01], [1.0], [10.0]], [[2.0], [0.3], [0.1]]]).repeat(2, 2)
    draws = posterior_draws(mean, scale, [(0, 12), (0, 34)], n)
    assert draws.shape == (2, n, 3, 2)
    np.testing.assert_array_less(np.abs(draws.mean(1) - mean), 4.5 * scale / n**0.5)
    np.testing.assert_allclose(draws.std(1), scale, rtol=4.5 / (2 * n) ** 0.5)
    standardised = ((draws - mean[:, None]) / scale[:, None]).transpose(1, 0, 2, 3).reshape(n, -1)
    assert kstest(standardised.ravel(), "norm").pvalue > 1e-4
    assert np.abs(np.corrcoef(standardised.T) - np.eye(12)).max() < 5 / n**0.5


def test_draws_of_the_posterior_are_keyed_by_seed_draw_and_content():
    mean, scale = np.zeros((3, 2, 2), np.float32), np.ones((3, 2, 2), np.float32)
    one, same, other = posterior_draws(mean, scale, [(0, 5), (0, 5), (0, 6)], 4)
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).min() > 0
    np.testing.assert_array_equal(posterior_draws(mean[:1], scale[:1], [(0, 5)], 2)[0], one[:2])
    assert np.abs(posterior_draws(mean[:1], scale[:1], [(1, 5)], 4)[0] - one).min() > 0


# --- through the estimator --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def curves():
    rng, curves = np.random.default_rng(0), []
    for i in range(24):
        time, band = np.sort(rng.uniform(0, 10, 8)), rng.choice(["g", "r"], 8)
        curves.append(Table({"time": time, "mag": i % 4 + 0.02 * rng.normal(size=8), "band": band}))
    return curves


def fit(curves, beta, **changes):
    tiny = dict(model_dim=16, n_heads=2, n_encoder_layers=1, n_decoder_layers=1, bottleneck_length=1, bottleneck_dim=2)
    tiny |= dict(max_iter=150, early_stopping=False, random_state=0, device="cpu", learning_rate_init=1e-2)
    return BetaVAEEncoder(Photometry(), beta=beta, **tiny | changes).fit(curves)


@pytest.fixture(scope="module")
def fits(curves):
    return {beta: fit(curves, beta) for beta in (0.0, 1000.0)}


def posterior(estimator, X):
    return estimator.model_.encode(estimator.model_.read(list(estimator._stream(X))))


def test_transform_gives_the_mean_of_the_posterior(fits, curves):
    mean, scale = posterior(fits[0.0], curves)
    np.testing.assert_array_equal(fits[0.0].transform(curves), mean.reshape(24, -1))
    assert (scale > 0).all()


def test_large_beta_makes_the_posterior_the_prior(fits, curves):
    mean, scale = posterior(fits[1000.0], curves)
    assert np.abs(mean).max() < 0.1
    np.testing.assert_allclose(scale, 1, atol=0.1)


def test_without_beta_the_posterior_is_sharp_and_tells_objects_apart(fits, curves):
    mean, scale = posterior(fits[0.0], curves)
    assert (mean.std(0) / scale.mean(0)).max() > 3
    assert fits[0.0].score(curves) > 0.2 * fits[1000.0].score(curves)  # minus a mean absolute error


def test_divergence_of_the_fit_falls_with_beta(curves, fits):
    divergence = []
    for beta in (0.0, 0.1, 1000.0):
        estimator = fits[beta] if beta in fits else fit(curves, beta)
        mean, scale = (torch.from_numpy(x) for x in posterior(estimator, curves))
        divergence.append(divergence_from_standard_normal(mean, scale).mean().item())
    assert divergence[0] > divergence[1] > divergence[2]


def test_draws_are_decodes_of_draws_of_the_posterior(fits, curves):
    """Their scatter is the one that draws of z from the posterior, decoded at the same places, have."""
    estimator, n, X = fits[0.0], 600, curves[:3]
    draws = estimator.reconstruct(X, n_draws=n, output="arrays")
    mean, scale = posterior(estimator, X)
    for i, own in enumerate(draws):
        assert own.shape == (8, n)
        Z = np.random.default_rng(i).normal(mean[i].ravel(), scale[i].ravel(), (n, mean[i].size))
        expected = np.stack(estimator.inverse_transform(Z, at=[X[i]] * n, output="arrays"), -1)
        scatter = expected.std(1)
        np.testing.assert_array_less(np.abs(own.mean(1) - expected.mean(1)), 4.5 * scatter * (2 / n) ** 0.5)
        np.testing.assert_allclose(own.std(1), scatter, rtol=0.3)


def test_draws_scatter_no_more_than_the_posterior_allows(fits, curves, monkeypatch):
    """A posterior of no width decodes to the point estimate, whatever the draw."""
    estimator, (point,) = fits[0.0], fits[0.0].reconstruct(curves[:1], output="arrays")
    encode = Variational.encode

    def sharp(self, batches):
        return Bottleneck(encode(self, batches).mean, 0 * encode(self, batches).scale)

    monkeypatch.setattr(Variational, "encode", sharp)
    (draws,) = estimator.reconstruct(curves[:1], n_draws=3, output="arrays")
    np.testing.assert_allclose(draws, point[:, None].repeat(3, 1), rtol=1e-5, atol=1e-5)


def test_draws_from_codes_alone_are_refused_and_the_way_out_is_named(fits, curves):
    Z = fits[0.0].transform(curves)
    with pytest.raises(ValueError, match=r"posterior.*reconstruct\(X, n_draws=\)"):
        fits[0.0].inverse_transform(Z, n_draws=2)


@pytest.mark.parametrize("beta", [-0.1, "1", None])
def test_a_beta_that_is_none_is_refused_in_fit(curves, beta):
    with pytest.raises(ValueError, match="'beta' parameter"):
        fit(curves, beta)
