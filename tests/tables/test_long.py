"""Long data frames: refused where Tables are wanted, and made into them without a copy by `from_long`."""

import datetime
import pickle
import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pytest
from astropy import units as u
from astropy.table import Table
from sklearn.model_selection import train_test_split

from skdaep import DAEPEncoder, MAEPEncoder, Photometry, TableError
from skdaep.metrics import object_errors
from skdaep.preprocessing import ZScore
from skdaep.tables import FlatTables, from_long

pa = pytest.importorskip("pyarrow")
ESTIMATORS = ("DAEPEncoder",)
N, N_POINTS = 9, 120
RNG = np.random.default_rng(3)
OWNER = RNG.integers(0, N, N_POINTS)
COLUMNS = {
    "object_id": [f"SN{i}" for i in OWNER],
    "mjd": RNG.uniform(59_000, 59_100, N_POINTS),
    "passband": RNG.choice(["g", "r"], N_POINTS).tolist(),
    "flux": RNG.normal(size=N_POINTS),
    "flux_err": RNG.uniform(0.1, 0.2, N_POINTS),
    "z": [None if i == 4 else 0.1 * i for i in OWNER],
    "type": [("Ia", "II", None)[i % 3] for i in OWNER],
}
FRAMES = {
    "pandas": pd.DataFrame,
    "pandas nullable": lambda c: pd.DataFrame(c).convert_dtypes(),
    "pandas of Arrow": lambda c: pd.DataFrame(c).convert_dtypes(dtype_backend="pyarrow"),
    "pandas categories": lambda c: pd.DataFrame(c).astype({"object_id": "category", "passband": "category"}),
    "pandas objects": lambda c: pd.DataFrame(c).astype({"object_id": object, "passband": object}),
    "pandas with an odd index": lambda c: pd.DataFrame(c, index=np.zeros(len(c["mjd"]), int)),
    "pandas, by the index": lambda c: pd.DataFrame(c).set_index("object_id"),
    "polars": pl.DataFrame,
    "polars LazyFrame": lambda c: pl.DataFrame(c).lazy(),
    "polars categories": lambda c: pl.DataFrame(c).with_columns(pl.col("passband").cast(pl.Categorical)),
    "pyarrow": pa.table,
    "pyarrow in pieces": lambda c: pa.concat_tables([pa.table(c)[:50], pa.table(c)[50:]]),
}
each_frame = pytest.mark.parametrize("framed", FRAMES.values(), ids=FRAMES)


def truth():
    """The objects in the order of their first rows, made by hand."""
    ids = list(dict.fromkeys(COLUMNS["object_id"]))
    rows = [[k for k, name in enumerate(COLUMNS["object_id"]) if name == i] for i in ids]
    return ids, [{name: [COLUMNS[name][k] for k in r] for name in COLUMNS} for r in rows]


# --- made into Tables -------------------------------------------------------------------------------


@each_frame
def test_objects_have_their_points_in_order_and_their_metadata(framed):
    ids, expected = truth()
    objects, found = from_long(framed(COLUMNS), meta=("z", "type"), units={"mjd": "d", "flux": u.uJy})
    assert found.tolist() == ids
    assert len(objects) == N
    for table, columns in zip(objects, expected, strict=True):
        assert table.colnames == ["mjd", "passband", "flux", "flux_err"]
        assert table["mjd"].unit == u.day
        assert table["flux"].unit == u.uJy
        for name in table.colnames:
            np.testing.assert_array_equal(table[name], columns[name])
        meta = {"object_id": columns["object_id"][0], "z": columns["z"][0], "type": columns["type"][0]}
        assert table.meta == {k: v for k, v in meta.items() if v is not None}
        assert all(type(v) in (str, float) for v in table.meta.values())


