"""Tables as a model expects them, from Tables as surveys write them: columns, units and bands renamed."""

from __future__ import annotations

import warnings

import numpy as np
from astropy.table import Column, Table

from .. import tables
from ..exceptions import OutOfRangeWarning, TableError, UnknownBandWarning
from ..preprocessing import MagnitudeToFlux, TableTransformer

ASK = "load_model(..., {})"
ZERO_POINT = 25.0  # of fluxes made of magnitudes
PER_WAVELENGTH = "erg / (s cm2 Angstrom)"
PER_FREQUENCY = "Jy"


class ModelColumns(TableTransformer):
    """Rename the columns and bands of Tables to those that a model expects, and convert units.

    It learns nothing, so Tables of one call may have other columns and units than those of another. Magnitudes become
    fluxes of zero point 25, as if in AB. Points that were not observed, that lie outside the range of the model, or
    whose band it does not know, are left out.

    Parameters
    ----------
    columns : dict
        For "value", "location" and perhaps "band" and "error" a dict: "name" is the model's column, and "unit" that of
        the location. The location may have a "range", and the value says in "per" whether it is a flux per "frequency"
        or per "wavelength".
    bands : dict or None, default=None
        The model's bands, and other names of each. None: the model has no bands.
    location, value, band, error : str or None, default=None
        Columns of the user's Tables. None takes the model's own names, or else finds them by their usual names.
    """

    def __init__(self, columns, bands=None, *, location=None, value=None, band=None, error=None):
        self.columns = columns
        self.bands = bands
        self.location = location
        self.value = value
        self.band = band
        self.error = error

    def fit(self, X, y=None):
        """Do nothing.

        Parameters
        ----------
        X : list of Table
            Ignored.
        y : object, default=None
            Ignored.

        Returns
        -------
        self : object
            The step.
        """
        return self

    def transform(self, X):
        """Return new Tables as the model expects them.

        Parameters
        ----------
        X : list of Table
            One Table per object.

        Returns
        -------
        X : list of Table
            Tables with the model's columns; the input is not changed.
        """
        unknown: dict[str, int] = {}
        given: list[tuple[str, str, np.ndarray]] = []  # names of an object and its column, values used
        renamed = [self._renamed(table, f"X[{i}]", unknown, given) for i, table in enumerate(self._objects(X))]
        _warn_of_sentinels(given)
        if unknown:
            shown = ", ".join(f"{band!r} ({n} object{'s' * (n > 1)})" for band, n in sorted(unknown.items()))
            warnings.warn(
                f"Points in bands {shown} are not used: the model knows {', '.join(self.bands)}. If these are other "
                "names of such bands, rename them.",
                UnknownBandWarning,
                stacklevel=2,
            )
        return renamed

    def inverse_transform(self, X):
        """Return the Tables unchanged, with the columns of the model.

        Parameters
        ----------
        X : list of Table
            One Table per object.

        Returns
        -------
        X : list of Table
            The same.
        """
        return X

    def __sklearn_is_fitted__(self):
        return True

    def _renamed(
        self, table: Table, object_name: str, unknown: dict[str, int], given: list[tuple[str, str, np.ndarray]]
    ) -> Table:
        if len(table) == 0:
            raise TableError(f"{object_name} is an empty table; remove the object.")
        columns = self._find(table, object_name)
        values = tables.numbers(table, columns.value, object_name, tables.unit_of(table, columns.value))
        table = self._as_flux(table, columns, object_name)
        scale = tables.time_scale(table[columns.location])
        units = {"value": tables.unit_of(table, columns.value), "location": self.columns["location"]["unit"]}
        points = tables.read_points([table], columns, [object_name], units, "the model", scale=scale)
        points.setdefault("error", np.full(len(table), np.nan))
        seen = np.isfinite(points["value"]) & np.isfinite(points["location"])
        if not seen.any():
            raise TableError(f"{object_name} has no finite '{columns.value}'; remove the object.")
        seen &= self._in_range(points["location"], seen, object_name)
        if self.bands is not None:
            seen &= self._bands(points, seen, object_name, unknown)
        given.append((object_name, columns.value, values[seen]))
        names = {role: column["name"] for role, column in self.columns.items()}
        new = {names[role]: Column(points[role][seen]) for role in names}
        new[names["location"]].unit = units["location"]
        return Table(new, meta=table.meta)

    def _find(self, table: Table, object_name: str) -> tables.Columns:
        """Return the columns by role: those the user names, those called as in the model, or the usual ones."""
        given = {
            role: getattr(self, role) or (column["name"] if column["name"] in table.colnames else None)
            for role, column in self.columns.items()
        }
        if given["value"] != self.columns["value"]["name"] and "error" in given:
            given["error"] = self.error  # "flux_err" belongs to no magnitude
        needed = ("location", "value", *(() if self.bands is None else ("band",)))
        return tables.Columns.find(table, object_name, given, needed, ASK)

    def _as_flux(self, table: Table, columns: tables.Columns, object_name: str) -> Table:
        """Return the table with fluxes, of the kind that the model needs."""
        column, unit = table[columns.value], tables.unit_of(table, columns.value)
        per, name = self.columns["value"]["per"], f"{object_name} column '{columns.value}'"
        mark = column.info.meta.get(tables.MAGNITUDE) if column.info.meta else None
        magnitude = tables.is_magnitude(columns.value, unit, mark)
        if magnitude is None:
            raise TableError(
                f"{name} may be magnitudes or fluxes; neither unit nor name tells which. Set its unit, or call it "
                f"'{self.columns['value']['name']}'."
            )
        other = PER_WAVELENGTH if per == "frequency" else PER_FREQUENCY
        if (magnitude and per != "frequency") or (unit and tables.unit_named(unit).is_equivalent(other)):
            has = "is in magnitudes" if magnitude else f"has unit '{unit}'"
            raise TableError(f"{name} {has}, but the model needs fluxes per {per}; convert it.")
        if not magnitude:
            return table
        if not np.isfinite(tables.numbers(table, columns.value, object_name, unit)).any():
            raise TableError(f"{object_name} has no finite '{columns.value}'; remove the object.")
        step = MagnitudeToFlux(ZERO_POINT, unit=None, value=columns.value, error=columns.error)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", OutOfRangeWarning)  # `transform` warns, with the names of objects
                return step.fit_transform([table])[0]
        except TableError as error:
            raise TableError(str(error).replace("X[0]", object_name)) from None

    def _in_range(self, location: np.ndarray, seen: np.ndarray, object_name: str) -> np.ndarray:
        """Return which points lie in the range of the model, if it has one."""
        described = self.columns["location"]
        if "range" not in described:
            return np.ones(len(location), bool)
        (low, high), unit = described["range"], described["unit"]
        inside = (location >= low) & (location <= high)
        if not (inside & seen).any():
            raise TableError(
                f"{object_name} has no point with a {described['name']} of {low:g} to {high:g} {unit}, the range of "
                f"the model ({described['meaning']}). Check the unit, or remove the object."
            )
        return inside

    def _bands(self, points: dict, seen: np.ndarray, object_name: str, unknown: dict[str, int]) -> np.ndarray:
        """Rename the bands in place; return which points are in one that the model knows."""
        of_name = {name: band for band, names in self.bands.items() for name in (band, *names)}
        has = sorted(set(points["band"][seen].tolist()) - {""})
        for odd in (band for band in has if band not in of_name):
            unknown[odd] = unknown.get(odd, 0) + 1
        points["band"] = np.array([of_name.get(band, "") for band in points["band"].tolist()])
        known = points["band"] != ""
        if not (known & seen).any():
            raise TableError(
                f"{object_name} has no point in a band that the model knows ({', '.join(self.bands)}; it has: "
                f"{', '.join(map(repr, has)) or 'none'}). Rename its bands, or remove the object."
            )
        return known


def _warn_of_sentinels(given: list[tuple[str, str, np.ndarray]]) -> None:
    """Warn of values that are none, in the first object that has some; no step has warned of them, as in a fit.

    An object is compared with itself, because fluxes of others may have another unit or zero point.
    """
    for object_name, name, x in given:
        least = 1 if tables.is_magnitude(name, None) else 2  # a flux may be far from all others once
        if len(x) and tables.warn_of_sentinels(
            x, np.zeros(len(x), int), f"Column '{name}'", [object_name], least=least
        ):
            return
