"""Samplers: equal to an independent library step by step, and right where the answer is known in closed form."""

import warnings
from itertools import chain, product, repeat

import numpy as np
import pytest
import torch

from skdaep.diffusion.process import PREDICTIONS
from skdaep.diffusion.samplers import SAMPLERS, Level, heun, sample
from skdaep.diffusion.schedules import N_STEPS, SCHEDULES

BETA_SCHEDULE = {"linear": "linear", "cosine": "squaredcos_cap_v2"}
PREDICTION_TYPE = {"epsilon": "epsilon", "x0": "sample", "v": "v_prediction"}


def randn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# --- against diffusers ------------------------------------------------------------------------------


def network(x, t):
    """Something bounded and nonlinear of x, place and time."""
    shift = torch.linspace(-1, 1, x.shape[-1], dtype=x.dtype)
    return 0.8 * torch.tanh(x * (1 - 0.4 * t) + shift) + 0.3 * torch.sin(3 * x + t)


def our_trajectory(sampler, prediction, schedule, noises, n_steps):
    schedule, trajectory, noise = SCHEDULES[schedule](), [], iter(noises)
    to_x0 = PREDICTIONS[prediction].to_x0

    def denoise(x, t):
        trajectory.append(x)
        return to_x0(x, network(x, t), *schedule(t))

    end = sample(denoise, schedule, lambda: next(noise), n_steps, even(sampler))
    return torch.stack([*trajectory[1:], end])


def even(sampler):
    """The sampler at even times, which are the library's."""
    return SAMPLERS[sampler]._replace(power=1.0)


def table(schedule):
    """Cumulative products of 1 - beta in float64, from the papers' definitions and none of our code."""
    if schedule == "linear":
        return torch.from_numpy(np.cumprod(1 - np.linspace(1e-4, 0.02, N_STEPS)))
    f = np.cos((np.arange(N_STEPS + 1) / N_STEPS + 0.008) / 1.008 * np.pi / 2) ** 2
    return torch.from_numpy(np.cumprod(1 - np.minimum(1 - f[1:] / f[:-1], 0.999)))


def their_trajectory(sampler, prediction, schedule, noises, n_steps, monkeypatch):
    diffusers = pytest.importorskip("diffusers")
    common = {
        "num_train_timesteps": N_STEPS,
        "beta_schedule": BETA_SCHEDULE[schedule],
        "prediction_type": PREDICTION_TYPE[prediction],
        "timestep_spacing": "trailing",
    }
    if sampler == "ddim":
        scheduler = diffusers.DDIMScheduler(clip_sample=False, set_alpha_to_one=True, **common)
        scheduler.final_alpha_cumprod = scheduler.final_alpha_cumprod.double()
    elif sampler == "ddpm":
        scheduler = diffusers.DDPMScheduler(clip_sample=False, variance_type="fixed_small", **common)
    else:
        solver = {"algorithm_type": "dpmsolver++", "solver_order": 2, "solver_type": "midpoint"}
        scheduler = diffusers.DPMSolverMultistepScheduler(final_sigmas_type="zero", **solver, **common)
    # The library keeps its tables in float32, whose rounding 1,000 steps add up: put float64 in their place.
    scheduler.alphas_cumprod = table(schedule)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # theirs: numpy.array(tensor)
        scheduler.set_timesteps(n_steps)
    if sampler == "dpm++":
        alpha_bar = scheduler.alphas_cumprod[scheduler.timesteps]
        scheduler.sigmas = torch.cat([torch.sqrt((1 - alpha_bar) / alpha_bar), torch.zeros(1, dtype=torch.float64)])
    # It draws from a generator: let it draw our noises.
    noise = iter(noises[1:])
    if sampler == "ddpm":
        module = diffusers.schedulers.scheduling_ddpm
        monkeypatch.setattr(module, "randn_tensor", lambda shape, **_: next(noise))
    x, trajectory = noises[0], []
    for k in scheduler.timesteps:
        x = scheduler.step(network(x, (k + 1).double() / N_STEPS), k, x, return_dict=False)[0]
        trajectory.append(x)
    return torch.stack(trajectory)


