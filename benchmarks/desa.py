"""Labels where there are some, and alignments of two views, as in DESA (Kamai, Bronstein & Perets 2025).

``python -m benchmarks.desa labels stars pairs iron`` fits and scores what is not yet in ``results/desa``; stopped and
started again, it goes on where it was. ``--page`` writes the tables to ``doc/desa.rst``. All methods of a section have
the same encoder, bottleneck and width, and take equally many steps on equal batches.
"""

from __future__ import annotations

import argparse
import time
from functools import cache

import numpy as np
import torch
from sklearn.metrics import f1_score

import skdaep

from . import _cross, _cross_scores, _data, _desa_real, _report, _stars
from ._desa_page import DOC, FOLDER, document
from ._scores import object_errors, probe, summary

NETWORKS = {"model_dim": 32, "n_encoder_layers": 2, "n_decoder_layers": 2, "n_iter_no_change": 1000}
LABELS = NETWORKS | {"max_iter": 400}
STARS = NETWORKS | {"max_iter": 200, "max_points": 128}
PAIRS = NETWORKS | {"max_iter": 400, "max_points": 128}
IRON = NETWORKS | {"max_iter": 400, "core": None}
WEIGHT = 0.5
SHARES = (0.1, 0.3)
SEEDS = (0, 1, 2)


# --- labels of SN-SPEC ----------------------------------------------------------------------------------


def labels_runs() -> dict:
    """Return the runs: without labels, and with a share of them."""
    weights = [(0.0, 1.0), *((WEIGHT, share) for share in SHARES)]
    return {
        f"labels-{weight:g}-{share:g}-{seed}": (labels_run, {"weight": weight, "share": share, "seed": seed})
        for seed in SEEDS
        for weight, share in weights
    }


def labels_run(weight: float, share: float, seed: int) -> dict:
    """Train on SN-SPEC with the labels of some training spectra; score the codes of the test spectra."""
    data = _data.sn_spectra()
    known = np.random.default_rng(seed).random(len(data.train)) < share
    y = np.where(known, data.labels("train").astype(object), None)
    encoder = skdaep.DAEPEncoder(
        skdaep.Spectrum("log_flux"), core=None, **LABELS, supervised_weight=weight, random_state=seed
    )
    start = time.process_time()
    encoder.fit(data.train, y if weight else None)
    seconds = time.process_time() - start
    labels, Z = data.labels("test"), encoder.transform(data.test)
    errors = object_errors(encoder.reconstruct(data.test, output="arrays"), data, data.test)
    out = {"weight": weight, "share": share, "seed": seed, "n_labels": int(known.sum()) if weight else 0}
    out |= {"cpu_seconds": seconds} | summary(errors) | probe(Z, labels)
    if weight:
        out["head_f1"] = f1_score(labels, encoder.predict(data.test), average="macro")
    return out | {"settings": _report.settings(encoder), "sha256": data.sha256}


# --- two views of stars ---------------------------------------------------------------------------------

CONTRAST = "ContrastiveNeighbors"
METHODS = {
    "DualFormer": ("DualFormer", {}),
    "InfoNCE": (CONTRAST, {"alignment": "infonce"}),
    "VICReg": (CONTRAST, {"alignment": "vicreg"}),
    "SimSiam": (CONTRAST, {"alignment": "simsiam"}),
    "MoCo": (CONTRAST, {"alignment": "moco", "alignment_options": {"momentum": 0.99}}),
    "MultimodalDAEP": ("MultimodalDAEP", {"drop_modality": 0.5}),
    "mmVAE": ("MixtureOfExpertsVAE", {}),
    "untrained": (CONTRAST, {"max_iter": 1, "learning_rate_init": 1e-9}),
}
ABLATIONS = {
    "DualFormer, no variance term": ("DualFormer", {"variance_weight": 0.0}),
    "DualFormer, inter": ("DualFormer", {"attention": "inter"}),
    "DualFormer, intra": ("DualFormer", {"attention": "intra"}),
    "DualFormer, shared A": ("DualFormer", {"projection": "shared"}),
}
#: as in DESA: encoders of each view are trained first, and stay as they are
FROZEN = {
    "frozen codes, side by side": None,
    "frozen codes, DualFormer": ("DualFormer", {}),
    "frozen codes, DualFormer, no variance term": ("DualFormer", {"variance_weight": 0.0}),
    "frozen codes, InfoNCE": (CONTRAST, {"alignment": "infonce"}),
    "frozen codes, VICReg": (CONTRAST, {"alignment": "vicreg"}),
    "frozen codes, SimSiam": (CONTRAST, {"alignment": "simsiam"}),
    "frozen codes, MultimodalDAEP": ("MultimodalDAEP", {"drop_modality": 0.5}),
    "frozen codes, untrained": (CONTRAST, {"max_iter": 1, "learning_rate_init": 1e-9}),
}
WITH_LABELS = ("DualFormer", "InfoNCE", "VICReg", "MultimodalDAEP")


def stars_runs() -> dict:
    """Return the runs: each method without labels, some with labels of a quarter of the stars."""
    runs = [(name, 0.0) for name in METHODS] + [(name, WEIGHT) for name in WITH_LABELS]
    return {
        f"stars-{_file_name(name)}{'-labels' * (weight > 0)}-{seed}": (
            stars_run,
            {"method": name, "weight": weight, "seed": seed},
        )
        for seed in SEEDS
        for name, weight in [*runs, *((name, 0.0) for name in FROZEN | ABLATIONS)]
    }


