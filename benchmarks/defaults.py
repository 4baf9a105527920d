"""The bare ``DAEPEncoder()`` on a thousand simulated supernova spectra, beside PCA of equal size.

Both are judged against the noise-free truth at wavelengths that were never measured, as in the quickstart.
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.decomposition import PCA

from skdaep import DAEPEncoder
from skdaep.datasets import make_supernova_spectra
from skdaep.metrics import linear_probe

from . import _report

GRID = np.linspace(3500, 8500, 300)
N_TRAIN, N_TEST = 1000, 200


def main(arguments=None) -> None:
    """Fit, score, write."""
    options = _report.parser(__doc__).parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    n_train = options.limit or N_TRAIN
    X, y, truth = make_supernova_spectra(n_train + N_TEST, random_state=options.seed, return_truth=True)
    train, test, held_out = X[:n_train], X[n_train:], truth.held_out[n_train:]
    scale = np.concatenate([table["flux"] for table in train]).std()

    encoder = DAEPEncoder(random_state=options.seed).set_params(**_report.overrides(options.set))
    if options.max_iter:
        encoder.set_params(max_iter=options.max_iter)
    encoder.fit(train)
    Z = encoder.transform(test)
    pca = PCA(Z.shape[1]).fit([_on_grid(table) for table in train])
    P = pca.transform([_on_grid(table) for table in test])

    curves = {
        f"DAEPEncoder(), {Z.shape[1]} numbers": (encoder.inverse_transform(Z, at=held_out, output="arrays"), Z),
        f"PCA, {Z.shape[1]} components": (_off_grid(pca.inverse_transform(P), held_out), P),
        "mean spectrum": (_off_grid(np.tile(pca.mean_, (len(test), 1)), held_out), None),
    }
    rows = {}
    for name, (values, features) in curves.items():
        errors = [np.abs(v - t["flux"]).mean() for v, t in zip(values, held_out, strict=True)]
        rows[name] = {"error": f"{np.mean(errors) / scale:.4f}"}
        if features is not None:
            probe = linear_probe(features, y[n_train:], random_state=options.seed)
            rows[name] |= {"accuracy": f"{probe.accuracy:.3f} +- {probe.accuracy_sd:.3f}"}
    seconds = encoder.history_[-1]["seconds"]
    points = np.mean([len(table) for table in train])
    heading = f"{n_train} simulated spectra of {points:.0f} points on average, fitted in {seconds:.0f} s"
    columns = {"error": "error against the truth", "accuracy": "accuracy"}
    _report.write(
        options.name or "defaults",
        {"seed": options.seed, "fit_seconds": seconds, "settings": _report.settings(encoder), "rows": rows},
        _report.table(rows, {v: k for k, v in columns.items()}, heading),
    )


def _on_grid(table) -> np.ndarray:
    order = np.argsort(table["wavelength"])
    return np.interp(GRID, table["wavelength"][order], table["flux"][order])


def _off_grid(curves, tables) -> list[np.ndarray]:
    return [np.interp(table["wavelength"], GRID, curve) for table, curve in zip(tables, curves, strict=True)]


if __name__ == "__main__":
    main()
