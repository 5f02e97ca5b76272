"""Repeated trainings by name, and cards without weights as their records."""

import dataclasses
import json

import pytest

from bench import zoo
from bench.errors import PrerequisiteError, SpecError
from bench.model_list import listing
from bench.model_names import MODELS
from bench.runner.manifest import manifest
from bench.runner.plan import make_plan
from bench.runner.selection import Selection
from bench.runner.suite import load_suite
from bench.store.identity import suite_content
from bench.store.results import load_results
from bench.store.runlog import start_run
from bench.store.store import open_store
from bench.train.cards import SHIPPED, read_card, retrained_dir, weights_folder
from bench.train.recipes import RECIPES, recipe
from bench.train.trainings import trainings

#: A model with weights, and one without any card here.
NAME, BARE = "flowers17/mk-2-slim", "flowers17/mk-4-slim"


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))


def keep_card(name, **more):
    """Keep the card of a training in the cache, without weights; fields of its recipe are replaced."""
    card = read_card(SHIPPED, NAME)
    path = retrained_dir() / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(card | {"name": name, "recipe": card["recipe"] | more}))


@pytest.mark.parametrize(("name", "base", "first_use"), [
    (f"{NAME}-seed3", NAME, False), ("digits/mlp-seed3", "digits/mlp", True), ("cifar10/cnn-seed3", "cifar10/cnn", False),
    ("digits/features-cnn-knn-seed3", "digits/features-cnn-knn", True),
])  # fmt: skip
def test_a_name_with_a_seed_is_the_same_recipe_with_that_seed(name, base, first_use):
    wanted = dataclasses.replace(RECIPES[base], seed=3, shipped=False, first_use=first_use)
    assert recipe(name) == wanted
    assert MODELS[name].facts == MODELS[base].facts
    assert name not in list(MODELS)


@pytest.mark.parametrize("seed", ["seed0", "seed", "seed01", "seed1-seed2"])
def test_other_names_with_a_seed_are_none(seed):
    with pytest.raises(SpecError, match="no recipe named"):
        recipe(f"{NAME}-{seed}")


def test_local_learning_keeps_its_own_seeds():
    name = "cifar10/bp-K10-w4-n4-pool5-gelu-seed9"
    assert recipe(name).options == RECIPES[name.removesuffix("-seed9")].options
    assert recipe(name).first_use


def test_a_card_without_weights_is_no_model(own_cache):
    repeat = f"{NAME}-seed1"
    for name in (NAME, repeat, BARE, "digits/mlp"):
        keep_card(name)
    assert weights_folder(NAME) == SHIPPED
    assert weights_folder(repeat) is None
    with pytest.raises(PrerequisiteError, match=f"bench train {repeat}"):
        zoo.load_model(repeat)
    assert zoo.has_to_be_trained("digits/mlp")
    listed = {record["name"]: record for record in listing()}
    assert listed[BARE]["weights"] == "trained when asked for"
    assert listed[BARE]["clean_accuracy"] is None
    assert listed[NAME]["weights"] == "shipped"


def test_trainings_are_those_with_learning_curves_and_the_cache_goes_first(own_cache):
    keep_card(f"{BARE}-seed10", seed=10)
    keep_card(f"{BARE}-seed2", seed=2)
    keep_card(NAME, start={"model": "cifar10/cnn", "part": "a", "into": "b"},
              phases=[{"epochs": 2}, {"epochs": 3}])  # fmt: skip
    found, left_out = trainings((NAME, f"{BARE}*", "cifar10/cnn", "flowers17/nothing-*"))
    assert [(training["configuration"], training["seed"]) for training in found] == [
        (NAME, 0), (BARE, 2), (BARE, 10),
    ]  # fmt: skip
    assert (found[0]["trunk"], found[0]["phases"]) == ("cifar10/cnn", [2, 3])
    assert (found[1]["trunk"], found[1]["phases"]) == (None, [])
    assert found[1]["curves"]["chosen_by"] == "validation"
    assert left_out == (
        "trainings: no card that matches 'cifar10/cnn' has learning curves: its recipe watches no validation images",
        "trainings: no card matches 'flowers17/nothing-*'; bench train NAME makes one",
    )


def test_a_run_records_the_trainings_that_its_suite_names(tiny_suite, tmp_path):
    without = load_suite(str(tiny_suite))
    tiny_suite.write_text(f'trainings = ["{NAME}", "none/*"]\n' + tiny_suite.read_text())
    suite = load_suite(str(tiny_suite))
    assert suite_content(dataclasses.replace(suite, trainings=())) == suite_content(without)
    assert suite_content(suite) != suite_content(without)
    plan = make_plan(suite, Selection(attacks=["noise"]))
    assert len(plan.left_out) == 1
    start_run(open_store(tmp_path / "r"), manifest(plan, None))
    (training,) = load_results(tmp_path / "r", str(tiny_suite), plan.content).trainings
    assert training == trainings((NAME,)).found[0]
