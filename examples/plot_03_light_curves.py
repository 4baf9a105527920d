"""
Light curves with bands: fill gaps, forecast the end
====================================================

Light curves of types Ia, II and Ibc in g and r, at random nights. An encoded light curve can be decoded in any band at
any time: where clouds were, and in the future. Draws show how certain that is.
"""

# %%
# Each object is one Table with a column for the band. Encoder and decoder are given the redshift as metadata.
import matplotlib.pyplot as plt
import numpy as np
from astropy.table import Table, vstack
from sklearn.model_selection import train_test_split

from skdaep import ConformalDraws, MultimodalDAEP, Photometry
from skdaep.datasets import make_supernova_light_curves
from skdaep.metrics import coverage, object_errors
from skdaep.plotting import CoverageDisplay, ReconstructionDisplay

X, y = make_supernova_light_curves(900, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=150, random_state=0)
X_train[0][:3]

# %%
# A gap needs nothing special, because training hides points at random. A forecast does: an encoder that has always
# seen some of the last points does not know how little it knows without them. So everything after day 35 becomes a
# modality of its own, which `MultimodalDAEP` sometimes hides from the encoder (``drop_modality``) and decodes from the
# rest. Training is short, to stay below a minute on two cores.
END = 35


def parts(table):
    """Return what was measured up to the last day, and what came later; None where there is nothing."""
    late = table["time"].value > END
    pieces = {"early": table[~late], "late": table[late]}
    return {name: piece if len(piece) else None for name, piece in pieces.items()}


light_curve = Photometry(metadata=("redshift",))
encoder = MultimodalDAEP(
    {"early": light_curve, "late": light_curve},
    drop_modality=0.3,
    bottleneck_dim=2,
    model_dim=32,
    n_encoder_layers=2,
    n_decoder_layers=2,
    batch_size=48,
    max_iter=350,
    n_sampling_steps=10,
    random_state=0,
).fit([parts(table) for table in X_train])

# %%
# Hide measurements
# -----------------
# In light curves that `fit` has not seen, hide everything between days 8 and 20 and after day 35. Encode the rest.
GAP = (8, 20)
tests = []
for table, label in zip(X_test, y_test, strict=True):
    time = table["time"].value
    gap, late = (time > GAP[0]) & (time < GAP[1]), time > END
    if (~gap & ~late).sum() > 5 and gap.sum() > 1 and late.sum() > 5:
        pieces = {"seen": table[~gap & ~late], "gap": table[gap], "forecast": table[late]}
        tests.append(pieces | {"whole": vstack([table[~late], table[late]]), "label": label})
Z = encoder.transform([{"early": test["seen"]} for test in tests])

# %%
# Fill in
# -------
# Decode at all nights of one light curve of each type. The grey areas were hidden from the encoder; their points are
# shown for comparison. Lines are medians of 100 draws, and bands contain 68 and 95 % of them. A draw is a possible
# measurement, noise included.
show = [next(i for i, test in enumerate(tests) if test["label"] == kind) for kind in ("Ia", "II", "Ibc")]
measured = [tests[i]["whole"] for i in show]
titles = [f"{tests[i]['label']}, $z$ = {tests[i]['whole'].meta['redshift']:.2f}" for i in show]


def fine(table):
    bands, time = np.unique(table["band"]), table["time"].value
    nights = np.concatenate([np.linspace(time.min(), END, 70), np.linspace(END + 0.1, time.max(), 70)])
    grid = {"time": np.repeat(nights, len(bands)), "band": np.tile(bands, len(nights))}
    return Table(grid, units={"time": "day"}, meta=table.meta)


def draw(tables):
    """Return draws of the three at the rows of tables, each part from its own decoder."""
    places = [parts(table) for table in tables]
    early, late = (
        encoder.inverse_transform(Z[show], modality=name, at=[place[name] for place in places], n_draws=100)
        for name in ("early", "late")
    )
    return [vstack(pair) for pair in zip(early, late, strict=True)]


display = ReconstructionDisplay.from_predictions(
    measured, draw(measured), curves=draw([fine(table) for table in measured]), titles=titles
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
# Errors, and the share of points inside the central 90 % of the draws, for all test objects: in what the encoder saw,
# in the gap, and after the end. The width is that of the central 90 %.
print(f"{'':10}{'error [mag]':>13}{'inside 90 %':>13}{'width [mag]':>13}")
for name, modality in {"seen": "early", "gap": "early", "forecast": "late"}.items():
    tables = [test[name] for test in tests]
    draws = encoder.inverse_transform(Z, modality=modality, at=tables, n_draws=30, output="arrays")
    inside = coverage(tables, draws, level=0.9)
    errors = object_errors(tables, encoder.inverse_transform(Z, modality=modality, at=tables, output="arrays"))
    print(f"{name:10}{errors.mean():13.3f}{inside.coverage.mean():13.2f}{inside.width.mean():13.2f}")

# %%
# Gaps are filled as well as the rest, and slightly more than 90 % of their measurements are inside. The forecast is
# worse, but its draws are no wider, so too many measurements lie outside.

# %%
# Mend the forecast
# -----------------
# `ConformalDraws` finds on half of the test objects how much the draws must be stretched, and stretches those of the
# other half.
half = len(tests) // 2
calibration = ConformalDraws(level=0.9).fit(tables[:half], draws[:half])
stretched = calibration.transform(draws[half:])
print(f"stretched by {calibration.factor_:.2f}")
print(f"inside 90 %: {coverage(tables[half:], draws[half:]).coverage.mean():.2f} before", end=", ")
print(f"{coverage(tables[half:], stretched).coverage.mean():.2f} after")

# %%
# Coverage at all levels, and the distribution of the ranks of the measurements among the draws: above as decoded,
# below stretched. One factor is right for the level it was made for, 0.9. At lower levels the intervals contain more
# points than stated.
figure, axes = plt.subplots(2, 2, figsize=(7.6, 6.8), layout="constrained")
for row, name, some in zip(axes, ("as decoded", "stretched"), (draws[half:], stretched), strict=True):
    CoverageDisplay.from_predictions(tables[half:], some, ax=row)
    row[0].set_title(name, fontsize="medium")
plt.show()
