"""Pretrained models: cards are complete and true, files intact, and light curves of any survey are understood."""

import ast
import dataclasses
import json
import shutil
import subprocess
import sys
import tomllib
import warnings
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, QTable, Table
from astropy.time import Time
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

import skdaep
from skdaep import CorruptModelError, OutOfRangeWarning, TableError, UnknownBandWarning
from skdaep.datasets import make_supernova_light_curves, make_supernova_spectra
from skdaep.pretrained import _cards, list_models, load_model

CARDS = list_models()
SALT3 = "sn-lightcurves-lsst-salt3"
each_card = pytest.mark.parametrize("card", CARDS, ids=CARDS.names)
X, y = make_supernova_light_curves(40, random_state=1)


@pytest.fixture(scope="module")
def model():
    return load_model(SALT3)


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """Return a folder with copies of all files, in which models are then looked for."""
    shutil.copytree(_cards.MODELS, tmp_path / "models")
    monkeypatch.setattr(_cards, "MODELS", tmp_path / "models")
    return tmp_path / "models"


# --- cards and files --------------------------------------------------------------------------------


def test_every_file_belongs_to_a_card():
    assert len(CARDS) >= 2
    files = {path.name for path in _cards.MODELS.iterdir()}
    assert files == {f"{name}.{end}" for name in CARDS.names for end in ("json", "safetensors")}


@each_card
def test_card_is_complete(card):
    def empty(value):
        if isinstance(value, dict):
            return not value or any(empty(v) for k, v in value.items() if k != "parameters")
        return value in ("", None, [])

    content = dataclasses.asdict(card)
    assert [name for name, value in content.items() if name != "bands" and empty(value)] == []
    assert {"settings", "seed", "cpu", "commit", "cpu_minutes", "n_steps", "versions"} <= card.fitted.keys()
    assert card.fitted["dirty"] is False
    assert card.reproduce == f"python -m benchmarks.pretrain {card.name}"
    assert card.n_bytes == card.path.stat().st_size < 1.4e6


@each_card
def test_card_says_what_the_encoder_expects(card):
    loaded = load_model(card.name)
    (modality,) = loaded[-1].modalities_.values()
    assert {role: c["name"] for role, c in card.columns.items()} == {
        role: name for role, name in modality.columns._asdict().items() if name is not None
    }
    assert modality.learned.units[modality.location] == card.columns["location"]["unit"]
    assert set(card.bands) == set(modality.learned.bands) - {""}
    assert all(band in card.columns["band"]["meaning"] for band in card.bands)
    assert [type(step).__name__ for step in loaded.estimator.named_steps.values()][1:-1] == [
        s["step"] for s in card.steps
    ]
    assert card.n_features == loaded.transform([card.example_table()]).shape[1]
    noted = {k: v for k, v in card.fitted["settings"].items() if k in loaded[-1].get_params()}
    assert noted == {k: loaded[-1].get_params()[k] for k in noted}
    assert noted == card.fitted["settings"]


@each_card
def test_codes_of_the_example_are_those_on_the_card(card):
    np.testing.assert_allclose(
        load_model(card.name).transform([card.example_table()])[0], card.example["codes"], atol=1e-5
    )


@each_card
def test_no_model_holds_its_training_objects(card):
    assert skdaep.info(card.path).estimator not in ("ContrastiveNeighbors",)


@each_card
def test_recipe_of_the_benchmark_has_the_model(card):
    path = Path(skdaep.__file__).parents[1] / "benchmarks/pretrain.py"
    if not path.is_file():
        pytest.skip("the package is installed without its benchmarks")
    (recipes,) = [
        node.value
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign) and node.targets[0].id == "RECIPES"
    ]
    recipe = dict(zip([key.value for key in recipes.keys], recipes.values, strict=True))[card.name]
    told = {k.arg: ast.literal_eval(k.value) for k in recipe.keywords if k.arg in ("kind", "good_for", "licence")}
    assert told == {name: getattr(card, name) for name in told}


def test_the_wheel_holds_the_files():
    root = Path(skdaep.__file__).parents[1]
    if not (root / "pyproject.toml").is_file():
        pytest.skip("the package is installed: the files were found by the tests above")
    patterns = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["skdaep"]
    for path in _cards.MODELS.iterdir():
        name = path.relative_to(root / "skdaep").as_posix()
        assert any(fnmatch(name, pattern) for pattern in patterns), name
    assert (_cards.MODELS.parent / "__init__.py").is_file()


@pytest.mark.parametrize("place", [10, -10])
def test_a_damaged_file_is_refused(copied, place):
    path = copied / f"{SALT3}.safetensors"
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptModelError, match=rf"{SALT3}\.safetensors is damaged.*Reinstall"):
        load_model(SALT3)


