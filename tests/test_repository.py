"""What contributors use agrees with what the package says."""

import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest

import skdaep

ROOT = Path(skdaep.__file__).parents[1]
pytestmark = pytest.mark.skipif(not (ROOT / ".github").is_dir(), reason="not a clone of the repository")


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_oldest_dependencies_are_those_the_package_allows():
    pins = dict(re.findall(r"^([\w-]+)==([\d.]+)$", (ROOT / ".github/oldest.txt").read_text(), re.MULTILINE))
    needed, extras = project()["dependencies"], chain(*project()["optional-dependencies"].values())
    minima = {name: minimum for name, _, minimum in (d.partition(">=") for d in (*extras, *needed))}
    assert {name.partition(">=")[0] for name in needed} <= pins.keys() <= minima.keys()
    for name, pin in pins.items():
        assert re.sub(r"(\.0)+$", "", pin) == minima[name], name


def test_the_workflow_tests_all_python_versions_of_the_classifiers():
    versions = re.findall(r"Python :: (3\.\d+)", "\n".join(project()["classifiers"]))
    assert project()["requires-python"] == f">={versions[0]}"
    (tested,) = re.findall(r"python: \[(.*)\]", (ROOT / ".github/workflows/ci.yml").read_text())
    assert re.findall(r"[\d.]+", tested) == versions


def test_commands_of_the_makefile_are_those_of_the_readme():
    makefile = (ROOT / "Makefile").read_text()
    commands = re.findall(r"^    (python -m pip install .*)$", (ROOT / "README.rst").read_text(), re.MULTILINE)
    assert len(commands) == 3
    assert all(f"\t{command}\n" in makefile for command in commands)


def test_continuous_integration_lints_with_the_commands_of_the_makefile():
    makefile, ci = ((ROOT / name).read_text() for name in ("Makefile", ".ci/run"))
    tools, *commands = re.search(r"^lint:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)[1].split("\n\t")
    assert len(commands) == 4
    assert "\n" + "\n".join(commands) in ci
    assert tools.split("install ")[1] in ci


def test_the_workflow_and_the_contributors_page_call_targets_of_the_makefile():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in (".github/workflows/ci.yml", "CONTRIBUTING.rst", ".github/PULL_REQUEST_TEMPLATE.md"):
        called = re.findall(r"\bmake ((?:[a-z]+ ?)+?)(?=``|`|\n| in )", (ROOT / page).read_text())
        assert called, page
        assert set(" ".join(called).split()) <= targets, page


def test_the_page_of_the_benchmarks_lists_every_command():
    folder = ROOT / "benchmarks"
    commands = {path.stem for path in folder.glob("[a-z]*.py") if "__main__" in path.read_text()}
    assert set(re.findall(r"^``benchmarks\.(\w+)``$", (folder / "README.rst").read_text(), re.MULTILINE)) == commands
