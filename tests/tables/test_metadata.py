"""Metadata of tables: numbers, labels and what is neither."""

import numpy as np
import pytest
from astropy import units as u

from skdaep import Photometry, TableError

ESTIMATORS = ("DAEPEncoder",)  # reading is the same in all


def test_metadata_label_not_seen_in_fit_is_refused_by_name(fitted, X):
    X[2].meta["survey"] = "DES"
    with pytest.raises(TableError, match=r"X\[2\] metadata 'survey' is 'DES', not seen in fit \(ZTF, LSST\)"):
        fitted.transform(X)


def test_text_for_a_number_in_metadata_is_refused_by_name(fitted, X):
    X[2].meta["redshift"] = "about 0.1"
    with pytest.raises(TableError, match=r"X\[2\] metadata 'redshift' is 'about 0.1'"):
        fitted.transform(X)


def test_metadata_that_no_object_has_are_refused(make, X):
    with pytest.raises(TableError, match=r"'host_mass'.*redshift"):
        make(modality=Photometry(metadata=("host_mass",))).fit(X)


def test_extreme_metadata_are_refused_by_name(make, fitted, X):
    X[2].meta["redshift"] = 1e25
    for method in (make().fit, fitted.transform):
        with pytest.raises(TableError, match=r"X\[2\] metadata 'redshift' is 1e\+25, more than a million"):
            method(X)


def test_metadata_of_all_kinds_of_number_and_text(assert_same_code, fitted, X):
    expected = fitted.transform(X[1:2])
    z = X[1].meta["redshift"]
    for number in (np.float64(z), np.array(z), u.Quantity(z), np.ma.array(z)):
        X[1].meta["redshift"] = number
        assert_same_code(fitted, X[1:2], expected)
    for text in (b"ZTF", np.str_("ZTF"), np.array("ZTF")):
        X[1].meta["survey"] = text
        assert_same_code(fitted, X[1:2], expected)
    for absent in (None, np.nan, np.ma.masked):
        X[1].meta["redshift"] = absent
        assert np.abs(fitted.transform(X[1:2]) - expected).max() > 1e-3


def test_units_of_metadata_are_converted(assert_same_code, make, X):
    for i, table in enumerate(X):
        table.meta["d"] = (3 + i) * u.Mpc
    modality = Photometry(metadata=("d",))
    estimator = make(modality=modality, max_iter=20).fit(X)
    expected = estimator.transform(X)
    assert estimator.inverse_transform(expected[:1])[0].meta["d"].unit == u.Mpc
    for table in X:
        table.meta["d"] = table.meta["d"].to(u.kpc)
    assert_same_code(estimator, X, expected)
    mixed = [t.copy() for t in X]
    mixed[0].meta["d"] = mixed[0].meta["d"].to(u.Mpc)
    assert_same_code(make(modality=modality, max_iter=20).fit(mixed), X, expected)
    X[2].meta["d"] = 5.0  # without a unit it is in that of fit
    assert_same_code(estimator, X, expected)
    X[2].meta["d"] = 5 * u.Jy
    with pytest.raises(TableError, match=r"X\[2\] metadata 'd' has unit 'Jy'.* converted to 'Mpc' of fit"):
        estimator.transform(X)
    with pytest.raises(TableError, match=r"X\[2\] metadata 'd' .* to 'kpc' of X\[0\]"):
        make(modality=modality).fit(X)
    X[0].meta["d"] = 3.0
    with pytest.raises(TableError, match=r"X\[1\] metadata 'd' has unit 'kpc', but X\[0\] had none"):
        make(modality=modality).fit(X)
