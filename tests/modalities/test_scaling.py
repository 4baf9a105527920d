"""What sets the scale of values and locations, and what is said of numbers far from all others."""

import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table

from skdaep import OutOfRangeWarning, Sequence, TableError
from skdaep.modalities._learned import Scaling

N = 30


def curves(seed=0, n_objects=8):
    rng = np.random.default_rng(seed)
    return [Table({"time": np.arange(N) + rng.uniform(), "flux": rng.normal(5, 2, N)}) for _ in range(n_objects)]


def spoiled(number, n_objects, n_cells=1, column="flux"):
    X = curves()
    for table in X[:n_objects]:
        table[column][:n_cells] = number
    return X


def test_a_sentinel_in_a_whole_object_is_refused_in_fit_though_the_scale_is_finite():
    X = spoiled(1e30, 1, N)
    X[0]["flux"][1] = 2e30
    with pytest.raises(TableError, match=r"X\[0\] column 'flux' is 2e\+30 at row 1"):
        Sequence().learn(X)


# --- wild numbers do not set the scale --------------------------------------------------------------

CLEAN = {
    "normal": lambda rng: rng.normal(18, 1, 3000),
    "uniform": lambda rng: rng.uniform(14, 22, 3000),
    "lognormal over decades": lambda rng: rng.lognormal(0, 1.5, 30_000),
    "heavy tails": lambda rng: rng.standard_t(3, 3000),
    "two levels": lambda rng: np.repeat([0.0, 1000.0], 50),
    "mostly zero": lambda rng: np.where(rng.random(3000) < 0.9, 0.0, rng.exponential(5, 3000)),
    "integers": lambda rng: rng.poisson(2.0, 3000).astype(float),
    "few counts": lambda rng: rng.poisson(0.1, 3000).astype(float),
    "constant": lambda rng: np.full(50, 3.0),
    "transits": lambda rng: np.where(np.arange(3000) % 100 < 3, 0.99, 1.0) + 1e-4 * rng.normal(size=3000),
    "noiseless peaks": lambda rng: np.exp(
        -(((np.arange(0, 300, 3.0) - rng.uniform(0, 300, (40, 1))) / 9) ** 2)
    ).ravel(),
}


@pytest.mark.parametrize("draw", CLEAN.values(), ids=CLEAN.keys())
@pytest.mark.parametrize("seed", range(3))
def test_of_what_is_merely_spread_mean_and_deviation_are_the_scale_to_the_last_bit(draw, seed):
    x = draw(np.random.default_rng(seed))
    scaling = Scaling.of(x)
    assert scaling.origin == np.mean(x)
    assert scaling.scale == (np.std(x) or 1.0)


@pytest.mark.parametrize("number", [1e4, -1e6, 1e5])
def test_a_few_wild_points_do_not_set_the_scale(number):
    clean, wild = (Sequence().learn(X).learned.value for X in (curves(), spoiled(number, 1)))
    assert wild.origin == pytest.approx(clean.origin, abs=0.02 * clean.scale)
    assert wild.scale == pytest.approx(clean.scale, rel=0.02)


@pytest.mark.parametrize("seed", range(20))
def test_the_scale_does_not_depend_on_how_wild_a_wild_point_is(seed):
    rng = np.random.default_rng(seed)
    shift, stretch = rng.normal(0, 1e6), 10 ** rng.uniform(-3, 6)
    x = rng.normal(size=200)
    one, other = (Scaling.of(shift + stretch * np.append(x, wild)) for wild in (1e3, -(10 ** rng.uniform(3, 200))))
    assert one.scale == pytest.approx(other.scale)
    assert one.origin == pytest.approx(other.origin)


# --- sentinels --------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_objects", [1, 2, 8])
@pytest.mark.parametrize("sentinel", [1e30, -1.6375e30, 9.96921e36, 1e300, -1e20])
def test_beyond_a_million_deviations_it_is_refused_in_however_many_objects(sentinel, n_objects):
    with pytest.raises(TableError, match=r"X\[0\] column 'flux' is .*at row 0, more than a million"):
        Sequence().learn(spoiled(sentinel, n_objects))


@pytest.mark.parametrize(("n_objects", "n_cells"), [(1, 2), (2, 1), (8, 1), (8, 9)])
@pytest.mark.parametrize("sentinel", [-999.0, -99.0, 99.99, 9999.0, -1e5])
def test_one_that_recurs_is_named_with_how_often_and_does_not_set_the_scale(sentinel, n_objects, n_cells):
    message = (
        rf"^Column 'flux' is {sentinel:g} \({n_objects * n_cells} times\), first in X\[0\]; all other values lie from"
    )
    with pytest.warns(OutOfRangeWarning, match=message) as caught:
        learned = Sequence().learn(spoiled(sentinel, n_objects, n_cells)).learned
    assert len(caught) == 1
    clean = Sequence().learn([t[n_cells:] for t in curves()]).learned
    assert learned.value.scale == pytest.approx(clean.value.scale, rel=0.05)
    assert learned.ranges["value"][1] < 20


