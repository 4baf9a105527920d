"""What training hides: which points are seen, that one always is, and that codes and forecasts gain from it."""

import numpy as np
import pytest
import torch
from astropy.table import Table
from scipy.stats import kstest, uniform

from skdaep import ContrastiveNeighbors, DAEPEncoder, Image, MultimodalDAEP, Photometry, Sequence
from skdaep.estimators import ESTIMATORS
from skdaep.nn.batch import Batch
from skdaep.objectives import HIDING, Objective
from skdaep.objectives.hiding import LEAST_SHARE, WIDEST, in_part, places

TINY = dict(model_dim=8, n_heads=2, n_encoder_layers=1, n_decoder_layers=1, max_iter=2, batch_size=8, random_state=0)
TINY |= dict(core=None, bottleneck_length=1, bottleneck_dim=2, device="cpu")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def batch_of(lengths, n_axes=1, seed=0):
    """Return objects whose values are their locations, in random order."""
    longest = max(lengths)
    observed = torch.arange(longest) < torch.tensor(lengths)[:, None]
    shape = (len(lengths), longest) + ((n_axes,) if n_axes > 1 else ())
    location = torch.randn(shape, generator=generator(seed)) * observed.view(*observed.shape, *[1] * (n_axes > 1))
    value = location[..., 0] if n_axes > 1 else location
    nothing = torch.zeros(len(lengths), 0)
    error = torch.full_like(value, torch.nan)
    return Batch(value, location, observed.long(), error, observed, observed.sum(1), nothing, nothing.long())


def shown(batch, ways, seed=0):
    return Objective(torch.nn.Identity(), hide={"a": ways}).shown({"a": batch}, generator(seed))["a"]


def times(batch, i):
    return set(batch.value[i, : batch.lengths[i]].tolist())


@pytest.mark.parametrize("ways", [*((way,) for way in HIDING), tuple(HIDING)])
@pytest.mark.parametrize("n_axes", [1, 2])
def test_what_is_seen_is_part_of_the_object_and_never_nothing(ways, n_axes):
    batch = batch_of([40, 17, 2, 1], n_axes)
    for seed in range(50):
        seen = shown(batch, ways, seed)
        assert all(times(seen, i) <= times(batch, i) and times(seen, i) for i in range(4))
        assert not seen.value[~seen.observed].any()
        assert torch.equal(seen.n_points, batch.n_points)


def test_of_the_future_nothing_is_seen():
    batch, lengths = batch_of([300] * 400), []
    seen = shown(batch, ("future",))
    for i in range(400):
        points = times(seen, i)
        assert max(points) < min(times(batch, i) - points, default=np.inf)
        lengths.append((max(points) - batch.value[i].min()) / (batch.value[i].max() - batch.value[i].min()))
    whole = np.mean(np.array(lengths) == 1)
    assert abs(whole - 0.2) < 3 * 0.02  # of 400 one in five, with its standard error
    part = np.sort([x for x in lengths if x < 1])
    assert np.abs(part - np.linspace(0, 1, len(part))).max() < 0.12  # uniform, but for gaps between points


@pytest.mark.parametrize("n_axes", [1, 2])
def test_a_span_is_one_window(n_axes):
    batch = batch_of([300] * 200, n_axes)
    kept = in_part(batch, ("spans",), generator())
    at = batch.location.view(200, 300, n_axes)
    at = (at - at.amin(1, keepdim=True)) / (at.amax(1, keepdim=True) - at.amin(1, keepdim=True))
    widths = []
    for i in range(200):
        hidden = at[i, ~kept[i]]
        if len(hidden):
            low, high = hidden.amin(0), hidden.amax(0)
            assert not ((at[i, kept[i]] >= low) & (at[i, kept[i]] <= high)).all(1).any()
            widths.append(float((high - low).max()))
    assert max(widths) <= 2 * WIDEST + 1e-6
    assert max(widths) > WIDEST


