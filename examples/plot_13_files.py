"""
Save, load, continue
====================

Save a fitted encoder to a single file that is safe to open. You can stop training at any time, and continue it later.
"""

# %%
import tempfile
import warnings
from pathlib import Path

import joblib
import matplotlib.pyplot as plt
import numpy as np
from sklearn.callback import FitCallback
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skdaep
from skdaep import DAEPEncoder
from skdaep.datasets import make_supernova_light_curves
from skdaep.plotting import LossDisplay

# %%
# Training starts from random weights (``core=None``). From the default start, which is functional PCA, so few steps
# would improve nothing, and this example is about training.
X, y = make_supernova_light_curves(500, random_state=0)
encoder = DAEPEncoder(
    core=None,
    bottleneck_dim=2,
    model_dim=32,
    n_encoder_layers=2,
    n_decoder_layers=2,
    max_points=64,
    max_iter=300,
    random_state=0,
)
encoder.fit(X[:400])

# %%
# Files
# -----
# Weights, parameters, columns, units and scaling are in one safetensors file. Loading it executes no code, and the
# loaded model gives the same numbers.
folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "supernovae.safetensors"
encoder.save(path)
Z = encoder.transform(X)
same = skdaep.load(path)
print(f"{path.stat().st_size / 1024:.0f} kB; the same numbers: {np.array_equal(same.transform(X), Z)}")

# %%
# A file with a single flipped bit is refused.
content = bytearray(path.read_bytes())
content[-1] ^= 1
damaged = path.with_name("damaged.safetensors")
damaged.write_bytes(content)
try:
    skdaep.load(damaged)
except skdaep.CorruptModelError as error:
    print(str(error).replace(str(damaged), damaged.name))

# %%
# joblib can save a whole pipeline. But loading such a file executes code, so only open your own.
pipe = make_pipeline(encoder, StandardScaler(), LogisticRegression(max_iter=1000))
pipe[1:].fit(Z[:400], y[:400])
joblib.dump(pipe, path.with_suffix(".joblib"))
again = joblib.load(path.with_suffix(".joblib"))
print(f"accuracy {again.score(X[400:], y[400:]):.2f}, before {pipe.score(X[400:], y[400:]):.2f}")

# %%
# Continue training
# -----------------
# Were 300 steps enough? The warning of the first fit says no. With ``warm_start`` the next `fit` starts from the
# current weights, here those of the loaded model.
more = skdaep.load(path).set_params(warm_start=True)
more.fit(X[:400])
print(f"validation loss {encoder.best_loss_:.4f}, after another {more.n_iter_} steps {more.best_loss_:.4f}")

# %%
# The plot shows the losses of both fits, one after the other. The learning rate starts at its peak again, so the
# training loss first rises, and then falls below its old value. The validation loss does the same, but falls less. When
# the two drift apart, the network begins to memorise the training objects.
first, second = encoder.history_, more.history_
shifted = [record | {"iteration": record["iteration"] + encoder.n_iter_} for record in second]
losses = LossDisplay([*first, *shifted]).plot()
losses.ax_.axvline(encoder.n_iter_, color="0.6", lw=0.8, ls="--")

# %%
# Stop early
# ----------
# Ctrl-C, or the stop button of a notebook, ends the training but not the program. A warning says that the current
# model is kept. To demonstrate this here, a callback imitates Ctrl-C after 100 steps.


class CtrlC(FitCallback):
    """Interrupt after 100 steps."""

    def on_fit_task_end(self, estimator, context, *, metadata=None):
        """Look at a record of training."""
        if metadata is not None and metadata["record"]["iteration"] == 100:
            raise KeyboardInterrupt


stopped = DAEPEncoder(**encoder.get_params()).set_callbacks(CtrlC())
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    stopped.fit(X[:400])
print(caught[0].message)

# %%
# The scores of the three models on unseen objects: minus the mean absolute error, in standard deviations.
for steps, fitted in {"100 of 300": stopped, "300": encoder, "300 + 300": more}.items():
    print(f"{steps:>10} steps: {fitted.score(X[400:]):.3f}")
folder.cleanup()
plt.show()
