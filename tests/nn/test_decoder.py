"""The decoder: who sees whom, at what cost, and that the condition's pull does not depend on the number of points."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from skdaep.nn.decoder import PerceiverDecoder

W, C = 16, 5
FORMS = {"single stage": None, "two stages": 6}


@pytest.fixture
def make():
    """Make a decoder away from its initialisation, where any gate may still be shut."""

    def make(hidden_length, n_layers=2):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            decoder = PerceiverDecoder(W, 2, n_layers, hidden_length)
            with torch.no_grad():
                for parameter in decoder.parameters():
                    parameter.add_(0.1 * torch.randn_like(parameter))
        return decoder

    return make


@pytest.fixture(params=FORMS.values(), ids=FORMS.keys())
def hidden_length(request):
    return request.param


def drawn(n, n_objects=2):
    """Return queries, all observed, and a condition of which the last token is absent."""
    generator = torch.Generator().manual_seed(1)
    condition = torch.randn(n_objects, C, W, generator=generator)
    queries = torch.randn(n_objects, n, W, generator=generator)
    present = torch.arange(C).expand(n_objects, -1) < C - 1
    return queries, torch.ones(n_objects, n, dtype=torch.bool), condition, present


def influence(decoder, queries, observed, condition, present):
    """Return by how much moving each point moves each other point (L, L)."""
    base = decoder(queries, observed, condition, present)
    moves = []
    for j in range(queries.shape[1]):
        moved = queries.clone()
        moved[:, j] = -moved[:, j]
        moves.append((decoder(moved, observed, condition, present) - base).abs().amax((0, 2)))
    return torch.stack(moves)


def test_one_token_for_each_query(make, hidden_length):
    args = drawn(9)
    assert make(hidden_length)(*args).shape == args[0].shape


def test_points_see_each_other_with_two_stages_only(make):
    single = influence(make(None), *drawn(6))
    two = influence(make(6), *drawn(6))
    own = torch.eye(6, dtype=torch.bool)
    assert (single[own] > 1e-2).all()
    assert single[~own].max() < 1e-6
    assert two[~own].min() > 1e-4


@pytest.mark.parametrize("n_more", [1, 300])
def test_single_stage_answer_at_a_location_does_not_depend_on_the_number_of_points(make, n_more):
    decoder = make(None)
    queries, observed, condition, present = drawn(10 + n_more)
    few = decoder(queries[:, :10], observed[:, :10], condition, present)
    many = decoder(queries, observed, condition, present)[:, :10]
    torch.testing.assert_close(few, many, rtol=0, atol=1e-5)


def test_answer_does_not_depend_on_how_densely_the_points_lie(make, hidden_length):
    """Every point five times, with four tokens of condition: the pull of either stays what it was."""
    decoder = make(hidden_length)
    queries, observed, condition, present = drawn(10)
    once = decoder(queries, observed, condition, present)
    dense = decoder(queries.repeat(1, 5, 1), observed.repeat(1, 5), condition, present)
    torch.testing.assert_close(dense, once.repeat(1, 5, 1), rtol=0, atol=1e-5)


def test_padding_is_not_seen(make, hidden_length):
    decoder = make(hidden_length)
    queries, observed, condition, present = drawn(12)
    observed[1, 5:] = False
    other = torch.where(observed[..., None], queries, 10 * torch.ones(()))
    here, there = (decoder(q, observed, condition, present)[observed] for q in (queries, other))
    torch.testing.assert_close(here, there, rtol=0, atol=1e-5)
    cut = decoder(queries[1:, :5], observed[1:, :5], condition[1:], present[1:])
    torch.testing.assert_close(here[12:], cut[0], rtol=0, atol=1e-5)


def test_condition_reaches_every_point_and_absent_tokens_of_it_none(make, hidden_length):
    decoder = make(hidden_length)
    queries, observed, condition, present = drawn(7)
    base = decoder(queries, observed, condition, present)
    for j in range(C):
        moved = condition.clone()
        moved[:, j] = -moved[:, j]
        difference = (decoder(queries, observed, moved, present) - base).abs().amax(-1)
        if j < C - 1:
            assert difference.min() > 1e-4
        else:
            assert difference.max() < 1e-6


@pytest.mark.parametrize("n_layers", [1, 3])
def test_every_parameter_is_trained(make, hidden_length, n_layers):
    decoder = make(hidden_length, n_layers)
    out = decoder(*drawn(7))
    (out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum().backward()
    for name, parameter in decoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_order_of_points_is_irrelevant(make, hidden_length):
    decoder = make(hidden_length)
    queries, observed, condition, present = drawn(9)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    out = decoder(queries, observed, condition, present)
    shuffled = decoder(queries[:, order], observed, condition, present)
    torch.testing.assert_close(shuffled, out[:, order], rtol=0, atol=1e-5)


@pytest.mark.parametrize("hidden_length", [None, 32])
def test_cost_is_linear_in_the_number_of_points(make, hidden_length):
    decoder = make(hidden_length)

    def n_flops(n):
        # The counter does not know the CPU's fused attention: count its formula.
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            decoder(*drawn(n))
        return counter.get_total_flops()

    assert 1.3 < n_flops(1024) / n_flops(512) <= 2.05
