"""Simulated observations of supernovae: irregular, gappy, noisy, with the truth at hand."""

from __future__ import annotations

from numbers import Integral
from typing import NamedTuple

import numpy as np
from astropy import units as u
from astropy.table import Table

from ._supernova import BANDS, CLASSES, LINES, draw_supernova

SPECTRUM_RANGE = (3500.0, 8500.0)  # Angstrom, rest frame
UNITS = {"wavelength": u.AA, "time": u.day, "mjd": u.day, "mag": u.mag, "mag_err": u.mag}
N_HELD_OUT = 100
NIGHTS = np.arange(-20.0, 101.0)  # days from maximum, in the observer's frame
BAND_NAMES = np.array(list(BANDS))
FAINTEST_SNR = 4.0  # computed without noise: otherwise only upward fluctuations of faint points would be detected


class SimulatedTruth(NamedTuple):
    """The truth behind simulated measurements.

    Each field has one entry per object, in the order of X.

    Parameters
    ----------
    held_out : list of astropy.table.Table
        Noise-free values at locations that are not in X, within the range of X and in its gaps. Columns, units and
        ``meta`` are those of X, without the error column, so they can be passed as ``at=``.
    measured : list of ndarray
        Noise-free values at the rows of X.
    parameters : astropy.table.Table
        The physical parameters. Optical depths are relative to the mean of the class, and 0 for ions that the class
        does not show.

    See Also
    --------
    make_supernova_spectra : Simulate spectra.
    make_supernova_light_curves : Simulate two-band light curves.
    make_variable_stars : Simulate unfolded light curves of periodic stars.

    Examples
    --------
    >>> from skdaep.datasets import make_supernova_spectra
    >>> X, y, truth = make_supernova_spectra(3, random_state=0, return_truth=True)
    >>> truth.held_out[0].colnames, len(truth.measured[0]) == len(X[0])
    (['wavelength', 'flux'], True)
    """

    held_out: list
    measured: list
    parameters: Table


def make_supernova_spectra(n_objects=1000, *, random_state=None, return_truth=False):
    r"""Simulate rest-frame optical spectra of supernovae of types Ia, II and Ibc.

    Each object has 150 to 250 points at irregular wavelengths in its own part of 3500-8500 Angstrom, up to
    two gaps, and noise that differs between objects and along the spectrum.

    Parameters
    ----------
    n_objects : int, default=1000
        Number of objects.
    random_state : int, RandomState, Generator or None, default=None
        Seed. With an int, object i does not depend on `n_objects`, and it is the same supernova as object i
        of `make_supernova_light_curves`. None draws fresh entropy; numpy's global generator is never used.
    return_truth : bool, default=False
        Whether to also return the noise-free truth.

    Returns
    -------
    X : list of astropy.table.Table
        Columns ``wavelength`` (Angstrom), ``flux`` (F_lambda over the median of the object's measured fluxes)
        and ``flux_err``; ``meta`` has ``object_id`` and ``phase``, rest-frame days from maximum light.
    y : ndarray of str, shape (n_objects,)
        "Ia", "II" or "Ibc".
    truth : SimulatedTruth
        Noise-free values at the rows of X and at 100 other wavelengths per object, and the physical
        parameters. Only if `return_truth` is True.

    See Also
    --------
    make_supernova_light_curves : The same supernovae in two bands.

    Notes
    -----
    With :math:`B_\lambda` Planck's law, the flux at rest wavelength :math:`\lambda` and phase :math:`p` is

    .. math::

        F_\lambda \propto B_\lambda(T)\, 10^{-0.4 A_\lambda}
            \exp\Big(-\sum_l \tau_l\, a_l\Big) \Big(1 + \sum_l \epsilon_l (1 - e^{-\tau_l})\, e_l\Big),
        \qquad A_\lambda = 3.1\, E(B-V)\, (\lambda / 5500)^{-1.3}.

    The photosphere cools and slows down as powers of the time since explosion, the temperature down to a
    floor. A line has the P-Cygni profile of expanding ejecta, in
    :math:`s = (1 - \lambda / \lambda_l)\, c / v`, the velocity towards us over that of the photosphere:
    absorption :math:`a_l = \exp(-\frac12 (\ln s / 0.3)^2)` for :math:`s > 0` and emission
    :math:`e_l \propto \exp(-\frac12 (s / 0.5)^2)`, of equal area: a weak line with
    :math:`\epsilon_l = 1` scatters light and loses none. Optical depths :math:`\tau_l` follow the phase, with
    one factor per ion and object. A smooth edge below 4150 Angstrom stands for the blend of iron lines there.

    The independent parameters are phase, temperature, cooling, velocity, slowing, layering (fast calcium,
    slow iron), E(B-V) and the strengths of four (II, Ibc) or six (Ia) ions: 11 or 13.

    References
    ----------
    Castor, J. I. 1970, MNRAS 149, 111 (line profiles of expanding envelopes).
    Filippenko, A. V. 1997, ARA&A 35, 309 (spectra of the classes).
    Charlot, S. & Fall, S. M. 2000, ApJ 539, 718 (power laws for dust).

    Examples
    --------
    >>> from skdaep.datasets import make_supernova_spectra
    >>> X, y = make_supernova_spectra(3, random_state=0)
    >>> X[0].colnames
    ['wavelength', 'flux', 'flux_err']
    >>> X[0]["wavelength"].unit
    Unit("Angstrom")
    """
    return simulate(_observe_spectrum, 1, n_objects, random_state, return_truth, draw_supernova, _parameters)


