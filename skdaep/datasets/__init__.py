"""Data to try things on: simulated supernovae, which need no network."""

from skdaep.datasets._simulate import SimulatedTruth, make_supernova_light_curves, make_supernova_spectra

__all__ = ["SimulatedTruth", "make_supernova_light_curves", "make_supernova_spectra"]
