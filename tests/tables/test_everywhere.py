"""What surveys hand over, through all that reads Tables: fit, every step, metrics and displays say the same of it."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, QTable, Table
from astropy.time import Time

from skdaep import Sequence, TableError, metrics, preprocessing
from skdaep.plotting import ReconstructionDisplay, ResidualDisplay
from skdaep.preprocessing import augment

mpl.use("Agg")

N = 24
HERE = np.arange(N) == 5
RNG = np.random.default_rng(0)
MJD = 60000.0 + np.sort(RNG.uniform(0, 60, N))
FLUX = 50 + 200 * np.exp(-(((MJD - 60030) / 12) ** 2)) + RNG.normal(size=N)
ERROR = RNG.uniform(1, 2, N)
MAG, MAG_ERROR = 25 - 2.5 * np.log10(FLUX), 1.0857 * ERROR / FLUX
BAND = np.where(np.arange(N) % 2, "r", "g")
FILTERCODE, NAN_BAND = np.char.add("z", BAND), np.where(HERE, np.nan, BAND.astype(object))
SPOILED = np.where(HERE, 1e5, FLUX)


def curve(kind=Table, **columns):
    return kind(columns, meta={"redshift": 0.1, "Period": 12 * u.hour})


def to_the_other(table):
    """Return the step from magnitudes to fluxes or the other way."""
    made = preprocessing.MagnitudeToFlux(25.0, unit=None) if "mag" in table.colnames else None
    return made or preprocessing.FluxToMagnitude(25.0)


#: inputs, of which point 5 was observed in some and not in others
INPUTS = {
    "plain": curve(mjd=MJD * u.d, flux=FLUX, flux_err=ERROR, band=BAND),
    "QTable": curve(QTable, mjd=MJD * u.d, flux=FLUX * u.uJy, flux_err=ERROR * 1e-3 * u.mJy, band=BAND),
    "Time": curve(time=Time(MJD, format="mjd", scale="tdb"), flux=FLUX, flux_err=ERROR, band=BAND),
    "ZTF": curve(hjd=MJD * u.d, mag=MAG, magerr=MAG_ERROR, filtercode=FILTERCODE, catflags=np.zeros(N, int)),
    "mmag": curve(mjd=MJD * u.d, mag=1000 * MAG * u.mmag, e_mag=MAG_ERROR * u.mag, flux_err=ERROR, band=BAND),
    "int bands": curve(mjd=MJD * u.d, psfFlux=FLUX, psfFluxErr=ERROR, fid=np.arange(N) % 2),
    "objects with NaN": curve(mjd=MJD * u.d, flux=FLUX, flux_err=ERROR, band=NAN_BAND),
    "masked": curve(mjd=MJD * u.d, flux=MaskedColumn(SPOILED, mask=HERE), flux_err=ERROR, band=BAND),
    "infinite error": curve(mjd=MJD * u.d, flux=SPOILED, flux_err=np.where(HERE, np.inf, ERROR), band=BAND),
    "ivar 0": curve(mjd=MJD * u.d, flux=SPOILED, ivar=np.where(HERE, 0, ERROR**-2), band=BAND),
    "flagged": curve(mjd=MJD * u.d, flux=SPOILED, flux_err=ERROR, dq=np.where(HERE, 8, 0), band=BAND),
}
NOT_OBSERVED = ("masked", "infinite error", "ivar 0", "flagged")
STEPS = {
    "Arcsinh": lambda table: preprocessing.Arcsinh(20.0),
    "Log10": lambda table: preprocessing.Log10(),
    "MedianFilter": lambda table: preprocessing.MedianFilter(3),
    "PhaseFold": lambda table: preprocessing.PhaseFold(),
    "PhaseFromPeak": lambda table: preprocessing.PhaseFromPeak(None),
    "SignalToNoiseCut": lambda table: preprocessing.SignalToNoiseCut(1.0),
    "ZScore": lambda table: preprocessing.ZScore(),
    "ZScore of each": lambda table: preprocessing.ZScore(per_object=True, per_band=True),
    "to the other": lambda table: (
        preprocessing.MagnitudeToFlux(25.0, unit=None)
        if "mag" in table.colnames
        else preprocessing.FluxToMagnitude(25.0)
    ),
}

each_input = pytest.mark.parametrize("name", INPUTS)


@pytest.fixture
def X(name):
    """Return two equal objects, which must be left as they are."""
    given = [INPUTS[name].copy() for _ in range(2)]
    yield given
    for table in given:
        assert table.colnames == INPUTS[name].colnames
        assert table.meta == INPUTS[name].meta
        for column in table.colnames:
            same = table[column] == INPUTS[name][column]
            both = [np.asarray(t[column]) != np.asarray(t[column]) for t in (table, INPUTS[name])]  # NaN
            assert (np.ma.filled(same, True) | (both[0] & both[1])).all()


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def observed(name):
    return ~HERE if name in (*NOT_OBSERVED, "objects with NaN") else np.ones(N, bool)


@each_input
def test_fit_sees_what_was_observed_and_its_error(name, X):
    modality = Sequence().learn(X)
    record = modality.read(X[0], "X[0]")
    assert sorted(record.rows[record.observed]) == np.flatnonzero(observed(name)).tolist()
    assert modality.error is not None or modality.ivar is not None
    assert modality.band is not None
    seen = record.observed
    assert np.isfinite(record.value[seen]).all()
    assert np.abs(record.value[seen]).max() < 5
    assert np.isfinite(record.error[seen]).all()


@each_input
@pytest.mark.parametrize("step", STEPS)
def test_every_step_works_and_what_was_not_observed_stays_so(name, step, X):
    transformer = STEPS[step](X[0])
    Z = transformer.fit_transform(X)
    back = transformer.inverse_transform(Z)
    first, again = Sequence().learn(X), Sequence(value=transformer.columns_.get("value")).learn(back)
    one, other = (m.read(t[0], "X[0]") for m, t in ((first, X), (again, back)))
    assert len(back[0]) == N
    if name in NOT_OBSERVED:
        assert one.observed.tolist() == other.observed.tolist()
    if step not in ("MedianFilter", "PhaseFold"):
        seen = one.observed
        np.testing.assert_allclose(
            first.learned.value.back(one.value[seen].astype(float)),
            again.learned.value.back(other.value[seen].astype(float)),
            rtol=1e-5,
        )
        errors = (m.learned.value.scale * r.error[seen] for m, r in ((first, one), (again, other)))
        np.testing.assert_allclose(*errors, rtol=1e-5)


@each_input
def test_augment_adds_the_noise_of_the_errors(name, X):
    copies, _, _ = augment(X, n_copies=2, drop=0.0, random_state=0)
    modality = Sequence().learn(X)
    before, after = (modality.read(t, "X[0]") for t in (copies[0], copies[2]))
    seen = before.observed
    assert seen.tolist() == after.observed.tolist()
    np.testing.assert_allclose(after.error[seen], np.sqrt(2) * before.error[seen], rtol=1e-5)
    shift = (after.value - before.value)[seen] / before.error[seen]
    assert 0.5 < shift.std() < 1.7


@each_input
def test_metrics_compare_what_was_observed(name, X):
    value = Sequence().learn(X).value
    flat = [Table({value: np.full(N, np.median(np.asarray(t[value])))}) for t in X]
    errors = metrics.object_errors(X, flat, value=value)
    kept = [t[observed(name)] if name in NOT_OBSERVED else t for t in X]
    expected = metrics.object_errors(kept, [f[: len(k)] for f, k in zip(flat, kept, strict=True)], value=value)
    np.testing.assert_allclose(u.Quantity(errors).value, u.Quantity(expected).value)


@each_input
def test_displays_draw_what_was_observed_the_bright_end_up(name, X):
    value = Sequence().learn(X).value
    decoded = [Table({value: np.full(N, np.median(np.asarray(t[value])))}) for t in X]
    display = ReconstructionDisplay.from_predictions(X, decoded, value=value)
    low, high = display.axes_[0, 0].get_ylim()
    assert (low > high) == (value == "mag")
    assert max(low, high) < 1e5 or name == "mmag"
    ResidualDisplay.from_predictions(X, decoded, value=value)


REFUSED = {
    "text": (
        curve(mjd=[1.0, 2.0], flux=["1", ">2"], flux_err=[1.0, 1.0]),
        r"X\[0\] column 'flux' holds text, '>2' at row 1",
    ),
    "two values": (
        curve(mjd=[1.0], flux=[1.0], mag=[1.0], error=[1.0]),
        r"several candidates for the value: flux, mag",
    ),
    "nothing": (curve(x=[1.0], y=[1.0]), r"X\[0\] has no column for the value"),
    "negative error": (curve(mjd=[1.0, 2.0], flux=[1.0, 2.0], flux_err=[1.0, -99.0]), r"'flux_err' is -99 at row 1"),
}
READERS = {
    "fit": lambda X: Sequence().learn(X),
    "Arcsinh": lambda X: preprocessing.Arcsinh().fit(X),
    "ZScore": lambda X: preprocessing.ZScore().fit(X),
    "SignalToNoiseCut": lambda X: preprocessing.SignalToNoiseCut().fit(X),
    "augment": lambda X: augment(X, random_state=0),
    "metric": lambda X: metrics.object_errors(X, X),
    "display": lambda X: ReconstructionDisplay.from_predictions(X, X),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("table", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_one_refuses_all_refuse_alike(reader, table, message):
    with pytest.raises(TableError, match=message):
        READERS[reader]([table])
