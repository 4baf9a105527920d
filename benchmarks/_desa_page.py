"""The page of `benchmarks.desa`, made of its results."""

from __future__ import annotations

import json
import textwrap

import numpy as np

from . import _data, _report
from ._stars import TARGETS

DOC = _data.ROOT / "doc" / "desa.rst"
FOLDER = _report.RESULTS / "desa"
HEAD = """\
Labels, and two views
=====================

DESA (Kamai, Bronstein & Perets 2025) combines light curves and spectra of stars. Its encoders learn with and without
labels, and its DualFormer aligns the two views. ``python -m benchmarks.desa labels stars pairs iron`` does the fits,
and ``python -m benchmarks.desa --page`` writes this page. Settings, seeds, times and commits are in
``benchmarks/results/desa``.
"""
LABELS = """\

How much labels help
--------------------

The table shows fits of `DAEPEncoder` to SN-SPEC with {steps} steps, width {width} and ``core=None``. Some of the
training spectra have labels. The error, the linear probe and the F1 of `predict` (head F1) are those of the {n_test}
test spectra, as means and standard deviations over seeds. The fits are short, so only compare rows of this table.

"""
STARS = """\

What the codes of two views contain
-----------------------------------

The data, `stars_simulated_pairs`, are real spectra (MILES) with simulated light curves. Temperature and gravity
affect both views, [Fe/H] only the spectrum, and age only the light curve. The period shows in the light curve, and
the spectrum hints at it. Encoders get the autocorrelation of the light curve, with its amplitude as metadata
(:doc:`guide/views`), because in so few steps DualFormer learned nothing about periods from the points of the light
curve. The tables show the R^2 of a ridge regression on the codes after {steps} steps, with width {width}, {batch}
stars per batch, as means and standard deviations over {seeds} seeds. All fits together took {minutes:.0f} CPU
minutes. They are short, and none has converged.

"""
IRON = """\

[Fe/H] of RR Lyrae
------------------

These are fits of `DAEPEncoder` to {feh_sspp_train} + {feh_rrlfe_train} noisy, partly missing [Fe/H] of single SDSS
exposures of RR Lyrae, {steps} steps, width {width}, ``core=None``. Error is the mean absolute error in units of a
spectrum's median flux. The others are R^2 on test spectra, as means and standard deviations over seeds: of a ridge
regression on the codes, trained on all training labels, and of `predict` (head).

"""
PAIRS = """\

Classes of supernovae with two views
------------------------------------

The data are observed light curves and spectra of the same supernovae (Ia, Ibc, II, superluminous), {n_False:,} training
objects, each a spectrum with the light curve of its supernova; *unpaired* adds the spectra of {n_alone:,} other
supernovae, without labels. Fits take {steps} steps, width {width}. The table shows macro F1 of a linear probe, by
cross-validation over {n_probe} supernovae, as means and standard deviations over seeds.

"""
PRIVATE = ("age", "feh")  # to the light curve, to the spectrum
YARDSTICK = (0.96, 0.95, 0.78, 0.86, 0.75)  # hand features and PCA-20, extra trees: README of the data


def document() -> str:
    """Return the page of the results that there are."""
    results = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
    labels = [r for name, r in results.items() if name.startswith("labels-")]
    stars = [r for name, r in results.items() if name.startswith("stars-")]
    pairs = [r for name, r in results.items() if name.startswith("pairs-")]
    iron = [r for name, r in results.items() if name.startswith("iron-")]
    sections = ((of_labels, labels), (of_iron, iron), (of_pairs, pairs), (of_stars, stars))
    return HEAD + "".join(section(runs) for section, runs in sections if runs)


