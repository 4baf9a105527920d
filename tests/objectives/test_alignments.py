"""Alignments against closed forms, the identities of their papers, and the faults of published code."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from skdaep.modalities import Sequence
from skdaep.nn.autoencoder import Autoencoder
from skdaep.objectives import ALIGNMENTS, Contrastive
from skdaep.objectives.alignments.base import covariance, standard_deviation_hinge, unit
from skdaep.objectives.alignments.dual import directions, dual, duality
from skdaep.objectives.alignments.simsiam import simsiam
from skdaep.objectives.alignments.vicreg import vicreg
from skdaep.objectives.dualformer import DualFormer

VIEWS = ("a", "b")
N = 6
DUAL = dict(n_dual_layers=2, attention="both", projection="transpose")
DUAL |= dict(duality_weight=1.0, covariance_weight=1.0, variance_weight=25.0)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def vectors(n=40, d=5, seed=0):
    return torch.randn(n, d, generator=generator(seed))


def rotation(d=5, seed=5):
    return torch.linalg.qr(vectors(d, d, seed)).Q


# --- closed forms -----------------------------------------------------------------------------------


def test_covariance_and_spread_are_those_of_numpy():
    x, y = vectors(), vectors(seed=1)
    matrix = np.cov(x.numpy().T, y.numpy().T)[:5, 5:]
    expected = (matrix**2).sum() - (np.diag(matrix) ** 2).sum()
    assert covariance(x, y).item() == pytest.approx(expected / 5, rel=1e-4)
    hinge = np.maximum(0, 1 - np.sqrt(x.numpy().var(0, ddof=1) + 1e-4)).mean()
    assert standard_deviation_hinge(x).item() == pytest.approx(hinge, rel=1e-4)
    assert standard_deviation_hinge(3 * x) == 0
    assert standard_deviation_hinge(0 * x).item() == pytest.approx(0.99)


def whitened(x):
    x = x - x.mean(0)
    return x @ torch.linalg.inv(torch.linalg.cholesky(x.T @ x / (len(x) - 1))).T


def test_covariance_is_0_of_what_is_whitened_and_as_chance_has_it_of_what_is_independent():
    assert covariance(whitened(vectors()), whitened(vectors())) < 1e-10
    n, d = 20, 8
    mean = np.mean([covariance(x, x).item() for x in (vectors(n, d, seed) for seed in range(400))])
    assert mean == pytest.approx((d - 1) / (n - 1), rel=0.05)


def test_vicreg():
    a, b = vectors(), 0.3 * vectors(seed=1)
    terms = (a - b).square().mean(1), standard_deviation_hinge(a) + standard_deviation_hinge(b)
    expected = 25 * terms[0] + 25 * terms[1] + covariance(a, a) + covariance(b, b)
    torch.testing.assert_close(vicreg(a, b), expected)
    perfect = 2 * whitened(vectors())
    assert vicreg(perfect, perfect).abs().max() < 1e-8
    assert vicreg(0 * a, 0 * a)[0].item() == pytest.approx(25 * 2 * 0.99), "collapse costs"


def test_simsiam_is_minus_the_cosine_and_holds_what_is_predicted_still():
    a, b, p, q = (vectors(seed=seed).requires_grad_() for seed in range(4))
    loss = simsiam(p, b, q, a)
    expected = -((unit(p) * unit(b)).sum(1) + (unit(q) * unit(a)).sum(1)) / 2
    torch.testing.assert_close(loss, expected)
    loss.mean().backward()
    assert a.grad is None
    assert b.grad is None
    assert p.grad.abs().max() > 0


# --- identities of the dual loss --------------------------------------------------------------------


def projected(z1, z2, matrix):
    return z1, z2, z1 @ matrix.T, z2 @ matrix


def test_duality_sees_the_symmetric_part_alone():
    z1, z2, matrix = vectors(), vectors(seed=1), vectors(5, seed=2)
    expected = duality(*projected(z1, z2, matrix))
    for same in (matrix.T, (matrix + matrix.T) / 2, matrix + vectors(5, seed=3) - vectors(5, seed=3).T):
        torch.testing.assert_close(duality(*projected(z1, z2, same)), expected, rtol=1e-3, atol=1e-3)
    assert duality(*projected(z1, z1, matrix)).max() < 1e-8
    by_hand = [(x @ matrix @ x - y @ matrix @ y).item() ** 2 / 5 for x, y in zip(z1, z2, strict=True)]
    np.testing.assert_allclose(expected, by_hand, rtol=1e-3, atol=1e-4)


def test_duality_does_not_change_as_all_turns():
    z1, z2, matrix, turn = vectors(), vectors(seed=1), vectors(5, seed=2), rotation()
    turned = duality(*projected(z1 @ turn.T, z2 @ turn.T, turn @ matrix @ turn.T))
    torch.testing.assert_close(turned, duality(*projected(z1, z2, matrix)), rtol=1e-3, atol=1e-3)


def test_the_covariance_of_both_projections_is_part_of_the_loss():
    """A line of the public code that begins with a plus leaves it out."""
    p1 = whitened(vectors())
    p2 = p1 @ rotation().T  # each white, but correlated with one another
    zero = torch.zeros_like(p1)
    loss = dual(zero, zero, p1, p2, 1.0, 1.0, 0.0)
    assert covariance(p1, p1) + covariance(p2, p2) < 1e-8
    torch.testing.assert_close(loss, covariance(p1, p2).expand(len(loss)))
    assert loss[0] > 0.1


def test_without_the_variance_term_nothing_is_the_best():
    z1, z2 = vectors(), vectors(seed=1)
    shrunk = projected(z1, z2, torch.zeros(5, 5))
    assert dual(*shrunk, 1.0, 1.0, 0.0).max() == 0
    assert dual(*shrunk).min() > 40


def test_directions_are_real_orthonormal_and_ordered():
    """The real parts of the eigenvectors of A are not: half of them are there twice."""
    matrix = vectors(12, 12, seed=4)
    found = directions(matrix)
    torch.testing.assert_close(found.T @ found, torch.eye(12), rtol=0, atol=1e-5)
    diagonal = found.T @ ((matrix + matrix.T) / 2) @ found
    values = diagonal.diagonal()
    torch.testing.assert_close(diagonal, torch.diag(values), rtol=0, atol=1e-4)
    assert (values.abs().diff() <= 1e-5).all()
    assert (found.gather(0, found.abs().argmax(0, keepdim=True)) > 0).all()
    torch.testing.assert_close(directions(matrix.T), found)
    assert np.linalg.matrix_rank(np.linalg.eig(matrix.numpy())[1].real, tol=1e-4) < 12


# --- in an objective --------------------------------------------------------------------------------

MODALITY = Sequence().learn([np.sin(np.arange(8) + i) for i in range(N)], [f"X[{i}]" for i in range(N)])


def measurements(groups=None):
    """Return N objects; 0 has no b, 1 no a."""
    out = {}
    for m, name in enumerate(VIEWS):
        records = [MODALITY.read(np.sin((m + 1) * np.arange(8) + i), "X") for i in range(N)]
        records[m - 2 + 1 if m == 0 else 0] = MODALITY.absent()
        out[name] = MODALITY.collate(records)
    return {k: s if groups is None else s.grouped(torch.tensor(groups)) for k, s in out.items()}


def batches(rows=range(N), groups=None):
    return {k: s.take(torch.tensor(list(rows))) for k, s in measurements(groups).items()}


def make(cls=Contrastive, **options):
    shape = dict(bottleneck_length=2, bottleneck_dim=3, model_dim=8, n_heads=2, encoder_hidden_length=3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        networks = Autoencoder(dict.fromkeys(VIEWS, MODALITY), **shape, n_encoder_layers=1, share_weights=False)
        return cls(networks, **options)


def paired(batch):
    return (batch["a"].present & batch["b"].present).nonzero()[:, 0].tolist()


@pytest.mark.parametrize("name", ALIGNMENTS)
def test_fewer_than_two_pairs_have_no_loss(name):
    objective, pairs = make(alignment=name), paired(batches())
    alone = [i for i in range(N) if i not in pairs]
    assert len(pairs) == 4
    for rows in ([*alone, pairs[0]], alone):
        loss = objective.loss(batches(rows), generator())["loss"]
        assert loss.tolist() == [0.0] * len(rows)
        loss.mean().backward()
    loss = objective.loss(batches(), generator())["loss"]
    assert (loss[alone] == 0).all()
    assert loss.isfinite().all()


@pytest.mark.parametrize("name", [*ALIGNMENTS, "DualFormer"])
def test_every_parameter_is_trained(name):
    objective = make(DualFormer, **DUAL) if name == "DualFormer" else make(alignment=name)
    for _ in range(2):  # the first queue is empty
        objective.loss(batches(), generator())["loss"].mean().backward()
    for key, parameter in objective.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, key
            assert parameter.grad.isfinite().all(), key
            if key != "alignment.predictor.3.bias" and "expander.6.bias" not in key:
                assert parameter.grad.abs().max() > 0, key


@pytest.mark.parametrize("name", ALIGNMENTS)
def test_the_loss_of_validation_is_that_of_training(name):
    objective = make(alignment=name).train()
    other = copy.deepcopy(objective).eval()
    with torch.no_grad():
        one, two = (o.loss(batches(), generator())["loss"] for o in (objective, other))
    torch.testing.assert_close(one, two)
    assert not [m for m in objective.modules() if isinstance(m, nn.BatchNorm1d) and m.track_running_stats]


def test_options_are_those_of_the_papers():
    assert ALIGNMENTS["vicreg"].options() | {"expansion": 4} == {
        **dict(invariance_weight=25.0, variance_weight=25.0, covariance_weight=1.0, expansion=4)
    }
    moco = ALIGNMENTS["moco"].options()
    assert (moco["momentum"], moco["temperature"]) == (0.999, 0.07)


# --- MoCo -------------------------------------------------------------------------------------------


def moco(**options):
    return make(alignment="moco", alignment_options={"queue_size": 10} | options)


def test_the_copy_follows_the_encoder_in_training_alone():
    """The public code never calls its update."""
    objective = moco(momentum=0.9)
    with torch.no_grad():
        for p in objective.autoencoder.parameters():
            p.add_(1.0)
    before = {k: p.clone() for k, p in objective.alignment.key_encoder.named_parameters()}
    with torch.no_grad():
        objective.loss(batches(), generator())
    assert all(torch.equal(p, before[k]) for k, p in objective.alignment.key_encoder.named_parameters())
    objective.loss(batches(), generator())
    own = dict(objective.autoencoder.named_parameters())
    for name, key in objective.alignment.key_encoder.named_parameters():
        torch.testing.assert_close(key - before[name], 0.1 * (own[name] - before[name]))
        assert not key.requires_grad


def test_keys_are_queued_at_unit_length_and_the_oldest_go():
    objective = moco()
    for n in (1, 2, 3):
        objective.loss(batches(), generator())
        filled = objective.alignment.groups[0] >= 0
        assert filled.sum() == min(5 * n, 10)
        torch.testing.assert_close(objective.alignment.queue[0][filled].norm(dim=1), torch.ones(int(filled.sum())))
    assert objective.alignment.place.tolist() == [5, 5]
    objective.begin()
    assert (objective.alignment.groups < 0).all()


def test_keys_of_the_same_object_or_group_are_no_negatives():
    objective = moco()
    for _ in range(2):  # its own keys are in the queue, those of others too
        objective.loss(batches(groups=[7] * N), generator())
    with torch.no_grad():
        alone = objective.loss(batches(groups=[7] * N), generator())["loss"]
        others = objective.loss(batches(groups=[8] * N), generator())["loss"]
    assert alone.abs().max() < 1e-6
    assert others[paired(batches())].min() > 1e-3


def test_the_loss_is_the_cross_entropy_among_the_queue():
    objective = moco().alignment
    query, key = unit(vectors(2, 6)), unit(vectors(2, 6, 1))
    objective.queue[1, :3], objective.groups[1, :3] = unit(vectors(3, 6, 2)), torch.tensor([4, 5, 6])
    loss = objective.against_queue(query, key, 1, torch.tensor([5, 9]))
    for i, negatives in enumerate(([0, 2], [0, 1, 2])):
        logits = torch.stack([query[i] @ key[i], *(query[i] @ objective.queue[1, j] for j in negatives)]) / 0.07
        assert loss[i].item() == pytest.approx(-logits.log_softmax(0)[0].item(), rel=1e-4)


# --- DualFormer -------------------------------------------------------------------------------------


def codes(objective, batch):
    with torch.no_grad():
        return objective.encode(batch).mean.flatten(1)


def test_views_that_do_not_meet_are_encoded_as_if_alone():
    objective = make(DualFormer, **DUAL, drop_modality=0.9)
    pairs = paired(batches())
    whole = batches(pairs)
    with torch.no_grad():
        apart, _ = objective.encode_separately(whole, torch.zeros(len(pairs), dtype=torch.bool))
        together, _ = objective.encode_separately(whole)
        for m, name in enumerate(VIEWS):
            gone = {k: b if k == name else b.replace(observed=torch.zeros_like(b.observed)) for k, b in whole.items()}
            alone, present = objective.encode_separately(gone)
            torch.testing.assert_close(alone[:, m], apart[:, m], rtol=1e-4, atol=1e-5)
            assert present[:, m].all()
            assert not alone[:, 1 - m].any()
            assert (together[:, m] - apart[:, m]).abs().max() > 1e-3


def test_ablations_of_attention():
    whole, apart = batches(paired(batches())), {}
    for attention in ("both", "inter", "intra"):
        objective = make(DualFormer, **DUAL | {"attention": attention})
        with torch.no_grad():
            meets, _ = objective.encode_separately(whole)
            apart[attention] = (
                (meets - objective.encode_separately(whole, torch.zeros(4, dtype=torch.bool))[0]).abs().max()
            )
    assert apart["intra"] == 0
    assert min(apart["both"], apart["inter"]) > 1e-3


def test_the_code_is_a_rotation_of_the_mean_of_the_views():
    objective = make(DualFormer, **DUAL)
    with torch.no_grad():
        features = objective.features(batches())
        each, present = objective.encode_separately(batches())
    torch.testing.assert_close(features, each.flatten(2).sum(1) / present.sum(1, keepdim=True))
    torch.testing.assert_close(codes(objective, batches()).norm(dim=1), features.norm(dim=1))
    torch.testing.assert_close(
        torch.cdist(codes(objective, batches()), codes(objective, batches())),
        torch.cdist(features, features),
        atol=1e-4,
        rtol=1e-4,
    )


def test_projections_of_a_trained_one_have_not_shrunk():
    """Without the term for it they do."""
    spread = {}
    for weight in (25.0, 0.0):
        objective = make(DualFormer, **DUAL | {"variance_weight": weight})
        optimiser = torch.optim.Adam(objective.parameters(), lr=0.01)
        for step in range(60):
            optimiser.zero_grad()
            objective.loss(batches(), generator(step))["loss"].mean().backward()
            optimiser.step()
        with torch.no_grad():
            each, present = objective.encode_separately(batches())
        z1 = each.flatten(2)[present.all(1), 0]
        spread[weight] = (z1 @ objective.alignment.matrices[0].T).std(0).mean().item()
    assert spread[25.0] > 0.5 > spread[0.0]