def test_another_model_under_this_name_is_refused(copied):
    shutil.copy(copied / f"{CARDS.names[1]}.safetensors", copied / f"{CARDS.names[0]}.safetensors")
    with pytest.raises(CorruptModelError, match="its SHA-256 is not that of its card"):
        load_model(CARDS.names[0])


def test_a_missing_file_is_named(copied):
    (copied / f"{SALT3}.safetensors").unlink()
    with pytest.raises(CorruptModelError, match=rf"{SALT3}\.safetensors is missing"):
        load_model(SALT3)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda text: text[:100], "is not the card of a model"),
        (lambda text: text.replace('"licence"', '"license"'), "is not the card of a model.*license"),
        (lambda text: json.dumps(json.loads(text) | {"licence": ""}), "lacks licence"),
        (lambda text: json.dumps(json.loads(text) | {"steps": [{"step": "__all__", "parameters": {}}]}), "is no step"),
        (lambda text: json.dumps(json.loads(text) | {"steps": [{"step": "augment", "parameters": {}}]}), "is no step"),
    ],
)
def test_a_bad_card_is_refused(copied, change, match):
    path = copied / f"{SALT3}.json"
    path.write_text(change(path.read_text()))
    with pytest.raises(CorruptModelError, match=match):
        load_model(SALT3)


def test_an_unknown_name_lists_names_and_proposes_one():
    with pytest.raises(
        ValueError, match=rf"no pretrained model 'sn-lightcurve-salt3'. Did you mean '{SALT3}'"
    ) as error:
        load_model("sn-lightcurve-salt3")
    assert all(name in str(error.value) for name in CARDS.names)
    with pytest.raises(ValueError, match=r"no pretrained model 'x'\. There are: "):
        load_model("x")


def test_the_list_can_be_read_in_a_terminal():
    text = repr(CARDS)
    for card in CARDS:
        assert f"{card.name}: {card.kind}, {card.n_features} numbers per object" in text
        assert all(c["name"] in text for c in card.columns.values())
        whole = " ".join(str(card).split())
        for told in (card.good_for, card.not_for, card.training_data, card.licence, card.reproduce):
            assert told in whole
    assert max(map(len, text.splitlines())) <= 120
    assert CARDS[SALT3].name == SALT3
    with pytest.raises(KeyError):
        CARDS["x"]


def test_to_list_models_needs_no_torch():
    code = "import sys; from skdaep.pretrained import list_models; list_models(); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


# --- light curves of any survey ---------------------------------------------------------------------


def as_magnitudes(t):
    return Table({"mjd": t["time"] + 60_000.0, "mag": t["mag"], "magerr": t["mag_err"], "filter": t["band"]})


def as_fluxes(t, zero_point):
    flux = 10 ** (0.4 * (zero_point - np.asarray(t["mag"])))
    error = flux * np.asarray(t["mag_err"]) * 0.4 * np.log(10)
    return Table({"time": t["time"], "flux": flux, "flux_err": error, "band": t["band"]}, meta=t.meta)


def with_units(t):
    t = as_fluxes(t, 23.9)
    t["flux"].unit = t["flux_err"].unit = u.uJy
    t["time"] = (np.asarray(t["time"]) * 24.0) * u.hour
    return t


def ztf(t):
    t = as_magnitudes(t)
    t["filter"] = [f"z{band}" for band in t["filter"]]
    t.rename_columns(["mjd", "magerr", "filter"], ["hjd", "sigma_mag", "filtercode"])
    return t


def lsst(t):
    t = with_units(t)
    t.rename_columns(["time", "flux", "flux_err"], ["midpointMjdTai", "psfFlux", "psfFluxErr"])
    t["psfFlux"], t["psfFluxErr"] = (t[c].to(u.nJy) for c in ("psfFlux", "psfFluxErr"))
    return t


def masked(t):
    t = as_fluxes(t, 25.0)
    odd = t[[0]]
    odd["flux"] = 1e9
    new = Table({"time": np.append(t["time"], 3.0), "band": np.append(t["band"], "g")}, meta=t.meta)
    new["flux"] = MaskedColumn(np.append(t["flux"], odd["flux"]), mask=[False] * len(t) + [True])
    new["flux_err"] = np.append(t["flux_err"], 1.0)
    return new


def with_times(t):
    t = as_magnitudes(t)
    t["mjd"] = Time(t["mjd"], format="mjd", scale="tai")
    return t


