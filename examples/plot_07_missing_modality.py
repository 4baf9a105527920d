"""
Two modalities, one of them missing
===================================

Some supernovae have a light curve, some a spectrum, some both. One encoder accepts all of them. It predicts the missing
spectrum from the light curve, or the missing light curve from the spectrum.
"""

# %%
# An object is a dict of its modalities. A third of the training objects have no spectrum, and a fifth have no light
# curve.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdaep import MultimodalDAEP, Photometry, Spectrum
from skdaep.datasets import make_supernova_light_curves, make_supernova_spectra
from skdaep.metrics import coverage, object_errors
from skdaep.plotting import CrossModalDisplay, ProbeDisplay

spectra, y = make_supernova_spectra(800, random_state=0)
light_curves, _ = make_supernova_light_curves(800, random_state=0)  # of the same supernovae
X = [{"photometry": c, "spectrum": s} for c, s in zip(light_curves, spectra, strict=True)]
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=200, stratify=y, random_state=0)
for x, u in zip(X_train, np.random.default_rng(0).uniform(size=len(X_train)), strict=True):
    if u < 1 / 3:
        x["spectrum"] = None
    elif u < 1 / 3 + 1 / 5:
        x["photometry"] = None
complete = sum(x["spectrum"] is not None and x["photometry"] is not None for x in X_train)
print(f"{len(X_train)} objects, {complete} of them with both")

# %%
# Training hides each modality of an object from the encoder with probability ``drop_modality``, but its decoder must
# still reconstruct it. The decoders get the phase of the spectrum and the redshift. Training is short, so that the
# example takes less than a minute on two cores.
encoder = MultimodalDAEP(
    {"photometry": Photometry(metadata=("redshift",)), "spectrum": Spectrum(metadata=("phase",))},
    drop_modality=0.5,
    model_dim=32,
    n_encoder_layers=2,
    n_decoder_layers=2,
    encoder_hidden_length=8,
    max_points=96,
    max_iter=350,
    n_sampling_steps=10,
    random_state=0,
).fit(X_train)

# %%
# Encode objects that lack a modality
# -----------------------------------
# `transform` always returns sixteen numbers. We probe them for the type of the test objects:
given = {
    "both": X_test,
    "light curve alone": [{"photometry": x["photometry"]} for x in X_test],
    "spectrum alone": [{"spectrum": x["spectrum"]} for x in X_test],
}
codes = {name: encoder.transform(objects) for name, objects in given.items()}
display = ProbeDisplay.from_predictions(codes, y_test)

# %%
# So one classifier is enough. We train it on the training objects, each with the modalities that it has, and apply it
# to test objects with both modalities or either one.
classifier = make_pipeline(StandardScaler(), LogisticRegression()).fit(encoder.transform(X_train), y_train)
for name, z in codes.items():
    print(f"{name:20}accuracy {classifier.score(z, y_test):.3f}")

# %%
# A spectrum from a light curve
# -----------------------------
# Top: the light curve. Middle: the spectrum predicted from it, as the median of 50 draws, with bands that contain 68
# and 95 % of them. The encoder did not see the true spectrum, only its phase. Bottom: the residuals.
show = [X_test[np.flatnonzero(y_test == kind)[0]] for kind in ("Ia", "II", "Ibc")]
titles = [f"{kind}, day {x['spectrum'].meta['phase']:+.0f}" for kind, x in zip(("Ia", "II", "Ibc"), show, strict=True)]
display = CrossModalDisplay.from_estimator(encoder, show, modality="spectrum", titles=titles)

# %%
# How much of this is due to the light curve? The phase alone already determines a lot. So we also predict the spectrum,
# at the same phase, from the light curve of another supernova, and we reconstruct it from light curve and spectrum.
truth = [x["spectrum"] for x in X_test]
other = given["light curve alone"][1:] + given["light curve alone"][:1]
sources = {"both": X_test, "its light curve": given["light curve alone"], "another's light curve": other}
for name, objects in sources.items():
    predicted = encoder.reconstruct(objects, modality="spectrum", at=truth, output="arrays")
    print(f"spectrum from {name:24}error {object_errors(truth, predicted).mean():.3f} of the median flux")
sparse = [spectrum[::8] for spectrum in truth]  # to save time
draws = encoder.reconstruct(given["light curve alone"], modality="spectrum", at=sparse, n_draws=20, output="arrays")
print(f"inside the central 90 % of the draws: {coverage(sparse, draws).coverage.mean():.2f}")

# %%
# A light curve from a spectrum
# -----------------------------
# Now the other direction. The spectrum is divided by its median, so it does not contain the brightness of the
# supernova; the decoder only knows the redshift. So the bands are as wide as the scatter of luminosities within a
# type. Most of their width is a common shift of the whole curve.
display = CrossModalDisplay.from_estimator(encoder, show, modality="photometry")
plt.show()
