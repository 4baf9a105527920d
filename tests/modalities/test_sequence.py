"""Sequence: from Tables to scaled records, batches and tokens, and back in the units of fit."""

import copy
import dataclasses
import pickle
from dataclasses import asdict

import numpy as np
import pytest
import torch
from astropy import units as u
from astropy.table import MaskedColumn, QTable, Table
from sklearn.base import BaseEstimator, clone

from skdaep import Photometry, Sequence, Spectrum, TableError

BANDS = ("g", "i", "r")


def light_curve(i, n=15):
    rng = np.random.default_rng([5, i])
    table = Table(meta={"Redshift": 0.1 * i, "survey": "ZTF" if i % 3 else "LSST"})
    table["mjd"] = np.sort(rng.uniform(59000, 59100, n)) * u.day
    table["mag"] = MaskedColumn(18 + rng.standard_normal(n), unit=u.mag)
    table["magerr"] = rng.uniform(0.05, 0.1, n) * u.mag
    table["filter"] = rng.choice(BANDS, n)
    return table


DECLARATION = Sequence(metadata=("redshift", "survey"))


@pytest.fixture
def tables():
    return [light_curve(i, 10 + i) for i in range(6)]


@pytest.fixture
def modality(tables):
    return DECLARATION.learn(tables)


def read(modality, table, **options):
    return modality.read(table, "X[0]", **options)


def assert_same_records(one, other):
    for name, field in asdict(one).items():
        np.testing.assert_array_equal(field, getattr(other, name), err_msg=name)


# --- the declaration --------------------------------------------------------------------------------


def test_learning_leaves_the_declaration_as_it_was(tables):
    declaration = Sequence(metadata=("redshift", "survey"))
    before = copy.deepcopy(declaration)
    learned = declaration.learn(tables)
    assert declaration == before
    assert declaration.learned is None
    assert learned.learned is not None
    assert learned is not declaration


def test_declaration_is_frozen_and_hashable():
    with pytest.raises(dataclasses.FrozenInstanceError):
        DECLARATION.value = "flux"
    assert hash(Sequence(value="rv")) == hash(Sequence(value="rv"))


def test_declarations_are_equal_by_content():
    assert Sequence(value="rv", metadata=("a",)) == Sequence(value="rv", metadata=("a",))
    assert Sequence(value="rv") != Sequence(value="flux")


@pytest.mark.parametrize("learned", [False, True], ids=["declared", "learned"])
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_are_equal(tables, learned, duplicate):
    modality = DECLARATION.learn(tables) if learned else DECLARATION
    assert duplicate(modality) == modality


def test_an_estimator_that_holds_one_can_be_cloned():
    class Holder(BaseEstimator):
        def __init__(self, modality=None):
            self.modality = modality

    holder = Holder(Spectrum(metadata=("phase",), resolution=2.0))
    assert clone(holder).modality == holder.modality
    assert "metadata=('phase',)" in repr(holder)


def test_same_tables_are_learned_alike(tables):
    assert DECLARATION.learn(tables) == DECLARATION.learn([t.copy() for t in tables])


def test_tables_are_not_changed(tables):
    before = [t.copy() for t in tables]
    modality = DECLARATION.learn(tables)
    for table, original in zip(tables, before, strict=True):
        modality.collate([read(modality, table)])
        modality.write(np.zeros(len(table)), table)
        assert table.colnames == original.colnames
        assert table.meta == original.meta
        for name in table.colnames:
            np.testing.assert_array_equal(table[name], original[name])


def test_presets_are_plain_declarations():
    assert Spectrum("log_flux") == Sequence(value="log_flux", prefer=("flux", "wavelength"))
    assert Photometry(metadata=("z",)) == Sequence(metadata=("z",), prefer=("mag", "time", "band"))


def test_columns_are_found_by_their_customary_names(modality):
    assert (modality.value, modality.location, modality.band, modality.error) == ("mag", "mjd", "filter", "magerr")


def test_a_sequence_without_bands_and_errors_needs_neither(tables):
    modality = Sequence().learn([t["mjd", "mag"] for t in tables])
    assert modality.band is None
    assert modality.error is None
    record = read(modality, tables[0]["mjd", "mag"])
    assert not record.band.any()
    assert np.isnan(record.error).all()


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        ({"unknown": "drop"}, "unknown='drop'"),
        ({"metadata": "redshift"}, "give a tuple"),
        ({"metadata": ("z", "Z")}, "named twice"),
        ({"resolution": 0.0}, "resolution=0.0"),
        ({"resolution": -1.0}, "resolution=-1.0"),
        ({"metadata": ("phase",)}, "'phase' is in no object's meta"),
        ({"value": "flux"}, "no column 'flux'"),
    ],
)
def test_declarations_that_make_no_sense_are_refused_at_fit(tables, declaration, message):
    with pytest.raises(ValueError, match=message):
        Sequence(**declaration).learn(tables)


