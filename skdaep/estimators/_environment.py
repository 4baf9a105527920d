"""The environment of a fit: versions, commit, device, threads."""

from __future__ import annotations

import json
import platform
from functools import cache
from importlib import metadata
from pathlib import Path

import torch

PACKAGES = ("torch", "numpy", "scikit-learn", "astropy")


def environment(device: str) -> dict[str, str | int | None]:
    """Return the environment that files store; the commit is None if unknown."""
    import skdaep

    kind = torch.device(device)
    name = torch.cuda.get_device_name(kind) if kind.type == "cuda" else platform.machine()
    return {
        **{"skdaep": skdaep.__version__, "commit": _commit(), "python": platform.python_version(), **_versions()},
        **{"system": platform.system(), "device": f"{device} ({name})", "threads": torch.get_num_threads()},
    }


@cache
def _versions() -> dict[str, str]:
    return {package: metadata.version(package) for package in PACKAGES}


@cache
def _commit() -> str | None:
    """Return the commit of the installation or clone, ignoring uncommitted changes."""
    package = Path(__file__).parents[1]
    if (built := package / "_commit.txt").is_file():  # in a wheel: see setup.py
        return built.read_text().strip()
    try:
        installed = metadata.distribution("skdaep").read_text("direct_url.json")
        commit = json.loads(installed or "{}").get("vcs_info", {}).get("commit_id")
        return commit or _head(package.parent / ".git")
    except (metadata.PackageNotFoundError, OSError, ValueError):
        return None


def _head(git: Path) -> str | None:
    """Return the current commit of a clone or work tree."""
    if git.is_file():
        git = git.parent / git.read_text().partition("gitdir: ")[2].strip()
    if not git.is_dir():
        return None
    head = (git / "HEAD").read_text().strip()
    if not head.startswith("ref: "):
        return head
    ref, common = head.removeprefix("ref: "), git / "commondir"
    shared = git / common.read_text().strip() if common.is_file() else git
    if (loose := shared / ref).is_file():
        return loose.read_text().strip()
    packed = (shared / "packed-refs").read_text().splitlines() if (shared / "packed-refs").is_file() else []
    return next((line.partition(" ")[0] for line in packed if line.endswith(f" {ref}")), None)
