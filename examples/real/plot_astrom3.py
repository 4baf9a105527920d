"""
AstroM3: variable stars with a light curve and a spectrum
=========================================================

We encode an ASAS-SN light curve and a LAMOST spectrum into one vector, and predict the spectrum from the light curve
alone. The first run downloads 60 MB.
"""

# %%
# We use a tenth of the data set. The authors subtracted the mean of each light curve and spectrum, and divided by the
# median absolute deviation. The metadata of the light curve contain the brightness and its variation, which this
# removes.
import matplotlib.pyplot as plt
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdaep import DatasetError, MultimodalDAEP, Sequence, Spectrum
from skdaep.datasets import fetch_astrom3

try:
    (X_train, y_train), (X_test, y_test) = (fetch_astrom3("sub10", split) for split in ("train", "test"))
except (DatasetError, ImportError) as error:
    raise SystemExit(f"This example needs its data: {error}") from None

# %%
# With so few steps, training takes minutes on a CPU. The period and other numbers belong to the light curve.
modalities = {"photometry": Sequence(metadata=("period", "amplitude")), "spectrum": Spectrum()}
encoder = MultimodalDAEP(modalities, max_points=128, max_iter=400, random_state=0, verbose=1).fit(X_train)
probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(encoder.transform(X_train), y_train)
print(f"accuracy {probe.score(encoder.transform(X_test), y_test):.3f} in {len(set(y_train))} classes")

# %%
# What does the light curve imply for the spectrum?
alone = [{"photometry": x["photometry"]} for x in X_test[:3]]
measured = [x["spectrum"] for x in X_test[:3]]
decoded = encoder.inverse_transform(encoder.transform(alone), modality="spectrum", at=measured)
figure, axes = plt.subplots(1, 3, figsize=(12, 3), layout="constrained")
for ax, seen, guess, label in zip(axes, measured, decoded, y_test, strict=False):
    ax.plot(seen["wavelength"], seen["flux"], color="0.7", label="measured")
    ax.plot(guess["wavelength"], guess["flux"], color="C0", label="from the light curve")
    ax.set(title=label, xlabel="wavelength [Å]")
axes[0].set_ylabel("flux (scaled)")
axes[0].legend(frameon=False)
figure.savefig("astrom3.png", dpi=130)
