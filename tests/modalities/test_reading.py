"""Many objects read at once: the same as one by one, to the last bit and the last word."""

from dataclasses import asdict

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Column, MaskedColumn, QTable, Table
from astropy.time import Time
from astropy.timeseries import TimeSeries
from astropy.utils.masked import Masked

from skdaep import Photometry, Sequence, TableError
from skdaep.modalities._reading import canonical_order

N = 7  # points of an object


def light_curve(i):
    rng = np.random.default_rng([11, i])
    meta = {"redshift": 0.1 * i, "survey": "ZTF" if i % 2 else "LSST"}
    table = Table({"time": rng.integers(0, 4, N) * u.day, "mag": rng.integers(0, 2, N) * u.mJy}, meta=meta)
    table["band"] = rng.choice(["g", "r"], N)
    table["mag_err"] = rng.uniform(0.1, 0.2, N) * u.mJy
    return table


def with_column(name, make):
    """Return light curve 3 with a column made anew from the old one."""
    table = light_curve(3)
    table[name] = make(table[name])
    return table


HIDDEN = np.arange(N) == 2
ODD = [
    light_curve(0)[:2],
    QTable(light_curve(1)),
    TimeSeries(light_curve(2)["mag", "band", "mag_err"], time=Time(np.arange(N) % 3, format="mjd")),
    light_curve(4)["time", "mag", "band"],
    with_column("mag", lambda c: MaskedColumn(c.quantity.to(u.Jy), mask=HIDDEN)),
    with_column("mag", lambda c: np.round(c.data).astype(">i2")),
    with_column("mag", lambda c: c.data.astype("f4") * u.uJy),
    with_column("time", lambda c: Masked(c.quantity.to(u.hour), mask=HIDDEN)),
    with_column("time", lambda c: np.where(HIDDEN, np.nan, c)),
    with_column("band", lambda c: np.char.encode(c)),
    with_column("band", lambda c: MaskedColumn([f"{b} " for b in c], mask=HIDDEN)),
    with_column("band", lambda c: np.array([None, *c[1:]], object)),
    with_column("band", lambda c: np.array([b.encode() for b in c], object)),
]


def learned(**declaration):
    return Photometry(error="mag_err", **declaration).learn([light_curve(i) for i in range(5)])


@pytest.mark.parametrize("values", [True, False], ids=["values", "queries"])
@pytest.mark.parametrize("order", [1, -1])
def test_objects_of_all_kinds_read_at_once_are_those_read_alone(values, order):
    modality = learned(metadata=("redshift", "survey"))
    object_names = [f"X[{i}]" for i in range(len(ODD))]
    together = modality.read_all(ODD[::order], object_names, values=values)
    assert len(together) == len(ODD)
    for table, record in zip(ODD[::order], together, strict=True):
        alone = modality.read(table, "X[0]", values=values)
        for name, field in asdict(alone).items():
            np.testing.assert_array_equal(getattr(record, name), field, err_msg=name)
            assert np.asarray(getattr(record, name)).dtype == np.asarray(field).dtype


def test_labels_that_are_not_ascii_are_read_from_bytes():
    tables = [light_curve(i) for i in range(4)]
    for table in tables:
        table["band"] = np.where(table["band"] == "g", "β", "r")
    modality = Photometry().learn(tables)
    assert modality.learned.bands == ("r", "β")
    encoded = tables[0].copy()
    encoded["band"] = np.char.encode(np.asarray(encoded["band"]), "utf-8")
    plain, read = (modality.read(t, "X[0]").band for t in (tables[0], encoded))
    np.testing.assert_array_equal(read, plain)


FAULTS = {
    "no column": (lambda t: t.remove_column("time"), "has no column 'time'"),
    "kind": (lambda t: t.replace_column("mag", Column(["1"] * N)), "'mag' holds text"),
    "infinite": (lambda t: t["mag"].__setitem__(4, np.inf), "column 'mag' is infinite at row 4"),
    "negative": (lambda t: t["mag_err"].__setitem__(4, -99), "column 'mag_err' is -99 at row 4, but an error"),
    "unit": (lambda t: setattr(t["time"], "unit", u.kg), "column 'time' has unit 'kg'"),
    "nothing": (lambda t: t["mag"].__setitem__(slice(None), np.nan), "has no finite 'mag'"),
    "band": (lambda t: t["band"].__setitem__(1, "z"), "has band 'z'"),
    "number": (lambda t: t.meta.update(redshift="high"), "'redshift' is 'high'"),
    "label": (lambda t: t.meta.update(survey="DES"), "'survey' is 'DES'"),
}


@pytest.mark.parametrize("second", FAULTS)
@pytest.mark.parametrize("first", FAULTS)
def test_of_two_bad_objects_the_first_is_named_whatever_ails_them(first, second):
    tables = [light_curve(i) for i in range(6)]
    for i, name in ((2, first), (4, second)):
        tables[i]["mag"] = tables[i]["mag"].astype(float)
        FAULTS[name][0](tables[i])
    object_names = [f"X[{i}]" for i in range(6)]
    with pytest.raises(TableError, match=rf"X\[2\].*{FAULTS[first][1]}") as caught:
        learned(metadata=("redshift", "survey")).read_all(tables, object_names)
    assert not isinstance(caught.value.__context__, TableError), "one error, not one after another"


def test_in_fit_too_the_first_bad_object_is_named():
    tables = [light_curve(i) for i in range(6)]
    tables[2]["mag"] = tables[2]["mag"].astype(float)
    tables[2]["mag"][3] = np.inf
    tables[4].remove_column("time")
    with pytest.raises(TableError, match=r"X\[2\] column 'mag' is infinite at row 3"):
        Photometry().learn(tables)


@pytest.mark.parametrize("n", [0, 1, 2, 50, 1000])
@pytest.mark.parametrize("n_values", [2, 10**6], ids=["ties", "no ties"])
def test_canonical_order_is_that_of_lexsort(n, n_values):
    rng = np.random.default_rng(n)
    owner = np.sort(rng.integers(0, 20, n))
    keys = [rng.integers(-n_values, n_values, n) / 7 for _ in range(3)]
    keys[2][rng.random(n) < 0.1] = np.inf
    np.testing.assert_array_equal(canonical_order(owner, *keys), np.lexsort((*keys[::-1], owner)))


def test_no_objects_are_no_records():
    assert learned().read_all([], []) == []


def test_an_object_of_which_nothing_can_be_decoded_is_an_empty_record():
    record = learned(unknown="ignore").read(with_column("band", lambda c: ["z"] * N), "at[0]", values=False)
    assert record.n_rows == N
    assert all(len(getattr(record, k)) == 0 for k in ("value", "location", "band", "rows", "observed"))


def test_rows_of_arrays_read_at_once_are_those_read_alone():
    X = list(np.random.default_rng(0).normal(size=(5, 9)))
    X[1][4] = np.nan
    modality = Sequence().learn(X)
    for row, record in zip(X, modality.read_all(X, ["X[i]"] * 5), strict=True):
        for name, field in asdict(modality.read(row, "X[0]")).items():
            np.testing.assert_array_equal(getattr(record, name), field)
    with pytest.raises(TableError, match=r"X\[3\] is a Table"):
        modality.read_all([*X[:3], light_curve(0)], [f"X[{i}]" for i in range(4)])
