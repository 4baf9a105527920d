"""The paper's Tables 1 to 3 on real data: daep, maep and beta-VAE beside PCA and hand-made features, by protocol.

``python -m benchmarks.paper_tables SpeX LONG`` fits what is not yet in ``results/paper_tables``, one protocol after
another, and writes the tables to ``doc/paper_tables.rst``; stopped and started again, it goes on where it was. All
methods of a protocol have the same bottleneck, width and layers and take equally many gradient steps on equal batches;
rows that say otherwise, ``paper_settings.VARIANTS``, are what else was tried. Functional PCA is solved in closed form.
"""

from __future__ import annotations

import json
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.manifold import TSNE

from skdaep import BetaVAEEncoder, DAEPEncoder, FunctionalPCA, Image, MAEPEncoder, Sequence, load

from . import _baselines, _data, _protocols, _report, _scores, figures, found, paper_settings

FOLDER = _report.RESULTS / "paper_tables"
DOC = _data.ROOT / "doc" / "paper_tables.rst"
DEFAULT = ("ZTF-LC", "SPCC", "CRTS", "CRTS-FOLDED", "S82-FOLDED", "SpeX", "LONG", "IMAGE", "SN-SPEC")
#: row -> (estimator, its own parameters)
METHODS = {
    "daep": (DAEPEncoder, {}),
    "daep, core=None": (DAEPEncoder, {"core": None}),
    "maep 75 %": (MAEPEncoder, {"mask_ratio": 0.75, "core": None}),
    "maep 30 %": (MAEPEncoder, {"mask_ratio": 0.3, "core": None}),
    "beta-VAE": (BetaVAEEncoder, {"beta": 0.1}),
    "functional PCA": (FunctionalPCA, {}),
}
ERRORS = {"mean": "error_mean", "median": "error_median", "in units": "error_in_units", "10 % seen": "error_seen"}
CLASSES = {"accuracy": "accuracy", "macro F1": "f1"}
COSTS = {"steps": "n_iter", "minutes": "minutes", "commit": "commit"}
#: protocol -> what its objects are
ABOUT = {
    "ZTF-LC": "Light curves of supernovae in g and r; magnitudes against days from the peak.",
    "SPCC": "Simulated supernovae in griz; arcsinh of the flux against days from the most significant point.",
    "CRTS": "Periodic variable stars; magnitudes against days since the first epoch.",
    "CRTS-FOLDED": "The same stars; magnitudes against phase, with the period as metadata.",
    "S82-FOLDED": "RR Lyrae in ugriz; magnitudes against phase, with the period as metadata.",
    "SpeX": "Near-infrared spectra of M, L and T dwarfs; arcsinh of the flux over its median.",
    "LONG": "MILES stars at native sampling, 4,300 points each; arcsinh of the flux over its median.",
    "IMAGE": "EFIGI galaxies; 64 x 64 pixels in three colours.",
    "SN-SPEC": "Spectra of supernovae in the rest frame; logarithm of the flux.",
}
#: head of the tables of ``benchmarks.budgets``
BUDGETS = [
    "After a few minutes on one core",
    "-------------------------------",
    "",
    "``python -m benchmarks.budgets`` makes these tables. CPU minutes are those of the whole ``fit``, including the",
    "closed form, on one thread of a machine with other users. The steps were chosen beforehand to fill 1, 5 or 20",
    "minutes. Errors and probes are those of the same test objects as above. Rows with fewer training objects use the",
    "first objects of the training set.",
    "",
]
#: the tables of ``benchmarks.cores``
CORES = [
    "What a basis from functional PCA gains",
    "--------------------------------------",
    "",
    '``python -m benchmarks.cores`` compares fits with and without ``core="basis"`` after equal steps, on validation',
    "objects: `MultimodalDAEP` on 600 simulated supernovae, and `BetaVAEEncoder` on SN-SPEC.",
    "",
    ".. include:: ../benchmarks/results/cores.txt",
    "",
]
INTRODUCTION = """\
Results on real data
====================

``python -m benchmarks.paper_tables`` writes this page. ``benchmarks/results/paper_tables`` has all settings, seeds,
machines and commits. Minutes are those of one core. There are two tables for each data set:

* The first table gives the errors. The error of an object is the mean absolute error over its points, in standard
  deviations of all training values. *Mean* and *median* are those over test objects; *in units* is the mean in the
  units of the values. Decoders only use the bottleneck, except in the column *10 % seen*, where the decoder of maep
  also sees a tenth of the points, as in the paper.
* The second table gives the classification scores and costs. Accuracy and F1 are those of a logistic regression trained
  on 30 % of the test objects, with standard deviations over ten stratified splits.
* Functional PCA has as many numbers as the networks. Its steps are iterations of expectation maximisation. By default
  ``daep`` starts from it. The rows ``daep, core=None`` and maep do not, and neither do the other rows of daep, which
  are ``core=None`` with the stated change.
"""
N_PICTURED = 4
#: share of the points that maep's decoder is given in the column "10 % seen", as in the paper
SEEN = 0.1


