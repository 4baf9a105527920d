"""Correlated noise: standard normal at every point, correlated as declared, and one function wherever it is wanted."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from skdaep.diffusion.noise import Correlation, Noise

MIXED = Correlation(scales=(0.3, 2.0), weights=(0.25, 0.5), shared=(True, False), n_bands=3)
SMOOTH = Correlation(scales=(0.5, 3.0), weights=(0.4, 0.6), shared=(False, True), n_bands=3)
CIRCLE = Correlation(scales=(0.1, 0.6), weights=(0.5, 0.3), shared=(True, False), n_bands=3, cycle=2.0)
N_DRAWS = 4000
LAWS = pytest.mark.parametrize(
    "law", [Correlation(), MIXED, SMOOTH, CIRCLE], ids=["white", "mixed", "smooth", "circle"]
)


def streams(n, seed=0):
    return [np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, i)))) for i in range(n)]


def query(location, band=0, lengths=None, trailing=()):
    """Return what `Noise` reads of a batch; locations (L,) stand for (1, L)."""
    location = torch.atleast_2d(torch.as_tensor(np.asarray(location), dtype=torch.float32))
    band = torch.zeros(location.shape, dtype=torch.long) + torch.as_tensor(band)
    lengths = torch.full((len(location),), location.shape[1]) if lengths is None else torch.tensor(lengths)
    observed = torch.arange(location.shape[1]) < lengths[:, None]
    value = torch.zeros(*location.shape, *trailing)
    return SimpleNamespace(value=value, location=location * observed, band=band * observed, observed=observed)


def many(law, location, band=0, n=N_DRAWS, seed=0):
    """Return n independent draws (n, L) at the same locations."""
    one = query(location, band)
    repeated = {k: v.expand(n, *v.shape[1:]) for k, v in vars(one).items()}
    return Noise(streams(n, seed), SimpleNamespace(**repeated), law)().numpy()


def residuals(law, n_objects=400, n_points=40, bands=None, seed=0, extent=10.0):
    """Return (location, band, residual) of objects whose residuals are noise made by a known correlation."""
    rng = np.random.default_rng(seed)
    location = np.sort(rng.uniform(0, extent, (n_objects, n_points)))
    band = rng.integers(0, law.n_bands, (n_objects, n_points)) if bands is None else bands
    noise = Noise(streams(n_objects, seed), query(location, band), law)().numpy()
    return list(zip(location, np.broadcast_to(band, location.shape), noise, strict=True))


# --- its law ----------------------------------------------------------------------------------------


@LAWS
def test_every_point_is_standard_normal(law):
    noise = many(law, [-40.0, 0.0, 0.1, 7.0], [0, 0, 1, 2])
    for point in noise.T:
        assert kstest(point, "norm").pvalue > 1e-4


@LAWS
def test_two_points_are_correlated_as_declared(law):
    location, band = np.array([0.0, 0.2, 0.7, 2.5, 0.0, 0.7]), np.array([0, 0, 0, 0, 1, 2])
    expected = np.where(
        band[:, None] == band, *(law.at(np.abs(location[:, None] - location), same) for same in (True, False))
    )
    np.fill_diagonal(expected, 1)
    found = np.corrcoef(many(law, location, band).T)
    np.testing.assert_allclose(found, expected, atol=4.5 / N_DRAWS**0.5)


def test_correlation_is_the_sum_of_its_kernels_those_shared_alone_between_bands():
    d = np.array([0.0, 0.3, 1.0, 4.0])
    shared, own = 0.25 * np.exp(-(d**2) / (2 * 0.3**2)), 0.5 * np.exp(-(d**2) / (2 * 2.0**2))
    np.testing.assert_allclose(MIXED.at(d), shared + own, rtol=1e-12)
    np.testing.assert_allclose(MIXED.at(d, same_band=False), shared, rtol=1e-12)
    assert MIXED.white == pytest.approx(0.25)
    assert not Correlation().at(d).any()
    assert Correlation().white == 1


def test_the_share_of_white_noise_is_what_the_weights_leave():
    """Two points at one location differ by the white noise alone, of twice the variance of one."""
    difference = np.diff(many(MIXED, [1.0, 1.0]), axis=1)
    assert difference.var() == pytest.approx(2 * MIXED.white, rel=0.1)
    assert np.abs(np.diff(many(SMOOTH, [1.0, 1.0], n=100), axis=1)).max() < 1e-5


def test_an_object_without_points_tells_nothing():
    known = residuals(MIXED, n_objects=30)
    nothing = tuple(x[:0] for x in known[0])
    finest, longest = (0.1,), (5.0,)
    expected = Correlation.of(known, finest, longest, 3)
    assert Correlation.of([nothing, *known, nothing], finest, longest, 3) == expected
    assert Correlation.of([nothing], finest, longest, 3) == Correlation(n_bands=3)


def test_bands_share_the_function_where_declared_and_not_elsewhere():
    shared, own = (Correlation((1.0,), (1.0,), (s,), n_bands=2) for s in (True, False))
    one, other = (many(law, [0.5, 0.5], [0, 1], n=200).T for law in (shared, own))
    np.testing.assert_allclose(one[0], one[1], atol=1e-5)
    assert abs(np.corrcoef(other)[0, 1]) < 0.3


def test_successive_calls_are_independent():
    n = 4000
    noise = Noise(streams(n), query(np.zeros((n, 1))), SMOOTH)
    one, two, three = (noise()[:, 0].numpy() for _ in range(3))
    assert np.abs(np.corrcoef([one, two, three])[np.triu_indices(3, 1)]).max() < 4.5 / n**0.5


def test_values_of_several_numbers_get_white_noise():
    noise = Noise(streams(300), query(np.zeros((300, 6)), trailing=(8,)), Correlation())().numpy()
    assert noise.shape == (300, 6, 8)
    assert kstest(noise.ravel(), "norm").pvalue > 1e-4
    assert np.abs(np.corrcoef(noise.reshape(300, -1).T) - np.eye(48)).max() < 6 / 300**0.5


# --- one function -----------------------------------------------------------------------------------


def test_noise_at_other_locations_is_the_same_function_in_every_call():
    location, band = np.linspace(-3, 3, 40), np.arange(40) % 3
    some = np.array([3, 4, 17, 38, 5])
    whole = Noise(streams(1), query(location, band), SMOOTH)
    part = Noise(streams(1), query(location[some], band[some]), SMOOTH)
    assert SMOOTH.white == 0
    for _ in range(3):
        torch.testing.assert_close(part(), whole()[:, some], rtol=0, atol=1e-5)


def test_the_function_is_as_smooth_as_its_scales_say():
    """A Gaussian process of kernel exp(-d^2 / 2 l^2) has a slope of variance 1 / l^2."""
    slope = np.diff(many(SMOOTH, np.linspace(0, 1, 501), n=200), axis=1) / 2e-3
    expected = sum(w / scale**2 for w, scale in zip(SMOOTH.weights, SMOOTH.scales, strict=True))
    assert slope.var() == pytest.approx(expected, rel=0.3)
    assert np.abs(slope).max() < 8 * expected**0.5


@LAWS
def test_noise_follows_from_the_stream(law):
    location = np.linspace(0, 5, 12)
    one, same, other = (Noise(streams(1, seed), query(location), law)() for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert (one - other).abs().max() > 1e-2


@LAWS
def test_global_generators_are_untouched(law):
    before = np.random.get_state()[1].tobytes(), torch.get_rng_state().numpy().tobytes()
    Noise(streams(2), query(np.zeros((2, 5))), law)()
    assert (np.random.get_state()[1].tobytes(), torch.get_rng_state().numpy().tobytes()) == before


@pytest.mark.parametrize(("law", "trailing"), [(Correlation(), ()), (Correlation(), (4,)), (MIXED, ()), (SMOOTH, ())])
def test_noise_of_padding_is_zero_and_of_points_is_not(law, trailing):
    batch = query(np.zeros((3, 7)), lengths=[7, 2, 1], trailing=trailing)
    noise = Noise(streams(3), batch, law)()
    assert noise.shape == batch.value.shape
    assert noise.dtype == torch.float32
    assert not noise[~batch.observed].any()
    assert noise[batch.observed].all()


@LAWS
def test_noise_of_a_row_does_not_depend_on_its_company(law):
    rng, lengths = np.random.default_rng(0), [9, 3, 1]
    location, band = rng.uniform(0, 5, (3, 9)), rng.integers(0, 3, (3, 9))
    together = Noise(streams(3), query(location, band, lengths), law)
    alone = [Noise(streams(3)[i : i + 1], query(location[i, :n], band[i, :n]), law) for i, n in enumerate(lengths)]
    for _ in range(2):
        batch = together()
        for i, n in enumerate(lengths):
            torch.testing.assert_close(alone[i]()[0], batch[i, :n], rtol=0, atol=1e-6)


# --- on a circle ------------------------------------------------------------------------------------


def test_a_circle_is_the_line_wound_around():
    """The kernel of a circle is that of the line summed over all turns, and 1 where points meet."""
    law, d = Correlation((0.3,), (1.0,), (True,), cycle=2.0), np.linspace(0, 2, 21)
    wound = np.exp(-0.5 * ((d[:, None] + 2.0 * np.arange(-9, 10)) / 0.3) ** 2).sum(1)
    np.testing.assert_allclose(law.at(d), wound / wound[0], atol=1e-9)


def test_noise_is_the_same_after_a_cycle():
    smooth = Correlation((0.1, 0.6), (0.5, 0.5), (True, True), cycle=2.0)
    here = many(smooth, [0.01, 0.7, 1.99], n=50)
    np.testing.assert_allclose(many(smooth, [2.01, -1.3, -0.01], n=50), here, atol=1e-4)


def test_the_correlation_on_a_circle_is_recovered():
    found = Correlation.of(residuals(CIRCLE, extent=2.0), (0.02,), (1.0,), 3, cycle=2.0)
    lags = np.array([0.05, 0.1, 0.3, 0.6, 1.0, 1.4, 1.9])
    assert found.cycle == 2.0
    for same in (True, False):
        np.testing.assert_allclose(found.at(lags, same), CIRCLE.at(lags, same), atol=0.08)


# --- learning it ------------------------------------------------------------------------------------


@pytest.mark.parametrize("law", [MIXED, SMOOTH, Correlation((1.0,), (0.7,), (True,), n_bands=3)])
def test_the_correlation_of_known_noise_is_recovered(law):
    found = Correlation.of(residuals(law), finest=(0.05,), longest=(10.0,), n_bands=3)
    assert found.n_bands == 3
    lags = np.array([0.1, 0.3, 0.6, 1.0, 2.0, 4.0])
    for same in (True, False):
        np.testing.assert_allclose(found.at(lags, same), law.at(lags, same), atol=0.08)
    assert found.white == pytest.approx(law.white, abs=0.1)


def test_white_residuals_are_found_white():
    found = Correlation.of(residuals(Correlation(n_bands=2)), finest=(0.05,), longest=(10.0,), n_bands=2)
    assert found.white > 0.95
    assert np.abs(found.at([0.1, 1.0, 5.0])).max() < 0.03


def test_scale_of_the_residuals_does_not_matter():
    data = residuals(MIXED, n_objects=50)
    one, other = (Correlation.of([(x, b, k * r) for x, b, r in data], (0.05,), (10.0,), 3) for k in (1, 1e3))
    assert one.scales == other.scales
    np.testing.assert_allclose(one.weights, other.weights, rtol=1e-6)


def hostile():
    rng = np.random.default_rng(0)
    zeros = np.zeros(30, int)
    x, r = np.sort(rng.uniform(0, 10, 30)), rng.standard_normal(30)
    return {
        "all at one location": [(np.full(30, 2.0), zeros, r)],
        "each location twice": [(np.repeat(x, 2), np.repeat(zeros, 2), np.repeat(r, 2))],
        "two points": [(x[:2], zeros[:2], r[:2])],
        "constant": [(x, zeros, np.full(30, 3.0))],
        "alternating": [(x, zeros, (-1.0) ** np.arange(30))],
        "heavy tails": [(x, zeros, r**9)],
        "one point among objects": [(x[:1], zeros[:1], r[:1]), (x, zeros, r)],
        "float32": [(x.astype(np.float32), zeros, r.astype(np.float32))],
        "unsorted": [(rng.permutation(x), zeros, r)],
        "all farther apart than of interest": [(1e3 * np.arange(30.0), zeros, r)],
        "trend": [(x, zeros, x - 5)],
    }


@pytest.mark.parametrize("kind", hostile())
@pytest.mark.parametrize("extent", [10.0, 0.1], ids=["wide", "extent is the finest separation"])
def test_weights_are_shares_of_the_variance_whatever_the_residuals(kind, extent):
    found = Correlation.of(hostile()[kind], (0.1,), (extent,), 1)
    assert len(found.scales) == len(found.weights) == len(found.shared)
    assert all(w > 0 for w in found.weights)
    assert sum(found.weights) <= 1 + 1e-9
    assert 0 <= found.white <= 1
    noise = Noise(streams(1), query(np.linspace(0, 10, 20)), found)()
    assert noise.isfinite().all()


@pytest.mark.parametrize(
    "data",
    [
        [],
        [(np.array([1.0]), np.array([0]), np.array([0.5]))],
        [(np.arange(5.0), np.zeros(5, int), np.zeros(5))],
        [(np.arange(5.0) * 1e3, np.zeros(5, int), np.ones(5))],
    ],
    ids=["no objects", "one point", "no residual", "no pair near enough"],
)
def test_without_a_pair_to_learn_from_noise_is_white(data):
    assert Correlation.of(data, (0.1,), (10.0,), 2) == Correlation(n_bands=2)


def test_a_constant_offset_is_correlated_over_all_separations():
    data = [(np.linspace(0, 10, 30), np.zeros(30, int), np.full(30, sign)) for sign in (1.0, -1.0)]
    found, d = Correlation.of(data, (0.1,), (10.0,), 1), np.linspace(0.1, 10, 20)
    assert (found.at(d) > np.exp(-(d**2) / (2 * 10.0**2)) - 1e-3).all(), "as far as the longest scale goes"


def test_points_that_repeat_one_location_are_taken_as_the_shortest_separation():
    """Pairs that agree at separation 0 and nowhere else: correlated there, white from a little farther on."""
    rng = np.random.default_rng(0)
    data = []
    for _ in range(100):
        x, r = np.sort(rng.uniform(0, 10, 20)), rng.standard_normal(20)
        data.append((np.repeat(x, 2), np.zeros(40, int), np.repeat(r, 2)))
    found = Correlation.of(data, (0.01,), (10.0,), 1)
    assert found.at(0.0) > 0.6
    assert abs(found.at(1.0)) < 0.05


def test_every_object_counts_by_its_points_and_not_by_its_place():
    data = residuals(MIXED, n_objects=20, n_points=70) + residuals(MIXED, n_objects=20, n_points=5, seed=1)
    one, other = (Correlation.of(d, (0.05,), (10.0,), 3) for d in (data, data[::-1]))
    np.testing.assert_allclose(one.weights, other.weights, rtol=1e-6)
    assert one.scales == other.scales
