"""What must be beaten: PCA of equal size, mean objects, an object's own level, and hand-made features."""

from __future__ import annotations

import joblib
import numpy as np
from astropy.table import Table
from astropy.timeseries import LombScargle
from scipy import fft, stats
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from ._data import CACHE, Data
from ._scores import linear_yardsticks, object_errors, probe, summary

N_BINS = 50  # of a mean light curve
N_TURNS = 5
MAX_FREQUENCY = 20.0  # cycles per day; CRTS has periods down to 0.065 d
MIN_FREQUENCY = 1 / 2000


def yardsticks(data: Data, n_numbers: int, split: str = "test") -> dict[str, dict]:
    """Return the baselines that suit a protocol; PCA has as many components as the bottleneck has numbers."""
    if data.location is None or data.grid is not None:
        return linear_yardsticks(data, split, tuple(sorted({4, 16, n_numbers})))
    features = feature_yardsticks(data, split) if data.protocol.startswith("CRTS") else {}
    return light_curve_yardsticks(data, split) | features


# --- light curves without a model -----------------------------------------------------------------------


def light_curve_yardsticks(data: Data, split: str = "test") -> dict[str, dict]:
    """Return the errors of the mean training light curve, of each object's own mean in each band, and of both."""
    objects = getattr(data, split)
    template = mean_light_curve(data, [np.zeros(len(t)) for t in data.train])

    def level_above(curve, table: Table) -> np.ndarray:
        return _level(data.values(table) - curve(table), _band(table))

    shape = template
    for _ in range(N_TURNS):  # the shape of light curves and how far each lies above it, in turns
        shape = mean_light_curve(data, [level_above(shape, t) for t in data.train])
    rows = {
        "mean object": [template(t) for t in objects],
        "own level in each band": [_level(data.values(t), _band(t)) for t in objects],
        "mean shape at own level in each band": [shape(t) + level_above(shape, t) for t in objects],
    }
    return {name: summary(object_errors(predicted, data, objects)) for name, predicted in rows.items()}


def mean_light_curve(data: Data, levels: list[np.ndarray]):
    """Return the function of a Table that looks up the mean of training points, less `levels`, by band and location."""
    location, value, band = (
        np.concatenate([read(t) for t in data.train])
        for read in (lambda t: np.asarray(t[data.location], float), data.values, _band)
    )
    value = value - np.concatenate(levels)
    curves = {}
    for name in np.unique(band):
        x, y = location[band == name], value[band == name]
        edges = np.unique(np.quantile(x, np.linspace(0, 1, N_BINS + 1)))
        place = np.searchsorted(edges, x, side="right").clip(1, len(edges) - 1) - 1
        n = np.bincount(place)
        curves[name] = np.bincount(place, x) / n, np.bincount(place, y) / n

    def template(table: Table) -> np.ndarray:
        x, names = np.asarray(table[data.location], float), _band(table)
        out = np.empty(len(x))
        for name, curve in curves.items():
            out[names == name] = np.interp(x[names == name], *curve)
        return out

    return template


def _band(table: Table) -> np.ndarray:
    return np.asarray(table["band"], str) if "band" in table.colnames else np.full(len(table), "")


def _level(value: np.ndarray, band: np.ndarray) -> np.ndarray:
    """Return the mean of the points in its band, for each point."""
    _, place = np.unique(band, return_inverse=True)
    return (np.bincount(place, value) / np.bincount(place))[place]


# --- hand-made features of a single-band light curve ----------------------------------------------------


def feature_yardsticks(data: Data, split: str = "test") -> dict[str, dict]:
    """Return the probe's scores from hand-made features, of a random forest and of logistic regression.

    A folded protocol's features have the catalogue's period in the place of the periodogram's.
    """
    X, labels = feature_table(getattr(data, split), "log_period" in data.metadata), data.labels(split)
    classifiers = {
        "random forest": RandomForestClassifier(300, random_state=0),
        "logistic regression": LogisticRegression(max_iter=2000),
    }
    return {f"{X.shape[1]} features, {name}": probe(X, labels, c) for name, c in classifiers.items()}