def main(arguments=None) -> None:
    """Fit what is missing, score, draw, write the tables."""
    parser = _report.parser(__doc__)
    parser.add_argument("protocols", nargs="*", default=DEFAULT, metavar="PROTOCOL")
    parser.add_argument("--methods", nargs="*", help="rows; all of the protocol")
    parser.add_argument("--again", action="store_true", help="fit although there is a result")
    parser.add_argument("--suffix", default="", help="added to the names of results, for settings compared with others")
    parser.add_argument("--whole", action="store_true", help="of protocols whose periods are found, take all objects")
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in options.protocols:
        (found.run if name in found.PROTOCOLS else run)(name, options)
    if not options.suffix:
        DOC.parent.mkdir(exist_ok=True)
        DOC.write_text(document())
        print(f"written to {DOC}")


def run(name: str, options) -> None:
    """Bring one protocol's results up to date."""
    path = FOLDER / f"{name}{options.suffix}.json"
    result = json.loads(path.read_text()) if path.exists() else {"rows": {}, "fits": {}}
    wanted = [m for m in rows_of(name) if options.methods is None or m in options.methods]
    missing = [m for m in wanted if options.again or m not in result["rows"]]
    if not missing and "yardsticks" in result:
        print(f"{name}: nothing to do", flush=True)
        return
    data = _protocols.PROTOCOLS[name]().limited(options.limit)
    result |= {
        "protocol": data.protocol,
        "data_sha256": data.sha256,
        "n_objects": [len(data.train), len(data.validation), len(data.test)],
        "scale": data.scale,
        "provenance": _report.provenance(),
    }
    if "yardsticks" not in result:
        settings = paper_settings.OURS[name]
        result["yardsticks"] = _baselines.yardsticks(data, settings["bottleneck_length"] * settings["bottleneck_dim"])
    for method in missing:
        estimator, seconds = fit(name, method, data, options)
        facts = {"n_iter": estimator.n_iter_, "minutes": seconds / 60, "commit": _report.commit()}
        result["rows"][method] = score(estimator, data) | facts
        result["fits"][method] = {"settings": _report.settings(estimator), "history": estimator.history_[::5]}
        path.write_text(json.dumps(result, indent=1, default=_report._plain) + "\n")
        print(tables(result), flush=True)
    if not options.suffix:
        picture(name, data)


def rows_of(name: str) -> dict[str, tuple]:
    """Return the estimator and its own parameters of each row of a protocol."""
    return METHODS | {row: (DAEPEncoder, own) for row, own in paper_settings.VARIANTS.get(name, {}).items()}