SURVEYS = {
    "magnitudes": as_magnitudes,
    "another zero point": lambda t: as_fluxes(t, 27.5),
    "uJy and hours": with_units,
    "QTable": lambda t: QTable(with_units(t)),
    "ZTF": ztf,
    "LSST": lsst,
    "masked": masked,
    "Time": with_times,
    "shuffled": lambda t: as_magnitudes(t)[::-1],
    "brighter": lambda t: as_fluxes(t, 20.0),
    "mmag": lambda t: Table(
        {"time": t["time"], "mag": 1000 * t["mag"].value * u.mmag, "mag_err": t["mag_err"], "band": t["band"]}
    ),
}


@pytest.mark.parametrize("survey", SURVEYS)
def test_codes_do_not_depend_on_names_units_and_zero_points(model, survey):
    """The same light curves, as different surveys would write them."""
    plain = [as_fluxes(t, 25.0) for t in X[:4]]
    given = [SURVEYS[survey](t) for t in X[:4]]
    before = [t.copy() for t in given]
    np.testing.assert_allclose(model.transform(given), model.transform(plain), atol=1e-3)
    for one, two in zip(given, before, strict=True):
        assert one.colnames == two.colnames
        assert one.meta == two.meta


def test_surveys_may_be_mixed_in_one_call(model):
    np.testing.assert_allclose(
        model.transform([ztf(X[0]), lsst(X[1])]), model.transform([as_magnitudes(t) for t in X[:2]]), atol=1e-3
    )


def test_columns_can_be_named(model):
    odd = as_fluxes(X[0], 25.0)
    odd.rename_columns(["time", "flux", "flux_err", "band"], ["when", "f_nu", "how_sure", "through"])
    odd["f_nu"].unit = "uJy"
    named = load_model(SALT3, location="when", value="f_nu", error="how_sure", band="through")
    np.testing.assert_allclose(named.transform([odd]), model.transform([as_fluxes(X[0], 25.0)]), atol=1e-4)
    with pytest.raises(TableError, match=r"X\[0\] has no column for the .*load_model\(\.\.\., value=\.\.\.\)"):
        model.transform([odd])


def test_errors_of_fluxes_are_not_taken_for_those_of_magnitudes(model):
    both = as_magnitudes(X[0])
    both.remove_column("magerr")
    both["flux_err"] = 1e-9
    without = as_magnitudes(X[0])
    without.remove_column("magerr")
    np.testing.assert_array_equal(model.transform([both]), model.transform([without]))


def test_numbers_of_no_kind_are_refused(model):
    odd = as_magnitudes(X[1])
    odd.rename_column("mag", "value")
    odd["value"].unit = None
    with pytest.raises(TableError, match=r"X\[1\] column 'value' may be magnitudes or fluxes"):
        model.transform([as_magnitudes(X[0]), odd])


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda t: t[:0], r"X\[1\] is an empty table"),
        (lambda t: Table(t, masked=True)[["mjd", "mag"]], r"X\[1\] has no column for the band"),
        (lambda t: Table({"mjd": t["mjd"], "mag": np.nan * t["mag"], "band": t["filter"]}), r"X\[1\] has no finite"),
        (lambda t: Table({"mjd": t["mjd"], "mag": t["mag"], "band": ["W1"] * len(t)}), r"X\[1\] has no point in a band "
         r"that the model knows \(.*it has: 'W1'"),
        (lambda t: Table({"time": [1.0, 2.0], "flux": [-1.0, -2.0], "band": ["g", "r"]}), r"needs a positive flux"),
    ],
)  # fmt: skip
def test_bad_objects_are_named(model, spoil, match):
    with pytest.raises(TableError, match=match):
        model.transform([as_magnitudes(X[0]), spoil(as_magnitudes(X[1]))])


def test_bands_that_the_model_does_not_know_are_left_out_with_a_warning(model):
    more = as_magnitudes(X[0])
    for band in ("c", "o"):
        more.add_row([60_003.0, 10.0, 0.01, band])
    with pytest.warns(UnknownBandWarning, match=r"bands 'c' \(1 object\), 'o' .*knows u, g, r, i, z, y"):
        Z = model.transform([more, as_magnitudes(X[1])])
    np.testing.assert_allclose(Z[0], model.transform([as_magnitudes(X[0])])[0], atol=1e-6)


# --- in scikit-learn's manner -----------------------------------------------------------------------


def test_a_pipeline_trains_the_classifier_only(model):
    pipe = make_pipeline(load_model(SALT3), LogisticRegression(max_iter=1000)).fit(X, y)
    np.testing.assert_array_equal(pipe[0].transform(X), model.transform(X))
    assert set(pipe.predict(X)) <= set(y)
    assert np.isfinite(cross_val_score(clone(pipe), X, y, cv=2)).all()
    np.testing.assert_array_equal(clone(model).transform(X), model.transform(X))
    assert list(model.get_feature_names_out()) == [f"daepencoder{i}" for i in range(8)]


