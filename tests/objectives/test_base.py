"""What objectives share: how errors are averaged over points, which points are seen, and weighting by error."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from astropy.table import Table

from skdaep import Photometry
from skdaep.nn.batch import Batch
from skdaep.objectives import Objective
from skdaep.objectives.base import first_share, random_share

NAME = "sequence"


def batch_of(lengths, error=None, n_numbers=0):
    longest = max(lengths)
    observed = torch.arange(longest) < torch.tensor(lengths)[:, None]
    value = torch.randn(len(lengths), longest, generator=torch.Generator().manual_seed(3)) * observed
    error = torch.full_like(value, torch.nan) if error is None else torch.as_tensor(error, dtype=torch.float32)
    nothing = torch.zeros(len(lengths), 0)
    whole = observed.sum(1)
    return Batch(value, value + 1, observed.long(), error, observed, whole, nothing, nothing.long())


def mean_of(per_point, batch, typical=None):
    objective = Objective(torch.nn.Identity(), typical_errors={} if typical is None else {NAME: typical})
    return objective.mean_over_points(NAME, per_point, batch)


@pytest.fixture
def per_point():
    return torch.rand(3, 6, generator=torch.Generator().manual_seed(5)) + 0.1


# --- means over points ------------------------------------------------------------------------------


def test_without_a_typical_error_the_mean_is_plain(per_point):
    error = torch.logspace(-3, 3, 18).view(3, 6)
    expected = torch.stack([per_point[i, :n].mean() for i, n in enumerate([6, 2, 1])])
    torch.testing.assert_close(mean_of(per_point, batch_of([6, 2, 1], error)), expected)


@pytest.mark.parametrize("typical", [0.01, 1.0, 20.0])
def test_points_count_by_their_error_beside_the_typical_one(per_point, typical):
    error, lengths = torch.logspace(-3, 3, 18).view(3, 6), [6, 2, 1]
    weight = typical**2 / (typical**2 + error**2)
    expected = [(weight * per_point)[i, :n].sum() / weight[i, :n].sum() for i, n in enumerate(lengths)]
    torch.testing.assert_close(mean_of(per_point, batch_of(lengths, error), typical), torch.stack(expected))


@pytest.mark.parametrize("typical", [None, 0.3])
def test_the_mean_of_a_constant_is_that_constant(typical):
    error = torch.logspace(-3, 3, 18).view(3, 6)
    batch = batch_of([6, 2, 1], error)
    torch.testing.assert_close(mean_of(torch.full((3, 6), 2.5), batch, typical), torch.full((3,), 2.5))


def test_points_of_equal_error_count_alike(per_point):
    batch = batch_of([6, 6, 6], torch.tensor([0.01, 1.0, 50.0])[:, None].expand(3, 6))
    torch.testing.assert_close(mean_of(per_point, batch, 1.0), per_point.mean(1))


def test_a_point_of_unknown_error_counts_as_a_typical_one(per_point):
    error = torch.full((3, 6), 0.2)
    error[:, ::2] = 3.0
    known = mean_of(per_point, batch_of([6, 4, 1], error), 3.0)
    error[:, ::2] = torch.nan
    assert torch.equal(mean_of(per_point, batch_of([6, 4, 1], error), 3.0), known)
    assert torch.equal(mean_of(per_point, batch_of([6, 4, 1]), 3.0), mean_of(per_point, batch_of([6, 4, 1])))


def test_a_point_without_error_counts_most_and_one_of_infinite_error_not_at_all(per_point):
    error = torch.tensor([[0.0, math.inf, 1.0]]).expand(3, 3)
    expected = (per_point[:, 0] + 0.5 * per_point[:, 2]) / 1.5
    torch.testing.assert_close(mean_of(per_point[:, :3], batch_of([3, 3, 3], error), 1.0), expected)


@pytest.mark.parametrize("typical", [None, 0.3])
def test_padding_never_counts(per_point, typical):
    lengths, error = [6, 2, 1], torch.logspace(-3, 3, 18).view(3, 6)
    batch = batch_of(lengths, error)
    filled = torch.where(batch.observed, per_point, 1e6)
    other = batch.replace(error=torch.where(batch.observed, error, 1e-6))
    assert not torch.equal(filled, per_point)
    assert torch.equal(mean_of(filled, other, typical), mean_of(per_point, batch, typical))


@pytest.mark.parametrize("typical", [None, 0.3])
def test_values_of_several_numbers_are_averaged_within_their_point_first(typical):
    lengths, error = [6, 2, 1], torch.logspace(-3, 3, 18).view(3, 6)
    several = torch.rand(3, 6, 4, generator=torch.Generator().manual_seed(1))
    batch = batch_of(lengths, error)
    torch.testing.assert_close(mean_of(several, batch, typical), mean_of(several.mean(2), batch, typical))
    torch.testing.assert_close(mean_of(several[:, :, :1], batch, typical), mean_of(several[:, :, 0], batch, typical))


def test_a_typical_error_is_that_of_its_own_modality(per_point):
    batch = batch_of([6, 6, 6], torch.logspace(-3, 3, 18).view(3, 6))
    objective = Objective(torch.nn.Identity(), typical_errors={"other": 0.1})
    torch.testing.assert_close(objective.mean_over_points(NAME, per_point, batch), per_point.mean(1))
    weighted = objective.mean_over_points("other", per_point, batch)
    assert (weighted - per_point.mean(1)).abs().min() > 1e-4


@pytest.mark.parametrize("typical", [None, 0.3])
def test_the_gradient_of_a_point_is_its_share_of_the_weight(typical):
    error = torch.logspace(-2, 2, 18).view(3, 6)
    batch = batch_of([6, 2, 1], error)
    per_point = torch.zeros(3, 6, requires_grad=True)
    mean_of(per_point, batch, typical).sum().backward()
    weight = batch.observed / (1 + (error / (typical or math.inf)) ** 2)
    torch.testing.assert_close(per_point.grad, weight / weight.sum(1, keepdim=True))


# --- shares of points -------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.01, 0.25, 0.6, 1.0])
def test_the_first_share_of_the_points_is_kept_rounded_up(share):
    lengths = list(range(1, 60))
    batch = batch_of(lengths)
    kept = first_share({NAME: batch}, share)[NAME]
    assert kept.lengths.tolist() == [math.ceil(round(share * n, 6)) for n in lengths]
    assert torch.equal(kept.value, batch.value[:, : kept.value.shape[1]] * kept.observed)


def test_a_random_share_is_uniform_between_a_quarter_and_all_and_the_same_for_all_modalities():
    g, batch = torch.Generator().manual_seed(0), batch_of([1000, 400])
    kept = [random_share({"a": batch, "b": batch}, g) for _ in range(400)]
    share = torch.stack([k["a"].lengths for k in kept]) / torch.tensor([1000, 400])
    assert all(torch.equal(k["a"].lengths, k["b"].lengths) for k in kept)
    assert (share[:, 0] - share[:, 1]).abs().max() < 3e-3
    uniform = (torch.arange(400) + 0.5) / 400 * 0.75 + 0.25
    assert (share[:, 0].sort().values - uniform).abs().max() < 0.75 * 2.2 / 400**0.5


@pytest.mark.parametrize("n_queries", [None, 1, 4, 100])
def test_the_last_points_are_decoded(n_queries):
    batch = batch_of([6, 2, 1])
    query = Objective(torch.nn.Identity(), n_queries=n_queries).decoded_points(batch)
    for i, n in enumerate([6, 2, 1]):
        n_kept = min(n, n_queries or n)
        assert set(query.value[i, : query.lengths[i]].tolist()) == set(batch.value[i, n - n_kept : n].tolist())


# --- weighting by error through the estimators ------------------------------------------------------


def curve(i, huge=None):
    """Return a light curve of differing errors, one of them huge if asked."""
    rng = np.random.default_rng([8, i])
    n = 10
    error = rng.uniform(0.02, 0.1, n)
    if huge is not None:
        error[huge] = 1e3
    return Table(
        {
            "time": np.sort(rng.uniform(0, 100, n)),
            "band": rng.choice(["g", "r"], n),
            "mag": 18 + rng.normal(size=n),
            "mag_err": error,
        }
    )


def loss_of(estimator, tables):
    objective = estimator.model_.live()
    ((name, modality),) = estimator.modalities_.items()
    records = estimator.model_.read(list(estimator._stream(tables)))
    ragged = modality.collate([r[name] for r in records])
    with torch.inference_mode():
        g = torch.Generator().manual_seed(0)
        draws = [
            objective.loss({name: ragged.subset(torch.arange(len(ragged)), None, g)}, g)["loss"] for _ in range(40)
        ]
    return torch.stack(draws).mean(0)


@pytest.fixture(scope="module")
def weighted(make):
    return make(modality=Photometry(), error_weighting=True).fit([curve(i) for i in range(12)])


def test_the_typical_error_is_the_median_in_scaled_values(weighted):
    tables = [curve(i) for i in range(12)]
    errors, values = (np.concatenate([t[c] for t in tables]) for c in ("mag_err", "mag"))
    expected = {NAME: pytest.approx(np.median(errors) / values.std(), rel=1e-5)}
    assert weighted.model_.live().typical_errors == expected


def test_a_value_of_huge_error_hardly_moves_the_loss(weighted):
    """The networks are the same; only how points count differs."""
    moved = [curve(0, huge=4), curve(0, huge=4)]
    moved[1]["mag"][4] += 20 * weighted.modalities_[NAME].learned.value.scale
    plain = copy.copy(weighted)
    plain.model_ = replace(weighted.model_, options=weighted.model_.options | {"typical_errors": {}})
    assert plain.model_.live().typical_errors == {}
    change, change_plain = (torch.diff(loss_of(e, moved)).abs().item() for e in (weighted, plain))
    assert change < 0.1 * change_plain


def test_errors_do_not_count_unless_asked(make):
    tables = [curve(i) for i in range(12)]
    others = [t.copy() for t in tables]
    for table in others:
        table["mag_err"] *= np.linspace(0.1, 30, len(table))
    one, other = (make(modality=Photometry()).fit(x) for x in (tables, others))
    for name, weight in one.model_.weights.items():
        np.testing.assert_array_equal(weight, other.model_.weights[name])
    on = make(modality=Photometry(), error_weighting=True)
    one, other = (on.fit(x).model_.weights for x in (tables, others))
    assert max(np.abs(one[name] - other[name]).max() for name in one) > 1e-6


def test_equal_errors_are_no_weights(make):
    tables = [curve(i) for i in range(12)]
    for table in tables:
        table["mag_err"] = 0.05
    one, other = (make(modality=Photometry(), error_weighting=on).fit(tables).model_.weights for on in (True, False))
    for name in one:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", ["no column", "array", "all NaN", "all zero"])
def test_without_errors_weighting_changes_nothing(make, kind):
    X = [curve(i) for i in range(12)]
    if kind == "array":
        X, modality = np.random.default_rng(0).normal(size=(12, 8)), None
    else:
        modality = Photometry()
        for table in X:
            table["mag_err"] = {"all NaN": np.nan, "all zero": 0.0}.get(kind)
        X = [t["time", "band", "mag"] if kind == "no column" else t for t in X]
    one, other = (make(modality=modality, error_weighting=on).fit(X) for on in (True, False))
    assert one.model_.live().typical_errors == {}
    for name, weight in one.model_.weights.items():
        np.testing.assert_array_equal(weight, other.model_.weights[name])


def test_some_unknown_errors_are_no_obstacle(make):
    tables = [curve(i) for i in range(12)]
    for table in tables[::2]:
        table["mag_err"] = np.nan
    estimator = make(modality=Photometry(), error_weighting=True).fit(tables)
    assert np.isfinite(estimator.transform(tables)).all()
    assert all(np.isfinite(r["loss"]) for r in estimator.history_)


@pytest.mark.parametrize("value", [1, "yes", None])
def test_weighting_is_on_or_off(make, value):
    with pytest.raises(ValueError, match="'error_weighting' parameter"):
        make(modality=Photometry(), error_weighting=value).fit([curve(i) for i in range(12)])
