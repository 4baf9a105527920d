"""
Choosing the bottleneck
=======================

How many numbers does an object need? An encoder is a scikit-learn estimator, so `GridSearchCV` can find out. It
compares how well objects are reconstructed, and how well a classifier does.
"""

# %%
# The data are light curves of three types of supernovae. The pipeline has two scores. The `score` of the encoder is
# minus the mean absolute error of the reconstruction, in standard deviations of the training values. The `score` of
# the whole pipeline is the accuracy of the classifier.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdaep import DAEPEncoder
from skdaep.datasets import make_supernova_light_curves
from skdaep.plotting import ReconstructionDisplay

X, y = make_supernova_light_curves(600, random_state=0)
encoder = DAEPEncoder(
    bottleneck_length=1,
    model_dim=32,
    n_encoder_layers=2,
    n_decoder_layers=2,
    batch_size=32,
    max_points=32,
    max_iter=220,
    random_state=0,
)
pipe = make_pipeline(encoder, StandardScaler(), LogisticRegression(max_iter=1000))


def rebuilding(pipe, X, y):
    return pipe[0].score(X)


# %%
# If training is long enough, more numbers always reconstruct better. So we choose the smallest number whose accuracy is
# within one standard error of the best. We pass this rule as `refit`, so the pipeline is then fitted to all objects
# with the chosen number. This example uses one split and 220 steps, so that it finishes in a minute. For a real
# decision use several folds, and train until the score stops improving.
split = ShuffleSplit(n_splits=1, test_size=0.25, random_state=0)


def least_that_is_as_good(results):
    accuracy = results["mean_test_accuracy"]
    best = accuracy.max()
    error = np.sqrt(best * (1 - best) / (0.25 * len(X)))
    return int(np.flatnonzero(accuracy >= best - error)[0])


search = GridSearchCV(
    pipe,
    {"daepencoder__bottleneck_dim": [1, 2, 4, 8]},
    scoring={"rebuilding": rebuilding, "accuracy": "accuracy"},
    refit=least_that_is_as_good,
    cv=split,
)
search.fit(X, y)
print(f"chosen: {search.best_params_['daepencoder__bottleneck_dim']} numbers")

# %%
# Horizontal lines show the error of a perfect reconstruction, which is due to noise alone, and the share of the most
# common type. Error bars are standard errors of the accuracy.
results = search.cv_results_
numbers = results["param_daepencoder__bottleneck_dim"].data.astype(int)
accuracy, left_over = results["mean_test_accuracy"], -results["mean_test_rebuilding"]
scale = search.best_estimator_[0].modalities_["sequence"].learned.value.scale
noise = np.sqrt(2 / np.pi) * np.mean([x["mag_err"].mean() for x in X]) / scale
commonest = np.unique(y, return_counts=True)[1].max() / len(y)
figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
axes[0].plot(numbers, left_over, "o-")
axes[1].errorbar(numbers, accuracy, np.sqrt(accuracy * (1 - accuracy) / (0.25 * len(X))), fmt="o-", capsize=2)
for ax, level, name in zip(axes, (noise, commonest), ("noise", "commonest type"), strict=True):
    ax.axhline(level, color="0.5", lw=0.8)
    ax.text(numbers[-1], level, name, color="0.5", va="bottom", ha="right")
    ax.set(xscale="log", xticks=numbers, xticklabels=numbers, xlabel="numbers in the bottleneck")
    ax.minorticks_off()
axes[0].set(ylabel="mean absolute error / s.d.", ylim=(0, None))
axes[1].set(ylabel="accuracy of the probe", ylim=(None, 1))

# %%
# Three training light curves, one of each type, reconstructed by the chosen encoder.
shown = [int(np.flatnonzero(y == kind)[0]) for kind in ("Ia", "II", "Ibc")]
titles = [f"type {y[i]}" for i in shown]
display = ReconstructionDisplay.from_estimator(search.best_estimator_[0], [X[i] for i in shown], titles=titles)
plt.show()
