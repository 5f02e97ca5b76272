import json

import pytest
import torch
from torch import nn

import bench
from bench.errors import StoreError
from bench.runner.answers import check_answers, earlier_versions
from bench.runner.execute import execute
from bench.runner.plan import make_plan
from bench.runner.scope import Scope
from bench.runner.selection import Selection
from bench.runner.suite import load_suite
from bench.store.store import open_store


def linear(turn=0.0):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    with torch.no_grad():
        net[1].weight.mul_(20)
        net[1].bias[0] += turn
    return net


def registered(function, **settings):
    bench.register_model("remote", data="digits")(
        lambda: bench.wrap_predict(function, 10, (1, 8, 8), **settings)
    )


@pytest.fixture
def planned(tiny_suite, registry):
    """Return a function that plans noise on the registered model alone."""
    suite = load_suite(str(tiny_suite))
    return lambda: make_plan(suite, Selection(models=["remote"], attacks=["noise"]))


@pytest.fixture
def store(tmp_path):
    return open_store(tmp_path / "r")


def test_answers_that_changed_under_one_fingerprint_stop_a_run_before_a_row(planned, store):
    registered(lambda x: linear()(x).softmax(1), fingerprint="v1")
    execute(planned(), store)
    (kept,) = (store.root / "models").iterdir()
    assert len(json.loads(kept.read_text())["labels"]) == 30 + 8
    before = sorted(path for path in store.root.rglob("*") if path.is_file())
    registered(lambda x: linear(5.0)(x).softmax(1), fingerprint="v1")
    with pytest.raises(
        StoreError, match=r"remote gives other answers .* another fingerprint than 'v1'"
    ):
        execute(planned(), store, Scope(overwrite="always"))
    assert sorted(path for path in store.root.rglob("*") if path.is_file()) == before
    registered(lambda x: linear(5.0)(x).softmax(1), fingerprint="v2")
    assert len(execute(planned(), store).computed) == 1


@pytest.mark.parametrize("scores", ["probabilities", "logits", "labels"])
def test_what_another_processor_rounds_is_no_change(planned, store, scores):
    change = [False]

    def answers(rounding):
        def predict(x):
            logits = linear(30.0 * change[0])(x) * (1 + rounding)
            kinds = {"probabilities": logits.softmax(1), "labels": logits.argmax(1)}
            return kinds.get(scores, logits)

        declared = {"scores": "logits"} if scores == "logits" else {}
        registered(predict, fingerprint="v1", **declared)
        return check_answers(planned(), store)

    assert answers(0.0) == answers(1e-5) == answers(-1e-5) == {}
    kept = next((store.root / "models").iterdir()).read_text()
    change[0] = True
    with pytest.raises(StoreError, match="gives other answers"):
        answers(0.0)
    assert next((store.root / "models").iterdir()).read_text() == kept


def test_a_random_model_is_not_held_to_its_answers(planned, store):
    generator = torch.Generator()

    def predict(x):
        return torch.rand((len(x), 10), generator=generator).mul(5).softmax(1)

    for seed in (0, 1, 2):
        generator.manual_seed(seed)
        registered(predict, fingerprint="v1")
        assert check_answers(planned(), store) == {}


def test_scores_that_are_not_finite_are_answers_too(planned, store):
    def predict(x):
        scores = linear()(x).softmax(1)
        return torch.where(x.flatten(1).mean(1, keepdim=True) > 0.45, torch.nan, scores)

    def probed(x):  # the probe at wrapping sees sound scores
        return predict(x) if len(x) > 2 else predict(x * 0)

    registered(probed, fingerprint="v1")
    assert check_answers(planned(), store) == check_answers(planned(), store) == {}
    kept = json.loads(next((store.root / "models").iterdir()).read_text())
    assert [None, None] in kept["largest"]


def test_scores_of_another_kind_on_the_data_fail_the_models_cells_and_no_others(
    tiny_suite, registry, store
):
    def predict(x):
        scores = linear()(x)
        return scores.softmax(1) if len(x) <= 2 else scores.log_softmax(1)

    registered(predict, fingerprint="v1")
    plan = make_plan(load_suite(str(tiny_suite)), Selection(attacks=["noise"]))
    told = []
    outcome = execute(plan, store, on_event=told.append)
    assert (len(outcome.computed), len(outcome.failed)) == (1, 1)
    (failed,) = (event for event in told if event["event"] == "failed")
    assert "remote: its scores are log-probabilities" in failed["error"]


def test_rows_of_another_version_are_spoken_of_once(planned, store):
    notes = []

    def run(turn):
        registered(lambda x: linear(turn)(x).softmax(1))
        plan = planned()
        told = []
        execute(plan, store, on_event=told.append)
        notes.append([event["note"] for event in told if event["event"] == "note"])
        assert earlier_versions(plan, store) == []

    for turn in (0.0, 0.0, 1.0, 1.0):
        run(turn)
    assert [len(said) for said in notes] == [0, 0, 1, 0]
    assert "rows of another version of this model" in notes[2][0]


def test_crossfires_own_models_are_not_asked(tiny_suite, store):
    plan = make_plan(load_suite(str(tiny_suite)), Selection(attacks=["noise"]))
    assert check_answers(plan, store) == {}
    assert not (store.root / "models").exists()
