"""Harmonic fits to unevenly spaced points: the best period, and the phases of maximum and minimum."""

from __future__ import annotations

from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
from astropy.timeseries import LombScargle
from astropy.utils import minversion
from scipy.stats import beta

#: grid frequencies per width of a peak, which is 1 / (time span)
OVERSAMPLING = 5
#: number of peaks that are refined, for each number of summed harmonics
N_PEAKS = 12
#: measurements needed per fitted number, and so for a level and a sinusoid, without which a band is left out
PER_NUMBER = 3
FEWEST = 3 * PER_NUMBER
#: smallest error in a fit, in robust standard deviations of the band
LEAST_ERROR = 0.1
#: added to the diagonal of normal equations, as a share of the weight, so that harmonics remain small in gaps
RIDGE = 1e-4
#: Difference of the criterion that decides between a period and twice that. "Very strong" evidence is 10 (Kass &
#: Raftery 1995), but changes from cycle to cycle, which are not noise, can exceed it.
EVIDENCE = 20.0
#: harmonics of the fit that recognises eclipses, and largest phase difference (radians) of its first two
N_SHAPE, SYMMETRIC = 4, 0.6
#: number of phases at which a fit is evaluated to find its extremes
N_PHASES = 1000


class Curve(NamedTuple):
    """Observed points of one object. Weights are relative, and differ between bands as the errors do."""

    time: np.ndarray
    value: np.ndarray
    weight: np.ndarray
    band: np.ndarray

    @classmethod
    def of(cls, time, value, error, band) -> Curve:
        """Make a curve from observed points, without bands of few points; unknown errors become the band's median."""
        groups = [rows for b in np.unique(band) if len(rows := np.flatnonzero(band == b)) >= FEWEST]
        weight = np.zeros(len(time))
        for rows in groups:
            weight[rows] = 1 / (_errors(value[rows], error[rows]) ** 2)
        rows = np.concatenate([np.empty(0, int), *groups])
        return cls(time[rows], value[rows], weight[rows], band[rows])

    def by_band(self) -> list[Curve]:
        """Return the curve of each band."""
        return [Curve(*(x[self.band == b] for x in self)) for b in np.unique(self.band)]


