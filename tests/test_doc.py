"""The pages name what there is: every public name in the API page, every customary column name in the guide."""

import re
import textwrap
from importlib import import_module
from pathlib import Path

import pytest

import skdaep
import skdaep.datasets
from skdaep.tables import ALIASES, ERRORS, FLAGS, INVERSE_VARIANCES, SURVEYS

DOC = Path(skdaep.__file__).parents[1] / "doc"
ROOMS = ("skdaep", "skdaep.preprocessing", "skdaep.metrics", "skdaep.plotting", "skdaep.datasets", "skdaep.pretrained")
# the rest of the room is inner
OF_TABLES = {f"skdaep.tables.{name}" for name in ("from_long", "from_nested", "FlatTables", "Objects")}
CONTRACTS = {
    *(f"skdaep.modalities.{name}" for name in ("Modality", "Record", "Geometry", "Separations", "storable")),
    *("skdaep.model.Model", "skdaep.objectives.Objective", "skdaep.objectives.Bottleneck"),
}

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
    assert set(names) == set(public()) | OF_TABLES | CONTRACTS


def test_the_guide_has_all_customary_names_of_columns():
    rows = re.split(r"\n(?=\w)", (DOC / "guide/objects.rst").read_text())
    of_value = {"error": ERRORS, "ivar": INVERSE_VARIANCES, "quality": FLAGS}
    for role, aliases in ALIASES.items():
        (row,) = [r for r in rows if re.match(rf"{role}  ", r)]
        assert tuple(re.findall(r"``(\w+)``", row)) == (*of_value.get(role, ()), *aliases, *SURVEYS[role])


def test_the_ten_lines_of_the_readme_run(monkeypatch):
    """As they stand, but for the number of objects and of gradient steps."""
    text = (DOC.parent / "README.rst").read_text()
    (lines,) = re.findall(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", text)
    make = skdaep.datasets.make_supernova_spectra
    monkeypatch.setattr(skdaep.datasets, "make_supernova_spectra", lambda n, **options: make(24, **options))
    encoder = skdaep.DAEPEncoder

    def quick(**parameters):
        return encoder(**dict(max_iter=2, model_dim=8, n_sampling_steps=2) | parameters)

    monkeypatch.setattr(skdaep, "DAEPEncoder", quick, raising=False)
    names = {}
    exec(textwrap.dedent(lines), names)
    assert names["Z"].shape == (24, 16)
    assert names["tables"][0].colnames == ["wavelength", "flux"]
    assert names["draws"][0]["flux"].shape == (len(names["X"][0]), 10)
    assert set(names["classifier"].predict(names["X"])) <= set(names["y"])
