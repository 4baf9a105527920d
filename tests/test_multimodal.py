"""Objects of several modalities, any of which may be missing."""

import copy
import pickle
import re
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from astropy.table import Table
from sklearn.base import clone

import skdaep
from skdaep import DivergenceError, Image, MultimodalDAEP, Photometry, Spectrum, TableError
from skdaep.estimators._split import split
from skdaep.model.passes import collate

ESTIMATORS = [k for k in skdaep.MULTIMODAL if k != "DualFormer"]  # which takes two modalities, not three
CLOSE = dict(rtol=1e-5, atol=2e-5)
TINY = dict(model_dim=8, n_heads=2, n_encoder_layers=1, n_decoder_layers=1, bottleneck_length=2, bottleneck_dim=2)
TINY |= dict(encoder_hidden_length=3, n_sampling_steps=3, max_iter=2, batch_size=8, random_state=0, device="cpu")
MODALITIES = {"light curve": Photometry(metadata=("redshift",)), "spectrum": Spectrum(), "image": Image()}


def spectrum(i, n=None):
    rng = np.random.default_rng([7, i])
    wavelength = np.sort(rng.uniform(3500, 9000, n or 4 + 3 * i % 11))
    return Table(
        {"wavelength": wavelength, "flux": np.sin(wavelength / 500 + i) + 0.1 * rng.standard_normal(len(wavelength))}
    )


def image(i):
    return np.random.default_rng([8, i]).normal(size=(8, 8)) + i % 3


@pytest.fixture
def X(make_light_curve):
    """Twelve objects; each modality is missing in some, as None or left out."""
    objects = [{"light curve": make_light_curve(i), "spectrum": spectrum(i), "image": image(i)} for i in range(12)]
    objects[1]["spectrum"] = None
    del objects[2]["image"], objects[2]["light curve"]
    objects[5] = {"image": objects[5]["image"]}
    objects[7]["light curve"] = None
    return objects


@pytest.fixture(scope="session")
def make(estimator_class):
    """Return a function that makes a tiny unfitted estimator with some parameters changed."""
    tiny = TINY | {"n_importance": 2}
    parameters = {k: v for k, v in tiny.items() if k in estimator_class(MODALITIES).get_params()}
    return lambda **changes: estimator_class(copy.deepcopy(MODALITIES), **parameters | changes)


@pytest.fixture(scope="session")
def fitted(make, make_light_curve):
    objects = [{"light curve": make_light_curve(i), "spectrum": spectrum(i), "image": image(i)} for i in range(12)]
    objects[1]["spectrum"] = objects[4]["image"] = None
    return make(max_iter=15, early_stopping=False).fit(objects)


# --- what goes in ------------------------------------------------------------------------------------


def test_objects_with_any_modalities_have_codes(fitted, X):
    Z = fitted.transform(X)
    assert Z.shape == (12, 4)
    assert Z.dtype == np.float32
    assert np.isfinite(Z).all()
    assert np.abs(Z[0] - Z[3]).max() > 1e-4


def test_absent_none_and_left_out_are_the_same(fitted, X):
    with_none, without = dict(X[0], spectrum=None), {k: v for k, v in X[0].items() if k != "spectrum"}
    one, other, whole = fitted.transform([with_none, without, X[0]])
    np.testing.assert_allclose(one, other, **CLOSE)
    assert np.abs(one - whole).max() > 1e-4


def test_code_does_not_depend_on_the_company_or_the_order(fitted, X):
    Z = fitted.transform(X)
    np.testing.assert_allclose(np.concatenate([fitted.transform([x]) for x in X]), Z, **CLOSE)
    np.testing.assert_allclose(fitted.transform(X[::-1])[::-1], Z, **CLOSE)
    reordered = [{k: x[k] for k in reversed(x)} for x in X]
    np.testing.assert_array_equal(fitted.transform(reordered), Z)


def test_inputs_are_unchanged(make, X):
    before = pickle.dumps(X)
    estimator = make().fit(X)
    estimator.reconstruct(X, modality="spectrum", n_draws=2)
    estimator.reconstruct(X)
    estimator.score(X)
    assert pickle.dumps(X) == before


