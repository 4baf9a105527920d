"""Light curves of Kepler, K2 and TESS, through lightkurve."""

from __future__ import annotations

import hashlib
import json
import re
from numbers import Number

from astropy import units as u
from astropy.table import Table

from .. import tables
from ..exceptions import DatasetError
from ._cache import Remote, get_data_home, in_the_making, local_copy, require
from ._files import positive


def fetch_lightkurve(
    targets,
    *,
    mission="TESS",
    author=None,
    exptime=None,
    quality_bitmask="default",
    data_home=None,
    download=True,
    **search,
):
    """Fetch light curves of Kepler, K2 or TESS through lightkurve, one Table per target.

    Parameters
    ----------
    targets : str or list of str
        Names or identifiers, such as "KIC 3733346" or "TIC 261136679".
    mission : {"TESS", "Kepler", "K2"}, default="TESS"
        The mission.
    author : str or None, default=None
        The pipeline, such as "SPOC" or "QLP". None takes the mission's own: "SPOC", "Kepler" or "K2".
    exptime : int, str or None, default=None
        Exposure time in seconds, or "long", "short" or "fast". None takes all.
    quality_bitmask : int or str, default="default"
        Which flagged points lightkurve removes.
    data_home : str, path-like or None, default=None
        Folder for the light curves; see `get_data_home`. The archive's own files stay in lightkurve's cache.
    download : bool, default=True
        Whether to download missing light curves. False never uses the network.
    **search : dict
        Further arguments of ``lightkurve.search_lightcurve``, such as ``sector=`` or ``quarter=``.

    Returns
    -------
    X : list of astropy.table.Table
        Columns ``time`` (days, Barycentric MJD in TDB), ``flux`` and ``flux_err``, each quarter or sector divided by
        its median; missing fluxes are NaN. ``meta`` has ``object_id`` (the target as given), ``mission``, ``author``,
        and numbers and labels from the ``meta`` of lightkurve.

    Raises
    ------
    DatasetError
        If the archive cannot be reached, has no light curve of a target, or a stored light curve was changed.
    ImportError
        If lightkurve is missing: ``pip install skdaep[lightkurve]``.

    Notes
    -----
    The archive grows with the mission and publishes no checksums. So the first version of a light curve is stored with
    its checksum, and later calls return the same. Delete the file to renew it.

    References
    ----------
    Lightkurve Collaboration 2018, Astrophysics Source Code Library, ascl:1812.013.

    Examples
    --------
    They need the network, once:

    >>> from skdaep.datasets import fetch_lightkurve
    >>> X = fetch_lightkurve(["KIC 3733346"], mission="Kepler", quarter=5)  # doctest: +SKIP
    >>> X[0].colnames  # doctest: +SKIP
    ['time', 'flux', 'flux_err']
    """
    targets = [targets] if isinstance(targets, str) else list(targets)
    query = {
        "mission": mission,
        "author": author or {"TESS": "SPOC"}.get(mission, mission),
        "exptime": exptime,
    } | search
    return [_light_curve(target, query, quality_bitmask, data_home, download) for target in targets]


def _light_curve(target: str, query: dict, quality_bitmask, data_home, download: bool) -> Table:
    asked = json.dumps([target, query, quality_bitmask], sort_keys=True, default=str)
    name = f"{re.sub('[^A-Za-z0-9.+-]+', '_', target)}-{hashlib.sha256(asked.encode()).hexdigest()[:12]}.ecsv"
    place = f"lightkurve/{name}"
    path = get_data_home(data_home) / place
    if not path.exists():
        if not download:
            raise DatasetError(f"The light curve of {target!r} ({asked}) is not at {path}, and download=False.")
        table = _ask(target, query, quality_bitmask)
        with in_the_making(path) as part:
            table.write(part, format="ascii.ecsv", overwrite=True)
    return Table.read(local_copy(Remote("", place), data_home), format="ascii.ecsv")


def _ask(target: str, query: dict, quality_bitmask) -> Table:
    """Return what the archive has of a target, sectors or quarters one after another."""
    lightkurve = require("lightkurve", "fetch_lightkurve")
    try:
        found = lightkurve.search_lightcurve(target, **query)
        curves = found.download_all(quality_bitmask=quality_bitmask) if len(found) else None
    except Exception as error:  # lightkurve, astroquery and requests raise a dozen kinds
        raise DatasetError(
            f"lightkurve could not fetch {target!r} ({query}): {type(error).__name__}: {error}. Without a network, "
            "fetch it where there is one and copy the folder 'lightkurve' of the data home."
        ) from error
    if not curves:
        raise DatasetError(f"The archive has no light curve of {target!r} for {query}.")
    curve = curves.stitch()
    columns = {
        name: tables.numbers(curve, name, repr(target), tables.unit_of(curve, name))
        for name in ("time", "flux", "flux_err")
    }
    columns["flux_err"] = positive(columns["flux_err"])
    meta = {k.lower(): v for k, v in curve.meta.items() if isinstance(v, (str, Number)) and v == v}
    meta |= {"object_id": target, "mission": query["mission"], "author": query["author"]}
    return Table(columns, units={"time": u.day}, meta=meta)
