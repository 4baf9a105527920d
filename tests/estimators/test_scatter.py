"""Draws are as wide as the measurements scatter, where that differs from point to point, and from object to object."""

import numpy as np
import pytest
import torch
from astropy.table import Table

from skdaep import BetaVAEEncoder, DAEPEncoder, FunctionalPCA, Image
from skdaep.metrics import coverage

ERRORS = (0.05, 0.5)


def objects(n, seed):
    """Return sinusoids, measured at night by one of two telescopes; their true curves are in meta."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(n):
        time = np.sort(rng.uniform(0, 1, 40))
        curve = rng.normal() * np.sin(2 * np.pi * time) + rng.normal() * np.cos(2 * np.pi * time)
        error = rng.choice(ERRORS, len(time))
        mag = curve + error * rng.normal(size=len(time))
        out.append(Table({"time": time, "mag": mag, "mag_err": error}, meta={"curve": curve}))
    return out


@pytest.fixture(scope="module")
def fitted():
    settings = {"bottleneck_length": 1, "bottleneck_dim": 2, "model_dim": 16, "max_iter": 10, "random_state": 0}
    return DAEPEncoder(**settings).fit(objects(600, 0))


def test_intervals_hold_their_share_whatever_the_error(fitted):
    X = objects(60, 1)
    draws = fitted.reconstruct(X, n_draws=100)
    for error in ERRORS:
        own = [np.asarray(x["mag_err"]) == error for x in X]
        for level in (0.68, 0.9):
            parts = (
                [x[rows] for x, rows in zip(X, own, strict=True)],
                [d[rows] for d, rows in zip(draws, own, strict=True)],
            )
            inside = coverage(*parts, level=level).coverage.mean()
            assert inside == pytest.approx(level * 99 / 101, abs=0.03), (error, level)


def test_draws_are_wider_where_errors_are_larger(fitted):
    (x,) = objects(1, 2)
    spread = fitted.reconstruct([x], n_draws=200)[0]["mag"].std(axis=1)
    ratio = spread[x["mag_err"] == 0.5].mean() / spread[x["mag_err"] == 0.05].mean()
    assert ratio > 4


def test_draws_of_the_object_have_no_noise_of_the_measuring(fitted):
    X = objects(20, 3)
    of_object = fitted.reconstruct(X, n_draws=50, noise=False)
    of_measurements = fitted.reconstruct(X, n_draws=50)
    for x, a, b in zip(X, of_object, of_measurements, strict=True):
        assert a["mag"].std(axis=1).max() < 0.2
        assert b["mag"].std(axis=1)[np.asarray(x["mag_err"]) == 0.5].min() > 0.3


def test_where_no_error_is_known_it_is_the_typical_one(fitted):
    grid = Table({"time": np.linspace(0, 1, 50)})
    Z = fitted.transform(objects(1, 4))
    spread = fitted.inverse_transform(Z, at=grid, n_draws=200)[0]["mag"].std(axis=1)
    assert 0.05 < np.median(spread) < 0.6


def test_a_draw_is_one_function_in_any_company(fitted):
    X = objects(6, 5)
    together = fitted.reconstruct(X, n_draws=3)
    alone = fitted.reconstruct(X[4:5], n_draws=3)
    np.testing.assert_allclose(alone[0]["mag"], together[4]["mag"], atol=1e-4)


def test_the_law_is_kept_in_files(fitted, tmp_path):
    import skdaep

    fitted.save(tmp_path / "model")
    again, X = skdaep.load(tmp_path / "model"), objects(2, 6)
    assert again.model_.scatter == fitted.model_.scatter
    np.testing.assert_array_equal(again.reconstruct(X, n_draws=2)[0]["mag"], fitted.reconstruct(X, n_draws=2)[0]["mag"])


def test_functional_pca_draws_both():
    X = objects(60, 7)
    pca = FunctionalPCA(n_components=2, random_state=0).fit(X)
    wide, narrow = (pca.reconstruct(X[:5], n_draws=50, noise=noise) for noise in (True, False))
    assert all(2 * b["mag"].std(axis=1).mean() < a["mag"].std(axis=1).mean() for a, b in zip(wide, narrow, strict=True))
    with pytest.raises(ValueError, match="posterior"):
        pca.inverse_transform(pca.transform(X[:1]), n_draws=2, noise=False)


def test_noise_that_cannot_be_told_apart_is_said():
    X, small = objects(20, 8), {"model_dim": 16, "max_iter": 2, "random_state": 0}
    tied = DAEPEncoder(hidden_length=4, core=None, **small).fit(X)
    with pytest.raises(ValueError, match="noise=False"):
        tied.reconstruct(X[:1], n_draws=2, noise=False)
    with pytest.raises(ValueError, match="True or False"):
        tied.reconstruct(X[:1], n_draws=2, noise="no")
    mean_curves = BetaVAEEncoder(**small).fit(X)
    assert np.shape(mean_curves.reconstruct(X[:1], n_draws=2, noise=False)[0]["mag"]) == (40, 2)


# --- what the points of an object leave open of its code ----------------------------------------------


def shown_until(X, end):
    """Return objects whose values after a time are hidden."""
    out = []
    for x in X:
        new = x.copy()
        new["mag"][np.asarray(x["time"]) > end] = np.nan
        out.append(new)
    return out


@pytest.fixture(scope="module", params=["points", ("points", "future")])
def forecasting(request):
    settings = {"bottleneck_length": 1, "bottleneck_dim": 2, "model_dim": 16, "max_iter": 30, "random_state": 0}
    return DAEPEncoder(hide=request.param, **settings).fit(objects(600, 0))


@pytest.mark.parametrize("end", [0.15, 0.3, 0.6, 1.0])
def test_intervals_hold_their_share_however_little_was_seen(forecasting, end):
    X = [x for x in objects(90, 1) if x["time"][0] < end]
    late = [np.asarray(x["time"]) > (end if end < 1 else 0) for x in X]
    draws = forecasting.reconstruct(shown_until(X, end), n_draws=50)
    truth, drawn = ([x[rows] for x, rows in zip(part, late, strict=True)] for part in (X, draws))
    for level in (0.68, 0.9):
        inside = coverage(truth, drawn, level=level).coverage.mean()
        assert inside == pytest.approx(level * 49 / 51, abs=0.06), level


def test_draws_of_the_object_narrow_as_it_is_seen(forecasting):
    X = objects(40, 2)
    spreads = [
        np.mean([d["mag"].std(axis=1).mean() for d in forecasting.reconstruct(seen, n_draws=50, noise=False)])
        for seen in (shown_until(X, 0.2), shown_until(X, 0.6), X)
    ]
    assert spreads[0] > 1.5 * spreads[1]
    assert spreads[1] > spreads[2]


def test_draws_of_codes_scatter_as_their_curves_are_said_to():
    ruined = DAEPEncoder(
        bottleneck_length=1, bottleneck_dim=2, model_dim=16, max_iter=2, learning_rate_init=1e-12, random_state=0
    ).fit(objects(60, 0))
    model, module = ruined.model_, ruined.model_.live()
    (name,) = model.modalities
    records = model.read([{name: x} for x in shown_until(objects(3, 3), 0.4)])
    whole = model.collate(model.read([{name: x} for x in objects(3, 3)]))[name].take(torch.arange(3))
    shown = {k: ragged.take(torch.arange(3)) for k, ragged in model.collate(records).items()}
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        z, root = module.encode(shown).mean, module.code_root(shown)
        curves = [
            module.decode(name, z + (root @ torch.randn(3, 2, 1, generator=generator)).view_as(z), whole)
            for _ in range(3000)
        ]
        expected = module.deviation_of_code(name, shown, whole)
    torch.testing.assert_close(torch.stack(curves).std(0), expected, rtol=0.08, atol=0.01)


def test_draws_from_codes_alone_are_those_of_one_code(forecasting):
    (x,) = shown_until(objects(1, 4), 0.2)
    of_object = forecasting.reconstruct([x], n_draws=100)[0]["mag"]
    of_code = forecasting.inverse_transform(forecasting.transform([x]), at=[x], n_draws=100)[0]["mag"]
    late = np.asarray(x["time"]) > 0.5
    assert of_object.std(axis=1)[late].mean() > 1.5 * of_code.std(axis=1)[late].mean()


def test_draws_may_be_made_where_nothing_was_measured(forecasting):
    (x,) = objects(1, 6)
    early, late = x[np.asarray(x["time"]) <= 0.3], x[np.asarray(x["time"]) > 0.3]
    expected, draws = (
        forecasting.reconstruct(shown_until([x], 0.3), n_draws=n, noise=False, output="arrays")[0][len(early) :]
        for n in (None, 300)
    )
    for at in ([late], late):
        (found,) = forecasting.reconstruct([early], at=at)
        np.testing.assert_allclose(found["mag"], expected, atol=1e-4)
        np.testing.assert_array_equal(found["time"], late["time"])
        (found,) = forecasting.reconstruct([early], at=at, n_draws=300, noise=False)
        np.testing.assert_allclose(found["mag"].std(axis=1), draws.std(axis=1), rtol=0.4)
    several = forecasting.reconstruct([early, x], at=late, output="arrays")
    assert [len(v) for v in several] == [len(late)] * 2
    with pytest.raises(ValueError, match="at holds 3 objects but X holds 2 objects"):
        forecasting.reconstruct([early, x], at=[late] * 3)


def test_hidden_parts_of_images_scatter_as_draws_say():
    def images(n, seed):
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[:12, :12] / 11
        shapes = np.stack([x, y, np.sin(3 * x), np.cos(4 * y), x * y, np.ones_like(x)])
        truth = np.einsum("na,ayx->nyx", rng.normal(size=(n, 6)), shapes)
        return (truth + 0.1 * rng.normal(size=truth.shape))[..., None].astype(np.float32)

    settings = {"bottleneck_length": 1, "bottleneck_dim": 8, "model_dim": 16, "max_iter": 20, "random_state": 0}
    encoder = DAEPEncoder(Image(), **settings).fit(images(300, 0))
    whole = images(30, 1)
    half = whole.copy()
    half[:, :, 4:] = np.nan
    draws = np.array(encoder.reconstruct(half, n_draws=50, output="arrays"))
    low, high = np.quantile(draws, [0.05, 0.95], axis=-1)
    inside = ((whole >= low) & (whole <= high))[:, :, 4:]
    assert 0.78 < inside.mean() < 0.93