def make_supernova_light_curves(n_objects=1000, *, random_state=None, return_truth=False):
    r"""Simulate two-band light curves of supernovae of types Ia, II and Ibc.

    Each object has up to 60 points (rarely fewer than 20) on random nights, in g, r or both, perhaps with a
    gap, as long as it is brighter than a limit; the noise grows with faintness.

    Parameters
    ----------
    n_objects : int, default=1000
        Number of objects.
    random_state : int, RandomState, Generator or None, default=None
        Seed. With an int, object i does not depend on `n_objects`, and it is the same supernova as object i
        of `make_supernova_spectra`. None draws fresh entropy; numpy's global generator is never used.
    return_truth : bool, default=False
        Whether to also return the noise-free truth.

    Returns
    -------
    X : list of astropy.table.Table
        Columns ``time`` (observer's days from maximum light in r), ``mag``, ``mag_err`` (AB magnitudes) and
        ``band`` ("g" or "r"); ``meta`` has ``object_id``, ``redshift`` and ``mjd_peak``, so that
        ``time + mjd_peak`` is MJD.
    y : ndarray of str, shape (n_objects,)
        "Ia", "II" or "Ibc".
    truth : SimulatedTruth
        Noise-free values at the rows of X and at 100 other times in either band per object, and the physical
        parameters. Only if `return_truth` is True.

    See Also
    --------
    make_supernova_spectra : Spectra of the same supernovae; its notes give the equations of the photosphere.

    Notes
    -----
    The continuum at 6200 Angstrom (rest frame) follows, at phase :math:`p`,

    .. math::

        L(p) \propto \frac{e^{-d(p)}}{1 + e^{-(p - p_0) / \tau_\mathrm{rise}}},

    :math:`d(p) = p / \tau_\mathrm{fall}` up to a month and slower after it (Ia, Ibc), or through a plateau
    with a drop at its end (II); :math:`p_0` puts the maximum at :math:`p = 0`. Ia have a weak second maximum.
    Colours are those of the spectrum at that phase, lines, dust and redshift included, averaged over the
    band. Distances follow from the redshift with 70 km/s/Mpc.

    References
    ----------
    Bazin, G. et al. 2009, A&A 499, 653 (rise and fall).
    Filippenko, A. V. 1997, ARA&A 35, 309 (light curves of the classes).

    Examples
    --------
    >>> from skdaep.datasets import make_supernova_light_curves
    >>> X, y = make_supernova_light_curves(3, random_state=0)
    >>> X[0].colnames
    ['time', 'mag', 'mag_err', 'band']
    >>> sorted(X[0].meta)
    ['mjd_peak', 'object_id', 'redshift']
    """
    return simulate(_observe_light_curve, 2, n_objects, random_state, return_truth, draw_supernova, _parameters)


def simulate(observe, stream, n_objects, random_state, return_truth, draw, describe):
    """Draw each object from a stream of its own, and observe it; `describe` gives a row of the table of parameters."""
    if not isinstance(n_objects, Integral) or n_objects < 0:
        raise ValueError(f"n_objects must be an integer >= 0, got {n_objects!r}.")
    seed = _seed(random_state)
    tables, labels, held_out, measured, parameters = [], [], [], [], []
    for i in range(n_objects):
        source = draw(np.random.default_rng([seed, i, 0]))
        meta = {"object_id": f"SIM{i:06d}"}
        rng = np.random.default_rng([seed, i, stream])
        columns, values, elsewhere, more = observe(source, rng, return_truth)
        tables.append(_table(columns, meta | more))
        labels.append(source.label)
        if return_truth:
            held_out.append(_table(elsewhere, meta | more))
            measured.append(values)
            parameters.append(describe(source, meta | more))
    y = np.array(labels, dtype="<U4")
    if not return_truth:
        return tables, y
    return tables, y, SimulatedTruth(held_out, measured, Table(parameters))


def _seed(random_state):
    """Return the integer behind every object's stream."""
    if random_state is None:
        return np.random.SeedSequence().entropy
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(np.iinfo(np.int32).max))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(np.iinfo(np.int64).max))
    if isinstance(random_state, Integral) and random_state >= 0:
        return int(random_state)
    kinds = "an int >= 0, RandomState, Generator or None"
    raise ValueError(f"random_state must be {kinds}, got {random_state!r}.")


