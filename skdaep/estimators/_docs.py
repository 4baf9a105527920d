"""Text that the docstrings of all encoders share, so that a parameter is described in one place."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable

from ..diffusion.process import PREDICTIONS
from ..diffusion.samplers import SAMPLERS
from ..diffusion.schedules import SCHEDULES
from ..training import SOLVERS

PARAMETERS = """\
bottleneck_length, bottleneck_dim : int, default=4, 4
    Number and width of the bottleneck tokens; `transform` returns their product as columns.
model_dim : int, default=64
    Width of all tokens inside the networks.
n_heads : int, default=4
    Attention heads; must divide `model_dim`.
n_encoder_layers : int, default=4
    Blocks of the encoder.
n_decoder_layers : int, default=4
    Blocks of the decoder.
hidden_length : int, "auto" or None, default="auto"
    Number of the decoder's hidden tokens, through which the points to be decoded see one another (two-stage).
    What is decoded then depends a little on which other locations are asked for with it: ask for whole objects, not
    for a window. None decodes each point independently (not in `MAEPEncoder`). The cost is linear in the number of
    points either way. "auto" chooses by modality: None for light curves and spectra (8 in `MAEPEncoder`), and 32 for
    images (None in `BetaVAEEncoder` and `MixtureOfExpertsVAE`).
encoder_hidden_length : int or None, default=[encoder_hidden_length]
    Number of hidden tokens between the points of a modality and the bottleneck queries; None: there are none.
share_weights : bool, default=False
    Whether all blocks of the encoder share their weights.
max_iter : int, default=1000
    Number of gradient steps.
batch_size : int, default=64
    Objects per batch, if they are of median length; longer objects come in smaller batches.
max_points : int or None, default=256
    In each training step an object shows at most so many of its points, a new random subset every time. The
    encoder sees a random share of them; a decoder predicts a quarter of that number, at least 32. None: all
    points, but of an object held out at most 32,768. `transform` and decoding always use all.
hide : {"points", "spans", "future"}, tuple of these, or dict, default="points"
    What is hidden from the encoder in training, so that codes of objects which lack it say so. "points": some at
    random. "spans": a stretch of up to three quarters of the range, as gaps are. "future": all after a random end,
    as in light curves that are still arriving. Of a tuple each object has one at random; a dict has them by
    modality, "points" without an entry. `transform` always sees all that it is given.
solver : {[solvers]}, default="muon"
    Optimiser.
    [solvers described]
learning_rate_init : float, default=4e-3
    Peak learning rate, reached after a warm-up and left on a cosine.
weight_decay : float, default=0.01
    Decoupled weight decay, on matrices only.
error_weighting : bool, default=False
    Whether a point of measurement error e_i counts with weight e^2 / (e^2 + e_i^2) in the loss, e the median error
    of the training points. Where no error is given a point counts as one of median error; without any, all alike.
    A Table without the column is refused then if others have it. Off by default: it gains little where it was
    measured (:doc:`/guide/objects`).
early_stopping : bool, default=True
    Whether to hold out objects, keep the weights with the lowest validation loss, and stop when it has not
    fallen for `n_iter_no_change` records of `history_`.
validation_fraction : float, default=0.1
    Share of the objects held out, whole groups if `fit` is given groups.
n_iter_no_change : int, default=30
    See `early_stopping`.
warm_start : bool, default=False
    Whether `fit` continues from the weights and scaling of the fit before. `history_`, the optimiser and the learning
    rate with its warm-up begin anew, so the loss may rise at first: one long fit learns more than several short ones.
    To go on after an interruption use `checkpoint`.
checkpoint : str, Path or None, default=None
    A file that `fit` keeps its state in. After a kill or a crash the same call goes on from there, and ends as if
    nothing had happened (:doc:`/guide/reproducibility`); other data or parameters are refused. On SIGTERM and Ctrl-C
    the state is written, and the model reached so far is kept. The file is removed when training has come to its end.
    Every fit needs a path of its own; `fit_prior` adds ".prior".
checkpoint_every : float, default=60.0
    Seconds between two states in that file; 0: one after every step.
random_state : int, RandomState or None, default=None
    Seed of initial weights, batches, noise and draws. Global generators are never touched.
device : str, default="auto"
    "auto" is CUDA where there is one, else the CPU; or a torch device such as "cpu", "cuda:1", "mps".
precision : {"auto", "float32", "bfloat16"}, default="auto"
    Of matrix products; "auto" is bfloat16 in `fit` on a CUDA device that has it, and float32 for all else. With
    "bfloat16" codes and reconstructions have its three digits, too.
verbose : bool or int, default=False
    Whether to write a line for each record of `history_`. For a progress bar call
    ``set_callbacks(sklearn.callback.ProgressBar())`` before `fit`.
"""

MODALITIES = """\
modalities : dict
    Name -> `Photometry`, `Spectrum`, `Sequence` or `Image`. X is a list of dicts with these names; a modality that
    an object lacks is None or left out, in `fit` too. A modality of an object is one Table: of several epochs make
    several objects, each with its epoch in ``meta``, and keep them together with ``fit(groups=)``.
"""

LATE_MIXING = """\
drop_modality : float, default=0.2
    Probability with which a modality of an object is hidden from the encoder in a training step; one is kept.
modality_weights : dict, default=None
    Name -> weight of its loss, 1 if left out. An object's loss is the weighted mean over the modalities it has.
