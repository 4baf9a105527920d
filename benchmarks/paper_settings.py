"""The paper's settings, those of the authors' code, and ours; ``python -m benchmarks.paper_settings`` prints all three.

``TABLES`` has what the appendix tables of the paper (arXiv 2510.20595) state, as a reader of them reported it.
``CODE`` has what the authors' public code states, YunyiShen/Perceiver-diffusion-autoencoder at commit 47e76f5
(2025-10-02, three weeks before the paper), each setting under the source that states it. `differences` lists where
the two disagree: in the code feed-forward layers are as wide as tokens, not twice as wide, and the VAEs of the ZTF
sets are trained for 2,000 epochs, not 200. The multimodal setting of the tables is that of the code's checkpoint for
Goldstein; the one for ZTF has a bottleneck of 8 x 8 and hides half of the modalities.

Parameters have this package's names. Beside them: ``epochs``; ``copies`` of the training set, in the ZTF sets with
noise of 0.01 scaled units and a random tenth (VAE of spectra: a twentieth) of the points dropped, drawn once;
``dropout``; ``ff_dim``, the width of the feed-forward layers; for images ``patch``; for several modalities
``encoder_hidden_length``, the tokens of each modality's first stage.
"""

from __future__ import annotations

CHECKPOINT = "checkpoint"  # in the name of a checkpoint that the authors' evaluation scripts load
SCRIPT = "script"  # fixed in, or a default of, their training script; the checkpoint's name does not say
LAYER = "layer"  # a default of their layers that the training script leaves alone
NOT_STATED = "not stated"

_ALL = {"solver": "adamw", "learning_rate": "constant", "max_points": None, "ff_dim": "model_dim"}
_DIFFUSION = {
    "prediction": "epsilon",
    "schedule": "linear",
    "n_steps": 1000,
    "sampler": "ddim",
    "n_sampling_steps": 200,
}
_DAEP = {SCRIPT: _ALL | {"shuffle": False}, LAYER: _DIFFUSION | {"dropout": 0.1}}
_MAEP = {SCRIPT: _ALL | {"shuffle": False}, LAYER: {"dropout": 0.1}}
_VAE = {SCRIPT: _ALL | {"shuffle": True, "dropout": 0.1}}


def _setting(base: dict, **sources: dict) -> dict:
    """Join what all data sets share with what one states, by source."""
    return {k: base.get(k, {}) | sources.get(k, {}) for k in (CHECKPOINT, SCRIPT, LAYER)} | {
        NOT_STATED: sources.get("not_stated", ())
    }


def _sizes(length: int, dim: int, width: int, encoder: int, decoder: int, heads: int | None = None) -> dict:
    sizes = {"bottleneck_length": length, "bottleneck_dim": dim, "model_dim": width}
    sizes |= {"n_encoder_layers": encoder, "n_decoder_layers": decoder}
    return sizes if heads is None else sizes | {"n_heads": heads}


def _training(epochs: int, batch: int, copies: int) -> dict:
    return {"epochs": epochs, "batch_size": batch, "copies": copies, "learning_rate_init": 2.5e-4}


_MASKS = {"mask_ratio": (0.3, 0.75)}  # evaluation scripts load both; the probing scripts 0.75

_TABLE = {"learning_rate_init": 2.5e-4, "epochs": 2000}
_TABLE_VAE = _TABLE | {"epochs": 200, "beta": 0.1}
_FIVE = {"copies": 5}
_LAMOST = {"hidden_length": 256, "ff_dim": "2 * model_dim"}
#: data set -> method -> parameters, as the paper's appendix tables state them
TABLES = {
    "LAMOST spectra": {
        "daep": _sizes(4, 8, 128, 4, 4, heads=8) | _TABLE | _LAMOST,
        "maep": _sizes(4, 8, 128, 4, 2, heads=8) | _TABLE | _LAMOST,
        "vae": _TABLE_VAE,
    },
    "ZTF spectra": {
        "daep": _sizes(4, 4, 128, 4, 4, heads=8) | _TABLE | _FIVE | {"hidden_length": None},
        "maep": _sizes(4, 4, 128, 4, 2, heads=8) | _TABLE | _FIVE | {"hidden_length": None},
        "vae": _TABLE_VAE | _FIVE,
    },
    "ZTF light curves": {
        "daep": _sizes(2, 2, 128, 4, 4, heads=4) | _TABLE | _FIVE | {"hidden_length": None},
        "maep": _sizes(2, 2, 128, 4, 2, heads=4) | _TABLE | _FIVE | {"hidden_length": None},
        "vae": _TABLE_VAE | _FIVE,
    },
    "Goldstein, multimodal": {
        "daep": {
            "bottleneck_length": 4,
            "bottleneck_dim": 4,
            "model_dim": 256,
            "n_encoder_layers": 4,
            "n_heads": 4,
            "encoder_hidden_length": 64,
            "mixer_self_attention": True,
            "drop_modality": 0.2,
        },
    },
}

