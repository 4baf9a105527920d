"""Periodic variable stars: shapes of light curves that follow from a few physical numbers, without noise.

A shape gives, for phases from 0 (brightest; of eclipses, mid-eclipse) to 1, the logarithmic change of flux in units of
magnitude by band. Observing is `_simulate_stars`'s business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

CLASSES = ("RRab", "RRc", "DSCT", "CEP", "MIRA", "EA", "EW")

START = 58_800.0  # MJD of the first night
MAGNITUDES = (14.0, 18.5)
#: amplitude in r relative to g. Pulsation changes the temperature, to which g is more sensitive; eclipses are grey.
RED_SHARE = {"RRab": 0.7, "RRc": 0.7, "DSCT": 0.7, "CEP": 0.65, "MIRA": 0.75, "EA": 1.0, "EW": 0.95}
#: median colour g - r of the star
COLOURS = {"RRab": 0.3, "RRc": 0.2, "DSCT": 0.15, "CEP": 0.6, "MIRA": 1.8, "EA": 0.5, "EW": 0.7}


@dataclass(frozen=True)
class VariableStar:
    """One star; `shape` gives the change in magnitude at phases, from peak to peak 1 but for eclipses."""

    label: str
    period: float  # days
    epoch: float  # MJD of phase 0
    mean_mag: float  # in g; for eclipsing stars, the magnitude outside eclipses
    amplitude: float  # magnitudes in g, peak to peak; 1 for detached binaries, whose `shape` is in magnitudes
    colour: float  # g - r
    shape: Callable[[np.ndarray], np.ndarray]

    def magnitude(self, mjd: np.ndarray, red: np.ndarray) -> np.ndarray:
        """Return g, or r where `red`."""
        share = np.where(red, RED_SHARE[self.label], 1.0)
        change = self.amplitude * share * self.shape((mjd - self.epoch) / self.period % 1)
        return self.mean_mag + change - np.where(red, self.colour, 0.0)


def draw_star(rng: np.random.Generator) -> VariableStar:
    """Draw one star of a random class."""
    label = CLASSES[rng.integers(len(CLASSES))]
    period, amplitude, shape = DRAWS[label](rng)
    epoch, mean = START + rng.uniform(0, period), rng.uniform(*MAGNITUDES)
    return VariableStar(label, period, epoch, mean, amplitude, rng.normal(COLOURS[label], 0.08), shape)


def _pulse(rise: float, phase: np.ndarray, curvature: float = 0.25) -> np.ndarray:
    """Return a pulse from -1/2 (brightest, at 0) to 1/2 that brightens over a share `rise` of the period.

    A sine whose phase runs faster on the way up; `curvature` makes the minimum broader than the maximum.
    """
    turned = np.where(phase < 1 - rise, 0.5 * phase / (1 - rise), 1 - 0.5 * (1 - phase) / rise)
    cosine = np.cos(2 * np.pi * turned)
    return -0.5 * (cosine + curvature * (cosine**2 - 1))


def _rr_lyrae_fundamental(rng):
    """Period and amplitude after the Bailey diagram: short periods pulsate more, and rise more steeply."""
    period = np.clip(rng.normal(0.56, 0.07), 0.42, 0.85)
    amplitude = np.clip(1.15 - 2.6 * (period - 0.53) + rng.normal(0, 0.12), 0.35, 1.5)
    return period, amplitude, partial(_pulse, np.clip(0.26 - 0.11 * amplitude, 0.1, 0.24))


def _rr_lyrae_overtone(rng):
    return rng.normal(0.33, 0.03), rng.uniform(0.3, 0.55), partial(_pulse, rng.uniform(0.38, 0.48), curvature=0.1)


def _delta_scuti(rng):
    """High-amplitude delta Scuti stars, below a quarter of a day."""
    period, amplitude = np.exp(rng.uniform(np.log(0.06), np.log(0.2))), rng.uniform(0.2, 0.6)
    return period, amplitude, partial(_pulse, rng.uniform(0.3, 0.42))


def _cepheid(rng):
    return np.exp(rng.uniform(np.log(2.5), np.log(30))), rng.uniform(0.5, 1.2), partial(_pulse, rng.uniform(0.2, 0.35))


def _mira(rng):
    """Long-period variables by the definition of the class: more than 2.5 mag in the visual."""
    return rng.uniform(150, 450), rng.uniform(2.5, 5.0), partial(_pulse, rng.uniform(0.38, 0.5), curvature=0.1)


def _detached(rng):
    """Two spheres on a circular orbit, of radii `r` in units of their distance and surface brightness ratio `ratio`."""
    first, second = np.sort(rng.uniform(0.12, 0.28, 2))[::-1]
    tilt = rng.uniform(0, 0.5) * (first + second)  # cosine of the inclination, small enough for an eclipse
    shape = partial(_eclipses, first, second, rng.uniform(0.15, 0.9), tilt)
    return np.exp(rng.uniform(np.log(0.8), np.log(6.0))), 1.0, shape


def _eclipses(first, second, ratio, tilt, phase):
    """Return magnitudes of two discs, the flux of both being 1: Kepler's third law has no say, but geometry has."""
    angle = 2 * np.pi * phase
    apart = np.sqrt(np.sin(angle) ** 2 + (tilt * np.cos(angle)) ** 2)
    covered = _overlap(apart, first, second)
    lights = np.array([first**2, ratio * second**2]) / (first**2 + ratio * second**2)
    fainter_in_front = np.cos(angle) > 0  # at phase 0 the fainter star covers the brighter one
    lost = np.where(fainter_in_front, lights[0] / first**2, lights[1] / second**2) * covered / np.pi
    return -2.5 * np.log10(1 - lost)


def _overlap(apart, first, second):
    """Return the area that two discs share."""
    apart = np.clip(apart, max(first - second, 0.0) + 1e-9, first + second)
    along = (apart**2 + first**2 - second**2) / (2 * apart)
    beyond = apart - along
    half = np.sqrt(np.maximum(first**2 - along**2, 0))
    sectors = (r**2 * np.arccos(np.clip(x / r, -1, 1)) for r, x in ((first, along), (second, beyond)))
    return sum(sectors) - apart * half


def _contact(rng):
    """W UMa stars: two rounded minima of nearly equal depth, from stars that are tidally stretched."""
    return rng.uniform(0.25, 0.5), rng.uniform(0.3, 0.75), partial(_ellipsoids, rng.uniform(0.02, 0.12))


def _ellipsoids(difference, phase):
    """Return cusped ellipsoidal variation, the minimum at phase 0 being deeper by `difference` of the amplitude."""
    double, single = np.cos(4 * np.pi * phase), np.cos(2 * np.pi * phase)
    return 0.5 * (double + 0.3 * (double**2 - 0.5)) + 0.5 * difference * single


DRAWS = {
    "RRab": _rr_lyrae_fundamental,
    "RRc": _rr_lyrae_overtone,
    "DSCT": _delta_scuti,
    "CEP": _cepheid,
    "MIRA": _mira,
    "EA": _detached,
    "EW": _contact,
}
