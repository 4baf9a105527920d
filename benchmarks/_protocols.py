"""The protocols behind the paper's Tables 1 to 3; ``python -m benchmarks._protocols`` prints their facts.

Choices that the README of the data leaves open:

* SPCC: 6,000 / 1,000 / 3,000 objects drawn once; ``time`` is days from the most significant point (flux over error) in
  any band, half of which lie within 8 days of the true maximum; ``arcsinh_flux`` is arcsinh(flux / 10).
* CRTS and S82: magnitudes less the object's median, which is in ``meta["median_mag"]``: apparent brightness is no
  property of the kind of star. Phase 0 is where a Fourier series of three harmonics is faintest (CRTS: eclipses) or
  brightest (S82: RR Lyrae). log10 of the period in days is in ``meta["log_period"]``. A handful of impossible dates
  in CRTS are dropped.
* LONG: the four O stars have no label.
* IMAGE: errors in units of the pixels, which run from -1 to 1.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from astropy import units
from PIL import Image

from . import _report
from ._data import SPLITS, Data, assemble, cached, raw_file, sn_spectra, ztf_lightcurves

SPCC_SIZES = {"train": 6000, "validation": 1000, "test": 3000}  # a CPU has to train on them
SPCC_SOFTENING = 10.0  # FLUXCAL; below, arcsinh is about linear: the median error is 3.6
FIRST_MJD = 50000.0  # CRTS has a few points at dates that are none
N_HARMONICS = 3
SPEX_WINDOW = (0.9, 2.4)  # micron
IMAGE_SIZE = 64
META = ("object_id", "split")


def spcc() -> Data:
    """SPCC: simulated supernovae in griz, arcsinh of the flux against days from the most significant point."""
    columns, checksum = cached("spcc", raw_file("spcc_lightcurves_simulated.parquet"), _prepare_spcc)
    names = {"location": "time", "error": "arcsinh_flux_err"}
    return assemble("SPCC", "arcsinh_flux", columns, checksum, {"time": units.day}, **names)


def crts() -> Data:
    """CRTS: periodic variables, magnitudes against days since the first epoch."""
    return _variables("CRTS", "crts_variable_stars.parquet", _prepare_crts, folded=False)


def crts_folded() -> Data:
    """CRTS with the catalogue's period: magnitudes against phase, and log10 of the period as metadata."""
    return _variables("CRTS-FOLDED", "crts_variable_stars.parquet", _prepare_crts, folded=True)


def s82() -> Data:
    """S82: RR Lyrae in ugriz, magnitudes against days since the first epoch."""
    return _variables("S82", "s82_rrlyrae_ugriz.parquet", _prepare_s82, folded=False)


def s82_folded() -> Data:
    """S82 with the catalogue's period: magnitudes against phase, and log10 of the period as metadata."""
    return _variables("S82-FOLDED", "s82_rrlyrae_ugriz.parquet", _prepare_s82, folded=True)


def long_spectra() -> Data:
    """LONG: MILES stars at native sampling, arcsinh of the flux over its median."""
    columns, checksum = cached("long", raw_file("miles_stellar_spectra.parquet"), _prepare_miles)
    more = {"location": "wavelength", "grid": columns["wavelength"][0]}  # all spectra share their wavelengths
    return assemble("LONG", "arcsinh_flux", columns, checksum, {"wavelength": units.AA}, **more)


def spex() -> Data:
    """SpeX: near-infrared M, L and T dwarfs, arcsinh of the flux over its median."""
    columns, checksum = cached("spex", raw_file("spex_dwarf_spectra.parquet"), _prepare_spex)
    more = {"location": "wavelength", "error": "arcsinh_flux_err", "grid": np.linspace(*SPEX_WINDOW, 500)}
    return assemble("SpeX", "arcsinh_flux", columns, checksum, {"wavelength": units.micron}, **more)


