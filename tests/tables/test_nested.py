"""Data frames with lists in their cells, one row per object: the layout of HATS, LSDB and the Multimodal Universe."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from astropy import units as u
from astropy.table import Table

from skdaep import DAEPEncoder, Photometry, TableError
from skdaep.tables import from_long, from_nested

pa = pytest.importorskip("pyarrow")
N = 6
RNG = np.random.default_rng(5)
LENGTHS = [3, 1, 5, 4, 2, 6]
POINTS = {
    "mjd": [RNG.uniform(59_000, 59_100, n).tolist() for n in LENGTHS],
    "band": [RNG.choice(["g", "r"], n).tolist() for n in LENGTHS],
    "flux": [RNG.normal(size=n).tolist() for n in LENGTHS],
}
OBJECTS = {"oid": [f"SN{i}" for i in range(N)], "z": [0.1, None, 0.3, 0.4, 0.5, 0.6]}
STRUCTS = [dict(zip(POINTS, row, strict=True)) for row in zip(*POINTS.values(), strict=True)]
TURNED = [[dict(zip(POINTS, point, strict=True)) for point in zip(*row.values(), strict=True)] for row in STRUCTS]
ROWS = list(zip(*(OBJECTS | POINTS).values(), strict=True))


def awkward():
    return pytest.importorskip("awkward")


def datasets():
    return pytest.importorskip("datasets")


FRAMES = {
    "pandas lists": lambda: pd.DataFrame(OBJECTS | POINTS),
    "pandas arrays": lambda: pd.DataFrame(OBJECTS | {k: [np.array(x) for x in v] for k, v in POINTS.items()}),
    "pandas of Arrow": lambda: pa.table(OBJECTS | POINTS).to_pandas(types_mapper=pd.ArrowDtype),
    "polars lists": lambda: pl.DataFrame(OBJECTS | POINTS),
    "polars structs": lambda: pl.DataFrame(OBJECTS | {"lc": STRUCTS}),
    "polars lists of structs": lambda: pl.DataFrame(OBJECTS | {"lc": TURNED}),
    "pyarrow lists": lambda: pa.table(OBJECTS | POINTS),
    "pyarrow structs": lambda: pa.table(OBJECTS | {"lc": STRUCTS}),
    "pyarrow lists of structs": lambda: pa.table(OBJECTS | {"lc": TURNED}),
    "pyarrow in pieces": lambda: pa.concat_tables([pa.table(OBJECTS | POINTS)[:2], pa.table(OBJECTS | POINTS)[2:]]),
    "pyarrow cut": lambda: pa.table(
        {k: [v[0], *v] for k, v in (OBJECTS | {"lc": STRUCTS}).items()},
    )[1:],
    "awkward lists": lambda: awkward().Array([dict(zip(OBJECTS | POINTS, row, strict=True)) for row in ROWS]),
    "awkward records": lambda: awkward().zip(
        {k: awkward().Array(v) for k, v in (OBJECTS | {"lc": TURNED}).items()}, depth_limit=1
    ),
    "awkward chosen": lambda: awkward().Array(
        [dict(zip(OBJECTS | POINTS, row, strict=True)) for row in [ROWS[1], *ROWS, ROWS[0]]]
    )[list(range(1, N + 1))],
    "datasets lists": lambda: datasets().Dataset.from_dict(OBJECTS | POINTS),
    "datasets structs": lambda: datasets().Dataset.from_dict(OBJECTS | {"lc": STRUCTS}),
    "datasets chosen": lambda: (
        datasets()
        .Dataset.from_dict({k: [*v, *v] for k, v in (OBJECTS | {"lc": TURNED}).items()})
        .select(range(N, 2 * N))
    ),
}
each_frame = pytest.mark.parametrize("framed", FRAMES.values(), ids=FRAMES)


@each_frame
def test_objects_have_their_points_and_metadata(framed):
    objects, ids = from_nested(framed(), by="oid", meta=("z",), units={"mjd": "d", "flux": u.Jy})
    assert ids.tolist() == OBJECTS["oid"]
    for i, table in enumerate(objects):
        assert sorted(table.colnames) == sorted(POINTS)
        for name in POINTS:
            assert table[name].tolist() == POINTS[name][i]
        assert table["flux"].unit == u.Jy
        assert table.meta == {k: v[i] for k, v in OBJECTS.items() if v[i] is not None}


@each_frame
def test_they_are_an_x_and_the_frame_itself_is_refused_with_the_line_that_makes_one(framed):
    objects, _ = from_nested(framed(), meta=("z",))
    assert Photometry(metadata=("z",)).learn(objects).band == "band"
    with pytest.raises(TableError, match=r"with one row per object and lists.*from_nested\(X\)"):
        DAEPEncoder().fit(framed())


def test_the_ids_are_the_index_of_pandas_or_the_number_of_the_row():
    assert from_nested(pd.DataFrame(POINTS, index=range(10, 16)))[1].tolist() == list(range(10, 16))
    assert from_nested(pa.table(POINTS))[1].tolist() == list(range(N))


def test_flat_arrays_are_those_of_arrow():
    table = pa.table(POINTS)
    objects, _ = from_nested(table)
    flat = table["mjd"].chunk(0).values.to_numpy()
    assert np.shares_memory(objects.columns["mjd"], flat)


def test_nulls_within_and_instead_of_lists():
    frame = pa.table({"mjd": [[1.0, None], None, [3.0]], "flux": [[1.0, 2.0], None, [None]], "n": [[1, None], [], [3]]})
    objects, _ = from_nested(frame)
    assert [len(t) for t in objects] == [2, 0, 1]
    assert np.isnan(objects[0]["mjd"]).tolist() == np.isnan(objects[0]["n"]).tolist() == [False, True]
    assert np.isnan(objects[2]["flux"]).all()
    with pytest.raises(TableError, match=r"X\[1\] is an empty table"):
        DAEPEncoder().fit(objects)


def test_fixed_lengths_and_large_lists():
    for kind in (pa.list_(pa.float64(), 2), pa.large_list(pa.float64())):
        frame = pa.table({"wave": pa.array([[1.0, 2.0], [3.0, 4.0]], kind), "flux": [[1.0, 2.0], [5.0, 6.0]]})
        assert from_nested(frame)[0][1]["wave"].tolist() == [3.0, 4.0]


def test_several_nested_columns_are_told_apart():
    frame = pa.table({"lc": STRUCTS, "other": STRUCTS, "spectrum": [{"wave": [1.0] * 9, "flux": [2.0] * 9}] * N})
    with pytest.raises(TableError, match=r"Several of the columns lc, other, spectrum hold '\w+'; choose one"):
        from_nested(frame)
    assert from_nested(frame, "spectrum")[0][0].colnames == ["wave", "flux"]
    assert from_nested(frame, columns=("lc",))[0][0]["mjd"].tolist() == POINTS["mjd"][0]


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        (OBJECTS, {}, r"No column holds lists \(it has: oid, z\); see from_long"),
        (OBJECTS | POINTS, dict(columns="lc"), "no column 'lc' for columns"),
        (OBJECTS | POINTS, dict(columns="z"), "Column 'z' holds double instead of lists"),
        (OBJECTS | POINTS, dict(meta=("redshift",)), "no column 'redshift' for by or meta"),
        (OBJECTS | POINTS, dict(meta="z"), r"give a tuple, \('z',\)"),
        (OBJECTS | POINTS, dict(meta=("flux",)), "Column 'flux' holds lists"),
        (OBJECTS | POINTS, dict(units={"z": "d"}), "no column 'z' for units"),
        (POINTS | {"flux": [[1.0]] * N}, {}, "Row 0 has 3 entries in 'mjd', but 1 in 'flux'; the lists of an object"),
        ({"image": [[[1.0], [2.0]]] * N}, {}, "Column 'image' holds lists"),
        ({"lc": [{"mjd": [1.0, 2.0], "flux": [1.0]}] * N}, {}, "Row 0 has 2 entries in 'mjd', but 1 in 'flux'"),
        (POINTS | {"lc": pa.nulls(N)}, dict(columns="lc"), "Column 'lc' is null in every row"),
    ],
)
def test_what_makes_no_objects_is_refused(columns, options, message):
    with pytest.raises(TableError, match=message):
        from_nested(pa.table(columns), **options)


def test_names_that_occur_twice_are_refused():
    twice = pa.table([pa.array([[1.0]])] * 3, names=["mjd", "mjd", "flux"])
    for frame in (twice, pd.DataFrame([[[1.0]] * 3], columns=twice.column_names)):
        with pytest.raises(TableError, match="The data frame has several columns 'mjd'"):
            from_nested(frame)
        with pytest.raises(TableError, match="The data frame has several columns 'mjd'"):
            from_long(frame, by="flux")
    struct = pa.StructArray.from_arrays([pa.array([[1.0]])] * 2, names=["mjd", "mjd"])
    with pytest.raises(TableError, match="Column 'lc' has several columns 'mjd'"):
        from_nested(pa.table({"lc": struct}))


def test_units_of_a_schema_are_those_of_columns_unless_others_are_given():
    def field(name, kind, unit):
        return pa.field(name, kind, metadata={"unit": unit})

    lists = [field("mjd", pa.list_(pa.float64()), "d"), field("flux", pa.list_(pa.float64()), "mJy")]
    flat = pa.table([POINTS["mjd"], POINTS["flux"]], schema=pa.schema(lists))
    struct = pa.StructArray.from_arrays([c.combine_chunks() for c in flat.columns], fields=lists)
    turned = pa.array(
        TURNED, pa.list_(pa.struct([field("mjd", pa.float64(), "d"), field("flux", pa.float64(), "mJy")]))
    )
    for frame in (flat, pa.table({"lc": struct}), pa.table({"lc": turned})):
        objects, _ = from_nested(frame, units={"flux": "Jy"})
        assert (objects[0]["mjd"].unit, objects[0]["flux"].unit) == (u.d, u.Jy)
    long = pa.table({"object_id": [1, 1, 2], "flux": [1.0, 2.0, 3.0]})
    long = long.cast(pa.schema([long.schema.field(0), field("flux", pa.float64(), "mJy")]))
    assert from_long(long)[0][0]["flux"].unit == u.mJy
    assert from_long(long, units={"flux": "Jy"})[0][0]["flux"].unit == u.Jy


def test_units_of_a_parquet_file_of_astropy(tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    Table({"object_id": [1, 1], "mjd": [1.0, 2.0] * u.d, "flux": [1.0, 2.0] * u.mJy}).write(tmp_path / "long.parquet")
    assert from_long(pq.read_table(tmp_path / "long.parquet"))[0][0]["flux"].unit == u.mJy
    broken = pa.table({"object_id": [1], "flux": [1.0]}).replace_schema_metadata({"table_meta_yaml": "datatype: 3"})
    with pytest.raises(TableError, match="table_meta_yaml"):
        from_long(broken)


def test_points_of_nulls_alone_are_not_observed():
    objects, _ = from_nested(pa.table({"mjd": [[1.0, 2.0]] * 2, "flux": [[None, None]] * 2}))
    assert np.isnan(objects[0]["flux"]).all()
    with pytest.raises(TableError, match=r"X\[0\] has no finite 'flux'"):
        DAEPEncoder().fit(objects)


def test_an_awkward_array_of_lists_of_points_needs_no_column():
    objects, ids = from_nested(awkward().Array(TURNED))
    assert [table["flux"].tolist() for table in objects] == POINTS["flux"]
    assert ids.tolist() == list(range(N))
    with pytest.raises(TableError, match="No column holds lists"):
        from_nested(awkward().Array([1.0, 2.0]))


def test_of_a_hugging_face_data_set_one_split_is_read_and_a_stream_batch_by_batch():
    split = datasets().Dataset.from_dict(OBJECTS | POINTS)
    with pytest.raises(TableError, match=r"DatasetDict has several splits; choose one of: train, test"):
        from_nested(datasets().DatasetDict(train=split, test=split))
    stream = split.to_iterable_dataset()
    with pytest.raises(TableError, match=r"IterableDataset is a stream.*with_format\(\"arrow\"\)\.iter"):
        from_nested(stream)
    parts = [from_nested(batch)[0] for batch in stream.with_format("arrow").iter(batch_size=4)]
    assert [table["flux"].tolist() for part in parts for table in part] == POINTS["flux"]


def test_what_is_no_frame_is_refused():
    with pytest.raises(TableError, match="A dict is not a data frame"):
        from_nested(POINTS)
    with pytest.raises(TableError, match="is empty"):
        from_nested(pa.table({"mjd": pa.array([], pa.list_(pa.float64()))}))
    with pytest.raises(TableError, match="not a data frame that can be read"):
        from_nested(pd.DataFrame({"lc": [pd.DataFrame({"mjd": [1.0]}), 3.0]}))


def test_nested_pandas():
    nested = pytest.importorskip("nested_pandas")
    flat = pd.DataFrame({k: np.concatenate(v) for k, v in POINTS.items()}, index=np.repeat(np.arange(N) + 7, LENGTHS))
    frame = nested.NestedFrame({"z": OBJECTS["z"]}, index=np.arange(N) + 7).join_nested(flat, "lc")
    objects, ids = from_nested(frame, "lc", meta=("z",))
    assert ids.tolist() == [7, 8, 9, 10, 11, 12]
    assert objects[2]["flux"].tolist() == POINTS["flux"][2]
    assert "z" not in objects[1].meta
    with pytest.raises(TableError, match=r"X is a NestedFrame with one row per object and lists.*from_nested\(X\)"):
        DAEPEncoder().fit(frame)
