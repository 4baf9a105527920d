"""Schedules: the tables of the papers, continuous, variance-preserving and monotone."""

import math

import numpy as np
import pytest
import torch

from skdaep.diffusion.schedules import LEAST_ALPHA, N_STEPS, SCHEDULES

DIFFUSERS = {"linear": "linear", "cosine": "squaredcos_cap_v2"}
GRID = torch.linspace(0, 1, 10 * N_STEPS + 1, dtype=torch.float64)


@pytest.fixture(params=sorted(SCHEDULES))
def name(request):
    return request.param


@pytest.fixture
def schedule(name):
    return SCHEDULES[name]()


def test_variance_is_preserved(schedule):
    alpha, sigma = schedule(GRID)
    torch.testing.assert_close(alpha**2 + sigma**2, torch.ones_like(GRID), rtol=0, atol=1e-14)


def test_alpha_falls_and_sigma_rises(schedule):
    alpha, sigma = schedule(GRID)
    assert (alpha.diff() < 0).all()
    # Where alpha is 1e-4 sigma is 1 to the last digit.
    assert (sigma.diff() >= 0).all()
    assert (sigma.diff()[: 9 * N_STEPS] > 0).all()


def test_time_0_is_clean_data(schedule):
    alpha, sigma = schedule(torch.zeros((), dtype=torch.float64))
    assert alpha == 1
    assert sigma == 0


@pytest.mark.parametrize(("name", "alpha_bar"), [("linear", 4.036e-5), ("cosine", 2.429e-9)], indirect=["name"])
def test_alpha_at_time_1_is_small_but_never_0(schedule, alpha_bar):
    alpha, _ = schedule(torch.ones((), dtype=torch.float64))
    assert alpha**2 == pytest.approx(alpha_bar, rel=1e-3)


def test_linear_agrees_with_its_definition():
    alpha_bar = np.cumprod(1 - np.linspace(1e-4, 0.02, N_STEPS))
    alpha, _ = SCHEDULES["linear"]()(torch.arange(1, N_STEPS + 1, dtype=torch.float64) / N_STEPS)
    np.testing.assert_allclose(alpha.numpy() ** 2, alpha_bar, rtol=1e-12)


def test_cosine_agrees_with_its_definition_up_to_the_clipped_last_step():
    k = np.arange(N_STEPS)
    cosine = np.cos((k / N_STEPS + 0.008) / 1.008 * math.pi / 2) ** 2
    alpha, _ = SCHEDULES["cosine"]()(torch.from_numpy(k / N_STEPS))
    np.testing.assert_allclose(alpha.numpy() ** 2, cosine / cosine[0], rtol=1e-9)


def test_tables_are_those_of_diffusers(name, schedule):
    """Entry k - 1 of theirs, the noise after k steps, is t = k / 1000 of ours; theirs are products in float32."""
    diffusers = pytest.importorskip("diffusers")
    theirs = diffusers.DDPMScheduler(num_train_timesteps=N_STEPS, beta_schedule=DIFFUSERS[name]).alphas_cumprod
    alpha, _ = schedule(torch.arange(1, N_STEPS + 1, dtype=torch.float64) / N_STEPS)
    ours = alpha**2
    torch.testing.assert_close(ours[:-1], theirs[:-1].double(), rtol=2e-6, atol=0)
    # The last cosine step has beta = 0.999, and 1 - beta has lost four digits in float32.
    torch.testing.assert_close(ours[-1], theirs[-1].double(), rtol=1e-4, atol=0)


def test_between_entries_log_alpha_bar_is_linear(schedule):
    t = torch.tensor([0.1234, 0.5, 0.99925], dtype=torch.float64)
    left, right = (t * N_STEPS).floor() / N_STEPS, ((t * N_STEPS).floor() + 1) / N_STEPS
    place = (t - left) * N_STEPS
    log = [schedule(x)[0].log() for x in (left, t, right)]
    torch.testing.assert_close(log[1], torch.lerp(log[0], log[2], place), rtol=1e-9, atol=1e-12)


def test_shape_and_dtype_follow_t(schedule):
    t = torch.rand(2, 3, generator=torch.Generator().manual_seed(0))
    for level in schedule(t):
        assert level.shape == t.shape
        assert level.dtype == torch.float32
    for level in schedule(t.double()):
        assert level.dtype == torch.float64


def test_float32_loses_no_digits_of_small_sigma(schedule):
    t = torch.tensor([1e-3, 2e-3, 1e-2])
    torch.testing.assert_close(schedule(t)[1].double(), schedule(t.double())[1], rtol=1e-6, atol=0)


def test_times_outside_0_and_1_are_clamped(schedule):
    inside = schedule(torch.tensor([0.0, 1.0]))
    outside = schedule(torch.tensor([-0.1, 1.1]))
    for a, b in zip(inside, outside, strict=True):
        assert torch.equal(a, b)


def test_nothing_of_a_schedule_is_stored_with_the_weights(schedule):
    assert not schedule.state_dict()
    assert not list(schedule.parameters())


def test_float64_levels_of_samplers_stay_on_the_cpu_when_the_module_moves(schedule):
    """Of two tables one moves: MPS has no float64, and a sampler should not wait for the device at every step."""
    t = torch.tensor([0.3, 1.0], dtype=torch.float64)
    before = schedule(t)
    moved = schedule.to("meta")
    assert all(torch.equal(a, b) for a, b in zip(moved(t), before, strict=True))
    assert moved(t.float().to("meta"))[0].device.type == "meta"
    assert all(buffer.dtype != torch.float64 for buffer in moved.buffers())


def test_a_draw_of_an_epsilon_predictor_starts_where_some_signal_is_left(name):
    schedule = SCHEDULES[name]()
    start = schedule.last_time(LEAST_ALPHA)
    just_after = min(1.0, start + 1 / N_STEPS)
    alphas = [schedule(torch.tensor(t, dtype=torch.float64))[0].item() for t in (start, just_after)]
    assert alphas[0] >= LEAST_ALPHA
    assert start == 1 or alphas[1] < LEAST_ALPHA
    assert (start == 1) == (name == "linear")
