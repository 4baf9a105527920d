"""Train a model of `skdaep.pretrained`: ``python -m benchmarks.pretrain sn-lightcurves-lsst-salt3``.

Writes the encoder and its card into ``skdaep/pretrained/models``. A model is one entry of ``RECIPES``. The training
data are simulations, whose weights may be passed on: those of the package, and SALT3-LSST.

Copies of light curves imitate what other surveys see: some of the bands and points, more noise, times stretched as by
a higher redshift, and non-detections before the explosion.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
import torch
from astropy.table import Table
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline

from skdaep import DAEPEncoder, Photometry, Sequence, Spectrum, preprocessing
from skdaep.datasets import make_supernova_spectra
from skdaep.preprocessing import MagnitudeToFlux
from skdaep.pretrained import Card

from . import _report, _scores
from ._data import raw_file

SEED = 0
SOFTENING = 0.1  # of fluxes over that of the brightest point
EXPLOSION = -19.0  # days from maximum, before which a type Ia supernova is not there
#: other names of the bands of LSST and ZTF
BANDS = {b: [f"lsst{b}", f"LSST_{b}", f"lsst_{b}", f"LSST-{b}", f"sdss{b}", f"{b}'"] for b in "ugrizy"}
BANDS = {b: names + [f"z{b}", f"ztf{b}", f"ZTF_{b}", f"ztf_{b}"] * (b in "gri") for b, names in BANDS.items()}
BANDS["y"].append("Y")
BAND_SETS = ("ugrizy", "ugrizy", "gr", "gri", "griz", "grizy")
LIGHT_CURVES = {
    "location": {"name": "time", "unit": "d", "meaning": "observer's dates or days, from any zero point"},
    "value": {
        "name": "flux",
        "unit": "any",
        "meaning": "flux per frequency, or AB magnitude; all bands with one zero point, host subtracted",
        "per": "frequency",
    },
    "error": {"name": "flux_err", "unit": "that of the flux", "meaning": "one sigma; without it vectors are worse"},
    "band": {"name": "band", "unit": "label", "meaning": "filter: u, g, r, i, z, y; at least one of them"},
}
SPECTRA = {
    "location": {
        "name": "wavelength",
        "unit": "Angstrom",
        "meaning": "rest frame, put RestFrame before the model",
        "range": [3500.0, 8500.0],
    },
    "value": {"name": "flux", "unit": "any", "meaning": "flux per wavelength, any scale", "per": "wavelength"},
}
SETTINGS = {"n_encoder_layers": 2, "n_decoder_layers": 2, "random_state": SEED}


@dataclass(frozen=True)
class Recipe:
    """How a model is made: what the card says, and its data."""

    kind: str
    good_for: str
    not_for: str
    training_data: str
    licence: str
    columns: dict
    bands: dict
    steps: list[dict]
    modality: Sequence
    settings: dict
    data: Callable[[], tuple[list, np.ndarray, list, dict]]  # training objects, groups, test objects, truth


def salt3() -> tuple[list, np.ndarray, list, dict]:
    """SALT3-LSST: fluxes of 2,405 type Ia supernovae and copies of them; 595 for testing."""
    about = pd.read_parquet(raw_file("salt3_lsst_simulated/objects.parquet")).set_index("object_id")
    rows = pd.read_parquet(raw_file("salt3_lsst_simulated/photometry.parquet"))
    rows = rows.astype({"band": str, "object_id": str})
    objects = {}
    for name, points in rows.groupby("object_id"):
        columns = {k: points[k].to_numpy(float) for k in ("mag", "mag_err")}
        days = points["phase"].to_numpy(float) * (1 + about.z[name])
        objects[name] = Table({"time": days, **columns, "band": points["band"].to_numpy(str)})
    train, test = (
        in_flux([objects[k] for k in about.index[chosen]]) for chosen in (about.split != "test", about.split == "test")
    )
    truth = {k: about.loc[about.split == "test", k].to_numpy() for k in ("x1", "c")}
    return *with_copies(train, 4), test, truth


def spectra() -> tuple[list, np.ndarray, list, dict]:
    """The package's simulator: 10,000 spectra of supernovae of types Ia, II and Ibc; 1,000 for testing."""
    X, y = make_supernova_spectra(11_000, random_state=SEED)
    X = [Table([np.asarray(t[k]) for k in ("wavelength", "flux")], names=("wavelength", "flux")) for t in X]
    for table in X:
        table["wavelength"].unit = "Angstrom"
    return X[:10_000], np.arange(10_000), X[10_000:], {"class": y[10_000:]}