def _errors(value: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Return errors without unknown ones, and limit small errors so that no single point dominates a fit."""
    known = np.isfinite(error) & (error > 0)
    spread = robust_spread(value)
    typical = np.median(error[known]) if known.any() else spread or 1.0
    return np.hypot(np.where(known, error, typical), LEAST_ERROR * spread)


def robust_spread(value: np.ndarray) -> float:
    """Return the standard deviation of a normal distribution with the same median absolute deviation."""
    return float(1.4826 * np.median(np.abs(value - np.median(value))))


class Found(NamedTuple):
    """A period, the share of the variance that its harmonics explain, and its false-alarm probability."""

    period: float
    power: float
    false_alarm: float


# --- the search -------------------------------------------------------------------------------------


def find_period(curve: Curve, lowest: float, highest: float, n_harmonics: int, eclipses: int = 0) -> Found:
    """Return the period in a range of frequencies whose harmonic fit has the lowest BIC.

    Candidates are the peaks of the periodogram and of its sums over harmonics, their halves and doubles. `eclipses` is
    1 if values are larger during eclipses (magnitudes), -1 if they are smaller, and 0 to look for no eclipses.
    """
    span = np.ptp(curve.time)
    step = 1 / (OVERSAMPLING * span)
    frequency = step * np.arange(1, int(highest / step) + 1)
    power = periodogram(curve, frequency)
    candidates = _candidates(power, int(np.ceil(lowest / step)), n_harmonics) * step
    candidates = np.unique(np.concatenate([candidates / 2, candidates, 2 * candidates]))
    near = step * np.arange(-OVERSAMPLING, OVERSAMPLING + 1) / 2  # half the width of a peak on either side
    trial = (candidates[:, None] + near).ravel()
    trial = trial[(trial >= lowest) & (trial <= highest)]
    best, *_ = _best(curve, trial, n_harmonics)
    trial = best + near / (2 * OVERSAMPLING)
    best, order, criterion = _best(curve, trial[(trial >= lowest) & (trial <= highest)], n_harmonics)
    # Two unequal eclipses per orbit only differ from equal ones in a fit of twice the period with equally sharp terms.
    if best / 2 >= lowest:
        half, more, less = _best(curve, np.array([best / 2]), 2 * n_harmonics)
        if less < criterion - EVIDENCE:
            best, order, n_harmonics, criterion = half, more, 2 * n_harmonics, less
    if 2 * best <= highest:
        twice, fewer, higher = _best(curve, np.array([2 * best]), n_harmonics)
        if higher < criterion + EVIDENCE:
            best, order = twice, fewer
    if eclipses and best / 2 >= lowest and _is_eclipse(curve, best, eclipses):
        best, order, _ = _best(curve, np.array([best / 2]), 2 * n_harmonics)
        n_harmonics = 2 * n_harmonics
    chi2, numbers = chi_squared(curve, np.array([best]), n_harmonics)
    total, constant = chi2[0, 0], len(curve.by_band())
    power = 1 - chi2[0, order] / total
    shape = (numbers[order] - constant) / 2, (len(curve.time) - numbers[order]) / 2
    alone = beta.sf(power, *shape)  # for a single frequency and order, and normal noise
    trials = (2 + n_harmonics) * span * (highest - lowest)  # independent trials, confirmed by simulated noise
    return Found(1 / best, float(power), float(-np.expm1(trials * np.log1p(-min(alone, 1 - 1e-16)))))


def _is_eclipse(curve: Curve, frequency: float, sign: int) -> bool:
    """Return whether a cycle has one symmetric dip that is sharper than its crest, as in half the orbit of a binary.

    A pulsating star rises faster than it fades, so its second harmonic lags behind. If the second harmonic is weaker
    than the first and both have the same phase at the dip, the star neither pulsates nor has two dips in this cycle.
    """
    curve = _levelled(curve)
    most = int(np.clip((len(curve.time) / PER_NUMBER - 1) / 2, 2, N_SHAPE))
    (series,), _ = _solve(curve, np.array([frequency]), most)
    first, second = sign * (series[1:5:2] - 1j * series[2:5:2])
    return bool(abs(second) < abs(first) and abs(np.angle(second * np.conj(first) ** 2)) < SYMMETRIC)


def periodogram(curve: Curve, frequency: np.ndarray) -> np.ndarray:
    """Return the share of chi squared that sinusoids explain at each frequency, one sinusoid per band."""
    explained, total = np.zeros(len(frequency)), 0.0
    method, options = _method()
    for time, value, weight, _ in curve.by_band():
        chi2 = weight @ (value - np.average(value, weights=weight)) ** 2
        scargle = LombScargle(time, value, weight**-0.5)
        explained += chi2 * scargle.power(frequency, method=method, assume_regular_frequency=True, method_kwds=options)
        total += chi2
    return explained / total if total else explained


def _method() -> tuple[str, dict]:
    """Return the fastest available method for astropy's periodogram, and its options."""
    if find_spec("nifty_ls"):
        import nifty_ls  # noqa: F401  (tells astropy of its method)

        return "fastnifty", {}
    # Candidates need not be precise, so the algorithm of Press & Rybicki on a coarse grid is enough.
    quick = {"algorithm": "fasper"} if minversion("astropy", "8.0") else {}
    return "fast", {"trig_sum_kwds": {"oversampling": 3}} | quick


def _candidates(power: np.ndarray, first: int, n_harmonics: int) -> np.ndarray:
    """Return the indices, from 1, of the highest peaks of the power summed over 1, 2, ... harmonics."""
    total, found = np.zeros_like(power), []
    for k in range(1, n_harmonics + 1):
        overtones = power[k - 1 :: k]  # power at k times the frequency, up to the end of the grid
        total[: len(overtones)] += overtones
        found.append(_peaks(total[max(first, 1) - 1 :], N_PEAKS) + max(first, 1))
    return np.unique(np.concatenate(found))


def _peaks(x: np.ndarray, n: int) -> np.ndarray:
    """Return the indices of the n highest local maxima, in any order."""
    padded = np.concatenate([[-np.inf], x, [-np.inf]])
    maxima = np.flatnonzero((x >= padded[:-2]) & (x >= padded[2:]))
    return maxima if len(maxima) <= n else maxima[np.argpartition(x[maxima], -n)[-n:]]


def _best(curve: Curve, frequency: np.ndarray, n_harmonics: int) -> tuple[float, int, float]:
    """Return the frequency and number of harmonics with the lowest Bayesian information criterion, and its value."""
    chi2, numbers = chi_squared(curve, frequency, n_harmonics)
    n = len(curve.time)
    criterion = n * np.log(np.maximum(chi2, 1e-12 * chi2[0, 0])) + np.log(n) * numbers
    # The first or second harmonic of a star is its strongest. Otherwise the frequency is a fraction of the true one.
    gain = -np.diff(chi2, axis=1)
    criterion[:, 1:][np.maximum.accumulate(gain, axis=1) > gain[:, :2].max(1)[:, None]] = np.inf
    row, order = np.unravel_index(np.argmin(criterion[:, 1:]), criterion[:, 1:].shape)
    return float(frequency[row]), int(order) + 1, float(criterion[row, order + 1])


# --- harmonic series --------------------------------------------------------------------------------


def chi_squared(curve: Curve, frequency: np.ndarray, n_harmonics: int) -> tuple[np.ndarray, np.ndarray]:
    """Return chi squared (n_frequencies, n_harmonics + 1) of fits with 0, 1, ... harmonics, and their parameter counts.

    Each band has its own harmonics, and fewer of them if it has few points.
    """
    chi2, numbers = np.zeros((len(frequency), n_harmonics + 1)), np.zeros(n_harmonics + 1)
    for band in curve.by_band():
        most = int(np.clip((len(band.time) / PER_NUMBER - 1) / 2, 0, n_harmonics))
        orders = np.arange(n_harmonics + 1).clip(max=most)
        centred = band.value - np.average(band.value, weights=band.weight)
        _, explained = _solve(band._replace(value=centred), frequency, most)
        cumulated = np.cumsum(explained, axis=1)[:, 2 * orders]
        chi2 += band.weight @ centred**2 - cumulated
        numbers += 1 + 2 * orders
    return chi2, numbers


def _solve(curve: Curve, frequency: np.ndarray, n_harmonics: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the coefficients at each frequency, and by how much each lowers chi squared further."""
    design = _design(np.multiply.outer(frequency, curve.time), n_harmonics)  # (F, n, P)
    weighted = design * curve.weight[:, None]
    ridge = RIDGE * curve.weight.sum() * np.eye(design.shape[2])
    factor = np.linalg.cholesky(weighted.swapaxes(1, 2) @ design + ridge)
    half = np.linalg.solve(factor, weighted.swapaxes(1, 2) @ curve.value[:, None])[..., 0]  # (F, P)
    return np.linalg.solve(factor.swapaxes(1, 2), half[..., None])[..., 0], half**2


def _design(turns: np.ndarray, n_harmonics: int) -> np.ndarray:
    """Return 1, and the cosines and sines of 1, 2, ... times an angle in turns, along the last axis."""
    design, once = np.ones((*turns.shape, 1 + 2 * n_harmonics)), np.exp(2j * np.pi * turns)
    power = np.ones_like(once)
    for k in range(n_harmonics):  # exp(i k angle) by multiplication, which is faster
        power = power * once
        design[..., 2 * k + 1], design[..., 2 * k + 2] = power.real, power.imag
    return design


def extreme_phase(curve: Curve, period: float, n_harmonics: int, largest: bool) -> float:
    """Return the phase, relative to time 0, at which harmonics fitted to all bands are largest or smallest.

    All bands are scaled to the same level and amplitude. The number of harmonics minimises the criterion.
    """
    curve = _levelled(curve)
    frequency = np.array([1 / period])
    most = int(np.clip((len(curve.time) / PER_NUMBER - 1) / 2, 1, n_harmonics))
    _, order, _ = _best(curve, frequency, most)
    (series,), _ = _solve(curve, frequency, order)
    phase = np.arange(N_PHASES) / N_PHASES
    shape = _design(phase, order) @ series
    return float(phase[np.argmax(shape if largest else -shape)])


def _levelled(curve: Curve) -> Curve:
    """Return a curve whose bands have the same level and spread, as one band."""
    value, weight = curve.value.copy(), curve.weight.copy()
    for b in np.unique(curve.band):
        rows = curve.band == b
        spread = robust_spread(value[rows]) or 1.0
        value[rows] = (value[rows] - np.median(value[rows])) / spread
        weight[rows] *= spread**2
    return Curve(curve.time, value, weight, np.full(len(value), ""))
