"""FlatTables are read as the Tables that they hold: the same records to the last bit, and the same errors."""

import pickle
import warnings
from dataclasses import asdict

import numpy as np
import pytest
from astropy import units as u
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skdaep import DAEPEncoder, MultimodalDAEP, Photometry, SpectralSeries, Spectrum, TableError
from skdaep.metrics import coverage, object_errors
from skdaep.preprocessing import Arcsinh, Log10, MagnitudeToFlux, MedianFilter, PhaseFold, SignalToNoiseCut, ZScore
from skdaep.tables import FlatTables, Labels, Objects

TINY = dict(model_dim=8, n_heads=2, n_encoder_layers=1, n_decoder_layers=1, max_iter=2, random_state=0, device="cpu")
DECLARED = Photometry(metadata=("z", "survey"), quality="flag")
BANDS = {
    "labels": lambda codes: Labels(codes, np.array(["r", "g", "i", ""])),
    "labels as text": lambda codes: np.array(["r", "g", "i", ""])[codes],
    "bytes": lambda codes: np.array([b"r", b"g", b"i", b""])[codes],
    "numbers": lambda codes: codes.astype(np.int16),
    "masked numbers": lambda codes: np.ma.array(codes.astype(float), mask=codes == 3),
    "objects": lambda codes: np.array(["r", "g", "i", None], object)[codes],
}


def flat(seed: int, n_objects: int = 12, band: str = "labels", **changes) -> FlatTables:
    """Return random objects: masks, NaN, infinite errors, flags, units, absent metadata, rows in any order."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(8, 13, n_objects)
    n = int(lengths.sum())
    value = np.ma.array(rng.normal(20, 1, n), mask=rng.random(n) < 0.04)
    value[rng.random(n) < 0.04] = np.nan
    columns = {
        "mjd": np.where(rng.random(n) < 0.05, np.nan, rng.integers(0, 9, n) / 4),
        "mag": value.astype(rng.choice(["f4", "f8"])),
        "band": BANDS[band](np.where(rng.random(n) < 0.04, 3, rng.integers(0, 3, n))),
        "magerr": np.where(rng.random(n) < 0.04, np.inf, rng.uniform(0.1, 0.2, n)),
        "flag": rng.integers(0, 20, n) // 19,
    }
    meta = {
        "z": np.ma.array(rng.uniform(0, 1, n_objects), mask=rng.random(n_objects) < 0.2),
        "survey": Labels(rng.integers(0, 3, n_objects), np.array(["ZTF", "LSST", ""])),
    }
    ends, order = np.cumsum(lengths), None
    if seed % 2:
        order = rng.permutation(n)
        columns = {k: v.take(np.argsort(order)) for k, v in columns.items()}
    objects = FlatTables(columns, ends - lengths, ends, order, {"mjd": "d", "mag": u.mag}, meta)
    for change in changes.values():
        change(objects)
    return objects


def outcome(function):
    """Return what a function gives, or the words of its error, and of its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = function()
        except (TableError, ValueError) as error:
            return type(error), str(error), [str(w.message) for w in caught]
    return found, [str(w.message) for w in caught]


def assert_same(a, b):
    """Assert that records, or words, are the same to the last bit."""
    if not isinstance(a[0], list):
        assert a == b
        return
    assert a[1] == b[1]
    for one, other in zip(a[0], b[0], strict=True):
        for name, array in asdict(one).items():
            np.testing.assert_array_equal(getattr(other, name), array, err_msg=name)
            assert np.asarray(getattr(other, name)).dtype == np.asarray(array).dtype, name


def spoil(name, rows, number):
    def change(objects):
        if name in objects.columns:  # another fault may have removed it
            n = len(objects.columns[name])
            objects.columns[name][[r % n for r in rows]] = number

    return change


