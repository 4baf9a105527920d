"""The evidence behind the defaults: settings of `DAEPEncoder` compared on SN-SPEC at equal training.

All scores are of the validation split, so that defaults may be chosen by them. All fits start from random weights
(``core=None``), because not every setting can start from functional PCA.
"""

from __future__ import annotations

import itertools

import torch

from skdaep import DAEPEncoder, Spectrum

from . import _data, _fitting, _report, _scores
from .paper_settings import PROCESS

PREDICTIONS, SCHEDULES = ("x0", "v", "epsilon"), ("cosine", "linear")
#: what can be compared; settings of "predictions" cost the same per step and get equal steps, the others equal time
COMPARISONS = {
    "predictions": {
        f"{p}, {s}": {"prediction": p, "schedule": s} for p, s in itertools.product(PREDICTIONS, SCHEDULES)
    },
    "decoders": {f"hidden_length {n}": {"hidden_length": n} for n in (None, 8, 32)},
    "solvers": {solver: {"solver": solver} for solver in ("muon", "adamw")},
    "paper": {
        "default": {},
        "the paper's process": PROCESS,
        "the paper's process and sizes": PROCESS | {"model_dim": 128, "n_heads": 8, "batch_size": 128},
    },
}
COLUMNS = {
    "point estimate": "point",
    "one step": "one_step",
    "one draw": "one_draw",
    "mean of 8 draws": "mean_of_draws",
    "accuracy": "accuracy",
    "macro F1": "f1",
    "lag 10-20": "near",
    "lag 100-200": "far",
    "sd ratio": "ratio",
    "steps": "n_iter",
    "minutes": "minutes",
}


def main(arguments=None) -> None:
    """Fit each setting for the same time and compare."""
    parser = _report.parser(__doc__, minutes=3.0)
    parser.add_argument("--compare", choices=COMPARISONS, default="predictions")
    parser.add_argument("--only", nargs="*", help='names among those compared, such as "x0, cosine"')
    parser.add_argument("--n-scored", type=int, default=48, help="validation objects whose errors are measured")
    options = parser.parse_args(arguments)
    name = options.name or f"settings_{options.compare}"
    if options.threads:
        torch.set_num_threads(options.threads)

    data = _data.sn_spectra().limited(options.limit)
    rows, settings, max_iter = {}, {}, options.max_iter
    for label, setting in COMPARISONS[options.compare].items():
        if options.only and label not in options.only:
            continue
        print(label, flush=True)
        estimator = DAEPEncoder(Spectrum(value="log_flux"), core=None, random_state=options.seed)
        estimator.set_params(**setting | _report.overrides(options.set))
        if max_iter:
            estimator.set_params(max_iter=max_iter)
        curve = _fitting.Curve(data, [], minutes=())
        times = _fitting.fit(estimator, data.train, None if max_iter else options.minutes, curve)
        if options.compare == "predictions":  # the first chooses for all
            max_iter = estimator.max_iter
        rows[label] = score(estimator, data, options.n_scored) | times
        rows[label]["minutes"] = times["training_seconds"] / 60
        settings[label] = _report.settings(estimator)
        if label == "epsilon, linear":  # the same weights, sampled as in the paper
            estimator.set_params(**{k: PROCESS[k] for k in ("sampler", "n_sampling_steps")})
            rows["the same, DDIM 200"] = score(estimator, data, options.n_scored)
    title = f"SN-SPEC, equal training, {options.n_scored} validation objects (probe: all)"
    text = _report.table(rows, COLUMNS, title, "setting")
    text += "\nlag: correlation of (draw - point) less that of (data - point); sd ratio: of the two."
    _report.write(
        name,
        {
            "protocol": data.protocol,
            "data_sha256": data.sha256,
            "seed": options.seed,
            "n_scored": options.n_scored,
            "settings": settings,
            "rows": rows,
        },
        text,
    )


def score(estimator, data, n_scored: int) -> dict:
    """Return the errors of all estimates, the probe and the coherence of draws, on the validation split."""
    draws = _scores.draw_quality(estimator, data, data.validation[:n_scored])
    row = {k.replace("mean of 8", "mean of").replace(" ", "_"): v["error_mean"] for k, v in draws.items()
           if isinstance(v, dict) and "error_mean" in v}  # fmt: skip
    row["point"] = row["mean_of_draws" if _scores.needs_draws(estimator) else "one_step"]
    near, far, ratio = draws["coherence"].values()
    row |= {"near": near["draw"] - near["data"], "far": far["draw"] - far["data"], "ratio": ratio}
    return row | _scores.probe(estimator.transform(data.validation), data.labels("validation")) | {"draws": draws}


if __name__ == "__main__":
    main()
