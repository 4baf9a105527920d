"""Shared by the tests of pictures: estimators fitted once, and no figure left open."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy.table import Table

from skdaep import DAEPEncoder, Image, MultimodalDAEP, Photometry, Spectrum

mpl.use("Agg")

TINY = dict(model_dim=8, n_heads=2, n_encoder_layers=1, n_decoder_layers=1, bottleneck_length=2, bottleneck_dim=2)
TINY |= dict(n_sampling_steps=3, max_iter=10, batch_size=8, random_state=0, device="cpu", early_stopping=False)


@pytest.fixture(autouse=True)
def _close():
    plt.close("all")
    yield
    plt.close("all")


def make_spectrum(i, n=None):
    rng = np.random.default_rng([7, i])
    wavelength = np.sort(rng.uniform(3500, 9000, n or 6 + 3 * i % 11))
    flux = np.sin(wavelength / 500 + i) + 0.1 * rng.standard_normal(len(wavelength))
    return Table({"wavelength": wavelength, "flux": flux}, units={"wavelength": "Angstrom", "flux": "mJy"})


def make_image(i):
    return np.random.default_rng([8, i]).normal(size=(8, 8)) + i % 3


@pytest.fixture(scope="session")
def spectra():
    return [make_spectrum(i) for i in range(12)]


@pytest.fixture(scope="session")
def images():
    return np.array([make_image(i) for i in range(12)])


@pytest.fixture(scope="session")
def objects(make_light_curve, spectra, images):
    """Twelve objects of three modalities; two lack one."""
    rows = zip([make_light_curve(i) for i in range(12)], spectra, images, strict=True)
    objects = [dict(zip(("light curve", "spectrum", "image"), row, strict=True)) for row in rows]
    objects[1]["spectrum"] = objects[4]["image"] = None
    return objects


@pytest.fixture(scope="session")
def of_light_curves(make_light_curve):
    X = [make_light_curve(i) for i in range(12)]
    return DAEPEncoder(Photometry(metadata=("redshift",)), **TINY).fit(X)


@pytest.fixture(scope="session")
def of_spectra(spectra):
    return DAEPEncoder(**TINY).fit(spectra)


@pytest.fixture(scope="session")
def of_rows():
    return DAEPEncoder(**TINY).fit(np.random.default_rng(0).normal(size=(20, 6)))


@pytest.fixture(scope="session")
def of_images(images):
    return DAEPEncoder(Image(), **TINY).fit(images)


@pytest.fixture(scope="session")
def of_several(objects):
    modalities = {"light curve": Photometry(metadata=("redshift",)), "spectrum": Spectrum(), "image": Image()}
    return MultimodalDAEP(modalities, encoder_hidden_length=3, **TINY).fit(objects)
