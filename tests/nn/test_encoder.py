"""The encoder: a set of tokens to a bottleneck, at a cost linear in their number."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from skdaep.nn.encoder import PerceiverEncoder

W = 16


class OneModality(torch.nn.Module):
    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, tokens, observed):
        return self.encoder({"only": tokens}, {"only": observed})


@pytest.fixture(params=[None, 12], ids=["one stage", "hidden stage"])
def hidden_length(request):
    return request.param


@pytest.fixture
def make(hidden_length):
    def make(share_weights=False):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            options = {"hidden_length": hidden_length, "share_weights": share_weights}
            return OneModality(PerceiverEncoder(["only"], 3, 5, W, 2, 2, **options))

    return make


def tokens(n, n_objects=2):
    return torch.randn(n_objects, n, W, generator=torch.Generator().manual_seed(1))


def all_of(x):
    return torch.ones(x.shape[:2], dtype=torch.bool)


def test_shape_of_the_bottleneck(make):
    assert make()(tokens(7), all_of(tokens(7))).shape == (2, 3, 5)


@pytest.mark.parametrize("n_padding", [1, 20, 500])
def test_padding_does_not_move_the_bottleneck(make, n_padding):
    encoder, x = make(), tokens(30)
    padded = torch.cat([x, 10 * torch.ones(2, n_padding, W)], 1)
    observed = torch.cat([all_of(x), torch.zeros(2, n_padding, dtype=torch.bool)], 1)
    torch.testing.assert_close(encoder(padded, observed), encoder(x, all_of(x)), rtol=0, atol=2e-6)


def test_content_of_padding_is_irrelevant(make):
    encoder, x, observed = make(), tokens(30), torch.rand(2, 30, generator=torch.Generator().manual_seed(0)) < 0.6
    other = torch.where(observed[..., None], x, -3 * x)
    torch.testing.assert_close(encoder(x, observed), encoder(other, observed), rtol=0, atol=1e-6)
    # The test can fail: observed tokens count.
    assert not torch.allclose(encoder(x, observed), encoder(-3 * x, observed), atol=1e-2)


def test_order_of_tokens_is_irrelevant(make):
    encoder, x = make(), tokens(30)
    shuffled = x[:, torch.randperm(30, generator=torch.Generator().manual_seed(0))]
    torch.testing.assert_close(encoder(x, all_of(x)), encoder(shuffled, all_of(x)), rtol=0, atol=1e-6)


def test_objects_do_not_see_each_other(make):
    encoder, x = make(), tokens(30)
    torch.testing.assert_close(encoder(x, all_of(x))[:1], encoder(x[:1], all_of(x[:1])), rtol=0, atol=1e-6)


def test_bottleneck_tokens_differ(make):
    z = make()(tokens(30), all_of(tokens(30)))
    assert torch.pdist(z[0]).min() > 1e-2


def test_shared_weights_are_fewer_and_used_as_often(make):
    def n_parameters(module):
        return sum(p.numel() for p in module.parameters())

    def n_calls(module):
        calls = []
        hooks = [m.register_forward_hook(lambda *_: calls.append(1)) for m in module.modules()]
        module(tokens(7), all_of(tokens(7)))
        for hook in hooks:
            hook.remove()
        return len(calls)

    assert n_parameters(make(share_weights=True)) < 0.75 * n_parameters(make())
    assert n_calls(make(share_weights=True)) == n_calls(make())


@pytest.mark.parametrize("share_weights", [False, True])
def test_every_parameter_is_trained(make, share_weights):
    encoder, x = make(share_weights), tokens(30)
    out = encoder(x, all_of(x))
    (out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def n_flops(compute, *args):
    # The counter does not know the CPU's fused attention: count its formula.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        compute(*args)
    return counter.get_total_flops()


def test_cost_is_linear_in_the_number_of_tokens(make):
    encoder = make()
    short, long = (n_flops(encoder, tokens(n), all_of(tokens(n))) for n in (512, 1024))
    assert 1.3 < long / short <= 2.05


def test_flop_counter_sees_attention():
    def attend(x):
        return torch.nn.functional.scaled_dot_product_attention(x, x, x)

    assert n_flops(attend, tokens(1024)) == 4 * n_flops(attend, tokens(512))


# --- several modalities -----------------------------------------------------------------------------


@pytest.fixture(params=[False, True], ids=["", "self-attention"])
def of_two(hidden_length, request):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        options = {"hidden_length": hidden_length, "mixer_self_attention": request.param}
        return PerceiverEncoder(["a", "b"], 3, 5, W, 2, 2, **options)


def two(n_a=20, n_b=9, n_objects=4):
    x = {"a": tokens(n_a, n_objects), "b": tokens(n_b, n_objects)}
    return x, {k: all_of(v) for k, v in x.items()}


def test_an_absent_modality_is_as_if_it_had_no_place(of_two):
    x, observed = two()
    observed["b"][1:3] = False
    z = of_two(x, observed)
    alone = of_two({"a": x["a"], "b": x["b"][:, :0]}, {"a": observed["a"], "b": observed["b"][:, :0]})
    torch.testing.assert_close(z[1:3], alone[1:3], rtol=0, atol=2e-6)
    assert (z[[0, 3]] - alone[[0, 3]]).abs().max() > 1e-3
    other = of_two(x | {"b": torch.where(observed["b"][..., None], x["b"], 9.0)}, observed)
    torch.testing.assert_close(other, z, rtol=0, atol=2e-6)


def test_equal_tokens_of_two_modalities_are_told_apart(of_two):
    x, observed = two(9, 9)
    first, second = observed | {"b": ~observed["b"]}, observed | {"a": ~observed["a"]}
    assert (of_two(x, first) - of_two(x, second)).abs().max() > 1e-2


def test_every_parameter_of_two_modalities_is_trained_though_objects_lack_some(of_two):
    x, observed = two()
    observed["a"][0], observed["b"][1:3] = False, False
    out = of_two(x, observed)
    (out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum().backward()
    for name, parameter in of_two.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name
