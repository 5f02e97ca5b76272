"""Confidence reduction: drawn back to where the label still holds."""

from __future__ import annotations

import oracles
import pytest
import torch
from attack_cases import CASES, quick
from oracles import size

from bench.attacks import catalogue
from bench.attacks.drive import drive
from bench.attacks.rows import ATTACKS

FLAT = [case for case in CASES if not ATTACKS[case[0]].irreducible and case[0] == "fgsm"]


@pytest.mark.parametrize(("name", "norm", "toolkit"), FLAT)
def test_an_image_that_crossed_is_drawn_back_to_the_boundary(name, norm, toolkit) -> None:
    eps = 0.03
    model, x, y = oracles.two_classes(norm, [0.01, 0.02, 0.05])
    spec = catalogue.resolve(name, norm, eps, {"goal": "confidence-reduction"})
    tried = drive(spec, toolkit, model, x, y, target=None, num_classes=2, seed=0)
    assert (model(tried.x_adv).argmax(1) == y).all()
    # The first two end on the boundary; the last, whose label held, keeps its whole step.
    assert size(tried.x_adv - x, norm).tolist() == pytest.approx([0.01, 0.02, 0.03], rel=1e-3)
    assert tried.forwards.tolist() == [1 + 1 + 15] * 3
    assert tried.backwards.tolist() == [1] * 3


def test_a_trained_network_is_less_sure_of_the_same_label(trained) -> None:
    with torch.no_grad():
        before = trained.net(trained.x).softmax(1).amax(1)
        spec = quick("pgd", "linf", goal="confidence-reduction")
        tried = drive(spec, "foolbox", trained.net, trained.x, trained.y,
                      target=None, num_classes=10, seed=0)  # fmt: skip
        plain = drive(quick("pgd", "linf"), "foolbox", trained.net, trained.x, trained.y,
                      target=None, num_classes=10, seed=0)  # fmt: skip
        after = trained.net(tried.x_adv).softmax(1)
        crossed = trained.net(plain.x_adv).argmax(1) != trained.y
    assert (after.argmax(1) == trained.y).all()
    assert crossed.sum() > 8
    assert (after.amax(1) <= before / 2)[crossed].float().mean() > 0.4
    assert torch.equal(tried.x_adv[~crossed], plain.x_adv[~crossed])
