"""What the report of a study opens with, on planted figures."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest
from scenes import defences, local_learning

from bench.measure.differences import UNKNOWN, explained
from bench.measure.published import read_published
from bench.measure.source import Cause, Source
from bench.report.findings import Findings, find
from bench.report.measured import measure
from bench.report.sections.opening import differences, used

WEAK = Cause(where={"attack": "pgd", "model": "a"}, ours="lower", cause="the study's PGD was weak")


def source(*causes):
    return Source(
        title="On Attacks", authors=("A. Author",), kind="report", institution=None, year=2021,
        cites=2020, notes=("It has misprints.",), causes=causes,
    )  # fmt: skip


def beside(*figures):
    """Return figures: table, model, attack, eps as printed and as read, published, ours; +-5 points."""
    columns = ("table", "model", "attack", "eps_published", "eps", "published", "ours")
    made = pd.DataFrame(figures, columns=list(columns)).assign(
        data="cifar10", norm="linf", n=200, cells=1, planned=1, note=""
    )
    return made.assign(low=made["ours"] - 5, high=made["ours"] + 5)


@pytest.fixture(scope="module")
def results():
    return defences.results()


def findings(results, figures, *causes):
    return Findings(
        results=results, measured=None, beside=explained(figures, causes), source=source(*causes)
    )


def told(results, figures, *causes):
    return differences(findings(results, figures, *causes))


def test_the_largest_differences_come_first_and_a_cause_once(results):
    figures = beside(
        ("1", "a", "pgd", "0.01", "0.01", 60.0, 30.0),
        ("1", "a", "pgd", "0.02", "0.02", 60.0, 10.0),
        ("1", "b", "fgsm", "0.01", "0.01", 20.0, 60.0),
        ("1", "b", "none", "0", "0", 80.0, 82.0),
    )
    first, *differences = told(results, figures, WEAK)
    assert first.startswith("The 95 % interval of ours holds the published figure in 1 of 4 cases.")
    assert differences == [
        (
            "a on CIFAR-10, PGD linf 0.02 (table 1): published 60.0, ours 10.0 (−50.0 points); 1 more figure "
            "differs so: the study's PGD was weak."
        ),
        f"b on CIFAR-10, FGSM linf 0.01 (table 1): published 20.0, ours 60.0 (+40.0 points): {UNKNOWN}.",
    ]


def test_a_cause_does_not_explain_the_other_direction(results):
    figures = beside(("1", "a", "pgd", "0.01", "0.01", 30.0, 60.0))
    assert told(results, figures, WEAK)[1].endswith(f"(+30.0 points): {UNKNOWN}.")


def test_five_are_told_of_and_the_rest_is_counted(results):
    figures = beside(*(("1", "b", "pgd", f"{n}", f"{n}", 90.0, 90.0 - 10 * n) for n in range(1, 8)))
    first, *differences = told(results, figures)
    assert "(with those like them 5 of the 7 others; all are in defences-published.csv):" in first
    assert [one.split("linf ")[1][0] for one in differences] == ["7", "6", "5", "4", "3"]


def test_of_two_readings_of_a_radius_the_nearer_is_compared_and_counted_once(results):
    figures = beside(
        ("1", "a", "pgd", "14", "14/255", 8.0, 50.0), ("1", "a", "pgd", "14", "1", 8.0, 10.0)
    )
    made = findings(results, figures)
    assert used(made) == "1 of 1 published figures have ours beside them."
    assert differences(made) == [
        "The 95 % interval of ours holds the published figure in 1 of 1 cases."
    ]


def test_figures_that_are_no_percentages_differ_in_percent_of_the_printed(results):
    figures = beside(
        ("1", "a", "deepfool", "", "", 1.34, 0.217), ("1", "a", "deepfool", "", "", 2.0, 2.1)
    ).assign(
        metric="mean_l2", note=["clipped", "unclipped"], printed=["1.34", "2.0"], low=[0.2, 2.0],
        high=[0.25, 2.2],
    )  # fmt: skip
    made = findings(results, figures)
    # The note tells the two apart.
    assert used(made).startswith("2 of 2 published figures")
    assert differences(made)[1:] == [
        "a on CIFAR-10, deepfool, mean l2 (table 1): published 1.34, ours 0.217 (−84 %): cause not known."
    ]


def test_rows_beside_no_figure_of_their_own_are_not_counted(results):
    figures = beside(
        ("1", "a", "pgd", "0.01", "0.01", 60.0, 30.0), ("1", "a", "pgd", "0.01", "0.01", 60.0, 60.0)
    ).assign(further=["", "another width"])
    made = findings(results, figures)
    assert used(made) == "1 of 1 published figures have ours beside them."
    assert "ours 30.0" in differences(made)[1]


def test_figures_without_ours_are_counted_by_their_reason(results):
    figures = beside(
        ("1", "basic", "pgd", "0.03", "0.03", 60.0, 60.0),
        ("1", "basic", "fgsm", "0.03", "0.03", 60.0, float("nan")),
        ("1", "basic", "fgsm", "0.07", "0.07", 60.0, float("nan")),
        ("2", "absent", "fgsm", "0.03", "0.03", 60.0, float("nan")),
        ("3", "absent", "none", "0", "0", 60.0, float("nan")),
    ).assign(planned=[1, 1, 0, 0, 0])
    assert used(findings(results, figures)) == (
        "1 of 5 published figures have ours beside them. Without ours (–) are 2 of models that this run "
        "does not have (tables 2, 3), 1 that were planned and have no result that counts (table 1), 1 of "
        "an attack or radius that it did not make (table 1)."
    )


def test_the_published_failure_at_a_tiny_l2_radius_has_its_cause(results):
    made = find(results, measure(results), defences.PUBLISHED)
    assert "names neither its data set nor its network" in made.source.notes[0]
    (tiny,) = [words for words in differences(made) if "l2 0.045" in words]
    assert "another unit" in tiny


def test_figures_of_trainings_are_told_in_their_own_units(monkeypatch):
    monkeypatch.setattr("bench.measure.radius._REPLICATES", 3)
    results = local_learning.results()
    published = read_published(local_learning.PUBLISHED)
    made = find(results, measure(results), local_learning.PUBLISHED)
    moved = made.beside["published"].where(
        made.beside["metric"] != "critical_eps", made.beside["published"] / 4
    )
    beside = explained(made.beside.assign(published=moved), made.source.causes)
    made = dataclasses.replace(made, beside=beside)
    assert f"of {len(published)} published figures have ours beside them" in used(made)
    assert any(
        "fgsm-radius, critical eps" in words and "(+3" in words and " %)" in words
        for words in differences(made)
    )
    nothing = dataclasses.replace(
        made,
        results=dataclasses.replace(results, models=[], cells=results.cells.head(0)),
        beside=made.beside.assign(ours=float("nan"), planned=0),
    )
    assert used(nothing).startswith(f"0 of {len(published)} published figures")
    assert f"{len(published)} of models that this run does not have" in used(nothing)
