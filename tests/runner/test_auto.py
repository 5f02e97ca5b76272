"""The attack that is added where checks call for it: planned, counted, kept, and told apart."""

from __future__ import annotations

import json

import build
import pytest

import bench
from bench.measure.compared_runs import compare_runs
from bench.measure.headline import headline
from bench.measure.outcomes import Outcomes
from bench.runner.examine import Effort, examine
from bench.runner.execute import execute
from bench.runner.loading import Setting
from bench.runner.plan import make_plan
from bench.runner.suite import load_suite
from bench.store.results import load_results
from bench.store.store import open_store
from bench.trust.added_attacks import added_attacks
from bench.trust.checks.registry import ITSELF_FAILED
from bench.trust.run_findings import run_findings

FGSM = {"name": "fgsm", "norm": "linf", "eps": ["0.05", "0.5"], "toolkits": ["native"]}
FEW = {"name": "deepfool", "norm": "linf", "steps": 5, "toolkits": ["native"], "images": 20}
CLAIM = {
    "says": "one is better", "left": "digits/mlp", "right": "digits/cnn", "attacks": ["fgsm"],
    "norm": "linf", "eps": ["0.05"], "expect": "left > right",
}  # fmt: skip


def plan_of(folder, *attacks, claims=(CLAIM,)):
    path = folder / "auto.toml"
    path.write_text(build.suite(
        title="Added", images=24, models=["digits/mlp", "digits/cnn"], attacks=list(attacks),
        claims=list(claims),
    ))  # fmt: skip
    return make_plan(load_suite(str(path)), setting=Setting(batch_size=24))


@pytest.fixture(scope="module")
def plan(tmp_path_factory, cache):
    return plan_of(tmp_path_factory.mktemp("suite"), FGSM, FEW)


@pytest.fixture
def misled(registry, monkeypatch):
    """Only one check is made, of models, which says that the gradient of `digits/mlp` lies."""

    def lies(model):
        fail = model.adapter.spec.name == "digits/mlp"
        return bench.Finding(status="fail" if fail else "pass", sentence="it lies" if fail else "")

    monkeypatch.setattr("bench.trust.checks.registry._own_checks", dict)
    bench.register_check(
        bench.Check(id="lies", title="it is true", needs="model", run=lies, masks=True)
    )


SHORT = Effort(passes=50)


def test_where_gradients_lie_an_attack_is_added_that_counts_and_is_told_apart(
    plan, misled, tmp_path
):
    store = open_store(tmp_path)
    before = execute(plan, store).run
    made = examine(plan, store, before, SHORT)
    assert made.run != before
    with_it = load_results(tmp_path, "auto", run=made.run)
    without = load_results(tmp_path, "auto", run=before)
    (cell,) = with_it.cells[with_it.cells["auto"]].to_dict("records")
    # not on the other model, and not at the radius where nothing is left
    assert (cell["model"], cell["attack"], cell["eps"]) == ("digits/mlp", "adaptive", "0.05")
    assert (cell["parameters"], cell["images"]) == ({"passes": 50}, 20)  # as many as the figure has

    # ---- it counts like any other ----
    outcomes = Outcomes(with_it)
    rows = headline(outcomes).set_index(["model", "eps"])
    old = headline(Outcomes(without)).set_index(["model", "eps"])
    mine = ("digits/mlp", 0.05)
    assert rows.loc[mine, "attacks"] == old.loc[mine, "attacks"] + 1
    assert rows.loc[mine, "n"] == old.loc[mine, "n"] == 20
    assert rows.loc[mine, "robust_accuracy"] <= old.loc[mine, "robust_accuracy"]
    assert rows.drop(index=mine).equals(old.drop(index=mine))
    (told,) = added_attacks(outcomes, headline(outcomes)).to_dict("records")
    assert (told["before"], told["after"]) == (
        old.loc[mine, "robust_accuracy"], rows.loc[mine, "robust_accuracy"],
    )  # fmt: skip
    assert 0 < told["spent"] <= told["allowed"] + 4 == 54

    # ---- what was asked for is as it was ----
    assert with_it.asked == without.asked
    assert with_it.models == without.models
    assert with_it.protocol == without.protocol
    assert with_it.without_added().cells.equals(without.cells)
    assert compare_runs(without, with_it).verdict == "same"
    assert [one["check"] for one in with_it.checked.found] == ["lies", "lies"]
    log = (tmp_path / "runs" / f"{made.run}.jsonl").read_text().splitlines()
    assert json.loads(log[0])["continues"] == before

    # ---- and the same again keeps it ----
    again = examine(plan, store, execute(plan, store).run, SHORT)
    assert (again.outcome.kept, again.outcome.computed) == ((cell["cell"],), ())
    assert again.counts.made == 0
    assert examine(plan, store, again.run, SHORT).outcome is None  # nothing is left to add


