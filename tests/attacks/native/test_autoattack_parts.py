"""Our APGD, FAB-T and Square: what a pass costs, and that images do not depend on one another.

The oracles, and what resists, are tested with those of all toolkits.
"""

from __future__ import annotations

import oracles
import pytest
import torch
from attack_cases import EPS
from torch import nn

from bench.attacks import catalogue
from bench.attacks.job import Batch
from bench.attacks.run_attack import AttackResult, run_attack


def run(model, x, y, name: str, norm: str, eps: float, classes: int = 10, **words) -> AttackResult:
    spec = catalogue.resolve(name, norm, eps, words)
    return run_attack(spec, "native", model, Batch(x, y), num_classes=classes, seed=0)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_passes_on_images_that_stand_by_hand(trained, norm) -> None:
    x, y = trained.x[:3], trained.y[:3]

    def counts(name: str, **words) -> list[list[int]]:
        tried = run(trained.net, x, y, name, norm, 1e-6, **words)
        assert torch.equal(tried.x_adv, x)
        return [tried.forwards.tolist(), tried.backwards.tolist()]

    # A look at the start and after each step; no gradient is needed at the last.
    for name in ("apgd-ce", "apgd-dlr"):
        assert counts(name, steps=7) == [[8] * 3, [7] * 3]
    # Between two runs the images left are looked at.
    assert counts("apgd-ce", steps=7, restarts=2) == [[8 + 1 + 8] * 3, [14] * 3]
    # A look at the clean image, for the classes that are likeliest next.
    assert counts("apgd-t", steps=7, targets=2) == [[1 + 2 * 8] * 3, [2 * 7] * 3]
    # A gradient and a look for each step.
    assert counts("fab-t", steps=7, targets=2) == [[1 + 2 * 14] * 3, [2 * 7] * 3]
    assert counts("fab-t", steps=7, targets=99, restarts=2) == [[1 + 18 * 14] * 3, [18 * 7] * 3]


@pytest.mark.parametrize("name", ["apgd-ce", "apgd-dlr", "apgd-t"])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_an_image_that_is_broken_costs_no_more(name, norm) -> None:
    """The first step goes twice as far as eps in linf and as far in l2, so it breaks what can be."""
    eps = {"linf": 0.03, "l2": 0.25}[norm]
    model, x, y = oracles.two_classes(norm, [0.5 * eps, 2 * eps])
    model = Wider(model)
    words = {"targets": 1} if name == "apgd-t" else {}
    tried = run(model, x, y, name, norm, eps, 4, steps=20, **words)
    ranked = int(name == "apgd-t")
    assert tried.forwards.tolist() == [ranked + 2, ranked + 21]
    # The second look, which finds it broken, took the gradients of the whole batch.
    assert tried.backwards.tolist() == [2, 20]


class Wider(nn.Module):
    """A model of two classes with two more, which it never chooses."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.net(x), x.new_full((len(x), 2), -50.0)], 1)


class Whole(nn.Module):
    """Linear logits with whole weights: of images in 64ths, the sums are exact in any order."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(5)
        self.register_buffer("weight", torch.randint(-3, 4, (5, 27), generator=generator).float())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x - 0.5).flatten(1) @ self.weight.T


def exact(count: int) -> tuple[Whole, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(6)
    x = torch.randint(16, 49, (count, 3, 3, 3), generator=generator) / 64
    model = Whole().eval()
    return model, x, model(x).argmax(1)


def test_squares_for_one_image_do_not_depend_on_the_others() -> None:
    model, x, y = exact(8)
    words = {"queries": 60, "p_init": 0.3}
    whole = run(model, x, y, "square", "linf", 1 / 16, 5, **words)
    x[1:], y[1:] = x[1:].flip(0), y[1:].flip(0)
    other = run(model, x, y, "square", "linf", 1 / 16, 5, **words)
    assert torch.equal(whole.x_adv[0], other.x_adv[0])
    assert whole.forwards[0] == other.forwards[0]
    fooled = model(whole.x_adv).argmax(1) != y
    assert fooled.any()


class Deaf(nn.Module):
    """Its answers to all images but black ones are the same."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tensor([[1.0, 0.0, 0.0]]).repeat(len(x), 1)


def test_a_square_with_a_known_answer_costs_no_pass() -> None:
    """Each of four pixels has one other value that was not tried yet: with the start, five passes."""
    x, y = torch.full((1, 1, 2, 2), 0.5), torch.zeros(1, dtype=torch.int64)
    tried = run(Deaf(), x, y, "square", "linf", 0.25, 3, queries=300, p_init=0.01)
    assert tried.forwards.tolist() == [5]
    tried = run(Deaf(), x, y, "square", "linf", 0.25, 3, queries=0 + 1, p_init=1)
    assert tried.forwards.tolist() == [2]


class Bright(nn.Module):
    """Class 1 of images brighter than a limit."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit = limit

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bright = x.flatten(1).mean(1)
        return torch.stack([self.limit - bright, bright - self.limit], 1)


def test_squares_reach_the_brightest_image_there_is() -> None:
    x, y = torch.full((2, 3, 4, 4), 0.5), torch.zeros(2, dtype=torch.int64)
    x[1, :, :, 0] = 0.9
    words = {"queries": 2000, "p_init": 0.05}
    # All but the last thousandth of what the ball allows: 0.75, and 0.75 with a column at 1.
    tried = run(Bright(0.7499), x, y, "square", "linf", 0.25, 2, **words)
    assert tried.x_adv[0].min() == 0.75
    assert (Bright(0.7499)(tried.x_adv).argmax(1) == 1).all()
    beyond = run(Bright(0.82), x, y, "square", "linf", 0.25, 2, **words)
    assert torch.equal(beyond.x_adv, x)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_autoattack_breaks_no_fewer_than_torchattacks_own_parts(trained, norm) -> None:
    x, y, words = trained.x, trained.y, {"steps": 20, "queries": 100}
    spec = catalogue.resolve("autoattack", norm, EPS[norm], words)
    fooled = []
    for kit in ("native", "torchattacks"):
        tried = run_attack(spec, kit, trained.net, Batch(x, y), num_classes=10, seed=0)
        fooled.append(trained.net(tried.x_adv).argmax(1) != y)
    assert 0 < fooled[1].sum() < len(x)
    assert fooled[0].sum() >= fooled[1].sum()
