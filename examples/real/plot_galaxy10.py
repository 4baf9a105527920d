"""
Galaxy10 DECaLS: images to sixteen numbers
==========================================

Two thousand colour images of galaxies become vectors of sixteen numbers without labels, and images are reconstructed
from them. The first run downloads a file of 2.5 GB.
"""

# %%
# The images are averaged down to 32 x 32 pixels.
import matplotlib.pyplot as plt
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdaep import DAEPEncoder, DatasetError, Image
from skdaep.datasets import fetch_galaxy10

try:
    X, y = fetch_galaxy10(2000, size=32, random_state=0)
except (DatasetError, ImportError) as error:
    raise SystemExit(f"This example needs its data: {error}") from None
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=400, stratify=y, random_state=0)

# %%
# Fit on the images alone. For good results use all of them, and some thousands of steps on a GPU.
encoder = DAEPEncoder(Image(patch_size=4), max_iter=400, random_state=0, verbose=1)
Z_train = encoder.fit_transform(X_train)

# %%
# A linear classifier on sixteen numbers:
probe = make_pipeline(StandardScaler(), LogisticRegression()).fit(Z_train, y_train)
Z_test = encoder.transform(X_test)
print(f"accuracy {probe.score(Z_test, y_test):.3f} in {len(set(y))} classes")

# %%
# Above: the images. Below: their reconstructions from sixteen numbers.
rebuilt = encoder.inverse_transform(Z_test[:6])
figure, axes = plt.subplots(2, 6, figsize=(12, 4), layout="constrained", subplot_kw={"xticks": [], "yticks": []})
for column, seen, image, label in zip(axes.T, X_test, rebuilt, y_test, strict=False):
    column[0].imshow(seen)
    column[1].imshow(image.clip(0, 1))
    column[0].set_title(label, fontsize="small")
figure.savefig("galaxy10.png", dpi=130)
