"""Periods found by ``FindPeriod`` beside those of the catalogues: CRTS (one band) and S82 (five), test objects.

A period found is the same as the catalogue's, half or double of it, a day alias of one of these (its frequency differs
by one or two cycles per day), or wrong; frequencies are the same where they differ by less than two over the time span
or half a per cent. Seconds per object are those of one core.
"""

from __future__ import annotations

import time
from collections import Counter
from importlib.util import find_spec

import numpy as np

from skdaep.preprocessing import FindPeriod

from . import _protocols, _report

PROTOCOLS = {"CRTS": _protocols.crts, "S82": _protocols.s82}
KINDS = ("same", "half", "double", "alias", "wrong")
COLUMNS = {"objects": "n", **{kind: kind for kind in KINDS}, "median FAP": "fap", "CPU s / object": "seconds"}
N_OBJECTS = 300


def main(arguments=None) -> None:
    """Find, compare, write."""
    parser = _report.parser(__doc__)
    parser.set_defaults(limit=N_OBJECTS, name="periods")
    options = parser.parse_args(arguments)
    rows = {name: evaluated(protocol, options) for name, protocol in PROTOCOLS.items()}
    rows = {f"{name} {label}": row for name, by_label in rows.items() for label, row in by_label.items()}
    text = _report.table(rows, COLUMNS, "Shares of test objects by what period was found", "objects")
    _report.write(options.name, {"rows": rows, "backend": backend()}, f"{text}\nbackend: {backend()}")


def evaluated(protocol, options) -> dict[str, dict]:
    """Return shares by class, and of all."""
    data = protocol()
    chosen = np.random.default_rng(options.seed).permutation(len(data.test))[: options.limit]
    X = [data.test[i] for i in chosen]
    step = FindPeriod(key="found", location="time", value="mag", error="mag_err").fit(X[:1])
    start = time.process_time()
    Z = step.transform(X)
    seconds = (time.process_time() - start) / len(Z)
    found = np.array([verdict(z) for z in Z])
    labels, chance = (np.array([z.meta[key] for z in Z]) for key in ("label", "found_fap"))
    groups = {"all": np.ones(len(Z), bool), **{str(label): labels == label for label in np.unique(labels)}}
    rows = {name: shares(found[own], chance[own]) for name, own in groups.items()}
    rows["all"]["seconds"] = seconds
    return rows


def verdict(table) -> str:
    """Return what the period found is to that of the catalogue."""
    found, truth = 1 / table.meta["found"], 10 ** -table.meta["log_period"]
    width = 2 / np.ptp(table["time"])

    def is_near(frequency):
        return abs(found - frequency) < max(min(width, 0.1 * frequency), 0.005 * frequency)

    related = {"same": truth, "half": 2 * truth, "double": truth / 2}
    aliases = [abs(frequency + days) for frequency in related.values() for days in (-2, -1, 1, 2)]
    return next((k for k, f in related.items() if is_near(f)), "alias" if any(map(is_near, aliases)) else "wrong")


def shares(found: np.ndarray, chance: np.ndarray) -> dict:
    """Return a row of the table."""
    counts = Counter(found.tolist())
    return {"n": len(found), "fap": f"{np.median(chance):.0e}"} | {kind: counts[kind] / len(found) for kind in KINDS}


def backend() -> str:
    """Return what computes the periodogram."""
    return "nifty-ls" if find_spec("nifty_ls") else "astropy"


if __name__ == "__main__":
    main()
