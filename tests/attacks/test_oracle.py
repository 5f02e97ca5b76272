"""Attacks with a budget against the closed form; those without one are in test_merit.py."""

from __future__ import annotations

import oracles
import pytest
import torch
from attack_cases import GRADIENT, NOISE, SEARCH, WALK
from oracles import size
from torch import nn

from bench.attacks import catalogue
from bench.attacks.job import Batch
from bench.attacks.run_attack import run_attack

EPS = {"linf": 0.03, "l2": 0.25, "l1": 0.1}
RATIOS = [0.99, 1.01, 0.5, 2.0, 0.9, 1.1, 0.2, 1.5]
WORDS = {
    "adaptive": {"passes": 300},
    "pgd": {"steps": 40},
    "bim": {},
    "mi-fgsm": {},
    "fgsm": {},
    "apgd-ce": {"steps": 40},
    "apgd-dlr": {"steps": 40},
    "fab": {"steps": 40},
    "fab-t": {"steps": 40, "targets": 1},
    "apgd-t": {"steps": 40, "targets": 1},
    "autoattack": {"steps": 40, "queries": 20},
    "cascade": {"members": "apgd-ce steps=40, square queries=20"},
    "worst-case-fast": {"steps": 40, "restarts": 1, "targets": 1, "queries": 20},
}


class More(nn.Module):
    """A model of two classes with some more, which it never chooses."""

    def __init__(self, net: nn.Module, classes: int) -> None:
        super().__init__()
        self.net, self.more = net, classes - 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.net(x), x.new_full((len(x), self.more), -50.0)], 1)


CLASSES = {"apgd-dlr": 3, "apgd-t": 4, "autoattack": 4, "worst-case-fast": 4}


@pytest.mark.parametrize("count", [1, 3, 8])
@pytest.mark.parametrize(("name", "norm", "toolkit"), GRADIENT)
def test_a_gradient_attack_succeeds_exactly_where_the_optimum_does(
    name, norm, toolkit, count
) -> None:
    eps = EPS[norm]
    model, x, y = oracles.two_classes(norm, [ratio * eps for ratio in RATIOS])
    optimum = oracles.distances(model, x, y, norm)
    assert torch.allclose(optimum, torch.tensor(RATIOS).double() * eps, rtol=1e-4)
    spec = catalogue.resolve(name, norm, eps, WORDS[name])
    classes = CLASSES.get(name, 2)
    model = More(model, classes)
    x_, y_ = x[:count], y[:count]
    tried = run_attack(spec, toolkit, model, Batch(x_, y_), num_classes=classes, seed=0)
    fooled = model(tried.x_adv).argmax(1) != y[:count]
    # The optimum in l1 moves one value; APGD's steps keep two at least.
    reach = 0.97 if norm == "l1" and name.startswith("apgd") else 1
    assert fooled[(optimum <= reach * eps)[:count]].all()
    assert not fooled[(optimum > eps)[:count]].any()
    assert (size(tried.x_adv - x[:count], norm) <= eps * (1 + 1e-5) + 1e-6).all()


# How far from the optimum 400 questions leave the worst of four images.
REACH = {"hopskipjump": 2.0, "boundary": 6.0}


@pytest.mark.parametrize(("name", "norm", "toolkit"), WALK)
def test_a_walk_along_the_boundary_nears_the_optimum(name, norm, toolkit) -> None:
    model, x, y = oracles.two_classes(norm, [ratio * EPS[norm] for ratio in RATIOS[:4]])
    optimum = oracles.distances(model, x, y, norm)

    def ratios(queries: int) -> torch.Tensor:
        spec = catalogue.resolve(name, norm, None, {"queries": queries})
        tried = run_attack(spec, toolkit, model, Batch(x, y), num_classes=2, seed=0)
        assert (model(tried.x_adv).argmax(1) != y).all()
        return size(tried.x_adv - x, norm) / optimum

    begun, after = ratios(12), ratios(400)
    assert (after >= 1 - 1e-4).all()
    assert (after <= REACH[name]).all(), after
    assert after.sum() < 0.8 * begun.sum(), (begun, after)


# A random search on 25 pixels, whose squares never touch the last row and column, comes this close.
WITHIN = {"linf": 0.4, "l2": 0.2}


@pytest.mark.parametrize("count", [1, 8])
@pytest.mark.parametrize(("name", "norm", "toolkit"), SEARCH)
def test_a_random_search_never_beats_the_optimum(name, norm, toolkit, count) -> None:
    eps = EPS[norm]
    ratios = [0.2, 1.01, 0.15, 2.0, 0.1, 0.05, 1.5, 0.9]
    model, x, y = oracles.two_classes(norm, [ratio * eps for ratio in ratios])
    x, y = x[:count], y[:count]
    optimum = oracles.distances(model, x, y, norm)
    spec = catalogue.resolve(name, norm, eps, {"queries": 200})
    tried = run_attack(spec, toolkit, model, Batch(x, y), num_classes=2, seed=0)
    fooled = model(tried.x_adv).argmax(1) != y
    assert not fooled[optimum > eps].any()
    assert fooled[optimum <= 1.001 * WITHIN[norm] * eps].all()
    assert (size(tried.x_adv - x, norm) <= eps * (1 + 1e-5) + 1e-6).all()
    assert torch.equal(tried.x_adv[~fooled], x[~fooled])


@pytest.mark.parametrize(("name", "norm", "toolkit"), [case for case in NOISE if case[1] != "l0"])
def test_noise_never_beats_the_optimum(name, norm, toolkit) -> None:
    model, x, y = oracles.ten_classes(64)
    optimum = oracles.distances(model, x, y, norm)

    def fooled_at(eps: float) -> tuple[torch.Tensor, torch.Tensor]:
        spec = catalogue.resolve(name, norm, eps)
        tried = run_attack(spec, toolkit, model, Batch(x, y), num_classes=10, seed=0)
        return model(tried.x_adv).argmax(1) != y, size(tried.x_adv - x, norm)

    fooled, sizes = fooled_at(float(12 * optimum.min()))
    assert fooled.any()
    assert (sizes[fooled] >= optimum[fooled]).all()
    assert not fooled_at(float(0.99 * optimum.min()))[0].any()