@pytest.mark.parametrize("n_axes", [1, 2])
def test_without_its_ends_an_object_is_one_crop_and_each_modality_has_its_own(n_axes):
    batch = batch_of([3000] * 200, n_axes)
    batch = batch.replace(location=torch.rand(batch.location.shape, generator=generator(1)))
    kept, other = (in_part(batch, ("ends",), rng) for rng in [generator()] * 2)
    at = places(batch)
    sizes, begins = [], []
    for i in range(200):
        low, high = at[i, kept[i]].amin(0), at[i, kept[i]].amax(0)
        assert torch.equal(((at[i] >= low) & (at[i] <= high)).all(1), kept[i])
        sizes.append(float((high - low).max()))
        begins.append(low[0] / (1 - sizes[-1]))
    # Uniform, of 200, both the size and where in what it leaves the crop begins.
    assert kstest(sizes, uniform(LEAST_SHARE, 1 - LEAST_SHARE).cdf).pvalue > 0.01
    assert kstest(begins, uniform(0, 1).cdf).pvalue > 0.01
    assert (kept != other).any(1).float().mean() > 0.95


def test_two_crops_of_one_light_curve_are_aligned():
    """As DESA trains its encoder of light curves before: two random crops of each agree."""
    rng = np.random.default_rng(0)
    X = [wave(rng, level=rng.normal()) for _ in range(60)]
    views = {"one": Sequence(), "other": Sequence()}
    options = dict(TINY, bottleneck_dim=4, max_iter=60, hide="ends", learning_rate_init=1e-2)
    options = {k: v for k, v in options.items() if k not in ("core", "n_decoder_layers")}
    encoder = ContrastiveNeighbors(views, **options).fit([{"one": x, "other": x} for x in X])
    halves = [encoder.transform([{"one": x[:20]} for x in X]), encoder.transform([{"other": x[20:]} for x in X])]
    distances = np.linalg.norm(halves[0][:, None] - halves[1], axis=2)
    # Of two halves, which share no point, those of one object are nearer than those of two.
    assert np.diag(distances).mean() < 0.5 * distances.mean()


def wave(rng, level):
    time = np.sort(rng.uniform(0, 10, 40))
    return Table({"time": time, "flux": level + 0.1 * np.sin(3 * time + rng.uniform(0, 6))})


@pytest.mark.parametrize("way", ["spans", "ends"])
def test_objects_at_one_place_show_a_point(way):
    batch = batch_of([5, 5])
    batch = batch.replace(location=torch.zeros(2, 5))
    assert all(in_part(batch, (way,), generator(s)).any(1).all() for s in range(40))


def test_of_several_ways_each_object_has_one():
    batch = batch_of([200] * 300)
    kept = in_part(batch, ("future", "spans"), generator())
    at = batch.value
    last_seen = at.masked_fill(~kept, -torch.inf).amax(1) == at.amax(1)
    assert 0.5 < last_seen.float().mean() < 0.85  # a future shows the end in one of five, a span in most


def test_a_hidden_modality_stays_hidden():
    batch = batch_of([20, 20])
    batch = batch.replace(observed=batch.observed & torch.tensor([[True], [False]]))
    assert in_part(batch, ("future",), generator()).any(1).tolist() == [True, False]


def test_points_hidden_at_random_are_what_they_were():
    batch = batch_of([40, 17, 2, 1])
    one = Objective(torch.nn.Identity()).shown({"a": batch}, generator(3))["a"]
    share = 1 - 0.75 * torch.rand((), generator=generator(3))
    assert one.lengths.tolist() == [max(1, int(np.ceil(float(share) * n - 1e-3))) for n in (40, 17, 2, 1)]


# --- through the estimators -------------------------------------------------------------------------------


def curves(n=16):
    rng = np.random.default_rng(0)
    objects = []
    for _ in range(n):
        time = np.sort(rng.uniform(0, 10, rng.integers(4, 12)))
        objects.append(Table({"time": time, "flux": np.sin(time) + rng.normal(0, 0.1, len(time))}))
    return objects


