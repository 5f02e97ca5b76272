"""Attacks that change few pixels: the sparse optimum of linear models, passes by hand, few images."""

from __future__ import annotations

import oracles
import pytest
import torch
from attack_cases import quick

from bench.attacks import catalogue
from bench.attacks.job import Batch
from bench.attacks.run_attack import AttackResult, run_attack
from bench.errors import SpecError, UnsupportedAttack

BOTH = ["art", "torchattacks"]
EVERY = [*BOTH, "native"]
GREY = (1, 8, 8)


def run(
    model, x, y, toolkit, name, eps=None, target=None, num_classes=2, seed=0, **words
) -> AttackResult:
    norm = "l2" if name == "salt-and-pepper" else "l0"
    spec = catalogue.resolve(name, norm, eps, words)
    return run_attack(spec, toolkit, model, Batch(x, y, target), num_classes=num_classes, seed=seed)


def fooled(model, tried: AttackResult, y: torch.Tensor) -> list[bool]:
    return (model(tried.x_adv).argmax(1) != y).tolist()


@pytest.mark.parametrize("toolkit", BOTH)
@pytest.mark.parametrize("gap", [0.5, 3.0, 6.0])
def test_jsma_raises_no_fewer_values_than_the_optimum_and_one_more_at_most(toolkit, gap) -> None:
    """On two linear classes the best pair is the two steepest values; a pair is never split."""
    model, x, y = oracles.grey(gap, GREY)
    tried = run(model, x, y, toolkit, "jsma", gamma=1)
    assert fooled(model, tried, y) == [True]
    least = oracles.fewest_gains(
        model.weight[1] - model.weight[0], 2 * gap
    )  # a value gains half of it
    values = int((tried.x_adv != x).sum())
    assert values == least + least % 2
    assert (tried.x_adv >= x).all()
    # The class it is led to; a look at the image, a gradient and a look for each pair; the verdict.
    pairs = values // 2
    assert tried.forwards.tolist() == [3 + 2 * pairs]
    assert tried.backwards.tolist() == [pairs if toolkit == "art" else 2 * pairs]
    # No class to be found where one is given.
    aimed = run(model, x, y, toolkit, "jsma", gamma=1, targeted="next", target=1 - y)
    assert torch.equal(aimed.x_adv, tried.x_adv)
    assert aimed.forwards.tolist() == [2 + 2 * pairs]


@pytest.mark.parametrize("toolkit", BOTH)
def test_jsma_changes_no_more_than_gamma(toolkit) -> None:
    """A share of 0.05 are 3.2 of 64 values: one pair; what is not reached by then is not found."""
    model, x, y = oracles.grey(6.0, GREY)
    short = run(model, x, y, toolkit, "jsma", gamma=0.05)
    assert torch.equal(short.x_adv, x)
    assert short.forwards.tolist() == [3 + 2]
    with pytest.raises(UnsupportedAttack, match=r"between 0.03125 and 1 here \(gamma=0.03"):
        run(model, x, y, toolkit, "jsma", gamma=0.03)
    with pytest.raises(SpecError, match="gamma: 2 is too large; it must be at most 1"):
        run(model, x, y, toolkit, "jsma", gamma=2)


@pytest.mark.parametrize("toolkit", BOTH)
def test_jsma_moves_by_theta(toolkit) -> None:
    model, x, y = oracles.grey(3.0, GREY)
    tried = run(model, x, y, toolkit, "jsma", gamma=1, theta=0.3)
    assert fooled(model, tried, y) == [True]
    moved = (tried.x_adv - x)[tried.x_adv != x]
    # Once, or again until it is at 1.
    assert all(min(abs(m - step) for step in (0.3, 0.5)) < 1e-6 for m in moved.tolist())
    assert moved.max() > 0.4


