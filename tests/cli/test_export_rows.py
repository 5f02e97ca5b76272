"""`bench export`: the rows of a run as one table for other programs."""

import json
import sys

import pandas as pd
import pytest
from scenes import stored_run

from bench.spec import COLUMNS
from bench.store.results import load_results


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    stored_run.write_run(folder / "results")
    return folder


@pytest.fixture(scope="module")
def results(folder):
    return load_results(folder / "results", stored_run.SUITE)


def export(invoke, folder, *words):
    return invoke("export", "--suite", stored_run.SUITE, *words, cwd=folder)


def check_rows(read, results):
    """Check a frame of another program against the rows of the run, value by value."""
    assert len(read) == len(results.rows)
    for name in COLUMNS:
        mine, theirs = results.rows[name], read[name]
        assert (mine.isna() == theirs.isna()).all(), name
        there = mine.notna()
        assert mine[there].tolist() == theirs[there].tolist(), name


def check_facts(read, results):
    asked = results.cells.set_index("cell")
    for name, of_cell in (
        ("access", "access"),
        ("attack_kind", "kind"),
        ("batch_size", "batch_size"),
    ):
        assert read[name].tolist() == read["cell"].map(asked[of_cell]).tolist()
    parameters = [json.loads(text) for text in read["parameters"]]
    assert parameters == read["cell"].map(asked["parameters"]).tolist()
    eps = read["cell"].map(asked["eps"]).fillna("minimal")
    assert read["eps_text"].tolist() == eps.tolist()
    assert set(read["run"]) == {results.run}


def test_parquet_has_every_row_with_the_facts_of_its_cell(invoke, folder, results):
    told = export(invoke, folder, "--format", "parquet")
    assert told.returncode == 0, told.stderr
    assert told.stdout == "fake.parquet\n"
    assert f"{len(results.rows)} rows" in told.stderr
    read = pd.read_parquet(folder / "fake.parquet")
    check_rows(read, results)
    check_facts(read, results)


def test_csv_has_the_same_rows(invoke, folder, results):
    told = export(invoke, folder, "--rows", "rows.csv")
    assert told.returncode == 0, told.stderr
    read = pd.read_csv(
        folder / "rows.csv",
        true_values=["true"],
        false_values=["false"],
    )
    check_rows(read, results)
    check_facts(read, results)


def test_a_database_answers_the_question_of_the_help(invoke, folder, results):
    duckdb = pytest.importorskip("duckdb")
    told = export(invoke, folder, "--rows", "run.duckdb")
    assert told.returncode == 0, told.stderr
    with duckdb.connect(str(folder / "run.duckdb"), read_only=True) as base:
        check_rows(base.sql("FROM results").df(), results)
        asked = base.sql(
            "SELECT model, attack, eps_text, avg(success::INT) FROM results WHERE correct GROUP BY ALL"
        )
        shares = {row[:3]: row[3] for row in asked.fetchall()}
    rows = results.rows[results.rows["correct"]]
    of_pgd = rows[
        (rows["model"] == "digits/cnn") & (rows["attack"] == "pgd") & (rows["eps"] == 24 / 255)
    ]
    assert shares["digits/cnn", "pgd", "24/255"] == pytest.approx(of_pgd["success"].mean())


def test_what_is_missing_for_a_database_is_named_and_no_file_is_left(invoke, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    told = export(invoke, folder, "--rows", "none.duckdb")
    assert told.returncode == 3
    assert "crossfire-bench[duckdb]" in told.stderr
    assert not [
        path for path in folder.iterdir() if "none" in path.name or path.name.startswith(".")
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "say what to export"),
        (("--format", "npz"), "say what to export"),
        (("--adversarial", "out", "--format", "csv"), "--format csv is of rows"),
        (("--rows", "a.csv", "--format", "png"), "--format png is of images"),
        (("--rows", "a.csv", "--adversarial", "out"), "one after the other"),
        (("--rows", "a.xlsx"), "say which format"),
    ],
)
def test_what_contradicts_itself_is_said_in_a_line(invoke, folder, words, says):
    told = export(invoke, folder, *words)
    assert told.returncode == 2
    (line,) = told.stderr.strip().splitlines()
    assert says in line


def test_a_file_is_never_written_over(invoke, folder):
    (folder / "mine.csv").write_text("mine")
    told = export(invoke, folder, "--rows", "mine.csv")
    assert told.returncode == 2
    assert "mine.csv is there already" in told.stderr
    assert (folder / "mine.csv").read_text() == "mine"
