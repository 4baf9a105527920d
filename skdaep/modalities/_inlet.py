"""The first part of an exported encoder: it turns measurements into a `Batch` for the tokenizer, in torch.

A modality reads Tables in numpy. A graph gets arrays of several objects, padded to one length. The arithmetic is the
same, in float64. An object that the modality would refuse is marked, because a graph cannot raise errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from ..nn.batch import Batch, blank
from ._learned import LIMIT

if TYPE_CHECKING:
    from ._image import Image
    from ._sequence import Sequence
    from ._series import SpectralSeries

#: names of the axes of inputs whose lengths may vary
OBJECTS, POINTS = "objects", "points"


class Input(NamedTuple):
    """An input of an exported encoder.

    Parameters
    ----------
    dtype : torch.dtype
        float64, int64 or bool.
    axes : tuple of str or int
        For each axis its name if it may have any length, otherwise its length.
    about : dict
        What a user of the graph must know, as JSON: column, unit, labels.
    """

    dtype: torch.dtype
    axes: tuple[str | int, ...]
    about: dict[str, Any]


class Inlet(nn.Module):
    """Turn arrays, by name of the input, into a batch, and say which objects (B,) `transform` would refuse.

    Attributes
    ----------
    inputs : dict of Input
        By name.
    """

    inputs: dict[str, Input]


class SequenceInlet(Inlet):
    """Inputs of a sequence: values and locations in the units of fit, bands and metadata as indices of labels."""

    def __init__(self, modality: Sequence):
        super().__init__()
        self.modality, learned = modality, modality.learned
        axes = (OBJECTS, POINTS)
        if learned.arrays:
            self.inputs = {"value": Input(torch.float64, (OBJECTS, len(modality.grid())), {})}
            self.register_buffer("places", torch.arange(len(modality.grid()), dtype=torch.float64))
            return
        value = {"column": modality.value, "unit": learned.units[modality.value], "range": learned.ranges["value"]}
        location = {"column": modality.location, "unit": learned.units[modality.location]}
        location |= {"time_scale": learned.time_scale, "cycle": modality.cycle, "range": learned.ranges.get("location")}
        self.inputs = {
            "value": Input(torch.float64, axes, value | {"quality": modality.quality}),
            "location": Input(torch.float64, axes, location),
        }
        if modality.band is not None:
            band = {"column": modality.band, "labels": list(learned.bands)}
            self.inputs["band"] = Input(torch.int64, axes, band)
        if modality.error is not None or modality.ivar is not None:
            error = {"column": modality.error, "ivar": modality.ivar, "unit": learned.units[modality.value]}
            self.inputs["error"] = Input(torch.float64, axes, error)
        for key in learned.numbers:
            unit = learned.number_units.get(key)
            self.inputs[f"metadata.{key}"] = Input(torch.float64, (OBJECTS,), {"key": key, "unit": unit})
        for key, labels in learned.labels.items():
            self.inputs[f"metadata.{key}"] = Input(torch.int64, (OBJECTS,), {"key": key, "labels": list(labels)})

    def forward(self, given: dict[str, Tensor]) -> tuple[Batch, Tensor]:
        learned, value = self.modality.learned, given["value"]
        location = given["location"] if "location" in given else self.places.expand(value.shape)
        infinite = value.isinf() | location.isinf()
        if self.modality.cycle is not None:
            location = location.remainder(self.modality.cycle)
        error = given.get("error", torch.full_like(value, torch.nan))
        refused = infinite | ((error < 0) & value.isfinite())
        value = value.masked_fill(error.isinf(), torch.nan)
        band, known, odd = self._bands(given.get("band"), value)
        placed = location.isfinite() & known
        value, location = learned.value.forward(value), learned.location.forward(location)
        refused |= odd | (placed & (_extreme(value) | _extreme(location)))
        numbers, labels, strange = self._metadata(given, value)
        observed = value.isfinite() & placed
        points = {"value": value.float(), "location": location.float(), "band": band}
        points["error"] = (error / learned.value.scale).float()
        points = {k: blank(v, ~observed) for k, v in points.items()}
        batch = Batch(**points, observed=observed, n_points=observed.sum(1), numbers=numbers, labels=labels)
        return batch, refused.any(1) | strange

    def _bands(self, band: Tensor | None, reference: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return band indices (B, L), which of them are known, and which would make `transform` refuse the object."""
        every, none = torch.ones_like(reference, dtype=torch.bool), torch.zeros_like(reference, dtype=torch.bool)
        if band is None:
            return torch.zeros_like(reference, dtype=torch.int64), every, none
        beyond = band >= len(self.modality.learned.bands)
        return band, (band >= 0) & ~beyond, beyond & self._strict

    @property
    def _strict(self) -> bool:
        return self.modality.unknown == "error"

    def _metadata(self, given: dict[str, Tensor], reference: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return scaled numbers (B, M), labels (B, C), and which objects `transform` would refuse because of these."""
        learned = self.modality.learned
        numbers = [scaling.forward(given[f"metadata.{key}"]) for key, scaling in learned.numbers.items()]
        labels = [given[f"metadata.{key}"] for key in learned.labels]
        refused = torch.zeros_like(reference[:, 0], dtype=torch.bool)
        for number in numbers:
            refused = refused | _extreme(number)
        for label, seen in zip(labels, learned.labels.values(), strict=True):
            refused = refused | ((label >= len(seen)) & self._strict)
        known = [
            label.masked_fill(label >= len(seen), -1).clamp(min=-1)
            for label, seen in zip(labels, learned.labels.values(), strict=True)
        ]
        return _columns(numbers, reference).float(), _columns(known, reference).long(), refused


class SeriesInlet(SequenceInlet):
    """Inputs of a sequence whose points also have an epoch."""

    def __init__(self, modality: SpectralSeries):
        super().__init__(modality)
        about = {"column": modality.epoch, "unit": modality.epochs.unit}
        self.inputs["epoch"] = Input(torch.float64, (OBJECTS, POINTS), about)

    def forward(self, given: dict[str, Tensor]) -> tuple[Batch, Tensor]:
        batch, refused = super().forward(given)
        scaled = self.modality.epochs.scaling.forward(given["epoch"])
        observed = batch.observed & scaled.isfinite()
        points = {k: blank(getattr(batch, k), ~observed) for k in ("value", "band", "error")}
        location = blank(torch.stack([batch.location, scaled.float()], 2), ~observed)
        batch = batch.replace(**points, location=location, observed=observed, n_points=observed.sum(1))
        return batch, refused | given["epoch"].isinf().any(1)


class ImageInlet(Inlet):
    """Inputs of images, in the unit of fit."""

    def __init__(self, modality: Image):
        super().__init__()
        self.modality = modality
        shape = modality.grid().shape
        self.inputs = {"image": Input(torch.float64, (OBJECTS, *shape), {"unit": modality.learned.unit})}
        places = torch.from_numpy(modality.read(modality.grid(), "the grid", values=False).location)
        self.register_buffer("places", places)  # (L, 2)

    def forward(self, given: dict[str, Tensor]) -> tuple[Batch, Tensor]:
        p, (height, width, channels) = self.modality.patch_size, self.modality.learned.shape
        scaled = self.modality.learned.value.forward(given["image"])
        grid = scaled.reshape(-1, height // p, p, width // p, p, channels)
        patches = grid.swapaxes(2, 3).flatten(3).flatten(1, 2)  # (B, L, P)
        observed = patches.isfinite().all(2)
        nothing = torch.zeros_like(observed, dtype=torch.int64)
        batch = Batch(
            value=blank(patches.float(), ~observed),
            location=blank(self.places.expand(*observed.shape, 2), ~observed),
            band=nothing,
            error=blank(torch.full_like(patches[..., 0], torch.nan).float(), ~observed),
            observed=observed,
            n_points=observed.sum(1),
            numbers=patches[:, :0, 0].float(),
            labels=nothing[:, :0],
        )
        return batch, _extreme(scaled).flatten(1).any(1)


def _extreme(scaled: Tensor) -> Tensor:
    """Return which scaled numbers a modality refuses. NaN is not refused."""
    return scaled.abs() > LIMIT


def _columns(columns: list[Tensor], reference: Tensor) -> Tensor:
    """Return columns (B,) as one array; (B, 0) if there are none."""
    return torch.stack(columns, 1) if columns else reference[:, :0]
