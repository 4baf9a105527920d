"""What every estimator does with lists of Tables, whatever its objective; scikit-learn's checks know arrays only."""

import copy
from dataclasses import replace

import numpy as np
import pytest

# Padding and the order of sums move float32 by about 2e-7; a real leak moves it by far more.
CLOSE = dict(rtol=1e-5, atol=1e-5)

# Each takes the codes Z of X too, since noise is keyed by the codes passed, to the last bit.
METHODS = {
    "transform": lambda e, X, Z: e.transform(X),
    "reconstruct": lambda e, X, Z: e.reconstruct(X, output="arrays"),
    "inverse_transform": lambda e, X, Z: e.inverse_transform(Z, at=X, output="arrays"),
    "draws of reconstruct": lambda e, X, Z: e.reconstruct(X, n_draws=2, output="arrays"),
    "draws of inverse_transform": lambda e, X, Z: e.inverse_transform(Z, at=X, n_draws=2, output="arrays"),
}
each_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
# where an estimator's draws come from -> the methods that it refuses
REFUSED = {
    "noise": [],
    "posterior": ["draws of inverse_transform"],
    None: ["draws of reconstruct", "draws of inverse_transform"],
}


def refused(estimator_class):
    return REFUSED[estimator_class.objective_class.draws]


@pytest.fixture(autouse=True)
def only_methods_that_it_has(request):
    if "method" in request.fixturenames:
        method = request.getfixturevalue("method")
        if any(method is METHODS[name] for name in refused(request.getfixturevalue("estimator_class"))):
            pytest.skip("these draws do not exist")


def assert_close(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, **CLOSE)


def assert_differ(one, other):
    assert np.abs(np.asarray(one) - np.asarray(other)).max() > 1e-3


def content(tables):
    """Everything a table holds, as something that compares with ==."""
    return [
        (
            t.colnames,
            dict(t.meta),
            [
                (c.unit, c.dtype.str, np.ma.getmaskarray(c).tolist(), np.ma.getdata(c).tobytes())
                for c in t.columns.values()
            ],
        )
        for t in tables
    ]


def results(estimator, X):
    """What every method gives, under its name."""
    Z = estimator.transform(X)
    has = {k: v for k, v in METHODS.items() if k not in refused(type(estimator))}
    return {name: method(estimator, X, Z) for name, method in has.items()}


def assert_identical(one, other):
    assert one.keys() == other.keys()
    for name in one:
        for a, b in zip(one[name], other[name], strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)


def weights(estimator):
    return np.concatenate([w.ravel() for w in estimator.model_.weights.values()])


# --- the premise of all that follows ----------------------------------------------------------------


@each_method
def test_different_objects_have_different_results(fitted, X, method):
    first = [np.ravel(a)[:3] for a in method(fitted, X, fitted.transform(X))]
    for i in range(1, len(X)):
        assert_differ(first[0], first[i])


# --- fit --------------------------------------------------------------------------------------------


def test_inputs_are_unchanged(make, X):
    X[3]["mag"].mask[0] = True
    X[4]["mag"][1] = np.nan
    before = content(X)
    estimator = make().fit(X)
    assert content(X) == before
    Z = estimator.transform(X)
    codes = Z.copy()
    for name in METHODS.keys() - refused(type(estimator)):
        METHODS[name](estimator, X, Z)
        assert content(X) == before, name
        np.testing.assert_array_equal(Z, codes)
    estimator.reconstruct(X, output="tables")
    estimator.inverse_transform(Z, at=X, output="tables")
    assert content(X) == before


def test_second_fit_forgets_the_first(make, fresh, X, make_light_curve):
    others = [make_light_curve(i) for i in range(20, 30)]
    for table in others:
        table["mag"].unit = table["mag_err"].unit = "Jy"
        table.meta["survey"] = "DES"
    again = make().fit(others).fit(X)
    assert again.modalities_ == fresh.modalities_
    np.testing.assert_array_equal(weights(again), weights(fresh))
    np.testing.assert_array_equal(again.transform(X), fresh.transform(X))


def test_second_fit_on_tables_forgets_that_the_first_saw_columns(make, X):
    estimator = make(modality=None).fit(np.random.default_rng(0).normal(size=(10, 6)))
    assert estimator.n_features_in_ == 6
    estimator.fit(X)
    assert not hasattr(estimator, "n_features_in_")
    assert estimator.transform(X).shape == (12, 4)


# --- interruption and callbacks ---------------------------------------------------------------------


# --- copies -----------------------------------------------------------------------------------------


# --- invariances ------------------------------------------------------------------------------------


@each_method
def test_order_of_objects_is_irrelevant(fitted, X, method):
    order = np.random.default_rng(0).permutation(len(X))
    Z = fitted.transform(X)
    expected = method(fitted, X, Z)
    assert_close(method(fitted, [X[i] for i in order], Z[order]), [expected[i] for i in order])


