"""Shared parts of the docstrings of all encoders, so that each parameter is described in one place."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Iterable

from ..diffusion.process import PREDICTIONS
from ..diffusion.samplers import SAMPLERS
from ..diffusion.schedules import SCHEDULES
from ..objectives import ALIGNMENTS
from ..training import SOLVERS

PARAMETERS = """\
bottleneck_length, bottleneck_dim : int, default=4, 4
    Number and width of the bottleneck tokens. `transform` returns ``bottleneck_length * bottleneck_dim`` columns.
model_dim : int, default=64
    Width of the networks.
n_heads : int, default=4
    Number of attention heads; must divide `model_dim`.
n_encoder_layers : int, default=4
    Number of encoder blocks.
n_decoder_layers : int, default=4
    Number of decoder blocks.
hidden_length : int, "auto" or None, default="auto"
    Number of hidden tokens in the decoder, through which points exchange information (two-stage). Predictions then
    depend slightly on the other decoded points, so decode whole objects rather than a window. None decodes each point
    independently (not in `MAEPEncoder`). The cost is linear in the number of points in both cases. "auto" means None
    for light curves and spectra (8 in `MAEPEncoder`), and 32 for images (None in `BetaVAEEncoder` and
    `MixtureOfExpertsVAE`).
encoder_hidden_length : int or None, default=[encoder_hidden_length]
    Number of hidden tokens between the points of a modality and the bottleneck. None reads the points directly.
share_weights : bool, default=False
    Whether all blocks of the encoder share their weights.
core : {"auto", "linear", "basis"} or None, default="auto"
    Where training starts; finding the start takes seconds. "linear" starts from a `FunctionalPCA` of equal size. The
    first codes are its scores, scaled and rotated; training adds nonlinear terms to encoder and decoder. `fit` keeps
    the weights with the lowest absolute error on validation objects, which may be those of the start. The start ignores
    metadata. "basis" leaves the codes free: the encoder reads the scores of each modality as an additional token, and
    the decoder adds the mean and the basis functions, with coefficients that a network computes from code and metadata.
    Both need points on a line or images and, with a diffusion decoder, ``prediction="x0"``. None starts from random
    weights, as in the paper. "auto" means "linear" in `DAEPEncoder` and `MAEPEncoder`, "basis" in `BetaVAEEncoder` and
    for several modalities, and None where these are not possible.
isometric : bool, default=False
    Whether to rescale codes after training, so that the distance between two similar objects is the root mean square
    difference of their reconstructions, in scaled units (for several modalities, the weighted mean). Reconstructions do
    not change. Whether neighbours and probes improve depends on the classes (:doc:`/guide/bottleneck`).
supervised_weight : float, default=0.0
    Weight w, from 0 to 1, of the labels y of `fit` in the loss (1 - w) L + w L_labels, where L is the usual loss. A
    linear head predicts the labels from the bottleneck: quantiles of numbers, or probabilities of classes
    (:doc:`/guide/labels`). Objects without a label only contribute to L. 0 ignores y. With 1 only labels are learned,
    and reconstructions are meaningless.
max_iter : int, default=1000
    Number of gradient steps. The learning rate falls to zero over these steps, so every loss curve flattens at the end.
    If the validation loss still fell by more than 5 % in the last third, a ConvergenceWarning says so. Double
    `max_iter` until `score` on held-out objects stops improving.
batch_size : int, default=64
    Objects per batch. Batches of long objects hold fewer, batches of short ones more.
max_points : int or None, default=256
    Largest number of points per object in a training step; each step uses a new random subset. The encoder sees a
    random share of them, and the decoder predicts a quarter of this number, at least 32. None uses all points, but at
    most 32,768 of a validation object. `transform` and decoding always use all points.
hide : {"points", "spans", "future", "ends"}, tuple of these, or dict, default="points"
    What training hides from the encoder, so that the encoder learns to deal with such gaps. "points" hides random
    points. "spans" hides a stretch of up to three quarters of the range, like a gap. "future" hides everything after a
    random time, as in a light curve that is still arriving. "ends" hides all but a random section of at least a quarter
    of the range. With a tuple, one of them is chosen at random for each object. A dict sets them by modality; the
    default for a modality is "points". `transform` always uses all points.
solver : {[solvers]}, default="muon"
    Optimiser.
    [solvers described]
learning_rate_init : float, default=4e-3
    Peak learning rate. It rises in a warm-up and then falls along a cosine.
weight_decay : float, default=0.01
    Decoupled weight decay, of matrices only.
error_weighting : bool, default=False
    Whether to weight points in the loss by e^2 / (e^2 + e_i^2), where e_i is the error of the point and e the median
    error of the training points. A point without an error is treated as if it had the median error. Either all Tables
    must have an error column, or none. Off by default, because it improved little in tests (:doc:`/guide/objects`).
early_stopping : bool, default=True
    Whether to hold out objects for validation, keep the weights with the lowest validation loss, and stop when it has
    not fallen for `n_iter_no_change` records of `history_`.
