"""
Quickstart: spectra to features and back
========================================

Five hundred simulated supernova spectra, irregular, noisy and with gaps, become vectors of four numbers each,
without labels. From those the spectra are rebuilt at any wavelength, and a linear classifier tells the types apart.
"""

# %%
# One object is one astropy Table; the columns are found by their names.
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.callback import ProgressBar
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdaep import DAEPEncoder
from skdaep.datasets import make_supernova_spectra

X, y, truth = make_supernova_spectra(700, random_state=0, return_truth=True)
train, test = train_test_split(np.arange(len(X)), test_size=200, random_state=0)
X_train, X_test = [X[i] for i in train], [X[i] for i in test]
X_train[0][:3]

# %%
# Fit. A progress bar is one line: ``encoder.set_callbacks(ProgressBar())``.
encoder = DAEPEncoder(bottleneck_length=2, bottleneck_dim=2, max_iter=400, random_state=0, verbose=1)
encoder.fit(X_train)

# %%
# How good is it? Both are judged against the noise-free truth at wavelengths that were never measured, in units of the
# standard deviation of all training fluxes. PCA needs a common grid, so it gets interpolated spectra and as many components.
grid = np.linspace(3500, 8500, 300)


def on_grid(table):
    order = np.argsort(table["wavelength"])
    return np.interp(grid, table["wavelength"][order], table["flux"][order])


held_out = [truth.held_out[i] for i in test]
scale = np.concatenate([table["flux"] for table in X_train]).std()


def error(predictions):
    return np.mean([np.abs(p - t["flux"]).mean() for p, t in zip(predictions, held_out, strict=True)]) / scale


Z_train, Z_test = encoder.transform(X_train), encoder.transform(X_test)
daep = encoder.inverse_transform(Z_test, at=held_out, output="arrays")

pca = PCA(Z_train.shape[1]).fit([on_grid(table) for table in X_train])
P_train, P_test = (pca.transform([on_grid(table) for table in tables]) for tables in (X_train, X_test))
rebuilt = [np.interp(t["wavelength"], grid, g) for t, g in zip(held_out, pca.inverse_transform(P_test), strict=True)]
mean = [np.interp(t["wavelength"], grid, pca.mean_) for t in held_out]


def accuracy(train_features, test_features):
    probe = make_pipeline(StandardScaler(), LogisticRegression()).fit(train_features, y[train])
    return f"{probe.score(test_features, y[test]):8.3f}"


print(f"\n{'method':24}{'error':>8}{'accuracy':>10}")
print(f"{f'daep, {Z_train.shape[1]} numbers':24}{error(daep):8.3f}  {accuracy(Z_train, Z_test)}")
print(f"{f'PCA, {Z_train.shape[1]} components':24}{error(rebuilt):8.3f}  {accuracy(P_train, P_test)}")
print(f"{'mean spectrum':24}{error(mean):8.3f}  {np.unique(y[test], return_counts=True)[1].max() / len(test):8.3f}")

# %%
# Look at one object of each type. Points are what was measured; the line is rebuilt from four numbers, also across gaps.
figure, axes = plt.subplots(
    2, 3, figsize=(12, 5), sharex=True, sharey="row", height_ratios=[3, 1], layout="constrained"
)
for column, kind in zip(axes.T, np.unique(y), strict=True):
    i = next(i for i in test if y[i] == kind)
    measured = X[i]
    model = encoder.reconstruct([measured])[0]
    order = np.argsort(measured["wavelength"])
    pull = (measured["flux"] - model["flux"]) / measured["flux_err"]
    column[0].errorbar(
        measured["wavelength"], measured["flux"], measured["flux_err"], fmt=".", ms=3, color="0.6", label="measured"
    )
    column[0].plot(model["wavelength"][order], model["flux"][order], color="C0", lw=1.8, label="from 4 numbers")
    column[0].set_title(f"type {kind}, day {measured.meta['phase']:+.0f}")
    column[1].plot(measured["wavelength"], pull, ".", ms=3, color="0.4")
    column[1].axhline(0, color="C0", lw=1)
    column[1].set(xlabel="rest wavelength [Å]", ylim=(-9, 9))
axes[0, 0].set_ylabel("flux / median")
axes[0, 0].legend(frameon=False)
axes[1, 0].set_ylabel("residual / error")
figure.savefig("quickstart.png", dpi=130)
print(f"\nfigure saved to {Path('quickstart.png').resolve()}")
