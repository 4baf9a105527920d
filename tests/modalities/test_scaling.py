"""What sets the scale of values and locations, and what is out of range."""

import pytest

from skdaep import TableError

ESTIMATORS = ("DAEPEncoder",)  # reading is the same in all


def test_a_sentinel_in_a_whole_object_is_refused_in_fit_though_the_scale_is_finite(make, X):
    X[3]["mag"][:] = 1e30
    X[3]["mag"][1] = 2e30
    with pytest.raises(TableError, match=r"X\[3\] column 'mag' is 2e\+30 at row 1"):
        make().fit(X)
