"""Objectives and estimators that are defined outside the package: fitted, saved, loaded, and never mistaken."""

from typing import Annotated

import numpy as np
import pytest

import skdaep
from skdaep import CorruptModelError
from skdaep.estimators import ESTIMATORS as KNOWN
from skdaep.estimators import POSITIVE, UnimodalEncoder
from skdaep.objectives import OBJECTIVES, Objective

TINY = dict(model_dim=8, n_heads=2, n_encoder_layers=1, n_decoder_layers=1, max_iter=3, random_state=0, device="cpu")


class Powers(Objective):
    """Reconstruct by a power of the absolute error."""

    def __init__(self, autoencoder, *, power, **options):
        super().__init__(autoencoder, **options)
        self.power = power

    def loss(self, batches, generator):
        z = self.encode(self.shown(batches, generator)).mean

        def error(name, z, batch):
            query = self.decoded_points(batch)
            apart = (self.decode(name, z, query) - query.value).abs()
            return self.mean_over_points(name, apart**self.power, query)

        return {"loss": self.mean_over_modalities(batches, z, error)}

    def decode(self, name, z, query, noise=None, context=None):
        tokens = self.autoencoder.decoder_tokenizers[name].queries(query)
        return self.autoencoder.decode(name, tokens, *self.autoencoder.condition(name, z, query), query.observed)


class PowersEncoder(UnimodalEncoder):
    """Its estimator: a parameter of its own, and nothing else."""

    objective_class = Powers
    power: Annotated[float, POSITIVE] = 1.0


def test_its_parameters_are_checked_and_reach_the_objective(X):
    encoder = PowersEncoder(power=1.5, **TINY).fit(X)
    assert encoder.model_.live().power == 1.5
    assert encoder.model_.options["power"] == 1.5
    with pytest.raises(ValueError, match="'power' parameter"):
        PowersEncoder(power=-1.0, **TINY).fit(X)
    with pytest.raises(TypeError, match="PowersEncoder: got an unexpected keyword argument 'pwer'"):
        PowersEncoder(pwer=1.0)


def test_it_saves_and_loads(X, tmp_path):
    encoder = PowersEncoder(**TINY).fit(X)
    encoder.save(tmp_path / "model")
    loaded = skdaep.load(tmp_path / "model")
    assert type(loaded) is PowersEncoder
    np.testing.assert_array_equal(loaded.transform(X), encoder.transform(X))


@pytest.mark.parametrize(("registry", "name"), [(KNOWN, "PowersEncoder"), (OBJECTIVES, "Powers")])
def test_a_file_of_a_class_that_nobody_defined_is_refused_by_name(X, tmp_path, monkeypatch, registry, name):
    PowersEncoder(**TINY).fit(X).save(tmp_path / "model")
    monkeypatch.delitem(registry, name)
    with pytest.raises(CorruptModelError, match=name):
        skdaep.load(tmp_path / "model")
