"""Training objects as answers: which may answer, in what order, and what they say."""

import copy

import numpy as np
import pytest
from astropy.table import Table
from sklearn.neighbors import NearestNeighbors

from skdaep import ContrastiveNeighbors, Image, Photometry, Spectrum
from skdaep.modalities import Record
from skdaep.model.neighbors import flatten_records, metadata_arrays, ranking, unflatten_records

TINY = dict(model_dim=16, n_heads=2, n_encoder_layers=1, bottleneck_length=2, bottleneck_dim=2)
TINY |= dict(encoder_hidden_length=3, max_iter=3, batch_size=32, random_state=0, device="cpu", early_stopping=False)
MODALITIES = {
    "light curve": Photometry(value="mag", location="time", metadata=("survey",)),
    "spectrum": Spectrum(metadata=("phase",)),
    "image": Image(),
}


def light_curve(i, bands="gr"):
    rng = np.random.default_rng([1, i])
    time, band = np.linspace(0, 10, 8), np.resize(list(bands), 8)
    mag = i / 10 + 0.1 * np.sin(time + i) + (band == "r") + 0.01 * rng.normal(size=8)
    return Table({"time": time, "band": band, "mag": mag}, meta={"survey": "ZTF" if i % 4 else "LSST"})


def spectrum(i):
    wavelength = np.linspace(4000, 8000 + 20 * i, 12)
    return Table({"wavelength": wavelength, "flux": i + np.cos(wavelength / 700 + i)}, meta={"phase": float(i % 8)})


def image(i):
    return np.random.default_rng([2, i]).normal(size=(8, 8)) + i / 10


def make_objects():
    X = [{"light curve": light_curve(i), "spectrum": spectrum(i), "image": image(i)} for i in range(40)]
    for i in range(0, 40, 5):
        X[i]["spectrum"] = None
    for i in range(1, 40, 5):
        X[i]["light curve"] = light_curve(i, "g")
    X[3]["image"][:4] = np.nan
    del X[4]["light curve"]
    return X


@pytest.fixture
def X():
    return make_objects()


@pytest.fixture(scope="module")
def fitted():
    return ContrastiveNeighbors(MODALITIES, **TINY).fit(make_objects())


def numbers_of(x, name, value):
    return np.asarray(x[name] if name == "image" else x[name][value], float)


# --- who answers ------------------------------------------------------------------------------------


def record(numbers=(), labels=()):
    nothing = np.zeros(0, np.float32)
    empty = dict.fromkeys(("value", "location", "band", "error", "observed"), nothing)
    return Record(**empty, numbers=np.array(numbers, np.float32), labels=np.array(labels, np.int64))


def order(distance, own, target, tolerance=0.5):
    found, n = ranking(np.array(distance), metadata_arrays(own), target, tolerance)
    assert sorted(found) == list(range(len(own)))
    return found.tolist(), n


def test_without_metadata_the_nearest_is_first():
    assert order([0.3, 0.1, 0.2], [record()] * 3, record()) == ([1, 2, 0], 3)


def test_those_as_near_as_one_another_stay_in_order_whatever_the_last_bits_say():
    assert order([0.3 + 1e-8, 0.3, 0.1], [record()] * 3, record()) == ([2, 0, 1], 3)


def test_near_numbers_come_first_and_the_others_by_their_numbers():
    own = [record([x]) for x in (0.0, 0.1, -0.4, 0.6, 3.0, *np.linspace(-0.3, 0.3, 8), np.nan)]
    distance = [0.9, 0.8, 0.7, 0.0, 0.0, *[1.0] * 8, 0.0]
    found, n = order(distance, own, record([0.0]))
    assert found[:3] == [2, 1, 0]
    assert found[-3:] == [3, 4, 13]
    assert n == 14


def test_where_few_are_near_the_ten_nearest_in_number_are_compared():
    own = [record([x]) for x in range(14)]
    distance = np.linspace(1, 0, 14)
    found, _ = order(distance, own, record([0.0]))
    assert found == [*range(9, -1, -1), 10, 11, 12, 13]


