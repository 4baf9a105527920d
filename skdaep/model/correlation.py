"""How the noise of draws goes together along the location, learned from what the point estimate leaves over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..diffusion.noise import Correlation
from ..exceptions import DivergenceError
from ..modalities import Modality, Record
from ..nn.batch import POINTS, Batch
from ..objectives import Objective
from ..training import token_batches
from .passes import TOKENS_PER_PASS, collate, take, tokens_per_pass, total_lengths

#: objects from which it is learned, fewer where each costs many evaluations
N_OBJECTS, N_OBJECTS_COSTLY = 128, 16
#: fields of a record that hold an entry for each point
PER_POINT = (*POINTS, "observed")


@torch.inference_mode()
def learn_correlation(
    module: Objective, modalities: dict[str, Modality], records: Sequence[dict[str, Record]], device: torch.device
) -> dict[str, Correlation]:
    """Return the correlation by modality; white where points are denoised with regard to others, or stand on a grid.

    Of an object of more points than a forward pass has on a CPU, 32,768, its first ones count, which are neighbours.
    DivergenceError, with places among the records, where the point estimate is not finite.
    """
    records = records[: N_OBJECTS_COSTLY if module.n_point_draws else N_OBJECTS]
    records = [{name: _first_points(record) for name, record in obj.items()} for obj in records]
    residuals: dict[str, list[Any]] = {name: [] for name in modalities}
    if module.free_correlation:
        measurements = collate(modalities, records, device)
        for rows in token_batches(total_lengths(measurements), tokens_per_pass(device), None):
            batches = take(measurements, rows)
            z = module.encode(batches).mean
            for name in module.free_correlation:
                residuals[name] += _residuals(module, name, z, batches[name], rows)
    return {
        name: Correlation.of(residuals[name], *modality.separations())
        if residuals[name] and modality.geometry.separations
        else Correlation()
        for name, modality in modalities.items()
    }


def _first_points(record: Record) -> Record:
    if len(record) <= TOKENS_PER_PASS:
        return record
    first = np.flatnonzero(record.observed)[:TOKENS_PER_PASS]
    return record.replace(rows=None, **{name: getattr(record, name)[first] for name in PER_POINT})


def _residuals(
    module: Objective, name: str, z: Tensor, batch: Batch, names: NDArray[np.intp]
) -> list[tuple[NDArray[Any], ...]]:
    """Return location, band and residual about the point estimate of the points of each object; `names` are theirs."""
    rows = batch.present.nonzero()[:, 0]
    if not len(rows):
        return []
    batch = batch.rows(rows)
    # Where the point estimate is a mean of draws, the draw from no noise at all stands for it.
    noise = (lambda: torch.zeros_like(batch.value)) if module.n_point_draws else None
    residual = (batch.value - module.decode(name, z[rows], batch, noise=noise)).float()
    finite = residual.isfinite().flatten(1).all(1)
    if not finite.all():
        raise DivergenceError(names[rows[~finite].cpu().numpy()].tolist())
    columns = [x.cpu().numpy() for x in (batch.location, batch.band, residual, batch.observed)]
    return [(x[seen], band[seen], r[seen]) for x, band, r, seen in zip(*columns, strict=True)]