def test_one_among_a_few_distinct_numbers_is_named_too():
    X = [Table({"time": np.arange(9.0), "counts": [1.0, 2, 3, 2, 3, 1, 2, 3, -999]}) for _ in range(3)]
    with pytest.warns(OutOfRangeWarning, match=r"Column 'counts' is -999 \(3 times\)"):
        assert Sequence("counts").learn(X).learned.value.scale < 1


def test_several_are_named_at_once():
    X = spoiled(-999.0, 2)
    for table in X:
        table["flux"][-1] = 99.0
    with pytest.warns(OutOfRangeWarning, match=r"is -999 \(2 times\), 99 \(8 times\), first in X\[0\]"):
        Sequence().learn(X)


def test_those_of_locations_and_metadata_are_named_too():
    with pytest.warns(OutOfRangeWarning, match=r"Column 'time' is -9999 \(3 times\)"):
        Sequence().learn(spoiled(-9999.0, 3, column="time"))
    X = curves(n_objects=20)
    for i, table in enumerate(X):
        table.meta["z"] = -99.0 if i < 3 else 0.01 * i
    with pytest.warns(OutOfRangeWarning, match=r"Metadata 'z' is -99 \(3 times\)"):
        Sequence(metadata=("z",)).learn(X)


def test_a_place_that_all_objects_have_is_none():
    """As a point at 850 um beside the optical ones of a spectral energy distribution."""
    wavelength = [0.36, 0.44, 0.55, 0.64, 0.79, 850.0]
    Sequence().learn([Table({"wavelength": wavelength, "flux": np.arange(6.0) + i}) for i in range(9)])


# --- out of range -----------------------------------------------------------------------------------


def fitted(**columns):
    rng = np.random.default_rng(3)
    columns = {"wavelength": np.linspace(4000, 8000, N), "flux": rng.uniform(14, 22, N)} | columns
    return Sequence().learn([Table(columns) for _ in range(4)]), Table(columns)


OUT = {
    "nm for Angstrom": ("wavelength", lambda t: t["wavelength"] / 10, "runs from 400 to 800, in fit from 4000 to 8000"),
    "JD for MJD": ("wavelength", lambda t: t["wavelength"] + 2400000.5, "in fit from 4000 to 8000"),
    "flux for magnitudes": ("flux", lambda t: 10 ** (-0.4 * (t["flux"] - 25)) + 50, "column 'flux' runs from"),
    "with a point not observed": (
        "flux",
        lambda t: np.where(np.arange(N) == 3, np.nan, t["flux"] + 100),
        "'flux' runs",
    ),
}


@pytest.mark.parametrize(("name", "change", "message"), OUT.values(), ids=OUT.keys())
def test_objects_out_of_range_are_named_in_one_warning(name, change, message):
    modality, table = fitted()
    odd = table.copy()
    odd[name] = change(table)
    X = [table, odd, table, odd, odd]
    with pytest.warns(OutOfRangeWarning, match=rf"^X\[1\] column '{name}' .*") as caught:
        modality.read_all(X, [f"X[{i}]" for i in range(5)])
    assert len(caught) == 1
    assert message in str(caught[0].message)
    assert "2 more of 5 objects" in str(caught[0].message)


def test_what_is_decoded_at_is_looked_at_too():
    modality, table = fitted()
    with pytest.warns(OutOfRangeWarning, match=r"at\[0\] column 'wavelength'"):
        modality.read(Table({"wavelength": table["wavelength"] / 10}), "at[0]", values=False)


EXTRAPOLATED = {
    "the next days": ("wavelength", lambda t: t["wavelength"] + 4900),
    "partly outside": ("wavelength", lambda t: t["wavelength"] + 3999),
    "fainter": ("flux", lambda t: np.full(N, 23.0)),
    "one point inside": ("flux", lambda t: np.where(np.arange(N) == 3, 20, 1000)),
    "another unit that is given": ("wavelength", lambda t: t["wavelength"].quantity.to(u.nm)),
}


@pytest.mark.parametrize(("name", "change"), EXTRAPOLATED.values(), ids=EXTRAPOLATED.keys())
def test_of_ordinary_extrapolation_nothing_is_said(name, change):
    modality, table = fitted(wavelength=np.linspace(4000, 8000, N) * u.AA)
    odd = table.copy()
    odd[name] = change(table)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        modality.read(odd, "X[0]")


def test_a_fit_to_one_number_has_no_range():
    modality, table = fitted(flux=np.full(N, 3.0))
    table["flux"] = 5.0
    modality.read(table, "X[0]")
