"""The attacks of the study in small: `digits-flowers`, a part of it, and from its file to its report."""

import csv

import pytest

import bench
from bench.store.results import load_results
from bench.train import substitutes

LOGISTIC, FOREST = "digits/features-cnn-logistic", "digits/features-cnn-forest"


@pytest.mark.slow
def test_a_forest_and_its_twin_with_a_gradient_are_attacked_in_every_way(tmp_path, monkeypatch):
    monkeypatch.setenv(
        "BENCH_CACHE", str(tmp_path / "cache")
    )  # these substitutes are for no other test
    for batches in ("_BATCHES", "_LAST"):  # how good a substitute is does not matter here
        monkeypatch.setattr(substitutes, batches, 2)
    run = bench.run(
        "digits-flowers", images=10, models=("*-logistic", "*-forest"), attacks=("pgd", "square"),
        results=tmp_path / "results", trust="off",
    )  # fmt: skip
    assert run.outcome.failed == ()
    cells = run.results.cells
    by_model = {model: set(group["surface"]) for model, group in cells.groupby("model")}
    shared = {"substitute-300", "substitute-300-scores", "of digits/mlp", "predict"}
    assert by_model[LOGISTIC] == {"exact", *shared}
    assert by_model[FOREST] == {"distilled", f"of {LOGISTIC}", *shared}
    assert set(cells["goal"]) == {
        "misclassification", "confidence-reduction", "targeted", "source-target",
    }  # fmt: skip
    # The same images were tried on the forest and, by its own gradient, on logistic regression.
    rows = run.samples().set_index(["model", "surface", "goal", "eps", "index"]).sort_index()
    tried = rows.loc[(FOREST, f"of {LOGISTIC}", "misclassification", 0.2)]
    own = rows.loc[(LOGISTIC, "exact", "misclassification", 0.2)]
    both = tried.correct & own.correct
    assert both.sum() > 5
    assert tried.success[both].mean() > 0.5


@pytest.mark.slow
def test_the_miniature_runs_from_suite_to_report(invoke, tmp_path):
    found = invoke("run", "--suite", "digits-flowers", "--display", "none", cwd=tmp_path)
    assert found.returncode == 0, found.stdout + found.stderr
    made = load_results(tmp_path / "results", "digits-flowers")
    assert set(made.cells["status"]) == {"done"}
    assert (tmp_path / "reports" / "digits-flowers.pdf").exists()
    with (tmp_path / "reports" / "digits-flowers-claims.csv").open() as file:
        claims = list(csv.DictReader(line for line in file if not line.startswith("#")))
    assert len(claims) == 5
    assert "not judged" not in {claim["verdict"] for claim in claims}
