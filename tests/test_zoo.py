import dataclasses

import pytest

import bench
from bench import model_list, zoo
from bench.adapters.network import weights_digest
from bench.errors import PrerequisiteError, SpecError
from bench.runner.plan import make_plan
from bench.runner.suite import load_suite
from bench.train.cards import read_card, retrained_dir
from bench.train.recipes import RECIPES, recipe


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))


def test_small_models_train_at_first_use_and_again_when_their_recipe_changes(
    own_cache, monkeypatch
):
    quick = dataclasses.replace(RECIPES["digits/mlp"], epochs=1)
    monkeypatch.setitem(RECIPES, "digits/mlp", quick)
    first = bench.load_model("digits/mlp").fingerprint()
    assert bench.load_model("digits/mlp").fingerprint() == first
    monkeypatch.setitem(RECIPES, "digits/mlp", dataclasses.replace(quick, epochs=2))
    assert bench.load_model("digits/mlp").fingerprint() != first
    assert read_card(retrained_dir(), "digits/mlp")["recipe"]["epochs"] == 2


def test_a_shipped_model_without_weights_names_the_command(own_cache, monkeypatch, tmp_path):
    monkeypatch.setattr(zoo, "SHIPPED", tmp_path / "nowhere")
    monkeypatch.setattr(zoo, "weights_folder", lambda name: None)
    with pytest.raises(PrerequisiteError, match="bench train cifar10/cnn"):
        bench.load_model("cifar10/cnn")


def test_the_listing_says_where_weights_come_from(own_cache):
    known = {record["name"]: record for record in model_list.listing()}
    assert known["cifar10/cnn"]["weights"] == "shipped"
    assert known["cifar10/cnn"]["clean_accuracy"] > 0.85
    assert known["mnist/cnn"]["clean_accuracy"] > 0.99
    assert known["fashion-mnist/cnn"]["clean_accuracy"] > 0.905
    assert known["digits/mlp"]["weights"] == "trained at first use"
    assert known["cifar10/resnet50"]["weights"] == "trained when asked for"


def test_a_network_that_takes_long_to_train_is_not_trained_by_loading_it(own_cache):
    assert not zoo.has_to_be_trained("cifar10/resnet50")
    with pytest.raises(PrerequisiteError, match="bench train cifar10/resnet50"):
        bench.load_model("cifar10/resnet50")


def test_options_go_to_the_factory_and_recipes_take_none(registry):
    @bench.register_model("wide", data="digits")
    def wide(width: int = 1):
        import torch

        net = torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Linear(64, width), torch.nn.Linear(width, 10)
        )
        return bench.wrap(net, 10, (1, 8, 8))

    model = bench.load_model("wide", {"width": 3})
    assert model.surfaces()["network"][1].out_features == 3
    assert (model.spec.name, model.spec.data) == ("wide", "digits")
    with pytest.raises(SpecError, match="wide takes width, got depth"):
        bench.load_model("wide", {"depth": 3})
    with pytest.raises(SpecError, match="digits/mlp takes no options, got width"):
        bench.load_model("digits/mlp", {"width": 3})


def test_a_smoothed_model_is_that_of_the_network_trained_under_its_noise(own_cache, monkeypatch):
    name = "digits/randomized-smoothing"
    plan = make_plan(load_suite("digits-defences"), train=False)
    assert plan.untrained == (
        "digits/basic", "digits/noisy", "digits/pgd-l2-at", "digits/pgd-linf-at", "digits/mixed-at",
        "digits/noisy-0.12", "digits/noisy-0.5",
    )  # fmt: skip
    quick = dataclasses.replace(RECIPES["digits/noisy"], epochs=1)
    monkeypatch.setitem(RECIPES, "digits/noisy", quick)
    model = bench.load_model(name, {"n": 20})
    assert (model.spec.name, model.spec.family, model.spec.data) == (name, "smoothed", "digits")
    assert (model.n, model.noise.sigma) == (20, 0.25)
    assert weights_digest(model.base) == bench.load_model("digits/noisy").fingerprint()
    with pytest.raises(SpecError, match="has the weights of digits/noisy; train that"):
        recipe(name)
    with pytest.raises(SpecError, match="takes sigma, n, alpha, got depth"):
        bench.load_model(name, {"depth": 3})
    (listed,) = (record for record in model_list.listing() if record["name"] == name)
    assert listed["surfaces"] == list(model.surfaces())
    assert (listed["weights"], listed["clean_accuracy"]) == ("trained here", None)


def test_an_unknown_model_names_the_nearest():
    with pytest.raises(SpecError, match="did you mean cifar10/cnn"):
        bench.load_model("cifar10/cn")
