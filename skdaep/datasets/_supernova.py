"""A supernova in a dozen numbers: cooling photosphere, expanding lines, dust, distance.

Everything here is noise-free; observing is `_simulate`'s business.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import make_interp_spline
from scipy.special import expit

LIGHT_SPEED = 299_792.458  # km/s
PLANCK_KELVIN = 1.438777e8  # h c / k in Angstrom kelvin
HUBBLE = 70.0  # km/s/Mpc
PIVOT = 6200.0  # Angstrom, in r: the wavelength at which the light curve sets the level of the continuum

# Rest wavelengths (Angstrom, air) and relative optical depths of the lines of each ion
LINES = {
    "H I": {6563: 1.0, 4861: 0.7, 4340: 0.5},
    "He I": {5876: 1.0, 6678: 0.45, 7065: 0.6},
    "O I": {7774: 1.0},
    "Na I": {5893: 1.0},
    "Mg II": {4481: 1.0},
    "Si II": {6355: 1.0, 5972: 0.25, 4130: 0.4},
    "S II": {5454: 0.8, 5640: 1.0},
    "Ca II": {3945: 1.2, 8498: 0.4, 8542: 0.8, 8662: 0.6},
    "Fe II": {4924: 0.7, 5018: 0.9, 5169: 1.0, 4549: 0.6},
}

# How far out in the ejecta an ion is: above 0 its lines are faster than the photosphere, below 0 slower
LAYER = {"H I": 0.8, "He I": 0.2, "O I": 0.0, "Na I": 0.3, "Mg II": 0.3, "Si II": 0.0, "S II": -0.8,
         "Ca II": 1.0, "Fe II": -1.0}  # fmt: skip

# Ratio of emission to absorption: 1 for pure scattering, more where recombination adds photons, as in hydrogen
EMISSION = {"H I": 3.0, "He I": 1.2, "Ca II": 1.3, "Na I": 0.9}

ABSORPTION_WIDTH = 0.3  # of the logarithm of velocity
EMISSION_WIDTH = 0.5  # in units of the photospheric velocity

# The ions of a class: optical depth, and how it changes with phase (days). "fades" is a Gaussian with the given
# centre and width, "grows" is a logistic rise.
CLASSES = {
    "Ia": {
        "absolute_magnitude": (-19.2, 0.2), "rise": 18.0, "rise_scale": 4.2, "fall_scale": 17.0,
        "temperature": 11_500.0, "floor": 5_200.0, "cooling": 0.85, "velocity": 11_000.0, "slowing": 0.25,
        "reddening": 0.08, "phases": (-12.0, 40.0), "blanketing": 1.1,
        "ions": {"Si II": (1.1, "fades", 0, 17), "Ca II": (1.5, "grows", -12, 12),
                 "S II": (0.55, "fades", -3, 9), "Fe II": (1.1, "grows", 8, 6),
                 "Mg II": (0.6, "fades", -6, 14), "O I": (0.5, "fades", 4, 14)},
    },
    "II": {
        "absolute_magnitude": (-17.2, 0.7), "rise": 9.0, "rise_scale": 1.8, "fall_scale": 110.0,
        "temperature": 12_500.0, "floor": 5_400.0, "cooling": 0.60, "velocity": 9_000.0, "slowing": 0.30,
        "reddening": 0.10, "phases": (-4.0, 70.0), "blanketing": 0.8,
        "ions": {"H I": (0.8, "grows", 4, 6), "Fe II": (0.9, "grows", 22, 7), "Ca II": (1.3, "grows", 16, 8),
                 "Na I": (0.8, "grows", 35, 9)},
    },
    "Ibc": {
        "absolute_magnitude": (-17.7, 0.6), "rise": 15.0, "rise_scale": 3.8, "fall_scale": 18.0,
        "temperature": 8_800.0, "floor": 4_700.0, "cooling": 0.85, "velocity": 10_500.0, "slowing": 0.35,
        "reddening": 0.20, "phases": (-10.0, 40.0), "blanketing": 0.9,
        "ions": {"He I": (1.0, "grows", -3, 6), "O I": (0.9, "grows", 3, 7), "Ca II": (1.5, "grows", -6, 8),
                 "Fe II": (0.9, "grows", -6, 7)},
    },
}  # fmt: skip
CLASS_SHARES = {"Ia": 0.4, "II": 0.35, "Ibc": 0.25}

BANDS = {"g": np.linspace(4100.0, 5400.0, 7), "r": np.linspace(5600.0, 6900.0, 7)}  # observed frame
KNOTS = np.concatenate([np.arange(-21.0, 20.0, 2.5), np.arange(21.5, 105.0, 5.0)])  # days, observer


@dataclass(frozen=True)
class Supernova:
    """One event; every field but the label is an independent draw of `draw_supernova`.

    Times are days of the rest frame from maximum light in r, wavelengths Angstrom of the rest frame.
    """

    label: str
    temperature: float  # of the photosphere at maximum, in kelvin
    cooling: float  # T falls as (time since explosion) ** -cooling, down to the floor of the class
    velocity: float  # of the photosphere at maximum, km/s
    slowing: float  # v falls as (time since explosion) ** -slowing
    layering: float  # how much the velocities of ions differ: calcium is fast, iron slow
    reddening: float  # E(B-V), magnitudes
    stretch: float  # of the light curve's time axis
    plateau: float  # end of the plateau in days from maximum (type II only, otherwise infinite)
    bump: float  # height of the secondary maximum in magnitudes (type Ia only, otherwise 0)
    absolute_magnitude: float
    redshift: float
    mjd_peak: float
    strengths: dict  # ion -> optical depth relative to the mean of the class

    def flux(self, wavelength, phase):
        """Return F_lambda over the dust-free continuum at the pivot; arguments broadcast."""
        wavelength, phase = np.asarray(wavelength, float), np.asarray(phase, float)
        temperature = self.photosphere_temperature(phase)
        flux = planck(wavelength, temperature) / planck(PIVOT, temperature)
        return flux * self._lines(wavelength, phase) * 10 ** (-0.4 * extinction(wavelength, self.reddening))

    def photosphere_temperature(self, phase):
        """Return kelvin: a power law of the time since explosion, down to the floor of the class."""
        power_law = self.temperature * self._age(phase) ** -self.cooling
        return (power_law**6 + CLASSES[self.label]["floor"] ** 6) ** (1 / 6)

    def photosphere_velocity(self, phase):
        """Return km/s: a power law of the time since explosion."""
        return self.velocity * self._age(phase) ** -self.slowing

    def _age(self, phase):
        """Time since explosion over the time from explosion to maximum, kept positive smoothly."""
        rise = CLASSES[self.label]["rise"]
        age = np.asarray(phase, float) / rise + 1.0
        return 0.5 * (age + np.sqrt(age**2 + 0.3)) / (0.5 * (1.0 + np.sqrt(1.3)))

    def _lines(self, wavelength, phase):
        """All P-Cygni lines, and the blend of iron lines that eats the blue end."""
        velocity = self.photosphere_velocity(phase)
        depth, emission = 0.0, 1.0
        for ion, (mean, course, centre, width) in CLASSES[self.label]["ions"].items():
            tau = mean * self.strengths[ion] * _course(phase, course, centre, width)
            scale = velocity * (1 + self.layering * LAYER[ion]) / LIGHT_SPEED
            for rest, weight in LINES[ion].items():
                absorbed, emitted = pcygni(wavelength, rest, scale)
                depth = depth + tau * weight * absorbed
                scattered = -np.expm1(-tau * weight) * EMISSION.get(ion, 1.0)
                emission = emission + scattered * emitted
            if ion == "Fe II":
                depth = depth + CLASSES[self.label]["blanketing"] * tau * expit((4150.0 - wavelength) / 180.0)
        return np.exp(-depth) * emission

    def dimming(self, phase):
        """Return the magnitudes by which the continuum at the pivot is fainter than at maximum."""
        kind = CLASSES[self.label]
        rise, fall = kind["rise_scale"] * self.stretch, kind["fall_scale"] * self.stretch
        phase = np.asarray(phase, float)
        turn = -rise * np.log(fall / rise - 1)  # places the maximum at phase 0
        decay = phase / fall
        if self.label != "II":  # radioactive tail: after a month the decline slows to a third
            decay = decay - (2 / 3) / fall * 4 * np.logaddexp(0, (phase - 30 * self.stretch) / 4)
        level = -decay - np.logaddexp(0, -(phase - turn) / rise)
        level = level + np.log1p(rise / (fall - rise))  # 0 at phase 0
        if np.isfinite(self.plateau):
            level = level + np.log(0.12 + 0.88 * expit((self.plateau - phase) / 4))
        bump = self.bump * np.exp(-0.5 * ((phase / self.stretch - 26) / 6) ** 2)
        return -2.5 / np.log(10) * level - bump

    def magnitudes(self, time):
        """Return apparent AB magnitudes (n_times, n_bands); time in observer's days from maximum light."""
        wavelength = np.stack(list(BANDS.values())) / (1 + self.redshift)  # (bands, nodes)
        phase = np.asarray(time, float) / (1 + self.redshift)
        flux = self.flux(wavelength, phase[:, None, None])
        # photon-counting mean of F_nu over the band, for a spectrum with F_lambda = 1 at the pivot
        f_nu = np.mean(flux * wavelength, axis=-1) / np.mean(PIVOT**2 / wavelength, axis=-1)
        distance_modulus = 25 + 5 * np.log10(LIGHT_SPEED * self.redshift * (1 + self.redshift / 2) / HUBBLE)
        level = self.absolute_magnitude + distance_modulus + self.dimming(phase)
        return level[:, None] - 2.5 * np.log10(f_nu)

    def light_curve(self):
        """Return `magnitudes` as a spline through `KNOTS`: an order of magnitude faster for many times."""
        return make_interp_spline(KNOTS, self.magnitudes(KNOTS))


