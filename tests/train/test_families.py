"""A family of models is one entry in a table, and a plug-in adds one through the public seam."""

import dataclasses
import json

import own_family
import pytest
import torch
from command import call

import bench
from bench.errors import SpecError
from bench.model_names import MODELS, check_options
from bench.store.results import load_results
from bench.train.cards import SHIPPED, read_card, retrained_dir, snapshots_file
from bench.train.families import FAMILIES, Family, abstaining_is_wrong, family_named
from bench.train.recipe import Recipe
from bench.train.recipes import RECIPES, recipe

SUITE = """
title  = "Means"
data   = "digits"
images = 20

[[models]]
name   = "digits/means"
margin = 0.01

[[attacks]]
name     = "fgsm"
norm     = "linf"
eps      = "0.2"
toolkits = ["torchattacks"]
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "means.py"
    path.write_text(own_family.PLUGIN)
    return path


@pytest.mark.slow
def test_a_plug_in_adds_a_family_that_is_listed_trained_attacked_and_told_of(plugin, tmp_path):
    listed = call("ls", "models", "--plugin", plugin, "--json", cwd=tmp_path)
    (known,) = (
        one for one in map(json.loads, listed.stdout.splitlines()) if one["name"] == "digits/means"
    )
    assert (known["family"], known["surfaces"]) == ("means", ["means"])
    assert known["weights"] == "trained at first use"
    (tmp_path / "means.toml").write_text(SUITE)
    done = call("run", "--suite", "means.toml", "--plugin", plugin, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    results = load_results(tmp_path / "results", "means")
    assert set(results.cells["status"]) == {"done"}
    assert set(results.rows["family"]) == {"means"}
    assert results.rows["success"].any()
    (model,) = results.models
    assert (model["margin"], model["epochs"], model["sigma"]) == (0.01, [1], None)
    assert model["request"] == {"name": "digits/means", "options": {"margin": 0.01}}


def test_a_model_of_a_plug_ins_family_is_a_users(plugin, registry):
    model = bench.load_model("digits/means", {"margin": 0.5}, plugin=plugin)
    assert model.margin == 0.5
    card = read_card(retrained_dir(), "digits/means")
    assert card["precision"] == "float16, means float32"
    assert card["reach"] == pytest.approx(float(model.net.means.detach().abs().max()))
    assert snapshots_file(retrained_dir(), "digits/means").is_file()
    assert Recipe.read(card["recipe"]).family == "means"
    assert abstaining_is_wrong("means")
    assert not MODELS["digits/means"].facts["ours"]
    with pytest.raises(SpecError, match="digits/means takes margin, got depth"):
        check_options("digits/means", {"depth": 1})
    # The same weights are loaded, not trained again.
    first = retrained_dir() / "digits" / "means.safetensors"
    made = first.stat().st_mtime_ns
    assert torch.equal(bench.load_model("digits/means").net.means, model.net.means)
    assert first.stat().st_mtime_ns == made


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "network"}, "family 'network' is one of Crossfire's own"),
        ({"recipes": {"digits/mlp": RECIPES["digits/mlp"]}}, "there is a model 'digits/mlp' already"),
        ({"recipes": {"digits/new": RECIPES["digits/mlp"]}}, "of family 'network', not 'means'"),
        ({"made_of_others": ("nowhere/new",)}, "no data set named 'nowhere'"),
    ],
)  # fmt: skip
def test_a_family_that_cannot_be_added_is_refused(registry, change, words):
    with pytest.raises(SpecError, match=words):
        bench.register_family(dataclasses.replace(Family(name="means"), **change))
    assert "means" not in FAMILIES


def test_an_unknown_family_is_said():
    with pytest.raises(SpecError, match="no family named 'networks'; did you mean network"):
        family_named("networks")
    with pytest.raises(SpecError, match="no family named 'trees'"):
        bench.register_model("tree", data="digits", family="trees")
    assert not abstaining_is_wrong("trees")


@pytest.mark.parametrize("name", list(RECIPES))
def test_recipes_keep_their_family_on_a_card(name):
    rules = RECIPES[name]
    assert Recipe.read(rules.written()).family == rules.family
    # Cards are compared with those written before they named a family; some networks and features are newer.
    newer = rules.family == "features" or (rules.family == "network" and bool(rules.options))
    assert ("family" in rules.written()) == newer


def test_a_network_with_options_is_a_network():
    rules = dataclasses.replace(recipe("digits/mlp"), options=(("width", 3),))
    assert rules.written()["family"] == "network"
    assert Recipe.read(rules.written()).family == "network"


def test_shipped_cards_that_name_no_family_are_read():
    families = {
        name: Recipe.read(read_card(SHIPPED, name)["recipe"]).family
        for name, rules in RECIPES.items()
        if rules.shipped
    }
    assert families == {name: RECIPES[name].family for name in families}
    assert set(families.values()) == {"network", "neighbours", "local-learning"}


def test_only_families_that_may_tie_take_no_class_for_wrong():
    wrong = {name for name in FAMILIES if abstaining_is_wrong(name)}
    assert wrong == {"neighbours", "ensemble", "features"}
