"""Clinical records, where a variable is a band: ``python -m benchmarks.clinical SeFT``, then ``"Raindrop 1"``.

Does a stay end in death? AUROC and AUPRC of a linear and of a boosted head on codes of 64 numbers and the static facts
(age, sex, height, weight, unit), of test stays; heads are fitted to training stays. Encoders see no label, except where
the name of the row says so. Beside them stand hand-made features and published networks. Then a fifth of the
measurements of some test stays is hidden, and decoded from the codes of the rest.

Rows are written as they come; a run continues where another stopped. ``_clinical`` says how stays are read.
"""

from __future__ import annotations

import json
import time

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdaep import DAEPEncoder, FunctionalPCA, MAEPEncoder, Sequence

from . import _clinical, _report

NETWORKS = {"bottleneck_length": 8, "bottleneck_dim": 8, "model_dim": 48, "n_encoder_layers": 2, "n_decoder_layers": 2}
#: with labels half as many numbers
LABELS = {"bottleneck_length": 4, "supervised_weight": 0.5, "max_iter": 200}
#: row -> encoder, its parameters, whether it reads the summary of a stay
METHODS: dict[str, tuple] = {
    "functional PCA": (FunctionalPCA, {"n_components": 64, "smoothness": 2.5e-6, "max_iter": 15}, True),
    "daep": (DAEPEncoder, NETWORKS | {"max_iter": 100}, True),
    "maep": (MAEPEncoder, NETWORKS | {"max_iter": 100}, True),
    "daep, labels": (DAEPEncoder, NETWORKS | LABELS, True),
    "maep, labels": (MAEPEncoder, NETWORKS | LABELS, True),
    "daep, as measured": (DAEPEncoder, NETWORKS | {"core": None, "max_iter": 600}, False),
}
HIDDEN, N_IMPUTED = 0.2, 400
N_BOOTSTRAPS = 200
#: inverse strengths of the linear head's penalty; the validation stays choose
STRENGTHS = (0.003, 0.01, 0.1, 1.0)
COLUMNS = {
    "numbers": "n",
    "linear: AUROC": "linear_auroc",
    "AUPRC": "linear_auprc",
    "boosted: AUROC": "boosted_auroc",
    "AUPRC ": "boosted_auprc",
}
ERRORS = {"mean over measurements": "error", "mean over variables": "error_of_variables"}


def main(arguments=None) -> None:
    """Fit, score and write the rows of one protocol."""
    parser = _report.parser(__doc__.splitlines()[0])
    parser.add_argument("protocol", choices=_clinical.SPLITS)
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=list(METHODS))
    parser.add_argument("--no-imputation", dest="imputation", action="store_false", help="deaths only")
    options = parser.parse_args(arguments)
    name = options.name or "clinical-" + options.protocol.replace(" ", "")
    path = _report.RESULTS / f"{name}.json"
    result = json.loads(path.read_text()) if path.exists() else {"rows": {}, "imputation": {}, "fits": {}}
    task = Task(options)
    result |= {"n_stays": [len(task.data.of(k)) for k in ("train", "validation", "test")]}

    def write() -> None:
        _report.write(name, result | {"protocol": options.protocol, "seed": options.seed}, document(result, options))

    if options.imputation and not result["imputation"]:
        result["imputation"] |= task.yardsticks()
    if "hand-made features" not in result["rows"]:
        result["rows"] |= {"static facts": task.scores(), "hand-made features": task.scores(task.by_hand)}
        write()
    for method in options.methods:
        if method not in result["rows"]:
            result["rows"][method], errors, result["fits"][method] = task.row(method)
            result["imputation"] |= {method: errors} if errors else {}
            write()


def document(result: dict, options) -> str:
    """Return both rst tables."""
    order = ("static facts", "hand-made features", *METHODS)
    rows = {k: result["rows"][k] for k in order if k in result["rows"]}
    published = {f"{k}, published": {"linear_auroc": a, "linear_auprc": p} for k, (a, p) in _clinical.PUBLISHED.items()}
    n = " / ".join(f"{n:,}" for n in result["n_stays"])
    deaths = _report.table(rows | published, COLUMNS, f"{options.protocol} ({n} stays), deaths, test", "features")
    if not result["imputation"]:
        return deaths
    title = f"Measurements hidden from {N_IMPUTED} test stays, mean absolute error in standard deviations"
    return deaths + "\n\n" + _report.table(result["imputation"], ERRORS, title, "filled in by")


def boosted(features: np.ndarray) -> HistGradientBoostingClassifier:
    """Return the boosted head."""
    options = {"max_iter": 200, "learning_rate": 0.05, "max_leaf_nodes": 8, "min_samples_leaf": 40}
    return HistGradientBoostingClassifier(**options, random_state=0)