RECIPES = {
    "sn-lightcurves-lsst-salt3": Recipe(
        kind="light curves of type Ia supernovae in u, g, r, i, z and y",
        good_for="supernovae like type Ia in some of these bands, from 15 days before to 60 days after maximum: "
        "similarity, outliers, regression of stretch and colour, features for a classifier with few labels, a start "
        "for training on your own light curves",
        not_for="light after 60 days, of which it knows nothing; host light that was not subtracted; absolute "
        "brightness, since distance and zero point are divided out; probabilities that something is of type Ia, as it "
        "never saw another type",
        training_data="SALT3-LSST: 2,405 simulated type Ia supernovae at redshifts 0.02 to 0.05 (SALT3, Kenworthy et "
        "al. 2021; surface SALT3.DOVEKIE, Popovic et al. 2025; Hsiao template outside; LSST filters), and three copies "
        "of each with fewer bands and points, more noise, times stretched by up to 1.5 and non-detections before the "
        "explosion",
        licence="weights: BSD-3-Clause, like skdaep. The light curves are simulations made for skdaep; the SALT3 "
        "surface and the filter curves behind them were published without a licence file: cite the papers",
        columns=LIGHT_CURVES,
        bands=BANDS,
        steps=[
            {"step": "RelativeToBrightest", "parameters": {"keep": [-30, 100]}},
            {"step": "Arcsinh", "parameters": {"scale": SOFTENING}},
        ],
        modality=Photometry("flux", "time", "band", error="flux_err"),
        settings=SETTINGS | {"bottleneck_length": 2, "error_weighting": True, "max_iter": 6000},
        data=salt3,
    ),
    "sn-spectra-simulated": Recipe(
        kind="spectra of supernovae of types Ia, II and Ibc",
        good_for="optical spectra of supernovae from 12 days before to 70 days after maximum: similarity, outliers, "
        "features for a classifier with few labels, a start for training on your own spectra",
        not_for="superluminous, interacting and other types that it never saw; spectra dominated by their host; "
        "wavelengths outside 3500 to 8500 Angstrom, which are left out; the level of the flux, which is divided out",
        training_data="10,000 spectra of skdaep.datasets.make_supernova_spectra(11000, random_state=0), a simulator "
        "with simple physics: a black body, P-Cygni lines of nine ions and dust",
        licence="weights: BSD-3-Clause, like skdaep; skdaep itself makes the data",
        columns=SPECTRA,
        bands={},
        steps=[{"step": "ZScore", "parameters": {"per_object": True}}],
        modality=Spectrum("flux", "wavelength"),
        settings=SETTINGS | {"max_iter": 3000},
        data=spectra,
    ),
}


# --- light curves ---------------------------------------------------------------------------------------


def in_flux(X: list[Table]) -> list[Table]:
    """Return magnitudes as fluxes in the columns of the models."""
    fluxes = MagnitudeToFlux(25.0, unit=None).fit_transform(X)
    columns = ("time", "mag", "mag_err", "band"), ("time", "flux", "flux_err", "band")
    return [Table([np.asarray(t[k]) for k in columns[0]], names=columns[1], units={"time": "d"}) for t in fluxes]


def with_copies(X: list[Table], n: int) -> tuple[list[Table], np.ndarray]:
    """Return objects and n - 1 copies of each as other surveys would see them, and the group of each."""
    rng = np.random.default_rng(SEED)
    copies = [degraded(t, rng) for _ in range(n - 1) for t in X]
    return X + copies, np.tile(np.arange(len(X)), n)


def degraded(table: Table, rng: np.random.Generator) -> Table:
    """Return a copy with fewer bands and points, stretched times, non-detections and more noise."""
    time, flux, error, band = (np.asarray(table[k]) for k in ("time", "flux", "flux_err", "band"))
    chosen = np.isin(band, list(rng.choice(BAND_SETS))) & (rng.uniform(size=len(time)) < rng.uniform(0.3, 1.0))
    if chosen.sum() < 5:
        chosen = np.isin(band, list("gr"))
    before = rng.uniform(3 * EXPLOSION, EXPLOSION, 2 * len(set(band[chosen])))
    nights = np.concatenate([before, time[chosen]]) * (rng.uniform(1.0, 1.5) if rng.uniform() < 0.5 else 1.0)
    sigma = flux.max() * 10 ** rng.uniform(-2.7, -0.7)
    flux = np.concatenate([np.zeros(len(before)), flux[chosen]])
    error = np.hypot(np.concatenate([np.zeros(len(before)), error[chosen]]), sigma)
    columns = {
        "time": nights,
        "flux": flux + sigma * rng.standard_normal(len(flux)),
        "flux_err": error,
        "band": np.concatenate([rng.choice(band[chosen], len(before)), band[chosen]]),
    }
    return Table(columns, units={"time": "d"})