def feature_table(objects: list[Table], catalogue_period: bool = False) -> np.ndarray:
    """Return one row of features per object."""
    arrays = [[np.asarray(t[k], float) for k in ("time", "mag", "mag_err")] for t in objects]
    cache = CACHE / f"periodograms-{joblib.hash(arrays)}.joblib"
    if not cache.exists():
        joblib.dump(_periodograms(arrays), cache)  # minutes
    periods, powers = joblib.load(cache)
    if catalogue_period:
        periods = np.array([10 ** t.meta["log_period"] for t in objects])
    rows = []
    for table, (time, mag, error), period, power in zip(objects, arrays, periods, powers, strict=True):
        rows.append([table.meta["median_mag"], *_shape(mag), *_variability(time, mag, error), np.log10(period), power])
        rows[-1].append(_von_neumann(mag[np.argsort(time / period % 1)]))
    return np.array(rows)


def _shape(mag: np.ndarray) -> list[float]:
    """Return numbers of the distribution of magnitudes, whatever their order in time."""
    q5, q20, q25, q40, q60, q75, q80, q95 = np.percentile(mag, [5, 20, 25, 40, 60, 75, 80, 95])
    width, sd, centre = q95 - q5, mag.std(), np.median(mag)
    return [
        np.log10(sd),
        stats.skew(mag),
        stats.kurtosis(mag),
        width / 2,
        (q60 - q40) / width,
        (q75 - q25) / width,
        (q80 - q20) / width,
        (q95 - centre) / width,
        stats.median_abs_deviation(mag),
        np.mean(np.abs(mag - mag.mean()) > sd),
    ]


def _variability(time: np.ndarray, mag: np.ndarray, error: np.ndarray) -> list[float]:
    """Return numbers of the order in time and of the size against the errors."""
    n = len(mag)
    delta = np.sqrt(n / (n - 1)) * (mag - np.average(mag, weights=error**-2)) / error
    pairs = (delta[:-1] * delta[1:])[np.diff(time) < 1]  # of one night
    stetson_j = np.mean(np.sign(pairs) * np.sqrt(np.abs(pairs))) if len(pairs) else 0.0
    stetson_k = np.mean(np.abs(delta)) / np.sqrt(np.mean(delta**2))
    slope = np.polyfit(time / 1000, mag, 1)[0]
    return [n, np.log10(np.mean(delta**2)), stetson_j, stetson_k, _von_neumann(mag), slope]


def _von_neumann(mag: np.ndarray) -> float:
    """Return the mean squared difference of successive magnitudes over their variance; 2 for noise."""
    return np.mean(np.diff(mag) ** 2) / mag.var()


def _periodograms(arrays: list) -> tuple[np.ndarray, np.ndarray]:
    """Return the period and the power of the highest Lomb-Scargle peak of each object."""
    out = []
    for time, mag, error in arrays:
        around = _coarse_peak(time, mag, error)
        frequency = np.clip(around + np.linspace(-0.5, 0.5, 21) / np.ptp(time), MIN_FREQUENCY / 2, None)
        power = LombScargle(time, mag, error).power(frequency)
        out.append((1 / frequency[power.argmax()], power.max()))
    return tuple(np.array(out).T)


def _coarse_peak(time: np.ndarray, mag: np.ndarray, error: np.ndarray) -> float:
    """Return the frequency of most power, of a light curve on a fine grid of times: one FFT instead of a second."""
    step = 1 / (8 * MAX_FREQUENCY)
    place = np.rint((time - time.min()) / step).astype(int)
    signal = np.bincount(place, (mag - np.average(mag, weights=error**-2)) / error**2)
    n = fft.next_fast_len(3 * len(signal), real=True)  # three frequencies within the width of a peak
    frequency = fft.rfftfreq(n, step)
    inside = (frequency >= MIN_FREQUENCY) & (frequency <= MAX_FREQUENCY)
    return frequency[inside][np.abs(fft.rfft(signal, n)[inside]).argmax()]
