"""
Kepler light curves through lightkurve
======================================

Light curves of a few RR Lyrae stars from the archive become vectors, and one is reconstructed from half of its points.
The first run downloads the light curves; later runs read them from the data home.
"""

# %%
# We use one quarter of each star. Each week is one object, with times counted from its first point.
import matplotlib.pyplot as plt
import numpy as np

from skdaep import DAEPEncoder, DatasetError
from skdaep.datasets import fetch_lightkurve

STARS = ["KIC 3733346", "KIC 6070714", "KIC 6100702", "KIC 7198959", "KIC 9591503", "KIC 11802860"]
try:
    curves = fetch_lightkurve(STARS, mission="Kepler", quarter=5, exptime="long")
except (DatasetError, ImportError) as error:
    raise SystemExit(f"This example needs its data: {error}") from None

X = []
for curve in curves:
    day = curve["time"] - curve["time"].min()
    for start in np.arange(0, day.max() - 7, 7):
        week = curve[(day >= start) & (day < start + 7)]
        if np.isfinite(week["flux"]).sum() > 200:
            week["time"] -= week["time"].min()
            X.append(week)
print(f"{len(X)} weeks of {len(STARS)} stars")

# %%
# Fit on all weeks except the last ones of the last star.
encoder = DAEPEncoder(max_points=128, max_iter=400, random_state=0, verbose=1).fit(X[:-4])

# %%
# Encode every second point, and decode at all of them.
seen, whole = X[-1][::2], X[-1]
(line,) = encoder.inverse_transform(encoder.transform([seen]), at=[whole])
figure, ax = plt.subplots(figsize=(9, 3), layout="constrained")
ax.plot(whole["time"], whole["flux"], ".", color="0.8", label="measured")
ax.plot(seen["time"], seen["flux"], ".", color="0.3", label="encoded")
ax.plot(line["time"], line["flux"], color="C0", label="decoded")
ax.set(xlabel="time [d]", ylabel="flux / median")
ax.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
figure.savefig("lightkurve.png", dpi=130)