def test_all_numbers_must_be_near():
    own = [record([0.0, 9.0]), *[record([0.2, -0.2])] * 10]
    assert order([0.0, *[0.5] * 10], own, record([0.0, 0.0]))[0][-1] == 0


def test_another_label_may_not_answer_and_one_not_asked_for_may():
    own = [record(labels=[k]) for k in (0, 1, 1, 0, -1)]
    distance = [0.1, 0.4, 0.3, 0.0, 0.2]
    assert order(distance, own, record(labels=[1])) == ([2, 1, 3, 0, 4], 2)
    assert order(distance, own, record(labels=[-1])) == ([3, 0, 4, 2, 1], 5)
    assert order(distance, own, record(labels=[7])) == ([3, 0, 4, 2, 1], 5)  # none has it


def test_numbers_not_asked_for_do_not_count():
    own = [record([5.0]), record([np.nan]), record([0.0])]
    assert order([0.1, 0.0, 0.2], own, record([np.nan])) == ([1, 0, 2], 3)


# --- what is kept -----------------------------------------------------------------------------------


def test_packed_records_come_back(fitted, X):
    records = fitted.model_.read(list(fitted._stream(X)))
    packed = flatten_records(records)
    assert all(isinstance(v, np.ndarray) and v.dtype != object for v in packed.values())
    back = unflatten_records(packed)
    assert [set(r) for r in back] == [set(r) for r in records]
    for one, other in zip(back, records, strict=True):
        for name, record in one.items():
            for field in ("value", "location", "band", "error", "observed", "numbers", "labels"):
                np.testing.assert_array_equal(getattr(record, field), getattr(other[name], field), err_msg=field)


def test_what_is_kept_is_no_view_of_the_user_s_data(fitted, X):
    estimator = ContrastiveNeighbors(MODALITIES, **TINY).fit(X)
    before = estimator.reconstruct(X[6:7], modality="image")
    X[6]["image"][:] = 0
    np.testing.assert_array_equal(estimator.reconstruct(make_objects()[6:7], modality="image"), before)


# --- what is said -----------------------------------------------------------------------------------


def test_an_object_of_fit_is_its_own_neighbour(fitted, X):
    assert fitted.score(X) == pytest.approx(0, abs=1e-6)
    for x, rebuilt in zip(X, fitted.reconstruct(X), strict=True):
        for name, column in (("light curve", "mag"), ("spectrum", "flux"), ("image", None)):
            if x.get(name) is not None:
                own, said = (numbers_of(o, name, column) for o in (x, rebuilt))
                np.testing.assert_allclose(said[np.isfinite(own)], own[np.isfinite(own)], atol=1e-5)
                assert np.isfinite(said).all()


def test_draws_are_the_nearest_of_those_that_have_the_modality(fitted, X):
    query = [{"image": image(i) + 0.3} for i in (50, 7, 13)]
    at = spectrum(30)
    del at.meta["phase"]
    estimator = copy.deepcopy(fitted).set_params(metadata_tolerance=100)  # phase does not matter
    draws = estimator.reconstruct(query, modality="spectrum", at=at, n_draws=4, output="arrays")
    having = [x for x in X if x["spectrum"] is not None]
    search = NearestNeighbors(metric="cosine").fit(fitted.transform(having))
    _, nearest = search.kneighbors(fitted.transform(query), 4)
    wavelength = np.asarray(at["wavelength"])
    for own, rows in zip(draws, nearest, strict=True):
        assert own.shape == (12, 4)
        for draw, i in zip(own.T, rows, strict=True):
            table = having[i]["spectrum"]
            expected = np.interp(wavelength, np.asarray(table["wavelength"]), np.asarray(table["flux"]))
            np.testing.assert_allclose(draw, expected, atol=2e-4)
    point = estimator.reconstruct(query, modality="spectrum", at=at, output="arrays")
    np.testing.assert_array_equal(np.array(draws)[..., 0], point)
    decoded = estimator.inverse_transform(fitted.transform(query), modality="spectrum", at=[at] * 3, n_draws=4)
    np.testing.assert_allclose([t["flux"] for t in decoded], draws, atol=1e-6)


