"""One modality from another, as the paper's Table 4: photometry to spectra and back, by phase of the spectrum.

``python -m benchmarks.cross_modality SALT3 GOLDSTEIN REAL`` fits and scores what is not yet in
``results/cross_modality``, draws the pictures and writes the tables to ``doc/cross_modality.rst``; stopped and started
again, it goes on where it was. All methods of a protocol have the same encoder, bottleneck, width and layers and take
equally many gradient steps on equal batches. GOLDSTEIN starts from the models of SALT3.
"""

from __future__ import annotations

import json
import textwrap
import time
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import torch

import skdaep

from . import _cross, _cross_pictures, _data, _report
from ._cross import PHASES, Cross
from ._cross_scores import TrainingMean, cross_scores, probes

FOLDER = _report.RESULTS / "cross_modality"
DOC = _data.ROOT / "doc" / "cross_modality.rst"


@dataclass(frozen=True)
class Row:
    """A method: an estimator's name, its own parameters, and whether it starts from SALT3's model and is fitted on."""

    estimator: str
    own: dict = field(default_factory=dict)
    pretrained: bool = False
    fitted: bool = True


DAEP = Row("MultimodalDAEP")
RIVALS = {"mmVAE": Row("MixtureOfExpertsVAE"), "contrastive": Row("ContrastiveNeighbors")}
DROPS = {f"daep, drop {p}": Row("MultimodalDAEP", {"drop_modality": p}) for p in (0.1, 0.2)}
ROWS = {
    "SALT3": {"daep": DAEP} | RIVALS,
    "GOLDSTEIN": {
        "daep": Row("MultimodalDAEP", pretrained=True),
        "daep, SALT3 only": Row("MultimodalDAEP", pretrained=True, fitted=False),
        "daep, Goldstein only": DAEP,
    }
    | {name: Row(row.estimator, pretrained=True) for name, row in RIVALS.items()},
    "REAL": {"daep": DAEP} | RIVALS | DROPS,
}
SHARED = {"drop_modality": 0.5, "bottleneck_length": 4, "bottleneck_dim": 8, "max_points": 128, "batch_size": 64}
#: protocol -> parameters of all methods; chosen on validation supernovae
SETTINGS = {
    "SALT3": SHARED | {"max_iter": 1500},
    "GOLDSTEIN": SHARED | {"max_iter": 400},
    "REAL": SHARED | {"max_iter": 700},
}
FINE_TUNING = {"learning_rate_init": 1e-3}
YARDSTICK = "training mean at that phase"
#: 50 draws of a diffusion transformer trained on thousands of the same simulation, on the 21 test supernovae
PUBLISHED = {
    "mse": (0.204, 0.022, 0.018, 0.018, 0.025),
    "coverage": (0.62, 0.75, 0.83, 0.81, 0.85),
    "width": (0.51, 0.33, 0.35, 0.34, 0.36),
}
N_COLUMNS = 4  # methods in a table
INTRODUCTION = """\
Spectra from photometry, photometry from spectra
================================================

``python -m benchmarks.cross_modality`` writes this page. ``benchmarks/results/cross_modality`` has all settings, seeds,
machines and commits, and ``benchmarks/_cross.py`` defines the data sets.

* An object is one spectrum together with the light curve of its supernova. Rows are phases of the spectrum, in days
  from maximum.
* Errors and widths are given in the unit that follows the title of the table. Numbers in parentheses are 95 % intervals
  of a bootstrap over supernovae.
* The training mean is the mean of the training objects at that phase (for spectra), or at that epoch and in that band
  (for photometry). Its draws are training objects.
* Coverage is the fraction of measured points within the 90 % interval of 50 draws; perfect draws would cover 0.87.
* Stretched draws are widened or narrowed by a factor, so that they cover 0.90 of the validation supernovae of SALT3 and
  REAL. GOLDSTEIN has only eight of these, so there every spectrum counts as an object.
* SALT3 and GOLDSTEIN are simulated at 10 pc. REAL is observed, and the level of its spectra has been removed.
* Draws of mmVAE (one importance sample) are mean curves without measurement noise. Draws of the contrastive method are
  the nearest training objects.
* Training hides each modality half of the time, unless a column or row says otherwise.
* On GOLDSTEIN and REAL the fits of mmVAE are older than commit bf76c16: they divide the divergence by the number of
  points shown in a step, at most 128 per modality. On SALT3 it is divided by the number of all points.

On SALT3, daep is best at every phase in both directions.
"""
TARGETS = {"spectrum": "spectra from photometry", "photometry": "photometry from spectra"}
UNITS = {"spectrum": "dex", "photometry": "mag"}
TITLES = {
    "mse": "Mean squared error of the point estimate",
    "coverage": "Coverage of the 90 % interval",
    "width": "Width of the 90 % interval",
    "coverage_corrected": "Coverage of stretched draws",
    "width_corrected": "Width of the 90 % interval of stretched draws",
}
PROBES = {"accuracy": "Accuracy", "balanced": "Balanced accuracy", "f1": "Macro F1"}
#: headings, where a name in the results is too long for one
HEADINGS = {
    YARDSTICK: "training mean",
    "both, spectrum missing at test": "no test spectrum",
    "both, photometry missing at test": "no test photometry",
}


