"""
Quickstart: spectra to features and back
========================================

Six hundred simulated supernova spectra, irregular, noisy and with gaps, become vectors of eight numbers each. No
labels are needed. From these numbers you can reconstruct the spectra at any wavelength, and a linear classifier
recognises the types.
"""

# %%
# Each object is an astropy Table. Columns are found by their names.
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from astropy.table import Table
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdaep import DAEPEncoder
from skdaep.datasets import make_supernova_spectra

X, y, truth = make_supernova_spectra(800, random_state=0, return_truth=True)
train, test = train_test_split(np.arange(len(X)), test_size=200, random_state=0)
X_train, X_test = [X[i] for i in train], [X[i] for i in test]
X_train[0][:3]

# %%
# Fit the encoder. This example uses few steps and few layers, so that it takes half a minute on two cores; the default
# ``DAEPEncoder()`` takes some minutes. For a progress bar, install the extra "progress" and call
# ``encoder.set_callbacks(sklearn.callback.ProgressBar())`` first (scikit-learn 1.9).
encoder = DAEPEncoder(
    bottleneck_dim=2, n_encoder_layers=2, batch_size=48, max_points=128, max_iter=300, random_state=0, verbose=1
)
encoder.fit(X_train)

# %%
# How good is it? We compare encoder and PCA with the noise-free truth at wavelengths that were not measured. Errors are
# in standard deviations of all training fluxes. PCA needs a common grid, so we interpolate the spectra for it. It has
# as many components as the encoder has numbers.
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
# The plot shows one object of each type. Points are measurements. The line is reconstructed from eight numbers and can
# be evaluated at any wavelength, even in the gaps.
figure, axes = plt.subplots(
    2, 3, figsize=(12, 5), sharex=True, sharey="row", height_ratios=[3, 1], layout="constrained"
)
for (top, below), kind in zip(axes.T, np.unique(y), strict=True):
    i = next(i for i in test if y[i] == kind)
    measured = X[i]
    wavelength = np.linspace(measured["wavelength"].min(), measured["wavelength"].max(), 500)
    z = encoder.transform([measured])
    (line,) = encoder.inverse_transform(z, at=[Table({"wavelength": wavelength})])
    (model,) = encoder.inverse_transform(z, at=[measured])
    top.errorbar(
        measured["wavelength"], measured["flux"], measured["flux_err"], fmt=".", ms=3, color="0.6", label="measured"
    )
    top.plot(line["wavelength"], line["flux"], color="C0", lw=1.8, zorder=3, label="from 8 numbers")
    top.set_title(f"type {kind}, day {measured.meta['phase']:+.0f}")
    below.plot(
        measured["wavelength"], (measured["flux"] - model["flux"]) / measured["flux_err"], ".", ms=3, color="0.4"
    )
    below.axhline(0, color="C0", lw=1)
    below.set(xlabel="rest wavelength [Å]", ylim=(-9, 9))
axes[0, 0].set_ylabel("flux / median")
axes[0, 0].legend(frameon=False)
axes[1, 0].set_ylabel("residual / error")
figure.savefig("quickstart.png", dpi=130)
print(f"\nfigure saved to {Path('quickstart.png').resolve()}")
