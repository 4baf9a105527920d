"""Find the column for each role: by the given name, or else by the names that surveys and pipelines use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from astropy.table import Table

from ..exceptions import TableError
from ._units import is_magnitude, plain, unit_of

#: role -> common column names; case and separators are ignored
ALIASES = {
    "value": ("value", "flux", "mag", "magnitude", "f_lambda", "flam", "fluxcal"),  # fluxcal: SNANA
    "location": ("location", "time", "mjd", "jd", "date", "wavelength", "wave", "lambda", "phase"),
    "band": ("band", "filter", "passband", "bandpass", "flt"),  # passband: PLAsTiCC; flt: SNANA
    "error": ("error", "err", "uncertainty", "unc", "sigma"),  # names without that of the value; uncertainty: AAVSO
    "ivar": ("ivar", "inverse_variance", "invvar"),  # ivar: SDSS, DESI, LAMOST
    "quality": (
        *("dq", "dq_flag", "and_mask"),  # STScI pipelines; SDSS, and LAMOST's andmask
        "catflags",  # ZTF data releases
        "rejected_by_photometry",  # Gaia DR3 epoch photometry
        *("upper_limit", "is_upper_limit", "upperlim"),
    ),
}

#: role -> names that only some surveys use; they are tried if no common name matches
SURVEYS = {
    "value": (
        *("psfFlux", "psfMag", "psfDiffFlux"),  # Rubin LSST, data previews (DP1): Source, ForcedSource, DiaSource
        *("magpsf", "forcediffimflux"),  # ZTF alerts and ALeRCE; ZTF forced photometry
        "uJy",  # ATLAS forced photometry
        *("pdcsap_flux", "sap_flux"),  # TESS, Kepler
    ),
    "location": (
        *("hjd", "bjd", "hmjd", "obsmjd"),  # AAVSO, ASAS-SN; Kepler, eclipse timing; ZTF light curves (SNAD; IRSA)
        *("midpointMjdTai", "expMidptMJD"),  # LSST DP1; DP0.2
        *("mjd_obs", "jd_obs", "obs_time", "bjd_tdb", "btjd", "bkjd"),  # VizieR; exoplanet archives; TESS; Kepler
        *("loglam", "lam"),  # SDSS spectra; common in VizieR
    ),
    "band": (
        *("filtercode", "fid"),  # ZTF data releases (zg, zr, zi); ZTF alerts and ALeRCE (1, 2, 3)
        "F",  # ATLAS forced photometry (c, o)
        *("phot_filter", "filt", "filterName"),  # ASAS-SN Sky Patrol v2; Open Supernova Catalog; LSST DP0
    ),
    "error": (),
    "ivar": (),
    "quality": (),
}

#: names of the error of a value X
ERRORS = (
    *("X_err", "X_error", "X_uncertainty", "X_unc"),  # PLAsTiCC, TESS; Gaia; ZTF forced photometry
    *("e_X", "err_X", "dX", "sigma_X", "sig_X"),  # VizieR and ALeRCE; ATLAS; sigma_X also ZTF (sigmagap)
    *("X_sigma", "X_std"),
)
#: names of the inverse variance of a value X, and of a flag that is not 0 for bad values
INVERSE_VARIANCES = ("X_ivar", "ivar_X", "X_invvar")
FLAGS = ("X_flag",)  # LSST: psfFlux_flag

#: default advice in errors
ASK = "modality=Sequence({})"


class Columns(NamedTuple):
    """Names of the columns by role, None if there is none."""

    value: str | None = None
    location: str | None = None
    band: str | None = None
    error: str | None = None
    ivar: str | None = None
    quality: str | None = None

    @classmethod
    def find(
        cls,
        table: Table,
        object_name: str,
        names: Mapping[str, str | None],
        required: Iterable[str] = ("value", "location"),
        ask: str = ASK,
    ) -> Columns:
        """Return the columns for the roles in `names`: the named ones, or else those with a usual name.

        Columns of errors (or inverse variances) and flags that belong to the value are found even if they are not in
        `names`. Then there is no error if several match; none of them is used.
        """
        found: dict[str, str | None] = dict.fromkeys(cls._fields)
        for role in cls._fields if "value" in names else names:
            other = {"error": names.get("ivar"), "ivar": found["error"]}.get(role)  # one of the two is enough
            needed = role in required and role != "error"
            if other is not None and names.get(role) is None:
                continue
            if role in names:
                found[role] = find_column(table, role, names[role], object_name, needed, ask=ask, value=found["value"])
            elif role in ("error", "ivar", "quality"):
                (found[role],) = several if len(several := candidates(table, role, (), found["value"])) == 1 else [None]
        if "error" in required and found["error"] is found["ivar"] is None:
            find_column(table, "error", None, object_name, ask=ask, value=found["value"])
        return cls(**found)


def find_column(
    table: Table,
    role: str,
    name: str | None,
    object_name: str,
    required: bool = True,
    prefer: tuple[str, ...] = (),
    ask: str = ASK,
    value: str | None = None,
) -> str | None:
    """Return the name of the column for a role: `name` if given, or else the only one with a usual name.

    If several match, one of `prefer` is used. Errors are those of the column `value`. `ask` shows in error messages how
    the user can name a column, with ``{}`` for role and name.

    Raises
    ------
    TableError
        If the named column does not exist, or no column or several columns have a usual name.
    """
    has = ", ".join(table.colnames) or "no columns"
    declare = ask.format(f"{role}=...")
    if name is not None:
        if name not in table.colnames:
            raise TableError(
                f"{object_name} has no column '{name}' (it has: {has}). Rename it or declare it with {declare}."
            )
        return name
    found = candidates(table, role, prefer, value)
    if len(found) == 1:
        return found[0]
    if found:
        raise TableError(
            f"{object_name} has several candidates for the {role}: {', '.join(found)}. "
            f"Choose with {ask.format(f'{role}={found[0]!r}')}."
        )
    if required:
        known = ", ".join((*_own_names(role, value), *ALIASES[role], *SURVEYS[role]))
        raise TableError(
            f"{object_name} has no column for the {role} (it has: {has}; known names: {known}). "
            f"Declare it with {declare}."
        )
    return None


def candidates(table: Table, role: str, prefer: tuple[str, ...] = (), value: str | None = None) -> list[str]:
    """Return the columns with a usual name for a role; only those in `prefer`, in any case, if there are any.

    Names derived from the value have priority, then general names, then those of surveys.
    """
    columns = [c for c in table.colnames if c != value]
    own, all_write, surveys = _names(role, value)
    found = [[c for c in columns if plain(c) in names] for names in (own, all_write, surveys)]
    if role == "band":  # the band F of ATLAS is text; a column F of numbers is something else
        found[2] = [c for c in found[2] if plain(c) != "f" or table[c].dtype.kind in "SUO"]
    if role in ("error", "ivar") and value is not None:
        found[1:] = [
            _of_kind(table, found[1], value),
            _of_another_name(table, columns, value) if role == "error" else [],
        ]
    wanted = {plain(c) for c in prefer}
    preferred = [c for several in found for c in several if plain(c) in wanted]
    return list(dict.fromkeys(preferred)) or next(filter(None, found), [])


@lru_cache
def _names(role: str, value: str | None) -> tuple[frozenset[str], ...]:
    """Return the plain names for a role: those derived from the value, general names, and those of surveys."""
    own = {plain(name) for name in _own_names(role, value)}
    if role == "error" and value is not None:
        # Inside the name, as in FLUXERR_AUTO (SExtractor) and psfMagErr_r (SDSS); also sigmapsf for magpsf (ZTF).
        key = plain(value)
        own |= {key.replace(x, x + end, 1) for x in ("flux", "mag") if x in key for end in ("err", "error")}
        own |= {"sigma" + key.removeprefix("mag")} if key.startswith("mag") and key != "mag" else set()
    if role == "ivar" and value is not None:
        own |= {plain(value).replace("flux", "ivar", 1)} - {plain(value)}  # such as B_FLUX and B_IVAR of DESI
    return frozenset(own), *(frozenset(map(plain, names[role])) for names in (ALIASES, SURVEYS))


def _own_names(role: str, value: str | None) -> tuple[str, ...]:
    """Return the names for a role that are derived from the name of the value."""
    patterns = {"error": ERRORS, "ivar": INVERSE_VARIANCES, "quality": FLAGS}.get(role, ())
    return tuple(name.replace("X", value) for name in patterns) if value is not None else ()


def _of_kind(table: Table, names: list[str], value: str) -> list[str]:
    """Return columns that name no value, without those whose unit is of another kind and where two kinds are there."""
    kind = is_magnitude(value, unit_of(table, value)) if value in table.colnames else is_magnitude(value, None)
    others = {is_magnitude(c, unit_of(table, c)) for c in table.colnames if _is_value(c) and c != value} - {None, kind}
    told = [c for c in names if unit_of(table, c) and is_magnitude(c, unit_of(table, c)) == kind]
    return told if others else [c for c in names if is_magnitude(c, unit_of(table, c)) in (None, kind) or kind is None]


def _of_another_name(table: Table, columns: list[str], value: str) -> list[str]:
    """Return errors of a customary value that is not there, such as magerr beside magnitude, the only value there."""
    if not _is_value(value) or any(_is_value(c) for c in columns):
        return []
    kind = is_magnitude(value, None)
    same = [v for v in ALIASES["value"] if kind is not None and is_magnitude(v, None) is kind]
    names = frozenset().union(*(_names("error", v)[0] for v in same))
    return _of_kind(table, [c for c in columns if plain(c) in names], value)


@lru_cache
def _is_value(name: str) -> bool:
    return any(plain(name) in names for names in _names("value", None))
