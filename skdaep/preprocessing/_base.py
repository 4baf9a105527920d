"""What all steps share: they read objects as arrays, write them back, and behave like scikit-learn transformers.

A step has one parameter for each role of column that it reads (``value``, ``location``, ``band``, ``error``), and
defines what happens to one object in `forward` and `backward`. A new step needs nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from contextlib import suppress

import numpy as np
from astropy.table import Column, MaskedColumn, QTable, Table
from astropy.utils.masked import Masked
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .. import tables
from ..exceptions import TableError
from ..tables import FlatTables
from ._object import Points

NUMBERS = ("value", "location", "error")
#: roles of the columns that a step may change
WRITTEN = (*NUMBERS, "ivar")
#: objects of `FlatTables` of which Tables are made at once
AT_ONCE = 1000


class ObjectsOut(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """A transformer that returns objects instead of columns of numbers."""

    def __init_subclass__(cls, **kwargs):
        # scikit-learn would otherwise wrap every subclass's transform to make DataFrames of Tables.
        super().__init_subclass__(**kwargs | {"auto_wrap_output_keys": None})

    def get_feature_names_out(self, input_features=None):
        """Return the names unchanged, because a Table has no features yet.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names.

        Returns
        -------
        input_features : array-like of str
            The same.
        """
        return input_features

    def set_output(self, *, transform=None):
        """Do nothing, because the output is always Tables.

        Parameters
        ----------
        transform : str, default=None
            Ignored.

        Returns
        -------
        self : object
            The step.
        """
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.allow_nan = True
        return tags


class TableTransformer(ObjectsOut):
    """A step from Tables to Tables, the base of all steps.

    A subclass adds its parameters, `forward` and, if it can be inverted, `backward`. It has one parameter for each role
    of column that it reads (``value``, ``location``, ``band``, ``error``): the name of the column, or None to find it
    by its usual names. The other hooks, `check_parameters` to `points_kept`, have defaults. Columns keep their names.
    Unchanged columns are copied.

    Attributes
    ----------
    columns_, units_ : dict
        Columns, and their units in fit, by role.
    units_out_ : dict
        Units after the step, by role.
    is_magnitude_ : bool
        Whether the values of fit are magnitudes, which grow towards the faint end.
    remedy : str
        Of the class: what an error proposes if no point of an object is left, such as "lower threshold, or ".

    Examples
    --------
    >>> from dataclasses import replace
    >>> from skdaep.preprocessing import TableTransformer
    >>> class Cubed(TableTransformer):
    ...     def __init__(self, value=None):
    ...         self.value = value
    ...
    ...     def forward(self, points):
    ...         return replace(points, value=points.value**3)
    ...
    ...     def backward(self, points):
    ...         return replace(points, value=points.value ** (1 / 3))
    >>> from astropy.table import Table
    >>> step = Cubed()
    >>> Z = step.fit_transform([Table({"time": [1.0, 2.0], "flux": [3.0, 4.0]})])
    >>> Z[0]["flux"].tolist(), step.inverse_transform(Z)[0]["flux"].round(6).tolist()
    ([27.0, 64.0], [3.0, 4.0])
    """

    # --- hooks: what a step says --------------------------------------------------------------------

    #: what an error proposes where no point of an object is left
    remedy = ""
    #: whether what becomes of a point depends on no other point and no metadata: `FlatTables` are then done at once
    pointwise = False

    _warned: Set[str] = frozenset()  # columns of whose sentinels `fit` warned

    def check_parameters(self) -> None:
        """Raise an error if a parameter is invalid; called first in `fit`."""

    def required_roles(self) -> tuple[str, ...]:
        """Return the roles that the step needs besides value and location.

        Returns
        -------
        roles : tuple of str
            Of "band" and "error".
        """
        return ()

    def learn(self, points: list[Points]) -> None:
        """Learn from the training objects, into attributes that end in an underscore.

        Parameters
        ----------
        points : list of Points
            The training objects; ``columns_`` and ``units_`` are known.
        """

    def units_after(self) -> dict[str, str | None]:
        """Return the units after the step; called before `learn`.

        Returns
        -------
        units : dict
            Units of "value", "location" and "error"; None means no unit.
        """
        return self.units_

    def is_magnitude_after(self) -> bool | None:
        """Return whether values grow towards the faint end after the step.

        Returns
        -------
        is_magnitude : bool
            By default as before the step, ``is_magnitude_``.
        """
        return self.is_magnitude_

    def cycle_after(self) -> float | None:
        """Return the period of locations that the step has put on a circle.

        Returns
        -------
        cycle : float or None
            None, the default, for locations on a line. A period is stored in the meta of their column, for `Sequence`.
        """
        return None

    def roles_read(self) -> tuple[str, ...]:
        """Return the roles of the columns that the step reads; by default those it has parameters for.

        Returns
        -------
        roles : tuple of str
            Of "value", "location", "band", "error" and the like.
        """
        return tuple(role for role in tables.Columns._fields if hasattr(self, role))

    def forward(self, points: Points) -> Points:
        """Return a transformed object.

        Parameters
        ----------
        points : Points
            An object in the units of fit.

        Returns
        -------
        points : Points
            A changed copy, in the units of `units_after`.
        """
        return points

    def forward_all(self, points: list[Points]) -> list[Points]:
        """Return all objects transformed, instead of `forward`; for steps that use several processes.

        Parameters
        ----------
        points : list of Points
            Objects in the units of fit.

        Returns
        -------
        points : list of Points
            Changed copies, in the same order.
        """
        return [self.forward(p) for p in points]

    def points_kept(self, points: Points) -> np.ndarray:
        """Return which points of a transformed object to keep.

        Parameters
        ----------
        points : Points
            A transformed object.

        Returns
        -------
        kept : ndarray of bool, shape (n_points,)
            At least one observed point must remain, or the object is refused.
        """
        return np.ones(len(points.table), bool)

    def backward(self, points: Points) -> Points:
        """Return an object as it was before the step; by default there is no inverse.

        Parameters
        ----------
        points : Points
            A transformed object, or one decoded by an encoder: then its values may be draws (n_points, n_draws) and
            its errors NaN.

        Returns
        -------
        points : Points
            A changed copy, in the units of fit.
        """
        return points

    @property
    def _name(self) -> str:
        """Name of the step in error messages."""
        return type(self).__name__

    # --- what scikit-learn calls --------------------------------------------------------------------

    def fit(self, X, y=None):
        """Learn the columns and units of the first object, and what the step learns from all objects.

        Parameters
        ----------
        X : list of Table
            One Table per object.
        y : object, default=None
            Ignored.

        Returns
        -------
        self : object
            The fitted step.
        """
        self.check_parameters()
        objects = self._objects(X)
        tables.check_not_empty(len(objects))
        self._columns = self._find(objects[0])
        self.columns_ = {role: name for role, name in self._columns._asdict().items() if name is not None}
        self.units_ = self._units_of(objects[0])
        location = self.columns_.get("location")
        self._scale = None if location is None else tables.time_scale(objects[0][location])
        self.is_magnitude_ = self._says_magnitude(objects[0])
        self.units_out_ = self.units_after()
        points = self._all_points(objects)
        self._warned = self._warn_of_sentinels(objects, points)
        self.learn(points)
        return self

    def transform(self, X):
        """Return the objects transformed.

        Parameters
        ----------
        X : list of Table
            Objects with the columns seen in fit, in units that can be converted to those of fit.

        Returns
        -------
        X : list of Table
            New Tables (or QTables), or `FlatTables` if X was; the input is not changed.
        """
        check_is_fitted(self)
        objects = self._objects(X)
        if not isinstance(objects, FlatTables):
            return self._transformed(objects)
        if self.pointwise:
            with suppress(TableError):  # which each object is then asked for
                return self._transformed_at_once(objects)
        starts = range(0, len(objects), AT_ONCE)
        return FlatTables.of(t for start in starts for t in self._transformed(objects[start : start + AT_ONCE], start))

    def _transformed(self, objects, start: int = 0) -> list[Table]:
        before = [self._read(o, f"X[{i}]", self.units_) for i, o in enumerate(objects, start)]
        return [self._cut(*self._after(*pair)) for pair in zip(before, self.forward_all(before), strict=True)]

    def _after(self, old: Points, new: Points) -> tuple[Table, Points]:
        table = self._write(old, new, self.units_out_, self.is_magnitude_after(), self.cycle_after())
        for name in self._warned & set(table.colnames):  # once is enough: what comes next need not say it again
            table[name].info.meta = (table[name].info.meta or {}) | {tables.WARNED: True}
        return table, new

    # --- FlatTables ---------------------------------------------------------------------------------

    def _all_points(self, objects) -> list[Points]:
        if isinstance(objects, FlatTables) and self.pointwise:
            with suppress(TableError):
                return [self._read_whole(objects)]
        return [self._read(o, f"X[{i}]", self.units_) for i, o in enumerate(objects)]

    def _read_whole(self, objects: FlatTables) -> Points:
        """Return the points of all objects as if they were one object."""
        if (objects.lengths == 0).any():
            raise TableError("an object is empty")
        names = [name for name in self.columns_.values() if name in objects.columns]
        return self._read(objects.whole(names), "X", self.units_)

    def _transformed_at_once(self, objects: FlatTables) -> FlatTables:
        table, new = self._after(old := self._read_whole(objects), self.forward(old))
        changed = {n: c for n, c in table.columns.items() if n in (self.columns_.get(role) for role in WRITTEN)}
        after = objects.changed(
            {n: c.data for n, c in changed.items()},
            {n: str(c.unit) for n, c in changed.items() if c.unit is not None},
            {n: c.info.meta for n, c in changed.items() if c.info.meta},
        )
        retained, owner = self.points_kept(new), np.repeat(np.arange(len(objects)), objects.lengths)
        if len(np.unique(owner[self._seen(new, retained)])) < len(objects):
            raise TableError("an object has no point left")
        return after if retained.all() else after.of_points(retained)

    def _seen(self, points: Points, retained: np.ndarray) -> np.ndarray:
        """Return which points are kept and observed."""
        roles = [role for role in ("value", "location") if role in self.columns_]
        return np.logical_and.reduce([retained, *(np.isfinite(getattr(points, role)) for role in roles)])

    def inverse_transform(self, X):
        """Return objects, perhaps decoded by an encoder, in the units and frame of fit.

        Parameters
        ----------
        X : list of Table
            The output of `transform`, or Tables with its meta and columns. The error column may be missing, and the
            values may be draws, in a column of shape (n_points, n_draws).

        Returns
        -------
        X : list of Table
            New Tables; the input is not changed.
        """
        check_is_fitted(self)
        after = [self._read(o, f"X[{i}]", self.units_out_, decoded=True) for i, o in enumerate(self._objects(X))]
        return [self._write(a, self.backward(a), self.units_, self.is_magnitude_) for a in after]

    def __sklearn_is_fitted__(self):
        return hasattr(self, "units_out_")

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

    def _cut(self, table: Table, points: Points) -> Table:
        """Remove the points that the step does not keep. At least one observed point must remain."""
        retained = self.points_kept(points)
        if not self._seen(points, retained).any():
            raise TableError(
                f"{points.object_name} has no point left after {self._name}; {self.remedy}remove the object."
            )
        return table if retained.all() else table[retained]


def _unit_of_role(units: dict[str, str | None], role: str) -> str | None:
    return tables.unit_of_ivar(units["error"]) if role == "ivar" else units[role]


def _column(values: np.ndarray, unit: str | None, original, kind: type):
    """Return a column of the same kind as another one: masked if that is masked, a Quantity in a QTable."""
    # A Time always has a mask, but says whether it is one.
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