def of_labels(runs: list[dict]) -> str:
    """Return the section on labels."""
    settings, rows = runs[0]["settings"], {}
    for weight, share in sorted({(r["weight"], r["share"]) for r in runs}):
        own = [r for r in runs if (r["weight"], r["share"]) == (weight, share)]
        name = f"weight {weight:g}, labels of {share:.0%}" if weight else "without labels"
        rows[name] = {"n": len(own), "labels": round(np.mean([r["n_labels"] for r in own]))}
        for key in ("error_mean", "accuracy", "f1", "head_f1"):
            if all(key in r for r in own):
                values = [r[key] for r in own]
                rows[name][key] = float(np.mean(values))
                if len(own) > 1:
                    rows[name][f"{key}_sd"] = float(np.std(values))
    columns = {"seeds": "n", "labels": "labels", "error": "error_mean", "probe accuracy": "accuracy"}
    columns |= {"probe F1": "f1", "head F1": "head_f1"}
    facts = {"steps": settings["max_iter"], "width": settings["model_dim"], "n_test": runs[0]["n_objects"]}
    return LABELS.format(**facts) + _report.table(rows, columns) + "\n\n" + _worth(rows) + "\n"


def _worth(rows: dict[str, dict]) -> str:
    """Return what labels change, in words."""
    none, *others = rows.values()
    changes = [
        f"labels of {row['labels']} spectra change the F1 of the probe by {row['f1'] - none['f1']:+.3f} and the error "
        f"by {row['error_mean'] / none['error_mean'] - 1:+.0%}"
        for row in others
    ]
    text = f"At equal steps, {'; '.join(changes)}. "
    text += "A step with labels takes longer, because it encodes the labelled objects again."
    return _wrapped(text)


def of_iron(runs: list[dict]) -> str:
    """Return the section on [Fe/H] of RR Lyrae."""
    rows = {}
    for weight in sorted({r["weight"] for r in runs}):
        own = [r for r in runs if r["weight"] == weight]
        name = f"weight {weight:g}, all labels" if weight else "without labels"
        rows[name] = {"n": len(own)} | _over_seeds(own, lambda r: {"error_mean": r["error_mean"]})
        rows[name] |= _over_seeds(own, lambda r: {f"probe {k}": v for k, v in r["probe"].items()})
        rows[name] |= _over_seeds(own, lambda r: {f"head {k}": v for k, v in r.get("head", {}).items()})
    columns = {"seeds": "n", "error": "error_mean"}
    columns |= {
        f"{part}, {name.removeprefix('feh_')}": f"{part} {name}"
        for part in ("probe", "head")
        for name in runs[0]["known"]
    }
    settings, known = runs[0]["settings"], runs[0]["known"]
    facts = {"steps": settings["max_iter"], "width": settings["model_dim"]}
    facts |= {f"{name}_{part}": n for name, own in known.items() for part, n in own.items()}
    return IRON.format(**facts) + _report.table(rows, columns) + "\n\n" + _worth_of_iron(rows) + "\n"


def _worth_of_iron(rows: dict[str, dict]) -> str:
    """Return what labels change, in words."""
    none, *others = rows.values()
    parts = [key for key in none if key.startswith("probe ") and not key.endswith("_sd")]

    def of(row: dict) -> str:
        return " and ".join(f"{row[key]:.2f}" for key in parts)

    changes = [
        f"R^2 of the probe from {of(none)} to {of(row)}, and the error by "
        f"{row['error_mean'] / none['error_mean'] - 1:+.0%}"
        for row in others
    ]
    return _wrapped(f"At equal steps, labels change {'; '.join(changes)}.")


def of_pairs(runs: list[dict]) -> str:
    """Return the section on classes of supernovae with both views."""
    views, rows = {"both": "both", "light curve": "photometry only", "spectrum": "spectrum only"}, {}
    for method, more in dict.fromkeys((r["method"], r["unpaired"]) for r in sorted(runs, key=_of_pairs)):
        own = [r for r in runs if (r["method"], r["unpaired"]) == (method, more)]
        name = f"{method}, and unpaired spectra" if more else method
        rows[name] = {"n": len(own)} | _over_seeds(own, lambda r: {k: r["classes"][v]["f1"] for k, v in views.items()})
    settings, n = runs[0]["settings"], runs[0]["classes"]["commonest class"]
    facts = {"steps": settings["max_iter"], "width": settings["model_dim"], "n_probe": n["n"]}
    facts |= {f"n_{more}": next((r["n_train"] for r in runs if r["unpaired"] == more), 0) for more in (False, True)}
    text = PAIRS.format(**facts, n_alone=facts["n_True"] - facts["n_False"])
    return text + _report.table(rows, {"seeds": "n"} | {k: k for k in views}) + "\n\n" + _worth_of_unpaired(rows) + "\n"


