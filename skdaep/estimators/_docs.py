"""Text that the docstrings of all encoders share, so that a parameter is described in one place."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable

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
    Number of hidden tokens in the decoder, through which points exchange information (two-stage). A prediction then
    depends slightly on the other locations that you ask for: ask for whole objects, not for a window. None decodes
    each point independently (not in `MAEPEncoder`). The cost is linear in the number of points either way. "auto"
    means None for light curves and spectra (8 in `MAEPEncoder`), and 32 for images (None in `BetaVAEEncoder` and
    `MixtureOfExpertsVAE`).
encoder_hidden_length : int or None, default=[encoder_hidden_length]
    Number of hidden tokens between the points of a modality and the bottleneck. None reads the points directly.
share_weights : bool, default=False
    Whether all blocks of the encoder share their weights.
core : {"auto", "linear", "basis"} or None, default="auto"
    What training starts from, solved in seconds. "linear" starts from `FunctionalPCA` of equal size: codes are its
    scores, scaled and rotated, and training adds what is not linear, to the codes and to what they decode to. The
    weights with the lowest absolute error on validation objects are kept, and the start, which makes no use of
    metadata, is one of the candidates. "basis" leaves the codes free: the encoder reads the scores of each modality as
    one more token, and the decoder adds its mean and basis functions, with coefficients that a network computes from
    code and metadata. Both need points on a line or images and, with a diffusion decoder, ``prediction="x0"``. None
    starts from nothing, as the paper does. "auto" is "linear" in `DAEPEncoder` and `MAEPEncoder`, "basis" in
    `BetaVAEEncoder` and for several modalities, and None where that is not possible.
isometric : bool, default=False
    Whether to map codes after training so that ``|z - z'|`` is, for neighbours, the root mean square distance of the
    decoded objects, in scaled units per point (for several modalities, the mean by their weights). Reconstructions do
    not change. Nearest neighbours and clusters improve. A linear probe improves if classes differ in large features,
    and gets worse if they differ in small details (:doc:`/guide/bottleneck`).
supervised_weight : float, default=0.0
    Weight w, from 0 to 1, of the labels y of `fit` in the loss (1 - w) L + w L_labels, where L is the loss without
    them. A linear head reads the labels from the bottleneck: quantiles of numbers, probabilities of classes
    (:doc:`/guide/labels`). Objects without a label count in L alone, and `transform` takes no labels. 0 does not look
    at y and predicts nothing. 1 uses labels alone: what codes decode to then means nothing.
max_iter : int, default=1000
    Number of gradient steps. The learning rate falls to zero over them, so every loss curve flattens at the end. If
    the validation loss still fell by more than 5 % in the last third, a ConvergenceWarning says so: double `max_iter`
    until `score` on held-out objects stops improving.
batch_size : int, default=64
    Objects per batch, if they are of median length; longer objects come in smaller batches.
max_points : int or None, default=256
    Largest number of points of an object in a training step; each step uses a new random subset. The encoder sees a
    random share of them, and a decoder predicts a quarter of the number, at least 32. None uses all points, but at
    most 32,768 of a validation object. `transform` and decoding always use all points.
hide : {"points", "spans", "future", "ends"}, tuple of these, or dict, default="points"
    What training hides from the encoder, so that the code of an object that lacks it says so. "points" hides random
    points. "spans" hides a stretch of up to three quarters of the range, like a gap. "future" hides everything after a
    random end, as in a light curve that is still arriving. "ends" hides all but a random crop of a quarter of the range
    or more. With a tuple, each object gets one of them at random. A dict gives them by modality; modalities without an
    entry have "points". `transform` always uses all points it is given.
solver : {[solvers]}, default="muon"
    Optimiser.
    [solvers described]
learning_rate_init : float, default=4e-3
    Peak learning rate. It rises in a warm-up and then falls along a cosine.
weight_decay : float, default=0.01
    Decoupled weight decay, of matrices only.
error_weighting : bool, default=False
    Whether to weight points in the loss by e^2 / (e^2 + e_i^2), where e_i is the error of the point and e the median
    error of the training points. A point without an error gets the weight of a median error. A Table without the
    error column is refused if others have it. Off by default, because it gained little (:doc:`/guide/objects`).
early_stopping : bool, default=True
    Whether to hold out objects, keep the weights with the lowest validation loss, and stop when it has not
    fallen for `n_iter_no_change` records of `history_`.
validation_fraction : float, default=0.1
    Share of the objects held out, whole groups if `fit` is given groups.
n_iter_no_change : int or "auto", default="auto"
    See `early_stopping`. "auto" is a quarter of the records of a fit of `max_iter` steps, at least 5. A fit that starts
    from a `core` takes all its steps: it becomes better than its start only as the learning rate falls.
warm_start : bool, default=False
    Whether `fit` starts from the weights and scaling of the previous fit. `history_`, the optimiser and the learning
    rate start anew, so the loss may rise at first, and one long fit learns more than several short ones. To continue
    after an interruption use `checkpoint`.
checkpoint : str, Path or None, default=None
    File in which `fit` stores its state. After a kill or a crash the same call continues from there, with the same
    result as an uninterrupted fit (:doc:`/guide/reproducibility`); other data or parameters are refused. On SIGTERM
    and Ctrl-C `fit` writes the state and keeps the model reached so far. The file is removed when training ends.
    Every fit needs its own path; `fit_prior` adds ".prior".
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
    Name -> `Photometry`, `Spectrum`, `Sequence` or `Image`. X is a list of dicts with these names. A modality that
    an object lacks is None or left out, in `fit` too. Each modality of an object is one Table. For several epochs
    make several objects, each with its epoch in ``meta``, and keep them together with ``fit(groups=)``.
"""

