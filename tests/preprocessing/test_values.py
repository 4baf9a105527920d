"""Closed forms of the scales of the value."""

import numpy as np
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, QTable, Table
from scipy.stats import zscore

from skdaep import TableError
from skdaep.preprocessing import Arcsinh, Log10, MedianFilter, ZScore


def curve(flux, error=0.1, band=None, **meta):
    columns = {
        "time": np.arange(float(len(flux))),
        "flux": np.array(flux, float),
        "flux_err": np.full(len(flux), error),
    }
    return Table(columns | ({} if band is None else {"band": list(band)}), meta=meta, units={"flux": "mJy"})


def test_of_equal_values_the_last_bits_are_no_spread():
    Z = ZScore(per_object=True).fit_transform([curve([0.1] * 3)])
    np.testing.assert_allclose(Z[0]["flux"], 0, atol=1e-15)
    assert Z[0].meta["zscore_scale"] == 1


def finite_difference(function, value, error):
    """Propagate an error without calculus."""
    h = 1e-6
    return np.abs(function(value + h) - function(value - h)) / (2 * h) * error


@pytest.mark.parametrize(
    ("step", "function"),
    [
        (Arcsinh(3.0), lambda v: np.arcsinh(v / 3)),
        (Log10(), np.log10),
        (ZScore(), lambda v: (v - 20.75) / np.std([1, 12, 50, 20])),
    ],
    ids=["Arcsinh", "Log10", "ZScore"],
)
def test_values_and_errors(step, function):
    value = np.array([1.0, 12.0, 50.0, 20.0])
    z = step.fit_transform([curve(value)])[0]
    np.testing.assert_allclose(z["flux"], function(value), rtol=1e-6)
    np.testing.assert_allclose(z["flux_err"], finite_difference(function, value, 0.1), rtol=1e-5)
    assert z["flux"].unit is None


def test_arcsinh_is_linear_below_the_scale_and_logarithmic_above_it():
    z = Arcsinh(1.0).fit_transform([curve([1e-4, -1e-4, 1e6])])[0]["flux"]
    np.testing.assert_allclose(z, [1e-4, -1e-4, np.log(2e6)], rtol=1e-7)


def test_arcsinh_takes_a_scale_with_unit():
    X = [curve([1.0, 2.0])]
    np.testing.assert_array_equal(
        Arcsinh(500 * u.uJy).fit_transform(X)[0]["flux"], Arcsinh(0.5).fit_transform(X)[0]["flux"]
    )
    with pytest.raises(TableError, match=r"Arcsinh\(scale=2.0 d\) cannot be converted .*'mJy'"):
        Arcsinh(2 * u.day).fit_transform(X)


@pytest.mark.parametrize("scale", [0, -1.0, np.nan, -1 * u.mJy, [1.0]])
def test_arcsinh_refuses(scale):
    with pytest.raises(ValueError, match="a positive number is needed"):
        Arcsinh(scale).fit([curve([1.0])])


def test_log10_of_nothing_is_not_observed():
    x = curve([-1.0, 0.0, 100.0])
    assert Log10().fit_transform([x])[0]["flux"].tolist()[2] == 2
    assert np.isnan(Log10().fit_transform([x])[0]["flux"][:2]).all()
    x["flux"] = MaskedColumn(x["flux"], mask=[False] * 3)
    z = Log10().fit_transform([x])[0]
    assert z["flux"].mask.tolist() == [True, True, False]
    assert np.isnan(z["flux_err"]).tolist() == [True, True, False]
    assert Log10().fit([x]).inverse_transform([z])[0]["flux"].mask.tolist() == [True, True, False]
    with pytest.raises(TableError, match=r"X\[1\] has no point left after Log10; it has no positive value: remove"):
        Log10().fit_transform([x, curve([-1.0, -2.0])])


def test_zscore_is_that_of_all_training_points():
    X = [curve([1.0, 2.0, np.nan, 3.0]), curve([10.0, 20.0])]
    step = ZScore().fit(X)
    Z = step.transform(X)
    np.testing.assert_allclose(np.r_[Z[0]["flux"], Z[1]["flux"]], zscore([1, 2, np.nan, 3, 10, 20], nan_policy="omit"))
    np.testing.assert_allclose(step.transform([curve([7.2])])[0]["flux"], [0], atol=1e-12)


def test_zscore_per_band():
    X = [curve([1.0, 100.0, 3.0], band="grg"), curve([5.0, 300.0], band="gr")]
    step = ZScore(per_band=True).fit(X)
    assert step.statistics_ == {"g": (3.0, np.std([1, 3, 5])), "r": (200.0, 100.0)}
    np.testing.assert_allclose(step.transform(X)[1]["flux"], [2 / np.std([1, 3, 5]), 1.0])
    with pytest.raises(TableError, match=r"Fit saw no value in band 'i', but X\[1\] has such points"):
        step.transform([X[0], curve([1.0], band="i")])
    with pytest.raises(TableError, match=r"X\[0\] has no column 'band'"):
        step.transform([curve([1.0])])
    with pytest.raises(TableError, match=r"X\[0\] has no column for the band .*ZScore\(band=...\)"):
        ZScore(per_band=True).fit([curve([1.0])])


def test_zscore_per_object():
    X = [curve([1.0, 3.0], band="gr"), curve([5.0, 5.0], band="gr", redshift=0.1)]
    Z = ZScore(per_object=True, key="scaled").fit_transform(X)
    assert [z["flux"].tolist() for z in Z] == [[-1, 1], [0, 0]]
    assert Z[1].meta == {"redshift": 0.1, "scaled_mean": 5.0, "scaled_scale": 1.0}
    Z = ZScore(per_object=True, per_band=True).fit_transform(X)
    assert Z[0].meta == {"zscore_mean_g": 1, "zscore_scale_g": 1, "zscore_mean_r": 3, "zscore_scale_r": 1}
    with pytest.raises(TableError, match=r"X\[1\] saw no value in band 'r'"):
        ZScore(per_object=True, per_band=True).fit_transform([X[0], curve([1.0, np.nan], band="gr")])
    with pytest.raises(TableError, match=r"X\[0\] has no|X\[0\] saw no value"):
        ZScore(per_object=True).fit_transform([curve([np.nan])])


def test_a_unit_that_astropy_does_not_know_stays():
    table = QTable({"time": [0.0, 1.0, 2.0], "flux": [1.0, 2.0, 4.0]})
    table["flux"].info.unit = u.Unit("counts_adu", parse_strict="silent")
    out = MedianFilter(3).fit_transform([table])[0]
    assert str(out["flux"].unit) == "counts_adu"
