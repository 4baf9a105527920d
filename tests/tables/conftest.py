"""Shared by the tests of tables: spectra with units and errors, an estimator of them, and what it must give."""

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table


def spectrum(i, n=12):
    rng = np.random.default_rng([7, i])
    wavelength = np.sort(rng.uniform(4000, 8000, n))
    flux = 2 + np.sin(wavelength / 500 + i) + 0.02 * rng.standard_normal(n)
    return Table({"wavelength": wavelength * u.AA, "flux": flux * u.mJy, "flux_err": np.full(n, 0.02) * u.mJy})


@pytest.fixture
def spectra():
    return [spectrum(i) for i in range(8)]


@pytest.fixture(scope="module")
def of_spectra(make):
    """Fitted to spectra in Angstrom and mJy."""
    return make(modality=None, max_iter=20, early_stopping=False).fit([spectrum(i) for i in range(8)])


@pytest.fixture(scope="session")
def assert_same_code():
    """Return a function that compares what an estimator makes of objects with what it is to make of them."""

    def compare(estimator, X, expected):
        np.testing.assert_allclose(estimator.transform(X), expected, rtol=1e-5, atol=1e-6)

    return compare