ALIGNMENT = """\
alignment : {[alignments]}, default="infonce"
    What makes the encodings of an object's modalities agree.
    [alignments described]
alignment_options : dict, default=None
    Of that alignment: [alignment options].
"""

LATE_MIXING = """\
drop_modality : float, default=0.2
    Probability that a training step hides a modality of an object from the encoder. One always stays visible.
modality_weights : dict, default=None
    Name -> weight of its loss (default 1). The loss of an object is the weighted mean over the modalities it has.
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
    Largest number of decoder evaluations per draw. Samplers with two evaluations per step take half as many steps.
"""

#: the order in which parameters are described: most used, architecture, training, decoding, device
GROUPS = (
    "modality modalities bottleneck_length bottleneck_dim max_iter model_dim max_points",
    "n_heads n_encoder_layers n_decoder_layers hidden_length encoder_hidden_length share_weights core isometric "
    "mixer_self_attention",
    "drop_modality modality_weights batch_size solver learning_rate_init weight_decay error_weighting early_stopping "
    "validation_fraction n_iter_no_change warm_start checkpoint checkpoint_every prediction schedule",
    "sampler n_sampling_steps",
    "random_state device precision verbose",
)
PARAMETERS_SECTION = re.compile(r"(Parameters\n-+\n)((?:.+\n|\n(?!\w.*\n---))*)")

ATTRIBUTES = """\
modalities_ : dict
    The modality by name, completed with what `fit` found: columns, units, bands, scaling, default grid.
bottleneck_shape_ : tuple of int
    ``(bottleneck_length, bottleneck_dim)``, the shape of one row of `transform` before flattening.
history_ : list of dict
    One record per epoch, or per 50 steps where an epoch is shorter: iteration, loss, validation_loss,
    learning_rate, seconds. With a `core` the first is of the start, without a loss, and validation_loss is the mean
    absolute error of the point estimate.
n_iter_ : int
    Number of gradient steps taken.
environment_ : dict
    Versions of skdaep, torch, numpy, scikit-learn, astropy and Python; commit, device and threads of the fit.
best_loss_ : float
    Lowest validation loss, or training loss without `early_stopping`.
device_ : str
    Device in use.
noise_correlation_ : dict
    Correlation of the noise of draws along the location, by modality. Empty if draws need no noise or there are
    hidden tokens.
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


#: registry -> its members' names and what each is in a line
OPTIONS = {
    "solvers": {name: _summary(solver) for name, solver in SOLVERS.items()},
    "schedules": {name: _summary(schedule) for name, schedule in SCHEDULES.items()},
    "samplers": {name: _summary(sampler.step) for name, sampler in SAMPLERS.items()},
    "alignments": {name: _summary(alignment) for name, alignment in ALIGNMENTS.items()},
    "predictions": {name: prediction.summary for name, prediction in PREDICTIONS.items()},
}


def _with_options(text: str) -> str:
    """Fill the registries' names and descriptions in."""
    for registry, members in OPTIONS.items():
        text = text.replace(f"[{registry}]", ", ".join(f'"{name}"' for name in members))
        described = " ".join(f'"{name}": {summary}' for name, summary in members.items())
        lines = textwrap.fill(described, 120, initial_indent="    ", subsequent_indent="    ")
        text = text.replace(f"    [{registry} described]", lines)
    return text.replace("[alignment options]", _alignment_options())


def _alignment_options() -> str:
    """Return the options of every alignment that has some, with their defaults."""
    options_of = {
        name: ", ".join(f"{k}={v!r}" for k, v in cls.options().items()) for name, cls in sorted(ALIGNMENTS.items())
    }
    told = "; ".join(f'{options} of "{name}"' for name, options in options_of.items() if options)
    return textwrap.fill(told, 110, subsequent_indent="    ")


def documented(cls):
    """Fill the shared parts into a class's docstring, where it has their names in brackets; for use as a decorator.

    Only parameters that the class has are described, in the order of `GROUPS`.
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


def _ordered(section: str) -> str:
    """Return the entries of a section of parameters in the order of `GROUPS`; a class's own follow the first group."""
    rank = {name: i for i, name in enumerate(" * ".join([GROUPS[0], " ".join(GROUPS[1:])]).split())}
    entries = re.split(r"\n(?=\S)", section.strip("\n"))
    entries.sort(key=lambda entry: rank.get(re.match(r"\w+", entry)[0], rank["*"]))
    return "\n".join(entries) + "\n"


def multimodal_docstring(cls, own: list[str]) -> str | None:
    """Return the docstring of the form of an encoder that takes several modalities, its shared parts in brackets."""
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
