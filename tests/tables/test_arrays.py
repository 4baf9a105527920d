"""Arrays: rows of numbers, masked or not."""

import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.table import MaskedColumn
from astropy.utils.masked import Masked

from skdaep import Sequence, TableError

ESTIMATORS = ("DAEPEncoder",)  # reading is the same in all


def test_infinity_in_an_array_is_refused_by_row_and_column(make):
    X = np.ones((4, 5))
    X[2, 3] = np.inf
    with pytest.raises(TableError, match=r"X\[2\] contains infinity at column 3"):
        make(modality=None).fit(X)


MASKED_ROWS = {
    "masked array": lambda X, mask: np.ma.masked_array(X, mask),
    "list of masked arrays": lambda X, mask: [np.ma.masked_array(x, m) for x, m in zip(X, mask, strict=True)],
    "masked integers": lambda X, mask: np.ma.masked_array(X.astype(int), mask),
    "Masked": lambda X, mask: Masked(X, mask=mask),
    "list of Masked": lambda X, mask: [Masked(x, mask=m) for x, m in zip(X, mask, strict=True)],
    "list of MaskedColumns": lambda X, mask: [MaskedColumn(x, mask=m) for x, m in zip(X, mask, strict=True)],
    "Masked Quantity": lambda X, mask: Masked(u.Quantity(X), mask=mask),
    "list with one masked array": lambda X, mask: [np.ma.masked_array(X[0], mask[0]), *np.where(mask, np.nan, X)[1:]],
}


@pytest.mark.parametrize("hide", MASKED_ROWS.values(), ids=MASKED_ROWS.keys())
def test_masked_cells_of_arrays_are_not_observed(make, hide):
    X = np.random.default_rng(0).normal(0, 9, size=(6, 7)).round()
    mask = np.eye(6, 7) > 0
    hidden = np.where(mask, np.nan, X)
    estimator = make(modality=None).fit(hidden)
    expected = estimator.transform(hidden), estimator.reconstruct(hidden), estimator.score(hidden)
    given = hide(np.where(mask, 777, X), mask)
    for method, wanted in zip((estimator.transform, estimator.reconstruct, estimator.score), expected, strict=True):
        np.testing.assert_array_equal(method(given), wanted)
    np.testing.assert_array_equal(make(modality=None).fit(given).transform(hidden), expected[0])


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.ones((4, 5)) * u.Jy, r"X has unit 'Jy', which arrays cannot have; pass its \.value, or Tables"),
        (Masked(np.ones((4, 5)) * u.Jy), "X has unit 'Jy'"),
        (np.ma.masked_array(np.ones((4, 5)) * u.Jy), "X has unit 'Jy'"),
        ([np.ones(5), np.ones(5) * u.mJy, np.ones(5)], r"X\[1\] has unit 'mJy'"),
        (np.ones((4, 5)) * u.percent, "X has unit '%'"),
        (np.array([[10**400] * 3] * 4, object), r"X\[0\] holds a number too large for double precision at column 0"),
        (np.full((4, 5), "1.0"), r"X\[0\] holds text at column 0: .*'1\.0'.*Numbers are needed"),
        (np.full((4, 5), b"1.0"), r"X\[0\] holds text at column 0"),
        (np.array([[1.0, 2.0], [3.0, "4.0"]], object), r"X\[1\] holds text at column 1: '4\.0'"),
        ([[1.0, 2.0], [3.0, "4.0"]], r"X\[1\] holds text at column"),
        (pd.DataFrame({"a": [1.0, 2.0], "b": ["1", "2"]}), r"X\[0\] holds text at column 1"),
        (np.full(5, "1.0"), "X holds text at column 0"),
        ([np.ones(5), np.ones(5), np.ones(4)], r"X\[2\] has shape \(4,\), but X\[0\] has \(5,\).*Use Tables"),
        ([[1.0, 2.0], [1.0]], r"X\[1\] has shape \(1,\), but X\[0\] has \(2,\).*Use Tables"),
        (np.array([[1.0, 2.0], [3.0, 1e300], [5.0, 6.0]]), r"X\[1\] is 1e\+300 at column 1, more than a million"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_an_array_that_is_none_of_bare_numbers_is_refused(make, X, message):
    with pytest.raises(TableError, match=message):
        make(modality=None).fit(X)


def test_an_array_to_transform_is_held_to_the_same(make):
    X = np.random.default_rng(0).normal(size=(6, 5))
    estimator = make(modality=None).fit(X * u.dimensionless_unscaled)
    for method in (estimator.transform, estimator.score, estimator.reconstruct):
        with pytest.raises(TableError, match="X has unit 'mJy'"):
            method(X * u.mJy)
        with pytest.raises(TableError, match=r"X\[2\] is 1e\+25 at column 3"):
            method(np.where(np.arange(30).reshape(6, 5) == 13, 1e25, X))
    with pytest.raises(TableError, match="at has unit 'Jy'"):
        estimator.inverse_transform(np.zeros((6, 4)), at=X * u.Jy)


def test_a_row_of_an_array_without_a_number_is_refused_by_index(make):
    X = np.ones((4, 5))
    X[2] = np.nan
    with pytest.raises(TableError, match=r"X\[2\] has no finite 'value'"):
        make(modality=None).fit(X)


def test_metadata_of_arrays_are_refused(make):
    with pytest.raises(TableError, match="metadata needs Tables"):
        make(modality=Sequence(metadata=("z",))).fit(np.ones((4, 5)))


def test_arrays_in_arrays_out(make, supported_draws):
    X = np.random.default_rng(0).normal(5, 2, (12, 9))
    X[0, 3] = np.nan
    estimator = make(modality=None).fit(X)
    Z = estimator.transform(X)
    assert estimator.n_features_in_ == 9
    for rebuilt in (estimator.inverse_transform(Z), estimator.inverse_transform(Z, at=X), estimator.reconstruct(X)):
        assert rebuilt.shape == X.shape
        assert rebuilt.dtype == np.float32
        assert np.isfinite(rebuilt).all()
    assert estimator.reconstruct(X, n_draws=supported_draws).shape == ((12, 9, 2) if supported_draws else X.shape)
    garbage = X.copy()
    np.testing.assert_array_equal(estimator.transform(garbage), Z)
