"""Muon: orthogonal by the iteration's own polynomial, and the same optimiser as torch's."""

import pytest
import torch

from skdaep.training import muon
from skdaep.training.muon import Muon, orthogonal


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("units", "tolerance"), [(False, 1e-3), (True, 0.03)], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("shape", [(16, 16), (8, 40), (40, 8)])
def test_iteration_acts_on_the_singular_values_alone(shape, units, tolerance, monkeypatch):
    monkeypatch.setattr(muon, "has_bfloat16_units", lambda device: units)
    matrices = randn(3, *shape)
    u, s, vt = torch.linalg.svd(matrices.double(), full_matrices=False)
    s = s / s.norm(dim=1, keepdim=True)
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    expected = (u @ torch.diag_embed(s) @ vt).float()
    torch.testing.assert_close(orthogonal(matrices), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("size", [1e-4, 1.0, 1e4])
def test_singular_values_end_near_1_whatever_the_gradient_s_size(size):
    s = torch.linalg.svdvals(orthogonal(size * randn(3, 8, 40)))
    assert s.min() > 0.6
    assert s.max() < 1.3


def test_a_gradient_of_0_moves_nothing():
    assert not orthogonal(torch.zeros(2, 4, 4)).any()


def test_a_closure_gives_the_gradients_and_the_loss():
    """torch's optimisers take one, and call it with gradients on."""
    given, called = (torch.nn.Parameter(randn(16, 16)) for _ in range(2))
    given.grad = 2 * given.detach()
    assert Muon([given], lr=0.02).step() is None

    def closure():
        called.grad = None
        loss = (called**2).sum()
        loss.backward()
        return loss.item()

    assert Muon([called], lr=0.02).step(closure) == pytest.approx((randn(16, 16) ** 2).sum().item())
    assert torch.equal(given, called)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch before 2.9 has no Muon")
def test_steps_are_those_of_torch():
    """Theirs iterates in bfloat16, so the steps agree to a percent of their size."""
    shapes = [(16, 16), (32, 16), (16, 16), (16, 48)]
    ours, theirs = ([torch.nn.Parameter(randn(*s, seed=i)) for i, s in enumerate(shapes)] for _ in range(2))
    start = [p.detach().clone() for p in ours]
    options = {"lr": 0.02, "weight_decay": 0.1}
    one, other = Muon(ours, **options), torch.optim.Muon(theirs, adjust_lr_fn="match_rms_adamw", **options)
    for step in range(5):
        for i, (p, q) in enumerate(zip(ours, theirs, strict=True)):
            p.grad = randn(*p.shape, seed=100 + 10 * step + i)
            q.grad = p.grad.clone()
        one.step()
        other.step()
    for p, q, before in zip(ours, theirs, start, strict=True):
        assert (p - q).norm() < 0.02 * (q - before).norm()
