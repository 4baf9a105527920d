"""Simulated observations of periodic variable stars, unfolded, as a survey has them."""

from __future__ import annotations

import numpy as np

from ._simulate import N_HELD_OUT, simulate
from ._variable_star import START, VariableStar, draw_star

SEASONS, SEASON = 3, 200.0  # number of years, and days per year in which the field is visible at night
BANDS = np.array(["g", "r"])


def make_variable_stars(n_objects=500, *, random_state=None, return_truth=False):
    r"""Simulate unfolded two-band light curves of periodic variable stars of seven classes.

    Each object has 80 to 200 points in g and r over three seasons of 200 days. All are taken at night from one site, so
    frequencies that differ by one cycle per day are hard to distinguish. Classes are equally frequent.

    Parameters
    ----------
    n_objects : int, default=500
        Number of objects.
    random_state : int, RandomState, Generator or None, default=None
        Seed. With an int, object i does not depend on `n_objects`. None draws fresh entropy; numpy's global generator
        is never used.
    return_truth : bool, default=False
        Whether to also return the noise-free truth.

    Returns
    -------
    X : list of astropy.table.Table
        Columns ``mjd``, ``mag``, ``mag_err`` and ``band`` ("g" or "r"); ``meta`` has ``object_id`` alone.
    y : ndarray of str, shape (n_objects,)
        "RRab", "RRc", "DSCT", "CEP", "MIRA", "EA" or "EW".
    truth : SimulatedTruth
        Noise-free values at the rows of X and at 100 other times in either band per object, and the parameters:
        period, amplitude, colour, mean magnitude in g, and MJD of phase 0. Only if `return_truth` is True.

    See Also
    --------
    make_supernova_light_curves : Light curves of supernovae.

    Notes
    -----
    Pulsating stars (RR Lyrae in the fundamental mode and the first overtone, delta Scuti, Cepheids, Miras) are warped
    sines: :math:`m = -\frac12 A\,[c + \kappa (c^2 - 1)]`, :math:`c = \cos 2\pi u(\phi)`, where u runs through half a
    turn while the star fades and through the other half in the rest, 10 to 24 % of the period for RRab, nearly half for
    the overtone. In RRab stars the amplitude decreases with the period (the Bailey diagram), and large amplitudes have
    a steeper rise. Amplitudes are smaller in r, because the temperature changes. Detached binaries (EA) are two spheres
    of uniform surface brightness on a circular orbit: the light lost is that of the area that two discs share. Contact
    binaries (EW) are ellipsoidal, with two minima of nearly equal depth, so a search finds half of their period.

    References
    ----------
    Catelan, M. & Smith, H. A. 2015, Pulsating Stars (shapes, periods, amplitudes).
    Drake, A. J. et al. 2017, MNRAS 469, 3688 (what a survey finds).

    Examples
    --------
    >>> from skdaep.datasets import make_variable_stars
    >>> X, y = make_variable_stars(3, random_state=0)
    >>> X[0].colnames
    ['mjd', 'mag', 'mag_err', 'band']
    """
    return simulate(_observe, 3, n_objects, random_state, return_truth, draw_star, _parameters)


def _parameters(star: VariableStar, more: dict) -> dict:
    return {name: value for name, value in vars(star).items() if name not in ("label", "shape")} | more


def _observe(star: VariableStar, rng: np.random.Generator, with_truth: bool):
    mjd = _visits(rng, rng.integers(80, 201))
    red = rng.integers(0, 2, len(mjd)).astype(bool)
    mag = star.magnitude(mjd, red)
    error = np.hypot(0.01, 0.02 * 10 ** (0.4 * (mag - 17)))  # calibration and sky noise
    noisy = mag + error * rng.standard_normal(len(mag))
    columns = {"mjd": mjd, "mag": noisy, "mag_err": error, "band": BANDS[red.astype(int)]}
    elsewhere = None
    if with_truth:
        other, other_red = np.sort(rng.uniform(mjd[0], mjd[-1], N_HELD_OUT)), rng.integers(0, 2, N_HELD_OUT)
        elsewhere = {"mjd": other, "mag": star.magnitude(other, other_red.astype(bool)), "band": BANDS[other_red]}
    return columns, mag, elsewhere, {}


def _visits(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return sorted times of random nights, around midnight, when the field is high."""
    night = 365 * rng.integers(0, SEASONS, n) + np.floor(rng.uniform(0, SEASON, n))
    return np.sort(START + night + 0.25 + rng.normal(0, 0.06, n))
