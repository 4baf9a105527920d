"""Batches by token budget: every object once, nearly full, hardly padded, and the same for the same rng."""

import numpy as np
import pytest

from skdaep.training import token_batches


def lengths_of(kind):
    rng = np.random.default_rng(0)
    return {
        "log-normal 60 to 1,100": np.exp(rng.normal(np.log(250), 0.6, 2000)).clip(60, 1100).astype(int),
        "light curves of 3 to 150": rng.integers(3, 151, 1000),
        "equal": np.full(1000, 220),
        "few": np.array([5, 2000, 7, 7, 300]),
        "two kinds": np.repeat([50, 5000], [900, 100]),
        "one": np.array([17]),
    }[kind]


KINDS = ["log-normal 60 to 1,100", "light curves of 3 to 150", "equal", "few", "two kinds", "one"]


@pytest.fixture(params=KINDS)
def lengths(request):
    return lengths_of(request.param)


@pytest.fixture(params=[True, False], ids=["shuffled", "in order"])
def batches(lengths, request):
    rng = np.random.default_rng(1) if request.param else None
    return list(token_batches(lengths, 64 * np.median(lengths), rng))


def cost(lengths, batch):
    return len(batch) * lengths[batch].max()


def test_every_object_once(lengths, batches):
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))


def test_no_batch_is_empty_or_over_the_budget(lengths, batches):
    for batch in batches:
        assert len(batch) > 0
        assert cost(lengths, batch) <= 64 * np.median(lengths) or len(batch) == 1


def test_padding_is_under_a_tenth_but_in_small_batches(lengths, batches):
    for batch in batches:
        small = cost(lengths, batch) - lengths[batch].max() <= 0.25 * 64 * np.median(lengths)
        assert small or lengths[batch].sum() >= 0.9 * cost(lengths, batch)


def test_few_objects_of_unlike_lengths_are_not_cut_to_pieces():
    """Contrastive pairs need company, and a batch of two would pull as hard as one of thirty."""
    lengths = np.random.default_rng(0).integers(60, 240, 200)
    sizes = [len(batch) for batch in token_batches(lengths, 64 * np.median(lengths), np.random.default_rng(0))]
    assert np.median(sizes) > 20


@pytest.mark.parametrize("kind", ["log-normal 60 to 1,100", "equal"])
def test_batches_are_nearly_full(kind):
    lengths = lengths_of(kind)
    budget = 64 * np.median(lengths)
    n_batches = len(list(token_batches(lengths, budget, None)))
    assert n_batches <= 1.35 * lengths.sum() / budget + 1


def test_an_object_longer_than_the_budget_goes_alone():
    batches = list(token_batches(np.array([10, 500, 9]), 100, None))
    assert [1] in [b.tolist() for b in batches]


def test_same_rng_same_batches_other_rng_others(lengths):
    def draw(seed):
        return [b.tolist() for b in token_batches(lengths, 64 * np.median(lengths), np.random.default_rng(seed))]

    assert draw(0) == draw(0)
    if len(np.unique(lengths)) < len(lengths):  # else only the batches' order can change
        assert draw(0) != draw(1)


def test_epochs_of_one_rng_differ():
    lengths, rng = lengths_of("equal"), np.random.default_rng(0)
    first, second = ([b.tolist() for b in token_batches(lengths, 64 * 220, rng)] for _ in range(2))
    assert first != second


@pytest.mark.parametrize("kind", ["light curves of 3 to 150", "log-normal 60 to 1,100"])
def test_an_object_meets_others_in_each_epoch(kind):
    lengths, rng = lengths_of(kind), np.random.default_rng(0)
    first, second = (list(token_batches(lengths, 64 * np.median(lengths), rng)) for _ in range(2))
    again = {int(i): set(batch.tolist()) for batch in second for i in batch}
    overlap = [len(again[int(i)] & set(batch.tolist())) / len(batch) for batch in first for i in batch]
    assert np.mean(overlap) < 0.7


def test_equal_lengths_leave_no_small_batch():
    sizes = [len(b) for b in token_batches(np.full(577, 220), 64 * 220, np.random.default_rng(0))]
    assert min(sizes) > 45


def test_order_of_batches_does_not_follow_length():
    lengths = lengths_of("log-normal 60 to 1,100")
    batches = list(token_batches(lengths, 64 * np.median(lengths), np.random.default_rng(0)))
    means = [lengths[b].mean() for b in batches]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.5


def test_without_rng_lengths_rise_and_ties_keep_their_order():
    lengths = np.array([3, 1, 3, 2, 1])
    assert np.concatenate(list(token_batches(lengths, 10, None))).tolist() == [1, 4, 3, 0, 2]


def test_lengths_and_global_generator_are_untouched(lengths):
    before, state = lengths.copy(), np.random.get_state()[1].copy()
    list(token_batches(lengths, 1000, np.random.default_rng(0)))
    np.testing.assert_array_equal(lengths, before)
    np.testing.assert_array_equal(np.random.get_state()[1], state)