def test_at_full_effort_every_figure_that_may_be_too_high_is_attacked(plan, registry, monkeypatch,
                                                                      tmp_path):  # fmt: skip
    monkeypatch.setattr("bench.trust.checks.registry._own_checks", dict)
    store = open_store(tmp_path)
    run = execute(plan, store).run
    assert examine(plan, store, run, SHORT).outcome is None
    made = examine(plan, store, run, Effort(level="full", passes=50))
    cells = load_results(tmp_path, "auto", run=made.run).cells
    added = cells[cells["auto"]]
    assert set(zip(added["model"], added["eps"], strict=True)) == {
        ("digits/mlp", "0.05"), ("digits/cnn", "0.05"),
    }  # fmt: skip
    quick = examine(plan, store, execute(plan, store).run, SHORT)  # what it found is not forgotten
    assert (quick.outcome.computed, set(quick.outcome.kept)) == ((), set(added["cell"]))


def test_a_suite_that_makes_the_attack_itself_is_given_no_other(misled, tmp_path):
    asked = {"name": "adaptive", "norm": "linf", "eps": "0.05", "passes": 50}
    plan, store = plan_of(tmp_path, FGSM, asked), open_store(tmp_path / "results")
    assert examine(plan, store, execute(plan, store).run, SHORT).outcome is None


def test_an_attack_that_was_added_and_fails_is_a_failed_cell(plan, misled, monkeypatch, tmp_path):
    def fails(job):
        raise RuntimeError("no memory")

    monkeypatch.setitem(
        __import__("bench.attacks.native_driver", fromlist=["ATTACKS"]).ATTACKS, ("adaptive", "linf"), fails
    )  # fmt: skip
    store = open_store(tmp_path)
    made = examine(plan, store, execute(plan, store).run, SHORT)
    (key,) = made.outcome.failed
    found = Outcomes(load_results(tmp_path, "auto", run=made.run))
    (told,) = added_attacks(found, headline(found)).to_dict("records")
    assert (told["cell"], told["spent"] == told["spent"]) == (key, False)


SPARSE = [
    {"name": "one-pixel", "norm": "l0", "eps": "1", "generations": 3, "toolkits": ["native"]},
    {"name": "fmn", "norm": "l1", "steps": 20},
    {"name": "fab", "norm": "l1", "eps": "2", "steps": 5},
]


def test_in_norms_without_the_attack_all_checks_are_made_and_nothing_is_added(cache, tmp_path):
    plan = plan_of(tmp_path, *SPARSE, claims=())
    store = open_store(tmp_path / "results")
    run = examine(plan, store, execute(plan, store).run, Effort(level="full", passes=50))
    assert run.outcome is None
    results = load_results(tmp_path / "results", "auto", run=run.run)
    assert {"l0", "l1"} <= set(headline(Outcomes(results))["norm"])
    findings = run_findings(Outcomes(results))
    broken = findings["sentence"].str.startswith(ITSELF_FAILED)
    assert (
        list(findings.loc[broken, ["check", "norm", "sentence"]].itertuples(index=False)) == []
    ), findings[broken].to_csv()
    remedies = findings.loc[findings["norm"].isin(["l0", "l1"]), "remedy"]
    assert not remedies.str.contains('name = "adaptive"').any()