def _worth_of_unpaired(rows: dict[str, dict]) -> str:
    """Return what unpaired spectra change, in words."""
    alone = ", and unpaired spectra"
    changes = [
        f"{row['both'] - rows[name.removesuffix(alone)]['both']:+.3f} ({name.removesuffix(alone)})"
        for name, row in rows.items()
        if name.endswith(alone)
    ]
    text = f"At equal steps, unpaired spectra change the F1 of codes of both views by {', '.join(changes)}. "
    return _wrapped(text + "Batches then have fewer pairs, which is all that alignment learns from.")


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, 120, break_on_hyphens=False))


def _of_pairs(run: dict) -> tuple:
    return run["unpaired"], run["method"], run["seed"]


def _over_seeds(runs: list[dict], numbers) -> dict[str, float]:
    """Return mean and standard deviation over runs of the numbers of each."""
    every = [numbers(r) for r in runs]
    means = {k: float(np.mean([own[k] for own in every])) for k in every[0]}
    spreads = {f"{k}_sd": float(np.std([own[k] for own in every])) for k in every[0]} if len(runs) > 1 else {}
    return means | spreads


def _place(run: dict) -> tuple:
    """Return what orders the rows of stars: methods, those with labels, frozen codes, ablations."""
    frozen = run["method"].startswith(FROZEN)
    ablation = "," in run["method"] and not frozen
    return ablation, frozen, run["weight"] > 0, -run["both"]["all"][PRIVATE[0]]


FROZEN = "frozen codes"
VERDICT = """\
Age only shows in the light curve, and [Fe/H] only in the spectrum. DESA claims that alignment alone loses such
quantities, and that DualFormer keeps them. These short fits do not confirm this. From codes of both views, R^2 of age
and [Fe/H] are {VICReg} for VICReg, {MoCo} for MoCo and {InfoNCE} for InfoNCE, but {DualFormer} for DualFormer and
{SimSiam} for SimSiam. MultimodalDAEP, which must reconstruct both views, has {MultimodalDAEP}, and the mixture of
experts (mmVAE) {mmVAE}. ContrastiveNeighbors before training (untrained) has {untrained}. DualFormer's codes of the
spectrum alone have an R^2 of [Fe/H] of {dualformer_spectrum:.2f}. Without its variance term, as in the paper, its
codes of both views have {no_variance}."""
PRETRAINED = """\
In DESA the encoders of both views are trained first and then frozen, and each number of their codes becomes a token.
The rows "frozen" do this with two `DAEPEncoder`, {steps} steps each. The two codes side by side, which nothing
aligned, have {side_by_side}. DualFormer keeps {DualFormer} of this, without its variance term {no_variance}; VICReg
keeps {VICReg}, InfoNCE {InfoNCE}, SimSiam {SimSiam} and MultimodalDAEP {MultimodalDAEP}."""
SUPERVISED = """\
If a quarter of the stars have labels of all five quantities (weight {weight:g}), the mean R^2 of the five, from codes
of both views, is {changes}; the change is in brackets."""


def _told(named: dict[str, dict], steps: int) -> list[str]:
    """Return what is private to a view and what labels are worth, in words."""

    def private(name: str) -> str:
        return " and ".join(f"{named[name]['both']['all'][target]:.2f}" for target in PRIVATE)

    def mean(name: str) -> float:
        return float(np.mean([named[name]["both"]["all"][target] for target in TARGETS]))

    spectrum = named["DualFormer"]["spectrum"]["all"]["feh"]
    methods = [name for name in named if name.isidentifier()]
    paper = private("DualFormer, no variance term")
    texts = [
        VERDICT.format(**{k: private(k) for k in methods}, dualformer_spectrum=spectrum, no_variance=paper),
    ]
    frozen = {k.removeprefix(f"{FROZEN}, "): private(k) for k in named if k.startswith(FROZEN)}
    if frozen:
        frozen |= {"side_by_side": frozen["side by side"], "no_variance": frozen["DualFormer, no variance term"]}
        texts.append(PRETRAINED.format(**frozen, steps=steps))
    labelled = {k.removesuffix(WITH_LABELS): k for k in named if k.endswith(WITH_LABELS)}
    changes = [f"{mean(k):.2f} ({mean(k) - mean(name):+.2f}) for {name}" for name, k in labelled.items()]
    for weight in {named[k]["weight"] for k in labelled.values()}:
        texts.append(SUPERVISED.format(changes=", ".join(changes), weight=weight))
    return [_wrapped(text) + "\n\n" for text in texts]


