"""Spectral series: values on two continuous axes, wavelength and time, in one Table."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from astropy.table import Column, vstack
from scipy.spatial import cKDTree
from torch import Tensor, nn

from .. import tables
from ..exceptions import TableError
from ..nn.batch import Batch
from ..nn.positions import NumberEmbedding, frequency_range
from ._base import Modality
from ._inlet import Inlet, SeriesInlet
from ._learned import Scaling, demand_positive, finest
from ._reading import read_together, remedy
from ._record import Geometry, Record, Separations, storable
from ._sequence import Sequence
from ._tokenizer import SequenceTokenizer

#: number of epochs in the default grid
N_EPOCHS = 5


@storable
@dataclass(frozen=True)
class LearnedEpochs:
    """What `SpectralSeries.learn` found about the second axis. The fields are those of the first axis in `Learned`."""

    unit: str | None
    scaling: Scaling
    resolution: float
    extent: float
    grid: tuple[float, ...]

    def __post_init__(self):
        demand_positive(self, "extent", "resolution")
        if len(self.grid) != N_EPOCHS:
            raise ValueError(f"a grid of {len(self.grid)} epochs, not {N_EPOCHS}")


@dataclass(frozen=True)
class SpectralSeries(Sequence):
    """Declare a modality of spectra at several epochs of one object in one Table, one row per wavelength and epoch.

    It is a `Sequence` whose locations have a second continuous axis. Epochs may have different wavelengths, and objects
    different epochs. Both axes can be decoded anywhere.

    Parameters
    ----------
    value, location, band, error, ivar, quality : str or None, default=None
        As in `Sequence`; `location` is the wavelength.
    metadata : tuple of str, default=()
        As in `Sequence`.
    resolution : float or None, default=None
        As in `Sequence`, along the wavelength.
    unknown : {"error", "ignore"}, default="error"
        As in `Sequence`.
    prefer : tuple of str, default=("flux", "wavelength")
        As in `Sequence`.
    cycle : None, default=None
        Always None, because wavelengths do not lie on a circle.
    learned : Learned or None, default=None
        What `learn` found. Do not set it yourself.
    epoch : str, default="time"
        Column of the second axis.
    epochs : LearnedEpochs or None, default=None
        What `learn` found of it. Do not set it yourself.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from skdaep import DAEPEncoder, SpectralSeries
    >>> def supernova(i):
    ...     time, wavelength = np.repeat([0.0, 5.0, 20.0], 30), np.tile(np.linspace(4000, 7000, 30), 3)
    ...     flux = np.exp(-time / (10 + i)) * np.sin(wavelength / 300 + i)
    ...     return Table({"time": time, "wavelength": wavelength, "flux": flux})
    >>> X = [supernova(i) for i in range(20)]
    >>> encoder = DAEPEncoder(SpectralSeries(), model_dim=16, max_iter=3, random_state=0).fit(X)
    >>> encoder.reconstruct(X[:1])[0].colnames
    ['time', 'wavelength', 'flux']
    """

    prefer: tuple[str, ...] = ("flux", "wavelength")
    epoch: str = "time"
    epochs: LearnedEpochs | None = field(default=None, repr=False)

    geometry = Geometry("surface", n_axes=2)
    takes_rows = False

    @property
    def second_axis(self) -> str:
        """The column of the epoch."""
        return self.epoch

    @property
    def place_columns(self) -> tuple[str, ...]:
        """The columns that state where a value was measured."""
        return (*super().place_columns, self.epoch)

    def learn(self, objects: list, object_names: list[str] | None = None) -> SpectralSeries:
        """Return a copy that has learned what `Sequence.learn` learns, and the epochs."""
        object_names = object_names or [f"X[{i}]" for i in range(len(objects))]
        new = super().learn(objects, object_names)
        if new.cycle is not None:
            raise TableError(f"SpectralSeries(cycle={new.cycle:g}): '{new.location}' does not lie on a circle.")
        tables.find_column(objects[0], "epoch", self.epoch, object_names[0])
        unit = tables.unit_of(objects[0], self.epoch)
        epochs = self._epochs_of(objects, unit, object_names, object_names[0])
        seen = np.concatenate([x[np.isfinite(x)] for x in epochs])
        if not len(seen):
            raise TableError(f"X has no finite '{self.epoch}'.")
        scaling = Scaling.of(seen, np.median(seen))
        owner = np.repeat(np.arange(len(epochs)), [np.isfinite(x).sum() for x in epochs])
        extent = float(np.ptp(scaling.forward(seen))) or 1.0
        resolution = finest(scaling.forward(seen), owner) or extent
        grid = tuple(np.linspace(*np.quantile(seen, [0.01, 0.99]), N_EPOCHS).tolist())
        return replace(new, epochs=LearnedEpochs(unit, scaling, resolution, extent, grid))

    def _epochs_of(
        self, objects: list, unit: str | None, object_names: list[str], whose: str = "fit"
    ) -> list[np.ndarray]:
        """Return the epochs of the points of each object."""

        def read(objects: list, object_names: list[str]) -> np.ndarray:
            for i in tables.distinct_layouts(objects):
                tables.find_column(objects[i], "epoch", self.epoch, object_names[i])
            return tables.numbers_of(objects, self.epoch, object_names, unit, whose)

        return np.split(read_together(read, objects, object_names), np.cumsum(tables.n_points(objects))[:-1])

    # --- reading and writing ------------------------------------------------------------------------

    def read_all(self, objects: list, object_names: list[str], values: bool = True) -> list[Record]:
        """Return records like `Sequence.read_all`, with locations (n, 2). Rows without an epoch are left out."""
        records = super().read_all(objects, object_names, values)
        epochs = self._epochs_of(objects, self.epochs.unit, object_names) if records else []
        return [self._placed(*parts, values) for parts in zip(records, epochs, object_names, strict=True)]

    def _placed(self, record: Record, epochs: np.ndarray, object_name: str, values: bool) -> Record:
        epoch = self.epochs.scaling.forward(epochs[record.rows])
        chosen = np.flatnonzero(np.isfinite(epoch))
        if values and not record.observed[chosen].any():
            raise TableError(
                f"{object_name} has no finite '{self.epoch}' where '{self.value}' was measured; {remedy(object_name)}."
            )
        # Canonical order: the order of rows must not matter, even if two epochs share wavelength and value.
        value = np.nan_to_num(record.value, nan=np.inf)
        chosen = chosen[np.lexsort([x[chosen] for x in (value, record.band, epoch, record.location)])]
        location = np.stack([record.location[chosen], epoch[chosen].astype(np.float32)], 1)
        names = ("value", "band", "error", "observed", "rows")
        return record.replace(location=location, **{k: getattr(record, k)[chosen] for k in names})

    def values_at(self, record: Record, target: Record) -> np.ndarray:
        """Return the value of the nearest point in the same band, in scaled locations; NaN without any."""
        values = np.full(len(target), np.nan, np.float32)
        for band in np.unique(target.band):
            own, there = record.observed & (record.band == band), target.band == band
            if own.any():
                _, nearest = cKDTree(record.location[own]).query(target.location[there])
                values[there] = record.value[own][nearest]
        return values

    def grid(self):
        """Return the default grid of wavelengths at each of a few epochs."""
        spectrum, parts = super().grid(), []
        for epoch in self.epochs.grid:
            part = spectrum.copy()
            part[self.epoch] = Column(np.full(len(part), epoch), unit=self.epochs.unit)
            parts.append(part)
        return vstack(parts, metadata_conflicts="silent")

    # --- networks -----------------------------------------------------------------------------------

    def separations(self) -> Separations:
        """Return the separations along both axes."""
        (finest, longest, n_bands, _), epochs = super().separations(), self.epochs
        return Separations((*finest, epochs.resolution), (*longest, epochs.extent), n_bands)

    def inlet(self) -> Inlet:
        """Return a module that turns arrays of columns into a batch."""
        return SeriesInlet(self) if type(self).read_all is SpectralSeries.read_all else Modality.inlet(self)

    def tokenizer(self, model_dim: int) -> SeriesTokenizer:
        """Return a new tokenizer."""
        return SeriesTokenizer(super().tokenizer(model_dim), model_dim, self.epochs.extent, self.epochs.resolution)


class SeriesTokenizer(nn.Module):
    """Turn points into the tokens of a sequence, and add an embedding of the epoch."""

    def __init__(self, spectrum: SequenceTokenizer, model_dim: int, extent: float, resolution: float):
        super().__init__()
        self.spectrum = spectrum
        self.epoch = NumberEmbedding(model_dim, *frequency_range(extent, resolution))

    def queries(self, batch: Batch) -> Tensor:
        """Return tokens of bare locations (B, L, W)."""
        wavelength, epoch = batch.location.unbind(-1)  # (B, L) each
        return self.spectrum.queries(batch.replace(location=wavelength)) + self.epoch(epoch)

    def add_values(self, queries: Tensor, value: Tensor) -> Tensor:
        """Return tokens of points (B, L, W) from their queries and values (B, L)."""
        return self.spectrum.add_values(queries, value)

    def context(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return metadata as tokens (B, M, W) and whether each is present (B, M)."""
        return self.spectrum.context(batch)
