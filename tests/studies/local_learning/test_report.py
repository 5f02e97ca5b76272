"""The report of the study of local learning, on planted results."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pandas as pd
import pymupdf
import pytest
from scenes import local_learning

from bench.measure.published import read_published
from bench.report.findings import find
from bench.report.measured import measure
from bench.report.sections.headline import brief_headlines
from bench.report.sections.opening import used
from bench.report.study import study_of
from bench.report.write import write_report
from bench.runner.suite import load_suite
from bench.studies.local_learning.figures import _cloud
from bench.trust.claim_measures.rank_correlation import FEWEST


@pytest.fixture(scope="module")
def run():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.measure.radius._REPLICATES", 3)
        results = local_learning.results()
        return results, measure(results)


@pytest.fixture(scope="module")
def study(run):
    return find(*run, local_learning.PUBLISHED)


@pytest.fixture(scope="module")
def figures(study):
    return study.study.figures(study)


@pytest.fixture(scope="module")
def published(study):
    return study.study.tables(study.beside)


def test_every_figure_is_drawn(figures):
    assert [figure.name for figure in figures] == [
        "filters-training", "filters", "accuracy-critical-eps",
        "radius-0", "radius-1", "trainings",
    ]  # fmt: skip
    assert all(figure.pdf.startswith(b"%PDF") for figure in figures)


def test_tables_hold_the_published_figures_and_ours(published):
    tables = {table.number: table for table in published}
    first = tables["B.1"].groups[0][1][0]
    assert first.entries[1].published == "0.01770 ± 0.00010 (a)"
    assert first.entries[1].ours.startswith("0.017")
    assert first.entries[1].interval == "3 models"
    assert tables["A.1"].groups[0][1][0].entries[0].ours == "0.97 ± 0.00"
    assert {row.model for row in tables["A.3"].groups[0][1]} >= {"w = 4", "w = 12", "K = 10"}


def test_every_published_figure_is_read():
    published = read_published(local_learning.PUBLISHED)
    assert set(published["metric"]) == {
        "accuracy", "critical_eps", "f_score", "mean_accuracy", "max_accuracy",
    }  # fmt: skip
    assert study_of(local_learning.PUBLISHED).captions.keys() == set(published["table"])


def test_repeated_trainings_are_not_in_the_headline_of_the_pdf(study):
    shown = brief_headlines(study)[0].frame["model"]
    assert not shown.str.contains("seed").any()


def test_it_is_set_and_written(run, tmp_path):
    made = write_report(run[0], tmp_path, ("pdf", "latex"), local_learning.PUBLISHED, run[1])
    assert {path.name for path in made["latex"]} >= {
        "local-learning-table-B.1.tex", "local-learning-radius.tex",
    }  # fmt: skip
    assert (tmp_path / "local-learning.pdf").read_bytes().startswith(b"%PDF")


def test_of_each_attack_there_is_one_panel_and_of_each_configuration_one_key(figures):
    (picture,) = [one for one in figures if one.name == "accuracy-critical-eps"]
    text = pymupdf.open(stream=picture.pdf)[0].get_text()
    lines = [line.strip() for line in text.splitlines()]
    configurations = {
        name.partition("/")[2].partition("-seed")[0] for name in local_learning.MODELS
    }
    assert [lines.count(name) for name in (*configurations, "published")] == [1] * 7
    assert [lines.count(attack) for attack in ("fgsm-radius", "ifgsm-radius")] == [1, 1]


def test_of_more_configurations_than_a_legend_holds_the_rule_is_coloured(run):
    _results, measured = run
    radii = measured.radii.head(1)
    many = [f"cifar10/{rule}-K10-w{w}-n4-pool5-gelu" for rule in ("ll", "bp") for w in range(2, 9)]
    points = pd.concat([radii.assign(model=name) for name in many], ignore_index=True).assign(
        accuracy=60.0, configuration=many, rule=[name.partition("/")[2][:2] for name in many]
    )
    empty = pd.DataFrame(columns=["data", "model", "metric", "attack", "published"])
    text = pymupdf.open(stream=_cloud(points, empty).pdf)[0].get_text().split()
    assert (text.count("LL"), text.count("BP"), text.count("published")) == (1, 1, 1)
    assert not any("K10" in word for word in text)


def test_f_scores_are_printed_with_the_filters(figures):
    (picture,) = [one for one in figures if one.name == "filters"]
    text = pymupdf.open(stream=picture.pdf)[0].get_text()
    learnt = {name.partition("-seed")[0] for name in local_learning.MODELS if "/ll-" in name}
    assert text.count("f-score 0.97") == len(learnt)


def test_only_networks_of_the_run_have_rows(study, published):
    rows = {row.model for table in published for _, group in table.groups for row in group}
    assert "ll-K10-w4-m3-p2-n4-pool5-gelu" in rows
    assert "bp-K10-w4-n4-pool5-elu" not in rows
    assert "bp-K10-w4-n4-pool5-elu" in set(study.beside["model"])
    assert "609 published figures" in used(study)


def test_the_suite_claims_only_what_its_models_can_decide():
    suite = load_suite("local-learning")
    orders = [claim for claim in suite.claims if claim.measure == "order"]
    assert orders
    for claim in orders:
        both = [
            {model.title() for model in suite.models if aimed(suite, model.title(), attack)}
            for attack in (*claim.attacks, *(claim.right_attacks or ()))
        ]
        named = {title for title in set.intersection(*both) if fnmatchcase(title, claim.left)}
        assert len(named) >= FEWEST, claim.says


def aimed(suite, title, attack):
    """Return whether a suite asks for an attack on a model."""
    return any(
        request.spec.name == attack
        and any(fnmatchcase(title, one) for one in request.models or ("*",))
        for request in suite.attacks
    )
