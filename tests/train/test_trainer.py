import dataclasses
import importlib.util

import pytest
import torch

from bench.data.datasets import load
from bench.errors import SpecError
from bench.train.augmentation import augmented
from bench.train.gradient_descent import normalised
from bench.train.recipe import Recipe
from bench.train.recipes import RECIPES, recipe
from bench.train.trainer import build, train

QUICK = dataclasses.replace(RECIPES["digits/mlp"], epochs=2)
OF_TIMM = {"efficientnet-lite0", "mobilenetv1"}


def weights(net):
    return torch.cat([value.flatten().float() for value in net.state_dict().values()])


def test_the_same_recipe_and_seed_give_the_same_network():
    data = load("digits", "train")
    first = weights(train(QUICK, data))
    torch.rand(3)  # whatever was drawn before must not matter
    assert torch.equal(first, weights(train(QUICK, data)))
    assert not torch.equal(first, weights(train(dataclasses.replace(QUICK, seed=1), data)))


def test_training_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    train(QUICK, load("digits", "train").first(64))
    assert torch.equal(torch.get_rng_state(), before)


def test_training_learns_and_reports_each_epoch():
    seen = []
    data, test = load("digits", "train"), load("digits", "test")
    rules = dataclasses.replace(RECIPES["digits/mlp"], epochs=5)
    net = train(rules, data, watch=lambda epoch, _: seen.append(epoch))
    assert [epoch.number for epoch in seen] == [1, 2, 3, 4, 5]
    assert seen[-1].loss < seen[0].loss
    assert not net.training
    hits = net(normalised(test.images, rules)).argmax(1) == test.labels
    assert hits.float().mean() > 0.85


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_every_optimiser_learns(optimiser):
    rules = dataclasses.replace(QUICK, optimiser=optimiser, learning_rate=0.01, epochs=3)
    losses = []
    train(
        rules, load("digits", "train").first(512), watch=lambda epoch, _: losses.append(epoch.loss)
    )
    assert losses[2] < losses[1] < losses[0]


def test_an_unknown_optimiser_is_said():
    with pytest.raises(SpecError, match="lion"):
        train(dataclasses.replace(QUICK, optimiser="lion"), load("digits", "train").first(64))


def test_augmentation_only_moves_and_mirrors_pixels():
    rules = dataclasses.replace(RECIPES["cifar10/cnn"], crop=2)
    raw = torch.arange(1, 65, dtype=torch.uint8).view(1, 1, 8, 8).repeat(50, 1, 1, 1)
    torch.manual_seed(0)
    moved = augmented(raw, rules)
    assert moved.shape == raw.shape
    assert len(moved.flatten(1).unique(dim=0)) > 10
    centre = moved[:, 0, 2:6, 2:6].flatten(1)
    assert (centre > 0).all()  # two pixels of padding never reach the middle
    rows = {tuple(row) for image in raw[0, 0].tolist() for row in [image]}
    mirrored = rows | {row[::-1] for row in rows}
    inner = [row for row in moved[:, 0].flatten(0, 1).tolist() if 0 not in row]
    assert inner
    assert all(tuple(row) in mirrored for row in inner)


def test_without_crop_and_flip_images_stay():
    raw = torch.randint(0, 255, (4, 1, 8, 8), dtype=torch.uint8)
    assert torch.equal(augmented(raw, RECIPES["mnist/cnn"]), raw)


def test_every_recipe_builds_its_network():
    with torch.device("meta"):  # without their weights, some of which are large
        for rules in RECIPES.values():
            if importlib.util.find_spec("timm") or not set(dict(rules.options).values()) & OF_TIMM:
                assert len(build(rules).state_dict()) > 0


def test_an_unknown_recipe_names_the_nearest():
    with pytest.raises(SpecError, match="cifar10/cnn"):
        recipe("cifar/cnn")


def test_augmentation_is_that_of_the_seed():
    rules, raw = RECIPES["cifar10/resnet50-slim"], torch.randint(0, 255, (20, 3, 32, 32))
    found = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        found.append(augmented(raw.to(torch.uint8), rules))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_bfloat16_learns_and_leaves_weights_in_single_precision():
    rules = dataclasses.replace(RECIPES["digits/cnn"], epochs=5, precision="bfloat16")
    data, test = load("digits", "train"), load("digits", "test")
    net = train(rules, data)
    assert {weight.dtype for weight in net.parameters()} == {torch.float32}
    assert not torch.equal(
        weights(net), weights(train(dataclasses.replace(rules, precision="float32"), data))
    )
    hits = net(normalised(test.images, rules)).argmax(1) == test.labels
    assert hits.float().mean() > 0.85


def test_an_unknown_precision_names_those_there_are():
    with pytest.raises(SpecError, match="bfloat16"):
        train(dataclasses.replace(QUICK, precision="bfloat"), load("digits", "train").first(64))


def test_a_recipe_is_written_with_its_precision_only_where_it_is_not_single():
    assert "precision" not in QUICK.written()
    rules = dataclasses.replace(QUICK, precision="bfloat16")
    assert rules.written()["precision"] == "bfloat16"
    assert Recipe.read(rules.written()) == dataclasses.replace(rules, shipped=True)