def test_neighbours_have_the_metadata_asked_for(fitted, X):
    """Phases are whole days 0 to 7: a tolerance of less than a day leaves those of that day, were they ten."""
    estimator = copy.deepcopy(fitted).set_params(metadata_tolerance=0.1)
    levels = {i: x["spectrum"]["flux"].mean() for i, x in enumerate(X) if x["spectrum"] is not None}
    for phase in (0.0, 3.0, 7.0):
        at = Table({"wavelength": np.linspace(4000, 8000, 12)}, meta={"phase": phase})
        (own,) = estimator.reconstruct([{"image": image(60)}], modality="spectrum", at=at, n_draws=10, output="arrays")
        found = [min(levels, key=lambda i, x=x: abs(levels[i] - x)) for x in own.mean(0)]
        assert max(abs(i % 8 - phase) for i in found) <= 2


def test_a_band_that_the_neighbour_lacks_comes_from_the_next(fitted, X):
    """Object 6 has g only; r is that of the next nearest that has it."""
    (own,) = fitted.reconstruct([X[6]], modality="light curve", at=light_curve(6), output="arrays")
    asked = light_curve(6)
    g = np.asarray(asked["band"]) == "g"
    table = X[6]["light curve"]
    np.testing.assert_allclose(own[g], np.interp(asked["time"][g], table["time"], table["mag"]), atol=1e-5)
    survey = [x for x in X if x.get("light curve") and x["light curve"].meta["survey"] == "ZTF"]
    with_r = [x["light curve"] for x in survey if "r" in x["light curve"]["band"]]
    place = fitted.transform([x for x in survey if "r" in x["light curve"]["band"]]) @ fitted.transform([X[6]])[0]
    nearest = with_r[place.argmax()]
    r = np.asarray(nearest["band"]) == "r"
    expected = np.interp(asked["time"][~g], np.asarray(nearest["time"])[r], np.asarray(nearest["mag"])[r])
    np.testing.assert_allclose(own[~g], expected, atol=1e-5)


def test_a_patch_that_the_neighbour_lacks_comes_from_the_next(fitted, X):
    (own,) = fitted.reconstruct(X[3:4], modality="image")
    np.testing.assert_allclose(own[4:], X[3]["image"][4:], atol=1e-5)
    others = [x["image"] for i, x in enumerate(X) if i != 3]
    assert min(np.abs(own[:4] - other[:4]).max() for other in others) < 1e-5


def test_more_draws_than_there_are_objects_are_refused(fitted, X):
    assert fitted.reconstruct(X[:1], modality="spectrum", n_draws=32)[0]["flux"].shape[1] == 32
    with pytest.raises(ValueError, match="n_draws=33: only 32 training objects have a 'spectrum'"):
        fitted.reconstruct(X[:1], modality="spectrum", n_draws=33)
    with pytest.raises(ValueError, match="n_draws=10: only 9 training objects have a 'light curve' with the requested"):
        fitted.reconstruct(X[8:9], modality="light curve", n_draws=10)


def test_alignment_finds_the_other_modality():
    """Each object's level shows in both; untrained, neighbours say no more than a random object does."""
    rng = np.random.default_rng(0)
    level = rng.uniform(-1, 1, 90)

    def tables(names):
        return [
            Table({names[0]: np.arange(6.0), names[1]: sign * x + 0.1 * np.sin(np.arange(6))})
            for x, sign in zip(level, [1 if names[1] == "mag" else -1] * 90, strict=True)
        ]

    X = [{"p": p, "s": s} for p, s in zip(tables(("time", "mag")), tables(("wavelength", "flux")), strict=True)]
    modalities = {"p": Photometry(band=None), "s": Spectrum()}
    options = TINY | {"max_iter": 100}
    estimator = ContrastiveNeighbors(modalities, **options).fit(X[:70])
    query = [{"p": x["p"]} for x in X[70:]]
    found = estimator.reconstruct(query, modality="s", output="arrays")
    error = np.abs(np.mean(found, 1) + level[70:]).mean()
    assert error < 0.15  # 0.67 between two random objects
