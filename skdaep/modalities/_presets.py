"""Sequences that astronomers have names for."""

from __future__ import annotations

from ._sequence import Sequence


def Spectrum(value=None, location=None, **declaration) -> Sequence:
    """Declare a spectrum: `Sequence` with columns ``flux`` and ``wavelength`` where there are, else as customary.

    Parameters
    ----------
    value, location : str or None, default=None
        Columns of the flux and of the wavelength (or frequency, energy). None: ``flux`` and ``wavelength``, else the
        only ones with another customary name.
    **declaration
        Other fields of `Sequence`.

    Returns
    -------
    modality : Sequence
        The declaration.

    Examples
    --------
    >>> from skdaep import Spectrum
    >>> Spectrum(value="log_flux", metadata=("phase",)).value
    'log_flux'
    """
    return Sequence(value=value, location=location, prefer=("flux", "wavelength"), **declaration)


def Photometry(value=None, location=None, band=None, **declaration) -> Sequence:
    """Declare a light curve: `Sequence` with columns ``mag``, ``time``, ``band`` where there are, else as customary.

    Parameters
    ----------
    value, location, band : str or None, default=None
        Columns of the magnitude or flux, of the time and of the filter. None: ``mag``, ``time`` and ``band``, else the
        only ones with another customary name; there may be no bands.
    **declaration
        Other fields of `Sequence`.

    Returns
    -------
    modality : Sequence
        The declaration.

    Examples
    --------
    >>> from skdaep import Photometry
    >>> Photometry(value="flux", metadata=("redshift",)).value
    'flux'
    """
    return Sequence(value=value, location=location, band=band, prefer=("mag", "time", "band"), **declaration)
