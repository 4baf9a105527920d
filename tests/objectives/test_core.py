"""Closed-form cores: at the start they are functional PCA, of equal size or its mean, and all of them learns."""

import numpy as np
import pytest
import torch
from astropy.table import Table

from skdaep.linear import FlatPoints
from skdaep.modalities import Image, Sequence, SpectralSeries
from skdaep.objectives import Denoising, FunctionalPCA, Plan, TrainingSet
from skdaep.objectives.cores.expansion import scores

NAME = "it"
NETWORKS = {
    "bottleneck_length": 2,
    "bottleneck_dim": 2,
    "model_dim": 16,
    "n_heads": 2,
    "n_encoder_layers": 1,
    "n_decoder_layers": 1,
    "hidden_length": None,
    "encoder_hidden_length": None,
    "share_weights": False,
}
OPTIONS = {"prediction": "x0", "schedule": "cosine", "sampler": "dpm++", "n_sampling_steps": 20, "core": "linear"}
SOLVING = {"smoothness": None, "error_weighting": True, "max_iter": 100, "tol": 3e-4}


def table(i):
    rng = np.random.default_rng([3, i])
    n = int(rng.integers(8, 25))
    time, band = np.sort(rng.uniform(0, 10, n)), rng.choice(["g", "r"], n)
    flux = rng.normal() * np.sin(time) + rng.normal() * (band == "g") + 0.1 * rng.normal(size=n)
    return Table({"time": time, "flux": flux, "band": band, "flux_err": rng.uniform(0.05, 0.2, n)})


def learned(modality, objects):
    """Return a modality that has learned, and the measurements of its objects."""
    modality = modality.learn(objects)
    return modality, modality.collate(modality.read_all(objects, [f"X[{i}]" for i in range(len(objects))]))


def plan(modality, networks=NETWORKS, **changes):
    return Plan({NAME: modality}, networks, OPTIONS | changes)


def assembled(modality, **changes):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Denoising.assembled(plan(modality, **changes))


def both(modality, objects):
    """Return functional PCA and the start of training from it, for the same objects, and their batch."""
    modality, ragged = learned(modality, objects)
    typical = modality.typical_error()
    networks = {"bottleneck_length": 4, "bottleneck_dim": 1}
    solving = SOLVING | {"error_weighting": typical is not None}
    pca, _ = FunctionalPCA.solve(Plan({NAME: modality}, networks, solving), TrainingSet({NAME: ragged}, None, 0))
    objective = assembled(modality, typical_errors={} if typical is None else {NAME: typical})
    objective.prepare(plan(modality), TrainingSet({NAME: ragged}, None, 0))
    return pca, objective.eval(), ragged.take(torch.arange(len(ragged)))


CURVES = both(Sequence(), [table(i) for i in range(80)])
IMAGES = both(Image(patch_size=4), np.random.default_rng(0).normal(size=(30, 8, 8)).cumsum(1).cumsum(2))
KINDS = pytest.mark.parametrize(("pca", "objective", "batch"), [CURVES, IMAGES], ids=["curves", "images"])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@KINDS
@torch.no_grad()
def test_at_the_start_it_is_functional_pca_of_equal_size(pca, objective, batch):
    scores, z = pca.encode({NAME: batch}).mean.flatten(1), objective.encode({NAME: batch}).mean
    assert z.shape == (len(batch), 2, 2)
    half = pca.factors.variance.float() ** 0.25  # of the exponent
    torch.testing.assert_close(z.flatten(1) @ objective.core.rotation, scores / half / half[0], rtol=1e-4, atol=1e-4)
    expected = pca.decode(NAME, scores, batch)
    seen = batch.observed
    torch.testing.assert_close(objective.decode(NAME, z, batch)[seen], expected[seen], rtol=1e-4, atol=1e-5)


@KINDS
@torch.no_grad()
def test_draws_at_the_start_scatter_as_functional_pca_says(pca, objective, batch):
    unknown = batch.replace(error=torch.full_like(batch.error, torch.nan))
    z = objective.encode({NAME: batch}).mean
    noise = generator(1)
    many = [
        objective.decode(NAME, z, unknown, lambda: torch.randn(batch.value.shape, generator=noise)) for _ in range(40)
    ]
    spread = torch.stack(many).std(0)[batch.observed].mean()
    assert float(spread) == pytest.approx(float(pca.factors.noise_of(torch.tensor(torch.nan)).sqrt()), rel=0.1)


@torch.no_grad()
def test_no_entry_of_the_code_is_next_to_nothing():
    pca, objective, batch = CURVES
    scores, z = pca.encode({NAME: batch}).mean.flatten(1), objective.encode({NAME: batch}).mean.flatten(1)
    assert z.std(0).min() / z.std(0).max() > scores.std(0).min() / scores.std(0).max()


@torch.no_grad()
def test_few_points_leave_scores_near_the_mean():
    _, objective, batch = CURVES
    whole = objective.encode({NAME: batch}).mean.flatten(1).norm(dim=1)
    few = objective.encode({NAME: batch.first(torch.ones(len(batch), dtype=torch.long))}).mean.flatten(1).norm(dim=1)
    assert few.mean() < 0.8 * whole.mean()


@torch.no_grad()
def test_codes_in_training_are_those_of_evaluation():
    """Of scores that scatter, a decoder would learn to shrink what is shrunk already."""
    _, objective, batch = CURVES
    expected = objective.encode({NAME: batch}).mean
    assert torch.equal(objective.core.encode(objective.autoencoder, {NAME: batch}, generator()), expected)


