"""Results as JSON and a small table under benchmarks/results, with all that is needed to repeat them."""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from ._data import ROOT

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "astropy")


def write(name: str, content: dict, table: str = "") -> Path:
    """Write ``results/<name>.json`` and, if there is a table, ``results/<name>.txt``; print the table."""
    RESULTS.mkdir(exist_ok=True)
    content = {"command": " ".join([Path(sys.argv[0]).stem, *sys.argv[1:]]), "written": _now()} | content
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(content | {"provenance": provenance()}, indent=1, default=_plain) + "\n")
    if table:
        path.with_suffix(".txt").write_text(table + "\n")
        print(table)
    print(f"written to {path}")
    return path


def provenance() -> dict:
    """Return machine, versions and commit."""
    return {
        "cpu": _cpu(),
        "cores": torch.multiprocessing.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "versions": {p: version(p) for p in PACKAGES},
        "commit": _git("rev-parse", "HEAD"),
        "dirty": bool(_git("status", "--porcelain", "--", "skdaep", "benchmarks/*.py")),
    }


def commit() -> str:
    """Return the commit, abbreviated, with a plus where something was changed since."""
    facts = provenance()
    return facts["commit"][:7] + "+" * facts["dirty"]


def settings(estimator) -> dict:
    """Return the parameters of an estimator as JSON can hold them."""
    plain = int | float | str | None
    return {k: v if isinstance(v, plain) else repr(v) for k, v in estimator.get_params().items()}


def table(rows: dict[str, dict], columns: dict[str, str], title: str = "", names: str = "method") -> str:
    """Return an rst table: one row per name, under the heading `names`.

    `columns` maps headings to keys of a row; where it has ``<key>_sd`` too, that stands behind +-. No heading may be
    blank: reST drops a head whose first cell is.
    """
    cells = [[names, *columns]]
    for name, row in rows.items():
        cells.append([name, *(_cell(row, key) for key in columns.values())])
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    rule = "  ".join("=" * max(w, 1) for w in widths)
    lines = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in cells]
    return "\n".join([title, ""] * bool(title) + [rule, lines[0], rule, *lines[1:], rule])


def _cell(row: dict, key: str) -> str:
    value = row.get(key)
    if isinstance(value, float):
        spread = f" +- {row[key + '_sd']:.3f}" if key + "_sd" in row else ""
        return (f"{value:.3f}" if abs(value) < 1000 else f"{value:.3g}") + spread
    return "" if value is None else str(value)


def parser(description: str, minutes: float | None = None) -> argparse.ArgumentParser:
    """Return a parser of the options that benchmarks share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--minutes", type=float, default=minutes, help="training time; chooses max_iter")
    parser.add_argument("--max-iter", type=int, help="gradient steps, instead of --minutes")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="parameters of DAEPEncoder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="use only so many objects of each split (for a trial)")
    parser.add_argument("--name", help="name of the result files")
    parser.add_argument("--threads", type=int, help="torch threads")
    return parser


def overrides(pairs: list[str]) -> dict:
    """Parse ``key=value`` pairs; values are JSON or, where that fails, text; None, True, False as in Python."""
    python = {"None": None, "True": True, "False": False}

    def parse(text):
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return python.get(text, text)

    return {key: parse(value) for key, value in (pair.split("=", 1) for pair in pairs)}


def _plain(x):
    return x.tolist() if isinstance(x, np.ndarray | np.generic) else repr(x)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    return names[0].split(":", 1)[1].strip() if names else platform.processor()


def _git(*arguments: str) -> str | None:
    result = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)
    return result.stdout.strip() if result.returncode == 0 else None
