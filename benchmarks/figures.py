"""Figures in the text come from the results files; ``python -m benchmarks.figures`` fills them in.

`PAGES` lists, for each page, the passages that contain figures. In a passage a placeholder stands for each figure:
``{sn_spectra|test|PCA 16|error_mean:.3f}`` is a value of ``results/sn_spectra.json``, given by its keys and a format.
``:.0f/60`` divides the value first. ``{SpeX|daep|f1:.3f}`` is short for the rows of ``paper_tables/SpeX.json``. A page
may wrap a passage anywhere. ``tests/test_figures.py`` fails where a page and a file differ, and where a figure of a
page belongs to no passage.
"""

from __future__ import annotations

import json
import re
from functools import cache

from ._data import ROOT
from ._report import RESULTS

PLACEHOLDER = re.compile(r"\{([^{}]+):([^{}:]+)\}")
NUMBER = r"(-?\d+(?:,\d{3})*(?:\.\d+)?)"
#: name that stands for the rows of that protocol's results in ``paper_tables``
PROTOCOLS = {path.stem for path in RESULTS.glob("paper_tables/*.json")}
#: what is taken for a figure of a benchmark: a number with two decimals or more
FIGURE = re.compile(r"(?<![\w.:])\d{1,3}\.\d{2,}(?![\w.])")


@cache
def _results(file: str) -> dict:
    return json.loads((RESULTS / f"{file}.json").read_text())


def _error(file: str, row: str) -> str:
    return f"{{{file}|test|{row}|error_mean:.3f}}"


def _probe(file: str, row: str, score: str, mark: str = "") -> str:
    return f"{mark}{{{file}|test|{row}|{score}:.3f}}{mark} +- {{{file}|test|{row}|{score}_sd:.3f}}"


def _row_of_readme(name: str, file: str, row: str, best_error: str = "", best_f1: str = "") -> str:
    error = f"{best_error}{_error(file, row)}{best_error}"
    return f"{name} {error} {_probe(file, row, 'accuracy')} {_probe(file, row, 'f1', best_f1)}"


def _row_of_guide(name: str, row: str) -> str:
    return f"{name} {_error('sn_spectra', row)} {_probe('sn_spectra', row, 'f1')}"


def _weighted(protocol: str, score: str) -> str:
    rows = ("daep, core=None", "daep, points weighted by error")
    return " to ".join(f"{{{protocol}|{row}|{score}}}" for row in rows)


def _row_of_times(protocol: str, points: str = "") -> str:
    """A row of the table of fits: objects, points, steps, minutes, error."""
    file, row = f"paper_tables/{protocol}", f"paper_tables/{protocol}|rows|daep, core=None"
    points = points or f"{{protocols|rows|{protocol}|points|median:,.0f}}"
    return (
        f"{protocol} {{{file}|n_objects|0:,}} {points} {{{row}|n_iter:,}} {{{row}|minutes:.1f}} "
        f"{{{row}|error_mean:.3f}}"
    )


def _row_of_steps(name: str, file: str) -> str:
    return (
        f"{name} {{{file}|times|n_iter:,}} {{{file}|times|training_seconds:.1f/60}} {_error(file, _DAEP)} "
        f"{_probe(file, _DAEP, 'f1')}"
    )


def _row_of_points(n: int) -> str:
    row = f"speed_points|rows|{n}"
    return f"{n:,} {{{row}|encode median:.3g}} {{{row}|train median:.3g}} {{{row}|draw median:.3g}}"


def _arriving(way: str, score: str, digits: int = 3, file: str = "SPCC") -> str:
    return f"{{arriving-{file}|rows|{way}|{score}:.{digits}f}}"


def _row_of_width(width: int) -> str:
    row = f"speed_widths|rows|{width}"
    return f"{width} {{{row}|weights:,}} {{{row}|megabytes:.1f}} {{{row}|encode:.2f}} {{{row}|train:.2f}}"


def _seconds(method: str) -> str:
    return f"{{cross_modality/SALT3|fits|{method}|history|-1|seconds:.1f/60}}"


def _row_of_rates(case: str, task: str, name: str = "", form: str = ",.0f", ratio: str = ".1f") -> str:
    row = f"throughput|rows|{case}: {task}"
    return f"| {case} | {name or task} | {{{row}|rate:{form}}} | {{{row}|share:.2f}} | {{{row}|ratio_peer:{ratio}}} |"


def _row_of_reading(kind: str) -> str:
    parts = " | ".join(f"{{speed_reading|rows|{kind}|{part} median:.1f}}" for part in ("read", "network", "transform"))
    return f"| {kind} | {parts} |"


def _after_minutes(words: str, protocol: str, n_train: int, *keys: str) -> str:
    """Return a row of the README, with a dash for a method that has no results there."""
    path, known = f"budgets/{protocol}", _results(f"budgets/{protocol}")["rows"]
    methods = ("functional PCA", "daep, 1 min", "daep, 5 min", "daep, core=None, 1 min")
    rows = [f"{n_train} {method}" for method in methods]
    figures = [" / ".join(f"{{{path}|rows|{row}|{key}:.3f}}" for key in keys) if row in known else "-" for row in rows]
    return " ".join([words, *figures])