@each_method
def test_company_of_objects_is_irrelevant(fitted, X, method):
    Z = fitted.transform(X)
    expected = method(fitted, X, Z)
    for i in range(0, len(X), 3):
        assert_close(method(fitted, X[i : i + 1], Z[i : i + 1]), expected[i : i + 1])


@each_method
def test_padding_is_irrelevant(fitted, make_light_curve, method, monkeypatch):
    # Batches never pad by more than 10 %; without that limit a short object is padded to the length of a long one.
    monkeypatch.setattr("skdaep.training.batches.MAX_PADDING", 1.0)
    short, long = make_light_curve(1, n=3), make_light_curve(2, n=60)
    Z = fitted.transform([long, short])
    expected = method(fitted, [short], Z[1:])
    assert_close(method(fitted, [long, short], Z)[1:], expected)


@each_method
def test_order_of_rows_is_irrelevant(fitted, X, method):
    rng = np.random.default_rng(0)
    orders = [rng.permutation(len(t)) for t in X]
    Z = fitted.transform(X)
    expected = method(fitted, X, Z)
    got = method(fitted, [t[order] for t, order in zip(X, orders, strict=True)], Z)
    if method is not METHODS["transform"]:
        expected = [a[order] for a, order in zip(expected, orders, strict=True)]
    assert_close(got, expected)


@each_method
def test_content_of_unobserved_cells_is_irrelevant(fitted, X, method):
    def with_row_0_unobserved(garbage, mask):
        table = X[2].copy()
        table["mag"][0] = garbage
        table["mag"].mask[0] = mask
        return table

    kinds = [(18.0, True), (1e30, True), (np.nan, True), (np.inf, True), (np.nan, False)]
    Z = fitted.transform(X[2:3])
    got = method(fitted, [with_row_0_unobserved(*kind) for kind in kinds], Z.repeat(len(kinds), axis=0))
    assert_close(got[1:], [got[0]] * (len(kinds) - 1))


def test_an_observed_cell_matters(fitted, X):
    before = fitted.transform(X[2:3])
    X[2]["mag"].mask[0] = True
    assert_differ(fitted.transform(X[2:3]), before)


def test_an_unobserved_row_is_as_no_row(fitted, X):
    table = X[2].copy()
    table["mag"].mask[0] = True
    assert_close(fitted.transform([table]), fitted.transform([X[2][1:]]))
    (rebuilt,) = fitted.reconstruct([table])
    assert np.isfinite(rebuilt["mag"]).all(), "a row without a measurement is decoded too"


def test_error_and_other_columns_do_not_move_the_code(fitted, X):
    expected = fitted.transform(X[:1])
    X[0]["quality"] = 99
    np.testing.assert_array_equal(fitted.transform(X[:1]), expected)


@each_method
def test_small_passes_give_the_same_as_one_large(fitted, X, method, monkeypatch):
    Z = fitted.transform(X)
    expected = method(fitted, X, Z)
    monkeypatch.setattr("skdaep.model.passes.TOKENS_PER_PASS", 20)
    assert_close(method(fitted, X, Z), expected)


# --- draws ------------------------------------------------------------------------------------------

DRAWS = {k: v for k, v in METHODS.items() if "draws" in k}
each_draw = pytest.mark.parametrize("method", DRAWS.values(), ids=DRAWS.keys())


@each_draw
def test_draws_differ_and_identical_objects_share_them(fitted, X, method):
    one, other = method(fitted, [X[4], X[4].copy()], fitted.transform(X[4:5]).repeat(2, axis=0))
    np.testing.assert_allclose(one, other, **CLOSE)
    assert one.shape == (len(X[4]), 2)
    assert_differ(one[:, 0], one[:, 1])


def test_draw_does_not_depend_on_the_number_of_draws(fitted, X, has_draws):
    two, three = (fitted.reconstruct(X[:3], n_draws=n, output="arrays") for n in (2, 3))
    assert_close([a[:, :2] for a in three], two)


def test_draws_depend_on_the_seed_of_the_estimator(fitted, X, has_draws):
    other = copy.deepcopy(fitted)
    other.model_ = replace(other.model_, seed=other.model_.seed + 1)
    (one,), (two,) = (e.reconstruct(X[:1], n_draws=1, output="arrays") for e in (fitted, other))
    assert_differ(one, two)
    np.testing.assert_array_equal(fitted.transform(X), other.transform(X))


def test_draws_depend_on_the_content_of_the_object(fitted, X, has_draws):
    other = X[0].copy()
    other["mag"][0] += 1e-3
    one, two = fitted.reconstruct([X[0], other], n_draws=1, output="arrays")
    assert_differ(one, two)


# --- output -----------------------------------------------------------------------------------------