def fit(name: str, method: str, data, options) -> tuple:
    """Return a fitted estimator, kept in a file, and the seconds that training took."""
    cls, own = rows_of(name)[method]
    settings = paper_settings.OURS[name] | own
    if cls is FunctionalPCA:  # of equal size; it makes no use of metadata
        data = replace(data, metadata=())
        settings = {"n_components": settings["bottleneck_length"] * settings["bottleneck_dim"]} | own
    estimator = cls(declaration(data), random_state=options.seed, **settings)
    estimator.set_params(**_report.overrides(options.set))
    if options.max_iter:
        estimator.set_params(max_iter=options.max_iter)
    print(f"{name}: {method}, {estimator.max_iter} steps", flush=True)
    start = time.perf_counter()
    estimator.fit(data.train)
    seconds = time.perf_counter() - start
    estimator.save(model_file(name, method + options.suffix))
    return estimator, seconds


def declaration(data):
    """Return the modality of a protocol."""
    if data.location is None:
        return Image()
    band = "band" if "band" in data.train[0].colnames else None
    names = {"value": data.value, "location": data.location, "error": data.error, "metadata": data.metadata}
    return Sequence(band=band, **names)


def model_file(name: str, method: str) -> Path:
    """Return where a fitted model is kept."""
    return _data.CACHE / f"paper_tables-{name}-{method.replace(' ', '').replace(',', '-')}.safetensors"


def score(estimator, data) -> dict:
    """Return errors in scaled units and in the data's own, and the probe where there are classes."""
    errors = _scores.object_errors(estimator.reconstruct(data.test, output="arrays"), data, data.test)
    row = _scores.summary(errors) | {"error_in_units": float(errors.mean() * data.scale)}
    if isinstance(estimator, MAEPEncoder):
        row["error_seen"] = error_seen(estimator, data)
    labels = data.labels("test")
    return row | (_scores.probe(estimator.transform(data.test), labels) if n_classes(labels) > 1 else {})


def error_seen(estimator, data) -> float:
    """Return the mean error where the decoder of a maep sees a tenth of an object's points beside its bottleneck."""
    rebuilt = estimator.reconstruct(data.test, context=SEEN, output="arrays")
    return float(_scores.object_errors(rebuilt, data, data.test).mean())


def n_classes(labels: np.ndarray) -> int:
    """Return the number of known classes."""
    return len({str(label) for label in labels} - {"None", "nan"})


# --- tables and pictures --------------------------------------------------------------------------------


def tables(result: dict) -> str:
    """Return the rst tables of one protocol: errors, then classes and costs."""
    order = [m for m in rows_of(result["protocol"]) if m in result["rows"]]
    rows = {m: result["rows"][m] for m in order} | result["yardsticks"]
    return "\n\n".join(_filled(rows, columns) for columns in (ERRORS, CLASSES | COSTS))


def _filled(rows: dict[str, dict], columns: dict[str, str]) -> str:
    """Return a table of the rows and columns that hold something."""
    columns = {heading: key for heading, key in columns.items() if any(key in row for row in rows.values())}
    rows = {name: row for name, row in rows.items() if set(columns.values()) & row.keys()}
    return _report.table(rows, columns)


def document() -> str:
    """Return the page with the tables of all protocols that have results."""
    lines = [INTRODUCTION]
    for name in DEFAULT:
        path = FOLDER / f"{name}.json"
        if path.exists():
            result = json.loads(path.read_text())
            n = "{:,} training, {:,} validation and {:,} test objects.".format(*result["n_objects"])
            reading = figures.filled(paper_settings.READING.get(name, ""), result)
            lines += [name, "-" * len(name), "", textwrap.fill(f"{ABOUT[name]} {n}", 110), "", tables(result), ""]
            lines += [textwrap.fill(reading, 110), ""] if reading else []
    lines += BUDGETS + [f".. include:: ../benchmarks/results/budgets/{n}.txt\n" for n in budgeted()]
    return "\n".join([*lines, *CORES, *found.section()])


def budgeted() -> list[str]:
    """Return the protocols that ``python -m benchmarks.budgets`` has tables of."""
    return [name for name in _protocols.PROTOCOLS if (_report.RESULTS / "budgets" / f"{name}.txt").exists()]


