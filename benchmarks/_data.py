"""Objects of a protocol by split, and the readers of SN-SPEC and ZTF-LC; raw files are read where SKDAEP_DATA says.

The other protocols are in _protocols.py.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import tempfile
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from astropy import units
from astropy.table import Table
from scipy.ndimage import median_filter
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern

ROOT = Path(__file__).resolve().parents[1]
CACHE = Path(tempfile.gettempdir()) / "skdaep-benchmarks"

WINDOW = (3500.0, 8000.0)  # SN-SPEC, rest-frame Angstrom
MIN_POINTS = 20
META = ("object_id", "label", "redshift", "split")
N_JOBS = 2
PHASES = (-30.0, 100.0)  # ZTF-LC, days from the peak in r


@dataclass(frozen=True)
class Data:
    """Objects of one protocol by split, and the scaling in which errors are given.

    The objects of a split are a list of Tables or, of images, one array.
    """

    protocol: str
    value: str  # column of the value
    train: list[Table] | np.ndarray
    validation: list[Table] | np.ndarray
    test: list[Table] | np.ndarray
    origin: float  # mean and standard deviation of all training points; 0 and 1 for images
    scale: float
    sha256: str  # of the raw file
    location: str | None = None  # column of the location; None: images
    error: str | None = None  # column of the value's error
    metadata: tuple[str, ...] = ()  # keys of meta that the protocol lets a model use
    grid: np.ndarray | None = None  # locations for methods that need the same ones in all objects
    classes: dict[str, np.ndarray] | None = None  # labels by split, where no meta holds them

    def limited(self, n: int | None) -> Data:
        """Keep the first n objects of each split."""
        if n is None:
            return self
        classes = self.classes and {k: v[:n] for k, v in self.classes.items()}
        return replace(self, classes=classes, **{k: getattr(self, k)[:n] for k in SPLITS})

    def values(self, obj: Table | np.ndarray) -> np.ndarray:
        """Return an object's values."""
        return np.asarray(obj if self.location is None else obj[self.value], float)

    def scaled(self, obj: Table | np.ndarray) -> np.ndarray:
        """Return an object's values in z-scored units."""
        return (self.values(obj) - self.origin) / self.scale

    def labels(self, split: str) -> np.ndarray:
        """Return the class labels of a split; None where unknown."""
        if self.classes is not None:
            return self.classes[split]
        return np.array([t.meta["label"] for t in getattr(self, split)])


SPLITS = ("train", "validation", "test")


def data_folder() -> Path:
    """Return the folder of the shared data sets."""
    return Path(os.environ.get("SKDAEP_DATA", ROOT.parent / "shared" / "data"))


def raw_file(name: str) -> Path:
    """Return a file of the shared data sets, or say how to point to them."""
    path = data_folder() / name
    if not path.exists():
        raise SystemExit(f"{path} is not there: set SKDAEP_DATA to the folder that holds {name}.")
    return path


def sn_spectra() -> Data:
    """SN-SPEC: one rest-frame optical spectrum per supernova, log10 of the flux over its median."""
    path = raw_file("sn_spectra.parquet")
    columns, checksum = cached("sn-spec", path, _prepare_spectra)
    with_units = {"wavelength": units.AA}
    grid = np.linspace(*WINDOW, 1000)
    return assemble("SN-SPEC", "log_flux", columns, checksum, with_units, location="wavelength", grid=grid)


def ztf_lightcurves() -> Data:
    """ZTF-LC: magnitudes in g and r against days from the peak in r."""
    path = raw_file("ztf_bts_lightcurves.parquet")
    columns, checksum = cached("ztf-lc", path, _prepare_lightcurves)
    with_units = {"phase": units.day, "mag": units.mag, "mag_err": units.mag}
    return assemble("ZTF-LC", "mag", columns, checksum, with_units, location="phase", error="mag_err")


