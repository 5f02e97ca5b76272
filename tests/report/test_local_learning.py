"""The report of the study of local learning, on planted results."""

from __future__ import annotations

import fake_local
import pytest

from bench.measure.published import read_published
from bench.report.pdf import write_report
from bench.report.studies import study_named
from bench.report.study import reported
from bench.report.tables import measure


@pytest.fixture(scope="module")
def run():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.measure.radius._REPLICATES", 3)
        results = fake_local.study()
        return results, measure(results)


@pytest.fixture(scope="module")
def study(run):
    return reported(*run, fake_local.PUBLISHED)


def test_every_figure_is_drawn(study):
    assert [figure.name for figure in study.figures] == [
        "filters-training", "filters", "accuracy-critical-eps",
        "radius-0", "radius-1", "trainings",
    ]  # fmt: skip
    assert all(figure.pdf.startswith(b"%PDF") for figure in study.figures)


def test_tables_hold_the_published_figures_and_ours(study):
    tables = {table.number: table for table in study.published}
    first = tables["B.1"].groups[0][1][0]
    assert first.entries[1].published == "0.01770 ± 0.00010 (a)"
    assert first.entries[1].ours.startswith("0.017")
    assert first.entries[1].interval == "3 models"
    assert tables["A.1"].groups[0][1][0].entries[0].ours == "0.97 ± 0.00"
    assert {row.model for row in tables["A.3"].groups[0][1]} >= {"w = 4", "w = 12", "K = 10"}


def test_every_published_figure_is_read():
    published = read_published(fake_local.PUBLISHED)
    assert set(published["metric"]) == {
        "accuracy", "critical_eps", "f_score", "mean_accuracy", "max_accuracy",
    }  # fmt: skip
    assert study_named("local-learning").captions.keys() == set(published["table"])


def test_repeated_trainings_are_not_in_the_headline_of_the_pdf(study):
    shown = study.tables[0].frame["model"]
    assert not shown.str.contains("seed").any()


def test_it_is_set_and_written(run, tmp_path):
    made = write_report(run[0], tmp_path, ("pdf", "latex"), fake_local.PUBLISHED, run[1])
    assert {path.name for path in made["latex"]} >= {
        "local-learning-table-B.1.tex", "local-learning-radius.tex",
    }  # fmt: skip
    assert (tmp_path / "local-learning.pdf").read_bytes().startswith(b"%PDF")