def _start(protocol: str, start: str, key: str, form: str = ".3f") -> str:
    """Return the placeholder of a fit of about five minutes to all training objects, by where it starts.

    Those of protocols without such a fit from random weights are fits of ``paper_tables``.
    """
    name = {"PCA": "functional PCA", "default": "daep, 5 min"}.get(start, f"daep, core={start}, 5 min")
    row = f"{_results(f'paper_tables/{protocol}')['n_objects'][0]} {name}"
    if start == "None" and row not in _results(f"budgets/{protocol}")["rows"]:
        return f"{{paper_tables/{protocol}|rows|daep, core=None|{key}:{form}}}"
    return f"{{budgets/{protocol}|rows|{row}|{key}:{form}}}"


def _row_of_starts(words: str, protocol: str) -> str:
    """Return error and F1 of functional PCA, of the default that starts from it, and of a random start."""
    pairs = (" / ".join(_start(protocol, start, key) for key in ("error_mean", "f1")) for start in _STARTS)
    return " ".join([words, *pairs])


def _peaks(n: int) -> str:
    packing, fit, transform = (f"{{scale_folder|rows|{n}|{what}:.0f}} MiB" for what in ("pack", "fit", "transform"))
    return f"{packing}, {fit} and {transform}"


def _on_paper(survey: str) -> str:
    row = f"catalogs|paper|{survey}"
    return f"{{{row}|core hours:,.0f}} core hours, {{{row}|hours on 10 nodes:.1f}} hours"


def _scales_of_codes() -> str:
    """Return the table of the guide."""
    kinds = {"supernovae": "SN-SPEC", "stars": "LONG", "dwarfs": "SpeX"}
    codes = {"{}: s": "s", "{}: s / sigma^(1/2), R": "s / sigma^(1/2), R", "{}: s, R: isometric": "s, R (isometric)"}
    return " ".join(
        f"{name.format(kind)} {{code_scales|rows|{protocol}|{code}|f1:.3f}} "
        f"{{code_scales|rows|{protocol}|{code}|neighbors:.3f}}"
        for kind, protocol in kinds.items()
        for name, code in codes.items()
    )


def _deaths(row: str, score: str) -> str:
    return f"{{clinical-SeFT|rows|{row}|linear_{score}:.3f}}"


def _row_of_transfer(words: str, row: str) -> str:
    """Return a row of the table of pretrained models, with a dash where there are no results."""
    keys = {"ZTF-LC": ("error_mean",), "SPCC": ("error_mean", "f1"), "SN-SPEC": ("error_mean", "f1")}
    cells = [
        " / ".join(f"{{transfer-{p}|rows|{row}|{key}:.3f}}" for key in own)
        if row in _results(f"transfer-{p}")["rows"]
        else "-"
        for p, own in keys.items()
    ]
    return " ".join([words, *cells])


_DAEP = "DAEP 4 x 4"
_STARTS = ("PCA", "default", "None")
_BASIS = "'basis'"
_ZTF = "{paper_tables/ZTF-LC|rows|%s|error_in_units:.3f}"
_SALT3 = "cross_modality/SALT3|rows|%s|spectrum|all"