WITH_LABELS = ", labels of a quarter"


def _stars_over_seeds(runs: list[dict]) -> dict:
    """Return the means over seeds of a method's scores, and their standard deviations beside them."""
    out = {key: runs[0][key] for key in ("method", "weight")} | {"n": len(runs)}
    for view in ("both", "light curve", "spectrum"):
        out[view] = {
            size: _over_seeds(runs, lambda r, v=view, s=size: {t: r[v][s][t] for t in TARGETS})
            for size in ("all", "few")
        }
    out["clusters"] = _over_seeds(runs, lambda r: {"accuracy": r["clusters"]})
    if all("intervals" in r for r in runs):
        kinds = runs[0]["intervals"]
        out["intervals"] = {
            kind: {t: np.mean([r["intervals"][kind][t] for r in runs], 0).tolist() for t in TARGETS} for kind in kinds
        }
    return out


def _short(name: str) -> str:
    return name.replace(FROZEN, "frozen")


def _in_two_digits(scores: dict[str, float]) -> dict[str, str]:
    """Return the score of each target, and its spread if there is one."""
    return {t: f"{scores[t]:.2f}" + (f" ± {scores[f'{t}_sd']:.2f}" if f"{t}_sd" in scores else "") for t in TARGETS}


def of_stars(runs: list[dict]) -> str:
    """Return the section on stars: R^2 by view, of all training objects and of few, with and without labels."""
    settings = runs[0]["settings"]
    facts = {"steps": max(r["settings"]["max_iter"] for r in runs), "width": settings["model_dim"]}
    minutes = sum(r["cpu_seconds"] for r in runs) / 60
    seeds = len({r["seed"] for r in runs})
    text = STARS.format(**facts, batch=settings["batch_size"], minutes=minutes, seeds=seeds)
    methods = dict.fromkeys((r["method"], r["weight"]) for r in runs)
    means = [_stars_over_seeds([r for r in runs if (r["method"], r["weight"]) == own]) for own in methods]
    named = {r["method"] + WITH_LABELS * (r["weight"] > 0): r for r in sorted(means, key=_place)}
    text += "".join(_told(named, facts["steps"]))
    for size, told in (("all", "probe trained on all training objects"), ("few", "on a fifth of the test stars")):
        for view in ("both", "light curve", "spectrum"):
            rows = {_short(name): _in_two_digits(r[view][size]) for name, r in named.items()}
            if (size, view) == ("all", "both"):
                rows["hand features, extra trees"] = _in_two_digits(dict(zip(TARGETS, YARDSTICK, strict=True)))
            title = f"R^2, {'both views' if view == 'both' else f'{view} alone'}, {told}"
            text += _report.table(rows, {t: t for t in TARGETS}, title) + "\n\n"
    clusters = {_short(name): r["clusters"] for name, r in named.items()}
    told = "Four clusters (Gaussian mixture) compared with quarters of the temperature; chance is at least 0.25"
    text += _report.table(clusters, {"accuracy": "accuracy"}, told) + "\n"
    covered = {name.removesuffix(WITH_LABELS): r["intervals"] for name, r in named.items() if "intervals" in r}
    if not covered:
        return text
    rows = {
        f"{name}, {kind}": {
            t: f"{all_of_it:.2f} ({', '.join(f'{x:.2f}' for x in thirds)})"
            for t, (all_of_it, *thirds) in by_target.items()
        }
        for name, own in covered.items()
        for kind, by_target in own.items()
    }
    told = "Share of test labels in 80 % intervals (lower, middle and upper third of the labels)"
    parts = (TARGETS[:3], TARGETS[3:])  # all of them would be too wide to read
    return text + "".join("\n" + _report.table(rows, {t: t for t in part}, told) + "\n" for part in parts)
