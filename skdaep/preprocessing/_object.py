"""One object as a step sees it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from astropy.table import Table

from .. import tables
from ..exceptions import TableError


@dataclass(frozen=True)
class Points:
    """One object as a step sees it.

    Never change it. Return a changed copy, made by ``dataclasses.replace``.

    Parameters
    ----------
    value : ndarray, shape (n_points,) or (n_points, n_draws)
        In the unit of fit, NaN where not observed.
    location : ndarray, shape (n_points,)
        In the unit of fit.
    band : ndarray of str, shape (n_points,)
        Band of each point, "" if there is none.
    error : ndarray, shape (n_points,) or (n_points, n_draws)
        Error of the value, in its unit; NaN if not known.
    meta : dict
        A copy of the metadata.
    table : Table
        The object itself. Do not change it.
    object_name : str
        Name of the object in error messages: "X[17]".
    other : dict, default={}
        Columns to add, or to remove if None.
    decoded : bool, default=False
        Whether the step is being inverted; the object may have been decoded by an encoder.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from skdaep.preprocessing import TableTransformer
    >>> class Brighter(TableTransformer):
    ...     def __init__(self, value=None):
    ...         self.value = value
    ...
    ...     def forward(self, points):
    ...         return replace(points, value=10 * points.value)
    >>> from astropy.table import Table
    >>> Brighter().fit_transform([Table({"time": [1.0, 2.0], "flux": [3.0, 4.0]})])[0]["flux"].tolist()
    [30.0, 40.0]
    """

    value: np.ndarray
    location: np.ndarray
    band: np.ndarray
    error: np.ndarray
    meta: dict
    table: Table
    object_name: str
    other: dict = field(default_factory=dict)
    decoded: bool = False

    def number(self, key: str, unit: str | None = None, hint: str = "") -> float:
        """Return a number of the metadata.

        Parameters
        ----------
        key : str
            Key in meta, any case.
        unit : str or None, default=None
            Unit to which a Quantity is converted.
        hint : str, default=""
            Hint in the error message if there is no such number.

        Returns
        -------
        number : float
            The number. If it is missing or not finite, a `TableError` is raised.
        """
        value, given = tables.metadata(self.table, key, self.object_name), tables.unit_of_metadata(self.table, key)
        if given is not None and isinstance(value, float):
            value = self._in_unit(value, given, unit, key)
        if isinstance(value, str):
            raise TableError(f"{self.object_name} has {key!r} = {value!r} in meta, but a number is needed.")
        if value is None or not np.isfinite(value):
            has = ", ".join(map(str, self.meta)) or "nothing"
            if self.decoded:
                hint += (
                    " Decode at transformed objects, which carry it: reconstruct(X), or inverse_transform(Z, at=X), "
                    "which in a pipeline needs scikit-learn's metadata routing. Or declare it for the encoder, "
                    f"Sequence(metadata=({key!r},)), whose learned grid then has its median."
                )
            raise TableError(f"{self.object_name} has no number {key!r} in meta (it has: {has}).{hint}")
        return float(value)

    def _in_unit(self, value: float, given: str, unit: str | None, key: str) -> float:
        try:
            # astropy.cosmology gives redshifts the unit "redshift".
            return float(tables.convert(value, "" if given == "redshift" else given, unit, self.object_name))
        except TableError:
            neither = "the locations have no unit; give both one, or neither."
            needed = {None: neither, "": "a number without a unit is needed."}.get(unit, f"{unit!r} is needed.")
            raise TableError(f"{self.object_name} has {key!r} = {value} {given} in meta, but {needed}") from None

    def remember(self, **numbers: float) -> Points:
        """Store numbers that the inverse needs in the metadata; a key that exists is refused.

        Parameters
        ----------
        **numbers : float
            Keys and numbers.

        Returns
        -------
        points : Points
            A copy with them in its metadata.
        """
        taken = {str(key).lower() for key in self.table.meta}
        for key in numbers:
            if key.lower() in taken:
                raise TableError(
                    f"{self.object_name} has {key!r} in meta already, as if it had been transformed before. "
                    f"Remove it, or set another key for this step."
                )
        return replace(self, meta=self.meta | numbers)

    def recall(self, key: str) -> float:
        """Return a number that `remember` stored when this object was transformed.

        Parameters
        ----------
        key : str
            Key in meta.

        Returns
        -------
        number : float
            The number.
        """
        return self.number(key)

    def forget(self, *keys: str) -> Points:
        """Remove numbers that `remember` stored from the metadata.

        Parameters
        ----------
        *keys : str
            Keys in meta.

        Returns
        -------
        points : Points
            A copy without them.
        """
        gone = {key.lower() for key in keys}
        return replace(self, meta={k: v for k, v in self.meta.items() if str(k).lower() not in gone})
