"""Locations on a circle: phase 0.99 is next to 0.01, for tokens, noise, grids and whole encoders."""

import numpy as np
import pytest
import torch
from astropy import units as u
from astropy.table import QTable, Table
from scipy.stats import pearsonr

import skdaep
from skdaep import DAEPEncoder, OutOfRangeWarning, Photometry, Sequence, SpectralSeries, TableError
from skdaep.preprocessing import PhaseFold

SETTINGS = dict(model_dim=16, n_encoder_layers=1, n_decoder_layers=1, max_iter=5, device="cpu", random_state=0)


def star(i, turn=0, n=30):
    phase = np.random.default_rng(i).uniform(0, 1, n)
    return Table({"phase": phase + turn, "mag": 15 + np.sin(2 * np.pi * phase + i)})


@pytest.fixture(scope="module")
def X():
    return [star(i) for i in range(20)]


@pytest.fixture(scope="module")
def encoder(X):
    return DAEPEncoder(Sequence(cycle=1.0), **SETTINGS).fit(X)


def features(modality, phase):
    record = modality.read(Table({"phase": phase, "mag": np.full(len(phase), 15.0)}), "X[0]")
    return modality.tokenizer(16).location.features(torch.as_tensor(record.location)).numpy()


def test_the_ends_of_a_cycle_are_neighbours(X):
    across, within = np.array([0.002, 0.998]), np.array([0.498, 0.502])
    far = np.array([0.25, 0.75])
    circle, line = Sequence(cycle=1.0).learn(X), Sequence().learn(X)

    def distance(modality, pair):
        return np.linalg.norm(np.subtract(*features(modality, pair)))

    assert distance(circle, across) < 0.5 * distance(circle, far)
    assert distance(circle, across) == pytest.approx(distance(circle, within), rel=1e-4)
    assert distance(line, across) > 1.5 * distance(line, within)


def test_features_turn_a_whole_number_of_times(X):
    modality = Sequence(cycle=1.0).learn(X)
    angular = modality.tokenizer(16).location.features.angular.numpy()
    turns = angular * modality.separations().cycle / (2 * np.pi)
    np.testing.assert_allclose(turns, np.unique(np.round(turns)), atol=1e-4)
    assert turns[0] == pytest.approx(1)
    assert turns[-1] == pytest.approx(30 / 2, abs=1), "two places of each turn, as an object has points"


def test_whole_turns_change_nothing(encoder, X):
    later = [star(i, turn=i - 7) for i in range(20)]
    np.testing.assert_allclose(encoder.transform(later), encoder.transform(X), atol=1e-4)
    here, there = (encoder.reconstruct(x, n_draws=2)[3]["mag"] for x in (X, later))
    np.testing.assert_allclose(here, there, atol=1e-3)
    line = DAEPEncoder(**SETTINGS).fit(X)
    with pytest.warns(OutOfRangeWarning):
        assert not np.allclose(line.transform(later), line.transform(X), atol=1e-2)


def test_what_is_written_has_the_phases_given(encoder):
    assert (encoder.reconstruct([star(0, turn=5)])[0]["phase"] == star(0, turn=5)["phase"]).all()


def test_the_cycle_is_in_the_unit_of_fit(X):
    degrees = [Table({"phase": 360 * x["phase"] * u.deg, "mag": x["mag"]}) for x in X]
    one, other = Sequence(cycle=1.0).learn(X), Sequence(cycle=360.0).learn(degrees)
    np.testing.assert_allclose(np.hstack(one.separations()), np.hstack(other.separations()))
    radians = Table({"phase": 2 * np.pi * X[0]["phase"] * u.rad, "mag": X[0]["mag"]})
    np.testing.assert_allclose(other.read(radians, "").location, one.read(X[0], "").location, atol=1e-5)


def test_the_default_grid_goes_once_around(X):
    grid = Sequence(cycle=1.0).learn(X).grid()["phase"]
    np.testing.assert_allclose(grid, np.arange(30) / 30)
    assert DAEPEncoder(Sequence(cycle=1.0), **SETTINGS).fit(X).inverse_transform(np.zeros((1, 16)))[0].colnames


