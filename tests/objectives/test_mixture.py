"""The mixture-of-experts VAE: its densities, and its bound where the evidence is known."""

import math

import numpy as np
import pytest
import torch
from astropy.table import Table
from torch.distributions import Categorical, Independent, MixtureSameFamily, MultivariateNormal, Normal

from skdaep.modalities import Sequence
from skdaep.model.draws import posterior_draws, random_experts
from skdaep.nn.autoencoder import Autoencoder
from skdaep.nn.batch import POINTS, Batch
from skdaep.objectives import Bottleneck, MixtureOfExperts, Variational
from skdaep.objectives.mixture import log_density, log_mean_exp, log_prior

LENGTHS = {"a": [9, 0, 5, 1], "b": [4, 6, 0, 12]}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def rand(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed))


# --- densities --------------------------------------------------------------------------------------


@pytest.fixture
def experts():
    """Means, scales and which are present, of five objects and four experts."""
    present = torch.rand(5, 4, generator=generator(3)) < 0.6
    present[:, 1] = True
    return rand(5, 4, 2, 3), rand(5, 4, 2, 3, seed=1).exp(), present


def mixtures(means, scales, present):
    """Yield torch's mixture of each object's experts."""
    for mean, scale, own in zip(means, scales, present, strict=True):
        weights = Categorical(torch.ones(int(own.sum())))
        yield MixtureSameFamily(weights, Independent(Normal(mean[own], scale[own]), 2))


def test_the_density_is_that_of_torch_s_mixture(experts):
    z = 2 * rand(5, 7, 2, 3, seed=2)
    expected = torch.stack([m.log_prob(x) for m, x in zip(mixtures(*experts), z, strict=True)])
    torch.testing.assert_close(log_density(z, *experts), expected)
    torch.testing.assert_close(log_prior(z), Independent(Normal(torch.zeros(2, 3), 1.0), 2).log_prob(z))


