"""The forward process: conversions between x0, epsilon and v invert one another; the input's scale."""

import pytest
import torch

from skdaep.diffusion.process import PREDICTIONS, add_noise, input_scale, posterior_mean
from skdaep.diffusion.schedules import SCHEDULES


@pytest.fixture
def drawn():
    generator = torch.Generator().manual_seed(0)
    x0, noise = torch.randn(2, 999, 7, generator=generator, dtype=torch.float64)
    return x0, noise


@pytest.mark.parametrize("prediction", sorted(PREDICTIONS))
@pytest.mark.parametrize("schedule", sorted(SCHEDULES))
def test_perfect_prediction_gives_back_x0(prediction, schedule, drawn):
    x0, noise = drawn
    t = torch.arange(1, 1000, dtype=torch.float64)[:, None] / 1000
    alpha, sigma = SCHEDULES[schedule]()(t)
    target, to_x0, _ = PREDICTIONS[prediction]
    x_t = add_noise(x0, noise, alpha, sigma)
    recovered = to_x0(x_t, target(x0, noise, alpha, sigma), alpha, sigma)
    torch.testing.assert_close(recovered, x0, rtol=0, atol=1e-12)  # 1e-16 / alpha, alpha >= 1.5e-3


@pytest.mark.parametrize("prediction", sorted(PREDICTIONS))
def test_targets_are_those_of_the_papers(prediction, drawn):
    x0, noise = drawn
    alpha, sigma = torch.tensor(0.6), torch.tensor(0.8)
    expected = {"epsilon": noise, "x0": x0, "v": alpha * noise - sigma * x0}[prediction]
    assert torch.equal(PREDICTIONS[prediction].target(x0, noise, alpha, sigma), expected)


def test_v_is_the_velocity_on_the_circle(drawn):
    """With alpha = cos(phi), sigma = sin(phi), v is the derivative of x_t by phi (Salimans & Ho 2022)."""
    x0, noise = drawn
    phi = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    velocity = torch.autograd.functional.jacobian(lambda p: add_noise(x0[0], noise[0], p.cos(), p.sin()), phi)
    v = PREDICTIONS["v"][0](x0[0], noise[0], phi.detach().cos(), phi.detach().sin())
    torch.testing.assert_close(velocity, v)


def test_input_of_a_noise_predictor_is_whole_and_of_others_the_best_linear_estimate():
    alpha, sigma = SCHEDULES["cosine"]()(torch.tensor([0.2, 0.7, 1.0], dtype=torch.float64))
    assert input_scale("epsilon", alpha) == 1
    generator = torch.Generator().manual_seed(0)
    x0, noise = torch.randn(2, 3, 10**5, generator=generator, dtype=torch.float64)
    x_t = add_noise(x0, noise, alpha[:, None], sigma[:, None])
    slope = (x0 * x_t).mean(1) / (x_t**2).mean(1)  # least squares; its error is 10^-2.5
    for prediction in ("x0", "v"):
        torch.testing.assert_close(torch.as_tensor(input_scale(prediction, alpha)), slope, rtol=0, atol=0.015)


def test_posterior_mean_is_that_of_a_gaussian(drawn):
    """Of x0 and x_t, jointly normal, by conditioning; and the regression of x0 on x_t has no error left to explain."""
    alpha, sigma, mean, spread = (torch.tensor(x, dtype=torch.float64) for x in (0.6, 0.8, 1.5, 0.3))
    x0, noise = (x.flatten() for x in drawn)
    x0 = mean + spread * x0
    x_t = add_noise(x0, noise, alpha, sigma)
    covariance = alpha * spread**2 / (alpha**2 * spread**2 + sigma**2)
    conditioned = posterior_mean(x_t, mean, spread, alpha, sigma)
    torch.testing.assert_close(conditioned, mean + covariance * (x_t - alpha * mean))
    residual = x0 - conditioned
    assert abs((residual * (x_t - x_t.mean())).mean()) < 4 * spread / len(x0) ** 0.5
    assert abs(residual.mean()) < 4 * spread / len(x0) ** 0.5


def test_posterior_mean_is_the_mean_without_signal_and_the_signal_without_noise(drawn):
    x_t, mean = drawn
    zero, one, spread = torch.zeros(()), torch.ones(()), torch.tensor(0.3)
    assert torch.equal(posterior_mean(x_t, mean, spread, zero, one), mean)
    torch.testing.assert_close(posterior_mean(x_t, mean, spread, one, zero), x_t)
