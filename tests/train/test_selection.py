import dataclasses

import pytest
import torch
from torch import nn

from bench.data.datasets import load
from bench.data.labelled import LabelledImages
from bench.errors import SpecError
from bench.train.cards import SHIPPED, learning_curves, read_card
from bench.train.epochs import Epoch
from bench.train.recipe import Recipe
from bench.train.recipes import RECIPES
from bench.train.selection import (
    LearningCurves,
    chosen_epoch,
    held_out_loss,
    held_out_splits,
    inputs_of,
)
from bench.train.weights import clean_accuracy, load_weights, train_to

FLOWERS = RECIPES["flowers17/mk-2-slim"]


def test_every_split_but_the_training_images_is_watched_where_one_chooses():
    assert held_out_splits(FLOWERS) == ["validation", "test"]
    assert held_out_splits(dataclasses.replace(FLOWERS, select="")) == []
    assert held_out_splits(dataclasses.replace(RECIPES["digits/mlp"], select="test")) == ["test"]


@pytest.mark.parametrize(("rules", "words"), [
    (dataclasses.replace(FLOWERS, select="train"), "it has validation, test"),
    (dataclasses.replace(RECIPES["digits/mlp"], select="validation"), "it has test"),
    (dataclasses.replace(RECIPES["digits/dml-triplet-sgd"], select="test"), "cross-entropy"),
])  # fmt: skip
def test_an_epoch_is_chosen_by_logits_on_a_split_that_is_not_trained_on(rules, words):
    with pytest.raises(SpecError, match=words):
        held_out_splits(rules)


def test_loss_and_accuracy_on_held_out_images_are_means():
    net = nn.Sequential(nn.Flatten(), nn.Linear(1, 2, bias=False))
    with torch.no_grad():
        net[1].weight.copy_(torch.tensor([[0.0], [1.0]]))
    data = LabelledImages(
        torch.tensor([0, 2, 2], dtype=torch.uint8).view(3, 1, 1, 1), torch.tensor([1, 1, 0]), top=2
    )
    rules = dataclasses.replace(RECIPES["digits/mlp"], mean=(), std=())
    inputs = inputs_of(data, rules, torch.device("cpu"))
    loss, accuracy = held_out_loss(net.train(), inputs, data.labels)
    # Logits are (0, 0), (0, 1), (0, 1): the losses are log 2, log(1 + 1/e) and log(1 + e).
    assert loss == pytest.approx((0.693147 + 0.313262 + 1.313262) / 3, abs=1e-5)
    assert accuracy == pytest.approx(1 / 3)
    assert net.training


def test_the_first_of_equal_losses_is_chosen():
    assert chosen_epoch([3.0, 1.0, 2.0, 1.0]) == 2


def test_the_weights_kept_are_those_of_least_loss_on_the_chosen_split():
    net = nn.Sequential(nn.Flatten(), nn.Linear(1, 2))
    white = torch.ones(1, 1, 1, 1, dtype=torch.uint8)
    held = {
        "validation": LabelledImages(white, torch.tensor([0]), top=1),
        "test": LabelledImages(white, torch.tensor([1]), top=1),
    }
    rules = dataclasses.replace(FLOWERS, mean=(), std=(), select="validation")
    curves = LearningCurves(rules, held)
    for number, bias in enumerate((0.0, 2.0, 1.0), start=1):
        with torch.no_grad():
            net[1].weight.zero_()
            net[1].bias.copy_(torch.tensor([bias, 0.0]))
        epoch = curves.watch(Epoch(number, 3, 0.0, 0.0, 0.0), net)
    assert float(curves.best["1.bias"][0]) == 2.0
    facts = curves.facts()
    assert facts["chosen_epoch"] == 2
    assert facts["validation_loss_by_epoch"] == [0.6931, 0.1269, 0.3133]
    assert facts["test_loss_by_epoch"] == [0.6931, 2.1269, 1.3133]
    assert facts["test_accuracy_by_epoch"] == [0.0, 0.0, 0.0]
    assert epoch.held_out == pytest.approx((0.3133, 1.0), abs=1e-4)
    assert "held-out loss 0.3133, accuracy 100.00%" in epoch.line()


def test_a_training_keeps_its_chosen_epoch_and_its_card_has_the_curves(tmp_path, monkeypatch):
    # The first epoch is chosen whatever its loss: the network of the last one is more accurate.
    monkeypatch.setattr("bench.train.selection.chosen_epoch", lambda losses: 1)
    rules = dataclasses.replace(RECIPES["digits/mlp"], select="test", epochs=3)
    monkeypatch.setitem(RECIPES, "digits/mlp", rules)
    card = train_to(tmp_path, "digits/mlp", None)
    training = card["training"]
    losses = training["test_loss_by_epoch"]
    assert len(losses) == len(training["accuracy_by_epoch"]) == 3
    assert training["chosen_epoch"] == 1
    assert card == read_card(tmp_path, "digits/mlp")
    curves = learning_curves(card)
    assert (curves["chosen_by"], curves["chosen_epoch"]) == ("test", training["chosen_epoch"])
    assert set(curves["splits"]) == {"train", "test"}
    assert curves["splits"]["test"]["loss"] == losses
    assert curves["splits"]["train"]["loss"] == training["loss_by_epoch"]
    assert curves["splits"]["train"]["accuracy"] == training["accuracy_by_epoch"]
    accuracy = clean_accuracy(load_weights(tmp_path, "digits/mlp"), load("digits", "test"))
    first, _, last = training["test_accuracy_by_epoch"]
    assert accuracy == pytest.approx(first, abs=0.004)  # the file is in half precision
    assert last > first + 0.02


def test_cards_of_trainings_that_chose_no_epoch_have_no_curves():
    assert learning_curves(read_card(SHIPPED, "cifar10/cnn")) is None


def test_recipes_are_written_with_the_new_fields_only_where_they_are_used():
    old = RECIPES["cifar10/cnn"].written()
    assert not {"select", "augmentation"} & set(old)
    assert Recipe.read(FLOWERS.written()) == dataclasses.replace(
        FLOWERS, shipped=True, first_use=True
    )
