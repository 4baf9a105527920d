"""``core="linear"`` as a user has it: training begins with functional PCA, and all the rest is as without."""

import copy
import pickle

import numpy as np
import pytest
import torch
from astropy.table import Table

import skdaep
from skdaep import DAEPEncoder, FunctionalPCA, Image, MAEPEncoder, Photometry, SpectralSeries
from skdaep.model import passes

SMALL = {
    "core": "linear",
    "bottleneck_length": 2,
    "bottleneck_dim": 2,
    "model_dim": 16,
    "n_heads": 2,
    "n_encoder_layers": 1,
    "n_decoder_layers": 1,
    "n_sampling_steps": 5,
    "max_iter": 4,
    "random_state": 0,
    "device": "cpu",
}


def light_curve(i):
    rng = np.random.default_rng([5, i])
    n = int(rng.integers(10, 30))
    time, band = np.sort(rng.uniform(0, 10, n)), rng.choice(["g", "r"], n)
    mag = 18 + rng.normal() * np.sin(time) + rng.normal() * (band == "g") + 0.1 * rng.normal(size=n)
    return Table({"time": time, "mag": mag, "band": band, "mag_err": rng.uniform(0.05, 0.2, n)})


def records_of(core, monkeypatch):
    """Return the steps of the records of a fit that never becomes better than its first record."""
    monkeypatch.setattr("skdaep.model.fitting.STEPS_PER_RECORD", 1)
    monkeypatch.setattr("skdaep.model.fitting.Validation.__call__", lambda self, objective: 1.0)
    fitted = DAEPEncoder(Photometry(), **SMALL | {"core": core, "max_iter": 12, "batch_size": 60}).fit(CURVES)
    return [record["iteration"] for record in fitted.history_]


def test_it_takes_all_steps_where_a_fit_without_would_stop(monkeypatch):
    assert records_of("linear", monkeypatch) == list(range(13))
    assert records_of(None, monkeypatch) == list(range(1, 7))


CURVES = [light_curve(i) for i in range(60)]
PICTURES = np.random.default_rng(0).normal(size=(40, 8, 8)).cumsum(1).cumsum(2)


def make(**changes):
    return DAEPEncoder(Photometry(), **SMALL | changes)


@pytest.fixture(scope="module")
def fitted():
    return make().fit(CURVES)


@pytest.mark.parametrize(
    ("modality", "X", "weigh"), [(Photometry(), CURVES, True), (Image(patch_size=4), PICTURES, False)]
)
def test_where_training_only_harms_it_is_functional_pca_of_equal_size(modality, X, weigh):
    rough = SMALL | {"learning_rate_init": 3.0, "solver": "adamw"}
    ruined = DAEPEncoder(modality, **rough, error_weighting=weigh).fit(X)
    pca = FunctionalPCA(modality, n_components=4, error_weighting=weigh, random_state=0).fit(X)
    assert ruined.best_loss_ == ruined.history_[0]["validation_loss"] < ruined.history_[-1]["validation_loss"]
    assert ruined.score(X) == pytest.approx(pca.score(X), rel=1e-4)
    distances = [np.linalg.norm(Z[:, None] - Z, axis=2) for Z in (ruined.transform(X), pca.transform(X))]
    assert np.corrcoef(distances[0].ravel(), distances[1].ravel())[0, 1] > 0.8


def test_the_masked_autoencoder_begins_there_too(tmp_path):
    rough = SMALL | {"learning_rate_init": 3.0, "solver": "adamw"}
    rough.pop("n_sampling_steps")
    ruined = MAEPEncoder(Photometry(), **rough).fit(CURVES)
    assert ruined.best_loss_ == ruined.history_[0]["validation_loss"] < ruined.history_[-1]["validation_loss"]
    pca = FunctionalPCA(Photometry(), n_components=4, random_state=0).fit(CURVES)
    assert ruined.score(CURVES) == pytest.approx(pca.score(CURVES), rel=1e-4)
    ruined.save(tmp_path / "model.safetensors")
    again = skdaep.load(tmp_path / "model.safetensors")
    for one, two in zip(*(e.reconstruct(CURVES, context=0.5, output="arrays") for e in (again, ruined)), strict=True):
        np.testing.assert_array_equal(one, two)