FAULTS = {
    "none": lambda rows: lambda objects: None,
    "infinite": lambda rows: spoil("mag", rows, np.inf),
    "infinite time": lambda rows: spoil("mjd", rows, -np.inf),
    "negative error": lambda rows: spoil("magerr", rows, -99.0),
    "sentinel": lambda rows: spoil("mag", rows, -999.0),
    "far": lambda rows: spoil("mag", rows, 1e12),
    "unit": lambda rows: lambda objects: objects.units.update(mjd="kg"),
    "other unit": lambda rows: lambda objects: objects.units.update(mjd="h"),
    "no column": lambda rows: lambda objects: objects.columns.pop("mjd"),
    "no errors": lambda rows: lambda objects: objects.columns.pop("magerr"),
    "empty": lambda rows: lambda objects: objects.ends.__setitem__(3, objects.starts[3]),
    "nothing seen": lambda rows: lambda objects: objects.columns["flag"].__setitem__(slice(None), 1),
    "text": lambda rows: lambda objects: objects.columns.update(mag=np.full(len(objects.columns["mag"]), "x")),
    "number": lambda rows: (
        lambda objects: objects.meta["z"].__setitem__(2, np.inf) if isinstance(objects.meta["z"], np.ndarray) else None
    ),
    "label": lambda rows: lambda objects: objects.meta["survey"].names.__setitem__(0, "DES"),
    "label for number": lambda rows: lambda objects: objects.meta.update(z=objects.meta["survey"]),
}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(0, 10_000),
    st.sampled_from(list(BANDS)),
    st.lists(st.sampled_from(list(FAULTS)), max_size=2),
    st.lists(st.integers(0, 80), min_size=1, max_size=3),
    st.booleans(),
    st.sampled_from(["error", "ignore"]),
)
def test_they_are_learned_and_read_as_their_tables_are(seed, band, faults, rows, values, unknown):
    changes = {name: FAULTS[name](rows) for name in faults}
    declared = Photometry(metadata=("z", "survey"), quality="flag", unknown=unknown)
    good = flat(seed + 1, 20, band)
    learned = declared.learn(list(good))
    assert learned == declared.learn(good)
    objects, object_names = flat(seed, band=band, **changes), [f"X[{i}]" for i in range(12)]
    tables = list(objects)
    assert_same(
        outcome(lambda: learned.read_all(tables, object_names, values)),
        outcome(lambda: learned.read_all(objects, object_names, values)),
    )
    assert outcome(lambda: declared.learn(tables)) == outcome(lambda: declared.learn(objects))


def test_no_table_is_made_of_them(monkeypatch):
    X = flat(0, 30)
    encoder = DAEPEncoder(DECLARED, **TINY).fit(X)
    made = []
    monkeypatch.setattr(FlatTables, "__getitem__", _counted(FlatTables.__getitem__, made))
    expected = encoder.transform(X)
    assert len(made) < 6, "the first object shows the columns"
    assert encoder.transform(X[3:9]).shape == (6, expected.shape[1])


def _counted(getitem, made):
    def counted(self, i):
        if np.ndim(i) == 0 and not isinstance(i, slice):
            made.append(i)
        return getitem(self, i)

    return counted


@pytest.mark.parametrize("seed", [0, 1], ids=["in order", "in any order"])
def test_slices_indices_and_pickles(seed, tmp_path):
    X, tables = flat(seed), list(flat(seed))

    def assert_are(objects, expected):
        assert isinstance(objects, FlatTables)
        for one, other in zip(objects, expected, strict=True):
            assert one.meta == other.meta
            assert one["mag"].unit == other["mag"].unit
            np.testing.assert_array_equal(one["mag"].filled(7), other["mag"].filled(7))

    few = np.array([5, 1, 1, 8])
    assert_are(X[few], [tables[i] for i in few])
    assert_are(X[[2, 3]], tables[2:4])
    assert_are(X[X.lengths > 10], [t for t in tables if len(t) > 10])
    assert_are(X[[]], [])
    assert_are(pickle.loads(pickle.dumps(X[few])), [tables[i] for i in few])
    assert_are(X[few].of_points(np.ones(X[few].lengths.sum(), bool)), [tables[i] for i in few])
    assert len(pickle.dumps(X[3:4])) < 0.6 * len(pickle.dumps(X)), "the points of one object alone"
    with pytest.raises(IndexError):
        X[np.array([12])]


