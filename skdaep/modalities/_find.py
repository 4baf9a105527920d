"""Find the columns of a sequence: those that are declared, and those with usual names in the Tables of fit."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from astropy.table import Table

from .. import tables
from ..exceptions import TableError, UnusedColumnWarning

#: a text column with no more distinct cells than this may be one of bands
FEW_LABELS = 12


def find_columns(declared: Any, objects: list[Table], object_names: list[str]) -> dict[str, str | None]:
    """Return the columns by role: value and location from the first Table, the others from all Tables.

    `declared` has a column or None for each role, and `prefer`.
    """
    firsts: dict[tuple[str, ...], int] = {}
    for i in tables.distinct_layouts(objects):
        firsts.setdefault(tuple(objects[i].columns), i)
    distinct = {object_names[i]: objects[i] for i in firsts.values()}
    names: dict[str, str | None] = {
        role: tables.find_column(objects[0], role, getattr(declared, role), object_names[0], prefer=declared.prefer)
        for role in ("value", "location")
    }
    for role in ("band", "error", "ivar", "quality"):
        other = {"error": declared.ivar, "ivar": names.get("error")}.get(role)  # one of the two is enough
        needless = other is not None and getattr(declared, role) is None
        names[role] = None if needless else _find_optional(declared, role, distinct, names["value"])
    _check_distinct(names, object_names[0])
    if names["band"] is None:
        _warn_of_labels(objects, set(names.values()))
    return names


def find_cycle(location: str, objects: list[Table], object_names: list[str]) -> float | None:
    """Return the period of the locations that the meta of their columns states; None if there is none."""
    having = {object_names[i]: t for i in tables.distinct_layouts(objects) if location in (t := objects[i]).columns}
    marks = {place: (t.columns[location].info.meta or {}).get(tables.CYCLE) for place, t in having.items()}
    first = marks[object_names[0]]
    if odd := [place for place, mark in marks.items() if mark != first]:
        raise TableError(
            f"{object_names[0]} and {odd[0]} disagree on whether column '{location}' is a phase, or on its cycle. "
            f"Fold all objects or none, or declare the cycle with {tables.ASK.format('cycle=...')}."
        )
    return None if first is None else float(first)


def _find_optional(declared: Any, role: str, objects: dict[str, Table], value: str | None) -> str | None:
    """Return the column for a role in the objects (name in errors -> Table) that have one."""
    name = getattr(declared, role)
    if name is not None:
        object_name, table = next(
            ((k, t) for k, t in objects.items() if name in t.columns), next(iter(objects.items()))
        )
        return tables.find_column(table, role, name, object_name)
    found = {
        object_name: c
        for object_name, t in objects.items()
        if (c := tables.candidates(t, role, declared.prefer, value))
    }
    common = [c for c in next(iter(found.values()), ()) if all(c in other for other in found.values())]
    if len(common) == 1 or not found:
        return common[0] if found else None
    has = "; ".join(f"{object_name} has {', '.join(names)}" for object_name, names in found.items())
    raise TableError(f"Several columns could be the {role}: {has}. Choose with {tables.ASK.format(f'{role}=...')}.")


def _check_distinct(names: dict[str, str | None], object_name: str) -> None:
    """Raise an error if a column has two roles, or if there are two columns of errors."""
    roles: dict[str, str] = {}
    for role, name in names.items():
        if name is not None and roles.setdefault(name, role) != role:
            raise TableError(
                f"{object_name} column '{name}' is both {roles[name]} and {role}. "
                f"Declare another with {tables.ASK.format(f'{role}=...')}."
            )
    error, ivar = names["error"], names["ivar"]
    if error is not None and ivar is not None:
        raise TableError(f"Errors are in '{error}' and in '{ivar}'; set error= or ivar=, not both.")


def _warn_of_labels(objects: list[Table], used: set[str | None]) -> None:
    """Warn of unused text columns that look like bands: few labels, several of them in one object."""
    first = objects[0]
    for name in first.colnames:
        columns = [t.columns[name] for i in tables.distinct_layouts(objects) if name in (t := objects[i]).columns]
        if name in used or any(getattr(c, "dtype", np.dtype(float)).kind not in "USO" for c in columns):
            continue
        found, most = tables.distinct_labels(objects, name)
        if len(found) <= FEW_LABELS and most > 1:
            warnings.warn(
                f"Column '{name}' holds {', '.join(found.tolist())} and is not used. If these are bands, set "
                f"modality=Sequence(band={name!r}); otherwise remove the column.",
                UnusedColumnWarning,
                stacklevel=2,
            )
