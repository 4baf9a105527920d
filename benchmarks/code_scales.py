"""What probes, neighbours and clusters make of the scale of a code: ``python -m benchmarks.code_scales``.

The codes are the scores s of functional PCA, of standard deviations sigma, of training and validation objects; R is a
rotation. The probes see as many labelled objects as those of ``benchmarks.paper_tables`` do, and are scored on all
others: thirty splits, where the validation objects of LONG alone, 137, would decide nothing.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from sklearn.metrics import silhouette_score
from sklearn.neighbors import KNeighborsClassifier

from skdaep import FunctionalPCA
from skdaep.metrics import linear_probe

from . import _protocols, _report, paper_settings, paper_tables

DEFAULT = ("SN-SPEC", "LONG", "SpeX", "IMAGE", "SPCC", "CRTS-FOLDED", "S82-FOLDED")
#: name -> power of sigma by which scores are divided, and whether they are rotated
SCALES = {
    "s": (0.0, False),
    "s / sigma^(3/4), R": (0.75, True),
    "s / sigma^(1/2), R": (0.5, True),
    "s / sigma^(1/4), R": (0.25, True),
    "s, R (isometric)": (0.0, True),
}
COLUMNS = {"linear probe": "f1", "5 neighbours": "neighbors", "silhouette": "silhouette"}
N_SPLITS, N_OF_SILHOUETTE = 30, 1500


def main(arguments=None) -> None:
    """Fit, score, write."""
    parser = _report.parser(__doc__)
    parser.set_defaults(threads=1)
    parser.add_argument("protocols", nargs="*", default=DEFAULT, metavar="PROTOCOL")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    results = {name: of_protocol(name, options.seed) for name in options.protocols}
    tables = [
        _report.table(rows, COLUMNS, f"{name}, macro F1 and silhouette", "code") for name, rows in results.items()
    ]
    _report.write(options.name or "code_scales", {"seed": options.seed, "rows": results}, "\n\n".join(tables))


def of_protocol(name: str, seed: int) -> dict[str, dict]:
    """Return the rows of one protocol."""
    data, settings = _protocols.PROTOCOLS[name](), paper_settings.OURS[name]
    size = settings["bottleneck_length"] * settings["bottleneck_dim"]
    pca = FunctionalPCA(paper_tables.declaration(replace(data, metadata=())), n_components=size, random_state=seed)
    pca.fit(data.train)
    s = np.concatenate([pca.transform(data.train), pca.transform(data.validation)]).astype(float)
    y = np.concatenate([data.labels("train"), data.labels("validation")])
    n_labels = round(0.3 * sum(known(data.labels("test"))))
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))
    codes = {k: s / s.std(0) ** power @ (rotation if turned else np.eye(size)) for k, (power, turned) in SCALES.items()}
    return {k: scores(Z[known(y)], y[known(y)].astype(str), n_labels, seed) for k, Z in codes.items()}


def known(labels: np.ndarray) -> np.ndarray:
    """Return which labels are known."""
    return ~np.isin(labels.astype(str), ["None", "nan"])


def scores(Z: np.ndarray, y: np.ndarray, n_labels: int, seed: int) -> dict[str, float]:
    """Return macro F1 of a linear probe and of nearest neighbours, both of standardised entries, and the silhouette."""
    options = {"n_splits": N_SPLITS, "train_size": n_labels, "random_state": seed}
    linear, near = (linear_probe(Z, y, classifier=c, **options) for c in (None, KNeighborsClassifier()))
    some = np.random.default_rng(seed).permutation(len(Z))[:N_OF_SILHOUETTE]
    return {
        "f1": linear.f1,
        "f1_sd": linear.f1_sd,
        "neighbors": near.f1,
        "neighbors_sd": near.f1_sd,
        "silhouette": float(silhouette_score(Z[some], y[some])),
    }


if __name__ == "__main__":
    main()