def test_memory_mapped_columns(tmp_path):
    X = flat(0, band="numbers")
    columns = {}
    for name, column in X.columns.items():
        np.save(tmp_path / name, np.ma.filled(column, np.nan) if name == "mag" else column)
        columns[name] = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
    mapped = FlatTables(columns, X.starts, X.ends, units=X.units, meta=X.meta)
    learned = DECLARED.learn(X)
    object_names = [f"X[{i}]" for i in range(len(X))]
    assert_same((learned.read_all(X, object_names), []), (learned.read_all(mapped, object_names), []))


def test_a_key_in_two_spellings_and_odd_metadata():
    X = flat(0)
    n = len(X)
    X.meta.update(
        Z=np.ma.array(np.full(n, 0.5)),
        when=np.ma.array(np.array(["2020-01-01T00:00:00"] * n, "M8[ns]")),
        text=Labels(np.arange(n) % 3, np.array(["1.5", " N/A ", ""])),
        flag=np.ma.array(np.arange(n) % 2 == 0),
    )
    declared = Photometry(metadata=("z", "when", "text", "flag"))
    assert X[0].meta["when"] == np.datetime64("2020-01-01T00:00:00")
    assert declared.learn(X) == declared.learn(list(X))
    object_names = [f"X[{i}]" for i in range(n)]
    learned = declared.learn(X)
    assert_same((learned.read_all(list(X), object_names), []), (learned.read_all(X, object_names), []))


def test_spectral_series():
    rng = np.random.default_rng(0)
    lengths = np.array([6, 8, 10])
    columns = {k: rng.integers(1, 5, lengths.sum()) * 1.0 for k in ("time", "wavelength")}
    columns["flux"] = rng.normal(size=lengths.sum())
    X = FlatTables(columns, np.cumsum(lengths) - lengths, np.cumsum(lengths))
    object_names = ["X[0]", "X[1]", "X[2]"]
    learned = SpectralSeries().learn(X)
    assert learned == SpectralSeries().learn(list(X))
    assert_same((learned.read_all(list(X), object_names), []), (learned.read_all(X, object_names), []))
    columns["time"][8] = np.inf
    with pytest.raises(TableError, match=r"X\[1\] column 'time' is infinite at row 2"):
        learned.read_all(X, object_names)


def test_all_that_takes_tables_takes_them():
    X = flat(0, 30)
    X.columns["mjd"][np.isnan(X.columns["mjd"])] = 0.3  # where nothing is decoded
    X.columns["band"].codes[X.columns["band"].codes == 3] = 0
    tables = list(X)
    encoder = DAEPEncoder(DECLARED, **TINY).fit(X)
    other = DAEPEncoder(DECLARED, **TINY).fit(tables)
    np.testing.assert_array_equal(encoder.transform(X), other.transform(tables))
    assert encoder.score(X) == other.score(tables)
    for name in ("tables", "arrays"):
        for one, two in zip(encoder.reconstruct(X, output=name), other.reconstruct(tables, output=name), strict=True):
            np.testing.assert_array_equal(*(x["mag"] if name == "tables" else x for x in (one, two)))
    rebuilt, draws = encoder.reconstruct(X), encoder.reconstruct(X, n_draws=3, output="arrays")
    np.testing.assert_array_equal(object_errors(X, rebuilt), object_errors(tables, rebuilt))
    for one, two in zip(coverage(X, draws), coverage(tables, draws), strict=True):
        np.testing.assert_array_equal(one, two)
    Z = encoder.transform(X)
    assert encoder.inverse_transform(Z, at=X)[3].colnames == encoder.inverse_transform(Z, at=tables)[3].colnames
    with pytest.raises(ValueError, match="0 objects"):
        encoder.transform(X[:0])