def test_values_between_points_are_found_across_the_end(X):
    modality = Sequence(cycle=1.0).learn(X)
    ends = modality.read(Table({"phase": [0.05, 0.95], "mag": [15.0, 15.0]}), "X[0]")
    middle = modality.read(Table({"phase": [0.0, 0.5], "mag": [15.0, 15.0]}), "X[0]")
    one = modality.read(Table({"phase": [0.05, 0.5, 0.95], "mag": [14.0, 20.0, 16.0]}), "X[0]")
    assert modality.values_at(ends, middle) == pytest.approx([modality.learned.value.forward(15.0)] * 2)
    assert modality.values_at(one, middle)[0] == pytest.approx(modality.learned.value.forward(15.0), abs=1e-4)


def test_draws_are_as_much_alike_across_the_end_as_within():
    """Phase noise of one scale in every object, which the correlation learns; the ends of a draw then meet."""
    rng = np.random.default_rng(0)
    X = []
    for _ in range(60):
        phase, (a, b) = np.sort(rng.uniform(0, 1, 40)), rng.standard_normal((2, 3))
        k = np.arange(1, 4)
        angle = 2 * np.pi * k * phase[:, None]
        X.append(Table({"phase": phase, "mag": np.cos(angle) @ a + np.sin(angle) @ b}))
    encoder = DAEPEncoder(Sequence(cycle=1.0), bottleneck_length=1, bottleneck_dim=1, **SETTINGS).fit(X)
    assert max(encoder.model_.correlation[next(iter(encoder.modalities_))].weights) > 0.1
    places = Table({"phase": [0.005, 0.995, 0.5], "mag": np.zeros(3)})
    draws = encoder.inverse_transform(encoder.transform(X[:1]), at=[places], n_draws=300)[0]["mag"]
    near, far = pearsonr(draws[0], draws[1])[0], pearsonr(draws[0], draws[2])[0]
    assert near > 0.8
    assert abs(far) < near


# --- what says that there is one ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Table, QTable])
def test_phase_fold_is_known_by_its_mark(kind):
    X = [
        kind({"mjd": (60000 + 9 * star(i)["phase"]) * u.d, "mag": star(i)["mag"]}, meta={"period": 2.0})
        for i in range(5)
    ]
    assert Photometry().learn(X).cycle is None
    step = PhaseFold()
    Z = step.fit_transform(X)
    assert Photometry().learn(Z).cycle == 1.0
    assert Photometry().learn([z[::2] for z in Z]).cycle == 1.0
    assert Photometry(cycle=2.0).learn(Z).cycle == 2.0, "what is declared holds"
    assert Photometry().learn(step.inverse_transform(Z)).cycle is None
    decoded = DAEPEncoder(**SETTINGS).fit(Z).reconstruct(Z)
    assert Photometry().learn(decoded).cycle == 1.0


def test_folded_and_unfolded_objects_together_are_refused():
    X = [Table({"mjd": star(i)["phase"], "mag": star(i)["mag"]}, meta={"period": 2.0}) for i in range(5)]
    Z = PhaseFold().fit_transform(X)
    with pytest.raises(TableError, match=r"X\[0\] and X\[3\] disagree on whether column 'mjd' is a phase.*cycle="):
        Sequence().learn([*Z[:3], X[3]])


def test_the_cycle_is_saved(encoder, X, tmp_path):
    encoder.save(tmp_path / "stars.safetensors")
    same = skdaep.load(tmp_path / "stars.safetensors")
    assert same.modality == Sequence(cycle=1.0)
    assert same.modalities_ == encoder.modalities_
    assert same.model_.correlation == encoder.model_.correlation
    np.testing.assert_array_equal(same.transform(X), encoder.transform(X))


@pytest.mark.parametrize(
    ("cycle", "error"), [(0.0, ValueError), (-1.0, ValueError), (np.inf, ValueError), ("1", TypeError)]
)
def test_a_cycle_that_is_none_is_refused(X, cycle, error):
    with pytest.raises(error, match=r"Sequence\(cycle=.*a positive number in the unit of the location"):
        Sequence(cycle=cycle).learn(X)


def test_a_wavelength_is_no_circle():
    X = [
        Table({"time": [0.0, 0.0, 1.0], "wavelength": [1.0, 2.0, 1.0], "flux": [1.0, 2.0, float(i)]}) for i in range(3)
    ]
    with pytest.raises(TableError, match=r"cycle=1\): 'wavelength' does not lie on a circle"):
        SpectralSeries(cycle=1.0).learn(X)
