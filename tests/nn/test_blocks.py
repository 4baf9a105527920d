"""Attention by either path is the textbook formula; what is not observed has no influence."""

import pytest
import torch

from skdaep.nn.blocks import Attention

W, HEADS, L = 16, 2, 40
FEW = 3  # FEW * HEADS < min(W, L): keys of the context are not formed
MANY = 8  # MANY * HEADS >= min(W, L)


@pytest.fixture
def attention():
    torch.manual_seed(0)
    return Attention(W, HEADS)


@pytest.fixture(autouse=True)
def own_randomness():
    with torch.random.fork_rng():
        yield


def tensors(n_queries, requires_grad=False):
    generator = torch.Generator().manual_seed(1)
    query = torch.randn(2, MANY, W, generator=generator)[:, :n_queries].clone().requires_grad_(requires_grad)
    context = torch.randn(2, L, W, generator=generator).requires_grad_(requires_grad)
    observed = torch.arange(L) < torch.tensor([[L], [7]])
    return query, context, observed


def formula(attention, query, context, observed=None):
    """Softmax attention, written out."""
    q, k, v = attention.query(query), attention.key(context), attention.value(context)
    q, k, v = (x.unflatten(-1, (HEADS, -1)).transpose(1, 2) for x in (q, k, v))
    scores = q @ k.mT / (W // HEADS) ** 0.5
    if observed is not None:
        scores = scores.masked_fill(~observed[:, None, None, :], -torch.inf)
    return attention.out((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))


def n_keys(attention, query, context):
    """Number of rows for which a key was computed by the layer `key`."""
    rows = []
    hook = attention.key.register_forward_hook(lambda module, args, out: rows.append(out.shape[:-1].numel()))
    attention(query, context)
    hook.remove()
    return sum(rows)


@pytest.mark.parametrize("n_queries", [1, FEW, MANY])
@pytest.mark.parametrize("masked", [False, True])
def test_either_path_is_softmax_attention_in_value_and_gradient(attention, n_queries, masked):
    results = []
    for compute in (attention, lambda *args: formula(attention, *args)):
        query, context, observed = tensors(n_queries, requires_grad=True)
        out = compute(query, context, observed if masked else None)
        weight = torch.linspace(-1, 1, out.numel()).view_as(out)
        inputs = [query, context, *attention.parameters()]
        results.append([out, *torch.autograd.grad((weight * out**2).sum(), inputs)])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_few_queries_equal_the_same_queries_among_many(attention):
    results = []
    for n_queries in (FEW, MANY):
        query, context, observed = tensors(n_queries, requires_grad=True)
        out = attention(query, context, observed)[:, :FEW]
        gradients = torch.autograd.grad((out**2).sum(), [query, context, *attention.parameters()])
        results.append([out, gradients[0][:, :FEW], *gradients[1:]])
    for few, many in zip(*results, strict=True):
        torch.testing.assert_close(few, many, rtol=1e-5, atol=1e-5)


def test_keys_of_a_long_context_are_formed_for_many_queries_only(attention):
    query, context, _ = tensors(MANY)
    assert n_keys(attention, query, context) == 2 * L
    assert n_keys(attention, query[:, :FEW], context) == 0


@pytest.mark.parametrize("n_queries", [FEW, MANY])
def test_unobserved_context_has_no_influence(attention, n_queries):
    query, context, observed = tensors(n_queries)
    other = torch.where(observed[..., None], context, 100 * torch.ones(()))
    assert not torch.equal(attention(query, context), attention(query, other))
    torch.testing.assert_close(
        attention(query, context, observed), attention(query, other, observed), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("n_queries", [FEW, MANY])
def test_queries_shared_by_the_batch_equal_queries_repeated(attention, n_queries):
    query, context, observed = tensors(n_queries)
    shared = query[:1]
    torch.testing.assert_close(
        attention(shared, context, observed), attention(shared.expand(2, -1, -1), context, observed)
    )
