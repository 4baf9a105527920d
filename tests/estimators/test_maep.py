"""The masked autoencoder through its estimator: what a context does, and that it has no draws."""

import copy
from dataclasses import replace

import numpy as np
import pytest

import skdaep

ESTIMATORS = ("MAEPEncoder",)
CLOSE = dict(rtol=1e-5, atol=1e-5)


def rebuilt(estimator, X, **options):
    return estimator.reconstruct(X, output="arrays", **options)


def assert_close(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, **CLOSE)


# --- context ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("context", [0.1, 0.5, 1.0, 1])
def test_context_moves_every_value(fitted, X, context):
    for one, other in zip(rebuilt(fitted, X), rebuilt(fitted, X, context=context), strict=True):
        assert one.shape == other.shape
        assert np.isfinite(other).all()
        assert np.abs(one - other).min() > 0
        assert np.abs(one - other).max() > 1e-4


def test_context_of_none_is_the_default_and_what_inverse_transform_gives(fitted, X):
    expected = fitted.inverse_transform(fitted.transform(X), at=X, output="arrays")
    assert_close(rebuilt(fitted, X), expected)
    for context in (0, 0.0):
        assert_close(rebuilt(fitted, X, context=context), expected)


@pytest.mark.parametrize("context", [-0.1, 1.1, np.nan, np.inf, 2, None, "0.5"])
def test_a_context_that_is_no_share_is_refused(fitted, X, context):
    with pytest.raises(ValueError, match=r"context=.*between 0 and 1"):
        fitted.reconstruct(X, context=context)


@pytest.mark.parametrize(("context", "count"), [(0.01, 1), (0.25, 3), (0.5, 6), (0.99, 12), (1.0, 12)])
def test_as_many_points_are_shown_as_the_share_says_and_at_least_one(
    fitted, make_light_curve, monkeypatch, context, count
):
    shown = []
    decode = skdaep.objectives.Masking.decode

    def watching(self, name, z, query, noise=None, context=None):
        shown.append(context)
        return decode(self, name, z, query, noise, context)

    monkeypatch.setattr(skdaep.objectives.Masking, "decode", watching)
    table = make_light_curve(3, n=14)
    table["mag"].mask[:2] = True
    rebuilt(fitted, [table], context=context)
    (batch,) = shown
    assert batch.lengths.tolist() == [count]
    record = fitted.model_.read(list(fitted._stream([table])))[0]["sequence"]
    observed = set(record.value[record.observed].tolist())
    assert len(observed) == 12
    assert set(batch.value[0].tolist()) <= observed, "points that were measured, with their values"
    assert len(set(batch.value[0].tolist())) == count, "each once"


def test_all_points_as_context_is_no_matter_of_chance(fitted, X):
    other = copy.deepcopy(fitted)
    other.model_ = replace(other.model_, seed=other.model_.seed + 1)
    assert_close(rebuilt(other, X, context=1.0), rebuilt(fitted, X, context=1.0))
    differences = [
        np.abs(a - b).max()
        for a, b in zip(rebuilt(other, X, context=0.4), rebuilt(fitted, X, context=0.4), strict=True)
    ]
    assert np.median(differences) > 1e-4


@pytest.mark.parametrize("context", [0.3, 1.0])
def test_order_of_objects_and_rows_is_irrelevant_with_a_context_too(fitted, X, context):
    rng = np.random.default_rng(0)
    expected = rebuilt(fitted, X, context=context)
    order = rng.permutation(len(X))
    assert_close(rebuilt(fitted, [X[i] for i in order], context=context), [expected[i] for i in order])
    rows = [rng.permutation(len(t)) for t in X]
    got = rebuilt(fitted, [t[r] for t, r in zip(X, rows, strict=True)], context=context)
    assert_close(got, [a[r] for a, r in zip(expected, rows, strict=True)])


def test_company_and_small_passes_are_irrelevant_with_a_context_too(fitted, X, monkeypatch):
    expected = rebuilt(fitted, X, context=0.4)
    assert_close(rebuilt(fitted, X[3:5], context=0.4), expected[3:5])
    monkeypatch.setattr("skdaep.model.passes.TOKENS_PER_PASS", 20)
    assert_close(rebuilt(fitted, X, context=0.4), expected)


def test_identical_objects_are_shown_the_same_points(fitted, X):
    one, other = rebuilt(fitted, [X[4], X[4].copy()], context=0.4)
    np.testing.assert_allclose(one, other, **CLOSE)


