"""A section and a study that a plug-in brings, by the command line: no file of the package changes."""

from __future__ import annotations

import csv
import json

import pymupdf
import pytest
from command import call
from latex_checker import check
from scenes import tiny

#: A metric measured from the rows, as a table of the PDF, a file for LaTeX and one of raw numbers.
SECTION = """\
import bench
from bench.report.blocks import Column, Section, tabulate
from bench.report.rules import SectionRule


def borderline(findings):
    rows = findings.results.rows
    return rows.groupby("attack", as_index=False)["borderline"].mean()


def section(findings):
    table = tabulate(
        borderline(findings),
        {
            Column("attack", "subject"): "attack",
            Column("borderline (%)", "rate"): lambda row: f"{100 * row.borderline:.1f}",
        },
        "How many outcomes are close.", name="borderline",
    )
    return Section(label="borderline", title="Close outcomes", blocks=(table,))


bench.register_section(
    SectionRule(name="borderline", place=157, make=section,
                frames=lambda findings: {"borderline": borderline(findings)})
)
"""
STUDY = """\
from pathlib import Path
import bench
bench.register_study(Path(__file__).parent / "toy_study")
"""
REPORT = """\
from bench.report.study import Study
STUDY = Study(captions={"1": "What the toy has published"}, called=lambda model: f"toy {model}")
"""
PUBLISHED = """\
study,table,dataset,model,attack,norm,eps,metric,value,unit,note
toy,1,digits,mlp,none,linf,0,accuracy,87.5,%,
toy,1,digits,mlp,pgd,linf,0.1,accuracy,12.5,%,
"""
DOCUMENT = {
    "title": "On Toys", "authors": ["A. Author"], "kind": "report", "institution": None,
    "year": 2020, "cites": 2019,
}  # fmt: skip


def text_of(path):
    return " ".join(" ".join(page.get_text() for page in pymupdf.open(path)).split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory, cache):
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "tiny.toml").write_text(tiny.SUITE)
    (folder / "section.py").write_text(SECTION)
    (folder / "study.py").write_text(STUDY)
    study = folder / "toy_study"
    study.mkdir()
    (study / "suite.toml").write_text(tiny.SUITE.replace("Tiny", "A toy study"))
    (study / "published.csv").write_text(PUBLISHED)
    (study / "document.json").write_text(json.dumps(DOCUMENT))
    (study / "report.py").write_text(REPORT)
    return folder


@pytest.fixture(scope="module")
def study(folder):
    done = call("run", "--suite", "toy-study", "--plugin", "study.py", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_a_section_of_a_plugin_is_in_every_format(study):
    done = call(
        "report", "--suite", "toy-study", "--plugin", "study.py", "--plugin", "section.py",
        "--format", "pdf,csv,latex", "--out", "out", cwd=study,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    text = text_of(study / "out" / "toy-study.pdf")
    heading, attacks, cost = (
        text.index(words) for words in ("Close outcomes", "Attacks one by one", "Cost per attacked")
    )
    assert attacks < heading < cost  # at its place
    assert "Published and ours" in text  # the other plug-in counts too
    table = (study / "out" / "toy-study-borderline.tex").read_text()
    check(table)
    with (study / "out" / "toy-study-borderline.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["attack"] for row in rows} == {"fgsm", "pgd", "deepfool", "noise"}
    for row in rows:
        assert f"{row['attack']} & {100 * float(row['borderline']):.1f} " in table
        assert row["suite"] == "toy-study"


def test_a_section_that_fails_is_told_in_one_line_and_no_file_is_new(study):
    (study / "fails.py").write_text(SECTION.replace('["borderline"].mean', '["nowhere"].mean'))
    done = call(
        "report", "--suite", "toy-study", "--plugin", "study.py", "--plugin", "fails.py",
        "--format", "latex,csv,pdf", "--out", "none", cwd=study,
    )  # fmt: skip
    assert done.returncode == 1
    (told,) = (line for line in done.stderr.splitlines() if line.startswith("error: "))
    assert told.startswith("error: section 'borderline': fails.py, line 8: KeyError: ")
    assert "Traceback" not in done.stderr
    assert not list((study / "none").iterdir())


def test_a_section_s_name_is_taken_once(folder):
    twice = SECTION.replace('name="borderline", place', 'name="headline", place')
    (folder / "twice.py").write_text(twice)
    done = call("ls", "suites", "--plugin", "twice.py", cwd=folder)
    assert done.returncode == 2
    assert "a section named 'headline' is there already" in done.stderr


def test_a_study_of_a_plugin_is_listed_with_its_document(folder):
    done = call("ls", "suites", "--plugin", "study.py", "--json", cwd=folder)
    listed = {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert listed["toy-study"]["title"] == "A toy study"
    assert listed["toy-study"]["study"].startswith("A. Author. On Toys. ")
    assert "toy-study" not in call("ls", "suites", cwd=folder).stdout


def test_a_study_of_a_plugin_has_its_published_table_beside_ours(study):
    text = text_of(study / "reports" / "toy-study.pdf")
    for words in (
        "The study", "On Toys", "Published and ours", "Published table 1. What the toy has published.",
        "toy mlp PGD 12.50", "2 of 2 published figures have ours beside them",
        "Accuracy against eps", "Examples",  # and all that a plain suite has
    ):  # fmt: skip
        assert words in text, words
    with (study / "reports" / "toy-study-published.csv").open() as file:
        clean, pgd = csv.DictReader(file)
    assert (clean["published"], pgd["published"]) == ("87.5", "12.5")
    assert float(clean["ours"]) > float(pgd["ours"])


@pytest.mark.parametrize(
    "command", [("claims",), ("parity",), ("report", "--format", "csv")], ids=" ".join
)
def test_every_command_that_takes_a_suite_takes_the_plugin(study, command):
    done = call(*command, "--suite", "toy-study", "--plugin", "study.py", cwd=study)
    assert done.returncode == 0, done.stderr


def test_an_incomplete_folder_is_no_study(folder):
    (folder / "bare").mkdir()
    (folder / "bare.py").write_text(STUDY.replace("toy_study", "bare"))
    done = call("ls", "suites", "--plugin", "bare.py", cwd=folder)
    assert done.returncode == 2
    assert "has no suite.toml; put one there" in done.stderr


def test_code_beside_a_suite_that_no_plugin_named_is_not_run(study):
    (study / "toy_study" / "report.py").write_text("raise SystemExit('it was run')\n")
    done = call(
        "report", "--suite", "toy_study/suite.toml", "--format", "csv", "--out", "plain", cwd=study
    )
    assert done.returncode == 0, done.stderr
    assert (study / "plain" / "toy-study-published.csv").is_file()
    (study / "toy_study" / "report.py").write_text(REPORT)
