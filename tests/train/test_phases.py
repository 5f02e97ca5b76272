import dataclasses
from collections import Counter, OrderedDict

import pytest
import torch
from torch import nn

from bench.data.datasets import load
from bench.errors import SpecError
from bench.train import phases
from bench.train.gradient_descent import fit_whole
from bench.train.phases import behind_frozen, repeats_images
from bench.train.recipe import Phase, Recipe
from bench.train.recipes import RECIPES
from bench.train.selection import LearningCurves

TUNED = RECIPES["flowers17/tuned-cifar10-adam-bn-dropout"]
TWO = dataclasses.replace(
    RECIPES["digits/mlp"],
    optimiser="adam", schedule="constant", epochs=3,
    phases=(
        Phase(epochs=1, learning_rate=0.01, frozen=("0",)), Phase(epochs=2, learning_rate=0.001),
    ),
)  # fmt: skip


def small():
    torch.manual_seed(0)
    trunk = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.Dropout(0.9))
    return nn.Sequential(trunk, nn.Linear(16, 10))


def trained(rules):
    """Return the state after each epoch, and what the training said of it."""
    net, states, epochs = small(), [], []

    def watch(epoch, net):
        states.append({key: value.clone() for key, value in net.state_dict().items()})
        epochs.append((epoch.number, epoch.of, net[0][3].training))

    states.append({key: value.clone() for key, value in net.state_dict().items()})
    fit_whole(rules, net, load("digits", "train").first(256), watch)
    assert all(weight.requires_grad for weight in net.parameters())
    return states, epochs


def test_a_frozen_part_stays_to_the_last_bit_until_its_phase_is_over():
    (before, first, second, _), epochs = trained(TWO)
    trunk = [key for key in before if key.startswith("0.")]
    assert any("running_mean" in key for key in trunk)
    assert all(torch.equal(before[key], first[key]) for key in trunk)
    assert not torch.equal(before["1.weight"], first["1.weight"])
    assert not torch.equal(first["0.1.weight"], second["0.1.weight"])
    assert not torch.equal(first["0.2.running_mean"], second["0.2.running_mean"])
    # Frozen dropout drops nothing; the epochs of all phases are numbered through.
    assert epochs == [(1, 3, False), (2, 3, True), (3, 3, True)]


def test_each_phase_has_its_own_rate():
    (_, first, second, _), _ = trained(TWO)
    faster = dataclasses.replace(TWO, phases=(TWO.phases[0], Phase(epochs=2, learning_rate=0.1)))
    (_, same, other, _), _ = trained(faster)
    assert torch.equal(first["1.weight"], same["1.weight"])
    moved = (second["1.weight"] - first["1.weight"]).abs().mean()
    assert (other["1.weight"] - same["1.weight"]).abs().mean() > 5 * moved


def test_one_phase_that_freezes_nothing_is_the_training_without_phases():
    plain = dataclasses.replace(TWO, phases=(), learning_rate=0.01)
    (*_, one), _ = trained(
        dataclasses.replace(plain, phases=(Phase(epochs=3, learning_rate=0.01),))
    )
    (*_, other), _ = trained(plain)
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize(("rules", "words"), [
    (dataclasses.replace(TWO, epochs=4), "its phases have 3 epochs, epochs says 4"),
    (dataclasses.replace(TWO, epochs=1, phases=(Phase(epochs=1, learning_rate=1, frozen=("7",)),)),
     "no part to freeze"),
])  # fmt: skip
def test_phases_that_do_not_fit_are_said(rules, words):
    with pytest.raises(SpecError, match=words):
        trained(rules)


def layered():
    """Return a network of which `FRONT` freezes up to the layer before one that writes into its input."""
    torch.manual_seed(0)
    shared = nn.ReLU()
    trunk = nn.Sequential(
        nn.Linear(64, 32), nn.BatchNorm1d(32), shared, nn.Linear(32, 24), shared, nn.Linear(24, 24),
        nn.LeakyReLU(0.5, inplace=True), nn.Linear(24, 16),
    )  # fmt: skip
    head = nn.Sequential(nn.Dropout(0.3), nn.Linear(16, 10))
    return nn.Sequential(OrderedDict(flat=nn.Flatten(), trunk=trunk, head=head))


