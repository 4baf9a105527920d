"""
Images: galaxies in sixteen numbers
===================================

Images are encoded like spectra, but a point is a square patch of pixels. We simulate ellipticals, inclined discs and
spirals in a few lines, so no download is needed.
"""

# %%
# A galaxy is a light profile at some inclination and angle, blurred and noisy. As in image viewers, the stretch is the
# inverse hyperbolic sine of the signal in units of the noise.
import matplotlib.pyplot as plt
import numpy as np
from astropy.modeling.models import Sersic1D
from scipy.ndimage import gaussian_filter
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdaep import DAEPEncoder, Image
from skdaep.plotting import ImageDisplay, LatentMapDisplay, TraversalDisplay

KINDS = ["elliptical", "disc", "spiral"]
AXIS_RATIOS = {"elliptical": (0.55, 1.0), "disc": (0.15, 0.45), "spiral": (0.6, 1.0)}
SIZE = 32


def make_galaxy(kind, axis_ratio, rng):
    """Return an image of 32 x 32 pixels."""
    angle, radius = rng.uniform(0, np.pi), rng.uniform(4, 7)
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    along, across = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    r, phi = np.hypot(along, across / axis_ratio), np.arctan2(across / axis_ratio, along)
    light = Sersic1D(amplitude=1, r_eff=radius, n=4 if kind == "elliptical" else 1)(np.maximum(r, 0.3))
    if kind == "spiral":
        hand, winding = rng.choice([-1, 1]), rng.uniform(2.5, 4.5)
        arms = np.cos(2 * phi + hand * winding * np.log(r / radius) + rng.uniform(0, 2 * np.pi))
        light = light * (1 + 0.9 * np.clip(r / radius, 0, 1) * arms)
    light = gaussian_filter(light, 0.8)
    noise = 0.02 * light.max()
    return np.arcsinh((light + noise * rng.standard_normal(light.shape)) / (3 * noise))


rng = np.random.default_rng(0)
y = rng.choice(KINDS, size=1000)
axis_ratio = np.array([rng.uniform(*AXIS_RATIOS[kind]) for kind in y])
X = np.array([make_galaxy(*pair, rng) for pair in zip(y, axis_ratio, strict=True)])
X_train, X_test, y_train, y_test, _, q_test = train_test_split(X, y, axis_ratio, test_size=250, random_state=0)

# %%
# `Image` declares that rows and columns are pixels. By default, training mirrors images at random. This example uses
# large patches, 16 per image, and decodes them independently (``hidden_length=None``), so that it takes less than a
# minute on two cores.
encoder = DAEPEncoder(
    Image(patch_size=8),
    n_encoder_layers=2,
    n_decoder_layers=2,
    hidden_length=None,
    batch_size=32,
    max_iter=800,
    random_state=0,
)
Z_train = encoder.fit_transform(X_train)
Z_test = encoder.transform(X_test)

# %%
# The plot shows two galaxies of each kind that `fit` has not seen, their reconstructions from sixteen numbers, and the
# residuals. Size, inclination and angle are right, and so are direction and winding of the spiral arms. The residuals
# are nearly pure noise.
show = np.concatenate([np.flatnonzero(y_test == kind)[:2] for kind in KINDS])
display = ImageDisplay.from_estimator(encoder, X_test[show], titles=y_test[show])

# %%
# Draws
# -----
# Draws of the same object differ where the numbers leave the image undetermined. They also contain noise. Here are one
# object and three draws:
i = show[-1]
(draws,) = encoder.inverse_transform(Z_test[[i]], n_draws=20)
low, high = np.quantile(X_test[i], [0.005, 0.995])
figure, axes = plt.subplots(1, 4, figsize=(8, 2.2), layout="constrained", subplot_kw={"xticks": [], "yticks": []})
for n, (ax, image) in enumerate(zip(axes, (X_test[i], *np.moveaxis(draws, -1, 0)), strict=False)):
    ax.imshow(image, cmap="gray", origin="lower", vmin=low, vmax=high)
    ax.set_title("measured" if n == 0 else f"draw {n}", fontsize="medium")

# %%
# Kinds
# -----
# We train a linear classifier on the sixteen numbers, and plot a map of them, coloured by kind and by axis ratio.
probe = make_pipeline(StandardScaler(), LogisticRegression()).fit(Z_train, y_train)
print(f"accuracy {probe.score(Z_test, y_test):.3f}")
figure, axes = plt.subplots(1, 3, figsize=(14, 4), layout="constrained")
display = ConfusionMatrixDisplay.from_estimator(probe, Z_test, y_test, cmap="Blues", colorbar=False, ax=axes[0])
by_kind = LatentMapDisplay.from_predictions(Z_test, y_test, ax=axes[1])
by_ratio = LatentMapDisplay(by_kind.places, q_test, label="axis ratio").plot(axes[2])

# %%
# From one galaxy to another
# --------------------------
# These images are decoded along the straight line between two galaxies in the space of the sixteen numbers.
pair = (int(show[5]), int(show[3]))
display = TraversalDisplay.from_estimator(encoder, X_test, between=pair)
plt.show()