#: data set of the paper -> method -> source -> parameters
CODE = {
    "LAMOST spectra": {
        "daep": _setting(
            _DAEP, checkpoint=_sizes(4, 8, 128, 4, 4, heads=8) | _training(2000, 64, 1), layer={"hidden_length": 256}
        ),
        "maep": _setting(
            _MAEP,
            checkpoint=_sizes(4, 8, 128, 4, 2, heads=8) | _training(2000, 64, 1) | _MASKS,
            layer={"hidden_length": 256},
        ),
        "vae": _setting(
            _VAE,
            checkpoint=_sizes(4, 8, 128, 6, 6, heads=8) | _training(200, 128, 1) | {"hidden_length": 256, "beta": 0.1},
            script={"shuffle": False},
        ),
    },
    "ZTF spectra": {
        "daep": _setting(
            _DAEP, checkpoint=_sizes(4, 4, 128, 4, 4, heads=8) | _training(2000, 128, 5), script={"hidden_length": None}
        ),
        "maep": _setting(
            _MAEP,
            checkpoint=_sizes(4, 4, 128, 4, 2, heads=8) | _training(2000, 128, 5) | _MASKS,
            script={"hidden_length": None},
        ),
        "vae": _setting(
            _VAE,
            checkpoint=_sizes(4, 4, 128, 4, 4, heads=8) | _training(2000, 128, 5) | {"beta": 0.1},
            script={"hidden_length": None},
        ),
    },
    "ZTF light curves": {
        "daep": _setting(
            _DAEP,
            checkpoint=_sizes(2, 2, 128, 4, 4) | _training(2000, 128, 5),
            script={"hidden_length": None},
            layer={"n_heads": 4},
        ),
        "maep": _setting(
            _MAEP,
            checkpoint=_sizes(2, 2, 128, 4, 2) | _training(2000, 128, 5) | _MASKS,
            script={"hidden_length": None},
            layer={"n_heads": 4},
        ),
        "vae": _setting(
            _VAE,
            checkpoint=_sizes(2, 2, 128, 4, 4, heads=4) | _training(2000, 128, 5) | {"beta": 0.1},
            script={"hidden_length": None},
        ),
    },
    "Galaxy10 images": {
        "daep": _setting(
            _DAEP,
            checkpoint=_sizes(8, 8, 256, 4, 4) | _training(500, 64, 3),
            script={"hidden_length": None, "patch": 4},
            layer={"n_heads": 4},
        ),
        "maep": _setting(  # no checkpoint is named anywhere
            _MAEP,
            script={"patch": 4, "n_heads": 4, "learning_rate_init": 2.5e-4},
            not_stated=(
                "bottleneck_length",
                "bottleneck_dim",
                "model_dim",
                "n_encoder_layers",
                "n_decoder_layers",
                "epochs",
                "batch_size",
                "copies",
                "mask_ratio",
            ),
        ),
        "vae": _setting(
            _VAE,
            checkpoint=_sizes(8, 8, 256, 4, 4) | {"epochs": 500, "learning_rate_init": 2.5e-4, "patch": 4, "beta": 0.5},
            script={"batch_size": 64, "copies": 5, "n_heads": 4, "shuffle": False},
        ),
    },
    "Goldstein, multimodal": {
        "daep": _setting(
            _DAEP,
            checkpoint=_sizes(4, 4, 256, 4, 4)
            | _training(2000, 256, 1)
            | {"encoder_hidden_length": 64, "mixer_self_attention": True, "drop_modality": 0.2},
            layer={"n_heads": 4},
        ),
    },
    "ZTF, multimodal": {
        "daep": _setting(
            _DAEP,
            checkpoint=_sizes(8, 8, 256, 4, 4)
            | _training(2000, 256, 5)
            | {"encoder_hidden_length": 64, "mixer_self_attention": True, "drop_modality": 0.5},
            layer={"n_heads": 4},
        ),
    },
    # In the code only.
    "PLAsTiCC light curves": {
        "daep": _setting(_DAEP, checkpoint=_sizes(8, 8, 256, 4, 4, heads=16) | _training(2000, 256, 5)),
    },
    "ASAS-SN variable stars": {
        "daep": _setting(
            _DAEP, checkpoint=_sizes(8, 8, 256, 4, 4, heads=4) | _training(480, 256, 1), script={"max_points": 800}
        ),
    },
}