def picture(name: str, data) -> None:
    """Draw reconstructions with residuals, and the latents of every model by class."""
    lacking = [m for m in METHODS if not model_file(name, m).exists()]
    if lacking:  # one of fewer models would take the place of the one there is
        print(f"{name}: no picture, no model was kept of {', '.join(lacking)}", flush=True)
        return
    models = {m: load(model_file(name, m)) for m in METHODS}
    draw = _draw_images if data.location is None else _draw_sequences
    draw(models, data).savefig(FOLDER / f"{name}_reconstructions.png", dpi=70)
    labels = data.labels("test")
    if n_classes(labels) > 1:
        _draw_latents(models, data, labels.astype(str)).savefig(FOLDER / f"{name}_tsne.png", dpi=70)
    plt.close("all")


def _draw_sequences(models: dict, data):
    objects = [data.test[i] for i in np.linspace(0, len(data.test) - 1, N_PICTURED).astype(int)]
    figure, axes = plt.subplots(
        *(len(models) * 2, N_PICTURED), figsize=(4 * N_PICTURED, 3 * len(models)), squeeze=False, layout="constrained",
        sharex="col", height_ratios=[2, 1] * len(models),
    )  # fmt: skip
    for row, (method, model) in enumerate(models.items()):
        for column, (t, rebuilt) in enumerate(zip(objects, model.reconstruct(objects, output="arrays"), strict=True)):
            top, below = axes[2 * row : 2 * row + 2, column]
            x, y = np.asarray(t[data.location], float), data.values(t)
            bands = np.asarray(t["band"], str) if "band" in t.colnames else np.full(len(t), "")
            for i, band in enumerate(np.unique(bands)):
                here, order = bands == band, np.argsort(x[bands == band])
                style = {"color": "k", "lw": 0.7} if len(t) > 400 else {"color": f"C{i}", "marker": "x", "ls": "none"}
                top.plot(
                    x[here],
                    y[here],
                    "o",
                    ms=2 if len(t) > 400 else 4,
                    color=f"C{i}",
                    alpha=0.4,
                    label=band or "measured",
                )
                top.plot(x[here][order], rebuilt[here][order], **style)
                below.plot(x[here], (y - rebuilt)[here], ".", ms=2, color=f"C{i}")
            below.axhline(0, color="0.3", lw=0.8)
            if data.value.startswith("mag"):
                top.invert_yaxis()
                below.invert_yaxis()
            top.set_title(f"{method}  {t.meta.get('label') or ''}", fontsize=9)
            if row == len(models) - 1:
                below.set_xlabel(data.location)
            if column == 0:
                top.set_ylabel(data.value)
                below.set_ylabel("residual")
                top.legend(fontsize=7)
    return figure


def _draw_images(models: dict, data):
    objects = data.test[np.linspace(0, len(data.test) - 1, 2 * N_PICTURED).astype(int)]
    figure, axes = plt.subplots(
        1 + len(models), len(objects), figsize=(2 * len(objects), 2.1 * (1 + len(models))), layout="constrained"
    )
    rows = {"measured": objects} | {m: model.reconstruct(objects) for m, model in models.items()}
    for line, (method, images) in zip(axes, rows.items(), strict=True):
        for ax, image in zip(line, images, strict=True):
            ax.imshow(((image + 1) / 2).clip(0, 1))
            ax.set(xticks=[], yticks=[])
        line[0].set_ylabel(method)
    return figure


def _draw_latents(models: dict, data, labels: np.ndarray):
    figure, axes = plt.subplots(1, len(models), figsize=(4 * len(models), 4), squeeze=False, layout="constrained")
    for ax, (method, model) in zip(axes[0], models.items(), strict=True):
        Z = model.transform(data.test)
        places = TSNE(random_state=0).fit_transform((Z - Z.mean(0)) / Z.std(0))
        for i, label in enumerate(sorted(set(labels) - {"None", "nan"})):
            ax.plot(*places[labels == label].T, ".", ms=3, color=f"C{i}", label=label)
        ax.set(xticks=[], yticks=[], title=method)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=12, markerscale=3)
    return figure


if __name__ == "__main__":
    main()
