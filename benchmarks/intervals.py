"""Whether draws are as wide as measurements scatter: ``python -m benchmarks.intervals``, no conformal correction.

Short fits of the default encoder (closed form and 200 steps) to variable stars folded by the catalogue's period, to
simulated supernovae, and to supernovae of ZTF. Of test objects, at their own points: the share of points inside the
central intervals of draws, averaged over objects, also of those points alone whose errors are below or above the
median of the object. Of as many perfect draws the intervals would hold what stands under "perfect".
"""

from __future__ import annotations

import time

import numpy as np
import torch

from skdaep import DAEPEncoder, Sequence
from skdaep.metrics import coverage

from . import _protocols, _report

PROTOCOLS = {"CRTS-FOLDED": {}, "SPCC": {}, "ZTF-LC": {"bottleneck_length": 2, "bottleneck_dim": 2}}
LEVELS = (0.68, 0.9)
N_TRAIN, N_TEST, N_DRAWS, N_STEPS = 2000, 120, 100, 200
COLUMNS = {
    "level": "level",
    "perfect": "perfect",
    "inside": "inside",
    "small errors": "small",
    "large errors": "large",
    "spread": "spread",
    "errors": "error",
    "levels of objects": "tau",
}


def main(arguments=None) -> None:
    """Fit, draw, count, write."""
    parser = _report.parser(__doc__)
    parser.set_defaults(max_iter=N_STEPS, name="intervals")
    parser.add_argument("protocols", nargs="*", default=list(PROTOCOLS), metavar="PROTOCOL")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads or 1)
    rows, facts = {}, {}
    for name in options.protocols:
        counted, facts[name] = evaluated(name, options)
        rows |= {f"{name}, {row['level']:.0%}": row for row in counted}
    text = _report.table(rows, COLUMNS, "Share of test points inside the intervals of draws", "objects, level")
    _report.write(options.name, {"rows": rows, "facts": facts}, text)


def evaluated(name: str, options) -> tuple[list[dict], dict]:
    """Return a row for each level, and what the fit took."""
    data = _protocols.PROTOCOLS[name]()
    rng = np.random.default_rng(options.seed)
    train, test = (
        [objects[i] for i in rng.permutation(len(objects))[: options.limit or n]]
        for objects, n in ((data.train, N_TRAIN), (data.test, N_TEST))
    )
    modality = Sequence(
        value=data.value,
        location=data.location,
        error=data.error,
        band="band" if "band" in test[0].colnames else None,
        cycle=1.0 if name.endswith("FOLDED") else None,
    )
    settings = PROTOCOLS[name] | _report.overrides(options.set)
    start = time.process_time()
    encoder = DAEPEncoder(modality, max_iter=options.max_iter, random_state=options.seed, **settings).fit(train)
    fitted = time.process_time()
    draws = encoder.reconstruct(test, n_draws=N_DRAWS, output="arrays")
    (law,) = (encoder.model_.object_scatter or encoder.model_.scatter).values()
    values, error = ([np.asarray(t[k], float) for t in test] for k in (data.value, data.error))
    rows = []
    for level in LEVELS:
        low, high = zip(*(np.quantile(d, [0.5 - level / 2, 0.5 + level / 2], axis=-1) for d in draws), strict=True)
        held = [(lo <= v) & (v <= hi) for lo, v, hi in zip(low, values, high, strict=True)]
        small = [e < np.nanmedian(e) for e in error]
        parts = {"small": small, "large": [~s for s in small]}
        rows.append(
            {
                "level": level,
                "perfect": level * (N_DRAWS - 1) / (N_DRAWS + 1),
                "inside": float(coverage_of(test, draws, level, data.value)),
                **{
                    k: np.mean([h[p].mean() for h, p in zip(held, own, strict=True) if p.any()])
                    for k, own in parts.items()
                },
                "spread": law.spread,
                "error": law.error,
                "tau": law.level,
            }
        )
    facts = {"n_objects": [len(train), len(test)], "cpu_seconds": fitted - start, "draws": time.process_time() - fitted}
    return rows, facts | {"history": encoder.history_, "settings": _report.settings(encoder)}


def coverage_of(objects: list, draws: list, level: float, value: str) -> float:
    """Return the mean over objects of the share of their points inside."""
    return np.mean(coverage(objects, draws, level=level, value=value).coverage)


if __name__ == "__main__":
    main()
