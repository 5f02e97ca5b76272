"""A study, a figure with its section, a family, an attack, a kind of rows and a check, all from outside.

What a user may add is one file or one folder each. Here they come together in one run, with no change to
the package and nothing patched: each is listed, is in the run, and is in its report.
"""

import csv
import json

import own_attack
import own_family
import own_kind
import pymupdf
import pytest
from command import call

SECTION = """\
import bench
from bench.report.blocks import Column, Section, tabulate


def nearest(outcomes):
    rows = outcomes.results.rows
    broken = rows[rows["success"]]
    return broken.groupby("model", as_index=False)["l2"].min()


def section(findings):
    table = tabulate(
        nearest(findings.measured.outcomes),
        {
            Column("model", "subject"): "model",
            Column("smallest l2", "number"): lambda row: f"{row.l2:.3f}",
        },
        "The smallest change that broke an image.", name="nearest", group="",
    )
    return Section(label="nearest", title="Smallest change", blocks=(table,))


bench.register_section(bench.SectionRule(
    name="nearest", place=157, make=section,
    frames=lambda findings: {"nearest": nearest(findings.measured.outcomes)},
))
"""

CHECK = """\
import bench


def moved(outcomes):
    changed = outcomes.results.rows["l2"].max()
    return bench.Finding(
        status="warn" if changed > 0 else "fail", value=changed, bound="above 0",
        sentence="some image was changed", remedy="look at the attacks",
    )


bench.register_check(bench.Check(id="shifted", title="Images move", needs="rows", run=moved, doubts=False))
"""

STUDY = """\
from pathlib import Path
import bench

bench.register_study(Path(__file__).parent / "toy_study")
"""

SUITE = """\
title  = "A toy study"
data   = "digits"
images = 20

[[models]]
name = "digits/means"

[[attacks]]
name     = "fgsm"
norm     = "linf"
eps      = "0.2"
toolkits = ["torchattacks"]

[[attacks]]
name   = "invert"
norm   = "linf"
eps    = "0.2"
models = ["digits/means"]

[[attacks]]
name = "mean-logit"
norm = "l2"
"""

PUBLISHED = """\
study,table,dataset,model,attack,norm,eps,metric,value,unit,note
toy,1,digits,means,none,linf,0,accuracy,87.5,%,
toy,1,digits,means,fgsm,linf,0.2,accuracy,12.5,%,
"""

PLUGINS = {
    "family.py": own_family.PLUGIN, "attack.py": own_attack.PLUGIN, "kind.py": own_kind.PLUGIN,
    "section.py": SECTION, "check.py": CHECK, "study.py": STUDY,
}  # fmt: skip
NAMED = [word for name in PLUGINS for word in ("--plugin", name)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("extensions")
    for name, text in PLUGINS.items():
        (folder / name).write_text(text)
    study = folder / "toy_study"
    study.mkdir()
    (study / "suite.toml").write_text(SUITE)
    (study / "published.csv").write_text(PUBLISHED)
    return folder


@pytest.fixture(scope="module")
def run(folder):
    """Return the finished process of a run of the study."""
    cache = folder / "cache"  # the family's model is trained there
    done = call(
        "run", "--suite", "toy-study", "--trust", "off", *NAMED, cwd=folder, BENCH_CACHE=str(cache)
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize(
    ("what", "key", "name"),
    [
        ("suites", "name", "toy-study"), ("models", "name", "digits/means"), ("attacks", "name", "invert"),
        ("checks", "id", "shifted"),
    ],
)  # fmt: skip
def test_each_is_listed_where_its_plug_in_is_named_and_nowhere_else(
    invoke, folder, what, key, name
):
    assert name not in invoke("ls", what, "--json", cwd=folder).stdout
    listed = invoke("ls", what, *NAMED, "--json", cwd=folder)
    assert listed.returncode == 0, listed.stderr
    assert name in {json.loads(line)[key] for line in listed.stdout.splitlines()}


def test_what_asks_for_the_kind_is_explained(invoke, folder):
    shown = invoke("ls", "attacks", "mean-logit", *NAMED, cwd=folder).stdout
    assert "of each absolute value" in shown


def test_a_run_says_how_much_checks_found_and_how_to_see_it(run):
    (line,) = (line for line in run.stderr.splitlines() if "findings of checks" in line)
    assert line.endswith(f"bench trust --suite toy-study {' '.join(NAMED)} shows them")


def test_the_run_holds_rows_of_the_family_the_attack_and_the_kind(run, folder):
    cells = list((folder / "results" / "cells").glob("**/cell.json"))
    records = [json.loads(path.read_text()) for path in cells]
    assert {record["family"] for record in records} == {"means"}
    assert {record["attack"] for record in records} == {"fgsm", "invert", "mean-logit"}
    assert all(record["rows"] == 20 for record in records)


def test_the_report_has_each_of_them(run, folder):
    pages = pymupdf.open(folder / "reports" / "toy-study.pdf")
    text = " ".join(" ".join(page.get_text() for page in pages).split())
    for words in (
        "A toy study", "Published table 1", "digits/means", "Smallest change", "can be believed", "shifted",
        "some image was changed",
    ):  # fmt: skip
        assert words in text, words
    for name, column in (("nearest", "l2"), ("checks", "status"), ("published", "ours")):
        with (folder / "reports" / f"toy-study-{name}.csv").open() as file:
            assert all(row[column] for row in csv.DictReader(file)), name