def test_several_modalities():
    rng = np.random.default_rng(1)
    X, n = flat(0, 30), 30
    lengths = np.where(np.arange(n) % 4 == 1, 0, 7)
    columns = {"wavelength": rng.uniform(4000, 7000, lengths.sum()), "flux": rng.normal(size=lengths.sum())}
    spectra = FlatTables(columns, np.cumsum(lengths) - lengths, np.cumsum(lengths))
    together = Objects.of({"photometry": X, "spectrum": spectra})
    declared = {"photometry": DECLARED, "spectrum": Spectrum()}
    listed = [dict(obj) for obj in together]
    assert "spectrum" not in listed[1]
    encoder = MultimodalDAEP(declared, **TINY).fit(together)
    np.testing.assert_array_equal(
        encoder.transform(together), MultimodalDAEP(declared, **TINY).fit(listed).transform(listed)
    )
    assert [list(o) for o in encoder.reconstruct(together)] == [list(o) for o in listed]
    with pytest.raises(ValueError, match="the same number of objects"):
        Objects.of({"photometry": X, "spectrum": spectra[:3]})
    with pytest.raises(TableError, match=r"X has 'other', which is not among the modalities"):
        encoder.transform(Objects.of({"other": X}))
    with pytest.raises(TableError, match=r"X\[1\] has none of the modalities"):
        encoder.transform(Objects.of({"spectrum": spectra}))


STEPS = {
    "arcsinh": lambda: Arcsinh(scale=0.5),
    "log": lambda: Log10(),
    "z-score": lambda: ZScore(),
    "z-score by band": lambda: ZScore(per_band=True),
    "z-score of each object": lambda: ZScore(per_object=True),
    "cut": lambda: SignalToNoiseCut(threshold=2.0),
    "cut that keeps some": lambda: SignalToNoiseCut(threshold=50.0, min_points=2),
    "flux": lambda: MagnitudeToFlux(zero_point=25.0, unit=None),
    "fold": lambda: PhaseFold(period=1.3),
    "median": lambda: MedianFilter(size=3),
}


@pytest.mark.parametrize("seed", [0, 1, 4], ids=["in order", "in any order", "masked"])
@pytest.mark.parametrize("make_step", STEPS.values(), ids=STEPS)
def test_steps_do_to_them_what_they_do_to_their_tables(make_step, seed):
    X = flat(seed, 20)
    one, other = make_step().fit(X), make_step().fit(list(X))
    assert one.__dict__.keys() == other.__dict__.keys()
    done, expected = one.transform(X), other.transform(list(X))
    assert isinstance(done, FlatTables)
    for a, b in zip(done, expected, strict=True):
        assert a.colnames == b.colnames
        assert a.meta == b.meta
        for name in a.colnames:
            np.testing.assert_array_equal(np.ma.filled(a[name], 77), np.ma.filled(b[name], 77), err_msg=name)
            assert a[name].unit == b[name].unit
            assert (a[name].info.meta or {}) == (b[name].info.meta or {})


def test_a_bad_object_is_named_by_a_step():
    X = flat(0)
    X.columns["mag"][X.starts[5] + 1] = np.inf
    with pytest.raises(TableError, match=r"X\[5\] column 'mag' is infinite at row 1"):
        ZScore().fit(X)
    step = ZScore().fit(X[:5])
    with pytest.raises(TableError, match=r"X\[5\] column 'mag' is infinite at row 1"):
        step.transform(X)
    with pytest.raises(TableError, match=r"X\[0\] has no point left after SignalToNoiseCut"):
        SignalToNoiseCut(threshold=1e9).fit(flat(0)).transform(flat(0))


def test_tables_of_other_columns_are_no_flat_tables():
    tables = list(flat(0))
    tables[3]["more"] = 1.0
    with pytest.raises(TableError, match="Object 3 has other columns or units"):
        FlatTables.of(tables)
