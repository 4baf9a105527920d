"""
Light curves with bands: gaps filled, the end forecast
======================================================

Type Ia, II and Ibc light curves in g and r, at random nights. Once encoded, a light curve can be decoded in any band
at any time: where clouds were, and where the future is. Draws say how sure that is.
"""

# %%
# Each object is one Table, with a column for the band. The redshift is given to encoder and decoder as metadata.
import matplotlib.pyplot as plt
import numpy as np
from astropy.table import Table
from sklearn.model_selection import train_test_split

from skdaep import ConformalDraws, DAEPEncoder, Photometry
from skdaep.datasets import make_supernova_light_curves
from skdaep.metrics import coverage, object_errors
from skdaep.plotting import CoverageDisplay, ReconstructionDisplay

X, y = make_supernova_light_curves(900, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=100, random_state=0)
X_train[0][:3]

# %%
# The training is short, to be done in less than a minute on two cores.
encoder = DAEPEncoder(
    Photometry(metadata=("redshift",)),
    model_dim=32,
    n_encoder_layers=2,
    n_decoder_layers=2,
    max_iter=700,
    n_sampling_steps=10,
    random_state=0,
).fit(X_train)

# %%
# Hide measurements
# -----------------
# Of light curves that `fit` has not seen, hide all between days 8 and 20, and all from day 35 on. What is left is
# encoded.
GAP, END = (8, 20), 35


def hide(table):
    time = table["time"].value
    hidden = ((time > GAP[0]) & (time < GAP[1])) | (time > END)
    return table[~hidden], table[hidden]


split = [(*hide(t), t, label) for t, label in zip(X_test, y_test, strict=True)]
kept, hidden, whole, label = zip(*(s for s in split if len(s[0]) > 5 and len(s[1]) > 5), strict=True)
Z = encoder.transform(list(kept))

# %%
# Fill in
# -------
# Decode at all nights of one light curve of each type. Grey is what was hidden from the encoder; its points are shown
# for comparison. Lines are medians of 100 draws, bands hold 68 and 95 % of them; a draw is a measurement as it may have
# been, noise included.
show = [next(i for i, t in enumerate(whole) if label[i] == kind and len(t) > 40) for kind in ("Ia", "II", "Ibc")]
measured = [whole[i] for i in show]
nights = np.linspace(-20, 100, 150)


def fine(table):
    bands = np.unique(table["band"])
    inside = nights[(nights > table["time"].value.min()) & (nights < table["time"].value.max())]
    grid = Table({"time": np.tile(inside, len(bands)), "band": np.repeat(bands, len(inside))}, meta=table.meta)
    grid["time"].unit = "day"
    return grid


draws = encoder.inverse_transform(Z[show], at=measured, n_draws=100)
curves = encoder.inverse_transform(Z[show], at=[fine(t) for t in measured], n_draws=100)
display = ReconstructionDisplay.from_predictions(
    measured, draws, curves=curves, titles=[f"{label[i]}, $z$ = {whole[i].meta['redshift']:.2f}" for i in show]
)
for column in display.axes_.T:
    left, right = column[0].get_xlim()
    for ax in column:
        ax.axvspan(*GAP, color="0.92", zorder=0)
        ax.axvspan(END, right, color="0.92", zorder=0)
        ax.set_xlim(left, right)

# %%
# How wrong, how sure
# -------------------
# The error and the share of points inside the central 90 % of the draws, of all test objects: of what the encoder saw,
# in the gap, and after the end.
parts = {
    "seen": kept,
    "gap": [t[t["time"].value < END] for t in hidden],
    "forecast": [t[t["time"].value > END] for t in hidden],
}
print(f"{'':10}{'objects':>8}{'error [mag]':>13}{'inside 90 %':>13}{'width [mag]':>13}")
decoded = {}
for name, tables in parts.items():
    some = [i for i, t in enumerate(tables) if len(t)]
    tables = [tables[i] for i in some]
    draws = encoder.inverse_transform(Z[some], at=tables, n_draws=50, output="arrays")
    inside = coverage(tables, draws, level=0.9)
    errors = object_errors(tables, encoder.inverse_transform(Z[some], at=tables, output="arrays"))
    decoded[name] = tables, draws
    print(f"{name:10}{len(some):8}{errors.mean():13.3f}{inside.coverage.mean():13.2f}{inside.width.mean():13.2f}")

# %%
# Gaps are filled nearly as well as the rest. The forecast is too sure: the training hid points at random, never the
# whole end, and draws say nothing of how uncertain the numbers are that they are decoded from.

# %%
# Mend the forecast
# -----------------
# `ConformalDraws` finds, from half of the test objects, by how much the draws must be stretched, and stretches those of
# the other half.
X_future, draws = decoded["forecast"]
half = len(X_future) // 2
calibration = ConformalDraws(level=0.9).fit(X_future[:half], draws[:half])
stretched = calibration.transform(draws[half:])
print(f"stretched by {calibration.factor_:.2f}")
print(f"inside 90 %: {coverage(X_future[half:], draws[half:]).coverage.mean():.2f} before", end=", ")
print(f"{coverage(X_future[half:], stretched).coverage.mean():.2f} after")

# %%
# At all levels, and as the distribution of the measurements' ranks among the draws: above as decoded, below stretched.
# Before, a bowl: too many measurements are outside all draws.
figure, axes = plt.subplots(2, 2, figsize=(7.6, 6.8), layout="constrained")
for row, some in zip(axes, (draws[half:], stretched), strict=True):
    CoverageDisplay.from_predictions(X_future[half:], some, ax=row)
plt.show()