# DPMSolverMultistepScheduler rounds x to float32 at every step.
TOLERANCE = {"ddim": 1e-9, "ddpm": 1e-9, "dpm++": 1e-6}
CASES = [
    *product(["ddim"], [200], sorted(PREDICTIONS), sorted(SCHEDULES)),
    *product(["ddpm"], [200], sorted(PREDICTIONS), sorted(SCHEDULES)),
    *product(["dpm++"], [20], sorted(PREDICTIONS), sorted(SCHEDULES)),
    ("ddpm", 1000, "epsilon", "linear"),
    ("ddpm", 1000, "x0", "cosine"),
    ("dpm++", 100, "v", "cosine"),
]


def relative_difference(one, other):
    """Largest difference relative to the size of x: at t = 1 a noise predictor's x0 is x / alpha, up to 36,000."""
    size = other.abs().amax((1, 2)).clamp(min=1)
    return ((one - other).abs().amax((1, 2)) / size).max().item()


@pytest.mark.parametrize(("sampler", "n_steps", "prediction", "schedule"), CASES)
def test_trajectory_is_that_of_diffusers(sampler, n_steps, prediction, schedule, monkeypatch):
    noises = randn(n_steps + 1, 4, 5)
    ours = our_trajectory(sampler, prediction, schedule, noises, n_steps)
    theirs = their_trajectory(sampler, prediction, schedule, noises, n_steps, monkeypatch)
    assert len(ours) == len(theirs) == n_steps
    assert relative_difference(ours, theirs) < TOLERANCE[sampler]


@pytest.mark.parametrize(
    ("sampler", "n_steps", "prediction", "schedule"),
    [
        ("ddim", 200, "v", "linear"),
        ("ddpm", 1000, "x0", "cosine"),
        ("ddpm", 1000, "epsilon", "linear"),
        ("dpm++", 20, "epsilon", "cosine"),
    ],
)
def test_float32_follows_float64(sampler, n_steps, prediction, schedule):
    noises = randn(n_steps + 1, 4, 5, dtype=torch.float32)
    single = our_trajectory(sampler, prediction, schedule, noises, n_steps)
    double = our_trajectory(sampler, prediction, schedule, noises.double(), n_steps)
    assert single.dtype == torch.float32
    assert relative_difference(single, double) < 1e-5


# --- exact denoiser of a Gaussian -------------------------------------------------------------------

MEAN = torch.tensor([1.0, -0.5, 0.3], dtype=torch.float64)
AXES = torch.linalg.qr(randn(3, 3, seed=1)).Q
VARIANCES = torch.tensor([1.5, 0.4, 0.05], dtype=torch.float64)
COVARIANCE = AXES @ VARIANCES.diag() @ AXES.T


def exact_denoiser(schedule):
    """E[x_0 | x_t] = m + alpha S (alpha^2 S + sigma^2 I)^-1 (x_t - alpha m)."""

    def denoise(x, t):
        alpha, sigma = schedule(t)
        gain = alpha * COVARIANCE @ torch.linalg.inv(alpha**2 * COVARIANCE + sigma**2 * torch.eye(3))
        return MEAN + (x - alpha * MEAN) @ gain.T

    return denoise


def probability_flow(schedule, x1):
    """Return the end of the probability-flow ODE from x_1: along each axis of S the z-score is conserved."""
    alpha, sigma = schedule(torch.ones((), dtype=torch.float64))
    stretch = torch.sqrt(VARIANCES / (alpha**2 * VARIANCES + sigma**2))
    return MEAN + (x1 - alpha * MEAN) @ (AXES @ stretch.diag() @ AXES.T)


def flow_between(x_t, here, there):
    """Return where the probability-flow ODE leads from one level to another."""
    before, after = (torch.sqrt(level.alpha**2 * VARIANCES + level.sigma**2) for level in (here, there))
    return there.alpha * MEAN + (x_t - here.alpha * MEAN) @ (AXES @ (after / before).diag() @ AXES.T)


