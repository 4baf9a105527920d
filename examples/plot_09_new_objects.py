"""
New objects: can you tell them from real ones?
==============================================

A diffusion model of the bottleneck turns the encoder into a simulator. But a simulator is only as good as its worst
statistic, so we compare its spectra with real ones that it has never seen.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import ks_2samp
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score

from skdaep import DAEPEncoder
from skdaep.datasets import make_supernova_spectra
from skdaep.plotting import LatentMapDisplay

X, y = make_supernova_spectra(900, random_state=0)
X_train, X_test, X_other = X[:500], X[500:700], X[700:]

# %%
# First we fit the encoder, then the prior of its bottlenecks, which takes seconds.
encoder = DAEPEncoder(
    bottleneck_dim=2,
    model_dim=48,
    n_encoder_layers=2,
    n_decoder_layers=2,
    batch_size=48,
    max_points=96,
    max_iter=300,
    random_state=0,
)
encoder.fit(X_train).fit_prior(X_train)

# %%
# Each new object is decoded at the wavelengths of a real test object, so both populations have the same gaps and ends.
# New spectra are as noisy as measured ones, or slightly noisier, because the fit is short.
new = encoder.sample(len(X_test), at=X_test)
figure, axes = plt.subplots(2, 4, figsize=(12, 5), sharex=True, sharey=True, layout="constrained")
for row, spectra, color, name in zip(axes, (X_test, new), ("0.3", "C0"), ("real", "new"), strict=True):
    for ax, spectrum in zip(row, spectra[:4], strict=True):
        ax.plot(spectrum["wavelength"], spectrum["flux"], ".", ms=3, color=color)
    row[0].set_ylabel(f"{name}: flux / median")
for ax in axes[1]:
    ax.set_xlabel("rest wavelength [Å]")

# %%
# We compare the two populations at each wavelength: lines are medians, and bands contain 68 and 95 % of the objects.
edges = np.linspace(4200, 7500, 34)
middle = (edges[1:] + edges[:-1]) / 2


def binned(spectra):
    return np.array([np.interp(middle, s["wavelength"], s["flux"]) for s in spectra])


real, other, drawn = binned(X_test), binned(X_other), binned(new)
figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), sharex=True, sharey=True, layout="constrained")
for ax, population, color, name in zip(axes, (real, drawn), ("0.3", "C0"), ("real", "new"), strict=True):
    for low, high in ((2.5, 97.5), (16, 84)):
        ax.fill_between(middle, *np.percentile(population, [low, high], axis=0), color=color, alpha=0.25, lw=0)
    ax.plot(middle, np.median(population, axis=0), color=color)
    ax.plot(middle, np.median(real, axis=0), color="0.3", lw=0.8, ls="--")
    ax.set(title=name, xlabel="rest wavelength [Å]")
axes[0].set_ylabel("flux / median")

# %%
# Next we compare them in the bottleneck. We encode the new spectra like the real ones.
for spectrum, template in zip(new, X_test, strict=True):
    spectrum["flux_err"] = template["flux_err"]
Z = encoder.transform([*X_test, *new])
LatentMapDisplay.from_predictions(Z, ["real"] * len(X_test) + ["new"] * len(new), embedding=PCA(2), alpha=0.7)

# %%
# Now we compare three quantities that an astronomer would measure, with a two-sample Kolmogorov-Smirnov test.


def band(population, low, high):
    return population[:, (middle > low) & (middle < high)].mean(axis=1)


def measure(population):
    return {
        "colour, 4200-5000 over 6600-7500": band(population, 4200, 5000) / band(population, 6600, 7500),
        "6050-6200 over 6400-6550 (Si II)": band(population, 6050, 6200) / band(population, 6400, 6550),
        "6500-6650 over 6700-7000 (H alpha)": band(population, 6500, 6650) / band(population, 6700, 7000),
    }


for name, values in measure(real).items():
    distance, p_value = ks_2samp(values, measure(drawn)[name])
    print(f"{name:36} distance {distance:.3f}, p = {p_value:.2g}")

# %%
# The strictest test is a classifier that uses all wavelengths at once to distinguish new from real spectra. An area
# under the ROC curve of 0.5 means that it cannot. A comparison of two sets of real spectra shows how much this varies
# by chance.


def area(a, b):
    forest = RandomForestClassifier(200, min_samples_leaf=3, random_state=0)
    return cross_val_score(forest, np.vstack([a, b]), np.repeat([0, 1], [len(a), len(b)]), cv=5, scoring="roc_auc")


for name, population in {"real, others": other, "new": drawn}.items():
    scores = area(real, population)
    print(f"real against {name:16} area {scores.mean():.3f} +- {scores.std() / np.sqrt(len(scores)):.3f}")

# %%
# Single quantities hardly distinguish new spectra from real ones, but all wavelengths together do so easily. After
# such a short fit, the new spectra can illustrate a paper, but not replace a survey.
plt.show()