def test_reconstruct_gives_tables_with_the_rows_units_and_meta_of_the_object(fitted, X):
    for table, rebuilt in zip(X, fitted.reconstruct(X), strict=True):
        assert set(rebuilt.colnames) == {"time", "band", "mag"}
        assert rebuilt["mag"].unit == "mag"
        assert rebuilt["time"].unit == "d"
        assert rebuilt.meta == table.meta
        np.testing.assert_array_equal(rebuilt["time"], table["time"])
        np.testing.assert_array_equal(rebuilt["band"], table["band"])


def test_output_arrays_are_the_values_of_the_tables(fitted, X, supported_draws):
    for n_draws in (None, supported_draws):
        tables = fitted.reconstruct(X, n_draws=n_draws)
        arrays = fitted.reconstruct(X, n_draws=n_draws, output="arrays")
        for table, array in zip(tables, arrays, strict=True):
            np.testing.assert_array_equal(table["mag"], array)
    with pytest.raises(ValueError, match="output='lists'"):
        fitted.reconstruct(X, output="lists")


def test_rebuilt_tables_do_not_share_memory_with_the_input(fitted, X):
    rebuilt = fitted.reconstruct(X[:1])[0]
    before = content(X[:1])
    rebuilt["time"][:] = 0
    rebuilt.meta["redshift"] = 9
    assert content(X[:1]) == before


def test_default_grid(fitted, X):
    Z = fitted.transform(X)
    rebuilt = fitted.inverse_transform(Z)
    assert len(rebuilt) == 12
    grid = rebuilt[0]
    assert grid["time"].unit == "d"
    assert grid["mag"].unit == "mag"
    assert set(grid["band"]) == {"g", "r"}
    times = np.concatenate([t["time"] for t in X])
    assert times.min() <= grid["time"].min() < 5
    assert 95 < grid["time"].max() <= times.max()
    assert grid.meta == {"redshift": np.median([t.meta["redshift"] for t in X]), "survey": "ZTF"}
    for table in rebuilt:
        np.testing.assert_array_equal(table["time"], grid["time"])
        assert np.isfinite(table["mag"]).all()
    # It is a decode like any other.
    at = [grid] * 12
    assert_close([t["mag"] for t in rebuilt], fitted.inverse_transform(Z, at=at, output="arrays"))


def test_at_needs_no_values(fitted, X):
    Z = fitted.transform(X)
    expected = fitted.inverse_transform(Z, at=X, output="arrays")
    bare = [t["time", "band"] for t in X]
    assert_close(fitted.inverse_transform(Z, at=bare, output="arrays"), expected)


def test_reconstruct_is_encode_then_decode(fitted, X):
    rebuilt = fitted.reconstruct(X, output="arrays")
    assert_close(rebuilt, fitted.inverse_transform(fitted.transform(X), at=X, output="arrays"))


def test_score_is_minus_the_mean_absolute_error_in_scaled_units(fitted, X):
    X[3]["mag"].mask[:2] = True
    scale = fitted.modalities_["sequence"].learned.value.scale
    assert scale == pytest.approx(np.std(np.concatenate([t["mag"].data.data for t in X])))
    errors = [
        np.abs(np.ma.masked_invalid(t["mag"]) - a).mean() / scale
        for t, a in zip(X, fitted.reconstruct(X, output="arrays"), strict=True)
    ]
    score = fitted.score(X)
    assert score <= 0
    assert score == pytest.approx(-np.mean(errors), rel=1e-5)
    assert fitted.score(X, np.zeros(12)) == score


# --- metadata ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"redshift": 2.0}, {"survey": "LSST"}])
def test_metadata_change_code_and_decode(fitted, X, change):
    X = [X[1]]
    other = [X[0].copy()]
    other[0].meta.update(change)
    assert X[0].meta["survey"] == "ZTF"
    Z = fitted.transform(X)
    assert_differ(fitted.transform(other), Z)
    decode = fitted.inverse_transform
    assert_differ(decode(Z, at=X, output="arrays")[0], decode(Z, at=other, output="arrays")[0])


@pytest.mark.parametrize("key", ["redshift", "survey"])
def test_absent_metadata_are_absent_in_the_encoder_and_typical_in_the_decoder(fitted, X, key):
    typical, absent, empty = X[1].copy(), X[1].copy(), X[1].copy()
    typical.meta[key] = {"redshift": np.median([t.meta["redshift"] for t in X]), "survey": "ZTF"}[key]
    del absent.meta[key]
    empty.meta[key] = np.nan
    Z = fitted.transform([typical, absent, empty])
    np.testing.assert_allclose(Z[1], Z[2], **CLOSE)
    assert_differ(Z[0], Z[1])
    one, two = fitted.inverse_transform(Z[[0, 0]], at=[typical, absent], output="arrays")
    np.testing.assert_allclose(one, two, **CLOSE)


# --- composition ------------------------------------------------------------------------------------
