"""The masking objective: what is hidden and what is seen, and what the loss and the decoder depend on."""

import math

import pytest
import torch
from astropy.table import Table

from skdaep.modalities import Sequence
from skdaep.nn.autoencoder import Autoencoder
from skdaep.nn.batch import POINTS
from skdaep.objectives import Masking

WIDTH = 16
NAME = "sequence"
LENGTHS = [20, 7, 13, 1]


def table(i, n):
    g = torch.Generator().manual_seed(i)
    time, bands = 10 * torch.rand(n, generator=g), torch.randint(0, 2, (n,), generator=g)
    meta = {"redshift": 0.1 * (i + 1), "survey": "ZTF" if i % 2 else "LSST"}
    flux = torch.sin(time + i) + 0.3 * bands + 0.2 * i
    return Table({"time": time.numpy(), "flux": flux.numpy(), "band": ["gr"[b] for b in bands]}, meta=meta)


TABLES = [table(i, n) for i, n in enumerate(LENGTHS)]
MODALITY = Sequence(metadata=("redshift", "survey")).learn(TABLES)
STORE = MODALITY.collate([MODALITY.read(t, "X") for t in TABLES])


def make(*, modalities=None, mask_ratio=0.75, n_queries=None, seed=0, **changes):
    """Make an objective away from its initialisation."""
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
    assert set(changes) <= set(architecture)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        autoencoder = Autoencoder(modalities or {NAME: MODALITY}, **architecture | changes)
        objective = Masking(autoencoder, mask_ratio=mask_ratio, n_queries=n_queries)
        with torch.no_grad():
            for parameter in objective.parameters():
                parameter.add_(0.02 * torch.randn_like(parameter))
    return objective


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def shuffled():
    """Return a training batch: points in random order."""
    return STORE.subset(torch.arange(len(LENGTHS)), None, generator(7))


def loss_of(objective, batch, seed=0):
    with torch.no_grad():
        return objective.loss({NAME: batch}, generator(seed))["loss"]


def n_visible(mask_ratio, n):
    return max(1, math.ceil(round((1 - mask_ratio) * n, 6)))


def fixed_prediction(objective, monkeypatch, answer):
    """Make the decoder answer whatever its location says, so that the loss depends on what it is compared with."""
    monkeypatch.setattr(objective, "decode", lambda name, z, query, noise=None, context=None: answer(query))


RATIOS = pytest.mark.parametrize("mask_ratio", [0.1, 0.5, 0.75, 0.95])


# --- what is hidden ---------------------------------------------------------------------------------


@RATIOS
@pytest.mark.parametrize("answer", [lambda q: 0 * q.value, lambda q: torch.cos(q.location)], ids=["zero", "cosine"])
def test_loss_is_the_squared_error_of_the_hidden_points_and_no_others(mask_ratio, answer, monkeypatch):
    objective, batch = make(mask_ratio=mask_ratio), shuffled()
    fixed_prediction(objective, monkeypatch, answer)
    expected = []
    for i, n in enumerate(LENGTHS):
        hidden = slice(min(n_visible(mask_ratio, n), n - 1), n)  # at least one, be it visible too
        value, location = batch.value[i, hidden], batch.location[i, hidden]
        expected.append(((answer(batch.replace(value=value, location=location)) - value) ** 2).mean())
    torch.testing.assert_close(loss_of(objective, batch), torch.stack(expected), rtol=1e-5, atol=1e-6)


