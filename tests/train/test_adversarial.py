"""Training under noise and under attack: the loss, the adversaries' turns, and what comes of it."""

import dataclasses

import pytest
import torch
from torch import nn

from bench.adapters.network import Normalised
from bench.attacks.catalogue import resolve
from bench.attacks.job import Batch
from bench.attacks.run_attack import run_attack
from bench.data.datasets import load
from bench.errors import SpecError
from bench.train.adversarial import adversarial_batch
from bench.train.gradient_descent import TrainingLoss, noisy, normalised
from bench.train.recipe import Adversary, Recipe
from bench.train.recipes import RECIPES
from bench.train.smoothing import SIGMAS, noisy_name
from bench.train.trainer import build, train

L2 = Adversary(name="pgd", norm="l2", eps="0.5", steps=3, step_size="0.2")
LINF = Adversary(name="pgd", norm="linf", eps="0.1", steps=3, step_size="0.05")
PLAIN = dataclasses.replace(RECIPES["digits/mlp"], epochs=3)
UNDER = dataclasses.replace(PLAIN, adversaries=(LINF,))


def seen(recipe: Recipe) -> nn.Module:
    torch.manual_seed(0)
    return Normalised(build(recipe), recipe.mean, recipe.std)


@pytest.fixture(scope="module")
def batch():
    part = load("digits", "train").first(32)
    return part.images, part.labels


def test_the_attack_is_the_one_that_evaluates_models(batch):
    x, y = batch
    net = seen(UNDER)
    attacked = adversarial_batch(UNDER, net, 10)
    torch.manual_seed(5)
    tried = attacked(x, y, 0)
    torch.manual_seed(5)
    seed = int(torch.randint(2**31, ()))
    spec = resolve("pgd", "linf", "0.1", {"steps": 3, "step_size": "0.05"})
    found = run_attack(spec, "torchattacks", net, Batch(x, y), num_classes=10, seed=seed)
    assert torch.equal(tried, found.x_adv)
    assert all(weight.requires_grad for weight in net.parameters())


def test_adversaries_take_turns(batch):
    x, y = batch
    attacked = adversarial_batch(
        dataclasses.replace(PLAIN, adversaries=(L2, LINF)), seen(PLAIN), 10
    )
    for turn in range(4):
        change = (attacked(x, y, turn) - x).flatten(1)
        within_linf = float(change.abs().max()) <= 0.1 + 1e-6
        assert within_linf == bool(turn % 2)
        assert turn % 2 or float(change.norm(dim=1).max()) <= 0.5 + 1e-5


def test_the_loss_is_split_between_clean_and_attacked_images(batch):
    x, y = batch
    net, loss = seen(UNDER), nn.CrossEntropyLoss()

    def shifted(x, y, turn):
        return x + 0.1

    for alpha in (0.0, 0.3, 0.5):
        rules = dataclasses.replace(UNDER, alpha=alpha)
        lessened = TrainingLoss(recipe=rules, net=net, of=loss, attacked=shifted)
        outputs, found = lessened(x, y, 0)
        wanted = alpha * loss(net(x), y) + (1 - alpha) * loss(net(x + 0.1), y)
        torch.testing.assert_close(found, wanted)
        torch.testing.assert_close(outputs, net(x if alpha else x + 0.1))


def test_without_adversaries_there_is_no_attack(batch):
    assert adversarial_batch(PLAIN, seen(PLAIN), 10) is None


def test_training_under_attack_repeats_itself_and_resists(batch):
    data, test = load("digits", "train"), load("digits", "test").first(200)
    spec = resolve("pgd", "linf", "0.1", {"steps": 5})
    stands, weights = {}, []
    before = torch.get_rng_state()
    for name, rules in (("plain", PLAIN), ("under", UNDER), ("again", UNDER)):
        net = Normalised(train(rules, data), rules.mean, rules.std).eval()
        tried = run_attack(
            spec, "torchattacks", net, Batch(test.images, test.labels), num_classes=10, seed=0
        ).x_adv
        stands[name] = float((net(tried).argmax(1) == test.labels).float().mean())
        weights.append(torch.cat([one.flatten() for one in net.parameters()]))
    assert torch.equal(weights[1], weights[2])
    assert stands["under"] > stands["plain"] + 0.04
    assert torch.equal(torch.get_rng_state(), before)


def test_noise_is_of_the_size_asked_for_and_is_not_clipped():
    torch.manual_seed(0)
    x = torch.full((50, 1, 8, 8), 0.9)
    found = noisy(x, dataclasses.replace(PLAIN, noise=0.25)) - x
    assert float(found.std()) == pytest.approx(0.25, rel=0.05)
    assert float((x + found).max()) > 1.3
    assert noisy(x, PLAIN) is x


@pytest.mark.slow
def test_training_under_noise_resists_noise():
    data, test = load("digits", "train"), load("digits", "test")
    torch.manual_seed(1)
    x = test.images + 0.5 * torch.randn(test.images.shape)
    hits = [
        float((train(rules, data)(normalised(x, rules)).argmax(1) == test.labels).float().mean())
        for rules in (RECIPES["digits/basic"], RECIPES["digits/noisy-0.5"])
    ]
    assert hits[1] > hits[0] + 0.03


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"adversaries": (dataclasses.replace(LINF, name="pdg"),)}, "no attack named 'pdg'"),
        ({"adversaries": (dataclasses.replace(L2, name="deepfool"),)}, "not a fixed-budget attack"),
        ({"adversaries": (dataclasses.replace(LINF, norm="l1"),)}, "no norm 'l1'"),
        ({"adversaries": (dataclasses.replace(LINF, eps="2"),)}, "at most 1"),
        ({"alpha": 1.0}, "alpha=1 is not at least 0"),
        ({"noise": 0.1}, "leave noise or adversaries out"),
        ({"loss": "triplet"}, "cross-entropy"),
    ],
)
def test_what_cannot_be_trained_under_is_said(change, words):
    with pytest.raises(SpecError, match=words):
        adversarial_batch(dataclasses.replace(UNDER, **change), seen(PLAIN), 10)


DEFENDED = [name for name, rules in RECIPES.items() if rules.noise or rules.adversaries]


@pytest.mark.parametrize("name", DEFENDED)
def test_recipes_of_defences_can_be_run_and_come_back_from_a_card(name):
    rules = RECIPES[name]
    assert Recipe.read(rules.written()) == dataclasses.replace(rules, shipped=True)
    assert (adversarial_batch(rules, seen(rules), 10) is None) == (not rules.adversaries)


def test_cards_of_other_models_do_not_speak_of_defences():
    assert not {"noise", "adversaries", "alpha"} & set(PLAIN.written())
    assert Recipe.read(PLAIN.written()) == dataclasses.replace(PLAIN, shipped=True)


def test_there_is_a_network_for_each_noise():
    assert noisy_name("digits", 0.25) == "digits/noisy"
    assert {RECIPES[noisy_name("digits", sigma)].noise for sigma in SIGMAS} == set(SIGMAS)
