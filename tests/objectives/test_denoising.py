"""The denoising objective: what its loss depends on and what not, its times, and its two ways to decode."""

import itertools

import numpy as np
import pytest
import torch
from astropy.table import Table

from skdaep.diffusion.process import PREDICTIONS, posterior_mean
from skdaep.diffusion.schedules import SCHEDULES
from skdaep.modalities import Sequence
from skdaep.nn.autoencoder import Autoencoder
from skdaep.nn.batch import POINTS
from skdaep.objectives import Denoising
from skdaep.objectives.denoising import Spread

WIDTH = 16
NAME = "sequence"


def table(i, n):
    rng = np.random.default_rng([3, i])
    time = np.sort(rng.uniform(0, 10, n))
    band = rng.choice(["g", "r"], n)
    value = np.sin(time + i) + 0.3 * (band == "g") + 0.2 * i
    meta = {"redshift": 0.1 * (i + 1), "survey": "ZTF" if i % 2 else "LSST"}
    return Table({"time": time, "flux": value, "band": band}, meta=meta)


TABLES = [table(i, n) for i, n in enumerate([20, 7, 13, 1])]
MODALITY = Sequence(metadata=("redshift", "survey")).learn(TABLES)
STORE = MODALITY.collate([MODALITY.read(t, "X") for t in TABLES])


def make(*, seed=0, modality=MODALITY, **changes):
    """Make an objective away from its initialisation, where any gate may still be shut."""
    architecture = {
        "bottleneck_length": 2,
        "bottleneck_dim": 3,
        "model_dim": WIDTH,
        "n_heads": 2,
        "n_encoder_layers": 2,
        "n_decoder_layers": 2,
        "hidden_length": 4,
        "encoder_hidden_length": None,
        "share_weights": False,
    }
    process = {
        "prediction": "x0",
        "schedule": "cosine",
        "sampler": "dpm++",
        "n_sampling_steps": 4,
        "n_queries": 1000,
    }
    architecture |= {k: v for k, v in changes.items() if k in architecture}
    process |= {k: v for k, v in changes.items() if k in process}
    assert set(changes) <= {*architecture, *process}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        objective = Denoising(Autoencoder({NAME: modality}, **architecture), **process)
        with torch.no_grad():
            for parameter in objective.parameters():
                parameter.add_(0.02 * torch.randn_like(parameter))
    return objective


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def shuffled(index=range(4)):
    """Return a training batch: points in random order."""
    return STORE.subset(torch.tensor(list(index)), None, generator(7))


FORMS = pytest.mark.parametrize("hidden_length", [None, 4], ids=["single stage", "two stages"])
ALL_PREDICTIONS = pytest.mark.parametrize("prediction", sorted(PREDICTIONS))


# --- loss -------------------------------------------------------------------------------------------


@FORMS
@ALL_PREDICTIONS
def test_loss_is_one_finite_number_per_object_reproducible_from_the_generator(hidden_length, prediction):
    objective, batch = make(hidden_length=hidden_length, prediction=prediction), shuffled()
    state = torch.random.get_rng_state()
    one, same, other = (objective.loss({NAME: batch}, generator(seed))["loss"] for seed in (0, 0, 1))
    assert one.shape == (4,)
    assert one.isfinite().all()
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.random.get_rng_state(), state)


@FORMS
@pytest.mark.parametrize("n_queries", [1000, 5])
def test_content_of_padding_does_not_reach_the_loss(hidden_length, n_queries):
    objective, batch = make(hidden_length=hidden_length, n_queries=n_queries), shuffled()
    filled = batch.replace(
        **{k: torch.where(batch.observed, getattr(batch, k), 1 if k == "band" else 50.0) for k in POINTS}
    )
    assert not torch.equal(filled.value, batch.value)
    clean, dirty = (objective.loss({NAME: b}, generator())["loss"] for b in (batch, filled))
    torch.testing.assert_close(clean, dirty, rtol=1e-6, atol=1e-6)


