"""
Find odd objects, and objects like this one
===========================================

An unusual spectrum may have unusual features, or it may not be reconstructed well from them. These two criteria find
different objects. You can also use the features to find the spectra that are most similar to a given one.
"""

# %%
# We train on ordinary spectra. The test set contains three kinds of odd ones, fifteen of each: spectra with a redshift
# that is wrong by 0.04, blends of two supernovae, and spectra with narrow emission lines of the host galaxy.
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import LogLocator, NullFormatter
from scipy.ndimage import median_filter
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdaep import DAEPEncoder
from skdaep.datasets import make_supernova_spectra
from skdaep.plotting import ReconstructionDisplay

X, y = make_supernova_spectra(900, random_state=0)
X_train, y_train, y_test = X[:600], y[:600], y[600:]
X_test = [x.copy() for x in X[600:]]
odd = ["wrong redshift", "blend", "host lines"]
kind = np.array([*np.repeat(odd, 15), *["ordinary"] * (len(X_test) - 45)])


def blend(one, other):
    """Half of each, at the wavelengths of the first."""
    flux, error = (np.interp(one["wavelength"], other["wavelength"], other[c]) for c in ("flux", "flux_err"))
    one["flux"], one["flux_err"] = (one["flux"] + flux) / 2, np.hypot(one["flux_err"], error) / 2


for i in range(45):
    spectrum = X_test[i]
    if kind[i] == "wrong redshift":
        spectrum["wavelength"] *= 1.04
    elif kind[i] == "blend":
        blend(spectrum, X_test[45 + np.flatnonzero(y_test[45:] != y_test[i])[i]])
    else:
        for line, strength in {4861: 0.3, 5007: 0.6, 6563: 0.9}.items():
            spectrum["flux"] += strength * np.exp(-0.5 * ((spectrum["wavelength"] - line) / 15) ** 2)

# %%
encoder = DAEPEncoder(
    model_dim=48,
    n_encoder_layers=2,
    n_decoder_layers=2,
    batch_size=48,
    max_points=96,
    max_iter=450,
    random_state=0,
)
Z_train = encoder.fit_transform(X_train)
Z_test = encoder.transform(X_test)

# %%
# We compare four scores. Two use the features only: scikit-learn's `IsolationForest` and `LocalOutlierFactor` learn
# where ordinary objects are. Two use the residuals in units of the errors: their mean size, and the sharpest peak
# above the local median. The area under the ROC curve is the probability that an odd object ranks before an ordinary
# one; 0.5 is chance.
rebuilt = encoder.reconstruct(X_test)
residuals = [np.asarray((x["flux"] - r["flux"]) / x["flux_err"]) for x, r in zip(X_test, rebuilt, strict=True)]
forest = make_pipeline(StandardScaler(), IsolationForest(random_state=0)).fit(Z_train)
factor = make_pipeline(StandardScaler(), LocalOutlierFactor(novelty=True)).fit(Z_train)
scores = {
    "isolation forest": -forest.score_samples(Z_test),
    "local outlier factor": -factor.score_samples(Z_test),
    "mean residual": np.array([np.abs(r).mean() for r in residuals]),
    "sharpest residual": np.array([(r - median_filter(r, 9)).max() for r in residuals]),
}
print(" " * 22 + "".join(f"{what:>16}" for what in odd))
for name, score in scores.items():
    pairs = [np.isin(kind, [what, "ordinary"]) for what in odd]
    areas = [roc_auc_score(kind[pair] != "ordinary", score[pair]) for pair in pairs]
    print(f"{name:22}" + "".join(f"{area:16.2f}" for area in areas))

# %%
# The local outlier factor finds all wrong redshifts, because no ordinary supernova has such numbers. The isolation
# forest, which cuts one number at a time, finds most of them. Narrow lines hardly change the numbers, but the
# reconstruction lacks them, so they stand out in the residuals. No score finds the blends: the numbers of a blend lie
# between those of its two supernovae, nearer to the centre than most, so the isolation forest even ranks blends last,
# and they are reconstructed as well as ordinary spectra.
#
# The plots compare one score of the features with each score of the residuals. Odd objects with low scores on both axes
# are hidden among the ordinary ones.
figure, axes = plt.subplots(1, 2, figsize=(10.5, 4.2), sharex=True, layout="constrained")
styles = {"ordinary": ("0.7", "o"), "wrong redshift": ("C3", "s"), "blend": ("C0", "^"), "host lines": ("C1", "D")}
for ax, name in zip(axes, ("mean residual", "sharpest residual"), strict=True):
    for what, (color, marker) in styles.items():
        here, size = kind == what, 12 if what == "ordinary" else 30
        x, score = scores["local outlier factor"][here], scores[name][here]
        ax.scatter(x, score, s=size, color=color, marker=marker, label=what)
    ax.set(xlabel="local outlier factor", ylabel=f"{name} / $\\sigma$", xscale="log", yscale="log")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set(major_locator=LogLocator(subs=(1, 1.5, 2, 3, 5)), major_formatter="{x:g}")
        axis.set_minor_formatter(NullFormatter())
axes[1].legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))

# %%
# No score finds everything, so look at the top objects of each. Here two scores agree on the first one. If the redshift
# is wrong, the reconstruction cannot follow the shifted lines, and the residuals show troughs and peaks. The last
# spectrum has a spike at 6563 Angstrom, which no supernova has.
first = [int(np.argmax(scores[name])) for name in ("local outlier factor", "mean residual", "sharpest residual")]
titles = [f"{kind[i]} ({y_test[i]}, day {X_test[i].meta['phase']:+.0f})" for i in first]
suspects = ReconstructionDisplay.from_estimator(encoder, [X_test[i] for i in first], titles=titles)

# %%
# Objects like this one
# ---------------------
# The plot shows three ordinary test spectra (black) and their nearest neighbours among the training spectra (grey), in
# the space of standardised features. Straight lines are gaps. All neighbours have the right type, although gaps, ends
# and noise differ. Those of the Ia agree in phase within a few days, those of the type II within two weeks; those of
# the Ibc are one to three weeks older.
scaler = StandardScaler().fit(Z_train)
index = NearestNeighbors(n_neighbors=3).fit(scaler.transform(Z_train))
queries = [next(i for i in range(45, len(X_test)) if y_test[i] == wanted) for wanted in ("Ia", "II", "Ibc")]
nearest = index.kneighbors(scaler.transform(Z_test[queries]), return_distance=False)
figure, axes = plt.subplots(1, 3, figsize=(12, 5), sharey=True, layout="constrained")
for ax, i, found in zip(axes, queries, nearest, strict=True):
    shown = [(X_test[i], y_test[i], "k"), *((X_train[j], y_train[j], "0.45") for j in found)]
    for n, (spectrum, label, color) in enumerate(shown):
        ax.plot(spectrum["wavelength"], spectrum["flux"] - 1.3 * n, color=color, lw=1)
        text = f"{label}, day {spectrum.meta['phase']:+.0f}"
        ax.text(8550, np.median(spectrum["flux"][-20:]) - 1.3 * n, text, color=color, va="center", fontsize="small")
    ax.set(xlabel="rest wavelength [Å]", xlim=(3450, 10200), xticks=range(4000, 8001, 1000))
axes[0].set_ylabel("flux / median, shifted")
plt.show()