def planck(wavelength, temperature):
    """Return Planck's law per wavelength, up to a constant: Angstrom and kelvin."""
    return (wavelength / 5000.0) ** -5 / np.expm1(PLANCK_KELVIN / (wavelength * temperature))


def extinction(wavelength, reddening):
    """Return the absorption by dust in magnitudes: R_V = 3.1 and a power law of -1.3 in wavelength."""
    return 3.1 * reddening * (wavelength / 5500.0) ** -1.3


def pcygni(wavelength, rest, scale):
    """Return absorption and emission profiles of a line; the photosphere moves at `scale` times c.

    The absorption is deepest, 1, where matter approaches at the velocity of the photosphere, and none at
    rest; its tail is the faster matter outside. The emission is centred at rest and has the area of the
    absorption.
    """
    speed = (1.0 - wavelength / rest) / scale  # towards us, in units of the photospheric velocity
    absorbed = np.exp(-0.5 * (np.log(np.maximum(speed, 1e-3)) / ABSORPTION_WIDTH) ** 2)
    area = ABSORPTION_WIDTH * np.exp(0.5 * ABSORPTION_WIDTH**2) / EMISSION_WIDTH
    return absorbed, area * np.exp(-0.5 * (speed / EMISSION_WIDTH) ** 2)


def _course(phase, course, centre, width):
    if course == "grows":
        return expit((phase - centre) / width)
    return np.exp(-0.5 * ((phase - centre) / width) ** 2)


