"""The code of the pages is run as doctests, except where the package that a page is about is not installed."""

from importlib.util import find_spec

import pytest

collect_ignore = ["conf.py", "_build", "auto_examples", "generated"]

#: page -> what its code needs; scikit-learn has callbacks since 1.9
NEEDS = {
    "files.rst": "sklearn.callback",
    "lightkurve.rst": "lightkurve",
    "specutils.rst": "specutils",
    "sncosmo.rst": "sncosmo",
    "onnx.rst": "onnxruntime",
    "large_catalogues.rst": "pyarrow",
}


def pytest_itemcollected(item):
    """Leave out a page whose package is missing, and ignore that package's own warnings where it is there."""
    package = NEEDS.get(item.path.name)
    if package is not None:
        item.add_marker(pytest.mark.skipif(find_spec(package) is None, reason=f"needs {package}"))
        if item.path.parent.name == "coming_from":
            item.add_marker(pytest.mark.filterwarnings("ignore"))
