"""How many objects, how noisy, how thinned, and which belong together."""

import numpy as np
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, QTable, Table
from sklearn.model_selection import GroupKFold

from skdaep import DAEPEncoder, TableError
from skdaep.preprocessing import augment


def curve(i=0, n=500, kind=Table):
    columns = {
        "time": np.arange(float(n)) * u.day,
        "flux": np.full(n, 10.0 + i) * u.Jy,
        "flux_err": np.full(n, 2.0) * u.Jy,
    }
    return kind(columns, meta={"i": i})


def test_originals_first_then_copies():
    X = [curve(i, 20) for i in range(3)]
    Z, y, groups = augment(X, ["a", "b", "c"], n_copies=4, random_state=0)
    assert len(Z) == 12
    assert y.tolist() == ["a", "b", "c"] * 4
    assert groups.tolist() == [0, 1, 2] * 4
    assert [z.meta["i"] for z in Z] == groups.tolist()
    for z, x in zip(Z, X, strict=False):
        assert z is not x
        assert all((z[name] == x[name]).all() and z[name].unit == x[name].unit for name in x.colnames)


def test_noise_is_that_of_the_measurement():
    x = curve()
    Z, y, _ = augment([x], n_copies=3, drop=0.0, random_state=0)
    assert y is None
    for z in Z[1:]:
        assert len(z) == 500
        assert abs(np.std(z["flux"] - x["flux"]) - 2) < 0.2
        np.testing.assert_allclose(z["flux_err"], 2 * np.sqrt(2))
    assert not np.array_equal(Z[1]["flux"], Z[2]["flux"])
    quiet, _, _ = augment([x], n_copies=2, noise=False, drop=0.0)
    assert (quiet[1]["flux"] == x["flux"]).all()


def slanted(n=101):
    location = np.linspace(4000.0, 8000.0, n)
    return Table({"wavelength": location, "flux": np.sin(location / 300), "flux_err": np.full(n, 0.1)})


def copies(n_copies=400, **options):
    """Return distorted copies of one spectrum, and the spectrum."""
    x = slanted()
    return augment([x], n_copies=n_copies + 1, noise=False, drop=0.0, random_state=0, **options)[0][1:], x


def test_a_stretch_is_one_factor_on_the_locations_of_a_copy():
    Z, x = copies(stretch=0.01)
    factors = np.array([z["wavelength"] / x["wavelength"] for z in Z])
    assert np.ptp(factors, axis=1).max() < 1e-12
    assert abs(factors[:, 0].std() - 0.01) < 0.0015
    assert all((z["flux"] == x["flux"]).all() for z in Z)


def test_contrast_is_one_factor_on_values_and_errors_about_the_median():
    Z, x = copies(contrast=0.2)
    middle = np.median(x["flux"])
    away = np.abs(x["flux"] - middle) > 0.1
    factors = np.array([(z["flux"] - middle)[away] / (x["flux"] - middle)[away] for z in Z])
    assert np.ptp(factors, axis=1).max() < 1e-9
    assert abs(np.log(factors[:, 0]).std() - 0.2) < 0.03
    np.testing.assert_allclose([z["flux_err"][0] for z in Z], 0.1 * factors[:, 0])


def test_a_tilt_is_a_parabola_over_the_range_of_all_objects():
    Z, x = copies(tilt=0.5)
    added = np.array([z["flux"] - x["flux"] for z in Z])
    u = np.linspace(-1, 1, len(x))
    coefficients = np.polynomial.legendre.legfit(u, added.T, 2)
    np.testing.assert_allclose(np.polynomial.legendre.legval(u, coefficients), added, atol=1e-9)
    np.testing.assert_allclose(coefficients[0], 0, atol=1e-9)
    assert abs(coefficients[1].std() - 0.5) < 0.07
    assert abs(coefficients[2].std() - 0.125) < 0.02
    # What is unobserved stays so, and a range of one place is no obstacle.
    x["flux"][3] = np.nan
    one, other = augment([x, x[:1]], n_copies=2, noise=False, drop=0.0, tilt=0.5, contrast=0.5)[0][2:]
    assert np.isnan(one["flux"]).tolist() == (np.arange(101) == 3).tolist()
    assert np.isfinite(other["flux"]).all()
    assert np.isfinite(augment([x[:1]], n_copies=2, noise=False, tilt=0.5)[0][1]["flux"]).all()


def test_originals_are_never_distorted():
    x = slanted()
    (first, second), _, _ = augment([x], n_copies=2, noise=False, stretch=0.1, contrast=0.1, tilt=0.1, drop=0.1)
    assert all((first[name] == x[name]).all() for name in x.colnames)
    assert not np.array_equal(first["wavelength"][:50], second["wavelength"][:50])


def test_points_are_dropped_but_never_the_last():
    Z, _, _ = augment([curve()], n_copies=2, drop=0.3, random_state=0)
    assert 310 < len(Z[1]) < 390
    lonely = curve(n=3)
    lonely["flux"] = MaskedColumn(lonely["flux"], mask=[True, False, True])
    for z in augment([lonely], n_copies=30, drop=0.9, random_state=0)[0]:
        assert np.sum(~z["flux"].mask) == 1


def test_inputs_are_not_changed_and_kinds_kept():
    x = curve(n=30, kind=QTable)
    Z, _, _ = augment([x], random_state=0)
    assert [type(z) for z in Z] == [QTable] * 5
    assert Z[1]["flux"].unit == u.Jy
    Z[0]["flux"][:] = 0 * u.Jy
    Z[0].meta["i"] = 7
    assert (x["flux"] == 10 * u.Jy).all()
    assert x.meta == {"i": 0}


def test_seeds():
    X = [curve(i, 20) for i in range(2)]
    one, two, three = (augment(X, random_state=seed)[0] for seed in (0, 0, 1))
    assert all(len(a) == len(b) and (a["flux"] == b["flux"]).all() for a, b in zip(one, two, strict=True))
    assert any(len(a) != len(b) or (a["flux"] != b["flux"]).any() for a, b in zip(one, three, strict=True))


def test_groups_keep_copies_together():
    X = [curve(i, 10) for i in range(6)]
    Z, y, groups = augment(X, np.arange(6), groups=[5, 5, 6, 6, 7, 7], n_copies=3)
    assert groups.tolist() == [5, 5, 6, 6, 7, 7] * 3
    for train, test in GroupKFold(3).split(Z, y, groups):
        assert not set(y[train]) & set(y[test])
    tiny = {"model_dim": 8, "n_heads": 2, "n_encoder_layers": 1, "n_decoder_layers": 1, "max_iter": 2, "device": "cpu"}
    encoder = DAEPEncoder(**tiny, validation_fraction=0.3).fit(Z, groups=groups)
    assert encoder.transform(X).shape[0] == 6


def test_refused():
    plain_number = Table({"time": [1.0], "flux": [1.0]})
    with pytest.raises(TableError, match=r"X\[0\] has no column for the error .*augment\(error=...\).*noise=False"):
        augment([plain_number])
    assert len(augment([plain_number], noise=False)[0]) == 5
    with pytest.raises(ValueError, match="n_copies"):
        augment([curve()], n_copies=0)
    with pytest.raises(ValueError, match="drop"):
        augment([curve()], drop=1.0)
    for name in ("stretch", "contrast", "tilt"):
        with pytest.raises(ValueError, match=name):
            augment([curve()], **{name: -0.1})
    with pytest.raises(TableError, match="X is an array of numbers; augment needs"):
        augment(np.ones((3, 4)))
