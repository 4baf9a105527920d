"""Light curves that are still arriving: ``python -m benchmarks.arriving`` trains with what is hidden in turn.

Days are since the first detection. Of the test objects only what was measured up to so many days is encoded: macro F1
of the linear probe (SPCC, which has classes), and the error and coverage of the forecast of all that came later, as
drawn and after `ConformalDraws` has seen the validation objects.

* SPCC: arcsinh of the flux; a detection is five times the error.
* ZTF-LC and SALT3: magnitudes, so that every point is a detection. ZTF-LC trains on 1,300 light curves.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import torch
from astropy.table import Table

from skdaep import ConformalDraws, DAEPEncoder, FunctionalPCA, MultimodalDAEP, Sequence
from skdaep.metrics import coverage

from . import _cross, _data, _protocols, _report, _scores, paper_tables

DAYS = (3, 7, 14, 30)  # since the first detection
DETECTED = 5.0  # flux over error
BEFORE = 30.0  # days of non-detections that are kept
MORE = 3  # fewest later points that make a forecast
CLOSED_FORM = "functional PCA"
WORKAROUND = "early and late as modalities"
WAYS = {
    CLOSED_FORM: None,
    "points": {"hide": "points"},
    "points, future": {"hide": ("points", "future")},
    "points, spans, future": {"hide": ("points", "spans", "future")},
    "points, core=None": {"hide": "points", "core": None},
    "points, future, core=None": {"hide": ("points", "future"), "core": None},
    "points, future, core='basis'": {"hide": ("points", "future"), "core": "basis"},
    WORKAROUND: None,
}
#: score -> title of its table
SCORES = {
    "f1": "Macro F1 of a linear probe",
    "error": "Mean absolute error of what came later, in standard deviations of all values; all: of what was seen",
    "raw": "Share of what came later inside 90 % of the draws (of 50 perfect draws 0.865)",
    "conformal": "The same after ConformalDraws",
}
#: small, for a benchmark of minutes
NETWORKS = {"model_dim": 32, "n_encoder_layers": 2, "n_decoder_layers": 2, "n_sampling_steps": 10}


def since_detection(table: Table, data) -> Table | None:
    """Return a light curve in days since its first detection; None if there is none."""
    days = np.asarray(table[data.location], float)
    detected = np.ones(len(table), bool)
    if data.value == "arcsinh_flux":
        flux = np.sinh(table["arcsinh_flux"])
        detected = flux > DETECTED * table["arcsinh_flux_err"] * np.hypot(1, flux)  # not if the error is unknown
    if not detected.any():
        return None
    table = table.copy()
    table[data.location] = days - days[detected].min()
    return table[np.asarray(table[data.location]) >= -BEFORE]


def salt3() -> _data.Data:
    """SALT3: magnitudes at 10 pc, one light curve per supernova."""
    cross, objects = _cross.salt3(), {}
    for split in _data.SPLITS:
        first = np.unique(cross.groups[split], return_index=True)[1]
        objects[split] = [cross.objects[split][i]["photometry"] for i in first]
    for table in (t for split in objects.values() for t in split):
        table.meta["label"] = None
    values = np.concatenate([t["mag"] for t in objects["train"]])
    numbers = {"origin": values.mean(), "scale": values.std(), "sha256": cross.sha256}
    return _data.Data("SALT3", "mag", **objects, **numbers, location="phase")


PROTOCOLS = {"SPCC": _protocols.spcc, "ZTF-LC": _data.ztf_lightcurves, "SALT3": salt3}


def prepared(protocol: str, n_train: int | None) -> _data.Data:
    """Return a protocol's objects by days since the first detection."""
    data = PROTOCOLS[protocol]()
    parts = {k: [since_detection(t, data) for t in getattr(data, k)] for k in _data.SPLITS}
    parts = {k: [t for t in tables if t is not None] for k, tables in parts.items()}
    return replace(data, **(parts | {"train": parts["train"][:n_train]}))


def halves(table: Table, data, end: float) -> tuple[Table, Table]:
    """Return what was measured up to the end, and what came later."""
    early = np.asarray(table[data.location]) <= end
    return table[early], table[~early]


def arrived(data, end: float, split: str, n: int | None = None) -> tuple[list[Table], list[Table]]:
    """Return early and late parts of the first objects that have both."""
    pairs = [halves(t, data, end) for t in getattr(data, split)]
    pairs = [(early, late) for early, late in pairs if len(early) and len(late) >= MORE][:n]
    return [p[0] for p in pairs], [p[1] for p in pairs]


def options_of(options) -> dict:
    """Return the parameters of all fits."""
    return NETWORKS | {"max_iter": options.max_iter or 1000, "random_state": options.seed}


def modality_of(data) -> Sequence:
    """Return the declaration of a light curve."""
    return Sequence(data.value, location=data.location, error=data.error)