def test_validation_never_ends_above_the_start(fitted):
    start, *steps = fitted.history_
    assert start["iteration"] == 0
    assert "loss" not in start
    assert fitted.best_loss_ == min(r["validation_loss"] for r in fitted.history_)
    assert fitted.n_iter_ == steps[-1]["iteration"] == 4
    assert "loss" in steps[-1]


@pytest.mark.filterwarnings("ignore:After max_iter")
def test_training_adds_what_is_not_linear():
    X = np.array([np.tanh(4 * np.sin(np.linspace(0, 6, 30) + shift)) for shift in np.linspace(0, 6, 200)])
    short = SMALL | {"bottleneck_length": 1, "max_iter": 150}
    trained = DAEPEncoder(**short).fit(X)
    assert trained.score(X) > 0.8 * FunctionalPCA(n_components=2, random_state=0).fit(X).score(X)


def test_files_and_pickles_hold_the_core(fitted, tmp_path):
    fitted.save(tmp_path / "model.safetensors")
    for other in (skdaep.load(tmp_path / "model.safetensors"), pickle.loads(pickle.dumps(fitted))):
        assert other.core == "linear"
        np.testing.assert_array_equal(other.transform(CURVES), fitted.transform(CURVES))
        for one, two in zip(*(e.reconstruct(CURVES, output="arrays") for e in (other, fitted)), strict=True):
            np.testing.assert_array_equal(one, two)


def test_a_warm_start_keeps_the_core(fitted):
    warm = copy.deepcopy(fitted).set_params(warm_start=True, learning_rate_init=1e-9).fit(CURVES[:30])
    np.testing.assert_allclose(warm.transform(CURVES), fitted.transform(CURVES), atol=1e-5)
    with pytest.raises(ValueError, match=r"warm_start=True.*core was 'linear' in the previous fit and is None now"):
        warm.set_params(core=None).fit(CURVES)


def test_draws_priors_and_correlation_work(fitted):
    (draws,) = fitted.reconstruct(CURVES[:1], n_draws=3, output="arrays")
    assert draws.shape == (len(CURVES[0]), 3)
    assert np.isfinite(draws).all()
    assert draws.std(1).all()
    assert set(fitted.noise_correlation_) == set(fitted.modalities_)
    copy.deepcopy(fitted).fit_prior(CURVES, max_iter=5).sample(2)


def test_seeds_decide_all(fitted):
    np.testing.assert_array_equal(make().fit(CURVES).transform(CURVES), fitted.transform(CURVES))


def test_it_learns_without_objects_held_out():
    encoder = make(early_stopping=False).fit(CURVES)
    assert [r["iteration"] for r in encoder.history_] == [4]


def test_by_default_there_is_one_where_it_can_serve():
    assert DAEPEncoder().core == "auto"
    rows = np.random.default_rng(0).normal(size=(30, 6))
    tiny = SMALL | {"core": "auto", "max_iter": 1}
    assert has_core(DAEPEncoder(**tiny).fit(rows))
    assert not has_core(DAEPEncoder(**tiny, prediction="v").fit(rows))
    times, wavelengths = np.arange(3.0), np.linspace(4000, 5000, 5)
    points = [(t, w, np.sin(w) + t) for t in times for w in wavelengths]
    plane = [Table(rows=points, names=["time", "wavelength", "flux"])] * 10
    assert not has_core(DAEPEncoder(SpectralSeries(), **tiny).fit(plane))


def has_core(encoder):
    return any(name.startswith("core.") for name in encoder.model_.weights)


def test_what_validation_chooses_by_is_the_error_of_the_point_estimate(fitted):
    (name,) = fitted.modalities_
    records = fitted.model_.read([{name: x} for x in CURVES])
    batches = passes.take(fitted.model_.collate(records), np.arange(len(CURVES)))
    with torch.no_grad():
        errors = fitted.model_.live().held_out_loss(batches, None)
    np.testing.assert_allclose(errors, fitted.model_.errors(records), rtol=1e-4)