@pytest.mark.parametrize("name", sorted(k for k, v in ESTIMATORS.items() if v.__module__.startswith("skdaep")))
def test_every_member_hides_stretches(name):
    cls = ESTIMATORS[name]
    accepted = cls._parameter_constraints
    if "hide" not in accepted:
        assert cls.objective_class.in_closed_form
        return
    options = {k: v for k, v in TINY.items() if k in accepted}
    X = curves()
    if "modalities" in accepted:
        modalities = {"a": Photometry(), "b": Photometry()}
        X = [{"a": x, "b": x} for x in X]
        fit = [cls(modalities, hide=hide, **options).fit(X) for hide in ("points", ("spans", "future"))]
    else:
        fit = [cls(hide=hide, **options).fit(X) for hide in ("points", ("spans", "future"))]
    assert not np.array_equal(fit[0].transform(X), fit[1].transform(X))  # trained otherwise
    assert np.isfinite(fit[1].transform(X)).all()


def test_unknown_ways_modalities_and_the_future_of_an_image_are_refused():
    X = curves(8)
    for hide, word in [("past", "hide"), (("points", "past"), "future"), ((), "choose"), ({"flux": "spans"}, "flux")]:
        with pytest.raises(ValueError, match=word):
            DAEPEncoder(hide=hide, **TINY).fit(X)
    images = np.random.default_rng(0).random((8, 8, 8)).astype("f4")
    with pytest.raises(ValueError, match="needs points on a line"):
        DAEPEncoder(Image(patch_size=4), hide="future", **TINY).fit(images)
    DAEPEncoder(Image(patch_size=4), hide=("spans", "ends"), **TINY).fit(images)


def test_by_modality_and_through_a_file(tmp_path):
    from skdaep import load

    X = [{"a": x, "b": x} for x in curves()]
    tiny = {k: v for k, v in TINY.items() if k != "core"}
    encoder = MultimodalDAEP({"a": Sequence(), "b": Sequence()}, hide={"a": ("points", "future")}, **tiny).fit(X)
    assert encoder.model_.options["hide"] == {"a": ("points", "future")}
    encoder.save(tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors")
    assert again.hide == {"a": ("points", "future")}
    np.testing.assert_array_equal(again.transform(X), encoder.transform(X))


def ramp(level, end, n=12):
    """Return a line that turns, after time 5, into one whose slope nothing before tells."""
    time = np.linspace(0, end, n)
    return Table({"time": time, "flux": 0.2 * time + level * np.clip(time - 5, 0, None)})


def test_codes_trained_on_a_future_that_is_hidden_know_how_little_they_know():
    rng = np.random.default_rng(1)
    X = [ramp(level, 10) for level in rng.normal(0, 1, 200)]
    early = [ramp(0, 5, 7)]
    later = Table({"time": [9.5]})
    options = dict(TINY, model_dim=32, bottleneck_dim=3, max_iter=250, learning_rate_init=1e-2)

    def spread(hide):
        encoder = DAEPEncoder(hide=hide, **options).fit(X)
        return encoder.inverse_transform(encoder.transform(early), at=later, n_draws=60)[0]["flux"].std()

    assert spread(("points", "future")) > 1.5 * spread("points")  # the truth scatters by 4.5


def test_what_validation_judges_by_hides_too():
    """With a core it is the point estimate from all points, which says nothing of a future that is hidden."""
    options = dict(TINY, core="linear", bottleneck_dim=3)
    X = [ramp(level, 10) for level in np.random.default_rng(1).normal(0, 1, 20)]
    for hide, judged_by_all in (("points", True), (("points", "future"), False)):
        encoder = DAEPEncoder(hide=hide, **options).fit(X)
        objective = encoder.model_.live()
        batches = {k: s.subset(torch.arange(20), None, generator()) for k, s in measurements_of(encoder, X).items()}
        with torch.no_grad():
            judged, loss = objective.held_out_loss(batches, generator(1)), objective.loss(batches, generator(1))["loss"]
        assert torch.equal(judged, loss) is not judged_by_all


def measurements_of(encoder, X):
    return encoder.model_.collate(encoder.model_.read(list(encoder._stream(X))))
