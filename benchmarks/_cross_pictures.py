"""Pictures of CROSS, as the paper's figure 10 and appendix B.5."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from astropy.table import Table

from ._cross import PHASES, Cross, phases
from ._cross_scores import N_DRAWS, value, without

N_PICTURED = 2  # supernovae
N_SHOWN, N_EPOCHS = 250, 60  # points of a decoded spectrum, of a light curve in a band


def draw(result: dict, data: Cross, models: dict, path: Path) -> None:
    """Write ``*_by_wavelength.png`` and, of the models that are there, ``*_draws.png`` of each direction."""
    _by_wavelength(result).savefig(f"{path}_by_wavelength.png", dpi=70)
    if models:
        _spectra(models, data, result["split"]).savefig(f"{path}_spectra.png", dpi=70)
        _light_curves(models, data, result["split"]).savefig(f"{path}_light_curves.png", dpi=70)
    plt.close("all")


def _by_wavelength(result: dict):
    """Draw coverage of the 90 % interval and residuals by wavelength, a column per phase."""
    methods = [m for m in result["rows"] if "drop" not in m]
    shown = [str(p) for p in PHASES if str(p) in result["rows"][methods[0]]["spectrum"]["by_wavelength"]]
    figure, axes = plt.subplots(
        2, len(shown), figsize=(3.4 * len(shown), 6), sharex=True, sharey="row", squeeze=False, layout="constrained"
    )
    for (top, below), phase in zip(axes.T, shown, strict=True):
        for i, method in enumerate(methods):
            bins = result["rows"][method]["spectrum"]["by_wavelength"][phase]
            x = bins["wavelength"]
            top.plot(x, bins["coverage"], color=f"C{i}", label=method)
            top.fill_between(x, bins["coverage_low"], bins["coverage_high"], color=f"C{i}", alpha=0.15, lw=0)
            below.plot(x, bins["residual"], color=f"C{i}")
            below.fill_between(x, bins["residual_low"], bins["residual_high"], color=f"C{i}", alpha=0.15, lw=0)
        top.axhline(0.9, color="0.3", lw=0.8, ls="--")
        below.axhline(0, color="0.3", lw=0.8, ls="--")
        top.set_title(f"{phase} d")
        below.set_xlabel("rest-frame wavelength (A)")
    axes[0, 0].set(ylim=(0, 1.02), ylabel="coverage of the 90 % interval")
    axes[1, 0].set_ylabel("truth - mean of draws (dex)\nmedian, 16 to 84 %")
    axes[0, 0].legend(fontsize=8)
    return figure


def _pictured(data: Cross, split: str) -> list[list[int]]:
    """Return the objects of a few supernovae, at most one per phase, of those with most phases."""
    X, groups = data.objects[split], data.groups[split]
    at = [data.at_phase(X, p) for p in PHASES]
    names, counts = np.unique(np.concatenate([np.unique(groups[i]) for i in at]), return_counts=True)
    names = names[counts == counts.max()]
    names = names[np.linspace(0, len(names) - 1, min(N_PICTURED, len(names))).astype(int)]
    return [[next((i for i in rows if groups[i] == name), None) for rows in at] for name in names]


def _spectra(models: dict, data: Cross, split: str):
    """Draw spectra from photometry: draws, their 90 % interval and the truth; a row per supernova and model."""
    chosen, X = _pictured(data, split), data.objects[split]
    figure, axes = plt.subplots(
        *(len(chosen) * len(models), len(PHASES)), figsize=(3.4 * len(PHASES), 2.3 * len(chosen) * len(models)),
        squeeze=False, layout="constrained", sharex=True,
    )  # fmt: skip
    lines = iter(axes)
    for rows in chosen:
        for method, model in models.items():
            for ax, i in zip(line := next(lines), rows, strict=True):
                if i is None:
                    ax.set_axis_off()
                    continue
                t = X[i]["spectrum"]
                t = t[:: 1 + len(t) // N_SHOWN]
                d = model.reconstruct(
                    without([X[i]], "spectrum"), modality="spectrum", at=[t], n_draws=N_DRAWS, output="arrays"
                )[0]
                x = np.asarray(t["wavelength"])
                ax.fill_between(x, *np.quantile(d, [0.05, 0.95], axis=1), color="C0", alpha=0.25, lw=0)
                ax.plot(x, d[:, :5], color="C0", lw=0.5, alpha=0.7)
                ax.plot(x, value(t), color="k", lw=0.8)
                ax.set_title(f"{data.groups[split][i][:14]}  {phases([X[i]])[0]:.3g} d", fontsize=8)
            line[0].set_ylabel(f"{method}\nlog flux")
    for ax in axes[-1]:
        ax.set_xlabel("rest-frame wavelength (A)")
    return figure


def _light_curves(models: dict, data: Cross, split: str):
    """Draw light curves from the one spectrum nearest to maximum: draws' 90 % interval on a grid, and the truth."""
    chosen = [[i for i in rows if i is not None] for rows in _pictured(data, split)]
    X = data.objects[split]
    figure, axes = plt.subplots(
        *(len(models), len(chosen)), figsize=(4.2 * len(chosen), 3.2 * len(models)), squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for column, rows in enumerate(chosen):
        i = min(rows, key=lambda i: abs(phases([X[i]])[0]))
        t = X[i]["photometry"]
        for line, (method, model) in zip(axes, models.items(), strict=True):
            ax = line[column]
            for j, band in enumerate(dict.fromkeys(np.asarray(t["band"]).tolist())):
                mine = t[np.asarray(t["band"]) == band]
                x = np.linspace(t["phase"].min(), t["phase"].max(), N_EPOCHS)
                grid = Table({"phase": x, "band": np.full(N_EPOCHS, band)}, units={"phase": t["phase"].unit})
                d = model.reconstruct(
                    without([X[i]], "photometry"), modality="photometry", at=[grid], n_draws=N_DRAWS, output="arrays"
                )[0]
                ax.fill_between(x, *np.quantile(d, [0.05, 0.95], axis=1) + j, color=f"C{j}", alpha=0.25, lw=0)
                ax.plot(mine["phase"], value(mine) + j, "o", ms=3, color=f"C{j}", label=f"{band} + {j}")
            ax.invert_yaxis()
            ax.set_title(f"{method}, {data.groups[split][i][:14]}, spectrum at {phases([X[i]])[0]:.3g} d", fontsize=8)
    axes[0, 0].legend(fontsize=7, ncols=2)
    axes[-1, 0].set(xlabel="days from maximum", ylabel="magnitude at 10 pc")
    return figure