def _prepare_spectra(path: Path) -> dict[str, list]:
    frame = pd.read_parquet(path, filters=[("primary", "==", True)])
    out: dict[str, list] = {k: [] for k in ("wavelength", "log_flux", *META)}
    for row in frame.itertuples():
        wavelength = np.asarray(row.location, float) / (1 + row.redshift)
        flux = median_filter(np.asarray(row.value, float), 5)
        keep = (flux > 0.01 * np.median(flux)) & (wavelength >= WINDOW[0]) & (wavelength <= WINDOW[1])
        if keep.sum() >= MIN_POINTS:
            out["wavelength"].append(wavelength[keep])
            out["log_flux"].append(np.log10(flux[keep]))
            for key in META:
                out[key].append(getattr(row, key))
    return out


def _prepare_lightcurves(path: Path) -> dict[str, list]:
    frame = pd.read_parquet(path)
    rows = list(frame.itertuples())
    arrays = [[np.asarray(a, float) for a in (r.location, r.value, r.value_err)] + [r.band.astype(str)] for r in rows]
    peaks = joblib.Parallel(n_jobs=N_JOBS)(joblib.delayed(peak_time)(*a[:3], a[3] == "r") for a in arrays)
    points = ("phase", "mag", "mag_err", "band")
    out: dict[str, list] = {k: [] for k in (*points, *META)}
    for row, (time, mag, error, band), peak in zip(rows, arrays, peaks, strict=True):
        phase = time - peak
        keep = (phase >= PHASES[0]) & (phase <= PHASES[1]) & np.isfinite(mag)
        if keep.any():
            for key, values in zip(points, (phase, mag, error, band), strict=True):
                out[key].append(values[keep])
            for key in META:
                out[key].append(getattr(row, key))
    return out


def peak_time(time: np.ndarray, mag: np.ndarray, error: np.ndarray, in_band: np.ndarray) -> float:
    """Return when a Gaussian process through one band's magnitudes is brightest, within the observed range.

    It is fitted within 60 days of the brightest point that has two others within 20 days: not a stray one.
    """
    keep = in_band & np.isfinite(mag)
    time, mag, error = time[keep], mag[keep], np.hypot(np.nan_to_num(error[keep], nan=0.1), 0.02)
    n_near = (np.abs(time[:, None] - time) < 20).sum(1)
    origin = time[np.argmin(np.where(n_near > 2, mag, mag + 100))]
    near = np.abs(time - origin) < 60
    time, mag, error = time[near] - origin, mag[near], error[near]
    kernel = ConstantKernel(1.0, (0.05, 20.0)) * Matern(20.0, (8.0, 80.0), nu=2.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a bound is a fine answer
        process = GaussianProcessRegressor(kernel, alpha=error**2).fit(time[:, None], mag - mag.mean())
    grid = np.arange(time.min(), time.max() + 0.25, 0.25)
    return float(origin + grid[np.argmin(process.predict(grid[:, None]))])


def cached(name: str, path: Path, prepare) -> tuple[dict[str, list], str]:
    """Return what `prepare` makes of a file and the file's checksum; that and the code of `prepare` key the cache."""
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    code = Path(inspect.getfile(prepare)).read_text()
    key = hashlib.sha256((checksum + code).encode()).hexdigest()[:16]
    cache = CACHE / f"{name}-{key}.joblib"
    if not cache.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        temporary = cache.with_suffix(f".{os.getpid()}")
        joblib.dump(prepare(path), temporary)
        temporary.replace(cache)
    return joblib.load(cache), checksum


def assemble(protocol: str, value: str, columns: dict[str, list], checksum: str, with_units: dict, **more) -> Data:
    """Make Tables of prepared columns: arrays become columns, the rest metadata; `more` are other fields of `Data`."""
    points = [k for k, v in columns.items() if isinstance(v[0], np.ndarray)]
    objects: dict[str, list[Table]] = {k: [] for k in SPLITS}
    for row in zip(*columns.values(), strict=True):
        row = dict(zip(columns, row, strict=True))
        table = Table({k: row[k] for k in points}, units={k: v for k, v in with_units.items() if k in points})
        table.meta.update({k: row[k] for k in columns if k not in points and k != "split"})
        objects[row["split"]].append(table)
    values = np.concatenate([v for v, s in zip(columns[value], columns["split"], strict=True) if s == "train"])
    return Data(protocol, value, **objects, origin=values.mean(), scale=values.std(), sha256=checksum, **more)