def test_the_code_is_mean_and_deviation_of_the_mixture(experts, monkeypatch):
    means, scales, present = experts
    objective = MixtureOfExperts(torch.nn.Identity(), beta=1.0, n_importance=1)
    monkeypatch.setattr(objective, "encode_separately", lambda *_: (moments(means, scales), present))
    mean, scale = objective.encode({})
    for i, mixture in enumerate(mixtures(*experts)):
        torch.testing.assert_close(mean[i], mixture.mean, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(scale[i], mixture.stddev, rtol=1e-3, atol=1e-3)


def test_the_mean_of_exponentials_does_not_overflow():
    found = log_mean_exp(torch.tensor([[1000.0, 1000.0], [-1e4, 0.0]]))
    torch.testing.assert_close(found, torch.tensor([1000.0, -math.log(2)]))


def moments(mean, scale):
    """Return what the encoder must give for the posterior to be this."""
    return torch.cat([mean, (scale - 1e-4).expm1().log()], -1)


# --- the bound where the evidence is known ----------------------------------------------------------

BETA, SLOPES, N_COPIES = 0.4, torch.tensor([0.5, -1.0, 0.3, 0.8, 0.2, -0.6]), 4000
VALUES = torch.tensor([0.4, -1.3, 0.6, 1.1, -0.2, -0.9])
EVIDENCE = MultivariateNormal(torch.zeros(6), torch.outer(SLOPES, SLOPES) + BETA * torch.eye(6)).log_prob(VALUES).item()
PRECISION = 1 + (SLOPES**2).sum() / BETA
EXACT = ((SLOPES * VALUES).sum() / BETA / PRECISION).item(), PRECISION.item() ** -0.5


def toy(posteriors, n_importance, cls=MixtureOfExperts):
    """Return an objective for x = slope z + noise of variance beta, with given posteriors, and copies of one object.

    The six points are three of each of two modalities, or six of one.
    """
    nothing = torch.zeros(N_COPIES, 0)
    batches = {}
    for name, part in zip("ab", torch.arange(6).chunk(len(posteriors)), strict=False):
        slope, value = (x[part].expand(N_COPIES, -1) for x in (SLOPES, VALUES))
        seen = torch.ones_like(slope, dtype=torch.bool)
        batches[name] = Batch(value, slope, seen.long(), slope, seen, seen.sum(1), nothing, nothing.long())
    mean, scale = (
        torch.tensor(x).view(1, -1, 1, 1).expand(N_COPIES, -1, -1, -1) for x in zip(*posteriors, strict=True)
    )
    more = {"n_importance": n_importance} if cls is MixtureOfExperts else {}
    objective = cls(torch.nn.Identity(), beta=BETA, **more)
    objective.encode_separately = lambda *_: (moments(mean, scale), torch.ones(mean.shape[:2], dtype=torch.bool))
    objective.posterior = lambda *_: Bottleneck(mean[:, 0], scale[:, 0])
    objective.decode = lambda name, z, query: z[:, 0] * query.location
    return objective, batches


def bounds(posteriors, n_importance, cls=MixtureOfExperts):
    """Return the bound on the evidence that each copy's loss stands for."""
    objective, batches = toy(posteriors, n_importance, cls)
    with torch.no_grad():
        loss = objective.loss(batches, generator())["loss"]
    return -loss * 6 / (2 * BETA) - 3 * np.log(2 * np.pi * BETA)


WRONG = {
    "one expert": [(0.9, 0.6)],
    "two": [(0.9, 0.6), (-0.1, 0.4)],
    "two, one hopeless": [(0.9, 0.6), (-4.0, 0.3)],
}


@pytest.mark.parametrize("posteriors", WRONG.values(), ids=WRONG.keys())
def test_the_bound_rises_with_the_number_of_draws_and_stays_below_the_evidence(posteriors):
    mean, error = zip(
        *((b.mean().item(), b.std().item() / N_COPIES**0.5) for b in (bounds(posteriors, k) for k in (1, 4, 30))),
        strict=True,
    )
    assert all(m <= EVIDENCE + 4 * e for m, e in zip(mean, error, strict=True))
    assert mean[0] < mean[1] - 4 * error[0]
    assert mean[1] < mean[2] - 4 * error[1]
    if len(posteriors) == 1:
        assert mean[2] > EVIDENCE - 0.02


@pytest.mark.parametrize("n_importance", [1, 5])
@pytest.mark.parametrize("n_experts", [1, 2])
def test_the_bound_of_exact_posteriors_is_the_evidence(n_importance, n_experts):
    """Every draw says so, since p(x, z) / q(z) is the same everywhere."""
    found = bounds([EXACT] * n_experts, n_importance)
    torch.testing.assert_close(found, torch.full_like(found, EVIDENCE), rtol=1e-4, atol=1e-4)


def test_one_expert_and_one_draw_are_the_loss_of_the_variational_objective():
    own, plain = bounds(WRONG["one expert"], 1), bounds(WRONG["one expert"], 1, Variational)
    assert own.std() > 0.1
    assert (own - plain).mean().abs() < 4 * (own - plain).std() / N_COPIES**0.5


def test_the_divergence_is_that_of_the_mixture_from_the_prior():
    """And not that of the expert that was drawn from."""
    objective, batches = toy(WRONG["two"], 1)
    decode, drawn = objective.decode, {}
    objective.decode = lambda name, z, query: drawn.update({name: z}) or decode(name, z, query)
    with torch.no_grad():
        found = objective.loss(batches, generator())["divergence"]
    z = drawn["a"].view(N_COPIES, 2)  # one of each expert
    (mixture,) = mixtures(
        *(torch.tensor(x).view(1, 2, 1, 1) for x in zip(*WRONG["two"], strict=True)), torch.ones(1, 2).bool()
    )
    expected = mixture.log_prob(z[..., None, None]) - Normal(0.0, 1.0).log_prob(z)
    torch.testing.assert_close(found, expected.mean(1), rtol=1e-4, atol=1e-5)
    assert torch.equal(drawn["a"], drawn["b"])


def test_two_equal_experts_are_one():
    mean, scale = WRONG["one expert"][0]
    one, two = bounds([(mean, scale)], 3), bounds([(mean, scale)] * 2, 3)
    assert (two.mean() - one.mean()).abs() < 4 * (one.std() + two.std()) / N_COPIES**0.5


def test_an_expert_that_explains_little_is_trained_too():
    """With one logarithm about all experts its weight would be 0 and so would its gradient."""
    objective, batches = toy(WRONG["two, one hopeless"], 4)
    each, present = objective.encode_separately({})
    each = each.detach().clone().requires_grad_()
    objective.encode_separately = lambda *_: (each, present)
    objective.loss(batches, generator())["loss"].sum().backward()
    well, hopeless = each.grad[..., 0].abs().mean((0, 2))
    assert hopeless > well > 0.01


# --- with networks ----------------------------------------------------------------------------------


def table(i, n):
    rng = np.random.default_rng([11, i])
    time = np.sort(rng.uniform(0, 10, n))
    return Table({"time": time, "flux": np.sin(time + i) + 0.2 * i}, meta={"redshift": 0.1 * (i + 1)})


DECLARED = Sequence(metadata=("redshift",))
LEARNED = {
    k: DECLARED.learned or DECLARED.learn([table(i, max(n, 1)) for i, n in enumerate(ns)]) for k, ns in LENGTHS.items()
}
STORES = {
    k: m.collate([m.read(table(i, n), "X") if n else m.absent() for i, n in enumerate(LENGTHS[k])])
    for k, m in LEARNED.items()
}


def make(n_importance=3, beta=0.3, **options):
    """Make an objective away from its initialisation."""
    shape = dict(bottleneck_length=2, bottleneck_dim=3, model_dim=16, n_heads=2, encoder_hidden_length=3)
    layers = dict(n_encoder_layers=1, n_decoder_layers=2, hidden_length=None, share_weights=False)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        autoencoder = Autoencoder(LEARNED, n_moments=2, **shape, **layers)
        objective = MixtureOfExperts(autoencoder, beta=beta, n_importance=n_importance, **options)
        with torch.no_grad():
            for parameter in objective.parameters():
                parameter.add_(0.02 * torch.randn_like(parameter))
    return objective


def shuffled(rows=(0, 1, 2, 3)):
    """Return a training batch: points in random order; the second object lacks a, the third b."""
    return {k: s.subset(torch.arange(4), None, generator(7)).rows(torch.tensor(rows)) for k, s in STORES.items()}


def losses(objective, batches, seed=0):
    with torch.no_grad():
        return objective.loss(batches, generator(seed))


def test_an_expert_is_the_encoder_given_one_modality():
    objective, batches = make(), shuffled()
    with torch.no_grad():
        each, present = objective.encode_separately(batches)
        assert present.tolist() == [[True, True], [False, True], [True, False], [True, True]]
        for j, name in enumerate(LENGTHS):
            other = {k: b if k == name else b.replace(observed=b.observed & False) for k, b in batches.items()}
            rows = batches[name].present
            alone = Variational.encode(objective, {k: b.rows(rows.nonzero()[:, 0]) for k, b in other.items()})
            got = objective.encode({k: b.rows(rows.nonzero()[:, 0]) for k, b in other.items()})
            for one, two in zip(got, alone, strict=True):
                torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5)
            assert not each[~rows, j].any()


