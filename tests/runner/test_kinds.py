"""A kind of rows that a user's file adds: asked for in a suite, run, stored, listed and shown."""

import own_kind
import pytest

import bench
from bench.attacks.described import described
from bench.attacks.row import Attack
from bench.attacks.rows import ATTACKS, MEASUREMENTS
from bench.errors import SpecError
from bench.measure.outcomes import Outcomes
from bench.registry import load_plugin
from bench.runner.estimate import estimate
from bench.runner.execute import Scope, execute
from bench.runner.kinds import KINDS, Kind
from bench.runner.plan import make_plan
from bench.runner.suite import load_suite
from bench.spec import ROW_KINDS, RowKind
from bench.store.results import load_results
from bench.store.store import open_store


def test_a_kind_of_ones_own_is_planned_run_stored_and_counts_for_no_attack(tmp_path, registry):
    folder = own_kind.write(tmp_path)
    load_plugin(folder / "logits.py")
    plan = make_plan(load_suite(str(folder / "logits.toml")))
    asked = [(cell.model.name, cell.attack.name, cell.kind) for cell in plan.cells.values()]
    assert asked == [
        ("digits/mlp", "fgsm", "attack"),
        *[("digits/mlp", "mean-logit", "logits")] * 2,
    ]
    assert "votes has no logits" in plan.left_out
    store = open_store(folder / "results")
    assert len(estimate(plan, store, list(plan.cells)).seconds) == 3
    outcome = execute(plan, store, Scope(keep_all=True))
    assert not outcome.failed
    results = load_results(folder / "results", "logits")
    assert results.cells["kind"].tolist() == ["fixed", "logits", "logits"]
    key = results.cells["cell"][1]
    rows, model = store.rows(key), bench.load_model("digits/mlp")
    x, y = bench.load_data("digits", images=30)
    labels, scores = model.predict(x)
    assert rows["adv_margin"].tolist() == pytest.approx(scores.abs().mean(1).tolist())
    assert rows["correct"].tolist() == (labels == y).tolist()
    assert set(rows["kind"]) == {"logits"}
    assert not rows["success"].any()
    assert store.pictures(key) == {}
    assert Outcomes(results).cells["attack"].tolist() == ["fgsm"]
    assert Outcomes(results).clean["digits/mlp"].tolist() == rows["correct"].tolist()
    with pytest.raises(SpecError, match="mean-logit is no attack; ask for it in a suite file"):
        bench.attack(model, x, y, "mean-logit", norm="l2", toolkit="native")


@pytest.mark.parametrize(("asked_by", "says"), [
    (None, "give it asked_by"),
    (Attack(name="toy", norms={"l2": ("native",)}, note="", rows="attack"), "give it asked_by"),
    (Attack(name="pgd", norms={"l2": ("native",)}, note="", rows="toy"), "rename it"),
    (Attack(name="certify", norms={"l2": ("native",)}, note="", rows="toy"), "rename it"),
])  # fmt: skip
def test_a_kind_that_cannot_be_asked_for_or_has_a_name_that_is_taken(asked_by, says, registry):
    rows = RowKind(name="toy", attacks=False, predicts=False)
    with pytest.raises(SpecError, match=says):
        bench.register_kind(Kind(rows=rows, compute=lambda task, part: None, asked_by=asked_by))


def test_kinds_and_what_asks_for_them_belong_together():
    assert {name: kind.rows for name, kind in KINDS.items()} == ROW_KINDS
    assert {row.rows for row in (*ATTACKS.values(), *MEASUREMENTS.values())} == set(KINDS)
    for row in MEASUREMENTS.values():
        assert KINDS[row.rows].asked_by is row
        assert described(row.name)["goals"] == []
