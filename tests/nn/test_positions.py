"""Sinusoidal features: every position has its own, and the finest spacing is well apart."""

import pytest
import torch

from skdaep.nn.positions import NumberEmbedding, Sinusoids


@pytest.fixture(params=[1e-1, 1e-3, 1e-5], ids=lambda r: f"spacing {r:g} of the range")
def grid(request):
    """Return the spacing, features as a tokenizer would make them, and up to 2,000 places so spaced in a range of 1."""
    spacing = request.param
    sinusoids = Sinusoids(0.25, 0.5 / spacing, 40)
    n = min(2001, round(1 / spacing) + 1)
    return spacing, sinusoids, torch.arange(n) * spacing - 0.5


def test_neighbours_at_the_finest_spacing_are_resolved(grid):
    """At the Nyquist frequency neighbours are half a turn apart: one coordinate pair changes by 2."""
    _, sinusoids, x = grid
    features = sinusoids(x)
    assert ((features[1:] - features[:-1]).norm(dim=1) > 1.9).all()


def test_all_positions_are_distinct(grid):
    _, sinusoids, x = grid
    distance = torch.cdist(sinusoids(x), sinusoids(x))
    distance.fill_diagonal_(torch.inf)
    assert distance.min() > 0.1


def test_ends_of_the_range_are_distinct(grid):
    """The slowest frequency makes a quarter of a turn over the range, so nothing wraps around."""
    _, sinusoids, _ = grid
    ends = sinusoids(torch.tensor([-0.5, 0.5]))
    slowest = ends[:, [0, sinusoids.width // 2]]
    assert (slowest[0] - slowest[1]).norm() > 1


def test_features_are_sines_and_cosines_in_geometric_progression():
    sinusoids = Sinusoids(0.5, 8.0, 5)
    frequencies = torch.tensor([0.5, 1, 2, 4, 8])
    phase = 2 * torch.pi * 0.3 * frequencies
    assert sinusoids.width == 10
    torch.testing.assert_close(sinusoids(torch.tensor(0.3)), torch.cat([phase.sin(), phase.cos()]))


def test_frequencies_are_fixed_but_travel_with_the_module():
    sinusoids = Sinusoids(0.5, 8.0, 5)
    assert not list(sinusoids.parameters())
    assert sinusoids.to("meta")(torch.zeros(2, device="meta")).device.type == "meta"


def test_embedding_gives_a_vector_per_number():
    embedding = NumberEmbedding(12, 0.5, 8.0, 5)
    assert embedding(torch.zeros(2, 3)).shape == (2, 3, 12)
    assert embedding(torch.zeros(())).shape == (12,)
