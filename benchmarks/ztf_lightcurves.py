"""ZTF-LC: two-band light curves of supernovae, a 2 x 2 bottleneck and ``core=None``, beside per-band mean templates."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from astropy.table import Table

from skdaep import DAEPEncoder, Photometry

from . import _baselines, _data, _fitting, _report, _scores

COLOURS = {"g": "tab:green", "r": "tab:red"}
COLUMNS = {"error": "error_mean", "median": "error_median", "error (mag)": "mag_mean", "median (mag)": "mag_median",
           "numbers per object": "n_numbers"}  # fmt: skip


def main(arguments=None) -> None:
    """Fit, score, draw, write."""
    parser = _report.parser(__doc__, minutes=15.0)
    parser.add_argument("--checkpoints", type=float, nargs="*", default=[1, 5, 15], help="minutes of the error curve")
    options = parser.parse_args(arguments)
    name = options.name or "ztf_lightcurves"
    if options.threads:
        torch.set_num_threads(options.threads)

    data = _data.ztf_lightcurves().limited(options.limit)
    modality = Photometry(value="mag", location="phase", error="mag_err")
    estimator = DAEPEncoder(modality, core=None, bottleneck_length=2, bottleneck_dim=2, random_state=options.seed)
    estimator.set_params(**_report.overrides(options.set))
    if options.max_iter:
        estimator.set_params(max_iter=options.max_iter)
    curve = _fitting.Curve(data, data.validation, options.checkpoints)
    times = _fitting.fit(estimator, data.train, None if options.max_iter else options.minutes, curve)
    estimator.save(_data.CACHE / f"{name}.safetensors")

    errors = _scores.object_errors(estimator.reconstruct(data.test, output="arrays"), data, data.test)
    n_numbers = estimator.bottleneck_length * estimator.bottleneck_dim
    rows = {f"DAEP {estimator.bottleneck_length} x {estimator.bottleneck_dim}": _scores.summary(errors)}
    rows |= _baselines.light_curve_yardsticks(data)
    numbers = (n_numbers, 0, len(COLOURS), len(COLOURS))
    rows = {name: _row(scores, data, n) for (name, scores), n in zip(rows.items(), numbers, strict=True)}
    draws = _scores.draw_quality(estimator, data, data.test)
    _report.write(
        name,
        {
            "protocol": data.protocol,
            "data_sha256": data.sha256,
            "n_objects": [len(data.train), len(data.validation), len(data.test)],
            "scale_mag": data.scale,
            "seed": options.seed,
            "settings": _report.settings(estimator),
            "device": estimator.device_,
            "times": times,
            "test": rows,
            "draws": draws,
            "validation": _fitting.point_error(estimator, data, data.validation),
            "validation_curve": curve.points,
        },
        _report.table(rows, COLUMNS, f"ZTF-LC, {len(data.test)} test objects, z-scored units ({data.scale:.3f} mag)"),
    )
    picture(estimator, data, _report.RESULTS / f"{name}_reconstructions.png")


def _row(scores: dict, data, n_numbers: int) -> dict:
    in_mag = {f"mag_{k}": scores[f"error_{k}"] * data.scale for k in ("mean", "median")}
    return scores | in_mag | {"n_numbers": n_numbers}


def picture(estimator, data, path, n: int = 8) -> None:
    """Draw test light curves: points with errors, and on a fine grid the point estimate and two draws."""
    objects = [data.test[i] for i in np.linspace(0, len(data.test) - 1, n).astype(int)]
    bands = sorted(COLOURS)
    grids = [_grid(t, bands) for t in objects]
    Z = estimator.transform(objects)
    points = estimator.inverse_transform(Z, at=grids, output="arrays")
    draws = estimator.inverse_transform(Z, at=grids, n_draws=2, output="arrays")
    figure, axes = plt.subplots(2, n // 2, figsize=(15, 7), layout="constrained")
    for ax, table, grid, point, draw in zip(axes.flat, objects, grids, points, draws, strict=True):
        for band in bands:
            rows, on_grid = np.asarray(table["band"]) == band, np.asarray(grid["band"]) == band
            phase, colour = np.asarray(grid["phase"])[on_grid], COLOURS[band]
            measured = {k: np.asarray(table[k], float)[rows] for k in ("phase", "mag", "mag_err")}
            ax.errorbar(measured["phase"], measured["mag"], measured["mag_err"], fmt="o", ms=3, lw=0.8, color=colour)
            ax.plot(phase, draw[on_grid], color=colour, lw=0.5, alpha=0.5)
            ax.plot(phase, point[on_grid], color=colour, lw=1.5, label=band)
        ax.invert_yaxis()  # bright is up
        ax.set_title(f"{table.meta['object_id']}, z = {table.meta['redshift']:.3f}", fontsize=9)
    for ax in axes[-1]:
        ax.set_xlabel("days from the peak in r")
    for ax in axes[:, 0]:
        ax.set_ylabel("magnitude")
    axes.flat[0].legend(title="thick: point estimate\nthin: draws", fontsize=8, title_fontsize=8)
    figure.savefig(path, dpi=72)
    plt.close(figure)
    print(f"written to {path}")


def _grid(table: Table, bands: list[str], n: int = 80) -> Table:
    """Return n phases over the object's range, in every band."""
    phase = np.linspace(np.min(table["phase"]), np.max(table["phase"]), n)
    grid = Table({"phase": np.tile(phase, len(bands)), "band": np.repeat(bands, n)}, meta=dict(table.meta))
    grid["phase"].unit = table["phase"].unit
    return grid


if __name__ == "__main__":
    main()