@pytest.mark.parametrize("toolkit", EVERY)
@pytest.mark.parametrize("shape", [(3, 6, 6), GREY])
def test_one_pixel_finds_the_pixel_that_decides(toolkit, shape) -> None:
    weight = oracles.grey(0.0, shape, sure=11)[0].weight.detach()
    # Half of what the pixel can do.
    model, x, y = oracles.grey(float(weight.abs().sum()) / 4, shape, sure=11)
    tried = run(model, x, y, toolkit, "one-pixel", 1, population=40, generations=30, seed=1)
    assert fooled(model, tried, y) == [True]
    assert (tried.x_adv != x).any(1).flatten(1).nonzero().tolist() == [[0, 11]]
    assert 1 <= int(tried.iterations) < 30  # it stops where the class changes


@pytest.mark.parametrize("toolkit", EVERY)
def test_one_pixel_needs_as_many_pixels_as_the_optimum(toolkit) -> None:
    """Each pixel gains at most half the sum of |w| over its channels."""
    weight = oracles.grey(0.0, (3, 4, 4))[0].weight.detach()
    gains = (weight[1] - weight[0]).view(3, 16).abs().sum(0) / 2
    gap = float(1.05 * gains.max())
    model, x, y = oracles.grey(gap, (3, 4, 4))
    assert oracles.fewest_gains(gains, gap) == 2
    words = {"population": 30, "generations": 15}
    found = {eps: run(model, x, y, toolkit, "one-pixel", eps, **words) for eps in (1, 3)}
    for eps, tried in found.items():
        assert oracles.size(tried.x_adv - x, "l0") <= eps
        assert fooled(model, tried, y) == [eps > 1]
    # Where none is found, the best one that was tried.
    assert (found[1].x_adv != x).any()
    # The members at first and in each generation; the toolkits' look at the best of each again, ART's
    # one at the end.
    looks = {"art": 16, "torchattacks": 15, "native": 0}[toolkit]
    assert found[1].iterations.tolist() == [15]
    assert found[1].forwards.tolist() == [30 * 16 + looks]


@pytest.mark.parametrize(
    ("toolkit", "name"),
    [*((toolkit, "jsma") for toolkit in BOTH), *((toolkit, "one-pixel") for toolkit in EVERY)],
)
def test_what_an_image_does_depends_on_no_other(trained, toolkit, name) -> None:
    spec = quick(name, "l0")

    def found(rows: list[int]) -> AttackResult:
        x, y = trained.x[rows], trained.y[rows]
        return run_attack(spec, toolkit, trained.net, Batch(x, y), num_classes=10, seed=0)

    one, other = found([0, 1, 2]), found([0, 9, 2])
    assert not torch.equal(one.x_adv[1], other.x_adv[1])
    for row in (0, 2):
        assert torch.equal(one.x_adv[row], other.x_adv[row])
        assert one.forwards[row] == other.forwards[row]


def test_salt_and_pepper_never_beats_the_optimum() -> None:
    model, x, y = oracles.ten_classes(8)
    tried = run(model, x, y, "foolbox", "salt-and-pepper", num_classes=10, steps=150)
    assert all(fooled(model, tried, y))
    ratio = oracles.size(tried.x_adv - x, "l2") / oracles.distances(model, x, y, "l2")
    assert (ratio >= 1).all()
    # A pixel is white, black or as it was.
    moved = (tried.x_adv != x).any(1, keepdim=True).expand_as(x)
    assert set(tried.x_adv[moved].tolist()) <= {0.0, 1.0}
    weight = model.weight.detach()
    for i, label in enumerate(y.tolist()):
        pixels = oracles.size((tried.x_adv - x)[i : i + 1], "l0")
        gains = (weight - weight[label]).view(10, 3, 25).abs().sum(1)  # at most, black to white
        logits = model(x[i : i + 1]).detach()[0]
        gaps = (logits[label] - logits).tolist()
        least = [oracles.fewest_gains(gains[k], gaps[k]) for k in range(10) if k != label]
        assert pixels >= min(least)
    assert tried.forwards.tolist() == [151] * 8  # a look at the image, and at every step
    other = run(model, x, y, "foolbox", "salt-and-pepper", num_classes=10, steps=150, seed=1)
    assert not torch.equal(tried.x_adv, other.x_adv)
