"""The report of the study of defences, on planted results."""

from __future__ import annotations

import pymupdf
import pytest
from scenes import defences
from scenes.defences import SMOOTHED

from bench.measure.headline import headline
from bench.measure.outcomes import Outcomes
from bench.measure.published import read_published
from bench.measure.validity import ONE_DRAW, WITHOUT_NOISE, unseen_noise
from bench.report.findings import find
from bench.report.labels import BY_ONE_DRAW
from bench.report.measured import measure
from bench.report.sections.headline import brief_headlines
from bench.report.write import write_report


@pytest.fixture(scope="module")
def run():
    results = defences.results()
    return results, measure(results)


@pytest.fixture(scope="module")
def study(run):
    return find(*run, defences.PUBLISHED)


@pytest.fixture(scope="module")
def by_one_draw():
    results = defences.results(["network", "one-draw"])
    return results, measure(results)


def rows_of(study):
    (table,) = study.study.tables(study.beside)
    return table, {row.model.strip(): row for row in table.groups[0][1]}


def test_the_table_has_the_published_shape_and_further_radii(study):
    table, rows = rows_of(study)
    assert table.data == (
        "clean", "FGSM linf 0.03", "PGD linf 0.03", "PGD l2 0.045", "PGD l2 0.5",
    )  # fmt: skip
    basic = rows["basic"].entries
    assert [one.published for one in basic] == ["58.20", "3.81", "0.29 (a)", "0.29 (a)", "–"]
    # Of 190 right ones 135, 180 and 162 fell; those that were wrong fall too.
    assert [one.ours for one in basic] == ["95.0", "27.5", "5.0", "14.0", "14.0"]
    assert len(study.beside) == 24 + 6


def test_the_smoothed_model_has_a_row_a_surface_and_one_draw_is_marked(study):
    table, rows = rows_of(study)
    assert rows["randomized smoothing"].entries[2].ours == "40.0"
    drawn, expected = (
        next(row for name, row in rows.items() if name.startswith(said))
        for said in ("one noise draw", "expected gradient")
    )
    assert (drawn.entries[2].ours, expected.entries[2].ours) == ("65.0", "40.0")
    assert drawn.model.endswith(BY_ONE_DRAW)
    assert any(note.startswith(BY_ONE_DRAW) for note in table.notes)


def test_only_published_figures_are_counted(study, run, tmp_path):
    write_report(run[0], tmp_path, ("pdf",), defences.PUBLISHED, run[1])
    text = "".join(page.get_text() for page in pymupdf.open(tmp_path / "defences.pdf"))
    assert "24 of 24 published figures have ours beside them" in " ".join(text.split())
    for said in ("Certificates", "certified (%)", "under attack (%)", "noise training", "58.20"):
        assert said in text


def test_figures_are_those_of_certificates_and_of_every_threat(study):
    figures = study.study.figures(study)
    assert [figure.name for figure in figures] == ["certified", "defences"]
    text = pymupdf.open(stream=figures[0].pdf)[0].get_text()
    for said in ("= 100", "= 1,000", "= 10,000", "= 0.12", "= 0.25", "= 0.5"):
        assert said in text
    assert "at N = 1,000" in figures[0].caption


def test_a_run_through_one_draw_alone_is_marked_wherever_it_is_shown(by_one_draw, tmp_path):
    results, measured = by_one_draw
    study = find(results, measured, defences.PUBLISHED)
    _, rows = rows_of(study)
    assert all(
        one.interval.endswith(BY_ONE_DRAW) for one in rows["randomized smoothing"].entries[1:]
    )
    assert not any(BY_ONE_DRAW in one.interval for one in rows["basic"].entries)
    headline = brief_headlines(study)[0].frame.set_index("model")
    assert headline.loc["randomized smoothing", "linf 0.03 (%)"].endswith(BY_ONE_DRAW)
    assert not headline.loc["mixed training", "linf 0.03 (%)"].endswith(BY_ONE_DRAW)
    flags = measured.headline.set_index("model")["flag"]
    assert set(flags[SMOOTHED]) == {ONE_DRAW}
    (note,) = set(measured.comparisons["note"])
    assert note == (
        f"left: {ONE_DRAW}; strongest, unequal attacks, right attacked harder: autoattack by torchattacks"
    )
    assert measured.claims["summary"].str.endswith(ONE_DRAW).all()
    between = measured.certified_bounds.set_index("model")["flag"]
    assert between[SMOOTHED].str.contains(ONE_DRAW).all()
    assert f"some attacked {ONE_DRAW}" in study.study.figures(study)[0].caption
    made = write_report(results, tmp_path, ("pdf", "latex"), defences.PUBLISHED, measured)
    text = "".join(page.get_text() for page in pymupdf.open(made["pdf"][0]))
    assert f"{BY_ONE_DRAW} {ONE_DRAW}" in " ".join(text.split())
    latex = (tmp_path / "defences-table-1.tex").read_text()
    assert r"basic & published & 58.20 & 3.81" in latex


@pytest.mark.parametrize(
    ("surfaces", "said"),
    [
        (["base"], WITHOUT_NOISE),
        (["base", "one-draw"], ONE_DRAW),
        (["one-draw", "expected"], ""),
        (["network"], ""),
    ],
)
def test_what_was_not_seen_of_the_noise_is_said_unless_its_mean_was_climbed(surfaces, said):
    assert unseen_noise(surfaces) == said
    found = headline(Outcomes(defences.results(["network", *surfaces])))
    flags = set(found.loc[found["model"] == SMOOTHED, "flag"])
    assert flags == (
        {said} if surfaces != ["network"] else {"INVALID: no attack of this run applies"}
    )


def test_every_published_figure_is_read():
    published = read_published(defences.PUBLISHED)
    assert len(published) == 24
    assert set(published["model"]) == {name.partition("/")[2] for name in defences.FALLEN}
