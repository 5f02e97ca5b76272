"""Results made by hand have the shape of those that a store gives back."""

import build
import pytest
from scenes import stored_run

from bench.runner.suite import load_suite
from bench.store.results import load_results


@pytest.mark.slow
def test_planted_results_look_like_stored_ones(tmp_path):
    stored = load_results(tmp_path, stored_run.write_run(tmp_path))
    planted = build.results([build.cell("a", "pgd", "0.1", [1, 2])], wrong={"a": [0]}, images=10)
    assert planted.rows.dtypes.to_dict() == stored.rows.dtypes.to_dict()
    assert set(planted.cells.columns) == set(stored.cells.columns)
    assert set(planted.protocol) <= set(stored.protocol)
    counts = ["images", "correct", "successes", "invalid"]
    assert planted.cells[counts].to_numpy().tolist() == [[10, 9, 2, 0]]


def test_a_misspelt_fact_of_a_cell_is_an_error():
    with pytest.raises(TypeError, match="tolkit"):
        build.cell("a", "pgd", "0.1", [1], tolkit="art")


def test_a_suite_reads_back(tmp_path):
    path = tmp_path / "s.toml"
    vote = {"name": "digits/dml-contrastive-adam", "k": 3, "distance": "cosine"}
    fgsm = {"name": "fgsm", "norm": "linf", "eps": ["0.1", "0.2"]}
    claim = {"says": "“a” < b", "left": "digits/mlp", "right": vote["name"], "attacks": ["fgsm"],
             "eps": 0.1, "expect": "left < right"}  # fmt: skip
    path.write_text(build.suite(["digits/mlp", vote], [fgsm], [claim], images=5, title='say "a"'))
    suite = load_suite(str(path))
    assert suite.title == 'say "a"'
    assert [model.name for model in suite.models] == ["digits/mlp", vote["name"]]
    assert [attack.spec.eps for attack in suite.attacks] == ["0.1", "0.2"]
    assert [one.says for one in suite.claims] == ["“a” < b"]
