"""A section and a study that a plug-in brings, by the command line: no file of the package changes."""

from __future__ import annotations

import csv
import json
import shutil

import pymupdf
import pytest
from command import call
from latex_checker import check
from scenes import tiny

import bench
from bench import suite_files
from bench.errors import SpecError
from bench.report.rules import section_rules

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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_code_beside_a_suite_that_no_plugin_named_is_not_run(study):
    (study / "toy_study" / "report.py").write_text("raise SystemExit('it was run')\n")
    done = call(
        "report", "--suite", "toy_study/suite.toml", "--format", "csv", "--out", "plain", cwd=study
    )
    assert done.returncode == 0, done.stderr
    assert (study / "plain" / "toy-study-published.csv").is_file()
    (study / "toy_study" / "report.py").write_text(REPORT)


@pytest.fixture
def own(folder, tmp_path, monkeypatch):
    """Return a folder with a study of its own, which a test may break."""
    monkeypatch.setattr(suite_files, "_REGISTERED", [])
    for name in ("study.py", "tiny.toml"):
        shutil.copy(folder / name, tmp_path)
    copied = tmp_path / "toy_study"
    shutil.copytree(folder / "toy_study", copied, ignore=shutil.ignore_patterns("__pycache__"))
    (copied / "report.py").write_text(REPORT)
    return tmp_path


def put(folder, broken, text):
    """Write a file of the study; each loads its code anew."""
    (folder / "toy_study" / broken).write_text(text)


@pytest.mark.parametrize(("broken", "text", "words"), [
    ("published.csv", PUBLISHED.replace("12.5", "many"), "published.csv, line 3: value: 'many' is not a"),
    ("published.csv", "", "published.csv: an empty file; its first line is study,table"),
    ("document.json", json.dumps({**DOCUMENT, "year": "2020"}), "document.json: year: "),
    ("document.json", "{", "document.json: Invalid JSON"),
])  # fmt: skip
def test_a_broken_study_is_not_registered(invoke, own, broken, text, words):
    put(own, broken, text)
    done = invoke("run", "--suite", "toy-study", "--plugin", "study.py", cwd=own)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: --plugin {own / 'study.py'}, line 3: ")
    assert words in line
    assert suite_files._REGISTERED == []


@pytest.mark.parametrize(("broken", "text", "words"), [
    ("published.csv", PUBLISHED.replace("pgd,linf", "pgd,l9"), "published.csv, line 3: norm: 'l9'; write"),
    ("document.json", "{}", "document.json: title: Field required; write it"),
])  # fmt: skip
@pytest.mark.parametrize("way", ["command", "call"])
def test_a_study_beside_a_suite_is_read_before_its_run(invoke, own, way, broken, text, words):
    put(own, broken, text)
    suite = own / "toy_study" / "suite.toml"
    if way == "command":
        done = invoke("run", "--suite", suite, cwd=own)
        assert done.returncode == 2
        (said,) = done.stderr.splitlines()
    else:
        with pytest.raises(SpecError) as error:
            bench.run(suite, results=own / "results")
        said = str(error.value)
    assert words in said
    assert not list((own / "results").glob("cells/*"))


@pytest.mark.parametrize(("broken", "text", "words"), [
    ("report.py", "x = 1\n", "report.py: no STUDY; write STUDY = Study(...), of bench.report.study"),
    ("report.py", "STUDY = 3\n", "report.py: STUDY is of type int; write STUDY = Study(...)"),
    ("report.py", "x = 1\ndef f(:\n", "report.py, line 2: SyntaxError"),
    ("section.py", "x = 1\n", "section.py: no SECTION; write SECTION = SectionRule(...)"),
    ("section.py", "SECTION = {}\n", "section.py: SECTION is of type dict; write SECTION"),
    ("section.py", "1 / 0\n", "section.py, line 1: ZeroDivisionError"),
])  # fmt: skip
def test_broken_code_of_a_study_is_told_before_its_run_and_only_there(
    invoke, own, broken, text, words
):
    put(own, broken, text)
    done = invoke("run", "--suite", "toy-study", "--plugin", "study.py", cwd=own)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {own / 'toy_study' / broken}")
    assert words in line
    assert "--plugin" not in line
    assert not (own / "results").exists()
    other = invoke("run", "--suite", "tiny.toml", "--plugin", "study.py", "--dry-run", cwd=own)
    assert other.returncode == 0, other.stderr
    assert section_rules()  # as a report of any suite asks for them


def test_a_broken_document_of_one_study_is_told_beside_the_list(invoke, own, monkeypatch):
    put(own, "document.json", "{}")
    monkeypatch.setattr(suite_files, "_REGISTERED", [own / "toy_study"])
    done = invoke("ls", "suites", "--json", cwd=own)
    assert done.returncode == 0, done.stderr
    listed = {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert listed["toy-study"]["study"] is None
    assert listed["dml"]["study"]
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {own / 'toy_study' / 'document.json'}: title: ")