# --- scaling and order ------------------------------------------------------------------------------


def test_learned_values_are_standardised(tables, modality):
    values = np.concatenate([read(modality, t).value for t in tables])
    assert values.dtype == np.float32
    assert values.mean() == pytest.approx(0, abs=1e-5)
    assert values.std() == pytest.approx(1, rel=1e-5)


def test_learned_locations_have_median_0_and_deviation_1(tables, modality):
    locations = np.concatenate([read(modality, t).location for t in tables])
    assert np.median(locations) == pytest.approx(0, abs=1e-5)
    assert locations.std() == pytest.approx(1, rel=1e-5)


def test_values_come_back_in_the_units_of_fit(tables, modality):
    for table in tables:
        record = read(modality, table)
        back = modality.unscale(record.value, record)
        np.testing.assert_allclose(back, np.asarray(table["mag"]), rtol=1e-6)
        written = modality.write(back, table)
        assert written["mag"].unit == u.mag
        assert written["mjd"].unit == u.day


def test_errors_are_in_units_of_the_scaled_value(tables, modality):
    record = read(modality, tables[0])
    scale = modality.learned.value.scale
    np.testing.assert_allclose(record.error * scale, np.asarray(tables[0]["magerr"]), rtol=1e-6)


def test_other_units_are_converted_to_those_of_fit():
    tables = [Table({"wavelength": np.arange(4000.0, 4100.0) * u.AA, "flux": np.arange(100.0) * u.Jy}) for _ in "ab"]
    modality = Sequence().learn(tables)
    other = Table(
        {"wavelength": tables[0]["wavelength"].quantity.to(u.nm), "flux": tables[0]["flux"].quantity.to(u.mJy)}
    )
    one, two = read(modality, tables[0]), read(modality, other)
    for name in ("value", "location"):
        np.testing.assert_allclose(getattr(one, name), getattr(two, name), rtol=1e-5, atol=1e-6)
    assert modality.write(modality.unscale(two.value, two), other)["flux"].unit == u.Jy
    with pytest.raises(TableError, match=r"X\[0\].*'flux'.*'kg'.*'Jy'"):
        read(modality, Table({"wavelength": tables[0]["wavelength"], "flux": np.ones(100) * u.kg}))


def test_quantity_tables_come_back_as_quantity_tables(tables, modality):
    written = modality.write(np.arange(len(tables[0]), dtype=float), QTable(tables[0]))
    assert type(written) is QTable
    assert written["mag"].unit == u.mag
    np.testing.assert_array_equal(written["mag"].value, np.arange(len(tables[0])))


def test_written_tables_have_location_band_value_and_meta_alone(tables, modality):
    tables[0]["quality"] = 1
    written = modality.write(np.zeros(len(tables[0])), tables[0])
    assert written.colnames == ["mjd", "filter", "mag"]
    assert written.meta == tables[0].meta
    written.meta["Redshift"] = 9
    assert tables[0].meta["Redshift"] == 0


def test_order_of_rows_is_canonical(tables, modality):
    """Shuffled rows make the same record, and decoded values find their way back to the rows."""
    for table in tables:
        table["mjd"][3:6] = table["mjd"][3]  # ties are broken by band, then by value
        order = np.random.default_rng(0).permutation(len(table))
        one, other = read(modality, table), read(modality, table[order])
        rows, shuffled = one.rows, other.rows
        assert_same_records(one.replace(rows=None), other.replace(rows=None))
        np.testing.assert_array_equal(order[shuffled], rows)
        assert (np.diff(one.location) >= 0).all()


def test_unobserved_rows_are_not_observed_but_decoded(tables, modality):
    table = tables[0]
    table["mag"][2] = np.nan
    table["mag"].mask[5] = True
    record = read(modality, table)
    assert record.observed.sum() == len(table) - 2
    assert modality.collate([record]).lengths.tolist() == [len(table) - 2]
    assert modality.collate([record], queries=True).lengths.tolist() == [len(table)]
    assert np.isfinite(modality.unscale(np.zeros(len(table), np.float32), record)).all()


