"""Supervision as an objective around another: its losses in closed form, and what objects without labels change."""

import numpy as np
import pytest
import torch
from astropy.table import Table
from scipy.special import log_softmax
from scipy.stats import norm
from sklearn.metrics import mean_pinball_loss

from skdaep.modalities import Sequence
from skdaep.nn.autoencoder import Autoencoder
from skdaep.objectives import HEADS, QUANTILES, Denoising, Labelled, Objective, Supervised

NAN = float("nan")
#: points of each object by modality; 0 where it lacks it
LENGTHS = {"a": [9, 0, 5, 4], "b": [4, 6, 0, 12]}


def table(i, n):
    time = np.linspace(0, 10, n) + 0.1 * i
    return Table({"time": time, "flux": np.sin(time + i) + 0.2 * i})


MODALITIES = {k: Sequence().learn([table(i, n) for i, n in enumerate(ns) if n]) for k, ns in LENGTHS.items()}
STORES = {
    k: m.collate([m.read(table(i, n), "X") if n else m.absent() for i, n in enumerate(LENGTHS[k])])
    for k, m in MODALITIES.items()
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def batches(rows=(0, 1, 2, 3)):
    return {k: s.subset(torch.arange(4), None, generator(7)).rows(torch.tensor(rows)) for k, s in STORES.items()}


def codes(n=6, size=4):
    return torch.randn(n, size, generator=generator(3))


def head(kind, size=4, n=2):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = HEADS[kind](size, n)
        torch.nn.init.normal_(made.read.weight)
    return made


def supervised(weight=0.3, kind="numbers", n=2):
    process = dict(prediction="x0", schedule="cosine", sampler="ddim", n_sampling_steps=2)
    shape = dict(bottleneck_length=2, bottleneck_dim=3, model_dim=16, n_heads=2, encoder_hidden_length=3)
    layers = dict(n_encoder_layers=1, n_decoder_layers=1, hidden_length=None, share_weights=False)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        inner = Denoising(Autoencoder(MODALITIES, **shape, **layers), **process)
    return Supervised(inner, head(kind, 6, n), weight)


# --- heads ------------------------------------------------------------------------------------------


def test_quantiles_never_cross_whatever_the_weights():
    for scale in (0.1, 1.0, 30.0):
        quantiles = head("numbers")(scale * codes(200)).detach()
        assert quantiles.shape == (200, 2, 5)
        assert (quantiles.diff(dim=-1) >= 0).all()


def test_the_pinball_loss_is_that_of_scikit_learn_and_skips_what_is_unknown():
    made, x = head("numbers"), codes()
    target = torch.randn(6, 2, generator=generator(1))
    with torch.no_grad():
        quantiles, loss = made(x).numpy(), made.loss(x, target).numpy()
        some = target.clone()
        some[1, 0] = NAN
        assert made.loss(x, some)[0] == made.loss(x, target)[0]
        alone = made.loss(x, some)[1]
    truth = target.numpy()

    def expected(i, j):
        each = [mean_pinball_loss(truth[i, j : j + 1], quantiles[i, j, [k]], alpha=q) for k, q in enumerate(QUANTILES)]
        return np.mean(each)

    np.testing.assert_allclose(loss, [(expected(i, 0) + expected(i, 1)) / 2 for i in range(6)], rtol=1e-5)
    assert alone == pytest.approx(expected(1, 1), rel=1e-5)


def test_the_pinball_loss_is_least_at_the_quantiles():
    made = HEADS["numbers"](1, 1)
    torch.nn.init.zeros_(made.read.weight)
    truth = torch.tensor(norm.ppf((np.arange(1000) + 0.5) / 1000), dtype=torch.float32)[:, None]
    optimiser = torch.optim.LBFGS(made.parameters(), max_iter=50, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        loss = made.loss(torch.zeros(1000, 1), truth).mean()
        loss.backward()
        return loss

    optimiser.step(closure)
    np.testing.assert_allclose(made(torch.zeros(1, 1)).detach()[0, 0], norm.ppf(QUANTILES), atol=0.01)


def test_classes_have_the_cross_entropy():
    made, x, place = head("classes", n=3), codes(), np.array([0, 2, 1, 1, 0, 2])
    with torch.no_grad():
        logits, p = made.read(x).numpy(), made(x).numpy()
        loss = made.loss(x, torch.tensor(place, dtype=torch.float32)[:, None]).numpy()
    np.testing.assert_allclose(loss, -log_softmax(logits, 1)[np.arange(6), place], rtol=1e-5)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-6)


# --- around another objective -----------------------------------------------------------------------


def losses(objective, rows, target):
    return objective.loss(Labelled(batches(rows), target), generator())


def test_the_loss_is_the_mixture_of_both():
    target = torch.tensor([[0.3, NAN], [NAN, NAN], [1.0, -1.0], [NAN, 0.2]])
    with torch.no_grad():
        alone = supervised().inner.loss(batches(), generator())["loss"]
        for weight in (0.0, 0.3, 1.0):
            got = losses(supervised(weight), (0, 1, 2, 3), target)
            assert torch.equal(got["unsupervised"], alone)
            torch.testing.assert_close(got["loss"], (1 - weight) * alone + weight * got["supervised"])
            assert got["supervised"][1] == 0
            assert (got["supervised"][[0, 2, 3]] > 0).all()


@pytest.mark.parametrize("kind", ["numbers", "classes"])
def test_objects_without_labels_change_no_supervised_gradient(kind, monkeypatch):
    """Objects 1 and 3 without labels, or not there: the gradient of the head's loss is the same."""
    monkeypatch.setattr(Objective, "shown", lambda self, batches, generator: batches)
    target = torch.tensor([[0.0], [NAN], [1.0], [NAN]])
    gradients = []
    for rows in ([0, 1, 2, 3], [0, 2]):
        objective = supervised(1.0, kind, n=2 if kind == "classes" else 1)
        losses(objective, rows, target[rows])["supervised"].mean().backward()
        gradients.append({k: p.grad for k, p in objective.named_parameters() if p.grad is not None})
    one, other = gradients
    assert one.keys() == other.keys()
    assert any(k.startswith("inner") for k in one)
    for name, gradient in one.items():
        torch.testing.assert_close(gradient, other[name], rtol=1e-4, atol=1e-6, msg=name)


def test_a_batch_without_labels_is_the_inner_objective():
    got = losses(supervised(0.5), (0, 1), torch.full((2, 2), NAN))
    torch.testing.assert_close(got["loss"], 0.5 * got["unsupervised"])
    got["loss"].mean().backward()


def test_every_parameter_of_head_and_encoder_is_trained():
    objective = supervised(1.0)
    losses(objective, (0, 1, 2, 3), torch.ones(4, 2))["loss"].mean().backward()
    for name, parameter in objective.named_parameters():
        decodes = any(part in name for part in ("decoder", "heads", "from_bottleneck", "place", "spreads", "time"))
        if not decodes:
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name