# --- training -------------------------------------------------------------------------------------------


def steps_of(entries: list[dict]) -> list:
    """Return the steps that a card names."""
    found = []
    for entry in entries:
        parameters = {k: tuple(v) if isinstance(v, list) else v for k, v in entry["parameters"].items()}
        found.append(getattr(preprocessing, entry["step"])(**parameters))
    return found


def scores(model, X: list[Table], truth: dict) -> dict[str, float]:
    """Return the error on test objects as the encoder sees them, and what a linear model reads from their vectors."""
    inner = model[:-1].transform(X)
    rebuilt = model[-1].reconstruct(inner, output="arrays")
    errors = [np.abs(v - np.asarray(t["flux"])).mean() for t, v in zip(inner, rebuilt, strict=True)]
    found = {"mean absolute error of simulated test objects, in the units behind the steps": float(np.mean(errors))}
    Z = model[-1].transform(inner)
    for name, values in truth.items():
        if values.dtype.kind == "f":
            predicted = cross_val_predict(RidgeCV(np.logspace(-3, 3, 7)), Z, values, cv=5)
            found[f"R2 of {name} by ridge regression"] = float(1 - np.var(values - predicted) / np.var(values))
        else:
            found[f"macro F1 of the {name} by logistic regression"] = _scores.probe(Z, values)["f1"]
    return {k: round(v, 3) for k, v in found.items()}


def main(arguments=None) -> None:
    """Train models, write files and cards."""
    parser = _report.parser(__doc__)
    parser.set_defaults(threads=1)
    parser.add_argument("names", nargs="+", choices=list(RECIPES), metavar="NAME")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    for name in options.names:
        train(name, options)


def train(name: str, options) -> None:
    """Train one model; write its file and card unless this is a trial."""
    recipe, facts = RECIPES[name], _report.provenance()
    X, groups, test, truth = recipe.data()
    if options.limit:
        chosen = groups < options.limit
        X, groups = [t for t, k in zip(X, chosen, strict=True) if k], groups[chosen]
    settings = recipe.settings | _report.overrides(options.set)
    settings |= {"max_iter": options.max_iter} if options.max_iter else {}
    steps = steps_of(recipe.steps)
    inner = make_pipeline(*steps).fit_transform(X)
    encoder = DAEPEncoder(recipe.modality, verbose=True, **settings)
    start = time.process_time()
    encoder.fit(inner, groups=groups)
    minutes = (time.process_time() - start) / 60
    model = make_pipeline(*steps, encoder.set_params(verbose=False))
    found = scores(model, test, truth)
    losses = [record["validation_loss"] for record in encoder.history_]
    print(f"{minutes:.1f} CPU minutes, validation loss {losses[0]:.4f} to {min(losses):.4f}", found, flush=True)
    if not (options.limit or options.max_iter or options.set):
        fitted = {"settings": settings, "seed": SEED, "n_steps": encoder.n_iter_, "cpu_minutes": round(minutes, 1)}
        fitted |= {"validation_loss_of_start": losses[0], "validation_loss": min(losses)}
        fitted |= {k: facts[k] for k in ("cpu", "torch_threads", "python", "versions", "commit", "dirty")}
        write(name, recipe, model, found, fitted, test[0])


def write(name: str, recipe: Recipe, model, found: dict, fitted: dict, example: Table) -> None:
    """Write the file and the card."""
    text = {f.name: getattr(recipe, f.name) for f in fields(Recipe) if f.name not in ("modality", "settings", "data")}
    points = {column: np.asarray(example[column]).tolist() for column in example.colnames}
    card = Card(
        name=name,
        **text,
        n_features=len(model.get_feature_names_out()),
        scores=found,
        reproduce=f"python -m benchmarks.pretrain {name}",
        fitted=fitted,
        sha256="",
        n_bytes=0,
        example=points | {"codes": model.transform([example])[0].tolist()},
    )
    card.path.parent.mkdir(exist_ok=True)
    model[-1].save(card.path)
    content = card.path.read_bytes()
    facts = {"sha256": hashlib.sha256(content).hexdigest(), "n_bytes": len(content)}
    path = card.path.with_suffix(".json")
    path.write_text(json.dumps(vars(card) | facts, indent=1) + "\n")
    print(f"written to {path}")


if __name__ == "__main__":
    main()
