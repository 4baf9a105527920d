"""The pages name what there is: every public name in the API page, every customary column name in the guide."""

import re
from importlib import import_module
from pathlib import Path

import pytest

import skdaep
from skdaep.tables import ALIASES

DOC = Path(skdaep.__file__).parents[1] / "doc"
ROOMS = ("skdaep", "skdaep.preprocessing", "skdaep.metrics", "skdaep.plotting", "skdaep.datasets")
CONTRACTS = {"skdaep.modalities.Modality", "skdaep.objectives.Objective", "skdaep.objectives.Bottleneck"}

pytestmark = pytest.mark.skipif(not DOC.is_dir(), reason="the package is installed without its documentation")


def listed():
    """Return the full names under the autosummary directives of the API page."""
    names, module, within = [], None, False
    for line in (DOC / "api.rst").read_text().splitlines():
        if line.startswith((".. module::", ".. currentmodule::")):
            module = line.split("::")[1].strip()
        if line.strip():
            within = line.startswith(".. autosummary::") or (within and line.startswith("   "))
        if within and re.fullmatch(r"   [\w.]+", line):
            names.append(f"{module}.{line.strip()}")
    return names


def public():
    for room in ROOMS:
        yield from (f"{room}.{name}" for name in import_module(room).__all__ if not name.startswith("_"))


def test_the_api_page_lists_every_public_name_once_and_no_other():
    names = listed()
    assert len(names) == len(set(names))
    assert set(names) == set(public()) | CONTRACTS


def test_the_guide_has_all_customary_names_of_columns():
    rows = re.split(r"\n(?=\w)", (DOC / "guide/objects.rst").read_text())
    for role, aliases in ALIASES.items():
        (row,) = [r for r in rows if re.match(rf"{role}  ", r)]
        assert tuple(re.findall(r"``(\w+)``", row)) == aliases
