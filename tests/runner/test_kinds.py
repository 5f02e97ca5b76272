"""A kind of rows that a user's file adds: asked for in a suite, run, stored, listed and shown."""

import re

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
from bench.runner.execute import execute
from bench.runner.kinds import KINDS, Kind
from bench.runner.plan import make_plan
from bench.runner.scope import Scope
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


ROWS = "return Chunk(rows, part.x, part.x)"
MEASURE = 'Measurement("adv_margin"'


def edited(tmp_path, old, new):
    """Return the plug-in with one text replaced, loaded, and its suite."""
    folder = own_kind.write(tmp_path)
    assert old in own_kind.PLUGIN
    (folder / "logits.py").write_text(own_kind.PLUGIN.replace(old, new))
    load_plugin(folder / "logits.py")
    return load_suite(str(folder / "logits.toml"))


@pytest.mark.parametrize(("old", "new", "says"), [
    (ROWS, "return Chunk(rows.head(3), part.x, part.x)", "returned 3 rows for 30 images"),
    (ROWS, "return Chunk(rows.assign(adv_margn=1), part.x, part.x)", "did you mean adv_margin"),
    (ROWS, "return Chunk(rows.drop(columns='eps'), part.x, part.x)", "returned rows without eps"),
    (ROWS, "return Chunk(rows.assign(kind='attack'), part.x, part.x)", "kind 'attack'; it is 'logits'"),
    (ROWS, "return Chunk(rows.assign(cell='x'), part.x, part.x)", "returned rows with cell 'x'"),
    (ROWS, "return Chunk(rows[::-1], part.x, part.x)", "in another order"),
    (ROWS, "return Chunk(rows.assign(adv_margin='x'), part.x, part.x)", "adv_margin is not float: "),
    (ROWS, "return Chunk(rows.assign(forwards=1.5), part.x, part.x)", "forwards is not int: "),
    (ROWS, "return Chunk(rows.assign(correct=None), part.x, part.x)", "without a value of correct"),
    (ROWS, "return Chunk(rows.to_dict(), part.x, part.x)", r"returned rows as dict; make them with"),
    (ROWS, "return Chunk(rows, part.x, None)", "returned as x_adv not the 30 images"),
    (ROWS, "return rows", r"returned DataFrame; return bench.runner.task.Chunk\("),
    (ROWS, "return None", r"returned NoneType; return bench.runner.task.Chunk\("),
    (ROWS, "return 1 / 0", r"failed: ZeroDivisionError"),
    ('"forwards": 1', '"forward": 1', "failed: no column named 'forward'; did you mean forwards"),
])  # fmt: skip
def test_a_kind_that_computes_the_wrong_rows_fails_its_cells_alone(
    tmp_path, registry, old, new, says
):
    plan = make_plan(edited(tmp_path, old, new))
    store = open_store(tmp_path / "results")
    outcome = execute(plan, store)
    assert len(outcome.computed) == 1
    assert len(outcome.failed) == 2
    for key in outcome.failed:
        message = store.last_error(key)["message"]
        assert re.match(rf"kind 'logits': logits.py, line \d+: its compute .*{says}", message)
    load_results(tmp_path / "results", "logits")


@pytest.mark.parametrize(("old", "new", "says"), [
    (MEASURE, 'Measurement("adv_margn"', "kind 'logits': no column named 'adv_margn'; did you mean adv_"),
    (MEASURE, 'Measurement("surface"', "kind 'logits': column 'surface' holds no numbers"),
    ("compute=mean_logits", "compute=3", "kind 'logits': its compute is 3; give it a function"),
    ("bench.register_kind(bench.Kind(", "bench.register_kind(dict(", "was given dict; give it bench.Kind"),
])  # fmt: skip
def test_a_kind_that_cannot_be_right_is_refused(tmp_path, registry, old, new, says):
    with pytest.raises(SpecError, match=says):
        edited(tmp_path, old, new)
    assert "logits" not in KINDS


@pytest.mark.parametrize(("old", "new", "says"), [
    ("refuses=refuses", "refuses=lambda adapter: 1 / 0", "its refuses failed: ZeroDivisionError"),
    ("refuses=refuses", "refuses=lambda adapter: False", "its refuses returned bool; return a text"),
    ("passes=lambda parameters: 1", "passes=lambda given: given['x']", "its passes failed: KeyError"),
    ("passes=lambda parameters: 1", "passes=lambda given: 'x'", "its passes returned str; return a whole"),
])  # fmt: skip
def test_what_a_kind_says_of_models_and_cost_is_checked(tmp_path, registry, old, new, says):
    suite, store = edited(tmp_path, old, new), open_store(tmp_path / "results")

    def planned():
        plan = make_plan(suite)
        return estimate(plan, store, list(plan.cells))

    with pytest.raises(SpecError, match=rf"kind 'logits': logits.py, line \d+: {says}"):
        planned()


def test_a_kind_is_registered_again_from_its_file_and_from_no_other(tmp_path, registry):
    own_kind.write(tmp_path)
    load_plugin(tmp_path / "logits.py")
    bench.register_kind(KINDS["logits"])
    (tmp_path / "copy.py").write_text(own_kind.PLUGIN)
    with pytest.raises(
        SpecError,
        match=r"'logits' is registered twice: by .*logits.py, line 7 and by .*copy.py, line 7",
    ):
        load_plugin(tmp_path / "copy.py")


def test_kinds_and_what_asks_for_them_belong_together():
    assert {name: kind.rows for name, kind in KINDS.items()} == ROW_KINDS
    assert {row.rows for row in (*ATTACKS.values(), *MEASUREMENTS.values())} == set(KINDS)
    for row in MEASUREMENTS.values():
        assert KINDS[row.rows].asked_by is row
        assert described(row.name)["goals"] == []
