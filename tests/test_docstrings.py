"""Docstrings of the public names follow numpydoc, and say what the signature says."""

import inspect

import pytest

import skdaep
from skdaep.modalities import Modality

validate = pytest.importorskip("numpydoc.validate").validate

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
    """Yield the dotted name of every public class, function and method that the package itself defines."""
    for name in skdaep.__all__:
        thing = getattr(skdaep, name)
        if not (inspect.isclass(thing) or inspect.isfunction(thing)):
            continue
        yield name, thing
        if inspect.isclass(thing) and not issubclass(thing, BaseException):
            for attribute, member in inspect.getmembers(thing, callable):
                if not attribute.startswith("_") and (member.__module__ or "").startswith("skdaep"):
                    yield f"{name}.{attribute}", member


PUBLIC = dict(public())


def test_the_public_surface_is_found():
    expected = {"DAEPEncoder", "load", "Sequence", "DAEPEncoder.fit", "DAEPEncoder.transform", "DAEPEncoder.save"}
    assert expected <= set(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_docstring_is_valid(name):
    thing, (home, *method) = PUBLIC[name], name.split(".")
    ignored = set(IGNORED)
    if method and issubclass(getattr(skdaep, home), Modality):
        ignored |= A_SENTENCE_IS_ENOUGH
    elif method or home == "load" or (inspect.isclass(thing) and issubclass(thing, BaseException)):
        ignored |= NO_EXAMPLE_OWED
    found = validate(f"skdaep.{name}")["errors"]
    assert [f"{code}: {message}" for code, message in found if code not in ignored] == []