@pytest.mark.parametrize("prediction", ["v", "epsilon"])
def test_other_predictions_are_refused(prediction):
    with pytest.raises(ValueError, match='needs prediction="x0"'):
        make(prediction=prediction).fit(CURVES)


# --- a basis for several modalities and for posteriors --------------------------------------------------

BASIS = {k: v for k, v in SMALL.items() if k not in ("core", "n_sampling_steps")} | {"core": "basis"}
DECLARED = {"photometry": Photometry(), "spectrum": skdaep.Spectrum("flux", metadata=("phase",))}


def spectrum(i):
    rng = np.random.default_rng([6, i])
    wavelength, phase = np.sort(rng.uniform(4000, 8000, int(rng.integers(20, 30)))), rng.uniform(-1, 1)
    flux = 1 + phase * np.sin(wavelength / 500) + rng.normal() * np.cos(wavelength / 700)
    return Table({"wavelength": wavelength, "flux": flux}, meta={"phase": phase})


PAIRS = [{"photometry": CURVES[i], "spectrum": spectrum(i) if i % 4 else None} for i in range(40)]


def with_basis(kind, **changes):
    if kind == "BetaVAEEncoder":
        return skdaep.BetaVAEEncoder(DECLARED["spectrum"], **BASIS | changes), [spectrum(i) for i in range(40)]
    return getattr(skdaep, kind)(DECLARED, **BASIS | changes), PAIRS


@pytest.fixture(scope="module", params=["BetaVAEEncoder", "MultimodalDAEP", "MixtureOfExpertsVAE"])
def of_basis(request):
    estimator, X = with_basis(request.param)
    return estimator.fit(X), X


def test_a_basis_is_kept_in_files(of_basis, tmp_path):
    estimator, X = of_basis
    assert has_core(estimator)
    estimator.save(tmp_path / "model.safetensors")
    again = skdaep.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.transform(X), estimator.transform(X))
    Z = estimator.transform(X[:3])
    one, other = (e.inverse_transform(Z, **spectra_of(e), output="arrays") for e in (again, estimator))
    np.testing.assert_array_equal(one, other)


def spectra_of(estimator):
    return {"modality": "spectrum"} if isinstance(estimator, skdaep.estimators.MultimodalEncoder) else {}


def test_by_default_it_is_there_where_scores_cannot_be_the_code(of_basis):
    estimator, X = of_basis
    default = copy.deepcopy(estimator).set_params(core="auto")
    np.testing.assert_array_equal(default.fit(X).transform(X), estimator.transform(X))
    with pytest.raises(ValueError, match=r'core="linear" is for one modality .* use core="basis"'):
        default.set_params(core="linear").fit(X)


@pytest.mark.filterwarnings("ignore:After max_iter")
@pytest.mark.parametrize("kind", ["BetaVAEEncoder", "MultimodalDAEP"])
def test_with_a_basis_it_learns_faster(kind):
    few = {"max_iter": 100, "batch_size": 16}
    (without, X), (having, _) = (with_basis(kind, core=core, **few) for core in (None, "basis"))
    assert having.fit(X).score(X) > 0.8 * without.fit(X).score(X)


def test_what_is_missing_has_no_scores():
    estimator, _ = with_basis("MultimodalDAEP")
    estimator.fit(PAIRS)
    alone = [{"photometry": o["photometry"]} for o in PAIRS]
    codes, both = estimator.transform(alone), estimator.transform(PAIRS)
    lacks = np.array([o["spectrum"] is None for o in PAIRS])
    np.testing.assert_allclose(codes[lacks], both[lacks], atol=1e-5)
    assert (np.abs(codes - both).max(1) > 1e-3)[~lacks].all()


@pytest.mark.parametrize("alignment", ["moco", "infonce"])
def test_alignments_see_the_scores_too(alignment):
    estimator, _ = with_basis("MultimodalDAEP", alignment=alignment, alignment_weight=0.1)
    assert np.isfinite(estimator.fit(PAIRS).transform(PAIRS)).all()
    assert all("alignment" in record for record in estimator.history_)
