"""
From a survey's CSV to classes
==============================

A survey's file holds times and magnitudes, in two bands, of stars whose period nobody has measured. Three steps make
shapes of them: find the period, fold by it, take level and amplitude out. The encoder describes the shapes, and what
the steps found stands beside its numbers: period, amplitudes, colour. No class is seen until the last lines.
"""

# %%
import tempfile
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from astropy.table import Table, vstack
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import ConfusionMatrixDisplay, f1_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

from skdaep import DAEPEncoder, Photometry
from skdaep.datasets import make_variable_stars
from skdaep.preprocessing import FindPeriod, MetaFeatures, PhaseFold, Standardize

# %%
# The file
# --------
# One row per measurement, simulated: RR Lyrae of two kinds, delta Scuti, Cepheids, Miras, detached (EA) and contact
# (EW) binaries, observed at night over three seasons.
stars, y, truth = make_variable_stars(140, random_state=0, return_truth=True)
for star in stars:
    star["object_id"] = star.meta.pop("object_id")
folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "survey.csv"
vstack(stars).write(path, format="ascii.csv")
print("\n".join(path.read_text().splitlines()[:3]))

# %%
# A Table per object; `skdaep.tables.from_long` does the same with a data frame. CSV knows no units: without any,
# times called "mjd" are days.
survey = Table.read(path, format="ascii.csv")
X = list(survey.group_by("object_id").groups)
folder.cleanup()
print(f"{len(X)} stars, {len(survey)} points")

# %%
# Three steps
# -----------
# Phase 0 is where the fitted series is faintest, as in mid-eclipse: the cycles of all stars of a kind then fall on one
# another. Shapes describe no level: ``Standardize`` moves it into the meta of each Table.
steps = make_pipeline(
    FindPeriod(min_period=0.06, n_harmonics=5),
    PhaseFold(epoch="faintest"),
    Standardize(),
)
Z = steps.fit_transform(X)
print({key: round(value, 3) for key, value in Z[0].meta.items()})

# %%
# The true periods are known here. Contact binaries have two minima of nearly one depth in a period and come out at half
# of it, which harms nobody who tells classes apart.
ratio = np.array([z.meta["period"] for z in Z]) / truth.parameters["period"]
for label in np.unique(y):
    own = ratio[y == label]
    right, half = (np.mean(np.abs(own / r - 1) < 0.01) for r in (1, 0.5))
    print(f"{label:>5}: {right:4.0%} right, {half:4.0%} half of it")

# %%
# Shapes
# ------
# ``PhaseFold`` has marked its column as a circle: of a phase of 0.99 the encoder knows that 0.01 is next to it. It sees
# no period and no class.
encoder = DAEPEncoder(
    Photometry(),
    bottleneck_length=2,
    bottleneck_dim=3,
    model_dim=32,
    n_encoder_layers=2,
    n_decoder_layers=2,
    max_points=80,
    max_iter=250,
    random_state=0,
)
names = ("log_period", "period_power", "amplitude_g", "amplitude_r")
features = FeatureUnion([("shape", encoder), ("meta", MetaFeatures((*names, "level_g", "level_r")))])
Z_train, Z_test, y_train, y_test = train_test_split(Z, y, test_size=0.4, stratify=y, random_state=0)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    features.fit(Z_train)
F_train, F_test = features.transform(Z_train), features.transform(Z_test)
print(F_train.shape, ", ".join(features.get_feature_names_out()[-6:]))

# %%
# Stars seen by the encoder for the first time, folded: points, and the curve that their six numbers stand for. Two
# cycles are drawn; the curve closes.
decoded = features.transformer_list[0][1].reconstruct(Z_test)
shown = [int(np.flatnonzero(y_test == label)[0]) for label in np.unique(y)]
fig, axes = plt.subplots(2, 4, figsize=(11, 5), sharex=True, layout="constrained")
for ax, i in zip(axes.flat, shown, strict=False):
    for band, color in (("g", "C2"), ("r", "C3")):
        own = np.flatnonzero(Z_test[i]["band"] == band)
        own = own[np.argsort(Z_test[i]["mjd"][own])]
        phase = np.asarray(Z_test[i]["mjd"][own])
        twice = np.concatenate([phase + turn for turn in (0, 1)])
        ax.plot(twice, np.tile(Z_test[i]["mag"][own], 2), ".", ms=2, color=color, alpha=0.5)
        ax.plot(twice, np.tile(decoded[i]["mag"][own], 2), "-", lw=1, color=color)
    ax.set(title=f"{y_test[i]}, {Z_test[i].meta['period']:.3g} d")
    ax.invert_yaxis()
axes.flat[-1].axis("off")
fig.supxlabel("phase")
fig.supylabel("standardised magnitude")

# %%
# Classes
# -------
# Shape and meta each know something; a linear classifier on both knows most. Of 140 stars more cannot be had: the row
# and column of a class hold eight stars.
columns = {"shape": slice(0, 6), "meta": slice(6, None), "both": slice(None)}
for name, own in columns.items():
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(F_train[:, own], y_train)
    score = f1_score(y_test, classifier.predict(F_test[:, own]), average="macro")
    print(f"{name:>6}: macro F1 {score:.2f}")
ConfusionMatrixDisplay.from_predictions(y_test, classifier.predict(F_test), colorbar=False)
plt.show()