@pytest.mark.parametrize("n_queries", [None, 3])
def test_loss_of_one_draw_is_the_error_and_the_divergence_per_point(n_queries):
    for beta in (0.1, 2.0):
        parts = losses(make(n_importance=1, beta=beta, n_queries=n_queries), shuffled())
        n = torch.tensor([sum(x) for x in zip(*LENGTHS.values(), strict=True)])
        torch.testing.assert_close(parts["loss"], parts["error"] + 2 * beta * parts["divergence"] / n)


def test_every_expert_decodes_all_modalities(monkeypatch):
    objective, seen = make(n_importance=3), {}
    decode = objective.decode
    monkeypatch.setattr(
        objective, "decode", lambda name, z, query: seen.setdefault(name, []).append(len(z)) or decode(name, z, query)
    )
    losses(objective, shuffled())
    # Of a: two experts of objects 0 and 3, one of object 2; of b likewise, with object 1.
    assert seen == {"a": [15], "b": [15]}


def constant_noise(monkeypatch):
    pattern = torch.cos(torch.arange(18.0)).view(3, 2, 3)
    monkeypatch.setattr(torch, "rand", lambda *shape, **_: torch.full(shape if shape != ((),) else (), 0.5))
    monkeypatch.setattr(torch, "randn", lambda shape, **_: pattern.expand(shape))


