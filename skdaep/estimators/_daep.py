"""The diffusion autoencoder with Perceivers."""

from __future__ import annotations

from numbers import Integral

from ..diffusion.process import PREDICTIONS
from ..diffusion.samplers import SAMPLERS
from ..diffusion.schedules import SCHEDULES
from ..objectives import Denoising
from ._base import BaseEncoder
from ._compat import Interval, StrOptions


class DAEPEncoder(BaseEncoder):
    r"""Encode irregular sequences with a diffusion autoencoder of Perceivers (daep).

    A Perceiver encoder reads the points and metadata of an object into a few bottleneck tokens; a Perceiver-IO
    decoder, trained to denoise the object's values given those tokens, rebuilds them at any location.

    Parameters
    ----------
    modality : Modality, default=None
        Which columns hold what: `Spectrum`, `Photometry`, or `Sequence` for anything else. None finds the columns
        by their customary names and uses no metadata.
    bottleneck_length, bottleneck_dim : int, default=4, 4
        Number and width of the bottleneck tokens; `transform` returns their product as columns.
    model_dim : int, default=64
        Width of all tokens inside the networks.
    n_heads : int, default=4
        Attention heads; must divide `model_dim`.
    n_encoder_layers, n_decoder_layers : int, default=4, 4
        Blocks of the encoder and of the decoder.
    hidden_length : int, "auto" or None, default="auto"
        Number of the decoder's hidden tokens, through which noisy points see one another in a draw; on
        densely sampled spectra draws are still rougher than the data. None: single-stage decoder, points do not
        meet. Both are linear in points.
    encoder_hidden_length : int or None, default=None
        Number of hidden tokens between the points and the bottleneck queries; None: there are none.
    share_weights : bool, default=False
        Whether all blocks of the encoder share their weights.
    prediction : {"x0", "v", "epsilon"}, default="x0"
        What the decoder predicts.
    schedule : {"cosine", "linear"}, default="cosine"
        Noise schedule, a table of 1,000 steps.
    sampler : {"dpm++", "ddim", "ddpm"}, default="dpm++"
        How draws are made.
    n_sampling_steps : int, default=20
        Evaluations of the decoder in a draw.
    max_iter : int, default=1000
        Number of gradient steps.
    batch_size : int, default=64
        Objects of median length in a batch; longer objects come in smaller batches.
    max_points : int or None, default=512
        In each training step an object shows at most so many of its points, a new random subset every time. The
        encoder sees a random share of them, the decoder others: a sixteenth of that number, at least 32. None: all
        points. `transform` and decoding always use all.
    solver : {"muon", "adamw"}, default="muon"
        Optimiser: Muon on the matrices of linear layers with AdamW on all else, or AdamW throughout.
    learning_rate_init : float, default=4e-3
        Peak learning rate, reached after a warm-up and left on a cosine.
    weight_decay : float, default=0.01
        Decoupled weight decay, on matrices only.
    early_stopping : bool, default=True
        Whether to hold out objects, keep the weights with the lowest validation loss, and stop when it has not
        fallen for `n_iter_no_change` records of `history_`.
    validation_fraction : float, default=0.1
        Share of the objects held out, whole groups if `fit` is given groups.
    n_iter_no_change : int, default=30
        See `early_stopping`.
    warm_start : bool, default=False
        Whether `fit` continues from the weights and scaling of the fit before.
    random_state : int, RandomState or None, default=None
        Seed of initial weights, batches, noise and draws. Global generators are never touched.
    device : str, default="auto"
        "auto" is CUDA where there is one, else the CPU; or a torch device such as "cpu", "cuda:1", "mps".
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Of matrix products; "auto" is bfloat16 on a CUDA device that has it, else float32.
    verbose : bool or int, default=False
        Whether to write a line for each record of `history_`. For a progress bar call
        ``set_callbacks(sklearn.callback.ProgressBar())`` before `fit`.

    Attributes
    ----------
    modalities_ : dict
        The modality completed with what `fit` saw: columns, units, bands, scaling, default grid.
    bottleneck_shape_ : tuple of int
        ``(bottleneck_length, bottleneck_dim)``, the shape of one row of `transform` before it is flattened.
    history_ : list of dict
        One record per epoch, or per 50 steps where an epoch is shorter: iteration, loss, validation_loss,
        learning_rate, seconds.
    n_iter_ : int
        Gradient steps taken.
    best_loss_ : float
        Lowest validation loss, or training loss without `early_stopping`.
    device_ : str
        Device in use.
    n_features_in_ : int
        Number of columns; only if X was an array.
    feature_names_in_ : ndarray of str
        Names of the columns; only if X was a DataFrame of numbers.

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

    Notes
    -----
    With :math:`x_t = \alpha_t x_0 + \sigma_t \epsilon` the loss is
    :math:`\mathbb{E}\,\lVert f(x_t, t, z, m) - \text{target}\rVert^2`, z the bottleneck and m the metadata. Predicting
    :math:`x_0` or v, the point estimate is the decoder's answer at t = 1, which is the conditional mean given z, in
    one evaluation; predicting :math:`\epsilon`, it is the mean of 8 draws.

    The paper's setting is ``DAEPEncoder(prediction="epsilon", schedule="linear", sampler="ddim",
    n_sampling_steps=200, max_points=None, hidden_length=None)``; it needs far longer training.

    References
    ----------
    .. [1] "Diffusion autoencoder with Perceivers for long, irregular and multimodal astronomical sequences",
       arXiv:2510.20595, section 3.
    .. [2] Preechakul et al., "Diffusion Autoencoders", arXiv:2111.15640.
    .. [3] Jaegle et al., "Perceiver IO", arXiv:2107.14795.

    Examples
    --------
    >>> from skdaep import DAEPEncoder
    >>> from skdaep.datasets import make_supernova_spectra
    >>> X, y = make_supernova_spectra(20, random_state=0)
    >>> encoder = DAEPEncoder(model_dim=16, max_iter=5, random_state=0).fit(X)
    >>> Z = encoder.transform(X)
    >>> Z.shape
    (20, 16)
    >>> encoder.inverse_transform(Z[:1], at=X[:1])[0].colnames
    ['wavelength', 'flux']
    """

    _parameter_constraints: dict = BaseEncoder._parameter_constraints | {
        "prediction": [StrOptions(set(PREDICTIONS))],
        "schedule": [StrOptions(set(SCHEDULES))],
        "sampler": [StrOptions(set(SAMPLERS))],
        "n_sampling_steps": [Interval(Integral, 1, None, closed="left")],
    }
    _architecture_parameters = (*BaseEncoder._architecture_parameters, "prediction", "schedule")
    _objective_class = Denoising

    def __init__(
        self,
        modality=None,
        *,
        bottleneck_length=4,
        bottleneck_dim=4,
        model_dim=64,
        n_heads=4,
        n_encoder_layers=4,
        n_decoder_layers=4,
        hidden_length="auto",
        encoder_hidden_length=None,
        share_weights=False,
        prediction="x0",
        schedule="cosine",
        sampler="dpm++",
        n_sampling_steps=20,
        max_iter=1000,
        batch_size=64,
        max_points=512,
        solver="muon",
        learning_rate_init=4e-3,
        weight_decay=0.01,
        early_stopping=True,
        validation_fraction=0.1,
        n_iter_no_change=30,
        warm_start=False,
        random_state=None,
        device="auto",
        precision="auto",
        verbose=False,
    ):
        self.modality = modality
        self.bottleneck_length = bottleneck_length
        self.bottleneck_dim = bottleneck_dim
        self.model_dim = model_dim
        self.n_heads = n_heads
        self.n_encoder_layers = n_encoder_layers
        self.n_decoder_layers = n_decoder_layers
        self.hidden_length = hidden_length
        self.encoder_hidden_length = encoder_hidden_length
        self.share_weights = share_weights
        self.prediction = prediction
        self.schedule = schedule
        self.sampler = sampler
        self.n_sampling_steps = n_sampling_steps
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.max_points = max_points
        self.solver = solver
        self.learning_rate_init = learning_rate_init
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.random_state = random_state
        self.device = device
        self.precision = precision
        self.verbose = verbose

    def _make_objective(self, autoencoder, architecture):
        return Denoising(
            autoencoder,
            architecture["model_dim"],
            prediction=architecture["prediction"],
            schedule=architecture["schedule"],
            sampler=self.sampler,
            n_sampling_steps=self.n_sampling_steps,
            n_queries=None if self.max_points is None else max(32, self.max_points // 16),
        )
