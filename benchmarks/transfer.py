"""Do pretrained encoders help on other data? ``python -m benchmarks.transfer`` asks ZTF-LC, SPCC and SN-SPEC.

A model of `skdaep.pretrained` as it is, and trained further for a minute of CPU time, beside networks of the same
settings trained from scratch for one and ten minutes, and functional PCA; with all training objects and with 100.
All of them see the objects as the pretrained model does (light curves in days from the brightest point, as fluxes over
that of this point; spectra less their mean and over their scatter), so that only the training differs. Brightness helps
to tell the classes of SPCC: in the rows ``and brightness`` the probe also sees the logarithm of the brightest flux.

* ZTF-LC (observed, g and r, type Ia): the error in magnitudes.
* SPCC (simulated, griz; Ia, II, Ibc): macro F1 of the linear probe, and the error in standard deviations of
  arcsinh(flux / 10).
* SN-SPEC (observed; Ia, Ibc, other): macro F1 of the linear probe, and the error in standard deviations of an object's
  own flux.

The rows that are not yet in ``results/transfer-PROTOCOL.json`` are fitted.
"""

from __future__ import annotations

import copy
import json
import time
import warnings

import numpy as np
import torch
from astropy.table import Table

from skdaep import DAEPEncoder, FunctionalPCA, OutOfRangeWarning
from skdaep.pretrained import load_model

from . import _data, _protocols, _report, _scores, paper_tables, pretrain
from ._fitting import Clock
from .budgets import STEPS_PER_RECORD

PROTOCOLS = {"ZTF-LC": _data.ztf_lightcurves, "SPCC": _protocols.spcc, "SN-SPEC": _data.sn_spectra}
LIGHT_CURVES, SPECTRA = pretrain.RECIPES
MODELS = {"ZTF-LC": LIGHT_CURVES, "SPCC": LIGHT_CURVES, "SN-SPEC": SPECTRA}
FEW = 100
BRIGHT = "and brightness"
FAINTEST = 1e-3  # of decoded fluxes over that of the brightest point, for magnitudes
#: row -> whether pretrained, minutes of training, training objects
ROWS = {
    "pretrained, as it is": (True, 0, None),
    "functional PCA": (False, None, None),
    "pretrained, 1 min": (True, 1, None),
    "from scratch, 1 min": (False, 1, None),
    "from scratch, 10 min": (False, 10, None),
    "functional PCA, 100 objects": (False, None, FEW),
    "pretrained, 1 min, 100 objects": (True, 1, FEW),
    "from scratch, 1 min, 100 objects": (False, 1, FEW),
    f"pretrained, as it is, {BRIGHT}": (True, 0, None),
    f"functional PCA, {BRIGHT}": (False, None, None),
}
COLUMNS = {"macro F1": "f1", "error": "error_mean", "steps": "n_iter", "CPU minutes": "minutes", "commit": "commit"}


def main(arguments=None) -> None:
    """Fit what is missing, score, write the tables."""
    parser = _report.parser(__doc__)
    parser.set_defaults(threads=1)
    parser.add_argument("protocols", nargs="*", default=list(PROTOCOLS), metavar="PROTOCOL")
    parser.add_argument("--rows", nargs="*", default=list(ROWS), help="rows; all")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore", OutOfRangeWarning)  # of a few objects of SPCC
    for protocol in options.protocols:
        data = PROTOCOLS[protocol]().limited(options.limit)
        path = _report.RESULTS / f"{options.name or 'transfer'}-{protocol}.json"
        rows = json.loads(path.read_text())["rows"] if path.exists() else {}
        parts = {split: [as_measured(t, data) for t in getattr(data, split)] for split in ("train", "test")}
        for name in options.rows:
            if name not in rows and (protocol == "SPCC" or not name.endswith(BRIGHT)):
                rows[name] = row_of(name, parts, data, options)
                rows = {k: rows[k] for k in ROWS if k in rows}
                text = _report.table(rows, COLUMNS, f"{protocol}, {MODELS[protocol]}")
                _report.write(path.stem, {"rows": rows, "data_sha256": data.sha256}, text)


