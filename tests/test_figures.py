"""Figures in the text are those of the results files."""

import re
from pathlib import Path

import pytest

import skdaep

ROOT = Path(skdaep.__file__).parents[1]
if not (ROOT / "benchmarks" / "results").is_dir():
    pytest.skip("the package is installed without its results", allow_module_level=True)

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(ROOT)
    pytest.importorskip("pandas")  # the benchmarks' extra
    from benchmarks import _desa_page, cross_modality, figures, paper_tables


@pytest.mark.parametrize("page", figures.PAGES)
def test_figures_are_those_of_the_results(page):
    """If this fails, ``python -m benchmarks.figures`` fills them in."""
    text = (ROOT / page).read_text()
    assert figures.fill(page, text) == text


@pytest.mark.parametrize("page", figures.written_by_hand())
def test_every_figure_is_accounted_for(page):
    assert figures.unaccounted(page, (ROOT / page).read_text()) == []


@pytest.mark.parametrize("benchmark", [cross_modality, paper_tables, _desa_page])
def test_pages_of_results_are_made_of_the_results(benchmark):
    assert benchmark.DOC.read_text() == benchmark.document()


@pytest.mark.parametrize("page", ["doc/paper_tables.rst", "doc/cross_modality.rst", "doc/desa.rst"])
def test_no_table_has_a_blank_heading(page):
    """reST drops a head whose first cell is blank."""
    rule = r"=+(?:  =+)+"
    heads = re.findall(rf"^{rule}\n(.*)\n{rule}$", (ROOT / page).read_text(), flags=re.MULTILINE)
    assert heads
    assert not [head for head in heads if head.startswith(" ")]


@pytest.mark.parametrize("page", [*(ROOT / "doc").glob("*.rst")], ids=lambda page: page.name)
def test_tables_of_results_are_narrow_enough_to_read(page):
    text = page.read_text()
    text += "".join(
        (page.parent / name).read_text() for name in re.findall(r"^\.\. include:: (.*\.txt)$", text, re.MULTILINE)
    )
    widths = [len(rule) for rule in re.findall(r"^=+(?:  =+)+$", text, flags=re.MULTILINE)]
    assert max(widths, default=0) <= 110


def test_parameters_are_described_without_figures_of_benchmarks():
    for name in (*skdaep.ESTIMATORS, *skdaep.MULTIMODAL):
        described = getattr(skdaep, name).__doc__.partition("Parameters\n")[2].partition("Attributes\n")[0]
        prose = re.sub(r"\w+=\S+", "", described)
        assert figures.FIGURE.findall(prose) == [], name


def test_these_tests_see_a_wrong_figure_and_one_of_unknown_origin():
    page = "doc/guide/probing.rst"
    text = (ROOT / page).read_text()
    (figure,) = re.findall(r"accuracy of (0\.\d+);", text)
    wrong = text.replace(figure, "0.123")
    assert figures.fill(page, wrong) == text
    assert figures.unaccounted(page, text + "\nIt is 0.77 now.\n") == ["0.77"]
    with pytest.raises(ValueError, match="0 times"):
        figures.fill(page, text.replace("has an accuracy", "has the accuracy").replace("an accuracy of", "accuracy"))
