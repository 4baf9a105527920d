"""Real data of `benchmarks.desa`: supernovae with both views, and RR Lyrae whose [Fe/H] few know, and not well.

PAIRS are the supernovae of protocol CROSS, REAL: at most ten spectra each, with the light curve. The *unpaired* are
the primary spectra of other training supernovae, prepared likewise: objects with one view.
IRON are single exposures of RR Lyrae, flux over its median, and two estimates of [Fe/H], of which most lack at least
one; exposures of one star are one group.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd
from astropy.table import Table
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ._cross import SPECTRUM_UNITS, _real_spectrum, _spectrum
from ._data import SPLITS, raw_file

IRON = ("feh_sspp", "feh_rrlfe")


def unpaired() -> tuple[list[dict], np.ndarray]:
    """Return spectra of training supernovae without a light curve, one each, and the supernova of each."""
    paired = pd.read_parquet(raw_file("sn_paired_lightcurves.parquet"), columns=["spectra"]).spectra
    frame = pd.read_parquet(raw_file("sn_spectra.parquet"))
    mates = frame.sn_group[frame.object_id.isin(np.concatenate(paired.to_list()))]
    objects, names = [], []
    for row in frame[frame.primary & (frame.split == "train") & ~frame.sn_group.isin(mates)].itertuples():
        if (prepared := _real_spectrum(row)) is not None:
            objects.append({"spectrum": _spectrum(row.phase, *prepared)})
            names.append(row.sn_group)
    return objects, np.array(names)


@dataclass(frozen=True)
class Iron:
    """Spectra by split, their [Fe/H] (n, 2), NaN where unknown, and the star of each."""

    spectra: dict[str, list[Table]]
    labels: dict[str, np.ndarray]
    stars: dict[str, np.ndarray]
    sha256: dict[str, str]


def iron() -> Iron:
    """Read the RR Lyrae."""
    files = [raw_file(name) for name in ("sdss_rrlyrae_spectra.parquet", "sdss_rrlyrae_feh.csv")]
    frame = pd.read_parquet(files[0]).merge(pd.read_csv(files[1])[["object_id", *IRON]], on="object_id")
    by_split = {split: frame[frame.split == split] for split in SPLITS}
    return Iron(
        {split: [_exposure(row) for row in own.itertuples()] for split, own in by_split.items()},
        {split: own[list(IRON)].to_numpy(float) for split, own in by_split.items()},
        {split: own.star.to_numpy() for split, own in by_split.items()},
        {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
    )


def _exposure(row) -> Table:
    flux, error = np.asarray(row.value, float), np.asarray(row.value_err, float)
    level = np.nanmedian(flux)
    columns = {"wavelength": np.asarray(row.location, float), "flux": flux / level, "flux_err": error / level}
    return Table(columns, units=SPECTRUM_UNITS)


def iron_scores(encoder, data: Iron) -> dict:
    """Return R^2 of each estimate on test spectra, of a ridge regression on codes and of the head, if there is one."""
    Z, y = {k: encoder.transform(data.spectra[k]) for k in ("train", "test")}, data.labels
    out: dict = {"probe": {}, "known": {}}
    for j, name in enumerate(IRON):
        known = {k: ~np.isnan(y[k][:, j]) for k in Z}
        ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 6, 17)))
        ridge.fit(Z["train"][known["train"]], y["train"][known["train"], j])
        truth, found = y["test"][known["test"], j], ridge.predict(Z["test"][known["test"]])
        out["probe"][name], out["known"][name] = r2_score(truth, found), {k: int(v.sum()) for k, v in known.items()}
        if hasattr(encoder, "predict"):
            predicted = encoder.predict(data.spectra["test"])[known["test"], j]
            out.setdefault("head", {})[name] = r2_score(truth, predicted)
    return out


def spectrum_errors(encoder, spectra: list[Table]) -> np.ndarray:
    """Return the mean absolute error of each spectrum, in units of its median flux."""
    predicted = encoder.reconstruct(spectra, output="arrays")
    return np.array([np.nanmean(np.abs(p - t["flux"])) for p, t in zip(predicted, spectra, strict=True)])