mixer_self_attention : bool, default=False
    Whether the hidden tokens of all modalities attend to one another before the bottleneck queries read them.
"""

DENOISING = """\
prediction : {[predictions]}, default="x0"
    What the decoder predicts.
    [predictions described]
schedule : {[schedules]}, default="cosine"
    Noise schedule, a table of 1,000 steps.
    [schedules described]
sampler : {[samplers]}, default="dpm++"
    How draws are made.
    [samplers described]
n_sampling_steps : int, default=20
    How often a draw evaluates the decoder, at most. Samplers that evaluate it twice in a step take half as many steps.
"""

ATTRIBUTES = """\
modalities_ : dict
    The modality completed with what `fit` saw: columns, units, bands, scaling, default grid.
bottleneck_shape_ : tuple of int
    ``(bottleneck_length, bottleneck_dim)``, the shape of one row of `transform` before it is flattened.
history_ : list of dict
    One record per epoch, or per 50 steps where an epoch is shorter: iteration, loss, validation_loss,
    learning_rate, seconds. With a `core` the first is of the start, without a loss.
n_iter_ : int
    Gradient steps taken.
environment_ : dict
    Versions of skdaep, torch, numpy, scikit-learn, astropy and Python, commit, device and number of threads of the fit.
best_loss_ : float
    Lowest validation loss, or training loss without `early_stopping`.
device_ : str
    Device in use.
noise_correlation_ : dict
    By modality, how the noise of draws is correlated along the location; not at all where draws need no noise, or
    hidden tokens let points meet.
n_features_in_ : int
    Number of columns; only if X was an array.
feature_names_in_ : ndarray of str
    Names of the columns; only if X was a DataFrame of numbers.
"""

PRIOR_ATTRIBUTES = """\
prior_history_ : list of dict
    Records of the training of the prior; only after `fit_prior`.
"""

RAISES = """\
Raises
------
TableError
    In `fit`, `transform` and the like: an object cannot be used; the message names it and the column.
DivergenceError
    In `fit`: the loss is not finite; the message names the objects.
DeviceError
    In `fit`: there is no such device.

See Also
--------
Sequence : Declare the columns of a modality.
load : Read an estimator from a file written by its ``save``.
"""


def _summary(function: Callable) -> str:
    """Return the first line of a docstring; nothing under ``python -OO``."""
    return inspect.cleandoc(function.__doc__ or "").partition("\n")[0]


#: registry -> its members' names and what each is in a line
OPTIONS = {
    "solvers": {name: _summary(solver) for name, solver in SOLVERS.items()},
    "schedules": {name: _summary(schedule) for name, schedule in SCHEDULES.items()},
    "samplers": {name: _summary(sampler.step) for name, sampler in SAMPLERS.items()},
    "predictions": {name: prediction.summary for name, prediction in PREDICTIONS.items()},
}


def _with_options(text: str) -> str:
    """Fill the registries' names and descriptions in."""
    for registry, members in OPTIONS.items():
        text = text.replace(f"[{registry}]", ", ".join(f'"{name}"' for name in members))
        described = " ".join(f'"{name}": {summary}' for name, summary in members.items())
        lines = textwrap.fill(described, 120, initial_indent="    ", subsequent_indent="    ")
        text = text.replace(f"    [{registry} described]", lines)
    return text


def documented(cls):
    """Fill the shared parts into a class's docstring, where it has their names in brackets; for use as a decorator.

    Of the shared parameters those are described that the class has.
    """
    if cls.__doc__ is None:  # python -OO
        return cls
    cls.__doc__ = inspect.cleandoc(cls.__doc__) + "\n"
    signature = inspect.signature(cls).parameters
    parts = {
        "[modalities]": MODALITIES,
        "[late mixing]": LATE_MIXING,
        "[denoising parameters]": _with_options(DENOISING),
        "[shared parameters]": _of(signature, _with_options(PARAMETERS)),
        "[shared attributes]": ATTRIBUTES + (PRIOR_ATTRIBUTES if cls.objective_class.has_decoder else ""),
        "[raises]": RAISES,
        "[encoder_hidden_length]": str(getattr(signature.get("encoder_hidden_length"), "default", None)),
    }
    for name, text in parts.items():
        cls.__doc__ = cls.__doc__.replace(f"{name}\n", text.rstrip("\n") + "\n")
    return cls


def multimodal_docstring(cls, own: list[str]) -> str | None:
    """Return the docstring of the form of an encoder that takes several modalities, its shared parts in brackets."""
    if cls.__doc__ is None:  # python -OO
        return None
    (section,) = re.findall(r"Parameters\n-+\n((?:.+\n|\n(?!\w.*\n---))*)", cls.__doc__)
    shared = set(re.findall(r"^(\w+)(?=[, :])", PARAMETERS, re.MULTILINE))
    parameters = ["[modalities]", _of(set(own) - shared, section).strip("\n"), "[late mixing]", "[shared parameters]"]
    return "\n".join(
        [
            f"Encode objects of several modalities, any of which may be missing, as `{cls.__name__}` does of one.",
            *("", "Parameters", "----------", *filter(None, parameters)),
            *("", "Attributes", "----------", "[shared attributes]", "", "[raises]", ""),
        ]
    )


def _of(signature, text: str) -> str:
    """Return the entries of a section whose names are in a signature."""
    entries = re.split(r"\n(?=\S)", text)
    return "\n".join(e for e in entries if set(e.partition(" :")[0].split(", ")) <= set(signature))
