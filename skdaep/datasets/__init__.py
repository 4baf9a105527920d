"""Data for experiments: simulated supernovae and variable stars, which need no network, and readers of archives.

The ``fetch_*`` functions download a file once and verify its checksum on every call. They need the extra "data",
``pip install skdaep[data]``, and `fetch_lightkurve` the extra "lightkurve".
"""

from ._astrom3 import fetch_astrom3
from ._cache import get_data_home
from ._galaxy10 import fetch_galaxy10
from ._lightkurve import fetch_lightkurve
from ._multimodal_universe import fetch_multimodal_universe, load_multimodal_universe
from ._simulate import SimulatedTruth, make_supernova_light_curves, make_supernova_spectra
from ._simulate_stars import make_variable_stars

__all__ = [
    "SimulatedTruth",
    "fetch_astrom3",
    "fetch_galaxy10",
    "fetch_lightkurve",
    "fetch_multimodal_universe",
    "get_data_home",
    "load_multimodal_universe",
    "make_supernova_light_curves",
    "make_supernova_spectra",
    "make_variable_stars",
]