def flow_error(schedule, sampler, n_steps):
    schedule, x1 = SCHEDULES[schedule](), randn(500, 3)
    x0 = sample(exact_denoiser(schedule), schedule, lambda: x1, n_steps, sampler)
    return (x0 - probability_flow(schedule, x1)).pow(2).mean().sqrt().item()


# Errors of the sampler's order, measured once, with a third to spare; the data's deviation is 0.81.
@pytest.mark.parametrize(
    ("sampler", "n_steps", "schedule", "error"),
    [
        ("ddim", 200, "linear", 0.012),
        ("ddim", 200, "cosine", 0.0075),
        ("dpm++", 20, "linear", 0.04),
        ("dpm++", 20, "cosine", 0.014),
        ("dpm++", 200, "linear", 4e-4),
        ("dpm++", 200, "cosine", 2e-4),
        ("heun", 20, "linear", 0.016),
        ("heun", 20, "cosine", 0.023),
    ],
)
def test_deterministic_samplers_solve_the_probability_flow(sampler, n_steps, schedule, error):
    chosen = SAMPLERS[sampler] if sampler == "heun" else even(sampler)
    assert flow_error(schedule, chosen, n_steps) < error


@pytest.mark.parametrize("sampler", ["dpm++", "heun"])
@pytest.mark.parametrize("spread", [0.02, 0.05, 0.2, 1.0])
def test_twenty_evaluations_keep_a_small_spread(spread, sampler):
    """Values that lie close together come out as wide as they are; at even times 0.02 would become 0.004."""
    schedule, x1 = SCHEDULES["cosine"](), randn(2000, 1)

    def denoise(x, t):
        alpha, sigma = schedule(t)
        return alpha * spread**2 / (alpha**2 * spread**2 + sigma**2) * x

    x0 = sample(denoise, schedule, lambda: x1, 20, SAMPLERS[sampler])
    assert 0.85 < (x0 / x1).mean().item() / spread < 1.06


@pytest.mark.parametrize(
    ("sampler", "low", "high"),
    [(even("ddim"), 0.9, 1.1), (even("dpm++"), 1.8, 2.3), (SAMPLERS["heun"], 1.9, 2.5)],
    ids=["ddim", "dpm++", "heun"],
)
@pytest.mark.parametrize("schedule", sorted(SCHEDULES))
def test_order_of_convergence(schedule, sampler, low, high):
    """Four times the evaluations: a quarter of the error of first order, a sixteenth of second."""
    errors = [flow_error(schedule, sampler, n) for n in (20, 80)]
    assert low < np.log(errors[0] / errors[1]) / np.log(4) < high


def step_of_karras(denoise, x_t, here, there):
    """Algorithm 1 of Karras et al. (2022) as printed: x / alpha, as a function of sigma / alpha."""
    s, s_next = here.sigma / here.alpha, there.sigma / there.alpha
    x = x_t / here.alpha
    d = (x - denoise(x_t, here)) / s
    euler = x + (s_next - s) * d
    d_next = (euler - denoise(there.alpha * euler, there)) / s_next
    return there.alpha * (x + (s_next - s) * (d + d_next) / 2)


@pytest.mark.parametrize("other", ["karras", "probability flow"])
def test_a_step_of_heun_is_right_to_third_order(other):
    """Half the step: an eighth of what it differs by from the algorithm as printed, and from the exact answer."""
    schedule = SCHEDULES["linear"]()  # smooth: half a step is half a step of everything
    exact = exact_denoiser(schedule)
    start = torch.tensor(0.4, dtype=torch.float64)
    x_t = MEAN + randn(50, 3)

    def denoise(x, level):
        return exact(x, torch.tensor(level.time, dtype=torch.float64))

    def difference(h):
        here, there = (Level(t.item(), *(v.item() for v in schedule(t))) for t in (start, start - h))
        x_s = heun(denoise, x_t, here, there, {}, None)
        if other == "karras":
            return (x_s - step_of_karras(denoise, x_t, here, there)).abs().max().item()
        return (x_s - flow_between(x_t, here, there)).abs().max().item()

    assert 2.9 < np.log2(difference(0.02) / difference(0.01)) < 3.3


