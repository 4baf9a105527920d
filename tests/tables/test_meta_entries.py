"""Metadata: numbers in text are numbers, what is absent is absent, and anything else is refused by object."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.table import Table
from astropy.time import Time, TimeDelta

from skdaep import Photometry, TableError, tables
from skdaep.plotting import ReconstructionDisplay

ESTIMATORS = ("DAEPEncoder",)  # reading is the same in all


def value_of(entry, key="z"):
    return tables.metadata(Table(meta={key: entry}), "Z", "X[0]")


NUMBERS = {
    "float": (0.1, 0.1),
    "integer": (3, 3.0),
    "boolean": (True, 1.0),
    "numpy": (np.float32(0.5), 0.5),
    "array of no dimension": (np.array(0.5), 0.5),
    "Decimal": (Decimal("0.1"), 0.1),
    "text": ("0.1", 0.1),
    "padded text": (" -3.5e-2 ", -0.035),
    "bytes": (b"12", 12.0),
    "numpy text": (np.str_(".5"), 0.5),
    "Quantity": (3 * u.Mpc, 3.0),
    "masked array, not masked": (np.ma.array(0.5, mask=False), 0.5),
    "Time": (Time("2020-01-01T12:00:00", scale="tdb"), 58849.5),
    "TimeDelta": (TimeDelta(36 * u.hour), 1.5),
    "datetime": (datetime.datetime(2020, 1, 1, 12), 58849.5),
    "datetime of another zone": (
        datetime.datetime(2020, 1, 1, 12, tzinfo=datetime.timezone(datetime.timedelta(hours=6))),
        58849.25,
    ),
    "date": (datetime.date(2020, 1, 1), 58849.0),
    "Timestamp": (pd.Timestamp("2020-01-01T12:00"), 58849.5),
    "datetime64": (np.datetime64("2020-01-01T12:00"), 58849.5),
    "timedelta64": (np.timedelta64(36, "h"), 1.5),
}


@pytest.mark.parametrize(("entry", "number"), NUMBERS.values(), ids=NUMBERS)
def test_what_is_a_number(entry, number):
    assert value_of(entry) == pytest.approx(number, rel=1e-7)
    assert type(value_of(entry)) is float


@pytest.mark.parametrize(
    "entry",
    [
        *(None, np.nan, np.ma.masked, pd.NA, pd.NaT, Decimal("NaN"), np.datetime64("NaT"), np.ma.array(0.5, mask=True)),
        *("", "  ", "N/A", "n/a", "NA", "nan", "NaN", "--", "null", "None", b"N/A"),
    ],
    ids=repr,
)
def test_what_is_absent(entry):
    assert value_of(entry) is None


@pytest.mark.parametrize("label", ["Ia", "II ", b"SDSS", np.str_("Na"), "91bg", "1e400", "1_000", "2MASS", "inf"])
def test_what_is_a_label(label):
    assert value_of(label) == str(np.asarray(label).astype(str)).strip()
    assert type(value_of(label)) is str


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ((0.1, "a comment"), "is a tuple; one number or one text"),
        ([0.1], "is a list"),
        ({"value": 0.1}, "is a dict"),
        (np.zeros(3), r"is a ndarray of shape \(3,\)"),
        ([1, 2] * u.Mpc, r"is a Quantity of shape \(2,\)"),
        (Time([1.0, 2.0], format="mjd"), r"is a Time of shape \(2,\)"),
        (1 + 2j, "is a complex"),
        (object(), "is a object"),
        (10**400, "too large for double precision"),
        (10**5000, "too large for double precision"),
        (b"\xff\xfe", "bytes that are not UTF-8"),
        (np.inf, "is infinite"),
    ],
    ids=lambda x: x if isinstance(x, str) else type(x).__name__,
)
def test_what_is_neither_is_refused(entry, message):
    with pytest.raises(
        TableError, match=rf"X\[0\] metadata 'Z' {message}|X\[0\] metadata 'Z' holds {message}|{message}"
    ):
        value_of(entry)


def with_key(X, values):
    for table, value in zip(X, values, strict=False):
        table.meta["key"] = value
    return X


def declared(make, **changes):
    return make(modality=Photometry(metadata=("key",)), **changes)


def learned(make, X):
    return declared(make).fit(X).modalities_["sequence"].learned


def test_numbers_in_text_are_numbers_in_fit_too(make, X):
    texts, numbers = (
        learned(make, with_key(X, values)) for values in (["0.1", "0.2", "N/A"] * 4, [0.1, 0.2, np.nan] * 4)
    )
    assert texts.numbers == numbers.numbers
    assert not texts.labels


def test_a_time_in_meta_is_its_mjd(make, X):
    found = learned(make, with_key(X, [Time(59_000 + i, format="mjd") for i in range(12)]))
    assert found.typical["key"] == 59_005.5
    assert found.number_units["key"] == "d"


@pytest.mark.parametrize("text", ["about 0.1", "0.1 +- 0.2", "> 3"])
def test_a_mixture_is_refused_by_object_whichever_is_first(make, X, text):
    with_key(X, [0.1] * 12)[3].meta["key"] = text
    for order, name in ((X, 3), (X[::-1], 8)):
        with pytest.raises(
            TableError, match=rf"X\[{name}\] metadata 'key' is '{text[:3]}.*mixture of numbers and text"
        ):
            declared(make).fit(order)


def test_labels_that_nearly_every_object_has_for_itself_are_refused_in_few_words(make, X):
    with_key(X * 25, [f"SN{i}" for i in range(12)])
    objects = [Table(x, meta={"key": f"SN2020{i:03d}"}) for i, x in enumerate(X * 25)]
    with pytest.raises(
        TableError, match=r"'key' has a different label.*300 labels for 300 objects.*300 in all"
    ) as caught:
        declared(make).fit(objects)
    assert len(str(caught.value)) < 500
    for i, table in enumerate(objects):
        table.meta["key"] = f"type {i % 20}"
    assert len(learned(make, objects).labels["key"]) == 20


def test_an_unseen_label_lists_at_most_eight(make, X):
    objects = [Table(x, meta={"key": f"type {i % 20}"}) for i, x in enumerate(X * 10)]
    estimator = declared(make).fit(objects)
    objects[2].meta["key"] = "another"
    with pytest.raises(
        TableError, match=r"X\[2\] metadata 'key' is 'another', not seen in fit \(type.*20 in all"
    ) as caught:
        estimator.transform(objects)
    assert str(caught.value).count("type") == 8
    objects[2].meta["key"] = 3.0
    with pytest.raises(TableError, match=r"X\[2\] metadata 'key' is 3\.0, not seen in fit"):
        estimator.transform(objects)


@pytest.mark.parametrize("nothing", [np.nan, "N/A", np.ma.masked])
def test_a_key_that_is_there_but_empty_is_said_to_be(make, X, nothing):
    with pytest.raises(TableError, match="'key' is NaN, masked or empty in all objects"):
        declared(make).fit(with_key(X, [nothing] * 12))


def test_a_key_that_is_nowhere_lists_at_most_eight_that_are(make, X):
    X[0].meta = {f"k{i}": i for i in range(100)}
    with pytest.raises(TableError, match=r"'key' is in no object's meta \(X\[0\] has: k0.*k7, \.\.\. 100 in all"):
        declared(make).fit(X)


def test_numbers_too_close_for_a_scale_are_refused(make, X):
    with pytest.raises(TableError, match="metadata 'key' only varies by 1e-170"):
        declared(make).fit(with_key(X, [0.0, 1e-170] * 6))


def test_an_odd_key_is_refused_by_metrics_and_does_not_stand_in_a_title(make, fitted, X):
    from skdaep.metrics import coverage_by

    X[3].meta["class"] = [1, 2]
    draws = fitted.reconstruct(X, n_draws=3)
    with pytest.raises(TableError, match=r"X\[3\] metadata 'class' is a list"):
        coverage_by(X, draws, by="class")
    display = ReconstructionDisplay.from_estimator(fitted, X[3:4])
    display.figure_.clf()