def test_rows_without_a_location_come_back_as_nan(tables, modality):
    tables[0]["mjd"][4] = np.nan
    record = read(modality, tables[0])
    back = modality.unscale(np.zeros(len(record.observed), np.float32), record)
    assert np.flatnonzero(np.isnan(back)).tolist() == [4]
    draws = modality.unscale(np.zeros((len(record.observed), 3), np.float32), record)
    assert draws.shape == (len(tables[0]), 3)


def test_reading_without_values_needs_no_value_column(tables, modality):
    table = tables[0]["mjd", "filter"]
    record = read(modality, table, values=False)
    np.testing.assert_array_equal(record.location, read(modality, tables[0]).location)
    ragged = modality.collate([record], queries=True)
    assert not ragged.points["value"].any()


def test_collating_joins_records_end_to_end(tables, modality):
    records = [read(modality, t) for t in tables]
    ragged = modality.collate(records)
    assert ragged.lengths.tolist() == [len(t) for t in tables]
    batch = ragged.take(torch.arange(len(tables)))
    for i, record in enumerate(records):
        observed = batch.observed[i]
        for name in ("value", "location", "band", "error"):
            np.testing.assert_array_equal(getattr(batch, name)[i][observed], getattr(record, name))
    assert batch.band.dtype == torch.int64


@pytest.mark.parametrize("magnitude", [1e-30, 1e-17, 1e17, 1e30])
def test_values_of_any_magnitude_are_scaled_to_mean_0_and_deviation_1(magnitude):
    """Fluxes in erg / s / cm2 / A are about 1e-17."""
    rng = np.random.default_rng(0)
    tables = [Table({"time": np.arange(9.0), "flux": magnitude * (3 + rng.standard_normal(9))}) for _ in range(5)]
    modality = Sequence().learn(tables)
    records = [read(modality, t) for t in tables]
    values = np.concatenate([r.value for r in records])
    assert values.mean() == pytest.approx(0, abs=1e-5)
    assert values.std() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(modality.unscale(records[0].value, records[0]), tables[0]["flux"], rtol=1e-5)


def test_a_value_whose_square_overflows_is_refused_in_an_object_alone_too():
    with pytest.raises(TableError, match=r"X\[0\] column 'flux' is 1e\+300 at row 1, more than a million"):
        Sequence().learn([Table({"time": [5.0, 6.0, 7.0], "flux": [3.0, 1e300, 4.0]})])


def test_a_constant_but_for_rounding_is_not_scaled_up():
    flux = 1e25 * (1 + np.array([0, 1e-16, -3e-16, 2e-16]))
    table = Table({"time": np.arange(4.0), "flux": flux})
    assert np.abs(read(Sequence().learn([table]), table).value).max() < 1


def test_a_constant_value_or_location_is_no_division_by_0():
    modality = Sequence().learn([Table({"time": [5.0], "flux": [3.0]})])
    record = read(modality, Table({"time": [5.0, 6.0], "flux": [3.0, 4.0]}))
    np.testing.assert_array_equal(record.value, [0, 1])
    np.testing.assert_array_equal(record.location, [0, 1])
    modality.tokenizer(8)


# --- precision and resolution -----------------------------------------------------------------------


def test_mjd_keeps_its_precision():
    """Half-minute cadence over a night at MJD 60,000: float32 alone would round to 5 minutes."""
    mjd = 60000 + np.arange(1000) * 30 / 86400
    modality = Sequence().learn([Table({"mjd": mjd, "flux": np.sin(np.arange(1000.0))})])
    location = read(modality, Table({"mjd": mjd, "flux": np.ones(1000)})).location
    assert location.dtype == np.float32
    spacing = np.diff(location.astype(np.float64))
    np.testing.assert_allclose(spacing, spacing.mean(), rtol=1e-3)


def test_mjd_keeps_its_precision_over_years():
    """Minutes apart in nights that lie years apart: still distinct and in order."""
    mjd = np.concatenate([year * 365 + 58000 + np.arange(5) * 2 / 1440 for year in range(5)])
    modality = Sequence().learn([Table({"mjd": mjd, "flux": np.arange(25.0)})])
    location = read(modality, Table({"mjd": mjd, "flux": np.ones(25)})).location.astype(np.float64)
    apart = np.diff(location)[np.diff(mjd) < 1]
    np.testing.assert_allclose(apart, apart.mean(), rtol=0.05)