FRONT = dataclasses.replace(
    TWO,
    mean=(0.3,), std=(0.4,), select="test", epochs=6,
    phases=(
        Phase(epochs=3, learning_rate=0.01, frozen=("flat", "trunk")),
        Phase(epochs=3, learning_rate=0.003, frozen=("flat", *(f"trunk.{at}" for at in range(6)))),
    ),
)  # fmt: skip


def watched(rules):
    """Return the weights that a training ends with, its curves, and how many images each layer has seen."""
    net, curves, losses = layered(), LearningCurves(rules, {"test": load("digits", "test")}), []
    seen = Counter()
    for name, part in net.named_modules():
        part.register_forward_hook(lambda _, x, __, name=name: seen.update({name: len(x[0])}))

    def watch(epoch, net):
        epoch = curves.watch(epoch, net)
        losses.append((epoch.loss, epoch.accuracy, *epoch.held_out))

    torch.manual_seed(1)
    fit_whole(rules, net, load("digits", "train").first(256), watch)
    return net.state_dict(), torch.tensor(losses), seen


def test_frozen_first_layers_are_computed_once_a_phase_and_change_nothing(monkeypatch):
    weights, losses, seen = watched(FRONT)
    monkeypatch.setattr(phases, "_MOST_BYTES", 0)
    slow_weights, slow_losses, slow_seen = watched(FRONT)
    assert losses.shape == (6, 4)
    assert torch.allclose(losses, slow_losses, rtol=1e-5, atol=1e-6)
    for key, value in slow_weights.items():
        assert torch.allclose(weights[key], value, rtol=1e-4, atol=1e-6), key
    images = 256 + len(load("digits", "test"))
    # One image more for each kind tells how much memory they take.
    assert seen["trunk.0"] == 2 * (images + 2)
    assert slow_seen["trunk.0"] == 6 * images + 2 * 2
    assert seen["trunk.7"] == (images + 2) + 3 * images
    assert seen["head.1"] == slow_seen["head.1"] == 6 * images


def test_images_that_change_at_random_pass_through_frozen_layers_in_each_epoch():
    _, _, seen = watched(dataclasses.replace(FRONT, noise=0.1))
    assert seen["trunk.0"] == 6 * 256 + 2 * (len(load("digits", "test")) + 1)


@pytest.mark.parametrize(("change", "same"), [
    ({}, True), ({"flip": True}, False), ({"crop": 1}, False), ({"noise": 0.1}, False),
    ({"augmentation": "zoom"}, False),
    ({"adversaries": RECIPES["digits/pgd-linf-at"].adversaries}, False),
])  # fmt: skip
def test_only_images_that_nothing_changes_are_the_same_in_each_epoch(change, same):
    assert repeats_images(dataclasses.replace(TWO, **change)) is same


def test_layers_behind_frozen_ones_keep_their_names():
    net = layered()
    parts = [net.flat, *net.trunk[:6]]
    rest, inputs = behind_frozen(
        net, parts, lambda rows: torch.ones(len(rows), 64), torch.arange(5)
    )
    assert set(rest.state_dict()) == {
        "trunk.7.weight",
        "trunk.7.bias",
        "head.1.weight",
        "head.1.bias",
    }
    with torch.no_grad():
        assert torch.allclose(
            rest.eval()(inputs(torch.tensor([4, 0]))), net.eval()(torch.ones(2, 64)), atol=1e-6
        )


def test_a_network_that_is_no_plain_sequence_is_trained_whole():
    class Backwards(nn.Sequential):
        def forward(self, x):
            return super().forward(-x)

    net, inputs = Backwards(nn.Flatten(), nn.Linear(64, 10)), torch.zeros
    assert behind_frozen(net, [net[0]], inputs, torch.arange(5)) == (net, inputs)


def test_a_recipe_with_phases_is_read_from_its_card_as_it_was_written():
    assert Recipe.read(TUNED.written()) == dataclasses.replace(TUNED, shipped=True, first_use=True)
    assert not {"start", "phases"} & set(RECIPES["cifar10/cnn"].written())
