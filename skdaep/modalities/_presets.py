"""Sequences that astronomers have names for."""

from __future__ import annotations

from ._sequence import Sequence


def Spectrum(value=None, location=None, **declaration) -> Sequence:
    """Return a `Sequence` for spectra, which prefers the columns ``flux`` and ``wavelength``.

    Parameters
    ----------
    value, location : str or None, default=None
        Columns of the flux and of the wavelength (or frequency, energy). None takes ``flux`` and ``wavelength``, or
        else the only columns with another usual name.
    **declaration
        Other parameters of `Sequence`.

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
    """Return a `Sequence` for light curves, which prefers the columns ``mag``, ``time`` and ``band``.

    Parameters
    ----------
    value, location, band : str or None, default=None
        Columns of the magnitude or flux, of the time and of the filter. None takes ``mag``, ``time`` and ``band``, or
        else the only columns with another usual name. There may be no band.
    **declaration
        Other parameters of `Sequence`.

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