@RATIOS
def test_a_visible_value_moves_the_loss_through_the_networks_alone(mask_ratio, monkeypatch):
    """With the decoder's answer held, a visible value is nothing to the loss, and a hidden one is."""
    objective, batch = make(mask_ratio=mask_ratio), shuffled()
    held, base = make(mask_ratio=mask_ratio), loss_of(objective, batch)
    fixed_prediction(held, monkeypatch, lambda q: 0 * q.value)
    held_base = loss_of(held, batch)
    for i, n in enumerate(LENGTHS[:3]):
        visible = n_visible(mask_ratio, n)
        for j in range(n):
            value = batch.value.clone()
            value[i, j] += 1
            moved = batch.replace(value=value)
            is_hidden = j >= min(visible, n - 1)
            assert (loss_of(held, moved)[i] != held_base[i]) == is_hidden
            assert loss_of(objective, moved)[i] != base[i]


@RATIOS
@pytest.mark.parametrize("n_queries", [None, 3])
def test_content_of_padding_does_not_reach_the_loss(mask_ratio, n_queries):
    objective, batch = make(mask_ratio=mask_ratio, n_queries=n_queries), shuffled()
    filled = batch.replace(
        **{k: torch.where(batch.observed, getattr(batch, k), 1 if k == "band" else 50.0) for k in POINTS}
    )
    assert not torch.equal(filled.value, batch.value)
    torch.testing.assert_close(loss_of(objective, filled), loss_of(objective, batch), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("mask_ratio", [0.1, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.9, 0.99])
def test_the_encoder_sees_the_share_that_is_not_hidden_rounded_up(mask_ratio, monkeypatch):
    objective, batch, seen = make(mask_ratio=mask_ratio), shuffled(), {}
    encode = objective.autoencoder.encode
    monkeypatch.setattr(objective.autoencoder, "encode", lambda batches: seen.update(batches) or encode(batches))
    loss_of(objective, batch)
    assert seen[NAME].lengths.tolist() == [n_visible(mask_ratio, n) for n in LENGTHS]
    for i, n in enumerate(seen[NAME].lengths):
        assert torch.equal(seen[NAME].value[i, :n], batch.value[i, :n])
        assert not seen[NAME].value[i, n:].any()


@pytest.mark.parametrize("mask_ratio", [0.1, 0.3, 0.4, 0.6, 0.7, 0.75, 0.9])
def test_the_share_is_exact_at_any_number_of_points(mask_ratio, monkeypatch):
    lengths, seen = torch.arange(1, 301), []
    objective = make(mask_ratio=mask_ratio)
    many = shuffled().first(torch.ones(4, dtype=torch.long))
    observed = torch.arange(300) < lengths[:, None]
    blank = torch.zeros(300, 300)
    batch = many.replace(
        **dict(value=blank, location=blank, error=blank, band=blank.long(), observed=observed),
        numbers=many.numbers[:1].expand(300, -1),
        labels=many.labels[:1].expand(300, -1),
    )
    encode = objective.autoencoder.encode
    monkeypatch.setattr(
        objective.autoencoder, "encode", lambda batches: seen.append(batches[NAME].lengths) or encode(batches)
    )
    fixed_prediction(objective, monkeypatch, lambda q: 0 * q.value)
    loss_of(objective, batch)
    assert seen[0].tolist() == [n_visible(mask_ratio, n) for n in lengths.tolist()]


@pytest.mark.parametrize("mask_ratio", [0.01, 0.5, 0.99])
def test_objects_of_one_point_have_a_finite_loss(mask_ratio):
    objective, batch = make(mask_ratio=mask_ratio), STORE.take(torch.tensor([3, 3]))
    assert batch.lengths.tolist() == [1, 1]
    loss = objective.loss({NAME: batch}, generator())["loss"]
    loss.sum().backward()
    assert loss.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in objective.parameters())


@pytest.mark.parametrize(("n_queries", "longest"), [(None, 15), (1000, 15), (4, 4), (1, 1)])
def test_as_many_hidden_points_are_queried_as_allowed(n_queries, longest, monkeypatch):
    objective, queries = make(n_queries=n_queries), []
    fixed_prediction(objective, monkeypatch, lambda q: queries.append(q) or 0 * q.value)
    loss_of(objective, shuffled())
    assert queries[0].observed.shape[1] == longest


