"""Light curves through lightkurve: the real package where it is, and a stand-in of its shape where it is not.

The package pins other packages of ours, so it is not among the needs of the tests.
"""

import sys
import types
import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.time import Time
from astropy.timeseries import TimeSeries

from skdaep import DatasetError, Sequence
from skdaep.datasets import fetch_lightkurve

START = 57000.0  # MJD of the first point


class LightCurve(TimeSeries):
    """What of lightkurve.LightCurve is used: a TimeSeries with flux, flux_err and meta."""


def make_curve(light_curve, i):
    time = Time(START + 30 * i + np.arange(4.0), format="mjd", scale="tdb")
    columns = {"flux": np.array([1, np.nan, 1.1, 0.9]) * u.Unit(""), "flux_err": np.array([0.01, np.nan, 0.0, 0.02])}
    curve = light_curve(time=time, data=columns)
    curve.meta = {"OBJECT": "KIC 1", "RA": 290.5, "QUARTER": i, "TEFF": np.nan, "QUALITY_MASK": np.ones(4, bool)}
    return curve


class Collection(list):
    """What of lightkurve.LightCurveCollection is used."""

    def stitch(self):
        from astropy.table import vstack

        stacked = vstack(list(self), metadata_conflicts="silent")
        stacked.meta = self[0].meta
        return stacked


@pytest.fixture(params=["stand-in", "lightkurve"])
def archive_of(request, monkeypatch):
    """Return the questions asked; the answer is two quarters, or what is in `answers`."""
    asked, answers = [], {}
    if request.param == "lightkurve":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = pytest.importorskip("lightkurve")
        light_curve, collection = module.LightCurve, module.LightCurveCollection
    else:
        module = types.ModuleType("lightkurve")
        monkeypatch.setitem(sys.modules, "lightkurve", module)
        light_curve, collection = LightCurve, Collection

    class Found(list):
        def download_all(self, quality_bitmask):
            asked[-1]["quality_bitmask"] = quality_bitmask
            return collection(make_curve(light_curve, i) for i in self)

    def search_lightcurve(target, **query):
        asked.append({"target": target} | query)
        answer = answers.get(target, [0, 1])
        if isinstance(answer, Exception):
            raise answer
        return Found(answer)

    monkeypatch.setattr(module, "search_lightcurve", search_lightcurve, raising=False)
    asked_and_answers = types.SimpleNamespace(asked=asked, answers=answers)
    return asked_and_answers


@pytest.mark.filterwarnings("ignore")  # lightkurve's own
def test_a_target_is_one_table_of_all_its_quarters(archive_of):
    X = fetch_lightkurve(["KIC 1", "KIC 2"], mission="Kepler", quarter=[0, 1])
    assert archive_of.asked[0] == {
        "target": "KIC 1",
        "mission": "Kepler",
        "author": "Kepler",
        "exptime": None,
        "quarter": [0, 1],
        "quality_bitmask": "default",
    }
    assert len(X) == 2
    table = X[0]
    assert table.colnames == ["time", "flux", "flux_err"]
    assert table["time"].unit == u.day
    np.testing.assert_allclose(table["time"], START + np.r_[0:4, 30:34], rtol=0, atol=1e-7)
    assert np.isnan(table["flux"]).tolist() == [False, True, False, False] * 2
    assert np.isnan(table["flux_err"]).tolist() == [False, True, True, False] * 2
    assert table.meta["object_id"] == "KIC 1"
    assert table.meta["ra"] == 290.5
    assert "teff" not in table.meta  # NaN
    assert "quality_mask" not in table.meta
    assert Sequence(metadata=("ra",)).learn(X).value == "flux"


@pytest.mark.filterwarnings("ignore")
def test_a_second_call_asks_nobody_and_gives_the_same(archive_of):
    (first,) = fetch_lightkurve("KIC 1", mission="Kepler")
    archive_of.answers["KIC 1"] = OSError("no network")
    (second,) = fetch_lightkurve("KIC 1", mission="Kepler", download=False)
    assert len(archive_of.asked) == 1
    assert first.meta == second.meta
    for name in first.colnames:
        np.testing.assert_array_equal(first[name], second[name])
        assert first[name].unit == second[name].unit


@pytest.mark.filterwarnings("ignore")
def test_other_questions_are_other_light_curves(archive_of):
    for query in ({}, {"quarter": 2}, {"exptime": 120}, {"author": "QLP"}, {"quality_bitmask": "hard"}):
        fetch_lightkurve("KIC 1", mission="Kepler", **query)
    assert len(archive_of.asked) == 5


@pytest.mark.filterwarnings("ignore")
def test_a_kept_light_curve_that_changed_is_refused(archive_of, home):
    fetch_lightkurve("TIC 1")
    (path,) = home.rglob("*.ecsv")
    assert path.name.startswith("TIC_1-")
    path.write_text(path.read_text().replace("0.01", "0.02"))
    with pytest.raises(DatasetError, match=r"TIC_1.*what it was when first seen"):
        fetch_lightkurve("TIC 1")


@pytest.mark.filterwarnings("ignore")
def test_offline_and_unknown_targets_are_named(archive_of, home):
    archive_of.answers.update({"TIC 2": ConnectionError("Name or service not known"), "TIC 3": []})
    with pytest.raises(
        DatasetError, match=r"could not fetch 'TIC 2' .*SPOC.*ConnectionError: Name or service not known"
    ):
        fetch_lightkurve(["TIC 2"])
    with pytest.raises(DatasetError, match=r"has no light curve of 'TIC 3' for .*'mission': 'TESS'"):
        fetch_lightkurve(["TIC 3"])
    with pytest.raises(DatasetError, match=r"'TIC 4' .* is not at .*lightkurve/TIC_4-\w+\.ecsv, and download=False"):
        fetch_lightkurve(["TIC 4"], download=False)
    assert list(home.rglob("*.ecsv*")) == []


def test_without_lightkurve_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightkurve", None)
    with pytest.raises(ImportError, match=r"fetch_lightkurve needs lightkurve: pip install skdaep\[lightkurve\]"):
        fetch_lightkurve("KIC 1")