def test_which_points_are_shown_depends_on_content_and_seed(fitted, make_light_curve, monkeypatch):
    """Light curves that differ by an offset alone, so that places can be compared."""
    shown, decode = [], skdaep.objectives.Masking.decode

    def watching(self, name, z, query, noise=None, context=None):
        shown.extend(tuple(sorted(x.tolist())) for x in context.location)
        return decode(self, name, z, query, noise, context)

    monkeypatch.setattr(skdaep.objectives.Masking, "decode", watching)
    tables = [make_light_curve(3, n=20) for _ in range(6)]
    for i, table in enumerate(tables):
        table["mag"] += 0.1 * i
    other = copy.deepcopy(fitted)
    other.model_ = replace(other.model_, seed=other.model_.seed + 1)
    for estimator in (fitted, other):
        rebuilt(estimator, tables, context=0.3)
    assert len(shown) == 12
    assert len(set(shown)) == 12, "six of 20 points at random: twice the same is less likely than 1 in 500"


def test_unobserved_cells_are_not_shown(fitted, X):
    table, garbage = X[2].copy(), X[2].copy()
    for t, value in ((table, 18.0), (garbage, 1e30)):
        t["mag"][::2] = value
        t["mag"].mask[::2] = True
    for context in (0.4, 1.0):
        assert_close(rebuilt(fitted, [table], context=context), rebuilt(fitted, [garbage], context=context))
    assert np.isfinite(rebuilt(fitted, [table], context=1.0)[0]).all()


def test_tables_with_a_context_are_whole(fitted, X):
    for table, other in zip(X, fitted.reconstruct(X, context=0.5), strict=True):
        assert set(other.colnames) == {"time", "band", "mag"}
        assert len(other) == len(table)


def test_a_context_tells_the_decoder_what_the_bottleneck_cannot_hold(make):
    """Two independent levels and a bottleneck of one number."""
    levels = np.random.default_rng(0).normal(size=(80, 2)).repeat(5, axis=1)
    small = dict(bottleneck_length=1, bottleneck_dim=1, model_dim=16, mask_ratio=0.5, batch_size=40)
    estimator = make(modality=None, max_iter=300, early_stopping=False, learning_rate_init=1e-2, **small).fit(levels)
    error, error_with = (np.abs(estimator.reconstruct(levels, context=c) - levels).mean() for c in (0.0, 0.5))
    assert error_with < 0.75 * error


# --- no draws ---------------------------------------------------------------------------------------


def test_draws_are_refused_by_name(fitted, X):
    for call in (
        lambda: fitted.reconstruct(X, n_draws=2),
        lambda: fitted.reconstruct(X, n_draws=2, context=0.5),
        lambda: fitted.inverse_transform(fitted.transform(X), n_draws=2),
    ):
        with pytest.raises(ValueError, match="MAEPEncoder has no draws"):
            call()


# --- parameters -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mask_ratio", [0, 1, -0.5, 1.5, "0.5", None])
def test_a_share_that_hides_nothing_or_everything_is_refused(make, X, mask_ratio):
    with pytest.raises(ValueError, match="'mask_ratio' parameter"):
        make(mask_ratio=mask_ratio).fit(X)


def test_a_decoder_whose_points_never_meet_is_refused(make, X):
    with pytest.raises(ValueError, match="'hidden_length' parameter"):
        make(hidden_length=None).fit(X)


def test_mask_ratio_changes_the_fit_and_not_the_code_of_a_fitted_one(make, X):
    estimator = make().fit(X)
    Z = estimator.transform(X)
    np.testing.assert_array_equal(estimator.set_params(mask_ratio=0.2).transform(X), Z)
    assert np.abs(make(mask_ratio=0.2).fit(X).transform(X) - Z).max() > 1e-4


@pytest.mark.parametrize("mask_ratio", [0.01, 0.99])
def test_objects_of_a_single_point_can_be_learned_and_rebuilt(make, make_light_curve, mask_ratio):
    X = [make_light_curve(i, n=1) for i in range(6)]
    estimator = make(mask_ratio=mask_ratio).fit(X)
    assert all(np.isfinite(r["loss"]) for r in estimator.history_)
    assert all(len(a) == 1 and np.isfinite(a).all() for a in rebuilt(estimator, X, context=0.5))
