"""The attacks of the study in small: a run of `digits-fooling` from its file to its report, and again."""

import csv

import pytest

from bench.store.results import load_results

WORDS = (
    "--suite",
    "digits-fooling",
    "--model",
    "digits/mlp",
    "--images",
    "20",
    "--display",
    "none",
)


def table(path):
    with path.open() as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


@pytest.mark.slow
def test_the_attacks_of_the_study_run_in_small_from_suite_to_report(invoke, tmp_path):
    found = invoke("run", *WORDS, cwd=tmp_path)
    assert found.returncode == 0, found.stdout + found.stderr
    made = load_results(tmp_path / "results", "digits-fooling")
    assert set(made.cells["status"]) == {"done"}
    claims = table(tmp_path / "reports" / "digits-fooling-claims.csv")
    assert len(claims) == 4
    assert claims[0]["verdict"].startswith("holds")
    assert "not judged" not in {claim["verdict"] for claim in claims}
    rows = table(tmp_path / "reports" / "digits-fooling-perturbations.csv")
    ends = [row for row in rows if row["attack"] == "deepfool" and row["unclipped_fooling"]]
    assert {float(row["unclipped_fooling"]) for row in ends} == {1.0}
    assert all(float(row["fooling"]) <= 1 for row in ends)
    universal = [row for row in rows if row["attack"] == "universal"]
    # The fit counts the images that the model gets right, of the 50 asked for.
    assert all(40 <= int(float(row["fit_images"])) <= 50 for row in universal)
    searches = made.cells.loc[made.cells["attack"] == "one-pixel", "cell"]
    before = {cell: made.trace(cell) for cell in searches}
    assert all(trace is not None and len(trace) for trace in before.values())

    again = invoke("run", *WORDS, cwd=tmp_path)
    assert again.returncode == 0
    kept = load_results(tmp_path / "results", "digits-fooling")
    assert kept.run != made.run
    for cell, trace in before.items():
        assert kept.trace(cell).equals(trace)
