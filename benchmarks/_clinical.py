"""Stays in intensive care (PhysioNet / CinC Challenge 2012) as Tables, the published figures, and yardsticks.

A stay is a Table of hours since admission, the variable (which is the band) and its value. Values are clipped to the
0.1 and 99.9 % quantiles of their variable in training (a pH of 735 is a slip of the pen), and skewed ones are
log(1 + x). `scaled` is `ZScore(per_band=True)`, fitted to training stays. Two records of a stay:

* as measured: some 430 measurements, half of them of heart rate and blood pressure;
* `summary`: means over days, the last value of each variable at its end, and two more bands for each variable, how
  often it was measured (log(1 + n), 0 too) and how much it scattered. What is measured often is measured for a reason.

How much the latter bands weigh, `WEIGHTS`, was chosen by cross-validation on training and validation stays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from astropy.table import Table
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern, WhiteKernel

from skdaep.preprocessing import ZScore

from ._data import raw_file

FILE = "physionet2012_icu.parquet"
HOURS = 48.0
WINDOW = 24.0  # hours of a mean
CLIPPED = (0.001, 0.999)
SKEWED = (
    *("ALP", "ALT", "AST", "BUN", "Bilirubin", "Creatinine", "Glucose", "Lactate", "Mg", "PaO2", "Platelets"),
    *("TroponinI", "TroponinT", "Urine", "WBC"),
)
#: the only variable without a value: 1 whenever the stay is noted to be ventilated
CONSTANT = "MechVent"
WEIGHTS = {"n ": 1.5, "scatter ": 0.5}
STATIC = ("age", "gender", "height", "weight", "icu_type")
NAMES = {"location": "hours", "value": "value", "band": "variable"}
SPLITS = {"SeFT": "split_seft", "Raindrop 1": "split_raindrop1"}
#: AUROC and AUPRC of networks that see the labels, as their papers and ViTST's and Warpformer's give them
PUBLISHED = {
    "GRU-D": (0.819, 0.461),
    "SeFT": (0.739, 0.311),
    "mTAND": (0.842, 0.482),
    "Raindrop": (0.828, 0.440),
    "ViTST": (0.851, 0.511),
    "Warpformer": (0.865, 0.543),
}


@dataclass(frozen=True)
class Stays:
    """Measurements of all stays end to end, ready to be scaled, and what is known of each stay."""

    owner: np.ndarray
    hours: np.ndarray
    variable: np.ndarray
    value: np.ndarray
    died: np.ndarray
    split: np.ndarray  # train, validation, test, or nothing
    static: pd.DataFrame

    def of(self, split: str) -> np.ndarray:
        """Return the stays of a split."""
        return np.flatnonzero(self.split == split)


def stays(protocol: str) -> Stays:
    """Return the stays of a protocol, without the dozen that have no measurement."""
    frame = pd.read_parquet(raw_file(FILE))
    frame = frame[frame.location.map(len) > 0].reset_index(drop=True)
    owner = np.repeat(np.arange(len(frame)), frame.location.map(len))
    variable = np.concatenate(frame.band.to_list()).astype(str)
    value = np.concatenate(frame.value.to_list()).astype(float)
    split = frame[SPLITS[protocol]].fillna("").to_numpy(str)
    seen = (split == "train")[owner]
    for name in np.unique(variable):
        here = variable == name
        value[here] = value[here].clip(*np.quantile(value[here & seen], CLIPPED))
    value = np.where(np.isin(variable, SKEWED), np.log1p(value), value)
    static = frame[list(STATIC)].copy()
    static["height"] = static["height"].where(static["height"].between(120, 220))  # some are in other units
    static["weight"] = static["weight"].where(static["weight"] > 25)
    hours = np.concatenate(frame.location.to_list()).astype(float)
    return Stays(owner, hours, variable, value, frame.in_hospital_death.to_numpy(), split, static)


def as_measured(data: Stays) -> pd.DataFrame:
    """Return all measurements as points."""
    columns = {"owner": data.owner, "hours": data.hours, "variable": data.variable, "value": data.value}
    return pd.DataFrame(columns)


def summary(points: pd.DataFrame, n_stays: int, variables: np.ndarray) -> pd.DataFrame:
    """Return means over windows, last values, numbers and scatter of measurements as points, by stay."""
    points = points.sort_values(["owner", "hours"], kind="stable")
    day = np.minimum(points["hours"] // WINDOW, HOURS // WINDOW - 1)
    grouped = points[points["variable"] != CONSTANT].groupby(["owner", "variable"])["value"]
    means = points.assign(hours=(day + 0.5) * WINDOW).groupby(["owner", "variable", "hours"])["value"].mean()
    stay, band = (x.ravel() for x in np.meshgrid(np.arange(n_stays), variables, indexing="ij"))
    number = points.groupby(["owner", "variable"]).size()
    number = number.reindex(pd.MultiIndex.from_arrays([stay, band], names=["owner", "variable"]), fill_value=0)
    parts = [
        means.reset_index().query("variable != @CONSTANT"),
        grouped.last().reset_index().assign(hours=HOURS),
        _named("n ", np.log1p(number).rename("value").reset_index()),
        _named("scatter ", np.log1p(3 * grouped.std().dropna()).reset_index()),
    ]
    return pd.concat(parts)[["owner", "hours", "variable", "value"]].sort_values(["owner", "hours", "variable"])


def _named(prefix: str, points: pd.DataFrame) -> pd.DataFrame:
    return points.assign(hours=HOURS / 2, variable=prefix + points["variable"])


def tables(points: pd.DataFrame, data: Stays) -> list[Table]:
    """Return a Table for each stay, static facts in its meta."""
    cuts = np.searchsorted(points["owner"].to_numpy(), np.arange(len(data.died) + 1))
    columns = {"hours": points["hours"].to_numpy(), "variable": points["variable"].to_numpy(str)}
    columns |= {"value": points["value"].to_numpy()}
    facts = data.static.assign(icu_type=data.static["icu_type"].map("unit {:.0f}".format)).to_dict("records")
    return [
        Table({k: v[a:b] for k, v in columns.items()}, meta=meta)
        for a, b, meta in zip(cuts, cuts[1:], facts, strict=False)
    ]


def scaler(objects: list[Table]) -> ZScore:
    """Return the step that gives each variable its own scale."""
    return ZScore(per_band=True, value="value", band="variable").fit(objects)


def weighed(objects: list[Table]) -> list[Table]:
    """Return scaled summaries with the weights of numbers and scatter."""
    for table in objects:
        for prefix, weight in WEIGHTS.items():
            table["value"][np.char.startswith(table["variable"], prefix)] *= weight
    return objects


def static_columns(data: Stays) -> np.ndarray:
    """Return static facts as columns, the median of training stays where one is unknown, and whether it is."""
    numbers = data.static[["age", "gender", "height", "weight"]].to_numpy(float)
    unknown = np.isnan(numbers[:, 1:])
    filled = np.where(np.isnan(numbers), np.nanmedian(numbers[data.of("train")], 0), numbers)
    return np.hstack([filled, unknown, pd.get_dummies(data.static["icu_type"]).to_numpy(float)])


def by_hand(data: Stays) -> np.ndarray:
    """Return first, last, mean, least, largest and number of each variable; the median where it was not measured."""
    grouped = as_measured(data).sort_values(["owner", "hours"], kind="stable").groupby(["owner", "variable"])["value"]
    columns = []
    for name in ("first", "last", "mean", "min", "max"):
        table = getattr(grouped, name)().unstack().reindex(range(len(data.died)))
        columns.append(table.fillna(table.loc[data.of("train")].median()))
    columns.append(np.log1p(grouped.size().unstack().reindex(range(len(data.died))).fillna(0)))
    return np.hstack([c.to_numpy(float) for c in columns])


# --- imputation -----------------------------------------------------------------------------------------


def last_values(seen: pd.DataFrame, hidden: pd.DataFrame) -> np.ndarray:
    """Return the last value seen of a variable at or before each hidden point; the first one later, or 0, if none."""
    keys = {"on": "hours", "by": ["owner", "variable"]}
    left = hidden.reset_index(drop=True).reset_index()[["index", "owner", "variable", "hours"]].sort_values("hours")
    right = seen[["owner", "variable", "hours", "value"]].sort_values("hours")
    found = pd.merge_asof(left, right, **keys, direction="backward").set_index("index")["value"]
    later = pd.merge_asof(left, right, **keys, direction="forward").set_index("index")["value"]
    return found.fillna(later).fillna(0).sort_index().to_numpy()


class Processes:
    """A Gaussian process for each variable, about its mean; of length and noise those most likely in training."""

    LENGTHS = (2.0, 6.0, 24.0)
    NOISES = (0.05, 0.2, 0.5)

    def __init__(self, points: pd.DataFrame, n_stays: int = 20):
        few = points[points["owner"].isin(np.unique(points["owner"])[:n_stays])]
        self.kernels = {name: self._likeliest(own) for name, own in few.groupby("variable")}

    def _likeliest(self, points: pd.DataFrame):
        def likelihood(kernel):
            fits = (self._fit(kernel, own) for _, own in points.groupby("owner"))
            return sum(fit.log_marginal_likelihood_value_ for fit in fits)

        return max((self._kernel(a, b) for a in self.LENGTHS for b in self.NOISES), key=likelihood)

    @staticmethod
    def _kernel(length: float, noise: float):
        return (1 - noise) * Matern(length, nu=1.5) + WhiteKernel(noise)

    @staticmethod
    def _fit(kernel, points: pd.DataFrame) -> GaussianProcessRegressor:
        process = GaussianProcessRegressor(kernel, alpha=1e-6, optimizer=None)
        return process.fit(points[["hours"]].to_numpy(), points["value"].to_numpy())

    def predict(self, seen: pd.DataFrame, hidden: pd.DataFrame) -> np.ndarray:
        """Return the posterior means at hidden points; 0 where a stay has no point of the variable."""
        answer = pd.Series(0.0, index=np.arange(len(hidden)))
        groups = dict(list(seen.groupby(["owner", "variable"])))
        for key, own in hidden.reset_index(drop=True).groupby(["owner", "variable"]):
            if key in groups and key[1] in self.kernels:
                answer[own.index] = self._fit(self.kernels[key[1]], groups[key]).predict(own[["hours"]].to_numpy())
        return answer.to_numpy()
