"""Contrast between modalities: the loss itself, who is whose negative, and objects that lack a modality."""

import math

import numpy as np
import pytest
import torch
from astropy.table import Table
from scipy.special import log_softmax

from skdaep.modalities import Image, Sequence
from skdaep.nn.autoencoder import Autoencoder
from skdaep.nn.batch import POINTS
from skdaep.objectives import Contrastive, Denoising, Objective
from skdaep.objectives.alignments.base import unit
from skdaep.objectives.alignments.infonce import are_equal, info_nce

#: points of each object by modality; 0 where it lacks it
LENGTHS = {"a": [9, 0, 5, 4], "b": [4, 6, 0, 12], "c": [3, 3, 0, 8]}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def vectors(n, seed=0):
    return unit(torch.randn(n, 5, generator=generator(seed)))


# --- the loss ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.05, 1.0])
def test_it_is_the_mean_of_both_cross_entropies(temperature):
    a, b = vectors(7), vectors(7, seed=1)
    logits = a.double().numpy() @ b.double().numpy().T / temperature
    expected = -0.5 * (np.diag(log_softmax(logits, 1)) + np.diag(log_softmax(logits, 0)))
    np.testing.assert_allclose(info_nce(a, b, temperature), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(info_nce(b, a, temperature), info_nce(a, b, temperature))


def test_it_is_0_for_the_right_pairs_and_for_one_object_and_log_n_for_chance():
    a = torch.eye(5)
    assert info_nce(a, a, 0.01).max() < 1e-6
    assert info_nce(a, a.roll(1, 0), 0.01).min() > 50
    assert info_nce(vectors(1), vectors(1, 1), 0.07).item() == 0
    torch.testing.assert_close(info_nce(a[:1].expand(6, -1), a[:1].expand(6, -1), 0.07), torch.full((6,), math.log(6)))


def test_those_alike_are_no_negatives():
    a, b = vectors(5), vectors(5, seed=1)
    same = torch.eye(5, dtype=torch.bool)
    torch.testing.assert_close(info_nce(a, b, 0.3, same), info_nce(a, b, 0.3))
    same[0, 1] = same[1, 0] = True
    without = [0, 2, 3, 4]
    expected = info_nce(a[without], b[without], 0.3)
    got = info_nce(a, b, 0.3, same)
    torch.testing.assert_close(got[0], expected[0])
    assert (got[2:] - expected[1:]).abs().min() > 1e-3  # for the others both are


# --- objects ----------------------------------------------------------------------------------------


def table(i, n):
    rng = np.random.default_rng([11, i])
    time = np.sort(rng.uniform(0, 10, n))
    return Table({"time": time, "flux": np.sin(time + i) + 0.2 * i}, meta={"redshift": 0.1 * (i + 1)})


DECLARED = Sequence(metadata=("redshift",))
LEARNED = {k: DECLARED.learn([table(i, max(n, 1)) for i, n in enumerate(ns)]) for k, ns in LENGTHS.items()}
STORES = {
    k: m.collate([m.read(table(i, n), "X") if n else m.absent() for i, n in enumerate(LENGTHS[k])])
    for k, m in LEARNED.items()
}


def make(cls=Contrastive, names="abc", **options):
    shape = dict(bottleneck_length=2, bottleneck_dim=3, model_dim=16, n_heads=2, encoder_hidden_length=3)
    layers = dict(n_encoder_layers=1, share_weights=False)
    if cls is not Contrastive:
        layers |= dict(n_decoder_layers=1, hidden_length=None)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return cls(Autoencoder({k: LEARNED[k] for k in names}, **shape, **layers), **options)


def shuffled(rows=(0, 1, 2, 3), names="abc", seed=7):
    """Return a training batch: points in random order."""
    return {k: STORES[k].subset(torch.arange(4), None, generator(seed)).rows(torch.tensor(rows)) for k in names}


def losses(objective, batches, seed=0):
    with torch.no_grad():
        return objective.loss(batches, generator(seed))["loss"]


@pytest.fixture
def all_points(monkeypatch):
    """Show the encoder all points, so that losses do not depend on what else is drawn."""
    monkeypatch.setattr(Objective, "shown", lambda self, batches, generator: batches)


def test_objects_are_alike_by_their_values_in_any_order():
    batch = STORES["a"].subset(torch.tensor([0, 2, 0, 3]), None, generator())
    assert not torch.equal(batch.value[0], batch.value[2])
    expected = torch.eye(4, dtype=torch.bool)
    expected[0, 2] = expected[2, 0] = True
    assert torch.equal(are_equal(batch), expected)
    filled = batch.replace(value=torch.where(batch.observed, batch.value, 7.0))
    assert torch.equal(are_equal(filled), expected)
    changed = batch.value.clone()
    changed[2, 0] += 1e-6
    assert torch.equal(are_equal(batch.replace(value=changed)), torch.eye(4, dtype=torch.bool))


def test_mirrored_images_are_alike():
    images = np.random.default_rng(0).normal(size=(3, 8, 8))
    modality = Image().learn(list(images))
    ragged = modality.collate([modality.read(images[i], "X") for i in (0, 1, 0, 2)])
    batch = modality.augment(ragged.subset(torch.arange(4), None, generator()), generator(1))
    expected = torch.eye(4, dtype=torch.bool)
    expected[0, 2] = expected[2, 0] = True
    assert torch.equal(are_equal(batch), expected)


def test_the_loss_is_the_mean_over_the_pairs_of_modalities_that_an_object_has(all_points):
    """Objects 0 and 3 have three modalities, 1 has two, 2 has one."""
    objective, batches = make(), shuffled()
    with torch.no_grad():
        each, _ = objective.encode_separately(batches)
    z = unit(each.flatten(2))

    def pair(i, j, rows):
        return dict(zip(rows, info_nce(z[rows, i], z[rows, j], 0.07).tolist(), strict=True))

    ab, ac, bc = pair(0, 1, [0, 3]), pair(0, 2, [0, 3]), pair(1, 2, [0, 1, 3])
    expected = [(ab[0] + ac[0] + bc[0]) / 3, bc[1], 0.0, (ab[3] + ac[3] + bc[3]) / 3]
    np.testing.assert_allclose(losses(objective, batches), expected, rtol=1e-4, atol=1e-6)
    assert min(expected[0], expected[1], expected[3]) > 1e-3


def test_an_object_with_one_modality_is_no_negative(all_points):
    objective = make()
    with_it, without = losses(objective, shuffled()), losses(objective, shuffled([0, 1, 3]))
    torch.testing.assert_close(with_it[[0, 1, 3]], without, rtol=1e-4, atol=1e-6)


def test_a_batch_without_a_pair_has_a_loss_and_a_gradient_of_0():
    objective = make(names="ab")
    loss = objective.loss(shuffled([1, 2], names="ab"), generator())["loss"]
    assert loss.tolist() == [0.0, 0.0]
    loss.mean().backward()
    gradients = [p.grad for p in objective.parameters() if p.grad is not None]
    assert not any(gradient.any() for gradient in gradients)
    assert len(gradients) == len(list(objective.parameters())), "an optimiser has something to step along"


def test_epochs_that_share_a_light_curve_are_no_negatives(all_points):
    """Object 3 twice, with another b the second time: neither is wrong where the shared a is asked for its b."""
    objective = make(names="ab")
    batches = shuffled([0, 3, 3], names="ab")
    moved = batches["b"].value.clone()
    moved[2] *= batches["b"].observed[2] * 1.5
    batches["b"] = batches["b"].replace(value=moved)
    for twin, other in ((1, 2), (2, 1)):
        alone = {k: b.rows(torch.tensor([0, twin])) for k, b in batches.items()}
        torch.testing.assert_close(losses(objective, batches)[twin], losses(objective, alone)[1], rtol=1e-4, atol=1e-6)
        assert not torch.equal(batches["b"].value[twin], batches["b"].value[other])


def test_the_temperature_is_learned_and_bounded(all_points):
    objective, batches = make(names="bc"), shuffled(names="bc")
    with torch.no_grad():
        z = unit(objective.encode_separately(batches)[0].flatten(2))[[0, 1, 3]]
        for set_to, used in ((0.5, 0.5), (1e-6, 0.01)):
            objective.alignment.log_temperature.fill_(math.log(set_to))
            expected = info_nce(z[:, 0], z[:, 1], used)
            torch.testing.assert_close(losses(objective, batches)[[0, 1, 3]], expected, rtol=1e-4, atol=1e-5)
    assert make().alignment.log_temperature.exp().item() == pytest.approx(0.07)


def test_the_code_is_the_direction_of_the_sum_of_unit_encodings():
    objective, batches = make(), shuffled()
    with torch.no_grad():
        z = objective.encode(batches).mean
        assert z.shape == (4, 2, 3)
        torch.testing.assert_close(z.flatten(1).norm(dim=1), torch.ones(4))
        alone = objective.autoencoder.encode({"a": batches["a"].rows(torch.tensor([2]))})
        torch.testing.assert_close(z[2:3], alone / alone.norm(), rtol=1e-5, atol=1e-6)
        parts = [objective.autoencoder.encode({k: batches[k].rows(torch.tensor([1]))}) for k in "bc"]
        expected = sum(part / part.norm() for part in parts)
    torch.testing.assert_close(z[1:2], expected / expected.norm(), rtol=1e-5, atol=1e-6)


def test_every_parameter_is_trained_and_there_is_no_decoder():
    objective = make()
    objective.loss(shuffled(), generator())["loss"].mean().backward()
    for name, parameter in objective.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name
    assert {name.split(".")[1] for name, _ in objective.named_parameters()} == {
        *("encoder_tokenizers", "encoder", "log_temperature"),
    }


def test_content_of_padding_does_not_reach_the_loss():
    objective, batches = make(), shuffled()
    filled = {
        name: b.replace(**{k: torch.where(b.observed, getattr(b, k), 0 if k == "band" else 50.0) for k in POINTS})
        for name, b in batches.items()
    }
    torch.testing.assert_close(losses(objective, filled), losses(objective, batches), rtol=1e-4, atol=1e-5)


def test_loss_is_reproducible_from_the_generator_and_the_precision_does_not_reach_the_logits():
    objective, batches = make(), shuffled()
    one, same, other = (losses(objective, batches, seed) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    z = vectors(6)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(info_nce(z, z, 0.01), info_nce(z, z, 0.01).float(), rtol=0, atol=0)
        rounded = info_nce(z, vectors(6, 1), 0.01)
    assert torch.equal(rounded, info_nce(z, vectors(6, 1), 0.01))


# --- as a term of the diffusion autoencoder ---------------------------------------------------------


def denoising(weight=None):
    options = {} if weight is None else {"alignment_weight": weight}
    process = dict(prediction="x0", schedule="cosine", sampler="ddim", n_sampling_steps=2)
    return make(Denoising, **process, **options)


def test_the_term_is_added_with_its_weight_and_the_error_stays_what_it_is():
    plain, batches = denoising(), shuffled()
    objective = denoising(0.3)
    objective.load_state_dict(plain.state_dict() | {"alignment.log_temperature": torch.tensor(math.log(0.07))})
    with torch.no_grad():
        off, on = (o.loss(batches, generator()) for o in (plain, objective))
    assert set(off) == {"loss"}
    assert torch.equal(on["error"], off["loss"])
    torch.testing.assert_close(on["loss"], on["error"] + 0.3 * on["alignment"])
    assert on["alignment"][2] == 0
    assert (on["alignment"][[0, 1, 3]] > 0).all()


def test_without_weight_there_is_nothing_of_it():
    assert denoising(0.0).state_dict().keys() == denoising().state_dict().keys()
    assert set(denoising(0.1).state_dict()) - set(denoising().state_dict()) == {"alignment.log_temperature"}