@pytest.mark.parametrize(("sampler", "n_steps"), [("ddim", 500), ("dpm++", 100), ("heun", 100), ("ddpm", 1000)])
@pytest.mark.parametrize("schedule", sorted(SCHEDULES))
def test_samples_have_mean_and_covariance_of_the_data(sampler, n_steps, schedule):
    n = 4000
    generator = torch.Generator().manual_seed(3)
    schedule = SCHEDULES[schedule]()
    noise = lambda: torch.randn(n, 3, generator=generator, dtype=torch.float64)  # noqa: E731
    x0 = sample(exact_denoiser(schedule), schedule, noise, n_steps, SAMPLERS[sampler])
    variance = COVARIANCE.diagonal()
    mean_error = torch.sqrt(variance / n)  # Monte Carlo, one sigma
    covariance_error = torch.sqrt((variance[:, None] * variance + COVARIANCE**2) / n)
    # Four sigma; the samplers' own bias is below one.
    assert ((x0.mean(0) - MEAN).abs() / mean_error).max() < 4
    assert ((x0.T.cov() - COVARIANCE).abs() / covariance_error).max() < 4


# --- the loop ---------------------------------------------------------------------------------------


def times_of_evaluations(sampler, n):
    times = []

    def denoise(x, t):
        times.append(t.item())
        return torch.zeros_like(x)

    sample(denoise, SCHEDULES["cosine"](), lambda: randn(2, 3), n, sampler)
    return times


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 20])
def test_evaluations_stay_within_their_number_and_go_from_1_towards_0(sampler, n):
    sampler = SAMPLERS[sampler]
    times = times_of_evaluations(sampler, n)
    assert n - sampler.n_evaluations < len(times) <= n
    assert times[0] == 1
    assert times == sorted(times, reverse=True)
    n_steps = sampler.n_steps(n)
    expected = {(k / n_steps) ** sampler.power for k in range(1, n_steps + 1)}
    np.testing.assert_allclose(sorted(set(times)), sorted(expected))


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_last_step_returns_the_denoiser_s_answer(sampler):
    answer = randn(2, 3, seed=9)
    for n_steps in (1, 2, 7):
        x = sample(lambda x, t: answer, SCHEDULES["linear"](), lambda: randn(2, 3), n_steps, SAMPLERS[sampler])
        torch.testing.assert_close(x, answer)


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_more_steps_than_table_entries_stay_finite(sampler):
    schedule = SCHEDULES["cosine"]()
    x = sample(lambda x, t: 0 * x, schedule, lambda: randn(2, 3, dtype=torch.float32), 3000, SAMPLERS[sampler])
    assert x.isfinite().all()


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_same_noise_same_draw_other_noise_other_draw(sampler):
    schedule = SCHEDULES["cosine"]()

    def draw(seed):
        generator = torch.Generator().manual_seed(seed)
        noise = lambda: torch.randn(2, 3, generator=generator, dtype=torch.float64)  # noqa: E731
        return sample(exact_denoiser(schedule), schedule, noise, 10, SAMPLERS[sampler])

    state = torch.random.get_rng_state()
    assert torch.equal(draw(0), draw(0))
    assert not torch.equal(draw(0), draw(1))
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize(("sampler", "random"), [("ddim", False), ("dpm++", False), ("heun", False), ("ddpm", True)])
def test_only_ancestral_sampling_uses_noise_after_the_start(sampler, random):
    schedule = SCHEDULES["cosine"]()

    def draw(later):
        noise = chain([randn(2, 3)], repeat(later))
        return sample(exact_denoiser(schedule), schedule, lambda: next(noise), 10, SAMPLERS[sampler])

    assert torch.equal(draw(randn(2, 3, seed=1)), draw(randn(2, 3, seed=2))) != random
