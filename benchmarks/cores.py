"""What a basis to start from is worth where scores cannot be the code: ``python -m benchmarks.cores``.

`BetaVAEEncoder` on SN-SPEC, and `MultimodalDAEP` on the spectra of the first 600 supernovae of SALT3 (protocol CROSS),
with ``core="basis"`` and without, after equal steps; all scores are of validation objects. Rows that
``results/cores.json`` has are kept.
"""

from __future__ import annotations

import json
import time

import numpy as np
import torch

import skdaep

from . import _cross, _protocols, _report, _scores, paper_settings, paper_tables

CORES = {"core=None": None, 'core="basis"': "basis"}
N_SUPERNOVAE, N_SCORED = 600, 300
VALUES = {"photometry": "mag", "spectrum": "log_flux"}
VAE_COLUMNS = {"error": "error_mean", "macro F1": "f1", "CPU minutes": "minutes"}
MULTIMODAL_COLUMNS = {
    "photometry (mag)": "photometry photometry",
    "from spectrum": "spectrum photometry",
    "spectrum (dex)": "spectrum spectrum",
    "from photometry": "photometry spectrum",
    "CPU minutes": "minutes",
}
TITLE = "SALT3, MultimodalDAEP, root mean squared error of each modality from itself, and from the other alone"


def main(arguments=None) -> None:
    """Fit what is missing, score, write."""
    parser = _report.parser(__doc__)
    parser.set_defaults(threads=1)
    parser.add_argument("--steps", nargs="*", type=int, default=[400, 1000])
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    path = _report.RESULTS / "cores.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() else {"SALT3": {}, "SN-SPEC": {}}
    for name, fit in (("SALT3", of_salt3), ("SN-SPEC", of_sn_spectra)):
        for steps in options.steps:
            for told, core in CORES.items():
                if (key := f"{told}, {steps} steps") not in rows[name]:
                    rows[name][key] = fit(core, steps, options.seed) | {"commit": _report.commit()}
                    _report.write("cores", {"seed": options.seed, "rows": rows}, tables(rows))


def tables(rows: dict) -> str:
    """Return the rst tables of both comparisons."""
    multimodal = _report.table(rows["SALT3"], MULTIMODAL_COLUMNS, TITLE)
    return multimodal + "\n\n" + _report.table(rows["SN-SPEC"], VAE_COLUMNS, "SN-SPEC, BetaVAEEncoder")


def of_salt3(core: str | None, steps: int, seed: int) -> dict[str, float]:
    """Return the root mean squared errors of each modality decoded from either alone."""
    data = _cross.salt3().limited(N_SUPERNOVAE)
    sizes = {"bottleneck_length": 4, "bottleneck_dim": 4, "max_iter": steps, "random_state": seed}
    encoder = skdaep.MultimodalDAEP(data.modalities, core=core, **sizes)
    minutes = timed(encoder, data.objects["train"], groups=data.groups["train"])
    scored = data.objects["validation"][:N_SCORED]

    def error(given: str, asked: str) -> float:
        seen = [{given: x[given]} for x in scored]
        found = encoder.reconstruct(seen, modality=asked, at=[x[asked] for x in scored], output="arrays")
        truth = [np.asarray(x[asked][VALUES[asked]], float) for x in scored]
        return float(np.mean([((a - b) ** 2).mean() for a, b in zip(found, truth, strict=True)]) ** 0.5)

    errors = {f"{given} {asked}": error(given, asked) for given in VALUES for asked in VALUES}
    return errors | {"minutes": minutes, "settings": _report.settings(encoder), "n_iter": encoder.n_iter_}


def of_sn_spectra(core: str | None, steps: int, seed: int) -> dict[str, float]:
    """Return error and macro F1 of the beta-VAE."""
    data = _protocols.PROTOCOLS["SN-SPEC"]()
    settings = paper_settings.OURS["SN-SPEC"] | {"max_iter": steps, "core": core, "random_state": seed}
    encoder = skdaep.BetaVAEEncoder(paper_tables.declaration(data), **settings)
    minutes = timed(encoder, data.train)
    errors = _scores.object_errors(encoder.reconstruct(data.validation, output="arrays"), data, data.validation)
    probe = _scores.probe(encoder.transform(data.validation), data.labels("validation"))
    more = {"minutes": minutes, "settings": _report.settings(encoder), "n_iter": encoder.n_iter_}
    return _scores.summary(errors) | probe | more


def timed(encoder, X: list, **options) -> float:
    """Fit, and return the CPU minutes that it took."""
    start = time.process_time()
    encoder.fit(X, **options)
    return (time.process_time() - start) / 60


if __name__ == "__main__":
    main()
