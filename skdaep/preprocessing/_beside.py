"""Light curves and other views of them, as objects with several modalities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from astropy.table import Table
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from .. import tables
from ..exceptions import SamplingError, TableError
from ..tables import FlatTables, Objects
from ._manners import ObjectsOut


class Views(ObjectsOut):
    """Add other views of a light curve to it, as further modalities of the same object.

    Objects become dicts, as encoders of several modalities expect: ``{"light_curve": Table, "power": Table}``. Objects
    that are already dicts keep their other modalities.

    Parameters
    ----------
    views : dict
        Name of each view -> the step, or pipeline of steps, that computes it from light curves, such as
        `PowerSpectrum`. "passthrough" repeats the light curve itself.
    of : str, default="light_curve"
        Name of the light curve in the dicts that are returned and, if X holds dicts, in those that are passed.
    impossible : {"error", "missing"}, default="error"
        What to do if an object has too few points for a view: raise an error, or leave out the view.

    Attributes
    ----------
    views_ : dict
        The fitted steps.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from skdaep import MultimodalDAEP, Photometry, Sequence
    >>> from skdaep.datasets import make_variable_stars
    >>> from skdaep.preprocessing import Autocorrelation, PowerSpectrum, Views
    >>> X, y = make_variable_stars(8, random_state=0)
    >>> views = Views({"power": PowerSpectrum(), "correlation": Autocorrelation()})
    >>> [sorted(obj) for obj in views.fit_transform(X)][:1]
    [['correlation', 'light_curve', 'power']]
    >>> modalities = {
    ...     "light_curve": Photometry(),
    ...     "power": Sequence("power", location="frequency"),
    ...     "correlation": Sequence("autocorrelation", location="lag"),
    ... }
    >>> encoder = MultimodalDAEP(modalities, model_dim=16, max_iter=5, random_state=0)
    >>> make_pipeline(views, encoder).fit(X).transform(X).shape
    (8, 16)
    """

    def __init__(self, views, *, of="light_curve", impossible="error"):
        self.views = views
        self.of = of
        self.impossible = impossible

    def fit(self, X, y=None):
        """Fit each step to the light curves.

        Parameters
        ----------
        X : list of Table, or list of dict
            Light curves, or objects that have them as a modality.
        y : object, default=None
            Ignored.

        Returns
        -------
        self : object
            The fitted views.
        """
        self._check_parameters()
        rows, curves, _ = self._read(X)
        if not len(rows):
            raise TableError(f"No object of X has {self.of!r}.")
        self.views_ = {}
        for name, step in self.views.items():
            if step == "passthrough":
                self.views_[name] = step
                continue
            have, self.views_[name] = self._computed(name, clone(step).fit, curves)
            if not len(have):
                raise SamplingError(f"No object of X has enough points for {name!r}.", range(len(curves)))
        return self

    def transform(self, X):
        """Return objects of several modalities.

        Parameters
        ----------
        X : list of Table, or list of dict
            Light curves, or objects that have them as a modality.

        Returns
        -------
        X : list of dict, or Objects
            `skdaep.tables.Objects` if X is or holds `FlatTables`.
        """
        check_is_fitted(self)
        rows, curves, objects = self._read(X)
        made = {}
        for name, step in self.views_.items():
            whole = np.arange(len(curves)), curves
            have, views = whole if step == "passthrough" else self._computed(name, step.transform, curves)
            made[name] = rows[have], views
        if isinstance(objects, Objects):
            return self._flat(objects, made)
        for name, (own, views) in made.items():
            for i, view in zip(own, views, strict=True):
                objects[i][name] = view
        return objects

    def _check_parameters(self) -> None:
        if not isinstance(self.views, dict) or not self.views:
            raise ValueError(f"Views(views={self.views!r}): give a dict, such as {{'power': PowerSpectrum()}}.")
        for name, step in self.views.items():
            if not (isinstance(name, str) and name) or name == self.of:
                raise ValueError(f"Views(views=...): {name!r} cannot be the name of a view of {self.of!r}.")
            if step != "passthrough" and not (hasattr(step, "fit") and hasattr(step, "transform")):
                raise ValueError(f"Views(views=...): {name!r} is {step!r}; give a step, or 'passthrough'.")
        if self.impossible not in ("error", "missing"):
            raise ValueError(f"Views(impossible={self.impossible!r}): choose 'error' or 'missing'.")

    def _read(self, X) -> tuple[np.ndarray, Sequence[Table], Objects | list[dict]]:
        """Return which objects have a light curve, the light curves, and all objects, as `Objects` or new dicts."""
        if isinstance(X, FlatTables):
            X = Objects({self.of: X})
        if isinstance(X, Objects):
            self._check_names(X.parts, "X")
            rows, curves = X.having(self.of)
            return rows, curves, X
        objects = _dicts(X)
        if objects is None:
            objects = [{self.of: table} for table in tables.as_objects(X)]
        tables.check_not_empty(len(objects))
        for i, obj in enumerate(objects):
            self._check_names(obj, f"X[{i}]")
        rows = [i for i, obj in enumerate(objects) if obj.get(self.of) is not None]
        return (
            np.array(rows, int),
            [tables.as_table(objects[i][self.of], f"X[{i}][{self.of!r}]") for i in rows],
            objects,
        )

    def _check_names(self, names, object_name: str) -> None:
        for name in self.views:
            if name in names:
                raise TableError(f"{object_name} has {name!r} already; give the view another name.")

    def _computed(self, name: str, make, curves: Sequence[Table]) -> tuple[np.ndarray, Sequence[Table]]:
        """Return which light curves have a view, and the views."""
        rows = np.arange(len(curves))
        while len(rows):
            try:
                return rows, make(curves if len(rows) == len(curves) else _at(curves, rows))
            except SamplingError as error:
                if self.impossible == "error" or not error.objects:
                    raise SamplingError(f"View {name!r}: {error} Or set impossible='missing'.", error.objects) from None
                rows = np.delete(rows, error.objects)
        return rows, []

    def _flat(self, objects: Objects, made: dict[str, tuple[np.ndarray, Sequence[Table]]]) -> Objects:
        parts, present = dict(objects.parts), dict(objects.present)
        for name, (rows, views) in made.items():
            if len(rows):
                place = np.zeros(len(objects), int)  # where absent, any place will do
                place[rows] = np.arange(len(rows))
                parts[name], present[name] = views[place], np.isin(np.arange(len(objects)), rows)
        return Objects(parts, present)


def _at(curves: Sequence[Table], rows: np.ndarray) -> Sequence[Table]:
    return curves[rows] if isinstance(curves, FlatTables) else [curves[i] for i in rows]


def _dicts(X) -> list[dict] | None:
    """Return objects of several modalities as new dicts; None if X does not hold dicts."""
    if isinstance(X, (dict, Table)) or tables.is_numeric(X) or getattr(getattr(X, "dtype", None), "names", None):
        return None
    tables.check_collection(X, "X", "a list of Tables or of dicts")
    cells = list(np.ravel(X)) if hasattr(X, "shape") else list(X)
    if not any(isinstance(x, dict) for x in cells):
        return None
    for i, x in enumerate(cells):
        if not isinstance(x, dict):
            raise TableError(f"X[{i}] is not a dict but a {type(x).__name__}; other objects are dicts of modalities.")
    return [dict(x) for x in cells]
