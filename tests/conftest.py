"""Shared by all tests: tiny objects, tiny estimators of every class, and one fitted estimator per class."""

from importlib.util import find_spec

import numpy as np
import pytest
import torch
from astropy import units as u
from astropy.table import MaskedColumn, Table
from threadpoolctl import threadpool_limits

import skdaep

TINY = dict(
    model_dim=8,
    n_heads=2,
    n_encoder_layers=1,
    n_decoder_layers=1,
    bottleneck_length=2,
    bottleneck_dim=2,
    hidden_length=4,
    n_components=4,
    core=None,  # the default has tests of its own, in estimators/test_core.py
    n_sampling_steps=3,
    max_iter=2,
    batch_size=8,
    random_state=0,
    device="cpu",
)


# pytest-xdist has a process on every core already; more threads only get in their way.
torch.set_num_threads(1)
threadpool_limits(1)


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    if item.get_closest_marker("callbacks") and find_spec("sklearn.callback") is None:
        pytest.skip("scikit-learn before 1.9 has no callbacks")


def light_curve(i: int, n: int | None = None) -> Table:
    """Return object i: n points (3 to 18 by default) in two bands, with units, errors, metadata and an odd column."""
    rng = np.random.default_rng([42, i])
    n = 3 + 5 * i % 16 if n is None else n
    time = np.sort(rng.uniform(0, 100, n))
    band = rng.choice(["g", "r"], n)
    depth, redshift = rng.uniform(0.5, 2), rng.uniform(0.01, 0.3)
    mag = 18 + depth * np.sin(time / 20 + i) + 0.5 * (band == "g") + 0.05 * rng.standard_normal(n)
    table = Table(meta={"object_id": f"SN{i}", "redshift": redshift, "survey": "ZTF" if i % 3 else "LSST"})
    table["quality"] = rng.integers(0, 9, n)
    table["time"] = time * u.day
    table["band"] = band
    table["mag"] = MaskedColumn(mag, mask=np.zeros(n, bool), unit=u.mag)
    table["mag_err"] = np.full(n, 0.05) * u.mag
    return table


def spectrum(i: int) -> Table:
    """Return the spectrum of object i."""
    rng = np.random.default_rng([7, i])
    wavelength = np.sort(rng.uniform(3500, 9000, 4 + 3 * i % 11))
    return Table(
        {"wavelength": wavelength, "flux": np.sin(wavelength / 500 + i) + 0.1 * rng.standard_normal(len(wavelength))}
    )


def objects_for(estimator_class) -> list:
    """Return twelve light curves; for estimators of several modalities with spectra, which some objects lack."""
    if estimator_class.__name__ not in skdaep.MULTIMODAL:
        return [light_curve(i) for i in range(12)]
    objects = [{"photometry": light_curve(i), "spectrum": spectrum(i)} for i in range(12)]
    objects[1]["spectrum"] = None
    del objects[7]["spectrum"]
    return objects


@pytest.fixture(scope="session")
def make_light_curve():
    return light_curve


@pytest.fixture(scope="session")
def make_spectrum():
    return spectrum


@pytest.fixture
def X():
    """Twelve light curves of differing lengths, new in every test."""
    return [light_curve(i) for i in range(12)]


@pytest.fixture(scope="session")
def make_objects(estimator_class):
    """Return a function that makes twelve objects of the kind that an estimator takes."""
    return lambda: objects_for(estimator_class)


@pytest.fixture
def objects(make_objects):
    """Twelve objects of the kind that an estimator takes, new in every test."""
    return make_objects()


@pytest.fixture
def y():
    return np.array(["Ia", "II"] * 6)


def pytest_generate_tests(metafunc):
    """Run what needs an estimator for every class, or for those that a mark or ESTIMATORS of its module names.

    A fixture of the same name in the module would not do: `make` is made once, for whatever class came before.
    """
    if "estimator_class" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("of")
        names = mark.args if mark else getattr(metafunc.module, "ESTIMATORS", skdaep.ESTIMATORS)
        metafunc.parametrize("estimator_class", names, indirect=True, scope="session")


@pytest.fixture(scope="session")
def estimator_class(request):
    return getattr(skdaep, request.param)


@pytest.fixture(scope="session")
def make(estimator_class):
    """Return a function that makes a tiny unfitted estimator with some parameters changed."""
    closed = estimator_class.__name__ in skdaep.CLOSED_FORM  # which uses no metadata
    photometry = skdaep.Photometry(metadata=() if closed else ("redshift", "survey"))
    if estimator_class.__name__ in skdaep.MULTIMODAL:
        declared = {"modalities": {"photometry": photometry, "spectrum": skdaep.Spectrum()}}
    else:
        declared = {"modality": photometry}
    parameters = declared | {k: v for k, v in TINY.items() if k in estimator_class(**declared).get_params()}
    if issubclass(estimator_class, skdaep.ContrastiveNeighbors):  # needs pairs to validate on
        parameters["validation_fraction"] = 0.4
    return lambda **changes: estimator_class(**parameters | changes)


@pytest.fixture(scope="session")
def has_draws(estimator_class):
    """Skip what is said of draws where there are none."""
    if estimator_class.objective_class.draws is None:
        pytest.skip("has no draws")


@pytest.fixture(scope="session")
def supported_draws(estimator_class):
    """Two draws, or the point estimate of an estimator without draws."""
    return None if estimator_class.objective_class.draws is None else 2


@pytest.fixture(scope="session")
def fresh(make, estimator_class):
    """What ``make().fit(objects)`` gives; not to be changed."""
    return make().fit(objects_for(estimator_class))


@pytest.fixture(scope="session")
def fitted(make, estimator_class):
    """An estimator fitted long enough that its codes and draws differ between objects; not to be changed."""
    return make(max_iter=30, early_stopping=False).fit(objects_for(estimator_class))
