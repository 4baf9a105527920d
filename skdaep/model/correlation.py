"""How far draws lie from the point estimate, and how their noise is correlated along the location.

Both are learned from the residuals of the point estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..diffusion.noise import Correlation
from ..diffusion.scatter import Scatter
from ..exceptions import DivergenceError
from ..modalities import Modality, Record
from ..nn.batch import POINTS, Batch
from ..objectives import Objective, shown_in_part
from ..training import token_batches
from .passes import TOKENS_PER_PASS, collate, take, tokens_per_pass, total_lengths

#: objects from which it is learned, fewer where each costs many evaluations
N_OBJECTS, N_OBJECTS_COSTLY = 512, 16
#: fields of a record that hold an entry for each point
PER_POINT = (*POINTS, "observed")
#: what is hidden, of one object or the other, to see how uncertain codes are
STRETCHES = ("points", "spans", "future")


class Residuals(NamedTuple):
    """The points of an object, and the residuals of the point estimate."""

    location: NDArray[Any]
    band: NDArray[Any]
    residual: NDArray[Any]
    spread: NDArray[Any] | None  # as the decoder says it
    error: NDArray[Any]
    of_code: NDArray[Any] | None  # standard deviation that follows from the uncertainty of the code


class Laws(NamedTuple):
    """Correlation and scatter of draws by modality.

    Draws of an object have their own if the objective knows how uncertain codes are, because then these are drawn too.
    """

    correlation: dict[str, Correlation]  # of draws of a code
    scatter: dict[str, Scatter]
    object_correlation: dict[str, Correlation]
    object_scatter: dict[str, Scatter]


@torch.inference_mode()
def learn_noise(
    module: Objective, modalities: dict[str, Modality], records: Sequence[dict[str, Record]], device: torch.device
) -> Laws:
    """Return the correlation and the scatter of each modality.

    If points are denoised together, or lie on a grid, the noise is white, and the scatter is that of the decoder. Of an
    object with more points than a forward pass on a CPU holds, 32,768, only the first ones count, which are neighbours.
    If training hides stretches, the encoder sees objects as in training, because points that it has not seen scatter
    more. Where codes have a known uncertainty, it is compared with what it is about: the points of stretches that the
    encoder has not seen, whatever training hides. If the point estimate is not finite, a DivergenceError gives the
    indices of the records.
    """
    records = records[: N_OBJECTS_COSTLY if module.n_point_draws else N_OBJECTS]
    records = [{name: _first_points(record) for name, record in obj.items()} for obj in records]
    as_trained: dict[str, list[Residuals]] = {name: [] for name in modalities}
    in_part: dict[str, list[Residuals]] = {name: [] for name in modalities}
    generator = torch.Generator(device).manual_seed(0)
    if module.free_correlation:
        measurements = collate(modalities, records, device)
        for rows in token_batches(total_lengths(measurements), tokens_per_pass(device), None):
            batches = take(measurements, rows)
            shown = module.shown(batches, generator) if module.hide else batches
            _add(as_trained, module, shown, batches, rows)
            if any(r.of_code is not None for own in as_trained.values() for r in own):
                _add(in_part, module, _partly(modalities, batches, generator), batches, rows)
    of_codes: dict[str, tuple[Correlation, Scatter]] = {}
    of_objects: dict[str, tuple[Correlation, Scatter]] = {}
    for name, modality in modalities.items():
        of_codes[name] = _law(modality, [r._replace(of_code=None) for r in as_trained[name]])
        if any(r.of_code is not None and r.of_code.any() for r in in_part[name]):
            of_objects[name] = _law(modality, as_trained[name] + in_part[name])
    return Laws(*_columns(of_codes), *_columns(of_objects))


def _add(
    residuals: dict[str, list[Residuals]],
    module: Objective,
    shown: dict[str, Batch],
    batches: dict[str, Batch],
    names: NDArray[np.intp],
) -> None:
    """Add the residuals of all points, by modality, of objects of which the encoder sees those that are shown."""
    z = module.encode(shown).mean
    for name in module.free_correlation:
        of_code = module.deviation_of_code(name, shown, batches[name])
        residuals[name] += _residuals(module, name, z, of_code, batches[name], names)


def _partly(modalities: dict[str, Modality], batches: dict[str, Batch], generator: torch.Generator) -> dict[str, Batch]:
    """Return objects of which points, a stretch or the future are hidden."""
    shown = {}
    for name, batch in batches.items():
        ways = STRETCHES if modalities[name].geometry.separations else STRETCHES[:-1]  # a grid has no future
        shown[name] = shown_in_part(batch, ways, generator)
    return shown


def _columns(laws: dict[str, tuple[Correlation, Scatter]]) -> tuple[dict[str, Correlation], dict[str, Scatter]]:
    return {k: correlation for k, (correlation, _) in laws.items()}, {k: scatter for k, (_, scatter) in laws.items()}


def _law(modality: Modality, residuals: list[Residuals]) -> tuple[Correlation, Scatter]:
    if not residuals or not modality.geometry.separations:
        return Correlation(), Scatter()
    location, band, residual, spread, error, of_code = zip(*residuals, strict=True)
    if spread[0] is None:
        return Correlation.of(zip(location, band, residual, strict=True), *modality.separations()), Scatter()
    uncertain = None if of_code[0] is None else of_code
    scatter = Scatter.of(residual, spread, error, modality.typical_error(), uncertain)
    if uncertain is not None:  # points that scatter mainly because the code is uncertain say little about the noise
        near = [scatter.code * d <= scatter.spread * s for d, s in zip(uncertain, spread, strict=True)]
        near = near if any(own.any() for own in near) else [np.ones_like(own) for own in near]
        columns = (location, band, residual, spread, error)
        location, band, residual, spread, error = (
            [x[own] for x, own in zip(column, near, strict=True)] for column in columns
        )
    # Measurement errors are independent from point to point, so they do not count towards the correlation.
    known = [r / s for r, s in zip(residual, spread, strict=True)]
    measured = sum(float(((scatter.errors(e) / s) ** 2).sum()) for e, s in zip(error, spread, strict=True))
    return Correlation.of(zip(location, band, known, strict=True), *modality.separations(), white=measured), scatter


def _first_points(record: Record) -> Record:
    if len(record) <= TOKENS_PER_PASS:
        return record
    first = np.flatnonzero(record.observed)[:TOKENS_PER_PASS]
    return record.replace(rows=None, **{name: getattr(record, name)[first] for name in PER_POINT})


def _residuals(
    module: Objective, name: str, z: Tensor, of_code: Tensor | None, batch: Batch, names: NDArray[np.intp]
) -> list[Residuals]:
    """Return the residuals of the point estimate of each object; `names` are the indices of the objects."""
    rows = batch.present.nonzero()[:, 0]
    if not len(rows):
        return []
    z, batch, of_code = z[rows], batch.rows(rows), None if of_code is None else of_code[rows]
    # Where the point estimate is a mean of draws, the draw from no noise at all stands for it.
    noise = (lambda: torch.zeros_like(batch.value)) if module.n_point_draws else None
    residual, spread = batch.value - module.decode(name, z, batch, noise=noise), module.spread(name, z, batch)
    finite = residual.isfinite().flatten(1).all(1)
    if not finite.all():
        raise DivergenceError(names[rows[~finite].cpu().numpy()].tolist())
    columns = [batch.location, batch.band, residual, residual if spread is None else spread, batch.error]
    columns += [residual if of_code is None else of_code]
    # In float64 the square of what is finite in float32 is finite too.
    arrays = [(x.double() if x.is_floating_point() else x).cpu().numpy() for x in (*columns, batch.observed)]
    objects = (Residuals(*(x[seen] for x in own)) for *own, seen in zip(*arrays, strict=True))
    objects = (o if spread is not None else o._replace(spread=None) for o in objects)
    return [o if of_code is not None else o._replace(of_code=None) for o in objects]
