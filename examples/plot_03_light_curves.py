"""
Light curves with bands: fill gaps, forecast the end
====================================================

These supernovae of types Ia, II and Ibc were observed in g and r on random nights. An encoded light curve can be
decoded in any band at any time, including cloudy nights and the future. Draws show how certain the prediction is.
"""

# %%
# Each object is one Table with a column for the band. Encoder and decoder get the redshift as metadata.
import matplotlib.pyplot as plt
import numpy as np
from astropy.table import Table
from sklearn.model_selection import train_test_split

from skdaep import ConformalDraws, DAEPEncoder, Photometry
from skdaep.datasets import make_supernova_light_curves
from skdaep.metrics import coverage, object_errors
from skdaep.plotting import CoverageDisplay, ReconstructionDisplay

X, y = make_supernova_light_curves(900, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=150, random_state=0)
X_train[0][:3]

# %%
# Training starts from functional PCA, which knows how much a few points leave open, so the encoder can forecast from
# the first nights. Training is short, so that the example takes less than a minute on two cores.
encoder = DAEPEncoder(
    Photometry(metadata=("redshift",)),
    bottleneck_dim=2,
    model_dim=32,
    n_encoder_layers=2,
    n_decoder_layers=2,
    batch_size=48,
    max_iter=500,
    n_sampling_steps=10,
    random_state=0,
).fit(X_train)

# %%
# Hide measurements
# -----------------
# In light curves that `fit` has not seen, we hide everything between days 8 and 20 and after day 35, and encode the
# rest.
GAP, END = (8, 20), 35
tests = []
for table, label in zip(X_test, y_test, strict=True):
    time = table["time"].value
    gap, late = (time > GAP[0]) & (time < GAP[1]), time > END
    if (~gap & ~late).sum() > 5 and gap.sum() > 1 and late.sum() > 5:
        pieces = {"seen": table[~gap & ~late], "gap": table[gap], "forecast": table[late]}
        tests.append(pieces | {"whole": table, "label": label})
seen = [test["seen"] for test in tests]

# %%
# Fill gaps
# ---------
# We decode one light curve of each type on all nights. The grey areas were hidden from the encoder, but their points
# are shown for comparison. Lines are medians of 100 draws, and bands contain 68 and 95 % of them. A draw is a possible
# measurement, noise included. The draws of ``reconstruct`` know how little was seen; those of ``inverse_transform``
# only know z, and would be far too narrow here.
show = [next(i for i, test in enumerate(tests) if test["label"] == kind) for kind in ("Ia", "II", "Ibc")]
measured = [tests[i]["whole"] for i in show]
titles = [f"{tests[i]['label']}, $z$ = {tests[i]['whole'].meta['redshift']:.2f}" for i in show]


def fine(table):
    """Return 140 nights in each band."""
    bands, time = np.unique(table["band"]), table["time"].value
    nights = np.linspace(time.min(), time.max(), 140)
    grid = {"time": np.repeat(nights, len(bands)), "band": np.tile(bands, len(nights))}
    return Table(grid, units={"time": "day"}, meta=table.meta)


def draw(seen, tables):
    """Return 100 draws at the rows of tables."""
    return encoder.reconstruct(seen, at=tables, n_draws=100)


shown = [seen[i] for i in show]
curves = draw(shown, [fine(table) for table in measured])
display = ReconstructionDisplay.from_predictions(measured, draw(shown, measured), curves=curves, titles=titles)
for column in display.axes_.T:
    left, right = column[0].get_xlim()
    for ax in column:
        ax.axvspan(*GAP, color="0.92", zorder=0)
        ax.axvspan(END, right, color="0.92", zorder=0)
        ax.set_xlim(left, right)

# %%
# As it arrives
# -------------
# Now we encode the same supernova after 5, 12 and 30 days, and measure how good the forecasts of all test objects are
# at these times.
table = measured[0]
days = (5, 12, 30)
early = [table[table["time"].value <= table["time"].value.min() + day] for day in days]
display = ReconstructionDisplay.from_predictions(
    [table] * 3,
    draw(early, [table] * 3),
    curves=draw(early, [fine(table)] * 3),
    titles=[f"after {day} days" for day in days],
)
for column, until in zip(display.axes_.T, early, strict=True):
    left, right = column[0].get_xlim()
    for ax in column:
        ax.axvspan(until["time"].value.max(), right, color="0.92", zorder=0)
        ax.set_xlim(left, right)


def rate(seen, tables):
    """Return the mean error, the share of points inside the central 90 % of the draws, and its width."""
    draws = encoder.reconstruct(seen, at=tables, n_draws=50, output="arrays")
    inside = coverage(tables, draws, level=0.9)
    errors = object_errors(tables, encoder.reconstruct(seen, at=tables, output="arrays"))
    return draws, (errors.mean(), inside.coverage.mean(), inside.width.mean())


print(f"{'':16}{'error [mag]':>13}{'inside 90 %':>13}{'width [mag]':>13}")
for day in days:
    ends = [test["whole"]["time"].value.min() + day for test in tests]
    first = [test["whole"][test["whole"]["time"].value <= end] for test, end in zip(tests, ends, strict=True)]
    rest = [test["whole"][test["whole"]["time"].value > end] for test, end in zip(tests, ends, strict=True)]
    _, scores = rate(first, rest)
    print(f"after {day:2} days   " + "".join(f"{score:13.3f}" for score in scores))

# %%
# Errors and coverage
# -------------------
# We compute the same scores for the light curves with hidden points: for the points that the encoder saw, for those in
# the gap, and for those after day 35.
for name in ("seen", "gap", "forecast"):
    tables = [test[name] for test in tests]
    draws, scores = rate(seen, tables)
    print(f"{name:16}" + "".join(f"{score:13.3f}" for score in scores))

# %%
# Calibrate the intervals
# -----------------------
# `ConformalDraws` uses half of the test objects to find how much the forecasts must be stretched or shrunk so that
# their intervals contain 90 % of the measurements. We apply this factor to the other half.
half = len(tests) // 2
calibration = ConformalDraws(level=0.9).fit(tables[:half], draws[:half])
stretched = calibration.transform(draws[half:])
print(f"stretched by {calibration.factor_:.2f}")
print(f"inside 90 %: {coverage(tables[half:], draws[half:]).coverage.mean():.2f} before", end=", ")
print(f"{coverage(tables[half:], stretched).coverage.mean():.2f} after")

# %%
# The plots show the coverage at all levels and the ranks of the measurements among the draws, as decoded (top) and
# stretched (bottom). The factor is only right for the level for which it was calibrated, 0.9.
figure, axes = plt.subplots(2, 2, figsize=(7.6, 6.8), layout="constrained")
for row, name, shown in zip(axes, ("as decoded", "stretched"), (draws[half:], stretched), strict=True):
    CoverageDisplay.from_predictions(tables[half:], shown, ax=row)
    row[0].set_title(name, fontsize="medium")
plt.show()
