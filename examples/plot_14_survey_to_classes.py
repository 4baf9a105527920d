"""
From a survey's CSV to classes
==============================

A survey file contains times and magnitudes of variable stars in two bands, but no periods. Three steps find the
period, fold the light curves, and remove median and amplitude. The encoder describes the remaining shapes, and we add
period, amplitudes and colour as features. Only the classifier at the end sees classes.
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
# We simulate a file with one row per measurement: RR Lyrae stars of two kinds, delta Scuti stars, Cepheids, Miras, and
# detached (EA) and contact (EW) binaries, observed at night over three seasons.
stars, y, truth = make_variable_stars(140, random_state=0, return_truth=True)
for star in stars:
    star["object_id"] = star.meta.pop("object_id")
folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "survey.csv"
vstack(stars).write(path, format="ascii.csv")
print("\n".join(path.read_text().splitlines()[:3]))

# %%
# We split the file into one Table per object; `skdaep.tables.from_long` does the same for a data frame. A CSV file has
# no units, so the times in the column "mjd" are assumed to be in days.
survey = Table.read(path, format="ascii.csv")
X = list(survey.group_by("object_id").groups)
folder.cleanup()
print(f"{len(X)} stars, {len(survey)} points")

# %%
# Three steps
# -----------
# Phase 0 is the minimum of the harmonic fit, such as mid-eclipse, so that stars of the same kind line up.
# ``Standardize`` removes median and amplitude, and stores them in ``meta``.
steps = make_pipeline(
    FindPeriod(min_period=0.06, n_harmonics=5),
    PhaseFold(epoch="faintest"),
    Standardize(),
)
Z = steps.fit_transform(X)
print({key: round(value, 3) for key, value in Z[0].meta.items()})

# %%
# In this simulation we know the true periods. Contact binaries have two minima of nearly equal depth per orbit, and no
# fit can tell the period from half of it. Symmetric minima tell ``FindPeriod`` that they are eclipses.
ratio = np.array([z.meta["period"] for z in Z]) / truth.parameters["period"]
for label in np.unique(y):
    own = ratio[y == label]
    right, half = (np.mean(np.abs(own / r - 1) < 0.01) for r in (1, 0.5))
    print(f"{label:>5}: {right:4.0%} right, {half:4.0%} half of it")

# %%
# Shapes
# ------
# ``PhaseFold`` marks its column as periodic, so the encoder knows that phase 0.99 is next to 0.01. The encoder sees
# neither period nor class.
encoder = DAEPEncoder(
    Photometry(),
    bottleneck_length=2,
    bottleneck_dim=3,
    model_dim=32,
    n_encoder_layers=2,
    n_decoder_layers=2,
    max_points=80,
    max_iter=100,
    random_state=0,
)
names = ("log_period", "period_power", "amplitude_g", "amplitude_r", "skewness_g", "skewness_r", "level_g", "level_r")
features = FeatureUnion([("shape", encoder), ("meta", MetaFeatures(names))])
Z_train, Z_test, y_train, y_test = train_test_split(Z, y, test_size=0.4, stratify=y, random_state=0)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    features.fit(Z_train)
F_train, F_test = features.transform(Z_train), features.transform(Z_test)
print(F_train.shape, ", ".join(features.get_feature_names_out()[-8:]))

# %%
# The plot shows folded light curves of stars that the encoder has not seen, and the curves decoded from their six
# numbers, over two cycles. The curves close.
shown = [int(np.flatnonzero(y_test == label)[0]) for label in np.unique(y)]
phases = np.linspace(0, 1, 100)
grid = Table({"mjd": np.tile(phases, 2), "band": np.repeat(["g", "r"], len(phases))})
curves = features.transformer_list[0][1].inverse_transform(F_test[shown, :6], at=grid)
fig, axes = plt.subplots(2, 4, figsize=(11, 5), sharex=True, layout="constrained")
for ax, i, curve in zip(axes.flat, shown, curves, strict=False):
    for band, color in (("g", "C2"), ("r", "C3")):
        own, drawn = (t[t["band"] == band] for t in (Z_test[i], curve))
        for turn in (0, 1):
            ax.plot(own["mjd"] + turn, own["mag"], ".", ms=2, color=color, alpha=0.5)
            ax.plot(phases + turn, drawn["mag"], "-", lw=1, color=color)
    ax.set(title=f"{y_test[i]}, {Z_test[i].meta['period']:.3g} d")
    ax.invert_yaxis()
axes.flat[-1].axis("off")
fig.supxlabel("phase")
fig.supylabel("standardised magnitude")

# %%
# Classes
# -------
# Both shape and metadata help to classify; a linear classifier that uses both is best. With 140 stars, only eight per
# class are left for the test.
columns = {"shape": slice(0, 6), "meta": slice(6, None), "both": slice(None)}
for name, own in columns.items():
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(F_train[:, own], y_train)
    score = f1_score(y_test, classifier.predict(F_test[:, own]), average="macro")
    print(f"{name:>6}: macro F1 {score:.2f}")
ConfusionMatrixDisplay.from_predictions(y_test, classifier.predict(F_test), colorbar=False)
plt.show()