def test_one_modality_is_the_case_of_one(make_light_curve):
    tables = [make_light_curve(i) for i in range(12)]
    shared = {k: v for k, v in TINY.items() if k != "encoder_hidden_length"} | {"encoder_hidden_length": None}
    shared |= {"core": None}
    single = skdaep.DAEPEncoder(Photometry(), **shared).fit(tables)
    multi = MultimodalDAEP({"sequence": Photometry()}, **shared).fit([{"sequence": t} for t in tables])
    np.testing.assert_array_equal(multi.transform([{"sequence": t} for t in tables]), single.transform(tables))
    np.testing.assert_array_equal(
        multi.inverse_transform(multi.transform([{"sequence": t} for t in tables]), modality="sequence")[3]["mag"],
        single.inverse_transform(single.transform(tables))[3]["mag"],
    )


@pytest.mark.parametrize("name", ["gaia.xp", "keys"])
def test_a_modality_may_have_any_name(make, X, tmp_path, name):
    """Also those that torch cannot use, having methods of that name, or tensors with paths of dots."""
    renamed = {"spectrum": name, "light curve": "a.b", "image": "ab"}
    new = [{renamed[k]: v for k, v in x.items()} for x in X]
    estimator = make().set_params(modalities={renamed[k]: m for k, m in MODALITIES.items()}).fit(new)
    np.testing.assert_allclose(estimator.transform(new), make().fit(X).transform(X), **CLOSE)
    estimator.save(tmp_path / "model")
    rebuilt = (e.reconstruct(new, modality=name, output="arrays") for e in (estimator, skdaep.load(tmp_path / "model")))
    for one, other in zip(*rebuilt, strict=True):
        np.testing.assert_array_equal(one, other)


# --- training ----------------------------------------------------------------------------------------


def test_divergence_names_objects(make, X):
    with pytest.raises(DivergenceError, match=r"X\[\d+\].*learning_rate_init"):
        make(learning_rate_init=1e30, max_iter=20, weight_decay=0.0).fit(X)


def batches(estimator, X):
    records = estimator.model_.read(list(estimator._stream(X)))
    measurements = collate(estimator.modalities_, records, torch.device("cpu"))
    return {k: s.take(torch.arange(len(X))) for k, s in measurements.items()}


@pytest.fixture
def drops(fitted):
    """Skip what is said of hiding modalities where each is read alone."""
    if "drop_modality" not in fitted.get_params():
        pytest.skip("drops no modality")


def test_dropping_keeps_at_least_one_modality_that_is_there_at_its_rate(fitted, X, drops):
    objective, generator = copy.deepcopy(fitted.model_.live()), torch.Generator().manual_seed(0)
    objective.drop_modality = 0.4
    before = torch.stack([b.present for b in batches(fitted, X).values()], 1)
    kept = torch.zeros(before.shape)
    for _ in range(400):
        seen = torch.stack([b.present for b in objective.drop_modalities(batches_of(fitted, X), generator).values()], 1)
        assert (seen <= before).all()
        assert seen.any(1).all()
        kept += seen
    n = before.sum(1)
    for i in range(len(X)):
        # each is kept with 0.6, and one of n when all would be dropped
        expected = 0.6 + 0.4 ** n[i].item() / n[i].item()
        assert (kept[i, before[i]] / 400 - expected).abs().max() < 0.12


_CACHE = {}


def batches_of(estimator, X):
    return _CACHE.setdefault(id(estimator), batches(estimator, X))


def test_nothing_is_dropped_in_use(fitted, X, drops):
    np.testing.assert_array_equal(fitted.transform(X), fitted.transform(X))
    other = copy.deepcopy(fitted)
    other.model_.live().drop_modality = 0.99
    np.testing.assert_array_equal(other.transform(X), fitted.transform(X))


def test_loss_of_an_object_is_the_weighted_mean_over_the_modalities_it_has(fitted, X):
    objective = copy.deepcopy(fitted.model_.live())
    z = torch.zeros(len(X), 2, 2)
    loss = {"light curve": 1.0, "spectrum": 10.0, "image": 100.0}
    objective.modality_weights = {"spectrum": 3.0}
    out = objective.mean_over_modalities(batches(fitted, X), z, lambda name, z, b: torch.full((len(z),), loss[name]))
    assert out[0].item() == pytest.approx((1 + 3 * 10 + 100) / 5)
    assert out[1].item() == pytest.approx((1 + 100) / 2)
    assert out[2].item() == pytest.approx(10)
    assert out[5].item() == pytest.approx(100)