def as_measured(table: Table, data) -> Table:
    """Return an object as the user of a pretrained model has it: magnitudes, or fluxes."""
    if data.value == "mag":
        return table
    if data.value == "log_flux":
        columns = {"wavelength": table["wavelength"], "flux": 10 ** np.asarray(table["log_flux"])}
        return Table(columns, meta=table.meta)
    flux = np.sinh(np.asarray(table["arcsinh_flux"]))
    error = np.asarray(table["arcsinh_flux_err"]) * np.hypot(1, flux)
    columns = {"flux": flux * _protocols.SPCC_SOFTENING, "flux_err": error * _protocols.SPCC_SOFTENING}
    return Table({"time": table["time"], **columns, "band": table["band"]}, meta=table.meta)


def row_of(name: str, parts: dict[str, list], data, options) -> dict:
    """Return the scores of one row on the test objects."""
    pretrained, minutes, n = ROWS[name]
    model = load_model(MODELS[data.protocol], trainable=True)  # the steps are the same in all rows
    steps = model[:-1]
    train, test = steps.transform(parts["train"][:n]), steps.transform(parts["test"])
    recipe = pretrain.RECIPES[MODELS[data.protocol]]
    encoder, facts = fitted(model[-1] if pretrained else None, recipe, train, minutes, options)
    scores, labels = _scores.summary(errors(encoder, test, data)), data.labels("test")
    if paper_tables.n_classes(labels) > 1:
        Z = encoder.transform(test)
        if name.endswith(BRIGHT):
            Z = np.column_stack([Z, np.log10([table.meta["brightest_flux"] for table in test])])
        scores |= _scores.probe(Z, labels)
    return scores | facts | {"n_train": len(train), "commit": _report.commit()}


def fitted(encoder, recipe: pretrain.Recipe, train: list[Table], minutes: float | None, options) -> tuple:
    """Return an encoder trained for so many minutes of CPU time, from its weights or anew, and what that took.

    Without minutes it is functional PCA. The steps that fill the time are chosen from the rate of a short fit.
    """
    settings = recipe.settings | {"random_state": options.seed}
    if minutes == 0:
        return encoder, {"n_iter": 0, "minutes": 0.0}
    if minutes is None:
        size = DAEPEncoder(**settings)
        same = {k: v for k, v in settings.items() if k in ("error_weighting", "random_state")}
        encoder = FunctionalPCA(recipe.modality, n_components=size.bottleneck_length * size.bottleneck_dim, **same)
    else:
        encoder = DAEPEncoder(recipe.modality, **settings) if encoder is None else encoder
        clock, trial = Clock(), copy.deepcopy(encoder)
        per_record = max(STEPS_PER_RECORD, -(-len(train) // encoder.batch_size))
        trial.set_params(max_iter=2 * per_record).set_callbacks(clock).fit(train)
        steps = options.max_iter or max(1, round((60 * minutes - clock.start) / clock.step))
        encoder.set_params(max_iter=steps, random_state=options.seed)
    start = time.process_time()
    encoder.fit(train)
    facts = {"n_iter": encoder.n_iter_, "minutes": (time.process_time() - start) / 60}
    losses = [record["validation_loss"] for record in encoder.history_ if "validation_loss" in record]
    return encoder, facts | {"validation_losses": [losses[0], min(losses)]}


def errors(encoder, test: list[Table], data) -> np.ndarray:
    """Return the errors of reconstructions: magnitudes, deviations of arcsinh(flux / 10), or those of the object."""
    found = []
    for table, rebuilt in zip(test, encoder.reconstruct(test, output="arrays"), strict=True):
        both = np.array([table["flux"], rebuilt], float)
        if data.value != "log_flux":
            both = pretrain.SOFTENING * np.sinh(both)
        if data.value == "mag":
            both = -2.5 * np.log10(np.maximum(both, FAINTEST))
        elif data.value == "arcsinh_flux":
            both = np.arcsinh(both * table.meta["brightest_flux"] / _protocols.SPCC_SOFTENING) / data.scale
        found.append(np.abs(both[0] - both[1]).mean())
    return np.array(found)


if __name__ == "__main__":
    main()
