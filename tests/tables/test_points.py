"""Points of tables: what was not observed is not, however a table says it; errors in the units of their values."""

import numpy as np
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, QTable, Table

from skdaep import Sequence, TableError
from skdaep.tables import Columns, read_points

N = 12
ROW = 3
HERE = np.arange(N) == ROW


def spectrum(**columns):
    """Return a spectrum whose value at ROW is garbage."""
    flux = np.where(HERE, 1e4, 2 + np.sin(np.arange(N)))
    return Table({"wavelength": 5000.0 + np.arange(N), "flux": flux, **columns})


ERROR = np.full(N, 0.5)
UNOBSERVED = {
    "NaN": {"flux": np.where(HERE, np.nan, 1.0)},
    "infinite error": {"flux_err": np.where(HERE, np.inf, ERROR)},
    "inverse variance 0": {"ivar": np.where(HERE, 0, ERROR**-2)},
    "inverse variance 0 of integers": {"ivar": np.where(HERE, 0, 4)},
    "inverse variance 0 by the value's name": {"flux_ivar": np.where(HERE, 0, ERROR**-2)},
    "DQ": {"DQ": np.where(HERE, 1024, 0)},
    "AND_MASK": {"AND_MASK": np.where(HERE, 4, 0).astype(">i4")},
    "catflags": {"catflags": np.where(HERE, 32768, 0)},
    "upper limit": {"upper_limit": HERE},
    "a flag of the value": {"flux_flag": HERE},
}


@pytest.mark.parametrize("columns", UNOBSERVED.values(), ids=UNOBSERVED.keys())
@pytest.mark.parametrize("kind", [Table, QTable])
def test_what_says_that_a_point_was_not_observed_keeps_it_out_of_everything(columns, kind):
    table, clean = kind(spectrum(**columns)), spectrum(**columns)[~HERE]
    modality, expected = Sequence().learn([table]), Sequence().learn([clean])
    assert modality.learned.value == expected.learned.value
    assert modality.learned.error == expected.learned.error
    assert modality.read(table, "X[0]").observed.tolist() == (~HERE).tolist()


@pytest.mark.parametrize("name", ["quality", "mask", "SAP_QUALITY", "flags"])
def test_a_flag_of_doubtful_meaning_must_be_named_and_then_counts(name):
    table = spectrum(**{name: np.where(HERE, 2, 0)})
    found, named = Sequence().learn([table]), Sequence(quality=name).learn([table])
    assert found.quality is None
    assert found.read(table, "X[0]").observed.all()
    assert f"quality={name!r}" in repr(named)
    assert named.read(table, "X[0]").observed.tolist() == (~HERE).tolist()


def test_a_masked_flag_is_none_and_a_table_may_lack_flags():
    table = spectrum(dq=MaskedColumn(np.where(HERE, 2, 0), mask=HERE))
    modality = Sequence().learn([table])
    assert modality.read(table, "X[0]").observed.all()
    assert modality.read(spectrum(), "X[0]").observed.all()


def test_an_object_all_of_whose_points_are_flagged_is_refused_with_the_reason():
    with pytest.raises(
        TableError, match=r"X\[0\] has no finite 'flux' \(points where 'dq' is not 0 are not observed\)"
    ):
        Sequence().learn([spectrum(dq=np.ones(N, int))])
    with pytest.raises(TableError, match=r"X\[0\] has no finite 'flux' \(points where 'ivar' is 0 are not observed\)"):
        Sequence().learn([spectrum(ivar=np.zeros(N))])


def test_flags_of_text_are_refused():
    with pytest.raises(TableError, match=r"X\[0\] column 'dq' of flags holds <U4; use numbers, with 0 for good points"):
        Sequence().learn([spectrum(dq=["good"] * N)])


@pytest.mark.parametrize("unit", [None, u.mJy**-2, u.Jy**-2])
def test_inverse_variances_are_errors_in_the_unit_of_the_values(unit):
    """Of an error of 0.5 mJy."""
    factor = 1.0 if unit is None else (u.mJy**-2).to(unit)
    table = spectrum(ivar=np.full(N, 4.0) * factor * (unit or 1))
    table["flux"].unit = "mJy"
    modality = Sequence().learn([table])
    assert modality.ivar == "ivar"
    assert modality.learned.error * modality.learned.value.scale == pytest.approx(0.5)
    error = modality.read(table, "X[0]").error
    np.testing.assert_allclose(error * modality.learned.value.scale, 0.5, rtol=1e-6)


def test_errors_win_over_inverse_variances_unless_these_are_asked_for():
    table = spectrum(flux_err=ERROR, ivar=np.full(N, 1.0))
    assert Sequence().learn([table]).columns[3:5] == ("flux_err", None)
    assert Sequence(ivar="ivar").learn([table]).columns[3:5] == (None, "ivar")
    with pytest.raises(TableError, match="Errors are in 'flux_err' and in 'ivar'; set error= or ivar=, not both"):
        Sequence(error="flux_err", ivar="ivar").learn([table])


def test_a_fit_that_weighs_by_inverse_variances_insists_on_them():
    modality = Sequence().learn([spectrum(ivar=np.ones(N))])
    with pytest.raises(TableError, match=r"X\[0\] has no column 'ivar'"):
        modality.check_errors([spectrum()], ["X[0]"])


@pytest.mark.parametrize(("name", "number"), [("flux_err", 0.5), ("ivar", 4.0)])
def test_errors_without_a_unit_are_in_that_of_the_values_beside_them(name, number):
    """Whatever the unit of fit: 0.5 Jy are 500 mJy."""
    first, other = (spectrum(**{name: np.full(N, number)}) for _ in range(2))
    first["flux"].unit, other["flux"].unit = "mJy", "Jy"
    error = read_points([first, other], Columns.find(first, "X[0]", {"value": None}), ["a", "b"], {"value": "mJy"})[
        "error"
    ]
    np.testing.assert_allclose(error, np.repeat([0.5, 500.0], N))


@pytest.mark.parametrize(("name", "what"), [("flux_err", "an error"), ("ivar", "an inverse variance")])
def test_a_negative_error_of_a_value_is_refused_by_row_and_of_none_is_not(name, what):
    table = spectrum(**{name: np.where(HERE, -999.0, 1.0)})
    with pytest.raises(TableError, match=rf"X\[0\] column '{name}' is -999 at row 3, but {what} is not negative"):
        Sequence().learn([table])
    table["flux"][ROW] = np.nan
    assert Sequence().learn([table]).error in (name, None)


TEXT = {
    "an upper limit": (["13.1", ">13.6", "12"], "holds text, '>13.6' at row 1; .* An upper limit\\? Set it to NaN"),
    "bytes": ([b"13.1", b"12", b"<3"], "holds text, '<3' at row 2; .* An upper limit"),
    "a date": (["2020-01-01T12:00", "13", "12"], "holds text, '2020-01-01T12:00' at row 0; .* A date\\? Make a Time"),
    "a word": (["13.1", "n/a", "12"], "holds text, 'n/a' at row 1; .* Set it to NaN"),
    "numbers": (["13.1", "13.6", "12"], r"holds text, though numbers all of it; .* \.astype\(float\)"),
    "objects": (np.array([1.0, None, 2.0], object), "holds Python objects, None at row 1; "),
}


@pytest.mark.parametrize(("cells", "message"), TEXT.values(), ids=TEXT.keys())
def test_what_is_no_number_is_shown_with_what_to_do(cells, message):
    with pytest.raises(TableError, match=rf"X\[0\] column 'mag' {message}"):
        Sequence().learn([Table({"time": [0.0, 1.0, 2.0], "mag": cells})])
