"""Parameters of estimators, each declared once: name, default and scikit-learn's constraints.

A parameter is an annotated name in the body of a class,

    beta: Annotated[float, NOT_NEGATIVE] = 0.1

and what follows the type are scikit-learn's constraints, of which one must hold. `declare` makes of all that a class
and its bases declare the `__init__` that scikit-learn wants: one keyword each, stored as it is and nothing else done.
"""

from __future__ import annotations

import inspect
from numbers import Integral, Real
from typing import Annotated, get_args, get_origin, get_type_hints

from ..objectives.cores import CORES
from ._compat import Interval, StrOptions
from ._docs import in_order

POSITIVE_INT = Interval(Integral, 1, None, closed="left")
POSITIVE = Interval(Real, 0, None, closed="neither")
NOT_NEGATIVE = Interval(Real, 0, None, closed="left")
SHARE = Interval(Real, 0, 1, closed="neither")
WEIGHT = Interval(Real, 0, 1, closed="both")

KEYWORD = inspect.Parameter.KEYWORD_ONLY

PositiveInt = Annotated[int, POSITIVE_INT]
Bool = Annotated[bool, "boolean"]
Core = Annotated[str | None, StrOptions({"auto", *filter(None, CORES)}), None]


def parameters(cls: type) -> type:
    """Decorator that collects the parameters declared in a class that is not itself an encoder."""
    hints = get_type_hints(cls, include_extras=True)
    names = [k for k in vars(cls).get("__annotations__", {}) if get_origin(hints[k]) is Annotated]
    cls._own_parameters = {
        k: inspect.Parameter(k, KEYWORD, default=vars(cls).get(k, inspect.Parameter.empty), annotation=hints[k])
        for k in names
    }
    for name in set(names) & vars(cls).keys():  # defaults must not look like attributes of an estimator
        delattr(cls, name)
    return cls


def declare(cls: type, without: tuple[str, ...]) -> None:
    """Give a class the `__init__` and the constraints declared in it and its bases, except those in `without`.

    The parameter that says what is measured comes first and may be given by position. The others are in the order in
    which they are described (`_docs.GROUPS`).
    """
    parameters(cls)
    cls._without = (*without, *getattr(cls, "_without", ()))
    declared = [vars(base).get("_own_parameters", {}) for base in cls.__mro__]
    order = [k for i, own in enumerate(declared) for k in own if not any(k in base for base in declared[i + 1 :])]
    found = {k: next(own[k] for own in declared if k in own) for k in in_order(order) if k not in cls._without}
    measured = found.pop(cls._measured)
    found = {cls._measured: measured.replace(kind=inspect.Parameter.POSITIONAL_OR_KEYWORD)} | found
    cls._parameter_constraints = {k: list(get_args(p.annotation)[1:]) for k, p in found.items()}
    if "__init__" not in vars(cls):
        cls.__init__ = _initialiser(cls, [p.replace(annotation=inspect.Parameter.empty) for p in found.values()])


def _initialiser(cls: type, found: list[inspect.Parameter]):
    itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    signature = inspect.Signature([itself, *found])

    def __init__(self, *args, **kwargs):
        try:
            given = signature.bind(self, *args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{type(self).__name__}: {error}") from None
        given.apply_defaults()
        vars(self).update((k, v) for k, v in given.arguments.items() if k != "self")

    __init__.__signature__ = signature
    __init__.__qualname__ = f"{cls.__qualname__}.__init__"
    __init__.__module__ = cls.__module__
    return __init__