def images() -> Data:
    """IMAGE: EFIGI galaxies, 64 x 64 pixels in three colours from -1 to 1."""
    columns, checksum = cached("image", raw_file("efigi_galaxy_images.parquet"), _prepare_efigi)
    split, pixels, label = (np.array(columns[k]) for k in ("split", "pixels", "label"))
    objects = {k: (pixels[split == k] / 127.5 - 1).astype(np.float32) for k in SPLITS}
    classes = {k: label[split == k] for k in SPLITS}
    return Data("IMAGE", "pixels", **objects, origin=0.0, scale=1.0, sha256=checksum, classes=classes)


PROTOCOLS: dict[str, Callable[[], Data]] = {
    "SN-SPEC": sn_spectra,
    "ZTF-LC": ztf_lightcurves,
    "SPCC": spcc,
    "CRTS": crts,
    "CRTS-FOLDED": crts_folded,
    "S82": s82,
    "S82-FOLDED": s82_folded,
    "LONG": long_spectra,
    "SpeX": spex,
    "IMAGE": images,
}


# --- objects from rows of the files ---------------------------------------------------------------------


def _columns(rows: Iterable[dict | None]) -> dict[str, list]:
    """Turn rows into columns; None is an object that the protocol drops."""
    rows = [row for row in rows if row is not None]
    return {key: [row[key] for row in rows] for key in rows[0]}


def _meta(row, *more: str) -> dict:
    """Return metadata of a row; a label that is null is None."""
    label = row.label if isinstance(row.label, str) else None
    return {"label": label} | {key: getattr(row, key) for key in (*META, *more)}


def _prepare_spcc(path: Path) -> dict[str, list]:
    frame = pd.read_parquet(path)
    drawn = pd.concat([frame[frame.split == k].sample(n, random_state=0) for k, n in SPCC_SIZES.items()])
    return _columns(map(_supernova, drawn.itertuples()))


def _supernova(row) -> dict:
    flux, error = (np.asarray(a, float) / SPCC_SOFTENING for a in (row.value, row.value_err))
    error[error <= 0] = np.nan  # 20 points of all
    time = np.asarray(row.location, float)
    return {
        "time": time - time[np.nanargmax(flux / error)],
        "arcsinh_flux": np.arcsinh(flux),
        "arcsinh_flux_err": error / np.hypot(1, flux),
        "band": row.band.astype(str),
        **_meta(row, "redshift", "mjd_max"),
    }


def _variables(protocol: str, file: str, prepare, folded: bool) -> Data:
    """Return periodic variables; the Tables of both variants have both locations."""
    columns, checksum = cached(protocol.split("-")[0].lower(), raw_file(file), prepare)
    with_units = {"time": units.day, "mag": units.mag, "mag_err": units.mag}
    names = {"location": "phase", "metadata": ("log_period",)} if folded else {"location": "time"}
    return assemble(protocol, "mag", columns, checksum, with_units, error="mag_err", **names)


def _prepare_crts(path: Path) -> dict[str, list]:
    return _columns(_variable(row, brightest=False) for row in pd.read_parquet(path).itertuples())


def _prepare_s82(path: Path) -> dict[str, list]:
    rows = pd.read_parquet(path).itertuples()
    return _columns(_variable(row, brightest=True) | {"band": row.band.astype(str)} for row in rows)


def _variable(row, brightest: bool) -> dict:
    keep = row.location > FIRST_MJD
    time, mag, error = (np.asarray(a, float)[keep] for a in (row.location, row.value, row.value_err))
    band = row.band[keep].astype(str) if hasattr(row, "band") else np.full(len(time), "")
    level = np.array([np.median(mag[band == b]) for b in band])
    zero = extreme_phase(time / row.period, mag - level, error, brightest)
    return {
        "time": time - time.min(),
        "phase": (time / row.period - zero) % 1,
        "mag": mag - np.median(mag),
        "mag_err": error,
        "median_mag": float(np.median(mag)),
        "log_period": float(np.log10(row.period)),
        **_meta(row),
    }


