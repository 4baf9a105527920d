"""SN-SPEC: spectra of supernovae through a 4 x 4 bottleneck, ``core=None``, beside PCA and the mean spectrum."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch

from skdaep import DAEPEncoder, Spectrum
from skdaep.preprocessing import augment

from . import _data, _fitting, _report, _scores
from .paper_settings import PROCESS

#: how spectra differ from each other in redshift error, strength of lines and colour; chosen once, not tuned
DISTORTION = {"noise": False, "drop": 0.0, "stretch": 0.003, "contrast": 0.08, "tilt": 0.06}
COLUMNS = {
    "error": "error_mean",
    "median": "error_median",
    "accuracy": "accuracy",
    "macro F1": "f1",
    "objects": "n_objects",
}


def main(arguments=None) -> None:
    """Fit, score, draw, write."""
    parser = _report.parser(__doc__, minutes=60.0)
    parser.add_argument("--paper", action="store_true", help="train and draw as the paper does")
    parser.add_argument("--augment", type=int, default=1, metavar="N", help="train on N - 1 distorted copies, too")
    parser.add_argument("--checkpoints", type=float, nargs="*", default=[5, 15, 60], help="minutes of the error curve")
    parser.add_argument("--n-test", type=int, help="score the error on the first so many test objects only "
                        "(default: all; 24 where the point estimate averages draws)")  # fmt: skip
    parser.add_argument("--n-draw-objects", type=int, default=100, help="test objects whose draws are judged")
    options = parser.parse_args(arguments)
    variant = "_paper" * options.paper + "_augmented" * (options.augment > 1)
    name = options.name or f"sn_spectra{variant}"
    if options.threads:
        torch.set_num_threads(options.threads)

    data = _data.sn_spectra()
    print(f"{len(data.train)} / {len(data.validation)} / {len(data.test)} objects, sd {data.scale:.4f} dex", flush=True)
    data = data.limited(options.limit)
    estimator = DAEPEncoder(Spectrum(value="log_flux"), core=None, random_state=options.seed)
    estimator.set_params(**(PROCESS if options.paper else {}) | _report.overrides(options.set))
    if options.max_iter:
        estimator.set_params(max_iter=options.max_iter)
    draws_needed = estimator.prediction == "epsilon"  # the point estimate is then a mean of draws, and expensive
    curve = _fitting.Curve(data, data.validation[: 8 if draws_needed else 150], options.checkpoints)
    train, groups, augmentation = data.train, None, None
    if options.augment > 1:
        augmentation = DISTORTION | {"n_copies": options.augment, "random_state": options.seed}
        train, _, groups = augment(train, value=data.value, **augmentation)
    times = _fitting.fit(estimator, train, None if options.max_iter else options.minutes, curve, groups)
    estimator.save(_data.CACHE / f"{name}.safetensors")  # before anything else can fail

    n_test = options.n_test or (24 if draws_needed else None)
    scored = data.test[:n_test]
    errors = _scores.object_errors(estimator.reconstruct(scored, output="arrays"), data, scored)
    daep = _scores.summary(errors) | _scores.probe(estimator.transform(data.test), data.labels("test"))
    rows = {f"DAEP {estimator.bottleneck_length} x {estimator.bottleneck_dim}": daep} | _scores.linear_yardsticks(data)
    validation = _fitting.point_error(estimator, data, curve.objects)
    draws = _scores.draw_quality(estimator, data, data.test[: n_test if draws_needed else options.n_draw_objects])
    text = _report.table(rows, COLUMNS, f"SN-SPEC, test objects, z-scored units (sd {data.scale:.4f} dex)")
    _report.write(
        name,
        {
            "protocol": data.protocol,
            "data_sha256": data.sha256,
            "n_objects": [len(data.train), len(data.validation), len(data.test)],
            "scale_dex": data.scale,
            "seed": options.seed,
            "settings": _report.settings(estimator),
            "augmentation": augmentation,
            "device": estimator.device_,
            "n_weights": sum(w.size for w in estimator.model_.weights.values()),
            "times": times,
            "test": rows,
            "draws": draws,
            "validation": validation,
            "validation_curve": curve.points,
            "history": estimator.history_[:: max(1, len(estimator.history_) // 60)],
        },
        "\n\n".join([text, _curve_text(curve, validation, times), _draws_text(draws)]),
    )
    picture(estimator, data, _report.RESULTS / f"{name}_reconstructions.png")


def _curve_text(curve, validation: dict, times: dict) -> str:
    minutes = times["training_seconds"] / 60
    lines = [
        f"Error of the first {len(curve.objects)} validation objects after minutes of training (averaged weights).",
        f"The learning rate falls to nothing over all {times['max_iter']} steps: a fit planned for fewer minutes",
        "ends lower than this curve is at that time.",
    ]
    lines += [f"  {p['minutes']:g} min (step {p['iteration']}): {p['error']:.4f}" for p in curve.points]
    end = f"  end, {minutes:.1f} min (step {times['n_iter']}): {validation['error_mean']:.4f}"
    return "\n".join([*lines, end])


def _draws_text(draws: dict) -> str:
    estimates = {k: v for k, v in draws.items() if isinstance(v, dict) and "error_mean" in v}
    n = draws["one draw"]["n_objects"]
    lines = [f"Draws of {n} test objects (standard deviation {draws['spread of draws']:.4f}), error:"]
    lines += [f"  {k}: {v['error_mean']:.4f}" for k, v in estimates.items()]
    lines += ["Residuals about the point estimate:"]
    for key, value in draws["coherence"].items():
        both = isinstance(value, dict)
        numbers = "draw {draw:.3f}, data {data:.3f}".format(**value) if both else f"{value:.3f}"
        lines.append(f"  {key}{' A' * both}: {numbers}")
    return "\n".join(lines)


def picture(estimator, data, path, n: int = 8) -> None:
    """Draw test spectra evenly spaced in the list: points, point estimate, two draws and the residual."""
    objects = [data.test[i] for i in np.linspace(0, len(data.test) - 1, n).astype(int)]
    points = estimator.reconstruct(objects, output="arrays")
    draws = estimator.reconstruct(objects, n_draws=2, output="arrays")
    figure = plt.figure(figsize=(15, 9), layout="constrained")
    parts = figure.subfigures(2, n // 2).ravel()
    for place, (part, table, point, draw) in enumerate(zip(parts, objects, points, draws, strict=True)):
        top, below = part.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        wavelength, value = np.asarray(table["wavelength"]), np.asarray(table[data.value])
        top.plot(wavelength, value, ".", color="0.6", ms=2, label="measured")
        top.plot(wavelength, draw, color="C0", lw=0.5, alpha=0.6, label=["draw", "draw"])
        top.plot(wavelength, point, color="C3", lw=1.2, label="point estimate")
        below.plot(wavelength, value - point, ".", color="0.4", ms=1.5)
        below.axhline(0, color="C3", lw=0.8)
        below.set_ylim(-3 * data.scale, 3 * data.scale)
        error = np.abs(value - point).mean() / data.scale
        top.set_title(f"{table.meta['label']}, z = {table.meta['redshift']:.3f}, error {error:.3f}", fontsize=9)
        if place % (n // 2) == 0:
            top.set_ylabel("log10 flux / median")
            below.set_ylabel("residual")
        if place >= n // 2:
            below.set_xlabel("rest wavelength (A)")
        if place == 0:
            top.legend(fontsize=7)
    figure.savefig(path, dpi=72)
    plt.close(figure)
    print(f"written to {path}")


if __name__ == "__main__":
    main()
