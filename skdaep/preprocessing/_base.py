"""What all steps share: what a step defines, and how it behaves like a scikit-learn transformer.

A step has one parameter for each role of column that it reads (``value``, ``location``, ``band``, ``error``), and
defines what happens to one object in `forward` and `backward`. A new step needs nothing else.
"""

from __future__ import annotations

from collections.abc import Set
from contextlib import suppress

import numpy as np
from astropy.table import Table
from sklearn.utils.validation import check_is_fitted

from .. import tables
from ..exceptions import TableError
from ..tables import FlatTables
from ._border import NUMBERS, TableReader
from ._object import Points

#: roles of the columns that a step may change
WRITTEN = (*NUMBERS, "ivar")
#: number of objects of `FlatTables` that are converted to Tables together
AT_ONCE = 1000


class TableTransformer(TableReader):
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

    #: advice for the error if no point of an object remains
    remedy = ""
    #: whether each point is transformed independently of other points and metadata; then `FlatTables` take one pass
    pointwise = False

    _warned: Set[str] = frozenset()  # columns for which `fit` warned of sentinels

    def check_parameters(self) -> None:
        """Raise an error if a parameter is invalid; called first in `fit`."""

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
            with suppress(TableError):  # one object at a time then raises the error with its index
                return self._transformed_at_once(objects)
        starts = range(0, len(objects), AT_ONCE)
        return FlatTables.of(t for start in starts for t in self._transformed(objects[start : start + AT_ONCE], start))

    def _transformed(self, objects, start: int = 0) -> list[Table]:
        before = [self._read(o, f"X[{i}]", self.units_) for i, o in enumerate(objects, start)]
        return [self._cut(*self._after(*pair)) for pair in zip(before, self.forward_all(before), strict=True)]

    def _after(self, old: Points, new: Points) -> tuple[Table, Points]:
        table = self._write(old, new, self.units_out_, self.is_magnitude_after(), self.cycle_after())
        for name in self._warned & set(table.colnames):  # so that later steps and the encoder do not warn again
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

    def _cut(self, table: Table, points: Points) -> Table:
        """Remove the points that the step does not keep. At least one observed point must remain."""
        retained = self.points_kept(points)
        if not self._seen(points, retained).any():
            raise TableError(
                f"{points.object_name} has no point left after {self._name}; {self.remedy}remove the object."
            )
        return table if retained.all() else table[retained]
