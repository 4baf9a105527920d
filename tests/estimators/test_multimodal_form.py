"""The form of an encoder of one modality that takes several: one line, and all that encoders of several can do."""

import inspect
import pickle
import re

import numpy as np
import pytest

import skdaep
from skdaep.estimators import MultimodalEncoder, UnimodalEncoder, multimodal

MultimodalMAEP = multimodal(skdaep.MAEPEncoder, "MultimodalMAEP")
MultimodalVAE = multimodal(skdaep.BetaVAEEncoder, "MultimodalVAE")
FORMS = {MultimodalMAEP: skdaep.MAEPEncoder, MultimodalVAE: skdaep.BetaVAEEncoder}
MODALITIES = {"photometry": skdaep.Photometry(), "spectrum": skdaep.Spectrum()}
TINY = dict(model_dim=8, n_heads=2, n_encoder_layers=1, n_decoder_layers=1, max_iter=3, random_state=0, device="cpu")


@pytest.fixture(params=FORMS, ids=lambda form: form.__name__)
def form(request):
    return request.param


@pytest.fixture
def objects(make_light_curve, make_spectrum):
    objects = [{"photometry": make_light_curve(i), "spectrum": make_spectrum(i)} for i in range(12)]
    objects[2]["spectrum"] = None
    return objects


def test_it_has_the_parameters_of_both(form):
    own = set(inspect.signature(FORMS[form]).parameters) - {"modality"}
    late = {"modalities", "drop_modality", "modality_weights", "mixer_self_attention"}
    assert set(inspect.signature(form).parameters) == own | late
    assert issubclass(form, MultimodalEncoder)
    assert not issubclass(form, UnimodalEncoder)


def test_its_docstring_tells_every_parameter_once(form):
    for name in inspect.signature(form).parameters:
        entries = re.findall(rf"^(?:\w+, )*{name}(?:, \w+)* : ", form.__doc__, re.MULTILINE)
        assert len(entries) == 1, name


def test_it_fits_decodes_saves_and_loads(form, objects, tmp_path):
    estimator = form(MODALITIES, **TINY).fit(objects)
    Z = estimator.transform(objects)
    assert estimator.reconstruct(objects[2:3], modality="spectrum")[0].colnames == ["wavelength", "flux"]
    assert [set(o) for o in estimator.reconstruct(objects[1:3])] == [set(MODALITIES), {"photometry"}]
    estimator.save(tmp_path / "model")
    for other in (skdaep.load(tmp_path / "model"), pickle.loads(pickle.dumps(estimator))):
        assert type(other) is form
        np.testing.assert_array_equal(other.transform(objects), Z)
