"""Poisoned training images: what is changed, and what becomes of the models."""

import numpy as np
import pytest
import torch

from bench.data.datasets import load
from bench.errors import SpecError
from bench.train.cards import read_card
from bench.train.poisoning import poisoned, with_pattern
from bench.train.recipe import Poison, Recipe
from bench.train.recipes import recipe
from bench.train.weights import train_to


@pytest.fixture
def images():
    return load("digits", "train")


def test_the_pattern_is_that_of_art():
    from art.attacks.poisoning.perturbations import add_pattern_bd

    x = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    theirs = add_pattern_bd(x.numpy(), channels_first=True)
    assert np.array_equal(with_pattern(x).numpy(), theirs)


def test_a_share_of_the_labels_is_flipped_and_no_image_changed(images):
    found = poisoned(images, Poison(share=0.2), 10, 0)
    flipped = found.labels != images.labels
    assert int(flipped.sum()) == round(0.2 * 1297)
    assert found.raw.equal(images.raw)
    assert len(found.labels[flipped].unique()) == 10
    assert not found.labels.equal(poisoned(images, Poison(share=0.2), 10, 1).labels)


def test_a_back_door_marks_images_of_other_classes_and_gives_them_the_target(images):
    found = poisoned(images, Poison(share=0.1, target=3), 10, 0)
    changed = found.labels != images.labels
    assert int(changed.sum()) == 130
    assert found.labels[changed].eq(3).all()
    assert found.raw[changed].equal(with_pattern(images.raw[changed], 16))
    assert found.raw[~changed].equal(images.raw[~changed])
    assert load("digits", "train").labels.equal(images.labels)  # the clean ones stay as they are


@pytest.mark.parametrize("poison", [Poison(share=0.95, target=0), Poison(share=0.1, target=10)])
def test_what_does_not_fit_is_refused(images, poison):
    with pytest.raises(SpecError, match="does not fit 1297 images of 10 classes"):
        poisoned(images, poison, 10, 0)


def test_small_images_have_no_room():
    with pytest.raises(SpecError, match="no room"):
        with_pattern(torch.zeros(1, 1, 3, 8))


def test_a_recipe_with_poison_is_read_as_it_was_written():
    rules = recipe("digits/cnn-backdoor")
    assert Recipe.read(rules.written()).poison == rules.poison == Poison(share=0.05, target=0)
    assert "poison" not in recipe("digits/cnn").written()


def test_a_back_door_opens_and_leaves_clean_images_alone(tmp_path):
    card = train_to(tmp_path, "digits/cnn-backdoor", None)
    assert card["clean_accuracy"] > 0.9
    assert card["backdoor_success"] > 0.9
    assert card["backdoor_images"] == int((load("digits", "test").labels != 0).sum())
    assert read_card(tmp_path, "digits/cnn-backdoor") == card


def test_nothing_is_measured_of_a_model_without_a_back_door(tmp_path):
    card = train_to(tmp_path, "digits/cnn-flipped", None)
    assert "backdoor_success" not in card
    assert 0.5 < card["clean_accuracy"] < 1