def _table(columns, meta):
    units = {name: UNITS[name] for name in columns if name in UNITS}
    return Table(columns, units=units, meta=meta, copy=False)


def _parameters(supernova, meta):
    """Return a row of the table of parameters."""
    row = {name: value for name, value in vars(supernova).items() if name not in ("label", "strengths")}
    row |= {ion: supernova.strengths.get(ion, 0.0) for ion in LINES}
    return row | meta


def _observe_spectrum(supernova, rng, with_truth):
    phase = rng.uniform(*CLASSES[supernova.label]["phases"])
    wavelength = _wavelengths(rng)
    n = len(wavelength)
    snr = np.exp(rng.uniform(np.log(14.0), np.log(45.0)))
    noise = rng.standard_normal(n)
    others = np.sort(rng.uniform(wavelength[0], wavelength[-1], N_HELD_OUT if with_truth else 0))

    truth = supernova.flux(np.concatenate([wavelength, others]), phase)
    error = _spectrum_error(wavelength, truth[:n], snr)
    flux = truth[:n] + error * noise
    scale = np.median(flux)
    columns = {"wavelength": wavelength, "flux": flux / scale, "flux_err": error / scale}
    elsewhere = {"wavelength": others, "flux": truth[n:] / scale}
    return columns, truth[:n] / scale, elsewhere, {"phase": phase}


def _wavelengths(rng):
    """About 200 jittered wavelengths over a range of the object's own, less up to two gaps."""
    low, high = SPECTRUM_RANGE
    low, high = rng.uniform(low, low + 700), rng.uniform(high - 1000, high)
    edges = np.linspace(low, high, rng.integers(185, 251))
    wavelength = edges[:-1] + rng.uniform(0.05, 0.95, len(edges) - 1) * np.diff(edges)
    for _ in range(rng.integers(0, 3)):
        start, width = rng.uniform(low + 300, high - 600), rng.uniform(60, 300)
        wavelength = wavelength[(wavelength < start) | (wavelength > start + width)]
    return wavelength


def _spectrum_error(wavelength, flux, snr):
    """Photon noise of object and sky behind an instrument that is blind at both ends; `snr` at the median."""
    low, high = SPECTRUM_RANGE
    place = (2 * wavelength - low - high) / (high - low)  # -1 to 1
    throughput = 1 - 0.75 * place**4
    level = np.median(flux)
    return level / snr * np.sqrt((0.7 * flux / level + 0.3) / throughput)


def _observe_light_curve(supernova, rng, with_truth):
    # Start with every night in both bands; most of them are removed below.
    time = np.repeat(NIGHTS, len(BANDS)) + rng.uniform(0.0, 0.3, len(BANDS) * len(NIGHTS))
    which = np.tile(np.arange(len(BANDS)), len(NIGHTS))
    curve = supernova.light_curve()
    mag = curve(time)[np.arange(len(time)), which]
    limit = rng.normal(20.6, 0.2)  # magnitude with a signal-to-noise ratio of 5
    snr = 5 * 10 ** (0.4 * (limit - mag))
    seen = _nights_observed(rng, time, np.flatnonzero(snr > FAINTEST_SNR))
    time, band, mag, snr = time[seen], BAND_NAMES[which[seen]], mag[seen], snr[seen]
    error = np.hypot(0.015, 2.5 / np.log(10) / snr)
    noisy = mag + error * rng.standard_normal(len(mag))
    columns = {"time": time, "mag": noisy, "mag_err": error, "band": band}
    more = {"redshift": supernova.redshift, "mjd_peak": supernova.mjd_peak}
    elsewhere = _held_out_magnitudes(curve, rng, time, mag.max()) if with_truth else None
    return columns, mag, elsewhere, more


def _held_out_magnitudes(curve, rng, time, faintest):
    """Magnitudes at random times of the range observed, none fainter than what was observed."""
    others = np.sort(rng.uniform(time[0], time[-1], 4 * N_HELD_OUT))
    which = rng.integers(len(BANDS), size=len(others))
    mag = curve(others)[np.arange(len(others)), which]
    chosen = np.sort(rng.permutation(np.flatnonzero(mag <= faintest))[:N_HELD_OUT])
    return {"time": others[chosen], "mag": mag[chosen], "band": BAND_NAMES[which[chosen]]}


def _nights_observed(rng, time, visible):
    """Choose 20 to 60 of the visible points; half of the objects have a gap."""
    start, width = rng.uniform(5, 40), rng.uniform(8, 20) * rng.integers(0, 2)
    outside = visible[(time[visible] < start) | (time[visible] > start + width)]
    n = min(rng.integers(20, 61), len(outside))
    return np.sort(rng.permutation(outside)[:n])
