"""
Choosing the bottleneck
=======================

How many numbers does an object need? An encoder is a scikit-learn estimator, so `GridSearchCV` asks: by how well
objects are rebuilt, and by how well a classifier does behind it.
"""

# %%
# Light curves of supernovae of three types. One pipeline, two scores: of the encoder alone, `score` is minus the mean
# absolute error of the reconstruction, in standard deviations of the training values; of the whole, the accuracy.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdaep import DAEPEncoder
from skdaep.datasets import make_supernova_light_curves
from skdaep.plotting import ReconstructionDisplay

X, y = make_supernova_light_curves(400, random_state=0)
encoder = DAEPEncoder(
    bottleneck_length=2,
    model_dim=32,
    n_encoder_layers=2,
    n_decoder_layers=2,
    batch_size=32,
    max_points=32,
    max_iter=150,
    random_state=0,
)
pipe = make_pipeline(encoder, StandardScaler(), LogisticRegression(max_iter=1000))


def rebuilding(pipe, X, y):
    return pipe[0].score(X)


# %%
# More numbers always rebuild better, if training is long enough; what to take is the least number that is about as good
# as the best. About as good is here: within one standard error over the folds. `refit` may be such a rule, and the
# pipeline is then fitted with its choice to all objects.
n_folds = 3


def least_that_is_as_good(results):
    mean, error = results["mean_test_accuracy"], results["std_test_accuracy"] / np.sqrt(n_folds)
    best = np.argmax(mean)
    return int(np.flatnonzero(mean >= mean[best] - error[best])[0])


search = GridSearchCV(
    pipe,
    {"daepencoder__bottleneck_dim": [1, 2, 4, 8]},
    scoring={"rebuilding": rebuilding, "accuracy": "accuracy"},
    refit=least_that_is_as_good,
    cv=n_folds,
)
search.fit(X, y)
print(f"chosen: 2 x {search.best_params_['daepencoder__bottleneck_dim']} numbers")

# %%
# Points are means over the folds, bars the standard error. The line is what noise alone would leave of a perfect
# reconstruction.
results, (length, _) = search.cv_results_, search.best_estimator_[0].bottleneck_shape_
numbers = length * results["param_daepencoder__bottleneck_dim"].data.astype(int)
scale = search.best_estimator_[0].modalities_["sequence"].learned.value.scale
noise = np.sqrt(2 / np.pi) * np.mean([x["mag_err"].mean() for x in X]) / scale
figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
for ax, name, sign in zip(axes, ("rebuilding", "accuracy"), (-1, 1), strict=True):
    mean, sd = results[f"mean_test_{name}"], results[f"std_test_{name}"]
    ax.errorbar(numbers, sign * mean, sd / np.sqrt(n_folds), marker="o", capsize=2)
    ax.set(xscale="log", xticks=numbers, xticklabels=numbers, xlabel="numbers in the bottleneck")
    ax.minorticks_off()
axes[0].axhline(noise, color="0.5", lw=0.8)
axes[0].text(numbers[0], noise, "noise", color="0.5", va="bottom")
axes[0].set(ylabel="mean absolute error / s.d.", ylim=(0, None))
axes[1].set_ylabel("accuracy of the probe")

# %%
# What the pipeline that was chosen makes of three light curves that it knows.
titles = [f"type {kind}" for kind in y[:3]]
display = ReconstructionDisplay.from_estimator(search.best_estimator_[0], X[:3], titles=titles)
plt.show()