validation_fraction : float, default=0.1
    Share of the objects to hold out. Groups given to `fit` are held out as a whole.
n_iter_no_change : int or "auto", default="auto"
    See `early_stopping`. "auto" is a quarter of the records of `max_iter` steps, at least 5. A fit that starts from a
    `core` never stops early, because it only improves on its start once the learning rate has become small.
warm_start : bool, default=False
    Whether `fit` starts from the weights and scaling of the previous fit. `history_`, the optimiser and the learning
    rate start again, so the loss may rise at first, and one long fit is better than several short ones. To continue
    after an interruption use `checkpoint`.
checkpoint : str, Path or None, default=None
    File in which `fit` stores its state. After a kill or a crash the same call continues from there, with the same
    result as an uninterrupted fit (:doc:`/guide/reproducibility`); other data or parameters are refused. On SIGTERM and
    Ctrl-C, `fit` writes the state and keeps the current model. The file is removed when training ends. Every fit needs
    its own path; `fit_prior` adds ".prior" to it.
checkpoint_every : float, default=60.0
    Seconds between checkpoints; 0 writes one after every step.
random_state : int, RandomState or None, default=None
    Seed of initial weights, batches, noise and draws. Global generators are never used.
device : str, default="auto"
    "auto" uses CUDA if available, else the CPU. Or name a torch device, such as "cpu", "cuda:1" or "mps".
precision : {"auto", "float32", "bfloat16"}, default="auto"
    Precision of matrix products. "auto" uses bfloat16 in `fit` on CUDA devices that support it, and float32
    otherwise. With "bfloat16" codes and reconstructions are only accurate to three digits.
verbose : bool or int, default=False
    Whether to print a line for each record of `history_`. For a progress bar call
    ``set_callbacks(sklearn.callback.ProgressBar())`` before `fit` (scikit-learn 1.9).
"""

MODALITIES = """\
modalities : dict
    Name -> `Photometry`, `Spectrum`, `Sequence` or `Image`. X is a list of dicts with these names. If an object lacks a
    modality, set it to None or leave it out, in `fit` too. Each modality of an object is one Table. To use several
    epochs, make several objects, each with its epoch in ``meta``, and keep them together with ``fit(groups=)``.
"""

ALIGNMENT = """\
alignment : {[alignments]}, default="infonce"
    The loss that makes the encodings of an object's modalities agree.
    [alignments described]
alignment_options : dict, default=None
    Options of that loss, with their defaults:
    [alignment options].
"""

LATE_MIXING = """\
drop_modality : float, default=0.2
    Probability that training hides a modality of an object from the encoder. At least one stays visible.
modality_weights : dict, default=None
    Name -> weight of its loss (default 1). The loss of an object is the weighted mean over its modalities.
mixer_self_attention : bool, default=False
    Whether the hidden tokens of all modalities attend to one another before they are read into the bottleneck.
"""

DENOISING = """\
prediction : {[predictions]}, default="x0"
    What the decoder predicts.
    [predictions described]
schedule : {[schedules]}, default="cosine"
    Noise schedule, of 1,000 steps.
    [schedules described]
sampler : {[samplers]}, default="dpm++"
    Method that makes draws.
    [samplers described]
n_sampling_steps : int, default=20
    Largest number of decoder evaluations per draw, up to 10,000. Samplers with two evaluations per step take half as
    many steps.
"""

#: the order in which parameters are listed: most used, architecture, training, decoding, device
GROUPS = (
    "modality modalities bottleneck_length bottleneck_dim n_components max_iter model_dim max_points",
    "n_heads n_encoder_layers n_decoder_layers hidden_length encoder_hidden_length share_weights core isometric "
    "mixer_self_attention",
    "supervised_weight hide drop_modality modality_weights batch_size solver learning_rate_init weight_decay "
    "error_weighting early_stopping validation_fraction n_iter_no_change warm_start checkpoint checkpoint_every "
    "prediction schedule",
    "sampler n_sampling_steps",
    "random_state device precision verbose",
)
PARAMETERS_SECTION = re.compile(r"(Parameters\n-+\n)((?:.+\n|\n(?!\w.*\n---))*)")

ATTRIBUTES = """\
modalities_ : dict
    Name -> modality, with the columns, units, bands, scaling and default grid that `fit` found.
bottleneck_shape_ : tuple of int
    ``(bottleneck_length, bottleneck_dim)``, the shape of one row of `transform` before flattening.
history_ : list of dict
    One record per epoch, or per 50 steps if an epoch is shorter: iteration, loss, validation_loss, learning_rate,
    seconds. With a `core`, the first record is that of the start and has no loss, and validation_loss is the mean
    absolute error of the point estimate.
n_iter_ : int
    Number of gradient steps taken (of iterations, in `FunctionalPCA`).
environment_ : dict
    Versions of skdaep, torch, numpy, scikit-learn, astropy and Python; commit, device and threads of the fit.
best_loss_ : float
    Lowest validation loss, or training loss without `early_stopping`.
