"""Protocol CROSS: supernovae with photometry and spectra; ``python -m benchmarks._cross`` prints their facts.

An object is one spectrum, its phase in ``meta``, with the whole light curve of its supernova: a supernova with five
spectra is five objects of one group. Choices that the README of the data leaves open:

* SALT3 and GOLDSTEIN are both at 10 pc (magnitude - mu, log_flux + 0.4 mu - 26.24), as the paper's set is: one model
  serves both, and the distance, which any method reads off the magnitudes, does not flatter the scores. Redshifts
  are not told. No spectrum is thinned on reading. Errors are left out: GOLDSTEIN has none, and no method uses them.
* GOLDSTEIN: magnitudes fainter than -12 and epochs after day 60 are dropped (18 %): SALT3 has none, and so deep no
  survey would see them.
* REAL: ten optical bands under their names, whatever the system; days in the rest frame from a Gaussian-process peak
  in the first of B, g, V, r, R with five points, -30 to +100 d; magnitudes at 10 pc by redshift (flat, H0 = 70, Om =
  0.3). Spectra as in SN-SPEC, but their logarithm less its mean at 4500-6500 A; at most ten per supernova, evenly in
  phase.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from astropy import units
from astropy.cosmology import FlatLambdaCDM
from astropy.table import Table
from scipy.ndimage import median_filter

from skdaep import Photometry, Spectrum

from ._data import MIN_POINTS, SPLITS, WINDOW, cached, peak_time, raw_file

PHASES = (-10, 0, 10, 20, 30)  # days from maximum
SPECTRUM_UNITS = {"wavelength": units.AA}
PHOTOMETRY_UNITS = {"phase": units.day, "mag": units.mag}
FLUX_OF_AB17 = -26.24  # log10 of cgs per hertz
FAINTEST, LAST_EPOCH = -12.0, 60.0  # GOLDSTEIN

BANDS = tuple("UBVRIugriz")  # REAL
PEAK_BANDS = tuple("BgVrR")
EPOCHS = (-30.0, 100.0)
LEVEL_WINDOW = (4500.0, 6500.0)
MAX_SPECTRA = 10
MIN_EPOCHS = 5
COSMOLOGY = FlatLambdaCDM(H0=70, Om0=0.3)


@dataclass(frozen=True)
class Cross:
    """Objects of one data set by split, each a dict of its modalities, and the supernova that each belongs to."""

    protocol: str
    objects: dict[str, list[dict]]
    groups: dict[str, np.ndarray]
    sha256: dict[str, str]  # of the raw files
    half_width: float = 0.01  # days, of a phase bin

    @property
    def modalities(self) -> dict:
        """Declarations for a new model."""
        spectrum = Spectrum("log_flux", metadata=("phase",))
        return {"photometry": Photometry(location="phase", unknown="ignore"), "spectrum": spectrum}

    def limited(self, n: int | None) -> Cross:
        """Keep the first n supernovae of each split."""
        if n is None:
            return self
        kept = {k: np.flatnonzero(np.isin(g, pd.unique(g)[:n])) for k, g in self.groups.items()}
        objects = {k: [self.objects[k][i] for i in rows] for k, rows in kept.items()}
        return replace(self, objects=objects, groups={k: self.groups[k][rows] for k, rows in kept.items()})

    def n_supernovae(self) -> list[int]:
        """Return the number of supernovae in each split."""
        return [len(np.unique(self.groups[k])) for k in SPLITS]

    def at_phase(self, X: list[dict], phase: float) -> np.ndarray:
        """Return the indices of the spectra taken at one of PHASES."""
        return np.flatnonzero(np.abs(phases(X) - phase) <= self.half_width)


def phases(X: list[dict]) -> np.ndarray:
    """Return the phase of each object's spectrum, NaN where unknown."""
    return np.array([o["spectrum"].meta.get("phase", np.nan) for o in X], float)


def salt3() -> Cross:
    """SALT3: 3,000 simulated supernovae with five spectra each."""
    files = {k: raw_file(f"salt3_lsst_simulated/{k}") for k in ("objects.parquet", "photometry.parquet", "spectra.npz")}
    about = pd.read_parquet(files["objects.parquet"]).set_index("object_id")
    photometry = pd.read_parquet(files["photometry.parquet"]).astype({"band": str, "object_id": str})
    light_curves = {name: _light_curve(rows, about.mu[name]) for name, rows in photometry.groupby("object_id")}
    with np.load(files["spectra.npz"]) as file:
        spectra = {k: file[k] for k in file.files}
    mu = about.mu[spectra["object_id"]].to_numpy()
    log_flux = spectra["log_flux"] + 0.4 * mu[:, None] + FLUX_OF_AB17
    rows = zip(spectra["object_id"], spectra["phase"], spectra["wavelength"], log_flux, strict=True)
    objects = (
        (name, about.split[name], {"photometry": light_curves[name], "spectrum": _spectrum(*spectrum)})
        for name, *spectrum in rows
    )
    return _by_split("SALT3", objects, files)


def goldstein() -> Cross:
    """GOLDSTEIN: 84 supernovae of radiative-transfer models with five spectra each."""
    path = raw_file("goldstein_snia_simulated.parquet")
    frame, light_curves = pd.read_parquet(path), {}
    for name, rows in frame.groupby("object_id"):
        row = rows.iloc[0]
        points = pd.DataFrame({"phase": row.photo_location, "mag": row.photo_value, "band": row.photo_band.astype(str)})
        light_curves[name] = _light_curve(points[(points.mag < FAINTEST) & (points.phase < LAST_EPOCH)])
    spectra = (_spectrum(*row) for row in zip(frame.phase, frame.location, frame.value, strict=True))
    objects = (
        (name, split, {"photometry": light_curves[name], "spectrum": spectrum})
        for name, split, spectrum in zip(frame.object_id, frame.split, spectra, strict=True)
    )
    return _by_split("GOLDSTEIN", objects, {path.name: path})