@pytest.mark.parametrize("spacing", [1e-3, 0.1, 30.0])
def test_location_features_resolve_the_finest_spacing(spacing):
    """Neighbours get clearly different features, whatever the unit."""
    place = 5000 + np.arange(500) * spacing
    modality = Sequence().learn([Table({"wavelength": place, "flux": np.sin(place)})])
    assert modality.learned.resolution * modality.learned.location.scale == pytest.approx(spacing, rel=1e-3)
    features = modality.tokenizer(8).location.features
    location = torch.from_numpy(read(modality, Table({"wavelength": place, "flux": np.sin(place)})).location)
    distance = torch.cdist(features(location), features(location)).fill_diagonal_(torch.inf)
    assert distance.min() > 1
    assert features.width <= 128  # four to an octave, not one per spacing


def test_near_simultaneous_points_of_two_bands_do_not_count_as_fine_sampling():
    nights = np.arange(20.0)
    time, band = np.concatenate([nights, nights + 0.01]), np.repeat(["g", "r"], 20)
    modality = Photometry().learn([Table({"time": time, "mag": np.sin(time), "band": band})])
    assert modality.learned.resolution * modality.learned.location.scale == pytest.approx(1, rel=1e-3)


def test_resolution_can_be_set_in_the_unit_of_the_location(tables):
    modality = Sequence(resolution=0.5).learn(tables)
    assert modality.learned.resolution * modality.learned.location.scale == pytest.approx(0.5)


def test_duplicate_locations_do_not_count_as_spacing():
    table = Table({"time": np.repeat(np.arange(20.0), 2), "flux": np.arange(40.0)})
    modality = Sequence().learn([table])
    assert modality.learned.resolution * modality.learned.location.scale == pytest.approx(1, rel=1e-3)


def test_spacings_between_objects_do_not_count():
    tables = [Table({"time": np.arange(20.0) + shift, "flux": np.arange(20.0)}) for shift in (0, 0.001)]
    modality = Sequence().learn(tables)
    assert modality.learned.resolution * modality.learned.location.scale == pytest.approx(1, rel=1e-3)


def test_clusters_of_points_do_not_count_as_fine_sampling():
    """Four exposures within half an hour, every ten days for years, are no sampling of ten minutes."""
    nights = 10.0 * np.arange(60)
    time = np.add.outer(nights, np.arange(4) / 150).ravel()
    modality = Sequence().learn([Table({"time": time, "mag": np.sin(time)})])
    mean = np.ptp(time) / (len(time) - 1)
    assert modality.learned.resolution * modality.learned.location.scale == pytest.approx(0.1 * mean)


@pytest.mark.parametrize("law", ["regular", "log", "random"])
def test_a_grid_and_random_places_are_resolved_to_their_finest_spacings(law):
    rng = np.random.default_rng(0)
    draw = {
        "regular": lambda: np.linspace(0, 10, 100),
        "log": lambda: np.geomspace(1, 10, 100),
        "random": lambda: np.sort(rng.uniform(0, 10, 100)),
    }[law]
    times = [draw() for _ in range(50)]
    modality = Sequence().learn([Table({"time": t, "flux": np.sin(t)}) for t in times])
    tenth = np.quantile(np.concatenate([np.diff(t) for t in times]), 0.1)
    assert modality.learned.resolution * modality.learned.location.scale == pytest.approx(tenth, rel=0.1)


# --- grid -------------------------------------------------------------------------------------------


def test_default_grid_covers_each_band_at_the_typical_density(tables, modality):
    grid = modality.grid()
    assert grid.colnames == ["mjd", "filter"]
    assert grid["mjd"].unit == u.day
    n_points = np.median([len(t) for t in tables])
    assert len(grid) == pytest.approx(n_points, abs=len(BANDS))
    for band in BANDS:
        measured = np.concatenate([t["mjd"][t["filter"] == band] for t in tables])
        places = np.asarray(grid["mjd"][grid["filter"] == band])
        assert measured.min() <= places.min() < np.quantile(measured, 0.1)
        assert np.quantile(measured, 0.9) < places.max() <= measured.max()
        np.testing.assert_allclose(np.diff(places), np.diff(places)[0])


def test_default_grid_can_be_read_and_has_typical_metadata(modality):
    grid = modality.grid()
    record = read(modality, grid, values=False)
    assert len(record.location) == len(grid)
    assert np.isfinite(record.numbers).all()
    assert (record.labels >= 0).all()
    assert grid.meta == {"redshift": pytest.approx(0.25), "survey": "ZTF"}


