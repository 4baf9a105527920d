"""
Three objectives side by side: daep, maep and beta-VAE
======================================================

The same networks, spectra and number of steps, trained in three ways: to remove noise, to predict hidden points, and
to compress towards a prior. The example compares errors, probes and draws.
"""

# %%
# The simulation provides the noise-free truth, so errors of the reconstruction do not contain measurement noise.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import train_test_split

from skdaep import BetaVAEEncoder, DAEPEncoder, MAEPEncoder
from skdaep.datasets import make_supernova_spectra
from skdaep.metrics import object_errors
from skdaep.plotting import LossDisplay, ProbeDisplay, ReconstructionDisplay

X, y, truth = make_supernova_spectra(800, random_state=0, return_truth=True)
train, test = train_test_split(np.arange(len(X)), test_size=300, stratify=y, random_state=0)
X_train, X_test, y_test = [X[i] for i in train], [X[i] for i in test], y[test]

# %%
# All three share the same settings, and start from random weights (``core=None``). By default daep and maep start from
# functional PCA, and after so few steps `fit` would keep that start, so there would be nothing to compare. Training is
# short, so that the example takes less than a minute on two cores, and each fit warns that it has not converged. The
# example shows how to compare methods, not which one is best: for that see :doc:`/paper_tables`.
settings = dict(
    core=None, n_encoder_layers=2, n_decoder_layers=2, batch_size=32, max_points=96, max_iter=250, random_state=0
)
encoders = {
    "daep": DAEPEncoder(**settings),
    "maep": MAEPEncoder(**settings),
    "beta-VAE": BetaVAEEncoder(**settings),
}
for encoder in encoders.values():
    encoder.fit(X_train)

# %%
# Each objective has its own loss. A loss shows whether training went well, but not which objective is better.
figure, axes = plt.subplots(1, 3, figsize=(12, 3.2), layout="constrained")
for ax, (name, encoder) in zip(axes, encoders.items(), strict=True):
    LossDisplay.from_estimator(encoder, ax=ax)
    ax.set_title(name, fontsize="medium")

# %%
# Errors
# ------
# The table gives the mean absolute error of each test spectrum, compared with the truth at wavelengths that were not
# measured, in standard deviations of all training fluxes.
held_out = [truth.held_out[i] for i in test]
scale = np.concatenate([table["flux"] for table in X_train]).std()
errors, codes = {}, {}
for name, encoder in encoders.items():
    codes[name] = encoder.transform(X_test)
    rebuilt = encoder.inverse_transform(codes[name], at=held_out, output="arrays")
    errors[name] = object_errors(held_out, rebuilt, scale=scale)
grid = np.linspace(3500, 8500, 200)
mean = np.mean([np.interp(grid, table["wavelength"], table["flux"]) for table in X_train], axis=0)
errors["mean spectrum"] = object_errors(
    held_out, [np.interp(table["wavelength"], grid, mean) for table in held_out], scale=scale
)
figure, ax = plt.subplots(figsize=(5.2, 3.4), layout="constrained")
ax.boxplot(list(errors.values()), tick_labels=list(errors), whis=(5, 95), showfliers=False)
ax.set(ylim=(0, None), ylabel="error of an object [s.d. of fluxes]")

# %%
# Boxes contain half of the test spectra, and whiskers 90 %.

# %%
# Probes
# ------
# A linear classifier is trained on 30 % of the test objects and scored on the others.
probes = ProbeDisplay.from_predictions(codes, y_test)
print(f"{'':15}{'error':>8}{'macro F1':>17}")
for name, error in errors.items():
    probe = probes.results.get(name)
    score = f"{probe.f1:10.3f} +- {probe.f1_sd:.3f}" if probe else ""
    print(f"{name:15}{error.mean():8.3f}{score}")

# %%
# One spectrum
# ------------
# The same object reconstructed by all three from sixteen numbers. Residuals are in units of the measurement error.
i = int(np.flatnonzero(y_test == "Ia")[0])
measured = X_test[i]
figure, axes = plt.subplots(2, 3, figsize=(12, 4.6), sharex=True, height_ratios=[2.6, 1], layout="constrained")
for column, (name, encoder) in zip(axes.T, encoders.items(), strict=True):
    ReconstructionDisplay.from_estimator(encoder, [measured], titles=[name], ax=column)
plt.show()