#: how the authors train and draw, as parameters of `DAEPEncoder`; the line in its docstring
PROCESS = {
    "prediction": "epsilon",
    "schedule": "linear",
    "sampler": "ddim",
    "n_sampling_steps": 200,
    "solver": "adamw",
    "learning_rate_init": 2.5e-4,
    "max_points": None,
    "hidden_length": None,
}

#: what the authors' probes do; their ten repeats differ in the seed of the training, the split is the same one
PAPER_PROBE = {"train_size": 0.3, "repeats": 10, "solver": "adamw", "learning_rate_init": 1e-3, "epochs": 150}

#: protocol -> the data set of the paper that it stands for
STANDS_FOR = {
    "SN-SPEC": "ZTF spectra",
    "ZTF-LC": "ZTF light curves",
    "LONG": "LAMOST spectra",
    "IMAGE": "Galaxy10 images",
    "SPCC": "PLAsTiCC light curves",
    "CRTS": "ASAS-SN variable stars",
    "CRTS-FOLDED": "ASAS-SN variable stars",
}

#: protocol -> parameters that all our estimators share; what is not named keeps the estimator's default
OURS = {
    "SN-SPEC": {"bottleneck_length": 4, "bottleneck_dim": 4, "max_iter": 2500},
    "ZTF-LC": {"bottleneck_length": 2, "bottleneck_dim": 2},
    "SPCC": {"bottleneck_length": 4, "bottleneck_dim": 4},
    "CRTS": {"bottleneck_length": 4, "bottleneck_dim": 4},
    "CRTS-FOLDED": {"bottleneck_length": 4, "bottleneck_dim": 4},
    "S82": {"bottleneck_length": 2, "bottleneck_dim": 2, "max_iter": 300},
    "S82-FOLDED": {"bottleneck_length": 2, "bottleneck_dim": 2, "max_iter": 300},
    "LONG": {
        "bottleneck_length": 4,
        "bottleneck_dim": 8,
        "hidden_length": 32,
        "max_points": 512,
        "batch_size": 32,
        "max_iter": 2000,
    },
    "SpeX": {"bottleneck_length": 4, "bottleneck_dim": 4, "max_iter": 600},
    "IMAGE": {"bottleneck_length": 8, "bottleneck_dim": 8, "batch_size": 32},
}

_WEIGHTED = {"daep, points weighted by error": {"error_weighting": True, "core": None}}

#: protocol -> row -> what daep has there of its own, all without a core: weights by error, and what was tried where
#: it lost
VARIANTS: dict[str, dict[str, dict]] = {
    "SPCC": _WEIGHTED,
    "S82-FOLDED": _WEIGHTED,
    "CRTS-FOLDED": _WEIGHTED
    | {
        "daep, 128 wide": {"core": None, "model_dim": 128, "n_heads": 8},
        "daep, twice the steps": {"core": None, "max_iter": 2000},
    },
    "SpeX": {
        "daep, twice the points a step": {"core": None, "max_points": 512},
        "daep, 128 wide": {"core": None, "model_dim": 128, "n_heads": 8},
        "daep, five times the steps": {"core": None, "max_iter": 3000},
    },
    "LONG": {
        "daep, 1000 steps": {"core": None, "max_iter": 1000},
        "daep, single stage, 1000 steps": {"core": None, "hidden_length": None, "max_iter": 1000},
        "daep, single stage, 128 wide, 1000 steps": {
            "core": None,
            "hidden_length": None,
            "model_dim": 128,
            "n_heads": 8,
            "max_iter": 1000,
        },
        "daep, single stage, 3000 steps": {"core": None, "hidden_length": None, "max_iter": 3000},
    },
    "IMAGE": {
        "daep, single stage": {"core": None, "hidden_length": None},
        "daep, 128 wide": {"core": None, "model_dim": 128, "n_heads": 8},
        "daep, single stage, twice the steps": {"core": None, "hidden_length": None, "max_iter": 2000},
    },
}


