"""
Two views of stars: what the codes learn
========================================

The temperature of a star affects both its spectrum and its light curve. The metallicity only affects the spectrum, and
the rotation only the light curve. Which of the three do the codes contain if training makes the two views agree? And
what do a few labels change?
"""

# %%
# A toy model
# -----------
# In this toy model each star has three parameters. The temperature tilts the continuum and sets the amplitude of the
# variation. Metallicity deepens the lines. Rotation sets the period. All light curves begin at a maximum.
import matplotlib.pyplot as plt
import numpy as np
from astropy import units as u
from astropy.table import Table
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdaep import ContrastiveNeighbors, DualFormer, MultimodalDAEP, Sequence, Spectrum

rng = np.random.default_rng(0)
N, NAMES = 400, ("temperature", "metallicity", "rotation")
truth = rng.standard_normal((N, 3))


def star(temperature, metallicity, rotation):
    """Return the two views of a star, each sampled at places of its own."""
    wavelength = np.sort(rng.uniform(4000, 7000, 80))
    lines = sum(np.exp(-(((wavelength - at) / 60) ** 2)) for at in (4400, 5200, 5900, 6500))
    flux = 1 - 0.2 * temperature * (wavelength - 5500) / 1500 - (0.5 + 0.2 * metallicity) * lines
    time = np.sort(rng.uniform(0, 10, 60))
    light = (1 + 0.3 * temperature) * np.cos((0.8 + 0.15 * rotation) * time)
    return {
        "spectrum": Table({"wavelength": wavelength * u.AA, "flux": flux + 0.02 * rng.standard_normal(80)}),
        "light_curve": Table({"time": time * u.day, "flux": light + 0.1 * rng.standard_normal(60)}),
    }


X = [star(*numbers) for numbers in truth]
fig, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
for x in X[:3]:
    axes[0].plot(x["spectrum"]["wavelength"], x["spectrum"]["flux"], ".-", ms=3, lw=0.5)
    axes[1].plot(x["light_curve"]["time"], x["light_curve"]["flux"], ".-", ms=3, lw=0.5)
axes[0].set(xlabel="wavelength [Å]", ylabel="flux", title="spectra")
axes[1].set(xlabel="time [d]", title="light curves")

# %%
# Four encoders
# -------------
# `ContrastiveNeighbors` makes the encodings of the two views of a star agree, either in contrast to those of other
# stars (InfoNCE) or without such a contrast (VICReg). `DualFormer` lets the views attend to each other.
# `MultimodalDAEP` reconstructs both from one code. All train for two hundred steps on the first half of the stars.
views = {"spectrum": Spectrum(), "light_curve": Sequence("flux", location="time")}
small = dict(model_dim=16, n_encoder_layers=1, encoder_hidden_length=8, max_points=60, max_iter=200, random_state=0)
encoders = {
    "InfoNCE": ContrastiveNeighbors(views, **small),
    "VICReg": ContrastiveNeighbors(views, alignment="vicreg", **small),
    "DualFormer": DualFormer(views, n_dual_layers=2, **small),
    "MultimodalDAEP": MultimodalDAEP(views, n_decoder_layers=1, **small),
}
half = N // 2
for encoder in encoders.values():
    encoder.fit(X[:half])

# %%
# With labels
# -----------
# A quarter of the training stars have labels. The labels of the others are NaN.
labels = np.where(rng.uniform(size=half) < 0.25, 1.0, np.nan)[:, None] * truth[:half]
encoders["DualFormer, some labels"] = DualFormer(views, n_dual_layers=2, supervised_weight=0.5, **small)
encoders["DualFormer, some labels"].fit(X[:half], labels)


# %%
# What the codes contain
# ----------------------
# For stars that no encoder has seen, we predict the three parameters from the codes by ridge regression, in five
# folds. A method that only predicts the temperature has kept what both views share, and lost what is in one view only.
def known(encoder, objects):
    """Return R^2 of each of the three numbers."""
    Z, ridge = encoder.transform(objects), make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 3, 11)))
    return [cross_val_score(ridge, Z, truth[half:, j], cv=5, scoring="r2").mean() for j in range(3)]


given = {
    "both views": X[half:],
    "spectrum alone": [{"spectrum": x["spectrum"]} for x in X[half:]],
    "light curve alone": [{"light_curve": x["light_curve"]} for x in X[half:]],
}
fig, axes = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained", sharey=True)
for ax, (title, objects) in zip(axes, given.items(), strict=True):
    found = np.clip([known(encoder, objects) for encoder in encoders.values()], 0, 1)
    image = ax.imshow(found, vmin=0, vmax=1, cmap="cividis", aspect="auto")
    for (i, j), value in np.ndenumerate(found):
        ax.text(j, i, f"{value:.2f}", ha="center", va="center", color="w" if value < 0.6 else "k", fontsize=8)
    ax.set(title=title, xticks=range(3), xticklabels=NAMES, yticks=range(len(encoders)), yticklabels=list(encoders))
fig.colorbar(image, ax=axes, label="R²")

# %%
# `predict` needs no second model, and works even if one view is missing.
print(encoders["DualFormer, some labels"].predict(given["spectrum alone"][:3]).round(2))
plt.show()
