"""
From spectra to classes: the linear probe
=========================================

An encoder never sees the class of an object. Do its numbers contain the class nevertheless? A linear classifier on
these numbers shows whether they do. In a pipeline it classifies new objects. As a probe it measures the quality of the
encoder, and needs few labels.
"""

# %%
# We simulate spectra of three types of supernovae, and add the noise of faint objects: the signal-to-noise ratio per
# point is only a few. The encoder sees two thirds of the spectra, without types.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import ConfusionMatrixDisplay, classification_report
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdaep import DAEPEncoder
from skdaep.datasets import make_supernova_spectra
from skdaep.metrics import linear_probe
from skdaep.plotting import ProbeDisplay, ReconstructionDisplay

X, y = make_supernova_spectra(900, random_state=0)
rng = np.random.default_rng(0)
for table in X:
    table["flux_err"] *= 5
    table["flux"] += rng.normal(scale=table["flux_err"])
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=300, stratify=y, random_state=0)

# %%
# One pipeline
# ------------
# Encoder, scaler and classifier form one estimator, which takes Tables and returns types. This example uses few layers
# and few steps, so that it takes less than a minute on two cores; the default ``DAEPEncoder()`` takes some minutes.
encoder = DAEPEncoder(
    n_encoder_layers=2, n_decoder_layers=2, batch_size=48, max_points=128, max_iter=400, random_state=0
)
pipe = make_pipeline(encoder, StandardScaler(), LogisticRegression()).fit(X_train, y_train)
predicted = pipe.predict(X_test)
print(classification_report(y_test, predicted))

# %%
# Rows are true types, columns are predictions, for spectra that neither encoder nor classifier has seen. Type II, with
# its hydrogen lines, is always recognised. A few Ia and Ibc are confused.
figure, ax = plt.subplots(figsize=(4.4, 3.8), layout="constrained")
display = ConfusionMatrixDisplay.from_predictions(y_test, predicted, cmap="Blues", colorbar=False, ax=ax)

# %%
# Three misclassified spectra, with their reconstructions from sixteen numbers. They were taken a month past maximum,
# when the silicon line of Ia has faded and both types show iron and calcium. The residuals are no larger than the
# noise, so the reconstruction is not the problem.
wrong = np.flatnonzero(predicted != y_test)[:3]
titles = [f"{y_test[i]}, taken for {predicted[i]} (day {X_test[i].meta['phase']:+.0f})" for i in wrong]
display = ReconstructionDisplay.from_estimator(pipe[0], [X_test[i] for i in wrong], titles=titles)

# %%
# Few labels
# ----------
# The probe of the paper trains on only 30 % of the objects, in ten random splits. The encoder has seen none of these
# objects.
Z = pipe[0].transform(X_test)
probe = linear_probe(Z, y_test)
print(f"accuracy {probe.accuracy:.3f} +- {probe.accuracy_sd:.3f}, macro F1 {probe.f1:.3f} +- {probe.f1_sd:.3f}")

# %%
# A score means little without a baseline. PCA needs a common grid, so we interpolate the spectra for it. It gets as
# many components as the bottleneck has numbers.
grid = np.linspace(4200, 7500, 300)


def on_grid(tables):
    return np.array([np.interp(grid, t["wavelength"], t["flux"]) for t in tables])


P = PCA(Z.shape[1]).fit(on_grid(X_train)).transform(on_grid(X_test))
display = ProbeDisplay.from_predictions({f"daep, {Z.shape[1]} numbers": Z, f"PCA, {P.shape[1]} components": P}, y_test)
for name, result in display.results.items():
    print(f"{name:20}accuracy {result.accuracy:.3f} +- {result.accuracy_sd:.3f}, macro F1 {result.f1:.3f}")

# %%
# The encoder is slightly ahead, although simple spectra that all cover a common grid suit PCA perfectly. With fewer
# labels its lead grows. The plot shows the accuracy on the remaining objects against the number of labels.
sizes = [15, 30, 60, 120, 200]
figure, ax = plt.subplots(figsize=(5.2, 3.4), layout="constrained")
for name, features in {"daep": Z, "PCA": P}.items():
    scores = [linear_probe(features, y_test, train_size=n) for n in sizes]
    ax.errorbar(sizes, [s.accuracy for s in scores], [s.accuracy_sd for s in scores], marker="o", capsize=2, label=name)
share = np.unique(y_test, return_counts=True)[1].max() / len(y_test)
ax.axhline(share, color="0.6", lw=0.8, label="most common type")
ax.set(xscale="log", xticks=sizes, xticklabels=sizes, xlabel="labels", ylabel="accuracy, mean and s.d. over splits")
ax.minorticks_off()
ax.legend(frameon=False)
plt.show()
