"""The interface between displays and estimators: it selects the modality and decodes."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from astropy.table import Table
from sklearn.utils.validation import check_is_fitted

from .. import tables
from ._objects import check_list, extended

#: column with the label of the curve, if locations have a second axis
CURVE = "curve"


class ModalityView:
    """One modality of a fitted estimator. X is anything that the estimator accepts.

    Parameters
    ----------
    estimator : estimator
        A fitted encoder, of one modality or of several.
    modality : str or None
        Which, of several.
    caller : str
        The display, for errors.
    need_several : bool
        Whether an estimator of one modality is an error.
    """

    def __init__(self, estimator, modality: str | None, caller: str, need_several: bool = False):
        if hasattr(estimator, "steps"):
            raise TypeError(f"{caller} needs the encoder: pass pipe[-1], and pipe[:-1].transform(X) in place of X.")
        check_is_fitted(estimator)
        self.estimator, self.caller = estimator, caller
        self.several = hasattr(estimator, "modalities")
        known = ", ".join(estimator.modalities_)
        if need_several and len(estimator.modalities_) < 2:
            raise ValueError(f"{type(estimator).__name__} has one modality; {caller} needs several.")
        if modality is not None and (not self.several or modality not in estimator.modalities_):
            one = f"{type(estimator).__name__} has a single modality; leave modality= out."
            raise ValueError(f"modality={modality!r}: choose one of {known}." if self.several else one)
        if modality is None and len(estimator.modalities_) > 1:
            raise ValueError(f"{caller} shows one modality: set modality= to one of {known}.")
        self.name = modality or next(iter(estimator.modalities_))
        self.modality = estimator.modalities_[self.name]

    @property
    def is_image(self) -> bool:
        """Whether the modality holds images rather than points on lines."""
        return self.modality.geometry.name == "plane"

    def on_a_line(self) -> ModalityView:
        """Return itself; raise ValueError for images."""
        if self.is_image:
            raise ValueError(f"{self.caller} draws points on a line, but {self.name!r} holds images: see ImageDisplay.")
        return self

    @property
    def columns(self) -> tables.Columns | None:
        """The columns of fit, None for arrays. Each value of a second axis counts as a separate band."""
        columns = self.modality.columns
        return columns._replace(band=CURVE) if columns and self.modality.second_axis else columns

    def as_curves(self, table: Table) -> Table:
        """Return a Table in which band and, if there is one, position on a second axis are labels of curves."""
        second, columns = self.modality.second_axis, self.modality.columns
        if second is None:
            return table
        unit = tables.unit_of(table, second)
        place = _distinct_texts(np.asarray(table[second], float))
        bands = [""] * len(table) if columns.band is None else [f"{band} " for band in table[columns.band]]
        out = table.copy(copy_data=False)
        out[CURVE] = [f"{band}{second} = {x}{f' {unit}' if unit else ''}" for band, x in zip(bands, place, strict=True)]
        return out

    def from_curves(self, extended: Table, table: Table) -> Table:
        """Return rows of curves, labelled by `as_curves`, with the original positions and bands."""
        second, columns = self.modality.second_axis, self.modality.columns
        if second is None:
            return extended
        curves = np.asarray(self.as_curves(table)[CURVE])
        first = [int(np.flatnonzero(curves == label)[0]) for label in extended[CURVE]]
        for name in filter(None, (second, columns.band)):
            extended[name] = table[name][first]
        return extended

    def objects(self, X, need_all: bool = True) -> tuple[list, list]:
        """Return the objects of X that have the modality, and that modality of each.

        With ``need_all`` an object that lacks it is an error.
        """
        check_list(X)
        if not self.several:
            return X, self._own(X)
        having = [x for x in X if x.get(self.name) is not None]
        if need_all and len(having) < len(X):
            i = next(i for i, x in enumerate(X) if x.get(self.name) is None)
            raise ValueError(f"X[{i}] has no {self.name!r} to compare with; leave the object out.")
        if not having:
            raise ValueError(f"No object of X has {self.name!r}.")
        return having, self._own([x[self.name] for x in having])

    def _own(self, objects):
        return [self.as_curves(t) for t in objects] if self.modality.second_axis else objects

    def reconstruct(self, X, n_draws: int | None = None, **options):
        """Return the reconstructions of the modality."""
        check_n_draws(n_draws)
        more = {"modality": self.name} | options if self.several else options
        return self.estimator.reconstruct(X, n_draws=n_draws, **more)

    def inverse_transform(self, Z, at=None):
        """Return the modality decoded from Z."""
        more = {"modality": self.name} if self.several else {}
        return self.estimator.inverse_transform(Z, at=at, **more)

    def reconstruct_with_curves(self, X, n_draws: int | None, n_points: int):
        """Return the modality of each object, its reconstruction, and the reconstruction on a fine grid.

        Of rows of an array there is no finer grid than their own. The two are decoded apart, because a decoder whose
        points see one another gives other values in other company, and residuals are to be those of `reconstruct`.
        """
        X, own = self.objects(X)
        rebuilt = self.reconstruct(X, n_draws)
        if self.columns is None:
            return own, rebuilt, None
        own = tables.as_objects(own)
        fine = [self.from_curves(extended(t, self.columns, n_points, f"X[{i}]"), t) for i, t in enumerate(own)]
        whole = [{**x, self.name: t} for x, t in zip(X, fine, strict=True)] if self.several else fine
        decoded = self.reconstruct(whole, n_draws)
        return own, rebuilt, [self.as_curves(t)[len(measured) :] for t, measured in zip(decoded, own, strict=True)]


def _distinct_texts(numbers: np.ndarray) -> list[str]:
    """Return numbers as text, with enough digits to distinguish different numbers."""
    different = np.unique(numbers)
    digits = next(n for n in range(3, 18) if len({f"{x:.{n}g}" for x in different}) == len(different))
    return [f"{x:.{digits}g}" for x in numbers]


def check_n_draws(n_draws: int | None) -> None:
    """Raise ValueError if there are too few draws for quantiles."""
    if n_draws is not None and not (isinstance(n_draws, Integral) and n_draws >= 2):
        raise ValueError(f"n_draws={n_draws!r}: at least 2 draws, or None, are needed.")
