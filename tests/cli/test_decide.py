"""`bench run --decide`, and what is said of it."""

from __future__ import annotations

import json
from types import SimpleNamespace

import build
import pandas as pd
import pytest

from bench.report.sections.claims import what_is_left

FGSM = {"name": "fgsm", "norm": "linf", "eps": "0.1", "toolkits": ["torchattacks"]}
CLAIM = {
    "says": "clean",
    "left": "digits/cnn",
    "right": "digits/mlp",
    "eps": "0",
    "expect": "left > right",
}
UNDECIDED = "1 of 1 comparison undecided"


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    folder = tmp_path_factory.mktemp("decide")
    (folder / "pair.toml").write_text(
        build.suite(["digits/mlp", "digits/cnn"], [FGSM], [CLAIM], images=20)
    )
    return folder


def test_a_plan_says_whether_there_is_anything_to_decide(invoke, suite):
    words = ("--decide", "--budget", "90s", "--dry-run")
    planned = invoke("run", "--suite", "pair.toml", *words, cwd=suite)
    said = "then images are added to undecided comparisons of 1 claim, for at most 1.5 minutes"
    assert said in planned.stderr
    (suite / "none.toml").write_text(build.suite(["digits/mlp"], [FGSM], images=20))
    planned = invoke("run", "--suite", "none.toml", *words, cwd=suite)
    assert "suite none has no claims, so there is nothing to decide" in planned.stderr


def test_what_is_left_is_said_by_run_claims_and_report(invoke, suite):
    words = (
        "run",
        "--suite",
        "pair.toml",
        "--decide",
        "--budget",
        "600s",
        "--images-up-to",
        "40",
        "--json",
    )
    found = invoke(*words, cwd=suite)
    assert found.returncode == 0, found.stderr
    assert f"{UNDECIDED}: all images that may be added were used" in found.stderr
    events = [json.loads(line) for line in found.stdout.splitlines()]
    looks = [event for event in events if event["event"] == "look"]
    assert [(look["undecided"], look["comparisons"], look["images"]) for look in looks] == [
        (1, 1, [40]), (1, 1, []),
    ]  # fmt: skip
    assert {"event": "end", "ended": "images", "left": ""} in events
    (claim,) = [event for event in events if event["event"] == "claim"]
    assert claim["images"] == "40"
    seen = invoke("claims", "--suite", "pair.toml", cwd=suite)
    assert UNDECIDED in seen.stderr
    assert {"n", "e", "Holm"} <= set(seen.stdout.splitlines()[0].split())
    csv = (suite / "reports" / "pair-comparisons.csv").read_text().splitlines()
    named = dict(zip(csv[0].split(","), csv[1].split(","), strict=True))
    assert (named["n"], named["verdict"]) == ("40", "undecided")
    assert float(named["p"]) == min(1.0, 2 / float(named["e"]))


@pytest.mark.parametrize(("words", "why"), [
    (("--budget", "5m"), "--budget goes with --decide"),
    (("--images-up-to", "5"), "--images-up-to goes with --decide"),
    (("--trust", "off", "--trust-budget", "100"), "--trust-budget goes with --trust quick or full"),
    (("--decide", "--budget", "5"), "--budget 5: write a time such as 90s, 30m or 2h"),
    (("--decide", "--budget", "0s"), "--budget 0s: write a time"),
    (("--decide", "--images-up-to", "few"), "--images-up-to few: write a number from 1, or all"),
    (("--decide", "--shard", "1/2"), "leave out --shard"),
    (("--decide", "--overwrite", "never"), "leave out --overwrite"),
])  # fmt: skip
def test_options_that_do_not_go_together_are_refused(invoke, suite, words, why):
    found = invoke("run", "--suite", "pair.toml", *words, cwd=suite)
    assert found.returncode == 2
    assert why in " ".join(found.stderr.split())


def test_what_cannot_be_judged_is_not_counted_as_decided():
    compared = pd.DataFrame({"verdict": ["not judged", "holds"], "measure": "robust_accuracy"})
    results = SimpleNamespace(added=SimpleNamespace(ended="images", budget=60.0, left=""))
    assert what_is_left(results, compared) == (
        "0 of 2 comparisons undecided, 1 not judged, which more images do not help"
    )