def forecasts(fitted, data, end: float, split: str, options, late_modality: str | None = None):
    """Return late parts, and draws of them given the early ones."""
    early, late = arrived(data, end, split, options.objects)
    how = {"at": late, "n_draws": options.draws, "output": "arrays"}
    if late_modality is None:
        return late, fitted.reconstruct(early, **how)
    return late, fitted.reconstruct([{"early": t} for t in early], modality=late_modality, **how)


def scores(fitted, data, end: float, options, late_modality: str | None = None) -> dict:
    """Return error and coverage of forecasts at one end."""
    late, draws = forecasts(fitted, data, end, "test", options, late_modality)
    seen, drawn = forecasts(fitted, data, end, "validation", options, late_modality)
    stretch = ConformalDraws(level=0.9, value=data.value).fit(seen, drawn)
    middle = [np.median(d, 1) for d in draws]
    return {
        "error": float(_scores.object_errors(middle, data, late).mean()),
        "raw": float(coverage(late, draws, level=0.9, value=data.value).coverage.mean()),
        "conformal": float(coverage(late, stretch.transform(draws), level=0.9, value=data.value).coverage.mean()),
        "factor": float(stretch.factor_),
        "n_objects": len(late),
    }


def probed(Z: np.ndarray, labels: np.ndarray) -> dict:
    """Return the scores of the linear probe; nothing if there are no classes."""
    return _scores.probe(Z, labels) if paper_tables.n_classes(labels) > 1 else {}


def rows_of(encoder, data, options) -> list[dict]:
    """Return the scores at each end, and those of whole light curves."""
    rows = []
    for end in DAYS:
        early = [halves(t, data, end)[0] for t in data.test]
        has = np.array([len(t) > 0 for t in early])  # without a detection, ZTF-LC and SALT3 have no point
        found = probed(encoder.transform([t for t in early if len(t)]), data.labels("test")[has])
        rows.append({"days": str(end)} | found | scores(encoder, data, end, options))
    errors = _scores.object_errors(encoder.reconstruct(data.test, output="arrays"), data, data.test)
    whole = probed(encoder.transform(data.test), data.labels("test"))
    return [*rows, {"days": "all"} | whole | {"error": float(errors.mean())}]


def workaround(data, end: float, options) -> dict:
    """Return the forecast of an encoder to which the later part is another modality, hidden now and then."""

    def parts(table):
        return {k: t for k, t in zip(("early", "late"), halves(table, data, end), strict=True) if len(t)}

    modality = modality_of(data)
    encoder = MultimodalDAEP({"early": modality, "late": modality}, drop_modality=0.3, **options_of(options))
    encoder.fit([parts(t) for t in data.train])
    early = [halves(t, data, end)[0] for t in data.test]
    found = probed(encoder.transform([{"early": t} for t in early]), data.labels("test"))
    return {"days": str(end)} | found | scores(encoder, data, end, options, "late")


def fit(name: str, data, options):
    """Return a new fit of one way."""
    if name == CLOSED_FORM:
        return FunctionalPCA(modality_of(data), random_state=options.seed).fit(data.train)
    return DAEPEncoder(modality_of(data), **WAYS[name], **options_of(options)).fit(data.train)


def tables(content: dict) -> str:
    """Return an rst table of each score, by day."""
    texts = []
    for score, title in SCORES.items():
        rows = {
            name: {day: row[score] for day, row in own.items() if score in row}
            | {f"{day}_sd": row[f"{score}_sd"] for day, row in own.items() if f"{score}_sd" in row}
            for name, own in content["rows"].items()
        }
        days = [str(d) for d in DAYS] + ["all"] * any("all" in row for row in rows.values())
        if any(rows.values()):
            columns = {"all" if day == "all" else f"{day} days": day for day in days}
            texts.append(_report.table({k: v for k, v in rows.items() if v}, columns, title, "hidden in training"))
    return "\n\n".join(texts)


def main(arguments=None) -> None:
    """Fit, score, and write the results."""
    parser = _report.parser(__doc__)
    parser.add_argument("protocols", nargs="*", default=tuple(PROTOCOLS), metavar="PROTOCOL")
    parser.add_argument("--objects", type=int, default=300, help="objects of which forecasts are drawn")
    parser.add_argument("--draws", type=int, default=50)
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=[*WAYS])
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads or 1)
    for protocol in options.protocols:
        data = prepared(protocol, options.limit or 3000)
        path = _report.RESULTS / f"arriving-{protocol}.json"
        content = json.loads(path.read_text()) if path.exists() else {"rows": {}, "fits": {}}
        content |= {"seed": options.seed, "data_sha256": data.sha256, "train": len(data.train)}
        for name in options.ways:
            if name in content["fits"]:
                continue
            start = time.process_time()
            if name == WORKAROUND:
                found = [workaround(data, end, options) for end in (7,)]
            else:
                encoder = fit(name, data, options)
                found = rows_of(encoder, data, options)
            content["fits"][name] = {"cpu_seconds": time.process_time() - start, "commit": _report.commit()}
            content["rows"][name] = {row.pop("days"): row for row in found}
            _report.write(f"arriving-{protocol}", content, tables(content))


if __name__ == "__main__":
    main()