def test_loss_of_an_object_does_not_depend_on_its_company(monkeypatch):
    objective = make()
    constant_noise(monkeypatch)
    together = losses(objective, shuffled())
    for i in range(4):  # and without what it lacks
        alone = {k: b.first(b.lengths) for k, b in shuffled([i]).items() if b.present.any()}
        for part, value in losses(objective, alone).items():
            torch.testing.assert_close(value, together[part][i : i + 1], rtol=1e-5, atol=1e-5)


def test_content_of_padding_does_not_reach_the_loss():
    objective, batches = make(), shuffled()
    filled = {
        name: b.replace(**{k: torch.where(b.observed, getattr(b, k), 0 if k == "band" else 50.0) for k in POINTS})
        for name, b in batches.items()
    }
    clean, dirty = losses(objective, batches), losses(objective, filled)
    for part in clean:
        torch.testing.assert_close(dirty[part], clean[part], rtol=1e-5, atol=1e-5)


def test_loss_is_finite_and_reproducible_from_the_generator():
    objective, batches = make(), shuffled()
    state = torch.random.get_rng_state()
    one, same, other = (losses(objective, batches, seed)["loss"] for seed in (0, 0, 1))
    assert one.isfinite().all()
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_every_parameter_is_trained():
    """But for the decoders' embedding of values, since they are given none."""
    objective = make()
    objective.loss(shuffled(), generator())["loss"].mean().backward()
    for name, parameter in objective.named_parameters():
        if name.startswith("autoencoder.decoder_tokenizers") and name.endswith("value.weight"):
            assert parameter.grad is None or not parameter.grad.any()
            continue
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


# --- draws ------------------------------------------------------------------------------------------


def test_experts_are_chosen_evenly_by_seed_draw_and_content():
    three, one_only = np.ones((3, 3), bool), np.array([[False, True, False]])
    present, sources = np.concatenate([three, one_only]), [(0, 5), (0, 5), (0, 6), (0, 5)]
    one, same, other, single = random_experts(present, sources, 3000)
    np.testing.assert_array_equal(one, same)
    assert (one != other).mean() == pytest.approx(2 / 3, abs=0.04)
    assert np.bincount(one) / 3000 == pytest.approx(np.full(3, 1 / 3), abs=0.04)
    assert (single == 1).all()
    np.testing.assert_array_equal(random_experts(three[:1], [(0, 5)], 40)[0], one[:40])
    assert (random_experts(three[:1], [(1, 5)], 40)[0] != one[:40]).any()


def test_draws_come_from_the_experts_that_an_object_has():
    """Each in its turn, with that expert's mean and scale, whatever is drawn beside it."""
    n, centre, width = 2000, np.array([-5.0, 0.0, 7.0]), np.array([0.5, 0.1, 1.0])
    present = np.array([[True, False, True], [False, True, False], [True, True, True]])
    mean, scale = (x[None, :, None, None].repeat(3, 0).repeat(2, 3) for x in (centre, width))
    sources = [(0, 1), (0, 2), (0, 3)]
    z = posterior_draws(mean, scale, present, None, sources, n)
    assert z.shape == (3, n, 1, 2)
    for own, there in zip(z, present, strict=True):
        experts = np.flatnonzero(there)
        nearest = experts[np.abs(own.mean((1, 2))[:, None] - centre[experts]).argmin(1)]
        for j in experts:
            part = own[nearest == j]
            assert len(part) / n == pytest.approx(1 / len(experts), abs=0.05)
            assert part.mean() == pytest.approx(centre[j], abs=5 * width[j] / len(part) ** 0.5)
            assert part.std() == pytest.approx(width[j], rel=0.1)
    alone = posterior_draws(mean[2:], scale[2:], present[2:], None, sources[2:], 5)
    np.testing.assert_array_equal(alone[0], z[2, :5])