@FORMS
@ALL_PREDICTIONS
def test_loss_of_an_object_does_not_depend_on_its_company(hidden_length, prediction, monkeypatch):
    """The same share of points, times and noise for the object alone and among longer ones."""
    objective = make(hidden_length=hidden_length, prediction=prediction)

    def size_of(shape):
        return shape if not shape or isinstance(shape[0], int) else shape[0]

    def noise(*shape, **_):
        return torch.cos(7.0 * torch.arange(size_of(shape)[-1])).expand(size_of(shape))

    monkeypatch.setattr(objective, "random_times", lambda n, generator: torch.full((n,), 0.4))
    monkeypatch.setattr(torch, "randn", noise)
    monkeypatch.setattr(torch, "rand", lambda *shape, **_: torch.full(size_of(shape), 0.5))
    batch = shuffled()
    together = objective.loss({NAME: batch}, generator())["loss"]
    for i, n in enumerate(batch.lengths):
        cut = batch.replace(**{k: v[i : i + 1] for k, v in vars(batch).items()})
        cut = cut.replace(**{k: getattr(cut, k)[:, :n] for k in (*POINTS, "observed")})
        alone = objective.loss({NAME: cut}, generator())["loss"]
        torch.testing.assert_close(alone, together[i : i + 1], rtol=1e-5, atol=1e-5)


def test_every_observed_point_counts_where_all_are_queried():
    """Moving one value moves the loss, be it the encoder's or the decoder's: no point is left out for good."""
    objective, batch = make(prediction="epsilon"), shuffled([1])
    base = objective.loss({NAME: batch}, generator())["loss"]
    for j in range(batch.value.shape[1]):
        value = batch.value.clone()
        value[:, j] += 1
        assert not torch.equal(objective.loss({NAME: batch.replace(value=value)}, generator())["loss"], base)


@FORMS
@ALL_PREDICTIONS
@pytest.mark.parametrize("encoder_hidden_length", [None, 6])
def test_every_parameter_is_trained(hidden_length, prediction, encoder_hidden_length):
    objective = make(hidden_length=hidden_length, prediction=prediction, encoder_hidden_length=encoder_hidden_length)
    objective.loss({NAME: shuffled()}, generator())["loss"].mean().backward()
    for name, parameter in objective.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("share_weights", [False, True])
def test_every_parameter_is_trained_without_bands_and_metadata(share_weights):
    tables = [t["time", "flux"] for t in TABLES]
    modality = Sequence().learn(tables)
    ragged = modality.collate([modality.read(t, "X") for t in tables])
    objective = make(modality=modality, share_weights=share_weights)
    objective.loss({NAME: ragged.take(torch.arange(4))}, generator())["loss"].mean().backward()
    for name, parameter in objective.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize(("n_queries", "longest"), [(None, 20), (1000, 20), (5, 5), (1, 1)])
def test_as_many_points_are_queried_as_allowed(n_queries, longest):
    objective, lengths = make(n_queries=n_queries), []
    objective.autoencoder.heads[NAME].register_forward_hook(lambda head, args, out: lengths.append(out.shape[1]))
    assert objective.loss({NAME: shuffled()}, generator())["loss"].isfinite().all()
    assert lengths == [longest]


@pytest.mark.parametrize("prediction", ["x0", "v"])
def test_one_object_is_learned_by_heart(prediction):
    objective, batch = (
        make(prediction=prediction, n_encoder_layers=1, n_decoder_layers=1),
        STORE.take(torch.tensor([0])),
    )
    optimizer, g = torch.optim.Adam(objective.parameters(), lr=1e-2), generator()
    several = STORE.subset(torch.zeros(6, dtype=torch.long), None, g)

    def errors():
        g = generator()
        with torch.no_grad():
            z = objective.encode({NAME: batch}).mean
            mean = objective.decode(NAME, z, batch)
            draw = objective.decode(NAME, z, batch, noise=lambda: torch.randn(batch.value.shape, generator=g))
        return (mean - batch.value).abs().mean(), (draw - batch.value).abs().mean()

    assert errors()[0] > 0.5
    for step in range(1, 241):
        optimizer.zero_grad()
        objective.loss({NAME: several}, g)["loss"].mean().backward()
        optimizer.step()
        if step % 40 == 0 and errors()[0] < 0.2 and errors()[1] < 0.4:
            return
    pytest.fail(f"errors of the mean and of a draw are still {errors()}")


# --- times ------------------------------------------------------------------------------------------


@ALL_PREDICTIONS
@pytest.mark.parametrize("n", [1, 7, 4096])
def test_times_are_thousandths_and_never_0(prediction, n):
    t = make(prediction=prediction).random_times(n, generator())
    assert t.shape == (n,)
    k = 1000 * t.double()
    torch.testing.assert_close(k, k.round(), rtol=0, atol=1e-3)
    assert k.min().round() >= 1
    assert k.max().round() <= 1000