#: page -> passages with figures
PAGES = {
    "README.rst": [
        "SN-SPEC: {sn_spectra|n_objects|0:,} for training, {sn_spectra|n_objects|2:,} for testing",
        "Training for {sn_spectra|times|n_iter:,} gradient steps took {sn_spectra|times|training_seconds:.0f/60} min",
        "{sn_spectra_augmented|times|n_iter:,} steps took {sn_spectra_augmented|times|training_seconds:.0f/60} min",
        _row_of_readme("``DAEPEncoder`` 4 x 4", "sn_spectra", _DAEP),
        _row_of_readme("``DAEPEncoder`` 4 x 4, ``augment``", "sn_spectra_augmented", _DAEP, best_f1="**"),
        "``FunctionalPCA``, 16 components "
        "{SN-SPEC|functional PCA|error_mean:.3f} "
        "{SN-SPEC|functional PCA|accuracy:.3f} +- {SN-SPEC|functional PCA|accuracy_sd:.3f} "
        "{SN-SPEC|functional PCA|f1:.3f} +- {SN-SPEC|functional PCA|f1_sd:.3f}",
        _row_of_readme("PCA, 16 components", "sn_spectra", "PCA 16"),
        _row_of_readme("PCA, 32 components", "sn_spectra", "PCA 32", best_error="**"),
        "mean spectrum {sn_spectra|test|mean object|error_mean:.3f}",
        "at separations of 10 to 20 A the correlation is {sn_spectra|draws|coherence|correlation at 10-20|draw:.2f} in "
        "draws and {sn_spectra|draws|coherence|correlation at 10-20|data:.2f} in residuals. The scatter of draws is "
        "{sn_spectra|draws|coherence|ratio of standard deviations:.2f} times that of the data. With copies the "
        "correlations are {sn_spectra_augmented|draws|coherence|correlation at 10-20|draw:.2f} and "
        "{sn_spectra_augmented|draws|coherence|correlation at 10-20|data:.2f}, and the scatter is "
        "{sn_spectra_augmented|draws|coherence|ratio of standard deviations:.2f} times that of the data.",
        "Without copies the validation error was {sn_spectra|validation_curve|0|error:.3f} after 5 minutes, "
        "{sn_spectra|validation_curve|1|error:.3f} after 15 and {sn_spectra|validation|error_mean:.3f} at the end; "
        "with copies it was {sn_spectra_augmented|validation_curve|0|error:.3f}, "
        "{sn_spectra_augmented|validation_curve|1|error:.3f} and {sn_spectra_augmented|validation|error_mean:.3f}.",
        "ZTF-LC: {paper_tables/ZTF-LC|n_objects|2:,} test supernovae, 4 numbers each, "
        "{paper_tables/ZTF-LC|rows|daep, core=None|n_iter:,} gradient steps)",
        f"``FunctionalPCA``, 4 components **{_ZTF % 'functional PCA'}**",
        f"``DAEPEncoder(core=None)`` 2 x 2 {_ZTF % 'daep, core=None'}",
        f"``MAEPEncoder``, 30 % hidden {_ZTF % 'maep 30 %'}",
        f"``MAEPEncoder``, 75 % hidden {_ZTF % 'maep 75 %'}",
        "mean light curve at each object's own level "
        "{ztf_lightcurves|test|mean shape at own level in each band|mag_mean:.3f}",
        f"``BetaVAEEncoder`` {_ZTF % 'beta-VAE'}",
        _after_minutes("supernova spectra, 16", "SN-SPEC", 3275, "error_mean", "f1"),
        _after_minutes("spectra of dwarfs, 16", "SpeX", 1450, "error_mean", "f1"),
        _after_minutes("spectra of stars, 32", "LONG", 698, "error_mean", "f1"),
        _after_minutes("images of galaxies, 64", "IMAGE", 3121, "error_mean", "f1"),
        _after_minutes("two-band light curves, 4", "ZTF-LC", 1285, "error_mean"),
        "On images ``core=None`` has a macro F1 of {IMAGE|daep, core=None|f1:.3f} after "
        "{IMAGE|daep, core=None|minutes:.1f} minutes, with an error of {IMAGE|daep, core=None|error_mean:.3f}",
        "simulated, {cross_modality/SALT3|n_supernovae|2:,} test supernovae; ``MultimodalDAEP``, "
        "{cross_modality/SALT3|fits|daep|n_iter:,} steps). The mean squared error is "
        f"{{{_SALT3 % 'daep'}|mse|0:.5f}} dex^2; that of the multimodal VAE is {{{_SALT3 % 'mmVAE'}|mse|0:.5f}}, and "
        f"that of the mean spectrum at the same phase {{{_SALT3 % 'training mean at that phase'}|mse|0:.3f}}. The "
        f"central 90 % interval of the draws contains {{{_SALT3 % 'daep'}|coverage|0:.2f}} of the measured points, and "
        f"{{{_SALT3 % 'daep'}|coverage_corrected|0:.3f}} ({{{_SALT3 % 'daep'}|coverage_corrected|1:.3f}} to "
        f"{{{_SALT3 % 'daep'}|coverage_corrected|2:.3f}}) after",
    ],
    "doc/index.rst": [
        f"`DAEPEncoder` {_error('sn_spectra', _DAEP)} {_probe('sn_spectra', _DAEP, 'f1')}",
        "`DAEPEncoder` with `augment` "
        f"{_error('sn_spectra_augmented', _DAEP)} {_probe('sn_spectra_augmented', _DAEP, 'f1')}",
        "`FunctionalPCA` {SN-SPEC|functional PCA|error_mean:.3f} "
        "{SN-SPEC|functional PCA|f1:.3f} +- {SN-SPEC|functional PCA|f1_sd:.3f}",
        f"PCA on a grid {_error('sn_spectra', 'PCA 16')} {_probe('sn_spectra', 'PCA 16', 'f1')}",
    ],
    "doc/guide/alternatives.rst": [
        f"spectra of dwarfs (SpeX) was {_start('SpeX', 'default', 'error_mean')}, that of functional PCA "
        f"{_start('SpeX', 'PCA', 'error_mean')}; on stars (LONG) {_start('LONG', 'default', 'error_mean')} and "
        f"{_start('LONG', 'PCA', 'error_mean')}.",
        f"larger errors: {_start('SpeX', 'None', 'error_mean')} and {_start('LONG', 'None', 'error_mean')}.",
        f"Macro F1 on SpeX is {_start('SpeX', 'PCA', 'f1')} from functional PCA, {_start('SpeX', 'default', 'f1')} "
        f"from `DAEPEncoder` and {_start('SpeX', 'None', 'f1')} with ``core=None``;",
        f"on LONG {_start('LONG', 'PCA', 'f1')}, {_start('LONG', 'default', 'f1')} and {_start('LONG', 'None', 'f1')};",
        f"on supernova spectra (SN-SPEC) {_start('SN-SPEC', 'PCA', 'f1')}, {_start('SN-SPEC', 'default', 'f1')} and "
        f"{_start('SN-SPEC', 'None', 'f1')}.",
        "has a macro F1 of {paper_tables/CRTS-FOLDED|yardsticks|20 features, random forest|f1:.3f}, a linear "
        f"classifier on the features of `DAEPEncoder` {_start('CRTS-FOLDED', 'default', 'f1')}.",
    ],
    "doc/guide/choosing.rst": [
        f"- a baseline - `FunctionalPCA` - {_start('SN-SPEC', 'PCA', 'minutes', '.1f')} (SN-SPEC)",
        f"- features, reconstructions, draws - `DAEPEncoder` - {_start('SN-SPEC', 'default', 'minutes', '.1f')} "
        "(SN-SPEC)",
        f"- ``DAEPEncoder(hidden_length=32)`` - {_start('LONG', 'default', 'minutes', '.1f')} (LONG)",
        f"- ``DAEPEncoder(Photometry())`` - {_start('ZTF-LC', 'default', 'minutes', '.1f')} (ZTF-LC)",
        f"then `DAEPEncoder` - {_start('CRTS-FOLDED', 'default', 'minutes', '.1f')} (CRTS-FOLDED)",
        f"- ``DAEPEncoder(Image())`` - {_start('IMAGE', 'default', 'minutes', '.1f')} (IMAGE)",
        "``reconstruct(context=)`` - {SN-SPEC|maep 30 %|minutes:.1f} (SN-SPEC)",
        "- `BetaVAEEncoder` - {SN-SPEC|beta-VAE|minutes:.1f} (SN-SPEC)",
        f"- `MultimodalDAEP` - {_seconds('daep')} (SALT3)",
        f"- `ContrastiveNeighbors` - {_seconds('contrastive')} (SALT3)",
        f"- `MixtureOfExpertsVAE` - {_seconds('mmVAE')} (SALT3)",
        "- `DualFormer` - {desa/pairs-dualformer-0|cpu_seconds:.1f/60} (REAL)",
        "`MAEPEncoder` and `BetaVAEEncoder` took {SN-SPEC|maep 30 %|n_iter:,} steps, the three estimators on SALT3 "
        "{cross_modality/SALT3|fits|daep|n_iter:,}, and `DualFormer`, a small network, "
        "{desa/pairs-dualformer-0|settings|max_iter:,}.",
        *(
            _row_of_starts(*row)
            for row in (
                ("spectra of supernovae (SN-SPEC)", "SN-SPEC"),
                ("spectra of stars (LONG)", "LONG"),
                ("spectra of dwarfs (SpeX)", "SpeX"),
                ("images of galaxies (IMAGE)", "IMAGE"),
                ("supernovae (SPCC)", "SPCC"),
                ("variable stars (CRTS-FOLDED)", "CRTS-FOLDED"),
                ("RR Lyrae (S82-FOLDED)", "S82-FOLDED"),
            )
        ),
        f"On IMAGE its error is {_start('IMAGE', _BASIS, 'error_mean')} and its F1 "
        f"{_start('IMAGE', _BASIS, 'f1')}, on SPCC {_start('SPCC', _BASIS, 'error_mean')} and "
        f"{_start('SPCC', _BASIS, 'f1')}",
        "took {S82-FOLDED|daep, core=None|minutes:.1f} to {SN-SPEC|daep, core=None|minutes:.1f} minutes",
        "training sets of {paper_tables/S82-FOLDED|n_objects|0:,} to {paper_tables/CRTS-FOLDED|n_objects|0:,} objects",
    ],
    "doc/guide/time_and_size.rst": [
        *(_row_of_times(name) for name in ("ZTF-LC", "SPCC", "CRTS-FOLDED", "SpeX", "LONG", "SN-SPEC")),
        _row_of_times("IMAGE", points="256 patches"),
        _row_of_steps("quick", "sn_spectra_90s"),
        _row_of_steps("medium", "sn_spectra_5min"),
        _row_of_steps("long", "sn_spectra"),
        *(_row_of_points(n) for n in (100, 1000, 10_000)),
        "train {throughput|rows|64 x 220: train|rate:,.0f}",
        "encode {throughput|rows|64 x 220: encode|rate:,.0f}",
        "reconstruct {throughput|rows|64 x 220: point|rate:,.0f}",
        "draw once {throughput|rows|64 x 220: draw|rate:,.0f}",
        *(_row_of_width(width) for width in (32, 64, 128, 256)),
        "an error of {SpeX|daep, 128 wide|error_mean:.3f} instead of {SpeX|daep, core=None|error_mean:.3f} "
        "on SpeX, {CRTS-FOLDED|daep, 128 wide|error_mean:.3f} instead of "
        "{CRTS-FOLDED|daep, core=None|error_mean:.3f} on CRTS-FOLDED, and "
        "{LONG|daep, single stage, 128 wide, 1000 steps|error_mean:.3f} instead of "
        "{LONG|daep, single stage, 1000 steps|error_mean:.3f} on LONG",
        "a million light curves took {speed_objects|rows|1000000|peak:.0f} MiB in addition to the input, less than the "
        "codes themselves ({speed_objects|rows|1000000|codes:.0f} MiB)",
    ],
    "benchmarks/PERFORMANCE.md": [
        _row_of_rates("64 x 220", "train"),
        _row_of_rates("64 x 220", "encode"),
        _row_of_rates("64 x 220", "point", "reconstruct", ratio=",.0f"),
        _row_of_rates("64 x 220", "draw"),
        _row_of_rates("64 x 60, 2 bands", "train"),
        _row_of_rates("64 x 60, 2 bands", "encode"),
        _row_of_rates("8 x 2500", "train", form=".1f"),
        _row_of_rates("8 x 2500", "encode"),
        "are {speed_points|slopes|encode:.2f}, {speed_points|slopes|train:.2f} and {speed_points|slopes|draw:.2f}",
        *map(_row_of_reading, ("Table", "Table with units, errors, masks and meta", "QTable with units and errors")),
        "a million light curves needs {speed_objects|rows|1000000|peak:.0f} MiB beside its input",
        "The codes take {speed_objects|rows|1000000|codes:.0f} MiB. After 100 fits "
        "{speed_fits|rows|100|in use:.3f} MiB more are in use",
    ],
    "doc/guide/bottleneck.rst": [
        *(_row_of_guide(f"PCA, {n}", f"PCA {n}") for n in (4, 8, 16, 32)),
        _row_of_guide("`DAEPEncoder`, 16", _DAEP),
        _scales_of_codes(),
        f"with 2 x 2 numbers the error is {_ZTF % 'daep, core=None'} mag",
        "the spectra above took {sn_spectra|times|n_iter:,}.",
        "each of the {sn_spectra|n_objects|0:,} supernova spectra, and {sn_spectra_augmented|times|n_iter:,} steps "
        "instead of {sn_spectra|times|n_iter:,}, the error falls from "
        f"{_error('sn_spectra', _DAEP)} to {_error('sn_spectra_augmented', _DAEP)} and the F1 of the probe rises from "
        f"{_probe('sn_spectra', _DAEP, 'f1')} to {_probe('sn_spectra_augmented', _DAEP, 'f1')}",
    ],
    "doc/guide/missing_modalities.rst": [
        "On {cross_modality/REAL|rows|daep|spectrum|all|n:,} real test supernovae",
        "of photometry inferred from spectra from {cross_modality/REAL|rows|daep|photometry|all|mse|0:.2f} to "
        "{cross_modality/REAL-contrastive|rows|daep|photometry|all|mse|0:.2f} mag^2, and of spectra inferred from "
        "photometry from {cross_modality/REAL|rows|daep|spectrum|all|mse|0:.4f} to "
        "{cross_modality/REAL-contrastive|rows|daep|spectrum|all|mse|0:.4f} dex^2",
    ],
    "doc/guide/large_catalogues.rst": [
        "making `FlatTables` from a nested column takes {scale_reading|rows|nested column to FlatTables|median:.0f} "
        "us, and reading them about {scale_reading|rows|FlatTables to Ragged|median:.0f} us. Making a Table takes "
        "{scale_reading|rows|FlatTables to Tables|median:.0f} us and reading it "
        "{scale_reading|rows|Tables to Ragged|median:.0f} us",
        "a fit to 5,000 objects of 200 points holds {scale_memory|rows|FlatTables|held:.0f} MiB in addition to its "
        "input, {scale_memory|rows|FlatTables|bytes a point held:.0f} bytes per point. While it reads the objects, it "
        "briefly needs {scale_memory|rows|FlatTables|peak:.0f} MiB",
        f"need {_peaks(10_000)} for 10,000 objects, and {_peaks(1_000_000)} for a million, of which the codes are "
        "{scale_folder|rows|1000000|codes:.0f} MiB",
        "A million objects take {scale_folder|rows|1000000|on disk:.0f} MiB on disk",
        "``encode`` needs {scale_command|rows|50000|peak:.0f} MiB for 50,000 objects of 50 points and "
        "{scale_command|rows|250000|peak:.0f} MiB for 250,000.",
        "a worker encodes {catalogs|rows|ZTF, 1 workers|rate by CPU:,.0f} light curves of 217 points in two bands per "
        "second of CPU time; {catalogs|rows|ZTF, 1 workers|overhead share:.0f/0.01} % of it is not the network's. Two "
        "workers encode {catalogs|rows|ZTF, 2 workers|rate by CPU:,.0f} per second of both. Each needs "
        "{catalogs|rows|ZTF, 2 workers|MiB of a worker:.0f} MiB",
        f"a billion such objects take {_on_paper('ZTF')} on ten nodes of 64 cores",
        f"as after ten years of Rubin, take {_on_paper('Rubin, 10 years')} on ten nodes",
    ],
    "doc/guide/objects.rst": [
        f"weighting changed the error from {_weighted('SPCC', 'error_mean:.3f')}, and the macro F1 of the classes from "
        f"{_weighted('SPCC', 'f1:.3f')}. On folded light curves of RR Lyrae it changed the error from "
        f"{_weighted('S82-FOLDED', 'error_mean:.3f')} and the F1 from {_weighted('S82-FOLDED', 'f1:.2f')}",
    ],
    "doc/guide/pretrained.rst": [
        _row_of_transfer("pretrained, as it is", "pretrained, as it is"),
        _row_of_transfer("`FunctionalPCA`", "functional PCA"),
        _row_of_transfer("pretrained, 1 min", "pretrained, 1 min"),
        _row_of_transfer("from scratch, 1 min", "from scratch, 1 min"),
        _row_of_transfer("`FunctionalPCA`, 100 objects", "functional PCA, 100 objects"),
        _row_of_transfer("pretrained, 1 min, 100 objects", "pretrained, 1 min, 100 objects"),
        _row_of_transfer("from scratch, 1 min, 100 objects", "from scratch, 1 min, 100 objects"),
        "the macro F1 is {transfer-SPCC|rows|pretrained, as it is, and brightness|f1:.3f} from the pretrained model "
        "and {transfer-SPCC|rows|functional PCA, and brightness|f1:.3f} from functional PCA",
    ],
    "doc/guide/probing.rst": [
        "an accuracy of {paper_tables/SpeX|yardsticks|PCA 4|accuracy:.3f}; ``DAEPEncoder(core=None)`` has "
        "{SpeX|daep, core=None|accuracy:.3f} +- {SpeX|daep, core=None|accuracy_sd:.3f}",
    ],
    "doc/arriving.rst": [
        f"After 7 days 90 % of the draws contain {_arriving('points', '7|raw', 2)} (SPCC), "
        f"{_arriving('points', '7|raw', 2, 'ZTF-LC')} (ZTF) and {_arriving('points', '7|raw', 2, 'SALT3')} (SALT3) of "
        "the later points",
        f"With ``core=None`` it is {_arriving('points, core=None', '7|raw', 2)} (SPCC) and "
        f"{_arriving('points, core=None', '7|raw', 2, 'ZTF-LC')} (ZTF). Functional PCA has "
        f"{_arriving('functional PCA', '7|raw', 2)}, {_arriving('functional PCA', '7|raw', 2, 'ZTF-LC')} and "
        f"{_arriving('functional PCA', '7|raw', 2, 'SALT3')}.",
        f"With the default the shares are then {_arriving('points', '7|conformal', 2)}, "
        f"{_arriving('points', '7|conformal', 2, 'ZTF-LC')} and {_arriving('points', '7|conformal', 2, 'SALT3')}.",
        f"On ZTF the error of forecasts after 3 days falls from {_arriving('points', '3|error', file='ZTF-LC')} to "
        f"{_arriving('points, future', '3|error', file='ZTF-LC')}, while that of complete light curves rises from "
        f"{_arriving('points', 'all|error', file='ZTF-LC')} to "
        f"{_arriving('points, future', 'all|error', file='ZTF-LC')}.",
        f"gains nothing from it ({_arriving('points', '7|error')} at 7 days, before and after)",
        f"At 7 days its macro F1 is {_arriving('points, core=None', '7|f1')} and that of the default "
        f"{_arriving('points', '7|f1')}.",
    ],
    "doc/guide/reconstruction.rst": [
        f"90 % of the draws contain {_arriving('points', '3|raw', 2)} of the later points 3 days after the first "
        f"detection, and {_arriving('points', '30|raw', 2)} after 30 days",
        f"the share of later points inside 90 % of the draws from {_arriving('points, core=None', '7|raw', 2)} to "
        f"{_arriving('points, future, core=None', '7|raw', 2)} (SPCC, 7 days), and lowers their error from "
        f"{_arriving('points, core=None', '7|error')} to {_arriving('points, future, core=None', '7|error')}, which is "
        f"below that of the default, {_arriving('points', '7|error')}.",
        f"complete light curves becomes a little worse, {_arriving('points, future, core=None', 'all|error')} instead "
        f"of {_arriving('points, core=None', 'all|error')}.",
        "was {sn_spectra|draws|coherence|ratio of standard deviations:.2f} times that of the data after "
        "{sn_spectra|times|n_iter:,} steps",
        "an area under the ROC curve of {augmenting-SN-SPEC|rows|auc|generated|all:.2f}, and drawn light curves with "
        "{augmenting-SPCC|rows|auc|generated|all:.2f} (chance would be 0.5)",
    ],
    "doc/generated_objects.rst": [
        "On real spectra the macro F1 of boosting with 30 labels rises from "
        "{augmenting-SN-SPEC|rows|boosting|real|30:.3f} to {augmenting-SN-SPEC|rows|boosting|real + "
        "generated|30:.3f}, with `augment` to {augmenting-SN-SPEC|rows|boosting|real + augment|30:.3f}. The "
        "gain over `augment` is {augmenting-SN-SPEC|rows|gain, boosting|over real + augment|30:.3f} +- "
        "{augmenting-SN-SPEC|rows|gain, boosting|over real + augment|30_sd:.3f}, and with 100 labels "
        "{augmenting-SN-SPEC|rows|gain, boosting|over real + augment|100:.3f} +- "
        "{augmenting-SN-SPEC|rows|gain, boosting|over real + augment|100_sd:.3f}. For logistic regression "
        "these gains are {augmenting-SN-SPEC|rows|gain, logistic regression|over real + augment|30:.3f} +- "
        "{augmenting-SN-SPEC|rows|gain, logistic regression|over real + augment|30_sd:.3f} and "
        "{augmenting-SN-SPEC|rows|gain, logistic regression|over real + augment|100:.3f} +- "
        "{augmenting-SN-SPEC|rows|gain, logistic regression|over real + augment|100_sd:.3f}.",
        "With 300 labels and with all, boosting gains {augmenting-SN-SPEC|rows|gain, boosting|over real + "
        "augment|300:.3f} +- {augmenting-SN-SPEC|rows|gain, boosting|over real + augment|300_sd:.3f} and "
        "{augmenting-SN-SPEC|rows|gain, boosting|over real + augment|all:.3f} +- "
        "{augmenting-SN-SPEC|rows|gain, boosting|over real + augment|all_sd:.3f}, which is nothing.",
        "On light curves 30 labels give {augmenting-SPCC|rows|boosting|real|30:.3f}, "
        "{augmenting-SPCC|rows|boosting|real + generated|30:.3f} with generated objects and "
        "{augmenting-SPCC|rows|boosting|real + augment|30:.3f} with `augment`. The gain over `augment`, "
        "{augmenting-SPCC|rows|gain, boosting|over real + augment|30:.3f} +- {augmenting-SPCC|rows|gain, "
        "boosting|over real + augment|30_sd:.3f}, is no more than chance, and there is none with more labels "
        "({augmenting-SPCC|rows|gain, boosting|over real + augment|100:.3f} +- {augmenting-SPCC|rows|gain, "
        "boosting|over real + augment|100_sd:.3f} and {augmenting-SPCC|rows|gain, boosting|over real + "
        "augment|300:.3f} +- {augmenting-SPCC|rows|gain, boosting|over real + augment|300_sd:.3f}).",
        "The gain of the prior over it with 30 labels is {augmenting-SN-SPEC|rows|gain, boosting|over real + "
        "generated, normal|30:.3f} +- {augmenting-SN-SPEC|rows|gain, boosting|over real + generated, "
        "normal|30_sd:.3f} on spectra and {augmenting-SPCC|rows|gain, boosting|over real + generated, "
        "normal|30:.3f} +- {augmenting-SPCC|rows|gain, boosting|over real + generated, normal|30_sd:.3f} on "
        "light curves.",
        "With all labels boosting tells new spectra from real ones with an area under the ROC curve of "
        "{augmenting-SN-SPEC|rows|auc|generated|all:.3f}, and light curves with "
        "{augmenting-SPCC|rows|auc|generated|all:.3f}; for training objects in their place it is "
        "{augmenting-SN-SPEC|rows|auc|training objects|all:.3f} and {augmenting-SPCC|rows|auc|training "
        "objects|all:.3f}.",
        "They are {augmenting-SN-SPEC|rows|neighbors|generated|all:.3f} and "
        "{augmenting-SPCC|rows|neighbors|generated|all:.3f} times as far from the nearest training object as "
        "test objects are",
    ],
    "doc/beyond_astronomy.rst": [
        "the {clinical-SeFT|rows|functional PCA|n:d} numbers of `FunctionalPCA` reach an AUROC of "
        f"{_deaths('functional PCA', 'auroc')} and an AUPRC of {_deaths('functional PCA', 'auprc')}, above all "
        "networks in the table, and below the {clinical-SeFT|rows|hand-made features|n:d} hand-made features, which "
        f"reach {_deaths('hand-made features', 'auroc')} and {_deaths('hand-made features', 'auprc')}.",
        "`DAEPEncoder` and `MAEPEncoder` start from the same solution, and {clinical-SeFT|fits|daep|n_iter:d} steps of "
        "training without labels change little: {clinical-SeFT|rows|daep|linear_auroc:.3f} and "
        "{clinical-SeFT|rows|daep|linear_auprc:.3f} for both.",
        "with the linear classifier functional PCA reaches {clinical-Raindrop1|rows|functional PCA|linear_auroc:.3f} "
        "and {clinical-Raindrop1|rows|functional PCA|linear_auprc:.3f}, hand-made features "
        "{clinical-Raindrop1|rows|hand-made features|linear_auroc:.3f} and "
        "{clinical-Raindrop1|rows|hand-made features|linear_auprc:.3f}",
        "the {clinical-SeFT|rows|daep, labels|n:d} numbers of a `DAEPEncoder` trained for "
        "{clinical-SeFT|fits|daep, labels|n_iter:d} steps reach "
        f"{_deaths('daep, labels', 'auroc')} and {_deaths('daep, labels', 'auprc')}.",
        "the mean absolute error is {clinical-SeFT|imputation|functional PCA|error:.3f} standard deviations with "
        "functional PCA, {clinical-SeFT|imputation|last value|error:.3f} with the last known value, and "
        "{clinical-SeFT|imputation|Gaussian process of each variable|error:.3f} with a Gaussian process",
    ],
    "doc/guide/what_daep_is.rst": [
        "trained on {sn_spectra|n_objects|0:,} supernova spectra and tested on {sn_spectra|n_objects|2:,}",
        "{sn_spectra|times|n_iter:,} steps, {sn_spectra|times|training_seconds:.0f/60} minutes of one core",
        f"is {_error('sn_spectra', _DAEP)} of the standard deviation of all fluxes. PCA on gridded spectra has "
        f"{_error('sn_spectra', 'PCA 16')} with 16 components and {_error('sn_spectra', 'PCA 32')} with 32",
        f"a macro F1 of {_probe('sn_spectra', _DAEP, 'f1')} from the 16 numbers, and "
        f"{_probe('sn_spectra', 'PCA 16', 'f1')} from 16 principal components",
    ],
    "doc/guide/variable_stars.rst": [
        "On {periods|rows|CRTS all|n:,} test stars of the Catalina survey it finds the period of the catalogue for "
        "{periods|rows|CRTS all|same:.0f/0.01} %, half of it for {periods|rows|CRTS all|half:.0f/0.01} %, twice for "
        "{periods|rows|CRTS all|double:.0f/0.01} %, a daily alias for {periods|rows|CRTS all|alias:.0f/0.01} % and "
        "another period for {periods|rows|CRTS all|wrong:.0f/0.01} %. On {periods|rows|S82 all|n:,} RR Lyrae stars in "
        "five bands it finds the period of the catalogue for {periods|rows|S82 all|same:.0f/0.01} %",
        "On {paper_tables/CRTS-FOUND|n_objects|1:,} test stars of twelve classes, with periods from `FindPeriod`, the "
        "macro F1 of a linear classifier is {CRTS-FOUND|codes, daep + meta|linear_f1:.3f} from codes of eight numbers "
        "and metadata, {CRTS-FOUND|codes, daep + splines of meta|linear_f1:.3f} from codes and splines of the "
        "metadata, {CRTS-FOUND|20 features|linear_f1:.3f} from 20 hand-made features, "
        "{CRTS-FOUND|codes, daep + 20 features|linear_f1:.3f} from codes and hand-made features, and "
        "{CRTS-FOUND|codes, daep + meta + 20 features + light-curve features|linear_f1:.3f} from codes, metadata and "
        "all hand-made features. A random forest has a macro F1 of {CRTS-FOUND|codes, daep + meta|forest_f1:.3f} from "
        "codes and metadata, and "
        "{CRTS-FOUND|meta|forest_f1:.3f} from metadata alone",
    ],
}
#: page -> numbers that look like figures and are none
OTHER = {
    "doc/extend/modality.rst": ["0.98", "0.01"],
    "doc/guide/variable_stars.rst": ["0.05", "0.99", "0.01"],
    "doc/guide/large_catalogues.rst": ["0.001"],
    "doc/install.rst": ["3.11"],
}
#: pages that benchmarks write
WRITTEN = {"doc/paper_tables.rst", "doc/cross_modality.rst", "doc/desa.rst"}