def test_every_parameter_is_trained(fitted, X):
    objective = copy.deepcopy(fitted.model_.live()).requires_grad_(True)
    full = [x for x in X if len([v for v in x.values() if v is not None]) == 3]
    objective.loss(batches(fitted, full), torch.Generator().manual_seed(0))["loss"].sum().backward()
    for name, parameter in objective.named_parameters():
        if objective.draws == "posterior" and re.search(r"decoder_tokenizers\..*\.(value\.weight|cnn\..*)$", name):
            assert parameter.grad is None or not parameter.grad.any(), name  # its decoder is shown no values
            continue
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_content_of_an_absent_modality_s_padding_does_not_reach_the_code(fitted, X):
    module, of_all = fitted.model_.live(), batches(fitted, X)
    changed = {k: b.replace(value=torch.where(_like(b.observed, b.value), b.value, 9.0)) for k, b in of_all.items()}
    with torch.inference_mode():
        torch.testing.assert_close(module.encode(changed).mean, module.encode(of_all).mean, rtol=0, atol=2e-6)


def _like(mask, value):
    return mask.view(*mask.shape, *[1] * (value.ndim - 2)).expand(value.shape)


# --- what comes out ----------------------------------------------------------------------------------


def test_reconstruct_gives_what_an_object_has(fitted, X):
    for x, rebuilt in zip(X, fitted.reconstruct(X), strict=True):
        assert set(rebuilt) == {k for k, v in x.items() if v is not None}
    rebuilt = fitted.reconstruct(X[:1])[0]
    np.testing.assert_array_equal(rebuilt["light curve"]["time"], X[0]["light curve"]["time"])
    assert rebuilt["light curve"]["mag"].unit == "mag"
    assert rebuilt["image"].shape == (8, 8)


def test_a_modality_is_decoded_from_any_others(fitted, X):
    tables = fitted.reconstruct(X, modality="spectrum")
    assert len(tables[0]) == len(X[0]["spectrum"])
    grid = tables[1]["wavelength"]  # it has none: the learned grid
    np.testing.assert_array_equal(tables[5]["wavelength"], grid)
    at = Table({"wavelength": [4000.0, 5000.0, 6000.0]})
    for table in fitted.reconstruct(X, modality="spectrum", at=at):
        assert table["flux"].shape == (3,)
    draws = fitted.reconstruct(X, modality="spectrum", at=at, n_draws=4)
    assert draws[2]["flux"].shape == (3, 4)
    assert np.ptp(np.asarray(draws[2]["flux"]), axis=1).min() > 0


def test_reconstruct_is_encode_then_decode(fitted, X):
    at = [spectrum(i, 5) for i in range(12)]
    rebuilt = fitted.reconstruct(X, modality="spectrum", at=at, output="arrays")
    decoded = fitted.inverse_transform(fitted.transform(X), modality="spectrum", at=at, output="arrays")
    for one, other in zip(rebuilt, decoded, strict=True):
        np.testing.assert_allclose(one, other, **CLOSE)


def test_inverse_transform_gives_all_modalities_on_their_grids(fitted, X):
    objects = fitted.inverse_transform(fitted.transform(X[:3]))
    assert [set(o) for o in objects] == [set(MODALITIES)] * 3
    assert objects[0]["image"].shape == (8, 8)
    decode = partial(fitted.inverse_transform, fitted.transform(X[:3]), modality="image", n_draws=2)
    if fitted.objective_class.draws == "posterior":
        with pytest.raises(ValueError, match=r"reconstruct\(X, n_draws=\)"):
            decode()
    else:
        assert decode().shape == (3, 8, 8, 2)


def test_draws_depend_on_the_object_and_not_on_its_place(fitted, X):
    options = dict(modality="spectrum", at=Table({"wavelength": [4000.0, 5000.0]}), n_draws=2, output="arrays")
    draws = fitted.reconstruct(X, **options)
    np.testing.assert_allclose(fitted.reconstruct(X[::-1], **options)[::-1], draws, **CLOSE)
    np.testing.assert_allclose(fitted.reconstruct(X[3:9:2], **options), draws[3:9:2], **CLOSE)
    first = fitted.reconstruct(X, **options | {"n_draws": 1})
    np.testing.assert_allclose(first, np.array(draws)[..., :1], **CLOSE)
    same = fitted.reconstruct([X[0], dict(X[0])], **options)
    np.testing.assert_allclose(same[0], same[1], **CLOSE)