def real() -> Cross:
    """REAL: observed light curves and spectra of the same supernovae."""
    files = {name: raw_file(name) for name in ("sn_spectra.parquet", "sn_paired_lightcurves.parquet")}
    columns, _ = cached("cross-real", files["sn_spectra.parquet"], _prepare_real)
    light_curves = {
        name: _light_curve(pd.DataFrame(points), label=label) for name, label, points in columns["light_curves"]
    }
    objects = (
        (name, split, {"photometry": light_curves[name], "spectrum": _spectrum(*spectrum)})
        for name, split, *spectrum in columns["spectra"]
    )
    return replace(_by_split("REAL", objects, files), half_width=2.5)


PROTOCOLS: dict[str, Callable[[], Cross]] = {"SALT3": salt3, "GOLDSTEIN": goldstein, "REAL": real}


def _by_split(protocol: str, objects, files: dict[str, Path]) -> Cross:
    X: dict[str, list] = {k: [] for k in SPLITS}
    groups: dict[str, list] = {k: [] for k in SPLITS}
    for name, split, modalities in objects:
        X[split].append(modalities)
        groups[split].append(name)
    checksums = {k: hashlib.sha256(path.read_bytes()).hexdigest() for k, path in files.items()}
    return Cross(protocol, X, {k: np.array(g) for k, g in groups.items()}, checksums)


def _light_curve(points: pd.DataFrame, mu: float = 0.0, **meta) -> Table:
    phase, mag, band = (points[k].to_numpy() for k in ("phase", "mag", "band"))
    columns = {"phase": phase.astype(float), "mag": mag.astype(float) - mu, "band": band.astype(str)}
    return Table(columns, units=PHOTOMETRY_UNITS, meta=meta)


def _spectrum(phase: float, wavelength, log_flux) -> Table:
    columns = {"wavelength": np.asarray(wavelength, float), "log_flux": np.asarray(log_flux, float)}
    return Table(columns, units=SPECTRUM_UNITS, meta={"phase": float(phase)} if np.isfinite(phase) else {})


# --- real supernovae ------------------------------------------------------------------------------------


def _prepare_real(path: Path) -> dict[str, list]:
    """Return light curves and spectra of the supernovae that keep both."""
    pairs = pd.read_parquet(path.with_name("sn_paired_lightcurves.parquet"))
    wanted = np.concatenate(pairs.spectra.to_list()).tolist()
    columns = ["object_id", "redshift", "phase", "location", "value"]
    spectra = pd.read_parquet(path, columns=columns, filters=[("object_id", "in", wanted)]).set_index("object_id")
    out: dict[str, list] = {"light_curves": [], "spectra": []}
    for row in pairs.itertuples():
        points, usable = _real_light_curve(row), []
        for spectrum in spectra.loc[row.spectra].itertuples():
            if (prepared := _real_spectrum(spectrum)) is not None:
                usable.append((spectrum.phase, *prepared))
        if points is not None and usable:
            usable.sort(key=lambda s: np.nan_to_num(s[0], nan=np.inf))
            places = np.unique(np.linspace(0, len(usable) - 1, MAX_SPECTRA).astype(int))
            out["light_curves"].append((row.object_id, row.label, points))
            out["spectra"] += [(row.object_id, row.split, *usable[i]) for i in places]
    return out


def _real_light_curve(row) -> dict[str, np.ndarray] | None:
    band = row.band.astype(str)
    time, mag, error = (np.asarray(a, float) for a in (row.location, row.value, row.value_err))
    known = np.isin(band, BANDS) & np.isfinite(mag)
    time, mag, error, band = (a[known] for a in (time, mag, error, band))
    often = [b for b in PEAK_BANDS if (band == b).sum() >= MIN_EPOCHS]
    if not often:
        return None
    redshift = max(row.redshift, 5e-4)  # a few nearby ones come towards us
    phase = (time - peak_time(time, mag, error, band == often[0])) / (1 + redshift)
    mag = mag - COSMOLOGY.distmod(redshift).value
    keep = (phase >= EPOCHS[0]) & (phase <= EPOCHS[1])
    points = {"phase": phase, "mag": mag, "band": band}
    return {k: v[keep] for k, v in points.items()} if keep.sum() >= MIN_EPOCHS else None


def _real_spectrum(row) -> tuple[np.ndarray, np.ndarray] | None:
    wavelength = np.asarray(row.location, float) / (1 + row.redshift)
    flux = median_filter(np.asarray(row.value, float), 5)
    keep = (flux > 0.01 * np.median(flux)) & (wavelength >= WINDOW[0]) & (wavelength <= WINDOW[1])
    wavelength, log_flux = wavelength[keep], np.log10(flux[keep])
    level = (wavelength >= LEVEL_WINDOW[0]) & (wavelength <= LEVEL_WINDOW[1])
    return (wavelength, log_flux - log_flux[level].mean()) if level.sum() >= MIN_POINTS else None


if __name__ == "__main__":
    for read in PROTOCOLS.values():
        data = read()
        print(data.protocol, "supernovae:", *data.n_supernovae(), " spectra:", *(len(data.objects[k]) for k in SPLITS))
        for split in SPLITS:
            X = data.objects[split]
            print(f"  {split}: at phase", {p: len(data.at_phase(X, p)) for p in PHASES})