def filled(passage: str, results: dict | None = None) -> str:
    """Return a passage with its figures, from one file's results if given (keys without the file's name)."""
    return PLACEHOLDER.sub(lambda match: _figure(*match.groups(), results), passage)


def fill(page: str, text: str) -> str:
    """Return the text of a page with the figures of the files; it must have each of its passages once."""
    for passage in PAGES[page]:
        match = _found(page, text, passage)
        figures = [_figure(*found) for found in PLACEHOLDER.findall(passage)]
        for i, figure in reversed(list(enumerate(figures, start=1))):
            text = text[: match.start(i)] + figure + text[match.end(i) :]
    return text


def unaccounted(page: str, text: str) -> list[str]:
    """Return the figures of a page that stand in no passage; code and what it prints do not count."""
    for passage in PAGES.get(page, ()):
        match = _found(page, text, passage)
        text = text[: match.start()] + text[match.end() :]
    paragraphs = re.split(r"\n\s*\n", text)
    prose = "\n\n".join(p for p in paragraphs if ">>>" not in p)
    return [figure for figure in FIGURE.findall(prose) if figure not in OTHER.get(page, ())]


def written_by_hand() -> list[str]:
    """Return all pages whose text is written by hand."""
    made = ("_build", "_templates", "generated", "auto_examples", "sg_execution_times.rst")
    pages = [path for path in ROOT.joinpath("doc").rglob("*.rst") if not set(made) & set(path.parts)]
    names = sorted(str(path.relative_to(ROOT)) for path in pages)
    return ["README.rst", *(name for name in names if name not in WRITTEN)]


def _found(page: str, text: str, passage: str) -> re.Match:
    words = [re.escape(word) for word in PLACEHOLDER.sub("\0", passage).split()]
    pattern = r"(?<![\w.,])" + r"\s+".join(words).replace(re.escape("\0"), NUMBER)  # not from amid a number
    matches = list(re.finditer(pattern, text))
    if len(matches) != 1:
        raise ValueError(f"{page} has this passage {len(matches)} times, not once: {filled(passage)!r}")
    return matches[0]


def _figure(path: str, form: str, results: dict | None = None) -> str:
    if results is None:
        file, _, path = path.partition("|")
        results = _results(f"paper_tables/{file}")["rows"] if file in PROTOCOLS else _results(file)
    keys, value = path.split("|"), results
    for key in keys:
        value = value[int(key)] if isinstance(value, list) else value[key]
    form, _, divisor = form.partition("/")
    return format(value / float(divisor) if divisor else value, form)


if __name__ == "__main__":
    for name in PAGES:
        place = ROOT / name
        place.write_text(fill(name, place.read_text()))
