"""The code of the pages is run as doctests, except where the package that a page is about is not installed."""

from importlib.util import find_spec

import pytest

collect_ignore = ["conf.py", "_build", "auto_examples", "generated"]

#: page -> the package that it is about
ABOUT = {"lightkurve.rst": "lightkurve", "specutils.rst": "specutils", "sncosmo.rst": "sncosmo"} | {
    "onnx.rst": "onnxruntime"
}


def pytest_itemcollected(item):
    """Leave a page out whose package is not there, and that package's own warnings where it is."""
    package = ABOUT.get(item.path.name)
    if package is not None:
        item.add_marker(pytest.mark.skipif(find_spec(package) is None, reason=f"needs {package}"))
        item.add_marker(pytest.mark.filterwarnings("ignore"))