def main(arguments=None) -> None:
    """Fit what is missing, score, draw, write the tables."""
    parser = _report.parser(__doc__)
    parser.add_argument("protocols", nargs="*", default=list(ROWS), metavar="PROTOCOL")
    parser.add_argument("--methods", nargs="*", help="rows; all of the protocol")
    parser.add_argument("--again", action="store_true", help="fit although there is a result")
    parser.add_argument("--split", default="test", choices=("validation", "test"), help="supernovae that are scored")
    parser.add_argument("--suffix", default="", help="added to the names of results, for settings compared with others")
    options = parser.parse_args(arguments)
    if options.limit and not options.suffix:
        options.suffix = "-trial"
    if options.threads:
        torch.set_num_threads(options.threads)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in options.protocols:
        run(name, options)
    if not options.suffix:
        DOC.write_text(document())
        print(f"written to {DOC}")


def run(name: str, options) -> None:
    """Bring one protocol's results up to date."""
    path = FOLDER / f"{name}{options.suffix}.json"
    result = json.loads(path.read_text()) if path.exists() else {"rows": {}, "fits": {}}
    methods = [YARDSTICK, *(options.methods or ROWS[name])]
    missing = [m for m in methods if options.again or m not in result["rows"]]
    data = _cross.PROTOCOLS[name]().limited(options.limit)
    result |= {"protocol": name, "split": options.split, "data_sha256": data.sha256}
    result |= {"n_supernovae": data.n_supernovae(), "provenance": _report.provenance()}
    for method in missing:
        start = time.perf_counter()
        if method == YARDSTICK:
            model, fit_facts = TrainingMean(data), {}
        else:
            model, fit_facts = fit(name, method, data, options)
        fitted = time.perf_counter()
        row = {target: cross_scores(model, data, target, options.split) for target in ("spectrum", "photometry")}
        if name == "REAL" and method != YARDSTICK:
            row["probes"] = probes(model, data)
        now = time.perf_counter()
        row |= {"fit_minutes": (fitted - start) / 60, "score_minutes": (now - fitted) / 60}
        result["rows"][method] = row | {"commit": _report.commit()}
        result["fits"][method] = fit_facts
        path.write_text(json.dumps(result, indent=1, default=_report._plain) + "\n")
        print("\n\n".join(tables(result)), flush=True)
    _cross_pictures.draw(result, data, load_models(name, result, options), FOLDER / f"{name}{options.suffix}")


def fit(name: str, method: str, data: Cross, options) -> tuple:
    """Return a fitted estimator, kept in a file, and the facts of its fit."""
    row = ROWS[name][method]
    if row.pretrained:
        start = model_file("SALT3", method.split(",")[0], options)
        if not start.exists():
            raise SystemExit(f"{start} is not there: run SALT3 with {method.split(',')[0]!r} first.")
        estimator = skdaep.load(start).set_params(warm_start=True, **FINE_TUNING)
        estimator.set_params(max_iter=SETTINGS[name]["max_iter"])
    else:
        estimator = getattr(skdaep, row.estimator)(data.modalities, random_state=options.seed)
        _set(estimator, SETTINGS[name] | row.own)
    _set(estimator, _report.overrides(options.set))
    if options.max_iter:
        estimator.set_params(max_iter=options.max_iter)
    facts = {}
    if row.fitted:
        print(f"{name}: {method}, {estimator.max_iter} steps", flush=True)
        estimator.fit(data.objects["train"], groups=data.groups["train"])
        facts = {"n_iter": estimator.n_iter_, "history": estimator.history_[::5]}
        facts["settings"] = _report.settings(estimator)
    estimator.save(model_file(name, method, options))
    return estimator, facts


def _set(estimator, parameters: dict) -> None:
    """Set parameters; those of MultimodalDAEP that a rival lacks do not concern it."""
    mine, daeps = estimator.get_params(), skdaep.MultimodalDAEP({}).get_params()
    estimator.set_params(**{k: v for k, v in parameters.items() if k in mine or k not in daeps})


def model_file(name: str, method: str, options) -> Path:
    """Return where a fitted model is kept."""
    method = method.replace(" ", "").replace(",", "-")
    return _data.CACHE / f"cross_modality-{name}-{method}{options.suffix}.safetensors"


def load_models(name: str, result: dict, options) -> dict:
    """Return the fitted models of the main rows, those that are still there."""
    files = {m: model_file(name, m, options) for m in result["rows"] if m in ("daep", *RIVALS)}
    return {m: skdaep.load(path) for m, path in files.items() if path.exists()}


# --- tables ---------------------------------------------------------------------------------------------


