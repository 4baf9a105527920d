"""What steps share at the border of Tables: columns and units found, objects read as arrays and written back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from astropy.table import Column, MaskedColumn, QTable, Table
from astropy.utils.masked import Masked

from .. import tables
from ..exceptions import TableError
from ._manners import ObjectsOut
from ._object import Points

NUMBERS = ("value", "location", "error")


class TableReader(ObjectsOut):
    """What reads and writes the columns that a step has parameters for."""

    def required_roles(self) -> tuple[str, ...]:
        """Return the roles that the step needs besides value and location.

        Returns
        -------
        roles : tuple of str
            Of "band" and "error".
        """
        return ()

    def roles_read(self) -> tuple[str, ...]:
        """Return the roles of the columns that the step reads; by default those it has parameters for.

        Returns
        -------
        roles : tuple of str
            Of "value", "location", "band", "error" and the like.
        """
        return tuple(role for role in tables.Columns._fields if hasattr(self, role))

    @property
    def _name(self) -> str:
        """Name of the step in error messages."""
        return type(self).__name__

    # --- reading ------------------------------------------------------------------------------------

    def _warn_of_sentinels(self, objects: Sequence[Table], points: list[Points]) -> set[str]:
        """Warn of values and locations that are none, which no one may recognise after the step; return the columns."""
        lengths = objects.lengths if len(points) < len(objects) else [len(p.table) for p in points]
        owner, warned = np.repeat(np.arange(len(objects)), lengths), set()
        for role in ("value", "location"):
            if (name := self.columns_.get(role)) is None:
                continue
            x = np.concatenate([getattr(p, role) for p in points])
            seen, names = np.isfinite(x), [f"X[{i}]" for i in range(len(objects))]
            if seen.any() and tables.warn_of_sentinels_in(objects[0], name, role, x[seen], owner[seen], names):
                warned.add(name)
        return warned

    def _objects(self, X) -> Sequence[Table]:
        if tables.is_numeric(X):
            raise TableError(f"X is an array of numbers; {self._name} needs a list of Tables.")
        return tables.as_objects(X)

    @property
    def _ask(self) -> str:
        """How to name a column of this step, for error messages."""
        return f"{self._name}({{}})"

    def _find(self, table: Table) -> tables.Columns:
        """Return the columns of the step's roles, and those that mark values as not observed."""
        names = {role: getattr(self, role) for role in self.roles_read()}
        return tables.Columns.find(table, "X[0]", names, ("value", "location", *self.required_roles()), self._ask)

    def _units_of(self, table: Table) -> dict[str, str | None]:
        """Return the units by role. Errors are read in the unit of their values."""
        found = {role: tables.unit_of(table, self.columns_[role]) for role in NUMBERS if role in self.columns_}
        error = self.columns_.get("error") or self.columns_.get("ivar")
        if error is not None and tables.unit_of(table, error) is not None:
            found["error"] = tables.unit_of_error(found["value"])
        return dict.fromkeys(NUMBERS) | found

    def _says_magnitude(self, table: Table) -> bool | None:
        """Return whether the values are magnitudes, judging by mark, unit or name; None if these are inconclusive."""
        if "value" not in self.columns_:
            return None
        name = self.columns_["value"]
        mark = table[name].info.meta.get(tables.MAGNITUDE) if table[name].info.meta else None
        return tables.is_magnitude(name, self.units_["value"], mark)

    def _need_kind(self, hint: str = "") -> None:
        """Raise an error if it is unknown whether the values are magnitudes."""
        if self.is_magnitude_ is None:
            raise TableError(
                f"X[0] column '{self.columns_['value']}' may be magnitudes or fluxes; neither unit nor name tells "
                f"which. Set its unit{hint}."
            )

    @property
    def _dex(self) -> float | None:
        """How many dex a difference of 1 in the values is: -0.4 for magnitudes; None for linear values."""
        return -0.4 if self.is_magnitude_ and not self.units_["value"] else tables.dex_of(self.units_["value"])

    def _read(self, table: Table, object_name: str, units: dict, decoded: bool = False) -> Points:
        if len(table) == 0:
            raise TableError(f"{object_name} is an empty table; remove the object.")
        self._check_columns(table, object_name, decoded)
        n = len(table)
        there = tables.Columns(**{role: name for role, name in self.columns_.items() if name in table.colnames})
        read = tables.read_draws if decoded else tables.read_points
        found = read([table], there, [object_name], units, scale=self._scale)
        value, error = (found.get(role, np.full(n, np.nan)) for role in ("value", "error"))
        return Points(
            value=value,
            location=found.get("location", np.full(n, np.nan)),
            band=found.get("band", np.full(n, "")),
            error=error.reshape(n, *[1] * (value.ndim - 1)) if error.ndim < value.ndim else error,
            meta=dict(table.meta),
            table=table,
            object_name=object_name,
            decoded=decoded,
        )

    def _check_columns(self, table: Table, object_name: str, decoded: bool) -> None:
        """Raise an error if a column that the step needs is missing. Decoded objects have no errors."""
        error = "ivar" if "error" not in self.columns_ else "error"
        needed = {"value", "location", *(() if decoded else self.required_roles())}
        needed = {error if role == "error" else role for role in needed}
        for role in needed & set(self.columns_):
            tables.find_column(table, role, self.columns_[role], object_name, ask=self._ask)

    # --- writing ------------------------------------------------------------------------------------

    def _write(
        self, old: Points, new: Points, units: dict, magnitude: bool | None, cycle: float | None = None
    ) -> Table:
        """Return a new Table in which the columns that the step changed are replaced.

        If neither the unit nor the name of the values shows correctly whether they are magnitudes, the meta of their
        column is marked.
        """
        kind = QTable if isinstance(old.table, QTable) else Table
        columns = {name: old.table[name] for name in old.table.colnames}
        for role, name in self.columns_.items():
            if name not in columns or role == "quality":
                continue
            before, after = (getattr(p, "error" if role == "ivar" else role) for p in (old, new))
            if after is before:
                continue
            if role == "ivar":
                after = np.where(np.isnan(after), np.nan, np.abs(after) ** -2.0)
            columns[name] = _column(after, _unit_of_role(units, role), columns[name], kind)
            if role == "value" and magnitude not in (None, tables.is_magnitude(name, units[role])):
                columns[name].info.meta = {tables.MAGNITUDE: magnitude}
            if role == "location" and cycle is not None:
                columns[name].info.meta = {tables.CYCLE: cycle}
        columns = {name: column for name, column in (columns | new.other).items() if column is not None}
        return kind(columns, meta=new.meta, copy=True)


def _unit_of_role(units: dict[str, str | None], role: str) -> str | None:
    return tables.unit_of_ivar(units["error"]) if role == "ivar" else units[role]


def _column(values: np.ndarray, unit: str | None, original, kind: type):
    """Return a column of the same kind as another one: masked if that is masked, a Quantity in a QTable."""
    # A Time always has a mask; its attribute `masked` tells whether anything is masked.
    masked = getattr(original, "masked", hasattr(original, "mask"))
    if kind is QTable and unit is not None:
        values = values << tables.unit_named(unit)
        new = Masked(values, mask=np.isnan(values)) if masked else values
    elif masked:
        new = MaskedColumn(values, mask=np.isnan(values), unit=unit)
    else:
        new = Column(values, unit=unit)
    new.info.description = original.info.description
    return new