#: protocol -> what is to be said of its table; `figures.filled` puts the figures of its results in
READING = {
    "ZTF-LC": "Functional PCA of equal size takes a second and reconstructs better than every trained model.",
    "CRTS": (
        "These variable stars were observed over years, at random phases of unknown periods. No model reconstructs "
        "them better than the mean object does. Use folded light curves, as in the next section."
    ),
    "CRTS-FOLDED": (
        "With light curves folded by the catalogue's period, daep without a core beats the random forest described "
        "with the data (accuracy 0.647, macro F1 0.368); with unfolded light curves it does not. The 20 hand-made "
        "features, which include the period, are still better. The beta-VAE has the same error "
        "({rows|beta-VAE|error_mean:.4f}) as daep "
        "({rows|daep, core=None|error_mean:.4f}). Weighting points by their errors "
        "({rows|daep, points weighted by error|error_mean:.3f}) or widening the network "
        "({rows|daep, 128 wide|error_mean:.3f}) does not help; twice as many steps do "
        "({rows|daep, twice the steps|error_mean:.3f}, F1 {rows|daep, twice the steps|f1:.3f})."
    ),
    "SpeX": (
        "PCA of equal size reconstructs better, and daep without a core separates the classes better. The network "
        "needs longer training, not more capacity: training and test objects have the same error, "
        "{rows|daep, core=None|n_iter:,} steps decode each measurement only four times, and five times as many steps "
        "lower the error to {rows|daep, five times the steps|error_mean:.3f} and the median to "
        "{rows|daep, five times the steps|error_median:.3f} (PCA: {yardsticks|PCA 16|error_median:.3f}). More points "
        "per step or a wider network do not help. In the mean, PCA stays ahead because of a few noisy or unusual "
        "spectra."
    ),
    "LONG": (
        "PCA of equal size reconstructs better, and daep without a core separates the classes better (F1 "
        "{rows|daep, core=None|f1:.2f} against {yardsticks|PCA 32|f1:.2f}). The beta-VAE and both maeps have about "
        "the same error as daep. The network needs longer training: {rows|daep, core=None|n_iter:,} steps decode "
        "each of the 4,300 measurements three times. Their error is {rows|daep, core=None|error_mean:.3f}, that of "
        "1,000 steps {rows|daep, 1000 steps|error_mean:.3f}. Without hidden tokens, the error is "
        "{rows|daep, single stage, 1000 steps|error_mean:.3f} after 1,000 steps, "
        "{rows|daep, single stage, 128 wide, 1000 steps|error_mean:.3f} with a network twice as wide, and "
        "{rows|daep, single stage, 3000 steps|error_mean:.3f} after 3,000 steps, still falling. PCA fits 32 times "
        "4,300 free numbers in closed form."
    ),
    "IMAGE": (
        "PCA with 64 numbers reconstructs better than daep with 64, but daep without a core separates the classes far "
        "better (F1 {rows|daep, core=None|f1:.2f} against {yardsticks|PCA 64|f1:.2f}), followed by maep. A decoder "
        "without hidden tokens is as good in equal time, and one of width 128 hardly better. Twice as many steps lower "
        "the error to {rows|daep, single stage, twice the steps|error_mean:.3f} (PCA: "
        "{yardsticks|PCA 64|error_mean:.3f}), and the loss is still falling: {rows|daep, core=None|n_iter:,} steps "
        "decode each patch three times."
    ),
    "SN-SPEC": (
        "Without a core daep and beta-VAE have the same error ({rows|daep, core=None|error_mean:.4f} and "
        "{rows|beta-VAE|error_mean:.4f}). It is lower than that of PCA of equal size on a grid, but not lower than "
        "that of functional PCA ({rows|functional PCA|error_mean:.4f}). daep separates the classes best. For longer "
        "training see ``python -m benchmarks.sn_spectra``."
    ),
}


def code(data_set: str, method: str) -> dict:
    """Return the setting of the authors' code without its sources; NOT_STATED where it is not."""
    sources = CODE[data_set][method]
    setting = dict.fromkeys(sources[NOT_STATED], NOT_STATED)
    for source in (LAYER, SCRIPT, CHECKPOINT):
        setting |= sources[source]
    return setting


def differences(data_set: str, method: str) -> dict[str, tuple]:
    """Return what the paper's tables state and the code has otherwise: parameter -> (table, code)."""
    stated, found = TABLES[data_set][method], code(data_set, method)
    return {k: (v, found.get(k)) for k, v in stated.items() if found.get(k) != v}


if __name__ == "__main__":
    for data_set, methods in CODE.items():
        for method, sources in methods.items():
            print(f"{data_set}, {method}")
            for source, content in sources.items():
                print(f"  {source}: {content}")
            if data_set in TABLES:
                print(f"  the paper's tables: {TABLES[data_set][method]}")
                print(f"  (table, code) where they differ: {differences(data_set, method)}")
    for protocol, parameters in OURS.items():
        print(f"ours, {protocol}: {parameters}")
