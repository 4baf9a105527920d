"""What a fit says of itself."""

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import Table

from skdaep import FunctionalPCA, LevelOnlyWarning, Photometry
from skdaep.estimators._advice import explained_beyond_levels
from skdaep.modalities import Record
from skdaep.preprocessing import PhaseFold, Standardize


def variables(n=60, location="mjd"):
    """Return sinusoids of known periods at random levels and phases, observed over ten years."""
    rng = np.random.default_rng(0)
    X = []
    for period in rng.uniform(0.3, 0.9, n):
        mjd = np.sort(rng.uniform(0, 3650, 60))
        mag = rng.normal(15, 2) + 0.4 * np.sin(2 * np.pi * mjd / period) + 0.02 * rng.standard_normal(60)
        X.append(Table({location: mjd, "mag": mag, "mag_err": np.full(60, 0.02)}, meta={"period": period}))
    return X


def pca():
    return FunctionalPCA(Photometry(), n_components=3, random_state=0)


def test_unfolded_variables_teach_their_level_and_a_fit_says_so():
    with pytest.warns(LevelOnlyWarning, match=r"mean level of each .* FindPeriod, PhaseFold and Standardize") as said:
        pca().fit(variables())
    assert len(said) == 1
    assert said[0].filename == __file__


def test_shapes_teach_more():
    X = PhaseFold(epoch="faintest").fit_transform(variables())
    pca().fit(Standardize().fit_transform(X))  # warnings are errors


def test_what_is_no_light_curve_is_not_spoken_of():
    FunctionalPCA(n_components=3, random_state=0).fit(variables(location="wavelength"))


def model(values):
    """Return a model that rebuilds objects as these values."""
    live = SimpleNamespace(n_point_draws=0)
    return SimpleNamespace(live=lambda: live, reconstruct=lambda records, name: values)


def records(values, error):
    """Return records of two bands with these values."""
    n = len(values[0])
    same = {"location": np.arange(n), "band": np.arange(n) % 2, "error": np.full(n, error), "numbers": [], "labels": []}
    return [{"lc": Record(value=v, observed=np.ones(n, bool), **same)} for v in values]


@pytest.mark.parametrize(("left", "share"), [(0.0, 1.0), (0.5, 0.75), (1.0, 0.0)])
def test_the_share_explained(left, share):
    rng = np.random.default_rng(0)
    level, shape = rng.normal(0, 5, (12, 2)), rng.normal(size=(12, 40))
    shape -= shape.reshape(12, 20, 2).mean(1)[:, np.arange(40) % 2]
    values = level[:, np.arange(40) % 2] + shape
    rebuilt = model(values - left * shape)
    assert explained_beyond_levels(rebuilt, "lc", records(values, np.nan)) == pytest.approx(share)
    noisy = records(values, 0.5)  # of which the errors' variance is nobody's to explain
    beyond = (shape**2).sum(1)
    beyond = beyond[beyond > 20]
    expected = np.median(1 - (left**2 * beyond - 10) / (beyond - 10))
    assert explained_beyond_levels(rebuilt, "lc", noisy) == pytest.approx(expected)


def test_noise_and_few_objects_tell_nothing():
    values = np.random.default_rng(0).normal(size=(12, 40))
    assert explained_beyond_levels(model(0 * values), "lc", records(values, 1.0)) is None
    assert explained_beyond_levels(model(0 * values[:9]), "lc", records(values[:9], 0.1)) is None