def test_score_is_the_mean_over_the_modalities_of_an_object(fitted, X):
    whole = fitted.score(X[:1])
    parts = []
    for name, value in fitted.reconstruct(X[:1])[0].items():
        modality = fitted.modalities_[name]
        record = modality.read(modality.one(X[0][name], ""), "")
        error = np.abs(np.asarray(value if name == "image" else value[modality.value]) - np.asarray(
            X[0][name] if name == "image" else np.ma.filled(X[0][name][modality.value], np.nan)
        ))  # fmt: skip
        parts.append(np.nanmean(error) / modality.learned.value.scale)
        assert record.observed.all()
    assert whole == pytest.approx(-np.mean(parts), rel=1e-4, abs=1e-6)


def test_prior_and_samples(fitted, X):
    if fitted.objective_class.draws == "neighbors":
        for method in ("sample", "fit_prior"):
            assert not hasattr(fitted, method)
            with pytest.raises(AttributeError, match=f"no attribute '{method}'") as caught:
                getattr(fitted, method)
            assert "cannot draw new ones; use reconstruct(X, n_draws=)" in str(caught.value.__cause__)
        return
    estimator = copy.deepcopy(fitted).fit_prior(X, max_iter=5)
    assert [set(o) for o in estimator.sample(2)] == [set(MODALITIES)] * 2
    assert len(estimator.sample(3, modality="spectrum", at=X[0]["spectrum"])[2]) == len(X[0]["spectrum"])
    with pytest.raises(ValueError, match="at holds 2 objects but n_objects=3; one for each is needed"):
        estimator.sample(3, modality="spectrum", at=[spectrum(0)] * 2)
    with pytest.raises(ValueError, match="output='z': choose one of 'tables', 'arrays', 'bottlenecks'"):
        estimator.sample(3, output="z")


# --- scikit-learn ------------------------------------------------------------------------------------


def test_an_object_array_of_dicts_works_as_the_list(fitted, X):
    column = np.empty((12, 1), object)
    column[:, 0] = X
    np.testing.assert_array_equal(fitted.transform(column), fitted.transform(X))


def test_clone_pickle_and_file(fitted, X, tmp_path):
    assert clone(fitted).get_params()["modalities"] == fitted.modalities
    assert not hasattr(clone(fitted), "modalities_")
    options = dict(modality="light curve", n_draws=2, output="arrays")
    Z, draws = fitted.transform(X), fitted.reconstruct(X, **options)
    before = pickle.dumps(fitted)
    assert b"torch." not in before
    fitted.save(tmp_path / "model")
    for other in (pickle.loads(before), skdaep.load(tmp_path / "model"), copy.deepcopy(fitted)):
        np.testing.assert_array_equal(other.transform(X), Z)
        for one, two in zip(other.reconstruct(X, **options), draws, strict=True):
            np.testing.assert_array_equal(one, two)
        assert other.modalities_ == fitted.modalities_
        assert pickle.dumps(fitted) == before
    tags = fitted.__sklearn_tags__()
    assert not tags.input_tags.two_d_array


def test_a_second_fit_forgets_the_first(make, fitted, X):
    again = copy.deepcopy(fitted)
    again.reconstruct(X, modality="spectrum")  # the live module of the first fit is there
    again.set_params(**make(early_stopping=False).get_params(deep=False)).fit(X[:9])
    fresh = clone(again).fit(X[:9])
    np.testing.assert_array_equal(again.transform(X), fresh.transform(X))
    rebuilt = (e.reconstruct(X, modality="spectrum", output="arrays") for e in (again, fresh))
    for one, other in zip(*rebuilt, strict=True):
        np.testing.assert_array_equal(one, other)