def _file_name(name: str) -> str:
    return name.lower().replace(",", "").replace(" ", "-")


def stars_run(method: str, weight: float, seed: int) -> dict:
    """Train a method on both views, and probe its codes of both and of either."""
    data = _encoded_stars(seed) if method in FROZEN else _stars.stars()
    out = {"method": method, "weight": weight, "seed": seed, "cpu_seconds": 0.0}
    if (chosen := (METHODS | ABLATIONS | FROZEN)[method]) is None:
        return out | _stars.probes(_stars.side_by_side, data) | {"settings": STARS, "sha256": data.sha256}
    name, own = chosen
    cls, more = getattr(skdaep, name), STARS | own | {"supervised_weight": weight, "random_state": seed}
    known = cls(data.modalities).get_params()
    encoder = cls(data.modalities, **{k: v for k, v in more.items() if k in known})
    y = data.some_labels(_stars.LABELLED, seed) if weight else None
    start = time.process_time()
    encoder.fit(data.objects["train"], y, groups=data.stars["train"])
    out["cpu_seconds"] = time.process_time() - start
    out |= _stars.probes(encoder.transform, data)
    if weight:
        out["intervals"] = _stars.coverage(encoder, data)
    return out | {"settings": _report.settings(encoder), "sha256": data.sha256}


@cache
def _encoded_stars(seed: int) -> _stars.Stars:
    return _stars.encoded(_stars.stars(), **STARS, random_state=seed)


# --- two views of supernovae ------------------------------------------------------------------------------

PAIRED = ("MultimodalDAEP", "InfoNCE", "VICReg", "DualFormer")


def pairs_runs() -> dict:
    """Return the runs: each method on the pairs, and on these and unpaired spectra."""
    return {
        f"pairs-{_file_name(name)}{'-unpaired' * more}-{seed}": (
            pairs_run,
            {"method": name, "unpaired": more, "seed": seed},
        )
        for seed in SEEDS
        for name in PAIRED
        for more in (False, True)
    }


def pairs_run(method: str, unpaired: bool, seed: int) -> dict:
    """Train a method on supernovae with both views, and read classes from its codes of both and of either."""
    data = _cross.real()
    X, groups = data.objects["train"], data.groups["train"]
    if unpaired:
        alone, names = _desa_real.unpaired()
        X, groups = X + alone, np.concatenate([groups, names])
    name, own = METHODS[method]
    cls, more = getattr(skdaep, name), PAIRS | own | {"random_state": seed}
    known = cls(data.modalities).get_params()
    encoder = cls(data.modalities, **{k: v for k, v in more.items() if k in known})
    start = time.process_time()
    encoder.fit(X, groups=groups)
    out = {"method": method, "unpaired": unpaired, "seed": seed, "cpu_seconds": time.process_time() - start}
    out |= {"n_train": len(X), "classes": _cross_scores.probes(encoder, data)}
    return out | {"settings": _report.settings(encoder), "sha256": data.sha256}


# --- [Fe/H] of RR Lyrae -------------------------------------------------------------------------------------


def iron_runs() -> dict:
    """Return the runs: without labels, and with all there are."""
    return {
        f"iron-{weight:g}-{seed}": (iron_run, {"weight": weight, "seed": seed})
        for seed in SEEDS
        for weight in (0.0, WEIGHT)
    }


def iron_run(weight: float, seed: int) -> dict:
    """Train on spectra of RR Lyrae, most without one or both estimates of [Fe/H]; score what codes tell of these."""
    data = _desa_real.iron()
    encoder = skdaep.DAEPEncoder(
        skdaep.Spectrum("flux", error="flux_err"), **IRON, supervised_weight=weight, random_state=seed
    )
    start = time.process_time()
    encoder.fit(data.spectra["train"], data.labels["train"] if weight else None, groups=data.stars["train"])
    out = {"weight": weight, "seed": seed, "cpu_seconds": time.process_time() - start}
    out |= summary(_desa_real.spectrum_errors(encoder, data.spectra["test"]))
    out |= _desa_real.iron_scores(encoder, data)
    return out | {"settings": _report.settings(encoder), "sha256": data.sha256}


SECTIONS = {"labels": labels_runs, "stars": stars_runs, "pairs": pairs_runs, "iron": iron_runs}


def main() -> None:
    """Run what is missing of the sections, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", choices=[[], *SECTIONS], help="what to run")
    parser.add_argument("--only", nargs="*", help="names of runs, without the section; none: all")
    parser.add_argument("--page", action="store_true", help="write doc/desa.rst from what is there")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for section in arguments.sections:
        for name, (run, options) in SECTIONS[section]().items():
            left_out = arguments.only and name.removeprefix(f"{section}-") not in arguments.only
            if left_out or (FOLDER / f"{name}.json").exists():
                continue
            print(name, flush=True)
            _report.write(f"desa/{name}", run(**options))
    if arguments.page:
        DOC.write_text(document())
        print(f"written to {DOC}")


if __name__ == "__main__":
    main()
