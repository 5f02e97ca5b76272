"""`bench claims` and what `bench run` says of claims, as processes."""

from __future__ import annotations

import csv
import json
import re

import pytest
from command import call
from scenes import stored_run, tiny

from bench.store.runlog import start_run
from bench.store.store import open_store

CLAIMS = """
[[claims]]
says          = "fgsm is weaker than pgd"
left          = "digits/*"
left_attacks  = ["fgsm"]
right_attacks = ["pgd"]
eps           = "0.1"
expect        = "left > right"

[[claims]]
says    = "the perceptron is no worse than my net"
left    = "digits/mlp"
right   = "digits/cnn"
attacks = ["fgsm"]
eps     = ["0", "0.1"]
expect  = "left = right"
within  = 50
"""
SECOND = '\n[[models]]\nname = "digits/cnn"\n'


@pytest.fixture(scope="module")
def done(tmp_path_factory, cache):
    """Return a folder in which a small suite with claims was run, and what that printed."""
    folder = tmp_path_factory.mktemp("claims")
    (folder / "tiny.toml").write_text(tiny.SUITE + SECOND + CLAIMS)
    words = ("--toolkit", "torchattacks", "--attack", "fgsm", "--attack", "pgd")
    return folder, call("run", "--suite", "tiny.toml", *words, cwd=folder)


def test_run_ends_with_the_claims(done):
    folder, process = done
    assert process.returncode == 0, process.stderr
    headline, _, claims = process.stdout.split("\n\n")
    assert "robust accuracy" in headline.splitlines()[0]
    assert [line.split()[0] for line in claims.splitlines()] == ["no.", "1", "2"]
    assert "fgsm against pgd" in claims
    assert (folder / "reports" / "tiny-claims.csv").is_file()


def test_claims_reads_what_is_stored_and_exits_0_whatever_the_verdict(invoke, done):
    folder, process = done
    found = invoke("claims", "--suite", "tiny.toml", cwd=folder, COLUMNS="400")
    assert found.returncode == 0, found.stderr
    comparisons, claims = found.stdout.split("\n\n")
    assert len(comparisons.splitlines()) == 1 + 2 + 2
    assert claims.strip() == process.stdout.split("\n\n")[2].strip()
    which, judged = found.stderr.splitlines()
    assert re.fullmatch(
        r"run 0\d+-\w+, .* UTC: part of the suite: .*, 1 toolkit \(torchattacks\)", which
    )
    assert judged == "2 claims of 4 comparisons: 0 could not be judged"


def test_a_short_line_gets_a_row_for_either_side_of_a_comparison(invoke, done):
    folder, _ = done
    seen = invoke("claims", "--suite", "tiny.toml", cwd=folder, COLUMNS="80").stdout
    comparisons, _ = seen.split("\n\n")
    assert max(map(len, seen.splitlines())) <= 80
    under = ("its own attack", "the strongest")
    lines = [line for line in comparisons.splitlines() if any(said in line for said in under)]
    with (folder / "reports" / "tiny-comparisons.csv").open() as stored:
        verdicts = [row["verdict"] for row in csv.DictReader(stored)]
    assert [line.split()[-1] for line in lines if under[0] in line] == verdicts
    assert (
        sum(under[1] in line for line in lines) == 1
    )  # where two models are compared, and attacked


def test_a_filtered_run_leaves_claims_unjudged(invoke, done, tmp_path):
    folder, _ = done
    words = ("--suite", folder / "tiny.toml", "--results", tmp_path / "r")
    less = ("--model", "digits/mlp", "--attack", "noise", "--json")
    run = invoke("run", *words, *less, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    events = [json.loads(line) for line in run.stdout.splitlines()]
    assert [event["verdict"] for event in events if event["event"] == "claim"] == ["not judged"] * 2
    found = invoke("claims", *words, cwd=tmp_path)
    assert found.returncode == 1
    assert "left: no fgsm in this run; right: no pgd in this run" in found.stdout
    assert "2 could not be judged" in found.stderr


def test_a_suite_without_claims_says_so(invoke, tmp_path):
    # A log as it was written before there were claims.
    start_run(open_store(tmp_path / "results"), stored_run.run_start([], "bare"))
    found = invoke("claims", "--suite", "bare.toml", cwd=tmp_path)
    assert (found.returncode, found.stdout) == (0, "")
    assert "suite bare has no claims" in found.stderr
