from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path

import build
import pandas as pd
import pymupdf
import pytest
from scenes import dml

from bench.measure.attack_rates import attack_rates
from bench.measure.curves import surface_curves
from bench.measure.differences import explained
from bench.measure.headline import headline
from bench.measure.outcomes import Outcomes
from bench.measure.published import comparison, read_published
from bench.report.findings import Findings
from bench.report.measured import Measured
from bench.report.render.latex import published_lines
from bench.report.sections.cost import brief_cost
from bench.report.sections.failures import brief_failures
from bench.report.sections.headline import brief_headlines
from bench.report.sections.opening import used
from bench.report.sections.published import published_tables
from bench.report.sections.surrogates import surrogate_table
from bench.report.study import Study, study_of
from bench.report.write import write_report
from bench.store.results import Results
from bench.studies.dml.embedding import embedding_figure

DML = study_of(dml.PUBLISHED)
MODELS = [
    "mnist/dl-cross-entropy-sgd", "mnist/dml-contrastive-sgd-knn1-cosine",
    "mnist/dml-contrastive-sgd-knn3-cosine", "cifar10/dml-triplet-sgd-knn1-cosine",
]  # fmt: skip


@pytest.fixture(scope="module")
def whole() -> Results:
    made = dml.results(MODELS)
    models = [
        model | {"moments": dml.moments()} if "triplet" in model["model"] else model
        for model in made.models
    ]
    return dataclasses.replace(made, models=models)


@pytest.fixture(scope="module")
def partial(whole: Results) -> Results:
    """The study without most cells of one model, two of them failed."""
    cells = whole.cells
    gone = (cells["model"] == MODELS[1]) & (cells["attack"] != "fgsm")
    gone |= (cells["model"] == MODELS[0]) & (cells["toolkit"] == "art")
    status = cells["status"].mask(gone, "missing")
    status[cells.index[gone][:2]] = "failed"
    error = pd.Series("AttackError: out of memory", index=cells.index).where(status == "failed")
    return dataclasses.replace(
        whole,
        cells=cells.assign(status=status, error=error),
        rows=whole.rows[~whole.rows["cell"].isin(cells.loc[gone, "cell"])],
    )


@pytest.fixture(scope="module")
def beside(whole: Results) -> pd.DataFrame:
    return comparison(Outcomes(whole), read_published(dml.PUBLISHED))


@pytest.fixture(scope="module")
def partly(partial: Results) -> pd.DataFrame:
    return comparison(Outcomes(partial), read_published(dml.PUBLISHED))