# --- bad input ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: {k: [x.get(k) for x in X] for k in MODALITIES}, r"X is a dict; pass a list of dicts.*zip"),
        (lambda X: [*X[:3], X[0]["spectrum"]], r"X\[3\] is not a dict but a Table"),
        (lambda X: [*X[:3], {"spectra": X[0]["spectrum"]}], r"X\[3\] has 'spectra', .*light curve, spectrum, image"),
        (lambda X: [*X[:3], {"spectrum": None}], r"X\[3\] has none of the modalities"),
        (lambda X: [*X[:3], {}], r"X\[3\] has none of the modalities"),
        (lambda X: [*X[:3], {"spectrum": [1, 2]}], r"X\[3\]\['spectrum'\] is not a Table"),
        (
            lambda X: [*X[:3], {"spectrum": [spectrum(0), spectrum(1)]}],
            r"X\[3\]\['spectrum'\] is not a Table but a list. Of several epochs make several objects.*groups=",
        ),
        (lambda X: None, "X must be a list of dicts, not None"),
        (lambda X: pd.DataFrame(X), r"X is a DataFrame; pass a list of dicts, X.to_dict\('records'\)"),
        (lambda X: X[0]["spectrum"], r"X is a single Table; pass a list of them"),
        (
            lambda X: [*X[:3], X[0] | {"spectrum": Table({"wavelength": [1.0], "flux": [np.nan]})}],
            r"X\[3\]\['spectrum'\] has no finite 'flux'; leave that modality out or set it to None",
        ),
        (
            lambda X: [*X[:3], X[0] | {"spectrum": X[0]["spectrum"][:0]}],
            r"X\[3\]\['spectrum'\] is an empty table; leave that modality out",
        ),
        (
            lambda X: [*X[:3], X[0] | {"image": np.full((8, 8), np.nan)}],
            r"X\[3\]\['image'\] has no patch without NaN; leave that modality out",
        ),
        (
            lambda X: [*X[:3], {"spectrum": Table({"wavelength": [1.0], "flux": [np.inf]})}],
            r"X\[3\]\['spectrum'\].*'flux'",
        ),
        (lambda X: [*X[:3], {"image": np.zeros((3, 3))}], r"X\[3\]\['image'\] has shape"),
    ],
)
def test_bad_objects_are_named(make, fitted, X, change, message):
    for method in (fitted.transform, make().fit):
        with pytest.raises(TableError, match=message):
            method(change(X))


def test_a_modality_that_no_object_has_at_fit_is_refused(make, X):
    with pytest.raises(TableError, match="No object of X has 'image'"):
        make().fit([{k: v for k, v in x.items() if k != "image"} for x in X[:2] + X[8:]])


def test_an_empty_list_is_refused(fitted):
    with pytest.raises(ValueError, match="0 objects"):
        fitted.transform([])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(modalities={}), "modalities is empty"),
        (dict(modalities={"spectrum": "flux"}), r"modalities\['spectrum'\]"),
        (dict(modalities={"": Spectrum()}), r"modalities\[''\].*dict of names"),
        (dict(modalities=[Spectrum()]), "'modalities'"),
        (dict(drop_modality=1.0), "'drop_modality'"),
        (dict(alignment_weight=-0.1), "'alignment_weight'"),
        (dict(beta=0.0), "'beta'"),
        (dict(n_importance=0), "'n_importance'"),
        (dict(metadata_tolerance=-1.0), "'metadata_tolerance'"),
        (dict(modality_weights={"spectra": 1.0}), r"modality_weights\['spectra'\]"),
        (dict(modality_weights={"image": 0.0}), r"modality_weights\['image'\]"),
    ],
)
def test_bad_parameters_are_named(make, X, changes, message):
    if not set(changes) <= set(make().get_params()):
        pytest.skip("has no such parameter")
    with pytest.raises(ValueError, match=message):
        make().set_params(**changes).fit(X)


def test_bad_calls_are_explained(fitted, X):
    Z = fitted.transform(X[:2])
    with pytest.raises(ValueError, match="modality='spectra': choose one of"):
        fitted.reconstruct(X, modality="spectra")
    with pytest.raises(ValueError, match="at= needs modality="):
        fitted.inverse_transform(Z, at=[spectrum(0), spectrum(1)])
    with pytest.raises(ValueError, match="at holds 1 objects but Z has 2 rows"):
        fitted.inverse_transform(Z, modality="spectrum", at=[spectrum(0)])
    with pytest.raises(ValueError, match="at holds 1 objects but X holds 12"):
        fitted.reconstruct(X, modality="spectrum", at=[spectrum(0)])
    with pytest.raises(ValueError, match="output='table': choose one of 'tables', 'arrays'"):
        fitted.reconstruct(X, output="table")
    with pytest.raises(ValueError, match="at holds None"):
        fitted.inverse_transform(Z, modality="spectrum", at=[spectrum(0), None])


