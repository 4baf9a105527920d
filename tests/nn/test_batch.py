"""Ragged and Batch: what is cut, padded and drawn; nothing is lost, repeated or favoured."""

import pytest
import torch

from skdaep.nn.batch import OBJECTS, POINTS, Batch, Ragged

LENGTHS = [3, 8, 1, 5]


@pytest.fixture
def ragged():
    """Every value is its place plus 1, so 0 can only be padding."""
    n = sum(LENGTHS)
    place = torch.arange(1, n + 1)
    points = {k: place.float() for k in POINTS} | {"band": place}
    objects = {"numbers": torch.arange(4.0)[:, None], "labels": torch.arange(4)[:, None]}
    return Ragged(points, objects, torch.tensor(LENGTHS))


def objects_of(ragged):
    return ragged.points["value"].split(LENGTHS)


def rows(batch):
    """Return the observed values of each object."""
    return [value[observed] for value, observed in zip(batch.value, batch.observed, strict=True)]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def assert_padding_is_zero(batch):
    for name in POINTS:
        assert not getattr(batch, name)[~batch.observed].any()


def assert_padding_is_last(batch):
    assert (batch.observed.int().diff(dim=1) <= 0).all()


def test_take_returns_the_objects_asked_for_whole_and_in_order(ragged):
    index = torch.tensor([1, 3, 0, 1])
    batch = ragged.take(index)
    assert len(batch) == 4
    assert batch.value.shape == (4, 8)
    assert batch.lengths.tolist() == [8, 5, 3, 8]
    for row, i in zip(rows(batch), index, strict=True):
        assert torch.equal(row, objects_of(ragged)[i])
    for name in OBJECTS:
        assert torch.equal(getattr(batch, name), ragged.objects[name][index])


def test_fields_of_a_point_stay_together(ragged):
    for batch in (ragged.take(torch.arange(4)), ragged.subset(torch.arange(4), 4, generator())):
        for name in POINTS:
            assert torch.equal(getattr(batch, name).float(), batch.value)


def test_padding_is_zero_and_last(ragged):
    index = torch.tensor([1, 2, 0])
    subset = ragged.subset(index, 4, generator())
    parts = [subset.first(subset.lengths.clamp(max=2)), subset.last(subset.lengths.clamp(max=2))]
    for batch in (ragged.take(index), ragged.subset(index, None, generator()), subset, *parts):
        assert_padding_is_zero(batch)
        assert_padding_is_last(batch)


def test_an_object_does_not_depend_on_its_company(ragged):
    alone, together = ragged.take(torch.tensor([0])), ragged.take(torch.arange(4))
    assert torch.equal(rows(alone)[0], rows(together)[0])


@pytest.mark.parametrize("n_points", [1, 4, 7, 100, None])
def test_subset_has_its_size_and_no_point_twice(ragged, n_points):
    index = torch.tensor([3, 1, 2, 0])
    batch = ragged.subset(index, n_points, generator())
    wanted = ragged.lengths[index] if n_points is None else ragged.lengths[index].clamp(max=n_points)
    assert torch.equal(batch.lengths, wanted)
    assert batch.value.shape[1] == int(wanted.max())
    for row, i in zip(rows(batch), index, strict=True):
        assert len(row.unique()) == len(row)
        assert set(row.tolist()) <= set(objects_of(ragged)[i].tolist())


def test_subset_favours_no_point_and_no_order(ragged):
    """Each of 8 points is drawn, and comes first, equally often: 4,000 draws, 4.5 standard errors."""
    n = 4000
    batch = ragged.subset(torch.ones(n, dtype=torch.long), 3, generator())
    place = batch.value.long() - 1 - LENGTHS[0]
    drawn = place.flatten().bincount(minlength=8) / n
    first = place[:, 0].bincount(minlength=8) / n
    for share, p in ((drawn, 3 / 8), (first, 1 / 8)):
        assert ((share - p).abs() < 4.5 * (p * (1 - p) / n) ** 0.5).all()


def test_whole_objects_come_in_random_order_too(ragged):
    batch = ragged.subset(torch.ones(50, dtype=torch.long), None, generator())
    assert len({tuple(row.tolist()) for row in batch.value}) > 45


def test_subset_is_drawn_from_the_generator_alone(ragged):
    index = torch.arange(4)
    state = torch.random.get_rng_state()
    one, same, other = (ragged.subset(index, 4, generator(seed)).value for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_first_and_last_are_the_ends_of_the_observed_points(ragged):
    batch, counts = ragged.take(torch.arange(4)), torch.tensor([2, 3, 1, 5])
    for row, first, last, n in zip(
        objects_of(ragged), rows(batch.first(counts)), rows(batch.last(counts)), counts, strict=True
    ):
        assert torch.equal(first, row[:n])
        assert sorted(last.tolist()) == row[-n:].tolist()


def test_first_and_last_part_an_object_without_overlap(ragged):
    batch = ragged.subset(torch.tensor([0, 1, 3]), None, generator())
    first = torch.tensor([1, 6, 2])
    one, other = batch.first(first), batch.last(batch.lengths - first)
    for a, b, whole in zip(rows(one), rows(other), rows(batch), strict=True):
        assert sorted([*a.tolist(), *b.tolist()]) == sorted(whole.tolist())


def test_cutting_keeps_what_belongs_to_the_object(ragged):
    batch = ragged.take(torch.arange(4))
    for part in (batch.first(batch.lengths), batch.last(batch.lengths)):
        for name in OBJECTS:
            assert torch.equal(getattr(part, name), getattr(batch, name))


def test_repeat_keeps_the_copies_of_an_object_side_by_side(ragged):
    batch = ragged.take(torch.tensor([1, 0])).repeat(3)
    assert batch.lengths.tolist() == [8, 8, 8, 3, 3, 3]
    assert torch.equal(batch.value[:3], batch.value[:1].expand(3, -1))
    assert batch.labels[:, 0].tolist() == [1, 1, 1, 0, 0, 0]


def test_store_is_not_changed_by_cutting(ragged):
    before = {k: v.clone() for k, v in ragged.points.items()}
    ragged.take(torch.arange(4))
    ragged.subset(torch.arange(4), 2, generator())
    assert all(torch.equal(ragged.points[k], v) for k, v in before.items())


def test_store_moves_whole(ragged):
    moved = ragged.to("meta")
    tensors = [*moved.points.values(), *moved.objects.values(), moved.lengths]
    assert all(t.device.type == "meta" for t in tensors)


def test_replace_leaves_the_original(ragged):
    batch = ragged.take(torch.arange(4))
    new = batch.replace(value=batch.value + 1)
    assert isinstance(new, Batch)
    assert torch.equal(new.value, batch.value + 1)
    assert new.location is batch.location
