"""Docstrings of the public names follow numpydoc, and say what the signature says."""

import inspect
from importlib import import_module

import pytest

import skdaep
from skdaep.estimators._docs import GROUPS, OPTIONS
from skdaep.modalities import Modality
from skdaep.preprocessing import TableTransformer

validate = pytest.importorskip("numpydoc.validate").validate
NumpyDocString = pytest.importorskip("numpydoc.docscrape").NumpyDocString

ROOMS = ("datasets", "metrics", "preprocessing", "plotting", "pretrained")
IGNORED = {
    "GL01",  # the summary stands on the line of the quotes, as ruff's numpy convention has it
    "ES01",  # an extended summary is not owed
    "SA01",  # nor a "See Also"
    "SA04",  # nor a description of what is seen there
    "RT02",  # values returned have names, as in scikit-learn
    "SS05",  # "infinitive verb" takes nouns in -s for verbs
    "YD01",  # there are no generators among the public names
}
# Classes and functions owe an example; methods, exceptions and `load` (whose example is that of `save`) do not.
NO_EXAMPLE_OWED = {"EX01"}
# The methods of a modality are the contract with the engine, told once in `Modality`: a sentence each is enough.
A_SENTENCE_IS_ENOUGH = {"EX01", "PR01", "RT01"}


def public():
    """Yield the name of every public class, function and method that the package defines, its class, and itself."""
    for room in ("skdaep", *(f"skdaep.{room}" for room in ROOMS)):
        module = import_module(room)
        for name in module.__all__:
            thing = getattr(module, name)
            if not (inspect.isclass(thing) or inspect.isfunction(thing)):
                continue
            yield f"{room}.{name}", None, thing
            if inspect.isclass(thing) and not issubclass(thing, BaseException):
                for attribute, member in inspect.getmembers(thing, callable):
                    home = getattr(member, "__module__", None) or ""  # methods that tuples bring have none
                    if attribute.startswith("_") or inspect.isclass(member) or is_told_once(thing, member):
                        continue
                    if home.startswith("skdaep"):
                        yield f"{room}.{name}.{attribute}", thing, member


def is_told_once(cls, method):
    """Return whether a method is a hook of steps, which `TableTransformer` describes for all of them."""
    return issubclass(cls, TableTransformer) and method.__doc__ is None and hasattr(TableTransformer, method.__name__)


PUBLIC = {name: found for name, *found in public()}


def test_the_public_surface_is_found():
    expected = {"DAEPEncoder", "load", "Sequence", "DAEPEncoder.fit", "DAEPEncoder.transform", "DAEPEncoder.save"}
    expected |= {"datasets.get_data_home", "metrics.ProbeResult", "preprocessing.ZScore", "preprocessing.ZScore.fit"}
    expected |= {"plotting.LossDisplay", "plotting.LossDisplay.plot"}
    assert {f"skdaep.{name}" for name in expected} <= set(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_docstring_is_valid(name):
    home, thing = PUBLIC[name]
    ignored = set(IGNORED)
    if home is not None and issubclass(home, Modality):
        ignored |= A_SENTENCE_IS_ENOUGH
    elif home is not None or thing is skdaep.load or (inspect.isclass(thing) and issubclass(thing, BaseException)):
        ignored |= NO_EXAMPLE_OWED
    found = validate(name)["errors"]
    assert [f"{code}: {message}" for code, message in found if code not in ignored] == []


@pytest.mark.parametrize("name", [*skdaep.ESTIMATORS, *skdaep.MULTIMODAL, "FunctionalPCA"])
def test_parameters_of_estimators_are_described_by_use(name):
    """The most used ones first, then a class's own, architecture, training, decoding and device."""
    described = NumpyDocString(getattr(skdaep, name).__doc__)["Parameters"]
    names = [k for parameter in described for k in parameter.name.split(", ")]
    assert names == list(inspect.signature(getattr(skdaep, name)).parameters)
    group = {k: i for i, members in enumerate(GROUPS) for k in members.split()}
    known = [group[k] for k in names if k in group]
    assert known == sorted(known)
    assert names[0] in ("modality", "modalities")
    assert names[-1] == "verbose"


@pytest.mark.parametrize(("registry", "name"), [(r, name) for r, members in OPTIONS.items() for name in members])
def test_every_option_is_described_to_users(registry, name):
    summary = OPTIONS[registry][name]
    assert summary.endswith(".")
    text = " ".join(f"{skdaep.DAEPEncoder.__doc__} {skdaep.MultimodalDAEP.__doc__}".split())
    assert f'"{name}": {summary}' in text
    assert f"[{registry}" not in text
