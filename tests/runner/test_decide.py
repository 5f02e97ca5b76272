"""Images are added to undecided comparisons of small networks on digits."""

from __future__ import annotations

import build
import pytest

from bench.measure.outcomes import Outcomes
from bench.runner import compute as execution
from bench.runner import decide as module
from bench.runner.decide import Limits, decide
from bench.runner.execute import execute
from bench.runner.loading import Setting
from bench.runner.plan import make_plan
from bench.runner.scope import Scope
from bench.runner.selection import Selection
from bench.runner.suite import load_suite
from bench.store.results import load_results
from bench.store.store import open_store
from bench.trust.comparisons import comparisons
from bench.trust.verdicts import HOLDS, UNDECIDED

FGSM = {"name": "fgsm", "norm": "linf", "eps": ["0.02", "0.1"], "toolkits": ["torchattacks"]}
#: The networks differ under attack and not at all on clean images.
CLAIMS = [
    {"says": "wide", "left": "digits/pgd-linf-at", "right": "digits/basic", "attacks": ["fgsm"], "eps": "0.1",
     "expect": "left > right"},
    {"says": "clean", "left": "digits/pgd-linf-at", "right": "digits/basic", "eps": "0", "expect": "left > right"},
]  # fmt: skip


@pytest.fixture
def made(tmp_path):
    """Return a function that plans and runs a suite with claims on 20 images."""
    store = open_store(tmp_path / "results")

    def make(*claims, together=20):
        path = tmp_path / "pair.toml"
        path.write_text(
            build.suite(["digits/basic", "digits/pgd-linf-at"], [FGSM], claims, images=20)
        )
        plan = make_plan(load_suite(str(path)), setting=Setting(batch_size=together))
        return plan, store, execute(plan, store).run

    return make


def run_of(plan, store, run):
    return load_results(store.root, plan.suite.name, plan.content, run)


@pytest.mark.slow
def test_images_are_added_to_what_is_undecided_until_it_is_decided(made):
    plan, store, run = made(CLAIMS[0])
    assert list(comparisons(Outcomes(run_of(plan, store, run)))["verdict"]) == [UNDECIDED]
    events = []
    last = decide(plan, store, run, Limits(budget=600), Scope(), events.append)
    found = run_of(plan, store, last)
    compared = comparisons(Outcomes(found))
    assert list(compared["verdict"]) == [HOLDS]
    counts = found.cells.set_index(["model", "eps"])["images"]
    assert (counts.xs("0.02", level=1) == 20).all()  # nothing asks for these
    assert set(counts.xs("0.1", level=1)) == {int(compared["n"][0])}
    assert (found.added.ended, found.added.whole) == (
        "decided",
        {"digits/basic": 500, "digits/pgd-linf-at": 500},
    )
    looks = [event for event in events if event["event"] == "look"]
    assert [look["undecided"] for look in looks] == [1] * (len(looks) - 1) + [0]
    assert [look["images"] for look in looks[:2]] == [[40], [60]]
    assert events[-1] == {"event": "end", "ended": "decided", "left": ""}
    assert not any(event["event"] == "kept" for event in events)
    # The same again finds all of it.
    again = decide(plan, store, run, Limits(budget=600), Scope(), events.append)
    assert list(run_of(plan, store, again).cells["cell"]) == list(found.cells["cell"])


@pytest.mark.slow
def test_the_budget_and_the_most_images_are_kept_to(made):
    plan, store, run = made(CLAIMS[1], together=100)
    events = []
    none = run_of(
        plan, store, decide(plan, store, run, Limits(budget=1e-9), Scope(), events.append)
    )
    assert (none.added.ended, none.added.cells, none.asked_images) == ("budget", {}, {})
    assert none.added.left.startswith(
        "claim 1, digits/pgd-linf-at : digits/basic, clean, on 20 images so far"
    )
    some = run_of(plan, store, decide(plan, store, run, Limits(budget=600, images=50), Scope()))
    assert (some.added.ended, some.added.left) == ("images", "")
    # One cell of each model tells which clean images it gets right.
    assert sorted(some.cells["images"]) == [20, 20, 50, 50]
    assert sorted(some.asked_images.values()) == [20, 20]
    every = run_of(plan, store, decide(plan, store, run, Limits(budget=600), Scope()))
    assert sorted(every.cells["images"]) == [20, 20, 500, 500]
    compared = comparisons(Outcomes(every)).iloc[0]
    assert (compared["n"], compared["note"]) == (500, "all images were used")


def test_a_cell_that_fails_keeps_the_images_that_it_had(made, monkeypatch):
    plan, store, run = made(CLAIMS[0])
    compute = execution.compute_chunk

    def failing(task, part):
        if part.start >= 40 and task.named["model"] == "digits/basic":
            raise RuntimeError("no more")
        return compute(task, part)

    monkeypatch.setattr(execution, "compute_chunk", failing)
    last = run_of(plan, store, decide(plan, store, run, Limits(budget=600), Scope()))
    assert set(last.cells["status"]) == {"done"}
    of_basic = last.cells[last.cells["model"] == "digits/basic"]
    assert set(of_basic["images"]) == {20, 40}
    assert last.added.ended == "images"


def test_a_run_that_was_stopped_goes_on_with_what_it_has(made, monkeypatch):
    plan, store, run = made(CLAIMS[0])

    def stopped(self, step):
        if max(step.counts.values()) > 40:
            raise KeyboardInterrupt
        take(self, step)

    take = module._Adding.take
    monkeypatch.setattr(module._Adding, "take", stopped)
    with pytest.raises(KeyboardInterrupt):
        decide(plan, store, run, Limits(budget=600), Scope())
    monkeypatch.undo()
    events = []
    decide(plan, store, execute(plan, store).run, Limits(budget=600), Scope(), events.append)
    first = next(event for event in events if event["event"] == "look")
    assert first["images"] == [60]


@pytest.mark.parametrize(
    "suite",
    [
        pytest.param("digits-defences", marks=pytest.mark.long),
        pytest.param("digits-local", marks=pytest.mark.slow),
    ],
)
def test_what_all_images_decide_is_decided_in_the_same_way(suite, tmp_path):
    asked, store = load_suite(suite), open_store(tmp_path / "added")
    plan = make_plan(asked)
    last = decide(plan, store, execute(plan, store).run, Limits(budget=1200), Scope())
    added = comparisons(Outcomes(run_of(plan, store, last)))["verdict"]
    every, whole = make_plan(asked, Selection(images="all")), open_store(tmp_path / "all")
    on_all = comparisons(Outcomes(run_of(every, whole, execute(every, whole).run)))["verdict"]
    decided = on_all != UNDECIDED
    assert decided.any()
    assert list(added[decided]) == list(on_all[decided])