class Task:
    """The stays of a protocol, scaled; how features of them are scored."""

    def __init__(self, options):
        self.options = options
        self.data = data = _clinical.stays(options.protocol)
        raw = _clinical.tables(_clinical.as_measured(data), data)
        self.scale = _clinical.scaler([raw[i] for i in data.of("train")])
        self.measured = self.scale.transform(raw)
        self.points = _clinical.as_measured(data).assign(value=np.concatenate([t["value"] for t in self.measured]))
        self.variables = np.unique(data.variable)
        self.summaries = _clinical.tables(self.summary(self.points), data)
        self.rescale = _clinical.scaler([self.summaries[i] for i in data.of("train")])
        self.summaries = _clinical.weighed(self.rescale.transform(self.summaries))
        self.static = _clinical.static_columns(data)
        self.by_hand = _clinical.by_hand(data)
        self.seen, self.hidden = self.halves()

    def chosen(self, split: str) -> np.ndarray:
        """Return the stays of a split, fewer of them in a trial."""
        return self.data.of(split)[: self.options.limit]

    def summary(self, points: pd.DataFrame) -> pd.DataFrame:
        """Return the summary of scaled measurements."""
        return _clinical.summary(points, len(self.data.died), self.variables)

    def scores(self, codes: np.ndarray | None = None) -> dict[str, float]:
        """Return the scores of both heads on codes (all stays) beside the static facts."""
        features = self.static if codes is None else np.hstack([codes, self.static])
        row: dict[str, float] = {"n": features.shape[1] - self.static.shape[1]}
        for name, head in {"linear": self.linear, "boosted": boosted}.items():
            fitted = head(features).fit(features[self.chosen("train")], self.data.died[self.chosen("train")])
            row |= self.rated(name, fitted.predict_proba(features[self.chosen("test")])[:, 1])
        return row

    def linear(self, features: np.ndarray):
        """Return the linear head that ranks the deaths among validation stays best."""
        train, held_out = self.chosen("train"), self.chosen("validation")

        def precision(head) -> float:
            fitted = head.fit(features[train], self.data.died[train])
            return average_precision_score(self.data.died[held_out], fitted.decision_function(features[held_out]))

        heads = [make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=1000)) for c in STRENGTHS]
        return max(heads, key=precision)

    def rated(self, name: str, probability: np.ndarray) -> dict[str, float]:
        """Return AUROC and AUPRC of test stays, and their standard errors by bootstrap."""
        died, rng = self.data.died[self.chosen("test")], np.random.default_rng(0)
        again = rng.integers(0, len(died), (N_BOOTSTRAPS, len(died)))
        row = {}
        for key, score in (("auroc", roc_auc_score), ("auprc", average_precision_score)):
            row[f"{name}_{key}"] = float(score(died, probability))
            row[f"{name}_{key}_sd"] = float(np.std([score(died[i], probability[i]) for i in again]))
        return row

    def row(self, method: str) -> tuple[dict, dict | None, dict]:
        """Fit an encoder; return the scores of its codes, its errors at hidden points and what the fit took."""
        cls, own, summarised = METHODS[method]
        keys = () if cls is FunctionalPCA else _clinical.STATIC
        modality = Sequence(**_clinical.NAMES, metadata=keys, unknown="ignore")  # in a trial few stays are seen
        encoder = cls(modality, random_state=self.options.seed, **own)
        encoder.set_params(**_report.overrides(self.options.set))
        if self.options.max_iter:
            encoder.set_params(max_iter=self.options.max_iter)
        objects, train = self.summaries if summarised else self.measured, self.chosen("train")
        labels = "supervised_weight" in own
        start = time.process_time()
        encoder.fit([objects[i] for i in train], self.data.died[train] if labels else None)
        fit = {"cpu_seconds": time.process_time() - start, "n_iter": encoder.n_iter_}
        fit |= {"settings": _report.settings(encoder), "history": encoder.history_}
        scored = np.concatenate([self.chosen(split) for split in ("train", "validation", "test")])
        found = encoder.transform([objects[i] for i in scored])
        codes = np.full((len(objects), found.shape[1]), np.nan)
        codes[scored] = found
        row = self.scores(codes)
        if labels:
            row |= self.rated("own", encoder.predict_proba([objects[i] for i in self.chosen("test")])[:, 1])
        if labels or not self.options.imputation:
            return row, None, fit
        return row, self.errors(self.imputed(encoder, summarised)), fit

    # --- imputation -----------------------------------------------------------------------------------

    def halves(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return what is seen and what is hidden of some test stays."""
        points = self.points[self.points["owner"].isin(self.chosen("test")[:N_IMPUTED])]
        hidden = np.random.default_rng(self.options.seed).random(len(points)) < HIDDEN
        seen = points[~hidden]
        hidden &= (points["owner"].isin(seen["owner"]) & (points["variable"] != _clinical.CONSTANT)).to_numpy()
        return seen, points[hidden]

    def yardsticks(self) -> dict[str, dict[str, float]]:
        """Return the errors of the mean of each variable, its last value, and a Gaussian process."""
        train = self.points[self.points["owner"].isin(self.chosen("train"))]
        processes = _clinical.Processes(train[train["variable"] != _clinical.CONSTANT])
        found = {
            "variable mean": np.zeros(len(self.hidden)),
            "last value": _clinical.last_values(self.seen, self.hidden),
            "Gaussian process of each variable": processes.predict(self.seen, self.hidden),
        }
        return {name: self.errors(values) for name, values in found.items()}

    def imputed(self, encoder, summarised: bool) -> np.ndarray:
        """Return hidden measurements decoded from the codes of what is seen."""
        owners = np.unique(self.hidden["owner"])
        seen = self.seen[self.seen["owner"].isin(owners)]
        objects = _clinical.tables(self.summary(seen) if summarised else seen, self.data)
        hidden = _clinical.tables(self.hidden, self.data)
        at, given = ([those[i] for i in owners] for those in (hidden, objects))
        if not summarised:
            decoded = encoder.inverse_transform(encoder.transform(given), at=at)
        else:
            codes = encoder.transform(_clinical.weighed(self.rescale.transform(given)))
            decoded = self.rescale.inverse_transform(encoder.inverse_transform(codes, at=self.rescale.transform(at)))
        return np.concatenate([np.asarray(t["value"], float) for t in decoded])

    def errors(self, values: np.ndarray) -> dict[str, float]:
        """Return the mean absolute error over hidden points, and the mean over variables of that of each."""
        error = np.abs(values - self.hidden["value"].to_numpy())
        return {
            "error": float(error.mean()),
            "error_of_variables": float(pd.Series(error).groupby(self.hidden["variable"].to_numpy()).mean().mean()),
        }


if __name__ == "__main__":
    main()
