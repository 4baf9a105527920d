"""Error and F1 after some minutes of one core, and of small training sets: daep with and without its core, and PCA.

``python -m benchmarks.budgets SpeX LONG --budgets 1 5`` fits what is not yet in ``results/budgets``;
``--objects 100 300`` learns from the first so many training objects. Minutes are of CPU time of the whole ``fit``,
closed form included, on one thread; the steps that fill them are chosen from the rate of a short fit, and what was
used in the end is in the table. Settings, objects and scores are those of ``benchmarks.paper_tables``, which has the
tables in its page.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace

import torch

from skdaep import DAEPEncoder, FunctionalPCA
from skdaep.preprocessing import augment

from . import _protocols, _report, _scores, paper_settings, paper_tables, sn_spectra
from ._fitting import Clock

FOLDER = _report.RESULTS / "budgets"
DEFAULT = ("SN-SPEC", "LONG", "SpeX", "IMAGE", "ZTF-LC")
METHODS = {
    "functional PCA": None,
    "daep": {},
    "daep, core='basis'": {"core": "basis"},
    "daep, core=None": {"core": None},
}
#: where asked for: trained on N_COPIES - 1 distorted copies of each object, too (SN-SPEC)
AUGMENTED = {f"{name}, augmented": own for name, own in METHODS.items() if own is not None}
N_COPIES = 5
COLUMNS = {
    "objects": "n_train",
    "error": "error_mean",
    "median": "error_median",
    "macro F1": "f1",
    "steps": "n_iter",
    "minutes": "minutes",
    "commit": "commit",
}
STEPS_PER_RECORD = 50  # at least, and an epoch: the second of two is what all later ones are like


def main(arguments=None) -> None:
    """Fit what is missing, score, write the tables."""
    parser = _report.parser(__doc__)
    parser.set_defaults(threads=1)
    parser.add_argument("protocols", nargs="*", default=DEFAULT, metavar="PROTOCOL")
    parser.add_argument("--budgets", nargs="*", type=float, default=[1.0], help="CPU minutes")
    parser.add_argument("--objects", nargs="*", type=int, default=[None], help="so many training objects; all")
    parser.add_argument(
        "--methods", nargs="*", default=METHODS, choices=METHODS | AUGMENTED, help="rows; all but augmented"
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in options.protocols:
        data = _protocols.PROTOCOLS[name]()
        for n in options.objects:
            for minutes in options.budgets:
                for method in options.methods:
                    add(name, method, minutes, n, data, options.seed)
    paper_tables.DOC.write_text(paper_tables.document())


def add(name: str, method: str, minutes: float, n: int | None, data, seed: int) -> None:
    """Bring one row up to date; functional PCA, which takes what it takes, has one for all budgets."""
    path = FOLDER / f"{name}.json"
    result = json.loads(path.read_text()) if path.exists() else {"protocol": name, "rows": {}}
    size = len(data.train) if n is None else min(n, len(data.train))
    key = f"{size} {method}" + (f", {minutes:g} min" if (METHODS | AUGMENTED)[method] is not None else "")
    if key in result["rows"]:
        return
    estimator, facts = fit(name, method, minutes, data.train[:size], data, seed)
    errors = _scores.object_errors(estimator.reconstruct(data.test, output="arrays"), data, data.test)
    labels = data.labels("test")
    probe = _scores.probe(estimator.transform(data.test), labels) if paper_tables.n_classes(labels) > 1 else {}
    facts |= {"n_train": size, "commit": _report.commit(), "settings": _report.settings(estimator)}
    result["rows"][key] = _scores.summary(errors) | probe | facts
    result["provenance"] = _report.provenance()
    path.write_text(json.dumps(result, indent=1, default=_report._plain) + "\n")
    path.with_suffix(".txt").write_text(table(result) + "\n")
    print(table(result), flush=True)


def fit(name: str, method: str, minutes: float, objects, data, seed: int) -> tuple:
    """Return an estimator fitted in about so many minutes, and what that took."""
    settings, own, groups = paper_settings.OURS[name], (METHODS | AUGMENTED)[method], None
    if method in AUGMENTED:
        options = sn_spectra.DISTORTION | {"n_copies": N_COPIES, "random_state": seed}
        objects, _, groups = augment(objects, value=data.value, **options)
    if own is None:
        size = settings["bottleneck_length"] * settings["bottleneck_dim"]
        declared = paper_tables.declaration(replace(data, metadata=()))
        estimator = FunctionalPCA(declared, n_components=size, random_state=seed)
    else:
        estimator = DAEPEncoder(paper_tables.declaration(data), random_state=seed, **settings | own)
        clock = Clock()
        per_record = max(STEPS_PER_RECORD, -(-len(objects) // estimator.batch_size))
        estimator.set_params(max_iter=2 * per_record).set_callbacks(clock).fit(objects, groups=groups)
        steps = (60 * minutes - clock.start) / clock.step
        estimator.set_params(max_iter=max(1, round(steps))).set_callbacks()
    start = time.process_time()
    estimator.fit(objects, groups=groups)
    return estimator, {"minutes": (time.process_time() - start) / 60, "n_iter": estimator.n_iter_}


def table(result: dict) -> str:
    """Return the rst table of one protocol, small sets last."""
    rows = dict(
        sorted(
            result["rows"].items(),
            key=lambda item: (-item[1]["n_train"], list(METHODS | AUGMENTED).index(_of(item[0]))),
        )
    )
    rows = {key.partition(" ")[2] + " " * i: row for i, (key, row) in enumerate(rows.items())}
    return _report.table(rows, COLUMNS, f"{result['protocol']}, minutes of one core")


def _of(key: str) -> str:
    """Return the method of a row."""
    name = key.partition(" ")[2]
    return name.rpartition(", ")[0] if name.endswith(" min") else name


if __name__ == "__main__":
    main()
