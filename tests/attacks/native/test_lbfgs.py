"""L-BFGS: its search over c, its targets, and what it does where nothing fools the model."""

from __future__ import annotations

import oracles
import pytest
import torch
from torch import nn

from bench.attacks import catalogue
from bench.attacks.job import Batch
from bench.attacks.run_attack import AttackResult, run_attack
from bench.measure.norms import distances


def run(model, x, y, target=None, num_classes: int = 10, **words) -> AttackResult:
    spec = catalogue.resolve(
        "l-bfgs", "l2", None, {**words, "targeted": "none" if target is None else "next"}
    )
    return run_attack(spec, "native", model, Batch(x, y, target), num_classes=num_classes, seed=0)


@pytest.mark.parametrize("c", [1e-3, 1e4])
def test_the_search_finds_its_weight_from_either_side(c) -> None:
    model, x, y = oracles.two_classes("l2", [0.1, 0.3])
    tried = run(model, x, y, num_classes=2, c=c, search_steps=14)
    found = distances(x, tried.x_adv)["l2"]
    assert torch.allclose(found, torch.tensor([0.1, 0.3]).double(), rtol=0.03)


def test_more_search_comes_nearer() -> None:
    model, x, y = oracles.two_classes("l2", [0.1, 0.3])
    far, near = (
        distances(x, run(model, x, y, num_classes=2, search_steps=steps).x_adv)["l2"]
        for steps in (3, 10)
    )
    assert (near < far).all()


def test_the_nearest_image_of_a_wanted_class() -> None:
    model, x, y = oracles.ten_classes(3)
    target = (y + 1) % 10
    tried = run(model, x, y, target)
    assert torch.equal(model(tried.x_adv).argmax(1), target)
    # No nearer than the plane to that class, and near it where no third class lies between.
    logits, rows = model(x).double(), torch.arange(3)
    weight = model.weight.double()
    plane = (logits[rows, y] - logits[rows, target]) / (weight[y] - weight[target]).norm(dim=1)
    assert (distances(x, tried.x_adv)["l2"] >= plane * (1 - 1e-4)).all()


def test_passes_and_iterations(trained) -> None:
    """A gradient an evaluation, and a look at the end of each of the three minimisations."""
    tried = run(trained.net, trained.x[:3], trained.y[:3], steps=4, search_steps=3)
    assert (tried.forwards - tried.backwards).tolist() == [3] * 3
    assert (tried.iterations <= 3 * 4).all()
    assert (tried.iterations >= 3).all()
    assert (tried.backwards > tried.iterations).all()
    alone = run(trained.net, trained.x[2:3], trained.y[2:3], steps=4, search_steps=3)
    assert torch.equal(alone.x_adv, tried.x_adv[2:])
    assert alone.forwards[0] == tried.forwards[2]


class Sure(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([1 + 0 * x.flatten(1).sum(1), 0 * x.flatten(1).sum(1)], 1)


def test_where_nothing_fools_the_clean_image_comes_back() -> None:
    x = torch.rand(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    tried = run(Sure(), x, torch.zeros(2, dtype=torch.int64), num_classes=2)
    assert torch.equal(tried.x_adv, x)