# --- what the decoder is shown ----------------------------------------------------------------------


def contexts_of(objective, monkeypatch, batch, n=400):
    shown = []
    monkeypatch.setattr(
        objective, "decode", lambda name, z, query, noise=None, context=None: shown.append(context) or 0 * query.value
    )
    g = generator()
    with torch.no_grad():
        for _ in range(n):
            objective.loss({NAME: batch}, g)
    return shown


def test_the_decoder_is_shown_from_none_to_all_of_the_visible_points(monkeypatch):
    """Every number of points from 0 to all visible ones is equally likely."""
    objective, batch = make(mask_ratio=0.75), shuffled()
    lengths = torch.stack([c.lengths for c in contexts_of(objective, monkeypatch, batch)])
    for i, n in enumerate(LENGTHS):
        visible = n_visible(0.75, n)
        counts = torch.bincount(lengths[:, i], minlength=visible + 1)
        assert len(counts) == visible + 1, "never a hidden point"
        expected = 400 / (visible + 1)
        assert ((counts - expected) ** 2 / expected).sum() < 20 + 2 * visible


def test_the_decoder_is_never_shown_a_hidden_point(monkeypatch):
    objective, batch = make(mask_ratio=0.5), shuffled()
    for context in contexts_of(objective, monkeypatch, batch, n=20):
        for i, n in enumerate(context.lengths):
            assert torch.equal(context.value[i, :n], batch.value[i, :n])
            assert n <= n_visible(0.5, LENGTHS[i])


def parts():
    """Return what to decode and what to show, of the same objects."""
    batch = shuffled()
    return batch.last((batch.lengths - 1).clamp(min=1)), batch.first(batch.lengths.clamp(max=5))


def decoded(objective, query, context=None):
    with torch.no_grad():
        z = torch.randn(len(query), 2, 3, generator=generator())
        return objective.decode(NAME, z, query, context=context)


def test_a_context_of_no_points_is_no_context():
    objective, (query, context) = make(), parts()
    base = decoded(objective, query)
    assert base.shape == query.value.shape
    zero = torch.zeros(4, dtype=torch.long)
    assert torch.equal(decoded(objective, query, context.first(zero)), base)
    # In company of objects with a context: some padding and nothing else.
    mixed = decoded(objective, query, context.first(torch.tensor([0, 3, 0, 1])))
    torch.testing.assert_close(mixed[[0, 2]], base[[0, 2]], rtol=1e-5, atol=1e-6)


def test_context_moves_the_answer_by_its_values_locations_and_bands():
    objective, (query, context) = make(), parts()
    with_it = decoded(objective, query, context)
    changes = [{}, {"value": context.value + 1}, {"location": context.location + 0.3}, {"band": 1 - context.band}]
    answers = [decoded(objective, query, context.replace(**c)) for c in changes]
    assert torch.equal(answers[0], with_it)
    for other in (decoded(objective, query), *answers[1:]):
        assert ((other - with_it).abs() * query.observed).amax(1).min() > 1e-5


def test_padding_of_query_and_context_does_not_move_the_answer():
    objective, (query, context) = make(), parts()
    base = decoded(objective, query, context)

    def filled(batch):
        return batch.replace(
            **{k: torch.where(batch.observed, getattr(batch, k), 1 if k == "band" else 50.0) for k in POINTS}
        )

    assert not torch.equal(filled(context).value, context.value)
    for q, c in ((query, filled(context)), (filled(query), context)):
        torch.testing.assert_close(decoded(objective, q, c)[query.observed], base[query.observed], rtol=1e-5, atol=1e-6)


def test_values_at_the_locations_asked_for_do_not_matter():
    objective, (query, context) = make(), parts()
    blank = query.replace(value=torch.zeros_like(query.value), error=torch.full_like(query.error, torch.nan))
    assert torch.equal(decoded(objective, blank, context), decoded(objective, query, context))


