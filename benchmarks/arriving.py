"""Light curves that are still arriving: ``python -m benchmarks.arriving`` trains with what is hidden in turn.

SPCC, arcsinh of the flux against days since the first detection (five times the error). Of the test objects only what
was measured up to so many days is encoded: macro F1 of the linear probe, and the error and coverage of the forecast of
all that came later, as drawn and after `ConformalDraws` has seen the validation objects.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import torch
from astropy.table import Table

from skdaep import ConformalDraws, DAEPEncoder, MultimodalDAEP, Sequence
from skdaep.metrics import coverage

from . import _protocols, _report, _scores

DAYS = (3, 7, 14, 30)  # since the first detection
DETECTED = 5.0  # flux over error
BEFORE = 30.0  # days of non-detections that are kept
MORE = 3  # fewest later points that make a forecast
WAYS = {
    "points": "points",
    "points, future": ("points", "future"),
    "points, spans, future": ("points", "spans", "future"),
}
COLUMNS = {"macro F1": "f1", "error": "error", "inside 90 %": "raw", "conformal": "conformal"}
WORKAROUND = "early and late as modalities"
#: small, for a benchmark of minutes
NETWORKS = {"model_dim": 32, "n_encoder_layers": 2, "n_decoder_layers": 2, "n_sampling_steps": 10}


def since_detection(table: Table) -> Table | None:
    """Return a light curve in days since its first detection; None if there is none."""
    table = table[~np.isnan(table["arcsinh_flux_err"])]
    flux = np.sinh(table["arcsinh_flux"])
    detected = np.asarray(table["time"])[flux > DETECTED * table["arcsinh_flux_err"] * np.hypot(1, flux)]
    if not len(detected):
        return None
    table = table.copy()
    table["time"] = table["time"] - detected.min()
    return table[np.asarray(table["time"]) >= -BEFORE]


def halves(table: Table, end: float) -> tuple[Table, Table]:
    """Return what was measured up to the end, and what came later."""
    early = np.asarray(table["time"]) <= end
    return table[early], table[~early]


def arrived(data, end: float, split: str, n: int | None = None) -> tuple[list[Table], list[Table]]:
    """Return early and late parts of the first objects that have both."""
    pairs = [halves(t, end) for t in getattr(data, split)]
    pairs = [(early, late) for early, late in pairs if len(early) and len(late) >= MORE][:n]
    return [p[0] for p in pairs], [p[1] for p in pairs]


def prepared(n_train: int | None):
    """Return SPCC by days since the first detection."""
    data = _protocols.spcc()
    parts = {k: [t for t in map(since_detection, getattr(data, k)) if t is not None] for k in ("train", "validation")}
    test = [t for t in map(since_detection, data.test) if t is not None]
    return replace(data, train=parts["train"][:n_train], validation=parts["validation"], test=test)


def options_of(options) -> dict:
    """Return the parameters of all fits."""
    return NETWORKS | {"max_iter": options.max_iter or 1000, "random_state": options.seed}


def forecasts(fitted, data, end: float, split: str, n: int | None, n_draws: int, *, modality: str | None = None):
    """Return late parts, and draws of them from the codes of the early ones."""
    early, late = arrived(data, end, split, n)
    options = {"at": late, "n_draws": n_draws, "output": "arrays"}
    if modality is None:
        return late, fitted.inverse_transform(fitted.transform(early), **options)
    return late, fitted.inverse_transform(fitted.transform([{"early": t} for t in early]), modality=modality, **options)


def scores(fitted, data, end: float, n: int, n_draws: int, modality: str | None = None) -> dict:
    """Return error and coverage of forecasts at one end."""
    late, draws = forecasts(fitted, data, end, "test", n, n_draws, modality=modality)
    seen, drawn = forecasts(fitted, data, end, "validation", n, n_draws, modality=modality)
    stretch = ConformalDraws(level=0.9, value=data.value).fit(seen, drawn)
    middle = [np.median(d, 1) for d in draws]
    return {
        "error": float(_scores.object_errors(middle, data, late).mean()),
        "raw": float(coverage(late, draws, level=0.9, value=data.value).coverage.mean()),
        "conformal": float(coverage(late, stretch.transform(draws), level=0.9, value=data.value).coverage.mean()),
        "factor": float(stretch.factor_),
        "n_objects": len(late),
    }


def rows_of(encoder, data, n: int, n_draws: int) -> list[dict]:
    """Return the scores at each end, and those of whole light curves."""
    rows = []
    for end in DAYS:
        early, _ = zip(*(halves(t, end) for t in data.test), strict=True)
        found = _scores.probe(encoder.transform(list(early)), data.labels("test"))
        rows.append({"days": str(end)} | found | scores(encoder, data, end, n, n_draws))
    errors = _scores.object_errors(encoder.reconstruct(data.test, output="arrays"), data, data.test)
    whole = _scores.probe(encoder.transform(data.test), data.labels("test"))
    return [*rows, {"days": "all"} | whole | {"error": float(errors.mean())}]


def workaround(data, end: float, options) -> dict:
    """Return the forecast of an encoder to which the later part is another modality, hidden now and then."""

    def parts(table):
        return {k: t if len(t) else None for k, t in zip(("early", "late"), halves(table, end), strict=True)}

    modality = Sequence(value=data.value, location=data.location, error=data.error)
    encoder = MultimodalDAEP({"early": modality, "late": modality}, drop_modality=0.3, **options_of(options))
    encoder.fit([parts(t) for t in data.train])
    early, _ = zip(*(halves(t, end) for t in data.test), strict=True)
    found = _scores.probe(encoder.transform([{"early": t} for t in early]), data.labels("test"))
    return {"days": str(end)} | found | scores(encoder, data, end, options.objects, options.draws, "late")


def main() -> None:
    """Fit, score, and write the results."""
    parser = _report.parser(__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=300, help="objects of which forecasts are drawn")
    parser.add_argument("--draws", type=int, default=50)
    parser.add_argument("--ways", nargs="*", choices=[*WAYS, WORKAROUND], default=[*WAYS, WORKAROUND])
    options = parser.parse_args()
    torch.set_num_threads(options.threads or 1)
    data = prepared(options.limit or 3000)
    content, rows = {"seed": options.seed, "data_sha256": data.sha256, "train": len(data.train), "fits": {}}, {}
    modality = Sequence(value=data.value, location=data.location, error=data.error)
    for name in options.ways:
        start = time.process_time()
        if name == WORKAROUND:
            found = [workaround(data, end, options) for end in (7,)]
        else:
            encoder = DAEPEncoder(modality, hide=WAYS[name], **options_of(options)).fit(data.train)
            content["model"] = _report.settings(encoder)
            content["fits"][name] = {"cpu_seconds": time.process_time() - start, "n_iter": encoder.n_iter_}
            found = rows_of(encoder, data, options.objects, options.draws)
        rows |= {f"{name}, {row['days']} d".replace("all d", "all"): row for row in found}
        text = _report.table(rows, COLUMNS, "SPCC, days since the first detection", names="hidden in training")
        _report.write(options.name or "arriving", content | {"rows": rows}, text)


if __name__ == "__main__":
    main()
