"""
Large catalogues
================

If a catalogue does not fit in memory, read it file by file and pack it into a folder. An encoder can train on this
folder directly, without making Tables. Here we simulate the catalogue.
"""

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from skdaep import DAEPEncoder, Photometry, pack
from skdaep.tables import from_nested

# %%
# Files with one row per object
# -----------------------------
# The points of each object are in lists, as in HATS catalogues and in the Parquet files of surveys.
folder = tempfile.TemporaryDirectory()


def light_curves(seed, n=500):
    """Return a table of n fading transients in two bands: the brighter, the slower."""
    rng, rows = np.random.default_rng(seed), []
    for _ in range(n):
        time, band = np.sort(rng.uniform(0, 60, 25)), rng.choice(["g", "r"], 25)
        peak = rng.uniform(17, 21)
        mag = peak + time / (10 * (23 - peak)) + 0.3 * (band == "g") + 0.05 * rng.standard_normal(25)
        rows.append({"mjd": time, "mag": mag, "band": band.tolist(), "peak": peak})
    return pa.Table.from_pylist(rows)


for k in range(4):
    pq.write_table(light_curves(k), Path(folder.name) / f"part{k}.parquet")

# %%
# Flat columns
# ------------
# ``from_nested`` uses the arrays of the file without copying them. It returns a list whose items become Tables on
# demand.
files = sorted(Path(folder.name).glob("*.parquet"))
X, _ = from_nested(pq.read_table(files[0]), columns=("mjd", "mag", "band"), meta=("peak",))
print(X)
print(X[0][:3])

# %%
# A folder to train on
# --------------------
# Only one file is in memory at a time. Bands and scaling are learned from the first 1,000 objects.
chunks = (from_nested(pq.read_table(f), columns=("mjd", "mag", "band"), meta=("peak",))[0] for f in files)
store = pack(chunks, Path(folder.name) / "store", Photometry(), n_learn=1000)
print(store)
encoder = DAEPEncoder(Photometry(), model_dim=32, max_iter=150, random_state=0).fit(store)

# %%
# Vectors of all objects
# ----------------------
Z = encoder.transform(store)
peak = np.concatenate([pq.read_table(f)["peak"].to_numpy() for f in files])
first, second = np.linalg.svd(Z - Z.mean(0), full_matrices=False)[2][:2]
plt.scatter(Z @ first, Z @ second, c=peak, s=3)
plt.colorbar(label="peak magnitude")
plt.gca().set(xlabel="first principal axis of the codes", ylabel="second")
plt.show()
