"""What attacks need of a model: said before they run, never in a toolkit's own words."""

from __future__ import annotations

import math
import re

import pytest
import torch
from attack_cases import CASES, quick
from torch import nn

import bench
from bench.attacks import catalogue
from bench.attacks.needs import unmet
from bench.errors import SpecError, UnsupportedAttack

MODELS = [
    ((1, 6, 10), 4), ((1, 10, 6), 4), ((2, 8, 8), 4), ((4, 8, 8), 4), ((1, 8, 8), 2), ((1, 8, 8), 3),
    ((1, 8, 8), 12), ((1, 1, 1), 4), ((3, 1, 1), 4), ((1, 2, 2), 4), ((1, 4, 4), 4),
]  # fmt: skip


def linear(shape, classes):
    """Return a model and two images that it gets right."""
    generator = torch.Generator().manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), classes))
    with torch.no_grad():
        net[1].weight.copy_(torch.randn(net[1].weight.shape, generator=generator))
        net[1].bias.zero_()
    x = torch.rand(2, *shape, generator=generator)
    return bench.wrap(net, classes, shape), x, net(x).argmax(1)


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "classes"), MODELS)
def test_an_attack_runs_or_says_beforehand_what_it_needs(shape, classes) -> None:
    model, x, y = linear(shape, classes)
    for name, norm, toolkit in CASES:
        if name == "brendel-bethge" and shape[1] > 2:
            continue  # the stand-in of its solver takes its time, and it needs nothing
        spec = quick(name, norm)
        why = unmet(spec, toolkit, shape, classes)
        options = {"norm": norm, "eps": spec.eps, "toolkit": toolkit, **dict(spec.parameters)}
        if why is None:
            bench.attack(model, x, y, name, **options)
            continue
        assert why.startswith(toolkit)
        with pytest.raises(UnsupportedAttack, match=re.escape(why)):
            bench.attack(model, x, y, name, **options)


@pytest.mark.parametrize(("asked", "toolkit", "shape", "classes", "words"), [
    (("square", "linf", "0.1", {}), "art", (1, 6, 10), 10, "7 by 7 pixels.* 6 by 10 have no room"),
    (("square", "l2", "1", {}), "torchattacks", (1, 6, 10), 10, "7 by 7 pixels"),
    (("square", "l2", "1", {"p_init": 1}), "torchattacks", (1, 8, 8), 10, "9 by 9 pixels"),
    (("square", "linf", "0.1", {"p_init": 1}), "art", (1, 8, 8), 10, "8 by 8 pixels"),
    (("autoattack", "l2", "1", {}), "torchattacks", (1, 6, 10), 10, "square for a part"),
    (("autoattack", "linf", "0.1", {}), "torchattacks", (1, 8, 8), 3, "set apgd_t=false"),
    (("spatial", "linf", None, {}), "foolbox", (1, 6, 10), 10, "square images only, not 6 by 10"),
    (("apgd-dlr", "linf", "0.1", {}), "art", (1, 8, 8), 2, "2 classes, 3 are needed"),
    (("apgd-t", "l2", "0.1", {}), "torchattacks", (1, 8, 8), 3, "3 classes, 4 are needed"),
    (("deepfool", "l2", None, {}), "art", (1, 8, 8), 12, "candidates=10 is fewer.*12"),
    (("universal", "l2", "1", {"batch": 1}), "art", (1, 8, 8), 12, "candidates=10 is fewer"),
    (("sparsefool", "l0", None, {}), "torchattacks", (1, 8, 8), 12, "candidates=10 is fewer"),
    (("jsma", "l0", None, {"gamma": 0.01}), "art", (1, 8, 8), 10, "between 0.03125 and 1"),
    (("pgd", "linf", "0.1", {"targeted": "10"}), "art", (1, 8, 8), 10, "no class 10.* 0 to 9"),
    (("pgd", "linf", "0.1", {"targeted": "next", "source": 12}), "art", (1, 8, 8), 10, "class 12"),
])  # fmt: skip
def test_a_need_that_is_not_met_is_one_line(asked, toolkit, shape, classes, words) -> None:
    spec = catalogue.resolve(*asked)
    with pytest.raises(UnsupportedAttack, match=words):
        raise UnsupportedAttack(str(unmet(spec, toolkit, shape, classes)))


@pytest.mark.parametrize(("asked", "toolkit", "shape", "classes"), [
    (("square", "linf", "0.1", {}), "torchattacks", (1, 6, 10), 10),
    (("square", "linf", "0.1", {"p_init": 0.3}), "art", (1, 6, 10), 10),
    (("square", "l2", "1", {"p_init": 0.3}), "torchattacks", (1, 6, 10), 10),
    (("autoattack", "linf", "0.1", {}), "torchattacks", (1, 6, 10), 10),
    (("autoattack", "linf", "0.1", {"apgd_t": False}), "torchattacks", (1, 8, 8), 2),
    (("deepfool", "l2", None, {}), "foolbox", (1, 8, 8), 12),
    (("deepfool", "l2", None, {"candidates": 12}), "art", (1, 8, 8), 12),
    (("pgd", "linf", "0.1", {"targeted": "9"}), "art", (1, 8, 8), 10),
])  # fmt: skip
def test_another_toolkit_or_word_has_no_such_need(asked, toolkit, shape, classes) -> None:
    assert unmet(catalogue.resolve(*asked), toolkit, shape, classes) is None


@pytest.mark.parametrize(("name", "norm", "eps", "words"), [
    ("square", "linf", "0.1", {"p_init": "1.01"}), ("jsma", "l0", None, {"gamma": 2}),
    ("fab", "linf", "0.1", {"beta": 1.5}),
])  # fmt: skip
def test_a_share_is_at_most_one(name, norm, eps, words) -> None:
    with pytest.raises(SpecError, match="is too large; it must be at most 1"):
        catalogue.resolve(name, norm, eps, words)


@pytest.mark.parametrize("name", ["fmn", "ddn"])
def test_a_ball_shrinks_by_less_than_itself(name) -> None:
    with pytest.raises(SpecError, match="gamma: 1 is too large; it must be below 1"):
        catalogue.resolve(name, "l2", None, {"gamma": 1})