@pytest.mark.parametrize("name", ["ContrastiveNeighbors", "MultimodalDAEP"])
def test_aligning_needs_an_object_of_two_modalities(X, make_light_curve, name):
    more = {"alignment_weight": 0.1} if name == "MultimodalDAEP" else {}
    estimator = getattr(skdaep, name)({k: MODALITIES[k] for k in ("light curve", "spectrum")}, max_iter=1, **more)
    apart = [{"light curve": make_light_curve(i)} if i % 2 else {"spectrum": spectrum(i)} for i in range(12)]
    with pytest.raises(TableError, match="No training object has two modalities"):
        estimator.fit(apart)


def test_a_modality_that_only_held_out_objects_have_is_refused(make, make_light_curve):
    whole = [{"light curve": make_light_curve(i), "spectrum": spectrum(i)} for i in range(12)]
    modalities = {k: MODALITIES[k] for k in ("light curve", "spectrum")}
    estimator = make(validation_fraction=0.4).set_params(modalities=modalities)
    seed = np.random.RandomState(0).randint(2**31 - 1)
    held_out = split(estimator, 12, None, seed).validation[:2]
    X = [o if i in held_out else {"light curve": o["light curve"]} for i, o in enumerate(whole)]
    with pytest.raises(TableError, match=r"No training object has 'spectrum' \(5 are held out"):
        estimator.fit(X)


def test_contrast_needs_every_modality_beside_another_and_pairs_to_validate_on(make_light_curve):
    pairs = [{"light curve": make_light_curve(i), "spectrum": spectrum(i)} for i in range(12)]
    estimator = skdaep.ContrastiveNeighbors(
        MODALITIES, **{k: v for k, v in TINY.items() if k in skdaep.ContrastiveNeighbors({}).get_params()}
    )
    with pytest.raises(TableError, match="No training object has 'image' and another modality"):
        estimator.fit([*pairs, *({"image": image(i)} for i in range(12))])
    two = clone(estimator).set_params(modalities={k: MODALITIES[k] for k in ("light curve", "spectrum")})
    with pytest.raises(
        TableError, match="1 of the 1 objects held out for validation have two modalities, but at least 2"
    ):
        two.fit(pairs[:6])
    two.set_params(early_stopping=False, warm_start=True).fit(pairs)
    with pytest.raises(TableError, match="No training object has two modalities"):
        two.fit([{"light curve": p["light curve"]} for p in pairs])


def test_with_images_spectra_are_decoded_as_without(make_light_curve):
    """Each modality has the decoder that is its own, whatever is beside it, and draws that are correlated."""
    X = [{"light curve": make_light_curve(i), "spectrum": spectrum(i, 30), "image": image(i)} for i in range(12)]
    estimator = MultimodalDAEP(MODALITIES, **TINY).fit(X)
    hidden = {
        k: d.hidden is not None
        for k, d in zip(MODALITIES, estimator.model_.live().autoencoder.decoders.values(), strict=True)
    }
    assert hidden == {"light curve": False, "spectrum": False, "image": True}
    scales = {k: len(c.scales) for k, c in estimator.noise_correlation_.items()}
    assert scales["spectrum"] > 0
    assert scales["image"] == 0


def test_a_table_of_objects_has_nan_where_a_modality_is_absent(fitted, X):
    records = pd.DataFrame(X).to_dict("records")
    np.testing.assert_array_equal(fitted.transform(records), fitted.transform(X))


def test_bad_objects_are_explained_also_where_locations_are_given(fitted, X):
    at = [spectrum(0)] * len(X)
    with pytest.raises(TableError, match="X is a dict; pass a list of dicts"):
        fitted.reconstruct({"spectrum": at}, modality="spectrum", at=at)
    with pytest.raises(TableError, match="X must be a list of dicts, not None"):
        fitted.reconstruct(None, modality="spectrum", at=at)
    with pytest.raises(TableError, match=r"X is an array of shape \(6, 2\)"):
        fitted.transform(np.array(X, dtype=object).reshape(6, 2))