device_ : str
    Device in use.
noise_correlation_ : dict
    Correlation of the noise of draws along the location, by modality. Empty if draws need no noise or there are
    hidden tokens.
noise_scatter_ : dict
    How far draws lie from the point estimate, by modality: a factor for the spread of the decoder, a factor for the
    errors of points, and how much the level of objects varies. With hidden tokens these are 1, 0 and 0. They apply to
    draws of `inverse_transform`; `reconstruct` may also draw the bottleneck.
classes_ : ndarray
    Classes in the order of `predict_proba`; only after a fit to classes.
quantiles_ : ndarray
    Levels of `predict_quantiles`; only after a fit to numbers.
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
    If an object cannot be used. The message names the object and the column.
DivergenceError
    In `fit`, if the loss is not finite. The message names the objects.
DeviceError
    In `fit`, if the device does not exist.

See Also
--------
Sequence : Declare the columns of a modality.
load : Read an estimator from a file written by its ``save``.
"""


def _summary(function: Callable) -> str:
    """Return the first line of a docstring; nothing under ``python -OO``."""
    return inspect.cleandoc(function.__doc__ or "").partition("\n")[0]


#: registry -> its members by name, each with a description in one line
OPTIONS = {
    "solvers": {name: _summary(solver) for name, solver in SOLVERS.items()},
    "schedules": {name: _summary(schedule) for name, schedule in SCHEDULES.items()},
    "samplers": {name: _summary(sampler.step) for name, sampler in SAMPLERS.items()},
    "alignments": {name: _summary(alignment) for name, alignment in ALIGNMENTS.items()},
    "predictions": {name: prediction.summary for name, prediction in PREDICTIONS.items()},
}


def _with_options(text: str) -> str:
    """Fill in the names and descriptions of the registries."""
    for registry, members in OPTIONS.items():
        text = text.replace(f"[{registry}]", ", ".join(f'"{name}"' for name in members))
        described = " ".join(f'"{name}": {summary}' for name, summary in members.items())
        lines = textwrap.fill(described, 120, initial_indent="    ", subsequent_indent="    ")
        text = text.replace(f"    [{registry} described]", lines)
    return text.replace("[alignment options]", _alignment_options())


def _alignment_options() -> str:
    """Return the options of all alignments, with their defaults."""
    options_of = {
        name: ", ".join(f"{k}={v!r}" for k, v in cls.options().items()) for name, cls in sorted(ALIGNMENTS.items())
    }
    told = "; ".join(f'{options} of "{name}"' for name, options in options_of.items() if options)
    return textwrap.fill(told, 110, subsequent_indent="    ")


def documented(cls):
    """Decorator that replaces names in brackets in a class's docstring by the shared parts.

    Only parameters of the class are described, in the order of `GROUPS`.
    """
    if cls.__doc__ is None:  # python -OO
        return cls
    cls.__doc__ = inspect.cleandoc(cls.__doc__) + "\n"
    signature = inspect.signature(cls).parameters
    own = re.findall(r"^(\w+) :", PARAMETERS_SECTION.search(cls.__doc__)[2], re.MULTILINE)
    parts = {
        "[modalities]": MODALITIES,
        "[alignment]": _with_options(ALIGNMENT),
        "[late mixing]": LATE_MIXING,
        "[denoising parameters]": _with_options(DENOISING),
        "[shared parameters]": _of(signature.keys() - set(own), _with_options(PARAMETERS)),
        "[shared attributes]": ATTRIBUTES + (PRIOR_ATTRIBUTES if cls.objective_class.has_decoder else ""),
        "[raises]": RAISES,
        "[encoder_hidden_length]": str(getattr(signature.get("encoder_hidden_length"), "default", None)),
    }
    for name, text in parts.items():
        cls.__doc__ = cls.__doc__.replace(f"{name}\n", text.rstrip("\n") + "\n")
    cls.__doc__ = PARAMETERS_SECTION.sub(lambda found: found[1] + _ordered(found[2]), cls.__doc__)
    return cls


def in_order(names: Iterable[str]) -> list[str]:
    """Return names of parameters in the order of `GROUPS`. Those unique to a class follow the first group."""
    rank = {name: i for i, name in enumerate(" * ".join([GROUPS[0], " ".join(GROUPS[1:])]).split())}
    return sorted(names, key=lambda name: rank.get(name, rank["*"]))


def _ordered(section: str) -> str:
    """Return the entries of a section of parameters in the order of `GROUPS`."""
    entries = {re.match(r"\w+", entry)[0]: entry for entry in re.split(r"\n(?=\S)", section.strip("\n"))}
    return "\n".join(entries[name] for name in in_order(entries)) + "\n"


def multimodal_docstring(cls, own: list[str]) -> str | None:
    """Return the docstring of the multimodal variant of an encoder, with shared parts in brackets."""
    if cls.__doc__ is None:  # python -OO
        return None
    section = PARAMETERS_SECTION.search(cls.__doc__)[2]
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
