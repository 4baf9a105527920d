"""The manner that all displays share."""

import inspect

import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy.table import Table
from sklearn.datasets import make_blobs

from skdaep import plotting

validate = pytest.importorskip("numpydoc.validate").validate

IGNORED = {"GL01", "ES01", "SA01", "SA04", "RT02", "SS05", "YD01"}  # as in tests/test_docstrings.py


X = np.random.default_rng(0).normal(size=(2, 6))
TABLES = [Table({"time": np.arange(6.0), "flux": x}) for x in X]
Z, Y = make_blobs(40, random_state=0)
MAKE = {
    "CoverageDisplay": lambda d: d.from_predictions(X, X[..., None] + [0.0, 1.0], levels=[0.5]),
    "CrossModalDisplay": lambda d: d.from_predictions([{"a": t, "b": t} for t in TABLES], X, modality="a"),
    "ImageDisplay": lambda d: d.from_predictions(X.reshape(2, 2, 3), X.reshape(2, 2, 3)),
    "LatentMapDisplay": lambda d: d.from_predictions(Z, Y),
    "LossDisplay": lambda d: d.from_predictions([{"iteration": i, "loss": 1.0 / i} for i in (1, 2)]),
    "ProbeDisplay": lambda d: d.from_predictions({"Z": Z}, Y, n_splits=2),
    "ReconstructionDisplay": lambda d: d.from_predictions(X, X),
    "ResidualDisplay": lambda d: d.from_predictions(X, X, bins=2),
    "TraversalDisplay": lambda d: d.from_predictions([0, 1], X),
}


@pytest.fixture(params=MAKE)
def display(request):
    return MAKE[request.param](getattr(plotting, request.param))


def axes_of(display):
    return display.axes_ if hasattr(display, "axes_") else np.array([[display.ax_]])


def test_plot_again_on_axes_given_and_on_new_ones(display):
    plt.close("all")
    shape, parameters = axes_of(display).shape, inspect.signature(type(display)).parameters
    kept = {p: getattr(display, p) for p in parameters}
    figure, axes = plt.subplots(*shape, squeeze=False)
    assert display.plot(ax=axes) is display
    assert display.figure_ is figure
    assert (axes_of(display) == axes).all()
    assert plt.get_fignums() == [figure.number]
    assert all(ax.has_data() for ax in axes.flat)
    assert display.plot().figure_ is not figure
    assert len(plt.get_fignums()) == 2
    assert all(getattr(display, p) is kept[p] for p in parameters)
    display.figure_.canvas.draw()  # the layout raises no warning


def test_axes_too_many_are_refused(display):
    with pytest.raises(ValueError, match="but ax holds 21"):
        display.plot(ax=plt.subplots(3, 7)[1])


@pytest.mark.parametrize("name", plotting.__all__)
def test_docstrings_are_valid(name):
    for path in (name, *(f"{name}.{m}" for m in ("plot", "from_estimator", "from_predictions"))):
        ignored = IGNORED | ({"EX01"} if "." in path else set())
        found = validate(f"skdaep.plotting.{path}")["errors"]
        assert [f"{code}: {message}" for code, message in found if code not in ignored] == [], path


def test_every_display_is_tested_here():
    assert list(MAKE) == plotting.__all__