def test_a_grid_is_new_each_time(modality):
    modality.grid()["mjd"][:] = 0
    modality.grid().meta.clear()
    assert (modality.grid()["mjd"] > 0).all()
    assert modality.grid().meta


# --- bands ------------------------------------------------------------------------------------------


def test_bands_are_numbered_alphabetically_whatever_their_type(tables, modality):
    assert modality.learned.bands == BANDS
    record = read(modality, tables[0])
    names = np.array(BANDS)[record.band]
    np.testing.assert_array_equal(names, np.asarray(tables[0]["filter"])[record.rows])
    as_bytes = tables[0].copy()
    as_bytes["filter"] = np.asarray(tables[0]["filter"]).astype("S2")
    assert_same_records(read(modality, as_bytes), record)


def test_an_unknown_band_is_refused_by_name_or_ignored(tables):
    odd = tables[0].copy()
    odd["filter"] = np.where(np.arange(len(odd)) == 2, "z", odd["filter"])
    with pytest.raises(TableError, match=r"X\[0\].*'filter'.*'z'.*g, i, r.*unknown='ignore'"):
        read(Sequence().learn(tables), odd)
    tolerant = Sequence(unknown="ignore").learn(tables)
    record = read(tolerant, odd)
    assert len(record.location) == len(odd) - 1
    back = tolerant.unscale(np.zeros(len(odd) - 1, np.float32), record)
    assert np.flatnonzero(np.isnan(back)).tolist() == [2]


def test_a_masked_band_is_not_observed(tables, modality):
    tables[0]["filter"] = MaskedColumn(tables[0]["filter"], mask=np.arange(len(tables[0])) == 1)
    record = read(modality, tables[0])
    assert record.observed.sum() == len(tables[0]) - 1


def test_an_object_in_unknown_bands_only_is_refused(tables):
    odd = tables[0].copy()
    odd["filter"] = "z"
    with pytest.raises(TableError, match=r"X\[0\] has no point in a band seen in fit"):
        read(Sequence(unknown="ignore").learn(tables), odd)


# --- metadata ---------------------------------------------------------------------------------------


def test_metadata_are_numbers_or_labels_by_their_values(tables, modality):
    assert list(modality.learned.numbers) == ["redshift"]
    assert modality.learned.labels == {"survey": ("ZTF", "LSST")}  # commonest first
    numbers = np.array([read(modality, t).numbers[0] for t in tables])
    assert numbers.mean() == pytest.approx(0, abs=1e-6)
    assert numbers.std() == pytest.approx(1, rel=1e-5)
    assert [int(read(modality, t).labels[0]) for t in tables] == [1, 0, 0, 1, 0, 0]


def test_keys_of_metadata_ignore_case(tables, modality):
    upper = tables[1].copy()
    upper.meta = {k.upper(): v for k, v in tables[1].meta.items()}
    assert_same_records(read(modality, upper), read(modality, tables[1]))


@pytest.mark.parametrize("absent", [None, np.nan, np.ma.masked, "no key"])
def test_absent_metadata_give_no_token(tables, modality, absent):
    table = tables[1]
    table.meta["Redshift"] = absent
    if absent == "no key":
        del table.meta["Redshift"]
    batch = modality.collate([read(modality, table)]).take(torch.tensor([0]))
    tokens, present = modality.tokenizer(8).context(batch)
    assert tokens.shape == (1, 2, 8)
    assert tokens.isfinite().all()
    assert present.tolist() == [[False, True]]


def test_present_metadata_give_one_token_each_that_depends_on_the_value(tables, modality):
    tokenizer = modality.tokenizer(8)
    batch = modality.collate([read(modality, t) for t in tables]).take(torch.arange(len(tables)))
    tokens, present = tokenizer.context(batch)
    assert present.all()
    assert torch.pdist(tokens[:, 0]).min() > 1e-4  # six redshifts
    assert len(tokens[:, 1].unique(dim=0)) == 2  # two surveys


def test_without_metadata_there_are_no_tokens_of_them(tables):
    modality = Sequence().learn(tables)
    batch = modality.collate([read(modality, t) for t in tables]).take(torch.arange(2))
    tokens, present = modality.tokenizer(8).context(batch)
    assert tokens.shape == (2, 0, 8)
    assert present.shape == (2, 0)