def extreme_phase(cycles: np.ndarray, mag: np.ndarray, error: np.ndarray, brightest: bool) -> float:
    """Return the phase at which a Fourier series fitted to magnitudes is brightest or faintest."""

    def design(x):
        angles = 2 * np.pi * x[:, None] * np.arange(1, N_HARMONICS + 1)
        return np.hstack([np.ones((len(x), 1)), np.cos(angles), np.sin(angles)])

    weight = 1 / np.hypot(error, 0.02)
    coefficients = np.linalg.lstsq(design(cycles % 1) * weight[:, None], mag * weight, rcond=None)[0]
    grid = np.linspace(0, 1, 200, endpoint=False)
    series = design(grid) @ coefficients
    return float(grid[np.argmin(series) if brightest else np.argmax(series)])


def _prepare_miles(path: Path) -> dict[str, list]:
    columns = _columns(map(_star, pd.read_parquet(path).itertuples()))
    return columns | {"label": [None if label == "O" else label for label in columns["label"]]}  # too few to probe


def _star(row) -> dict:
    flux = np.asarray(row.value, float)
    points = {"wavelength": np.asarray(row.location, float), "arcsinh_flux": np.arcsinh(flux / np.median(flux))}
    return points | _meta(row, "teff", "logg", "feh")


def _prepare_spex(path: Path) -> dict[str, list]:
    return _columns(map(_dwarf, pd.read_parquet(path).itertuples()))


def _dwarf(row) -> dict | None:
    wavelength, flux, error = (np.asarray(a, float) for a in (row.location, row.value, row.value_err))
    keep = (wavelength >= SPEX_WINDOW[0]) & (wavelength <= SPEX_WINDOW[1]) & np.isfinite(flux)
    level = np.median(flux[keep])
    flux, error = flux[keep] / level, error[keep] / level
    points = {"wavelength": wavelength[keep], "arcsinh_flux": np.arcsinh(flux)}
    return points | {"arcsinh_flux_err": error / np.hypot(1, flux), **_meta(row, "source_id")}


def _prepare_efigi(path: Path) -> dict[str, list]:
    return _columns(_galaxy(row) for row in pd.read_parquet(path).itertuples())


def _galaxy(row) -> dict:
    with Image.open(io.BytesIO(row.jpeg)) as image:  # Pillow's filters widen with the reduction: no aliasing
        small = image.convert("RGB").resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.LANCZOS)
    return {"pixels": np.asarray(small), **_meta(row, "hubble_t")}


# --- facts ----------------------------------------------------------------------------------------------


def describe(data: Data) -> str:
    """Return objects per split, points per object, location and value ranges and labels as lines of text."""
    sizes = " / ".join(str(len(getattr(data, k))) for k in SPLITS)
    values = [data.values(o) for o in data.train]
    points = points_per_object(data)
    spread = np.percentile(np.concatenate([v.ravel() for v in values]), [0, 1, 50, 99, 100])
    labels, counts = np.unique(data.labels("test").astype(str), return_counts=True)
    lines = [
        f"{data.protocol}: {sizes} objects; {points['min']} / {points['median']:g} / {points['max']} points",
        f"  {data.value}: mean {data.origin:.4f}, sd {data.scale:.4f}; 0, 1, 50, 99, 100 %: {np.round(spread, 3)}",
        f"  test labels: {', '.join(f'{k} {n}' for k, n in zip(labels, counts, strict=True))}",
    ]
    if data.location is not None:
        location = np.concatenate([np.asarray(t[data.location]) for t in data.train])
        lines.insert(1, f"  {data.location}: {location.min():.4g} to {location.max():.4g}; error: {data.error}")
    return "\n".join(lines)


def points_per_object(data: Data) -> dict[str, float]:
    """Return the least, median and largest number of points of a training object."""
    points = [data.values(o).size for o in data.train]
    return {"min": min(points), "median": float(np.median(points)), "max": max(points)}


if __name__ == "__main__":
    facts = {}
    for name, read in PROTOCOLS.items():
        data = read()
        print(describe(data), flush=True)
        facts[name] = {"points": points_per_object(data), "data_sha256": data.sha256}
    _report.write("protocols", {"rows": facts})
