"""
PLAsTiCC through the Multimodal Universe: transients in six bands
=================================================================

Simulated light curves of the Rubin Observatory, from the Hugging Face hub, become vectors of sixteen numbers without
labels. A map shows which types lie together. The first run downloads 15 MB.
"""

# %%
# Times are days from the most significant point. Fluxes span decades and can be negative, so the encoder learns their
# arcsinh.
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdaep import DAEPEncoder, DatasetError
from skdaep.datasets import fetch_multimodal_universe
from skdaep.plotting import LatentMapDisplay, ReconstructionDisplay
from skdaep.preprocessing import Arcsinh

try:
    tables, metadata = fetch_multimodal_universe("plasticc", n_objects=1500)
except (DatasetError, ImportError) as error:
    raise SystemExit(f"This example needs its data: {error}") from None

X = []
for table in tables:
    table["time"] -= table["time"][np.nanargmax(table["flux"] / table["flux_err"])]
    X.append(table[(table["time"] > -60) & (table["time"] < 200)])
y = np.asarray(metadata["obj_type"], str)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=500, random_state=0)
print(f"{len(X)} light curves, {len(set(y))} types, {np.median([len(t) for t in X]):.0f} points in the middle one")

# %%
# Fit on the light curves alone.
pipe = make_pipeline(Arcsinh(scale=10), DAEPEncoder(max_points=128, max_iter=400, random_state=0, verbose=1))
Z_train = pipe.fit_transform(X_train)
Z_test = pipe.transform(X_test)

# %%
# Accuracy of a linear classifier on sixteen numbers, compared with the share of the most common type:
probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(Z_train, y_train)
commonest = np.unique(y_test, return_counts=True)[1].max() / len(y_test)
print(f"accuracy {probe.score(Z_test, y_test):.3f}, the commonest type {commonest:.3f}")

# %%
# Light curves that look alike lie together.
LatentMapDisplay.from_predictions(Z_test, y_test).figure_.savefig("multimodal_universe_map.png", dpi=130)

# %%
# Two of them reconstructed, with the median and the spread of 50 draws.
before, encoder = pipe[:-1], pipe[-1]
display = ReconstructionDisplay.from_estimator(encoder, before.transform(X_test[:2]), n_draws=50)
display.figure_.savefig("multimodal_universe.png", dpi=130)
