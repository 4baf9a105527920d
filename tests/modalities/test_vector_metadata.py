"""Vectors among the metadata, declared outside the package in one class: what the contract must allow."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from astropy.table import Table
from torch import nn

import skdaep
from skdaep import BetaVAEEncoder, DAEPEncoder, Sequence
from skdaep.modalities import storable
from skdaep.plotting import ReconstructionDisplay


@storable
@dataclass(frozen=True)
class LearnedVector:
    mean: tuple[float, ...]
    scale: tuple[float, ...]


@dataclass(frozen=True)
class WithColours(Sequence):
    """A sequence whose ``meta`` holds a vector, which becomes one token."""

    vector: str = "colours"
    of_vector: LearnedVector | None = field(default=None, repr=False)

    def learn(self, objects, object_names=None):
        new = super().learn(objects, object_names)
        vectors = np.array([t.meta[self.vector] for t in objects if self.vector in t.meta], float)
        learned = LearnedVector(tuple(vectors.mean(0).tolist()), tuple(vectors.std(0).tolist()))
        return replace(new, of_vector=learned)

    def read_all(self, objects, object_names, values=True):
        records = super().read_all(objects, object_names, values)
        return [r.replace(numbers=np.append(r.numbers, self._scaled(o))) for r, o in zip(records, objects, strict=True)]

    def _scaled(self, obj):
        mean, scale = np.array(self.of_vector.mean), np.array(self.of_vector.scale)
        return ((np.array(obj.meta.get(self.vector, np.full(len(mean), np.nan))) - mean) / scale).astype(np.float32)

    def typical_metadata(self, record):
        n = len(self.of_vector.mean)
        known, vector = record.numbers[:-n], np.nan_to_num(record.numbers[-n:])
        return super().typical_metadata(record.replace(numbers=known)).replace(numbers=np.append(known, vector))

    def tokenizer(self, model_dim):
        return Tokenizer(super().tokenizer(model_dim), len(self.of_vector.mean), model_dim)


class Tokenizer(nn.Module):
    def __init__(self, points, n, model_dim):
        super().__init__()
        self.points, self.n, self.embed = points, n, nn.Linear(n, model_dim)
        self.queries, self.add_values = points.queries, points.add_values

    def context(self, batch):
        vector = batch.numbers[:, -self.n :]
        tokens, present = self.points.context(batch.replace(numbers=batch.numbers[:, : -self.n]))
        here = vector.isfinite().all(1)[:, None]
        own = self.embed(vector.nan_to_num())[:, None]
        return torch.cat([tokens, own], 1), torch.cat([present, here], 1)


def curve(i):
    rng = np.random.default_rng([1, i])
    colours = rng.normal(size=3)
    time = np.sort(rng.uniform(0, 10, 20))
    meta = {"colours": colours.tolist()} if i % 5 else {}
    return Table({"time": time, "mag": colours.sum() + np.sin(time) + 0.1 * rng.normal(size=20)}, meta=meta)


X = [curve(i) for i in range(40)]
TINY = dict(model_dim=16, n_heads=2, n_encoder_layers=1, n_decoder_layers=1, random_state=0, device="cpu")


@pytest.mark.parametrize("cls", [DAEPEncoder, BetaVAEEncoder])
def test_it_fits_draws_shows_saves_and_loads(cls, tmp_path):
    untouched = {"core": None} if cls is DAEPEncoder else {}  # a core has read no metadata after 5 steps
    encoder = cls(WithColours(), max_iter=5, **untouched, **TINY).fit(X)
    Z = encoder.transform(X)
    other = X[1].copy()
    other.meta["colours"] = [3.0, 3.0, 3.0]
    assert np.abs(encoder.transform([other]) - Z[1]).max() > 1e-4, "the vector is seen"
    assert len(encoder.reconstruct(X[:2], n_draws=3)) == 2
    ReconstructionDisplay.from_estimator(encoder, X[:2])
    encoder.save(tmp_path / "model")
    loaded = skdaep.load(tmp_path / "model")
    assert loaded.modalities_ == encoder.modalities_
    np.testing.assert_array_equal(loaded.transform(X), Z)
    assert len(loaded.inverse_transform(Z[:1])[0]) > 0