def test_typical_metadata_fill_what_is_absent_and_nothing_else(tables, modality):
    table = tables[3]
    complete = read(modality, table)
    assert_same_records(modality.typical_metadata(complete), complete)
    table.meta = {"survey": "LSST"}
    filled = modality.typical_metadata(read(modality, table))
    median = modality.learned.numbers["redshift"].forward(0.25)
    np.testing.assert_allclose(filled.numbers, [median], rtol=1e-6)
    assert filled.labels.tolist() == [1]
    table.meta = {}
    assert modality.typical_metadata(read(modality, table)).labels.tolist() == [0]


def test_filling_leaves_the_record_as_it_was(tables, modality):
    tables[0].meta = {}
    record = read(modality, tables[0])
    modality.typical_metadata(record)
    assert np.isnan(record.numbers).all()
    assert (record.labels == -1).all()


def test_an_unknown_label_is_refused_by_name_or_ignored(tables):
    odd = tables[0].copy()
    odd.meta["survey"] = "Gaia"
    with pytest.raises(TableError, match=r"X\[0\].*'survey'.*'Gaia'.*ZTF, LSST.*unknown='ignore'"):
        read(DECLARATION.learn(tables), odd)
    tolerant = dataclasses.replace(DECLARATION, unknown="ignore").learn(tables)
    assert read(tolerant, odd).labels.tolist() == [-1]


def test_text_for_a_number_is_refused(tables, modality):
    tables[0].meta["Redshift"] = "unknown"
    with pytest.raises(TableError, match=r"X\[0\].*'redshift'.*'unknown'.*number"):
        read(modality, tables[0])


# --- arrays -----------------------------------------------------------------------------------------


@pytest.fixture
def rows():
    X = np.random.default_rng(0).standard_normal((5, 12))
    X[1, 3] = np.nan
    return list(X)


def test_rows_of_an_array_are_regular_sequences(rows):
    modality = Sequence().learn(rows)
    record = read(modality, rows[1])
    np.testing.assert_allclose(np.diff(record.location), np.diff(record.location)[0], rtol=1e-5)
    assert record.observed.sum() == 11
    assert modality.collate([record]).lengths.tolist() == [11]
    back = modality.unscale(np.nan_to_num(record.value), record)
    np.testing.assert_allclose(back[record.observed], rows[1][record.observed], rtol=1e-5, atol=1e-6)
    assert modality.write(back, rows[1]) is back
    assert modality.grid().shape == (12,)


def test_rows_and_tables_do_not_mix(rows, tables, modality):
    with pytest.raises(TableError, match="fit saw Tables"):
        read(modality, rows[0])
    with pytest.raises(TableError, match="fit saw a 2-D array"):
        read(Sequence().learn(rows), tables[0])
    with pytest.raises(TableError, match="metadata needs Tables"):
        Sequence(metadata=("redshift",)).learn(rows)


# --- tokens -----------------------------------------------------------------------------------------


def test_tokens_depend_on_value_location_and_band(tables, modality):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tokenizer = modality.tokenizer(8)
    batch = modality.collate([read(modality, tables[0])]).take(torch.tensor([0]))

    def tokens(batch):
        return tokenizer.add_values(tokenizer.queries(batch), batch.value)

    base = tokens(batch)
    assert base.shape == (1, len(tables[0]), 8)
    for changed in (
        batch.replace(value=batch.value + 0.1),
        batch.replace(location=batch.location + 0.1),
        batch.replace(band=(batch.band + 1) % 3),
    ):
        assert (tokens(changed) - base).norm(dim=-1).min() > 1e-4


def test_queries_hold_no_values(tables, modality):
    tokenizer = modality.tokenizer(8)
    batch = modality.collate([read(modality, tables[0])]).take(torch.tensor([0]))
    assert torch.equal(tokenizer.queries(batch), tokenizer.queries(batch.replace(value=batch.value + 1)))


def test_value_enters_linearly(tables, modality):
    tokenizer = modality.tokenizer(8)
    batch = modality.collate([read(modality, tables[0])]).take(torch.tensor([0]))
    queries = tokenizer.queries(batch)
    slope = tokenizer.add_values(queries, torch.ones_like(batch.value)) - queries
    torch.testing.assert_close(
        tokenizer.add_values(queries, batch.value), queries + batch.value[..., None] * slope, rtol=1e-4, atol=1e-5
    )


def test_head_gives_one_value_per_location(modality):
    assert modality.head(8)(torch.zeros(2, 5, 8)).shape == (2, 5)