def test_the_way_back_is_in_fluxes_and_dates(model):
    """Decoded light curves are near the measured ones, in the numbers of the user."""
    given = [as_fluxes(t, 25.0) for t in X[:20]]
    steps, encoder = model[:-1], model[-1]
    back = steps.inverse_transform(encoder.reconstruct(steps.transform(given)))
    inner = steps.transform(given)
    for one, two, at in zip(back, given, inner, strict=True):
        kept = np.isin(np.asarray(two["time"]).round(6), np.asarray(one["time"]).round(6))
        assert len(one) == kept.sum() == len(at)
        near = np.abs(np.asarray(one["flux"]) - np.asarray(two["flux"])[kept]) / two["flux"].max()
        assert np.median(near) < 0.1


def test_a_trainable_model_goes_on_from_its_weights():
    model = load_model(SALT3, trainable=True)
    before = model.transform(X)
    model[-1].set_params(max_iter=1, learning_rate_init=1e-9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X)
    np.testing.assert_allclose(model.transform(X), before, atol=1e-4)
    model[-1].set_params(max_iter=5, learning_rate_init=1e-2, early_stopping=False)
    model.fit(X)
    assert np.abs(model.transform(X) - before).max() > 1e-2


# --- spectra ----------------------------------------------------------------------------------------

SPECTRA = "sn-spectra-simulated"


def test_spectra_in_any_unit_scale_and_part():
    model, plain = load_model(SPECTRA), make_supernova_spectra(1, random_state=1)[0][0]
    Z = model.transform([plain])
    wavelength, flux = np.asarray(plain["wavelength"]), np.asarray(plain["flux"])
    more = np.append(wavelength, [3000.0, 9500.0]), np.append(flux, [1e3, 1e3])
    for other in (
        Table({"wave": wavelength / 10 * u.nm, "flux": 1e-17 * flux * u.Unit("erg / (s cm2 Angstrom)")}),
        Table({"loglam": np.log10(wavelength), "f_lambda": 7 * flux}),
        Table({"wavelength": more[0], "flux": more[1]}),
    ):
        np.testing.assert_allclose(model.transform([other]), Z, atol=2e-3)


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        ({"flux": [1.0, 2.0] * u.Jy}, r"X\[0\] column 'flux' has unit 'Jy', but the model needs fluxes per wavelength"),
        ({"mag": [1.0, 2.0]}, r"X\[0\] column 'mag' is in magnitudes, but the model needs fluxes per wavelength"),
    ],
)
def test_values_of_another_kind_are_refused(columns, match):
    with pytest.raises(TableError, match=match):
        load_model(SPECTRA).transform([Table({"wavelength": [4000.0, 5000.0], **columns})])


def test_spectra_of_another_range_are_refused():
    micron = Table({"wavelength": [0.4, 0.5], "flux": [1.0, 2.0]})
    with pytest.raises(
        TableError, match=r"X\[0\] has no point with a wavelength of 3500 to 8500 Angstrom.*Check the unit"
    ):
        load_model(SPECTRA).transform([micron])


def test_light_curves_per_wavelength_are_refused(model):
    odd = as_fluxes(X[0], 25.0)
    odd["flux"].unit = "erg / (s cm2 Angstrom)"
    with pytest.raises(TableError, match=r"has unit .*needs fluxes per frequency"):
        model.transform([odd])


def falling(sentinels=(), flux=False):
    """Return a light curve in two bands, in magnitudes or fluxes, with sentinels in place of the first values."""
    days = np.linspace(0, 58, 30)
    mag = 18 + 0.002 * (days - 20) ** 2
    value, error = (10 ** (-0.4 * (mag - 25)), np.ones(30)) if flux else (mag, np.full(30, 0.05))
    value[: len(sentinels)] = sentinels
    names = ("mjd", "flux", "flux_err") if flux else ("mjd", "mag", "magerr")
    return Table({**dict(zip(names, (days + 59000, value, error), strict=True)), "band": ["g", "r"] * 15})


@pytest.mark.parametrize(
    ("sentinels", "flux", "match"),
    [
        ((99.0,), False, r"'mag' is 99, first in X\[1\]"),
        ((99.0, 99.0), False, r"'mag' is 99 \(2 times\), first in X\[1\]"),
        ((-9999.0, -9999.0), True, r"'flux' is -9999 \(2 times\), first in X\[1\]"),
    ],
)
def test_sentinels_are_named_once(model, sentinels, flux, match):
    with pytest.warns(OutOfRangeWarning, match=match) as caught:
        model.transform([falling(flux=flux), falling(sentinels, flux)])
    assert len(caught) == 1


def test_nothing_is_said_of_measurements(model):
    X, _ = make_supernova_light_curves(60, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", OutOfRangeWarning)
        model.transform([*X, falling(), falling(flux=True)])
