"""Random Tables: every one works or is refused by an error of skdaep, none gives NaN in silence, none is altered.

Two hundred in a usual run, always the same; two thousand by
``SKDAEP_RANDOM_TABLES=2000 pytest tests/tables/test_random.py``. What they find becomes a plain test in a file beside
this one.
"""

import datetime
import os
from decimal import Decimal

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Column, MaskedColumn, QTable, Table
from astropy.time import Time, TimeDelta
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skdaep import DAEPEncoder, Photometry, Sequence, Spectrum, TableError, tables
from skdaep.preprocessing import Arcsinh, MedianFilter, PhaseFold, SignalToNoiseCut, ZScore

pytestmark = pytest.mark.filterwarnings("ignore::skdaep.exceptions.OutOfRangeWarning")  # a warning is no silence
N = int(os.environ.get("SKDAEP_RANDOM_TABLES", "200"))
many = settings(
    max_examples=N,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
TINY = dict(
    model_dim=4,
    n_heads=1,
    n_encoder_layers=1,
    n_decoder_layers=1,
    bottleneck_length=1,
    bottleneck_dim=2,
    max_iter=1,
    early_stopping=False,
    random_state=0,
    device="cpu",
)

# --- what a cell, a column and a key may hold -------------------------------------------------------

usual = st.floats(-10, 10, allow_subnormal=False)
odd = st.sampled_from([np.nan, np.nan, np.inf, -np.inf, 0.0, -99.0, 5e-324, 1e-300, 1e30, -1e300, 2_450_000.5])
exponents = st.sampled_from([0] * 60 + [-320, -200, -160, -45, -30, 5, 30, 38, 44, 155, 300])
rarely = st.integers(0, 19).map(lambda i: i == 19)
bands = st.sampled_from(["g", "r"])
texts = st.one_of(st.sampled_from(["g", "r", "i ", "", "N/A", "1", "2.0", "ü", "nan"]), st.text(max_size=3))
scalars = st.one_of(
    usual,
    odd,
    st.integers(),
    st.sampled_from([10**400, 10**5000, True, 1 + 2j, Decimal("0.1"), Decimal("NaN"), np.float32(0.1), np.int64(3)]),
    texts,
    st.sampled_from(["0.1", "1e400", " 0.3 ", "--", "Ia", "II", b"Ia", b"\xff\xfe", np.str_("Ia")]),
    st.sampled_from([None, np.ma.masked, np.datetime64("2020-01-01"), np.datetime64("NaT"), datetime.date(2020, 1, 1)]),
    st.sampled_from([3 * u.Mpc, 2 * u.kpc, 1 * u.day, Time(59_000, format="mjd"), TimeDelta(1, format="jd")]),
    st.sampled_from([[1.0], (0.1, "comment"), {"a": 1}, np.zeros(2), np.array(0.5), [1, 2] * u.Mpc, object()]),
)


def plain(values):
    return Column(values)


COLUMNS = {
    "float": plain,
    "float32": lambda x: Column(np.asarray(x, np.float32)),
    "big-endian": lambda x: Column(np.asarray(x, ">f8")),
    "integer": lambda x: Column(np.nan_to_num(x, posinf=9, neginf=-9).clip(-1e9, 1e9).astype(int)),
    "boolean": lambda x: Column(np.asarray(x) > 0),
    "masked": lambda x: MaskedColumn(x, mask=np.arange(len(x)) % 3 == 1),
    "all masked": lambda x: MaskedColumn(x, mask=True),
    "quantity": lambda x: x * u.Jy,
    "unit": lambda x: Column(x, unit="mJy"),
    "days": lambda x: Column(x, unit="d"),
    "hours": lambda x: Column(x, unit="h"),
    "magnitudes": lambda x: Column(x, unit="mag"),
    "unknown unit": lambda x: Column(x, unit=u.Unit("foo", parse_strict="silent")),
    "complex": lambda x: Column(x.astype(complex)),
    "text": lambda x: Column([f"{v:.3g}" for v in x] or np.zeros(0, "U1")),
    "bytes": lambda x: Column(np.array([b"\xff", b"g"] * len(x), "S2")[: len(x)]),
    "objects": lambda x: Column(np.array([None, *x.tolist()], object)[1:]),
    "two dimensions": lambda x: Column(np.stack([x, x], 1)),
    "none of two dimensions": lambda x: Column(np.zeros((len(x), 0))),
    "dates": lambda x: Column(np.datetime64("2020-01-01") + np.arange(len(x))),
    "durations": lambda x: Column(np.arange(len(x)).astype("timedelta64[h]")),
    "times": lambda x: Time(59_000 + np.nan_to_num(x, posinf=0, neginf=0).clip(-9, 9), format="mjd"),
    "time differences": lambda x: TimeDelta(np.nan_to_num(x, posinf=0, neginf=0).clip(-9, 9), format="jd"),
}
LABELS = {
    "text": lambda x: Column(np.array([*x, ""], str)[:-1]),
    "bytes": lambda x: Column(np.array([*(v.encode() for v in x), b""])[:-1]),
    "not UTF-8": lambda x: Column(np.array([b"\xff"] * len(x), "S1")),
    "objects": lambda x: Column(np.array([*x, None], object)[:-1]),
    "mixed objects": lambda x: Column(np.array([*([np.nan, "g", 2, b"r", None] * len(x))[: len(x)], ""], object)[:-1]),
    "masked": lambda x: MaskedColumn(np.array([*x, ""], str)[:-1], mask=np.arange(len(x)) % 2 == 1),
    "integers": lambda x: Column(np.arange(len(x)) % 2),
    "floats": lambda x: Column(np.arange(len(x)) % 2 * 1.0),
    "two dimensions": lambda x: Column(np.full((len(x), 2), "g")),
}


def kinds(of, usual):
    """Mostly one kind of column, so that not every Table is refused; each of the others now and then."""
    return st.sampled_from([usual] * 4 * len(of) + list(of))


numbers = st.integers(0, 29).flatmap(lambda i: odd if i == 29 else usual)


@st.composite
def columns(draw, n, kind, exponent, positive):
    values = np.array(draw(st.lists(numbers, min_size=n, max_size=n)), float)
    values = np.abs(values) if positive else values
    with np.errstate(over="ignore", under="ignore"):
        values = values * 10.0**exponent if exponent > -310 else values * 1e-300 * 10.0 ** (exponent + 300)
    with np.errstate(all="ignore"):
        return COLUMNS[kind](values)


@st.composite
def lists_of_tables(draw):
    """A few objects of one survey, most of them alike, with here and there an odd column, cell or key."""
    plan = {name: draw(kinds(COLUMNS, "float")) for name in ("time", "mag", "mag_err")}
    exponent = {name: draw(exponents) for name in plan}
    band, alphabet = draw(kinds(LABELS, "text")), draw(st.sampled_from([bands, bands, bands, texts]))
    keys = draw(st.sampled_from([(), (), (), (), ("z",), ("z", "type")]))
    meta = {key: draw(st.sampled_from([usual, st.sampled_from(["Ia", "II"]), scalars])) for key in keys}
    optional = draw(st.sampled_from([("mag_err", "band"), ("mag_err", "band"), ("mag_err",), ("band",), ()]))
    kind_of_table = draw(st.sampled_from([Table, Table, QTable]))
    objects = []
    for _ in range(draw(st.integers(1, 5))):
        n = draw(st.sampled_from([1, 2, 3, 4, 5, 6] * 10 + [0]))
        table = kind_of_table()
        for name in ("time", "mag", *(c for c in optional if c != "band")):
            kind = draw(kinds(COLUMNS, plan[name])) if draw(rarely) else plan[name]
            table[name] = draw(columns(n, kind, exponent[name], positive=name == "mag_err" and not draw(rarely)))
        if "band" in optional and not draw(rarely):
            table["band"] = LABELS[band](draw(st.lists(alphabet, min_size=n, max_size=n)))
        table.meta.update({key: draw(scalars if draw(rarely) else meta[key]) for key in keys if not draw(rarely)})
        objects.append(table)
    return objects, keys


declarations = st.sampled_from([Photometry, Photometry, Sequence, Spectrum])
resolutions = st.sampled_from([None] * 6 + [1e-3, 5e-324, 1e300])
errors = st.sampled_from([False, False, True])


# --- what must hold ---------------------------------------------------------------------------------


def content(objects):
    """Everything that a caller could see of Tables, as text."""
    seen = []
    for table in objects:
        columns = [
            (name, str(getattr(c, "dtype", c.__class__)), repr(list(c)), repr(np.ma.getmaskarray(c).tolist()))
            if not isinstance(c, (Time, TimeDelta))
            else (name, c.scale, repr(c.jd1.tolist()), repr(c.jd2.tolist()))
            for name, c in table.columns.items()
        ]
        seen.append((type(table).__name__, columns, [(k, type(v).__name__, _text(v)) for k, v in table.meta.items()]))
    return seen


def _text(value):
    return hex(value) if type(value) is int else repr(value)  # Python refuses to print 5,000 digits


def works_or_is_refused(objects, run):
    """Return what `run` does, None if it refuses with a TableError that says what of."""
    before, result, message = content(objects), None, "X["
    try:
        result = run(objects)
    except TableError as error:  # a DivergenceError would be one of values that reading should have refused
        message = str(error)
    assert any(named in message for named in ("X[", "metadata", "Sequence("))
    assert len(message) < 1000
    assert content(objects) == before
    return result


@many
@given(lists_of_tables(), declarations, resolutions, errors)
def test_an_encoder_works_or_refuses(case, declare, resolution, error_weighting):
    objects, keys = case
    modality = declare(metadata=keys, resolution=resolution)

    def run(objects):
        encoder = DAEPEncoder(modality, error_weighting=error_weighting, **TINY).fit(objects)
        return encoder, encoder.transform(objects), encoder.reconstruct(objects), encoder.score(objects)

    if (done := works_or_is_refused(objects, run)) is not None:
        encoder, codes, rebuilt, score = done
        assert np.isfinite(codes).all()
        assert np.isfinite(score)
        found = encoder.modalities_["sequence"]
        for table, decoded in zip(objects, rebuilt, strict=True):
            placed = np.isfinite(tables.numbers(table, found.location, "X[0]", tables.unit_of(table, found.location)))
            if found.band is not None:
                placed &= tables.labels(table, found.band) != ""
            values = np.asarray(u.Quantity(decoded[found.value]).value, float)
            np.testing.assert_array_equal(np.isfinite(values), placed)


STEPS = [Arcsinh(1.0), ZScore(), MedianFilter(3), PhaseFold(2.0), SignalToNoiseCut(3.0)]


@many
@given(lists_of_tables(), st.sampled_from(STEPS))
def test_a_step_works_or_refuses(case, step):
    objects, _ = case
    done = works_or_is_refused(objects, lambda objects: step.fit_transform(objects))
    for table in done or ():
        for role, name in step.columns_.items():  # an infinite error stays: it says that the value was not observed
            cells = tables.bare(table[name])[0] if name in table.colnames and role != "error" else np.zeros(0)
            assert cells.dtype.kind != "f" or not np.isinf(cells).any()


@pytest.mark.parametrize("kind", COLUMNS)
def test_every_kind_of_column_is_what_it_says(kind):
    """Without this the suite could try nothing but what is refused at once."""
    assert len(COLUMNS[kind](np.array([1.0, 2.0, 3.0]))) == 3
