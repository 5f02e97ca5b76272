"""Models that are trained before a run: said, not trained when dry, left out where they die."""

import shutil

import pytest

from bench import zoo
from bench.errors import TrainingFailed, UnsupportedAttack
from bench.runner import sketch, training
from bench.runner.estimate import CELL_SECONDS, estimate
from bench.runner.execute import execute
from bench.runner.plan import make_plan
from bench.runner.selection import Selection
from bench.runner.suite import load_suite
from bench.spec import Certifier
from bench.store.store import open_store
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
    assert plan.cells == {}
    assert [cell.attack.name for cell in plan.later] == ["fgsm", "universal"] * 2
    assert read_card(retrained_dir(), GOOD) is None
    zoo.load_model(GOOD)
    plan = make_plan(suite, train=False)
    assert plan.untrained == (DEADLY,)
    made = [(cell.model.name, cell.attack.name) for cell in plan.cells.values()]
    assert made == [(GOOD, "fgsm")]
    assert [(cell.model.name, cell.attack.name) for cell in plan.later] == [
        (DEADLY, "fgsm"), (DEADLY, "universal"), (GOOD, "universal"),
    ]  # fmt: skip


def test_a_model_that_dies_is_left_out_with_its_reason(suite):
    said = []
    plan = make_plan(suite, note=said.append)
    assert said[:2] == ["training 2 models first", f"[1/2] {DEADLY}: training FAILED: {WHY}"]
    assert said[2].startswith(f"[2/2] {GOOD}: clean accuracy ")
    assert [model.name for model in plan.suite.models] == [GOOD]
    assert {cell.attack.name for cell in plan.cells.values()} == {"fgsm"}
    assert plan.left_out == (f"{DEADLY}: {WHY}", f"universal fitted on {DEADLY}: {WHY}")
    said.clear()
    make_plan(suite, Selection(models=[GOOD], attacks=["fgsm"]), note=said.append)
    assert said == []  # nothing is left to train


def test_a_suite_of_nothing_else_cannot_be_run(suite):
    with pytest.raises(
        UnsupportedAttack, match=r"nothing of suite trained can be run: .*blue wall"
    ):
        make_plan(suite, Selection(models=[DEADLY]))


def test_a_dry_plan_counts_the_cells_of_what_is_to_be_trained(suite, tmp_path):
    expected = estimate(plan := make_plan(suite, train=False), open_store(tmp_path / "r"), [])
    assert expected.line().startswith("4 cells of 20 images, of which 4 after training 2 models, 0")
    with pytest.raises(ValueError, match="without training cannot be run"):
        execute(plan, open_store(tmp_path / "r"))


VOTES = """
title  = "Votes"
data   = "digits"
images = 10
[[models]]
name = ["digits/dml-contrastive-adam", "digits/randomized-smoothing"]
[[attacks]]
name = "fgsm"
norm = "linf"
eps  = 0.1
[[attacks]]
name = "certify"
norm = "l2"
"""


@pytest.mark.slow
def test_the_sketch_of_a_plan_embeds_nothing_and_then_has_the_same_keys(
    tmp_path, monkeypatch, cache
):
    """Its cells are those of the run: none of them known before, all of them after."""
    shutil.copytree(cache, tmp_path / "cache")
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    for name in ("digits/dml-contrastive-adam", "digits/noisy"):
        zoo.train_model(name, None)
    shutil.rmtree(tmp_path / "cache" / "banks", ignore_errors=True)
    (tmp_path / "votes.toml").write_text(VOTES)
    suite = load_suite(str(tmp_path / "votes.toml"))
    first = make_plan(suite, train=False)
    assert not (tmp_path / "cache" / "banks").exists()
    assert first.unembedded == ("digits/dml-contrastive-adam",)
    assert {cell.model.name for cell in first.cells.values()} == {"digits/randomized-smoothing"}
    real = make_plan(suite)
    assert len(real.cells) == len(first.cells) + len(first.later)
    again = make_plan(suite, train=False)
    assert (list(again.cells), again.later) == (list(real.cells), ())
    assert again.left_out == real.left_out == first.left_out
    foretold = estimate(again, open_store(tmp_path / "r"), list(again.cells))
    assert len(foretold.seconds) == len(again.cells)
    assert all(seconds > CELL_SECONDS for seconds in foretold.seconds.values())


@pytest.mark.parametrize("name", ["digits/dml-contrastive-adam", "digits/randomized-smoothing",
                                  "digits/mlp", "digits/ll-K5-w4-m3-p2-n4-pool3-gelu"])  # fmt: skip
def test_what_a_sketch_says_of_a_model_is_what_the_model_says(name, cache):
    outline, model = sketch._outline(name), zoo.load_model(name)
    assert tuple(outline.surfaces()) == tuple(model.surfaces())
    assert isinstance(outline, Certifier) == isinstance(model, Certifier)
    told = ("name", "family", "data", "input_shape", "num_classes")
    assert [getattr(outline.spec, one) for one in told] == [
        getattr(model.spec, one) for one in told
    ]


def test_models_that_the_attacks_kept_are_not_made_on_are_not_loaded(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    text = SUITE.replace('name = "fgsm"', f'name = "fgsm"\nmodels = ["{GOOD}"]')
    (tmp_path / "some.toml").write_text(text)
    plan = make_plan(
        load_suite(str(tmp_path / "some.toml")), Selection(attacks=["fgsm"]), train=False
    )
    assert plan.untrained == (GOOD,)
    assert plan.asked["models"] == [1, 2]