def tables(result: dict) -> list[str]:
    """Return the sections of one protocol: a heading and the rst tables of each direction, and of the classes."""
    name, rows = result["protocol"], result["rows"]
    methods = [m for m in (YARDSTICK, *ROWS[name]) if m in rows]
    out = []
    for target, what in TARGETS.items():
        out.append(_heading(f"{name}: {what}", "~"))
        for key, title in TITLES.items():
            values = {m: {p: rows[m][target][p][key] for p in columns() if p in rows[m][target]} for m in methods}
            if name == "GOLDSTEIN" and target == "spectrum" and key in PUBLISHED:
                values["published"] = {p: [x] for p, x in zip(columns(), PUBLISHED[key], strict=False)}
            unit = {"mse": f"{UNITS[target]}^2", "width": UNITS[target]}.get(key.removesuffix("_corrected"), "")
            out += _by_phase(values, title, unit)
    probed = {m: rows[m]["probes"] for m in methods if "probes" in rows[m]}
    if probed:
        out.append(_heading(f"{name}: classes read from z", "~"))
        out.append("The last two columns: trained on both modalities, and tested with one.")
        names = list(next(iter(probed.values())))[:-1]
        for key, title in PROBES.items():
            cells = {m: {n: _with_spread(row[n], key) for n in names} for m, row in probed.items()}
            out.append(_report.table(cells, {HEADINGS.get(n, n): n for n in names}, title))
    return out


def _heading(text: str, rule: str) -> str:
    return f"{text}\n{rule * len(text)}"


def _by_phase(values: dict[str, dict], title: str, unit: str) -> list[str]:
    """Return a title, and tables with a row for each phase and a column for each method, narrow enough to read.

    `values` holds a value and the bounds of its interval for each method and phase. Where some would start with several
    zeros, they are given in a power of ten of the unit.
    """
    power = 0
    if unit:
        least = min(x[0] for column in values.values() for x in column.values())
        power = int(f"{least:.2e}".partition("e")[2])
        power = power if power < -1 else 0
        title += f", in 10^{power} {unit}" if power else f", in {unit}"
    turned = {p: {m: _cell(values[m][p], unit, power) for m in values if p in values[m]} for p in columns()}
    parts = [list(values)[i : i + N_COLUMNS] for i in range(0, len(values), N_COLUMNS)]
    return [title, *(_report.table(turned, {HEADINGS.get(m, m): m for m in part}, "", "phase") for part in parts)]


def columns() -> list[str]:
    """Return the phases of a table, and all together."""
    return [*map(str, PHASES), "all"]


def _cell(numbers: list[float], unit: str, power: int) -> str:
    """Return a value and its interval; one that stands alone is published, and keeps its digits."""
    if len(numbers) == 1:
        return f"{Decimal(str(numbers[0])).scaleb(-power):f}"
    value, *bounds = (f"{Decimal(f'{x:.2e}').scaleb(-power):f}" if unit else f"{x:.2f}" for x in numbers)
    return f"{value} ({'-'.join(bounds)})"


def _with_spread(scores: dict, key: str) -> str:
    return f"{scores[key]:.3f} +- {scores[key + '_sd']:.3f}"


def beside_published() -> list[str]:
    """Return how daep compares with the published transformer on GOLDSTEIN, by phase."""
    path = FOLDER / "GOLDSTEIN.json"
    if not path.exists():
        return []
    result = json.loads(path.read_text())

    def scores(method: str, key: str) -> list[float]:
        return [result["rows"][method]["spectrum"][p][key][0] for p in columns()[: len(PUBLISHED[key.split("_")[0]])]]

    def ratios(method: str) -> str:
        return _range([ours / theirs for ours, theirs in zip(scores(method, "mse"), PUBLISHED["mse"], strict=True)], 1)

    theirs, ours = _range(PUBLISHED["coverage"]), _range(scores("daep", "coverage_corrected"))
    return textwrap.wrap(
        f"On GOLDSTEIN daep was trained on {result['n_supernovae'][0]} supernovae, the published transformer on "
        f"thousands. Depending on the phase, the error of daep is {ratios('daep')} times the published one. Its "
        f"stretched draws cover {ours}, the published ones {theirs}. Without training on SALT3 first, its error is "
        f"{ratios('daep, Goldstein only')} times the published one.",
        110,
    )


def _range(values, digits: int = 2) -> str:
    return f"{min(values):.{digits}f} to {max(values):.{digits}f}"


def document() -> str:
    """Return the page with the tables of all protocols that have results."""
    lines = [INTRODUCTION, *beside_published(), ""]
    for name in ROWS:
        path = FOLDER / f"{name}.json"
        if path.exists():
            result = json.loads(path.read_text())
            n = " / ".join(map(str, result["n_supernovae"]))
            commits = "; ".join(f"{m}: {row['commit']}" for m, row in result["rows"].items())
            lines += [_heading(f"{name} ({n} supernovae), {result['split']}", "-"), ""]
            lines += [*textwrap.wrap(f"Commits: {commits}.", 110), "", "\n\n".join(tables(result)), ""]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