@pytest.fixture(scope="module")
def report(partial: Results, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    out = tmp_path_factory.mktemp("study")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # matplotlib's, of a layout that failed
        return write_report(partial, out, ("pdf", "csv", "latex"), dml.PUBLISHED)


def _text(path: Path) -> str:
    return " ".join(" ".join(page.get_text() for page in pymupdf.open(path)).split())


def _measured(results: Results) -> Measured:
    nothing, outcomes = pd.DataFrame(), Outcomes(results)
    return Measured(
        outcomes=outcomes, of_suite=outcomes, added=nothing, headline=headline(outcomes), curve=nothing, attacks=attack_rates(outcomes), access=nothing, parity=nothing,
        perturbations=nothing, transfer=nothing, claims=nothing, comparisons=nothing, radii=nothing,
        certificates=nothing, certified=nothing, certified_bounds=nothing, checks=nothing,
    )  # fmt: skip


def _findings(results: Results, study: Study | None = None) -> Findings:
    """Return the findings of a study of which no published figure is looked at."""
    return Findings(
        results=results,
        measured=_measured(results),
        study=study or Study(),
        beside=pd.DataFrame(),
    )


def test_every_format_is_written(report: dict[str, list[Path]]) -> None:
    names = {kind: [path.name for path in paths] for kind, paths in report.items()}
    assert names["pdf"] == ["dml.pdf"]
    assert names["csv"] == [
        f"dml-{one}.csv" for one in ("headline", "checks", "published", "parity", "attacks")
    ]
    assert names["latex"] == [
        "dml-headline.tex", "dml-checks.tex", *[f"dml-table-5.{turn}.tex" for turn in range(1, 8)],
        "dml-agreement.tex", "dml-surrogates.tex", "dml-cost.tex",
        "dml-surfaces.pdf", "dml-embedding.pdf", "dml-bars-mnist.pdf", "dml-bars-cifar10.pdf",
    ]  # fmt: skip


def test_the_pdf_is_a_study_s(
    partial: Results, partly: pd.DataFrame, report: dict[str, list[Path]]
) -> None:
    text = _text(report["pdf"][0])
    for heading in ("Protocol", "Robust accuracy", "Published and ours", "Agreement of the toolkits",
                    "Cost", "Cells without a result", "epoch 25"):  # fmt: skip
        assert heading in text, heading
    for absent in ("Attacks one by one", "Every attack on one image", "median distance"):
        assert absent not in text, absent
    assert "ε = 14 as printed, read as 1, every pixel free" in text
    assert "97.73 (a)" in text  # with the note of its misprint
    assert "printed so; probably 67.73" in text
    assert "AttackError: out of memory" in text
    assert (
        used(Findings(results=partial, measured=None, study=DML, beside=explained(partly, ())))
        in text
    )


def test_the_figures_are_drawings_with_text(report: dict[str, list[Path]]) -> None:
    drawings = [path for path in report["latex"] if path.suffix == ".pdf"]
    assert drawings
    for path in drawings:
        (page,) = pymupdf.open(path)
        assert not page.get_images()
        assert page.get_text()


def test_the_csv_file_holds_the_comparison(
    partly: pd.DataFrame, report: dict[str, list[Path]]
) -> None:
    read = pd.read_csv(
        report["csv"][2], dtype={"table": "str", "eps": "str", "eps_published": "str"}
    )
    read = read[list(partly.columns)]
    pd.testing.assert_frame_equal(read, partly.assign(note=partly["note"].replace("", None)))


def test_a_published_table_has_its_shape_and_no_blank(beside: pd.DataFrame) -> None:
    tables = {table.number: table for table in published_tables(beside, DML)}
    assert list(tables) == [f"5.{turn}" for turn in range(1, 8)]
    table = tables["5.2"]
    assert table.data == ("MNIST", "Fashion-MNIST", "CIFAR-10")
    assert [len(rows) for _, rows in table.groups] == [4, 12, 12, 12, 12]
    assert [title for title, _ in table.groups][1:3] == ["ε = 0.01", "ε = 0.02"]
    rows = table.groups[1][1]
    assert [(row.model, row.attack) for row in rows[:4]] == [
        ("SGD, cosine", "PGD"), ("SGD, cosine", "BIM"), ("SGD, cosine", "FGSM"),
        ("SGD, euclidean", "PGD"),
    ]  # fmt: skip
    entries = [entry for _, rows in table.groups for row in rows for entry in row.entries]
    assert all(entry.published not in ("", "–") for entry in entries)
    assert {bool(entry.interval) for entry in entries if entry.ours == "–"} == {False}
    mine = rows[0].entries
    row = beside[(beside["table"] == "5.2") & (beside["attack"] == "pgd")].iloc[0]
    assert (mine[0].published, mine[0].ours) == ("99.37", f"{row['ours']:.1f}")
    assert (mine[1].published, mine[1].ours) == ("83.66", "–")


def test_a_figure_that_lacks_attacks_is_marked(partly: pd.DataFrame) -> None:
    (table,) = published_tables(partly[partly["table"] == "5.1"], DML)
    at_two = dict(table.groups)["ε = 0.02"]
    assert at_two[0].entries[0].interval.endswith("†")
    assert not dict(table.groups)["ε = 0.01"][0].entries[0].interval.endswith("†")
    assert any(note.startswith("†") for note in table.notes)


def test_latex_has_a_line_a_row_and_as_many_columns_everywhere(beside: pd.DataFrame) -> None:
    (table,) = published_tables(beside[beside["table"] == "5.5"], DML)
    lines = published_lines(table, "tab:x")
    made, body = "\n".join(lines), lines[lines.index("\\endhead") :]
    rows = [line for line in body if "&" in line]
    assert len(rows) == 52
    assert {line.count("&") for line in rows} == {10}
    assert made.count(r"$\varepsilon$") == 4
    assert "%" not in made.replace(r"\%", "")


def test_the_short_headline_has_a_row_a_model_shown(partial: Results) -> None:
    table = brief_headlines(_findings(partial, DML))[0].frame
    assert list(table["model"]) == ["DL, SGD", "contrastive, SGD, k = 1, cosine",
                                    "triplet, SGD, k = 1, cosine"]  # fmt: skip
    assert list(table.columns[2:]) == [
        "clean (%)", *[f"ε = {eps} (%)" for eps in ("0.01", "0.02", "14/255", "1")]
    ]  # fmt: skip
    assert table.loc[1, "ε = 0.01 (%)"].endswith("†")
    assert not table.loc[2, "ε = 0.01 (%)"].endswith("†")


def test_cells_without_a_result_are_counted_by_kind(partial: Results) -> None:
    table = brief_failures(_findings(partial)).frame
    unfinished = (partial.cells["status"] != "done").sum()
    assert table["cells"].astype(int).sum() == unfinished > len(table)
    assert set(table.loc[table["status"] == "failed", "error"]) == {"AttackError: out of memory"}


def test_surface_curves_lie_above_the_worst_case(whole: Results) -> None:
    outcomes = Outcomes(whole)
    lines, worst = surface_curves(outcomes), headline(outcomes).set_index(["model", "eps"])
    assert set(lines["surface"]) == {"network", *dml.SURFACES}
    for row in lines[lines["eps"] > 0].itertuples():
        assert row.accuracy >= worst.loc[(row.model, row.eps), "robust_accuracy"]


def test_the_embedding_is_of_the_model_of_the_study(whole: Results) -> None:
    assert embedding_figure(dml.results(MODELS[:1])) is None
    figure = embedding_figure(whole)
    assert figure is not None
    assert "by cifar10/dml-triplet-sgd as" in figure.caption
    text = pymupdf.open(stream=figure.pdf)[0].get_text()
    for said in ("epoch 1", "epoch 25", "epoch 50", "airplane", "truck"):
        assert said in text


@pytest.mark.parametrize("what", ["cells", "rows"])
def test_a_study_of_which_nothing_was_run(whole: Results, tmp_path: Path, what: str) -> None:
    few = tmp_path / "few.csv"
    lines = dml.PUBLISHED.read_text().splitlines(keepends=True)
    few.write_text("".join(line for line in lines if line.startswith(("study,", "dml,5.2,"))))
    cells = whole.cells.assign(status="missing", error=None)
    nothing = dataclasses.replace(
        whole, rows=whole.rows.head(0), cells=cells.head(0) if what == "cells" else cells
    )
    text = _text(write_report(nothing, tmp_path, ["pdf"], few)["pdf"][0])
    # Of the model of table 5.2 that is in the run: clean, and three attacks at three radii, of which one
    # is read in two ways.
    why = (
        "110 of models that this run does not have (table 5.2), 10 that were planned and have no result "
        "that counts (table 5.2)"
        if what == "rows"
        else "120 of models that this run does not have (table 5.2)"
    )
    assert f"0 of 120 published figures have ours beside them. Without ours (–) are {why}." in text
    assert "No published figure has ours beside it in this run." in text
    assert "No document is named" in text
    assert "99.37" in text


def test_a_study_with_nothing_of_its_own_has_its_tables(beside: pd.DataFrame) -> None:
    table = published_tables(beside, Study())[1]
    assert table.data[0] == "MNIST"
    assert table.groups[0][1][0].model == "dml-contrastive-sgd-knn1-cosine"


def test_surrogates_are_told_of_once_a_trunk_and_their_climbing_is_counted_once() -> None:
    votes = dml.titles(data=("mnist",), losses=("triplet",))
    results = dml.results(votes, attacks=("pgd",), radii=("0.01",))
    found = surrogate_table(_findings(results)).frame
    assert found["vote"].tolist() == ["dml-triplet-sgd-knn1-cosine", "dml-triplet-adam-knn1-cosine"]
    assert found["clean test images (%)"].tolist() == ["99.0 [98.1, 99.5]"] * 2
    cost = brief_cost(_findings(results)).frame
    surfaces = cost.set_index("surface")["cells"]
    assert surfaces["network"] == surfaces["soft-knn"] == "2"  # of two trunks, not of twelve votes


@pytest.mark.parametrize("told", [True, False])
def test_a_norm_that_few_models_face_has_a_table_of_its_own(told: bool) -> None:
    models = ("digits/a", "digits/b", "digits/c")
    cells = [build.cell(model, "pgd", "0.1", (1,)) for model in models]
    cells.append(build.cell(models[0], "one-pixel", "5", (), norm="l0"))
    # Older logs do not tell which threats a suite names for which model.
    named = {"threats": [["linf", "0.1"]]}
    run = build.results(cells, models=dict.fromkeys(models[1:], named) if told else None)
    linf, l0 = (table.frame for table in brief_headlines(_findings(run, Study(brief=True))))
    assert list(linf["model"]) == ["a", "b", "c"]
    assert list(linf.columns) == ["data", "model", "clean (%)", "ε = 0.1 (%)"]
    assert list(l0["model"]) == ["a"]
    assert l0["ε = 5 (%)"][0].startswith("100.0")
