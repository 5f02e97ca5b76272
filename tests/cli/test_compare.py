"""`bench compare` on the command line: which runs, what is printed, and the exit codes."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest
from scenes import stored_run

import bench
from bench.cli.junit import Case, junit
from bench.errors import AttackError
from bench.store.identity import cell_key
from bench.store.runlog import start_run
from bench.store.store import open_store

#: PGD at two radii on two models, in one toolkit.
CELLS = [
    one for one in stored_run.cells() if (one[0].attack.name, one[0].toolkit) == ("pgd", "foolbox")
]


def write(folder, cells=CELLS, *, planned=CELLS, suite="fake", lost=(), content="c", asked=None):
    """Write a run into a folder in which models whose name is in `lost` fall to every attack."""
    store = open_store(folder)
    for cell, _ in cells:
        rows, _ = stored_run.make_rows(cell)
        if cell.model.name in lost:
            label = ((rows["label"] + 1) % 10).where(rows["correct"]).astype("Int64")
            rows = rows.assign(success=rows["correct"], adv_label=label)
        stored_run.write_cell(store, cell, rows=rows)
    start = stored_run.run_start(list(planned), suite)
    start_run(store, {**start, "content": content, "asked": asked})


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Write two runs: in B, one of two models falls to all attacks."""
    folder = tmp_path_factory.mktemp("compared")
    write(folder / "a")
    write(folder / "b", lost=["digits/wide"])
    return folder