def test_tokens_of_a_basis_are_drawn_from_the_posterior_in_training():
    pca, _, batch = CURVES
    points = FlatPoints.of(batch)
    drawn = torch.stack([scores(pca.factors, points, generator(i)) for i in range(200)])
    posterior = pca.factors.posterior(points)
    scale = posterior.covariance.diagonal(dim1=1, dim2=2).sqrt().float()
    torch.testing.assert_close(drawn.mean(0), posterior.mean.float(), rtol=0, atol=float(0.4 * scale.max()))
    assert float((drawn.std(0) / scale).mean()) == pytest.approx(1, abs=0.05)


def test_the_loss_is_drawn_from_its_generator_alone():
    _, objective, batch = CURVES
    before, training = torch.get_rng_state(), objective.train()
    one, other, third = (training.loss({NAME: batch}, generator(i))["loss"] for i in (0, 0, 1))
    fixed = objective.eval().loss({NAME: batch}, generator(0))["loss"]
    torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert not torch.equal(one, third)
    assert torch.equal(one, fixed)
    assert torch.equal(before, torch.get_rng_state())


def test_every_weight_of_the_core_learns():
    modality, ragged = learned(Sequence(), [table(i) for i in range(80)])
    objective = assembled(modality)
    objective.prepare(plan(modality), TrainingSet({NAME: ragged}, None, 0))
    with torch.no_grad():
        for parameter in objective.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator()))
    objective.loss({NAME: ragged.take(torch.arange(80))}, generator())["loss"].mean().backward()
    assert all(p.grad is not None and p.grad.any() for p in objective.core.parameters())


@torch.no_grad()
def test_scores_keep_their_digits_where_networks_are_less_precise():
    _, objective, batch = CURVES
    z = objective.encode({NAME: batch}).mean
    values = objective.decode(NAME, z, batch)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(objective.encode({NAME: batch}).mean, z)
        torch.testing.assert_close(objective.decode(NAME, z, batch), values)


@torch.no_grad()
def test_a_state_brings_its_core():
    _, objective, batch = CURVES
    modality, _ = learned(Sequence(), [table(i) for i in range(80)])
    state = objective.state_dict()
    again = Denoising.of_state(plan(modality), state).eval()
    assert torch.equal(again.encode({NAME: batch}).mean, objective.encode({NAME: batch}).mean)
    larger = NETWORKS | {"bottleneck_dim": 3}
    with pytest.raises(ValueError, match="4 scores is not one of 6"):
        Denoising.of_state(plan(modality, larger), state)


@torch.no_grad()
def test_fewer_objects_than_entries_are_borne():
    modality, ragged = learned(Sequence(), [table(i) for i in range(3)])
    objective = assembled(modality)
    objective.prepare(plan(modality), TrainingSet({NAME: ragged}, None, 0))
    batch = ragged.take(torch.arange(3))
    assert torch.isfinite(objective.decode(NAME, objective.encode({NAME: batch}).mean, batch)).all()


def with_basis():
    """Return an objective that begins with a basis, its modality and the measurements of 80 objects."""
    modality, measured = learned(Sequence(), [table(i) for i in range(80)])
    objective = assembled(modality, core="basis")
    objective.prepare(plan(modality), TrainingSet({NAME: measured}, None, 0))
    return objective, modality, measured


@torch.no_grad()
def test_a_basis_begins_with_the_mean_curve_whatever_the_code():
    objective, _, measured = with_basis()
    batch, factors = measured.take(torch.arange(80)), objective.core.expansions[NAME].basis
    curve = factors.decode(torch.zeros(80, factors.n_components), batch.location, batch.band)[..., 0]
    values = objective.eval().decode(NAME, torch.randn(80, 2, 2, generator=generator()), batch)
    torch.testing.assert_close(values[batch.observed], curve[batch.observed].float())


def test_every_weight_of_a_basis_learns_and_its_state_brings_it():
    objective, modality, measured = with_basis()
    with torch.no_grad():
        for parameter in objective.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator()))
    batch = {NAME: measured.take(torch.arange(80))}
    objective.loss(batch, generator())["loss"].mean().backward()
    assert all(p.grad is not None and p.grad.any() for p in objective.core.parameters())
    state, own = objective.state_dict(), plan(modality, core="basis")
    again = Denoising.of_state(own, state).eval()
    with torch.no_grad():
        assert torch.equal(again.encode(batch).mean, objective.eval().encode(batch).mean)
    expected = Denoising.expected_state(own, state)
    assert {k: (v.shape, v.dtype) for k, v in expected.items()} == {k: (v.shape, v.dtype) for k, v in state.items()}


@pytest.mark.parametrize("prediction", ["v", "epsilon"])
def test_other_predictions_are_refused(prediction):
    modality, _ = learned(Sequence(), [table(0)])
    with pytest.raises(ValueError, match=f"core='linear' needs prediction=\"x0\".*'{prediction}'"):
        assembled(modality, prediction=prediction)


def test_points_of_a_plane_are_refused_as_by_functional_pca():
    times, wavelengths = np.arange(3.0), np.linspace(4000, 5000, 5)
    rows = [(t, w, np.sin(w) + t) for t in times for w in wavelengths]
    series = Table(rows=rows, names=["time", "wavelength", "flux"])
    modality, ragged = learned(SpectralSeries(), [series, series])
    with pytest.raises(ValueError, match=r"A core takes points on a line or images .* use core=None"):
        assembled(modality).prepare(plan(modality), TrainingSet({NAME: ragged}, None, 0))


def test_without_a_core_nothing_is_added():
    modality, ragged = learned(Sequence(), [table(i) for i in range(4)])
    objective = assembled(modality, core=None)
    batch = ragged.take(torch.arange(4))
    objective.prepare(plan(modality), TrainingSet({NAME: ragged}, None, 0))
    assert not [name for name in objective.state_dict() if name.startswith("core.")]
    assert torch.equal(objective.encode({NAME: batch}).mean, objective.autoencoder.encode({NAME: batch}))
