"""Notes the commit in what is built, for `fit` to record, and prepares the README for a package index.

All else is in pyproject.toml.
"""

import re
import subprocess
import tomllib
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT, NOTE = Path(__file__).parent, "skdaep/_commit.txt"


def note(folder):
    """Write the commit into a folder, if this is a clone; an sdist has the note already, other archives have none."""
    target = Path(folder, NOTE)
    if (ROOT / ".git").exists() and target.parent.is_dir():
        command = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
        try:
            target.write_text(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"The commit is not noted: {error}")


class BuildPy(build_py):
    """Builds what is in a wheel."""

    def run(self):
        """Build, and note the commit, but not in the sources themselves."""
        super().run()
        if not self.editable_mode:
            note(self.build_lib)


class Sdist(sdist):
    """Collects what is in an sdist."""

    def make_release_tree(self, base_dir, files):
        """Collect, and note the commit."""
        super().make_release_tree(base_dir, files)
        note(base_dir)


def long_description():
    """Return the README with its picture at an absolute address, or without it if there is none.

    A package index shows no files of the repository. The address follows from the project URL "Source".
    """
    text = (ROOT / "README.rst").read_text(encoding="utf-8")
    source = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"].get("Source")
    if source is None:
        return re.sub(r"\.\. image:: (?!https://).*\n(   .*\n)*\n?", "", text)
    return re.sub(r"(\.\. image:: )(?!https://)", rf"\g<1>{source.rstrip('/')}/raw/HEAD/", text)


setup(
    cmdclass={"build_py": BuildPy, "sdist": Sdist},
    long_description=long_description(),
    long_description_content_type="text/x-rst",
)
