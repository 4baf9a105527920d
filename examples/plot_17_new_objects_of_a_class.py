"""
New objects of a class: a type Ia at ten days, please
=====================================================

If the distribution of bottlenecks is learned together with labels, the encoder can draw new objects of a class. Most
objects may have no label. Here 20 of 600 spectra have one, and we ask for spectra of a type at a phase.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from astropy.table import Table
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score

from skdaep import DAEPEncoder, Spectrum
from skdaep.datasets import make_supernova_spectra

X, y = make_supernova_spectra(1000, random_state=0)
X_train, X_test, y_test = X[:600], X[600:], y[600:]
y_train = [label if i < 20 else None for i, label in enumerate(y[:600])]
types, counts = np.unique(y[:20], return_counts=True)
print(dict(zip(types.tolist(), counts.tolist(), strict=True)))

# %%
# The phase is declared as metadata, so encoder and decoder know it, and the prior too. The type is only given to
# `fit_prior`: if it were metadata, you could no longer read it from the bottleneck. The encoder itself sees no label.
encoder = DAEPEncoder(
    Spectrum(metadata=("phase",)),
    bottleneck_dim=2,
    model_dim=48,
    n_encoder_layers=2,
    n_decoder_layers=2,
    batch_size=48,
    max_points=96,
    max_iter=300,
    random_state=0,
)
encoder.fit(X_train).fit_prior(X_train, y_train)

# %%
# A type Ia is now a short call. The Table says where to decode the new spectra, and at which phase.
wavelength = np.linspace(4200, 7500, 150)
at_ten_days = Table({"wavelength": wavelength}, meta={"phase": 10.0})
new = encoder.sample(3, y="Ia", at=at_ten_days)
print(new[0].meta["phase"], new[0].colnames)

# %%
# We ask for fifty spectra of each type at two phases, and compare them with test spectra of that type within five days.
# Lines are medians, and bands contain 68 % of the spectra. Real spectra are black.
phases = (0.0, 25.0)
figure, axes = plt.subplots(len(phases), len(types), figsize=(11, 5.5), sharex=True, sharey="row", layout="constrained")
for row, phase in zip(axes, phases, strict=True):
    at = Table({"wavelength": wavelength}, meta={"phase": phase})
    for ax, name in zip(row, types, strict=True):
        own = [x for x, label in zip(X_test, y_test, strict=True) if label == name]
        near = [x for x in own if abs(x.meta["phase"] - phase) < 5]
        real = np.array([np.interp(wavelength, x["wavelength"], x["flux"]) for x in near])
        drawn = np.array(encoder.sample(50, y=name, at=at, output="arrays"))
        for spectra, color in ((real, "black"), (drawn, "C0")):
            low, middle, high = np.percentile(spectra, [16, 50, 84], axis=0)
            ax.fill_between(wavelength, low, high, color=color, alpha=0.2, lw=0)
            ax.plot(wavelength, middle, color=color, lw=1)
        ax.set_title(f"{name}, {phase:g} days ({len(near)} real)")
    row[0].set_ylabel("flux / median")
for ax in axes[-1]:
    ax.set_xlabel("rest wavelength [Å]")

# %%
# Lines and colours are right where labelled spectra of the type have such a phase. None of the five labelled type Ia is
# later than 15 days, and none of the six Ibc near maximum: there the lines are still those of the type, but the colours
# are off.
#
# Are new objects of the class that we asked for? A random forest, trained on the real test spectra with all their
# labels, is the judge. We decode at the wavelengths and phases of training spectra, so that the new ones have the same
# gaps and the same noise.


def binned(spectra):
    edges = np.linspace(4200, 7500, 41)
    return np.array([np.interp((edges[1:] + edges[:-1]) / 2, s["wavelength"], s["flux"]) for s in spectra])


judge = RandomForestClassifier(300, random_state=0).fit(binned(X_test), y_test)
wanted = np.repeat(types, 150)
templates = [X_train[i] for i in np.random.default_rng(0).integers(len(X_train), size=len(wanted))]
new = encoder.sample(len(wanted), y=wanted, at=templates)
verdict = judge.predict(binned(new))
for name in types:
    print(f"asked for {name:4}", {str(k): int((verdict[wanted == name] == k).sum()) for k in types})
print(f"new objects:      {balanced_accuracy_score(wanted, verdict):.3f} are of their class")
others = judge.predict(binned(X_train[20:])), y[20:600]
print(f"real, not judged: {balanced_accuracy_score(*others[::-1]):.3f}")

# %%
# Do they help a classifier that has only the 20 labels? We train it on these, and on these with the new objects.
few, names = binned(X_train[:20]), y[:20]
for name, more, labels in (("20 real", [], []), ("20 real + 450 new", binned(new), wanted)):
    forest = RandomForestClassifier(300, class_weight="balanced", random_state=0)
    forest.fit([*few, *more], [*names, *labels])
    print(f"{name:18} balanced accuracy {balanced_accuracy_score(y_test, forest.predict(binned(X_test))):.3f}")

# %%
# New objects can only teach what the bottleneck and the labels contain. But the bottleneck has seen 600 spectra, and
# the forest alone only 20. With 60 labels the gain is gone. :doc:`/generated_objects` measures on real data when new
# objects help. Never test a classifier on them.
plt.show()