@pytest.mark.slow
def test_two_real_runs_of_a_tiny_suite(invoke, tmp_path, tiny_suite):
    other = tmp_path / "other" / tiny_suite.name
    other.parent.mkdir()
    other.write_text(tiny_suite.read_text().replace("images = 30", "images = 30\nseed = 1"))
    for suite, folder in ((tiny_suite, "a"), (other, "b")):
        bench.run(suite, images=8, toolkits=("torchattacks",), results=tmp_path / folder)
    same = invoke("compare", "a", "a", cwd=tmp_path)
    assert same.returncode == 0, same.stderr
    assert same.stdout.splitlines()[-1] == "same: all 24 rows of 3 cells are equal"
    done = invoke("compare", "a", "b", "--suite", "tiny.toml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    table = [line.split() for line in done.stdout.splitlines()]
    assert ["seed", "all", "cells", "0", "1"] in table
    # FGSM draws nothing, PGD its start.
    last = "differs by noise: rows of 1 of 3 cells differ, none significantly"
    assert done.stdout.splitlines()[-1] == last
    assert "B: tiny.toml has changed since 000001-" in done.stderr
    assert "the suite has other content in B than in A" in done.stderr
    compared = bench.compare(tmp_path / "a", tmp_path / "b")
    assert compared.verdict == "differs by noise"
    assert list(compared.cells["change"]) == ["same", "same", "noise"]


LAST = (
    "differs: worse in B: digits/wide (robust accuracy under linf 8/255, robust accuracy under linf 24/255, "
    "2 cells)"
)


@pytest.mark.parametrize("width", [80, 140])
def test_which_model_is_worse_is_said_in_the_last_line(invoke, folders, width):
    words = ("compare", "a", "b", "--fail-on", "worse")
    done = invoke(*words, cwd=folders, COLUMNS=str(width))
    assert done.returncode == 1, done.stderr
    *tables, last = done.stdout.splitlines()
    assert last == LAST
    assert max(map(len, tables)) <= width
    assert "Cells whose rows differ" in tables
    assert sum("linf" in line and line.endswith("worse") for line in tables) == 4
    assert [line.split(", ")[0] for line in done.stderr.splitlines()] == [
        "A: a: suite fake", "B: b: suite fake",
    ]  # fmt: skip


def test_what_is_better_fails_no_gate_and_json_lines_tell_all(invoke, folders):
    done = invoke("compare", "b", "a", "--fail-on", "worse", "--json", cwd=folders)
    assert done.returncode == 0, done.stderr
    *records, last = map(json.loads, done.stdout.splitlines())
    assert [one["event"] for one in records] == ["model"] * 6 + ["cell"] * 4
    assert (last["verdict"], last["worse"], last["better"]) == ("differs", [], ["digits/wide"])
    assert last["line"] == LAST.replace("worse in B", "better in B")
    better = [(one["model"], one["attack"]) for one in records[6:] if one["change"] == "better"]
    assert better == [("digits/wide", "pgd")] * 2
    assert records[6]["parameters"]["steps"] == 10


def test_junit_has_a_case_an_accuracy_and_a_cell(invoke, tmp_path, folders):
    write(tmp_path / "b", CELLS[1:-1], lost=["digits/wide"])
    open_store(tmp_path / "b").fail(cell_key(CELLS[0][0]), AttackError("no <memory>"))
    words = ("compare", folders / "a", "b", "--junit", "out/j.xml")
    done = invoke(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (suite,) = ET.parse(tmp_path / "out" / "j.xml").getroot()
    assert suite.attrib == {
        "name": "bench compare: fake", "tests": "10", "failures": "2", "errors": "4", "skipped": "0",
    }  # fmt: skip
    found = {(case.get("classname"), case.get("name")): case for case in suite}
    assert len(found) == 10
    (failure,) = found["digits/wide", "pgd · linf 8/255 · foolbox"]
    assert failure.tag == "failure"
    assert failure.get("message").startswith("robust images: ")
    (error,) = found["digits/cnn", "pgd · linf 8/255 · foolbox"]
    assert error.tag == "error"
    assert error.get("message") == "no result in B; in B: did not run: AttackError: no <memory>"
    assert not len(found["digits/wide", "clean accuracy"])


def test_a_gate_is_not_met_where_b_has_no_result(invoke, tmp_path, folders):
    write(tmp_path / "b", CELLS[:2])
    words = ("compare", folders / "a", "b", "--fail-on", "worse")
    done = invoke(*words, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "B is unfinished: 2 of 4 cells did not run yet" in done.stderr
    last = "differs: no result in B: digits/wide (2 cells); 2 cells not compared"
    assert done.stdout.splitlines()[-1] == last
    # What B never asked for is no fault.
    write(tmp_path / "b", [], planned=CELLS[:2])
    done = invoke(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    last = "same: all 80 rows of 2 cells are equal; 2 cells not compared"
    assert done.stdout.splitlines()[-1] == last


@pytest.mark.parametrize(("attacks", "exit_code"), [(1, 1), (0, 0)])
def test_what_b_was_asked_for_and_left_out_fails_the_gate(invoke, tmp_path, attacks, exit_code):
    """A model that can no longer be loaded must not pass its guard: it has no cell in B."""
    for folder, cells, count in (("a", CELLS, 1), ("b", CELLS[:2], attacks)):
        write(tmp_path / folder, cells, planned=cells, asked={
            "models": [0, 0], "joined": 2, "attacks": [count, 1], "added": 0, "images": [[40, 40]],
            "toolkits": [], "seed": None,
        })  # fmt: skip
    done = invoke("compare", "a", "b", "--fail-on", "worse", cwd=tmp_path)
    assert done.returncode == exit_code, done.stderr
    last = (
        "differs: no result in B: digits/wide (2 cells); 2 cells not compared",
        "same: all 80 rows of 2 cells are equal; 2 cells not compared",
    )
    assert done.stdout.splitlines()[-1] == last[exit_code == 0]
    assert ("in B: left out" in done.stdout) == (exit_code == 1)


def test_the_last_run_of_the_only_suite_that_both_folders_have(invoke, tmp_path):
    write(tmp_path / "a", CELLS[:1], planned=CELLS[:1], suite="mine")
    write(tmp_path / "b", CELLS[:1], planned=CELLS[:1], suite="other")
    wrong = [
        (("a", "none"), 3, "error: no results in none; make some with: bench run --suite NAME"),
        (("a", "b"), 2, "error: no suite has runs in both folders: a has mine, b has other"),
        (("a", "b", "--suite", "mine"), 2, "error: no suite named 'mine'"),
        (("a", "b", "--suite", "digits"), 3, "error: no run of suite 'digits' in a; make one with: "),
        (("a", "a", "--suite", "gone.toml"), 2, "error: --suite gone.toml: no such file"),
    ]  # fmt: skip
    for words, code, said in wrong:
        done = invoke("compare", *words, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (code, "")
        assert len(done.stderr.splitlines()) == 1
        assert done.stderr.startswith(said)
    write(tmp_path / "b", [], planned=CELLS[1:2], suite="mine")
    unfinished = invoke("compare", "a", "b", cwd=tmp_path)
    assert unfinished.returncode == 3
    assert "B, run 000002-" in unfinished.stderr.splitlines()[-1]
    write(tmp_path / "a", [], planned=[], suite="other")
    several = invoke("compare", "a", "b", cwd=tmp_path)
    assert several.returncode == 2
    assert "a and b both have runs of mine, other; choose with --suite NAME" in several.stderr


def test_junit_of_names_that_xml_cannot_write():
    cases = [Case("a&b", "\x00<é>\ud800", "skipped", "\x1b[0m"), Case("c", "d", "passed")]
    (suite,) = ET.fromstring(junit("t", cases))
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == list("2001")
    first, second = suite
    assert (first.get("classname"), first.get("name")) == ("a&b", "\ufffd<é>\ufffd")
    assert first[0].get("message") == "\ufffd[0m"
    assert not len(second)
