"""Checks of models and threats on the command line: with a run, and after it."""

from __future__ import annotations

import csv
import json
import re
import signal

import build
import pytest
from command import call

from bench.runner import trust

#: A model whose gradient points the wrong way, and a check that breaks.
PLUGIN = """
import torch
from torch import nn
import bench

class Backwards(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(2 * x.detach() - x)

@bench.register_model("backwards", data="digits")
def backwards():
    inner = bench.load_model("digits/mlp").surfaces()["network"]
    return bench.wrap(Backwards(inner), 10, (1, 8, 8))

def breaks(threat):
    raise KeyError("l7")

bench.register_check(bench.Check(id="breaks", title="has l7", needs="threat", run=breaks))
"""

KILLED = """
import os, signal
import bench

def kills(model):
    with open("made", "a") as file:
        file.write("x")
    if "GO_ON" not in os.environ:
        os.kill(os.getpid(), signal.SIGKILL)
    return bench.Finding(status="pass", sentence="looked")

bench.register_check(bench.Check(id="kills", title="goes on", needs="model", run=kills))
"""

SUITE = build.suite(
    title="Mine",
    images=20,
    models=["digits/mlp"],
    attacks=[
        {"name": "pgd", "norm": "linf", "eps": "0.05", "steps": 10, "toolkits": ["torchattacks"]}
    ],
)


@pytest.fixture(autouse=True)
def time_enough(monkeypatch):
    """A busy machine leaves no check out."""
    monkeypatch.setitem(trust.LEAST, "quick", 60.0)


@pytest.fixture
def suite(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(SUITE)
    return path


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_gradient_that_lies_is_found_out_and_a_check_that_breaks_loses_nothing(
    tmp_path, suite, invoke
):
    (tmp_path / "plug.py").write_text(PLUGIN)
    run = (
        "run",
        "--suite",
        suite,
        "--plugin",
        "plug.py",
        "--display",
        "plain",
        "--trust-budget",
        60,
    )
    done = invoke(*run, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    reports = tmp_path / "reports"
    judged = {row["model"]: row for row in rows(reports / "mine-headline.csv")}
    assert judged["backwards"]["trust"] == "doubtful"
    assert judged["backwards"]["strongest"] == "adaptive (auto)"
    assert "gradient of network" in judged["backwards"]["reasons"]
    (added,) = rows(reports / "mine-added.csv")
    assert float(added["after"]) < float(added["before"])
    assert re.search(
        r"backwards at linf 0.05: 9\d.\d % said the suite's attacks, \d+.\d % after adaptive "
        r"\(auto, 60 passes an image\)", done.stderr,
    )  # fmt: skip
    assert judged["digits/mlp"]["trust"] == "not checked"
    assert judged["digits/mlp"]["reasons"] == "checks not made: breaks"
    found = rows(reports / "mine-checks.csv")
    assert {(row["model"], row["status"]) for row in found if row["check"] == "breaks"} >= {
        ("digits/mlp", "fail")
    }
    assert "KeyError: 'l7'" in done.stdout
    assert "check failed: has l7 of digits/mlp: the check itself failed" in done.stderr
    assert (reports / "mine.pdf").is_file()

    again = invoke(*run, "--json", cwd=tmp_path)
    events = [json.loads(line) for line in again.stdout.splitlines()]
    verdicts = {event["model"]: event["trust"] for event in events if event["event"] == "headline"}
    assert verdicts == {"digits/mlp": "not checked", "backwards": "doubtful"}
    assert {event["check"] for event in events if event["event"] == "check"} >= {
        "gradient",
        "breaks",
    }
    assert "checks: 0 made" in again.stderr


@pytest.mark.slow
def test_a_run_that_is_killed_among_its_checks_goes_on_and_makes_none_twice(tmp_path, suite):
    (tmp_path / "plug.py").write_text(KILLED)
    run = ("run", "--suite", suite, "--plugin", "plug.py")
    killed = call(*run, cwd=tmp_path)
    assert killed.returncode == -signal.SIGKILL
    before = set((tmp_path / "results" / "findings").rglob("*.json"))
    assert len(before) >= 10  # Crossfire's own, of the model
    done = call(*run, cwd=tmp_path, GO_ON="1")
    assert done.returncode == 0, done.stderr
    assert f"{len(before)} kept" in done.stderr
    assert "1 to do" not in done.stderr
    again = call(*run, cwd=tmp_path, GO_ON="1")
    assert "checks: 0 made" in again.stderr
    assert (tmp_path / "made").read_text() == "xx"  # once killed, once through


@pytest.mark.slow
def test_checks_that_were_off_are_made_later_for_the_run_that_ended(tmp_path, suite, invoke):
    off = invoke("run", "--suite", suite, "--trust", "off", cwd=tmp_path)
    assert off.returncode == 0, off.stderr
    (row,) = rows(tmp_path / "reports" / "mine-headline.csv")
    assert (row["trust"], row["reasons"]) == ("not checked", "")
    seen = invoke("trust", "--suite", suite, cwd=tmp_path)
    assert seen.returncode == 0, seen.stderr
    assert "believable" in seen.stdout
    assert "made, 0 kept" in seen.stderr
    assert "eval mode" not in seen.stdout
    everything = invoke("trust", "--suite", suite, "--all", "--full", cwd=tmp_path)
    assert "eval mode" in everything.stdout
    lines = invoke("trust", "--suite", suite, "--json", cwd=tmp_path).stdout.splitlines()
    (verdict,) = [row for row in map(json.loads, lines) if row["event"] == "trust"]
    assert (verdict["model"], verdict["trust"]) == ("digits/mlp", "believable")
    report = invoke("report", "--suite", suite, "--format", "csv", cwd=tmp_path)
    assert report.returncode == 0, report.stderr
    (row,) = rows(tmp_path / "reports" / "mine-headline.csv")
    assert row["trust"] == "believable"
    assert invoke("trust", "--suite", suite, "--model", "x*", cwd=tmp_path).returncode == 2