def test_decoding_an_object_does_not_depend_on_its_company():
    objective, (query, context) = make(), parts()
    z = torch.randn(4, 2, 3, generator=generator())
    with torch.no_grad():
        together = objective.decode(NAME, z, query, context=context)
        for i in range(4):
            q, c = (
                b.replace(**{k: v[i : i + 1] for k, v in vars(b).items()}).first(b.lengths[i : i + 1])
                for b in (query, context)
            )
            alone = objective.decode(NAME, z[i : i + 1], q, context=c)
            torch.testing.assert_close(alone[0], together[i, : alone.shape[1]], rtol=1e-5, atol=1e-5)


# --- training ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoder_hidden_length", [None, 6])
@pytest.mark.parametrize("share_weights", [False, True])
def test_every_parameter_is_trained(encoder_hidden_length, share_weights):
    objective = make(mask_ratio=0.5, encoder_hidden_length=encoder_hidden_length, share_weights=share_weights)
    objective.loss({NAME: shuffled()}, generator())["loss"].mean().backward()
    for name, parameter in objective.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


@RATIOS
def test_loss_is_one_finite_number_per_object_reproducible_from_the_generator(mask_ratio):
    objective, batch = make(mask_ratio=mask_ratio), shuffled()
    state = torch.random.get_rng_state()
    one, same, other = (loss_of(objective, batch, seed) for seed in (0, 0, 1))
    assert one.shape == (4,)
    assert one.isfinite().all()
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.random.get_rng_state(), state)


@RATIOS
def test_loss_of_an_object_does_not_depend_on_its_company(mask_ratio, monkeypatch):
    objective, batch = make(mask_ratio=mask_ratio), shuffled()
    monkeypatch.setattr(torch, "rand", lambda *shape, **_: torch.full(shape, 0.6))
    together = loss_of(objective, batch)
    for i in range(4):
        alone = batch.replace(**{k: v[i : i + 1] for k, v in vars(batch).items()}).first(batch.lengths[i : i + 1])
        torch.testing.assert_close(loss_of(objective, alone), together[i : i + 1], rtol=1e-5, atol=1e-5)


def test_modalities_count_equally_whatever_their_number_of_points(monkeypatch):
    objective, batch = make(modalities={"a": MODALITY, "b": MODALITY}), shuffled()
    short = batch.first(batch.lengths.clamp(max=4))
    monkeypatch.setattr(objective, "decode", lambda name, z, query, **_: query.value + (1.0 if name == "a" else 3.0))
    with torch.no_grad():
        loss = objective.loss({"a": batch, "b": short}, generator())["loss"]
    torch.testing.assert_close(loss, torch.full((4,), (1.0 + 9.0) / 2), rtol=1e-5, atol=0)


def test_hidden_values_are_learned_from_the_visible_ones():
    """Objects that differ by an offset: the hidden points can be known from the visible ones alone."""
    g = generator()
    objective = make(n_encoder_layers=1, n_decoder_layers=1, mask_ratio=0.5)
    offset, location = torch.randn(64, 1, generator=g), torch.rand(64, 12, generator=g)
    like = STORE.take(torch.zeros(64, dtype=torch.long)).first(torch.full((64,), 12))
    batch = like.replace(value=offset.expand(-1, 12), location=location, band=torch.zeros(64, 12, dtype=torch.long))
    optimizer = torch.optim.Adam(objective.parameters(), lr=5e-3)
    for _ in range(250):
        optimizer.zero_grad()
        loss = objective.loss({NAME: batch}, g)["loss"].mean()
        loss.backward()
        optimizer.step()
        if loss < 0.1:
            return
    pytest.fail(f"the variance is 1, the loss is still {loss:.2f}")


def test_there_are_no_draws():
    assert Masking.draws is None
    assert not Masking.has_prior
    assert make().encode({NAME: shuffled()}).scale is None
