"""When the checks of a run's models and threats are made, what they get, and that none is made twice."""

from __future__ import annotations

import dataclasses

import build
import pytest

import bench
from bench.runner import trust
from bench.runner.checked_run import checked_run
from bench.runner.examine import Effort, examine
from bench.runner.execute import execute
from bench.runner.loading import Setting
from bench.runner.plan import make_plan
from bench.runner.scope import Scope
from bench.runner.suite import load_suite
from bench.store.results import load_results
from bench.store.store import open_store
from bench.trust.checks import registry as check_registry

SUITE = build.suite(
    title="Checked",
    images=24,
    models=["digits/mlp"],
    attacks=[
        {"name": "fgsm", "norm": "linf", "eps": ["0.05", "0.5"], "toolkits": ["native"]},
        {"name": "deepfool", "norm": "linf", "steps": 5, "toolkits": ["native"]},
    ],
)


@pytest.fixture(scope="module")
def plan(tmp_path_factory, cache):
    path = tmp_path_factory.mktemp("suite") / "checked.toml"
    path.write_text(SUITE)
    return make_plan(load_suite(str(path)), setting=Setting(batch_size=24))


@pytest.fixture(scope="module")
def ran(plan, tmp_path_factory):
    """Return a store with the run, and the run's name."""
    store = open_store(tmp_path_factory.mktemp("ran"))
    return store, execute(plan, store).run


@pytest.fixture
def made(plan, ran, registry, monkeypatch):
    """Return a function that registers checks, makes those of the run, and says what was found and how often."""
    store, _ = ran
    monkeypatch.setattr(check_registry, "_own_checks", dict)
    called: list[str] = []

    def made(*checks, level="quick", at=plan):
        def counted(check):
            def run(subject):
                called.append(check.id)
                return check.run(subject)

            return dataclasses.replace(check, run=run)

        for check in checks:
            bench.register_check(counted(check))
        run = execute(plan, store).run
        counts = examine(at, store, run, Effort(level=level)).counts
        results = load_results(store.root, "checked", run=run)
        own = {check.id for check in checks}
        return counts, [one for one in results.checked.found if one["check"] in own], called

    return made


def says(status="pass"):
    return lambda subject: bench.Finding(status=status, sentence="looked")


def check(name, needs="model", run=None, **more):
    return bench.Check(id=name, title=name, needs=needs, run=run or says(), **more)


def test_checks_are_made_once_and_the_log_of_each_run_names_them(made):
    first, found, called = made(check("mine"), check("threatening", "threat"))
    assert (first.made, first.kept) == (2, 0)
    assert [(one["check"], one["model"], one["norm"], one["eps"]) for one in found] == [
        ("mine", "digits/mlp", "", None), ("threatening", "digits/mlp", "linf", 0.05),
    ]  # fmt: skip
    assert called == ["mine", "threatening"]
    made_on = found[1]["made_on"]
    assert (made_on["threat"], made_on["n"], len(made_on["cells"])) == (["linf", "0.05"], 24, 2)
    again, _, called = made()
    assert (again.made, again.kept) == (0, first.made)
    assert len(called) == 2


def test_a_figure_near_zero_is_not_attacked_further(ran, plan, made):
    _, found, _ = made(check("far-from-zero", "threat"))
    store, run = ran
    figures = checked_run(plan, load_results(store.root, "checked", run=run)).headline
    assert dict(zip(figures["eps"], figures["robust_accuracy"] > 0, strict=True)) == {
        0.05: True, 0.5: False,
    }  # fmt: skip
    assert [one["eps"] for one in found] == [0.05]


def test_a_check_of_a_threat_gets_the_images_that_withstood_the_run(ran, plan, made):
    seen = []

    def look(threat):
        tried = threat.attack("fgsm", threat.survivors(5))
        seen.append((threat, tried))
        return bench.Finding(status="pass", sentence="looked")

    _, found, _ = made(check("looks", "threat", look))
    threat, tried = seen[0]
    rows = load_results(ran[0].root, "checked").rows
    at_eps = rows[rows["eps"].eq(0.05) | rows["eps"].isna()]
    lost = at_eps[at_eps["success"] & (at_eps["linf"] <= 0.05 + 1e-6)]
    right = set(rows.loc[rows["correct"], "index"])
    assert set(threat.correct.nonzero().squeeze(1).tolist()) == right
    assert set(threat.robust.nonzero().squeeze(1).tolist()) == right - set(lost["index"])
    assert threat.cells.set_index("attack")["broken"].to_dict() == (
        lost.groupby("attack")["index"].nunique().to_dict()
    )
    # what the run's own attack did not break, it does not break now
    assert not tried.broken.any()
    assert found[0]["passes"] == tried.passes > 0


def test_full_checks_are_made_only_where_they_are_asked_for(made):
    _, found, _ = made(check("deep", level="full"))
    assert found == []
    full, _, called = made(level="full")
    assert (full.made, called) == (1, ["deep"])
    quick, _, called = made(level="quick")
    # what was found is not forgotten
    assert (quick.made, quick.kept, called) == (0, full.made + full.kept, ["deep"])


def test_what_there_is_no_time_for_is_left_out_and_said(made, monkeypatch):
    monkeypatch.setitem(trust.LEAST, "quick", 0.0)
    monkeypatch.setitem(trust.SHARES, "quick", 0.0)
    counts, found, _ = made(check("passes"), check("takes-long", "threat"))
    assert [one["check"] for one in found] == ["passes"]  # a few passes there is always time for
    assert counts.not_made == 1
    assert counts.line().endswith("not made, since checks may take 0 % of the attacks' time")


def test_other_bounds_or_another_model_are_another_check(made, plan):
    made(check("of-one"))
    request = plan.suite.models[0]
    other = dataclasses.replace(plan, fingerprints={request: "another"})
    counts, _, called = made(at=other)
    assert counts.kept == 0
    assert called == ["of-one", "of-one"]


def test_after_a_required_check_fails_the_others_of_the_model_are_not_made(made):
    counts, _, called = made(
        check("needed", run=says("fail"), required=True), check("later"), check("threats", "threat")
    )
    assert called == ["needed"]
    assert counts.not_made == 0


def test_a_check_that_breaks_is_a_finding_and_an_interrupted_one_loses_no_other(made, ran, plan):
    def breaks(model):
        raise KeyError("l7")

    stop = [True]

    def stops(model):
        if stop:
            raise KeyboardInterrupt
        return bench.Finding(status="pass", sentence="looked")

    with pytest.raises(KeyboardInterrupt):
        made(check("breaks", run=breaks), check("stops", run=stops))
    stop.clear()
    counts, _, called = made()
    assert (counts.made, called) == (1, ["breaks", "stops", "stops"])
    store, _ = ran
    found = {
        one["check"]: one["findings"][0]
        for one in load_results(store.root, "checked").checked.found
    }
    assert found["breaks"]["sentence"].startswith("the check itself failed: ")
    assert found["breaks"]["model"] == "digits/mlp"


def test_checks_are_off_where_they_are_not_wanted_and_for_a_share_of_a_suite(ran, plan):
    store, _ = ran
    run = execute(plan, store).run
    assert examine(plan, store, run, Effort(level="off")).counts is None
    assert examine(plan, store, run, scope=Scope(shard="1/2")).counts is None
    assert load_results(store.root, "checked", run=run).checked.level == ""