def draw_supernova(rng):
    """Draw the class and the physical parameters of one event."""
    label = str(rng.choice(list(CLASS_SHARES), p=list(CLASS_SHARES.values())))
    kind = CLASSES[label]

    def scattered(mean, fraction):
        return mean * np.exp(fraction * rng.standard_normal())

    strengths = {ion: scattered(1.0, 0.35) for ion in kind["ions"]}
    if label == "Ibc":  # no helium means Ic, strong helium Ib
        strengths["He I"] = rng.uniform(0.0, 1.6)
    absolute = rng.normal(*kind["absolute_magnitude"])
    # a survey with a magnitude limit, in Euclidean space: the number of supernovae grows as 10 ** (0.6 m)
    apparent = max(18.5 + np.log10(rng.uniform()) / 0.6, 14.5)
    hubble = 10 ** (0.2 * (apparent - absolute - 25)) * HUBBLE / LIGHT_SPEED
    return Supernova(
        label=label,
        temperature=scattered(kind["temperature"], 0.10),
        cooling=scattered(kind["cooling"], 0.12),
        velocity=scattered(kind["velocity"], 0.14),
        slowing=scattered(kind["slowing"], 0.20),
        layering=rng.normal(0.12, 0.06),
        reddening=min(rng.exponential(kind["reddening"]), 0.6),
        stretch=scattered(1.0, 0.12),
        plateau=rng.normal(85.0, 12.0) if label == "II" else np.inf,
        bump=rng.uniform(0.0, 0.3) if label == "Ia" else 0.0,
        absolute_magnitude=absolute,
        redshift=np.sqrt(1 + 2 * hubble) - 1,  # inverts d = c z (1 + z / 2) / H0
        mjd_peak=rng.uniform(58_800.0, 60_300.0),
        strengths=strengths,
    )