@ALL_PREDICTIONS
@pytest.mark.parametrize("n", [1, 64])
def test_density_of_times_is_1_for_epsilon_and_rises_with_t_up_to_many_at_1_otherwise(prediction, n):
    objective, g = make(prediction=prediction), generator()
    t = torch.cat([objective.random_times(n, g) for _ in range(8192 // n)]).double()
    below_1 = t[t < 1]
    assert len(below_1) / len(t) == pytest.approx(1 if prediction == "epsilon" else 1 / 1.44, abs=0.02)
    cdf = below_1 if prediction == "epsilon" else below_1**2
    share = (torch.arange(len(cdf)) + 1) / len(cdf)
    # Kolmogorov-Smirnov at the level of 1 in 10,000, and the step of the table.
    assert (cdf.sort().values - share).abs().max() < 2.23 / len(cdf) ** 0.5 + 0.002


def test_times_have_nothing_to_do_with_the_place_in_the_batch():
    """Objects of a batch are sorted by length."""
    objective, g = make(prediction="v"), generator()
    mean = torch.stack([objective.random_times(8, g) for _ in range(2000)]).mean(0)
    assert mean.std() < 0.02


def test_times_within_a_batch_are_evenly_spread():
    """Sixteen objects: one time in each sixteenth, so that the loss of a batch is less noisy."""
    objective, g = make(prediction="epsilon"), generator()
    for _ in range(20):
        k = (1000 * objective.random_times(16, g)).round().sort().values
        assert ((k - 1) * 16 // 1000).unique().numel() >= 15  # rounding up may move one over a border


# --- decoding ---------------------------------------------------------------------------------------


def decoded(objective, noise=None):
    batch = STORE.take(torch.arange(4))
    with torch.no_grad():
        return batch.observed, objective.decode(NAME, objective.encode({NAME: batch}).mean, batch, noise=noise)


def drawn(objective, seed):
    g, shape = generator(seed), STORE.take(torch.arange(4)).value.shape
    return decoded(objective, lambda: torch.randn(shape, generator=g))[1]


@FORMS
@pytest.mark.parametrize("prediction", ["x0", "v"])
@pytest.mark.parametrize("schedule", sorted(SCHEDULES))
def test_point_estimate_is_the_denoiser_s_answer_at_time_1(hidden_length, prediction, schedule):
    """One step of any sampler returns that answer, whatever noise it starts from: x_1 holds no signal."""
    objective = make(hidden_length=hidden_length, prediction=prediction, schedule=schedule, n_sampling_steps=1)
    observed, mean = decoded(objective)
    assert torch.equal(mean, decoded(objective)[1])
    alpha, _ = objective.schedule(torch.ones(()))
    for seed in range(3):
        if prediction == "x0":
            torch.testing.assert_close(drawn(objective, seed)[observed], mean[observed], rtol=0, atol=30 * alpha.item())
        else:  # x0 = alpha x_t - sigma v carries alpha of the noise besides
            difference = (drawn(objective, seed) - mean)[observed].abs().max()
            assert difference < 40 * alpha


@FORMS
def test_point_estimate_does_not_depend_on_the_sampler(hidden_length):
    options = [{"sampler": s, "n_sampling_steps": n} for s, n in (("ddim", 3), ("ddpm", 7), ("dpm++", 5))]
    means = [decoded(make(hidden_length=hidden_length, **o))[1] for o in options]
    assert all(torch.equal(means[0], m) for m in means[1:])


def test_only_a_noise_predictor_needs_draws_for_its_point_estimate():
    """It divides its error by alpha at t = 1; the others answer in one step."""
    assert make(prediction="epsilon").n_point_draws > 1
    assert make(prediction="x0").n_point_draws == 0
    assert make(prediction="v").n_point_draws == 0


@FORMS
@ALL_PREDICTIONS
@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "dpm++"])
def test_draws_are_finite_differ_and_repeat(hidden_length, prediction, sampler):
    objective = make(hidden_length=hidden_length, prediction=prediction, sampler=sampler)
    assert objective.draws
    one, same, other = (drawn(objective, seed) for seed in (0, 0, 1))
    assert one.isfinite().all()
    assert torch.equal(one, same)
    assert not torch.allclose(one, other, atol=1e-3)


@FORMS
def test_decoding_needs_no_values(hidden_length):
    objective, batch = make(hidden_length=hidden_length), STORE.take(torch.arange(4))
    with torch.no_grad():
        z = objective.encode({NAME: batch}).mean
        blank = batch.replace(value=torch.zeros_like(batch.value), error=torch.full_like(batch.error, torch.nan))
        one, other = (objective.decode(NAME, z, query) for query in (batch, blank))
    assert torch.equal(one, other)


@FORMS
@pytest.mark.parametrize("noisy", [False, True], ids=["mean", "draw"])
def test_decoding_an_object_does_not_depend_on_its_company(hidden_length, noisy):
    objective, batch = make(hidden_length=hidden_length), STORE.take(torch.arange(4))
    noise = torch.randn(batch.value.shape, generator=generator())
    with torch.no_grad():
        z = objective.encode({NAME: batch}).mean
        together = objective.decode(NAME, z, batch, noise=(lambda: noise) if noisy else None)
        for i, n in enumerate(batch.lengths):
            query, own = STORE.take(torch.tensor([i])), noise[i : i + 1, :n]
            alone = objective.decode(NAME, z[i : i + 1], query, noise=(lambda own=own: own) if noisy else None)
            torch.testing.assert_close(alone[0], together[i, :n], rtol=1e-4, atol=1e-4)


def test_metadata_move_the_bottleneck_and_the_decoded_values():
    objective, batch = make(), STORE.take(torch.arange(4))
    with torch.no_grad():
        z = objective.encode({NAME: batch}).mean
        base = objective.decode(NAME, z, batch)
        for changed in (
            batch.replace(numbers=batch.numbers + 1),
            batch.replace(numbers=torch.full_like(batch.numbers, torch.nan)),
            batch.replace(labels=1 - batch.labels),
            batch.replace(labels=torch.full_like(batch.labels, -1)),
        ):
            assert (objective.encode({NAME: changed}).mean - z).abs().amax((1, 2)).min() > 1e-5
            assert (objective.decode(NAME, z, changed) - base).abs().amax(1).min() > 1e-5


def test_modalities_count_equally_whatever_their_number_of_points():
    """Two modalities of which one has a quarter of the points: the mean of both losses, each a mean over points."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        autoencoder = Autoencoder(
            {"a": MODALITY, "b": MODALITY},
            bottleneck_length=2,
            bottleneck_dim=3,
            model_dim=WIDTH,
            n_heads=2,
            n_encoder_layers=1,
            n_decoder_layers=1,
            hidden_length=None,
            encoder_hidden_length=None,
            share_weights=False,
        )
    process = {"prediction": "x0", "schedule": "cosine", "sampler": "ddim", "n_sampling_steps": 2, "n_queries": 1000}
    objective = Denoising(autoencoder, **process)
    batch = shuffled()
    with torch.no_grad():
        for head, value in (("a", 0.0), ("b", 100.0)):  # answers far off: the loss is value squared
            objective.spreads[head].level.fill_(-10)  # the answer is the mean, whatever x_t shows
            objective.autoencoder.heads[head].out.weight.zero_()
            objective.autoencoder.heads[head].out.bias.fill_(value)
        loss = objective.loss({"a": batch, "b": batch.first(batch.lengths.clamp(max=4))}, generator())["loss"]
    torch.testing.assert_close(loss, torch.full((4,), 100.0**2 / 2), rtol=0.05, atol=0)


def test_the_spread_is_one_number_for_all_at_first_and_leaves_tokens_alone():
    spread, tokens = Spread(MODALITY.head(WIDTH)), torch.randn(4, 5, WIDTH, requires_grad=True)
    torch.testing.assert_close(spread(tokens), torch.full((4, 5), -1.0).exp())
    spread(tokens).sum().backward()
    assert tokens.grad is None
    assert spread.head.out.weight.grad.any()


def test_the_spread_is_learned_for_each_kind_of_token():
    """Two kinds of tokens, values scattered by 0.1 and 0.5 about 0: what denoises best is their standard deviation."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        spread = Spread(MODALITY.head(WIDTH))
        tokens = torch.randn(2, 1, WIDTH).expand(2, 400, WIDTH)
        optimizer = torch.optim.Adam(spread.parameters(), 0.01)
        for _ in range(300):
            x0, sigma = torch.tensor([[0.1], [0.5]]) * torch.randn(2, 400), torch.rand(2, 400) ** 2
            alpha = (1 - sigma**2).sqrt()
            x_t = alpha * x0 + sigma * torch.randn(2, 400)
            found = posterior_mean(x_t, torch.zeros(()), spread(tokens), alpha, sigma)
            optimizer.zero_grad()
            (found - x0).pow(2).mean().backward()
            optimizer.step()
    torch.testing.assert_close(spread(tokens)[:, 0], torch.tensor([0.1, 0.5]), rtol=0.15, atol=0)


def test_weights_hold_no_buffer_that_depends_on_the_sampler():
    keys = [set(make(sampler=s, schedule=c).state_dict()) for s, c in itertools.product(["ddim", "dpm++"], SCHEDULES)]
    assert all(k == keys[0] for k in keys)