@pytest.mark.parametrize("framed", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_they_are_an_x_of_everything(framed):
    objects, ids = from_long(framed(COLUMNS), meta=("z", "type"))
    declared = Photometry(metadata=("z", "type"))
    settings = dict(model_dim=8, n_heads=2, max_iter=2, random_state=0)
    encoder = DAEPEncoder(declared, **settings).fit(objects)
    codes = encoder.transform(objects)
    listed = [Table(t) for t in objects]
    np.testing.assert_array_equal(codes, DAEPEncoder(declared, **settings).fit(listed).transform(listed))
    np.testing.assert_allclose(encoder.transform(objects[2:5]), codes[2:5], rtol=1e-5, atol=1e-6)
    assert len(object_errors(objects, encoder.reconstruct(objects))) == N
    train, test, _, kept = train_test_split(objects, ids, random_state=0)
    assert [t.meta["object_id"] for t in test] == kept.tolist()
    assert len(ZScore().fit_transform(train)) == len(train)


def test_a_null_is_not_observed():
    columns = COLUMNS | {"flux": [None, *COLUMNS["flux"][1:]], "passband": [None, *COLUMNS["passband"][1:]]}
    columns["quality"] = [None, *range(1, N_POINTS)]
    for framed in FRAMES.values():
        table = from_long(framed(columns), meta=("z", "type"))[0][0]
        assert np.isnan(table["flux"]).tolist() == [True] + [False] * (len(table) - 1)
        assert table["passband"][0] == ""
        assert np.isnan(table["quality"][0])


def test_numbers_as_ids_keep_their_kind_and_the_order_of_their_first_rows():
    ids = [2**62 + 1, 2**62, 7]
    frame = pd.DataFrame({"source_id": np.repeat(ids, 2), "mjd": np.arange(6.0), "flux": np.ones(6)})
    objects, found = from_long(frame, "source_id")
    assert found.tolist() == ids
    assert objects[0].meta == {"source_id": ids[0]}


def test_dates_zones_and_decimals():
    moments = ["2020-01-01T12:00:00", "2020-01-02T12:00:00"]
    frame = pd.DataFrame(
        {"object_id": [1, 1], "date": pd.to_datetime(moments).tz_localize("Asia/Tokyo"), "flux": [1, 2]}
    )
    for one in (frame, pl.from_pandas(frame)):
        (table,), _ = from_long(one)
        np.testing.assert_array_equal(Photometry().learn([table]).read(table, "X[0]").location.shape, (2,))
        assert table["date"][0] == np.datetime64("2020-01-01T03:00:00")
    day = pl.DataFrame({"object_id": [1], "date": [datetime.date(2020, 1, 1)], "flux": ["1.5"]})
    (table,), _ = from_long(day.with_columns(pl.col("flux").cast(pl.Decimal(10, 3))))
    assert table["flux"].tolist() == [1.5]
    assert table["date"].dtype.kind == "M"


# --- lazily -----------------------------------------------------------------------------------------


def ordered(n_objects, n_points):
    n = n_objects * n_points
    columns = {"object_id": np.repeat(np.arange(n_objects), n_points), "mjd": np.arange(float(n)), "flux": np.ones(n)}
    return pd.DataFrame(columns | {"band": pd.Categorical(np.tile(["g", "r"], n // 2))})


def test_memory_is_flat_where_the_rows_of_an_object_stand_together():
    frame = ordered(500, 400)
    from_long(ordered(2, 2))  # whatever is imported
    tracemalloc.start()
    objects, _ = from_long(frame)
    held, _ = tracemalloc.get_traced_memory()
    for table in objects[:100]:
        assert len(table) == 400
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.shares_memory(objects.columns["mjd"], frame["mjd"].to_numpy())
    assert held < 300_000, "a byte a point for the band and 40 bytes an object"
    assert peak < 12e6, "no more than what sorts them out"


def test_a_table_is_new_each_time_and_the_frame_is_never_changed():
    frame = ordered(3, 4)
    before = frame.copy()
    objects, _ = from_long(frame)
    objects[0]["flux"][:] = 7.0
    assert objects[0]["flux"].tolist() == [1.0] * 4
    pd.testing.assert_frame_equal(frame, before)


def test_slices_pickles_and_indices():
    objects, _ = from_long(ordered(6, 4))
    assert isinstance(objects[1:4], FlatTables)
    assert [t.meta["object_id"] for t in objects[4:1:-1]] == [4, 3, 2]
    assert objects[-1].meta["object_id"] == objects[np.int64(5)].meta["object_id"] == 5
    assert pickle.loads(pickle.dumps(objects))[2]["mjd"].tolist() == objects[2]["mjd"].tolist()
    assert repr(objects) == "<FlatTables: 6 objects, 24 points of mjd, flux, band>"
    with pytest.raises(IndexError):
        objects[6]


# --- refused ----------------------------------------------------------------------------------------


@each_frame
@pytest.mark.parametrize(
    "encoder",
    [DAEPEncoder(), MAEPEncoder(), DAEPEncoder(Photometry()), ZScore()],
    ids=["DAEP", "MAEP", "Photometry", "ZScore"],
)
def test_a_long_frame_is_refused_with_the_one_line_that_makes_tables_of_it(framed, encoder):
    frame = framed(COLUMNS)
    if isinstance(frame, pl.LazyFrame):
        with pytest.raises(TableError, match=r"not a LazyFrame; pass X\.collect\(\)"):
            encoder.fit(frame)
        return
    with pytest.raises(TableError, match=r"X is a long (DataFrame|Table) with one row per point") as caught:
        encoder.fit(frame)
    line = str(caught.value).split(": ")[-1].rstrip(".")
    assert line == "objects, ids = skdaep.tables.from_long(X, by='object_id')"


def test_a_long_frame_is_refused_by_transform_metrics_and_without_an_id(fitted, X):
    frame = pd.DataFrame({"mjd": [1.0, 2.0], "mag": [1.0, 2.0]})
    with pytest.raises(TableError, match=r"from_long\(X, by=\.\.\.\)"):
        fitted.transform(frame)
    with pytest.raises(TableError, match=r"from_long\(X, by=\.\.\.\)"):
        object_errors(frame, X)


def test_frames_that_are_not_long_are_arrays_as_before():
    wide = pd.DataFrame(np.random.default_rng(0).normal(size=(8, 5)), columns=["flux", *"abcd"])
    settings = dict(model_dim=8, max_iter=1, random_state=0)
    expected = DAEPEncoder(**settings).fit_transform(wide.to_numpy())
    np.testing.assert_array_equal(DAEPEncoder(**settings).fit_transform(wide), expected)
    np.testing.assert_array_equal(DAEPEncoder(**settings).fit_transform(pl.from_pandas(wide)), expected)
    wide.columns = range(5)
    np.testing.assert_array_equal(DAEPEncoder(**settings).fit_transform(wide), expected)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({}, dict(by="oid"), r"no column 'oid' for by \(it has: object_id, mjd"),
        ({}, dict(meta=("redshift",)), "no column 'redshift' for meta"),
        ({}, dict(units={"fluxx": "Jy"}), "no column 'fluxx' for units"),
        ({}, dict(meta="z"), r"meta='z': give a tuple, \('z',\)"),
        ({}, dict(meta=("flux",)), r"Object SN\d has several values of 'flux': -?\d\.\d+ and .*leave it out of meta"),
        ({}, dict(meta=("passband",)), r"Object SN\d has several values of 'passband': [gr] and [gr]"),
        ({"object_id": [None] * N_POINTS}, {}, "Row 0 of the data frame has no 'object_id'"),
        ({"object_id": [*COLUMNS["object_id"][:-1], None]}, {}, f"Row {N_POINTS - 1} of the data frame has no"),
        ({"object_id": [1.0, np.nan] * (N_POINTS // 2)}, {}, "Row 1 of the data frame has no 'object_id'"),
        ({"flux": [[1.0, 2.0]] * N_POINTS}, {}, r"Column 'flux' holds lists.*from_nested\(frame\)"),
    ],
)
def test_what_makes_no_objects_is_refused(change, options, message):
    for framed in (pl.DataFrame, pa.table):
        with pytest.raises(TableError, match=message):
            from_long(framed(COLUMNS | change), **options)


def test_what_is_no_frame_is_refused():
    with pytest.raises(TableError, match="A dict is not a data frame"):
        from_long(COLUMNS)
    with pytest.raises(
        TableError, match=r"A Table is not a data frame.*list\(table\.group_by\('object_id'\)\.groups\)"
    ):
        from_long(Table({"object_id": [1], "mjd": [1.0]}))
    with pytest.raises(TableError, match="is empty"):
        from_long(pd.DataFrame({"object_id": []}))
    with pytest.raises(TableError, match="mixes types"):
        from_long(pd.DataFrame({"object_id": [1, "a"], "mjd": [1.0, 2.0]}))
    twice = pd.DataFrame(np.ones((2, 2)), columns=["object_id", "object_id"])
    with pytest.raises(TableError, match="several columns 'object_id'; rename"):
        from_long(twice)
