"""Models that are trained before a run: said, not trained when dry, left out where they die."""

import pytest

from bench import zoo
from bench.errors import TrainingFailed, UnsupportedAttack
from bench.runner import training
from bench.runner.plan import make_plan
from bench.runner.suite import load_suite
from bench.train.cards import read_card, retrained_dir

GOOD, DEADLY = "digits/bp-K2-w3-n1-pool2-relu", "digits/ll-K3-w3-m2-p2-delta0.9-n1-pool2-relu"
WHY = "local learning, epoch 3 of 80: the blue wall of death: take a smaller delta"

SUITE = f"""\
title  = "Trained"
data   = "digits"
images = 20

[[models]]
name = ["{DEADLY}", "{GOOD}"]

[[attacks]]
name = "fgsm"
norm = "linf"
eps  = "0.1"
toolkits = ["foolbox"]

[[attacks]]
name = "universal"
norm = "linf"
eps  = "0.1"
passes = 1
fitted_on = "{DEADLY}"
toolkits = ["native"]
"""


@pytest.fixture
def suite(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    trained = zoo.train_model

    def train_model(name, data):
        if name == DEADLY:
            raise TrainingFailed(WHY)
        return trained(name, data)

    monkeypatch.setattr(training, "train_model", train_model)
    path = tmp_path / "trained.toml"
    path.write_text(SUITE)
    return load_suite(str(path))


def test_a_dry_plan_trains_nothing_and_names_what_is_to_be(suite):
    plan = make_plan(suite, train=False)
    assert plan.untrained == (DEADLY, GOOD)
    assert (plan.cells, plan.adapters) == ({}, {})
    assert read_card(retrained_dir(), GOOD) is None
    zoo.load_model(GOOD)
    plan = make_plan(suite, train=False)
    assert plan.untrained == (DEADLY,)
    assert {cell.model.name for cell in plan.cells.values()} == {GOOD}
    assert plan.left_out == (f"universal fitted on {DEADLY}: it has to be trained first",)


def test_a_model_that_dies_is_left_out_with_its_reason(suite):
    said = []
    plan = make_plan(suite, note=said.append)
    assert said[:2] == ["training 2 models first", f"[1/2] {DEADLY}: training FAILED: {WHY}"]
    assert said[2].startswith(f"[2/2] {GOOD}: clean accuracy ")
    assert [model.name for model in plan.suite.models] == [GOOD]
    assert {cell.attack.name for cell in plan.cells.values()} == {"fgsm"}
    assert plan.left_out == (f"{DEADLY}: {WHY}", f"universal fitted on {DEADLY}: {WHY}")
    said.clear()
    make_plan(suite, models=[GOOD], attacks=["fgsm"], note=said.append)
    assert said == []  # nothing is left to train


def test_a_suite_of_nothing_else_cannot_be_run(suite):
    with pytest.raises(
        UnsupportedAttack, match=r"nothing of suite trained can be run: .*blue wall"
    ):
        make_plan(suite, models=[DEADLY])
