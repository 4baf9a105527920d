"""
A map of supernovae: t-SNE of the bottleneck
============================================

A pipeline of encoder and t-SNE turns spectra into positions on a map. Colours show classes and phases, which neither
of them has seen.
"""

# %%
# The encoder is an ordinary scikit-learn transformer, so t-SNE can follow it in a pipeline.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.manifold import TSNE, trustworthiness
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.pipeline import make_pipeline

from skdaep import DAEPEncoder
from skdaep.datasets import make_supernova_spectra
from skdaep.plotting import LatentMapDisplay

X, y, truth = make_supernova_spectra(800, random_state=0, return_truth=True)
encoder = DAEPEncoder(
    model_dim=32, n_encoder_layers=2, n_decoder_layers=2, max_points=128, max_iter=400, random_state=0
)
pipe = make_pipeline(encoder, TSNE(random_state=0))
places = pipe.fit_transform(X)

# %%
# Left: types. Right: phases, in days from maximum light. Type II, with its hydrogen lines, forms an island of its own.
# Type Ibc lies next to Ia, and partly within it. Along each strip the phase increases from one end to the other: within
# a type, the phase changes a spectrum the most.
phase = np.array([table.meta["phase"] for table in X])
figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
by_type = LatentMapDisplay(places, y, label="type").plot(axes[0])
by_phase = LatentMapDisplay(places, phase, label="phase [days]").plot(axes[1])

# %%
# A map is not a measurement
# --------------------------
# Distances between islands, and their sizes, mean nothing in t-SNE. Trustworthiness is 1 if all neighbours on the map
# are also neighbours among the sixteen numbers. The map separates the types as well as the numbers do, but t-SNE
# cannot place a new spectrum on it: it has to be refitted for each set of objects. Use the numbers for classifiers and
# searches.
Z = pipe[0].transform(X)
print(f"trustworthiness of the map: {trustworthiness(Z, places, n_neighbors=10):.3f}")
for name, features in {"16 numbers": Z, "map": places}.items():
    accuracy = cross_val_score(KNeighborsClassifier(10), features, y, cv=5)
    print(f"type by ten neighbours, {name:12}{accuracy.mean():.3f}")

# %%
# Neighbours
# ----------
# A spectrum near maximum (blue) and its three nearest neighbours in the space of the sixteen numbers. Circles mark
# them on the map. They agree in type and, within some days, in phase, although each spectrum covers its own
# wavelengths and has its own gaps.
i = int(np.flatnonzero((y == "Ia") & (np.abs(phase) < 3))[0])
(neighbours,) = NearestNeighbors(n_neighbors=4).fit(Z).kneighbors(Z[[i]], return_distance=False)
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), width_ratios=[3, 2], layout="constrained")
for offset, j in enumerate(neighbours):
    table, color = X[j], "C0" if j == i else "0.35"
    left.plot(table["wavelength"], table["flux"] - 1.5 * offset, ".", color=color, ms=3)
    end = np.median(table["flux"][-20:]) - 1.5 * offset
    left.text(8600, end, f"{y[j]}, day {phase[j]:+.0f}", color=color, va="center")
left.set(xlabel="wavelength [Å]", ylabel="flux / median, shifted", xlim=(3400, 9700))
display = LatentMapDisplay(places, y, label="type").plot(right)
right.scatter(*places[neighbours].T, s=90, facecolors="none", edgecolors="k")
plt.show()
